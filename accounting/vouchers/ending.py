"""A contract ends before its time: what of its vouchers nobody needs any more is cancelled.

What is accrued or held is needed still: it is settled like any other, and the rest of it lapses
with the voucher. What is cancelled goes to those who wait, in the same transaction.
"""

from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.book.ledger import Entry, Stamp, lock, write
from accounting.errors import InvalidInput, NotAllowed
from accounting.policy import Policy
from accounting.vouchers import cancelling, debts, holds, waiting
from accounting.vouchers.registry import find, terms


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
    now = terms(conn, contract_id)
    until_s = period.instant(last_day + timedelta(days=1), policy.timezone)
    if now.ended:
        if _same(conn, contract_id, until_s, paper_sha256):
            return 0, []
        raise NotAllowed(
            f"contract {contract_id}: ended after "
            f"{period.day_of(now.until_s - 1, policy.timezone)} already; it ends once"
        )
    if not contract.from_s < until_s < now.until_s:
        span = " to ".join(
            period.day_of(second, policy.timezone).isoformat()
            for second in (contract.from_s, now.until_s - 1)
        )
        raise InvalidInput(f"contract {contract_id}: runs {span}; end it on an earlier day of that")
    change = {
        "contract": contract_id,
        "number": now.changes + 1,
        "kind": "ended",
        "effective_on": last_day.isoformat(),
        "fee_fen": now.fee_fen,
        "until_s": until_s,
        "paper_sha256": paper_sha256,
    }
    free_fen = holds.position(conn, contract.account, policy).free_fen
    ends, postings = cancelling.of_account(conn, contract.account, free_fen, stamp)
    cancelled_fen = sum(end["amount_fen"] for end in ends)
    less_fen = min(cancelled_fen, debts.not_used_fen(conn, contract.account))
    relief, lowered = debts.lowered(conn, contract.account, less_fen, policy.name)
    postings += lowered
    rows = {"contract_change": [change]} | ({"voucher_end": ends} if ends else {}) | relief
    write(conn, Entry(f"contract.end:{contract_id}", "contract.end", stamp, rows, postings))
    return cancelled_fen, waiting.serve(conn, policy, stamp)


def _same(conn: Connection, contract_id: str, until_s: int, paper_sha256: str) -> bool:
    """Tell whether a contract was ended on this day, with this paper."""
    ends = select(schema.contract_change).filter_by(contract=contract_id, kind="ended")
    row = conn.execute(ends).one()
    return (row.until_s, row.paper_sha256) == (until_s, paper_sha256)
