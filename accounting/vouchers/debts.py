"""What a unit has to give back to the city: voucher money that was deducted and not its due.

The provider keeps what it was paid, for it served; the unit owes the treasury. Where the provider
gives the same money back, because a run is refunded or its fee corrected, the debt is lowered by
that: the city gets it once. So it is where what an amendment left over is not used after all.

Example:
    100.00 were deducted and are clawed back, and the unit has paid 80.00 of them. A run that bore
    30.00 is refunded: the provider's next claim is 30.00 lower, 70.00 were to be paid, and the
    city gives 10.00 back to the unit.
"""

from collections.abc import Collection, Mapping, Set
from datetime import date
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting, Stamp, lock, write
from accounting.errors import InvalidInput, NotAllowed
from accounting.money import MICRO_PER_FEN, yuan
from accounting.vouchers import holds
from accounting.vouchers.registry import find

Moved = tuple[dict[str, list[dict[str, Any]]], list[Posting]]
"""Rows by table and postings, for the entry that lowers debts."""


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
    account = find(conn, "voucher", id=voucher).account
    return row, due(_unit_of(conn, account), programme, amount_fen)


def due(unit: str, programme: str, fen: int) -> list[Posting]:
    """Return the postings by which a unit owes more; below zero, less."""
    micro = fen * money.MICRO_PER_FEN
    return [Posting("clawback.due", unit, micro), Posting("treasury.due", programme, -micro)]


def _unit_of(conn: Connection, account: str) -> str:
    return str(find(conn, "contract", account=account).unit)


def not_used_fen(conn: Connection, account: str) -> int:
    """Return what amendments made an account owe, fen: what it owes beyond what was deducted of
    vouchers that were taken back, all of which is owed."""
    own = {each.id for each in holds.vouchers(conn, account)}
    gone = holds.taken_back(conn) & own
    taken = ledger.balances(conn, "voucher.deducted", sorted(gone))
    return sum(map(_due_fen, _of_account(conn, account))) - sum(taken.values()) // MICRO_PER_FEN


def owing(conn: Connection, accounts: Collection[str]) -> set[str]:
    """Return which of some accounts ever had debts."""
    voucher = schema.voucher.c
    query = select(voucher.account).join(schema.debt, schema.debt.c.voucher == voucher.id)
    return set(conn.execute(query.where(voucher.account.in_(accounts))).scalars())


def lowered(conn: Connection, account: str, amount_fen: int, programme: str) -> Moved:
    """Return rows and postings that lower what an account owes: what is not paid first, then what
    is and comes back from the city; of two debts the later one.

    Args:
        conn: The book.
        account: Whose debts.
        amount_fen: By how much.
        programme: Whose money it is: the policy's name.
    """
    parts: dict[str, int] = {}
    known = _of_account(conn, account)[::-1] if amount_fen > 0 else []
    for most in (_left_fen, _due_fen):
        for debt in known:
            done_fen = parts.get(debt["id"], 0)
            fen = min(amount_fen, max(0, most(debt) - done_fen))
            if fen:
                parts[debt["id"]] = done_fen + fen
                amount_fen -= fen
    if not parts:
        return {}, []
    rows = [{"debt": debt, "amount_fen": fen} for debt, fen in parts.items()]
    return {"debt_relief": rows}, due(_unit_of(conn, account), programme, -sum(parts.values()))


def given_back(
    conn: Connection, account: str, draws_fen: Mapping[str, int], gone: Set[str], programme: str
) -> Moved:
    """Return rows and postings that lower what an account owes by what a statement gives back to
    vouchers that were taken back.

    Args:
        conn: The book.
        account: Whose statement.
        draws_fen: What it draws from each voucher.
        gone: Those that were taken back before.
        programme: Whose money it is: the policy's name.
    """
    back_fen = -sum(fen for voucher, fen in draws_fen.items() if voucher in gone)
    return lowered(conn, account, back_fen, programme)


def lowered_by(conn: Connection, seq: int) -> dict[str, int]:
    """Return by how much an entry lowered debts, fen, by debt."""
    relief = schema.debt_relief.c
    query = select(relief.debt, relief.amount_fen).where(relief.seq == seq).order_by(relief.debt)
    return {row.debt: row.amount_fen for row in conn.execute(query)}


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
    find(conn, "debt", id=debt_id)
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
    debt = of_id(conn, debt_id)
    if known is None and amount_fen > debt["left_fen"]:
        raise NotAllowed(
            f"debt {debt_id}: {yuan(amount_fen)} yuan paid, {yuan(max(0, debt['left_fen']))} is "
            "owed; check it"
        )
    rows, postings = {"debt_payment": [row]}, due(debt["unit"], programme, -amount_fen)
    write(conn, Entry(f"debt.pay:{reference}", "debt.pay", stamp, rows, postings))
    return int(of_id(conn, debt_id)["left_fen"])


def of_id(conn: Connection, debt_id: str) -> dict[str, Any]:
    """Return one debt as it is listed."""
    [found] = _asked(conn, schema.debt.c.id == debt_id)
    return found


def listed(conn: Connection) -> list[dict[str, Any]]:
    """List debts: their rows with account and unit, what they were lowered by (`relieved_fen`),
    what was paid, what the city gave back of that (`returned_fen`), and what is left: below zero,
    the city has too much."""
    return _asked(conn)


def _of_account(conn: Connection, account: str) -> list[dict[str, Any]]:
    return _asked(conn, schema.voucher.c.account == account)


def _asked(conn: Connection, *where: Any) -> list[dict[str, Any]]:
    contract, voucher = schema.contract, schema.voucher
    sums = {
        "relieved_fen": _sum(schema.debt_relief),
        "paid_fen": _sum(schema.debt_payment),
        "returned_fen": _sum(schema.debt_return),
    }
    query = (
        select(schema.debt, voucher.c.account, contract.c.unit)
        .add_columns(*(value.label(name) for name, value in sums.items()))
        .join(voucher, voucher.c.id == schema.debt.c.voucher)
        .join(contract, contract.c.account == voucher.c.account)
        .where(*where)
        .order_by(schema.debt.c.seq)
    )
    found = []
    for row in conn.execute(query).mappings():
        debt = dict(row) | {name: int(row[name]) for name in sums}
        found.append(debt | {"left_fen": _left_fen(debt)})
    return found


def _sum(table: Table) -> Any:
    total = select(func.coalesce(func.sum(table.c.amount_fen), 0))
    return total.where(table.c.debt == schema.debt.c.id).scalar_subquery()


def _due_fen(debt: dict[str, Any]) -> int:
    """Return what of a debt has to be given back in all, paid or not."""
    return int(debt["amount_fen"]) - int(debt["relieved_fen"])


def _left_fen(debt: dict[str, Any]) -> int:
    return _due_fen(debt) - int(debt["paid_fen"]) + int(debt["returned_fen"])
