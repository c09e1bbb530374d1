"""The stored runs as the book lists them: which segments there are, and which rows count.

The archive is large: what is asked about some jobs is read one segment after the other, and only
the rows of these jobs are kept.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.errors import InvariantBroken
from accounting.rates import rating
from accounting.runs import archive, places, resized, usage
from accounting.runs.segment import Segment
from accounting.settle import grouping

KEY = (*usage.Keys._fields, "revision")
"""Columns that tell which rows count."""
_PLAIN = ["status", *grouping.SUMMED]
_NET = [*dict.fromkeys([*KEY, *_PLAIN])]
"""Columns of what `grouping.net` sums, and `superseded` looks up."""
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


def current(
    conn: Connection,
    root: Path,
    cluster: str,
    near: resized.Near | None = None,
    job_ids: pa.ChunkedArray | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the stored rows of a cluster, latest revisions only.

    Args:
        near: Leave files out that it does not need.
        job_ids: Leave runs of other jobs out. None: all.
        columns: Which columns, with those of KEY. None: all.
    """
    found = [f for f in places.files(conn, cluster=cluster) if near is None or near.has(f)]
    return archive.current(archive.read(root, found, columns, job_ids))


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
    lost = [usage.STORED.empty_table()]
    for file in places.with_unrated(conn):
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


Line = tuple[grouping.Group, str | None]
"""What a statement has a line for, and the refund that it is the credit of."""


@dataclass(frozen=True)
class Sums:
    """Sums of segments by account, each read and verified once: a close asks for every account.

    What a segment adds is what its rows cost, less those that they take the place of; it does not
    change, whatever is written later.
    """

    root: Path
    timezone: str
    _places: dict[str, Segment] = field(default_factory=dict)
    _known: dict[str, dict[str, list[grouping.Group]]] = field(default_factory=dict)

    def read(self, conn: Connection, unstated: Iterable[Mapping[str, Sequence[str]]]) -> None:
        """Read segments that were not read before, some beside each other.

        Args:
            conn: The book.
            unstated: Their paths, by month, as `known.unstated` tells them of each account.

        Raises:
            InvariantBroken: A file is missing, or is not what the book says.
        """
        paths = {path for by_month in unstated for some in by_month.values() for path in some}
        wanted = sorted(paths - self._known.keys())
        new = [
            segment
            for i in range(0, len(wanted), ledger.KEYS_MAX)
            for segment in segments(
                conn, schema.segment.c.path.in_(wanted[i : i + ledger.KEYS_MAX])
            )
        ]
        self._places.update((segment.path, segment) for segment in new)
        with ThreadPoolExecutor(THREADS) as pool:
            plain = zip(new, pool.map(self._plain, new), strict=True)
            self._known.update((one.path, found) for one, found in plain if found is not None)
        for segment in new:
            if segment.path not in self._known:
                rows = self._rows(segment, _NET)
                before = superseded(conn, self.root, rows)
                self._known[segment.path] = self._by_account(rows, before)

    def of(self, path: str, account: str) -> Sequence[grouping.Group]:
        """Return what a segment that was read adds for an account."""
        return self._known[path].get(account, ())

    def place(self, path: str) -> Segment:
        """Return a segment that was read."""
        return self._places[path]

    def _plain(self, segment: Segment) -> dict[str, list[grouping.Group]] | None:
        """Sum a segment up whose rows take the place of no others; None: they may."""
        if archive.has_revisions(self.root, segment):
            return None
        rows = self._rows(segment, _PLAIN)
        return self._by_account(rows, rows.slice(0, 0))

    def _rows(self, segment: Segment, columns: Sequence[str]) -> pa.Table:
        rows = archive.read(self.root, [segment], [*dict.fromkeys([*columns, *archive.VERIFIED])])
        for problem in archive.verify(self.root, segment, rows):
            raise InvariantBroken(f"archive: {problem}; run svoucher audit")
        return rows

    def _by_account(self, rows: pa.Table, before: pa.Table) -> dict[str, list[grouping.Group]]:
        found: dict[str, list[grouping.Group]] = {}
        for group, account in grouping.net(rows, before, self.timezone):
            found.setdefault(account, []).append(group)
        return found


def groups(
    conn: Connection,
    sums: Sums,
    account: str,
    month: str,
    paths: Sequence[str],
    refunds: Mapping[str, tuple[object, ...]],
) -> list[Line]:
    """Sum an account's runs of a month in some segments, net of corrections.

    Args:
        conn: The book.
        sums: What segments add; these were read.
        account: Whose.
        month: In which they ended.
        paths: The segments.
        refunds: Key of the run of each refund that has to stand apart, by its id.
    """
    parts = [group for path in paths for group in sums.of(path, account)]
    credits_: list[Line] = []
    found = [sums.place(path) for path in paths]
    for refund, key in refunds.items():
        job = pa.chunked_array([pa.array([key[1]], pa.int64())])
        rows = archive.read(sums.root, found, job_ids=job)
        before = superseded(conn, sums.root, rows)
        apart = grouping.net(
            rows.filter(_is_run(rows, key)), before.filter(_is_run(before, key)), sums.timezone
        )
        own = [each for each, whose in apart if (whose, each.month) == (account, month)]
        credits_ += [(each, refund) for each in own]
        parts += [grouping.negative(each) for each in own]
    plain = [each for each in grouping.added(parts) if each.month == month]
    return [*((each, None) for each in plain), *credits_]


def _is_run(rows: pa.Table, key: tuple[object, ...]) -> pa.ChunkedArray:
    """Mark the revisions of a run."""
    same = pc.equal(rows.column("cluster").cast(pa.string()), key[0])
    for name, value in zip(usage.Keys._fields[1:], key[1:], strict=True):
        same = pc.and_(same, pc.fill_null(pc.equal(rows.column(name), value), False))
    return same
