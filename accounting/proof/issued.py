"""Was each voucher issued as the rules say: what it is worth, within limits, in order, by whom?"""

from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.errors import VoucherError
from accounting.money import yuan
from accounting.policy import Policy
from accounting.proof.evidence import Books, Found
from accounting.vouchers import entitling, freezing, granting, registry


def amounts(books: Books) -> Found:
    """No voucher is above what its contract is worth, what was wanted, or a limit."""
    conn, rules = books.conn, books.policy
    wanted = {row.application: row.wanted_fen for row in conn.execute(select(schema.waiting))}
    for row in conn.execute(select(schema.voucher).order_by(schema.voucher.c.seq)):
        subject, day = f"voucher {row.id}", date.fromisoformat(row.issued_on)
        facts = entitling.application_facts(conn, row.application, rules, day)
        yield from _otherwise_written(conn, row, rules)
        worth_fen = granting.worth(rules, facts, row.category)
        if row.amount_fen > worth_fen:
            yield subject, f"is {yuan(row.amount_fen)} yuan, its contract gives {yuan(worth_fen)}"
        wanted_fen = wanted.get(row.application, row.amount_fen)
        if row.amount_fen > wanted_fen or (row.amount_fen < wanted_fen and not row.trimmed):
            yield subject, f"is {yuan(row.amount_fen)} yuan, {yuan(wanted_fen)} was confirmed"
        for cap in rules.issue.caps:
            if row.category not in cap.categories:
                continue
            before_fen = entitling.issued_under(conn, cap, facts, rules, row.application, row.seq)
            if before_fen + row.amount_fen > cap.max_fen:
                yield (
                    subject,
                    f"is {yuan(row.amount_fen)} yuan beside {yuan(before_fen)}, at most "
                    f"{yuan(cap.max_fen)} {granting.SPANS[cap.per]} is allowed by {cap.scope}",
                )


def _otherwise_written(conn: Connection, row: Any, rules: Policy) -> Found:
    """What a voucher says follows from its application, and from the day on which it was issued."""
    application = registry.find(conn, "application", id=row.application)
    entry = select(schema.journal.c.effective_s).filter_by(seq=row.seq)
    issued_s = conn.execute(entry).scalar_one()
    day = period.day_of(issued_s, rules.timezone)
    from_s, until_s = entitling.validity(conn, application.contract, day, rules, row.seq)
    contract = registry.find(conn, "contract", id=application.contract)
    if freezing.is_frozen(conn, contract.unit, issued_s, row.seq):
        yield f"voucher {row.id}", f"was issued while unit {contract.unit} was frozen"
    expected = {
        "account": contract.account,
        "category": application.category,
        "issued_on": day.isoformat(),
        "from_s": from_s,
        "until_s": until_s,
    }
    for name, value in expected.items():
        if getattr(row, name) != value:
            yield f"voucher {row.id}", f"{name} is {getattr(row, name)}, it should be {value}"


def funders(books: Books) -> Found:
    """Where several offices pay, their parts add up to the voucher."""
    parts: dict[str, list[int]] = {}
    for row in books.conn.execute(select(schema.voucher_funder)):
        parts.setdefault(row.voucher, []).append(row.amount_fen)
    for row in books.conn.execute(select(schema.voucher)):
        own = parts.get(row.id, [])
        if (own or books.policy.funders) and sum(own) != row.amount_fen:
            yield f"voucher {row.id}", f"is {row.amount_fen} fen, its funders have {sum(own)}"


def order(books: Books) -> Found:
    """Who waited was served before those who applied later and wanted no less."""
    waited = books.conn.execute(_WAITED).all()
    for served in waited:
        if served.voucher_seq is None:
            continue
        for earlier in waited:
            open_then = earlier.seq < served.voucher_seq < (earlier.review_seq or 2**63)
            passed = open_then and earlier.applied < served.applied
            if not passed or earlier.wanted_fen > served.amount_fen:
                continue
            if _could_have(books.conn, earlier, served, books.policy):
                yield (
                    f"application {earlier.application}",
                    f"waited for {yuan(earlier.wanted_fen)} yuan when {served.application}, which "
                    f"came later, got {yuan(served.amount_fen)}",
                )


_served = schema.journal.alias()
_WAITED = (
    select(
        schema.waiting.c.seq,
        schema.waiting.c.application,
        schema.waiting.c.wanted_fen,
        schema.application.c.seq.label("applied"),
        schema.application.c.contract,
        schema.review.c.seq.label("review_seq"),
        schema.voucher.c.seq.label("voucher_seq"),
        schema.voucher.c.amount_fen,
        schema.voucher.c.issued_on,
        schema.journal.c.effective_s,
        _served.c.effective_s.label("issued_s"),
    )
    .join(schema.application, schema.application.c.id == schema.waiting.c.application)
    .join(schema.journal, schema.journal.c.seq == schema.application.c.seq)
    .outerjoin(schema.review, schema.review.c.application == schema.waiting.c.application)
    .outerjoin(schema.voucher, schema.voucher.c.application == schema.waiting.c.application)
    .outerjoin(_served, _served.c.seq == schema.voucher.c.seq)
    .order_by(schema.application.c.seq)
)


def _could_have(conn: Connection, earlier: Any, served: Any, policy: Policy) -> bool:
    """Tell whether the one that waited longer could have had that money: it competed for the same
    limit, its year was not over, and neither had its contract ended nor was it excluded."""
    day = date.fromisoformat(served.issued_on)
    facts = entitling.application_facts(conn, earlier.application, policy, day)
    if freezing.is_frozen(conn, facts.unit, served.issued_s, served.voucher_seq):
        return False
    if registry.terms(conn, earlier.contract, served.voucher_seq).ended:
        return False
    if period.day_of(earlier.effective_s, policy.timezone).year != day.year:
        return False

    def issued(cap: Any) -> int:
        return entitling.issued_under(
            conn, cap, facts, policy, earlier.application, served.voucher_seq
        )

    try:
        given = granting.grant(policy, facts, issued)
    except VoucherError:
        return False
    wanted_fen = min(given.wanted_fen, earlier.wanted_fen)
    return given.limit is not None and wanted_fen <= given.left_fen
