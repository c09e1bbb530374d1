"""The draw-down of a year as others would write it: what our figures are compared with.

Each peer has `NAME`, `VERSION`, `prepare(case) -> state`, which is not timed, and
`run(state) -> Totals`, which is. All of them give what `onepass.draw_down` gives, to the last
unit. `prepare` may put rows into the tool's own form, and prices and vouchers into small tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accounting.rates.kernels import Rows, Tables
from accounting.settle.drawdown import Voucher
from accounting.settle.ordering import order
from bench.workload import RATIO_BP, Workload

Int64s = npt.NDArray[np.int64]

PEERS = ("numpy_chunked", "polars_", "duckdb_", "pandas_")
"""Modules of this folder, one a peer."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is drawn down.

    Attributes:
        account: uint16[n], number of the voucher account, in order.
        rows: Runs by account and end; all end within the months.
        tables: What they cost, built for these runs.
        vouchers: Of each account, in the order in which they are drawn.
        months_s: int64[m + 1], where months begin, and the end of the last.
        ratio_bp: Share that vouchers bear.
    """

    account: npt.NDArray[np.uint16]
    rows: Rows
    tables: Tables
    vouchers: Sequence[Sequence[Voucher]]
    months_s: Int64s
    ratio_bp: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What runs cost and who bears it.

    Attributes:
        charge_micro: int64[n], what each run costs.
        share_fen: int64[n], what vouchers bear of it.
        by_partition_micro: int64[a, m, p], sums of charges.
        drawn_fen: int64[m, v], what is drawn from each voucher, account after account.
    """

    charge_micro: Int64s
    share_fen: Int64s
    by_partition_micro: Int64s
    drawn_fen: Int64s


def arranged(work: Workload) -> Case:
    """Lay a year of runs out by account and end."""
    places = order(work.account, work.end_s)
    return Case(
        work.account[places], work.in_order(places), work.tables(), work.vouchers, work.months_s,
        RATIO_BP,
    )  # fmt: skip
