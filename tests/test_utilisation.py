"""How much of the machines was used: each case worked out by hand.

An Ascend 910B2 is 376 TFLOPS: a node of 8 has 3.008 PFLOPS, 72.192 PFLOPS·hours a day.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import delivery
import numpy as np
import pytest
import told
from delivery import take
from fakeslurm import FakeSlurm
from homes import HEADER, furnished, one_line
from hypothesis import given
from hypothesis import strategies as st
from town import CLUSTER, POLICY, Town, instant

from accounting import money
from accounting.runs import nodes, reports
from accounting.runs.nodes import Alike, Note, Out
from accounting.runs.run import Run
from accounting.settle import utilisation
from accounting.settle.utilisation import Allocated, Used

H = 3_600
MONDAY = "2024-11-11"
"""Notes are taken at its midnight and at each one after it."""
CARDS = {"gpu:ascend_910b": 8}
AI = Alike(("ai1",), ("cards",), CARDS)


def at(day: int, hour: int = 0) -> int:
    """Return an instant by the day after that Monday, in Chengdu."""
    return instant(f"{MONDAY}T00:00:00+08:00") + day * 24 * H + hour * H


def note(town: Town, day: int, *alike: Alike, out: tuple[Out, ...] = (), hour: int = 0) -> None:
    """Note nodes, and all that was ever out; without any, ai1 with its 8 cards."""
    at_s = at(day, hour)
    nodes.keep(town.archive, CLUSTER, Note(at_s, 0, at_s, alike or (AI,), out))


def job(number: int, begin_s: int, hours: int, cards: int, **changes: Any) -> Run:
    """Make a run of some cards of the partition `cards`."""
    end_s = begin_s + hours * H
    facts: dict[str, Any] = {
        "submit_s": begin_s, "start_s": begin_s, "billed_from_s": begin_s, "end_s": end_s,
        "elapsed_s": hours * H, "partition": "cards", "cards": cards, "cpus": 8,
        "gres": f"gpu:ascend_910b={cards}" if cards else "",
    }  # fmt: skip
    return replace(delivery.run(number), **(facts | changes))


def report(town: Town, by: str = "day", per_partition: bool = False) -> list[Used]:
    """Report the town's cluster."""
    with town.begin() as conn:
        return utilisation.utilisation(
            conn, town.archive, CLUSTER, by, POLICY.timezone, per_partition
        )


def shares(rows: list[Used]) -> Mapping[str, tuple[int | None, int | None]]:
    """Return both shares of each row, in basis points."""
    return {
        f"{row.period} {row.partition or ''}".strip(): (row.of_all_bp, row.in_service_bp)
        for row in rows
    }


@pytest.fixture
def shop(town: Town) -> Town:
    """The town with its prices."""
    delivery.load_prices(town)
    return town


def test_a_run_over_midnight(shop: Town) -> None:
    """4 cards from 22:00 to 2:00 are 3.008 PFLOPS·hours of either day, of 72.192: 4.17 %. On the
    second day the node was drained for 12 hours: 8.33 % of what was in service."""
    take(shop, job(1, at(0, 22), 4, 4))
    note(shop, 0)
    note(shop, 2, out=(Out("ai1", "drained", at(1, 12), at(2)),))
    assert shares(report(shop)) == {"2024-11-11": (417, 417), "2024-11-12": (417, 833)}
    monday, tuesday = report(shop)
    assert monday.allocated == Allocated(card_s=8 * H, gflops_s=3_008_000 * H)
    assert tuesday.available is not None
    assert tuesday.available.card_s == 192 * H
    assert tuesday.available.out_card_s["drained"] == 96 * H
    assert tuesday.available.in_service_gflops_s == 36_096_000 * H


def test_the_charge_goes_by_the_end_and_the_use_by_time(shop: Town) -> None:
    """A run over the end of a month is used in both; each month's days are all known."""
    take(shop, job(1, at(18, 0), 48, 8))  # 29 and 30 November
    take(shop, job(2, at(20, -12), 24, 8))  # to noon of 1 December
    note(shop, -10)
    note(shop, 51)
    november, december = report(shop, "month")
    assert november.allocated.card_s == (48 + 12) * 8 * H
    assert december.allocated.card_s == 12 * 8 * H
    assert november.of_all_bp == money.half_up(60 * 10_000, 30 * 24)
    [year] = report(shop, "total")
    assert year.allocated.card_s == 72 * 8 * H


def test_the_running_period_ends_with_the_last_note(shop: Town) -> None:
    """Noted at noon: the day's 8 cards for 6 hours are half of what there was by then, and what ran
    later is not yet set against anything. Earlier and later days have no capacity."""
    take(shop, job(1, at(-1, 3), 6, 8), job(2, at(0, 0), 6, 8), job(3, at(0, 15), 12, 8))
    note(shop, 0)
    note(shop, 0, hour=12)
    sunday, monday, tuesday = report(shop)
    assert (monday.until_s, monday.of_all_bp) == (at(0, 12), 5_000)
    assert monday.allocated.card_s == 48 * H
    for row, hours in ((sunday, 6), (tuesday, 3)):
        assert (row.until_s, row.available, row.of_all_bp) == (None, None, None)
        assert row.allocated.card_s == hours * 8 * H
    assert shares(report(shop, "week")) == {"2024-W45": (None, None), "2024-W46": (5_000, 5_000)}


def test_runs_that_come_apart(shop: Town) -> None:
    """The same where each run is a segment of its own, and a total ends with the last note, too."""
    for one in (job(1, at(-1, 3), 6, 8), job(2, at(0, 0), 6, 8), job(3, at(0, 15), 12, 8)):
        take(shop, one)
    note(shop, 0)
    note(shop, 0, hour=12)
    assert [row.allocated.card_s for row in report(shop)] == [h * 8 * H for h in (6, 6, 3)]
    [total] = report(shop, "total")
    assert (total.until_s, total.allocated.card_s) == (at(0, 12), 12 * 8 * H)


def test_a_run_that_was_corrected(shop: Town) -> None:
    """It counts as it was told last: 2 cards for 12 hours, the second 6 of them on Tuesday."""
    take(shop, job(1, at(0, 18), 6, 8))
    take(shop, job(1, at(0, 18), 12, 2))
    note(shop, 0)
    note(shop, 2)
    assert [row.allocated.card_s for row in report(shop)] == [12 * H, 12 * H]
    assert [row.allocated.pieces for row in report(shop)] == [1, 1]


def test_a_period_that_is_known_in_part(shop: Town) -> None:
    """The month in which the first note was made has no capacity; its later days have."""
    note(shop, 0)
    note(shop, 3)
    assert [row.available for row in report(shop, "month")] == [None]
    assert shares(report(shop)) == {f"2024-11-1{i}": (0, 0) for i in (1, 2, 3)}


def test_partitions_that_share_a_node(shop: Town) -> None:
    """ai1 is in two partitions: each has its 8 cards, and all of them together have 8. 6 hours of
    all cards in one and 12 in the other are 25, 50, and 75 %."""
    both = Alike(("ai1",), ("cards", "more"), CARDS)
    prices = delivery.ROUND.replace("round-1", "round-2")
    mapped = prices[prices.index("      cards:") : prices.index("      other:")]
    delivery.load_prices(shop, prices + mapped.replace("cards:\n", "more:\n", 1), "round-2")
    take(shop, job(1, at(0, 0), 6, 8), job(2, at(0, 6), 12, 8, partition="more"))
    note(shop, 0, both)
    note(shop, 1, both)
    assert shares(report(shop, per_partition=True)) == {
        "2024-11-11 cards": (2_500, 2_500),
        "2024-11-11 more": (5_000, 5_000),
    }
    assert shares(report(shop)) == {"2024-11-11": (7_500, 7_500)}


def test_cards_of_which_nobody_says_what_they_are(shop: Town) -> None:
    """A partition without a price, or a gres without a chip, has card hours and no PFLOPS, and
    neither has the sum with it; the others have."""
    strange = Alike(("x1",), ("new",), {"gpu:what": 4})
    none = Alike(("c1",), ("core",), {})
    for day in (0, 1):
        note(shop, day, AI, strange, none)
    take(shop, job(1, at(0, 0), 6, 8), job(2, at(0, 0), 6, 2, partition="new", gres="gpu:what=2"))
    found = {row.partition: row for row in report(shop, per_partition=True)}
    assert found["cards"].of_all_bp == 2_500
    assert found["core"].available == utilisation.Available(
        24 * H, 0, 0, dict.fromkeys(nodes.WHYS, 0), 0
    )
    assert found["core"].of_all_bp is None
    assert found["new"].available is not None
    assert (found["new"].available.card_s, found["new"].available.gflops_s) == (96 * H, None)
    assert found["new"].allocated == Allocated(12 * H, 0, 12 * H)
    [all_] = report(shop)
    assert (all_.of_all_bp, all_.in_service_bp) == (None, None)
    assert all_.allocated.card_s == 60 * H


def test_a_run_on_cards_that_nobody_mapped(shop: Town) -> None:
    """What one run used is not known, so no share of the day is, but for that of other partitions:
    its card-hours are there, and those that are known are not called all."""
    take(shop, job(1, at(0, 0), 6, 8), job(2, at(0, 6), 6, 2, gres="gpu:what=2"))
    for day in (0, 1):
        note(shop, day)
    [row] = report(shop)
    assert row.available is not None
    assert row.available.gflops_s == 72_192_000 * H
    assert row.allocated == Allocated(60 * H, 18_048_000 * H, 12 * H)
    assert (row.of_all_bp, row.in_service_bp) == (None, None)


def test_partitions_that_differ_about_a_card(shop: Town) -> None:
    """Where two partitions of a node say two chips of its cards, their sum is not known."""
    prices = delivery.ROUND.replace("round-1", "round-2")
    mapped = prices[prices.index("      cards:") : prices.index("      other:")]
    mapped = mapped.replace("cards:\n", "more:\n", 1).replace("ascend_910b2", "ascend_910b4")
    delivery.load_prices(shop, prices + mapped, "round-2")
    both = Alike(("ai1",), ("cards", "more"), CARDS)
    for day in (0, 1):
        note(shop, day, both)
    found = {row.partition: row.available for row in report(shop, per_partition=True)}
    assert all(each is not None and each.gflops_s for each in found.values())
    [all_] = report(shop)
    assert all_.available is not None
    assert all_.available.gflops_s is None


def test_suspended_seconds_are_not_used(shop: Town) -> None:
    """8 cards from 18:00 to 6:00 that stood still for 4 hours used 8 hours, 4 on either day."""
    take(shop, job(1, at(0, 18), 12, 8, elapsed_s=8 * H, suspended_s=4 * H))
    note(shop, 0)
    note(shop, 2)
    assert shares(report(shop)) == {
        "2024-11-11": (money.half_up(40_000, 24), money.half_up(40_000, 24)),
        "2024-11-12": (money.half_up(40_000, 24), money.half_up(40_000, 24)),
    }
    assert [row.allocated.card_s for row in report(shop)] == [32 * H, 32 * H]


def test_more_than_all_of_what_is_in_service(shop: Town) -> None:
    """Jobs run on reserved nodes: a node that is reserved all day but for an hour, and used for 12,
    is used for half of the day, and twelve times what everybody could have."""
    take(shop, job(1, at(0, 0), 12, 8))
    note(shop, 0)
    note(shop, 1, out=(Out("ai1", "reserved", at(0, 1), at(1)),))
    assert shares(report(shop)) == {"2024-11-11": (5_000, 120_000)}


def test_nothing_at_all(shop: Town) -> None:
    """Without runs and notes there are no rows; with runs alone no capacity."""
    assert report(shop) == []
    take(shop, job(1, at(0, 0), 6, 8))
    assert [(row.period, row.available) for row in report(shop)] == [("2024-11-11", None)]


@given(
    st.lists(
        st.tuples(st.integers(0, 2**62), st.lists(st.integers(0, 2**31), min_size=1, max_size=5)),
        max_size=5,
    )
)
def test_what_was_metered_is_split_without_a_rest(
    runs: list[tuple[int, list[int]]],
) -> None:
    """The pieces of a run come to what it was metered, none is below zero, and each has its share
    to a GFLOPS·second."""
    row = np.repeat(np.arange(len(runs)), [len(pieces) for _, pieces in runs]).astype(np.int64)
    seconds = np.array([s for _, pieces in runs for s in pieces], np.int64)
    ran_s = np.array([sum(pieces) for _, pieces in runs], np.int64)
    whole = np.array([g if sum(pieces) else 0 for g, pieces in runs], np.int64)
    parts = reports.parts(whole, ran_s, row, seconds).tolist()
    for i in range(len(runs)):
        own = [
            (p, s) for p, s, r in zip(parts, seconds.tolist(), row.tolist(), strict=True) if r == i
        ]
        assert sum(part for part, _ in own) == whole[i]
        for part, length in own:
            assert abs(part * max(1, int(ran_s[i])) - int(whole[i]) * length) <= int(ran_s[i])


ROW = (
    "7|7|chengdu|ai|normal|lab|li|1001|2026-11-27T16:00:00|2026-11-27T16:00:00"
    "|2026-11-27T22:00:00|21600|COMPLETED|1|4|cpu=4,gres/gpu:ascend_910b=8,gres/gpu=8,node=1"
    "|cpu=4,gres/gpu:ascend_910b=8,gres/gpu=8,node=1|"
)


def test_by_command(tmp_path: Path, monkeypatch) -> None:
    """From Slurm's answers to a report: in Chengdu's 27 November nodes were so by the operator's
    word, 6 hours of 8 cards of 16 ran on the 28th, and the cards of `sc` nobody mapped."""
    slurm = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{slurm.folder}:/usr/bin:/bin")
    monkeypatch.setattr("time.time", lambda: instant("2026-11-28T08:00:00+08:00"))
    home = furnished(tmp_path / "home")
    asked = ("report", "utilisation", "--cluster", CLUSTER)
    one_line(home.run(*asked), 3, "cluster chengdu: 0 runs and notes", "svoucher collect")
    home.ok("collect", "--cluster", CLUSTER, "--nodes", "--since", "2026-11-27")
    (tmp_path / "rows.psv").write_text(f"{HEADER}\n{ROW}\n")
    home.ok("import", str(tmp_path / "rows.psv"), "--cluster", CLUSTER)
    found = told.rows("report-utilisation", home.ok(*asked, "--by", "day", "--partition", "--json"))
    told.same_as_csv(found, home.ok(*asked, "--by", "day", "--partition", "--csv"))
    rows = {(row["period"], row["partition"]): row for row in found}
    assert set(rows) == {(f"2026-11-{d}", p) for d in (27, 28) for p in ("ai", "sc", "whole")}
    ai = rows["2026-11-28", "ai"]
    assert ai["until"] == "2026-11-28T08:00:00+08:00"
    assert (ai["card_hours"], ai["pflops_hours"]) == ("128.0000", "48.1280")
    assert (ai["allocated_card_hours"], ai["allocated_pflops_hours"]) == ("48.0000", "18.0480")
    assert ai["used"] == "37.50%"
    # drained: ai1 11 s and ai2 38 s, of which 8 s are reserved besides; reserved: ai1 30 min less
    # 5 s, and ai2's 5 s lie within its drain
    assert (ai["drained"], ai["reserved"]) == ("0.1089", "4.0000")
    assert (rows["2026-11-28", "sc"]["card_hours"], rows["2026-11-28", "sc"]["used"]) == (
        "64.0000", None,
    )  # fmt: skip
    assert rows["2026-11-27", "ai"]["until"] is None
    table = home.ok(*asked)
    assert table.startswith("counted split by time (Asia/Shanghai), runs that have ended, PFLOPS")
    [month] = told.rows("report-utilisation", home.ok(*asked, "--json"))
    assert [month[name] for name in ("partition", "card_hours", "used")] == [None, None, None]
    zone = home.run(*asked, "--timezone", "Asia/Chengdu")
    assert zone.exit_code == 2


def test_a_note_that_cannot_be_read_by_command(tmp_path: Path) -> None:
    """It is one line that names the file, and no report without it."""
    home = furnished(tmp_path / "home")
    path = nodes.keep(home.path / "archive", CLUSTER, Note(at(0), at(0), at(0), (AI,), ()))
    (home.path / "archive" / path).write_text("{")
    asked = home.run("report", "utilisation", "--cluster", CLUSTER)
    one_line(asked, 5, path, "cannot be read", "restore it")
