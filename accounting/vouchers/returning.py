"""The treasury gives back what a unit has paid of a debt that was lowered since: its signed act."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema, signing
from accounting.book.ledger import Entry, Stamp, hash_of, lock, write
from accounting.book.signing import Act
from accounting.errors import NotAllowed, Refused
from accounting.money import yuan
from accounting.policy import Policy
from accounting.vouchers import debts
from accounting.vouchers.registry import find


def draft(
    conn: Connection, debt_id: str, reference: str, policy: Policy, effective_s: int
) -> dict[str, Any]:
    """Return the act by which the treasury gives back all that it has too much of a debt.

    Raises:
        InvalidInput: No such debt.
        Refused: It has nothing too much.
    """
    row = find(conn, "debt", id=debt_id)
    left_fen = debts.of_id(conn, debt_id)["left_fen"]
    if left_fen >= 0:
        raise Refused(
            f"debt {debt_id}: 0.00 yuan is paid too much, {yuan(left_fen)} is still owed; nothing "
            "is to be given back"
        )
    body = {
        "amount_fen": -left_fen,
        "reference": reference,
        "paid_on": period.day_of(effective_s, policy.timezone).isoformat(),
    }
    return signing.draft(conn, "debt.return", debt_id, hash_of(conn, row.seq), body)


def accept(conn: Connection, act: Act, policy: Policy, stamp: Stamp) -> int:
    """Carry out the treasury's act; the same one twice is once. Returns what is given back, fen.

    Raises:
        InvalidInput: It names no day.
        NotAllowed: It is not what is paid too much, or its number stands for another return.
    """
    lock(conn)
    debt = find(conn, "debt", id=act.subject)
    signing.insist_on_subject(act, "debt.return", hash_of(conn, debt.seq))
    amount_fen, reference = act.body.get("amount_fen"), str(act.body.get("reference", "")).strip()
    if signing.carried_out(conn, act.sha256) is None:
        over_fen = -debts.of_id(conn, debt.id)["left_fen"]
        if type(amount_fen) is not int or amount_fen <= 0 or amount_fen != over_fen:
            raise NotAllowed(
                f"act debt.return {debt.id}: signed for {amount_fen} fen, {max(0, over_fen)} is "
                "paid too much by now; draft it again"
            )
        other = select(schema.debt_return.c.debt).filter_by(reference=reference)
        if not reference or conn.execute(other).scalar() is not None:
            raise NotAllowed(
                f"act debt.return {debt.id}: reference {reference!r} "
                f"{'gave something back already' if reference else 'is empty'}; draft it with the "
                "treasury's own number of this payment"
            )
    row = {
        "reference": reference,
        "debt": debt.id,
        "amount_fen": amount_fen,
        "paid_on": signing.day_in(act, "paid_on").isoformat(),
        "act_sha256": act.sha256,
    }
    rows = {"signed_act": [signing.act_row(act)], "debt_return": [row]}
    unit = debts.of_id(conn, debt.id)["unit"]
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    postings = debts.due(unit, policy.name, int(row["amount_fen"]))
    write(conn, Entry(f"debt.return:{reference}", "debt.return", signed, rows, postings))
    return int(row["amount_fen"])
