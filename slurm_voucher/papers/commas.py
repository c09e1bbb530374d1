"""A paper as comma-separated values, in UTF-8 with the mark that spreadsheets look for.

Text that a spreadsheet would take for a formula has an apostrophe before it: names come from
outside. So has a number of an invoice or a credit code of digits alone, of which a spreadsheet
keeps fifteen.
"""

import csv
import io
from pathlib import Path

from accounting.forms.paper import Cell, Kind, Paper, Table, decimal, shown
from slurm_voucher.papers.words import SUM, marks

FORMULA = ("=", "+", "-", "@", "\t", "\r")
EXACT_DIGITS = 15


def content(paper: Paper, font: Path | None = None) -> bytes:
    """Return the file: head, tables with their sums, notes, seals, with an empty line between."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerows([[mark] for mark in (*marks(paper), paper.title)])
    rows.writerows([_text(field.name), _cell(field.value, field.kind)] for field in paper.fields)
    for table in paper.tables:
        rows.writerows([[], [_text(table.title)], [_text(c.name) for c in table.columns]])
        rows.writerows(
            [_cell(value, column.kind) for value, column in zip(row, table.columns, strict=True)]
            for row in table.rows
        )
        if table.sums:
            rows.writerow(_sums(table))
    rows.writerow([])
    rows.writerows([_text(line)] for line in (*paper.notes, *paper.seals))
    return text.getvalue().encode("utf-8-sig")


def _sums(table: Table) -> list[str]:
    sums = table.sums
    cells = [
        _cell(sums[i], column.kind) if i in sums else "" for i, column in enumerate(table.columns)
    ]
    return [cells[0] or SUM, *cells[1:]]


def _cell(value: Cell, kind: Kind) -> str:
    """Write a number plainly, without separators of thousands."""
    if kind.is_number and isinstance(value, int):
        return str(decimal(value, kind))
    return _text(shown(value, kind))


def _text(text: str) -> str:
    long = text.isdecimal() and len(text) > EXACT_DIGITS
    return f"'{text}" if long or text.startswith(FORMULA) else text
