"""Whose a run is: the voucher account that it is charged to, if there is one."""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.errors import TariffMissing
from accounting.rates.tariff import Tariff
from accounting.runs import usage

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


def providers(conn: Connection) -> dict[str, str]:
    """Return the provider of each voucher account."""
    query = select(schema.contract.c.account, schema.contract.c.provider)
    return {row.account: row.provider for row in conn.execute(query)}


def of_holds(conn: Connection, rows: pa.Table) -> dict[str, str]:
    """Return the account of each hold that rows name and the book knows."""
    if conn.execute(select(schema.hold.c.id).limit(1)).first() is None:
        return {}
    wanted = [hold for hold in rows.column("hold").unique().to_pylist() if hold]
    found: dict[str, str] = {}
    for i in range(0, len(wanted), 500):
        query = select(schema.hold.c.id, schema.hold.c.account)
        known = conn.execute(query.where(schema.hold.c.id.in_(wanted[i : i + 500])))
        found.update((row.id, row.account) for row in known)
    return found


def named(rows: pa.Table, of_hold: Mapping[str, str]) -> pa.ChunkedArray:
    """Return the voucher account of each row: its hold's where the book knows the hold (that
    binding decides), else the one that AdminComment names."""
    voucher = rows.column("voucher")
    if not of_hold:
        return voucher
    place = pc.index_in(_text(rows.column("hold")), pa.array(list(of_hold), pa.string()))
    theirs = pa.chunked_array([pa.array(list(of_hold.values()), pa.string())]).take(place)
    return pc.coalesce(theirs, _text(voucher))


def at_their_provider(
    accounts: pa.ChunkedArray, rows: pa.Table, prices: Tariff, providers: Mapping[str, str]
) -> pa.ChunkedArray:
    """Keep an account only where it is known and of the provider of the row's partition."""
    theirs, provided, _ = _both(accounts, rows, prices, providers)
    return _kept(accounts, (theirs >= 0) & (theirs == provided))


def not_elsewhere(
    accounts: pa.ChunkedArray, rows: pa.Table, prices: Tariff, providers: Mapping[str, str]
) -> pa.ChunkedArray:
    """Keep an account that is known also where nobody is said to provide the row's partition."""
    theirs, provided, _ = _both(accounts, rows, prices, providers)
    return _kept(accounts, (theirs >= 0) & ((theirs == provided) | (provided < 0)))


def provided_by(
    accounts: pa.ChunkedArray, rows: pa.Table, prices: Tariff, providers: Mapping[str, str]
) -> pa.ChunkedArray:
    """Return whose a row is: the provider of its account, else that of its partition."""
    theirs, provided, names = _both(accounts, rows, prices, providers)
    found = usage.words(names, np.where(theirs >= 0, theirs, provided))
    return pa.chunked_array([found.cast(pa.string())])


def _kept(accounts: pa.ChunkedArray, where: Bools) -> pa.ChunkedArray:
    all_there = np.count_nonzero(where) == len(accounts) - accounts.null_count
    if all_there and pa.types.is_dictionary(accounts.type):
        return accounts
    code, words = usage.split(accounts)
    return pa.chunked_array([usage.words(words, np.where(where, code, -1))])


def _both(
    accounts: pa.ChunkedArray, rows: pa.Table, prices: Tariff, providers: Mapping[str, str]
) -> tuple[Int64s, Int64s, list[str]]:
    """Return the provider of each row's account and of its partition, -1 where there is none.

    Returns:
        Two int64[n], and the providers that the numbers are of.
    """
    number: dict[str, int] = {}

    def numbered(name: str | None) -> int:
        return -1 if name is None else number.setdefault(name, len(number))

    code, words = usage.split(accounts)
    theirs = np.array([*(numbered(providers.get(word)) for word in words), -1]).take(code)
    (cluster, clusters), (partition, partitions) = (
        usage.split(rows.column(name)) for name in ("cluster", "partition")
    )
    known = np.full((len(clusters) + 1, len(partitions) + 1), -1)
    for i, a in enumerate(clusters):
        for j, b in enumerate(partitions):
            with suppress(TariffMissing):
                known[i, j] = numbered(prices.provider(a, b))
    place = cluster * known.shape[1] + partition
    return theirs, known.ravel().take(place, mode="wrap"), list(number)


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())
