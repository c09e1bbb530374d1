"""Who may spend which account now, by which terms: kept as long as nothing can have changed it.

Of a waiting job it is asked at every look at the queue, and the book takes a millisecond for each
answer. An answer stands until the chain has an entry that is more than usage, or until the instant
at which it changes by itself: a member comes or goes, a freeze begins or ends.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.errors import VoucherError
from accounting.vouchers import holds
from accounting.vouchers.registry import find
from slurm_voucher import asking
from slurm_voucher.asking import Asker, Rules, Terms
from slurm_voucher.desk import USAGE


@dataclass(frozen=True)
class Standing:
    """How a user stands with an account.

    Attributes:
        until_s: Until when that is so by itself.
        terms: By which terms the account computes.
        barred: Why the user may not spend it. None: the user may.
    """

    until_s: int
    terms: Terms
    barred: VoucherError | None


class Standings:
    """What is known of users and their accounts, by the same rules."""

    def __init__(self) -> None:
        self._head = 0
        self._known: dict[Asker, Standing] = {}

    def refresh(self, conn: Connection) -> None:
        """Forget what the entries since the last time may have changed."""
        head, entry = ledger.head(conn)[0], schema.journal.c
        if self._known and head != self._head:
            since = select(entry.code).distinct().where(entry.seq > self._head)
            if head < self._head or set(conn.execute(since).scalars()) - {USAGE}:
                self._known.clear()
        self._head = head

    def of(self, conn: Connection, rules: Rules, asker: Asker, at_s: int) -> Standing:
        """Return how a user stands with an account at an instant, whatever the partition."""
        known = self._known.get(asker)
        if known is None or at_s >= known.until_s:
            known = self._known[asker] = Standing(
                until_s=holds.stands_until(conn, asker.account, at_s),
                terms=asking.terms_of(conn, rules, asker.account),
                barred=_barred(conn, rules.cluster.name, asker, at_s),
            )
        return known


def _barred(conn: Connection, cluster: str, asker: Asker, at_s: int) -> VoucherError | None:
    provider = find(conn, "contract", account=asker.account).provider
    try:
        holds.may_spend(
            conn, asker.account, cluster=cluster, uid=asker.uid, provider=provider, at_s=at_s
        )
    except VoucherError as error:
        return error.with_traceback(None)
    return None
