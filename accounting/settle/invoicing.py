"""What the provider's tax software needs to make an invoice (发票), and the number it gave.

We never issue one.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import schema
from accounting.book.ledger import Entry, Stamp, lock, write
from accounting.errors import Refused
from accounting.money import yuan
from accounting.policy import Policy
from accounting.settle import statements
from accounting.vouchers.registry import find


def request(conn: Connection, statement_id: str, policy: Policy) -> dict[str, Any]:
    """Return an invoice request (开票申请) over a statement's cash part, amounts in yuan.

    Lines are gross; the tax is split once, over their sum.

    Raises:
        InvalidInput: No such statement.
        Refused: It has no cash part.
    """
    statement = find(conn, "statement", id=statement_id)
    contract = find(conn, "contract", account=statement.account)
    amounts = _split(statement, policy)
    unit, provider = (
        find(conn, "unit", id=contract.unit),
        find(conn, "provider", id=contract.provider),
    )
    return {
        "statement": statement_id,
        "contract": contract.id,
        "seller": provider.name,
        "buyer": unit.name,
        "buyer_credit_code": unit.credit_code,
        "lines": [
            {
                "what": " ".join(filter(None, (line["cluster"], line["partition"], line["chip"]))),
                "gross": yuan(line["cash_fen"]),
            }
            for line in statements.lines(conn, statement_id)
        ],
        "gross": yuan(amounts["gross_fen"]),
        "net": yuan(amounts["net_fen"]),
        "tax": yuan(amounts["tax_fen"]),
    }


def record(
    conn: Connection, statement_id: str, number: str, policy: Policy, stamp: Stamp
) -> Mapping[str, int]:
    """Record the number of the invoice (发票) that the provider made over the cash part.

    Returns:
        gross_fen, net_fen and tax_fen.

    Raises:
        InvalidInput: No such statement.
        Refused: The statement has no cash part to invoice, or another invoice, or the number is
            another statement's.
    """
    lock(conn)
    statement = find(conn, "statement", id=statement_id)
    amounts = _split(statement, policy)
    day = period.day_of(stamp.effective_s, policy.timezone).isoformat()
    row = {"number": number, "statement": statement_id, "recorded_on": day} | amounts
    same = (schema.invoice.c.number == number) | (schema.invoice.c.statement == statement_id)
    known = conn.execute(select(schema.invoice).where(same)).all()
    for other in known:
        if (other.number, other.statement) != (number, statement_id):
            raise Refused(
                f"invoice {number}: {other.statement} has invoice {other.number} already; one "
                "statement has one invoice"
            )
    if not known:
        write(conn, Entry(f"invoice:{number}", "invoice.record", stamp, {"invoice": [row]}))
    return amounts


def _split(statement: Any, policy: Policy) -> dict[str, int]:
    """Split a statement's cash part, which includes the tax, into net and tax.

    Returns:
        gross_fen, net_fen and tax_fen.

    Raises:
        Refused: The statement has no cash part.
    """
    gross_fen = statement.cash_fen
    if gross_fen <= 0:
        raise Refused(
            f"statement {statement.id}: the unit's part is {yuan(gross_fen)} yuan, an invoice "
            "needs more than 0.00; there is nothing to invoice"
        )
    net_fen = money.half_up(gross_fen * money.BP, money.BP + policy.vat_bp)
    return {"gross_fen": gross_fen, "net_fen": net_fen, "tax_fen": gross_fen - net_fen}
