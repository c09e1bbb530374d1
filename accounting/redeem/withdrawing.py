"""A claim is taken back before it is handed in (撤回): its lines are claimable again.

Not so afterwards: then the regulator decides, and what it refuses can be claimed again.
"""

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import Entry, Stamp, lock, write
from accounting.errors import InvalidInput, NotAllowed
from accounting.redeem import redemption


def withdraw(conn: Connection, claim_id: str, reason: str, stamp: Stamp) -> int:
    """Withdraw an open claim.

    Returns:
        How many lines are claimable again.

    Raises:
        InvalidInput: No such claim, or no reason.
        NotAllowed: It was handed in, is a debt, or was withdrawn for another reason.
    """
    lock(conn)
    claim = redemption.find_claim(conn, claim_id)
    if not reason.strip():
        raise InvalidInput(f"claim {claim_id}: no reason is given, 1 is needed; say why")
    if claim["state"] not in ("open", "withdrawn"):
        raise NotAllowed(
            f"claim {claim_id}: it is {claim['state']}, only an open one can be withdrawn; what "
            "the regulator refuses of it can be claimed again"
        )
    stands = select(schema.claim_withdrawal.c.reason).filter_by(claim=claim_id)
    known = conn.execute(stands).scalar()
    if known not in (None, reason):
        raise NotAllowed(f"claim {claim_id}: it is withdrawn already ({known}); open another one")
    rows = {"claim_withdrawal": [{"claim": claim_id, "reason": reason}]}
    write(conn, Entry(f"claim.withdraw:{claim_id}", "claim.withdraw", stamp, rows))
    return len(redemption.claim_lines(conn, claim_id))
