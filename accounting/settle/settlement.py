"""Month's end: what was delivered becomes a statement (结算单), half of it off the voucher.

A statement is cumulative by usage month: fee = floor(all charges of that month to the fen) and
deduction = floor(ratio of the eligible fee), each minus what earlier statements took. So a late
run or a correction finds its way into the open month, to the fen, and a closed one never changes.

Worked example: three runs of 3.333333 make 9.999999 yuan: fee 9.99, 0.009999 to the rounding
account, deduction floor(4.995) = 4.99, cash 5.00.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection, Engine

from accounting import period
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting, Stamp, lock, write, write_all
from accounting.errors import InvalidInput
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.settle import closable, known, statements, stating
from accounting.settle.adding import Sums
from accounting.vouchers import debts, holds
from accounting.vouchers.registry import contracts, find

TOGETHER = 64
"""How many statements are one transaction: many cost little more than one, but all of them would
keep every other writer out for long."""


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom a month is closed: a provider, or one account of it alone."""

    provider: str
    account: str | None = None


def close(
    engine: Engine, archive: Path, month: str, scope: Scope, policy: Policy, stamp: Stamp
) -> list[str]:
    """Close a month: one statement for each account with charges.

    A few statements at a time are one transaction, each an entry of its own. A close that was
    interrupted is simply run again; closing a closed month changes nothing.

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
        sums = Sums(archive, policy.timezone)
        if not closed(conn, scope, month):
            closable.check(conn, archive, month, scope.provider, scope.account, policy, stamp)
            # what takes its time is done while no writer waits for it
            for some in _some(accounts, ledger.KEYS_MAX):
                sums.read(conn, known.unstated(conn, some, month))
    for some in _some(accounts, TOGETHER):
        with engine.begin() as conn:
            lock(conn)
            left = _open(conn, scope.provider, some, month)
            _settle(conn, sums, left, month, scope.provider, policy, stamp)
    with engine.begin() as conn:
        lock(conn)
        if not closed(conn, scope, month):
            for some in _some(accounts, ledger.KEYS_MAX):
                _lapse(conn, _open(conn, scope.provider, some, month), month, policy, stamp)
            _mark_closed(conn, scope, month, stamp)
        papers = statements.listed(conn, provider=scope.provider, month=month)
        own = set(accounts)
        return [row["id"] for row in papers if row["account"] in own]


def _some(accounts: Sequence[str], together: int) -> Iterator[Sequence[str]]:
    """Yield accounts, some at a time."""
    for i in range(0, len(accounts), together):
        yield accounts[i : i + together]


def closed(conn: Connection, scope: Scope, month: str) -> bool:
    """Tell whether a month is closed: for the account alone, or for its provider."""
    query = select(schema.closing.c.seq).filter_by(provider=scope.provider, month=month)
    if conn.execute(query).scalar() is not None:
        return True
    own = select(schema.account_closing.c.seq).filter_by(account=scope.account, month=month)
    return scope.account is not None and conn.execute(own).scalar() is not None


def _open(conn: Connection, provider: str, accounts: Sequence[str], month: str) -> list[str]:
    """Return the accounts for which a month is not closed."""
    if closed(conn, Scope(provider), month):
        return []
    own = schema.account_closing.c
    query = select(own.account).where(own.month == month, own.account.in_(accounts))
    done = set(conn.execute(query).scalars())
    return [account for account in accounts if account not in done]


def _accounts(conn: Connection, scope: Scope) -> list[str]:
    if scope.account is not None:
        return [scope.account]
    return [row["account"] for row in contracts(conn, provider=scope.provider)]


def _settle(
    conn: Connection,
    sums: Sums,
    accounts: Sequence[str],
    month: str,
    provider: str,
    policy: Policy,
    stamp: Stamp,
) -> None:
    """Write the statements of accounts, of each that has something to state and none yet."""
    paper = schema.statement.c
    query = select(paper.account).where(paper.month == month, paper.account.in_(accounts))
    done = set(conn.execute(query).scalars())
    left = [account for account in accounts if account not in done]
    papers = stating.states(conn, sums, left, month, policy)
    cash, owed = (ledger.balances(conn, of, left) for of in ("cash", "receivable"))
    gone = holds.taken_back(conn)
    seq, entries = ledger.head(conn)[0], list[Entry]()
    for account, said in papers.items():
        if not said.lines:
            continue
        row = _row(account, month, said) | {"upto_seq": seq + len(entries)}
        due_fen = row["fee_fen"] if policy.payment_mode == "reimburse" else row["cash_fen"]
        paid_fen = min(due_fen, -cash.get(account, 0) // MICRO_PER_FEN)
        row["receivable_fen"] = due_fen - paid_fen
        owed_fen = owed.get(account, 0) // MICRO_PER_FEN
        postings = _statement_postings(row, said.draws_fen, provider, due_fen, owed_fen)
        relief, lowered = debts.given_back(conn, account, said.draws_fen, gone, policy.name)
        key, rows = f"statement:{account}:{month}", _rows(row, said) | relief
        entries.append(Entry(key, "statement", stamp, rows, postings + lowered))
    write_all(conn, entries)


def _row(account: str, month: str, said: stating.Paper) -> dict[str, Any]:
    """Return what a statement says of all its lines."""
    total = dict.fromkeys(("charge_micro", "eligible_micro", "fee_fen", "deduction_fen"), 0)
    for line in said.lines:
        total["charge_micro"] += line.group.charge_micro
        total["eligible_micro"] += line.group.eligible_micro
        total["fee_fen"] += line.fee_fen
        total["deduction_fen"] += line.deduction_fen
    return {
        "id": f"S-{account}-{month}",
        "account": account,
        "month": month,
        **total,
        "cash_fen": total["fee_fen"] - total["deduction_fen"],
    }


def _rows(row: dict[str, Any], said: stating.Paper) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a statement, by table."""
    rows = {
        "statement": [row],
        "statement_line": [
            stating.line_row(row["id"], i, line) for i, line in enumerate(said.lines, 1)
        ],
        "deduction": [
            {"statement": row["id"], "voucher": voucher, "amount_fen": fen}
            for voucher, fen in said.draws_fen.items()
        ],
    }
    if by_month := stating.month_rows(row["id"], said):
        rows["deduction_month"] = by_month
    return rows


def _statement_postings(
    row: Mapping[str, Any], draws: Mapping[str, int], provider: str, due_fen: int, owed_fen: int
) -> list[Posting]:
    """Return a statement's postings; a credit first settles what the unit owes.

    Args:
        due_fen: What the unit pays now: its part, or the whole fee where the other part comes back.
        owed_fen: What the unit owes.
    """
    account = row["account"]
    paid_fen = due_fen - row["receivable_fen"]
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


def _lapse(
    conn: Connection, accounts: Sequence[str], month: str, policy: Policy, stamp: Stamp
) -> None:
    """Let vouchers lapse whose validity, and the time to settle late runs, are over.

    What is delivered within the validity is stated first, however late that is; what a credit
    gives back after that lapses with the month in which it was given.
    """
    end_s = period.bounds(month, policy.timezone)[1]
    last_s = min(end_s, stamp.effective_s - policy.settle_days * 86_400)
    owned = holds.of_accounts(conn, accounts)
    over = [each for own in owned.values() for each in own if each.until_s <= last_s]
    left = ledger.balances(conn, "voucher.left", [each.id for each in over])
    pending = holds.accrued_of(conn, sorted({each.account for each in over if left.get(each.id)}))
    over = [
        each
        for each in over
        if left.get(each.id)
        and not any(eligible for _, eligible in pending.get(each.account, {}).values())
    ]
    if not over:
        return
    owing = debts.owing(conn, sorted({each.account for each in over}))
    write_all(
        conn,
        [
            _expiry(each.id, left[each.id], month, end_s, stamp)
            for each in over
            if each.account not in owing
        ],
    )
    gone = holds.taken_back(conn)
    for each in over:
        if each.account in owing:
            # What was left over by an amendment and is not used has not to be paid for.
            spare_fen = 0 if each.id in gone else debts.not_used_fen(conn, each.account)
            fen = min(left[each.id] // MICRO_PER_FEN, spare_fen)
            less = debts.lowered(conn, each.account, fen, policy.name)
            write(conn, _expiry(each.id, left[each.id], month, end_s, stamp, less))


def _expiry(
    voucher: str,
    left_micro: int,
    month: str,
    end_s: int,
    stamp: Stamp,
    less: debts.Moved = ({}, []),
) -> Entry:
    """Return the entry by which a voucher lapses, and debts are lowered with it."""
    row = {
        "voucher": voucher,
        "kind": "expired",
        "at_s": end_s,
        "amount_fen": left_micro // MICRO_PER_FEN,
    }
    postings = [
        Posting("voucher.left", voucher, -left_micro),
        Posting("voucher.expired", voucher, left_micro),
        *less[1],
    ]
    rows = {"voucher_end": [row]} | less[0]
    return Entry(f"expiry:{voucher}:{month}", "voucher.expire", stamp, rows, postings)


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
