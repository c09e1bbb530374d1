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
from accounting.runs import archive, places, usage
from accounting.runs.segment import Segment
from accounting.settle import drawdown, grouping, onepass, owners, stored
from accounting.settle.drawdown import Voucher
from accounting.settle.onepass import Prices
from accounting.vouchers import holds, registry

COLUMNS = [
    name
    for name in usage.STORED.names
    if name in (*usage.USAGE.names, "revision", "account", "charge_micro")
    and name not in ("job", "slurm_account", "user", "uid", "hold", "held_micro")
]
"""What is read of a run; its hold only where one matters."""


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
        unrated: How many of them have no price by this price list.
        was_micro: What they were charged, by place.
        micro: What those that have a price cost by this price list.
        by_interval: What runs of an account cost in a month, by interval between the edges of its
            vouchers.
        reasons: How many have no price, by reason.
    """

    runs: Counter[Place] = field(default_factory=Counter)
    unrated: Counter[Place] = field(default_factory=Counter)
    was_micro: Counter[Place] = field(default_factory=Counter)
    micro: Counter[Place] = field(default_factory=Counter)
    by_interval: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Sums") -> None:
        """Add the sums of other runs."""
        for name, sums in vars(self).items():
            sums.update(getattr(other, name))

    @property
    def places(self) -> list[Place]:
        """All places, in order."""
        return sorted({*self.runs, *(+self.was_micro)})


@dataclass(frozen=True, slots=True)
class Owners:
    """What the book says of whose runs are.

    Attributes:
        providers: Provider of each voucher account.
        of_hold: Account of each hold of a run that had no price.
    """

    providers: Mapping[str, str]
    of_hold: Mapping[str, str]


def prices_of(conn: Connection, tariff: Tariff, policy: Policy) -> Prices:
    """Return what the book says that rating needs: states, discounts' units, and vouchers with
    what was issued on each, as they stood before anything was drawn."""
    vouchers = {
        contract["account"]: drawdown.in_order(
            Voucher(row.id, row.from_s, row.until_s, row.amount_fen, policy.deduct_bp(row.category))
            for row in holds.vouchers(conn, contract["account"])
        )
        for contract in registry.contracts(conn)
    }
    units = registry.credit_codes(conn) if tariff.discounts else {}
    return Prices(tariff, states_of(policy), vouchers, units, policy.deduct_ratio_bp)


def owners_of(conn: Connection, root: Path) -> Owners:
    """Return whose runs are; one that had no price when it came in has no account yet."""
    return Owners(owners.providers(conn), owners.of_holds(conn, stored.unrated(conn, root)))


def revised(conn: Connection, root: Path) -> pa.Table:
    """Return the keys of all rows that take the place of others."""
    names = [*usage.Keys._fields, "revision"]
    again = [file for file in places.files(conn) if archive.has_revisions(root, file)]
    rows = archive.read(root, again, names)
    return rows.filter(pc.greater(rows.column("revision"), 0))


def of_segment(
    root: Path, segment: Segment, newer: pa.Table, prices: Prices, whose: Owners, timezone: str
) -> Sums:
    """Rate the runs of a segment, each with its latest revision, and add them up.

    Args:
        root: Root of the archive.
        segment: One file of it.
        newer: Keys of rows that take the place of others, anywhere (`revised`).
        prices: What runs are rated by.
        whose: What accounts they are charged to.
        timezone: Where months begin.
    """
    sums = Sums()
    columns = [*COLUMNS, "hold"] if whose.of_hold else COLUMNS
    for rows in archive.batches(root, segment, columns):
        live = rows.filter(pa.array(~grouping.outdated(rows, newer)))
        if live.num_rows:
            sums.add(_of_rows(live, prices, whose, timezone))
    return sums


def _of_rows(rows: pa.Table, prices: Prices, whose: Owners, timezone: str) -> Sums:
    """Rate rows in one pass, and add up what comes out beside what they were charged."""
    months = _months(rows, timezone)
    edges_s = [period.bounds(month, timezone)[0] for month in months]
    edges_s.append(period.bounds(months[-1], timezone)[1])
    named = pc.coalesce(_text(rows.column("account")), _text(owners.named(rows, whose.of_hold)))
    accounts = owners.not_elsewhere(named, rows, prices.tariff, whose.providers)
    arranged = onepass.arrange(rows, accounts, prices)
    own = [prices.vouchers.get(name or "", []) for name in arranged.accounts]
    found = onepass.draw_down(
        arranged.rows, arranged.tables, own, np.array(edges_s, np.int64), prices.ratio_bp,
        arranged.apart,
    )  # fmt: skip
    sums = Sums(reasons=Counter(arranged.unrated.values()))
    names = [name or "" for name in arranged.accounts]
    for a, m, p in np.argwhere(found.by_partition_micro).tolist():
        place = Place(names[a], months[m], *arranged.partitions[p])
        sums.micro[place] = int(found.by_partition_micro[a, m, p])
    interval = 0
    for name, vouchers in zip(names, own, strict=True):
        for s in range(len(drawdown.edges(vouchers)) + 1):
            for m in np.flatnonzero(found.by_interval_micro[:, interval]).tolist():
                key = name, months[m], s
                sums.by_interval[key] = int(found.by_interval_micro[m, interval])
            interval += 1
    unrated = np.array(list(arranged.unrated), np.int64)
    accounts = _text(accounts)
    sums.runs = _by_place(rows, accounts, timezone, "count")
    sums.unrated = _by_place(rows.take(unrated), accounts.take(unrated), timezone, "count")
    sums.was_micro = _by_place(rows, _text(rows.column("account")), timezone, "sum")
    return sums


def _months(rows: pa.Table, timezone: str) -> list[str]:
    """Return the months from the first end to the last."""
    ends = pc.min_max(rows.column("end_s")).as_py()
    last = period.month_of(ends["max"], timezone)
    months = [period.month_of(ends["min"], timezone)]
    while months[-1] != last:
        months.append(period.following(months[-1]))
    return months


def _by_place(
    rows: pa.Table, accounts: pa.ChunkedArray, timezone: str, what: str
) -> Counter[Place]:
    """Count rows by place, or sum what they were charged."""
    table = pa.table(
        [accounts, pa.chunked_array([grouping.months_of(rows, timezone)])]
        + [_text(rows.column(name)) for name in ("cluster", "partition")]
        + [rows.column("charge_micro")],
        names=[*Place._fields, "charge_micro"],
    )
    by_place = table.group_by(list(Place._fields), use_threads=False)
    found: Counter[Place] = Counter()
    for row in by_place.aggregate([("charge_micro", what)]).to_pylist():
        found[Place(*(row[name] or "" for name in Place._fields))] = row[f"charge_micro_{what}"]
    return found


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def drawn_fen(sums: Sums, prices: Prices) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """Yield for each account and month what its vouchers would bear, by voucher."""
    months = sorted({place.month for place in sums.micro})
    for account, vouchers in sorted(prices.vouchers.items()):
        left_fen = {voucher.id: voucher.left_fen for voucher in vouchers}
        count = len(drawdown.edges(vouchers)) + 1
        for month in months:
            micro = [sums.by_interval[account, month, s] for s in range(count)]
            drawn = drawdown.drawn_fen(vouchers, left_fen, micro)
            for voucher, fen in drawn.items():
                left_fen[voucher] -= fen
            yield account, month, drawn
