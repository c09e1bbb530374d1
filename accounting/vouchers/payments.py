"""Cash that was paid in by mistake is taken back; what was used of it is then owed."""

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting, Stamp
from accounting.errors import InvalidInput
from accounting.vouchers.registry import find


def take_back(conn: Connection, reference: str, reason: str, stamp: Stamp) -> int:
    """Take a payment back: the bank returned it, or it was entered wrongly.

    Cash that statements have used already cannot be had back: the unit owes it from then on.

    Returns:
        The amount, fen.

    Raises:
        InvalidInput: No such payment, or no reason is given.
        NotAllowed: It was taken back already for another reason.
    """
    if not reason.strip():
        raise InvalidInput(f"payment {reference}: 0 reasons given, 1 is needed; say why")
    ledger.lock(conn)
    row = find(conn, "payment", reference=reference)
    key = f"payment:{reference}"
    if ledger.reversed_by(conn, row.seq) is None:
        _owe_what_is_used(conn, row.account, row.seq, key, stamp)
    ledger.reverse(conn, key, reason, stamp)
    return int(row.amount_fen)


def _owe_what_is_used(conn: Connection, account: str, seq: int, key: str, stamp: Stamp) -> None:
    """Book as owed what the account lacks of a payment's cash."""
    line = schema.posting.c
    paid_in = select(func.coalesce(func.sum(-line.amount_micro), 0)).where(
        line.seq == seq, line.account == "cash"
    )
    free_micro = -ledger.balance(conn, "cash", account)
    short_micro = int(conn.execute(paid_in).scalar_one()) - free_micro
    if short_micro > 0:
        postings = [
            Posting("receivable", account, short_micro),
            Posting("cash", account, -short_micro),
        ]
        ledger.write(conn, Entry(f"owed:{key}", "payment.owed", stamp, {}, postings))


def paid_fen(conn: Connection, account: str) -> int:
    """Return what was paid in to an account and not taken back, fen."""
    table, entry = schema.payment.c, schema.journal.c
    taken_back = select(entry.reverses).where(entry.reverses.is_not(None))
    query = select(func.coalesce(func.sum(table.amount_fen), 0)).where(
        table.account == account, table.seq.not_in(taken_back)
    )
    return int(conn.execute(query).scalar_one())
