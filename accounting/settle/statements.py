"""Statements (结算单) as the book keeps them: read, never worked out."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema


def listed(conn: Connection, **filters: object) -> list[dict[str, Any]]:
    """List statements with their unit and provider, in the order in which they were written."""
    query = (
        select(schema.statement, schema.contract.c.unit, schema.contract.c.provider)
        .join(schema.contract, schema.contract.c.account == schema.statement.c.account)
        .order_by(schema.statement.c.seq)
    )
    for name, value in filters.items():
        table = schema.statement if name in schema.statement.c else schema.contract
        query = query.where(table.c[name] == value)
    return [dict(row) for row in conn.execute(query).mappings()]


def lines(conn: Connection, statement_id: str) -> list[dict[str, Any]]:
    """List the lines of a statement."""
    table = schema.statement_line
    query = select(table).where(table.c.statement == statement_id)
    rows = [dict(row) for row in conn.execute(query).mappings()]
    return sorted(rows, key=lambda row: int(row["id"].rpartition("/")[2]))
