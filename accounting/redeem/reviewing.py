"""The regulator's review of a claim: what is approved of each line, and why not all of it.

What is not approved becomes disputed, and can be claimed again.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from accounting.book import schema, signing
from accounting.book.ledger import Entry, Stamp, hash_of, lock, move, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput
from accounting.money import yuan
from accounting.redeem import redemption


def draft_review(
    conn: Connection,
    claim_id: str,
    refused: Mapping[str, str],
    reason: str,
    partly: Mapping[str, tuple[int, str]] | None = None,
) -> dict[str, Any]:
    """Return the act that the regulator signs: every line with what is approved of it.

    Args:
        conn: The book.
        claim_id: The claim.
        refused: Lines that are refused, each with its reason.
        reason: Why the others are approved.
        partly: Lines of which an amount is approved, fen, each with its reason.

    Raises:
        InvalidInput: No such claim, or no such line of it; more is approved of a line than was
            claimed, or a credit of it is refused.
    """
    claim = redemption.find_claim(conn, claim_id)
    amounts = partly or {}
    lines = {line["line"]: line["amount_fen"] for line in redemption.claim_lines(conn, claim_id)}
    unknown = sorted({*refused, *amounts} - set(lines))
    if unknown:
        raise InvalidInput(
            f"claim {claim_id}: {unknown[0]} is no line of it; see svoucher claim show"
        )
    both = sorted(set(refused) & set(amounts))
    if both:
        raise InvalidInput(
            f"claim {claim_id}: {both[0]} is refused and approved; say one of the two"
        )
    for line, (fen, _) in amounts.items():
        if not _within(fen, lines[line]):
            raise InvalidInput(
                f"claim {claim_id}: {yuan(fen)} yuan approved of line {line}, 0.00 to "
                f"{yuan(lines[line])} is possible; approve no more than was claimed"
            )
    approved = {line: 0 if line in refused else fen for line, fen in lines.items()}
    approved |= {line: fen for line, (fen, _) in amounts.items()}
    reasons = dict(refused) | {line: why for line, (_, why) in amounts.items()}
    if sum(approved.values()) < 0:
        approved = dict.fromkeys(lines, 0)  # credits that nothing covers wait for the next claim
    _insist_on_credits(claim_id, lines, approved)
    body = {
        "approved_fen": approved,
        "reasons": {line: reasons.get(line, reason) for line in lines},
    }
    return signing.draft(conn, "claim.review", claim_id, hash_of(conn, claim["seq"]), body)


def accept_review(conn: Connection, act: Act, stamp: Stamp) -> int:
    """Carry out the regulator's signed review of a claim.

    Returns:
        What was approved, fen.

    Raises:
        NotAllowed: Signed for something else, by the submitter, or decided already.
        InvalidInput: A line is missing, more is approved than was claimed, or less without a
            reason, or a credit is left out.
    """
    lock(conn)
    claim = redemption.find_claim(conn, act.subject)
    signing.insist_on_subject(act, "claim.review", hash_of(conn, claim["seq"]))
    redemption.insist_on_state(conn, claim, act, "under review", schema.claim_review)
    signing.insist_on_other(act, redemption.submitter(conn, claim["id"]))
    approved, reasons = _mapping(act, "approved_fen"), _mapping(act, "reasons")
    reviews = []
    lines = redemption.claim_lines(conn, claim["id"])
    claimed = {line["line"]: line["amount_fen"] for line in lines}
    for line in lines:
        fen = approved.pop(line["line"], None)
        if type(fen) is not int or not _within(fen, line["amount_fen"]):
            raise InvalidInput(
                f"act claim.review {claim['id']}: {fen} fen approved of line {line['line']}, "
                f"0 to {line['amount_fen']} is possible; draft it again"
            )
        reason = str(reasons.get(line["line"], "")).strip()
        if fen != line["amount_fen"] and not reason:
            raise InvalidInput(
                f"act claim.review {claim['id']}: {yuan(fen)} of {yuan(line['amount_fen'])} yuan "
                f"is approved of line {line['line']} and no reason is given; draft it again"
            )
        row = {"claim": claim["id"], "line": line["line"], "approved_fen": fen}
        reviews.append(row | {"reason": reason, "act_sha256": act.sha256})
    if approved:
        raise InvalidInput(f"act claim.review {claim['id']}: {min(approved)} is no line of it")
    _insist_on_credits(claim["id"], claimed, {row["line"]: row["approved_fen"] for row in reviews})
    total = sum(int(row["approved_fen"]) for row in reviews)
    postings = move(
        claim["provider"],
        {
            "claim.review": -claim["amount_fen"],
            "claim.approved": total,
            "claim.disputed": claim["amount_fen"] - total,
        },
    )
    rows = {"signed_act": [signing.act_row(act)], "claim_review": reviews}
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    write(conn, Entry(f"claim.review:{claim['id']}", "claim.review", signed, rows, postings))
    return total


def _mapping(act: Act, name: str) -> dict[str, Any]:
    """Return what an act says for each line, or raise InvalidInput."""
    value = act.body.get(name, {})
    if type(value) is not dict:
        raise InvalidInput(
            f"act {act.verb} {act.subject}: {name} has to name each line; draft it again"
        )
    return dict(value)


def _within(fen: int, claimed_fen: int) -> bool:
    """A line is approved in part or whole; a credit line whole, or not at all and carried."""
    return 0 <= fen <= claimed_fen if claimed_fen > 0 else fen in (claimed_fen, 0)


def _insist_on_credits(
    claim_id: str, claimed: Mapping[str, int], approved: Mapping[str, int]
) -> None:
    """Refuse an approval that leaves out a credit of the claim, or is below zero.

    Raises:
        InvalidInput: It is so.
    """
    left_out = [line for line, fen in claimed.items() if fen < 0 and not approved[line]]
    total = sum(approved.values())
    if total < 0 or (left_out and any(approved.values())):
        named = f", credit {left_out[0]} left out" if left_out else ""
        raise InvalidInput(
            f"act claim.review {claim_id}: {yuan(total)} yuan approved{named}; credits are "
            "taken off, all of them, or 0.00 is approved: draft it again"
        )
