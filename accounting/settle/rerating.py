"""What an archive would cost by another price list: sums of parts that add up to the whole.

A segment is read a part at a time, rated in one pass and added up by account, month and partition,
and by the intervals between the edges of vouchers. Sums of segments are merged in any order, by
whoever made them, on one machine or many; what the vouchers would bear follows from them. It is a
report: nothing is written.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from accounting import period
from accounting.policy import Policy, states_of
from accounting.rates.tariff import Tariff
from accounting.runs import archive, usage
from accounting.runs.segment import Segment
from accounting.settle import drawdown, grouping, onepass, stored
from accounting.settle.drawdown import Voucher
from accounting.settle.onepass import Prices
from accounting.vouchers import holds, registry

COLUMNS = [
    name
    for name in usage.STORED.names
    if name in (*usage.USAGE.names, "revision", "account", "status", "charge_micro")
    and name not in ("job", "slurm_account", "user", "uid", "voucher", "hold", "held_micro")
]
"""What is read of a run."""


class Place(NamedTuple):
    """What charges are added up by; account '' is none."""

    account: str
    month: str
    cluster: str
    partition: str


@dataclass
class Sums:
    """What runs cost, added up.

    Attributes:
        runs: How many runs, by place.
        was_micro: What they were charged, by place.
        micro: What they cost by this price list, by place.
        by_interval: What runs of an account cost in a month, by interval between the edges of its
            vouchers.
        unrated: How many have no price, by reason.
    """

    runs: Counter[Place] = field(default_factory=Counter)
    was_micro: Counter[Place] = field(default_factory=Counter)
    micro: Counter[Place] = field(default_factory=Counter)
    by_interval: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    unrated: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Sums") -> None:
        """Add the sums of other runs."""
        self.runs.update(other.runs)
        self.was_micro.update(other.was_micro)
        self.micro.update(other.micro)
        self.by_interval.update(other.by_interval)
        self.unrated.update(other.unrated)


def prices_of(conn: Connection, tariff: Tariff, policy: Policy) -> Prices:
    """Return what the book says that rating needs: states, discounts' units, and vouchers with
    what was issued on each, as they stood before anything was drawn."""
    vouchers = {
        contract["account"]: drawdown.in_order(
            Voucher(row.id, row.from_s, row.until_s, row.amount_fen)
            for row in holds.vouchers(conn, contract["account"])
        )
        for contract in registry.contracts(conn)
    }
    units = registry.credit_codes(conn) if tariff.discounts else {}
    return Prices(tariff, states_of(policy), vouchers, units, policy.deduct_ratio_bp)


def revised(conn: Connection, root: Path) -> pa.Table:
    """Return the keys of all rows that take the place of others."""
    names = [*usage.Keys._fields, "revision"]
    again = [s for s in stored.segments(conn) if archive.has_revisions(root, s)]
    rows = archive.read(root, again, names)
    return rows.filter(pc.greater(rows.column("revision"), 0))


def of_segment(
    root: Path, segment: Segment, newer: pa.Table, prices: Prices, timezone: str
) -> Sums:
    """Rate the runs of a segment, each with its latest revision, and add them up.

    Args:
        root: Root of the archive.
        segment: One file of it.
        newer: Keys of rows that take the place of others, anywhere (`revised`).
        prices: What runs are rated by.
        timezone: Where months begin.
    """
    sums = Sums()
    for rows in archive.batches(root, segment, COLUMNS):
        live = rows.filter(pa.array(~grouping.outdated(rows, newer)))
        if live.num_rows:
            sums.add(_of_rows(live, prices, timezone))
    return sums


def _of_rows(rows: pa.Table, prices: Prices, timezone: str) -> Sums:
    """Rate rows in one pass, and add up what comes out beside what they were charged."""
    sums = Sums()
    months = _months(rows, timezone)
    edges_s = [period.bounds(month, timezone)[0] for month in months]
    edges_s.append(period.bounds(months[-1], timezone)[1])
    arranged = onepass.arrange(rows, rows.column("account").cast(pa.string()), prices)
    own = [prices.vouchers.get(name or "", []) for name in arranged.accounts]
    found = onepass.draw_down(
        arranged.rows, arranged.tables, own, np.array(edges_s, np.int64), prices.ratio_bp,
        arranged.apart,
    )  # fmt: skip
    names = [name or "" for name in arranged.accounts]
    for a, m, p in zip(
        *(each.tolist() for each in found.by_partition_micro.nonzero()), strict=True
    ):
        place = Place(names[a], months[m], *arranged.partitions[p])
        sums.micro[place] = int(found.by_partition_micro[a, m, p])
    interval = 0
    for name, vouchers in zip(names, own, strict=True):
        for s in range(len(drawdown.edges(vouchers)) + 1):
            for m in range(len(months)):
                micro = int(found.by_interval_micro[m, interval])
                if micro:
                    sums.by_interval[name, months[m], s] = micro
            interval += 1
    sums.unrated = arranged.unrated
    _add_what_was(sums, rows, timezone)
    return sums


def _months(rows: pa.Table, timezone: str) -> list[str]:
    """Return the months from the first end to the last."""
    ends = pc.min_max(rows.column("end_s")).as_py()
    last = period.month_of(ends["max"], timezone)
    months = [period.month_of(ends["min"], timezone)]
    while months[-1] != last:
        months.append(period.following(months[-1]))
    return months


def _add_what_was(sums: Sums, rows: pa.Table, timezone: str) -> None:
    """Add up how many runs there are, and what they were charged."""
    names = [name for name in Place._fields if name != "month"]
    table = pa.table(
        [rows.column(name).cast(pa.string()) for name in names]
        + [pa.chunked_array([grouping.months_of(rows, timezone)]), rows.column("charge_micro")],
        names=[*names, "month", "charge_micro"],
    )
    by_place = table.group_by(list(Place._fields), use_threads=False)
    for row in by_place.aggregate([([], "count_all"), ("charge_micro", "sum")]).to_pylist():
        place = Place(*(row[name] or "" for name in Place._fields))
        sums.runs[place] += row["count_all"]
        sums.was_micro[place] += row["charge_micro_sum"]


def drawn_fen(sums: Sums, prices: Prices) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """Yield for each account and month what its vouchers would bear, by voucher."""
    months = sorted({place.month for place in sums.micro})
    for account, vouchers in sorted(prices.vouchers.items()):
        left_fen = {voucher.id: voucher.left_fen for voucher in vouchers}
        count = len(drawdown.edges(vouchers)) + 1
        for month in months:
            micro = [sums.by_interval[account, month, s] for s in range(count)]
            drawn, _ = drawdown.draw(vouchers, left_fen, micro, prices.ratio_bp)
            total: Counter[str] = Counter()
            for each in drawn:
                total.update(each)
            yield account, month, total
