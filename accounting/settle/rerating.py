"""Rate many runs at once and draw their vouchers down: what a whole archive costs by a price list.

The kernel takes runs by account and end and gives each its charge and its share, and sums. What it
cannot price in int64 by look-up (suspended runs, rounded seconds, figures beyond its bounds) is
priced beforehand, as `rating` does, and put in. Nothing is written.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from accounting.rates import kernels
from accounting.settle import drawdown
from accounting.settle.drawdown import Voucher

Int64s = npt.NDArray[np.int64]

CHUNKS = 16
"""Parts that accounts are split into for each thread: large accounts and small ones."""

NONE_APART = kernels.Apart(np.zeros(0, np.int64), np.zeros((0, 1), np.int64))


@dataclass(frozen=True, slots=True)
class Drawn:
    """What runs cost and who bears it; a accounts, m months, p partitions, v vouchers.

    Attributes:
        charge_micro: int64[n], what each run costs.
        share_fen: int64[n], what vouchers bear of it.
        by_partition_micro: int64[a, m, p], sums of charges.
        by_interval_micro: int64[m, i], sums of charges by interval between the edges of each
            account, account after account: those of the nth begin at its first edge plus n.
        drawn_fen: int64[m, v], what is drawn from each voucher.
        left_fen: int64[v], what is left of it.
    """

    charge_micro: Int64s
    share_fen: Int64s
    by_partition_micro: Int64s
    by_interval_micro: Int64s
    drawn_fen: Int64s
    left_fen: Int64s


def draw_down(
    rows: kernels.Rows,
    tables: kernels.Tables,
    accounts: Sequence[Sequence[Voucher]],
    months_s: Int64s,
    ratio_bp: int,
    apart: kernels.Apart = NONE_APART,
    threads: int = 2,
) -> Drawn:
    """Rate runs and draw their vouchers down, in one pass.

    Args:
        rows: Runs by account and end; all end within the months.
        tables: What they cost, built for these runs.
        accounts: For each account its vouchers, in the order in which they are drawn.
        months_s: int64[m + 1], where months begin, and the end of the last.
        ratio_bp: Share that vouchers bear.
        apart: Runs that were priced beforehand.
        threads: How many share the work, each with accounts of its own.
    """
    vouchers = _arrays(accounts, ratio_bp)
    months, partitions = len(months_s) - 1, int(tables.items[2 :: kernels.ITEM].max(initial=0)) + 1
    intervals = len(vouchers.edge_s) + len(accounts)
    sums = kernels.Sums(
        charge_micro=np.empty(len(rows.end_s), np.int64),
        share_fen=np.empty(len(rows.end_s), np.int64),
        by_partition=np.zeros((len(accounts), months, partitions), np.int64),
        by_interval=np.zeros((months, intervals), np.int64),
        drawn_fen=np.zeros((months, len(vouchers.left_fen)), np.int64),
    )
    even = np.linspace(0, len(rows.end_s), CHUNKS * threads + 1)
    cuts = np.searchsorted(rows.firsts, even[1:-1]).tolist()
    with ThreadPoolExecutor(threads) as pool:
        parts = [
            pool.submit(
                kernels.draw_down, first, last, rows, tables, apart, vouchers, months_s, sums
            )
            for first, last in pairwise([0, *cuts, len(accounts)])
        ]
        for part in parts:
            part.result()
    return Drawn(*sums, vouchers.left_fen)


def _arrays(accounts: Sequence[Sequence[Voucher]], ratio_bp: int) -> kernels.Vouchers:
    """Put the vouchers of accounts into arrays."""
    listed = [voucher for account in accounts for voucher in account]
    edges = [drawdown.edges(account) for account in accounts]

    def firsts(groups: Sequence[Sequence[object]]) -> Int64s:
        return np.cumsum([0, *(len(group) for group in groups)], dtype=np.int64)

    return kernels.Vouchers(
        ratio_bp=ratio_bp,
        firsts=firsts(accounts),
        from_s=np.array([each.from_s for each in listed], np.int64),
        until_s=np.array([each.until_s for each in listed], np.int64),
        left_fen=np.array([each.left_fen for each in listed], np.int64),
        edge_firsts=firsts(edges),
        edge_s=np.array([at_s for own in edges for at_s in own], np.int64),
    )
