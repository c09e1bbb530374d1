"""accounting/settle/own.py, runs/picking.py: a few runs out of many, and the statement of each."""

import random

import archived
import pytest
from delivery import AFTER, DECEMBER, NOVEMBER, close, load_prices, run, take, yuan
from town import ACCOUNT, CLUSTER, UID, Town, instant, stamp

from accounting.runs import archive, picking, places
from accounting.runs.picking import Wanted
from accounting.runs.run import Run
from accounting.settle import compacting, own
from accounting.settle.own import Asked
from slurm_voucher import config, past

ZONE = "Asia/Shanghai"
OTHER = UID + 1


def ended(town: Town, **asked: object) -> tuple[list[str], bool]:
    """Return the jobs of the runs that are found, and whether there are more."""
    with town.begin() as conn:
        runs, more = own.ended(conn, town.archive, Asked(**asked), ZONE)  # type: ignore[arg-type]
    assert len(runs.statement) == runs.rows.num_rows
    return runs.rows.column("job").to_pylist(), more


def of_job(town: Town, job: str, uid: int | None = UID) -> tuple[list[tuple[str, int]], bool]:
    """Return job and end of a job's runs, and whether there are others'."""
    with town.begin() as conn:
        runs, others = own.of_job(conn, town.archive, job, ZONE, uid)
    rows = runs.rows
    jobs, ends = rows.column("job").to_pylist(), rows.column("end_s").to_pylist()
    return list(zip(jobs, ends, strict=True)), others


def statements(town: Town) -> dict[str, str | None]:
    """Return on which statement each job's run is."""
    with town.begin() as conn:
        runs, _ = own.ended(conn, town.archive, Asked(), ZONE)
    return dict(zip(runs.rows.column("job").to_pylist(), runs.statement, strict=True))


def test_ones_own_and_no_others(town: Town) -> None:
    """A user finds the own runs of a time, in the order of their ends, and no one else's."""
    load_prices(town)
    take(town, run(1), run(2, end=DECEMBER), run(3, uid=OTHER), run(4, uid=None))
    take(town, run(5, voucher=None))

    assert ended(town, uid=UID) == (["1", "5", "2"], False)
    assert ended(town, uid=OTHER) == (["3"], False)
    assert ended(town, uid=7) == ([], False)
    december = (instant(DECEMBER), instant(DECEMBER) + 1)
    assert ended(town, uid=UID, ended=december) == (["2"], False)
    assert ended(town, uid=UID, account=ACCOUNT) == (["1", "2"], False)
    assert ended(town, uid=UID, cluster="elsewhere") == ([], False)
    assert ended(town) == (["1", "3", "4", "5", "2"], False)


def test_the_newest_of_too_many(town: Town) -> None:
    """Where there are more than are wanted the newest are found, and it is said."""
    take(town, *(run(i, end=f"2024-11-10T12:00:{i:02d}+08:00") for i in range(10)))
    assert ended(town, uid=UID, most=3) == (["7", "8", "9"], True)
    assert ended(town, uid=UID, most=10)[1] is False


def test_a_job_by_both_of_its_names(town: Town) -> None:
    """A task is found by its own number and by its name; what is another's is said to be there."""
    array = [run(7, job="5_1"), run(8, job="5_2", uid=OTHER), run(5, job="5_3")]
    take(town, *array, run(9, job="9+0"), run(10, job="9+1"))
    at_s = instant(NOVEMBER)

    assert of_job(town, "5_1") == ([("5_1", at_s)], False)
    assert of_job(town, "7") == ([("5_1", at_s)], False)
    assert of_job(town, "5") == ([("5_3", at_s)], False)
    assert of_job(town, "9+1") == ([("9+1", at_s)], False)
    assert of_job(town, "8") == ([], True)
    assert of_job(town, "5_2", OTHER) == ([("5_2", at_s)], True)
    assert of_job(town, "8", None) == ([("5_2", at_s)], False)
    for odd in ("4711", "5_9", "x", "", "-7", "٧", "9" * 30, "5_", "7 "):
        assert of_job(town, odd) == ([], False)


def test_the_statement_of_each_run(town: Town) -> None:
    """A run is on the statement of its month that was closed after it came in; a late one is on a
    later one, and what is free or not closed yet on none."""
    load_prices(town)
    take(town, yuan(1, 100), yuan(2, 5, state="NODE_FAIL"), yuan(3, 7, DECEMBER))
    close(town, "2024-11")
    take(town, yuan(4, 9), at=DECEMBER)
    before = f"S-{ACCOUNT}-2024-11"
    assert statements(town) == {"1": before, "2": None, "3": None, "4": None}
    close(town, "2024-12")
    after = f"S-{ACCOUNT}-2024-12"
    assert statements(town) == {"1": before, "2": None, "3": after, "4": after}

    compacting.compact(town.engine, town.archive, CLUSTER, "2024-11", stamp(AFTER["2024-12"]))
    assert statements(town) == {"1": before, "2": None, "3": after, "4": after}


def test_a_part_of_too_many(town: Town, tmp_path, monkeypatch) -> None:
    """A run's own part of a statement is worked out where the month's runs are few enough; else it
    is said on which statement it is."""
    load_prices(town)
    take(town, yuan(1, 100), yuan(2, 7))
    close(town, "2024-11")
    site = config.Config(tmp_path, "", town.archive, tmp_path, "", 0, 60, "normal")
    for most, line in ((None, f"S-{ACCOUNT}-2024-11/1"), (2, f"S-{ACCOUNT}-2024-11/1"), (1, None)):
        with town.begin() as conn:
            runs, _ = own.of_job(conn, town.archive, "1", ZONE)
            [row] = past.Explainer(conn, site, town.policy, most).explain(runs)
        assert (row["statement"], row["line"]) == (f"S-{ACCOUNT}-2024-11", line)
        assert (row["fee"] is None) == (line is None)
        assert ("is one of 2 runs'" in row["said"]) == (line is None)


def test_a_run_that_was_corrected_into_another_month(town: Town) -> None:
    """A run whose end was corrected counts where it ended by now, also when only that time, or the
    time before, is asked for."""
    late = run(1, 3600, DECEMBER)
    take(town, late, run(2, end=DECEMBER))
    corrected = run(1, 60, NOVEMBER, submit_s=late.submit_s, start_s=late.start_s)
    take(town, corrected, at=DECEMBER)
    november, december = (
        (instant(f"2024-{month}-01T00:00:00+08:00"), instant(f"2024-{after}T00:00:00+08:00"))
        for month, after in (("11", "12-01"), ("12", "12-31"))
    )
    assert ended(town, uid=UID, ended=november) == (["1"], False)
    assert ended(town, uid=UID, ended=december) == (["2"], False)
    assert ended(town, uid=UID) == (["1", "2"], False)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_as_all_that_counts(town: Town, monkeypatch, seed: int) -> None:
    """Whatever comes in, in however many parts and row groups, one's own are those of all runs
    that count which are one's own."""
    chance = random.Random(seed)
    monkeypatch.setitem(archive.WRITTEN, "row_group_size", 3)
    known: list[Run] = []
    for _ in range(4):
        some = [one(chance, chance.randrange(40)) for _ in range(chance.randrange(1, 12))]
        again = [changed(chance, each) for each in known if chance.random() < 0.3]
        part = {(r.job_id, r.submit_s, r.start_s): r for r in [*some, *again]}
        take(town, *part.values(), at=DECEMBER)
        known = [*known, *part.values()]
    with town.begin() as conn:
        rows = archived.current(conn, town.archive, CLUSTER).to_pylist()
        for uid in (UID, OTHER):
            runs, _ = own.ended(conn, town.archive, Asked(uid), ZONE)
            mine = [row for row in rows if row["uid"] == uid]
            assert key(runs.rows.to_pylist()) == key(mine)
            for name in {row["job"] for row in rows}:
                runs, _ = own.of_job(conn, town.archive, name, ZONE, uid)
                assert key(runs.rows.to_pylist()) == key(r for r in mine if r["job"] == name)


def key(rows) -> list[tuple[object, ...]]:
    """Return rows in one order."""
    return sorted(tuple(map(str, row.values())) for row in rows)


def one(chance: random.Random, number: int) -> Run:
    """Make a run of somebody."""
    end = chance.choice((NOVEMBER, DECEMBER))
    uid = chance.choice((UID, OTHER, None))
    return run(number, 60 * chance.randrange(1, 9), end, uid=uid, job=f"{number // 2}_{number}")


def changed(chance: random.Random, before: Run) -> Run:
    """Make the run that slurmdbd says it was by now."""
    facts = {name: getattr(before, name) for name in before.__slots__}
    end_s = before.end_s + chance.choice((0, 30, -30 * 86_400))
    start_s = min(before.start_s or 0, end_s)
    return Run(**facts | {"end_s": max(end_s, start_s), "state": "FAILED"})


def test_groups_that_cannot_have_it_are_not_read(town: Town, monkeypatch) -> None:
    """Of a file only the groups are read that may have such a row."""
    monkeypatch.setitem(archive.WRITTEN, "row_group_size", 2)
    take(town, *(run(i, uid=UID + i // 2) for i in range(8)))
    with town.begin() as conn:
        [file] = places.files(conn)
    groups = picking.groups_of(town.archive, file)

    assert [group.jobs for group in groups] == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert [Wanted(job_id=5).may_be_in(group) for group in groups] == [False, False, True, False]
    assert [Wanted(job_from=4).may_be_in(group) for group in groups] == [False, False, True, True]
    at_s = instant(NOVEMBER)
    assert [Wanted(ended=(at_s + 1, at_s + 2)).may_be_in(group) for group in groups] == [False] * 4
    assert [Wanted(again=True).may_be_in(group) for group in groups] == [False] * 4
    assert [picking.users_of(town.archive, file, n) for n in range(4)] == [
        {UID + n} for n in range(4)
    ]
