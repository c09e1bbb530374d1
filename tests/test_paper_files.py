"""Papers are written whole or not at all, and what comes from outside harms no reader."""

import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import readingback
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib.tables._g_l_y_f import Glyph
from homes import HEADER, ROOT, Home, an_account, furnished, one_line
from openpyxl import load_workbook
from pypdf import PdfReader

from accounting.errors import InvalidInput
from accounting.forms.paper import Column, Field, Kind, Paper, Table, amount
from slurm_voucher.papers import files, fonts, pdf

TEXTS = "-SUM(A1)", "=1+1", "+86 28", "@x", "成都（一）"


def paper(rows: int = 3, columns: int = 3, texts: tuple[str, ...] = TEXTS) -> Paper:
    """Make a paper of the tests' own: text, fen and a share in each row."""
    names = (
        Column("名称"),
        *(Column(f"金额{i}（元）", Kind.YUAN, summed=True) for i in range(columns)),
    )
    cells = [(texts[i % len(texts)], *range(i * 7, i * 7 + columns)) for i in range(rows)]
    fields = (Field("单位", texts[0]), Field("日期", "2026-11-22", Kind.DAY))
    table = Table("明细", names, tuple(cells))
    return Paper("登记表", "R-1", False, 1_795_000_000, fields, (table,), ("注。",), ("盖章",))


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (1, 3), (3, 3), (200, 12), (90, 30)])
def test_tables_of_every_size(tmp_path, rows: int, columns: int) -> None:
    """No row and many rows, few columns and more than a page is wide: every form has them all, and
    pages repeat the header."""
    described = paper(rows, columns)
    written = readingback.in_all_forms(described, tmp_path)
    pages = readingback.pages(written[".pdf"])
    assert all("名称" in page for page in pages[:-1])
    for number, page in enumerate(pages, 1):
        assert f"第{number}页/共{len(pages)}页" in page


def test_pages_are_a4_and_carry_their_fonts(tmp_path) -> None:
    """Pages are A4, on their side for a wide table; every font is in the file, also a CFF one."""
    for columns, size in ((2, (595, 841)), (20, (841, 595))):
        for font in (readingback.FONT, None):
            files.write(paper(3, columns), tmp_path / "a.pdf", force=True, font=font)
            read = PdfReader(tmp_path / "a.pdf")
            box = read.pages[0].mediabox
            assert (int(box.width), int(box.height)) == size
            for each in read.pages[0]["/Resources"]["/Font"].values():
                [of] = each.get_object()["/DescendantFonts"]
                described = of.get_object()["/FontDescriptor"]
                assert "/FontFile2" in described or "/FontFile3" in described
            assert "成都（一）" in readingback.pages(tmp_path / "a.pdf")[0] or columns


def test_text_is_no_formula(tmp_path) -> None:
    """What begins like a formula is text in a spreadsheet: names come from outside."""
    written = readingback.in_all_forms(paper(5), tmp_path)
    sheet = load_workbook(written[".xlsx"]).worksheets[1]
    cells = [sheet.cell(row, 1) for row in range(2, 7)]
    assert [(cell.value, cell.data_type) for cell in cells] == [(text, "s") for text in TEXTS]
    rows = readingback.commas(written[".csv"])
    assert [row[0] for row in rows if row and row[0].lstrip("'") in TEXTS] == [
        *(f"'{text}" for text in TEXTS[:4]),
        TEXTS[4],
    ]
    assert ["合计", "0.70", "0.75", "0.80"] in rows


def test_a_character_that_the_font_has_not(tmp_path) -> None:
    """What would be an empty box on a page is refused by its name; nothing is written."""
    with pytest.raises(InvalidInput, match="has no U\\+E000 of 'x\\\\ue000'; name a font"):
        files.write(paper(1, 1, ("x\ue000",)), tmp_path / "a.pdf", False, readingback.FONT)
    assert list(tmp_path.iterdir()) == []


def latin(folder: Path) -> Path:
    """Make a font with one letter."""
    font = FontBuilder(1000)
    font.setupGlyphOrder([".notdef", "A"])
    font.setupCharacterMap({ord("A"): "A"})
    font.setupGlyf({name: Glyph() for name in (".notdef", "A")})
    font.setupHorizontalMetrics(dict.fromkeys((".notdef", "A"), (500, 0)))
    font.setupHorizontalHeader()
    font.setupNameTable({"familyName": "One Letter"})
    font.setupOS2()
    font.setupPost()
    font.save(folder / "latin.ttf")
    return folder / "latin.ttf"


def test_a_font_that_is_none(tmp_path) -> None:
    """A file that is no font with Chinese is refused, with what to install."""
    (tmp_path / "x.ttf").write_text("x")
    for own in (latin(tmp_path), tmp_path / "x.ttf", tmp_path / "none.ttf"):
        with pytest.raises(InvalidInput, match=f"{own} is no font with Chinese.*fonts-noto-cjk"):
            fonts.find(own)


def test_no_font_and_one_that_fontconfig_knows(tmp_path, monkeypatch) -> None:
    """Where no known font is, the one that fontconfig names is taken; without it, the message says
    what to install."""
    monkeypatch.setattr(fonts, "FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match=r"no Chinese font was found.*install fonts-noto-cjk"):
        fonts.find(None)
    fake = tmp_path / "fc-match"
    for named in (latin(tmp_path), readingback.FONT):
        fake.write_text(f"#!/bin/sh\nprintf %s {named}\n")
        fake.chmod(0o755)
        if named != readingback.FONT:
            with pytest.raises(InvalidInput, match="no Chinese font was found"):
                fonts.find(None)
    assert fonts.find(None).regular.path == readingback.FONT


def test_the_font_of_simplified_chinese() -> None:
    """Of a collection the member for simplified Chinese is taken, with its bold one."""
    family = fonts.find(None)
    assert family.bold is not None
    assert family.regular.number == family.bold.number == 2
    assert family.regular.path.name == "NotoSerifCJK-Regular.ttc"
    assert ord("贰") in family.regular.has


def test_the_pages_of_a_paper_are_the_same_bytes() -> None:
    """The same paper is the same pages, byte for byte, with the font that is found."""
    assert pdf.content(paper()) == pdf.content(paper())


PRICES = """
tariff: hand-1
chips: 2024-07
timezone: Asia/Shanghai
clusters:
  chengdu:
    partitions:
      core:
        provider: cdaicc
        prices: [{from: 2023-07-01, yuan_per_core_hour: "1.00"}]
"""
ROW = (
    "7|7|chengdu|core|normal|lab|li|1001|2026-11-23T00:00:00|2026-11-23T00:00:00"
    "|2026-11-23T01:00:00|3600|COMPLETED|1|4|cpu=4,node=1|cpu=4,node=1|voucher=CD26-0001"
)
SVOUCHER = "from slurm_voucher.cli import main; main(prog_name='svoucher')"
STATEMENT = "S-CD26-0001-2026-11"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A rehearsal with a statement over 4.00 yuan."""
    folder = tmp_path_factory.mktemp("site")
    home = furnished(folder / "home")
    assert an_account(home) == "CD26-0001"
    (folder / "prices.yaml").write_text(PRICES)
    home.ok("price", "load", str(folder / "prices.yaml"))
    (folder / "rows.psv").write_text(f"{HEADER}\n{ROW}\n")
    home.ok("import", str(folder / "rows.psv"), "--cluster", "chengdu")
    home.ok("--as-of", "2026-12-05", "close", "2026-11")
    return home


def test_a_statement_by_command(home: Home, tmp_path) -> None:
    """The ending says the form; where it is, the command says; a rehearsal's is stamped."""
    for form in ("pdf", "xlsx", "csv"):
        to = tmp_path / f"s.{form}"
        said = home.ok("statement", "export", STATEMENT, "--to", str(to))
        assert said == f"算力券结算单 {STATEMENT}: in {to}\n"
    assert "演练" in readingback.pages(tmp_path / "s.pdf")[0]
    assert ["结算费用", "4.00"] in readingback.commas(tmp_path / "s.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.csv", "s.pdf", "s.xlsx"]


def test_a_file_is_kept_unless_force_is_said(home: Home, tmp_path) -> None:
    """A file that is there stays as it is, unless --force is said; a folder always does."""
    to = tmp_path / "s.csv"
    to.write_text("mine")
    export = ("statement", "export", STATEMENT, "--to")
    one_line(home.run(*export, str(to)), 3, f"{to}: is there already", "--force")
    assert to.read_text() == "mine"
    home.ok(*export, str(to), "--force")
    assert "结算费用" in to.read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("s.doc", "ends in .doc"),
        ("s", "ends in nothing"),
        ("none/s.pdf", "is no folder; make it first"),
    ],
)
def test_names_that_will_not_do(home: Home, tmp_path, name: str, words: str) -> None:
    """A name in no known form, or in no folder, is refused in one line before anything is made."""
    done = home.run("statement", "export", STATEMENT, "--to", str(tmp_path / name))
    one_line(done, 3, f"{tmp_path / name}: ", words)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_statement(home: Home, tmp_path) -> None:
    """An unknown statement is one line, and no file."""
    done = home.run("statement", "export", "S-X", "--to", str(tmp_path / "s.pdf"))
    one_line(done, 3, "S-X")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["pdf", "xlsx", "csv"])
def test_a_file_that_cannot_be_written_whole(home: Home, tmp_path, form: str) -> None:
    """Where there is no room for all of a file, that is one line, and there is no part of it."""
    done = subprocess.run(
        [
            sys.executable, "-c", SVOUCHER, "--home", home.path,
            "statement", "export", STATEMENT, "--to", tmp_path / f"s.{form}",
        ],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"svoucher: {tmp_path}/s.{form}")
    assert done.stderr.endswith(": File too large; check path and rights\n")
    assert list(tmp_path.iterdir()) == []


def test_the_sites_own_font(home: Home, tmp_path) -> None:
    """paper_font of config.yaml is what pages are set in; one that is none is named."""
    config = home.path / "config.yaml"
    config.write_text(f"paper_font: {readingback.FONT}\n")
    home.ok("statement", "export", STATEMENT, "--to", str(tmp_path / "s.pdf"))
    fonts_of = PdfReader(tmp_path / "s.pdf").pages[0]["/Resources"]["/Font"].values()
    assert all("WenQuanYi" in each.get_object()["/BaseFont"] for each in fonts_of)
    config.write_text("paper_font: /etc/hostname\n")
    done = home.run("statement", "export", STATEMENT, "--to", str(tmp_path / "t.pdf"))
    one_line(done, 3, "/etc/hostname is no font with Chinese", "fonts-noto-cjk")
    config.unlink()


def test_a_page_of_stamps_alone_says_what_is_signed(tmp_path) -> None:
    """Where boxes for stamps have a page of their own, the paper and its amounts stand above them;
    where they do not, nothing is said twice."""
    few = paper(1)
    amounts = (*few.fields, *amount("申请金额", 101_068))
    for rows, page in ((1, 1), (26, 2)):
        described = replace(paper(rows), fields=amounts)
        files.write(described, tmp_path / "a.pdf", force=True, font=readingback.FONT)
        pages = readingback.pages(tmp_path / "a.pdf")
        assert len(pages) == page
        assert ("本页为《登记表》（编号：R-1）签章页" in pages[-1]) == (page == 2)
        assert pages[-1].count("人民币壹仟零壹拾元零陆角捌分") == 1


def test_a_number_of_many_digits_stays_whole(tmp_path) -> None:
    """An invoice's twenty digits have an apostrophe, fifteen do not, and amounts never."""
    described = paper(1, 1, ("26512000000012345678",))
    files.write(described, tmp_path / "a.csv", force=True)
    text = (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    assert "单位,'26512000000012345678\n" in text
    files.write(paper(1, 1, ("265120000000123",)), tmp_path / "a.csv", force=True)
    assert "单位,265120000000123\n" in (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
