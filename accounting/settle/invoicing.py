"""What the provider's tax software needs to make an invoice (发票); we never issue one."""

from typing import Any

from sqlalchemy.engine import Connection

from accounting.money import yuan
from accounting.policy import Policy
from accounting.settle.settlement import invoiced, lines_of
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
    amounts = invoiced(statement, policy)
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
            for line in lines_of(conn, statement_id)
        ],
        "gross": yuan(amounts["gross_fen"]),
        "net": yuan(amounts["net_fen"]),
        "tax": yuan(amounts["tax_fen"]),
    }
