"""Bands of the day: whether the clock on the wall shows peak, flat or valley hours.

A second belongs to the band that a clock in the tariff's time zone shows in that second. So where
summer time begins, the hour that is left out is in no band; where it ends, the hour that comes
twice is in its bands twice. Knows nothing of prices.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from accounting import period

DAY_S = 86_400
LAST_CLOCK_S = 2**33
"""Until then (the year 2242) local time is worked out; no run has to be priced beyond."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When the bands of a day begin.

    Attributes:
        begins: Second of the day by the clock on the wall and the band that begins then, in order
            of time; the last one goes on through midnight.
        timezone: Where the clock hangs.
    """

    begins: tuple[tuple[int, str], ...]
    timezone: str

    @property
    def bands(self) -> tuple[str, ...]:
        """Every band once, in the order in which they first begin."""
        return tuple(dict.fromkeys(band for _, band in self.begins))

    def at(self, at_s: int) -> str:
        """Return the band of a second."""
        local = datetime.fromtimestamp(at_s, period.zone(self.timezone))
        second = local.hour * 3_600 + local.minute * 60 + local.second
        begun = [band for begin, band in self.begins if begin <= second]
        return begun[-1] if begun else self.begins[-1][1]

    def changes(self, begin_s: int, end_s: int) -> list[tuple[int, str]]:
        """Return when bands begin within [begin, end), as seconds, and which.

        The first stands at `begin_s`, with the band that it falls into.

        Example:
            Peak from 08:00, valley from 22:00, asked from 07:00 to 09:00: valley at 07:00, peak at
            08:00.
        """
        found: list[tuple[int, str]] = []
        for day in range(begin_s // DAY_S, -(-end_s // DAY_S)):
            for from_s, band in _of_day(self, day):
                at_s = max(from_s, begin_s)
                if at_s >= end_s:
                    break
                if found and found[-1][0] == at_s:
                    found[-1] = (at_s, band)
                elif not found or found[-1][1] != band:
                    found.append((at_s, band))
        return found


@lru_cache(maxsize=4_096)
def _of_day(plan: Plan, day: int) -> tuple[tuple[int, str], ...]:
    """Return the changes of the nth day of UTC since 1970, and its first second."""
    from_s = day * DAY_S
    cuts = {from_s, *_cuts(plan, from_s, from_s + DAY_S)}
    return tuple((at_s, plan.at(at_s)) for at_s in sorted(cuts))


def _cuts(plan: Plan, from_s: int, until_s: int) -> Iterator[int]:
    """Yield each second at which a band may begin; halve where the clock is put forward or back."""
    offset_s = _offset_s(from_s, plan.timezone)
    if offset_s == _offset_s(until_s - 1, plan.timezone):
        for begin, _ in plan.begins:
            at_s = from_s + (begin - offset_s - from_s) % DAY_S
            if at_s < until_s:
                yield at_s
    else:
        middle_s = (from_s + until_s) // 2
        yield middle_s
        yield from _cuts(plan, from_s, middle_s)
        yield from _cuts(plan, middle_s, until_s)


def _offset_s(at_s: int, timezone: str) -> int:
    offset = datetime.fromtimestamp(at_s, period.zone(timezone)).utcoffset()
    assert offset is not None, "a time zone knows its offset"
    return offset.days * DAY_S + offset.seconds
