"""Days, weeks, months, quarters and years of a time zone as half-open intervals of epoch seconds.

Periods are written 2016-12-31, 2016-W52, 2016-12, 2016-Q4 and 2016, everywhere. Weeks are those of
ISO 8601: they begin on Mondays, and the first one of a year has its first Thursday.
"""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SHANGHAI = "Asia/Shanghai"
KINDS = ("day", "week", "month", "quarter", "year")

_PERIOD = re.compile(r"([12][0-9]{3})(?:-Q([1-4])|-W([0-9]{2})|-([0-9]{2})(?:-([0-9]{2}))?)?")


def zone(name: str) -> ZoneInfo:
    """Look up a time zone, or raise ValueError that names it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"time zone {name!r} is unknown; use a name such as {SHANGHAI}") from None


def instant(day: date, timezone: str) -> int:
    """Return the epoch second at which a day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone(timezone)).timestamp())


def day_of(at_s: int, timezone: str) -> date:
    """Return the calendar day of an instant."""
    return datetime.fromtimestamp(at_s, zone(timezone)).date()


def clock(at_s: int, timezone: str) -> str:
    """Print an instant as local time with its offset: 2026-11-22T08:00:00+08:00."""
    return datetime.fromtimestamp(at_s, zone(timezone)).isoformat()


def first_day(period: str) -> date:
    """Return the first day of a period such as 2016-Q4, or raise ValueError."""
    match = _PERIOD.fullmatch(period)
    if match is None:
        raise ValueError(
            f"{period!r} is no period; write 2016-12-31, 2016-W52, 2016-12, 2016-Q4 or 2016"
        )
    year, quarter, week, month, day = match.groups()
    if quarter:
        return date(int(year), int(quarter) * 3 - 2, 1)
    try:
        if week:
            return date.fromisocalendar(int(year), int(week), 1)
        return date(int(year), int(month or 1), int(day or 1))
    except ValueError as error:
        raise ValueError(f"{period!r} is no period: {error}") from None


def kind_of(period: str) -> str:
    """Tell whether a period is a day, week, month, quarter or year."""
    first_day(period)
    return {4: "year", 8: "week", 10: "day"}.get(
        len(period), "quarter" if "Q" in period else "month"
    )


def name_of(day: date, kind: str) -> str:
    """Name the period of a kind that a day belongs to."""
    match kind:
        case "day":
            return day.isoformat()
        case "week":
            year, week, _ = day.isocalendar()
            return f"{year}-W{week:02d}"
        case "month":
            return f"{day.year}-{day.month:02d}"
        case "quarter":
            return f"{day.year}-Q{(day.month + 2) // 3}"
        case "year":
            return str(day.year)
    raise ValueError(f"{kind!r} is no kind of period; use one of {', '.join(KINDS)}")


def following(period: str) -> str:
    """Name the period after this one, of the same kind."""
    kind = kind_of(period)
    step = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[kind]
    return name_of(first_day(period) + timedelta(days=step), kind)


def bounds(period: str, timezone: str) -> tuple[int, int]:
    """Return the half-open interval of epoch seconds that a period covers."""
    return instant(first_day(period), timezone), instant(first_day(following(period)), timezone)


def month_of(at_s: int, timezone: str) -> str:
    """Name the month that an instant falls into.

    Example:
        2023-12-31T16:00:00Z is in 2024-01 in Asia/Shanghai.
    """
    return name_of(day_of(at_s, timezone), "month")
