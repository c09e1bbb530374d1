"""How long runs waited for their start: where demand and supply do not meet (算不上), they wait.

A wait is from submit to start, of a requeued run from then on. What a user waited for on purpose, a
dependency or a day to begin, is in it: the archive does not tell the one from the other. Who was
refused or never asked is in no archive.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from accounting.runs import places, reports, usage
from accounting.settle import tallying

BOUNDS_S = (600, 3_600, 8 * 3_600, 24 * 3_600)
"""Up to how long, inclusive, the waits are that are counted together; the last are longer."""
COLUMNS = ("submit_s", "start_s")


def waits(
    conn: Connection, root: Path, cluster: str, by: str, timezone: str
) -> dict[str, tuple[int, ...]]:
    """Count a cluster's runs by how long they waited, in each period in which some began.

    Args:
        conn: The book.
        root: Root of the archive.
        cluster: Which one.
        by: A kind of `period.KINDS`, or `total`.
        timezone: Zone of the periods.

    Returns:
        For each period how many runs began in it after a wait up to each of BOUNDS_S, and longer.

    Raises:
        InvariantBroken: A segment is missing or cannot be read.
    """
    parts = tallying.footers(root, places.files(conn, cluster=cluster))
    counted = tallying.tally(root, parts, COLUMNS, lambda: _Waits(by, timezone))
    counts = sum((each.counts for each in counted), Counter[tuple[str, int]]())
    names = sorted({name for name, _ in counts})
    return {name: tuple(counts[name, i] for i in range(len(BOUNDS_S) + 1)) for name in names}


class _Waits:
    """Counts for one thread."""

    def __init__(self, by: str, timezone: str) -> None:
        self._by, self._timezone = by, timezone
        self.counts: Counter[tuple[str, int]] = Counter()

    def count(self, rows: pa.RecordBatch, _month: str) -> None:
        """Count the waits of some runs."""
        self.counts.update(_counted(pa.Table.from_batches([rows]), self._by, self._timezone))


def _counted(rows: pa.Table, by: str, timezone: str) -> Counter[tuple[str, int]]:
    """Count rows by the period of their start and by their wait; what never started is no run."""
    began = rows.filter(pc.is_valid(rows.column("start_s")))
    if not began.num_rows:
        return Counter()
    start_s, submit_s = (usage.numbers(began.column(name)) for name in ("start_s", "submit_s"))
    names, edges = reports.periods(int(start_s.min()), int(start_s.max()), by, timezone)
    place = np.searchsorted(edges, start_s, side="right") - 1
    waited = np.searchsorted(BOUNDS_S, start_s - submit_s, side="left")
    kinds = len(BOUNDS_S) + 1
    counts = np.bincount(place * kinds + waited, minlength=len(names) * kinds).tolist()
    return Counter({(names[i // kinds], i % kinds): n for i, n in enumerate(counts) if n})
