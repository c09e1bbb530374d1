"""What a price is: an amount per unit, in force from an instant, for a QOS, at hours of the day.

One entry of the file may make several prices: one for each QOS that it multiplies, one for each
band of its day. They begin together and are superseded together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from accounting import money, period, yamlfile
from accounting.errors import ConfigInvalid
from accounting.rates.bands import DAY_S, LAST_CLOCK_S, Plan
from accounting.yamlfile import at, need, only

PFLOPS_HOUR = "pflops_hour"
CORE_HOUR = "core_hour"
NODE_HOUR = "node_hour"
FREE = "free"
"""No unit: nothing is charged, and that is said in so many words."""
UNITS = (PFLOPS_HOUR, CORE_HOUR, NODE_HOUR)
AMOUNTS = {f"yuan_per_{unit}": unit for unit in UNITS} | {FREE: FREE}
ANY = "*"
"""Names every partition of a cluster that is not named itself."""


@dataclass(frozen=True, slots=True)
class Price:
    """One price, in force from an instant until a later one of the same QOS.

    Attributes:
        from_s: First second in force.
        qos: None: every QOS that is not priced by name.
        unit: One of UNITS, or FREE.
        micro: Micro-yuan per unit, >= 0, before the factor.
        plan: When the bands of its day begin. None: it holds at all hours.
        band: The band in which it holds. None: it holds at all hours.
        factor_bp: What the amount is multiplied by, in ten-thousandths, > 0.
        place: Where it stands in its file.
    """

    from_s: int
    qos: str | None
    unit: str
    micro: int
    plan: Plan | None = None
    band: str | None = None
    factor_bp: int = money.BP
    place: str = ""

    def holds_at(self, at_s: int) -> bool:
        """Tell whether the clock shows its band."""
        return self.plan is None or self.plan.at(at_s) == self.band


def in_order(
    entries: Iterable[tuple[object, str]], plans: Mapping[str, Plan], timezone: str, where: str
) -> tuple[Price, ...]:
    """Read the price entries of a partition, each with its place, and put them in order of time.

    Raises:
        ConfigInvalid: One is wrong, or two are in force from the same instant.
    """
    groups = [group for value, here in entries for group in _entry(value, plans, timezone, here)]
    no_doubles(((group[0].from_s, group[0].qos) for group in groups), timezone, where)
    return tuple(sorted((one for group in groups for one in group), key=lambda one: one.from_s))


def _entry(
    value: object, plans: Mapping[str, Plan], timezone: str, where: str
) -> list[list[Price]]:
    """Read one entry: for each QOS, its prices by band."""
    entry = only(value, ("from", "qos", "bands", *AMOUNTS), where)
    given = [key for key in AMOUNTS if key in entry]
    if len(given) != 1:
        raise ConfigInvalid(f"{where}: has {len(given)} prices; give one of {', '.join(AMOUNTS)}")
    [key] = given
    from_s = since(entry, timezone, where)
    amounts, place = _amounts(entry, key, plans, where), where.rpartition(": ")[2]
    return [
        [Price(from_s, qos, AMOUNTS[key], *amount, factor_bp, place) for amount in amounts]
        for qos, factor_bp in _whom(entry, at(where, "qos"))
    ]


def _amounts(
    entry: Mapping[str, Any], key: str, plans: Mapping[str, Plan], where: str
) -> list[tuple[int, Plan | None, str | None]]:
    """Read the amount of an entry, or one for each band of its plan."""
    if key == FREE:
        if need(entry, FREE, bool, where) is False or "bands" in entry:
            raise ConfigInvalid(f"{where}: free stands alone as true; or give an amount instead")
        return [(0, None, None)]
    if "bands" not in entry:
        return [(_micro(entry, key, where), None, None)]
    plan = _plan(need(entry, "bands", str, where), plans, at(where, "bands"))
    by_band = only(need(entry, key, dict, where), plan.bands, at(where, key))
    return [(_micro(by_band, band, at(where, key)), plan, band) for band in plan.bands]


def _whom(entry: Mapping[str, Any], where: str) -> list[tuple[str | None, int]]:
    """Read for which QOS an entry holds, each with its factor.

    Example:
        {shared: "2.40", urgent: "6.00"}: shared by 24,000 and urgent by 60,000 ten-thousandths.
    """
    if "qos" not in entry:
        return [(None, money.BP)]
    if not isinstance(entry["qos"], dict):
        named = [(yamlfile.kind(entry["qos"], str, where), money.BP)]
    else:
        named = [(name, factor_bp(entry["qos"], name, where)) for name in entry["qos"]]
    for name in [name for name, _ in named if name in ("", ANY)] or [""] * (not named):
        raise ConfigInvalid(f"{where}: {name!r} names none; leave qos out to mean all")
    return list(named)


def factor_bp(entry: Mapping[str, Any], key: str, where: str) -> int:
    """Read a factor above 0 with at most four decimals: '2.40' is 24000."""
    text = need(entry, key, str, where)
    try:
        found, rest = divmod(money.micro(text), money.MICRO_PER_YUAN // money.BP)
    except ValueError:
        found, rest = 0, 0
    if found == 0 or rest:
        raise ConfigInvalid(f"{at(where, key)}: {text!r} is no factor above 0, such as 2.40 or 0.5")
    return found


def _plan(name: str, plans: Mapping[str, Plan], where: str) -> Plan:
    if name not in plans:
        known = ", ".join(plans) or "none"
        raise ConfigInvalid(f"{where}: {name!r} is not under bands: of the file; known: {known}")
    return plans[name]


def _micro(entry: Mapping[str, Any], key: str, where: str) -> int:
    try:
        return money.micro(need(entry, key, str, where))
    except ValueError as error:
        raise ConfigInvalid(f"{at(where, key)}: {error}") from None


def read_plans(value: object, timezone: str, where: str) -> dict[str, Plan]:
    """Read the plans of a file: by name, each when its bands begin.

    Example:
        {city: {"08:00": peak, "22:00": valley}}: peak until 22:00, then valley until 08:00.
    """
    plans = {}
    for name, begins in yamlfile.kind(value, dict, where).items():
        here = at(where, name)
        of_day = yamlfile.kind(begins, dict, here)
        listed = [(_second(text, here), need(of_day, text, str, here)) for text in of_day]
        if len({band for _, band in listed}) < 2:
            raise ConfigInvalid(f"{here}: has fewer than 2 bands; a price without bands says that")
        if any(later <= earlier for (earlier, _), (later, _) in pairwise(listed)):
            raise ConfigInvalid(f"{here}: its times do not follow each other; put them in order")
        plans[name] = Plan(tuple(listed), timezone)
    return plans


def _second(text: str, where: str) -> int:
    hours, _, minutes = text.partition(":")
    if len(text) == 5 and (hours + minutes).isdecimal() and text.isascii() and int(minutes) < 60:
        second = int(hours) * 3_600 + int(minutes) * 60
        if second < DAY_S:
            return second
    raise ConfigInvalid(f"{at(where, text)}: {text!r} is no time of day such as 08:00 or 23:30")


def since(entry: Mapping[str, Any], timezone: str, where: str) -> int:
    """Read the instant that an entry is in force from."""
    if "from" not in entry:
        raise ConfigInvalid(f"{where}: key 'from' is missing; add the day it is in force from")
    from_s = yamlfile.instant(entry["from"], timezone, at(where, "from"))
    if from_s >= LAST_CLOCK_S:
        raise ConfigInvalid(f"{at(where, 'from')}: {entry['from']} is after 2242; correct the year")
    return from_s


def no_doubles(instants: Iterable[tuple[int, str | None]], timezone: str, where: str) -> None:
    """Refuse two entries for one QOS that are in force from the same instant."""
    seen = set()
    for from_s, qos in instants:
        if (from_s, qos) in seen:
            when = period.clock(from_s, timezone)
            whom = f" for QOS {qos}" if qos else ""
            raise ConfigInvalid(f"{where}: two entries{whom} are in force from {when}; keep one")
        seen.add((from_s, qos))
