"""Rate many runs at once and draw vouchers down: what an archive costs by one price list.

`arrange` lays runs out by account and end; `draw_down` gives each its charge and its vouchers'
share, and sums, in one pass. What cannot be priced by look-up in int64 (suspended runs, rounded
seconds, figures beyond its bounds) is priced beforehand, as `rating` does it, and put in. Sums of
parts of an archive add up to the sums of the whole. Nothing is written.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from accounting.errors import UsageInvalid
from accounting.rates import kernels, rating, tables
from accounting.rates.basis import FIRST_S, LAST_S, basis
from accounting.rates.tariff import Tariff
from accounting.runs import usage
from accounting.settle import drawdown
from accounting.settle.drawdown import Voucher
from accounting.settle.ordering import order

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CHUNKS = 32
"""Parts that accounts are split into for each thread: large accounts and small ones."""

NONE_APART = kernels.Apart(np.zeros(0, np.int64), np.zeros((0, 1), np.int64))

_WALL_MAX_S = 2**31 - 1
_SUM_MAX_MICRO = 2**62


@dataclass(frozen=True, slots=True)
class Prices:
    """What runs are rated by.

    Attributes:
        tariff: The price list.
        states: `charged` or `free` for each state of Slurm.
        vouchers: Of each voucher account, in the order in which they are drawn.
        units: Credit code of the unit of each voucher account, for its discounts.
        ratio_bp: Share that vouchers bear.
    """

    tariff: Tariff
    states: Mapping[str, str]
    vouchers: Mapping[str, Sequence[Voucher]]
    units: Mapping[str, str]
    ratio_bp: int


@dataclass(frozen=True, slots=True)
class Arranged:
    """Charged runs by account and end, and what the kernel needs to price them.

    Attributes:
        rows: The runs.
        places: Which row of the table each of them was.
        tables: What they cost.
        apart: Those that were priced beforehand.
        accounts: Names of the voucher accounts; None: runs of none.
        partitions: Clusters and partitions, in the order of the sums.
        unrated: Why runs have no price, by the row of the table.
    """

    rows: kernels.Rows
    places: npt.NDArray[np.integer]
    tables: kernels.Tables
    apart: kernels.Apart
    accounts: Sequence[str | None]
    partitions: Sequence[tuple[str, str]]
    unrated: Mapping[int, str]


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


def arrange(table: pa.Table, accounts: pa.ChunkedArray, prices: Prices) -> Arranged:
    """Lay runs out by account and end, without those that are unrated or free by their states.

    Args:
        table: Columns of USAGE, in key order.
        accounts: Voucher account of each row, null for none.
        prices: What they are rated by.

    Raises:
        UsageInvalid: The runs lie further apart than tables reach, or cost more than int64 holds.
    """
    item, kinds = rating.kinds_of(table, prices.tariff, accounts, prices.units)
    begin_s, end_s, plain = _spans(table, prices.states)
    beforehand = _Beforehand(table, accounts, prices)
    beforehand.rate(~plain)
    begin_s = np.where(plain, begin_s, end_s)
    kept = plain | (beforehand.slot >= 0)
    names = list(dict.fromkeys((kind.cluster, kind.partition) for kind in kinds))
    number = {name: n for n, name in enumerate(names)}
    built, fit = tables.build(
        bases=[basis(prices.tariff, kind) for kind in kinds],
        partition=[number[kind.cluster, kind.partition] for kind in kinds],
        span=(int(begin_s[kept].min(initial=LAST_S)), int(end_s[kept].max(initial=FIRST_S))),
        longest_s=int((end_s - begin_s)[kept].max(initial=0)),
        total_s=int((end_s - begin_s)[kept].sum()),
    )
    unfit = plain & ~fit[item]
    beforehand.rate(unfit)
    begin_s = np.where(unfit, end_s, begin_s)
    code, words = usage.codes(accounts)
    keep = np.flatnonzero((plain & ~unfit) | (beforehand.slot >= 0))
    places = keep[order(code[keep], end_s[keep])]
    rows = kernels.Rows(
        firsts=np.searchsorted(code[places], np.arange(len(words) + 1)).astype(np.int64),
        end_s=end_s[places],
        wall_s=(end_s - begin_s)[places].astype(np.int32),
        item=item[places].astype(np.uint32),
    )
    return Arranged(rows, places, built, beforehand.apart(places), words, names, beforehand.unrated)


def _spans(table: pa.Table, states: Mapping[str, str]) -> tuple[Int64s, Int64s, Bools]:
    """Return when runs begin to be billed and when they end, and which are plain: charged for all
    of the seconds between. Those of which that is not known are not plain."""
    names = ("start_s", "billed_from_s", "end_s", "elapsed_s")
    start, begin, end, elapsed = (usage.numbers(table.column(name), -1) for name in names)
    plain = (start >= FIRST_S) & (start <= begin) & (begin < end) & (end <= LAST_S)
    begin, end = np.where(plain, begin, FIRST_S), np.where(plain, end, FIRST_S)
    plain &= (elapsed == end - np.where(plain, start, 0)) & (end - begin <= _WALL_MAX_S)
    charged = [state for state, how in states.items() if how == rating.CHARGED]
    of_state = pc.is_in(table.column("state").cast(pa.string()), pa.array(charged, pa.string()))
    return begin, end, plain & of_state.to_numpy()


class _Beforehand:
    """Runs that are priced as `rating` does it, before the kernel takes them."""

    def __init__(self, table: pa.Table, accounts: pa.ChunkedArray, prices: Prices) -> None:
        self.table, self.accounts, self.prices = table, accounts, prices
        own = {name: prices.vouchers.get(name, ()) for name in accounts.unique().to_pylist()}
        self.edges = {name: drawdown.edges(vouchers) for name, vouchers in own.items() if vouchers}
        self.upto_micro: list[Int64s] = []
        self.slot = np.full(table.num_rows, -1)
        self.unrated: dict[int, str] = {}

    def rate(self, where: Bools) -> None:
        """Price some runs; keep what is charged, count what is unrated."""
        places = np.flatnonzero(where)
        if not len(places):
            return
        rows, accounts = self.table.take(places), self.accounts.take(places)
        width = max(map(len, self.edges.values()), default=0)
        until = [
            {name: (FIRST_S, own[min(k, len(own) - 1)]) for name, own in self.edges.items()}
            for k in range(width)
        ]
        priced = [self._rated(rows, accounts, windows) for windows in until or [{}]]
        status, reason = (priced[0].column(name).to_pylist() for name in ("status", "reason"))
        self.unrated |= {
            place: why
            for place, how, why in zip(places.tolist(), status, reason, strict=True)
            if how == rating.UNRATED
        }
        charged = np.array(status) == rating.CHARGED
        columns = [usage.numbers(each.column("eligible_micro")) for each in priced][:width]
        columns.append(usage.numbers(priced[0].column("charge_micro")))
        self.slot[places[charged]] = len(self) + np.arange(charged.sum())
        self.upto_micro.append(np.column_stack(columns)[charged])

    def __len__(self) -> int:
        return sum(map(len, self.upto_micro))

    def _rated(
        self, rows: pa.Table, accounts: pa.ChunkedArray, windows: Mapping[str, rating.Window]
    ) -> pa.Table:
        return rating.rate(
            rows, self.prices.tariff, self.prices.states, windows, accounts, self.prices.units
        )

    def apart(self, places: npt.NDArray[np.integer]) -> kernels.Apart:
        """Return which of the rows at some places these are, and what they cost.

        Raises:
            UsageInvalid: Together they cost more than int64 holds.
        """
        if not self.upto_micro:
            return NONE_APART
        row = np.flatnonzero(self.slot[places] >= 0)
        upto_micro = np.concatenate(self.upto_micro)[self.slot[places[row]]]
        total_micro = sum(upto_micro[:, -1].tolist())
        if total_micro >= _SUM_MAX_MICRO:
            raise UsageInvalid(
                f"runs: {len(row)} of them cost {total_micro} micro-yuan, {_SUM_MAX_MICRO} can be "
                "added up; correct the price list"
            )
        return kernels.Apart(row, upto_micro)


def draw_down(
    rows: kernels.Rows,
    tables: kernels.Tables,
    accounts: Sequence[Sequence[Voucher]],
    months_s: Int64s,
    ratio_bp: int,
    apart: kernels.Apart = NONE_APART,
    threads: int = 2,
    out: tuple[Int64s, Int64s] | None = None,
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
        out: Two int64[n] for charges and shares. None: new ones.
    """
    charge_micro, share_fen = out or (np.empty_like(rows.end_s), np.empty_like(rows.end_s))
    vouchers = _arrays(accounts, ratio_bp)
    months, partitions = len(months_s) - 1, int(tables.partition.max(initial=0)) + 1
    intervals = len(vouchers.edge_s) + len(accounts)
    sums = kernels.Sums(
        charge_micro=charge_micro,
        share_fen=share_fen,
        by_partition=np.zeros((len(accounts), months, partitions), np.int64),
        by_interval=np.zeros((months, intervals), np.int64),
        drawn_fen=np.zeros((months, len(vouchers.left_fen)), np.int64),
    )
    with ThreadPoolExecutor(threads) as pool:
        parts = [
            pool.submit(kernels.draw_down, *part, rows, tables, apart, vouchers, months_s, sums)
            for part in _parts(rows.firsts, CHUNKS * threads)
        ]
        for part in parts:
            part.result()
    return Drawn(*sums, vouchers.left_fen)


def _parts(firsts: Int64s, number: int) -> list[tuple[int, int]]:
    """Split accounts into about so many parts with as many rows; those with most rows come first,
    so that nobody waits for the last one."""
    even = np.linspace(0, int(firsts[-1]), number + 1)[1:-1]
    edges = [0, *np.searchsorted(firsts, even).tolist(), len(firsts) - 1]
    parts = [part for part in pairwise(edges) if part[0] < part[1]]
    return sorted(parts, key=lambda part: int(firsts[part[0]] - firsts[part[1]]))


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
