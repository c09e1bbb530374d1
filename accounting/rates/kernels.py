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


@_compiled
def _overlap(from_s: int, until_s: int, begin_s: int, end_s: int) -> int:
    return max(0, min(until_s, end_s) - max(from_s, begin_s))


@_compiled
def _dearest(
    steps: Int64s, first: int, last: int, span: Int64s, below: int
) -> tuple[int, int, int]:
    """Return the highest rate under `below` in a span and its seconds inside and outside."""
    best, inside, outside = -1, 0, 0
    for j in range(first, last):
        until_s = steps[j + 1, 0] if j + 1 < last else span[1]
        seconds = _overlap(steps[j, 0], until_s, span[0], span[1])
        rate = steps[j, 1]
        if seconds == 0 or rate >= below or rate < best:
            continue
        if rate > best:
            best, inside, outside = rate, 0, 0
        begin_s, end_s = max(steps[j, 0], span[0]), min(until_s, span[1])
        valid = _overlap(begin_s, end_s, span[3], span[4])
        inside += valid
        outside += seconds - valid
    return best, inside, outside


@_compiled
def price_runs(
    item: Int64s, spans: Int64s, firsts: Int64s, steps: Int64s, unit: Int64s, out: Int64s
) -> None:
    """Price runs over the steps of their items; `rating.rate` documents the arrays."""
    for i in range(item.shape[0]):
        first, last = firsts[item[i]], firsts[item[i] + 1]
        span = spans[i]
        while first + 1 < last and steps[first + 1, 0] <= span[0]:
            first += 1
        total, eligible, problem = 0, 0, -1
        for j in range(first, last):
            begin_s = max(steps[j, 0], span[0])
            if begin_s >= span[1]:
                break
            if steps[j, 1] < 0:
                problem = j
                break
            end_s = min(steps[j + 1, 0], span[1]) if j + 1 < last else span[1]
            total += steps[j, 1] * (end_s - begin_s)
            eligible += steps[j, 1] * _overlap(begin_s, end_s, span[3], span[4])
        if problem >= 0:
            out[i, 0] = -1 - problem
            out[i, 1] = 0
            continue
        left, below = span[2], _HIGHEST
        while left > 0 and below >= 0:
            below, inside, outside = _dearest(steps, first, last, span, below)
            cut = min(left, inside)
            eligible -= cut * below
            cut += min(left - cut, outside)
            total -= cut * below
            left -= cut
        out[i, 0] = (2 * total + unit[item[i]]) // (2 * unit[item[i]])
        out[i, 1] = (2 * eligible + unit[item[i]]) // (2 * unit[item[i]])
