"""After the last claim: what credits leave below zero is a provider's debt to the treasury.

As long as claims follow, credits are taken off the next one. Where none follows, the provider says
so, and pays back what the city paid too much.
"""

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import Entry, Posting, Stamp, lock, move, write
from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.money import yuan
from accounting.policy import Policy
from accounting.redeem import redemption


def owe(
    conn: Connection,
    provider: str,
    quarter: str,
    policy: Policy,
    stamp: Stamp,
    claimant: str | None = None,
) -> tuple[str, int]:
    """Turn what is left below zero after the last claim into a debt to the treasury.

    Args:
        conn: The book.
        provider: Whose lines.
        quarter: Of the last claim.
        policy: The rules.
        stamp: Who, when.
        claimant: The unit that claims, where units do.

    Returns:
        The claim that the debt stands as, and how much is owed, fen.

    Raises:
        InvalidInput: This is no quarter, or no such provider.
        Refused: The quarter has not ended, a claim is not decided, or nothing is below zero.
    """
    lock(conn)
    redemption.insist_on_ended(conn, provider, quarter, policy, stamp)
    for row in redemption.claims(conn):
        same = (row["provider"], row["claimant"]) == (provider, claimant)
        if same and row["state"] in ("open", "under review"):
            raise Refused(
                f"claim {row['id']}: it is {row['state']}, and what it leaves is not known; have "
                "it reviewed first"
            )
    lines = redemption.claimable(conn, provider, quarter, claimant)
    amount_fen = sum(line["rest_fen"] for line in lines)
    if amount_fen >= 0:
        raise Refused(
            f"claim {quarter}: {yuan(amount_fen)} yuan is left after credits, a debt is below "
            "0.00; nothing is owed"
        )
    rows = redemption.new_rows(conn, provider, quarter, claimant, lines)
    [claim] = rows["claim"]
    disputed = redemption.disputed_fen(conn, rows["claim_line"])
    postings = move(
        provider,
        {
            "claim.unclaimed": disputed - amount_fen,
            "claim.disputed": -disputed,
            "claim.owed": amount_fen,
        },
    )
    rows["claim_debt"] = [{"claim": claim["id"]}]
    write(conn, Entry(f"claim:{claim['id']}", "claim.owe", stamp, rows, postings))
    return str(claim["id"]), -amount_fen


def repay(
    conn: Connection, claim_id: str, amount_fen: int, reference: str, paid_on: date, stamp: Stamp
) -> int:
    """Record that a provider paid some of its debt back to the treasury.

    Returns:
        What is still owed, fen.

    Raises:
        InvalidInput: No such debt, or the amount is not above zero.
        NotAllowed: The number stands for another repayment.
        Refused: It is more than is owed.
    """
    lock(conn)
    claim = redemption.find_claim(conn, claim_id)
    if claim["state"] != "owed" or amount_fen <= 0:
        raise InvalidInput(
            f"claim {claim_id}: it is {claim['state']}, and {yuan(amount_fen)} yuan is to be "
            "repaid; a debt and an amount above 0.00 are needed"
        )
    row = {
        "reference": reference,
        "claim": claim_id,
        "amount_fen": amount_fen,
        "paid_on": paid_on.isoformat(),
    }
    table = schema.claim_repayment
    known = conn.execute(select(table).filter_by(reference=reference)).mappings().one_or_none()
    repaid = select(func.coalesce(func.sum(table.c.amount_fen), 0)).filter_by(claim=claim_id)
    left_fen: int = -claim["amount_fen"] - int(conn.execute(repaid).scalar_one())
    if known is not None:
        if {name: known[name] for name in row} != row:
            raise NotAllowed(
                f"repayment {reference}: stands in the book with other facts; check the number"
            )
        return left_fen
    if amount_fen > left_fen:
        raise Refused(
            f"repayment {reference}: {yuan(amount_fen)} yuan, {yuan(left_fen)} is owed for "
            f"{claim_id}; pay what is owed"
        )
    provider = claim["provider"]
    postings: list[Posting] = move(provider, {"claim.owed": amount_fen, "bank": -amount_fen})
    rows = {"claim_repayment": [row]}
    write(conn, Entry(f"claim.repay:{reference}", "claim.repay", stamp, rows, postings))
    return left_fen - amount_fen
