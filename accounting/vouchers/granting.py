"""What the rules give for an application: arithmetic without a book.

Facts come in, the figure comes out with every step that led to it, each with the key of the policy
that decided. The book's part (who applied, what was issued before) is issuing.py's; the same
function works the examples out that stand in a policy file (examples.py).

Source:
    POLICY.md: Eligibility, the table of categories, and Other places.

Example:
    chengdu-2023, general: a contract of 20,000 gives 10,000; of 19,999.98: 9,999.99, refused; of
    5,000,000: the unit's limit of 1,000,000, marked trimmed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from accounting import money
from accounting import policy as policies
from accounting.errors import CapReached, InvalidInput, NotEligible
from accounting.money import yuan
from accounting.policy import Cap, Category, Policy, Support

SPANS = {"year": "a year", "life": "for good"}
Issued = Callable[[Cap], int]
"""What was issued before under a limit, fen."""


@dataclass(frozen=True)
class Facts:
    """An application as the rules see it. Amounts are fen, days those of the policy's time zone.

    Attributes:
        name: What messages call it.
        fee_fen: Of the contract, or the part of it that is applied for.
        parts_fen: By kind, parts of the fee that are not computing (storage, network).
        facts: What is so of unit and application: start_up, domestic_chips; with a value or "".
        on: Day of the decision; it says which year's limits and which facts count.
        applied_on: Day of the application, where it was an earlier one.
        contracts_year_fen: All contracts of the unit in the year, this one too. None: not known.
        first_year: In which the unit got its first voucher. None: this is the first.
    """

    name: str
    unit: str
    kind: str
    provider: str
    fee_fen: int
    on: date
    signed_on: date
    applied_on: date | None = None
    category: str | None = None
    revenue_fen: int | None = None
    project: str | None = None
    parts_fen: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    contracts_year_fen: int | None = None
    first_year: int | None = None


@dataclass(frozen=True)
class Step:
    """One step to the figure: the policy's key that decided, and what it made."""

    key: str
    said: str


@dataclass(frozen=True)
class Grant:
    """What the rules give, fen.

    Attributes:
        category: Which one it is given in.
        wanted_fen: Before the programme's limit: what is issued if there is money for it.
        limit: The programme's limit of which least is left; None where there is none.
        left_fen: What is left of it.
        trimmed: A limit of unit, project or support made it smaller.
        funders_fen: Who pays how much of `wanted_fen`; nothing where one office pays all.
        card_hours: Given in kind beside it.
    """

    category: str
    wanted_fen: int
    limit: Cap | None
    left_fen: int
    trimmed: bool
    funders_fen: Sequence[tuple[str, int]]
    card_hours: int
    steps: Sequence[Step]


def grant(policy: Policy, facts: Facts, issued: Issued) -> Grant:
    """Work out what the rules give for an application.

    Raises:
        InvalidInput: The category is unknown.
        NotEligible: A rule excludes the application, or it is below the floor.
        CapReached: Nothing is left of the unit's or project's limit.
    """
    name = eligible(policy, facts)
    category = policy.categories[name]
    steps: list[Step] = []

    def step(key: str, said: str) -> None:
        steps.append(Step(key, said))

    wanted_fen, amount_fen, added_fen = _before_caps(policy, facts, name, step)
    if policy.issue.min_test == "before_caps":
        _check_floor(policy, facts, amount_fen + added_fen)
    amount_fen = _under_caps(policy, facts, name, amount_fen, issued, step)
    if policy.issue.min_test == "after_caps":
        _check_floor(policy, facts, amount_fen + added_fen)
    limit, left_fen = _programme_left(policy, name, issued, step)
    hours = policy.in_kind.card_hours if policy.in_kind else 0
    if hours:
        step("in_kind.card_hours", f"{hours:,} card-hours beside it, used first")
    return Grant(
        category=name,
        wanted_fen=amount_fen + added_fen,
        limit=limit,
        left_fen=left_fen,
        trimmed=amount_fen < wanted_fen,
        funders_fen=_funders(policy, category, amount_fen, added_fen, step),
        card_hours=hours,
        steps=steps,
    )


def worth(policy: Policy, facts: Facts, category: str) -> int:
    """Return what a fee is worth in a category before any limit, fen; nothing below the floor."""
    _, amount_fen, added_fen = _before_caps(policy, facts, category, lambda key, said: None)
    total_fen = amount_fen + added_fen
    return total_fen if total_fen >= policy.issue.min_fen else 0


def _before_caps(
    policy: Policy, facts: Facts, name: str, step: Callable[[str, str], None]
) -> tuple[int, int, int]:
    """Return the share of what counts, what is given of it, and what another office adds."""
    category = policy.categories[name]
    base_fen = _base(facts, category, f"categories.{name}.exclude_parts", step)
    wanted_fen = money.share(base_fen, category.ratio_bp)
    step(
        f"categories.{name}.ratio",
        f"{percent(category.ratio_bp)} of {yuan(base_fen)} is {yuan(wanted_fen)}",
    )
    if category.support is None:
        return wanted_fen, wanted_fen, 0
    key = f"categories.{name}.support"
    amount_fen, added_fen = _supported(category.support, base_fen, wanted_fen, facts, key, step)
    return wanted_fen, amount_fen, added_fen


def eligible(policy: Policy, facts: Facts) -> str:
    """Check whether the rules let an application in, and return its category.

    Raises:
        InvalidInput: The category is unknown.
        NotEligible: A rule excludes the application.
    """
    _check_who(policy, facts)
    name = facts.category
    if name is None:
        return _best(policy, facts)
    if name not in policy.categories:
        known = ", ".join(policy.categories)
        raise InvalidInput(f"category {name!r}: not in policy {policy.name}; known: {known}")
    _check_category(policy, facts, name, policy.categories[name])
    return name


def percent(ratio_bp: int) -> str:
    """Print a share: 5000 is 50%, 1250 is 12.5%."""
    return f"{ratio_bp / 100:g}%"


def _best(policy: Policy, facts: Facts) -> str:
    """Return the first category that an application fits: the higher one stands first.

    A category for projects is never guessed: which kind of project it is nobody but the applicant
    knows.

    Raises:
        NotEligible: It fits none; why not says the last one, which asks for least.
    """
    last = NotEligible(f"{facts.name}: every category of {policy.name} is for a project; name one")
    for name, category in policy.categories.items():
        if category.project:
            continue
        try:
            _check_category(policy, facts, name, category)
        except NotEligible as error:
            last = error
        else:
            return name
    raise last


def _check_who(policy: Policy, facts: Facts) -> None:
    """Check what has to be so whatever the category is: unit, provider, days."""
    rules = policy.eligibility
    for word in rules.forbid:
        if word in facts.facts:
            raise NotEligible(
                f"unit {facts.unit}: {word} is in force on {facts.on}, {policy.name} gives "
                f"nothing then ({policy.clause('eligibility.forbid')}); apply when it is over"
            )
    if rules.related == "refused" and f"related_{facts.provider}" in facts.facts:
        raise NotEligible(
            f"unit {facts.unit}: related to provider {facts.provider}, {policy.name} wants them "
            f"unrelated ({policy.clause('eligibility.related')}); contract with another provider"
        )
    listed = rules.providers.get(str(facts.on.year), () if rules.providers else None)
    if listed is not None and facts.provider not in listed:
        raise NotEligible(
            f"provider {facts.provider}: not on the list of {facts.on.year}; contract with "
            f"one of {', '.join(listed) or 'the next list'}"
        )
    applied_on = facts.applied_on or facts.on
    if policy.windows and not any(
        window.from_on <= applied_on <= window.until_on for window in policy.windows
    ):
        spans = ", ".join(f"{each.from_on} to {each.until_on}" for each in policy.windows)
        raise NotEligible(
            f"{facts.name}: of {applied_on}, outside the window ({spans}); apply within one"
        )
    _check_signed(policy, facts)
    years, first = policy.issue.years_max, facts.first_year
    if years is not None and first is not None and facts.on.year >= first + years:
        raise NotEligible(
            f"unit {facts.unit}: first voucher in {first}, {policy.name} gives some for {years} "
            f"years ({policy.clause('issue.years_max')}); there is no further one"
        )


def _check_signed(policy: Policy, facts: Facts) -> None:
    rules = policy.contract
    if rules.signed_in_year and facts.signed_on.year != facts.on.year:
        raise NotEligible(
            f"{facts.name}: signed {facts.signed_on}, the application is of "
            f"{facts.on.year}; {policy.name} wants one signed in the same year "
            f"({policy.clause('contract.signed_in_year')}); sign a new one"
        )
    if rules.signed_from is not None and facts.signed_on < rules.signed_from:
        raise NotEligible(
            f"{facts.name}: signed {facts.signed_on}, {policy.name} counts contracts signed from "
            f"{rules.signed_from} on ({policy.clause('contract.signed_from')}); sign a new one"
        )


def _check_category(policy: Policy, facts: Facts, name: str, category: Category) -> None:
    """Check whether an application fits a category."""
    key = f"categories.{name}"

    def refuse(what: str, wanted: str, sub_key: str, advice: str) -> NotEligible:
        clause = policy.clause(f"{key}.{sub_key}")
        return NotEligible(f"{what}, {name} wants {wanted} ({clause}); {advice}")

    if facts.kind not in category.kinds:
        kinds = " or ".join(category.kinds)
        raise refuse(f"unit {facts.unit}: is a {facts.kind}", kinds, "kinds", "see the categories")
    for word in category.requires:
        if word not in facts.facts:
            raise refuse(f"{facts.name}: {word} is not stated", "it", "requires", "state it")
    for word in category.forbids:
        if word in facts.facts:
            raise refuse(f"{facts.name}: {word} is stated", "none", "forbids", "end that first")
    if category.project and not facts.project:
        raise refuse(
            f"{facts.name}: no project is named", "one", "project", "name it with --project"
        )
    most_fen = category.contracts_year_max_fen
    if most_fen is not None:
        so_far_fen = facts.contracts_year_fen
        if so_far_fen is None or so_far_fen > most_fen:
            known = "not known" if so_far_fen is None else yuan(so_far_fen)
            raise refuse(
                f"unit {facts.unit}: contracts of {facts.on.year} are {known} yuan",
                f"at most {yuan(most_fen)}",
                "contracts_year_max",
                "see the other categories",
            )
    least_fen = category.revenue_min_fen
    if least_fen is None or facts.kind not in category.revenue_test_applies_to:
        return
    year = facts.on.year - 1
    if facts.revenue_fen is None:
        raise NotEligible(
            f"unit {facts.unit}: no revenue of {year} is registered; register it with "
            f"svoucher unit revenue {facts.unit}"
        )
    if facts.revenue_fen < least_fen:
        raise NotEligible(
            f"unit {facts.unit}: revenue of {year} is {yuan(facts.revenue_fen)} yuan, "
            f"{policy.name} wants {yuan(least_fen)} or more ({policy.clause(f'{key}.revenue_min')})"
            "; apply in a year after one that reaches it"
        )


def _base(facts: Facts, category: Category, key: str, step: Callable[[str, str], None]) -> int:
    """Return what of the fee counts."""
    base_fen = facts.fee_fen
    for kind in category.exclude_parts:
        part_fen = facts.parts_fen.get(kind, 0)
        if part_fen:
            base_fen -= part_fen
            step(key, f"{kind} of {yuan(part_fen)} does not count: {yuan(base_fen)} is left")
    if base_fen < 0:
        raise InvalidInput(
            f"{facts.name}: parts are {yuan(facts.fee_fen - base_fen)} yuan, the fee is "
            f"{yuan(facts.fee_fen)}; check them"
        )
    return base_fen


def _supported(
    support: Support,
    base_fen: int,
    wanted_fen: int,
    facts: Facts,
    key: str,
    step: Callable[[str, str], None],
) -> tuple[int, int]:
    """Return what is given and what another office adds, both together within the limit."""
    stated = facts.facts.get(support.fact)
    if stated is None:
        return wanted_fen, 0
    try:
        other_fen = money.share(base_fen, policies.percent(stated))
    except ValueError as error:
        raise InvalidInput(f"{facts.name}: {support.fact}: {error}") from None
    limit_fen = money.share(base_fen, support.max_bp)
    amount_fen = max(0, min(wanted_fen, limit_fen - (0 if support.adds else other_fen)))
    added_fen = min(other_fen, limit_fen - amount_fen) if support.adds else 0
    step(
        key,
        f"{support.fact} of {stated} is {yuan(other_fen)}, together at most "
        f"{percent(support.max_bp)} or {yuan(limit_fen)}: {yuan(amount_fen)}"
        + (f", and {yuan(added_fen)} in its name" if support.adds else ""),
    )
    return amount_fen, added_fen


def _check_floor(policy: Policy, facts: Facts, amount_fen: int) -> None:
    if amount_fen < policy.issue.min_fen:
        raise NotEligible(
            f"{facts.name}: gives a voucher of {yuan(amount_fen)} yuan, the least is "
            f"{yuan(policy.issue.min_fen)} ({policy.clause('issue.min')}); a larger contract is "
            "needed"
        )


def _under_caps(
    policy: Policy,
    facts: Facts,
    category: str,
    wanted_fen: int,
    issued: Issued,
    step: Callable[[str, str], None],
) -> int:
    """Trim to what is left of the unit's and the project's limits.

    Raises:
        CapReached: Nothing is left.
    """
    amount_fen = wanted_fen
    for i, cap in enumerate(policy.issue.caps):
        if category not in cap.categories or cap.scope == "programme":
            continue
        before_fen = issued(cap)
        left_fen = cap.max_fen - before_fen
        whose = facts.unit if cap.scope == "unit" else f"project {facts.project}"
        span = SPANS[cap.per]
        if left_fen <= 0:
            raise CapReached(
                f"{facts.name}: {yuan(amount_fen)} yuan wanted, 0.00 of {yuan(cap.max_fen)} {span} "
                f"is left for {whose} ({policy.clause(f'issue.caps.{i}')}); it waits until money "
                "is freed",
                amount_fen,
            )
        amount_fen = min(amount_fen, left_fen)
        step(
            f"issue.caps.{i}",
            f"{whose}: {yuan(before_fen)} of {yuan(cap.max_fen)} {span} is issued, "
            f"{yuan(left_fen)} is left: {yuan(amount_fen)}",
        )
    return amount_fen


def _programme_left(
    policy: Policy, category: str, issued: Issued, step: Callable[[str, str], None]
) -> tuple[Cap | None, int]:
    """Return the programme's limit of which least is left, and what is left of it."""
    limit, least_fen = None, 0
    for i, cap in enumerate(policy.issue.caps):
        if category not in cap.categories or cap.scope != "programme":
            continue
        left_fen = max(0, cap.max_fen - issued(cap))
        step(f"issue.caps.{i}", f"programme: {yuan(left_fen)} of {yuan(cap.max_fen)} is left")
        if limit is None or left_fen < least_fen:
            limit, least_fen = cap, left_fen
    return limit, least_fen


def _funders(
    policy: Policy,
    category: Category,
    amount_fen: int,
    added_fen: int,
    step: Callable[[str, str], None],
) -> list[tuple[str, int]]:
    """Split what is given over who pays it, by largest remainder; earlier ones win ties."""
    funders = policy.funders
    parts = money.apportion(amount_fen, [each.share for each in funders]) if funders else []
    paid = [(each.name, fen) for each, fen in zip(funders, parts, strict=True)]
    if added_fen and category.support is not None:
        paid = paid or [("city", amount_fen)]
        paid.append((category.support.fact, added_fen))
    if paid:
        step("funders", ", ".join(f"{name} {yuan(fen)}" for name, fen in paid))
    return paid
