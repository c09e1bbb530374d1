"""What kinds of runs cost, laid out so that a look-up is a few steps whatever the price list is.

Kinds whose rates rise and fall together share a *line*: what a run costs that began at the tables'
begin, as a function of its end. That is straight between any two changes of price or band, so it is
kept as a + b × t for each of the intervals between all changes of all lines. What a run costs is
then the line at its end less the line at its begin, times the kind's multiplier, over one unit.

Kinds that do not fit (a price that is not known for all of the time, terms that round up, figures
that int64 may not hold) are left out, and it is said which; they are rated as `rating` does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from accounting.errors import UsageInvalid
from accounting.rates.basis import Basis, Step
from accounting.rates.definition import LARGEST, NOWHEN, pieces
from accounting.rates.kernels import CELL_S, ITEM, Tables
from accounting.rates.prices import Price

Int64s = npt.NDArray[np.int64]

SPAN_MAX_S = 2**31 - 1
"""The longest time that one set of tables covers, 68 years."""
_NUMERATOR_MAX = 2**62
_CHARGE_MAX_MICRO = 2**51
"""Below it the kernel divides exactly."""
_SUM_MAX_MICRO = 2**61
"""As much again is left for what each run is rounded up by."""
NEVER_S = 2**62
"""End of the last interval."""

Line = list[tuple[int, int]]
"""From when on a second costs how much."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """A kind whose price is known for all of the time.

    Attributes:
        shape: How its rates rise and fall: steps with rates over what divides all of them.
        factor: Micro-yuan for each unit of its line.
        most_micro: What the longest run costs at the highest rate.
    """

    shape: tuple[Step, ...]
    factor: Fraction
    most_micro: Fraction


def build(
    bases: Sequence[Basis],
    partition: Sequence[int],
    span: tuple[int, int],
    longest_s: int,
    total_s: int,
) -> tuple[Tables, npt.NDArray[np.bool_]]:
    """Lay out what kinds cost.

    Args:
        bases: What the tariff says of each kind.
        partition: The number that the sums of each kind go to.
        span: First begin and last end of all runs.
        longest_s: The longest run, from the begin of billing to its end.
        total_s: The seconds of all runs together.

    Returns:
        The tables, which hold for all runs within these bounds: `unit`; `base_s`, where their time
        begins; uint16 or uint32[c] `cells`, twice the number of the interval in force at the begin
        of each CELL_S, and whether an `odd` one begins within a cell; int64[i] `ends` of the
        intervals; int64[2·i] a and b of each interval, line after line; int64[2·k] for each kind
        where its line begins, and its multiplier; uint32[k] its partition. And bool[k]: which kinds
        are in them; runs of others are priced beforehand, and added up with their partition.

    Raises:
        UsageInvalid: The runs lie further apart than tables reach.
    """
    base_s = span[0] // CELL_S * CELL_S
    if span[1] - base_s > SPAN_MAX_S:
        raise UsageInvalid(
            f"runs: {span[1] - base_s} s from the first begin to the last end, {SPAN_MAX_S} s are "
            "possible at once; rate them in parts"
        )
    fits = [_fit(found, span, longest_s, total_s) for found in bases]
    unit, taken = _unit(fits)
    shapes = dict.fromkeys(fit.shape for fit in taken.values())
    lines = {shape: _line(shape, span) for shape in shapes}
    starts = sorted({base_s, *(start for line in lines.values() for start, _ in line[1:])})
    place = {shape: 2 * n * len(starts) for n, shape in enumerate(lines)}
    items = np.zeros((len(bases), ITEM), np.int64)
    for i, fit in taken.items():
        items[i] = place[fit.shape], int(fit.factor * unit)
    straight = [_straight(line, starts, base_s) for line in lines.values()]
    tables = Tables(
        unit=unit,
        base_s=base_s,
        longest_s=longest_s,
        odd=any((start - base_s) % CELL_S for start in starts),
        cells=cells(starts, base_s, span[1]),
        ends=np.array([*(start - base_s for start in starts[1:]), NEVER_S], np.int64),
        lines=np.concatenate([np.zeros(2 * len(starts), np.int64), *straight][bool(straight) :]),
        items=items.ravel(),
        partition=np.array(partition, np.uint32),
    )
    return tables, np.isin(np.arange(len(bases)), list(taken))


def _fit(found: Basis, span: tuple[int, int], longest_s: int, total_s: int) -> _Fit | None:
    """Return how the rates of a kind rise and fall; None where it has none at some time, or where
    int64 might not hold what a run costs, or all of them if all were of this kind."""
    begun_s = max(step.from_s for step in found.steps if step.from_s <= span[0])
    steps = [step for step in found.steps if begun_s <= step.from_s < max(span[1], span[0] + 1)]
    rounded = any(each.per_s > 1 or each.minimum_micro for each in found.terms)
    if rounded or any(step.problem for step in steps):
        return None
    divisor = math.gcd(*(step.rate for step in steps))
    highest = max(step.rate for step in steps)
    line_max = highest // (divisor or 1) * (span[1] - span[0] + CELL_S)
    most_micro = Fraction(highest * max(1, longest_s), found.unit)
    sum_micro = Fraction(highest * total_s, found.unit)
    if line_max >= _NUMERATOR_MAX or most_micro >= _CHARGE_MAX_MICRO or sum_micro >= _SUM_MAX_MICRO:
        return None
    if found.gflops_s(longest_s) > LARGEST:
        return None
    shape = tuple(_bare(step, divisor or 1) for step in steps)
    return _Fit(shape, Fraction(divisor, found.unit), most_micro)


def _bare(step: Step, divisor: int) -> Step:
    """Return a step without what does not matter to its line, so that others are equal to it."""
    plan, band = (step.price.plan, step.price.band) if step.price else (None, None)
    return Step(step.from_s, step.rate // divisor, Price(step.from_s, None, "", 0, plan, band), "")


def _line(shape: tuple[Step, ...], span: tuple[int, int]) -> Line:
    """Return when the rate of a shape changes; the first also holds before."""
    parts = pieces(shape, span[0], max(span[1], span[0] + 1), NOWHEN)
    line = [(part.from_s, part.step.rate) for part in parts]
    return [line[0], *(b for a, b in pairwise(line) if a[1] != b[1])]


def _straight(line: Line, starts: Sequence[int], base_s: int) -> Int64s:
    """Return a and b of a line in each interval, one after the other."""
    found, cost, before_s = [], 0, base_s
    changes = dict(line[1:])
    rate = line[0][1]
    for start in starts:
        cost += rate * (start - before_s)
        rate, before_s = changes.get(start, rate), start
        found += [cost - rate * (start - base_s), rate]
    return np.array(found, np.int64)


def cells(starts: Sequence[int], base_s: int, end_s: int) -> npt.NDArray[np.unsignedinteger]:
    """Return twice the number of the interval that holds at the begin of each cell."""
    begins = np.arange(base_s, end_s + CELL_S + 1, CELL_S)
    small = 2 * len(starts) <= np.iinfo(np.uint16).max
    found = 2 * np.searchsorted(np.array(starts), begins, side="right") - 2
    return found.astype(np.uint16 if small else np.uint32)


def _unit(fits: Sequence[_Fit | None]) -> tuple[int, dict[int, _Fit]]:
    """Find one unit for as many kinds as int64 holds, and say which these are.

    Small units come first: the odd price with many decimals shall not crowd out all others.
    """
    unit, highest, taken = 1, Fraction(0), {}
    known = [(i, fit) for i, fit in enumerate(fits) if fit is not None]
    for i, fit in sorted(known, key=lambda each: each[1].factor.denominator):
        larger, most = math.lcm(unit, fit.factor.denominator), max(highest, fit.most_micro)
        if 2 * larger * (most + 1) < _NUMERATOR_MAX:
            unit, highest, taken[i] = larger, most, fit
    return unit, taken
