"""A table on a terminal, by rich: it folds where there is little room, and loses no figure.

Imported only where there is a terminal; what people pipe on is plain text without colours.
"""

import os

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slurm_voucher.cli.cells import Cells, width_of

GAP = 2
WORD_MAX = 24
"""Columns of text are folded between words; only a longer word than this is cut."""


def show(cells: Cells) -> None:
    """Draw a table as wide as the terminal is; where that is too little, a row is a paragraph."""
    console = Console(highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")
    widths = _fitted(cells, console.width)
    if widths is not None:
        console.print(_table(cells, widths))
        return
    for i, row in enumerate(cells.rows):
        if i:
            console.print()
        console.print(_paragraph(cells, row))


def _fitted(cells: Cells, room: int) -> list[int] | None:
    """Return how wide each column is, the widest of text folded first; None if they do not fit."""
    widths, columns = list(cells.widths), zip(cells.names, *cells.rows, strict=True)
    words = [max(width_of(w) for text in column for w in text.split()) for column in columns]
    foldable = [
        0 if right else own - min(own, word, WORD_MAX)
        for own, right, word in zip(widths, cells.right, words, strict=True)
    ]
    over = sum(widths) + GAP * (len(widths) - 1) - room
    if over > sum(foldable):
        return None
    for _ in range(over):
        i = max((i for i, left in enumerate(foldable) if left), key=lambda i: widths[i])
        widths[i] -= 1
        foldable[i] -= 1
    return widths


def _grid(header: bool) -> Table:
    return Table(
        box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold", show_header=header
    )


def _table(cells: Cells, widths: list[int]) -> Table:
    table = _grid(header=True)
    for name, right, width in zip(cells.names, cells.right, widths, strict=True):
        table.add_column(
            Text(name), justify="right" if right else "left", width=width, overflow="fold"
        )
    for row in cells.rows:
        table.add_row(*map(_cell, row, cells.right))
    return table


def _paragraph(cells: Cells, row: list[str]) -> Table:
    table = _grid(header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, text, right in zip(cells.names, row, cells.right, strict=True):
        table.add_row(Text(name), _cell(text, right))
    return table


def _cell(text: str, number: bool) -> Text:
    """Give what is not known a dim dash and what is below zero red: all else is as it is."""
    if text == "-":
        return Text(text, "dim")
    return Text(text, "red" if number and text.startswith("-") else "")
