"""All compiled loops of the domain, in this one file.

They must stay in one file: a cached kernel does not notice an edit to a helper elsewhere and goes
on giving the old figures. They do not check, allocate or explain; wrappers do. int64 overflow is
silent here, so a wrapper proves its bound before it calls. Import this only where it is used.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
_HIGHEST = 2**63 - 1
F = TypeVar("F", bound=Callable[..., Any])


def _compiled(function: F) -> F:
    """Compile, and keep the machine code where there is a place to keep it."""
    try:
        compiled = numba.njit(cache=True)(function)
    except RuntimeError:  # neither the package nor a home directory can be written to
        compiled = numba.njit(function)
    return cast(F, compiled)


FROM, UNTIL, RATE, FIRST, LAST, BAND = range(6)
"""Columns of a slot: a rate and when it holds; BAND < 0: at all hours, else a band of the calendar
in the rows FIRST to LAST."""

UNKNOWN, FREE = -1, -2
"""Rates that are none."""


@_compiled
def _band_s(slot: Int64s, calendar: Int64s, at_s: int) -> int:
    """Return the seconds of a slot's band from the calendar's begin to an instant."""
    low, high, band = slot[FIRST], slot[LAST], slot[BAND]
    while high - low > 1:
        middle = (low + high) // 2
        if calendar[middle, 0] <= at_s:
            low = middle
        else:
            high = middle
    since_s = at_s - calendar[low, 0] if calendar[low, 1] == band else 0
    return int(calendar[low, 2 + band] + since_s)


@_compiled
def _seconds(slot: Int64s, calendar: Int64s, from_s: int, until_s: int) -> int:
    """Return the seconds of an interval in which a slot holds."""
    begin_s, end_s = max(from_s, slot[FROM]), min(until_s, slot[UNTIL])
    if begin_s >= end_s:
        return 0
    if slot[BAND] < 0:
        return int(end_s - begin_s)
    return _band_s(slot, calendar, end_s) - _band_s(slot, calendar, begin_s)


@_compiled
def _valid(slot: Int64s, calendar: Int64s, span: Int64s) -> int:
    """Return those of the seconds of a run that lie in its window."""
    return _seconds(slot, calendar, max(span[0], span[3]), min(span[1], span[4]))


@_compiled
def _dearest(
    slots: Int64s, calendar: Int64s, first: int, last: int, span: Int64s, below: int
) -> tuple[int, int, int]:
    """Return the highest rate under `below` in a span and its seconds inside and outside."""
    best, inside, outside = -1, 0, 0
    for j in range(first, last):
        rate = slots[j, RATE]
        if rate >= below or rate < best:
            continue
        seconds = _seconds(slots[j], calendar, span[0], span[1])
        if seconds == 0:
            continue
        if rate > best:
            best, inside, outside = rate, 0, 0
        valid = _valid(slots[j], calendar, span)
        inside += valid
        outside += seconds - valid
    return best, inside, outside


@_compiled
def price_runs(
    item: Int64s,
    spans: Int64s,
    firsts: Int64s,
    slots: Int64s,
    calendar: Int64s,
    unit: Int64s,
    out: Int64s,
) -> None:
    """Price runs over the slots of their items; `rating.rate` documents the arrays."""
    for i in range(item.shape[0]):
        first, last = firsts[item[i]], firsts[item[i] + 1]
        span = spans[i]
        while first + 1 < last and slots[first, UNTIL] <= span[0]:
            first += 1
        total, eligible, problem, free, paid = 0, 0, -1, -1, False
        for j in range(first, last):
            if slots[j, FROM] >= span[1]:
                break
            seconds = _seconds(slots[j], calendar, span[0], span[1])
            if seconds == 0:
                continue
            if slots[j, RATE] == UNKNOWN:
                problem = j
                break
            if slots[j, RATE] == FREE:
                free = j if free < 0 else free
                continue
            paid = True
            total += slots[j, RATE] * seconds
            eligible += slots[j, RATE] * _valid(slots[j], calendar, span)
        if problem < 0 and not paid:
            problem = free
        if problem >= 0:
            out[i, 0] = -1 - problem
            out[i, 1] = 0
            continue
        left, below = span[2], _HIGHEST
        while left > 0 and below >= 0:
            below, inside, outside = _dearest(slots, calendar, first, last, span, below)
            cut = min(left, inside)
            eligible -= cut * below
            cut += min(left - cut, outside)
            total -= cut * below
            left -= cut
        out[i, 0] = (2 * total + unit[item[i]]) // (2 * unit[item[i]])
        out[i, 1] = (2 * eligible + unit[item[i]]) // (2 * unit[item[i]])
        if total > 0 and out[i, 0] < span[5]:
            out[i, 0] = span[5]
            if eligible == total:
                out[i, 1] = span[5]
