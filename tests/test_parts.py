"""accounting/settle/charging.take_in_parts: usage that comes in parts is one entry, or none."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import archived
import delivery
import pyarrow as pa
import pytest
from delivery import DECEMBER, NOVEMBER, run, take, yuan
from sqlalchemy import func, select
from town import CLUSTER, Town, stamp

from accounting.book import ledger, schema
from accounting.runs import archive, usage, watermarks
from accounting.runs.run import Run
from accounting.settle import charging
from accounting.settle.charging import Taken


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town with round prices; whatever a test does, the book adds up at its end."""
    delivery.load_prices(town)
    yield town
    assert delivery.findings(town) == []


def take_parts(town: Town, *parts: list[Run], fails: BaseException | None = None) -> Taken:
    """Take parts in; after them the source may fail."""

    def source() -> Iterator[pa.Table]:
        for part in parts:
            yield usage.table(part)
        if fails is not None:
            raise fails

    return charging.take_in_parts(
        town.engine, town.archive, source(), town.policy, stamp(DECEMBER),
        lambda: (CLUSTER, "ended", 1_735_000_000),
    )  # fmt: skip


def said(town: Town) -> dict[str, Any]:
    """Return what counts: the runs, their charges, the balances, and which files there are."""
    with town.begin() as conn:
        rows = archived.current(conn, town.archive, CLUSTER)
        names = [name for name in usage.STORED.names if name != "revision"]
        table = schema.balance
        found = conn.execute(select(table).where(table.c.amount_micro != 0))
        balances = {(row.account, row.owner): row.amount_micro for row in found}
        marks = watermarks.by_cluster(conn)
    return {"runs": rows.select(names).to_pylist(), "balances": balances, "marks": marks}


def files(town: Town) -> set[str]:
    """List what lies in the archive's folder of segments."""
    found = (town.archive / "usage").rglob("*.parquet")
    return {path.relative_to(town.archive).as_posix() for path in found}


def head(town: Town) -> int:
    """Return the number of entries."""
    with town.begin() as conn:
        return int(conn.execute(select(func.count()).select_from(schema.journal)).scalar_one())


def some_runs(seed: int) -> list[Run]:
    """Make runs of few jobs: many come twice, some changed, some resized, some never started."""
    pick = random.Random(seed)
    found = []
    for _ in range(30):
        one = yuan(pick.randrange(1, 8), pick.randrange(1, 5), pick.choice([NOVEMBER, DECEMBER]))
        what = pick.randrange(6)
        if what == 0:
            one = replace(one, start_s=None, billed_from_s=None, elapsed_s=0, state="CANCELLED",
                          cpus=0, nodes=0)  # fmt: skip
        elif what == 1:
            one = replace(one, state="RESIZING", end_s=one.end_s - 600, elapsed_s=3_000)
        elif what == 2:
            one = replace(one, submit_s=one.end_s - 600)
        found.append(one)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_parts_are_the_whole(shop: Town, seed: int) -> None:
    """However runs are cut into parts, the same runs count, and the book has the same balances.

    What comes twice counts as it came last, whether in one part or in two; a part of a resized job
    may come in before the rest or after it.
    """
    runs, pick = some_runs(seed), random.Random(100 + seed)
    cuts = sorted({0, len(runs), *(pick.randrange(len(runs)) for _ in range(4))})
    take_parts(shop, *(runs[a:b] for a, b in pairwise(cuts)))
    in_parts, entries = said(shop), head(shop)
    again = take_parts(shop, *([each] for each in runs))

    by_key = {(r.job_id, r.submit_s, r.start_s): r for r in runs}
    assert len(in_parts["runs"]) == len(by_key)
    for row in in_parts["runs"]:
        one = by_key[row["job_id"], row["submit_s"], row["start_s"]]
        assert (row["end_s"], row["state"], row["cpus"]) == (one.end_s, one.state, one.cpus)
    assert (again.new, again.changed) == (0, 0)
    assert (said(shop), head(shop)) == (in_parts, entries)


def test_parts_are_one_entry(shop: Town) -> None:
    """Three parts are three segments, one entry and one charge of the account for each."""
    before = head(shop)
    taken = take_parts(shop, [yuan(1, 10)], [yuan(2, 20)], [yuan(3, 30)])

    assert (taken.new, taken.changed, len(taken.segments)) == (3, 0, 3)
    assert head(shop) == before + 1
    assert taken.charge_micro == 60_000_000
    assert said(shop)["marks"] == {CLUSTER: 1_735_000_000}


def test_a_run_that_changes_between_parts(shop: Town) -> None:
    """What a later part says of a run takes the place of what an earlier one said; again, nothing.

    A run that only an earlier part changes, and a later one changes back, has not changed.
    """
    parts = [yuan(1, 10), yuan(2, 1)], [yuan(1, 15)], [yuan(1, 12)], [yuan(1, 12), yuan(2, 1)]
    taken, entries = take_parts(shop, *parts), head(shop)
    again = take_parts(shop, *parts)

    assert (taken.new, taken.changed, taken.charge_micro) == (2, 0, 13_000_000)
    assert (again.new, again.changed, head(shop)) == (0, 0, entries)
    assert said(shop)["balances"]["accrued", delivery.ACCOUNT] == 13_000_000
    assert len(files(shop)) == 2


@pytest.mark.parametrize("fails", [KeyboardInterrupt(), OSError("sacct is gone")])
def test_what_is_interrupted_leaves_nothing(shop: Town, fails: BaseException) -> None:
    """Ctrl-C, or a source that fails, leaves book and archive as they were."""
    take(shop, yuan(9, 5))
    before, known = said(shop), files(shop)
    entries = head(shop)
    parts = [yuan(1, 10)], [yuan(2, 20), run(9, 12_000)], [yuan(9, 5)]

    with pytest.raises(type(fails)):
        take_parts(shop, *parts, fails=fails)

    assert (said(shop), files(shop), head(shop)) == (before, known, entries)
    taken = take_parts(shop, *parts)
    assert taken.quarantined == []
    assert (taken.new, taken.changed) == (2 + (run(9, 12_000).start_s != yuan(9, 5).start_s), 0)


def test_segments_that_were_there_stay(shop: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken away after an interruption is what this run has written, and nothing else."""
    take(shop, yuan(1, 10))
    known = files(shop)
    write = archive.write

    def breaks(*args: Any) -> Any:
        write(*args)
        raise OSError("disk is full")

    monkeypatch.setattr(archive, "write", breaks)
    with pytest.raises(OSError, match="disk is full"):
        take_parts(shop, [yuan(2, 20)])
    monkeypatch.setattr(archive, "write", write)

    assert files(shop) > known  # written, and nobody told us: for the next one to put aside
    assert len(take_parts(shop, [yuan(3, 1)]).quarantined) == 1


def test_what_was_handed_over_stays(shop: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the entry is being written, no file is taken away: the book may have heard of it."""
    monkeypatch.setattr(ledger, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        take_parts(shop, [yuan(2, 20)])
    monkeypatch.undo()

    assert len(files(shop)) == 1
    assert len(take_parts(shop, [yuan(2, 20)]).quarantined) == 1
