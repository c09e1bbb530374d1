"""slurm_voucher/sources: rows of sacct become runs, named bad rows or counted skips."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import DATA, a_run, expected, header, pozidriv_lines

from accounting.errors import SlurmUnavailable, UsageInvalid
from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher import times
from slurm_voucher.sources import BadRow, sacct, sacct_query, tables
from slurm_voucher.sources.states import ENDED, LIVE

ROW = {
    "JobIDRaw": "16",
    "JobID": "16_2",
    "Cluster": "chengdu",
    "Submit": "2024-07-03T09:46:40",
    "Start": "2024-07-03T09:48:20",
    "End": "2024-07-03T10:48:20",
    "ElapsedRaw": "3600",
    "Suspended": "00:00:00",
    "State": "COMPLETED",
    "Partition": "ai",
    "QOS": "normal",
    "Account": "lab",
    "User": "li",
    "UID": "1001",
    "NNodes": "1",
    "NCPUS": "24",
    "ReqTRES": "billing=24,cpu=24,gres/gpu:ascend_910b=2,mem=125G,node=1",
    "AllocTRES": "billing=24,cpu=24,gres/gpu:ascend_910b=2,gres/gpu=2,mem=128000M,node=1",
    "AdminComment": "voucher=CD24-0007;hold=0123456789abcdef0123456789abcdef;held=48000000",
}
"""The row of sacct that says what `a_run()` is."""


def read(*rows: dict[str, str], skipped: Counter[str] | None = None) -> list[Run | BadRow]:
    """Parse rows that differ from ROW in the columns given."""
    lines = ["|".join((ROW | row).values()).encode() + b"\n" for row in rows]
    return list(
        sacct.parse(lines, fields=list(ROW), timezone="UTC", cluster="chengdu", skipped=skipped)
    )


def text_of(run: Run) -> dict[str, str]:
    """Write a run as sacct would."""
    held = "?" if run.held_micro is None else run.held_micro
    started = run.start_s is not None
    return {
        "JobIDRaw": str(run.job_id),
        "JobID": run.job,
        "Cluster": run.cluster,
        "Submit": times.utc(run.submit_s),
        "Start": times.utc(run.start_s) if run.start_s is not None else "None",
        "End": times.utc(run.end_s),
        "ElapsedRaw": str(run.elapsed_s),
        "Suspended": f"{run.suspended_s // 86400}-00:00:{run.suspended_s % 60:02d}",
        "State": run.state,
        "Partition": run.partition,
        "QOS": run.qos,
        "Account": run.slurm_account,
        "User": run.user,
        "UID": "" if run.uid is None else str(run.uid),
        "NNodes": str(run.nodes),
        "NCPUS": str(run.cpus),
        "ReqTRES": "cpu=1",
        "AllocTRES": f"cpu={run.cpus},gres/gpu={run.cards},mem={run.mem_mb}M" if started else "",
        "AdminComment": f"voucher={run.voucher};hold={run.hold};held={held}" if run.voucher else "",
    }


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Draw a run that real Slurm could have recorded."""
    word = st.text("abcxyz中文_-.", min_size=1, max_size=8)
    voucher = draw(st.none() | st.just("CD24-0007"))
    run = a_run(
        job_id=draw(st.integers(1, 2**31)),
        job=draw(st.sampled_from(["16", "16_2", "17+0"])),
        submit_s=draw(st.integers(10**9, 2 * 10**9)),
        state=draw(st.sampled_from(sorted(ENDED))),
        partition=draw(word),
        qos=draw(word),
        user=draw(word),
        uid=draw(st.none() | st.integers(0, 2**32)),
        req_gres="",
        voucher=voucher,
        hold="ab" if voucher else None,
        held_micro=draw(st.none() | st.integers(0, 10**12)) if voucher else None,
    )
    changes: dict[str, Any] = {"end_s": draw(st.integers(10**9, 2 * 10**9))}
    if draw(st.booleans()):
        changes |= dict.fromkeys(["start_s", "billed_from_s", "mem_mb"])
        changes |= dict.fromkeys(["elapsed_s", "nodes", "cpus", "cards"], 0) | {"gres": ""}
    else:
        cards, suspended = draw(st.integers(1, 10**6)), draw(st.integers(0, 59))
        elapsed, start = draw(st.integers(0, 10**8)), draw(st.integers(10**9, 2 * 10**9))
        changes |= {"start_s": start, "billed_from_s": start, "end_s": start + elapsed + suspended}
        changes |= {"elapsed_s": elapsed, "suspended_s": suspended}
        changes |= {"cards": cards, "gres": f"gpu={cards}"}
    return replace(run, **changes)


def test_a_row_is_a_run() -> None:
    """Every column goes where it belongs."""
    assert read({}) == [a_run()]


@given(st.lists(runs(), max_size=5))
def test_round_trip(some: list[Run]) -> None:
    """Whatever Slurm could have recorded comes back as it was."""
    assert read(*map(text_of, some)) == some


@pytest.mark.parametrize(
    ("changes", "column", "reason"),
    [
        ({"Start": "yesterday"}, "Start", "is no time such as 2016-12-22T07:03:30"),
        ({"End": "2024-07-03T09:48:19"}, "End", "is before Start"),
        ({"ElapsedRaw": "-5"}, "ElapsedRaw", "is no whole number"),
        ({"ElapsedRaw": "1_0"}, "ElapsedRaw", "is no whole number"),
        ({"ElapsedRaw": "3601"}, "ElapsedRaw", "is more than the 3600 s"),
        ({"ElapsedRaw": "3599"}, "ElapsedRaw", "is not the 3600 s from Start to End less 0 s"),
        ({"Suspended": "00:00:05"}, "ElapsedRaw", "less 5 s"),
        ({"Suspended": "5"}, "Suspended", "is no duration"),
        ({"Start": "None"}, "ElapsedRaw", "in a run that never started"),
        ({"Cluster": "mianyang"}, "Cluster", "is not cluster chengdu"),
        ({"Cluster": ""}, "Cluster", "is not cluster chengdu"),
        ({"JobIDRaw": ""}, "JobIDRaw", "is no whole number"),
        ({"JobIDRaw": "9" * 19}, "JobIDRaw", "is no whole number"),
        ({"State": ""}, "State", "is no state"),
        ({"NCPUS": "1.21K"}, "NCPUS", "--noconvert"),
        ({"NNodes": "99999999999"}, "NNodes", "more than any cluster has"),
        ({"UID": "root"}, "UID", "is no whole number"),
        ({"AllocTRES": "gres/gpu=1,gres/gpu:a=2"}, "AllocTRES", "less than its types"),
        ({"AllocTRES": "gres/gpu=2147483648"}, "AllocTRES", "more than any cluster has"),
        ({"AllocTRES": "mem=999999999999P"}, "AllocTRES", "more than any cluster has"),
        ({"AllocTRES": ""}, "AllocTRES", "does not say what a run of 3600 s had"),
        ({"ReqTRES": "gpu"}, "ReqTRES", "no name=count"),
        ({"AdminComment": "voucher=a voucher=b"}, "AdminComment", "two things about voucher"),
        ({"AdminComment": "voucher=a;held=1.5"}, "AdminComment", "neither micro-yuan nor ?"),
        ({"AdminComment": "voucher=a;held=-1"}, "AdminComment", "neither micro-yuan nor ?"),
    ],
)
def test_bad_rows_are_named(changes: dict[str, str], column: str, reason: str) -> None:
    """A row that Slurm cannot have meant is named with its line and column, not guessed."""
    first, bad = read({}, changes)

    assert first == a_run()
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column, bad.value) == (2, column, changes.get(column, ROW[column]))
    assert reason in bad.reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"16|16_2", "has 2 fields, 19 are needed"),
        ("|".join(ROW.values()).encode() + b"\0", "holds a NUL byte"),
        ("|".join(ROW.values()).encode() + b"x" * 65536, "at most 65536 can be"),
    ],
)
def test_bad_lines_are_named(line: bytes, reason: str) -> None:
    """A line that is no row at all is named by its number."""
    bad, run = sacct.parse([line, line[:0], *lines({})], fields=list(ROW), timezone="UTC")

    assert isinstance(bad, BadRow)
    assert (bad.line, bad.column) == (1, "")
    assert reason in str(bad)
    assert run == a_run()


def lines(*rows: dict[str, str]) -> Iterator[str]:
    """Write rows as text."""
    for row in rows:
        yield "|".join((ROW | row).values())


def test_names_that_are_not_utf_8() -> None:
    """A name that is not UTF-8 is a bad row where it is needed, and does no harm elsewhere."""
    raw = "|".join((ROW | {"User": "李"}).values()).encode("gbk")
    (bad,) = sacct.parse([raw], fields=list(ROW), timezone="UTC")
    (run,) = sacct.parse(
        [next(lines({})).encode() + "|李".encode("gbk")],
        fields=[*ROW, "JobName"],
        timezone="UTC",
    )

    assert isinstance(bad, BadRow)
    assert (bad.column, bad.reason) == ("User", "is not UTF-8")
    assert run == a_run()


def test_rows_that_are_no_runs_are_counted() -> None:
    """Steps, jobs that have not ended and rows without an end are skipped and counted."""
    skipped: Counter[str] = Counter()
    unending = [{"State": state, "End": "Unknown"} for state in sorted(LIVE)]

    read(
        {"JobIDRaw": "16.batch", "JobID": "16_2.batch"},
        {"JobIDRaw": "16.0"},
        *unending,
        {"State": "REQUEUED", "End": "Unknown"},
        {"State": "CANCELLED by 1001", "End": "None"},
        skipped=skipped,
    )

    assert skipped == {"step": 2, "live": len(LIVE), "no end": 2}


@pytest.mark.parametrize("start", ["None", "Unknown", "", "0"])
def test_never_started(start: str) -> None:
    """A run that never started has no start and nothing allocated, whatever Slurm leaves there."""
    (run,) = read({"Start": start, "ElapsedRaw": "0", "State": "CANCELLED by 1001"})

    assert isinstance(run, Run)
    assert (run.start_s, run.billed_from_s, run.elapsed_s) == (None, None, 0)
    assert (run.nodes, run.cpus, run.mem_mb, run.cards, run.gres) == (0, 0, None, 0, "")
    assert (run.state, run.req_gres) == ("CANCELLED", "gpu:ascend_910b=2")


def test_suspended_seconds() -> None:
    """13 s of wall time with 5 s suspended are 8 s; Slurm shows 0 where it would be less."""
    span = {"Start": "2024-07-03T09:48:20", "End": "2024-07-03T09:48:33"}
    some, none = read(
        span | {"ElapsedRaw": "8", "Suspended": "00:00:05"},
        span | {"ElapsedRaw": "0", "Suspended": "00:00:15"},
    )

    assert isinstance(some, Run)
    assert isinstance(none, Run)
    assert (some.elapsed_s, some.suspended_s) == (8, 5)
    assert (none.elapsed_s, none.suspended_s) == (0, 13)


def test_an_unknown_state_is_kept() -> None:
    """A state that nobody named is not thrown away: rating lists it."""
    (run,) = read({"State": "TELEPORTED to mars"})

    assert isinstance(run, Run)
    assert run.state == "TELEPORTED"


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("", (None, None, None)),
        ("billed by hand", (None, None, None)),
        ("voucher=A;hold=b;held=?", ("A", "b", None)),
        ("site=7 voucher=A;hold=b;held=5", ("A", "b", 5)),
        ("{x: y|z} voucher=A;hold=b;held=5;more=1", ("A", "b", 5)),
        ("myvoucher=B voucher=A", ("A", None, None)),
        ("voucher=A voucher=A", ("A", None, None)),
        ("voucher=A;hold=b;held=5|more", ("A", "b", 5)),
        ("voucher=", (None, None, None)),
    ],
)
def test_admin_comment(comment: str, found: tuple[str | None, str | None, int | None]) -> None:
    """Voucher, hold and held are found among whatever other tools wrote there."""
    (run,) = read({"AdminComment": comment})

    assert isinstance(run, Run)
    assert (run.voucher, run.hold, run.held_micro) == found


def test_optional_columns() -> None:
    """Without UID, ReqTRES, Suspended and AdminComment a run is known by what is there."""
    short = {k: v for k, v in ROW.items() if k not in {"UID", "ReqTRES", "Suspended"}}
    del short["AdminComment"]
    short["ElapsedRaw"] = "3000"
    (run,) = sacct.parse(["|".join(short), "|".join(short.values())], timezone="UTC")

    assert run == a_run(
        elapsed_s=3000,
        suspended_s=600,
        uid=None,
        req_gres="",
        voucher=None,
        hold=None,
        held_micro=None,
    )


def test_columns_that_are_missing_are_named_at_once() -> None:
    """A file without what is needed is refused in one line before any row is read."""
    with (DATA / "ood/psc-bridges-2018.psv").open("rb") as file:
        with pytest.raises(UsageInvalid) as refused:
            sacct.parse(file, timezone="UTC", cluster="bridges", source="psc-bridges-2018.psv")
        assert file.readline().startswith(b"2074737|")

    assert str(refused.value) == (
        "psc-bridges-2018.psv: no column JobIDRaw, Submit, Start, End, QOS, User, AllocTRES, "
        "NNodes or AllocNodes, ElapsedRaw or Elapsed; "
        "export them with sacct -P --format, or give the order of the columns"
    )


def test_a_header_says_each_column_once() -> None:
    """Which of two columns of one name is meant cannot be known; no cluster is no cluster."""
    with pytest.raises(UsageInvalid, match="a column stands twice"):
        sacct.parse([], fields=[*ROW, "state"], timezone="UTC")
    with pytest.raises(UsageInvalid, match="no column Cluster;"):
        sacct.parse([], fields=[name for name in ROW if name != "Cluster"], timezone="UTC")
    with pytest.raises(UsageInvalid, match="no column JobIDRaw"):
        sacct.parse([], timezone="UTC")


def test_a_bar_in_free_text() -> None:
    """A | does no harm in the last column; where another could hold it, the row is refused."""
    names = [*ROW][:-1]
    row = list(ROW.values())[:-1]
    (last,) = sacct.parse(["|".join([*row, "a|b"])], fields=[*names, "JobName"], timezone="UTC")
    (either,) = sacct.parse(
        ["|".join(["a|b", *row, "c"])], fields=["JobName", *names, "Comment"], timezone="UTC"
    )

    assert isinstance(last, Run)
    assert isinstance(either, BadRow)
    assert either.reason == "has 21 fields, 20 are needed"


@pytest.mark.parametrize("case", expected("parse/slurm2sql-tables.json")["jobid"])
def test_job_ids_of_slurm2sql(case: dict[str, Any]) -> None:
    """A job id is a step exactly where slurm2sql says so; else it is kept as it is."""
    text, step = case["text"], case["step"]
    raw = f"{case['job']}" + (f".{step}" if step else "")
    found = read({"JobID": text, "JobIDRaw": raw})

    assert [run.job for run in found if isinstance(run, Run)] == ([] if step else [text])


def test_xdmod_logs() -> None:
    """Times, state and cards of XDMoD's own cases come out as XDMoD says."""
    rows = (DATA / "xdmod/unit/accounting-logs.psv").read_bytes().splitlines()
    found = list(sacct.parse(rows, fields=header(), timezone="UTC", cluster="ub-hpc"))

    for run, case in zip(found, expected("xdmod/unit/accounting-logs.expected.json"), strict=True):
        assert isinstance(run, Run)
        assert (run.job_id, run.submit_s) == (int(case["job_id_raw"]), case["submit_time"])
        assert (run.start_s, run.end_s) == (case["start_time"], case["end_time"])
        assert (run.elapsed_s, run.cards) == (case["elapsed"], case["ngpus"])
        assert run.state == case["state"].split()[0]


def test_xdmod_arrays() -> None:
    """Rows of days without AllocTRES are refused: what they had is not known."""
    rows = (DATA / "xdmod/unit/accounting-logs-with-job-arrays.psv").read_bytes().splitlines()
    found = list(sacct.parse(rows, fields=header(), timezone="UTC", cluster="ub-hpc"))

    assert len(found) == 6
    assert {row.column for row in found if isinstance(row, BadRow)} == {"AllocTRES"}


def test_pozidriv() -> None:
    """Of 11,704 real rows each is a run, and the 419 without nodes never started."""
    found = list(sacct.parse(pozidriv_lines(), fields=header(), timezone="UTC", cluster="pozidriv"))

    assert len(found) == 11704
    assert sum(isinstance(row, Run) and row.start_s is None for row in found) == 419


def test_command() -> None:
    """The question is the one that was tried on three versions of Slurm."""
    asked = sacct_query.command(1_720_000_000, 1_720_003_600)

    assert asked[:7] == ["sacct", "-a", "-X", "-D", "-n", "-P", "--noconvert"]
    assert asked[7:11] == ["-S", "2024-07-03T09:46:40", "-E", "2024-07-03T10:46:40"]
    assert asked[11:13] == ["-s", "CD,F,TO,CA,NF,PR,OOM,DL,BF,RQ,RS"]
    assert asked[13].startswith("--format=JobIDRaw,JobID,Cluster,Submit,")
    assert asked[13].endswith(",AdminComment")
    wide = sacct_query.command(0, 1, cluster="chengdu", states=None)
    assert wide[11:13] == ["-M", "chengdu"]
    assert "-s" not in wide


@pytest.fixture
def fake_sacct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a sacct of our own first in PATH; the test writes what it does."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = tmp_path / "sacct"
    script.touch()
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def the_runs(*found: pa.Table | BadRow) -> list[Run]:
    """Return the runs of tables; there are no bad rows."""
    return [run for table in found for run in usage.runs(table)]


def test_ended(fake_sacct: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sacct is asked in UTC, and its rows are runs."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    row = "|".join(ROW.values())
    fake_sacct.write_text(
        f"#!/bin/sh\ntest \"$TZ$SLURM_TIME_FORMAT\" = UTC && echo '{row}' && echo '{row}|more'\n"
    )

    assert the_runs(*sacct_query.ended(0, 1, "chengdu")) == [a_run(), a_run()]


def test_sacct_fails(fake_sacct: Path) -> None:
    """A failed sacct is reported with what it said, after the whole rows that it gave: the begin
    of one reads as another row, with another amount held."""
    row = "|".join(ROW.values())
    half = row.removesuffix("8000000")
    fake_sacct.write_text(
        f"#!/bin/sh\necho '{row}'\nprintf %s '{half}'\necho 'sacct: error: refused' >&2\nexit 1\n"
    )
    found = sacct_query.ended(0, 1, "chengdu")

    assert the_runs(next(found)) == [a_run()]
    with pytest.raises(SlurmUnavailable, match=r"sacct: error: refused \(exit status 1\)"):
        next(found)


def test_sacct_hangs(fake_sacct: Path) -> None:
    """A sacct that gives no answer is ended when its time is over."""
    fake_sacct.write_text("#!/bin/sh\nexec sleep 60\n")

    with pytest.raises(SlurmUnavailable, match="no complete answer in 1 s"):
        list(sacct_query.ended(0, 1, "chengdu", timeout_s=1))


def test_a_reader_that_goes_away(fake_sacct: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops reading ends sacct, and nothing is left behind."""
    monkeypatch.setattr(tables, "PIECE_LINES", 100)
    row = "|".join(ROW.values())
    fake_sacct.write_text(f"#!/bin/sh\nwhile echo '{row}'; do :; done\n")
    found = sacct_query.ended(0, 1, "chengdu")

    assert the_runs(next(found))[0] == a_run()
    found.close()  # type: ignore[attr-defined]


def test_no_sacct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without sacct says so."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SlurmUnavailable, match="install it or set PATH"):
        list(sacct_query.ended(0, 1, "chengdu"))
