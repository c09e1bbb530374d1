"""NumPy, in blocks that stay in the cache, by two threads: no array of all rows but the results.

Once for charges and their sums, then, when vouchers are granted, once more for shares.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from accounting.money import BP, MICRO_PER_FEN
from accounting.rates.kernels import CELL_S, Rows
from bench.peers import Case, Int64s, Totals, layout

NAME = "NumPy, in blocks"
VERSION = np.__version__

BLOCK = 65_536
"""Smaller ones stay nearer in the cache, but then two threads wait for each other at each step."""
THREADS = 2


class State(NamedTuple):
    """What is prepared."""

    rows: Rows
    prices: layout.Prices
    segments: layout.Segments


class Block(NamedTuple):
    """Rows by segment.

    Attributes:
        number: Which block it is.
        low: Its first row.
        high: The row after its last.
        segment: Segments that have rows in it.
        firsts: Where those of each begin, from `low`.
        rows: How many each has in it.
    """

    number: int
    low: int
    high: int
    segment: Int64s
    firsts: Int64s
    rows: Int64s


class Sums(NamedTuple):
    """What a thread has summed and found."""

    by_block: Int64s
    by_segment: Int64s
    by_partition: Int64s
    crossing: list[tuple[Int64s, Int64s]]


def prepare(case: Case) -> State:
    """Lay prices and segments out."""
    return State(case.rows, layout.prices(case), layout.segments(case))


def run(state: State) -> Totals:
    """Rate runs and draw their vouchers down."""
    rows, by, at = state
    charge_micro, share_fen = np.empty_like(rows.end_s), np.empty_like(rows.end_s)
    blocks = _blocks(at.firsts(rows.firsts, rows.end_s))
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = iter(blocks)
        parts = [
            pool.submit(_charge, waiting, len(blocks), state, charge_micro) for _ in range(THREADS)
        ]
        by_block, by_segment, by_partition, crossing = _together([part.result() for part in parts])
        row, segment = (np.concatenate(each) for each in zip(*crossing, strict=True))
        begin_s = rows.end_s[row] - rows.wall_s[row]
        cuts = layout.cut(at, by, row, segment, rows.item[row].astype(np.int64), begin_s)
        ended_micro = cuts.move(by_segment)
        granted = layout.grant(at, ended_micro, cuts)
        np.subtract.at(by_block, cuts.row // BLOCK, cuts.taken_micro)
        waiting = iter(blocks)
        given = by_block, ended_micro, cuts, granted, charge_micro, share_fen
        parts = [pool.submit(_share, waiting, *given) for _ in range(THREADS)]
        for part in parts:
            part.result()
    share_fen[row] += cuts.shares(granted, ended_micro)
    by_partition = by_partition.reshape(*at.shape[:2], by.partitions)
    return Totals(charge_micro, share_fen, by_partition, granted.drawn_fen)


def _blocks(firsts: Int64s) -> list[Block]:
    """Cut rows into blocks, and segments where these end."""
    filled = np.flatnonzero(np.diff(firsts))
    first, rows, found = firsts[filled], int(firsts[-1]), []
    for number, low in enumerate(range(0, rows, BLOCK)):
        high = min(low + BLOCK, rows)
        i, j = np.searchsorted(first, low, side="right") - 1, np.searchsorted(first, high)
        own = np.maximum(first[i:j], low) - low
        found.append(Block(number, low, high, filled[i:j], own, np.diff(own, append=high - low)))
    return found


def _together(parts: list[Sums]) -> Sums:
    """Add up what threads have summed, and put what they found in the order of rows."""
    *sums, crossing = zip(*parts, strict=True)
    found = sorted((each for part in crossing for each in part), key=lambda each: each[0][0])
    return Sums(*(np.add.reduce(each) for each in sums), found)


def _charge(waiting: Iterator[Block], blocks: int, state: State, charge_micro: Int64s) -> Sums:
    """Price rows; sum, and find those that begin before their segments."""
    rows, by, at = state
    accounts, months, intervals = at.shape
    sums = Sums(
        np.zeros(blocks, np.int64),
        np.zeros(accounts * months * intervals, np.int64),
        np.zeros(accounts * months * by.partitions, np.int64),
        [],
    )
    edge_s, half, unit = at.edge_before_s - by.base_s, by.unit >> 1, np.uint64(by.unit)
    room = np.empty((7, BLOCK), np.int64)
    for number, low, high, segment, firsts, length in waiting:
        until, begin, item, line, cost, got, rate = room[:, : high - low]
        charge = charge_micro[low:high]
        np.copyto(item, rows.item[low:high])
        np.take(by.line, item, out=line, mode="clip")
        np.subtract(rows.end_s[low:high], by.base_s, out=until)
        np.subtract(until, rows.wall_s[low:high], out=begin)
        _line(by, line, until, got, rate, cost)
        _line(by, line, begin, got, rate, charge)
        cost -= charge
        np.take(by.factor, item, out=got, mode="clip")
        cost *= got
        cost += half
        np.floor_divide(cost.view(np.uint64), unit, out=charge.view(np.uint64))
        by_segment = np.add.reduceat(charge, firsts)
        sums.by_segment[segment] += by_segment
        sums.by_block[number] = by_segment.sum()
        np.take(by.partition, item, out=got, mode="clip")
        got += np.repeat(segment // intervals * by.partitions, length)
        np.add.at(sums.by_partition, got, charge)
        crossing = np.flatnonzero(begin < np.repeat(edge_s[segment], length))
        if len(crossing):
            of = np.searchsorted(firsts, crossing, side="right") - 1
            sums.crossing.append((low + crossing, segment[of]))
    return sums


def _line(
    by: layout.Prices, line: Int64s, at_s: Int64s, place: Int64s, rate: Int64s, out: Int64s
) -> None:
    """Put in what lines have come to at instants; places and rates are overwritten."""
    np.floor_divide(at_s.view(np.uint64), np.uint64(CELL_S), out=place.view(np.uint64))
    place += line
    np.take(by.a, place, out=out, mode="clip")
    np.take(by.b, place, out=rate, mode="clip")
    rate *= at_s
    out += rate


def _share(
    waiting: Iterator[Block], by_block: Int64s, ended_micro: Int64s, cuts: layout.Cuts,
    granted: layout.Granted, charge_micro: Int64s, share_fen: Int64s,
) -> None:  # fmt: skip
    """Give rows what the entitlement of their segments grows by with each of them."""
    lift = granted.fee_micro - (np.cumsum(ended_micro) - ended_micro)
    before = np.cumsum(by_block) - by_block
    fee, work = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    for number, low, high, segment, firsts, length in waiting:
        share, limit = share_fen[low:high], granted.limit_fen[segment]
        if not limit.any():
            share[:] = 0
            continue
        upto, given = fee[: high - low], work[: high - low]
        np.copyto(upto, charge_micro[low:high])
        i, j = np.searchsorted(cuts.row, (low, high))
        upto[cuts.row[i:j] - low] -= cuts.taken_micro[i:j]
        np.cumsum(upto, out=upto)
        upto += np.repeat(lift[segment] + before[number], length)
        fen = upto.view(np.uint64)
        fen //= np.uint64(MICRO_PER_FEN)
        fen *= np.uint64(granted.ratio_bp)
        fen //= np.uint64(BP)
        np.subtract(upto, np.repeat(granted.base_fen[segment], length), out=given)
        np.minimum(given, np.repeat(limit, length), out=given)
        np.subtract(given[1:], given[:-1], out=share[1:])
        share[firsts] = given[firsts]
        first = segment[0]
        share[0] -= granted.given(first, before[number] + lift[first] - granted.fee_micro[first])
