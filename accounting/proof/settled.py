"""What statements, refunds and invoices say of each other: rules of the audit over their papers.

The list of all rules is in audit.py.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.errors import VoucherError
from accounting.proof.evidence import Books, Found
from accounting.settle import invoicing


def by_month(conn: Connection, statement: str) -> Found:
    """What a statement says that vouchers bore by month is what they bore of it."""
    part, line = schema.deduction_month, schema.statement_line
    here = part.c.statement == statement
    if conn.execute(select(part.c.seq).where(here).limit(1)).scalar() is None:
        return  # it draws from one voucher, and its lines say of which month
    by_month = sums_by(conn, part.c.usage_month, part.c.amount_fen, here)
    of_lines = sums_by(
        conn, line.c.usage_month, line.c.deduction_fen, line.c.statement == statement
    )
    drawn = schema.deduction.c.statement == statement
    of_vouchers = sums_by(conn, schema.deduction.c.voucher, schema.deduction.c.amount_fen, drawn)
    if (
        by_month != of_lines
        or sums_by(conn, part.c.voucher, part.c.amount_fen, here) != of_vouchers
    ):
        yield f"statement {statement}", "what its vouchers bore by month does not add up"


def refunds(books: Books) -> Found:
    """A run is credited once, on its own account, for what was recorded and no less."""
    refund, share, line = schema.refund, schema.refund_share, schema.statement_line
    shares = sums_by(books.conn, share.c.refund, share.c.amount_fen)
    credits_: dict[str, list[Any]] = {}
    paper = line.join(schema.statement, schema.statement.c.id == line.c.statement)
    query = select(line, schema.statement.c.account).select_from(paper)
    for row in books.conn.execute(query.where(line.c.refund.is_not(None))):
        credits_.setdefault(row.refund, []).append(row)
    for row in books.conn.execute(select(refund)):
        subject, found = f"refund {row.id}", credits_.pop(row.id, [])
        borne_fen = shares.get(row.id, 0)
        if borne_fen != row.deduction_fen:
            yield subject, f"{row.deduction_fen} fen are recorded, vouchers bore {borne_fen}"
        if len(found) > (row.line is not None):
            yield subject, f"is credited {len(found)} times; recorded on line {row.line}"
        for credit in found:
            if (credit.account, credit.charge_micro) != (row.account, -row.charge_micro):
                yield subject, f"line {credit.id} credits another account or charge"
            if credit.deduction_fen > -borne_fen:
                yield subject, f"line {credit.id} gives {-credit.deduction_fen} fen back, not all"


def invoices(books: Books) -> Found:
    """Each invoice is over what its statement has to invoice, each red one over what it credits."""
    conn, policy = books.conn, books.policy
    for row in conn.execute(select(schema.invoice)):
        expected = _or_none(invoicing.amounts, conn, row.statement, policy)
        yield from _invoiced(f"invoice {row.number}", row, expected)
    for row in conn.execute(select(schema.red_invoice)):
        by_invoice = _or_none(invoicing.red_amounts, conn, row.statement, policy, row.seq)
        expected = (by_invoice or {}).get(row.invoice)
        yield from _invoiced(f"red-letter invoice {row.number}", row, expected)


def _or_none(work: Callable[..., Any], *given: Any) -> Any:
    """Return what is worked out, or None where the rules say that there is nothing."""
    try:
        return work(*given)
    except VoucherError:
        return None


def _invoiced(subject: str, row: Any, expected: Mapping[str, int] | None) -> Found:
    if expected is None:
        yield subject, f"says {row.gross_fen} fen, its statement has nothing to invoice"
    elif expected != {name: getattr(row, name) for name in expected}:
        yield subject, f"says {row.gross_fen} fen gross, {expected} belongs to its statement"


def sums_by(conn: Connection, by: Any, column: Any, *where: Any) -> dict[str, int]:
    """Sum a column by another one; sums of nothing are left out."""
    rows = conn.execute(select(by, func.sum(column)).where(*where).group_by(by))
    return {key: int(total) for key, total in rows if total}


def sum_where(conn: Connection, column: Any, **where: object) -> int:
    """Sum a column over the rows that have given values."""
    query = select(func.coalesce(func.sum(column), 0))
    for name, value in where.items():
        query = query.where(column.table.c[name] == value)
    return int(conn.execute(query).scalar_one())
