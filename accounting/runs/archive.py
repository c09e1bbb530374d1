"""The usage archive: runs in Parquet segments that are written once and never changed.

A segment holds the runs of one cluster that ended in one month, sorted by key, at
`usage/cluster=X/month=YYYY-MM/<first 16 digits of its SHA-256>.parquet`. The same rows in any
order make the same bytes and so the same name (with one version of pyarrow). Which segments
belong to the archive, the book alone knows; this module knows no SQL.

A changed run is not overwritten: it is appended once more with the next revision, and the
highest revision of a key is what counts. A run that never started is known by its key with the
start null, which is equal to null and to nothing else.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from accounting import durable
from accounting.errors import InvariantBroken
from accounting.runs import filing, usage
from accounting.runs.run import CLUSTER_NAME
from accounting.runs.segment import Segment
from accounting.runs.usage import Int64s

REVISION_MAX = 32767
BATCH_ROWS = 2**20
"""How many rows are read at a time."""
FILTERED_ROWS = 2**15
"""How many, where few of them are kept."""
SUMS = ("gflops_s", "charge_micro", "eligible_micro")
"""Columns whose sums a segment's row in the book carries."""
VERIFIED = ("cluster", "submit_s", *SUMS)
"""Columns that are compared with that row."""

_FEW = ("nodes", "cpus", "cards", "mem_mb")
"""Numbers of which there are few, each often."""
_PACKED = {"job": "snappy", "hold": "zstd", "eligible_micro": "snappy", "revision": "snappy"}
"""Texts, and numbers that are nearly always 0."""
_WITH_BOUNDS = ["job_id", "submit_s", "start_s", "end_s", "revision"]
_BY_NUMBER = [f.name for f in usage.STORED if pa.types.is_dictionary(f.type) or f.name in _FEW]
_BY_DIFFERENCE = {
    f.name: "DELTA_BINARY_PACKED"
    for f in usage.STORED
    if pa.types.is_integer(f.type) and f.name not in (*_FEW, *_PACKED)
}
WRITTEN: dict[str, Any] = {
    "compression": {name: _PACKED.get(name, "none") for name in usage.STORED.names},
    "compression_level": {"hold": 1},
    "use_dictionary": _BY_NUMBER,
    "column_encoding": _BY_DIFFERENCE,
    "write_statistics": _WITH_BOUNDS,
}
"""How a segment is written, a sixth of the time that defaults take and as large: beside what is
said here, only bounds that readers look for are kept."""

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class Compared(NamedTuple):
    """Rows that are to be rated and stored: USAGE columns and the revision they get."""

    new: pa.Table
    changed: pa.Table


def write(root: Path, cluster: str, month: str, table: pa.Table) -> Segment:
    """Write rows of the schema STORED as one segment; twice is once.

    The file is there under its name only when it is whole and on the disk.

    Raises:
        ValueError: There are no rows, rows of another cluster, two rows of one key and
            revision, or a cluster or month that is no name for a folder.
    """
    if not CLUSTER_NAME.fullmatch(cluster) or not _MONTH.fullmatch(month):
        raise ValueError(f"{cluster!r} and {month!r} are no cluster and month such as ai1, 2024-07")
    rows = _canonical(table)
    if not rows.num_rows or rows.column("cluster").unique().to_pylist() != [cluster]:
        raise ValueError(f"a segment of {cluster} holds one or more runs of {cluster} alone")
    content = _encoded(rows)
    sha256 = hashlib.sha256(content).hexdigest()
    path = f"{filing.FOLDER}/cluster={cluster}/month={month}/{sha256[:16]}.parquet"
    durable.put(root, path, content)
    figures = _figures(rows)
    return Segment(
        path, cluster, month, sha256=sha256, size_bytes=len(content), within=None, **figures
    )


def _encoded(rows: pa.Table) -> bytearray:
    """Write rows as a file: numbers by what they differ, words by number, texts compressed."""
    from accounting.runs import parquet  # numba takes its time; only who writes shall wait for it

    return parquet.written(rows, **WRITTEN)


def _canonical(table: pa.Table) -> pa.Table:
    """Bring rows to the one form in which they are written: in key order, words sorted."""
    rows = usage.conform(table, usage.STORED)
    keys = usage.keys(rows)
    revision = usage.numbers(rows.column("revision"))
    if not usage.are_in_order([*keys, revision]):
        order = usage.key_order(keys, revision)
        if not usage.key_starts([array[order] for array in (*keys, revision)]).all():
            raise ValueError("two rows have the same key and revision")
        rows = rows.take(pa.array(order))
    columns = [
        _sorted_words(column) if pa.types.is_dictionary(column.type) else column
        for column in map(usage.as_one, rows.columns)
    ]
    return pa.Table.from_arrays(columns, schema=usage.STORED)


def _sorted_words(whole: pa.DictionaryArray) -> pa.DictionaryArray:
    """Number the words of a column in their order, and those alone that stand in it."""
    words = whole.dictionary.to_pylist()
    used = np.flatnonzero(usage.used(whole.indices, len(words)))
    order = sorted(used.tolist(), key=words.__getitem__)
    if order == list(range(len(words))):
        return whole
    rank = np.zeros(max(1, len(words)), np.int32)
    rank[order] = np.arange(len(order))
    return usage.of_words(usage.renumbered(whole.indices, rank), [words[i] for i in order])


def _figures(rows: pa.Table) -> dict[str, int]:
    """Add up what the book keeps about the rows, in Python integers."""
    sums = {name: _sum(usage.numbers(rows.column(name))) for name in SUMS}
    submits = usage.numbers(rows.column("submit_s"))
    return {
        "rows": rows.num_rows,
        "submit_min_s": int(submits.min(initial=2**62)),
        "submit_max_s": int(submits.max(initial=0)),
        **sums,
    }


def _sum(values: Int64s) -> int:
    """Add up without a bound: the halves of 2**31 numbers fit into int64."""
    if max(int(values.max(initial=0)), -int(values.min(initial=0))) * len(values) < 2**63:
        return int(values.sum())
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


def read(
    root: Path,
    segments: Iterable[Segment],
    columns: Sequence[str] | None = None,
    job_ids: pa.ChunkedArray | None = None,
) -> pa.Table:
    """Read segments, all revisions, nothing verified.

    Args:
        root: Root of the archive.
        segments: As the book lists them.
        columns: Which columns of STORED, in that order. None: all.
        job_ids: Keep the rows of these jobs alone, which takes the column job_id. None: all.

    Raises:
        InvariantBroken: A file is missing.
    """
    names = usage.STORED.names if columns is None else list(columns)
    schema = pa.schema([usage.STORED.field(name) for name in names])
    found: list[pa.Table] = []
    segments = list(segments)
    if job_ids is None:
        found += parts(root, segments, names)
    elif segments:
        some = np.sort(usage.numbers(job_ids), kind="stable")
        segments = [segment for segment in segments if _holds(root, segment, some)]
        for rows in parts(root, segments, names, FILTERED_ROWS):
            kept = np.flatnonzero(_among(usage.numbers(rows.column("job_id")), some))
            found.append(rows.take(pa.array(kept)))
    return pa.concat_tables(found or [schema.empty_table()]).unify_dictionaries()


def parts(
    root: Path, segments: Iterable[Segment], columns: Sequence[str], size: int = BATCH_ROWS
) -> Iterator[pa.Table]:
    """Read segments a part at a time, file by file: those that share one are read together.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    by_file: dict[str, list[Segment]] = {}
    for segment in segments:
        by_file.setdefault(segment.file, []).append(segment)
    for own in by_file.values():
        if own[0].within is None:
            for segment in own:
                yield from batches(root, segment, columns, size)
        else:
            yield from _slices(root, own, columns)


def batches(
    root: Path, segment: Segment, columns: Sequence[str], size: int = BATCH_ROWS
) -> Iterator[pa.Table]:
    """Read a segment a part at a time, so that it need not fit into memory; see `read`.

    Raises:
        InvariantBroken: The file is missing or cannot be read.
    """
    if segment.within is not None:
        yield from _slices(root, [segment], columns)
        return
    schema = pa.schema([usage.STORED.field(name) for name in columns])
    with opened(root, segment) as file:
        for part in file.iter_batches(batch_size=size, columns=list(columns)):
            yield usage.conform(pa.Table.from_batches([part]), schema)


def _slices(root: Path, segments: Sequence[Segment], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Read the rows of segments that stand in one file, and of no others."""
    schema = pa.schema([usage.STORED.field(name) for name in columns])
    firsts = [(s.within.first_row, s.rows) for s in segments if s.within is not None]
    spans = sorted((first, first + rows) for first, rows in firsts)
    file, begin = filing.where(root, segments[0].file), 0
    with _told(segments[0]):
        state = filing.state_of(file)
        for i, count in enumerate(_group_rows(file, state)):
            end = begin + count
            wanted = [(max(a, begin), min(b, end)) for a, b in spans if a < end and b > begin]
            if wanted:
                rows = _group(file, state, i, tuple(columns))
                own = pa.concat_tables([rows.slice(a - begin, b - a) for a, b in wanted])
                yield usage.conform(own, schema)
            begin = end


@lru_cache(maxsize=16)
def _group_rows(file: Path, _state: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many rows each row group of a file has."""
    with pq.ParquetFile(file) as opened:
        groups = range(opened.metadata.num_row_groups)
        return tuple(opened.metadata.row_group(i).num_rows for i in groups)


@lru_cache(maxsize=2)
def _group(file: Path, _state: tuple[int, ...], index: int, columns: tuple[str, ...]) -> pa.Table:
    """Read a row group; it is kept a while, for the next segment stands in it, too."""
    with pq.ParquetFile(file) as opened:
        return opened.read_row_group(index, columns=list(columns))


def _holds(root: Path, segment: Segment, job_ids: Int64s) -> bool:
    """Tell whether a segment holds runs of some jobs, given in order: by its bounds, and then by
    the one column."""
    first, last = jobs_of(root, segment)
    some = job_ids[np.searchsorted(job_ids, first) : np.searchsorted(job_ids, last, "right")]
    if not len(some):
        return False
    parts_ = batches(root, segment, ["job_id"])
    return any(_among(usage.numbers(rows.column("job_id")), some).any() for rows in parts_)


def _among(job_ids: Int64s, some: Int64s) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mark the jobs that are among some, one or more, given in order."""
    place = np.minimum(np.searchsorted(some, job_ids), len(some) - 1)
    marks: np.ndarray[tuple[int], np.dtype[np.bool_]] = some[place] == job_ids
    return marks


@lru_cache(maxsize=65536)
def jobs_of(root: Path, segment: Segment) -> tuple[int, int]:
    """Return the first and the last job of a segment, from its footer: it never changes."""
    place = usage.STORED.names.index("job_id")
    with opened(root, segment) as file:
        groups = range(file.metadata.num_row_groups)
        found = [file.metadata.row_group(i).column(place).statistics for i in groups]
    if any(each is None or not each.has_min_max for each in found):
        return 0, 2**63 - 1
    return min(each.min for each in found), max(each.max for each in found)


def has_revisions(root: Path, segment: Segment) -> bool:
    """Tell whether a segment may hold rows that take the place of others, from its footer alone.

    Raises:
        InvariantBroken: The file is missing or cannot be read.
    """
    place = usage.STORED.names.index("revision")
    with opened(root, segment) as file:
        groups = range(file.metadata.num_row_groups)
        found = [file.metadata.row_group(i).column(place).statistics for i in groups]
    return any(each is None or not each.has_min_max or each.max > 0 for each in found)


@contextmanager
def opened(root: Path, segment: Segment) -> Iterator[pq.ParquetFile]:
    """Open a segment's file."""
    with _told(segment), pq.ParquetFile(filing.where(root, segment.file)) as file:
        yield file


@contextmanager
def _told(segment: Segment) -> Iterator[None]:
    """Say in one way whatever is wrong with a segment's file."""
    try:
        yield
    except FileNotFoundError:
        raise InvariantBroken(f"archive: {segment.file} is missing; restore it") from None
    except (OSError, ValueError) as error:  # Arrow's own errors are ValueErrors
        reason = " ".join(str(error).split())
        raise InvariantBroken(
            f"archive: {segment.file} cannot be read ({reason}); restore it"
        ) from None


def verify(root: Path, segment: Segment, rows: pa.Table | None = None) -> list[str]:
    """Compare a segment with what the book keeps about it; return what does not agree.

    Args:
        root: Root of the archive.
        segment: As the book lists it.
        rows: Its rows with the columns VERIFIED, where they were read already.
    """
    target = filing.where(root, segment.file)
    if not target.is_file():
        return [f"{segment.file}: is missing"]
    sha256, written = filing.sha256_of(target), segment.sha256
    if segment.within is not None:
        sha256, written = filing.known_sha256_of(target), segment.within.sha256
    if sha256 != written:
        return [f"{segment.file}: SHA-256 is {sha256}, the book says {written}"]
    wrong = _differences(segment, read(root, [segment], VERIFIED) if rows is None else rows)
    size_bytes = target.stat().st_size
    if segment.within is None and size_bytes != segment.size_bytes:
        wrong.append(
            f"{segment.path}: size_bytes is {size_bytes}, the book says {segment.size_bytes}"
        )
    return wrong


def verify_within(root: Path, file: Segment, segments: Sequence[Segment]) -> list[str]:
    """Compare a compacted file, and each segment that stands in it, with what the book keeps.

    Args:
        root: Root of the archive.
        file: The file as `places.files` lists it.
        segments: All of its segments, in their order in it.
    """
    wrong = verify(root, file)
    if wrong:
        return wrong
    rows, begin = read(root, [file], VERIFIED), 0
    for segment in segments:
        wrong += _differences(segment, rows.slice(begin, segment.rows))
        begin += segment.rows
    if begin != rows.num_rows:
        wrong.append(f"{file.path}: has {rows.num_rows} rows, its segments {begin}")
    return wrong


def _differences(segment: Segment, rows: pa.Table) -> list[str]:
    """Compare rows with what the book keeps about them."""
    wrong = [
        f"{segment.path}: {name} is {value}, the book says {getattr(segment, name)}"
        for name, value in _figures(rows).items()
        if value != getattr(segment, name)
    ]
    if rows.column("cluster").unique().to_pylist() != [segment.cluster]:
        wrong.append(f"{segment.path}: holds runs of other clusters than {segment.cluster}")
    return wrong


def discard(root: Path, paths: Iterable[str]) -> None:
    """Take segments away that this process has written and that no book has heard of."""
    for path in paths:
        (root / path).unlink(missing_ok=True)


def current(table: pa.Table) -> pa.Table:
    """Keep the highest revision of each key, in key order."""
    keys = usage.keys(table)
    order = usage.key_order(keys, usage.numbers(table.column("revision")))
    starts = usage.key_starts([array[order] for array in keys])
    return table.take(pa.array(order[_lasts(starts)]))


def _lasts(starts: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Int64s:
    """Return the places of the last row of each group, from marks of the first ones."""
    if not len(starts):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.append(starts[1:], True)).astype(np.int64)


def compare(incoming: pa.Table, stored: pa.Table) -> Compared:
    """Find out which runs have not been seen, and which have been seen with other content.

    Where a key comes in twice, the later row wins: sweeps overlap, and what was read last is
    what Slurm says now.

    Args:
        incoming: Rows of the schema USAGE, in the order in which they were read.
        stored: `current` rows of the archive, at least those whose keys may come in.

    Returns:
        New rows with revision 0, changed rows with the next one; both in key order. Rows seen
        with the same USAGE columns are in neither.

    Raises:
        ValueError: A run would get more revisions than there can be.
    """
    incoming = usage.conform(incoming, usage.USAGE)
    before = stored.num_rows
    if not before and usage.are_in_order(usage.keys(incoming)):
        none = _revised(incoming.slice(0, 0), np.zeros(0, np.int64))
        return Compared(_revised(incoming, np.zeros(incoming.num_rows, np.int64)), none)
    both = pa.concat_tables([usage.conform(stored, usage.USAGE), incoming])
    keys = usage.keys(both)
    order = usage.key_order(keys)  # stable: of each key the stored row first, the latest last
    starts = usage.key_starts([array[order] for array in keys])
    first, last = order[np.flatnonzero(starts)], order[_lasts(starts)]
    come = last >= before
    seen = come & (first < before)
    new = last[come & ~seen] - before
    was, now = first[seen], last[seen] - before
    other = _differ(both.take(pa.array(was)), incoming.take(pa.array(now)))
    was, now = was[other], now[other]
    revisions = usage.numbers(stored.column("revision"))[was] + 1
    if len(revisions) and revisions.max() > REVISION_MAX:
        raise ValueError(f"a run has changed more than {REVISION_MAX} times")
    return Compared(
        _revised(incoming.take(pa.array(new)), np.zeros(len(new), np.int64)),
        _revised(incoming.take(pa.array(now)), revisions),
    )


def _revised(rows: pa.Table, revisions: Int64s) -> pa.Table:
    """Add the revision column."""
    return rows.append_column(usage.RATED.field("revision"), pa.array(revisions, pa.int16()))


def _differ(left: pa.Table, right: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mark the rows in which any USAGE column differs; null is equal to null."""
    marks = np.zeros(left.num_rows, np.bool_)
    for field in usage.USAGE:
        a, b = left.column(field.name), right.column(field.name)
        if pa.types.is_dictionary(field.type):
            a, b = a.cast(pa.string()), b.cast(pa.string())
        same = pc.or_(pc.fill_null(pc.equal(a, b), False), pc.and_(pc.is_null(a), pc.is_null(b)))
        marks |= ~same.to_numpy()
    return marks
