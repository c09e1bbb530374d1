"""Count the runs that count, a part of the archive at a time, some beside each other.

Each file is read once, a few columns of some row groups at a time, by threads that each count for
themselves: the archive need not fit into memory. Of a run that was told again the latest revision
counts: where another row takes the place of one, which footers and a few columns tell, that one is
left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from accounting.runs import archive, picking, usage
from accounting.runs.picking import Group
from accounting.runs.segment import Segment
from accounting.settle import grouping, stored

BATCH_ROWS = 2**18
"""How many rows are read and counted at a time."""
SHARE_ROWS = 2**19
"""How many rows of a large file a thread takes on."""
_KEY = ("cluster", *stored.KEY[1:])
"""What tells which row takes the place of which."""


class Counter(Protocol):
    """Counts for one thread."""

    def count(self, rows: pa.RecordBatch, month: str) -> None:
        """Count rows that ended in one month."""


C = TypeVar("C", bound=Counter)


@dataclass(frozen=True)
class Part:
    """Row groups of a file."""

    file: Segment
    groups: Sequence[Group]


def footers(root: Path, files: Sequence[Segment]) -> list[Part]:
    """Read what row groups there are, and the bounds of what they hold.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    with ThreadPoolExecutor(stored.THREADS) as pool:
        found = pool.map(lambda file: picking.groups_of(root, file), files)
        return [Part(file, groups) for file, groups in zip(files, found, strict=True)]


def tally(
    root: Path,
    parts: Sequence[Part],
    columns: Sequence[str],
    counter: Callable[[], C],
    changed: pa.Table | None = None,
) -> list[C]:
    """Count the rows of files that no other row takes the place of.

    Args:
        root: Root of the archive.
        parts: All files of the clusters that are asked about.
        columns: What is read of each run.
        counter: Makes what one thread counts with.
        changed: The rows that take the place of others, where `parts` are not all of them.

    Returns:
        What each thread has counted.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    changed = again(root, parts) if changed is None else changed
    left, lock = _shares(parts), Lock()

    def work() -> C:
        own = counter()
        while True:
            with lock:
                part = next(left, None)
            if part is None:
                return own
            for rows in _rows(root, part, columns, changed):
                own.count(rows, part.file.month)

    with ThreadPoolExecutor(stored.THREADS) as pool:
        return [done.result() for done in [pool.submit(work) for _ in range(stored.THREADS)]]


def _shares(parts: Iterable[Part]) -> Iterator[Part]:
    """Split large files, so that no thread waits long for another one."""
    for part in parts:
        groups: list[Group] = []
        for group in part.groups:
            if groups and sum(each.rows for each in groups) >= SHARE_ROWS:
                yield Part(part.file, groups)
                groups = []
            groups.append(group)
        yield Part(part.file, groups)


def _rows(
    root: Path, part: Part, columns: Sequence[str], changed: pa.Table
) -> Iterator[pa.RecordBatch]:
    """Read the rows of a part that count."""
    own = _near(changed, part.groups)
    names = [*dict.fromkeys([*columns, *_KEY])] if own.num_rows else [*columns]
    for rows in batches(root, part, names):
        if own.num_rows:
            rows = rows.filter(pa.array(~_outdated(rows, own)))
        if rows.num_rows:
            yield rows


def replaced(
    root: Path, parts: Iterable[Part], changed: pa.Table, columns: Sequence[str]
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Read the rows that others take the place of, with the month in which they ended.

    Args:
        root: Root of the archive.
        parts: All files of the cluster.
        changed: The keys of the others, as `again` returns them.
        columns: What is read of each row.
    """
    names = [*dict.fromkeys([*columns, *_KEY])]
    for part in parts:
        near = [group for group in part.groups if _near(changed, [group]).num_rows]
        for rows in batches(root, Part(part.file, near), names) if near else ():
            found = rows.filter(pa.array(_outdated(rows, changed)))
            if found.num_rows:
                yield part.file.month, found


def _near(changed: pa.Table, groups: Sequence[Group]) -> pa.Table:
    """Return those of some rows, by their jobs, that are of jobs of row groups."""
    bounds = [group.jobs for group in groups]
    first, last = min(a for a, _ in bounds), max(b for _, b in bounds)
    jobs = usage.numbers(changed.column("job_id"))
    begin, end = np.searchsorted(jobs, first), np.searchsorted(jobs, last, "right")
    return changed.slice(begin, end - begin)


def batches(root: Path, part: Part, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read columns of a part, all of its rows, a few at a time."""
    schema = pa.schema([usage.STORED.field(name) for name in columns])
    numbers = [group.number for group in part.groups]
    with archive.opened(root, part.file) as source:
        for rows in source.iter_batches(
            BATCH_ROWS, row_groups=numbers, columns=[*columns], use_threads=False
        ):
            rows = rows.select(columns)
            yield rows if rows.schema.types == schema.types else rows.cast(schema)


def again(root: Path, parts: Iterable[Part]) -> pa.Table:
    """Return the keys of rows that take the place of others, by their jobs."""
    schema = pa.schema([usage.STORED.field(name) for name in _KEY])
    found = [schema.empty_table()]
    for part in parts:
        groups = [group for group in part.groups if group.revisions[1] > 0]
        if groups:
            for rows in batches(root, Part(part.file, groups), _KEY):
                own = rows.filter(pc.greater(rows.column("revision"), 0))
                found.append(usage.conform(pa.Table.from_batches([own]), schema))
    return pa.concat_tables(found).unify_dictionaries().combine_chunks().sort_by("job_id")


def _outdated(rows: pa.RecordBatch, changed: pa.Table) -> npt.NDArray[np.bool_]:
    """Mark the rows that others take the place of."""
    jobs = usage.numbers(changed.column("job_id"))
    marks = np.zeros(rows.num_rows, np.bool_)
    some = np.flatnonzero(np.isin(rows.column("job_id").to_numpy(), jobs))
    if len(some):
        own = pa.Table.from_batches([rows.select(_KEY).take(pa.array(some))])
        few = usage.numbers(own.column("job_id"))
        first, last = np.searchsorted(jobs, few.min()), np.searchsorted(jobs, few.max(), "right")
        marks[some] = grouping.outdated(own, changed.slice(first, last - first))
    return marks
