"""settle/tallying.py, cutting.py, hours.py: whole archives, streamed, come to what is said plainly.

Archives are made up: runs over midnight, months, years and the change of clocks, suspended,
resized, requeued, unrated, of no length, of decades, never started, corrected, in any segments.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import a_run, rated

from accounting import period
from accounting.errors import InvariantBroken
from accounting.proof import comparing, overfilled
from accounting.runs import archive, reports, usage
from accounting.runs.run import Run
from accounting.runs.segment import Segment
from accounting.settle import charges, hours, tallying, utilisation
from accounting.settle.charges import Sum
from accounting.settle.summing import Asked

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC")
EDGES = [
    period.bounds(name, zone)[0]
    for name in ("2023-01", "2024-03-31", "2024-04", "2024-10-27", "2024-11-03", "2024-12-30")
    for zone in ZONES
]
"""Begins of a year, of days on which clocks change, and of days and a week after them."""
BY = st.sampled_from([*period.KINDS, reports.TOTAL])
ZONE = st.sampled_from(ZONES)


@st.composite
def told(draw: st.DrawFn, longest_s: int) -> tuple[Run, dict[str, Any]]:
    """Draw what was told of a run, and what rating said of it."""
    begin_s = draw(st.sampled_from(EDGES)) + draw(st.integers(-3, 3) | st.integers(-100_000, 9_999))
    wall_s = draw(st.integers(0, 5) | st.integers(0, longest_s))
    before_s = draw(st.sampled_from([0, 0, 0, 50]))  # resized: it started before it is billed
    suspended_s = draw(st.sampled_from([0, 0, 1]) | st.integers(0, wall_s))
    never = draw(st.integers(0, 9)) == 0
    run = a_run(
        job_id=draw(st.integers(1, 6)),
        submit_s=begin_s - draw(st.sampled_from([0, 60])),
        start_s=None if never else begin_s - before_s,
        billed_from_s=None if never else begin_s,
        end_s=begin_s + (0 if never else wall_s),
        elapsed_s=0 if never else max(0, wall_s + before_s - suspended_s),
        suspended_s=suspended_s,
        partition=draw(st.sampled_from(["ai", "fat"])),
        user=draw(st.sampled_from(["li", "wang", "zhao"])),
        nodes=draw(st.integers(1, 9)),
        cpus=draw(st.sampled_from([1, 24, 2**31 - 1])),
        cards=draw(st.sampled_from([0, 8])),
    )
    most = st.integers(0, 10**6) | st.integers(0, 2**62)
    status = draw(st.sampled_from(["charged", "charged", "free", "unrated"]))
    return run, {
        "status": status,
        "account": draw(st.sampled_from([None, "CD24-0001", "CD24-0002"])),
        "chip": draw(st.sampled_from([None, "910b"])),
        "gflops_s": 0 if status == "unrated" else draw(most),
        "charge_micro": draw(most) if status == "charged" else 0,
    }


@st.composite
def archived(draw: st.DrawFn, longest_s: int = 400_000) -> list[pa.Table]:
    """Draw the rows of entries: each is told more, and some of what was told before anew."""
    known: dict[tuple[Any, ...], tuple[Run, int]] = {}
    entries = []
    for _ in range(draw(st.integers(1, 3))):
        rows = {}
        for run, facts in draw(st.lists(told(longest_s), max_size=6)):
            key = (run.job_id, run.submit_s, run.start_s)
            if key not in rows:
                rows[key] = (run, facts, known[key][1] + 1 if key in known else 0)
        for run, revision in (
            draw(st.lists(st.sampled_from([*known.values()]), max_size=3)) if known else ()
        ):
            key = (run.job_id, run.submit_s, run.start_s)
            if key not in rows:
                later, facts = draw(told(longest_s))
                again = replace(run, end_s=max(run.end_s, later.end_s), cards=later.cards)
                rows[key] = (again, facts, revision + 1)
        known |= {key: (run, revision) for key, (run, _, revision) in rows.items()}
        entries += [
            rated(usage.table([run]), revision, **facts) for run, facts, revision in rows.values()
        ]
    return entries


@contextmanager
def written(
    tables: Sequence[pa.Table], zone: str, batch: int
) -> Iterator[tuple[Path, list[Segment]]]:
    """Write rows into segments by entry and month, some of them in several row groups."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tallying, "BATCH_ROWS", batch)
        patch.setattr(tallying, "SHARE_ROWS", batch)
        patch.setitem(archive.WRITTEN, "row_group_size", batch)
        apart: dict[tuple[str, int], list[pa.Table]] = {}
        for rows in tables:
            month = period.month_of(rows.column("end_s")[0].as_py(), zone)
            apart.setdefault((month, rows.column("revision")[0].as_py()), []).append(rows)
        root = Path(folder)
        yield (
            root,
            [
                archive.write(root, "chengdu", month, pa.concat_tables(own).unify_dictionaries())
                for (month, _), own in apart.items()
            ],
        )


def current(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows that count."""
    return archive.current(
        pa.concat_tables([usage.STORED.empty_table(), *tables]).unify_dictionaries()
    )


@given(archived(), ZONE, st.sampled_from([1, 3, 1000]))
def test_cards_of_a_day_are_what_is_said_plainly(
    tables: list[pa.Table], zone: str, batch: int
) -> None:
    """What the audit counts of each partition and day is what the runs that count had."""
    with written(tables, zone, batch) as (root, files):
        found = overfilled.card_s(root, files, ["ai", "fat"], zone)
    wanted: dict[tuple[str, str], int] = {}
    for name in ("ai", "fat"):
        rows = current(tables)
        own = rows.filter(pa.array(usage.marks(rows.column("partition"), name)))
        for day, ran in reports.usage_by(own, "day", zone).items():
            wanted[name, day] = ran.card_s
    assert +found == {key: seconds for key, seconds in wanted.items() if seconds}


@given(archived(), st.sampled_from([1, 3, 1000]))
def test_what_months_cost_is_what_is_said_plainly(tables: list[pa.Table], batch: int) -> None:
    """What a reconciliation counts of each account and month is what the runs that count cost."""
    with written(tables, ZONES[0], batch) as (root, files):
        months = sorted({file.month for file in files})[:2]
        found = comparing.charged(root, files, months)
    wanted: Counter[tuple[str, str]] = Counter()
    for row in current(tables).to_pylist():
        month = period.month_of(row["end_s"], ZONES[0])
        if row["status"] == "charged" and row["account"] and month in months:
            wanted[row["account"], month] += row["charge_micro"]
    assert found == +wanted


@given(archived(), BY, ZONE, st.sampled_from([1, 3, 1000]))
def test_usage_is_what_is_said_plainly(
    tables: list[pa.Table], by: str, zone: str, batch: int
) -> None:
    """Each figure of each period is that of the definition, in the same order."""
    with written(tables, zone, batch) as (root, files):
        found = hours.usage(root, files, Asked(by, zone))
    wanted = reports.usage_by(current(tables), by, zone)
    assert list(found.items()) == [((name, ""), own) for name, own in wanted.items()]


@given(archived(), BY, ZONE, st.sampled_from(hours.OF_RUNS))
def test_usage_of_a_group_is_that_of_its_runs(
    tables: list[pa.Table], by: str, zone: str, group: str
) -> None:
    """Each group has what the definition says of its runs alone; where nothing ran is no row."""
    with written(tables, zone, 3) as (root, files):
        found = hours.usage(root, files, Asked(by, zone, group))
    rows = current(tables)
    words = [word or "" for word in rows.column(group).to_pylist()]
    wanted = {
        (name, word): own
        for word in set(words)
        for name, own in reports.usage_by(
            rows.filter(pa.array([each == word for each in words])), by, zone
        ).items()
        if own != reports.Hours()
    }
    assert list(found.items()) == sorted(wanted.items(), key=lambda item: item[0])


def test_usage_of_units() -> None:
    """A unit has what its accounts have together; runs without one stay apart."""
    one, two, none = (reports.Hours(wall_s=seconds, runs=1) for seconds in (1, 2, 4))
    found = {("2024", ""): none, ("2024", "A"): one, ("2024", "B"): two}
    assert list(hours.by_unit(found, {"A": "u", "B": "u"}).items()) == [
        (("2024", ""), none),
        (("2024", "u"), reports.Hours(wall_s=3, runs=2)),
    ]


@given(archived(3 * 10**9), st.sampled_from(["month", "year", reports.TOTAL]), ZONE)
def test_runs_of_decades(tables: list[pa.Table], by: str, zone: str) -> None:
    """Seconds that the compiled loops are not sure of are cut plainly, with the others."""
    with written(tables, zone, 3) as (root, files):
        wanted = reports.usage_by(current(tables), by, zone)
        assert hours.usage(root, files, Asked(by, zone)) == {
            (name, ""): w for name, w in wanted.items()
        }
        for group in ("user", "chip"):
            grouped = hours.usage(root, files, Asked(by, zone, group))
            assert sum(own.cpu_s for own in grouped.values()) == sum(
                own.cpu_s for own in wanted.values()
            )
        asked = utilisation.Asked(by, zone, None)
        found, _ = utilisation.allocated(root, files, asked)
        assert found == utilisation.counted(asked, current(tables))


@given(archived(), BY, ZONE, st.sampled_from([1, 3, 1000]), st.none() | st.sampled_from(EDGES))
def test_utilisation_is_what_is_said_plainly(
    tables: list[pa.Table], by: str, zone: str, batch: int, noted_s: int | None
) -> None:
    """What runs had by period and partition is that of the definition, cut at the last note."""
    asked = utilisation.Asked(by, zone, noted_s)
    rows = current(tables)
    with written(tables, zone, batch) as (root, files):
        found, spans = utilisation.allocated(root, files, asked)
    wanted = utilisation.counted(asked, rows)
    assert {key: (own, own.pieces) for key, own in found.items()} == {
        key: (own, own.pieces) for key, own in wanted.items()
    }
    ran = rows.filter(pc.is_valid(rows.column("billed_from_s")))
    begin_s, end_s = ran.column("billed_from_s").to_pylist(), ran.column("end_s").to_pylist()
    wanted_spans = [(min(begin_s), max(end_s))] if begin_s else []
    if by == reports.TOTAL:
        assert spans == wanted_spans
    else:
        listed = [asked.places(*span) for span in (*spans, *wanted_spans)]
        assert [each[0] for each in listed[:1]] == [each[0] for each in listed[1:]]


@given(
    archived(),
    BY,
    ZONE,
    st.sampled_from([1, 3, 1000]),
    st.sampled_from([None, "account", "partition", "chip", "user", "unit"]),
)
def test_charges_are_what_is_said_plainly(
    tables: list[pa.Table], by: str, zone: str, batch: int, group: str | None
) -> None:
    """Runs, GFLOPS-seconds and micro-yuan are those of the charged rows that count, one by one."""
    asked = Asked(by, zone, group)
    column = "account" if group == "unit" else group
    wanted: dict[tuple[str, str], Sum] = {}
    for row in current(tables).to_pylist():
        if row["status"] == "charged" and row["account"] is not None:
            day = period.day_of(row["end_s"], zone)
            name = by if by == reports.TOTAL else period.name_of(day, by)
            own = wanted.setdefault((name, (column and row[column]) or ""), Sum())
            own.add(1, 1, row["gflops_s"], row["charge_micro"])
    with written(tables, zone, batch) as (root, files):
        assert charges.summed(root, files, asked) == wanted


def test_more_than_int64_holds(tmp_path: Path) -> None:
    """Sums are exact where int64 would overflow."""
    most = 2**63 - 1
    rows = rated(
        usage.table([a_run(job_id=i) for i in range(4)]),
        status="charged", account="A", gflops_s=most, charge_micro=most,
    )  # fmt: skip
    files = [archive.write(tmp_path, "chengdu", "2024-07", rows)]
    asked = Asked("month", period.SHANGHAI, "user")
    assert charges.summed(tmp_path, files, asked) == {("2024-07", "li"): Sum(4, 4 * most, 4 * most)}


def test_bounds_that_a_footer_does_not_say(tmp_path: Path, monkeypatch) -> None:
    """A file without statistics, as somebody else may have written it, gives the same figures."""
    monkeypatch.setitem(archive.WRITTEN, "write_statistics", False)
    tables = [rated(usage.table([a_run(job_id=i)])) for i in range(3)]
    files = [archive.write(tmp_path, "chengdu", "2024-07", pa.concat_tables(tables))]
    assert pq.read_metadata(tmp_path / files[0].path).row_group(0).column(4).statistics is None
    found = hours.usage(tmp_path, files, Asked("day", period.SHANGHAI))
    wanted = reports.usage_by(current(tables), "day", period.SHANGHAI)
    assert found == {(name, ""): own for name, own in wanted.items()}
    assert sum(own.runs for own in found.values()) == 3


def test_a_file_that_is_missing_or_broken(tmp_path: Path) -> None:
    """It is named, whatever is asked, and nothing is told without it."""
    rows = rated(usage.table([a_run()]), status="charged", account="A")
    files = [archive.write(tmp_path, "chengdu", "2024-07", rows)]
    (tmp_path / files[0].path).write_bytes(b"PAR1")
    with pytest.raises(InvariantBroken, match="cannot be read"):
        hours.usage(tmp_path, files, Asked("day", period.SHANGHAI))
    (tmp_path / files[0].path).unlink()
    with pytest.raises(InvariantBroken, match="is missing"):
        charges.summed(tmp_path, files, Asked("day", period.SHANGHAI))


def test_a_run_that_ended_in_another_month(tmp_path: Path) -> None:
    """A file that does not hold what its name says is refused, and not read beyond its periods."""
    rows = rated(usage.table([a_run()]), status="charged", account="A")
    files = [archive.write(tmp_path, "chengdu", "2024-09", rows)]
    with pytest.raises(InvariantBroken, match="ended in no month near it"):
        charges.summed(tmp_path, files, Asked("day", period.SHANGHAI))


def test_no_files(tmp_path: Path) -> None:
    """Where there is no file there is nothing."""
    assert hours.usage(tmp_path, [], Asked("day", period.SHANGHAI)) == {}
    assert charges.summed(tmp_path, [], Asked("day", period.SHANGHAI)) == {}
