"""What a job can cost at most, before it runs: the figure that a hold is taken for.

Nobody knows when a waiting job will start, so a quote is the highest fee over every instant from
now on, with all prices that are known today. It does not know of balances or vouchers.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

from accounting.errors import TariffMissing, UsageInvalid
from accounting.rates.bands import DAY_S, LAST_CLOCK_S
from accounting.rates.basis import Basis, Kind, Step, asked, basis, read_gres
from accounting.rates.definition import NOWHEN, Window, pieces
from accounting.rates.footprint import MAX_SHARE
from accounting.rates.tariff import Tariff
from accounting.rates.terms import PER_S, in_force

YEAR_S = 366 * DAY_S
LONGEST_S = max(PER_S.values())


@dataclass(frozen=True, slots=True)
class Quote:
    """The most that a job can cost.

    Attributes:
        fee_micro: Highest fee of all starts, rounded up.
        eligible_micro: The part of the fee inside the window if it starts now, rounded down.
        starts_s: The first start at which the fee is that high.
        limit_s: How long it may run.
        basis: Cards, cores and prices that it was made from.
        tariff: Version of the tariff.
    """

    fee_micro: int
    eligible_micro: int
    starts_s: int
    limit_s: int
    basis: Basis
    tariff: str


def most(
    tariff: Tariff, kind: Kind, limit_s: int, now_s: int, window: Window | None = None
) -> Quote:
    """Quote the most that a job can cost which may run `limit_s` seconds from any instant on.

    Cards asked for without a type, where the tariff maps types only, are quoted as the dearest
    type of that name: any of them may be given. Memory that is not known is all that the nodes
    have, where a run is priced by its share of them.

    The fee as a function of the start is straight between instants at which the start or the end
    meets a change of price or band, so the highest is at one of these, or now. The bands of the
    last price are followed for a year, so that both changes of summer time are among them. Where
    terms change, the last second before it counts as well.

    Args:
        tariff: The price list.
        kind: Where it runs and what it is given; `req_gres` may be left ''.
        limit_s: Time limit, > 0.
        now_s: First instant at which it can start.
        window: Validity of the voucher account. None: nothing is eligible.

    Raises:
        TariffMissing: The tariff does not say what a second costs, now or at some later start.
        UsageInvalid: The cards cannot be read.

    Example:
        24.00 until midnight and 36.00 after it, 1 PFLOPS for 2 h: 72.00, whenever it is asked.
    """
    if limit_s <= 0:
        raise ValueError(f"a time limit is above 0 s, not {limit_s}")
    found = _basis(tariff, kind)
    steps = _from_now(found.steps, now_s, limit_s)
    for step in steps:
        if step.problem:
            raise TariffMissing(step.problem)
    fees = _fees(steps, found, limit_s, now_s)
    starts_s = max(fees, key=fees.__getitem__)
    return Quote(
        fee_micro=-(-fees[starts_s] // found.unit),
        eligible_micro=_eligible(found, limit_s, now_s, window or NOWHEN) // found.unit,
        starts_s=starts_s,
        limit_s=limit_s,
        basis=found,
        tariff=tariff.version,
    )


def alike(tariff: Tariff, one: Kind, other: Kind) -> bool:
    """Tell whether a second of one costs as much as one of the other, whenever it is.

    Raises:
        UsageInvalid: The cards cannot be read.
    """
    first, second = _basis(tariff, one), _basis(tariff, other)
    rates = [step.rate * second.unit for step in first.steps]
    return rates == [step.rate * first.unit for step in second.steps]


def _basis(tariff: Tariff, kind: Kind) -> Basis:
    return basis(tariff, _within(tariff, _dearest_types(tariff, kind)))


def _dearest_types(tariff: Tariff, kind: Kind) -> Kind:
    """Give a type to cards that were asked for without one: the fastest, or the rarest on a node
    where shares of nodes are priced."""
    said = tariff.partition(kind.cluster, kind.partition)
    cards: Counter[str] = Counter()
    try:
        gres = read_gres(kind.gres)
    except ValueError as error:
        raise UsageInvalid(str(error)) from None

    def dear(name: str) -> Fraction:
        one = tariff.cards(kind.cluster, kind.partition, name)
        if said.footprint.how == MAX_SHARE:
            return said.footprint.share(name, [one]) or Fraction(0)
        return Fraction(one.mflops)

    for name, count in gres.items():
        types = [each for each in said.gres if each.startswith(f"{name}:")]
        if name in said.gres or ":" in name:
            types = []
        elif said.cards(name) is not None:
            types.append(name)
        cards[max(types, key=dear, default=name)] += count
    return kind._replace(gres=asked(*kind[:3], cards, kind.cpus).gres)


def _within(tariff: Tariff, kind: Kind) -> Kind:
    """Keep a job within its nodes, where shares of them are priced: it can take all of them, and
    does so in memory if nobody knows how much it will be given."""
    footprint = tariff.partition(kind.cluster, kind.partition).footprint
    if footprint.how != MAX_SHARE:
        return kind
    cards = read_gres(kind.gres)
    for each in footprint.cards:
        if each.gres in cards:
            cards[each.gres] = min(cards[each.gres], kind.nodes * each.count)
    cpus, mem_mb = kind.nodes * footprint.cpus, kind.nodes * footprint.mem_mb
    if kind.mem_mb is not None:
        mem_mb = min(mem_mb, kind.mem_mb)
    given = asked(*kind[:3], cards, min(kind.cpus, cpus))
    return kind._replace(gres=given.gres, cards=given.cards, cpus=given.cpus, mem_mb=mem_mb)


def _from_now(steps: Sequence[Step], now_s: int, limit_s: int) -> list[Step]:
    """Leave out the steps that are over, and those that nobody will wait for."""
    now_from_s = max(step.from_s for step in steps if step.from_s <= max(now_s, steps[0].from_s))
    reach_s = max(now_s + limit_s, LAST_CLOCK_S)
    return [step for step in steps if now_from_s <= step.from_s < reach_s]


def _fees(steps: Sequence[Step], found: Basis, limit_s: int, now_s: int) -> dict[int, int]:
    """Return the fee in micro-yuan × unit of each start that may be the dearest, in order."""
    last = steps[-1]
    banded = last.price is not None and last.price.plan is not None
    changes = [now_s, *(each.from_s for each in found.terms if each.from_s > now_s)]
    last_s = max(*changes, last.from_s) + (YEAR_S if banded else 0)
    parts = pieces(steps, now_s, last_s + limit_s + LONGEST_S, NOWHEN)
    edges = [now_s, *(part.until_s for part in parts)]
    sums = [0, *accumulate(part.seconds * part.step.rate for part in parts)]

    def until(at_s: int) -> int:
        """Return what all seconds before an instant cost."""
        i = min(bisect_right(edges, at_s) - 1, len(parts) - 1)
        return sums[i] + (at_s - edges[i]) * parts[i].step.rate

    fees = {}
    for from_s, next_s in pairwise([*changes, last_s + 1]):
        counted = in_force(found.terms, from_s)
        long_s = limit_s + counted.added_s(limit_s)
        starts = {start for edge in edges for start in (edge, edge - long_s)} | {from_s, next_s - 1}
        for start in sorted(start for start in starts if from_s <= start < next_s):
            fee = until(start + long_s) - until(start)
            fees[start] = max(fee, counted.minimum_micro * found.unit if fee else 0)
    return fees


def _eligible(found: Basis, limit_s: int, now_s: int, window: Window) -> int:
    """Return micro-yuan × unit of the seconds within a window of a job that starts now."""
    long_s = limit_s + in_force(found.terms, now_s).added_s(limit_s)
    cut = pieces(found.steps, now_s, now_s + long_s, window)
    return sum(piece.seconds * piece.step.rate for piece in cut if piece.inside)
