"""accounting/runs/reports.py: usage by period, split by time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import a_run

from accounting import period
from accounting.runs import reports, usage
from accounting.runs.run import Run

MIDNIGHT_S = 1_720_022_400
"""2024-07-04T00:00:00 in Asia/Shanghai."""


def run_of(begin_s: int, end_s: int, suspended_s: int = 0, **changes: Any) -> Run:
    """Make a run of an interval around that midnight."""
    return a_run(
        start_s=MIDNIGHT_S + begin_s,
        billed_from_s=MIDNIGHT_S + begin_s,
        end_s=MIDNIGHT_S + end_s,
        elapsed_s=end_s - begin_s - suspended_s,
        suspended_s=suspended_s,
        **changes,
    )


def by(kind: str, *runs: Run) -> list[dict[str, str | int]]:
    """Report runs in Asia/Shanghai."""
    found = reports.usage_by(usage.table(runs), kind, period.SHANGHAI)
    return [{"period": name, **own.row()} for name, own in found.items()]


def test_a_run_over_midnight() -> None:
    """12 CPUs and 2 cards from 23:30 to 00:15 are 6 CPU hours on one day and 3 on the next."""
    before, after = by("day", run_of(-1800, 900, cpus=12, cards=2))

    assert before == {
        "period": "2024-07-03",
        "wall_hours": "0.5000",
        "node_hours": "0.5000",
        "cpu_hours": "6.0000",
        "card_hours": "1.0000",
        "runs": 1,
        "started": 1,
        "ended": 0,
    }
    assert after["period"] == "2024-07-04"
    assert (after["cpu_hours"], after["card_hours"]) == ("3.0000", "0.5000")
    assert (after["runs"], after["started"], after["ended"]) == (1, 0, 1)


def test_suspended_seconds_are_spread_in_proportion() -> None:
    """100 s before and 50 s after midnight of which 50 s stood still: 66 s by midnight, then 34."""
    (total,) = by("total", run_of(-100, 50, suspended_s=50, cpus=3600))
    days = by("day", run_of(-100, 50, suspended_s=50, cpus=3600))

    assert [day["cpu_hours"] for day in days] == ["66.0000", "34.0000"]
    assert total["cpu_hours"] == "100.0000"


def test_a_run_that_ends_at_midnight() -> None:
    """Intervals are half-open: nothing of it is on the next day, but that is where it ended."""
    before, after = by("day", run_of(-60, 0))

    assert (before["runs"], before["ended"]) == (1, 0)
    assert (after["runs"], after["ended"], after["wall_hours"]) == (0, 1, "0.0000")


def test_days_on_which_nothing_ran() -> None:
    """A day between two runs is there and says zero."""
    days = by("day", run_of(0, 60), run_of(2 * 86400, 2 * 86400 + 60))

    assert [day["runs"] for day in days] == [1, 0, 1]


def test_never_started_is_not_counted() -> None:
    """A run that never started ran in no period."""
    never = a_run(start_s=None, billed_from_s=None, elapsed_s=0)

    assert by("day", never) == []
    assert by("total", never, run_of(0, 1))[0]["runs"] == 1


def test_a_resized_job_is_not_counted_twice() -> None:
    """The seconds before billed_from_s belong to the earlier part of the job."""
    (day,) = by("day", a_run(start_s=a_run().submit_s - 50, elapsed_s=3750, cpus=2))

    assert day["cpu_hours"] == "2.0000"


def test_more_than_int64_holds() -> None:
    """Sums are exact where int64 would overflow."""
    run = run_of(0, 2**33, cpus=2**31 - 1)
    (total,) = by("total", *[run] * 3)

    hours = 3 * 2**33 * (2**31 - 1)
    assert total["cpu_hours"] == f"{hours // 3600}.{(hours % 3600 * 10000 + 1800) // 3600:04d}"


def test_unknown_kind() -> None:
    """A kind of period that there is not is refused by name."""
    with pytest.raises(ValueError, match="'fortnight' is no kind of period"):
        by("fortnight", run_of(0, 1))


@given(
    st.lists(
        st.tuples(st.integers(-(10**7), 10**7), st.integers(0, 10**6), st.integers(0, 10**6)).map(
            lambda t: run_of(t[0], t[0] + t[1], min(t[1], t[2]), cpus=3600, nodes=1)
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([*period.KINDS, "total"]),
)
def test_periods_add_up(runs: list[Run], kind: str) -> None:
    """Whatever the periods, their seconds add up to what elapsed."""
    found = by(kind, *runs)

    hours = sum(int(str(row["cpu_hours"]).removesuffix(".0000")) for row in found)
    assert hours == sum(run.elapsed_s for run in runs)
    assert sum(int(row["started"]) for row in found) == len(runs)
    assert sum(int(row["ended"]) for row in found) == len(runs)
