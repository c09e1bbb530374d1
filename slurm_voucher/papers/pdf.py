"""A paper as pages: A4, set in Chinese, the fonts in the file.

All papers are laid out alike: title, head in two columns, tables with their header on each page,
notes, boxes for stamps, and on each page its number. A paper lies on its side where its widest
table needs it.
"""

import logging
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import WrapMode
from fpdf.fonts import FontFace

from accounting.errors import InvalidInput
from accounting.forms.paper import Column, Field, Kind, Paper, Table, shown
from slurm_voucher.papers import fonts
from slurm_voucher.papers.fonts import Family
from slurm_voucher.papers.words import OF_REHEARSAL, STAMP, SUM

MARGIN_MM = 15
PORTRAIT_MM = 210 - 2 * MARGIN_MM
LANDSCAPE_MM = 297 - 2 * MARGIN_MM
TITLE_PT, TEXT_PT, SMALL_PT = 18, 9.5, 7.5
TABLE_PT = (9.5, 9, 8.5, 8, 7.5)
"""Sizes of a table, largest first: the first with which it fits."""
MEASURED_PT = 100
LINE_MM = 5
PADDING_MM = 1
SEAL_LINES = 4
GREY = (238, 238, 238)
RULE = (120, 120, 120)
RED = (200, 30, 30)
PALE_RED = (252, 230, 230)
LABELS = (0.19, 0.31)
"""How a line of the head is shared between a name and what it says, twice."""


def content(paper: Paper, font: Path | None = None) -> bytes:
    """Return the file. Made twice of the same paper it is the same, byte for byte.

    Raises:
        InvalidInput: There is no Chinese font, or it has not all that the paper says.
    """
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # tables that a page has no use for
    family = fonts.find(font)
    _insist_on_glyphs(paper, family)
    pages = _Pages(paper, family)
    pages.add_page(orientation=pages.lie())
    pages.write_title()
    pages.write_fields(paper.fields)
    for table in paper.tables:
        pages.write_table(table)
    pages.write_notes(paper.notes)
    pages.write_seals(paper.seals)
    for name, attached in sorted(paper.attached.items()):
        pages.embed_file(bytes=attached, basename=name)
    return bytes(pages.output())


def _insist_on_glyphs(paper: Paper, family: Family) -> None:
    """Refuse what would come out as an empty box."""
    for text in _texts(paper):
        for char in text:
            if ord(char) not in family.regular.has:
                raise InvalidInput(
                    f"paper {paper.number}: {family.regular.path.name} has no "
                    f"{unicodedata.name(char, f'U+{ord(char):04X}')} of {text[:40]!r}; name a font "
                    "that has it as paper_font in config.yaml"
                )


def _texts(paper: Paper) -> Iterator[str]:
    """Yield all text of a paper that comes from the book."""
    yield from (paper.title, paper.number, *paper.notes, *paper.seals)
    for field in paper.fields:
        yield from (field.name, shown(field.value, field.kind))
    for table in paper.tables:
        yield from (table.title, *(column.name for column in table.columns))
        yield from (cell for row in table.rows for cell in row if isinstance(cell, str))


class _Pages(FPDF):
    """The pages of one paper."""

    def __init__(self, paper: Paper, family: Family) -> None:
        super().__init__(format="A4")
        self.paper = paper
        self._natural: dict[int, list[float]] = {}
        self._add_fonts(family)
        self.set_title(f"{paper.title} {paper.number}")
        self.set_creator("slurm-voucher")
        self.set_lang("zh-CN")
        self.set_creation_date(datetime.fromtimestamp(paper.made_s, UTC))
        self.set_margins(MARGIN_MM, MARGIN_MM)
        self.set_auto_page_break(True, MARGIN_MM + 4)
        self.set_draw_color(*RULE)
        self.set_line_width(0.2)
        self._say(size=TEXT_PT)

    def _add_fonts(self, family: Family) -> None:
        for style, face in (("", family.regular), ("B", family.bold or family.regular)):
            self.add_font("paper", style, face.path, collection_font_number=face.number)

    def lie(self) -> str:
        """Say how the paper lies: on its side where a table does not fit otherwise."""
        wide = any(self._sized(table, PORTRAIT_MM)[0] is None for table in self.paper.tables)
        return "landscape" if wide else "portrait"

    def _sized(self, table: Table, width: float) -> tuple[float | None, list[float]]:
        """Return the largest size with which no cell of a table is broken, None if none is, and
        how wide its columns then are, or would be at the smallest."""
        if id(table) not in self._natural:
            self._natural[id(table)] = self._measured(table)
        for size in TABLE_PT:
            widths = [each * size + 2 * PADDING_MM + 1 for each in self._natural[id(table)]]
            if sum(widths) <= width:
                return size, widths
        return None, widths

    def _measured(self, table: Table) -> list[float]:
        """Return how wide the widest cell of each column is, in mm for each point of size."""
        self._say(bold=True, size=MEASURED_PT)
        sums = table.sums
        widths = []
        for i, column in enumerate(table.columns):
            texts = {shown(row[i], column.kind) for row in table.rows}
            texts |= {shown(sums.get(i), column.kind), *_name(column).split("\n")}
            widths.append(max(map(self.get_string_width, texts)) / MEASURED_PT)
        return widths

    def _say(self, *, bold: bool = False, size: float = TEXT_PT) -> None:
        self.set_font("paper", "B" if bold else "", size)

    def header(self) -> None:
        """Mark the page of a rehearsal, and say on all but the first what it is a page of."""
        if self.paper.rehearsal:
            self._mark()
        self.set_text_color(0)
        if self.page_no() > 1:
            self._say(size=SMALL_PT)
            self.cell(text=self.paper.title)
            self.set_x(self.l_margin)
            self.cell(w=self.epw, text=self.paper.number, align="R")
            self.ln(LINE_MM + 2)
        self._say()

    def _mark(self) -> None:
        """Stamp a page: large and pale behind all, and in words above."""
        self._say(bold=True, size=150)
        self.set_text_color(*PALE_RED)
        with self.rotation(35, self.w / 2, self.h / 2):
            width = self.get_string_width(STAMP)
            self.text((self.w - width) / 2, self.h / 2 + 18, STAMP)
        self._say(bold=True, size=SMALL_PT + 1)
        self.set_text_color(*RED)
        self.set_xy(self.l_margin, 7)
        self.cell(w=self.epw, text=OF_REHEARSAL, align="C")
        self.set_xy(self.l_margin, self.t_margin)

    def footer(self) -> None:
        """Number the page."""
        self.set_y(-MARGIN_MM)
        self._say(size=SMALL_PT)
        self.set_text_color(0)
        self.cell(w=self.epw, text=f"第 {self.page_no()} 页 / 共 {{nb}} 页", align="C")

    def write_title(self) -> None:
        """Write what this is, and which one."""
        self._say(bold=True, size=TITLE_PT)
        self.cell(w=self.epw, h=10, text=self.paper.title, align="C")
        self.ln(11)
        self._say()
        self.cell(w=self.epw, h=LINE_MM, text=f"编号：{self.paper.number}", align="R")
        self.ln(LINE_MM + 1)

    def write_fields(self, fields: Sequence[Field]) -> None:
        """Write the head: two fields a line, those that are wide on one of their own."""
        name, says = (self.epw * part for part in LABELS)
        label = FontFace(fill_color=GREY)
        with self.table(
            col_widths=(name, says, name, says),
            first_row_as_headings=False,
            line_height=LINE_MM,
            padding=PADDING_MM,
            text_align="L",
            wrapmode=WrapMode.CHAR,
        ) as grid:
            for line in _lines(fields):
                row = grid.row()
                for field in line:
                    row.cell(field.name, style=label)
                    row.cell(_said(field), colspan=3 if len(line) == 1 else 1)
        self.ln(4)

    def write_table(self, table: Table) -> None:
        """Write a table: its header on each page, numbers to the right, the sums below."""
        if self.will_page_break(5 * LINE_MM):
            self.add_page(same=True)
        self._say(bold=True)
        self.cell(h=LINE_MM + 1, text=table.title)
        self.ln(LINE_MM + 2)
        size, natural = self._sized(table, self.epw)
        self._say(size=size or TABLE_PT[-1])
        with self.table(
            col_widths=tuple(_fitted(natural, table.columns, self.epw)),
            text_align=tuple("R" if c.kind.is_number else "L" for c in table.columns),
            headings_style=FontFace(emphasis="BOLD", fill_color=GREY),
            line_height=LINE_MM,
            padding=PADDING_MM,
        ) as grid:
            names = grid.row()
            for column in table.columns:
                names.cell(_name(column), align="C")
            for cells in table.rows:
                grid.row([shown(v, c.kind) for v, c in zip(cells, table.columns, strict=True)])
            if table.sums:
                grid.row(_sums(table), style=FontFace(emphasis="BOLD"))
        self.ln(3)

    def write_notes(self, notes: Sequence[str]) -> None:
        """Write what stands below the tables."""
        self._say(size=SMALL_PT)
        for number, note in enumerate(notes, 1):
            self.multi_cell(
                w=self.epw,
                h=LINE_MM - 1.2,
                text=f"{number}. {note}",
                align="L",
                wrapmode=WrapMode.CHAR,
                new_x="LMARGIN",
                new_y="NEXT",
            )
        self.ln(4)

    def write_seals(self, seals: Sequence[str]) -> None:
        """Draw a box for each stamp, all of them on one page; on one of their own it is said again
        what is signed: nobody stamps an empty page."""
        if not seals:
            return
        height = (SEAL_LINES + 3) * (LINE_MM + 1)
        if self.will_page_break(height):
            self.add_page(same=True)
            self._write_what_is_signed()
        self._say()
        width, top = self.epw / len(seals), self.get_y()
        for place, seal in enumerate(seals):
            left = self.l_margin + place * width
            self.rect(left, top, width, height)
            for line, text in ((0, seal), (SEAL_LINES + 1, "经办人签字："), (SEAL_LINES + 2, DATE)):
                self.set_xy(left + 2, top + 1 + line * (LINE_MM + 1))
                self.cell(text=text)
        self.set_y(top + height)

    def _write_what_is_signed(self) -> None:
        """Write which paper a page of stamps belongs to, and its amounts."""
        self._say()
        said = [f"本页为《{self.paper.title}》（编号：{self.paper.number}）签章页"]
        said += [f"{f.name}：{f.value}" for f in self.paper.fields if f.name.endswith(IN_CAPITALS)]
        for line in said:
            self.multi_cell(w=self.epw, h=LINE_MM + 1, text=line, new_x="LMARGIN", new_y="NEXT")
        self.ln(2)


IN_CAPITALS = "（大写）"
DATE = "日期：　　　　年　　　月　　　日"


def _lines(fields: Sequence[Field]) -> Iterator[list[Field]]:
    """Put fields on lines: in pairs, wide ones alone."""
    waiting: list[Field] = []
    for field in fields:
        if field.wide:
            if waiting:
                yield waiting
            waiting = []
            yield [field]
            continue
        waiting.append(field)
        if len(waiting) == 2:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _said(field: Field) -> str:
    text = shown(field.value, field.kind)
    return f"¥{text}" if field.kind in (Kind.YUAN, Kind.MICRO) and field.value is not None else text


def _name(column: Column) -> str:
    """Return the name of a column, its unit on a line of its own."""
    return column.name.replace("（", "\n（")


def _sums(table: Table) -> list[str]:
    sums = table.sums
    cells = [shown(sums[i], c.kind) if i in sums else "" for i, c in enumerate(table.columns)]
    return [cells[0] or SUM, *cells[1:]]


def _fitted(natural: list[float], columns: Sequence[Column], width: float) -> list[float]:
    """Spread columns over a page: numbers are never broken, texts give what is missing."""
    spare = width - sum(natural)
    if spare >= 0:
        return [each + spare / len(natural) for each in natural]
    numbers = sum(w for w, c in zip(natural, columns, strict=True) if c.kind.is_number)
    texts = sum(natural) - numbers
    part = max(width - numbers, 0.2 * width) / texts if texts else 1
    return [w if c.kind.is_number else w * part for w, c in zip(natural, columns, strict=True)]
