"""Tables on a terminal, JSON and CSV in a pipe: the same rows in each."""

import csv
import io
import json
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from slurm_voucher import words
from slurm_voucher.cli.cells import Cells, width_of

Show = Callable[[Sequence[Mapping[str, Any]]], None]
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that steer a terminal or turn the text around."""
DRAWN_MAX = 500
"""Rows of a table that a terminal gets from rich, which takes a millisecond and more for each."""


def plain(text: str) -> str:
    """Write out what would not be seen: names and words of jobs come from users and files."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in HIDDEN else c
        for c in text
    )


def say(text: str) -> None:
    """Print one line in the reader's language, in which words from outside may stand."""
    click.echo(plain(words.said(text)))


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a listing --json and --csv; it receives `show`, which prints its rows."""

    def wrapped(*args: Any, as_json: bool, as_csv: bool, **kwargs: Any) -> Any:
        show = show_json if as_json else show_csv if as_csv else show_table
        return command(*args, show=show, **kwargs)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__dict__.update(command.__dict__)
    for flag, name, text in (("--csv", "as_csv", "CSV"), ("--json", "as_json", "JSON")):
        wrapped = click.option(flag, name, is_flag=True, help=f"Print {text}.")(wrapped)
    return wrapped


def show_json(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of objects; what would not be seen is written out, as JSON does."""
    text = json.dumps([dict(row) for row in rows], ensure_ascii=False, indent=1)
    for c in {c for c in set(text) - {"\n"} if unicodedata.category(c) in HIDDEN}:
        text = text.replace(c, json.dumps(c)[1:-1])
    click.echo(text)


def show_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a header and one line for each row, as it is: only a terminal is not steered by it."""
    if rows:
        if sys.stdout.isatty():
            rows = [{k: plain(v) if isinstance(v, str) else v for k, v in r.items()} for r in rows]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        click.echo(text.getvalue(), nl=False)


def show_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print aligned columns; numbers to the right. Chinese characters are two columns wide."""
    if not rows:
        say("nothing to show")
        return
    cells = _cells(rows)
    if len(rows) <= DRAWN_MAX and sys.stdout.isatty():
        from slurm_voucher.cli import terminal  # loads rich, which nobody else needs

        terminal.show(cells)
        return
    lines = []
    for row in [cells.names, *cells.rows]:
        padded = [
            " " * (width - width_of(text)) + text
            if is_right
            else text + " " * (width - width_of(text))
            for text, width, is_right in zip(row, cells.widths, cells.right, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    click.echo("\n".join(lines))


def _cells(rows: Sequence[Mapping[str, Any]]) -> Cells:
    columns = list(rows[0])
    names = [words.heading(column) for column in columns]
    texts = [[_cell(column, row[column]) for column in columns] for row in rows]
    right = [all(_numeric(row[i]) for row in texts) for i in range(len(names))]
    widths = [max(map(width_of, column)) for column in zip(names, *texts, strict=True)]
    return Cells(names, texts, right, widths)


def show_counted(show: Show, how: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Show rows of a report, and how they were counted: above a table, else in each row."""
    if show is show_table:
        say(f"counted {how}")
        show(rows)
    else:
        show([{**row, "counted": how} for row in rows])


def _cell(column: str, value: Any) -> str:
    return "-" if value is None else plain(words.word(column, str(value)))


def _numeric(text: str) -> bool:
    return text == "-" or text.lstrip("-").replace(",", "").replace(".", "", 1).isdigit()
