"""Is the archive what the book says? Every file, row and key; findings are data.

The audit asks whether each file has what the book says of it. This also asks what no single file
can tell: files that nobody knows, runs that stand twice, revisions and months that are missing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.errors import InvariantBroken
from accounting.runs import archive, filing, places, usage, watermarks
from accounting.runs.segment import Segment
from accounting.settle import adding, daysums, grouping, keeping, summing

WINDOW_ROWS = 4_000_000
"""About how many keys are compared at a time."""
_KEY = (*usage.Keys._fields, "revision")
_NAMED_MAX = 20
"""How many runs a finding names one by one."""


@dataclass(frozen=True)
class Finding:
    """Something that the archive is not: which kind, what about, how."""

    kind: str
    subject: str
    message: str


def findings(conn: Connection, root: Path, timezone: str) -> Iterator[Finding]:
    """Yield everything that is wrong with the archive.

    Args:
        conn: The book.
        root: Root of the archive.
        timezone: Where months begin.
    """
    files = places.files(conn)
    sound = []
    for file in files:
        segments = places.segments_in(conn, file)
        wrong = archive.verify_within(root, file, segments) or _of_month(root, file, timezone)
        yield from (Finding("file", file.path, problem) for problem in wrong)
        if not wrong:
            sound.append(file)
    yield from _unknown(conn, root, files)
    if len(sound) == len(files):  # what takes the place of others is counted with them
        yield from _sums(conn, root, files, timezone)
    for cluster in sorted({file.cluster for file in sound}):
        yield from _keys(root, [file for file in sound if file.cluster == cluster])
    yield from _months(conn, files, timezone)


def _of_month(root: Path, file: Segment, timezone: str) -> list[str]:
    """Say when a file has runs that did not end in its month."""
    begin_s, end_s = period.bounds(file.month, timezone)
    outside = 0
    for rows in archive.batches(root, file, ["end_s"]):
        ends = usage.numbers(rows.column("end_s"))
        outside += int(((ends < begin_s) | (ends >= end_s)).sum())
    return [f"{file.path}: {outside} runs did not end in {file.month}"] if outside else []


def _unknown(conn: Connection, root: Path, files: Sequence[Segment]) -> Iterator[Finding]:
    """Yield files that stand where segments do and are none of them."""
    known, old = {file.path for file in files}, places.retired(conn)
    for path in filing.files(root):
        if path in old:
            yield Finding("aside", path, "its rows stand in a larger file; the next run moves it")
        elif path not in known:
            yield Finding("unknown", path, "is of no segment; the next run puts it in quarantine")


def _sums(
    conn: Connection, root: Path, files: Sequence[Segment], timezone: str
) -> Iterator[Finding]:
    """Yield sums that are kept and are not what the runs of their file come to."""
    kinds = (
        (daysums.KIND, summing.differ(root, files, timezone)),
        (grouping.KIND, adding.differ(conn, root, files, timezone)),
    )
    for kind, differ in kinds:
        for file, wrong in zip(files, differ, strict=True):
            if wrong:
                path = keeping.where(file.path, timezone, kind)
                yield Finding(
                    "sums", path, "are not what its runs come to; delete it, it is made anew"
                )


def _keys(root: Path, files: Sequence[Segment]) -> Iterator[Finding]:
    """Yield runs that stand twice with one revision, and revisions whose one before is missing.

    All revisions of a run have one submit, so runs are compared one stretch of submits at a time.
    """
    edges = _edges(files)
    for low_s, high_s in pairwise(edges):
        near = [f for f in files if f.submit_min_s < high_s and low_s <= f.submit_max_s]
        found = [usage.STORED.empty_table().select(_KEY)]
        for rows in archive.parts(root, near, _KEY):
            at_s = rows.column("submit_s")
            inside = pc.and_(pc.greater_equal(at_s, low_s), pc.less(at_s, high_s))
            found.append(rows.filter(inside))
        yield from _in_order(pa.concat_tables(found).unify_dictionaries())


def _edges(files: Sequence[Segment]) -> list[int]:
    """Cut submits so that about WINDOW_ROWS runs are in each stretch."""
    in_order = sorted(files, key=lambda file: file.submit_min_s)
    edges, count = [in_order[0].submit_min_s], 0
    for file in in_order:
        count += file.rows
        if count >= WINDOW_ROWS and file.submit_min_s > edges[-1]:
            edges.append(file.submit_min_s)
            count = 0
    return [*edges, max(file.submit_max_s for file in files) + 1]


def _in_order(rows: pa.Table) -> Iterator[Finding]:
    """Yield what is wrong with the revisions of some runs: 0, 1, 2 and so on is right."""
    keys, revision = usage.keys(rows), usage.numbers(rows.column("revision"))
    order = usage.key_order(keys, revision)
    starts = usage.key_starts([array[order] for array in keys])
    revision = revision[order]
    step = np.diff(revision, prepend=0)
    wrong = np.where(starts, revision != 0, step != 1)
    places_ = np.flatnonzero(wrong)
    for place in places_[:_NAMED_MAX].tolist():
        row = rows.slice(int(order[place]), 1).to_pylist()[0]
        twice = not starts[place] and step[place] == 0
        what = "stands twice" if twice else "stands without the one before"
        yield Finding(
            "twice" if twice else "gap",
            f"job {row['job_id']} of {row['cluster']}",
            f"submitted at {row['submit_s']}, started at {row['start_s']}: revision "
            f"{row['revision']} {what}",
        )
    if len(places_) > _NAMED_MAX:
        yield Finding("more", "runs", f"{len(places_) - _NAMED_MAX} more stand twice or miss one")


def _months(conn: Connection, files: Sequence[Segment], timezone: str) -> Iterator[Finding]:
    """Yield months that are collected to their end, after the first one, and have no run."""
    for cluster, until_s in watermarks.by_cluster(conn).items():
        have = {file.month for file in files if file.cluster == cluster}
        if not have:
            continue
        month = min(have)
        while period.bounds(month, timezone)[1] <= until_s:
            if month not in have:
                yield Finding(
                    "month",
                    f"{cluster} {month}",
                    "is collected to its end and has no run; collect it again --since its first "
                    "day, or know that nothing ran",
                )
            month = period.following(month)


def listed(conn: Connection, cluster: str | None = None) -> list[dict[str, str | int]]:
    """List what the archive has by cluster and month: files, segments and sums of their rows."""
    own = schema.segment.c
    count = select(own.cluster, own.month, func.count()).group_by(own.cluster, own.month)
    segments = {tuple(row[:2]): row[2] for row in conn.execute(count)}
    sums: dict[tuple[str, str], list[int]] = {}
    for file in places.files(conn, **({} if cluster is None else {"cluster": cluster})):
        total = sums.setdefault((file.cluster, file.month), [0, 0, 0, 0])
        parts = (1, file.rows, file.size_bytes, file.charge_micro)
        total[:] = [a + b for a, b in zip(total, parts, strict=True)]
    return [
        {
            "cluster": key[0],
            "month": key[1],
            "segments": segments[key],
            "files": total[0],
            "rows": total[1],
            "size_bytes": total[2],
            "charge_micro": total[3],
        }
        for key, total in sorted(sums.items())
    ]


def must_be_sound(found: Sequence[Finding]) -> None:
    """Raise InvariantBroken when anything was found."""
    if found:
        raise InvariantBroken(
            f"archive: {len(found)} findings, 0 are allowed; bring files back from a backup or "
            "quarantine/, then run svoucher audit"
        )
