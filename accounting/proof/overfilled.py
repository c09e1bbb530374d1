"""Did a partition deliver more than it has? Counted anew from the runs, a part of the archive at a
time: it need not fit into memory, and nothing that is kept of it is believed."""

from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from accounting import period
from accounting.proof.evidence import Books, Found
from accounting.rates import pricelists
from accounting.rates.tariff import Capacity
from accounting.runs import places, reports, usage
from accounting.runs.segment import Segment
from accounting.settle import tallying

_COLUMNS = ("start_s", *reports.COLUMNS, "partition")


def days(books: Books) -> Found:
    """No partition delivers more card-hours on a day than it has cards."""
    prices = pricelists.in_force(books.conn)
    if prices is None or books.damage:
        return  # a damaged archive is found by the rule of its own
    limited = {where: each.capacity for where, each in prices.partitions.items() if each.capacity}
    for cluster in sorted({cluster for cluster, _ in limited}):
        own = {name: known for (where, name), known in limited.items() if where == cluster}
        files = places.files(books.conn, cluster=cluster)
        ran_s = card_s(books.archive, files, own, prices.timezone)
        for (name, day), seconds in sorted(ran_s.items()):
            subject = f"partition {cluster}/{name} {day}"
            yield from _overfilled(subject, day, seconds, own[name], prices.timezone)


def card_s(
    root: Path, files: Sequence[Segment], partitions: Collection[str], timezone: str
) -> Counter[tuple[str, str]]:
    """Add up the seconds of cards that runs had, by partition and day.

    Args:
        root: Root of the archive.
        files: All files of a cluster.
        partitions: Which of its partitions.
        timezone: Zone of the days.
    """
    parts = tallying.footers(root, files)
    counted = tallying.tally(root, parts, _COLUMNS, lambda: _Cards(partitions, timezone))
    return sum((each.card_s for each in counted), Counter[tuple[str, str]]())


class _Cards:
    """Counts for one thread."""

    def __init__(self, partitions: Collection[str], timezone: str) -> None:
        self._partitions, self._timezone = partitions, timezone
        self.card_s: Counter[tuple[str, str]] = Counter()

    def count(self, rows: pa.RecordBatch, _month: str) -> None:
        """Count the cards of some runs."""
        table = pa.Table.from_batches([rows])
        for name in self._partitions:
            own = table.filter(pa.array(usage.marks(table.column("partition"), name)))
            for day, ran in reports.usage_by(own, "day", self._timezone).items():
                self.card_s[name, day] += ran.card_s


def _overfilled(
    subject: str, day: str, seconds: int, known: Sequence[Capacity], timezone: str
) -> Found:
    """Say it where runs had more card-hours on a day than there were."""
    begin_s, end_s = period.bounds(day, timezone)
    most = _cards_between(known, begin_s, end_s)
    if most is None:
        return
    limit = Decimal(most * (end_s - begin_s)) / 3600
    card_hours = reports.hours(seconds)
    if Decimal(card_hours) > limit:
        yield subject, f"{card_hours} card-hours are metered, {limit:.4f} are possible"


def _cards_between(known: Sequence[Capacity], begin_s: int, end_s: int) -> int | None:
    """Return the most cards there were at once in a time, or None where nothing is said of it."""
    over = sum(each.from_s <= begin_s for each in known) - 1
    in_force = [each for each in known[max(over, 0) :] if each.from_s < end_s]
    return max((sum(each.cards.values()) for each in in_force), default=None)
