"""A contract ends before its time: what of its vouchers nobody needs any more is cancelled.

What is accrued or held is needed still: it is settled like any other, and the rest of it lapses
with the voucher. What is cancelled goes to those who wait, in the same transaction.
"""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting, Stamp, lock, write
from accounting.errors import InvalidInput, NotAllowed
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.vouchers import holds, waiting
from accounting.vouchers.registry import find


def end_contract(
    conn: Connection, contract_id: str, last_day: date, paper_sha256: str, policy: Policy,
    stamp: Stamp,
) -> tuple[int, list[str]]:  # fmt: skip
    """End a contract after a day, and cancel what of its vouchers is free.

    Returns:
        (cancelled now, fen; vouchers issued to those who waited for it).

    Raises:
        InvalidInput: The contract is unknown, or the day is not before its last one.
        NotAllowed: It was ended otherwise.
    """
    lock(conn)
    contract = find(conn, "contract", id=contract_id)
    until_s = period.instant(last_day + timedelta(days=1), policy.timezone)
    if not contract.from_s < until_s < contract.until_s:
        span = " to ".join(
            period.day_of(second, policy.timezone).isoformat()
            for second in (contract.from_s, contract.until_s - 1)
        )
        raise InvalidInput(f"contract {contract_id}: runs {span}; end it on an earlier day of that")
    if known := ended(conn, contract.account):
        if (known.until_s, known.paper_sha256) == (until_s, paper_sha256):
            return 0, []
        raise NotAllowed(
            f"contract {contract_id}: ended after "
            f"{period.day_of(known.until_s - 1, policy.timezone)} already; it ends once"
        )
    change = {
        "contract": contract_id,
        "number": 1,
        "kind": "ended",
        "effective_on": last_day.isoformat(),
        "fee_fen": contract.fee_fen,
        "until_s": until_s,
        "paper_sha256": paper_sha256,
    }
    ends, postings = _cancelled(conn, contract.account, policy, stamp)
    rows = {"contract_change": [change]} | ({"voucher_end": ends} if ends else {})
    write(conn, Entry(f"contract.end:{contract_id}", "contract.end", stamp, rows, postings))
    return sum(end["amount_fen"] for end in ends), waiting.serve(conn, policy, stamp)


def ended(conn: Connection, account: str) -> Any | None:
    """Return the change that ended an account's contract, or None."""
    changes = schema.contract_change
    query = (
        select(changes)
        .join(schema.contract, schema.contract.c.id == changes.c.contract)
        .where(schema.contract.c.account == account, changes.c.kind == "ended")
    )
    return conn.execute(query).one_or_none()


def _cancelled(
    conn: Connection, account: str, policy: Policy, stamp: Stamp
) -> tuple[list[dict[str, Any]], list[Posting]]:
    """Cancel what is free, from the voucher that expires last on: the others are drawn first."""
    free_fen = holds.position(conn, account, policy).free_fen
    ends, postings = [], []
    for voucher in reversed(holds.vouchers(conn, account)):
        left_fen = ledger.balance(conn, "voucher.left", voucher.id) // MICRO_PER_FEN
        fen = min(free_fen, left_fen)
        if fen > 0:
            free_fen -= fen
            end = {"voucher": voucher.id, "kind": "cancelled", "at_s": stamp.effective_s}
            ends.append(end | {"amount_fen": fen})
            postings += [
                Posting("voucher.left", voucher.id, -fen * MICRO_PER_FEN),
                Posting("voucher.cancelled", voucher.id, fen * MICRO_PER_FEN),
            ]
    return ends, postings
