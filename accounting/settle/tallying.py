"""Count the runs that count, a part of the archive at a time, some files beside each other.

What is counted has to be a sum: each row is counted as it comes, and what later revisions took the
place of is counted once more, to be taken off. So the archive need not fit into memory.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from sqlalchemy.engine import Connection

from accounting.runs import archive
from accounting.runs.segment import Segment
from accounting.settle import grouping, stored

T = TypeVar("T")


def tally(
    conn: Connection,
    root: Path,
    segments: Sequence[Segment],
    columns: Sequence[str],
    timezone: str,
    count: Callable[[pa.Table, str], T],
) -> Iterator[tuple[int, T]]:
    """Yield what parts come to, each with 1, or with -1 where it is to be taken off.

    Args:
        conn: The book.
        root: Root of the archive.
        segments: Which ones.
        columns: What is read of each run.
        timezone: Where months begin.
        count: Counts rows that ended in one month; by several threads. Arrow works without
            Python's lock.

    Raises:
        InvariantBroken: A segment is missing or cannot be read.
    """
    by_file: dict[tuple[str, str], list[Segment]] = {}
    for segment in segments:
        by_file.setdefault((segment.file, segment.month), []).append(segment)

    def of_file(own: Sequence[Segment]) -> list[T]:
        return [count(rows, own[0].month) for rows in archive.parts(root, own, columns)]

    with ThreadPoolExecutor(stored.THREADS) as pool:
        for counted in pool.map(of_file, by_file.values()):
            yield from ((1, each) for each in counted)
    some: dict[str, bool] = {}  # thousands of segments may stand in one file
    for segment in segments:
        if segment.file not in some:
            some[segment.file] = archive.has_revisions(root, segment)
        if some[segment.file]:
            before = stored.superseded(conn, root, archive.read(root, [segment]))
            for month, rows in grouping.by_month(before, timezone) if before.num_rows else ():
                yield -1, count(rows, month)
