"""What a unit has to give back to the city: voucher money that was deducted and not its due.

The provider keeps what it was paid, for it served; the unit owes the treasury.
"""

from collections.abc import Collection
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import schema
from accounting.book.ledger import Entry, Posting, Stamp, lock, write
from accounting.errors import InvalidInput, NotAllowed
from accounting.money import yuan
from accounting.vouchers.registry import find


def owe(
    conn: Connection,
    voucher: str,
    kind: str,
    amount_fen: int,
    reason: str,
    programme: str,
    act_sha256: str | None = None,
) -> tuple[dict[str, Any], list[Posting]]:
    """Return row and postings of a debt for an entry that makes one.

    Args:
        conn: The book.
        voucher: For which.
        kind: amended or clawback.
        amount_fen: Above zero.
        reason: Why.
        programme: Whose money it was: the policy's name.
        act_sha256: The act that says so, where it takes one.
    """
    before = select(func.count()).select_from(schema.debt).where(schema.debt.c.voucher == voucher)
    row = {
        "id": f"D-{voucher}-{conn.execute(before).scalar_one() + 1}",
        "voucher": voucher,
        "kind": kind,
        "amount_fen": amount_fen,
        "reason": reason,
        "act_sha256": act_sha256,
    }
    micro = amount_fen * money.MICRO_PER_FEN
    unit = _unit_of(conn, voucher)
    return row, [
        Posting("clawback.due", unit, micro),
        Posting("treasury.due", programme, -micro),
    ]


def owed_fen(conn: Connection, vouchers: Collection[str]) -> int:
    """Return what was ever asked back for vouchers, paid or not, fen."""
    debt = schema.debt.c
    asked = select(func.coalesce(func.sum(debt.amount_fen), 0)).where(debt.voucher.in_(vouchers))
    return int(conn.execute(asked).scalar_one())


def _unit_of(conn: Connection, voucher: str) -> str:
    account = find(conn, "voucher", id=voucher).account
    return str(find(conn, "contract", account=account).unit)


def pay(
    conn: Connection,
    debt_id: str,
    *,
    amount_fen: int,
    reference: str,
    paid_on: date,
    programme: str,
    stamp: Stamp,
) -> int:
    """Record what a unit gave back; return what is still owed, fen.

    Args:
        conn: The book.
        debt_id: Of which debt.
        amount_fen: How much.
        reference: The treasury's own number of the payment: the same number is the same payment.
        paid_on: When.
        programme: Whose money it was: the policy's name.
        stamp: Who enters it, when.

    Raises:
        InvalidInput: The debt is unknown, or the amount is not above zero.
        NotAllowed: More than is owed, or the number stands for another payment.
    """
    debt = find(conn, "debt", id=debt_id)
    if amount_fen <= 0:
        raise InvalidInput(f"debt {debt_id}: {yuan(amount_fen)} yuan is not above zero; check it")
    lock(conn)
    row = {
        "reference": reference,
        "debt": debt_id,
        "amount_fen": amount_fen,
        "paid_on": paid_on.isoformat(),
    }
    known = conn.execute(select(schema.debt_payment).filter_by(reference=reference)).one_or_none()
    left_fen = debt.amount_fen - _paid_fen(conn, debt_id)
    if known is None and amount_fen > left_fen:
        raise NotAllowed(
            f"debt {debt_id}: {yuan(amount_fen)} yuan paid, {yuan(left_fen)} is owed; check it"
        )
    micro = amount_fen * money.MICRO_PER_FEN
    postings = [
        Posting("treasury.due", programme, micro),
        Posting("clawback.due", _unit_of(conn, debt.voucher), -micro),
    ]
    rows = {"debt_payment": [row]}
    write(conn, Entry(f"debt.pay:{reference}", "debt.pay", stamp, rows, postings))
    return int(debt.amount_fen) - _paid_fen(conn, debt_id)


def _paid_fen(conn: Connection, debt_id: str) -> int:
    paid = func.coalesce(func.sum(schema.debt_payment.c.amount_fen), 0)
    return int(conn.execute(select(paid).where(schema.debt_payment.c.debt == debt_id)).scalar_one())


def listed(conn: Connection) -> list[dict[str, Any]]:
    """List debts: id, voucher, unit, kind, reason, amount_fen, paid_fen."""
    query = select(schema.debt).order_by(schema.debt.c.seq)
    return [
        dict(row) | {"unit": _unit_of(conn, row["voucher"]), "paid_fen": _paid_fen(conn, row["id"])}
        for row in conn.execute(query).mappings()
    ]
