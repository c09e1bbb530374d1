"""What computing costs: a price list by cluster, partition and QOS, in force from instants.

A tariff is read from YAML, checked as a whole and then only looked things up in. A loaded version
is never edited, a price is only ever superseded, and nothing has a default: what the list does not
say is an error, never zero.

A QOS is priced by name from the first instant at which it has a price of its own; before that, and
for all other QOS, the price without a QOS holds. So a price that is added later never changes what
earlier runs cost.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from accounting import period, yamlfile
from accounting.errors import ConfigInvalid, TariffMissing
from accounting.rates import chips, discounts, footprint, prices, terms
from accounting.rates.bands import Plan
from accounting.rates.chips import WHOLE, Cards, Chip
from accounting.rates.discounts import Discount
from accounting.rates.footprint import MAX_SHARE, PLAIN, Footprint
from accounting.rates.prices import ANY, PFLOPS_HOUR, Price
from accounting.rates.terms import Terms
from accounting.runs.run import is_part
from accounting.yamlfile import at, listed, need, only

_FRACTION = re.compile(r"([01])(?:\.([0-9]{1,3}))?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many cards a partition has from an instant on, by gres."""

    from_s: int
    cards: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Partition:
    """What a tariff says of one partition; prices, capacity and terms are in order of time.

    Attributes:
        thousandths: How much of its chip a gres is, 1 to 1000; the whole where it is not here.
        untyped: The chip behind a gres without a type that is not mapped. None: not said.
        footprint: What of its nodes a run is priced by.
    """

    provider: str
    gres: Mapping[str, Chip]
    prices: tuple[Price, ...]
    capacity: tuple[Capacity, ...]
    terms: tuple[Terms, ...] = ()
    thousandths: Mapping[str, int] = field(default_factory=dict)
    untyped: Chip | None = None
    footprint: Footprint = PLAIN

    def cards(self, gres: str, count: int = 1) -> Cards | None:
        """Return cards of one sort. None: it is not said what chip they are."""
        chip = self.gres.get(gres, None if ":" in gres or is_part(gres) else self.untyped)
        if chip is None:
            return None
        return Cards(gres, count, chip, self.thousandths.get(gres, WHOLE))


@dataclass(frozen=True, slots=True)
class Tariff:
    """One version of the price list.

    Attributes:
        version: Its name.
        catalogue: Version of the chip catalogue that it was read with.
        partitions: By (cluster, partition); the partition may be ANY.
        timezone: Where its days begin.
        discounts: By voucher account or credit code, in order of time.
    """

    version: str
    catalogue: str
    partitions: Mapping[tuple[str, str], Partition]
    timezone: str
    discounts: Mapping[str, tuple[Discount, ...]] = field(default_factory=dict)

    def partition(self, cluster: str, partition: str) -> Partition:
        """Return what is said of a partition, by its name or by ANY.

        Raises:
            TariffMissing: Nothing is.
        """
        return self.partitions[cluster, self._name(cluster, partition)]

    def place(self, cluster: str, partition: str) -> str:
        """Return where in the file a partition is spoken of. Raises TariffMissing."""
        return f"clusters.{cluster}.partitions.{self._name(cluster, partition)}"

    def _name(self, cluster: str, partition: str) -> str:
        for name in (partition, ANY):
            if (cluster, name) in self.partitions:
                return name
        raise TariffMissing(
            f"partition {cluster}/{partition} is not in tariff {self.version}; add it with a price"
        )

    def provider(self, cluster: str, partition: str) -> str:
        """Return who provides a partition. Raises TariffMissing."""
        return self.partition(cluster, partition).provider

    def cards(self, cluster: str, partition: str, gres: str, count: int = 1) -> Cards:
        """Return cards of one sort, such as gpu:ascend_910b. Raises TariffMissing."""
        found = self.partition(cluster, partition).cards(gres, count)
        if found is None:
            raise TariffMissing(
                f"gres {gres} of partition {cluster}/{partition} has no chip in tariff "
                f"{self.version}; add it under gres"
            )
        return found

    def chip(self, cluster: str, partition: str, gres: str) -> Chip:
        """Return the chip behind a gres. Raises TariffMissing."""
        return self.cards(cluster, partition, gres).chip

    def weighs_memory(self, cluster: str, partition: str) -> bool:
        """Tell whether what a run costs in a partition depends on its memory."""
        try:
            return self.partition(cluster, partition).footprint.how == MAX_SHARE
        except TariffMissing:
            return False

    def discount_of(self, account: str | None, credit_code: str | None) -> str:
        """Return the name under which a voucher account has a discount: its own, else that of its
        unit, which it takes the place of; '' for none."""
        if account is None:
            return ""
        if account in self.discounts:
            return account
        return credit_code if credit_code is not None and credit_code in self.discounts else ""

    def prices(self, cluster: str, partition: str, qos: str) -> tuple[Price, ...]:
        """Return the prices that hold for a QOS, one after the other, at least one.

        Example:
            24.00 for all from July, 90.00 for urgent from October: urgent costs 24.00 from
            July and 90.00 from October.

        Raises:
            TariffMissing: The partition is not there, or has no price for this QOS at any time.
        """
        listed = self.partition(cluster, partition).prices
        named = [price for price in listed if price.qos == qos]
        general = [price for price in listed if price.qos is None]
        if named:
            general = [price for price in general if price.from_s < named[0].from_s]
        if not general and not named:
            raise TariffMissing(
                f"partition {cluster}/{partition} has no price for QOS {qos} in tariff "
                f"{self.version}; add one, or one without a QOS"
            )
        return (*general, *named)

    def price_at(self, cluster: str, partition: str, qos: str, at_s: int) -> Price:
        """Return the price in force at an instant. Raises TariffMissing."""
        steps = self.prices(cluster, partition, qos)
        begun = [price for price in steps if price.from_s <= at_s]
        if not begun:
            first = period.clock(steps[0].from_s, self.timezone)
            raise TariffMissing(
                f"partition {cluster}/{partition} has no price for QOS {qos} before {first}; "
                f"add one that is in force at {period.clock(at_s, self.timezone)}"
            )
        newest = [price for price in begun if price.from_s == begun[-1].from_s]
        return next(price for price in newest if price.holds_at(at_s))


@lru_cache(maxsize=64)
def load(text: str, source: str) -> Tariff:
    """Read and check a price list; the same text is read once.

    Args:
        text: The whole YAML file.
        source: Its name, for messages.

    Raises:
        ConfigInvalid: Anything in it is unknown, missing, double or not what it should be;
            names the file, the place, the value and what to do.
    """
    content = only(
        yamlfile.read(text, source),
        ("tariff", "chips", "own_chips", "bands", "clusters", "discounts", "timezone"),
        source,
    )
    version = need(content, "tariff", str, source)
    if not _VERSION.fullmatch(version):
        raise ConfigInvalid(f"{at(source, 'tariff')}: {version!r} is no name such as cd-2024-1")
    timezone = _timezone(content, source)
    catalogue = need(content, "chips", str, source)
    known = chips.catalogue(catalogue, at(source, "chips"))
    if "own_chips" in content:
        own = need(content, "own_chips", dict, source)
        known |= chips.parse(own, at(source, "own_chips"))
    clusters = need(content, "clusters", dict, source)
    plans = prices.read_plans(content.get("bands", {}), timezone, at(source, "bands"))
    return Tariff(
        version=version,
        catalogue=catalogue,
        partitions=_clusters(clusters, _Known(known, plans, timezone), at(source, "clusters")),
        timezone=timezone,
        discounts=discounts.read(content.get("discounts", {}), timezone, at(source, "discounts")),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the entries of a file may refer to."""

    chips: Mapping[str, Chip]
    plans: Mapping[str, Plan]
    timezone: str


def _timezone(content: Mapping[str, Any], source: str) -> str:
    name = need(content, "timezone", str, source)
    try:
        period.zone(name)
    except ValueError as error:
        raise ConfigInvalid(f"{at(source, 'timezone')}: {error}") from None
    return name


def _clusters(
    clusters: Mapping[str, Any], known: _Known, where: str
) -> dict[tuple[str, str], Partition]:
    found = {}
    for cluster, value in _some(clusters, where).items():
        here = at(where, cluster)
        partitions = need(only(value, ("partitions",), here), "partitions", dict, here)
        here = at(here, "partitions")
        for name, entry in _some(partitions, here).items():
            found[cluster, name] = _partition(entry, known, at(here, name))
    return found


def _some(mapping: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if not mapping or "" in mapping:
        raise ConfigInvalid(f"{where}: an empty {'name' if mapping else 'list'}; name at least one")
    return mapping


def _partition(value: object, known: _Known, where: str) -> Partition:
    known_keys = ("provider", "gres", "chip", "capacity", "prices", "terms", "footprint", "node")
    entry = only(value, known_keys, where)
    mapped = need(entry, "gres", dict, where) if "gres" in entry else {}
    gres, thousandths = _gres(mapped, known.chips, at(where, "gres"))
    untyped = _chip(entry, "chip", known.chips, where) if "chip" in entry else None
    timezone = known.timezone
    priced = prices.in_order(
        listed(entry, "prices", where), known.plans, timezone, at(where, "prices")
    )
    if _by_cards(priced) and not (gres or untyped):
        raise ConfigInvalid(f"{where}: is priced per PFLOPS·hour without cards; add gres: to chips")
    capacity = []
    if "capacity" in entry:
        capacity = [
            _capacity(each, gres, timezone, here) for each, here in listed(entry, "capacity", where)
        ]
    prices.no_doubles(((each.from_s, None) for each in capacity), timezone, at(where, "capacity"))
    provider = need(entry, "provider", str, where)
    if not provider:
        raise ConfigInvalid(f"{at(where, 'provider')}: is empty; name who provides the partition")
    by_time = tuple(sorted(capacity, key=lambda each: each.from_s))
    counted = listed(entry, "terms", where) if "terms" in entry else []
    by_terms = terms.in_order(counted, timezone, at(where, "terms"))
    found = Partition(provider, gres, priced, by_time, by_terms, thousandths, untyped)
    measured = footprint.read(entry, found.cards, where)
    if measured != PLAIN and not measured.cards and _by_cards(priced):
        raise ConfigInvalid(f"{at(where, 'node')}: has no cards to be priced by; add its cards:")
    return replace(found, footprint=measured)


def _by_cards(priced: Iterable[Price]) -> bool:
    return any(price.unit == PFLOPS_HOUR for price in priced)


def _gres(
    mapping: Mapping[str, Any], known: Mapping[str, Chip], where: str
) -> tuple[dict[str, Chip], dict[str, int]]:
    """Read the chip of each gres, and how much of it a gres is that is a part of a card."""
    found, thousandths = {}, {}
    for gres, value in mapping.items():
        here = at(where, gres)
        if isinstance(value, dict):
            part = only(value, ("chip", "fraction"), here)
            found[gres] = _chip(part, "chip", known, here)
            thousandths[gres] = _thousandths(part, here)
        elif is_part(gres):
            raise ConfigInvalid(f"{here}: is a part of a card; write {{chip: …, fraction: …}}")
        else:
            found[gres] = _chip(mapping, gres, known, where)
    return found, thousandths


def _chip(entry: Mapping[str, Any], name: str, known: Mapping[str, Chip], where: str) -> Chip:
    key = need(entry, name, str, where)
    if key not in known:
        near = difflib.get_close_matches(key, known, 1)
        advice = f"did you mean {near[0]!r}?" if near else "add it under own_chips"
        raise ConfigInvalid(f"{at(where, name)}: chip {key!r} is not in the catalogue; {advice}")
    return known[key]


def _thousandths(entry: Mapping[str, Any], where: str) -> int:
    text = need(entry, "fraction", str, where)
    match = _FRACTION.fullmatch(text)
    found = int(match[1] + (match[2] or "").ljust(3, "0")) if match else 0
    if not 0 < found <= WHOLE:
        here = at(where, "fraction")
        raise ConfigInvalid(f"{here}: {text!r} is no part of a card; write 0.001 to 1, as in 0.143")
    return found


def _capacity(value: object, gres: Mapping[str, Chip], timezone: str, where: str) -> Capacity:
    entry = only(value, ("from", "cards"), where)
    cards = only(need(entry, "cards", dict, where), gres, at(where, "cards"))
    for name in cards:
        if is_part(name):
            raise ConfigInvalid(
                f"{at(at(where, 'cards'), name)}: is a part of a card; count the cards"
            )
        if need(cards, name, int, at(where, "cards")) < 0:
            raise ConfigInvalid(f"{at(where, 'cards')}.{name}: {cards[name]} cards; use 0 or more")
    return Capacity(prices.since(entry, timezone, where), cards)
