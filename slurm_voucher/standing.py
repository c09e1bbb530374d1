"""Who may spend which account now: kept as long as nothing can have changed it.

slurmctld waits for the answer at every submit, and each look at the queue asks it of every waiting
job. It stands until the chain has an entry that does more than move money, or until the instant at
which it changes by itself: a member comes or goes, a freeze begins or ends.
"""

from collections.abc import Mapping

from sqlalchemy import select, union
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.errors import VoucherError
from accounting.vouchers import registry, spending
from accounting.vouchers.spending import Standing
from slurm_voucher.asking import Asker
from slurm_voucher.kept import Begin, Kept

MONEY = {"charge", "statement", "refund", "payment", "voucher.expire", "month.close", "anchor"}
"""Codes of entries that come often and move money alone: they say whose."""

Unit = tuple[str | None, int | None]
"""For which unit a user computes, and until when that is so by itself; None: for good."""


class Standings:
    """What is known of accounts, and of the users of a cluster."""

    def __init__(self, cluster: str) -> None:
        self.accounts: Kept[str, Standing] = Kept(spending.standings)
        self.users: Kept[int, Unit] = Kept(self._units)
        self._cluster = cluster
        self._at_s = 0
        self._head = 0

    def refresh(self, conn: Connection) -> set[str] | None:
        """Forget what entries since the last time may have changed.

        Returns:
            The accounts whose money has moved. None: more than money has, of whoever.
        """
        before, self._head = self._head, ledger.head(conn)[0]
        if self._head == before:
            return set()
        moved = _concerned(conn, before) if self._head > before else None  # or another book
        if moved is None:
            self.forget()
        return moved

    def of(self, account: str, begin: Begin) -> Standing:
        """Return how an account stands.

        Raises:
            NotEligible: The book has none of this name.
        """
        found = self.accounts.get(account, begin)
        if found is None:
            raise spending.unknown(account)
        return found

    def unit(self, uid: int, at_s: int, begin: Begin) -> str | None:
        """Return for which unit a user computes at an instant, which is now."""
        self._at_s = at_s
        unit, until_s = self.users.get(uid, begin) or (None, None)
        if until_s is not None and at_s >= until_s:
            self.users.forget([uid])
            unit, _ = self.users.get(uid, begin) or (None, None)
        return unit

    def allowed(
        self, asker: Asker, provider: str, at_s: int, begin: Begin
    ) -> tuple[Standing, float]:
        """Return how an account stands that a user may spend at a provider now, and until when
        both are so by themselves.

        Raises:
            NotEligible, NotAllowed: The user may not.
        """
        standing, unit = self.of(asker.account, begin), self.unit(asker.uid, at_s, begin)
        standing.insist_on(asker.uid, unit, provider, at_s)
        ends_s = standing.stands_until(at_s)
        _, until_s = self.users.known.get(asker.uid, (None, None))
        return standing, ends_s if until_s is None else min(ends_s, until_s)

    def barred(self, asker: Asker, at_s: int, begin: Begin) -> VoucherError | None:
        """Return why a user may not spend an account now, whatever the partition, or None."""
        standing = self.of(asker.account, begin)
        unit = self.unit(asker.uid, at_s, begin)
        try:
            standing.insist_on(asker.uid, unit, standing.provider, at_s)
        except VoucherError as error:
            return error.with_traceback(None)
        return None

    def forget(self) -> None:
        """Read anew what there is of every account and user."""
        self.accounts.forget_all()
        self.users.forget_all()

    def _units(self, conn: Connection, uids: list[int]) -> Mapping[int, Unit]:
        return registry.units_of(conn, self._cluster, uids, self._at_s)


def _concerned(conn: Connection, head: int) -> set[str] | None:
    """Return the accounts whose money entries after one have moved; None: they change more."""
    entry, posting, charge = schema.journal.c, schema.posting.c, schema.charge.c
    codes = set(conn.execute(select(entry.code).distinct().where(entry.seq > head)).scalars())
    if codes - MONEY:
        return None
    owners = select(posting.owner).where(posting.seq > head)
    vouchers = select(schema.voucher.c.account).where(schema.voucher.c.id.in_(owners))
    charged = select(charge.account).where(charge.seq > head)
    return set(conn.execute(union(owners, vouchers, charged)).scalars())
