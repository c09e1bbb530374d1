"""A voucher scheme's rules as data: read from YAML, checked, and never guessed.

Each struct is a mapping of the file and each attribute a key of it, by the name without its unit
(`ratio_bp` is `ratio: 50%`, `max_fen` is `max: "1,000,000"`). What the keys do is said where they
are used: who gets how much in `vouchers/granting.py`, the rest in settle/ and redeem/.

A key with one value says what is so everywhere and could be otherwise: another value is refused,
not passed over.

`clauses` says for each key which clause of the rules or which reason it has; `examples` are worked
by hand and stand beside the rules that they are of: `svoucher policy check` works them out.
"""

import re
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from importlib import resources
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct, field

from accounting import money, period, structfile
from accounting.errors import ConfigInvalid
from accounting.yamlfile import at, read

_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))? ?%")
_PREFIX = re.compile(r"[A-Z][A-Z0-9]{0,7}")

UnitKind = Literal["enterprise", "research_institute", "university"]
UNIT_KINDS: tuple[str, ...] = get_args(UnitKind)
WORD = r"^[a-z][a-z0-9_-]{0,39}$"
Word = Annotated[str, Meta(pattern=WORD)]
"""A fact about a unit, an application or a part of a fee: `start_up`, `domestic_chips`."""
Positive = Annotated[int, Meta(gt=0)]


class Percent(int):
    """A share in basis points, written 50%."""


class Yuan(int):
    """An amount in fen, written "10,000"."""


class _Keys(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping of the file: every key is known, and an unknown one is refused."""


class Contract(_Keys, frozen=True):
    """Which contracts count, and what becomes of a voucher when one is amended."""

    signed_in_year: bool
    signed_from: date | None = None
    amend: Literal["up_applies_down_recomputes"] = "up_applies_down_recomputes"


class Eligibility(_Keys, frozen=True):
    """Who gets nothing: facts that must not be in force, and providers that are not listed."""

    forbid: tuple[Word, ...] = ()
    related: Literal["allowed", "refused"] = "allowed"
    providers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By year, the providers of that year's list. Empty: every provider of the book."""


class Window(_Keys, frozen=True):
    """Days in which one may apply, both inclusive."""

    from_on: date = field(name="from")
    until_on: date = field(name="until")


class Support(_Keys, frozen=True):
    """What another office gives for the same contract, as the application's fact says (70%).

    `adds`: it is part of the voucher, in its funder's name. Otherwise it is only counted.
    `max_bp` limits both together.
    """

    fact: Word
    max_bp: Percent = field(name="max")
    adds: bool = False


class OwnDeduct(_Keys, frozen=True):
    """A category's own share of a fee, where it is not the scheme's."""

    ratio_bp: Percent = field(name="ratio")


class Category(_Keys, frozen=True):
    """What one kind of voucher gives, and to whom. A contract has one category."""

    ratio_bp: Percent = field(name="ratio")
    kinds: tuple[UnitKind, ...] = ("enterprise", "research_institute", "university")
    requires: tuple[Word, ...] = ()
    forbids: tuple[Word, ...] = ()
    project: bool = False
    revenue_min_fen: Yuan | None = field(name="revenue_min", default=None)
    revenue_test_applies_to: tuple[UnitKind, ...] = ()
    revenue_year: Literal["before_application"] = "before_application"
    contracts_year_max_fen: Yuan | None = field(name="contracts_year_max", default=None)
    exclude_parts: tuple[Word, ...] = ()
    support: Support | None = None
    deduct: OwnDeduct | None = None


class Cap(_Keys, frozen=True):
    """A limit on the sum of vouchers: of a unit, a project or all; in a year or for good."""

    scope: Literal["unit", "project", "programme"]
    max_fen: Yuan = field(name="max")
    categories: tuple[str, ...]
    per: Literal["year", "life"] = "year"


class Issue(_Keys, frozen=True):
    """The least that is issued, and the most."""

    min_test: Literal["before_caps", "after_caps"]
    caps: tuple[Cap, ...]
    min_fen: Yuan = field(name="min", default=Yuan(0))
    years_max: Positive | None = None
    """How many years after its first voucher a unit may still get one."""


class Allocation(_Keys, frozen=True):
    """Who gets the last of a programme's money, and what becomes of those who wait."""

    order: Literal["first_complete"] = "first_complete"
    last: Literal["trim_with_consent"] = "trim_with_consent"
    carry_over: Literal[False] = False


class Voucher(_Keys, frozen=True):
    """How long a voucher is valid, and how long late runs may still be deducted."""

    months_max: Positive
    settle_days: Positive
    expiry: Literal["rest_after_settled"] = "rest_after_settled"


class InKind(_Keys, frozen=True):
    """What is given in card-hours beside the voucher."""

    card_hours: Positive


class Funder(_Keys, frozen=True):
    """Who pays for vouchers, in proportion to its share."""

    name: Word
    share: Positive


class Deduct(_Keys, frozen=True):
    """What each statement takes off the voucher."""

    ratio_bp: Percent = field(name="ratio")
    basis: Literal["fee_after_discounts"] = "fee_after_discounts"
    rounding: Literal["down_per_statement"] = "down_per_statement"
    last_use: Literal["what_is_left"] = "what_is_left"
    combine: Literal["earliest_expiry_first"] = "earliest_expiry_first"


class Payment(_Keys, frozen=True):
    """When the unit pays, and the tax in what it pays."""

    mode: Literal["prepaid", "postpaid", "reimburse"]
    vat_bp: Percent = field(name="vat")


class Invoice(_Keys, frozen=True):
    """Over what the provider makes its invoice: the unit's part, or the whole fee."""

    basis: Literal["net", "gross"] = "net"


class Insufficient(_Keys, frozen=True):
    """What happens when the voucher does not last."""

    submit: Literal["refuse"] = "refuse"
    running: Literal["unit_pays"] = "unit_pays"


class Ineligible(_Keys, frozen=True):
    """What happens to the vouchers of a unit that is no longer eligible."""

    later: Literal["freeze"] = "freeze"
    fraud: Literal["claw_back"] = "claw_back"


class Redeem(_Keys, frozen=True):
    """Who claims from the city, and what may be claimed."""

    claimant: Literal["provider", "unit"] = "provider"
    after: Literal["paid_and_invoiced"] = "paid_and_invoiced"
    netting: Literal["next_claim"] = "next_claim"
    shortfall: Literal["disputed"] = "disputed"
    nature: Literal["subsidy"] = "subsidy"


class Reserve(_Keys, frozen=True):
    """When the reserve fund is said to be low: it lasts for fewer days of use than these."""

    low_days: Positive = 30


class Holds(_Keys, frozen=True):
    """When a hold that the queue never showed lapses."""

    unseen_s: Positive


class States(_Keys, frozen=True):
    """What a run's state of Slurm means for its charge. A state that is nowhere is unrated."""

    charged: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    no_run: tuple[str, ...] = ()


class Rating(_Keys, frozen=True):
    """Which runs are charged."""

    states: States


class Example(_Keys, frozen=True):
    """An application worked by hand: what it gives, or a word of why it gets nothing.

    What is left out has no say in the example. Instants are days.
    """

    fee_fen: Yuan = field(name="fee")
    gives_fen: Yuan | None = field(name="gives", default=None)
    refused: str | None = None
    funders: Mapping[str, Yuan] = field(default_factory=dict)
    card_hours: int | None = None
    category: str | None = None
    kind: UnitKind = "enterprise"
    revenue_fen: Yuan | None = field(name="revenue", default=None)
    applied_on: date | None = None
    signed_on: date | None = None
    provider: str = ""
    project: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Yuan] = field(default_factory=dict)
    issued_fen: Mapping[str, Yuan] = field(name="issued", default_factory=dict)
    """By scope of a cap: what was issued before."""
    first_year: int | None = None


class Policy(_Keys, frozen=True, dict=True):
    """The rules of one scheme. Ratios are basis points, amounts fen."""

    name: str = field(name="policy")
    source: str
    timezone: str
    account_prefix: str
    contract: Contract
    categories: Mapping[str, Category]
    issue: Issue
    voucher: Voucher
    deduct: Deduct
    payment: Payment
    holds: Holds
    rating: Rating
    eligibility: Eligibility = Eligibility()
    windows: tuple[Window, ...] = ()
    allocation: Allocation = Allocation()
    year: Literal["calendar"] = "calendar"
    refund: Literal["recorded_shares"] = "recorded_shares"
    in_kind: InKind | None = None
    funders: tuple[Funder, ...] = ()
    invoice: Invoice = Invoice()
    on_insufficient: Insufficient = Insufficient()
    on_ineligible: Ineligible = Ineligible()
    redeem: Redeem = Redeem()
    reserve: Reserve = Reserve()
    clauses: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()

    @cached_property
    def states(self) -> Mapping[str, str]:
        """State of Slurm → charged, free or no_run. A state that is not here is unrated."""
        return {
            state: how
            for how in States.__struct_fields__
            for state in getattr(self.rating.states, how)
        }

    @property
    def months_max(self) -> int:
        """The most months that a voucher is valid."""
        return self.voucher.months_max

    @property
    def settle_days(self) -> int:
        """How long after its expiry a voucher still bears what was delivered before."""
        return self.voucher.settle_days

    @property
    def deduct_ratio_bp(self) -> int:
        """The voucher's share of a fee, where a category has none of its own."""
        return self.deduct.ratio_bp

    def deduct_bp(self, category: str) -> int:
        """Return the share of a fee that a category's vouchers bear."""
        own = self.categories[category].deduct if category in self.categories else None
        return self.deduct.ratio_bp if own is None else own.ratio_bp

    @property
    def payment_mode(self) -> Literal["prepaid", "postpaid", "reimburse"]:
        """When the unit pays."""
        return self.payment.mode

    @property
    def vat_bp(self) -> int:
        """The tax in what is invoiced."""
        return self.payment.vat_bp

    @property
    def invoice_basis(self) -> Literal["net", "gross"]:
        """Whether the invoice is over the unit's part or the whole fee."""
        return self.invoice.basis

    @property
    def claimant(self) -> Literal["provider", "unit"]:
        """Who claims deductions from the city."""
        return self.redeem.claimant

    @property
    def unseen_s(self) -> int:
        """When a hold that the queue never showed lapses."""
        return self.holds.unseen_s

    def clause(self, key: str) -> str:
        """Return the clause or reason of a key: its own, or that of the nearest key above it."""
        while key and key not in self.clauses:
            key = key.rpartition(".")[0]
        return self.clauses.get(key, self.source)


def builtin(name: str) -> str:
    """Return the text of a packaged policy, or raise ConfigInvalid that lists them."""
    if name not in packaged():
        known = ", ".join(packaged())
        raise ConfigInvalid(f"policy {name!r}: not packaged, and no file; known: {known}")
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def packaged() -> list[str]:
    """List the policies that come with the program."""
    return sorted(file.name[:-5] for file in _FOLDER.iterdir() if file.name.endswith(".yaml"))


_FOLDER = resources.files("accounting") / "policies"


def states_of(policy: Policy) -> dict[str, str]:
    """Return `charged` or `free` for each state of Slurm that a policy names."""
    return {state: "free" if how == "no_run" else how for state, how in policy.states.items()}


def load(text: str, source: str) -> Policy:
    """Read a policy file.

    Raises:
        ConfigInvalid: A key is unknown, missing or of another kind; names the place.
    """
    policy = structfile.convert(read(text, source), Policy, _scalar, source)
    for where, problem in _contradictions(policy):
        raise ConfigInvalid(f"{at(source, where)}: {problem}")
    return policy


def _scalar(wanted: type, value: object) -> object:
    """Read what a file writes as text: shares and amounts of money."""
    if not isinstance(value, str):
        raise ValueError(f'{value!r} stands where text (quoted, as in "24.00") belongs')
    if wanted is Yuan:
        return Yuan(money.fen(value))
    return percent(value)


def percent(text: str) -> Percent:
    """Read a share: 50% is 5000 basis points. Raises ValueError on anything else."""
    match = _PERCENT.fullmatch(text)
    bp = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else money.BP + 1
    if bp > money.BP:
        raise ValueError(f"{text!r} is no share; write 0% to 100%, as in 50%")
    return Percent(bp)


def _contradictions(policy: Policy) -> list[tuple[str, str]]:
    """Find what each key may say but all of them together may not: (place, problem)."""
    found = []
    try:
        period.zone(policy.timezone)
    except ValueError as error:
        found.append(("timezone", str(error)))
    if not _PREFIX.fullmatch(policy.account_prefix):
        found.append(
            (
                "account_prefix",
                f"{policy.account_prefix!r} begins no account; use 1 to 8 capital letters and "
                "digits, as in CD",
            )
        )
    known = ", ".join(policy.categories)
    for i, cap in enumerate(policy.issue.caps):
        for name in cap.categories:
            if name not in policy.categories:
                found.append(
                    (f"issue.caps[{i}].categories", f"{name!r} is unknown; known: {known}")
                )
            elif cap.scope == "project" and not policy.categories[name].project:
                found.append(
                    (f"issue.caps[{i}].categories", f"{name!r} is for no project; limit the unit")
                )
        if not cap.categories:
            found.append(
                (f"issue.caps[{i}].categories", f"0 are named, a limit needs 1; known: {known}")
            )
    states = [
        state for how in States.__struct_fields__ for state in getattr(policy.rating.states, how)
    ]
    for state in sorted({state for state in states if states.count(state) > 1}):
        found.append(("rating.states", f"state {state} is given twice; keep one of them"))
    for i, window in enumerate(policy.windows):
        if window.until_on < window.from_on:
            found.append((f"windows[{i}]", "ends before it begins; check the days"))
    names = [funder.name for funder in policy.funders]
    if len(set(names)) < len(names):
        found.append(("funders", "a funder is given twice; keep one of them"))
    for i, example in enumerate(policy.examples):
        if (example.gives_fen is None) == (example.refused is None):
            found.append((f"examples[{i}]", "says either gives or refused; give one of them"))
    written = msgspec.to_builtins(policy, builtin_types=(date,), enc_hook=int)
    for key in policy.clauses:
        if not _is_key(written, key):
            found.append((f"clauses.{key}", "is no key of this file; name one that is"))
    return found


def _is_key(value: Any, key: str) -> bool:
    for step in key.split("."):
        if isinstance(value, tuple) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return False
    return True
