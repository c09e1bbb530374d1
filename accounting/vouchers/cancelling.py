"""Vouchers of which something is cancelled: rows and postings for the entry that does it."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.book.ledger import Posting, Stamp
from accounting.money import MICRO_PER_FEN
from accounting.vouchers import holds

Cancelled = tuple[list[dict[str, Any]], list[Posting]]


def of_account(conn: Connection, account: str, amount_fen: int, stamp: Stamp) -> Cancelled:
    """Cancel an amount of what is left on an account, from the voucher that expires last on: the
    others are drawn first. What a refund gave back to one that was taken back is nobody's."""
    ends: list[dict[str, Any]] = []
    postings: list[Posting] = []
    gone = holds.taken_back(conn)
    own = [each for each in holds.vouchers(conn, account) if each.id not in gone]
    for voucher in reversed(own):
        left_fen = ledger.balance(conn, "voucher.left", voucher.id) // MICRO_PER_FEN
        fen = min(amount_fen, left_fen)
        if fen > 0:
            amount_fen -= fen
            end, moved = of_voucher(conn, voucher.id, fen, stamp)
            ends += end
            postings += moved
    return ends, postings


def of_voucher(conn: Connection, voucher: str, amount_fen: int, stamp: Stamp) -> Cancelled:
    """Cancel an amount of what is left on a voucher. Nothing is cancelled without a trace in time:
    what would be the second one of an instant is one second later."""
    if not amount_fen:
        return [], []
    end = schema.voucher_end.c
    last = select(func.max(end.at_s)).where(end.voucher == voucher, end.kind == "cancelled")
    at_s = max(stamp.effective_s, (conn.execute(last).scalar() or 0) + 1)
    row = {"voucher": voucher, "kind": "cancelled", "at_s": at_s, "amount_fen": amount_fen}
    moved = ledger.move(voucher, {"voucher.left": -amount_fen, "voucher.cancelled": amount_fen})
    return [row], moved
