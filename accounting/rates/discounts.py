"""Discounts: what a contract or a unit pays of the price, and from when.

They stand under the voucher account of the contract, or under the credit code of the unit. What is
said of a contract takes the place of all that is said of its unit; the two are never multiplied.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from accounting import creditcode, money
from accounting.errors import ConfigInvalid, InvalidInput
from accounting.rates import prices
from accounting.yamlfile import at, kind, listed, only

_ACCOUNT = re.compile(r"[A-Z][A-Z0-9]{0,7}[0-9]{2}-[0-9]{4,}")


@dataclass(frozen=True, slots=True)
class Discount:
    """What rates are multiplied by from an instant on, in ten-thousandths: 1 to 10,000."""

    from_s: int
    factor_bp: int


def in_force(discounts: Sequence[Discount], at_s: int) -> int:
    """Return the ten-thousandths that are paid at an instant; all of them before the first."""
    begun = [each for each in discounts if each.from_s <= at_s]
    return begun[-1].factor_bp if begun else money.BP


def read(value: object, timezone: str, where: str) -> dict[str, tuple[Discount, ...]]:
    """Read the discounts of a file, each list in order of time.

    Raises:
        ConfigInvalid: A name is neither voucher account nor credit code, or an entry is wrong.
    """
    found = {}
    by_name = kind(value, dict, where)
    for name in by_name:
        here = at(where, name)
        _check_name(name, here)
        entries = [_entry(entry, timezone, place) for entry, place in listed(by_name, name, where)]
        prices.no_doubles(((each.from_s, None) for each in entries), timezone, here)
        found[name] = tuple(sorted(entries, key=lambda each: each.from_s))
    return found


def _check_name(name: str, where: str) -> None:
    if _ACCOUNT.fullmatch(name):
        return
    try:
        creditcode.check(name)
    except InvalidInput as error:
        raise ConfigInvalid(f"{where}: is no voucher account such as CD24-0007; {error}") from None


def _entry(value: object, timezone: str, where: str) -> Discount:
    entry = only(value, ("from", "factor"), where)
    factor_bp = prices.factor_bp(entry, "factor", where)
    if factor_bp > money.BP:
        here = at(where, "factor")
        raise ConfigInvalid(f"{here}: {entry['factor']!r} is above 1; give what is paid, as 0.90")
    return Discount(prices.since(entry, timezone, where), factor_bp)
