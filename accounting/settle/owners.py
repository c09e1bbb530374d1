"""Whose a run is: the voucher account that it is charged to, if there is one."""

from collections.abc import Mapping
from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.errors import TariffMissing
from accounting.rates.tariff import Tariff


def providers(conn: Connection) -> dict[str, str]:
    """Return the provider of each voucher account."""
    query = select(schema.contract.c.account, schema.contract.c.provider)
    return {row.account: row.provider for row in conn.execute(query)}


def of_holds(conn: Connection, rows: pa.Table) -> dict[str, str]:
    """Return the account of each hold that rows name and the book knows."""
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
    voucher = _text(rows.column("voucher"))
    return pc.coalesce(_looked_up(rows.column("hold"), of_hold), voucher) if of_hold else voucher


def at_their_provider(
    accounts: pa.ChunkedArray, rows: pa.Table, prices: Tariff, providers: Mapping[str, str]
) -> pa.ChunkedArray:
    """Keep an account only where it is known and of the provider of the row's partition."""
    same = pc.equal(_looked_up(accounts, providers), _provided(prices, rows))
    return _kept(accounts, pc.fill_null(same, False))


def not_elsewhere(
    accounts: pa.ChunkedArray, rows: pa.Table, prices: Tariff, providers: Mapping[str, str]
) -> pa.ChunkedArray:
    """Keep an account that is known also where nobody is said to provide the row's partition."""
    theirs = _looked_up(accounts, providers)
    same = pc.equal(theirs, _provided(prices, rows))
    return _kept(accounts, pc.coalesce(same, pc.is_valid(theirs)))


def provided_by(
    accounts: pa.ChunkedArray, rows: pa.Table, prices: Tariff, providers: Mapping[str, str]
) -> pa.ChunkedArray:
    """Return whose a row is: the provider of its account, else that of its partition."""
    return pc.coalesce(_looked_up(accounts, providers), _provided(prices, rows))


def _kept(accounts: pa.ChunkedArray, where: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(where, accounts, pa.scalar(None, pa.string()))


def _provided(prices: Tariff, rows: pa.Table) -> pa.ChunkedArray:
    """Return the provider of each row's partition, null where there is none."""
    found = {}
    for cluster in rows.column("cluster").unique().to_pylist():
        for name in rows.column("partition").unique().to_pylist():
            with suppress(TariffMissing):
                found[f"{cluster}/{name}"] = prices.provider(cluster, name)
    names = [_text(rows.column(name)) for name in ("cluster", "partition")]
    return _looked_up(pc.binary_join_element_wise(*names, "/"), found)


def _looked_up(column: pa.ChunkedArray, table: Mapping[str, str]) -> pa.ChunkedArray:
    """Return what a table has for each word of a column, null for what it does not have."""
    place = pc.index_in(_text(column), pa.array(list(table), pa.string()))
    return pa.chunked_array([pa.array(list(table.values()), pa.string())]).take(place)


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())
