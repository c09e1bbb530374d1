"""Prices laid out for look-up: which kinds fit, and that none can overflow."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prices import DAY_S, EPOCH_S, PRICES, runs, tariffs

from accounting.errors import UsageInvalid
from accounting.rates import definition, tables
from accounting.rates.basis import asked, basis
from accounting.rates.kernels import CELL_S, ITEM
from accounting.rates.prices import CORE_HOUR, Price
from accounting.rates.tariff import Partition, Tariff

YEAR = (EPOCH_S, EPOCH_S + 366 * DAY_S)


def core_hours(*prices: Price, span=YEAR, longest_s=DAY_S, total_s=10**9):
    """Lay out what a core costs by some prices."""
    tariff = Tariff("t", "none", {("c", "p"): Partition("p", {}, prices, ())}, "UTC")
    bases = [basis(tariff, asked("c", "p", "normal", {}, cores)) for cores in (1, 2, 96)]
    return tables.build(bases, [4, 5, 6], span, longest_s, total_s)


def test_kinds_with_proportional_rates_share_a_line() -> None:
    """Whatever its number of cores, a kind multiplies the same line."""
    built, fit = core_hours(
        Price(0, None, CORE_HOUR, 30_000), Price(EPOCH_S + 9, None, CORE_HOUR, 1)
    )

    items = built.items.reshape(-1, ITEM)
    assert fit.all()
    assert len(built.lines) == 2 * len(built.ends) == 4
    assert items[:, 0].tolist() == [0, 0, 0]
    assert items[:, 1].tolist() == [items[0, 1] * cores for cores in (1, 2, 96)]


def test_changes_at_half_hours_are_found_in_one_step() -> None:
    """Only where a price begins within a cell is anything left to look for."""
    even, _ = core_hours(Price(0, None, CORE_HOUR, 1), Price(1_700_001_000, None, CORE_HOUR, 2))
    odd, _ = core_hours(Price(0, None, CORE_HOUR, 1), Price(1_700_001_001, None, CORE_HOUR, 2))

    assert 1_700_001_000 % CELL_S == 0
    assert (even.odd, odd.odd) == (False, True)


@pytest.mark.parametrize(
    ("prices", "longest_s", "total_s"),
    [
        ([Price(EPOCH_S + 1, None, CORE_HOUR, 1)], DAY_S, 10**9),
        ([Price(0, None, CORE_HOUR, 10**15)], 400 * DAY_S, 400 * DAY_S),
        ([Price(0, None, CORE_HOUR, 10**9)], DAY_S, 2**54),
    ],
    ids=["no price at first", "a run that is too dear", "runs that are too dear together"],
)
def test_what_does_not_fit_is_said(prices, longest_s, total_s) -> None:
    """A kind without a price for all of the time, or that int64 may not hold, is left out."""
    built, fit = core_hours(*prices, longest_s=longest_s, total_s=total_s)

    assert not fit.any()
    assert built.items.reshape(-1, ITEM)[:, 1].tolist() == [0, 0, 0]
    assert built.partition.tolist() == [4, 5, 6]


def test_runs_too_far_apart_are_refused() -> None:
    """Tables reach over 68 years."""
    with pytest.raises(UsageInvalid, match="possible at once; rate them in parts"):
        core_hours(Price(0, None, CORE_HOUR, 1), span=(0, 2**31 + CELL_S))


@settings(max_examples=60, deadline=None)
@given(tariffs(), runs(st.integers(1, 400 * DAY_S)))
def test_a_kind_that_fits_cannot_overflow(tariff, run) -> None:
    """At the dearest second of a line, for the longest run, all that the kernel makes is in int64,
    and the line is the definition."""
    found = basis(tariff, definition.kind_of(run, tariff))
    begin_s, end_s = run.start_s, run.end_s
    built, fit = tables.build([found], [0], (begin_s, end_s), end_s - begin_s, end_s - begin_s)
    assume(fit.all())
    multiplier = int(built.items[1])
    lines = built.lines.reshape(-1, 2).tolist()
    starts = [0, *built.ends[:-1].tolist()]

    def line(at_s: int) -> int:
        interval = max(i for i, start in enumerate(starts) if start <= at_s)
        a, b = lines[interval]
        assert abs(b * at_s) < 2**63
        return a + b * at_s

    cost = line(end_s - built.base_s) - line(begin_s - built.base_s)
    assert abs(multiplier * cost) + built.unit < 2**62
    exact = sum(
        Fraction(part.seconds * part.step.rate, found.unit)
        for part in definition.pieces(found.steps, begin_s, end_s, definition.NOWHEN)
    )
    assert Fraction(multiplier * cost, built.unit) == exact
    assert exact < 2**51


def test_the_worked_price_list_fits() -> None:
    """Every kind of the price list of the worked examples is priced by look-up, so the kernel is
    what most of their like goes through."""
    kinds = [asked("chengdu", "ai", "normal", {"gpu:ascend_910b": n}, 8) for n in (1, 2, 4, 8, 16)]
    bases = [basis(PRICES, kind) for kind in kinds]
    begin_s = 1_700_000_000

    _, fit = tables.build(bases, [0] * 5, (begin_s, begin_s + 30 * DAY_S), 7 * DAY_S, 10**11)

    assert fit.all()
    assert fit.dtype == np.bool_
