"""A paper as a spreadsheet: a sheet for its head, one for each table with its header frozen.

Amounts are numbers and days are days. A sum is a formula that carries its figure, so that also
those see it who work nothing out. A spreadsheet keeps 15 digits: enough for 9,999,999,999,999.99
yuan.
"""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_col_to_name

from accounting.forms.paper import Cell, Column, Field, Kind, Paper, Table, day, decimal, shown
from slurm_voucher.papers.words import SUM, marks

FORMATS = {
    Kind.TEXT: "@",
    Kind.DAY: "yyyy-mm-dd",
    Kind.COUNT: "#,##0",
    Kind.YUAN: "#,##0.00",
    Kind.MICRO: "#,##0.000000",
    Kind.PERCENT: "0.00%",
    Kind.PFLOPS_H: "#,##0.0000",
}
FONT = {"font_name": "宋体", "font_size": 11}
"""What office programs have for Chinese; they take another one where it is not there."""
WIDTH_MAX = 60
SHEET_CHARS_MAX = 31
"""A sheet's name has at most."""


def content(paper: Paper, font: Path | None = None) -> bytes:
    """Return the workbook. Made twice of the same paper it is the same, byte for byte."""
    file = io.BytesIO()
    with Workbook(file, {"in_memory": True, "strings_to_formulas": False}) as book:
        book.set_properties(
            {
                "title": f"{paper.title} {paper.number}",
                "author": "slurm-voucher",
                "created": datetime.fromtimestamp(paper.made_s, UTC).replace(tzinfo=None),
            }
        )
        pens = _Pens(book)
        _head(book.add_worksheet(paper.title[:SHEET_CHARS_MAX]), paper, pens)
        for table in paper.tables:
            _table(book.add_worksheet(table.title[:SHEET_CHARS_MAX]), table, pens, paper)
    return file.getvalue()


class _Pens:
    """The formats of cells, each made once for a workbook."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._made: dict[str, Any] = {}

    def get(self, kind: Kind = Kind.TEXT, **more: Any) -> Any:
        """Return a format."""
        name = f"{kind}{sorted(more.items())}"
        if name not in self._made:
            self._made[name] = self._book.add_format(
                FONT | {"num_format": FORMATS[kind], "valign": "top"} | more
            )
        return self._made[name]


def _head(sheet: Any, paper: Paper, pens: _Pens) -> None:
    """Write the sheet with a paper's head, notes and seals."""
    lines = [(mark, pens.get(bold=True, font_color="red")) for mark in marks(paper)]
    lines.append((paper.title, pens.get(bold=True, font_size=16)))
    for row, (text, pen) in enumerate(lines):
        sheet.write_string(row, 0, text, pen)
    row = len(lines)
    for field in paper.fields:
        sheet.write_string(row, 0, field.name, pens.get(bg_color="#EEEEEE", border=1))
        _write(sheet, row, 1, field.value, field.kind, pens.get(field.kind, border=1, align="left"))
        row += 1
    for text in ("", *paper.notes, "", *paper.seals):
        sheet.write_string(row, 0, text, pens.get())
        row += 1
    names = max(map(_width, (field.name for field in paper.fields)), default=10)
    sheet.set_column(0, 0, min(names, WIDTH_MAX))
    sheet.set_column(1, 1, min(max(map(_field_width, paper.fields), default=10), WIDTH_MAX))
    _page(sheet, paper)


def _table(sheet: Any, table: Table, pens: _Pens, paper: Paper) -> None:
    """Write the sheet with a table: its header in the first row, its sums below the last."""
    last = len(table.rows)
    sums = table.sums
    for i, column in enumerate(table.columns):
        pen = pens.get(bold=True, bg_color="#EEEEEE", border=1, text_wrap=True)
        sheet.write_string(0, i, column.name, pen)
        pen = pens.get(column.kind, border=1)
        for row, cells in enumerate(table.rows, 1):
            _write(sheet, row, i, cells[i], column.kind, pen)
        sheet.set_column(i, i, min(_column_width(table, i, column), WIDTH_MAX))
        bold = pens.get(column.kind, border=1, bold=True)
        if i in sums:
            _sum(sheet, last, i, (sums[i], column.kind), bold)
        elif sums:
            sheet.write_string(last + 1, i, SUM if i == 0 else "", bold)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    _page(sheet, paper)


def _sum(sheet: Any, last: int, i: int, figure: tuple[int, Kind], pen: Any) -> None:
    """Write what a column comes to, below its last row; of no rows there is no formula."""
    number = _number(*figure)
    if not last:
        sheet.write_number(1, i, number, pen)
        return
    name = xl_col_to_name(i)
    formula = f"=ROUND(SUM({name}2:{name}{last + 1}),{_places(figure[1])})"
    sheet.write_formula(last + 1, i, formula, pen, number)


def _page(sheet: Any, paper: Paper) -> None:
    """Say how a sheet is printed."""
    sheet.set_paper(9)  # A4
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_header("&C" + "  ".join((*marks(paper), paper.number)).replace("&", "&&"))
    sheet.set_footer("&C第 &P 页 / 共 &N 页")


def _write(sheet: Any, row: int, column: int, value: Cell, kind: Kind, pen: Any) -> None:
    """Write a cell as what it is."""
    if value is None or value == "":
        sheet.write_string(row, column, shown(value, kind), pen)
    elif kind is Kind.DAY:
        sheet.write_datetime(row, column, day(value), pen)
    elif isinstance(value, int):
        sheet.write_number(row, column, _number(value, kind), pen)
    else:
        sheet.write_string(row, column, value, pen)


def _number(value: int, kind: Kind) -> Any:
    """Return a number as spreadsheets keep it: 12.34 % is 0.1234."""
    return decimal(value, kind).scaleb(-2) if kind is Kind.PERCENT else decimal(value, kind)


def _places(kind: Kind) -> int:
    return kind.decimals + (2 if kind is Kind.PERCENT else 0)


def _column_width(table: Table, i: int, column: Column) -> int:
    texts = [shown(row[i], column.kind) for row in table.rows]
    if i in table.sums:
        texts.append(shown(table.sums[i], column.kind))
    return max(map(_width, [column.name, *texts]))


def _field_width(field: Field) -> int:
    return _width(shown(field.value, field.kind))


def _width(text: str) -> int:
    """Return how wide a text is, in digits: Chinese characters are about two."""
    return sum(2 if ord(char) > 0x2E80 else 1 for char in text) + 2
