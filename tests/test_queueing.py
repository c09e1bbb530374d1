"""How long runs waited for their start: each case worked out by hand."""

from dataclasses import replace

import pytest
from delivery import HOUR_S, load_prices, run, take
from town import CLUSTER, POLICY, Town, instant

from accounting.settle import queueing
from slurm_voucher.charts import reports

OCTOBER, NOVEMBER = "2024-10-31T23:00:00+08:00", "2024-11-20T12:00:00+08:00"


def waits(town: Town, by: str = "month") -> dict[str, tuple[int, ...]]:
    """Count the town's runs."""
    with town.begin() as conn:
        return queueing.waits(conn, town.archive, CLUSTER, by, POLICY.timezone)


def waited(number: int, seconds: int, end: str = NOVEMBER):
    """Make a run of an hour that waited so long for its start."""
    own = run(number, HOUR_S, end)
    assert own.start_s is not None
    return replace(own, submit_s=own.start_s - seconds)


@pytest.fixture
def shop(town: Town) -> Town:
    """The town with its prices."""
    load_prices(town)
    return town


def test_runs_are_counted_by_their_wait(shop: Town) -> None:
    """A bound belongs to what is up to it, a second more to the next."""
    seconds = (0, 600, 601, 3_600, 3_601, 28_800, 28_801, 86_400, 86_401, 10**6)
    take(shop, *(waited(i, each) for i, each in enumerate(seconds, 1)))

    assert waits(shop) == {"2024-11": (2, 2, 2, 2, 2)}


def test_a_run_counts_where_it_began_and_once(shop: Town) -> None:
    """A run over a month's end is of the month in which it began, one told again counts once, and
    one that never started is none."""
    over = replace(
        waited(1, 5_000, OCTOBER), end_s=instant("2024-11-02T00:00:00+08:00"), elapsed_s=90_000
    )
    never = replace(
        run(3), start_s=None, billed_from_s=None, elapsed_s=0, state="CANCELLED", submit_s=1
    )
    assert waits(shop) == {}
    take(shop, over, never, waited(2, 30))
    take(shop, replace(over, elapsed_s=over.elapsed_s - 60, end_s=over.end_s - 60))

    assert waits(shop) == {"2024-10": (0, 0, 1, 0, 0), "2024-11": (1, 0, 0, 0, 0)}
    assert waits(shop, "total") == {"total": (1, 0, 1, 0, 0)}


def test_waits_are_drawn(shop: Town) -> None:
    """Each month is a bar of all its runs, by their wait; without runs there is no chart."""
    assert reports.waits({}, "chengdu") == []
    [chart] = reports.waits({"2024-10": (3, 0, 1, 0, 0), "2024-12": (1, 0, 0, 0, 2)}, "chengdu")

    assert chart.at == ("2024-10", "2024-11", "2024-12")
    assert [(each.name, *map(str, each.values)) for each in chart.series] == [
        ("up to 10 minutes", "3", "0", "1"),
        ("up to an hour", "0", "0", "0"),
        ("up to 8 hours", "1", "0", "0"),
        ("up to a day", "0", "0", "0"),
        ("longer than a day", "0", "0", "2"),
    ]
