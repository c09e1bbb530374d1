"""Tables by which compiled loops read local times: when months begin, and when a zone has each
time once."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from accounting import period
from slurm_voucher import times
from slurm_voucher.sources import scan

_DAY_S = 86_400


@lru_cache(maxsize=1)
def months() -> scan.Longs:
    """Return the days from 1970 to the begin of each month, up to the year after the last."""
    years = range(1970, times.YEAR_MAX + 1)
    begins = [date(year, month, 1) for year in years for month in range(1, 13)]
    begins.append(date(times.YEAR_MAX + 1, 1, 1))
    return np.array([(each - date(1970, 1, 1)).days for each in begins], np.int64)


@lru_cache(maxsize=8)
def once(timezone: str) -> scan.Longs:
    """Return local times that come once, from, until, and the seconds that they are ahead of UTC.

    A zone changes at most once a day; days on which it does are searched for the second.
    """
    first, last = -2 * _DAY_S, int(months()[-1] + 2) * _DAY_S
    if timezone == "UTC":
        return np.array([(first, last, 0)], np.int64)
    zone = period.zone(timezone)

    def ahead(at_s: int) -> int:
        offset = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at_s)).astimezone(zone)
        return int((offset.utcoffset() or timedelta()).total_seconds())

    changes = [(first, ahead(first))]
    for day_s in range(first, last, _DAY_S):
        low, high = day_s, day_s + _DAY_S
        if ahead(low) == ahead(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if ahead(middle) == ahead(low) else (low, middle)
        changes.append((high, ahead(high)))
    ends = [*(at_s for at_s, _ in changes[1:]), last]
    spans = [(at_s + a, end_s + a, a) for (at_s, a), end_s in zip(changes, ends, strict=True)]
    once, until = [], spans[0][0]
    for i, (from_s, until_s, a) in enumerate(spans):
        following = spans[i + 1][0] if i + 1 < len(spans) else until_s
        once.append((max(from_s, until), min(until_s, following), a))
        until = until_s
    return np.array(once, np.int64)
