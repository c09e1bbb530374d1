"""Periods are half-open, calendar, and of the scheme's time zone."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import instant

from accounting import period
from accounting.period import SHANGHAI

DAYS = st.dates(date(1990, 1, 1), date(2200, 1, 1))
KINDS = st.sampled_from(period.KINDS)


def test_the_last_hours_of_utc_december_are_january():
    """2023-12-31T16:00:00Z is in January 2024, the second before is not."""
    midnight_s = instant("2023-12-31T16:00:00+00:00")

    assert period.month_of(midnight_s, SHANGHAI) == "2024-01"
    assert period.month_of(midnight_s - 1, SHANGHAI) == "2023-12"
    assert period.month_of(midnight_s, "UTC") == "2023-12"


@pytest.mark.parametrize(
    ("text", "kind", "begin", "end"),
    [
        ("2024-02-29", "day", "2024-02-29T00:00:00+08:00", "2024-03-01T00:00:00+08:00"),
        ("2024-02", "month", "2024-02-01T00:00:00+08:00", "2024-03-01T00:00:00+08:00"),
        ("2023-12", "month", "2023-12-01T00:00:00+08:00", "2024-01-01T00:00:00+08:00"),
        ("2024-Q1", "quarter", "2024-01-01T00:00:00+08:00", "2024-04-01T00:00:00+08:00"),
        ("2024-Q4", "quarter", "2024-10-01T00:00:00+08:00", "2025-01-01T00:00:00+08:00"),
        ("2024-W01", "week", "2024-01-01T00:00:00+08:00", "2024-01-08T00:00:00+08:00"),
        ("2026-W53", "week", "2026-12-28T00:00:00+08:00", "2027-01-04T00:00:00+08:00"),
        ("2024", "year", "2024-01-01T00:00:00+08:00", "2025-01-01T00:00:00+08:00"),
    ],
)
def test_bounds(text, kind, begin, end):
    """A period runs from its first midnight up to, and not with, the next one's."""
    assert period.kind_of(text) == kind
    assert period.bounds(text, SHANGHAI) == (instant(begin), instant(end))


@pytest.mark.parametrize(
    "text",
    [
        "", "24", "2024-13", "2024-00", "2024-2", "2023-02-29", "2024-Q0", "2024-Q5", "0000",
        "0000-Q1", "9999", "9999-12", "2024-W00", "2024-W53", "2024-W1", "２０２４",
        "2024-01 ", "last month",
    ],
)  # fmt: skip
def test_what_is_no_period_is_refused(text):
    """Text that is no period is refused by ValueError that names it."""
    with pytest.raises(ValueError, match="is no period") as caught:
        period.bounds(text, SHANGHAI)

    assert repr(text) in str(caught.value)


@given(DAYS, KINDS)
def test_a_period_holds_its_days(day, kind):
    """Each day is in the period named after it, and the next period begins where it ends."""
    name = period.name_of(day, kind)
    begin_s, end_s = period.bounds(name, SHANGHAI)

    assert begin_s <= period.instant(day, SHANGHAI) < end_s
    assert period.kind_of(name) == kind
    assert period.bounds(period.following(name), SHANGHAI)[0] == end_s


@given(DAYS)
def test_a_day_is_the_day_of_its_instant(day):
    """The instant at which a day begins is in that day, the second before is not."""
    begin_s = period.instant(day, SHANGHAI)

    assert period.day_of(begin_s, SHANGHAI) == day
    assert period.day_of(begin_s - 1, SHANGHAI) < day


def test_instants_are_printed_with_their_offset():
    """An instant is printed as local time with offset, so that nobody has to guess."""
    at_s = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
    assert period.clock(at_s, SHANGHAI) == "2026-11-22T08:00:00+08:00"


@pytest.mark.parametrize("name", ["", "Asia/Chengdu", "/etc/passwd", "../UTC"])
def test_an_unknown_time_zone_is_named(name):
    """A time zone that is unknown is refused by name."""
    with pytest.raises(ValueError, match="is unknown; use a name such as Asia/Shanghai"):
        period.zone(name)


def test_an_unknown_kind_is_refused():
    """There are five kinds of period; another is refused."""
    with pytest.raises(ValueError, match="'fortnight' is no kind of period"):
        period.name_of(date(2024, 1, 1), "fortnight")


def test_a_week_belongs_to_the_year_of_its_thursday():
    """30 December 2024 is in the first week of 2025, 1 January 2027 in the last one of 2026."""
    assert period.name_of(date(2024, 12, 30), "week") == "2025-W01"
    assert period.name_of(date(2027, 1, 1), "week") == "2026-W53"
    assert period.following("2026-W53") == "2027-W01"
