"""The stored runs as the book lists them: which segments there are, and which rows count.

The archive is large: what is asked about some jobs is read one segment after the other, and only
the rows of these jobs are kept.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.rates import rating
from accounting.runs import archive, places, resized, usage
from accounting.runs.segment import Segment
from accounting.settle import grouping

KEY = (*usage.Keys._fields, "revision")
"""Columns that tell which rows count."""
_NAMES = ["cluster", "job", "job_id", "submit_s"]
THREADS = min(4, os.cpu_count() or 1)
_NUMBER = re.compile(r"[0-9]{1,18}")


def segments(conn: Connection, *where: object, **filters: object) -> list[Segment]:
    """List segments of the archive, in the order in which they were written; what reads all of
    it reads `places.files`.

    Args:
        where: Conditions on their columns.
        filters: Columns that have a value.
    """
    query = select(*places.SEGMENT).filter_by(**filters).order_by(schema.segment.c.seq)
    query = query.where(*where)  # type: ignore[arg-type]
    return places.placed(conn, conn.execute(query).mappings().all())


def revisions(
    conn: Connection, root: Path, runs: pa.Table, also: Sequence[Segment] = ()
) -> pa.Table:
    """Return all revisions of runs that are stored, and maybe rows of other runs of their jobs.

    Args:
        also: Segments that the book has not heard of yet.
    """
    parts = [usage.STORED.empty_table()]
    for cluster in runs.column("cluster").unique().to_pylist():
        own = runs.filter(pc.equal(runs.column("cluster").cast(pa.string()), cluster))
        submits = pc.min_max(own.column("submit_s")).as_py()
        near = resized.Near(submits["min"], submits["max"], frozenset())
        known = [*places.files(conn, cluster=cluster), *(s for s in also if s.cluster == cluster)]
        found = [s for s in known if near.has(s)]
        parts.append(archive.read(root, found, job_ids=own.column("job_id")))
    return pa.concat_tables(parts).unify_dictionaries()


def of_job(conn: Connection, root: Path, job: str, cluster: str | None = None) -> pa.Table:
    """Return the stored rows of a job, latest revisions only.

    Args:
        job: Slurm's own number, or the job as people see it: 16_2.
        cluster: Where. None: anywhere.
    """
    named = [usage.STORED.empty_table().select(_NAMES)]
    for file in places.files(conn, **({} if cluster is None else {"cluster": cluster})):
        rows = archive.read(root, [file], _NAMES)
        named.append(rows.filter(_is_job(rows, job)))
    rows = archive.current(revisions(conn, root, pa.concat_tables(named).unify_dictionaries()))
    return rows.filter(_is_job(rows, job))


def _is_job(rows: pa.Table, job: str) -> pa.ChunkedArray:
    named = pc.equal(rows.column("job"), job)
    if _NUMBER.fullmatch(job):
        named = pc.or_(named, pc.equal(rows.column("job_id"), int(job)))
    return named


def superseded(
    conn: Connection, root: Path, rows: pa.Table, also: Sequence[Segment] = ()
) -> pa.Table:
    """Return the stored rows that changed rows take the place of; `also` as for `revisions`."""
    again = rows.filter(pc.greater(rows.column("revision"), 0))
    return grouping.superseded(again, revisions(conn, root, again, also))


def unrated(conn: Connection, root: Path, ended_before_s: int | None = None) -> pa.Table:
    """Return the stored rows that have no price, of all clusters."""
    lost, files = [usage.STORED.empty_table()], places.with_unrated(conn)
    if not files:
        return lost[0]
    for file in files:
        for rows in archive.batches(root, file, usage.STORED.names):
            lost.append(grouping.with_status(rows, rating.UNRATED))
    were = pa.concat_tables(lost).unify_dictionaries()
    rows = grouping.with_status(archive.current(revisions(conn, root, were)), rating.UNRATED)
    if ended_before_s is not None:
        rows = rows.filter(pc.less(rows.column("end_s"), ended_before_s))
    return rows


def charged(
    conn: Connection,
    root: Path,
    account: str,
    month: str,
    span: tuple[int, int | None],
    timezone: str,
) -> pa.Table:
    """Return an account's charged runs of a month, each with its latest revision, by their ends.

    Args:
        conn: The book.
        root: Root of the archive.
        account: Whose.
        month: In which they ended.
        span: After which entry their segments were written, and up to which; None: up to the last.
        timezone: Where months begin.
    """
    table, charge = schema.segment, schema.charge
    query = (
        select(*places.SEGMENT)
        .join(charge, charge.c.path == table.c.path)
        .where(charge.c.account == account, charge.c.month == month, table.c.seq > span[0])
        .order_by(table.c.seq, table.c.path)
    )
    if span[1] is not None:
        query = query.where(table.c.seq <= span[1])
    found = places.placed(conn, conn.execute(query).mappings().all())
    jobs = [usage.STORED.empty_table().column("job_id")]
    for named in archive.parts(root, found, ["job_id", "account"]):
        # one after the other: a month of all accounts is large
        jobs.append(named.filter(_is(named, account)).column("job_id"))
    ids = pa.chunked_array([chunk for column in jobs for chunk in column.chunks], pa.int64())
    rows = archive.read(root, found, job_ids=ids)
    rows = rows.filter(pa.array(~grouping.outdated(rows, rows)))
    rows = grouping.with_status(rows, rating.CHARGED)
    rows = rows.filter(pc.equal(grouping.months_of(rows, timezone), month))
    rows = rows.filter(_is(rows, account))
    keys = usage.keys(rows)
    return rows.take(pa.array(usage.key_order([usage.numbers(rows.column("end_s")), *keys])))


def _is(rows: pa.Table, account: str) -> pa.ChunkedArray:
    """Mark the rows of an account."""
    return pc.fill_null(pc.equal(rows.column("account").cast(pa.string()), account), False)
