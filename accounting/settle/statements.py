"""Statements (结算单) as the book keeps them: read, never worked out."""

from collections.abc import Collection
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


def of_usage(conn: Connection, accounts: Collection[str]) -> dict[tuple[str, str], list[Any]]:
    """Return the statements that have usage of accounts, by account and usage month in order.

    Each has an `id`, and the last entry whose runs are on it: `upto_seq`.
    """
    paper, line = schema.statement.c, schema.statement_line.c
    query = (
        select(paper.account, line.usage_month, paper.id, paper.upto_seq)
        .join(schema.statement, paper.id == line.statement)
        .where(paper.account.in_(sorted(accounts)))
        .distinct()
        .order_by(paper.upto_seq)
    )
    found: dict[tuple[str, str], list[Any]] = {}
    for row in conn.execute(query):
        found.setdefault((row.account, row.usage_month), []).append(row)
    return found
