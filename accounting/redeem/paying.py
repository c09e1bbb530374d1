"""The treasury pays a claim (拨付): to the provider, after what it drew in advance, or to the unit.

Never more and never less than what was approved.
"""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema, signing
from accounting.book.ledger import Entry, Stamp, hash_of, lock, move, write
from accounting.book.signing import Act
from accounting.errors import NotAllowed, Refused
from accounting.policy import Policy
from accounting.redeem import redemption, reserve


def draft_payout(
    conn: Connection, claim_id: str, reference: str, policy: Policy, effective_s: int
) -> dict[str, Any]:
    """Return the act that the treasury signs when it pays a claim."""
    claim = redemption.find_claim(conn, claim_id)
    if claim["approved_fen"] is None:
        raise Refused(
            f"claim {claim_id}: it is {claim['state']}, it has to be approved; have it reviewed"
        )
    body = {
        "amount_fen": claim["approved_fen"],
        "reference": reference,
        "paid_on": period.day_of(effective_s, policy.timezone).isoformat(),
    }
    return signing.draft(conn, "claim.pay", claim_id, hash_of(conn, claim["seq"]), body)


def accept_payout(conn: Connection, act: Act, stamp: Stamp) -> tuple[int, int]:
    """Carry out the treasury's signed payout (拨付).

    Returns:
        (paid to the claimant, repaid to the reserve fund), fen; their sum is what was approved.

    Raises:
        NotAllowed: Not approved yet, paid already, or not what was approved.
        InvalidInput: It names no day.
    """
    lock(conn)
    claim = redemption.find_claim(conn, act.subject)
    signing.insist_on_subject(act, "claim.pay", hash_of(conn, claim["seq"]))
    redemption.insist_on_state(conn, claim, act, "approved", schema.payout)
    signing.insist_on_other(act, redemption.submitter(conn, claim["id"]))
    amount_fen = act.body.get("amount_fen")
    if type(amount_fen) is not int or amount_fen != claim["approved_fen"] or amount_fen < 0:
        raise NotAllowed(
            f"act claim.pay {claim['id']}: signed for {amount_fen} fen, {claim['approved_fen']} is "
            "approved; draft it again"
        )
    reference = str(act.body.get("reference", ""))
    other = conn.execute(select(schema.payout.c.claim).filter_by(reference=reference)).scalar()
    if not reference or other not in (None, claim["id"]):
        raise NotAllowed(
            f"act claim.pay {claim['id']}: reference {reference!r} "
            f"{f'paid claim {other} already' if other else 'is empty'}; draft it with the "
            "treasury's own number of this payment"
        )
    repaid_fen = 0 if claim["claimant"] else repaid_by(conn, claim["id"])
    row = {
        "claim": claim["id"],
        "reference": reference,
        "amount_fen": amount_fen,
        "repaid_fen": repaid_fen,
        "paid_on": signing.day_in(act, "paid_on").isoformat(),
        "act_sha256": act.sha256,
    }
    to_unit = _approved_by_account(conn, claim["id"]) if claim["claimant"] else {}
    to_bank_fen = 0 if to_unit else amount_fen - repaid_fen
    moved = {"claim.approved": -amount_fen, "reserve.fund": repaid_fen, "bank": to_bank_fen}
    postings = move(claim["provider"], moved)
    for account, fen in to_unit.items():  # the unit has paid all of the fee, and gets this back
        postings += move(account, {"reimburse.due": fen})
    rows = {"signed_act": [signing.act_row(act)], "payout": [row]}
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    write(conn, Entry(f"claim.pay:{claim['id']}", "claim.pay", signed, rows, postings))
    return amount_fen - repaid_fen, repaid_fen


def _approved_by_account(conn: Connection, claim_id: str) -> dict[str, int]:
    """Return what was approved of a claim by voucher account, fen."""
    review, line, paper = schema.claim_review, schema.statement_line, schema.statement
    query = (
        select(paper.c.account, func.sum(review.c.approved_fen))
        .join(line, line.c.id == review.c.line)
        .join(paper, paper.c.id == line.c.statement)
        .where(review.c.claim == claim_id)
        .group_by(paper.c.account)
        .order_by(paper.c.account)
    )
    return {account: int(fen) for account, fen in conn.execute(query)}


def repaid_by(conn: Connection, claim_id: str) -> int:
    """Return how much of a claim's payout repays advance money, fen: what was drawn for lines that
    are paid by then and is still out.

    Credit lines can leave less than that: then all of it is repaid, and the rest by the next one.
    """
    payout, claim = schema.payout.c, schema.claim.c
    own_seq = conn.execute(select(payout.seq).where(payout.claim == claim_id)).scalar()
    before_seq = ledger.NEVER_SEQ if own_seq is None else own_seq
    provider = redemption.find_claim(conn, claim_id)["provider"]
    paid = (
        select(payout.claim, payout.repaid_fen)
        .join(schema.claim, claim.id == payout.claim)
        .where(claim.provider == provider, payout.seq < before_seq)
    )
    repaid = {row.claim: int(row.repaid_fen) for row in conn.execute(paid)}
    review, draw = schema.claim_review.c, schema.reserve_draw.c
    approved = (
        select(func.sum(review.approved_fen).label("approved_fen"), draw.amount_fen)
        .join(schema.reserve_draw, draw.line == review.line)
        .where(review.claim.in_([*repaid, claim_id]))
        .group_by(review.line, draw.amount_fen)
    )
    due_fen: int = sum(
        max(0, min(int(row.approved_fen), row.amount_fen)) for row in conn.execute(approved)
    )
    own = select(func.sum(review.approved_fen)).where(review.claim == claim_id)
    own_fen = int(conn.execute(own).scalar_one())
    out_fen = reserve.out_fen(conn, provider, before_seq)
    return max(0, min(due_fen - sum(repaid.values()), out_fen, own_fen))
