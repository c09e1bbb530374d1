"""slurm_voucher/sources/tables: the fast reader and the slow one see the same in every text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import DATA, header, pozidriv_lines

from accounting.errors import UsageInvalid
from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher.sources import BadRow, dictionary, sacct, scan, tables
from slurm_voucher.sources.states import ENDED, LIVE

ROW = {
    "JobIDRaw": "16",
    "JobID": "16_2",
    "Cluster": "chengdu",
    "Submit": "2024-07-03T09:46:40",
    "Start": "2024-07-03T09:48:20",
    "End": "2024-07-03T10:48:20",
    "ElapsedRaw": "3600",
    "Elapsed": "01:00:00",
    "Suspended": "00:00:00",
    "State": "COMPLETED",
    "Partition": "ai",
    "QOS": "normal",
    "Account": "lab",
    "User": "li",
    "UID": "1001",
    "NNodes": "1",
    "NCPUS": "24",
    "NodeList": "ai1",
    "ReqTRES": "billing=24,cpu=24,gres/gpu:ascend_910b=2,mem=125G,node=1",
    "AllocTRES": "billing=24,cpu=24,gres/gpu:ascend_910b=2,gres/gpu=2,mem=128000M,node=1",
    "AdminComment": "voucher=CD24-0007;hold=0123456789abcdef0123456789abcdef;held=48000000",
}
NEVER = {"Start": "None", "ElapsedRaw": "0", "Elapsed": "00:00:00", "NodeList": "None assigned"}
WORDS = (
    "",
    "0",
    "None",
    "Unknown",
    "9" * 18,
    "9" * 19,
    "-1",
    "1K",
    "1.5",
    "1_0",
    " 1",
    "1 ",
    "七",
    "\udcff",
    "\x00",
    "a\rb",
    "\r",
    "2147483648",
    "16.batch",
    "17+0.0",
    ".",
    "a|b",
)
TIMES = (
    "2024-02-29T00:00:00",
    "2023-02-29T00:00:00",
    "2024-13-01T00:00:00",
    "2024-00-01T00:00:00",
    "2024-07-00T00:00:00",
    "2024-07-32T00:00:00",
    "2024-06-31T10:00:00",
    "2024-07-03T24:00:00",
    "2024-07-03T10:60:00",
    "2024-07-03T10:00:60",
    "2024-07-03 10:00:00",
    "2024-07-03T10:48:2",
    "1969-12-31T23:59:59",
    "1970-01-01T00:00:00",
    "2100-12-31T23:59:59",
    "2101-01-01T00:00:00",
    "2024-10-27T02:30:00",
    "2024-03-31T02:30:00",
    "2024-03-31T03:00:00",
    "1720000000",
    "99999999999",
    "4133980799",
    "4133980800",
    "0000-00-00T00:00:00",
    "2024-07-0:T10:00:00",
    "2024/07/03T10:00:00",
    "2024-07-03T1a:00:00",
)
SPANS = (
    "00:00:05",
    "1-00:00:00",
    "7-20:39:39",
    "99:99:99",
    "5",
    "05:00",
    "1-00",
    "00:00:0x",
    "12345678-00:00:00",
    "1234567-00:00:00",
    "123:00:00",
    "-00:00:00",
)
TRES = (
    "cpu=1",
    "gres/gpu=1,gres/gpu:a=2",
    "gpu",
    "cpu=1,cpu=1",
    "gres/gpu:a=3000000000",
    "mem=1.5G",
    "mem=9P",
    "gres/shard=4",
    "1=2",
    "billing=1.5K,cpu=1",
)
COMMENTS = (
    "by hand",
    "voucher=A;hold=b;held=?",
    "voucher=A;hold=b;held=5;waits=x",
    "voucher=-;hold=b;held=5",
    "voucher=-;self_pay=x",
    "voucher=A;self_pay=x;self_pay=y",
    "voucher=A;hold=b;held=5;ends=x@2024-07-01T10:00:00+08:00",
    "voucher=A;hold=b;held=5;ends=x",
    "site=7 voucher=A;hold=b;held=5",
    "voucher=A;hold=b;held=1.5",
    "voucher=A voucher=B",
    "voucher=A;hold=b;held=5|more",
    "voucher=A;hold=b;held=",
    "voucher=;hold=b;held=5",
    "voucher=A;hold=;held=5",
    "voucher=A",
    "voucher=A;held=5;hold=b",
    "voucher=七;hold=b;held=5",
    "voucher=A B;hold=b;held=5",
    "voucher=a=b;hold=b;held=wait",
    "a=b",
    "held=5",
)
STATES = (*ENDED, *LIVE, "CANCELLED by 1001", "TELEPORTED to mars", " COMPLETED", "RUNNING by 1")


def values(name: str) -> st.SearchStrategy[str]:
    """Draw what may stand in a column: what should, what should elsewhere, and rubbish."""
    own = {"Submit": TIMES, "Start": TIMES, "End": TIMES, "Suspended": SPANS, "Elapsed": SPANS,
           "State": STATES, "AllocTRES": TRES, "ReqTRES": TRES, "AdminComment": COMMENTS,
           "NodeList": ("None assigned", "Nine assigned", "None assignet", "")}  # fmt: skip
    numbers = st.integers(0, 4000).map(str)
    drawn = st.one_of(st.sampled_from(WORDS), numbers, st.text(max_size=4))
    return st.one_of(st.sampled_from(own[name]), drawn) if name in own else drawn


@st.composite
def rows(draw: st.DrawFn) -> dict[str, str]:
    """Draw a row that is right but for some of its columns."""
    names = draw(st.lists(st.sampled_from(sorted(ROW)), max_size=3, unique=True))
    base = ROW | (NEVER if draw(st.booleans()) else {})
    return base | {name: draw(values(name)) for name in names}


def encoded(lines: Iterable[str]) -> bytes:
    """Write lines as sacct would, one without its line feed at the end."""
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def slowly(text: bytes, **how: Any) -> tuple[list[Run], list[BadRow], Counter[str]]:
    """Read a text as sacct.py does."""
    skipped: Counter[str] = Counter()
    lines = [line + b"\n" for line in text.split(b"\n")]
    found = list(sacct.parse(lines, **how, skipped=skipped))
    runs = [row for row in found if isinstance(row, Run)]
    return runs, [row for row in found if isinstance(row, BadRow)], skipped


def fast(
    text: bytes, cuts: Sequence[int] = (), slow: Counter[str] | None = None, **how: Any
) -> tuple[list[Run], list[BadRow], Counter[str]]:
    """Read a text by tables, in blocks that end anywhere."""
    skipped: Counter[str] = Counter()
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    blocks = [text[low:high] for low, high in pairwise(edges)]
    runs, bad = [], []
    for item in tables.tables(blocks, **how, skipped=skipped, slow=slow):
        if isinstance(item, BadRow):
            bad.append(item)
        else:
            assert item.schema == usage.USAGE
            item.validate(full=True)
            runs += usage.runs(usage.conform(item, usage.USAGE))
    return runs, bad, skipped


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a short text be several pieces, each looked at in several parts."""
    monkeypatch.setattr(tables, "TEXT_BYTES", 600)
    monkeypatch.setattr(tables, "PIECE_LINES", 7)


@settings(deadline=None, max_examples=300)
@given(
    some=st.lists(rows(), max_size=12),
    left_out=st.sets(st.sampled_from(["UID", "ReqTRES", "Suspended", "NodeList", "ElapsedRaw"])),
    cluster=st.sampled_from(["chengdu", None]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Shanghai"]),
    cuts=st.lists(st.integers(0, 10_000), max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_both_readers_see_the_same(
    some: list[dict[str, str]],
    left_out: set[str],
    cluster: str | None,
    timezone: str,
    cuts: list[int],
    order: Any,
) -> None:
    """Whatever stands in the columns, in any order, runs and bad rows are the same."""
    names = [name for name in ROW if name not in left_out]
    order.shuffle(names)
    text = encoded("|".join(row[name] for name in names) for row in some)
    how: dict[str, Any] = {"fields": names, "timezone": timezone, "cluster": cluster, "source": "x"}

    assert fast(text, cuts, **how) == slowly(text, **how)


@settings(deadline=None, max_examples=200)
@given(some=st.lists(rows(), min_size=1, max_size=4), data=st.data())
def test_any_bytes(some: list[dict[str, str]], data: st.DataObject) -> None:
    """Bytes that are changed, cut out or put in anywhere change both readings in the same way."""
    text = bytearray(encoded("|".join(row.values()) for row in some))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"|", b"\n", b"\r", b"\0", b"\xff", b"0", b"-", b":", b"=", b"", b" "])
        )
    how: dict[str, Any] = {"fields": list(ROW), "timezone": "UTC"}

    assert fast(bytes(text), **how) == slowly(bytes(text), **how)


@pytest.mark.parametrize(
    ("name", "cluster"),
    [("accounting-logs.psv", "ub-hpc"), ("accounting-logs-with-job-arrays.psv", "ub-hpc")],
)
def test_xdmod_logs(name: str, cluster: str) -> None:
    """XDMoD's cases read the same."""
    text = (DATA / "xdmod/unit" / name).read_bytes()
    how: dict[str, Any] = {"fields": header(), "timezone": "UTC", "cluster": cluster}

    assert fast(text, **how) == slowly(text, **how)


def test_pozidriv(monkeypatch: pytest.MonkeyPatch) -> None:
    """11,704 real rows read the same, and hardly one of them slowly."""
    monkeypatch.setattr(tables, "PIECE_LINES", 3_000)
    text, slow = b"\n".join(pozidriv_lines()), Counter[str]()
    how: dict[str, Any] = {"fields": header(), "timezone": "UTC", "cluster": "pozidriv"}

    assert fast(text, slow=slow, **how) == slowly(text, **how)
    assert slow["rows"] < 120


def test_a_header_says_the_order() -> None:
    """The first line is the header where none is given, and is no row."""
    text = encoded(["\ufeff" + "|".join(ROW), "|".join(ROW.values()), "", "no row"])

    assert fast(text, timezone="UTC") == slowly(text, timezone="UTC")
    assert [bad.line for bad in fast(text, timezone="UTC")[1]] == [4]


def test_a_card_that_is_not_utf_8() -> None:
    """A gres whose name is not UTF-8 is a bad row, and no error of Arrow."""
    text = encoded(["|".join((ROW | {"ReqTRES": "gres/gpu:a\udcff=1"}).values())])
    runs, bad, _ = fast(text, fields=list(ROW), timezone="UTC")

    assert not runs
    assert [(row.column, row.reason) for row in bad] == [("ReqTRES", "is not UTF-8")]


def test_missing_columns_are_named_before_a_row_is_read() -> None:
    """A text without what is needed is refused at once."""
    with pytest.raises(UsageInvalid, match="no column JobIDRaw, JobID"):
        tables.tables([b"User|State\n", b"li|COMPLETED\n"], timezone="UTC", source="x")
    with pytest.raises(UsageInvalid, match="no column"):
        tables.tables([], timezone="UTC")


def test_more_words_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary grows as it has to, and begins anew where it has grown beyond its bound."""
    monkeypatch.setattr(tables, "PIECE_LINES", 1_000)
    monkeypatch.setattr(tables, "WORDS_MAX", 100)
    monkeypatch.setattr(dictionary, "WORDS", 16)
    text = encoded("|".join((ROW | {"User": f"u{i}" * 30}).values()) for i in range(3_000))
    how: dict[str, Any] = {"fields": list(ROW), "timezone": "UTC"}

    assert fast(text, **how) == slowly(text, **how)


def test_much_that_is_not_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of which little is a row reads the same: a piece ends where much is not sure."""
    monkeypatch.setattr(tables, "ODD_BYTES", 5)
    text = encoded(["|".join(ROW.values()), *["", "x"] * 50, "|".join(ROW.values())])
    how: dict[str, Any] = {"fields": list(ROW), "timezone": "UTC"}
    slow: Counter[str] = Counter()

    assert fast(text, slow=slow, **how) == slowly(text, **how)
    assert slow["rows"] == 50


def test_texts_that_fill_their_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece ends before its texts have no room, however long they are."""
    monkeypatch.setattr(tables, "PIECE_LINES", 100)
    monkeypatch.setattr(tables, "_ARENA_BYTES", 2 * scan.LINE_BYTES_MAX)
    held = (
        ROW | {"AdminComment": f"voucher=CD24-0007;hold={'h' * 40_000 + str(i)}"} for i in range(9)
    )
    text = encoded("|".join(row.values()) for row in held)
    how: dict[str, Any] = {"fields": list(ROW), "timezone": "UTC"}
    slow: Counter[str] = Counter()

    assert fast(text, slow=slow, **how) == slowly(text, **how)
    assert slow["rows"] == 0


def test_more_lines_than_before() -> None:
    """A piece whose lines are shorter than those of the piece before is read as whole."""
    row = "|".join(ROW.values())
    text = encoded([*[row + " " * 700] * 9, *[row] * 9, *["x"] * 900, *[row] * 20])
    how: dict[str, Any] = {"fields": list(ROW), "timezone": "UTC"}

    assert fast(text, **how) == slowly(text, **how)


def test_a_line_without_end_takes_no_memory() -> None:
    """Of a line that is longer than any can be the begin is kept, and the next line is read."""
    row = encoded(["|".join(ROW.values())])
    endless = [row + b"\n", *([b"x" * 100_000] * 100), b"\n" + row]
    found = list(tables.tables(endless, fields=list(ROW), timezone="UTC"))
    bad = [item for item in found if isinstance(item, BadRow)]

    assert [each.line for each in bad] == [2]
    assert "at most 65536 can be" in bad[0].reason
    assert sum(item.num_rows for item in found if not isinstance(item, BadRow)) == 2


def test_numbers_of_any_length() -> None:
    """A number is read whole, however long it is, and a letter in any place of it is seen."""
    whole = [("7" + "1234567890" * 2)[:size] for size in range(1, 21)]
    odd = [n[:i] + letter + n[i + 1 :] for n in whole for i in range(len(n)) for letter in "/:;p "]
    text = encoded("|".join((ROW | {"JobIDRaw": n, "UID": n}).values()) for n in [*whole, *odd])
    how: dict[str, Any] = {"fields": list(ROW), "timezone": "UTC", "cluster": "chengdu"}
    assert fast(text, **how) == slowly(text, **how)


def test_lines_and_fields_end_anywhere() -> None:
    """Where a line ends and how long its fields are is nothing to how it is read."""
    names = [("n" * size)[:size] for size in range(130)]
    rows_ = ["|".join((ROW | {"Account": name, "User": name}).values()) for name in names]
    text = encoded([*rows_, *("x" * size for size in range(130)), *("|" * n for n in range(130))])
    how: dict[str, Any] = {"fields": list(ROW), "timezone": "UTC", "cluster": "chengdu"}
    assert fast(text, **how) == slowly(text, **how)


def test_columns_stand_where_the_plain_reader_has_them() -> None:
    """Both readers know the same columns in the same order. The loops have a list of their own:
    machine code that is kept does not notice when another file changes."""
    assert scan.Places._fields == sacct.Layout._fields
