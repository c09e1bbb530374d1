"""A voucher scheme's rules as data: read from YAML, checked, and never guessed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from accounting import money, period
from accounting.errors import ConfigInvalid
from accounting.yamlfile import at, kind, need, only, read

_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))? ?%")
_PREFIX = re.compile(r"[A-Z][A-Z0-9]{0,7}")
UNIT_KINDS = ("enterprise", "research_institute", "university")


@dataclass(frozen=True)
class Category:
    """What one category of vouchers gives, and to whom."""

    ratio_bp: int
    revenue_min_fen: int
    revenue_test_applies_to: tuple[str, ...]


@dataclass(frozen=True)
class Cap:
    """A limit on the sum of vouchers issued in a year, over one unit or over all."""

    scope: str
    max_fen: int
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """The rules of one scheme. Ratios are basis points, amounts fen."""

    name: str
    source: str
    timezone: str
    account_prefix: str
    signed_in_year: bool
    categories: Mapping[str, Category]
    issue_min_fen: int
    caps: tuple[Cap, ...]
    months_max: int
    settle_days: int
    deduct_ratio_bp: int
    vat_bp: int
    unseen_s: int
    states: Mapping[str, str]
    """State of Slurm → charged, free or no_run. A state that is not here is unrated."""


def builtin(name: str) -> str:
    """Return the text of a packaged policy, or raise ConfigInvalid that lists them."""
    folder = resources.files("accounting") / "policies"
    known = sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".yaml"))
    if name not in known:
        raise ConfigInvalid(f"policy {name!r}: not packaged; known: {', '.join(known)}")
    return (folder / f"{name}.yaml").read_text(encoding="utf-8")


def load(text: str, source: str) -> Policy:
    """Read a policy file.

    Raises:
        ConfigInvalid: A key is unknown, missing or of another kind; names the place.
    """
    top = only(
        read(text, source),
        ("policy", "source", "timezone", "account_prefix", "contract", "categories", "issue",
         "voucher", "deduct", "payment", "holds", "rating"),
        source,
    )  # fmt: skip

    def part(name: str, *keys: str) -> tuple[dict[str, Any], str]:
        where = at(source, name)
        return only(need(top, name, dict, source), keys, where), where

    contract, contract_at = part("contract", "signed_in_year")
    issue, issue_at = part("issue", "min", "min_test", "caps")
    voucher, voucher_at = part("voucher", "months_max", "settle_days")
    deduct, deduct_at = part("deduct", "ratio")
    payment, payment_at = part("payment", "mode", "vat")
    holds, holds_at = part("holds", "unseen_s")
    rating, rating_at = part("rating", "states")
    _one_of(issue, "min_test", ("before_caps",), issue_at)
    _one_of(payment, "mode", ("prepaid",), payment_at)
    categories = {
        name: _category(value, at(at(source, "categories"), name))
        for name, value in need(top, "categories", dict, source).items()
    }
    return Policy(
        name=need(top, "policy", str, source),
        source=need(top, "source", str, source),
        timezone=_timezone(top, source),
        account_prefix=_prefix(top, source),
        signed_in_year=need(contract, "signed_in_year", bool, contract_at),
        categories=categories,
        issue_min_fen=_fen(issue, "min", issue_at),
        caps=tuple(
            _cap(value, categories, at(at(issue_at, "caps"), i))
            for i, value in enumerate(need(issue, "caps", list, issue_at))
        ),
        months_max=_positive(voucher, "months_max", voucher_at),
        settle_days=_positive(voucher, "settle_days", voucher_at),
        deduct_ratio_bp=_percent(deduct, "ratio", deduct_at),
        vat_bp=_percent(payment, "vat", payment_at),
        unseen_s=_positive(holds, "unseen_s", holds_at),
        states=_states(need(rating, "states", dict, rating_at), at(rating_at, "states")),
    )


def states_of(policy: Policy) -> dict[str, str]:
    """Return `charged` or `free` for each state of Slurm that a policy names."""
    return {state: "free" if how == "no_run" else how for state, how in policy.states.items()}


def _category(value: object, where: str) -> Category:
    keys = only(value, ("ratio", "revenue_min", "revenue_test_applies_to"), where)
    return Category(
        _percent(keys, "ratio", where),
        _fen(keys, "revenue_min", where),
        _words(keys, "revenue_test_applies_to", UNIT_KINDS, where),
    )


def _cap(value: object, categories: Mapping[str, Category], where: str) -> Cap:
    keys = only(value, ("scope", "per", "max", "categories"), where)
    _one_of(keys, "per", ("year",), where)
    scope = _one_of(keys, "scope", ("unit", "programme"), where)
    return Cap(scope, _fen(keys, "max", where), _words(keys, "categories", categories, where))


def _states(value: object, where: str) -> dict[str, str]:
    states: dict[str, str] = {}
    for meaning, names in only(value, ("charged", "free", "no_run"), where).items():
        for name in kind(names, list, at(where, meaning)):
            if kind(name, str, at(where, meaning)) in states:
                raise ConfigInvalid(f"{where}: state {name} is given twice; keep one of them")
            states[name] = meaning
    return states


def _timezone(top: Mapping[str, Any], where: str) -> str:
    name = need(top, "timezone", str, where)
    try:
        period.zone(name)
    except ValueError as error:
        raise ConfigInvalid(f"{at(where, 'timezone')}: {error}") from None
    return name


def _prefix(top: Mapping[str, Any], where: str) -> str:
    prefix = need(top, "account_prefix", str, where)
    if not _PREFIX.fullmatch(prefix):
        raise ConfigInvalid(
            f"{at(where, 'account_prefix')}: {prefix!r} begins no account; use 1 to 8 capital "
            "letters and digits, as in CD"
        )
    return prefix


def _one_of(keys: Mapping[str, Any], key: str, known: tuple[str, ...], where: str) -> str:
    value = need(keys, key, str, where)
    if value not in known:
        raise ConfigInvalid(f"{at(where, key)}: {value!r} is unknown; known: {', '.join(known)}")
    return value


def _words(keys: Mapping[str, Any], key: str, known: Any, where: str) -> tuple[str, ...]:
    words = need(keys, key, list, where)
    for word in words:
        if kind(word, str, at(where, key)) not in known:
            raise ConfigInvalid(f"{at(where, key)}: {word!r} is unknown; known: {', '.join(known)}")
    return tuple(words)


def _fen(keys: Mapping[str, Any], key: str, where: str) -> int:
    try:
        return money.fen(need(keys, key, str, where))
    except ValueError as error:
        raise ConfigInvalid(f"{at(where, key)}: {error}") from None


def _percent(keys: Mapping[str, Any], key: str, where: str) -> int:
    text = need(keys, key, str, where)
    match = _PERCENT.fullmatch(text)
    bp = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else money.BP + 1
    if bp > money.BP:
        raise ConfigInvalid(f"{at(where, key)}: {text!r} is no share; write 0% to 100%, as in 50%")
    return bp


def _positive(keys: Mapping[str, Any], key: str, where: str) -> int:
    value = need(keys, key, int, where)
    if value <= 0:
        raise ConfigInvalid(f"{at(where, key)}: {value} is not above zero; give a positive number")
    return value
