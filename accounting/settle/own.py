"""The runs of one user, or of one job, with the statement that each is on.

Who asks after a few runs of an archive of many millions waits for these alone.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.rates import rating
from accounting.runs import picking, places, usage
from accounting.runs.picking import Found, Wanted
from accounting.runs.segment import Segment
from accounting.settle import statements

RUNS_MAX = 100
"""How many runs of one job are looked at, the newest: it may have been requeued for ever."""

NEEDED = (*usage.Keys._fields, "end_s", "account", "status")
"""Columns that say in which order runs come, and on which statement."""

_PART = re.compile(r"(\d{1,18})[_+].{1,64}", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True)
class Runs:
    """Rows of the archive, latest revisions only.

    Attributes:
        rows: Columns of STORED.
        statement: On which statement each is, by its id. None: on none.
    """

    rows: pa.Table
    statement: Sequence[str | None]


@dataclass(frozen=True)
class Asked:
    """Which runs; what is None says nothing.

    Attributes:
        uid: Whose.
        ended: When they ended, half-open.
        account: Of which voucher account.
        cluster: Of which cluster.
        most: How many at most.
    """

    uid: int | None = None
    ended: tuple[int, int] | None = None
    account: str | None = None
    cluster: str | None = None
    most: int | None = None


def ended(
    conn: Connection,
    root: Path,
    asked: Asked,
    timezone: str,
    columns: Sequence[str] = usage.STORED.names,
) -> tuple[Runs, bool]:
    """Return runs in the order in which they ended, the newest of them if there are too many.

    Args:
        columns: What to read of them, with those of NEEDED.

    Returns:
        The runs, and whether there are more.
    """
    named = (("account", asked.account),) if asked.account else ()
    wanted = Wanted(asked.uid, ended=asked.ended, named=named)
    most = sys.maxsize if asked.most is None else asked.most
    chosen: list[tuple[int, Segment, int]] = []
    for cluster in [asked.cluster] if asked.cluster else clusters(conn):
        files = places.files(conn, cluster=cluster)
        again = list(picking.find(root, files, Wanted(asked.uid, again=True)))
        inside = _within(files, asked.ended, timezone)
        inside = sorted(inside, key=lambda file: picking.last_end(root, file), reverse=True)
        for file in inside:
            if len(chosen) > most and picking.last_end(root, file) < chosen[0][0]:
                break  # all that are left ended before those that are chosen
            chosen += _current(list(picking.find(root, [file], wanted)), again)
            if len(chosen) > most:
                chosen = sorted(chosen, key=_end)[-most - 1 :]
    chosen.sort(key=_end)
    return _taken(conn, root, chosen[-most:], timezone, columns), len(chosen) > most


def _end(one: tuple[int, Segment, int]) -> int:
    return one[0]


def _within(
    files: Sequence[Segment], ended_: tuple[int, int] | None, timezone: str
) -> Sequence[Segment]:
    """Return the files of the months that a time touches."""
    if ended_ is None:
        return files
    first, last = (period.month_of(at_s, timezone) for at_s in (ended_[0], ended_[1] - 1))
    return [file for file in files if first <= file.month <= last]


def of_job(
    conn: Connection,
    root: Path,
    job: str,
    timezone: str,
    uid: int | None = None,
    cluster: str | None = None,
) -> tuple[Runs, bool]:
    """Return the runs of a job in the order in which they ended, the newest if there are too many.

    Args:
        job: Slurm's own number, or the job as people see it: 16_2.
        uid: Whose alone. None: whoever's.
        cluster: Where. None: anywhere.

    Returns:
        The runs, and whether there are ones of the job's number that are somebody else's.
    """
    part = _PART.fullmatch(job)
    number = int(part[1]) if part else int(job) if _NUMBER.fullmatch(job) else None
    wanted = Wanted(uid, number)
    if part or number is None:
        # a task has a number of its own, which is not that of its array and not below it
        wanted = Wanted(uid, job_from=number, named=(("job", job),))
    chosen: list[tuple[int, Segment, int]] = []
    others = False
    for name in [cluster] if cluster else clusters(conn):
        files = places.files(conn, cluster=name)
        chosen += _current(list(picking.find(root, files, wanted)), [])
        if uid is not None and number is not None:
            for each in picking.find(root, files, Wanted(job_id=number)):
                users = usage.numbers(each.key.column("uid"), usage.NEVER)
                others = others or bool((users != uid).any())
    return _taken(conn, root, sorted(chosen, key=_end)[-RUNS_MAX:], timezone), others


def clusters(conn: Connection) -> Sequence[str]:
    """List the clusters that there are runs of."""
    query = select(schema.segment.c.cluster).distinct().order_by(schema.segment.c.cluster)
    return conn.execute(query).scalars().all()


def _current(found: Sequence[Found], again: Sequence[Found]) -> list[tuple[int, Segment, int]]:
    """Return end, file and place of the rows that count, of those found in one cluster.

    Args:
        again: All rows of the cluster that may take the place of these; they do not count by
            themselves.
    """
    there = {each.file.path: each.place for each in found}
    none = np.zeros(0, np.int64)
    later = [
        each.key.filter(pa.array(~np.isin(each.place, there.get(each.file.path, none))))
        for each in again
    ]
    if not found:
        return []
    marks = picking.latest(pa.concat_tables([*(each.key for each in found), *later]))
    chosen, begin = [], 0
    for each in found:
        counts = np.flatnonzero(marks[begin : begin + len(each.place)])
        ends = usage.numbers(each.key.column("end_s"))[counts].tolist()
        chosen += [
            (end_s, each.file, place)
            for end_s, place in zip(ends, each.place[counts].tolist(), strict=True)
        ]
        begin += len(each.place)
    return chosen


def _taken(
    conn: Connection,
    root: Path,
    chosen: Sequence[tuple[int, Segment, int]],
    timezone: str,
    columns: Sequence[str] = usage.STORED.names,
) -> Runs:
    """Read the rows that were chosen, in the order of their ends."""
    by_file: dict[Segment, list[int]] = {}
    for _, file, place in chosen:
        by_file.setdefault(file, []).append(place)
    some = [name for name in usage.STORED.names if name in (*columns, *NEEDED)]
    schema_ = pa.schema([usage.STORED.field(name) for name in some])
    parts, entries = [schema_.empty_table()], [np.zeros(0, np.int64)]
    for file, listed in by_file.items():
        where = np.sort(np.array(listed))
        parts.append(picking.take(root, file, where, some))
        begins, seqs = (
            np.array(column) for column in zip(*places.entries(conn, file), strict=True)
        )
        entries.append(seqs[np.searchsorted(begins, where, "right") - 1])
    rows = pa.concat_tables(parts).unify_dictionaries()
    entry = np.concatenate(entries)
    order = usage.key_order([usage.numbers(rows.column("end_s"))], *usage.keys(rows))
    rows = rows.take(pa.array(order))
    return Runs(rows, _statements(conn, rows, entry[order].tolist(), timezone))


def _statements(
    conn: Connection, rows: pa.Table, entry: Sequence[int], timezone: str
) -> list[str | None]:
    """Return on which statement each run is: the first one of its month that has its entry."""
    listed = (usage.values(rows.column(name)) for name in ("account", "end_s", "status"))
    runs = list(zip(*listed, entry, strict=True))
    papers = statements.of_usage(conn, {account for account, *_ in runs if account is not None})
    found: list[str | None] = []
    for account, end_s, status, seq in runs:
        month = period.month_of(end_s, timezone)
        own = papers.get((account, month), []) if status == rating.CHARGED else []
        found.append(next((paper.id for paper in own if seq <= paper.upto_seq), None))
    return found


def beside(conn: Connection, account: str, month: str) -> int:
    """Count the runs in the segments that have charges of an account in a month."""
    segment, charge = schema.segment.c, schema.charge.c
    query = select(func.sum(segment.rows)).join(schema.charge, charge.path == segment.path)
    query = query.where(charge.account == account, charge.month == month)
    return int(conn.execute(query).scalar() or 0)
