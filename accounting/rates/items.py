"""Kinds of runs as the kernel reads them: their rates in small integers, and when these hold.

A price with bands is one slot for each band, beside a calendar that counts the seconds of each
band. So what a slot costs over any span is two look-ups, and a calendar is shared by all kinds that
have the same plan, however many they are and however long the span is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accounting.rates.bands import LAST_CLOCK_S, Plan
from accounting.rates.basis import FIRST_S, LAST_S, MFLOPS_PER_GFLOPS, Basis, Step
from accounting.rates.definition import LARGEST

Int64s = npt.NDArray[np.int64]

_AHEAD_S = 92 * 86_400
"""How much further a calendar is laid out that was too short."""
_KERNEL_MAX = 2**62
"""Half of what int64 holds: rounding half up doubles the sum."""


@dataclass(frozen=True, slots=True)
class Items:
    """The arrays, m slots of k items.

    Attributes:
        bases: What the tariff says of each item.
        span: For runs within which all of this is good.
        firsts: int64[k + 1], first slot of each item.
        slots: int64[m, 6]: first second; the first after it; rate in micro-yuan per `unit`
            seconds, -1: not known, -2: free; first and last row of the calendar and the band in
            it, -1: at all hours.
        steps: The step behind each slot.
        calendar: int64[e, 2 + b]: when a band begins, which, and the seconds of each band before.
        unit: int64[k], the unit of the item's basis, reduced together with its rates.
        longest_s: int64[k], longest run that int64 prices exactly; 0: none.
        speed: int64[k, 2], whole GFLOPS and the thousandths beyond.
        most_s: int64[k], most billed seconds whose card-GFLOPS int64 holds.
    """

    bases: list[Basis]
    span: tuple[int, int]
    firsts: Int64s
    slots: Int64s
    steps: list[Step]
    calendar: Int64s
    unit: Int64s
    longest_s: Int64s
    speed: Int64s
    most_s: Int64s


def build(bases: list[Basis], begin_s: int, end_s: int) -> Items:
    """Put bases into arrays, good for runs within [begin, end)."""
    return Grown().items(bases, begin_s, end_s)


class Grown:
    """Items that grow: runs that come part after part are of few kinds, each laid out once."""

    def __init__(self) -> None:
        self._span = FIRST_S, FIRST_S
        self._rows: dict[Plan, tuple[int, int]] = {}
        self._items: Items | None = None

    def items(self, bases: list[Basis], begin_s: int, end_s: int) -> Items:
        """Put bases into arrays; those that were there before stand first, in the same order."""
        known = self._items
        new = bases[len(known.bases) :] if known is not None else bases
        reaches = self._reaches(begin_s, end_s)
        if known is not None and not new and reaches:
            return known
        plans = _plans(new)
        if known is None or not reaches or plans.keys() - self._rows:
            self._reach(begin_s, end_s)
            calendar, self._rows = _calendars(list(_plans(bases)), *self._span)
            self._items = _laid_out(bases, self._span, calendar, self._rows)
        else:
            more = _laid_out(new, self._span, known.calendar, self._rows)
            self._items = _joined(known, more)
        return self._items

    def _reaches(self, begin_s: int, end_s: int) -> bool:
        """Tell whether a span lies within what is laid out; one without a second does."""
        return begin_s >= end_s or (self._span[0] <= begin_s and end_s <= self._span[1])

    def _reach(self, begin_s: int, end_s: int) -> None:
        first_s, last_s = self._span
        if first_s == last_s:
            self._span = begin_s, end_s
        elif begin_s < end_s:
            self._span = min(first_s, begin_s), max(last_s, end_s + _AHEAD_S)


def _plans(bases: Sequence[Basis]) -> dict[Plan, None]:
    """Return the plans of the day that bases have, each once, in order."""
    steps = (step for found in bases for step in found.steps)
    return {step.price.plan: None for step in steps if step.price and step.price.plan}


def _laid_out(
    bases: list[Basis], span: tuple[int, int], calendar: Int64s, rows: dict[Plan, tuple[int, int]]
) -> Items:
    """Put bases into arrays, beside a calendar."""
    units, longest_s, slots, firsts = [], [], [], [0]
    for found in bases:
        unit, longest, rates = _reduced(found)
        units.append(unit)
        longest_s.append(longest)
        slots += [
            (step.from_s, _until(found.steps, step), rate, *_band(step, rows))
            for step, rate in zip(found.steps, rates, strict=True)
        ]
        firsts.append(len(slots))
    mflops = [found.mflops for found in bases]
    most_s = [_most_s(each) for each in mflops]
    listed = (firsts, units, longest_s, most_s)
    first, unit_, longest_, most_ = (np.array(each, np.int64) for each in listed)
    speed = np.array([divmod(each, MFLOPS_PER_GFLOPS) for each in mflops], np.int64).reshape(-1, 2)
    slot_array = np.array(slots, np.int64).reshape(-1, 6)
    steps = [step for found in bases for step in found.steps]
    more = steps, calendar, unit_, longest_, speed, most_
    return Items(list(bases), span, first, slot_array, *more)


def _joined(known: Items, more: Items) -> Items:
    """Put items behind others that have the same calendar."""
    firsts = np.concatenate([known.firsts, more.firsts[1:] + known.firsts[-1]])
    names = ("unit", "longest_s", "speed", "most_s")
    arrays = [np.concatenate([getattr(known, name), getattr(more, name)]) for name in names]
    slots = np.concatenate([known.slots, more.slots])
    bases, steps = known.bases + more.bases, known.steps + more.steps
    return Items(bases, known.span, firsts, slots, steps, known.calendar, *arrays)


def _most_s(mflops: int) -> int:
    """Return the longest time whose whole GFLOPS-seconds int64 holds."""
    return min(LAST_S, ((LARGEST + 1) * MFLOPS_PER_GFLOPS - 1) // max(1, mflops))


def _until(steps: Sequence[Step], step: Step) -> int:
    later = [each.from_s for each in steps if each.from_s > step.from_s]
    return min(later, default=2 * LAST_S)


def _band(step: Step, rows: dict[Plan, tuple[int, int]]) -> tuple[int, int, int]:
    if step.price is None or step.price.plan is None or step.price.band is None:
        return 0, 0, -1
    plan = step.price.plan
    return (*rows[plan], plan.bands.index(step.price.band))


def _calendars(
    plans: Sequence[Plan], begin_s: int, end_s: int
) -> tuple[Int64s, dict[Plan, tuple[int, int]]]:
    """Count the seconds of each band of each plan; return the rows of all and where each lies."""
    begin_s, end_s = max(FIRST_S, begin_s), min(end_s, LAST_CLOCK_S)
    tables = [_calendar(plan, begin_s, max(begin_s + 1, end_s)) for plan in plans]
    width = max((table.shape[1] for table in tables), default=2)
    padded = [np.pad(table, ((0, 0), (0, width - table.shape[1]))) for table in tables]
    ends = np.cumsum([0, *(len(table) for table in tables)]).tolist()
    rows = {plan: (ends[i], ends[i + 1]) for i, plan in enumerate(plans)}
    return np.concatenate([np.zeros((0, width), np.int64), *padded]), rows


def _calendar(plan: Plan, begin_s: int, end_s: int) -> Int64s:
    changes = plan.changes(begin_s, end_s)
    number = {band: i for i, band in enumerate(plan.bands)}
    at_s = np.array([at for at, _ in changes], np.int64)
    band = np.array([number[name] for _, name in changes], np.int64)
    lasts_s = np.diff(at_s)[:, None] * (band[:-1, None] == np.arange(len(number)))
    before = np.concatenate([np.zeros((1, len(number)), np.int64), np.cumsum(lasts_s, axis=0)])
    return np.column_stack([at_s, band, before])


def _reduced(found: Basis) -> tuple[int, int, list[int]]:
    """Reduce the rates of a basis and their unit by what divides all of them.

    Returns:
        The unit; the longest run in seconds for which twice its charge in that unit fits into
        int64; and the rate of each step, as a slot has it.
    """
    rates = [step.rate for step in found.steps if not step.problem]
    divisor = math.gcd(found.unit, *rates)
    unit, highest = found.unit // divisor, max(rates, default=0) // divisor
    longest_s = (_KERNEL_MAX - unit) // max(1, highest)
    if longest_s <= 0:
        return 1, 0, [0 for _ in found.steps]
    return unit, longest_s, [_rate(step, divisor) for step in found.steps]


def _rate(step: Step, divisor: int) -> int:
    if step.problem:
        return -1
    return -2 if step.free else step.rate // divisor
