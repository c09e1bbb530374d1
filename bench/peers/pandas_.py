"""pandas, whole columns at a time, by one thread.

Groups are categories by number, which spares pandas to hash them. Running sums go through all
rows; what a segment had before it is taken off.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from accounting.money import BP, MICRO_PER_FEN
from accounting.rates.kernels import CELL_S
from bench.peers import Case, Int64s, Totals, layout

NAME = "pandas"
VERSION = pd.__version__

ACCOUNT_S = 2**33
"""Ends are below it."""


class State(NamedTuple):
    """What is prepared: rows and what is small."""

    rows: pd.DataFrame
    prices: layout.Prices
    segments: layout.Segments


def prepare(case: Case) -> State:
    """Put rows into a frame."""
    rows = pd.DataFrame(
        {
            "account": case.account,
            "end_s": case.rows.end_s,
            "wall_s": case.rows.wall_s,
            "item": case.rows.item,
        }
    )
    return State(rows, layout.prices(case), layout.segments(case))


def run(state: State) -> Totals:
    """Rate runs and draw their vouchers down."""
    rows, by, at = state
    segment, firsts = _segments(rows, at)
    charge = _charges(rows, by)
    place = segment * np.int32(by.partitions) + by.partition.astype(np.int32)[rows["item"]]
    spread = _sums(charge, place, (*at.shape, by.partitions))
    begin_s = rows["end_s"] - rows["wall_s"]
    row = np.flatnonzero(begin_s < at.edge_before_s[segment])
    item = rows["item"].to_numpy()[row].astype(np.int64)
    cuts = layout.cut(at, by, row, segment[row], item, begin_s.to_numpy()[row])
    ended_micro = cuts.move(spread.sum(axis=3).ravel())
    granted = layout.grant(at, ended_micro, cuts)
    share = _shares(charge, segment, firsts, cuts, granted, ended_micro)
    share.iloc[row] += cuts.shares(granted, ended_micro)
    return Totals(charge.to_numpy(), share.to_numpy(), spread.sum(axis=2), granted.drawn_fen)


def _segments(rows: pd.DataFrame, at: layout.Segments) -> tuple[np.ndarray, Int64s]:
    """Return the segment of each row, and at which row each segment with rows begins."""
    key = rows["account"].astype(np.int64) * ACCOUNT_S + rows["end_s"]
    starts = np.arange(len(at.since_s))[:, None, None] * ACCOUNT_S + at.since_s
    found = key.searchsorted(starts.ravel())
    counts = np.diff(found, append=len(rows))
    return np.repeat(np.arange(len(found), dtype=np.int32), counts), found[counts > 0]


def _charges(rows: pd.DataFrame, by: layout.Prices) -> pd.Series:
    """Price rows."""
    line = by.line.astype(np.int32)[rows["item"]]
    until = rows["end_s"] - by.base_s
    cost = _upto(by, line, until)
    cost -= _upto(by, line, until - rows["wall_s"])
    cost *= by.factor[rows["item"]]
    cost += by.unit >> 1
    return cost // by.unit


def _upto(by: layout.Prices, line: np.ndarray, at_s: pd.Series) -> pd.Series:
    """Return what lines have come to at instants."""
    place = at_s // CELL_S + line
    return at_s * by.b[place] + by.a[place]


def _sums(charge: pd.Series, place: np.ndarray, shape: tuple[int, ...]) -> Int64s:
    """Sum charges by numbered places."""
    every = pd.RangeIndex(int(np.prod(shape)))
    groups = pd.Categorical.from_codes(place, categories=every, validate=False)
    return charge.groupby(groups, observed=False).sum().to_numpy().reshape(shape)


def _shares(
    charge: pd.Series,
    segment: np.ndarray,
    firsts: Int64s,
    cuts: layout.Cuts,
    granted: layout.Granted,
    ended_micro: Int64s,
) -> pd.Series:
    """Return what the entitlement of its segment grows by with each row."""
    fee = charge.copy()
    fee.iloc[cuts.row] -= cuts.taken_micro
    fee = fee.cumsum()
    fee += (granted.fee_micro - (np.cumsum(ended_micro) - ended_micro))[segment]
    given = fee // MICRO_PER_FEN * granted.ratio_bp // BP
    given -= granted.base_fen[segment]
    given = np.minimum(given, granted.limit_fen[segment])
    share = given - given.shift(1, fill_value=0)
    share.iloc[firsts] = given.iloc[firsts]
    return share
