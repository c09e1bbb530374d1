"""Fraud: the regulator's act takes a whole voucher back. What is left is cancelled, what was
deducted is owed to the treasury, but for what an amendment made the unit owe of it before."""

from typing import Any

from sqlalchemy.engine import Connection

from accounting.book import ledger, signing
from accounting.book.ledger import Entry, Stamp, hash_of, lock, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, NotAllowed
from accounting.money import MICRO_PER_FEN, yuan
from accounting.policy import Policy
from accounting.vouchers import cancelling, debts, waiting
from accounting.vouchers.registry import find


def draft(conn: Connection, voucher: str, reason: str) -> dict[str, Any]:
    """Return the act by which the regulator takes a voucher back."""
    row = find(conn, "voucher", id=voucher)
    body = {"deducted_fen": max(0, _more_fen(conn, row)), "reason": reason}
    return signing.draft(conn, "voucher.clawback", voucher, hash_of(conn, row.seq), body)


def _more_fen(conn: Connection, voucher: Any) -> int:
    """Return by how much more the unit has to owe, fen: all that was deducted, less what amendments
    made it owe, as far as this voucher bore that or was to bear it. Below zero: by how much less,
    for it owes what was still to be deducted."""
    deducted_fen = _fen(conn, "voucher.deducted", voucher.id)
    most_fen = deducted_fen + _fen(conn, "voucher.left", voucher.id)
    return deducted_fen - min(most_fen, debts.not_used_fen(conn, voucher.account))


def _fen(conn: Connection, account: str, voucher: str) -> int:
    return ledger.balance(conn, account, voucher) // MICRO_PER_FEN


def accept(conn: Connection, act: Act, policy: Policy, stamp: Stamp) -> tuple[int, int, list[str]]:
    """Carry out the regulator's act.

    Returns:
        (cancelled, fen; owed to the treasury, fen; vouchers issued to those who waited).

    Raises:
        InvalidInput: No reason is given.
        NotAllowed: More or less was deducted by now than was signed for, or it is done already.
    """
    lock(conn)
    voucher = find(conn, "voucher", id=act.subject)
    signing.insist_on_subject(act, "voucher.clawback", hash_of(conn, voucher.seq))
    reason = str(act.body.get("reason", "")).strip()
    if not reason:
        raise InvalidInput(f"act {act.verb} {voucher.id}: 0 reasons, 1 is needed; draft it again")
    if signing.carried_out(conn, act.sha256) is not None:
        return 0, 0, []
    if ledger.written(conn, key := f"clawback:{voucher.id}") is not None:
        raise NotAllowed(f"voucher {voucher.id}: was taken back already; it is done once")
    more_fen = _more_fen(conn, voucher)
    deducted_fen = max(0, more_fen)
    if act.body.get("deducted_fen") != deducted_fen:
        raise NotAllowed(
            f"act {act.verb} {voucher.id}: signed for {act.body.get('deducted_fen')} fen, by now "
            f"{deducted_fen} are deducted and not owed; draft it again"
        )
    left_fen = _fen(conn, "voucher.left", voucher.id)
    ends, postings = cancelling.of_voucher(conn, voucher.id, left_fen, stamp)
    rows = {"signed_act": [signing.act_row(act)]} | ({"voucher_end": ends} if ends else {})
    if deducted_fen:
        debt, owed = debts.owe(
            conn, voucher.id, "clawback", deducted_fen, reason, policy.name, act.sha256
        )
        rows["debt"] = [debt]
        postings += owed
    relief, lowered = debts.lowered(conn, voucher.account, -more_fen, policy.name)
    rows |= relief
    postings += lowered
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    write(conn, Entry(key, act.verb, signed, rows, postings))
    return left_fen, deducted_fen, waiting.serve(conn, policy, stamp)


def said(outcome: tuple[int, int, list[str]]) -> str:
    """Say in words what came of it."""
    cancelled_fen, owed_fen, issued = outcome
    words = f"{yuan(cancelled_fen)} yuan cancelled, {yuan(owed_fen)} owed to the treasury"
    return words + (f", issued to those who waited: {', '.join(issued)}" if issued else "")
