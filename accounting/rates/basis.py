"""What a second of a run costs, and from when: one tariff put to one kind of run.

Rates are whole numbers of micro-yuan per RATE_UNIT seconds, so that prices of cards, cores and
nodes share one denominator: MFLOPS × micro-yuan per PFLOPS·hour, or thousandths of cores or nodes
× micro-yuan per their hour × 10^6, times the factor of the QOS in ten-thousandths. Where a run is
priced by its share of nodes, the unit is RATE_UNIT times the denominator of the share; where it has
a discount, in ten-thousandths as well. Where the tariff does not say what a second costs, the step
carries the reason instead.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from accounting import money, period
from accounting.errors import TariffMissing
from accounting.rates.bands import LAST_CLOCK_S
from accounting.rates.chips import Cards
from accounting.rates.discounts import Discount, in_force
from accounting.rates.footprint import NOTHING, Taken
from accounting.rates.prices import CORE_HOUR, FREE, NODE_HOUR, PFLOPS_HOUR, Price
from accounting.rates.tariff import Tariff
from accounting.rates.terms import Terms
from accounting.runs.run import is_part

GFLOPS_PER_PFLOPS = 1_000_000
SECONDS_PER_HOUR = 3_600
MFLOPS_PER_GFLOPS = 1_000
RATE_UNIT = GFLOPS_PER_PFLOPS * MFLOPS_PER_GFLOPS * SECONDS_PER_HOUR * money.BP
FIRST_S = 0
LAST_S = 2**40
"""Runs lie within these instants (1970 to the year 36812); anything else is no time."""

_GRES = re.compile(r"([a-z0-9_]+(?::[^=,:\s]+)?)=([1-9][0-9]{0,9})")


class Kind(NamedTuple):
    """What decides the price of a run, besides when it ran.

    `mem_mb` is None where it is not known, and for runs also where no price depends on it, so that
    they are of few kinds. `discount` is the name under which the tariff has one, '' for none.
    """

    cluster: str
    partition: str
    qos: str
    gres: str
    req_gres: str
    cards: int
    cpus: int
    nodes: int = 0
    mem_mb: int | None = None
    discount: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """From an instant on, a second costs this much, or it is not known what.

    Where the price has bands, several steps begin at once, one for each band.

    Attributes:
        from_s: First second; the steps that begin at a later one supersede it.
        rate: Micro-yuan per `unit` seconds of its basis, >= 0; 0 where `problem` says why it is
            not known.
        price: None: no price is in force yet.
        problem: '' where the rate is known.
        free: Why nothing is charged; '' where there is a price.
        discount_bp: What the discount leaves of the price, in ten-thousandths; it is in the rate.
    """

    from_s: int
    rate: int
    price: Price | None
    problem: str
    free: str = ""
    discount_bp: int = money.BP


@dataclass(frozen=True, slots=True)
class Basis:
    """What a tariff says of one kind of run.

    Attributes:
        provider: None: the tariff does not know the partition.
        cards: In the order of the gres text; empty for a run on processors alone, and where a
            card is not known.
        taken: What prices are multiplied by.
        steps: By time; the first begins at FIRST_S.
        terms: How runs are counted, by time.
        unit: The seconds that a rate is for.
    """

    provider: str | None
    cards: tuple[Cards, ...]
    taken: Taken
    steps: tuple[Step, ...]
    terms: tuple[Terms, ...] = ()
    unit: int = RATE_UNIT

    @property
    def mflops(self) -> int:
        """Sum over all cards."""
        return sum(each.mflops for each in self.cards)

    def gflops_s(self, seconds: int) -> int:
        """Return card-GFLOPS × seconds, rounded down where a card is divided.

        This is what the run was given, also where it is priced by what it blocks: shares of
        several runs can add up to more than a node, and what is metered is held to capacity.
        """
        return self.mflops * seconds // MFLOPS_PER_GFLOPS

    @property
    def chip(self) -> str | None:
        """Keys of the chips, joined by commas. None: no cards, or not known."""
        return ",".join(sorted({each.chip.key for each in self.cards})) or None

    def quantity_milli(self, price: Price) -> int:
        """What a price is multiplied by: thousandths of GFLOPS, cores or nodes, each over the
        denominator of what is taken; 0 if it is free."""
        taken = self.taken
        whole = {CORE_HOUR: taken.cpus, NODE_HOUR: taken.nodes, FREE: 0}
        return taken.mflops if price.unit == PFLOPS_HOUR else whole[price.unit] * 1_000


def asked(
    cluster: str,
    partition: str,
    qos: str,
    gres: Mapping[str, int],
    cpus: int,
    nodes: int = 0,
    mem_mb: int | None = None,
) -> Kind:
    """Return the kind of a run that would be given these cards, cores, nodes (0: not known) and
    memory (None: not known)."""
    text = ",".join(f"{name}={count}" for name, count in sorted(gres.items()) if count)
    return Kind(cluster, partition, qos, text, "", _whole(gres), cpus, nodes, mem_mb)


def _whole(gres: Mapping[str, int]) -> int:
    """Count the whole cards."""
    return sum(count for name, count in gres.items() if not is_part(name))


def read_gres(text: str) -> dict[str, int]:
    """Read allocated or requested cards and parts of cards: 'gpu:ascend_910b=2,shard=1'.

    Raises:
        ValueError: It is something else.
    """
    found: dict[str, int] = {}
    for part in text.split(",") if text else ():
        match = _GRES.fullmatch(part)
        if match is None or match[1] in found:
            raise ValueError(f"gres {text!r} cannot be read; write it as gpu:type=2,gpu=1")
        found[match[1]] = int(match[2])
    return found


def basis(tariff: Tariff, kind: Kind) -> Basis:
    """Put a tariff to one kind of run. Never raises: what is not known is said in the steps."""
    provider = None
    cards: tuple[Cards, ...] = ()
    try:
        provider = tariff.provider(kind.cluster, kind.partition)
        terms = tariff.partition(kind.cluster, kind.partition).terms
        prices = tariff.prices(kind.cluster, kind.partition, kind.qos)
        cards = _cards(tariff, kind)
    except (TariffMissing, ValueError) as error:
        return Basis(provider, (), NOTHING, (Step(FIRST_S, 0, None, str(error)),))
    taken, unknown = _taken(tariff, kind, cards)
    bare = Basis(provider, cards, taken, ())
    steps = [_step(bare, kind, price, unknown) for price in prices]
    if steps[0].from_s > FIRST_S:
        first = period.clock(steps[0].from_s, tariff.timezone)
        problem = f"partition {_name(kind)}: no price for QOS {kind.qos} before {first}"
        steps.insert(0, Step(FIRST_S, 0, None, problem))
    unit = RATE_UNIT * taken.denominator
    steps = _by_the_clock(steps, kind)
    if kind.discount:
        unit *= money.BP
        steps = _discounted(steps, tariff.discounts[kind.discount])
    return Basis(provider, cards, taken, tuple(steps), terms, unit)


def _discounted(steps: list[Step], discounts: Sequence[Discount]) -> list[Step]:
    """Multiply rates by what discounts leave of them, and cut steps where these change."""
    begins = {step.from_s for step in steps}
    found = []
    for at_s in sorted(begins | {each.from_s for each in discounts if each.from_s > FIRST_S}):
        newest_s = max(begin_s for begin_s in begins if begin_s <= at_s)
        factor_bp = in_force(discounts, at_s)
        found += [
            replace(step, from_s=at_s, rate=step.rate * factor_bp, discount_bp=factor_bp)
            for step in steps
            if step.from_s == newest_s
        ]
    return found


def _taken(tariff: Tariff, kind: Kind, cards: tuple[Cards, ...]) -> tuple[Taken, str]:
    """Return what prices are multiplied by, or why that is not known."""
    footprint = tariff.partition(kind.cluster, kind.partition).footprint
    try:
        return footprint.take(cards, kind.cpus, kind.nodes, kind.mem_mb), ""
    except ValueError as error:
        return NOTHING, f"partition {_name(kind)}: {error}"


def _by_the_clock(steps: list[Step], kind: Kind) -> list[Step]:
    """Say of a price with bands that it is not known where no local time is."""
    if steps[-1].price is None or steps[-1].price.plan is None:
        return steps
    problem = (
        f"partition {_name(kind)}: is priced by the time of day, which is not known after 2242"
    )
    return [*steps, Step(LAST_CLOCK_S, 0, None, problem)]


def _cards(tariff: Tariff, kind: Kind) -> tuple[Cards, ...]:
    """Find the chip of every card, or raise ValueError or TariffMissing with what is not known."""
    allocated = read_gres(kind.gres)
    names = {gres.partition(":")[0] for gres in allocated}
    for gres in read_gres(kind.req_gres):
        name = gres.partition(":")[0]
        if gres not in allocated and not (name in allocated or (gres == name and name in names)):
            raise ValueError(
                f"partition {_name(kind)}: {gres} was asked for and is not in the allocation; "
                "is it in AccountingStorageTRES?"
            )
    if _whole(allocated) != kind.cards:
        raise ValueError(
            f"partition {_name(kind)}: {kind.cards} cards do not match gres {kind.gres!r}"
        )
    where = (kind.cluster, kind.partition)
    return tuple(tariff.cards(*where, gres, count) for gres, count in allocated.items())


def _step(bare: Basis, kind: Kind, price: Price, unknown: str) -> Step:
    if price.unit == FREE:
        whom = f"QOS {price.qos}" if price.qos else "every QOS without a price of its own"
        return Step(price.from_s, 0, price, "", f"partition {_name(kind)}: {whom} is free")
    if unknown:
        return Step(price.from_s, 0, price, unknown)
    quantity = bare.quantity_milli(price)
    if quantity <= 0:
        what = {PFLOPS_HOUR: "cards", CORE_HOUR: "cores", NODE_HOUR: "nodes"}[price.unit]
        problem = f"partition {_name(kind)}: is priced by {what} and none is in the allocation"
        return Step(price.from_s, 0, price, problem)
    scale = 1 if price.unit == PFLOPS_HOUR else GFLOPS_PER_PFLOPS
    return Step(price.from_s, quantity * price.micro * price.factor_bp * scale, price, "")


def _name(kind: Kind) -> str:
    return f"{kind.cluster}/{kind.partition}"
