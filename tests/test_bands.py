"""Bands of the day follow the clock on the wall, also where it is put forward or back."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prices import DAY_S, EPOCH_S, plans

from accounting import period
from accounting.rates.bands import LAST_CLOCK_S, Plan

BERLIN = "Europe/Berlin"
DAY = Plan(((8 * 3600, "peak"), (22 * 3600, "valley")), BERLIN)
NIGHT = Plan(((0, "early"), (9_000, "late")), BERLIN)  # 02:30


def hours(plan, day):
    """Return how many hours of a day each band has."""
    begin_s, end_s = period.bounds(day, plan.timezone)
    found = dict.fromkeys(plan.bands, 0)
    changes = [*plan.changes(begin_s, end_s), (end_s, "")]
    for (at_s, band), (next_s, _) in pairwise(changes):
        found[band] += next_s - at_s
    return {band: seconds // 3600 for band, seconds in found.items()}


def test_the_last_band_goes_on_through_midnight():
    """Valley from 22:00 holds until 08:00 of the next day."""
    begin_s = period.instant(date(2024, 1, 15), BERLIN)

    assert DAY.changes(begin_s, begin_s + DAY_S) == [
        (begin_s, "valley"),
        (begin_s + 8 * 3600, "peak"),
        (begin_s + 22 * 3600, "valley"),
    ]


@pytest.mark.parametrize(
    ("plan", "day", "expected"),
    [
        (DAY, "2024-01-15", {"peak": 14, "valley": 10}),
        (DAY, "2024-03-31", {"peak": 14, "valley": 9}),
        (DAY, "2024-10-27", {"peak": 14, "valley": 11}),
        (NIGHT, "2024-03-31", {"early": 2, "late": 21}),
        (NIGHT, "2024-10-27", {"early": 3, "late": 22}),
    ],
)
def test_days_of_23_and_25_hours(plan, day, expected):
    """The hour left out is in no band; the hour that comes twice is in its bands twice.

    02:30 is not shown on 31 March, when 02:00 is followed by 03:00; on 27 October, when 02:59 is
    followed by 02:00, it is shown twice.
    """
    assert expected == hours(plan, day)


@settings(max_examples=100, deadline=None)
@given(plans(), st.integers(-400, 400), st.integers(0, 3 * DAY_S), st.integers(0, DAY_S))
def test_changes_are_what_the_clock_shows(plan, days, length_s, at_s):
    """In every span, the band that began last is the one that the clock shows."""
    begin_s = EPOCH_S + days * DAY_S + at_s
    changes = plan.changes(begin_s, begin_s + length_s)

    assert bool(changes) == bool(length_s)
    assert [at for at, _ in changes] == sorted({at for at, _ in changes})
    for at_s, band in changes:
        assert plan.at(at_s) == band
        assert at_s == begin_s or plan.at(at_s - 1) != band
    for at_s in range(begin_s, begin_s + length_s, 450):
        assert [band for at, band in changes if at <= at_s][-1] == plan.at(at_s)


def test_local_time_is_known_as_far_as_it_is_asked_for():
    """The last day of the calendar has its bands too."""
    assert len(DAY.changes(LAST_CLOCK_S - DAY_S, LAST_CLOCK_S)) == 3
