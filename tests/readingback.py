"""Papers read back from their files, as whoever receives them reads them."""

import csv
import io
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from openpyxl import load_workbook
from pypdf import PdfReader

from accounting.forms.paper import UNKNOWN, Cell, Kind, Paper, decimal, shown
from slurm_voucher.papers import files

FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
"""Of fonts-wqy-microhei: it is small, and read quickly."""


def squeezed(text: str) -> str:
    """Return text without any space: where a page breaks a line says nothing.

    pypdf may read the two bytes of a character as two, the first of them a NUL.
    """
    return re.sub(r"[\s\0]", "", text)


def pages(path: Path) -> list[str]:
    """Return the text of each page of a PDF, without spaces."""
    return [squeezed(page.extract_text()) for page in PdfReader(path).pages]


def commas(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file, which begins with the mark of UTF-8."""
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def number(value: Cell, kind: Kind) -> Any:
    """Return what a spreadsheet has for a cell."""
    if value is None or value == "":
        return shown(value, kind)
    if kind is Kind.DAY:
        return datetime.combine(date.fromisoformat(str(value)), datetime.min.time())
    if not kind.is_number or isinstance(value, str):
        return value
    return decimal(value, kind) / (100 if kind is Kind.PERCENT else 1)


def exact(value: Any) -> Any:
    """Return a number as it is written, not as it is kept: 0.1 and no more."""
    return Decimal(str(value)) if isinstance(value, int | float) else value


def in_all_forms(paper: Paper, folder: Path) -> dict[str, Path]:
    """Write a paper in each form, and hold each against it: head, rows and sums."""
    written = {}
    for form in (".pdf", ".xlsx", ".csv"):
        written[form] = folder / f"paper{form}"
        files.write(paper, written[form], force=True, font=FONT)
    as_pages(paper, written[".pdf"])
    as_sheets(paper, written[".xlsx"])
    as_commas(paper, written[".csv"])
    return written


def as_pages(paper: Paper, path: Path) -> None:
    """Hold the pages of a paper against it: each row stands there as one, in its order."""
    text = "".join(pages(path))
    for field in paper.fields:
        assert squeezed(field.name) in text
        assert squeezed(shown(field.value, field.kind)) in text
    at = 0
    for table in paper.tables:
        for row in table.rows:
            cells = [shown(v, c.kind) for v, c in zip(row, table.columns, strict=True)]
            at = text.index(squeezed("".join(cells)), at)
        sums = [shown(v, table.columns[i].kind) for i, v in table.sums.items()]
        if sums:
            at = text.index(squeezed("".join(["合计", *sums])), at)


def as_sheets(paper: Paper, path: Path) -> None:
    """Hold a workbook against its paper; each sum is a formula over just its column's rows, and
    carries what they come to."""
    book, formulas = load_workbook(path, data_only=True), load_workbook(path)
    head = {row[0].value: exact(row[1].value) for row in book.worksheets[0].iter_rows(max_col=2)}
    for field in paper.fields:
        assert head[field.name] == number(field.value, field.kind)
    for table, sheet in zip(paper.tables, book.worksheets[1:], strict=True):
        rows = [[exact(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
        assert sheet.freeze_panes == "A2"
        assert rows[0] == [column.name for column in table.columns]
        kinds = [column.kind for column in table.columns]
        for row, found in zip(table.rows, rows[1:], strict=False):
            assert [number(v, k) for v, k in zip(row, kinds, strict=True)] == found
        for i, total in table.sums.items():
            cell = formulas[sheet.title].cell(len(table.rows) + 2, i + 1)
            letter, last = cell.column_letter, len(table.rows) + 1
            if table.rows:
                assert cell.value.startswith(f"=ROUND(SUM({letter}2:{letter}{last}),")
            assert rows[last][i] == number(total, kinds[i])
            assert (
                sum((row[i] for row in rows[1:last] if row[i] != UNKNOWN), Decimal(0))
                == rows[last][i]
            )


def as_commas(paper: Paper, path: Path) -> None:
    """Hold a CSV file against its paper."""
    rows = commas(path)
    for field in paper.fields:
        assert [field.name, plain(field.value, field.kind)] in rows
    for table in paper.tables:
        at = rows.index([column.name for column in table.columns]) + 1
        for row in table.rows:
            wanted = [plain(v, c.kind) for v, c in zip(row, table.columns, strict=True)]
            assert rows[at] == wanted
            at += 1
        for i, total in table.sums.items():
            assert rows[at][i] == plain(total, table.columns[i].kind)
    assert all(note in [row[0] for row in rows if row] for note in paper.notes)


def plain(value: Cell, kind: Kind) -> str:
    """Return what a CSV file has for a cell: a number without separators of thousands, and what
    looks like a formula with an apostrophe."""
    text = shown(value, kind)
    if kind.is_number:
        return text.replace(",", "").rstrip("%")
    return f"'{text}" if text[0] in "=+-@" else text
