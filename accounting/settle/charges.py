"""Reports about money: what runs were charged, by the period in which they ended.

A run is charged once, in the month of its end: so these sums are those of the statements, to the
micro-yuan. (How much ran when, split by time, is `runs/reports.py`.) Only columns that are asked
for are read, and rows are added up a part at a time by Arrow, not one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.errors import InvariantBroken
from accounting.rates import rating
from accounting.runs import usage
from accounting.settle import stored, tallying

TOTAL = "total"
OF_RUNS = ("account", "provider", "cluster", "partition", "chip", "qos", "user", "tariff")
GROUPS = (*OF_RUNS, "unit")
"""What charges can be added up by; a unit is that of the account."""
SUMS = ("gflops_s", "charge_micro")
Key = tuple[str, str]
"""A period, and what is added up by; nothing in place of what a run has not."""


@dataclass
class Sum:
    """Charged runs, their metered GFLOPS-seconds and their charge in micro-yuan."""

    runs: int = 0
    gflops_s: int = 0
    charge_micro: int = 0

    def add(self, sign: int, runs: int, gflops_s: int, charge_micro: int) -> None:
        """Add what rows come to, or take it off."""
        self.runs += sign * runs
        self.gflops_s += sign * gflops_s
        self.charge_micro += sign * charge_micro


@dataclass(frozen=True)
class Asked:
    """What a report is asked for: kind of period, what to add up by (None: nothing), zone."""

    by: str
    group: str | None
    timezone: str

    @property
    def column(self) -> str | None:
        """The column of the archive that it is added up by."""
        return "account" if self.group == "unit" else self.group

    @property
    def columns(self) -> list[str]:
        """What is read of each run."""
        ends = ["end_s"] if self.by in ("day", "week") else []
        of = [self.column] if self.column not in (None, "account") else []
        return ["account", "status", *SUMS, *ends, *(name for name in of if name)]


def charges(conn: Connection, root: Path, asked: Asked) -> list[tuple[Key, Sum]]:
    """Add up the charges of all voucher accounts.

    Runs count with their latest revision, in the period in which that one ended; runs without a
    voucher account, free and unrated ones are not in it.

    Args:
        conn: The book.
        root: Root of the archive.
        asked: What for.

    Returns:
        Sums by (period, group) in that order; those of which nothing is left are not there.

    Raises:
        InvariantBroken: A segment is missing, or they do not come to what the book has.
    """
    sums: dict[Key, Sum] = {}
    for sign, found in tallying.tally(
        conn, root, stored.segments(conn), asked.columns, asked.timezone, partial(_counted, asked)
    ):
        for key, own in found.items():
            sums.setdefault(key, Sum()).add(sign, own.runs, own.gflops_s, own.charge_micro)
    if asked.group == "unit":
        sums = _by_unit(conn, sums)
    insist_on_book(conn, sums)
    return [(key, sums[key]) for key in sorted(sums) if sums[key] != Sum()]


def _counted(asked: Asked, rows: pa.Table, month: str) -> dict[Key, Sum]:
    """Add the charged rows of a part up by group, and by day if that is asked."""
    charged = usage.marks(rows.column("status"), rating.CHARGED)
    charged &= pc.is_valid(rows.column("account")).to_numpy()
    if not charged.any():
        return {}
    rows = rows.filter(pa.array(charged))
    columns = {} if asked.column is None else {"group": rows.column(asked.column)}
    if asked.by in ("day", "week"):  # a week can lie in two months
        columns["day"] = pa.array(_days(usage.numbers(rows.column("end_s")), month, asked.timezone))
    keys = list(columns)
    halves = {name: _halves(rows.column(name)) for name in SUMS}
    columns |= {f"{name}{i}": half for name, some in halves.items() for i, half in enumerate(some)}
    wanted = [([], "count_all"), *((name, "sum") for name in columns if name not in keys)]
    table = pa.table(columns).unify_dictionaries().combine_chunks()
    found = table.group_by(keys).aggregate(wanted)
    listed = {name: usage.values(found.column(name)) for name in found.column_names}
    nothing = [None] * found.num_rows
    days, groups = (listed.get(name, nothing) for name in ("day", "group"))
    totals = (_whole(listed, name, len(halves[name])) for name in SUMS)
    sums: dict[Key, Sum] = {}
    for day, group, *counted in zip(days, groups, listed["count_all"], *totals, strict=True):
        key = _period(month, day, asked.by), group or ""
        sums.setdefault(key, Sum()).add(1, *counted)
    return sums


def _halves(column: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    """Return a column, or its lower and upper halves where the sum may need more than 64 bits."""
    values = usage.numbers(column)
    most = max(int(values.max(initial=0)), -int(values.min(initial=0)))
    if most * len(values) < 2**63:
        return [column]
    return [pc.bit_wise_and(column, 2**32 - 1), pc.shift_right(column, 32)]


def _whole(listed: Mapping[str, list[int]], name: str, halves: int) -> list[int]:
    """Return the sums of a column, put together from those of its halves."""
    parts = [listed[f"{name}{i}_sum"] for i in range(halves)]
    return [sum(part << 32 * i for i, part in enumerate(each)) for each in zip(*parts, strict=True)]


def _days(end_s: usage.Int64s, month: str, timezone: str) -> usage.Int64s:
    """Return on which day of its month each run ended, from 1."""
    day, edges = f"{month}-01", []
    while day.startswith(month):
        edges.append(period.bounds(day, timezone)[0])
        day = period.following(day)
    return np.searchsorted(np.array(edges), end_s, side="right").astype(np.int64)


def _period(month: str, day: int | None, by: str) -> str:
    if by == TOTAL:
        return TOTAL
    return period.name_of(period.first_day(month if day is None else f"{month}-{day:02d}"), by)


def _by_unit(conn: Connection, sums: dict[Key, Sum]) -> dict[Key, Sum]:
    """Add the sums of accounts up by the units that they belong to."""
    contract = schema.contract.c
    units = {row.account: row.unit for row in conn.execute(select(contract.account, contract.unit))}
    found: dict[Key, Sum] = {}
    for (name, account), own in sums.items():
        of = found.setdefault((name, units[account]), Sum())
        of.add(1, own.runs, own.gflops_s, own.charge_micro)
    return found


def insist_on_book(conn: Connection, sums: dict[Key, Sum]) -> None:
    """Refuse sums that are not what the book posted."""
    total = sum(own.charge_micro for own in sums.values())
    charged = func.coalesce(func.sum(schema.charge.c.charge_micro), 0)
    posted = int(conn.execute(select(charged)).scalar_one())
    if total != posted:
        raise InvariantBroken(
            f"charges: the archive's runs come to {total} micro-yuan, the book has {posted}; see "
            "svoucher audit"
        )
