"""Watermarks: the instant up to which each cluster's runs are all taken in."""

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection

from accounting.book import schema


def by_cluster(conn: Connection, sweep: str = "ended") -> dict[str, int]:
    """Return the instant up to which a kind of sweep has collected each cluster."""
    table = schema.watermark
    query = select(table.c.cluster, func.max(table.c.until_s)).where(table.c.sweep == sweep)
    return {row[0]: row[1] for row in conn.execute(query.group_by(table.c.cluster))}


def advance(conn: Connection, cluster: str, sweep: str, until_s: int) -> None:
    """Move a watermark on; it never moves back."""
    table = schema.watermark
    was = by_cluster(conn, sweep).get(cluster)
    if was is None:
        row = {"cluster": cluster, "sweep": sweep, "until_s": until_s}
        conn.execute(insert(table), row)
    elif was < until_s:
        where = (table.c.cluster == cluster) & (table.c.sweep == sweep)
        conn.execute(update(table).where(where).values(until_s=until_s))
