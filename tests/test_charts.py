"""Charts show the figures of their table, need nothing else, and cannot be steered by a name."""

import io
import json
import re
import sys
import xml.etree.ElementTree as ET
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from delivery import close, load_prices, take, yuan
from homes import GOOD, HEADER, Home, an_account, furnished, one_line
from PIL import Image
from town import POLICY, UNIT, Town

from accounting.forms import programme, standing
from accounting.runs.nodes import WHYS
from accounting.settle.utilisation import Allocated, Available, Used
from slurm_voucher import words
from slurm_voucher.charts import page, picture, reports, terminal
from slurm_voucher.charts.chart import OTHERS, SERIES_MAX, Chart, Kind, Series, series
from slurm_voucher.cli.cells import width_of
from slurm_voucher.papers import fonts

EVIL = "</script><script>alert(1)</script>$x$"
MONTHS = ("2026-09", "2026-10", "2026-11")
DAYS = ("2026-09-01", "2026-10-03", "2026-11-03", "2026-11-27")


def bars(*names: str) -> Chart:
    """Make a chart of a bar a month for each name: 1000, 2000, 3000 for the first one."""
    own = tuple(
        Series(name, tuple(Decimal(1000 * i * m) for m in (1, 2, 3)))
        for i, name in enumerate(names, 1)
    )
    return Chart("Charges, by user", "yuan", Kind.BARS, MONTHS, own)


STEPS = Chart(
    "Left on vouchers, by unit", "yuan", Kind.STEPS, DAYS,
    (
        Series("shuzhi", tuple(map(Decimal, ("10000", "10000", "8985.09", "8985.09")))),
        Series("数智", (None, Decimal(30000), Decimal(30000), Decimal(29000))),
    ),
)  # fmt: skip


def used(month: str, partition: str, pflops_h: int, of: int, unknown: bool = False) -> Used:
    """Say what a partition was used in a month, in PFLOPS·hours."""
    unit = 3_600_000_000
    there = None if unknown else Available(0, 0, of * unit, dict.fromkeys(WHYS, 0), of * unit)
    return Used(month, partition, None, Allocated(0, pflops_h * unit, int(unknown)), there)


SHARES = reports.utilisation(
    [used("2026-09", "ai", 50, 100), used("2026-09", "gpu", 1, 3), used("2026-10", "ai", 80, 100),
     used("2026-10", "gpu", 1, 3, unknown=True)],
    "chengdu",
)[1]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A rehearsal book with a voucher of 100,000 yuan."""
    home = furnished(tmp_path_factory.mktemp("charts") / "home")
    account = an_account(home)
    at, key = ("--as-of", "2026-11-22"), str(home.path / "regulator")
    home.ok("key", "make", key, "--actor", "jxj", "--role", "regulator")
    home.ok("key", "trust", f"{key}.pub")
    home.ok("unit", "revenue", "shuzhi", "2025", "20,000,000")
    draft, act = str(home.path / "draft"), str(home.path / "act")
    home.ok(*at, "apply", "HT-1", "--paper", key)
    home.ok(*at, "review", f"A-{account}", "--confirm", "-o", draft)
    home.ok("act", "sign", draft, "--key", key, "-o", act)
    home.ok(*at, "act", "accept", act)
    return home


def test_the_rest_is_one() -> None:
    """Of many the largest are named, in their order, and the sum of the others is one: nothing is
    lost from what they come to."""
    values = {f"u{i}": (Decimal(10 * i), None if i % 2 else Decimal(1)) for i in range(1, 12)}
    found = series(values)

    assert [each.name for each in found] == [*(f"u{i}" for i in range(5, 12)), f"{OTHERS} (4)"]
    assert len(found) == SERIES_MAX
    for place in (0, 1):
        before = sum(own[place] or 0 for own in values.values())
        assert sum(each.values[place] or 0 for each in found) == before
    assert series({"a": (None,)}) == (Series("a", (None,)),)


def test_what_is_left_from_day_to_day(town: Town) -> None:
    """A burn-down begins with what was issued, and its last day is what the report says is left."""
    load_prices(town)
    take(town, yuan(1, 200))
    close(town, "2024-11")
    with town.begin() as conn:
        by_day = standing.left_by_day(conn, "unit", POLICY)
        now = standing.vouchers(conn, "unit")
    days = list(by_day[UNIT])

    assert days == sorted(days)
    assert by_day[UNIT][days[0]] == now[UNIT].issued_fen == 5_000_000
    assert by_day[UNIT][days[-1]] == now[UNIT].left_fen == 4_990_000
    with town.begin() as conn:
        settled = reports.settled(programme.months(conn, 2024), 2024)
    assert settled.at == ("2024-11",)
    assert [each.values for each in settled.series] == [(Decimal("100.00"),)] * 2
    chart = reports.burn_down(by_day, "unit", "2025-01-31")
    assert chart.at == (*days, "2025-01-31")
    assert chart.series[0].values[-1] == Decimal("49900.00")


def test_a_period_in_which_nothing_was_has_its_place() -> None:
    """A month without charges stands between the others, not left out."""
    one = type("Sum", (), {"charge_micro": 1_500_000})
    chart = reports.charges([(("2026-09", "a"), one), (("2026-11", ""), one)], "user")

    assert chart.at == MONTHS
    assert {each.name: each.values for each in chart.series} == {
        "-": (None, None, Decimal("1.500000")),
        "a": (Decimal("1.500000"), None, None),
    }


def test_shares_are_not_added_up() -> None:
    """What was used is drawn by partition; a share that is not known is no point, and those of
    partitions that have no room are left out and counted, not summed."""
    assert SHARES.series == (
        Series("ai", (Decimal("50.00"), Decimal("80.00"))),
        Series("gpu", (Decimal("33.33"), None)),
    )
    allocated, shares = reports.utilisation(
        [used("2026-10", f"p{i}", 10 * i, 100) for i in range(1, 11)], "chengdu"
    )
    assert [each.name for each in shares.series] == [f"p{i}" for i in range(3, 11)]
    assert shares.title.endswith("the 8 largest of 10")
    assert sum(each.values[0] or 0 for each in allocated.series) == 550


@pytest.mark.parametrize("columns", ["40", "80", "200"])
@pytest.mark.parametrize("chart", [bars("li", "王"), STEPS, bars("li"), SHARES])
def test_in_a_terminal(monkeypatch, chart: Chart, columns: str) -> None:
    """A chart has its title, unit and marks, the highest value on its axis, and no line too long;
    Chinese names do not shift its frame."""
    monkeypatch.setenv("COLUMNS", columns)
    drawn = terminal.drawn([chart])
    lines = drawn.splitlines()

    assert " ".join(lines).startswith(f"{chart.title} ({chart.unit}) ")
    assert max(map(width_of, lines)) <= min(int(columns), 120)
    assert "\x1b" not in drawn
    top = {1: "3,000", 2: "80" if chart is SHARES else "9,000"}[len(chart.series)]
    assert any(
        line.lstrip().startswith("30,000┤" if chart is STEPS else f"{top}┤") for line in lines
    )
    assert len({width_of(line) for line in lines if line.endswith("│")}) == 1
    marks = terminal.BLOCKS if chart.kind is Kind.BARS else terminal.POINTS
    for mark, each in zip(marks, chart.series, strict=False):
        assert drawn.count(mark) > 1
        assert f"{mark} {each.name}" in drawn
    assert chart.at[0] in drawn


def test_chinese_names_stand_below_their_bars(monkeypatch) -> None:
    """A Chinese character takes two columns: names stand where their mark on the axis is."""
    monkeypatch.setenv("COLUMNS", "80")
    names = ("一般企业", "国家科技项目", "省科技项目")
    values = (Decimal(1), Decimal(2), Decimal(3))
    chart = Chart("Issued", "yuan", Kind.BARS, names, (Series("issued", values),))
    *_, axis, labels = terminal.drawn([chart]).splitlines()
    marks = [i for i, sign in enumerate(axis) if sign == "┬"]

    assert len(marks) == 3
    for name, mark in zip(names, marks, strict=True):
        middle = width_of(labels.partition(name)[0]) + width_of(name) / 2
        assert abs(middle - mark) <= 1


class Tags(HTMLParser):
    """Every tag of a page with what it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.found.append((tag, dict(attrs)))


def test_a_page_needs_nothing_else() -> None:
    """A page loads nothing, from no address; its own policy forbids it to; names are no program."""
    text = page.content([bars("li", EVIL), STEPS, SHARES], f"Charges {EVIL}", "Counted x.")
    tags = Tags(text).found

    assert [(tag, own) for tag, own in tags if {"src", "href", "action", "data"} & set(own)] == []
    assert {tag for tag, _ in tags} & {"link", "img", "iframe", "object", "base"} == set()
    [policy] = [own["content"] for _, own in tags if own.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert text.count("alert(1)") == text.count("alert(1)&lt;/script") + text.count(r"alert(1)<\/s")
    assert "<script>alert(1)" not in text.replace("&lt;", "")
    assert "8,985.09 yuan" in text
    assert "数智" in text or r"\u6570\u667a" in text
    assert len(text) < 2_000_000


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture(form: str, tmp_path) -> None:
    """A picture has all charts; Chinese is in it, $ is no formula, and it is the same again."""
    charts = [bars("li", EVIL, "王"), STEPS, SHARES]
    made = picture.content(charts, form)

    assert made == picture.content(charts, form)
    if form == "png":
        with Image.open(io.BytesIO(made)) as image:
            assert image.size == (1440, 2025)
            assert len(image.getcolors(1_000_000) or []) > 20
        return
    root = ET.fromstring(made)
    links = [value for e in root.iter() for name, value in e.attrib.items() if "href" in name]
    assert links
    assert all(link.startswith("#") for link in links)
    assert (
        "http"
        not in made.decode()
        .replace("http://www.w3.org", "")
        .replace("http://purl.org", "")
        .partition("</metadata>")[2]
    )


def test_a_picture_without_a_font(home: Home, tmp_path, monkeypatch) -> None:
    """Chinese on a picture needs a font as a page does; a picture without it does not."""
    monkeypatch.setattr(fonts, "FOLDER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "p.png"
    done = home.run("report", "programme", "--year", "2026", "--plot", str(file))
    one_line(done, 3, "no Chinese font was found", "install fonts-noto-cjk")
    assert not file.exists()
    home.ok("report", "vouchers", "--group", "unit", "--plot", str(file))
    assert file.read_bytes().startswith(b"\x89PNG")


def test_reports_are_drawn(home: Home, tmp_path) -> None:
    """Each of the three ways, at once; the terminal says how it counts."""
    words = ("--as-of", "2026-11-27", "report", "vouchers", "--group", "unit")
    page_file, picture_file = tmp_path / "v.html", tmp_path / "v.svg"
    said = home.ok(*words, "--chart", "--html", str(page_file), "--plot", str(picture_file))

    assert said.startswith("counted by day of issue, as of now\nLeft on vouchers, by unit (yuan)\n")
    assert "100,000┤" in said
    assert said.endswith(f"Vouchers: in {page_file}\nVouchers: in {picture_file}\n")
    assert "Counted by day of issue, as of now." in page_file.read_text(encoding="utf-8")


def test_the_programme_on_one_page(home: Home, tmp_path) -> None:
    """A programme's page has what is issued, what is left and how the machines are used; what is
    not known of them, their number, is no empty chart."""
    (tmp_path / "runs.psv").write_text(f"{HEADER}\n{GOOD.replace('pozidriv', 'chengdu')}\n")
    home.ok("import", str(tmp_path / "runs.psv"), "--cluster", "chengdu")
    words = ("--as-of", "2026-11-27", "report", "programme", "--chart", "--year")
    now, then = home.ok(*words, "2026"), home.ok(*words, "2016")

    assert "Issued against the limits of 2026 (yuan)" in now
    assert "10,000,000┤" in now
    assert "Left on vouchers, by unit (yuan)" in now
    assert "chengdu" not in now
    assert "chengdu: runs by their wait, also for dependencies and --begin (runs)" in then
    assert "█ up to 10 minutes" in then
    assert "chengdu: allocated" not in then  # of cores there are no PFLOPS
    assert "chengdu: share" not in then


@pytest.mark.parametrize("report", ["charges", "charges --by day --group user", "vouchers"])
def test_nothing_to_draw(tmp_path, report: str) -> None:
    """Where nothing is, it is said, and no empty picture is written."""
    home = furnished(tmp_path / "home")
    file = tmp_path / "x.png"

    assert home.ok("report", *report.split(), "--chart", "--plot", str(file)) == "nothing to show\n"
    assert not file.exists()


def test_what_cannot_be_drawn(home: Home, tmp_path, monkeypatch) -> None:
    """A form that there is not is wrong usage; a folder or a library that is not there is named."""
    words = ("report", "vouchers")
    assert home.run(*words, "--plot", str(tmp_path / "x.gif")).exit_code == 2
    missing = str(tmp_path / "no" / "x.html")
    one_line(home.run(*words, "--html", missing), 3, f"{missing}: No such file", "check path")
    for option, library, module in (
        ("--chart", "plotext", "terminal"),
        ("--plot=x.png", "matplotlib", "picture"),
        ("--html=x.html", "bokeh.embed", "page"),
    ):
        monkeypatch.setitem(sys.modules, library, None)
        monkeypatch.delitem(sys.modules, f"slurm_voucher.charts.{module}")
        said = one_line(home.run(*words, option), 3, "pip install 'slurm-voucher[charts]'")
        assert said.startswith(
            f"svoucher: {option.partition('=')[0]}: {library.partition('.')[0]} is"
        )
        monkeypatch.undo()
    assert not Path("x.png").exists()


@pytest.mark.parametrize("other", ["--json", "--csv", "--to p.pdf"])
def test_a_report_is_drawn_or_printed(home: Home, other: str) -> None:
    """To ask for a chart and another form at once is wrong usage: one would be left out unsaid."""
    done = home.run("report", "programme", "--chart", *other.split())
    assert done.exit_code == 2
    assert "leave --json, --csv, --to out" in done.stderr


def test_a_name_that_steers_a_terminal() -> None:
    """Names in a chart are written out, as in a table."""
    from slurm_voucher.cli.charting import _seen

    drawn = terminal.drawn([_seen(bars("\x1b[2Jx\u202e", "b"))])
    assert r"\x1b[2Jx\u202e" in drawn
    assert not {"\x1b", "\u202e"} & set(drawn)


def test_the_table_is_as_before(home: Home) -> None:
    """Without one of the three a report is the table that it was."""
    rows = json.loads(home.ok("report", "vouchers", "--group", "unit", "--json"))
    assert [(row["unit"], row["issued"], row["left"]) for row in rows] == [
        ("shuzhi", "100,000.00", "100,000.00")
    ]


def test_what_the_mouse_says_is_in_the_readers_language(home: Home, tmp_path, monkeypatch) -> None:
    """Hints of a page's tools are Chinese where the page is, and not Bokeh's own words."""
    page_file = tmp_path / "v.html"
    wanted = {"zh_CN.UTF-8": {"平移", "滚轮缩放", "框选放大", "复位", "保存为图片", "显示数值"},
              "C": {*page.TOOLS, page.POINTED_AT}}  # fmt: skip
    for language, hints in wanted.items():
        monkeypatch.setenv("LC_ALL", language)
        words.start()
        home.ok("report", "vouchers", "--group", "unit", "--html", str(page_file))
        found = re.findall(r'"description":("[^"]*")', page_file.read_text(encoding="utf-8"))
        assert {*map(json.loads, found)} == hints
    monkeypatch.undo()
    words.start()
