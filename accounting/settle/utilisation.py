"""How much of the machines was used: allocated PFLOPS·hours over those that there were.

Both are split by time. What was allocated comes from the archive: runs that have ended, with what
they were metered. What there was comes from notes of nodes (`runs/capacity.py`), its speed from the
price list in force. It is set against all of it, and against what was in service: nodes that were
neither down nor drained, in maintenance or reserved. On those that drain and on reserved ones jobs
run all the same, so the second can be above 100 %.

Unknown is never zero. A period of which the nodes are not known for the whole time has no
capacity; the one in which the last note was made ends there. Where the chip of a card is not known
there are cards and no PFLOPS.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.errors import TariffMissing
from accounting.rates import pricelists
from accounting.rates.tariff import Tariff
from accounting.runs import capacity, nodes, picking, places, reports, usage
from accounting.runs.capacity import IN_ALL, NODE, Capacity
from accounting.runs.nodes import WHYS
from accounting.runs.segment import Segment
from accounting.runs.usage import Int64s
from accounting.settle import summing, tallying

MFLOPS_PER_GFLOPS = 1_000


@dataclass
class Allocated:
    """What runs had: card-seconds, GFLOPS-seconds, and card-seconds without known GFLOPS."""

    card_s: int = 0
    gflops_s: int = 0
    unmetered_card_s: int = 0
    pieces: int = field(default=0, compare=False)
    """How many runs it is of, each counted wherever it is cut."""

    def add(self, other: "Allocated") -> None:
        """Add what others had."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def times(self, factor: int) -> "Allocated":
        """Return so many times as much."""
        return Allocated(*(factor * value for value in vars(self).values()))


@dataclass(frozen=True)
class Available:
    """What there was, in all and out of service by reason.

    Attributes:
        node_s: Node-seconds.
        card_s: Card-seconds.
        gflops_s: GFLOPS-seconds; None where a chip is not known.
        out_card_s: Card-seconds out of service, by reason.
        in_service_gflops_s: GFLOPS-seconds in service; None as above.
    """

    node_s: int
    card_s: int
    gflops_s: int | None
    out_card_s: Mapping[str, int]
    in_service_gflops_s: int | None


@dataclass(frozen=True)
class Used:
    """One row of the report.

    Attributes:
        period: Which one.
        partition: Whose; None: all of the cluster's, each node once.
        until_s: Where the period ends for the report, if it is before its end.
        allocated: What runs had in it.
        available: What there was; None: that is not known.
    """

    period: str
    partition: str | None
    until_s: int | None
    allocated: Allocated
    available: Available | None

    @property
    def of_all_bp(self) -> int | None:
        """Share of all that there was, in basis points."""
        return self._share_bp(self.available.gflops_s if self.available else None)

    @property
    def in_service_bp(self) -> int | None:
        """Share of what was in service, in basis points."""
        return self._share_bp(self.available.in_service_gflops_s if self.available else None)

    def _share_bp(self, of: int | None) -> int | None:
        if not of or self.allocated.unmetered_card_s:
            return None
        return money.half_up(self.allocated.gflops_s * money.BP, of)


class Place(NamedTuple):
    """A period, or what of the one in which the last note was made comes after it."""

    name: str
    rest: bool = False


Counted = dict[tuple[Place, str], Allocated]
"""What runs had in each place, by partition."""


@dataclass(frozen=True)
class Asked:
    """What a report is asked for: kind of period, its zone, and when the last note was made."""

    by: str
    timezone: str
    noted_s: int | None

    def places(self, first_s: int, last_s: int) -> tuple[list[Place], Int64s]:
        """Name the places from one instant to another, and give the edges between them."""
        names, edges = reports.periods(first_s, last_s, self.by, self.timezone)
        if names == [reports.TOTAL] and self.noted_s is not None and self.noted_s <= first_s:
            return [Place(reports.TOTAL, rest=True)], edges
        found = [Place(name) for name in names]
        if self.noted_s is not None and edges[0] < self.noted_s < edges[-1]:
            i = int(np.searchsorted(edges, self.noted_s, side="left"))
            if edges[i] != self.noted_s:
                found.insert(i, Place(names[i - 1], rest=True))
                edges = np.insert(edges, i, self.noted_s)
        return found, edges


def utilisation(
    conn: Connection, root: Path, cluster: str, by: str, timezone: str, per_partition: bool
) -> list[Used]:
    """Report a cluster's utilisation by period, from the first run or note to the last one.

    Args:
        conn: The book.
        root: Root of the archive.
        cluster: Which one.
        by: A kind of `period.KINDS`, or `total`.
        timezone: Zone of the periods.
        per_partition: A row for each partition: a node in two of them is in both.

    Raises:
        InvariantBroken: A segment or a note is missing or cannot be read.
    """
    prices = pricelists.in_force(conn) or pricelists.nothing(timezone)
    notes = nodes.notes(root, cluster)
    known = capacity.stretches(notes)
    asked = Asked(by, timezone, known[-1].end_s if known else None)
    had, spans = allocated(root, places.files(conn, cluster=cluster), asked)
    spans += [(stretch.begin_s, stretch.end_s - 1) for stretch in known]
    if not spans:
        return []
    listed, edges = asked.places(min(a for a, _ in spans), max(b for _, b in spans))
    rows = []
    for i, there in enumerate(capacity.by_period(notes, edges.tolist())):
        if listed[i].rest:
            continue
        cut = listed[i]._replace(rest=True) in listed
        own = {p: each for (place, p), each in had.items() if place == listed[i]}
        until_s = int(edges[i + 1]) if cut else None
        whole = there.known_s == edges[i + 1] - edges[i]
        names: list[str | None] = [None]
        if per_partition:
            parts = there.seconds if whole else ()
            names = [*sorted({*own, *(p for part in parts for p in part[0])})]
        for name in names:
            used = _together(each for p, each in own.items() if name in (None, p))
            available = _available(there, prices, cluster, name) if whole else None
            rows.append(Used(listed[i].name, name, until_s, used, available))
    return rows


FIGURES = ("card_s", "gflops_s", "unmetered_card_s", "ran")
"""What `Allocated` has, in its order."""


def allocated(
    root: Path, files: Sequence[Segment], asked: Asked
) -> tuple[Counted, list[tuple[int, int]]]:
    """Return what runs had; and when the first of them began and the last one ended, to the second
    where that is asked for in total, else to the period."""
    days = summing.Asked(asked.by, asked.timezone, "partition")
    cells = summing.added_up(root, files, days, [*FIGURES, "ended"])
    had = {
        (Place(cell.period), cell.group): Allocated(*cell.figures[:-1])
        for cell in cells
        if cell.figures[-2]
    }
    if not had:
        return {}, []
    if asked.by == reports.TOTAL:
        span = _span(root, files)
    else:
        first, last = (
            period.bounds(cell.period, asked.timezone)[0] for cell in (cells[0], cells[-1])
        )
        span = first, last
    listed, edges = asked.places(*span)
    if listed[0].rest:
        return {(listed[0], partition): own for (_, partition), own in had.items()}, [span]
    for i, place in enumerate(listed):
        if place.rest:
            _cut(root, files, asked, int(edges[i + 1]), had)
    return {key: own for key, own in had.items() if own.pieces}, [span]


def _cut(root: Path, files: Sequence[Segment], asked: Asked, until_s: int, had: Counted) -> None:
    """Cut what ran in the period in which the last note was made, and after that, at it."""
    parts = tallying.footers(root, files)
    noted_s = asked.noted_s or 0
    near = [
        tallying.Part(part.file, groups)
        for part in parts
        if (groups := [group for group in part.groups if group.ends[1] >= noted_s])
    ]
    columns = [*reports.COLUMNS, "start_s", "partition", "gflops_s"]
    changed = tallying.again(root, parts)
    for late in tallying.tally(root, near, columns, lambda: _Late(asked, until_s), changed):
        for key, own in late.had.items():
            had.setdefault(key, Allocated()).add(own)


class _Late:
    """What changes when runs that ended after the last note are cut at it, for one thread."""

    def __init__(self, asked: Asked, until_s: int) -> None:
        self._asked, self._until_s = asked, until_s
        self.had: Counted = {}

    def count(self, rows: pa.RecordBatch, _month: str) -> None:
        """Take some runs off as they are uncut, and add them cut."""
        near = pc.and_(
            pc.greater_equal(rows.column("end_s"), self._asked.noted_s),
            pc.fill_null(pc.less(rows.column("billed_from_s"), self._until_s), False),
        )
        late = pa.Table.from_batches([rows.filter(near)])
        for key, own in counted(replace(self._asked, noted_s=None), late).items():
            self.had.setdefault(key, Allocated()).add(own.times(-1))
        for key, own in counted(self._asked, late).items():
            self.had.setdefault(key, Allocated()).add(own)


def _span(root: Path, files: Sequence[Segment]) -> tuple[int, int]:
    """Return when the first run began and the last one ended."""
    parts = tallying.footers(root, files)
    spans = tallying.tally(root, parts, ["billed_from_s", "end_s"], _Span)
    return min(each.begin_s for each in spans), max(each.end_s for each in spans)


class _Span:
    """When the first run began and the last one ended, of those of one thread."""

    def __init__(self) -> None:
        self.begin_s, self.end_s = picking.EVER[::-1]

    def count(self, rows: pa.RecordBatch, _month: str) -> None:
        """Look at some runs."""
        ran = rows.filter(pc.is_valid(rows.column("billed_from_s")))
        if ran.num_rows:
            self.begin_s = min(self.begin_s, pc.min(ran.column("billed_from_s")).as_py())
            self.end_s = max(self.end_s, pc.max(ran.column("end_s")).as_py())


def counted(asked: Asked, runs: pa.Table) -> Counted:
    """Add up what some runs had in each period and partition, plainly: the definition."""
    ran = runs.filter(pc.is_valid(runs.column("billed_from_s")))
    if not ran.num_rows:
        return {}
    begin_s, end_s = (usage.numbers(ran.column(name)) for name in ("billed_from_s", "end_s"))
    places_, edges = asked.places(int(begin_s.min()), int(end_s.max()))
    ran_s = usage.billable_s(ran)
    row, place, seconds = reports.split(begin_s, end_s, ran_s, edges)
    code, words = usage.split(ran.column("partition"))
    cards, gflops_s = (usage.numbers(ran.column(name)) for name in ("cards", "gflops_s"))
    where = place * len(words) + code[row]
    size = len(places_) * len(words)
    pieces = np.bincount(where, minlength=size)
    figures = (
        reports.sums(seconds, cards[row], where, size),
        reports.sums(reports.parts(gflops_s, ran_s, row, seconds), np.ones_like(row), where, size),
        reports.sums(seconds, np.where(gflops_s == 0, cards, 0)[row], where, size),
        pieces.tolist(),
    )
    return {
        (places_[i // len(words)], words[i % len(words)]): Allocated(*(each[i] for each in figures))
        for i in np.flatnonzero(pieces).tolist()
    }


def _together(parts: Iterable[Allocated]) -> Allocated:
    total = Allocated()
    for part in parts:
        total.add(part)
    return total


def _available(there: Capacity, prices: Tariff, cluster: str, partition: str | None) -> Available:
    """Add up what there was in a partition, or in all of them."""
    node_s, known = 0, True
    cards_s: Counter[str] = Counter()  # by reason
    mflops_s: Counter[str] = Counter()
    for (partitions, gres, why), own in there.seconds.items():
        if partition is None or partition in partitions:
            if gres == NODE:
                node_s += own if why == IN_ALL else 0
            else:
                cards_s[why] += own
                by = partitions if partition is None else [partition]
                mflops = _mflops(prices, cluster, by, gres)
                known &= mflops is not None
                mflops_s[why] += own * (mflops or 0)
    in_service = mflops_s[IN_ALL] - sum(mflops_s[why] for why in WHYS)
    return Available(
        node_s=node_s,
        card_s=cards_s[IN_ALL],
        gflops_s=mflops_s[IN_ALL] // MFLOPS_PER_GFLOPS if known else None,
        out_card_s={why: cards_s[why] for why in WHYS},
        in_service_gflops_s=in_service // MFLOPS_PER_GFLOPS if known else None,
    )


def _mflops(prices: Tariff, cluster: str, partitions: Iterable[str], gres: str) -> int | None:
    """Return how fast a card is by the partitions that say it; None: none does, or they differ."""
    said = set()
    for partition in partitions:
        try:
            said.add(prices.cards(cluster, partition, gres).mflops)
        except TariffMissing:
            continue
    return said.pop() if len(said) == 1 else None
