"""Is everything claimed once, and what a claim became of it? Rules of the audit; the list of all is
in audit.py."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.money import MICRO_PER_FEN
from accounting.proof.evidence import Books, Found
from accounting.proof.settled import sum_where, sums_by
from accounting.redeem import redemption


def once(books: Books) -> Found:
    """A statement line waits in at most one claim, and each claim asks for what reviews before it
    had not approved of the line."""
    review, line, of = schema.claim_review, schema.claim_line, schema.statement_line
    earlier = review.alias()
    before = select(func.coalesce(func.sum(earlier.c.approved_fen), 0)).correlate(line)
    before = before.where(earlier.c.line == line.c.line, earlier.c.seq < line.c.seq)
    query = (
        select(line.c.line, line.c.claim, line.c.amount_fen, review.c.approved_fen)
        .add_columns((of.c.deduction_fen - before.scalar_subquery()).label("rest_fen"))
        .join(of, of.c.id == line.c.line)
        .outerjoin(review, (review.c.claim == line.c.claim) & (review.c.line == line.c.line))
        .order_by(line.c.line, line.c.seq)
    )
    waiting: dict[str, list[str]] = {}
    withdrawn = set(books.conn.execute(redemption.withdrawn()).scalars())
    for row in books.conn.execute(query):
        if row.approved_fen is None and row.claim not in withdrawn:
            waiting.setdefault(row.line, []).append(row.claim)
        if row.amount_fen != row.rest_fen:
            yield (
                f"claim {row.claim} line {row.line}",
                f"claims {row.amount_fen} fen, {row.rest_fen} of it were left",
            )
    for name, claims in waiting.items():
        if len(claims) > 1:
            names = ", ".join(claims)
            yield f"line {name}", f"waits in {len(claims)} claims, 1 is allowed: {names}"


def credited(books: Books) -> Found:
    """Every claim took off the credits that stood when it was opened, and no review that approves
    anything left one out."""
    line, review = schema.claim_line.c, schema.claim_review.c
    some = select(review.claim).where(review.approved_fen > 0)
    query = (
        select(review.claim, review.line)
        .join(schema.claim_line, (line.claim == review.claim) & (line.line == review.line))
        .where(line.amount_fen < 0, review.approved_fen == 0, review.claim.in_(some))
    )
    for row in books.conn.execute(query):
        yield f"claim {row.claim}", f"its review approves lines and leaves out credit {row.line}"
    for claim in redemption.claims(books.conn):
        for credit in redemption.credits_left_out(books.conn, claim):
            yield f"claim {claim['id']}", f"leaves out credit {credit}, which stood before it"


def withdrawn(books: Books) -> Found:
    """A claim that was withdrawn was open then: nobody handed it in, and it is no debt."""
    gone = redemption.withdrawn()
    for table in (schema.claim_submission, schema.claim_review, schema.payout, schema.claim_debt):
        query = select(table.c.claim).where(table.c.claim.in_(gone)).distinct()
        for claim in books.conn.execute(query).scalars():
            yield f"claim {claim}", f"was withdrawn, and has a {table.name.replace('_', ' ')}"


def paid(books: Books) -> Found:
    """paid ≤ approved ≤ claimed, per claim."""
    for row in books.conn.execute(select(schema.claim)).mappings():
        subject = f"claim {row['id']}"
        owed = sum_where(books.conn, schema.claim_debt.c.seq, claim=row["id"])
        claimed = sum_where(books.conn, schema.claim_line.c.amount_fen, claim=row["id"])
        approved = sum_where(books.conn, schema.claim_review.c.approved_fen, claim=row["id"])
        paid_fen = sum_where(books.conn, schema.payout.c.amount_fen, claim=row["id"])
        if claimed != row["amount_fen"]:
            yield subject, f"its lines have {claimed} fen, the claim {row['amount_fen']}"
        if not owed and not paid_fen <= approved <= claimed:
            yield (
                subject,
                f"paid {paid_fen}, approved {approved}, claimed {claimed} fen: not in order",
            )


def receivable(books: Books) -> Found:
    """unclaimed, under review, approved, disputed and paid add up to what was deducted."""
    conn = books.conn
    for provider in conn.execute(select(schema.provider.c.id)).scalars():
        for account, fen in _claim_stages(conn, provider).items():
            micro = books.sum_of(account, provider)
            if micro != fen * MICRO_PER_FEN:
                yield (
                    f"provider {provider}",
                    f"{account} is {micro} micro-yuan, {fen * MICRO_PER_FEN} by papers",
                )


def _claim_stages(conn: Connection, provider: str) -> dict[str, int]:
    """Work out from papers where a provider's deductions stand, fen by ledger account.

    What was submitted of a line is under review; what was approved of it is approved or paid; the
    rest of it is disputed.
    """
    line, review = schema.claim_line, schema.claim_review
    deductions = conn.execute(
        select(schema.statement_line.c.id, schema.statement_line.c.deduction_fen)
        .join(schema.statement, schema.statement.c.id == schema.statement_line.c.statement)
        .join(schema.contract, schema.contract.c.account == schema.statement.c.account)
        .where(schema.contract.c.provider == provider)
    )
    submitted = conn.execute(
        select(line.c.line, line.c.amount_fen, review.c.approved_fen)
        .add_columns(schema.payout.c.claim.label("payout"))
        .join(schema.claim_submission, schema.claim_submission.c.claim == line.c.claim)
        .outerjoin(review, (review.c.claim == line.c.claim) & (review.c.line == line.c.line))
        .outerjoin(schema.payout, schema.payout.c.claim == line.c.claim)
    )
    debt = schema.claim_debt
    owed = sums_by(conn, line.c.line, line.c.amount_fen, line.c.claim.in_(select(debt.c.claim)))
    claims: dict[str, list[Any]] = {}
    for row in submitted:
        claims.setdefault(row.line, []).append(row)
    stages = dict.fromkeys(("unclaimed", "review", "approved", "disputed", "paid"), 0)
    for line_id, fen in deductions:
        rest = fen - owed.get(line_id, 0)
        for row in claims.get(line_id, ()):
            stage = "approved" if row.payout is None else "paid"
            stage, part = (
                ("review", row.amount_fen)
                if row.approved_fen is None
                else (stage, row.approved_fen)
            )
            stages[stage] += part
            rest -= part
        stages["disputed" if line_id in claims else "unclaimed"] += rest
    del stages["paid"]
    return {f"claim.{stage}": fen for stage, fen in stages.items()} | {
        "claim.owed": _owed_fen(conn, provider)
    }


def _owed_fen(conn: Connection, provider: str) -> int:
    """Return what a provider owes the treasury after its last claim, fen: below zero."""
    claim, debt, back = schema.claim, schema.claim_debt, schema.claim_repayment
    own = select(debt.c.claim).join(claim, claim.c.id == debt.c.claim)
    own = own.where(claim.c.provider == provider)
    owed = select(func.coalesce(func.sum(claim.c.amount_fen), 0)).where(claim.c.id.in_(own))
    repaid = select(func.coalesce(func.sum(back.c.amount_fen), 0)).where(back.c.claim.in_(own))
    return int(conn.execute(owed).scalar_one()) + int(conn.execute(repaid).scalar_one())
