"""What is small and the same for all peers: prices as a table, segments, cuts and grants.

A *segment* is an account, a month and an interval between two of the account's edges, numbered
densely in the order of rows: (account × months + month) × intervals + interval. A run belongs to
the segment in which it ends. One in a thousand or fewer also costs something in segments before;
peers find them, and `cut` says what. `grant` draws vouchers for all accounts at once.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from accounting.money import BP, MICRO_PER_FEN
from accounting.rates.kernels import CELL_S, ITEM
from accounting.settle import drawdown
from bench.peers import Case, Int64s

NEVER_S = 2**62


@dataclass(frozen=True, slots=True)
class Prices:
    """What a kind of run costs between two instants, both from `base_s`: with a and b at `line` +
    cell, (a + b × end) less the same at its begin, × `factor` / `unit`.

    Attributes:
        cells: How many cells of CELL_S a line has.
        a: int64[lines × cells], what the line has come to, less b × begin of its interval.
        b: int64[lines × cells], what a second costs.
        line: int64[k], where the line of each kind begins.
        factor: int64[k].
        partition: int64[k], number of the partition of each kind.
        partitions: How many there are.
    """

    unit: int
    base_s: int
    cells: int
    a: Int64s
    b: Int64s
    line: Int64s
    factor: Int64s
    partition: Int64s
    partitions: int

    def upto(self, item: Int64s, at_s: Int64s) -> Int64s:
        """Return what the lines of kinds have come to at instants from `base_s`."""
        place = self.line[item] + at_s // CELL_S
        return self.a[place] + self.b[place] * at_s


@dataclass(frozen=True, slots=True)
class Segments:
    """Where accounts, months and intervals meet.

    Attributes:
        shape: How many accounts, months and intervals.
        edge_s: int64[a, i - 1], when vouchers of an account begin or end; NEVER_S where it has
            fewer.
        since_s: int64[a, m, i], the first end of a run in each segment.
        edge_before_s: int64[a × m × i], what begins before it costs something in others; 0 for
            those without.
        from_s: int64[a, v], padded with vouchers of no validity.
        until_s: int64[a, v].
        left_fen: int64[a, v].
        known: bool[a, v], which of them are vouchers.
        ratio_bp: Share that vouchers bear.
    """

    shape: tuple[int, int, int]
    edge_s: Int64s
    since_s: Int64s
    edge_before_s: Int64s
    from_s: Int64s
    until_s: Int64s
    left_fen: Int64s
    known: np.ndarray
    ratio_bp: int

    def firsts(self, account_firsts: Int64s, end_s: Int64s) -> Int64s:
        """Return at which row each segment begins, and how many rows there are."""
        found = np.empty(self.since_s.shape, np.int64)
        for a, (low, high) in enumerate(pairwise(account_firsts)):
            found[a] = low + np.searchsorted(end_s[low:high], self.since_s[a])
        return np.append(found.ravel(), account_firsts[-1])


@dataclass(frozen=True, slots=True)
class Cuts:
    """Runs that cost something before the segment in which they end, in the order of rows.

    Attributes:
        row: int64[c], which runs.
        segment: int64[c], where each ends.
        taken_micro: int64[c], what each costs elsewhere.
        piece_of: int64[d], whose pieces these are: numbers of `row`.
        piece_segment: int64[d], in order.
        piece_micro: int64[d].
    """

    row: Int64s
    segment: Int64s
    taken_micro: Int64s
    piece_of: Int64s
    piece_segment: Int64s
    piece_micro: Int64s

    def move(self, sums: Int64s) -> Int64s:
        """Return sums of charges by segment with what is cut taken from where runs end."""
        moved = sums.copy()
        np.subtract.at(moved, self.segment, self.taken_micro)
        return moved

    def shares(self, granted: "Granted", ended_micro: Int64s) -> Int64s:
        """Return what vouchers bear of the pieces of each run.

        Args:
            granted: Of all segments.
            ended_micro: What runs that end in each segment cost in it; they come first.
        """
        segment = self.piece_segment
        total = np.cumsum(self.piece_micro)
        first = np.searchsorted(segment, segment)
        within = total - (total[first] - self.piece_micro[first])
        upto = ended_micro[segment] + within
        fen = granted.given(segment, upto) - granted.given(segment, upto - self.piece_micro)
        found = np.zeros(len(self.row), np.int64)
        np.add.at(found, self.piece_of, fen)
        return found


@dataclass(frozen=True, slots=True)
class Granted:
    """What vouchers bear in each segment.

    Attributes:
        fee_micro: int64[g], eligible fee of the month before it.
        base_fen: int64[g], what that entitles to.
        limit_fen: int64[g], what is drawn.
        drawn_fen: int64[m, v], account after account.
        ratio_bp: Share that vouchers bear.
    """

    fee_micro: Int64s
    base_fen: Int64s
    limit_fen: Int64s
    drawn_fen: Int64s
    ratio_bp: int

    def given(self, segment: Int64s, upto_micro: Int64s) -> Int64s:
        """Return what has been given when charges in segments have come to so much."""
        fen = entitled(self.fee_micro[segment] + upto_micro, self.ratio_bp) - self.base_fen[segment]
        return np.minimum(fen, self.limit_fen[segment])


def prices(case: Case) -> Prices:
    """Lay prices out by line and cell.

    Raises:
        ValueError: Some price changes within a cell.
    """
    tables = case.tables
    if tables.odd:
        raise ValueError(f"prices: some change at other times than each {CELL_S} s")
    straight = tables.lines.reshape(-1, len(tables.ends), 2)[:, tables.cells >> 1]
    items = tables.items.reshape(-1, ITEM)
    return Prices(
        unit=tables.unit,
        base_s=tables.base_s,
        cells=len(tables.cells),
        a=straight[:, :, 0].ravel(),
        b=straight[:, :, 1].ravel(),
        line=items[:, 0] // (2 * len(tables.ends)) * len(tables.cells),
        factor=items[:, 1].copy(),
        partition=tables.partition.astype(np.int64),
        partitions=int(tables.partition.max()) + 1,
    )


def segments(case: Case) -> Segments:
    """Lay segments and vouchers out."""
    edges = [drawdown.edges(own) for own in case.vouchers]
    width, most = max(map(len, edges)), max(map(len, case.vouchers))
    edge_s = np.array([own + [NEVER_S] * (width - len(own)) for own in edges], np.int64)
    months_s = case.months_s
    since_s = np.concatenate([np.zeros((len(edges), 1), np.int64), edge_s + 1], axis=1)
    since_s = np.clip(since_s[:, None, :], months_s[:-1, None], months_s[1:, None])
    before_s = np.concatenate([np.zeros((len(edges), 1), np.int64), edge_s], axis=1)
    padded = [
        [(v.from_s, v.until_s, v.left_fen, 1) for v in own] + [(0, 0, 0, 0)] * (most - len(own))
        for own in case.vouchers
    ]
    from_s, until_s, left_fen, known = np.moveaxis(np.array(padded, np.int64), 2, 0)
    return Segments(
        shape=since_s.shape,
        edge_s=edge_s,
        since_s=since_s,
        edge_before_s=np.broadcast_to(before_s[:, None, :], since_s.shape).ravel(),
        from_s=from_s,
        until_s=until_s,
        left_fen=left_fen,
        known=known.astype(bool),
        ratio_bp=case.ratio_bp,
    )


def cut(
    at: Segments, by: Prices, row: Int64s, segment: Int64s, item: Int64s, begin_s: Int64s
) -> Cuts:
    """Cut runs that begin before the segment in which they end, in the order of rows."""
    months, intervals = at.shape[1:]
    edge_s = at.edge_s[segment // (months * intervals)]
    interval = np.arange(intervals - 1)
    ends = segment % intervals
    cuts = (interval < ends[:, None]) & (edge_s > begin_s[:, None])
    run, until = np.nonzero(cuts)
    kind = item[run]
    cost = by.upto(kind, edge_s[run, until] - by.base_s)
    cost -= by.upto(kind, begin_s[run] - by.base_s)
    upto = np.zeros((len(row), intervals), np.int64)
    upto[run, until + 1] = (cost * by.factor[kind] + (by.unit >> 1)) // by.unit
    micro = upto[run, until + 1] - upto[run, until]
    where = segment[run] - ends[run] + until
    order = np.argsort(where, kind="stable")
    return Cuts(
        row, segment, upto[np.arange(len(row)), ends], run[order], where[order], micro[order]
    )


def entitled(fee_micro: Int64s, ratio_bp: int) -> Int64s:
    """Return what fees entitle to: down to the fen, a share of it, down again."""
    return fee_micro // MICRO_PER_FEN * ratio_bp // BP


def grant(at: Segments, ended_micro: Int64s, cuts: Cuts) -> Granted:
    """Draw all vouchers for all months, as `drawdown.draw` does for one account and month.

    Args:
        at: Segments and vouchers.
        ended_micro: What runs cost in the segment in which they end.
        cuts: What some cost elsewhere.
    """
    sums = ended_micro.copy()
    np.add.at(sums, cuts.piece_segment, cuts.piece_micro)
    sums = sums.reshape(at.shape)
    accounts, months, intervals = at.shape
    fees, bases, limits = (np.zeros(at.shape, np.int64) for _ in range(3))
    left, drawn = at.left_fen.copy(), np.zeros((months, *at.left_fen.shape), np.int64)
    for m in range(months):
        fee = np.zeros(accounts, np.int64)
        for s in range(1, intervals - 1):
            fees[:, m, s], bases[:, m, s] = fee, entitled(fee, at.ratio_bp)
            from_s, until_s = at.edge_s[:, s - 1, None], at.edge_s[:, s, None]
            valid = (at.from_s <= from_s) & (until_s <= at.until_s)
            after = fee + sums[:, m, s]
            wanted = entitled(after, at.ratio_bp) - bases[:, m, s]
            for v in range(left.shape[1]):
                taken = np.where(valid[:, v], np.minimum(wanted, left[:, v]), 0)
                left[:, v] -= taken
                wanted -= taken
                drawn[m, :, v] += taken
                limits[:, m, s] += taken
            fee = np.where(valid.any(axis=1), after, fee)
    flat = (each.ravel() for each in (fees, bases, limits))
    return Granted(*flat, drawn[:, at.known], at.ratio_bp)
