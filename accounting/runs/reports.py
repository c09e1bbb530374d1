"""Reports about machines: how much ran when.

Usage is split by time at the exact boundaries of periods, whatever month it is charged in.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from accounting import money, period
from accounting.runs import usage
from accounting.runs.usage import Int64s

TOTAL = "total"
COLUMNS = ("billed_from_s", "end_s", "elapsed_s", "nodes", "cpus", "cards")
"""What is needed of a run, besides its key."""
HOUR_S = 3600
HOUR_PARTS = 10_000
"""Hours are printed with four decimals."""


@dataclass
class Hours:
    """What ran in a period, seconds, and how many runs ran in it, started in it and ended in it."""

    wall_s: int = 0
    node_s: int = 0
    cpu_s: int = 0
    card_s: int = 0
    runs: int = 0
    started: int = 0
    ended: int = 0

    def row(self) -> dict[str, str | int]:
        """Return it as it is reported: hours with four decimals, rounded half up."""
        return {
            "wall_hours": hours(self.wall_s),
            "node_hours": hours(self.node_s),
            "cpu_hours": hours(self.cpu_s),
            "card_hours": hours(self.card_s),
            "runs": self.runs,
            "started": self.started,
            "ended": self.ended,
        }


def usage_by(table: pa.Table, by: str, timezone: str) -> dict[str, Hours]:
    """Add up usage by day, week, month, quarter or year, or in total.

    A run's seconds lie between billed_from_s and end_s. One that stood suspended ran for fewer
    seconds than that, and Slurm does not record which: by an instant it has had its share of them
    by wall time, rounded down, so that the days of a month add up to the month.
    Runs that never started are not counted. (`settle/hours.py` does it for a whole archive.)

    Args:
        table: Keys and COLUMNS, one row for each run (`archive.current`).
        by: A kind of `period.KINDS`, or `total`.
        timezone: Zone of the periods.

    Returns:
        Each period from the first to the last, also where nothing ran: a run is counted in each
        period that it touches.

    Example:
        12 CPUs from 23:30 to 00:15 are 6.0000 CPU hours on the first day, 3.0000 on the next.
    """
    ran = table.filter(pc.is_valid(table.column("billed_from_s")))
    if not ran.num_rows:
        return {}
    begin_s = usage.numbers(ran.column("billed_from_s"))
    end_s = usage.numbers(ran.column("end_s"))
    names, edges = periods(int(begin_s.min()), int(end_s.max()), by, timezone)
    row, place, seconds = split(begin_s, end_s, usage.billable_s(ran), edges)
    had = (usage.numbers(ran.column(name))[row] for name in ("nodes", "cpus", "cards"))
    summed = [sums(seconds, each, place, len(names)) for each in (np.ones_like(row), *had)]
    counted = (place, _place(begin_s, edges), _place(end_s, edges))
    counts = (np.bincount(each, minlength=len(names)).tolist() for each in counted)
    figures = zip(*summed, *counts, strict=True)
    return {name: Hours(*own) for name, own in zip(names, figures, strict=True)}


def periods(first_s: int, last_s: int, by: str, timezone: str) -> tuple[list[str], Int64s]:
    """Name the periods from one instant to another, and give the edges between them."""
    if by == TOTAL:
        return [TOTAL], np.array([first_s, last_s + 1], np.int64)
    names = [period.name_of(period.day_of(first_s, timezone), by)]
    edges = list(period.bounds(names[0], timezone))
    while edges[-1] <= last_s:
        names.append(period.following(names[-1]))
        edges.append(period.bounds(names[-1], timezone)[1])
    return names, np.array(edges, np.int64)


def _place(at_s: Int64s, edges: Int64s) -> Int64s:
    """Return the number of the period that each instant falls into."""
    return np.searchsorted(edges, at_s, side="right").astype(np.int64) - 1


def split(
    begin_s: Int64s, end_s: Int64s, ran_s: Int64s, edges: Int64s
) -> tuple[Int64s, Int64s, Int64s]:
    """Cut runs at the edges of periods.

    Returns:
        For each piece the number of its run, of its period, and the seconds that ran in it.
    """
    first = _place(begin_s, edges)
    last = np.maximum(first, _place(end_s - 1, edges))
    pieces = last - first + 1
    row = np.repeat(np.arange(len(begin_s)), pieces)
    head = np.cumsum(pieces) - pieces
    place = first[row] + np.arange(len(row)) - head[row]
    seconds = np.minimum(end_s[row], edges[place + 1]) - np.maximum(begin_s[row], edges[place])
    suspended = ran_s != end_s - begin_s
    whole = suspended & (pieces == 1)
    seconds[head[whole]] = ran_s[whole]
    for i in np.flatnonzero(suspended & (pieces > 1)).tolist():
        cut = slice(int(head[i]), int(head[i] + pieces[i]))
        by_then = list(accumulate(seconds[cut].tolist()))
        had = [int(ran_s[i]) * wall_s // by_then[-1] for wall_s in by_then]
        seconds[cut] = np.diff(had, prepend=0)
    return row, place, seconds


def parts(whole: Int64s, ran_s: Int64s, row: Int64s, seconds: Int64s) -> Int64s:
    """Split what each run was metered over its pieces by their seconds, so that it adds up: what a
    piece has is what the run had by its end, rounded down, less what it had by its begin."""
    parts = whole[row]
    cut = np.flatnonzero((np.bincount(row, minlength=len(whole)) > 1)[row])
    if len(cut):
        own, length = row[cut], seconds[cut]
        by_end = np.cumsum(length)
        first = np.searchsorted(own, own)  # the pieces of a run stand together, in order
        kind = np.int64 if int(ran_s[own].max()) < 2**31 else object
        end_s = (by_end - (by_end - length)[first]).astype(kind)
        of_s = np.maximum(ran_s[own], 1)
        per_s, rest = np.divmod(parts[cut], of_s)
        had, before = (per_s * s + rest * s // of_s for s in (end_s, end_s - length))
        last = np.append(own[1:] != own[:-1], True)
        had[last] = parts[cut][last]
        parts[cut] = (had - before).astype(np.int64)
    return parts


def sums(seconds: Int64s, count: Int64s, place: Int64s, places: int) -> list[int]:
    """Add up seconds times count by period; exact, also where int64 would overflow."""
    most = int(seconds.max(initial=0)) * int(count.max(initial=0)) * len(seconds)
    kind = np.int64 if most < 2**63 else object
    totals = np.zeros(places, kind)
    np.add.at(totals, place, seconds.astype(kind) * count.astype(kind))
    return [int(total) for total in totals]


def hours(total_s: int) -> str:
    """Print seconds as hours with four decimals: 5000 is 1.3889."""
    whole, part = divmod(money.half_up(total_s * HOUR_PARTS, HOUR_S), HOUR_PARTS)
    return f"{whole}.{part:04d}"
