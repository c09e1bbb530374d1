"""Who waits for money: confirmed applications that a limit had no room for, in their order.

Money that a cancelled voucher frees goes to them, whoever applied first before all others; one
that wants more than is there leaves it to the next, unless its unit takes less. With the year ends
the waiting, because a contract of one year never takes the money of the next.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.book.ledger import Entry, Stamp, lock, write
from accounting.errors import CapReached, InvalidInput, NotEligible
from accounting.policy import Policy
from accounting.vouchers import issuing
from accounting.vouchers.entitling import entitled
from accounting.vouchers.registry import find


def listed(conn: Connection, policy: Policy, effective_s: int) -> list[dict[str, Any]]:
    """List who waits or waited in vain, first applied first.

    Returns:
        For each application: contract, category, consent, wanted_fen, since_s and whether it
        lapsed with its year.
    """
    consents = set(conn.execute(select(schema.consent.c.application)).scalars())
    return [
        {
            "application": row.application,
            "contract": row.contract,
            "category": row.category,
            "consent": row.application in consents,
            "wanted_fen": row.wanted_fen,
            "since_s": row.effective_s,
            "lapsed": _lapsed(row, policy, effective_s),
        }
        for row in conn.execute(_WAITING)
    ]


_WAITING = (
    select(schema.waiting, schema.application, schema.journal.c.effective_s)
    .join(schema.application, schema.application.c.id == schema.waiting.c.application)
    .join(schema.journal, schema.journal.c.seq == schema.application.c.seq)
    .outerjoin(schema.review, schema.review.c.application == schema.waiting.c.application)
    .where(schema.review.c.application.is_(None))
    .order_by(schema.application.c.seq)
)
"""Applications that are confirmed and have nothing yet, first complete application first."""


def take_less(conn: Connection, application_id: str, stamp: Stamp) -> None:
    """Enter that a unit takes less than it is entitled to, where the money does not last.

    Raises:
        InvalidInput: The application is unknown or decided.
    """
    application = find(conn, "application", id=application_id)
    if conn.execute(select(schema.consent).filter_by(application=application.id)).first():
        return
    if conn.execute(select(schema.review).filter_by(application=application.id)).first():
        raise InvalidInput(f"application {application.id}: is decided; consent changes nothing now")
    rows = {"consent": [{"application": application.id}]}
    write(conn, Entry(f"consent:{application.id}", "application.consent", stamp, rows))


def serve(conn: Connection, policy: Policy, stamp: Stamp) -> list[str]:
    """Issue to those who wait what there is money for by now, and no more than was confirmed;
    return the new vouchers."""
    lock(conn)
    issued = []
    for row in conn.execute(_WAITING).all():
        if _lapsed(row, policy, stamp.effective_s):
            continue
        application = find(conn, "application", id=row.application)
        try:
            given = entitled(conn, application.id, policy, stamp.effective_s, row.wanted_fen)
        except (CapReached, NotEligible):
            continue
        issued.append(
            issuing.issue(
                conn, application, "voucher.issue", row.act_sha256, "waited", given, policy,
                stamp, rows={},
            )
        )  # fmt: skip
    return issued


def _lapsed(row: Any, policy: Policy, effective_s: int) -> bool:
    """Tell whether the year in which it was applied for is over."""
    applied_on, day = (period.day_of(at, policy.timezone) for at in (row.effective_s, effective_s))
    return applied_on.year < day.year
