"""What the book says that runs are rated by: prices, accounts, validities and refunds.

Read once and used for many parts of what comes in.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.policy import Policy, states_of
from accounting.rates import pricelists, rating
from accounting.rates.tariff import Tariff
from accounting.runs import usage
from accounting.settle import owners
from accounting.vouchers import holds, registry

RUN_KEY = ("cluster", "job_id", "submit_s", "start_s")
"""Columns that say which run it is."""
REFUNDED = "refunded"
"""Why a run is free that an operator gave back."""

Bools = npt.NDArray[np.bool_]


class Pricing:
    """What the book says, and which kinds of runs one price list has met."""

    def __init__(self, conn: Connection, prices: Tariff, policy: Policy) -> None:
        self.prices = prices
        self.providers = owners.providers(conn)
        self._states = states_of(policy)
        self._units = registry.credit_codes(conn) if prices.discounts else {}
        self._refunded = refunded(conn)
        self._windows: dict[str, rating.Window | None] = {}
        self._seen = rating.Seen(prices)

    @classmethod
    def in_force(cls, conn: Connection, policy: Policy) -> "Pricing":
        """Return what is in force now."""
        return cls(conn, pricelists.in_force(conn) or pricelists.nothing(policy.timezone), policy)

    def with_accounts(
        self, conn: Connection, rows: pa.Table, of_hold: Mapping[str, str]
    ) -> pa.Table:
        """Find the voucher account of each row and rate it.

        Args:
            conn: The book.
            rows: Columns of USAGE.
            of_hold: Account of each hold that rows name and the book knows.

        Returns:
            The columns of RATED but revision.
        """
        named = owners.named(rows, of_hold)
        accounts = owners.at_their_provider(named, rows, self.prices, self.providers)
        return self.rated(conn, rows, accounts).append_column("account", accounts)

    def rated(self, conn: Connection, rows: pa.Table, accounts: pa.ChunkedArray) -> pa.Table:
        """Rate rows whose voucher accounts are known, by what the book says of these accounts."""
        for account in usage.words_of(accounts):
            if account not in self._windows:
                self._windows[account] = holds.validity(conn, account)
        windows = {name: window for name, window in self._windows.items() if window is not None}
        rated = rating.rate(
            rows, self.prices, self._states, windows, accounts, self._units, self._seen
        )
        return waived(rated, are(rows, self._refunded)) if self._refunded else rated


def refunded(conn: Connection) -> set[tuple[Any, ...]]:
    """Return the keys of the runs that were refunded: they cost nothing, whatever is still heard
    of them."""
    table = schema.refund
    return {tuple(row) for row in conn.execute(select(*(table.c[name] for name in RUN_KEY)))}


def are(rows: pa.Table, keys: Collection[tuple[Any, ...]]) -> Bools:
    """Mark the rows that are some runs."""
    known = pa.array([key[1] for key in keys], pa.int64())
    found: Bools = pc.is_in(rows.column("job_id"), known).to_numpy().copy()
    for i in np.flatnonzero(found).tolist():
        found[i] = tuple(rows.column(name)[i].as_py() for name in RUN_KEY) in keys
    return found


def waived(rated: pa.Table, where: Bools) -> pa.Table:
    """Take the charge off some of the rows that rating has charged."""
    charged = pc.equal(rated.column("status").cast(pa.string()), rating.CHARGED)
    gone = pc.and_(pa.array(where), charged)
    instead = {"status": rating.FREE, "reason": REFUNDED, "charge_micro": 0, "eligible_micro": 0}
    for name, value in instead.items():
        column = rated.column(name)
        plain = column.cast(pa.string()) if isinstance(value, str) else column
        place = rated.column_names.index(name)
        changed = pc.if_else(gone, pa.scalar(value, plain.type), plain)
        rated = rated.set_column(place, name, changed.cast(column.type))
    return rated
