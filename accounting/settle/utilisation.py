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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from accounting import money
from accounting.errors import TariffMissing
from accounting.rates import pricelists
from accounting.rates.tariff import Tariff
from accounting.runs import capacity, nodes, reports, usage
from accounting.runs.capacity import IN_ALL, NODE, Capacity
from accounting.runs.nodes import WHYS, Note
from accounting.runs.usage import Int64s
from accounting.settle import stored

MFLOPS_PER_GFLOPS = 1_000
COLUMNS = (*reports.COLUMNS, "partition", "gflops_s")
"""What is needed of a run, besides its key."""


@dataclass
class Allocated:
    """What runs had: card-seconds, GFLOPS-seconds, and card-seconds without known GFLOPS."""

    card_s: int = 0
    gflops_s: int = 0
    unmetered_card_s: int = 0


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


@dataclass
class _Period:
    """One period: its name, where it ends for the report, what was allocated and what there was."""

    name: str
    until_s: int | None
    allocated: dict[str, Allocated] = field(default_factory=dict)
    capacity: Capacity | None = None


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
    runs = stored.current(conn, root, cluster, columns=[*stored.KEY, *COLUMNS])
    found = _periods(runs, nodes.notes(root, cluster), by, timezone)
    rows = []
    for each in found:
        names: list[str | None] = [None]
        if per_partition:
            parts = each.capacity.seconds if each.capacity else ()
            names = [*sorted({*each.allocated, *(p for part in parts for p in part[0])})]
        for name in names:
            allocated = _together(
                own for p, own in each.allocated.items() if name is None or p == name
            )
            there = each.capacity
            available = None if there is None else _available(there, prices, cluster, name)
            rows.append(Used(each.name, name, each.until_s, allocated, available))
    return rows


def _periods(runs: pa.Table, notes: Sequence[Note], by: str, timezone: str) -> list[_Period]:
    """Add runs and nodes up by period; the last note ends the one that it falls into."""
    ran = runs.filter(pc.is_valid(runs.column("billed_from_s")))
    begin_s, end_s = (usage.numbers(ran.column(name)) for name in ("billed_from_s", "end_s"))
    known = capacity.stretches(notes)
    firsts = [*begin_s.tolist(), *(stretch.begin_s for stretch in known)]
    lasts = [*end_s.tolist(), *(stretch.end_s - 1 for stretch in known)]
    if not firsts:
        return []
    names, edges = reports.periods(min(firsts), max(lasts), by, timezone)
    found = [_Period(name, None) for name in names]
    for stretch in known[-1:]:
        i = int(np.searchsorted(edges, stretch.end_s, side="left")) - 1
        if stretch.end_s < edges[i + 1]:  # the rest of that period is a place of its own
            found[i].until_s = stretch.end_s
            found.insert(i + 1, _Period("", None))
            edges = np.insert(edges, i + 1, stretch.end_s)
    for place, partition, allocated in _allocated(ran, edges):
        found[place].allocated[partition] = allocated
    for each, there, length in zip(
        found, capacity.by_period(notes, edges.tolist()), np.diff(edges).tolist(), strict=True
    ):
        each.capacity = there if there.known_s == length else None
    return [each for each in found if each.name]


def _allocated(ran: pa.Table, edges: Int64s) -> Iterator[tuple[int, str, Allocated]]:
    """Yield what runs had in each period and partition."""
    begin_s, end_s = (usage.numbers(ran.column(name)) for name in ("billed_from_s", "end_s"))
    ran_s = usage.billable_s(ran)
    row, place, seconds = reports.split(begin_s, end_s, ran_s, edges)
    code, words = usage.split(ran.column("partition"))
    cards, gflops_s = (usage.numbers(ran.column(name)) for name in ("cards", "gflops_s"))
    unmetered = np.where(gflops_s == 0, cards, 0)
    where = place * len(words) + code[row]
    size = (len(edges) - 1) * len(words)
    ones = np.ones(len(row), np.int64)
    figures = zip(
        reports.sums(seconds, cards[row], where, size),
        reports.sums(_parts(gflops_s, ran_s, row, seconds), ones, where, size),
        reports.sums(seconds, unmetered[row], where, size),
        strict=True,
    )
    there = np.bincount(where, minlength=size) > 0
    for i, own in enumerate(figures):
        if there[i]:
            yield i // len(words), words[i % len(words)], Allocated(*own)


def _parts(whole: Int64s, ran_s: Int64s, row: Int64s, seconds: Int64s) -> Int64s:
    """Split what each run was metered over its pieces by their seconds, so that it adds up: what a
    piece has is what the run had by its end, rounded down, less what it had by its begin."""
    kind = np.int64 if int(ran_s.max(initial=0)) < 2**31 else object
    per_s, rest = np.divmod(whole, np.maximum(ran_s, 1))
    by_end = np.cumsum(seconds)
    first = np.searchsorted(row, np.arange(len(whole)))  # row is in order, each run has a piece
    end = (by_end - (by_end - seconds)[first][row]).astype(kind)
    had, had_before = (
        per_s[row] * s + rest[row] * s // np.maximum(ran_s, 1)[row] for s in (end, end - seconds)
    )
    parts: Int64s = (had - had_before).astype(np.int64)
    return parts


def _together(parts: Iterable[Allocated]) -> Allocated:
    total = Allocated()
    for part in parts:
        for name, value in vars(part).items():
            setattr(total, name, getattr(total, name) + value)
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
