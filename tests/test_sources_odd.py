"""Odd and hostile rows, each read by both readers: a run, a counted skip, or a bad row with its
line and column; and the row behind it is never lost."""

from collections import Counter
from typing import Any

import pytest
from runs import a_run
from test_sources_tables import ROW, encoded, fast, slowly

from accounting.runs.run import Run
from slurm_voucher.sources import BadRow, sacct, sacct_query

FIELDS = ROW | {"JobName": "train", "ReqMem": "2147486448Mn"}
"""With a job name in the middle, and a ReqMem into which Slurm let a flag leak."""
NAMES = list(FIELDS)
HOW: dict[str, Any] = {"fields": NAMES, "timezone": "UTC", "cluster": "chengdu", "source": "x"}


def text_of(**changes: str) -> bytes:
    """Write a row, changed, and the same row as it was behind it."""
    return encoded(["|".join((FIELDS | changes).values()), "|".join(FIELDS.values())]) + b"\n"


def both(text: bytes, **how: Any) -> tuple[list[Run], list[BadRow], Counter[str]]:
    """Read a text by both readers, which see the same."""
    found = fast(text, **HOW | how)
    assert found == slowly(text, **HOW | how)
    return found


RUNS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "a name that no terminal likes": ({"JobName": "\x1b[2J\u202e"}, {}),
    "a user in Chinese": ({"User": "李雷"}, {"user": "李雷"}),
    "cancelled by somebody": ({"State": "CANCELLED by 1001"}, {"state": "CANCELLED"}),
    "a state that nobody named": ({"State": "TELEPORTED"}, {"state": "TELEPORTED"}),
    "tasks that were never split": ({"JobID": "123_[1-10%4]"}, {"job": "123_[1-10%4]"}),
    "a part of a het job": ({"JobID": "123+1"}, {"job": "123+1"}),
    "a task of an array": ({"JobID": "123_4"}, {"job": "123_4"}),
    "a width in the id": ({"JobID": "123_[1,3,5-9]"}, {"job": "123_[1,3,5-9]"}),
    "a carriage return": ({"JobName": "tr\rain"}, {}),
    "memory that is none": ({"ReqMem": "?0n"}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "run"), RUNS.values(), ids=RUNS)
def test_odd_runs(changes: dict[str, str], run: dict[str, Any]) -> None:
    """What is odd and clear is read as it is."""
    assert both(text_of(**changes)) == ([a_run(**run), a_run()], [], Counter())


NEVER = {"Start": "Unknown", "ElapsedRaw": "0", "Elapsed": "00:00:00", "NodeList": "None assigned"}
SKIPS: dict[str, tuple[dict[str, str], str]] = {
    "a step": ({"JobID": "123_4.batch", "JobIDRaw": "127.batch"}, "step"),
    "a step of a het job": ({"JobID": "1000_2+3.1", "JobIDRaw": "1007.1"}, "step"),
    "a job that runs": ({"State": "RUNNING", "End": "Unknown"}, "live"),
    "a job without an end": ({"End": "Unknown"}, "no end"),
    "a job that ended at None": ({"End": "None"} | NEVER, "no end"),
}


@pytest.mark.parametrize(("changes", "word"), SKIPS.values(), ids=SKIPS)
def test_odd_rows_that_are_no_runs(changes: dict[str, str], word: str) -> None:
    """What is no run is counted by its reason."""
    assert both(text_of(**changes)) == ([a_run()], [], Counter({word: 1}))


BAD: dict[str, tuple[dict[str, str], str, str]] = {
    "end before start": ({"End": "2024-07-03T09:48:19"}, "End", "is before Start"),
    "negative elapsed": ({"ElapsedRaw": "-1"}, "ElapsedRaw", "is no whole number"),
    "more elapsed than time": ({"ElapsedRaw": "3601"}, "ElapsedRaw", "is more than the 3600 s"),
    "a start of no calendar": ({"Start": "2023-02-29T00:00:00"}, "Start", "is no time"),
    "a NUL byte": ({"User": "a\0"}, "", "holds a NUL byte"),
    "a user of no encoding": ({"User": "\udcff"}, "User", "is not UTF-8"),
    "a bar in a user": ({"User": "a|b"}, "", "has 24 fields, 23 are needed"),
    "a bar in a job name": ({"JobName": "a|b"}, "", "has 24 fields, 23 are needed"),
    "a row that is cut": ({"JobName": "\n"}, "", "has 22 fields, 23 are needed"),
    "a width that cut a count": ({"NCPUS": "12+"}, "NCPUS", "is no whole count"),
    "a width that cut a time": ({"End": "2024-07-03T1+"}, "End", "is no time"),
    "a width that cut a name": ({"AllocTRES": "billing=24,gres/gp+"}, "AllocTRES", "no name=count"),
    "a width that cut cards": ({"AllocTRES": "cpu=24,gres/gpu=+"}, "AllocTRES", "no whole count"),
}


@pytest.mark.parametrize(("changes", "column", "reason"), BAD.values(), ids=BAD)
def test_bad_rows(changes: dict[str, str], column: str, reason: str) -> None:
    """What is not clear is listed with line and column."""
    runs, bad, _ = both(text_of(**changes))

    assert runs == [a_run()]
    assert (bad[0].line, bad[0].column) == (1, column)
    assert reason in bad[0].reason
    assert str(bad[0]).startswith("x: line 1: ")


def test_a_line_feed_in_a_job_name() -> None:
    """What stands on both sides of it is listed, and the next row is read."""
    runs, bad, _ = both(text_of(JobName="a\nb"))

    assert runs == [a_run()]
    assert [(row.line, row.column) for row in bad] == [(1, ""), (2, "")]


def test_the_hour_that_comes_twice() -> None:
    """A time without its zone in the hour that summer time repeats is listed and not guessed; in
    UTC, and in seconds since 1970, it is clear."""
    span = {"Submit": "2024-10-27T02:10:00", "Start": "2024-10-27T02:30:00",
            "End": "2024-10-27T03:30:00"}  # fmt: skip
    runs, bad, _ = both(text_of(**span), timezone="Europe/Berlin")
    assert [row.column for row in bad] == ["Start"]
    assert "does not exist or comes twice in Europe/Berlin; export with TZ=UTC" in bad[0].reason
    assert len(runs) == 1

    seconds = {"Submit": "1729988600", "Start": "1729988600", "End": "1729992200"}
    for changes, timezone in ((span, "UTC"), (seconds, "Europe/Berlin")):
        runs, bad, _ = both(text_of(**changes), timezone=timezone)
        assert not bad
        assert [run.elapsed_s for run in runs] == [3600, 3600]


def test_what_user_text_could_forge() -> None:
    """A line feed in a last column whose text users choose can look like a row: our own question to
    sacct asks for no such column, and import names it."""
    forged = encoded(["|".join((ROW | {"User": "wang"}).values())]).decode()
    names = [*ROW, "JobName"]
    text = encoded(["|".join([*ROW.values(), f"x\n{forged}|y"])]) + b"\n"
    runs, _, _ = both(text, fields=names)

    assert [run.user for run in runs] == ["li", "wang"]
    assert sacct.chosen(names) == "JobName"
    assert sacct.chosen(sacct_query.FIELDS) == ""
