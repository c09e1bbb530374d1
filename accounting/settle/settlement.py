"""Month's end: what was delivered becomes a statement (结算单), half of it off the voucher.

A statement is cumulative by usage month: fee = floor(all charges of that month to the fen) and
deduction = floor(ratio of the eligible fee), each minus what earlier statements took. So a late
run or a correction finds its way into the open month, to the fen, and a closed one never changes.

Worked example: three runs of 3.333333 make 9.999999 yuan: fee 9.99, 0.009999 to the rounding
account, deduction floor(4.995) = 4.99, cash 5.00.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection, Engine

from accounting import period
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting, Stamp, lock, write
from accounting.errors import InvalidInput
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.settle import closable, statements, stating
from accounting.settle.stored import Sums
from accounting.vouchers.holds import accrued, vouchers
from accounting.vouchers.registry import contracts, find


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom a month is closed: a provider, or one account of it alone."""

    provider: str
    account: str | None = None


def close(
    engine: Engine, archive: Path, month: str, scope: Scope, policy: Policy, stamp: Stamp
) -> list[str]:
    """Close a month: one statement for each account with charges.

    Each statement is one transaction, so a close that was interrupted is simply run again;
    closing a closed month changes nothing.

    Args:
        engine: The book.
        archive: Root of the usage archive.
        month: Such as 2026-11.
        scope: For whom.
        policy: The rules.
        stamp: Who, when.

    Returns:
        The month's statements, by id.

    Raises:
        InvalidInput: This is no month, or there is no such provider or account of it.
        Refused: The month has not ended, or runs of it are unrated or not yet collected.
        InvariantBroken: Archive and book disagree.
    """
    if period.kind_of(month) != "month":
        raise InvalidInput(f"close {month}: not a month; write it as 2026-11")
    with ledger.reading(engine).begin() as conn:
        find(conn, "provider", id=scope.provider)
        if scope.account is not None:
            find(conn, "contract", account=scope.account, provider=scope.provider)
        accounts = _accounts(conn, scope)
        if not closed(conn, scope, month):
            closable.check(conn, archive, month, scope.provider, scope.account, policy, stamp)
    sums = Sums(archive, policy.timezone)
    for account in accounts:
        with engine.begin() as conn:
            lock(conn)
            if not closed(conn, Scope(scope.provider, account), month):
                _settle(conn, sums, account, month, scope.provider, policy, stamp)
    with engine.begin() as conn:
        lock(conn)
        if not closed(conn, scope, month):
            for account in accounts:
                if not closed(conn, Scope(scope.provider, account), month):
                    _lapse(conn, account, month, policy, stamp)
            _mark_closed(conn, scope, month, stamp)
        papers = statements.listed(conn, provider=scope.provider, month=month)
        return [row["id"] for row in papers if row["account"] in accounts]


def closed(conn: Connection, scope: Scope, month: str) -> bool:
    """Tell whether a month is closed: for the account alone, or for its provider."""
    query = select(schema.closing.c.seq).filter_by(provider=scope.provider, month=month)
    if conn.execute(query).scalar() is not None:
        return True
    own = select(schema.account_closing.c.seq).filter_by(account=scope.account, month=month)
    return scope.account is not None and conn.execute(own).scalar() is not None


def _accounts(conn: Connection, scope: Scope) -> list[str]:
    if scope.account is not None:
        return [scope.account]
    return [row["account"] for row in contracts(conn, provider=scope.provider)]


def _settle(
    conn: Connection,
    sums: Sums,
    account: str,
    month: str,
    provider: str,
    policy: Policy,
    stamp: Stamp,
) -> None:
    """Write the statement of one account, if there is anything to state."""
    statement_id = f"S-{account}-{month}"
    if conn.execute(select(schema.statement.c.seq).filter_by(id=statement_id)).scalar():
        return
    paper = stating.state(conn, sums, account, month, policy)
    lines = paper.lines
    if not lines:
        return
    fee_fen = sum(line.fee_fen for line in lines)
    deduction_fen = sum(line.deduction_fen for line in lines)
    cash_fen = fee_fen - deduction_fen
    due_fen = fee_fen if policy.payment_mode == "reimburse" else cash_fen
    paid_fen = min(due_fen, -ledger.balance(conn, "cash", account) // MICRO_PER_FEN)
    draws = paper.draws_fen
    row = {
        "id": statement_id,
        "account": account,
        "month": month,
        "upto_seq": ledger.head(conn)[0],
        "charge_micro": sum(line.group.charge_micro for line in lines),
        "eligible_micro": sum(line.group.eligible_micro for line in lines),
        "fee_fen": fee_fen,
        "deduction_fen": deduction_fen,
        "cash_fen": cash_fen,
        "receivable_fen": due_fen - paid_fen,
    }
    rows = {
        "statement": [row],
        "statement_line": [
            stating.line_row(statement_id, i, line) for i, line in enumerate(lines, 1)
        ],
        "deduction": [
            {"statement": statement_id, "voucher": voucher, "amount_fen": fen}
            for voucher, fen in draws.items()
        ],
    }
    if by_month := stating.month_rows(statement_id, paper):
        rows["deduction_month"] = by_month
    postings = _statement_postings(conn, row, draws, provider, due_fen)
    write(conn, Entry(f"statement:{account}:{month}", "statement", stamp, rows, postings))


def _statement_postings(
    conn: Connection,
    row: Mapping[str, Any],
    draws: Mapping[str, int],
    provider: str,
    due_fen: int,
) -> list[Posting]:
    """Return a statement's postings; a credit first settles what the unit owes.

    Args:
        due_fen: What the unit pays now: its part, or the whole fee where the other part comes back.
    """
    account = row["account"]
    paid_fen = due_fen - row["receivable_fen"]
    owed_fen = ledger.balance(conn, "receivable", account) // MICRO_PER_FEN
    settled_fen = min(owed_fen, max(0, -paid_fen))
    amounts = [
        ("accrued", account, -row["charge_micro"]),
        ("rounding", account, row["charge_micro"] - row["fee_fen"] * MICRO_PER_FEN),
        ("claim.unclaimed", provider, row["deduction_fen"] * MICRO_PER_FEN),
        ("cash", account, (paid_fen + settled_fen) * MICRO_PER_FEN),
        ("receivable", account, (row["receivable_fen"] - settled_fen) * MICRO_PER_FEN),
        ("reimburse.due", account, (row["cash_fen"] - due_fen) * MICRO_PER_FEN),
    ]
    for voucher, fen in draws.items():
        amounts.append(("voucher.left", voucher, -fen * MICRO_PER_FEN))
        amounts.append(("voucher.deducted", voucher, fen * MICRO_PER_FEN))
    return [Posting(name, owner, micro) for name, owner, micro in amounts if micro]


def _lapse(conn: Connection, account: str, month: str, policy: Policy, stamp: Stamp) -> None:
    """Let vouchers lapse whose validity, and the time to settle late runs, are over.

    What is delivered within the validity is stated first, however late that is; what a credit
    gives back after that lapses with the month in which it was given.
    """
    end_s = period.bounds(month, policy.timezone)[1]
    last_s = min(end_s, stamp.effective_s - policy.settle_days * 86_400)
    if any(eligible for _, eligible in accrued(conn, account).values()):
        return
    for voucher in vouchers(conn, account):
        left = ledger.balance(conn, "voucher.left", voucher.id)
        if left and voucher.until_s <= last_s:
            row = {
                "voucher": voucher.id,
                "kind": "expired",
                "at_s": end_s,
                "amount_fen": left // MICRO_PER_FEN,
            }
            postings = [
                Posting("voucher.left", voucher.id, -left),
                Posting("voucher.expired", voucher.id, left),
            ]
            key = f"expiry:{voucher.id}:{month}"
            rows = {"voucher_end": [row]}
            write(conn, Entry(key, "voucher.expire", stamp, rows, postings))


def _mark_closed(conn: Connection, scope: Scope, month: str, stamp: Stamp) -> None:
    row = {"month": month, "at_s": stamp.effective_s, "upto_seq": ledger.head(conn)[0]}
    if scope.account is not None:
        rows = {"account_closing": [row | {"account": scope.account}]}
        entry = Entry(
            f"closing:{scope.provider}:{month}:{scope.account}", "month.close", stamp, rows
        )
    else:
        rows = {"closing": [row | {"provider": scope.provider}]}
        entry = Entry(f"closing:{scope.provider}:{month}", "month.close", stamp, rows)
    write(conn, entry)
