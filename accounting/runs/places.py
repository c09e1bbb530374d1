"""Which file of the archive has the rows of which segment, as the book says.

A segment is what one entry added and is never changed: charges, statements and claims are about
segments. Compaction moves the rows of many into one file, in the order of (entry, path), so that
where each begins is the number of rows before it. Whoever reads everything reads files; whoever
asks what an entry added reads segments.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.runs.segment import COLUMNS, Segment, Within

SEGMENT = (schema.segment.c.seq, *(schema.segment.c[name] for name in COLUMNS))
"""What `placed` needs of a segment."""


def placed(conn: Connection, rows: Iterable[Any]) -> list[Segment]:
    """Make segments of rows with the columns of SEGMENT, each with the file that it is in now."""
    latest = {(row["cluster"], row["month"]): row for row in _compactions(conn)}
    offsets: dict[str, dict[str, int]] = {}
    found = []
    for row in rows:
        into = latest.get((row["cluster"], row["month"]))
        within = None
        if into is not None and row["seq"] <= into["upto_seq"]:
            if into["path"] not in offsets:
                offsets[into["path"]] = _offsets(conn, into)
            within = Within(into["path"], into["sha256"], offsets[into["path"]][row["path"]])
        found.append(Segment(**{name: row[name] for name in COLUMNS}, within=within))
    return found


def files(conn: Connection, **filters: object) -> list[Segment]:
    """List the files that hold all rows of the archive, each as the one segment that it is.

    Args:
        conn: The book.
        filters: Columns that have a value.
    """
    single = select(*SEGMENT).where(~_is_compacted()).filter_by(**filters)
    table = schema.compaction
    large = select(table).where(~_is_outdated()).filter_by(**filters)
    rows = [*conn.execute(single).mappings(), *conn.execute(large).mappings()]
    rows.sort(key=lambda row: (row["seq"], row["path"]))
    return [Segment(**{name: row[name] for name in COLUMNS}) for row in rows]


def with_unrated(conn: Connection) -> list[Segment]:
    """List the files in which a run stands that has, or had, no price."""
    some = set()
    for table in (schema.segment, schema.compaction):
        some |= set(conn.execute(select(table.c.path).where(table.c.unrated > 0)).scalars())
    return [file for file in files(conn) if file.path in some] if some else []


def retired(conn: Connection) -> set[str]:
    """Return the paths of files whose rows stand in a larger one by now."""
    paths = set(conn.execute(select(schema.segment.c.path).where(_is_compacted())).scalars())
    return paths | set(
        conn.execute(select(schema.compaction.c.path).where(_is_outdated())).scalars()
    )


def _compactions(conn: Connection) -> Sequence[Any]:
    """Return the compactions that are not outdated."""
    return conn.execute(select(schema.compaction).where(~_is_outdated())).mappings().all()


def _is_compacted() -> Any:
    """Say in SQL that the rows of a segment stand in a larger file."""
    own, into = schema.segment.c, schema.compaction.c
    same = (into.cluster == own.cluster) & (into.month == own.month) & (into.upto_seq >= own.seq)
    return select(into.path).where(same).correlate(schema.segment).exists()


def _is_outdated() -> Any:
    """Say in SQL that the rows of a compaction stand in a later one."""
    own, later = schema.compaction.c, schema.compaction.alias().c
    same = (later.cluster == own.cluster) & (later.month == own.month)
    return (
        select(later.path)
        .where(same, later.upto_seq > own.upto_seq)
        .correlate(schema.compaction)
        .exists()
    )


def _offsets(conn: Connection, into: Any) -> dict[str, int]:
    """Return where in a compaction the rows of each of its segments begin."""
    first_row, found = 0, {}
    for row in conn.execute(of_compaction(into["cluster"], into["month"], into["upto_seq"])):
        found[row.path] = first_row
        first_row += row.rows
    return found


def of_compaction(cluster: str, month: str, upto_seq: int) -> Any:
    """Return the query for the segments of a compaction, in the order of their rows in it."""
    table = schema.segment.c
    query = select(*SEGMENT).where(table.cluster == cluster, table.month == month)
    return query.where(table.seq <= upto_seq).order_by(table.seq, table.path)


def segments_in(conn: Connection, file: Segment) -> list[Segment]:
    """Return the segments that stand in a file, in the order of their rows in it."""
    query = select(schema.compaction).filter_by(path=file.path)
    into = conn.execute(query).mappings().one_or_none()
    if into is None:
        return [file]
    rows = conn.execute(of_compaction(into["cluster"], into["month"], into["upto_seq"]))
    return placed(conn, rows.mappings().all())


def entries(conn: Connection, file: Segment) -> list[tuple[int, int]]:
    """Return where in a file the rows of each of its segments begin, and the segment's entry."""
    table = schema.segment.c
    query = select(schema.compaction).filter_by(path=file.path)
    into = conn.execute(query).mappings().one_or_none()
    if into is None:
        seq = conn.execute(select(table.seq).where(table.path == file.path)).scalar_one()
        return [(0, int(seq))]
    found, first_row = [], 0
    for row in conn.execute(of_compaction(into["cluster"], into["month"], into["upto_seq"])):
        found.append((first_row, int(row.seq)))
        first_row += row.rows
    return found


def last_seq(conn: Connection, cluster: str, month: str) -> int | None:
    """Return the last entry that added runs of a cluster and month, or None."""
    table = schema.segment.c
    query = select(func.max(table.seq)).where(table.cluster == cluster, table.month == month)
    seq: int | None = conn.execute(query).scalar()
    return seq
