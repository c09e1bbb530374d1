"""DuckDB, in SQL over its own tables in memory: one statement for charges, one for shares.

Prices, kinds and accounts are joined by dense numbers, which DuckDB looks up without hashing where
it knows that they are dense: so small tables are its own, not Arrow's. Joins do not keep the order
of rows, so their numbers go along. Running sums go through rows in their order, which needs a sort
but no partitions; what a segment had before it is taken off.
"""

from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from accounting.money import BP, MICRO_PER_FEN
from accounting.rates.kernels import CELL_S
from bench.peers import Case, Int64s, Totals, layout

NAME = "DuckDB"
VERSION = duckdb.__version__

MEMORY = "16GiB"
_LATEST_S = 2**31 - 1


class State(NamedTuple):
    """What is prepared: tables `runs`, `kinds`, `lines` and `edges`, the statement for charges, and
    what is small."""

    tables: duckdb.DuckDBPyConnection
    pricing: str
    prices: layout.Prices
    segments: layout.Segments


def prepare(case: Case) -> State:
    """Put rows, prices and edges into tables.

    Raises:
        ValueError: Some month begins within a cell.
    """
    by, at = layout.prices(case), layout.segments(case)
    if ((case.months_s - by.base_s) % CELL_S).any():
        raise ValueError(f"months: some begin at other times than each {CELL_S} s")
    tables = duckdb.connect(config={"memory_limit": MEMORY, "threads": 2})
    cell_s = by.base_s + CELL_S * np.arange(by.cells)
    month = np.searchsorted(case.months_s, cell_s, side="right") - 1
    edge_s = np.clip(at.edge_s - by.base_s, -1, _LATEST_S).astype(np.int32)
    _create(
        tables,
        "runs",
        account=case.account,
        end_s=case.rows.end_s,
        wall_s=case.rows.wall_s,
        item=case.rows.item,
    )
    _create(
        tables,
        "kinds",
        item=np.arange(len(by.line), dtype=np.uint32),
        line=by.line.astype(np.int32),
        factor=by.factor,
        part=by.partition.astype(np.int32),
    )
    _create(
        tables,
        "lines",
        place=np.arange(len(by.a), dtype=np.int32),
        month=np.tile(month, len(by.a) // by.cells).astype(np.int32),
        a=by.a,
        b=by.b,
    )
    edges = {f"edge{k}": own for k, own in enumerate(np.ascontiguousarray(edge_s.T))}
    _create(tables, "edges", account=np.arange(len(edge_s), dtype=np.uint16), **edges)
    return State(tables, _pricing(by, at), by, at)


def run(state: State) -> Totals:
    """Rate runs and draw their vouchers down."""
    tables, pricing, by, at = state
    tables.execute(pricing)
    place, micro = _columns(tables, "SELECT place, sum(charge)::BIGINT FROM priced GROUP BY place")
    spread = np.zeros((*at.shape, by.partitions), np.int64)
    spread.ravel()[place] = micro
    found = _columns(
        tables,
        f"""
        SELECT row, place // {by.partitions}, item, end_s - wall_s
        FROM priced JOIN runs ON runs.rowid = row WHERE crosses ORDER BY row
        """,
    )
    cuts = layout.cut(at, by, *(column.astype(np.int64) for column in found))
    ended_micro = cuts.move(spread.sum(axis=3).ravel())
    granted = layout.grant(at, ended_micro, cuts)
    _create(tables, "cuts", row=cuts.row, taken=cuts.taken_micro)
    _grant(tables, granted, ended_micro)
    row, charge = _columns(tables, "SELECT row, charge FROM priced")
    charge_micro, share_fen = np.empty_like(charge), np.zeros_like(charge)
    charge_micro[row] = charge
    row, share = _columns(tables, _sharing(by.partitions, granted.ratio_bp))
    share_fen[row] = share
    share_fen[cuts.row] += cuts.shares(granted, ended_micro)
    return Totals(charge_micro, share_fen, spread.sum(axis=2), granted.drawn_fen)


def _create(tables: duckdb.DuckDBPyConnection, name: str, **columns: np.ndarray) -> None:
    """Make a table of columns."""
    tables.register("given", pa.table(columns))
    tables.execute(f"CREATE OR REPLACE TABLE {name} AS FROM given")
    tables.unregister("given")


def _grant(tables: duckdb.DuckDBPyConnection, granted: layout.Granted, ended_micro: Int64s) -> None:
    """Make a table of the segments for which anything is drawn."""
    segment = np.flatnonzero(granted.limit_fen)
    micro = ended_micro[segment]
    _create(
        tables,
        "granted",
        segment=segment.astype(np.int32),
        lift=granted.fee_micro[segment] - (np.cumsum(micro) - micro),
        base=granted.base_fen[segment],
        most=granted.limit_fen[segment],
    )


def _columns(tables: duckdb.DuckDBPyConnection, query: str) -> list[np.ndarray]:
    """Return what a query finds; through Arrow, which takes DuckDB a fraction of the time."""
    return [column.to_numpy() for column in tables.sql(query).to_arrow_table().columns]


def _pricing(by: layout.Prices, at: layout.Segments) -> str:
    """Write the statement for charges: of each run its number, its segment with its partition, what
    it costs, and whether it crosses an edge."""
    _, months, intervals = at.shape
    edges = [f"edge{k}" for k in range(intervals - 1)]
    interval = " + ".join(f"(until_s > {edge})::UTINYINT" for edge in edges)
    crosses = " OR ".join(f"(from_s < {edge} AND {edge} < until_s)" for edge in edges)
    return f"""
    CREATE OR REPLACE TEMP TABLE priced AS
    SELECT
        row,
        ((account * {months} + u.month) * {intervals} + {interval}) * {by.partitions} + part
            AS place,
        ((u.a + u.b * until_s - f.a - f.b * from_s) * factor + {by.unit >> 1}) // {by.unit}
            AS charge,
        {crosses} AS crosses
    FROM (
        SELECT
            runs.rowid AS row,
            account::INTEGER AS account,
            (end_s - {by.base_s})::INTEGER AS until_s,
            until_s - wall_s AS from_s,
            until_s // {CELL_S} + line AS until_place,
            from_s // {CELL_S} + line AS from_place,
            factor,
            part
        FROM runs JOIN kinds USING (item)
    )
    JOIN lines u ON u.place = until_place
    JOIN lines f ON f.place = from_place
    JOIN edges USING (account)
    """


def _sharing(partitions: int, ratio_bp: int) -> str:
    """Write the query for what the entitlement of its segment grows by with each run; runs in
    segments for which nothing is drawn are left out before they are sorted."""

    def given(fee: str) -> str:
        fen = f"({fee}) // {MICRO_PER_FEN} * {ratio_bp} // {BP}"
        return f"least({fen} - base, most)"

    return f"""
    SELECT row, {given("upto + lift")} - {given("upto - own + lift")} AS share
    FROM (
        SELECT row, segment, own, (sum(own) OVER (ROWS UNBOUNDED PRECEDING))::BIGINT AS upto
        FROM (
            SELECT row, segment, charge - coalesce(taken, 0) AS own
            FROM priced
            JOIN (SELECT segment FROM granted) ON segment = place // {partitions}
            LEFT JOIN cuts USING (row)
            ORDER BY row
        )
    )
    JOIN granted USING (segment)
    """
