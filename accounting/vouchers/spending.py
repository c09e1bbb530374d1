"""Who may spend a voucher account, where and when: read once, asked often."""

import contextlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.errors import NotAllowed, NotEligible
from accounting.vouchers import freezing
from accounting.vouchers.registry import unit_of

_SOME: BindParameter[Any] = bindparam("some", expanding=True)
_CONTRACTS = (
    select(schema.contract, schema.unit.c.credit_code)
    .join(schema.unit, schema.unit.c.id == schema.contract.c.unit)
    .where(schema.contract.c.account.in_(_SOME))
)
_CHANGES = (
    select(schema.contract_change)
    .where(schema.contract_change.c.contract.in_(_SOME))
    .order_by(schema.contract_change.c.number)
)
_VALID = select(schema.voucher.c.account, schema.voucher.c.from_s, schema.voucher.c.until_s).where(
    schema.voucher.c.account.in_(_SOME)
)


@dataclass(frozen=True)
class Standing:
    """What decides who may spend an account.

    Attributes:
        account, unit, provider: Of its contract.
        credit_code: The unit's.
        ended_s: From when on its contract is ended. None: it is not.
        frozen: When its unit is frozen, half-open, and why.
        window: Half-open interval in which its vouchers are valid. None: it has none.
    """

    account: str
    unit: str
    provider: str
    credit_code: str
    ended_s: int | None
    frozen: Sequence[tuple[int, int, str]]
    window: tuple[int, int] | None

    def stands_until(self, at_s: int) -> float:
        """Return the instant after one at which it changes by itself: a freeze begins or ends, or
        its contract does."""
        edges = [edge for begin_s, end_s, _ in self.frozen for edge in (begin_s, end_s)]
        edges += [] if self.ended_s is None else [self.ended_s]
        return min((edge for edge in edges if edge > at_s), default=math.inf)

    def insist_on(self, uid: int, unit: str | None, provider: str, at_s: int) -> None:
        """Refuse a user who may not spend it at a provider at an instant.

        Args:
            unit: For which the user computes then.

        Raises:
            NotEligible: It is for another provider, or frozen.
            NotAllowed: The user is no member of its unit, or the contract was ended.
        """
        if unit != self.unit:
            raise NotAllowed(
                f"voucher {self.account}: belongs to another unit than user {uid}'s; use your own "
                "unit's voucher"
            )
        for begin_s, end_s, reason in self.frozen:
            if begin_s <= at_s < end_s:
                raise NotEligible(
                    f"voucher {self.account}: unit {unit} is frozen: {reason}; ask the regulator"
                )
        if self.ended_s is not None and at_s >= self.ended_s:
            raise NotAllowed(
                f"voucher {self.account}: its contract was ended; use another voucher or sign a "
                "new contract"
            )
        if self.provider != provider:
            raise NotEligible(
                f"voucher {self.account}: is for provider {self.provider}, this partition is"
                f" {provider}'s; choose another partition or voucher"
            )


def standings(conn: Connection, accounts: Sequence[str]) -> dict[str, Standing]:
    """Return how accounts stand; those that the book does not have are left out."""
    found: dict[str, Standing] = {}
    for i in range(0, len(accounts), ledger.KEYS_MAX):
        some = accounts[i : i + ledger.KEYS_MAX]
        contracts = conn.execute(_CONTRACTS, {"some": some}).all()
        changes = conn.execute(_CHANGES, {"some": [row.id for row in contracts]})
        ended = {row.contract: row.until_s for row in changes if row.kind == "ended"}
        frozen = freezing.of_units(conn, {row.unit for row in contracts})
        valid = defaultdict[str, list[tuple[int, int]]](list)
        for row in conn.execute(_VALID, {"some": some}):
            valid[row.account].append((row.from_s, row.until_s))
        for row in contracts:
            days = valid[row.account]
            window = (min(s for s, _ in days), max(s for _, s in days)) if days else None
            found[row.account] = Standing(
                row.account, row.unit, row.provider, row.credit_code, ended.get(row.id),
                frozen.get(row.unit, ()), window,
            )  # fmt: skip
    return found


def standing(conn: Connection, account: str) -> Standing:
    """Return how an account stands.

    Raises:
        NotEligible: The book has none of this name.
    """
    found = standings(conn, [account]).get(account)
    if found is None:
        raise unknown(account)
    return found


def unknown(account: str) -> NotEligible:
    """Return the refusal of an account that the book does not have."""
    return NotEligible(
        f"voucher {account[:24]!r}: not known here; check the number on your certificate"
    )


def may_spend(
    conn: Connection, account: str, *, cluster: str, uid: int, provider: str, at_s: int
) -> Standing:
    """Check that a user of a cluster may spend a voucher account at a provider.

    Returns:
        How it stands.

    Raises:
        NotEligible, NotAllowed: As `standing` and `Standing.insist_on` say.
    """
    found = standing(conn, account)
    found.insist_on(uid, unit_of(conn, cluster, uid, at_s), provider, at_s)
    return found


def usable(conn: Connection, *, cluster: str, uid: int, provider: str, at_s: int) -> list[str]:
    """List the accounts that a user of a cluster may spend at a provider, with a voucher that is
    valid at an instant."""
    unit = unit_of(conn, cluster, uid, at_s)
    if unit is None:
        return []
    contract, voucher = schema.contract.c, schema.voucher.c
    query = select(contract.account).where(contract.unit == unit, contract.provider == provider)
    valid = (voucher.from_s <= at_s) & (voucher.until_s > at_s)
    query = query.join(schema.voucher, (voucher.account == contract.account) & valid).distinct()
    there = standings(conn, list(conn.execute(query.order_by(contract.account)).scalars()))
    found = []
    for account, how in sorted(there.items()):
        with contextlib.suppress(NotEligible, NotAllowed):
            how.insist_on(uid, unit, provider, at_s)
            found.append(account)
    return found
