"""From application to voucher: the second step of the rules (申领, 发放).

What is issued follows from policy, contract and what was issued before, in one serialised
transaction. The regulator signs the figure; if the rules give another one by then, nothing
is issued.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import schema, signing
from accounting.book.ledger import Entry, Posting, Stamp, hash_of, lock, write
from accounting.book.signing import Act
from accounting.errors import CapReached, InvalidInput, NotAllowed, NotEligible
from accounting.policy import Category, Policy
from accounting.vouchers.registry import find, revenue_of

_VERDICTS = {"application.confirm": "confirmed", "application.refuse": "refused"}


@dataclass(frozen=True)
class Grant:
    """What the rules give for one application, fen; half-open validity."""

    amount_fen: int
    trimmed: bool
    from_s: int
    until_s: int
    issued_on: date


def apply(
    conn: Connection,
    contract_id: str,
    *,
    category: str,
    channel: str,
    paper_sha256: str,
    policy: Policy,
    stamp: Stamp,
) -> str:
    """Enter an application (申领) for a contract.

    Returns:
        The application's id.

    Raises:
        InvalidInput: Contract or category is unknown.
        NotEligible: The rules do not allow it.
    """
    contract = find(conn, "contract", id=contract_id)
    day = period.day_of(stamp.effective_s, policy.timezone)
    _check_eligible(conn, contract, _category(policy, category), policy, day)
    application_id = f"A-{contract.account}"
    row = {
        "id": application_id,
        "contract": contract_id,
        "category": category,
        "channel": channel,
        "paper_sha256": paper_sha256,
    }
    key = f"application:{contract_id}"
    write(conn, Entry(key, "application.submit", stamp, {"application": [row]}))
    return application_id


def _category(policy: Policy, name: str) -> Category:
    if name not in policy.categories:
        known = ", ".join(policy.categories)
        raise InvalidInput(f"category {name!r}: not in policy {policy.name}; known: {known}")
    return policy.categories[name]


def _check_eligible(
    conn: Connection, contract: Any, category: Category, policy: Policy, day: date
) -> None:
    unit = find(conn, "unit", id=contract.unit)
    if policy.signed_in_year and not contract.signed_on.startswith(f"{day.year}-"):
        raise NotEligible(
            f"contract {contract.id}: signed {contract.signed_on}, the application is of"
            f" {day.year}; {policy.name} wants one signed in the same year; sign a new one"
        )
    if unit.kind not in category.revenue_test_applies_to:
        return
    revenue_fen = revenue_of(conn, unit.id, day.year - 1)
    if revenue_fen is None:
        raise NotEligible(
            f"unit {unit.id}: no revenue of {day.year - 1} is registered; register it first"
        )
    if revenue_fen < category.revenue_min_fen:
        raise NotEligible(
            f"unit {unit.id}: revenue of {day.year - 1} is {money.yuan(revenue_fen)} yuan, "
            f"{policy.name} wants {money.yuan(category.revenue_min_fen)} or more; apply in a year "
            "after one that reaches it"
        )


def entitled(conn: Connection, application_id: str, policy: Policy, effective_s: int) -> Grant:
    """Work out what the rules give for an application at an instant.

    Example:
        A contract of 20,000 gives 10,000; of 19,999.98: 9,999.99, refused; of 5,000,000: the
        unit's limit of 1,000,000, marked trimmed.

    Raises:
        NotEligible: Below the floor, or the contract has ended.
        CapReached: Nothing is left of the unit's limit, or too little of the programme's.
    """
    application = find(conn, "application", id=application_id)
    contract = find(conn, "contract", id=application.contract)
    category = _category(policy, application.category)
    day = period.day_of(effective_s, policy.timezone)
    _check_eligible(conn, contract, category, policy, day)
    wanted_fen = money.share(contract.fee_fen, category.ratio_bp)
    if wanted_fen < policy.issue_min_fen:
        raise NotEligible(
            f"contract {contract.id}: gives a voucher of {money.yuan(wanted_fen)} yuan, the least "
            f"is {money.yuan(policy.issue_min_fen)}; a larger contract is needed"
        )
    amount_fen = _under_caps(conn, wanted_fen, application, contract, policy, day)
    until_s = min(contract.until_s, _months_later(day, policy))
    from_s = period.instant(day, policy.timezone)
    if until_s <= from_s:
        raise NotEligible(
            f"contract {contract.id}: it ended before {day}; a voucher needs one that still runs"
        )
    return Grant(amount_fen, amount_fen < wanted_fen, from_s, until_s, day)


def _under_caps(
    conn: Connection, wanted_fen: int, application: Any, contract: Any, policy: Policy, day: date
) -> int:
    amount_fen = wanted_fen
    # A unit's own limits trim first: the programme is asked only for what is left to give.
    for cap in sorted(policy.caps, key=lambda cap: cap.scope == "programme"):
        if application.category not in cap.categories:
            continue
        unit = contract.unit if cap.scope == "unit" else None
        left_fen = cap.max_fen - issued_fen(conn, day.year, cap.categories, unit)
        short = left_fen <= 0 if cap.scope == "unit" else left_fen < amount_fen
        if short:
            raise CapReached(
                f"application {application.id}: {money.yuan(amount_fen)} yuan wanted, "
                f"{money.yuan(max(left_fen, 0))} of {money.yuan(cap.max_fen)} a year is left for "
                f"{unit or 'the programme'}; it waits until money is freed"
            )
        amount_fen = min(amount_fen, left_fen)
    return amount_fen


def issued_fen(conn: Connection, year: int, categories: tuple[str, ...], unit: str | None) -> int:
    """Return the sum of vouchers issued in a year, to one unit or to all, fen."""
    query = (
        select(func.coalesce(func.sum(schema.voucher.c.amount_fen), 0))
        .join(schema.contract, schema.contract.c.account == schema.voucher.c.account)
        .where(schema.voucher.c.issued_on.startswith(f"{year}-"))
        .where(schema.voucher.c.category.in_(categories))
    )
    if unit is not None:
        query = query.where(schema.contract.c.unit == unit)
    return int(conn.execute(query).scalar_one())


def _months_later(day: date, policy: Policy) -> int:
    """Return the instant at which the last valid day ends: 29 February → 28 February.

    Source:
        民法典 201, 202, 203: the first day does not count, the last one is the same day of the
        last month or that month's end, and it ends at 24:00.
    """
    months = day.month - 1 + policy.months_max
    year, month = day.year + months // 12, months % 12 + 1
    last_day = date(year, month, min(day.day, monthrange(year, month)[1]))
    return period.instant(last_day + timedelta(days=1), policy.timezone)


def draft_review(
    conn: Connection,
    application_id: str,
    verdict: str,
    reason: str,
    policy: Policy,
    effective_s: int,
) -> dict[str, Any]:
    """Return the act that the regulator signs to confirm or refuse an application."""
    application = find(conn, "application", id=application_id)
    body: dict[str, Any] = {"reason": reason}
    if verdict == "confirm":
        body["voucher_fen"] = entitled(conn, application_id, policy, effective_s).amount_fen
    return signing.draft(
        conn, f"application.{verdict}", application_id, hash_of(conn, application.seq), body
    )


def accept_review(conn: Connection, act: Act, policy: Policy, stamp: Stamp) -> str | None:
    """Carry out the regulator's signed review; issue the voucher if it confirms.

    Returns:
        The voucher's id, or None when the application is refused.

    Raises:
        InvalidInput: The act decides something else than an application.
        NotAllowed: It was signed for other content, by the submitter, or decided already.
    """
    if act.verb not in _VERDICTS:
        raise InvalidInput(
            f"act {act.verb} {act.subject}: decides no application; draft it as one of"
            f" {', '.join(_VERDICTS)}"
        )
    lock(conn)
    application = find(conn, "application", id=act.subject)
    signing.insist_on_subject(act, act.verb, hash_of(conn, application.seq))
    submitter = conn.execute(
        select(schema.journal.c.actor).where(schema.journal.c.seq == application.seq)
    ).scalar_one()
    signing.insist_on_other(act, submitter)
    known = conn.execute(select(schema.review).filter_by(application=application.id)).one_or_none()
    if known is not None:
        if known.act_sha256 == act.sha256:
            return conn.execute(
                select(schema.voucher.c.id).filter_by(application=application.id)
            ).scalar()
        raise NotAllowed(
            f"application {application.id}: was {known.verdict} already; nothing is left to decide"
        )
    verdict = _VERDICTS[act.verb]
    review = {
        "application": application.id,
        "verdict": verdict,
        "reason": str(act.body.get("reason", "")),
        "act_sha256": act.sha256,
    }
    rows: dict[str, list[Mapping[str, Any]]] = {
        "signed_act": [signing.act_row(act)],
        "review": [review],
    }
    voucher = (
        _voucher_row(conn, application, act, policy, stamp) if verdict == "confirmed" else None
    )
    postings: list[Posting] = []
    if voucher is not None:
        rows["voucher"] = [voucher]
        micro = voucher["amount_fen"] * money.MICRO_PER_FEN
        postings = [
            Posting("voucher.left", voucher["id"], micro),
            Posting("programme", policy.name, -micro),
        ]
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    write(conn, Entry(f"review:{application.id}", act.verb, signed, rows, postings))
    return None if voucher is None else voucher["id"]


def _voucher_row(
    conn: Connection, application: Any, act: Act, policy: Policy, stamp: Stamp
) -> dict[str, Any]:
    grant = entitled(conn, application.id, policy, stamp.effective_s)
    if act.body.get("voucher_fen") != grant.amount_fen:
        raise NotAllowed(
            f"act {act.verb} {application.id}: signed for {act.body.get('voucher_fen')} fen, the "
            f"rules now give {grant.amount_fen}; draft it again"
        )
    contract = find(conn, "contract", id=application.contract)
    return {
        "id": f"{contract.account}-1",
        "account": contract.account,
        "application": application.id,
        "category": application.category,
        "issued_on": grant.issued_on.isoformat(),
        "amount_fen": grant.amount_fen,
        "trimmed": int(grant.trimmed),
        "from_s": grant.from_s,
        "until_s": grant.until_s,
    }
