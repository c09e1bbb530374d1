"""Polars, lazily, by its streaming engine: one pass for charges and sums, one for shares.

Prices are looked up by `gather` from a constant column, and the segment of a row by an as-of join
on account and end in one ordered number. Running sums go through all rows; what a segment had
before it is taken off.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from accounting.money import BP, MICRO_PER_FEN
from accounting.rates.kernels import CELL_S
from bench.peers import Case, Int64s, Totals, layout

NAME = "Polars"
VERSION = pl.__version__

ACCOUNT_S = 2**33
"""Ends are below it."""


class State(NamedTuple):
    """What is prepared: rows, when segments begin, and what is small."""

    rows: pl.DataFrame
    starts: pl.DataFrame
    prices: layout.Prices
    segments: layout.Segments


def prepare(case: Case) -> State:
    """Put rows into a frame."""
    at = layout.segments(case)
    rows = pl.DataFrame(
        {
            "account": case.account,
            "end_s": case.rows.end_s,
            "wall_s": case.rows.wall_s,
            "item": case.rows.item,
        }
    )
    key = np.arange(len(at.since_s))[:, None, None] * ACCOUNT_S + at.since_s
    starts = pl.DataFrame({"key": key.ravel()}).with_row_index("segment")
    starts = starts.unique("key", keep="last", maintain_order=True)
    return State(rows, starts.set_sorted("key"), layout.prices(case), at)


def run(state: State) -> Totals:
    """Rate runs and draw their vouchers down."""
    by, at = state.prices, state.segments
    priced, crossing, sums = pl.collect_all(_priced(state), engine="streaming")
    spread = np.zeros((*at.shape, by.partitions), np.int64)
    spread.ravel()[sums["place"].to_numpy()] = sums["charge"].to_numpy()
    cuts = layout.cut(at, by, *(column.to_numpy() for column in crossing.cast(pl.Int64)))
    ended_micro = cuts.move(spread.sum(axis=3).ravel())
    granted = layout.grant(at, ended_micro, cuts)
    share = _shares(priced, cuts, granted, ended_micro).collect(engine="streaming").to_series()
    share_fen = _added(share, cuts.row, cuts.shares(granted, ended_micro)).to_numpy()
    charge_micro = priced["charge"].to_numpy()
    return Totals(charge_micro, share_fen, spread.sum(axis=2), granted.drawn_fen)


def _at(values: Int64s, place: pl.Expr, dtype: type[pl.DataType] = pl.Int64) -> pl.Expr:
    """Look places up in a constant column."""
    return pl.lit(pl.Series(values, dtype=dtype)).gather(place)


def _priced(state: State) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """Plan charges with their segments, the rows that cross edges, and sums of charges."""
    by = state.prices
    key = pl.col("account").cast(pl.Int64) * ACCOUNT_S + pl.col("end_s")
    line = _at(by.line, pl.col("item"), pl.UInt32)
    until = pl.col("end_s") - by.base_s
    begin = until - pl.col("wall_s")

    def upto(at_s: pl.Expr) -> pl.Expr:
        place = line + at_s.cast(pl.UInt32) // CELL_S
        return _at(by.a, place) + _at(by.b, place) * at_s

    cost = (upto(until) - upto(begin)) * _at(by.factor, pl.col("item"))
    rows = (
        state.rows.lazy()
        .with_columns(key=key)
        .set_sorted("key")
        .join_asof(state.starts.lazy(), on="key")
        .select(
            "segment",
            "item",
            begin_s=pl.col("end_s") - pl.col("wall_s"),
            charge=(cost + (by.unit >> 1)) // by.unit,
            partition=_at(by.partition, pl.col("item"), pl.UInt32),
        )
    )
    place = pl.col("segment") * by.partitions + pl.col("partition")
    edge_s = _at(state.segments.edge_before_s, pl.col("segment"))
    crossing = rows.with_row_index("row").filter(pl.col("begin_s") < edge_s)
    return (
        rows.select("segment", "charge"),
        crossing.select("row", "segment", "item", "begin_s"),
        rows.group_by(place=place).agg(pl.col("charge").sum()),
    )


def _shares(
    priced: pl.DataFrame, cuts: layout.Cuts, granted: layout.Granted, ended_micro: Int64s
) -> pl.LazyFrame:
    """Plan what the entitlement of its segment grows by with each row."""
    segment = pl.col("segment")
    own = _added(priced["charge"].clone(), cuts.row, -cuts.taken_micro)
    lift = granted.fee_micro - (np.cumsum(ended_micro) - ended_micro)
    fee = pl.col("own").cum_sum() + _at(lift, segment)
    fen = fee // MICRO_PER_FEN * granted.ratio_bp // BP - _at(granted.base_fen, segment)
    given = pl.col("given")
    before = pl.when(segment == segment.shift(1)).then(given.shift(1)).otherwise(0)
    return (
        priced.lazy()
        .select("segment", own=own)
        .with_columns(given=pl.min_horizontal(fen, _at(granted.limit_fen, segment)))
        .select(share=given - before)
    )


def _added(column: pl.Series, row: Int64s, amounts: Int64s) -> pl.Series:
    """Return a column with amounts added at few rows."""
    at = pl.Series(row, dtype=pl.UInt32)
    return column.scatter(at, column.gather(at) + pl.Series(amounts))
