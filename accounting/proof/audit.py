"""Does it all add up? Every rule over the whole book and the archive; findings are data.

A rule yields what it finds and hides nothing behind the first; nothing is written or mended.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from accounting.book import schema
from accounting.errors import VoucherError
from accounting.money import MICRO_PER_FEN, yuan
from accounting.proof import claimed, evidence, issued, overfilled, owed, replay, settled, signed
from accounting.proof.evidence import Books, Found
from accounting.proof.settled import sum_where, sums_by
from accounting.redeem import paying
from accounting.vouchers import holds, payments

__all__ = ["RULES", "Books", "Finding", "findings"]


@dataclass(frozen=True)
class Finding:
    """Something that does not add up: which rule, what about, how, and what to do."""

    rule: str
    subject: str
    message: str
    advice: str


def findings(books: Books) -> list[Finding]:
    """Check every rule and return all findings, in the order of the rules."""
    return [
        Finding(rule, subject, message, advice)
        for rule, (check, advice) in RULES.items()
        for subject, message in _checked(check, books)
    ]


_UNWORKABLE = (
    VoucherError,
    SQLAlchemyError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)
"""What a rule stumbles over where a row is missing, or holds what was never written."""


def _checked(check: Callable[[Books], Found], books: Books) -> Found:
    """Check one rule; what was forged so that it cannot even be worked with is a finding."""
    try:
        yield from check(books)
    except _UNWORKABLE as error:
        yield "book", f"holds what this rule cannot be worked out with: {error}"


def vouchers(books: Books) -> Found:
    """issued = left + held + accrued + deducted + expired + cancelled, per voucher."""
    issued_micro = sum_where(books.conn, schema.voucher.c.amount_fen) * MICRO_PER_FEN
    programme_micro = -sum(
        micro for (account, _), micro in books.sums.items() if account == "programme"
    )
    if programme_micro != issued_micro:
        yield "programme", f"{programme_micro} micro-yuan in the ledger, {issued_micro} issued"
    deducted = sums_by(books.conn, schema.deduction.c.voucher, schema.deduction.c.amount_fen)
    for row in books.conn.execute(select(schema.voucher)):
        ended = {
            kind: sum_where(books.conn, schema.voucher_end.c.amount_fen, voucher=row.id, kind=kind)
            for kind in ("expired", "cancelled")
        }
        left = books.sum_of("voucher.left", row.id)
        expected = {
            "voucher.left": row.amount_fen - deducted.get(row.id, 0) - sum(ended.values()),
            "voucher.deducted": deducted.get(row.id, 0),
            "voucher.expired": ended["expired"],
            "voucher.cancelled": ended["cancelled"],
        }
        for account, fen in expected.items():
            micro = books.sum_of(account, row.id)
            if micro != fen * MICRO_PER_FEN:
                yield (
                    f"voucher {row.id}",
                    (
                        f"{account} is {micro} micro-yuan in the ledger, {fen * MICRO_PER_FEN} by"
                        " papers"
                    ),
                )
        if left < 0:
            yield (
                f"voucher {row.id}",
                f"{yuan(-left // MICRO_PER_FEN)} yuan more is deducted than issued",
            )
    for account in books.conn.execute(select(schema.voucher.c.account).distinct()).scalars():
        where = holds.position(books.conn, account, books.policy)
        if min(where.accrued_share_fen, where.held_share_fen, where.free_fen) < 0:
            yield f"account {account}", f"accrued, held or free is below zero: {where}"


def statements(books: Books) -> Found:
    """deduction + cash = fee; lines and vouchers add up to the statement."""
    for row in books.conn.execute(select(schema.statement)).mappings():
        if row["deduction_fen"] + row["cash_fen"] != row["fee_fen"]:
            yield f"statement {row['id']}", "deduction and cash part do not add up to the fee"
        for name in ("fee_fen", "deduction_fen", "cash_fen", "charge_micro", "eligible_micro"):
            total = sum_where(books.conn, schema.statement_line.c[name], statement=row["id"])
            if total != row[name]:
                yield f"statement {row['id']}", f"{name} is {row[name]}, its lines have {total}"
        drawn = sum_where(books.conn, schema.deduction.c.amount_fen, statement=row["id"])
        if drawn != row["deduction_fen"]:
            yield (
                f"statement {row['id']}",
                f"{drawn} fen came off vouchers, not {row['deduction_fen']}",
            )
        yield from settled.by_month(books.conn, row["id"])


def balances(books: Books) -> Found:
    """Each ledger account is what the papers make it: charges, payments, rounding, revenue.

    Bank is what is left: every entry sums to zero.
    """
    conn = books.conn
    for contract in conn.execute(select(schema.contract)):
        account = contract.account
        stated = select(schema.statement.c.id).where(schema.statement.c.account == account)
        ids = conn.execute(stated).scalars().all()
        papers = {
            name: sum(sum_where(conn, schema.statement.c[name], id=each) for each in ids)
            for name in ("charge_micro", "fee_fen", "cash_fen")
        }
        charged = sum_where(conn, schema.charge.c.charge_micro, account=account)
        paid = payments.paid_fen(conn, account)
        rounding = papers["charge_micro"] - papers["fee_fen"] * MICRO_PER_FEN
        open_cash = books.sum_of("receivable", account) + books.sum_of("cash", account)
        due_fen = papers["fee_fen" if books.policy.payment_mode == "reimburse" else "cash_fen"]
        back = _to_give_back(books, account) * MICRO_PER_FEN
        for name, is_, by_papers in (
            ("accrued", books.sum_of("accrued", account), charged - papers["charge_micro"]),
            ("rounding", books.sum_of("rounding", account), rounding),
            ("cash", open_cash, (due_fen - paid) * MICRO_PER_FEN),
            ("reimburse.due", books.sum_of("reimburse.due", account), back),
        ):
            if is_ != by_papers:
                yield f"account {account}", f"{name} is {is_} micro-yuan, {by_papers} by papers"
        months = _usage_months(conn, account)
        if not 0 <= rounding < max(months, 1) * MICRO_PER_FEN:
            yield (
                f"account {account}",
                f"rounding of {rounding} micro-yuan is no part of a fen a month",
            )

    for provider in conn.execute(select(schema.provider.c.id)).scalars():
        earned = select(func.coalesce(func.sum(schema.charge.c.charge_micro), 0))
        earned = earned.join(
            schema.contract, schema.contract.c.account == schema.charge.c.account
        ).where(schema.contract.c.provider == provider)
        by_papers = int(conn.execute(earned).scalar_one())
        is_ = -books.sum_of("revenue", provider)
        if is_ != by_papers:
            yield f"provider {provider}", f"revenue is {is_} micro-yuan, {by_papers} by papers"


def _to_give_back(books: Books, account: str) -> int:
    """Return what a unit paid first for its vouchers and has not got back, fen: below zero."""
    if books.policy.payment_mode != "reimburse":
        return 0
    review, line, paper = schema.claim_review, schema.statement_line, schema.statement
    query = (
        select(func.coalesce(func.sum(review.c.approved_fen), 0))
        .join(line, line.c.id == review.c.line)
        .join(paper, paper.c.id == line.c.statement)
        .join(schema.payout, schema.payout.c.claim == review.c.claim)
        .join(schema.claim, schema.claim.c.id == review.c.claim)
        .where(paper.c.account == account, schema.claim.c.claimant.is_not(None))
    )
    paid_back = int(books.conn.execute(query).scalar_one())
    return paid_back - sum_where(books.conn, paper.c.deduction_fen, account=account)


def _usage_months(conn: Connection, account: str) -> int:
    line = schema.statement_line
    query = (
        select(func.count(line.c.usage_month.distinct()))
        .join(schema.statement, schema.statement.c.id == line.c.statement)
        .where(schema.statement.c.account == account)
    )
    return int(conn.execute(query).scalar_one())


def reserve(books: Books) -> Found:
    """The reserve fund holds what was granted, repaid and returned and not drawn, per provider.

    A payout first repays what was drawn for its lines.
    """
    conn = books.conn
    for provider in conn.execute(select(schema.provider.c.id)).scalars():
        ids = select(schema.claim.c.id).where(schema.claim.c.provider == provider)
        repaid_fen = int(
            conn.execute(
                select(func.coalesce(func.sum(schema.payout.c.repaid_fen), 0)).where(
                    schema.payout.c.claim.in_(ids)
                )
            ).scalar_one()
        )
        granted_fen = sum_where(conn, schema.reserve_grant.c.amount_fen, provider=provider)
        drawn_fen = sum_where(conn, schema.reserve_draw.c.amount_fen, provider=provider)
        returned_fen = sum_where(conn, schema.reserve_return.c.amount_fen, provider=provider)
        fund_fen = granted_fen - drawn_fen + repaid_fen + returned_fen
        for account, fen in (("reserve.fund", fund_fen), ("reserve.owed", -granted_fen)):
            micro = books.sum_of(account, provider)
            if micro != fen * MICRO_PER_FEN:
                yield (
                    f"provider {provider}",
                    f"{account} is {micro} micro-yuan; granted {yuan(granted_fen)} yuan, drawn "
                    f"{yuan(drawn_fen)}, repaid {yuan(repaid_fen)}, returned {yuan(returned_fen)}",
                )
        if fund_fen < 0:
            yield f"provider {provider}", f"{yuan(-fund_fen)} yuan more is drawn than there was"
        if returned_fen + repaid_fen > drawn_fen:
            over_fen = returned_fen + repaid_fen - drawn_fen
            yield f"provider {provider}", f"{yuan(over_fen)} yuan more came back than was drawn"
    set_off = (
        select(schema.reserve_draw.c.line, schema.claim_debt.c.claim)
        .join(schema.claim_line, schema.claim_line.c.line == schema.reserve_draw.c.line)
        .join(schema.claim_debt, schema.claim_debt.c.claim == schema.claim_line.c.claim)
        .where(schema.reserve_draw.c.seq > schema.claim_debt.c.seq)
    )
    for row in conn.execute(set_off):
        yield f"line {row.line}", f"was drawn for after debt {row.claim} had set it off"
    of_claims = select(schema.payout, schema.claim.c.claimant)
    for row in conn.execute(
        of_claims.join(schema.claim, schema.claim.c.id == schema.payout.c.claim)
    ):
        due_fen = 0 if row.claimant else paying.repaid_by(conn, row.claim)
        if row.repaid_fen != due_fen:
            yield (
                f"payout {row.claim}",
                f"repaid {yuan(row.repaid_fen)} yuan to the fund, {yuan(due_fen)} was drawn",
            )


def archived(books: Books) -> Found:
    """Every segment is there, with the content that the book names."""
    yield from books.damage


def replayed(books: Books) -> Found:
    """The same usage and closing instants give the same charges and statements."""
    if books.damage:
        yield "archive", "segments are damaged, so nothing can be replayed"
        return
    yield from replay.differences(books.conn, books.archive, books.policy)


RULES: Mapping[str, tuple[Callable[[Books], Found], str]] = {
    "chain": (evidence.chain, "stop posting and compare with a backup and the signed heads"),
    "running": (
        evidence.running,
        "stop posting; the postings are right, work the balances out from them anew",
    ),
    "reversals": (evidence.reversals, "compare the entry with the one that it names"),
    "anchors": (
        signed.anchors,
        "the chain was rewritten: compare with a backup and with printed papers",
    ),
    "keys": (signed.keys, "ask its office whether the key is theirs; revoke it if not"),
    "signatures": (signed.signatures, "ask the regulator or treasury for the act they signed"),
    "documents": (evidence.documents, "compare the document with the file that was loaded"),
    "papers": (evidence.kept, "bring the paper back from a backup, or ask the unit for it"),
    "issue": (issued.amounts, "compare the voucher with its contract, the rules and the act"),
    "waiting": (issued.order, "ask why the earlier application was passed over"),
    "funders": (issued.funders, "compare the voucher with its funders' parts"),
    "vouchers": (vouchers, "compare issue, statements and expiries of the voucher"),
    "statements": (statements, "compare the statement with its lines"),
    "refunds": (settled.refunds, "compare the refund with its line and its credit"),
    "invoices": (settled.invoices, "compare the invoice with its statement's lines"),
    "balances": (balances, "compare the ledger account with payments and statements"),
    "claimed-once": (claimed.once, "withdraw one of the claims, or have the line refused"),
    "credited": (claimed.credited, "take the credit off the next claim"),
    "withdrawn": (claimed.withdrawn, "ask who handed the claim in, and who withdrew it"),
    "paid": (claimed.paid, "compare claim, review and payout"),
    "receivable": (claimed.receivable, "compare deductions, claims, reviews and payouts"),
    "reserve": (reserve, "compare grants, draws and repayments"),
    "debts": (owed.debts_of_units, "compare debts with what the treasury received"),
    "capacity": (
        overfilled.days,
        "look for runs counted twice, or correct the capacity in the tariff",
    ),
    "archive": (archived, "restore the segment from a backup; the quarantine may have it"),
    "replay": (replayed, "stop closing; compare tariff, archive and statement"),
}
"""The closed list of rules, in the order in which they are checked, each with what to do."""
