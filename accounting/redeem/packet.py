"""The evidence that a redemption claim carries: papers, invoices, and the runs behind them.

The same claim makes the same bytes, so that their hash, which the book keeps, can be compared
by whoever reviews it.
"""

import hashlib
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import canonical, hash_of, identity
from accounting.money import yuan
from accounting.redeem import redemption
from accounting.runs.segment import Segment
from accounting.vouchers.registry import find


def build(conn: Connection, claim_id: str) -> str:
    """Return a claim's packet as canonical JSON, one line.

    Raises:
        InvalidInput: No such claim.
    """
    claim = redemption.find_claim(conn, claim_id)
    lines = redemption.claim_lines(conn, claim_id)
    papers = sorted({str(line["statement"]) for line in lines})
    book = identity(conn)
    packet = {
        "claim": claim_id,
        "book": book.book_id,
        "rehearsal": book.rehearsal,
        "provider": claim["provider"],
        "quarter": claim["quarter"],
        "amount": yuan(claim["amount_fen"]),
        "lines": [{"line": line["line"], "amount": yuan(line["amount_fen"])} for line in lines],
        "statements": [_statement(conn, paper) for paper in papers],
    }
    return canonical(packet) + "\n"


def sha256(packet: str) -> str:
    """Return the hash of a packet, as the book keeps it."""
    return hashlib.sha256(packet.encode()).hexdigest()


def _statement(conn: Connection, statement_id: str) -> dict[str, Any]:
    paper = find(conn, "statement", id=statement_id)
    invoice = conn.execute(
        select(schema.invoice.c.number).filter_by(statement=statement_id)
    ).scalar()
    contract = find(conn, "contract", account=paper.account)
    return {
        "statement": statement_id,
        "unit": contract.unit,
        "contract": contract.id,
        "account": paper.account,
        "month": paper.month,
        "fee": yuan(paper.fee_fen),
        "deduction": yuan(paper.deduction_fen),
        "cash": yuan(paper.cash_fen),
        "invoice": invoice,
        "entry": paper.seq,
        "entry_hash": hash_of(conn, paper.seq),
        "usage": _segments(conn, paper.account, paper.upto_seq),
    }


def _segments(conn: Connection, account: str, upto_seq: int) -> list[dict[str, Any]]:
    """List the segments with an account's runs up to a statement, each with its hash."""
    table = schema.segment
    query = (
        select(table)
        .join(schema.charge, schema.charge.c.path == table.c.path)
        .where(schema.charge.c.account == account, table.c.seq <= upto_seq)
        .distinct()
        .order_by(table.c.path)
    )
    names = [name for name in Segment.__slots__ if name in ("path", "sha256", "rows")]
    return [{name: row[name] for name in names} for row in conn.execute(query).mappings()]
