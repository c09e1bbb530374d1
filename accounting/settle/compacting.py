"""Compaction: the many small segments of a closed month become one file, and stay segments.

The file has their rows one after the other, and its row in the book says up to which entry; so
every charge, statement and claim is about the same rows as before. It is whole, on the disk and
compared with what the book says of each segment before that row is committed, and only then are
the small files put aside. Killed at any point, either they count or the large one does; what is
left over is put aside by the next run.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select
from sqlalchemy.engine import Connection, Engine

from accounting import durable
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Stamp
from accounting.errors import InvariantBroken, Refused
from accounting.rates import rating
from accounting.runs import archive, filing, places, usage
from accounting.runs.segment import COLUMNS, Segment
from accounting.settle import charging, grouping

GROUP_ROWS = 2**16
"""Rows of a row group: who asks for one segment reads one or two of them."""


def compact(
    engine: Engine, root: Path, cluster: str, month: str, stamp: Stamp
) -> dict[str, Any] | None:
    """Write the segments of a cluster and month into one file, and put theirs aside.

    Args:
        engine: The book.
        root: Root of the usage archive.
        cluster: Whose runs.
        month: In which they ended.
        stamp: Who, when.

    Returns:
        The row of the compaction with the number of `files` that it took the place of; None
        where one file has it all already.

    Raises:
        Refused: A provider has not closed the month yet.
        InvariantBroken: A file is not what the book says.
        BookUnavailable: Somebody is taking usage in.
    """
    with charging.alone(root):
        charging.tidy(engine, root)
        with ledger.reading(engine).begin() as conn:
            old = places.files(conn, cluster=cluster, month=month)
            if len(old) < 2:
                return None
            _refuse_open(conn, cluster, month)
            upto_seq = places.last_seq(conn, cluster, month)
            query = places.of_compaction(cluster, month, upto_seq or 0)
            segments = places.placed(conn, conn.execute(query).mappings().all())
        for file in old:
            _must_be_sound(root, file)
        row = _write(root, cluster, month, segments) | {"upto_seq": upto_seq}
        act = Entry(
            f"compaction:{cluster}:{month}:{upto_seq}", "archive.compact", stamp,
            {"compaction": [row]},
        )  # fmt: skip
        with engine.begin() as conn:
            ledger.write(conn, act)
        filing.retire(root, {file.path for file in old})
    return row | {"files": len(old)}


def _refuse_open(conn: Connection, cluster: str, month: str) -> None:
    """Refuse a month in which a provider that charged for runs of it may still add to it."""
    charge, segment, contract = schema.charge, schema.segment, schema.contract
    closed = select(schema.closing.c.provider).where(schema.closing.c.month >= month)
    query = (
        select(contract.c.provider)
        .join(charge, charge.c.account == contract.c.account)
        .join(segment, segment.c.path == charge.c.path)
        .where(segment.c.cluster == cluster, segment.c.month == month)
        .where(contract.c.provider.not_in(closed))
        .distinct()
        .order_by(contract.c.provider)
    )
    still = conn.execute(query).scalars().all()
    if still:
        raise Refused(
            f"compact {month} of {cluster}: not closed by {', '.join(still)}; 0 may be open; run "
            f"svoucher close {month} first"
        )


def _must_be_sound(root: Path, segment: Segment) -> None:
    for problem in archive.verify(root, segment):
        raise InvariantBroken(f"archive: {problem}; run svoucher archive verify")


def _write(root: Path, cluster: str, month: str, segments: Sequence[Segment]) -> dict[str, Any]:
    """Write the file, compare what it has of each segment with the book; return its row."""
    folder = f"{filing.FOLDER}/cluster={cluster}/month={month}"
    partial = root / folder / f"compaction.{os.getpid()}.partial"
    unrated = 0
    with pq.ParquetWriter(partial, usage.STORED, **archive.WRITTEN) as writer:
        for rows in _groups(root, segments):
            unrated += grouping.with_status(rows, rating.UNRATED).num_rows
            writer.write_table(rows, row_group_size=GROUP_ROWS)
    sha256 = filing.sha256_of(partial)
    size_bytes = partial.stat().st_size
    path = f"{folder}/{sha256[:16]}.parquet"
    durable.take(root, partial, path)
    made = Segment(
        path,
        cluster,
        month,
        rows=sum(segment.rows for segment in segments),
        sha256=sha256,
        size_bytes=size_bytes,
        submit_min_s=min(segment.submit_min_s for segment in segments),
        submit_max_s=max(segment.submit_max_s for segment in segments),
        **{name: sum(getattr(s, name) for s in segments) for name in archive.SUMS},
    )
    for problem in archive.verify_within(root, made, segments):
        raise InvariantBroken(f"compact: {problem}; nothing was changed, try again")
    return {name: getattr(made, name) for name in COLUMNS} | {"unrated": unrated}


def _groups(root: Path, segments: Sequence[Segment]) -> Iterator[pa.Table]:
    """Yield the rows of segments one after the other, in tables of at most GROUP_ROWS."""
    waiting, count = [usage.STORED.empty_table()], 0
    for segment in segments:
        for rows in archive.batches(root, segment, usage.STORED.names, GROUP_ROWS):
            waiting.append(rows)
            count += rows.num_rows
            if count >= GROUP_ROWS:
                whole = _as_words(pa.concat_tables(waiting))
                full = count - count % GROUP_ROWS
                yield whole.slice(0, full)
                waiting, count = [whole.slice(full)], count - full
    if count:
        yield _as_words(pa.concat_tables(waiting))


def _as_words(table: pa.Table) -> pa.Table:
    """Give a table dictionaries of its own words alone, whatever it was put together from."""
    columns = [
        column.cast(pa.string()).combine_chunks().dictionary_encode()
        if pa.types.is_dictionary(column.type)
        else column.combine_chunks()
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, schema=usage.STORED)
