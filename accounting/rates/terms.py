"""How a partition counts: by the second, minute or hour begun, and the least that a run costs.

Both are off unless the price list says them: a run is then billed for its seconds and costs what
they come to. The terms of a run are those in force when it began.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounting import money
from accounting.errors import ConfigInvalid
from accounting.rates import prices
from accounting.yamlfile import at, need, only

PER_S = {"second": 1, "minute": 60, "hour": 3_600}
MOST_MICRO = 10**12
"""A minimum charge of a million yuan is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How runs that begin from an instant on are counted.

    Attributes:
        from_s: First second in force.
        per_s: Billed seconds are rounded up to a multiple of this.
        minimum_micro: What a run costs at least that costs anything; 0: no minimum.
    """

    from_s: int
    per_s: int = 1
    minimum_micro: int = 0

    def added_s(self, billed_s: int) -> int:
        """Return the seconds by which a run is rounded up.

        Example:
            61 s by the minute: 59 s.
        """
        return -billed_s % self.per_s

    @property
    def unit(self) -> str:
        """Return second, minute or hour."""
        return next(name for name, per_s in PER_S.items() if per_s == self.per_s)


PLAIN = Terms(0)


def in_force(terms: Sequence[Terms], at_s: int) -> Terms:
    """Return the terms of a run that begins at an instant; PLAIN before the first."""
    begun = [each for each in terms if each.from_s <= at_s]
    return begun[-1] if begun else PLAIN


def in_order(entries: Iterable[tuple[object, str]], timezone: str, where: str) -> tuple[Terms, ...]:
    """Read the terms of a partition, each with its place. Raises ConfigInvalid."""
    found = [_entry(value, timezone, here) for value, here in entries]
    prices.no_doubles(((each.from_s, None) for each in found), timezone, where)
    return tuple(sorted(found, key=lambda each: each.from_s))


def _entry(value: object, timezone: str, where: str) -> Terms:
    entry = only(value, ("from", "per", "minimum_yuan"), where)
    unit = need(entry, "per", str, where) if "per" in entry else "second"
    if unit not in PER_S:
        known = ", ".join(PER_S)
        raise ConfigInvalid(f"{at(where, 'per')}: {unit!r} is unknown; use one of {known}")
    minimum_micro = _minimum(entry, where) if "minimum_yuan" in entry else 0
    return Terms(prices.since(entry, timezone, where), PER_S[unit], minimum_micro)


def _minimum(entry: Mapping[str, Any], where: str) -> int:
    here = at(where, "minimum_yuan")
    try:
        found = money.micro(need(entry, "minimum_yuan", str, where))
    except ValueError as error:
        raise ConfigInvalid(f"{here}: {error}") from None
    if found > MOST_MICRO:
        most = money.yuan_micro(MOST_MICRO)
        raise ConfigInvalid(f"{here}: {money.yuan_micro(found)} is above {most}; lower it")
    return found
