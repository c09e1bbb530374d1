"""What the provider's tax software needs to make an invoice (发票), and the number it gave.

We never issue one.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import schema
from accounting.book.ledger import NEVER_SEQ, Entry, Stamp, lock, write
from accounting.errors import Refused
from accounting.money import yuan
from accounting.policy import Policy
from accounting.settle import statements
from accounting.vouchers.registry import find


def request(conn: Connection, statement_id: str, policy: Policy) -> dict[str, Any]:
    """Return an invoice request (开票申请) over a statement's cash part, or its fee; in yuan.

    Lines are gross; the tax is split once, over their sum.

    Raises:
        InvalidInput: No such statement.
        Refused: It has nothing to invoice.
    """
    statement = find(conn, "statement", id=statement_id)
    contract = find(conn, "contract", account=statement.account)
    split = amounts(conn, statement_id, policy)
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
                "gross": yuan(line[_BASIS[policy.invoice_basis]]),
            }
            for line in statements.lines(conn, statement_id)
            if line["refund"] is None
        ],
        "gross": yuan(split["gross_fen"]),
        "net": yuan(split["net_fen"]),
        "tax": yuan(split["tax_fen"]),
    }


def record(
    conn: Connection, statement_id: str, number: str, policy: Policy, stamp: Stamp
) -> Mapping[str, int]:
    """Record the number of the invoice (发票) that the provider made over the cash part, or over
    the whole fee where the rules say so.

    Returns:
        gross_fen, net_fen and tax_fen.

    Raises:
        InvalidInput: No such statement.
        Refused: The statement has no cash part to invoice, or another invoice, or the number is
            another statement's.
    """
    lock(conn)
    split = amounts(conn, statement_id, policy)
    day = period.day_of(stamp.effective_s, policy.timezone).isoformat()
    row = {"number": number, "statement": statement_id, "recorded_on": day} | split
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
    return split


def record_red(
    conn: Connection,
    statement_id: str,
    number: str,
    original: str | None,
    policy: Policy,
    stamp: Stamp,
) -> Mapping[str, int]:
    """Record the number of the red-letter invoice (红字发票) over what a statement gives back.

    Args:
        conn: The book.
        statement_id: The statement with the credits.
        number: Of the red-letter invoice.
        original: Number of the invoice that it takes back of. None: the only one that it can be.
        policy: The rules.
        stamp: Who, when.

    Returns:
        gross_fen, net_fen and tax_fen, below zero.

    Raises:
        InvalidInput: No such statement.
        Refused: It gives nothing back, or not of that invoice, or not of one alone; or it has
            another red-letter invoice, or the number is another one's.
    """
    lock(conn)
    by_invoice = red_amounts(conn, statement_id, policy)
    if original is None and len(by_invoice) > 1:
        raise Refused(
            f"statement {statement_id}: takes back of invoices {', '.join(sorted(by_invoice))}; a "
            "red-letter invoice is over one, say which with --invoice"
        )
    original = original or next(iter(by_invoice))
    if original not in by_invoice:
        raise Refused(
            f"statement {statement_id}: takes nothing back of invoice {original}, but of "
            f"{', '.join(sorted(by_invoice))}; name one of them"
        )
    day = period.day_of(stamp.effective_s, policy.timezone).isoformat()
    row = {"number": number, "statement": statement_id, "invoice": original, "recorded_on": day}
    table = schema.red_invoice
    same = (table.c.statement == statement_id) & (table.c.invoice == original)
    known = conn.execute(select(table).where((table.c.number == number) | same)).all()
    for other in known:
        if (other.number, other.statement, other.invoice) != (number, statement_id, original):
            raise Refused(
                f"red-letter invoice {number}: {other.statement} has red-letter invoice "
                f"{other.number} already; one number is one invoice"
            )
    if not known:
        rows = {"red_invoice": [row | by_invoice[original]]}
        write(conn, Entry(f"invoice.red:{number}", "invoice.red", stamp, rows))
    return by_invoice[original]


_BASIS = {"net": "cash_fen", "gross": "fee_fen"}
"""What of a line is invoiced: the unit's part, or the whole fee."""


def red_amounts(
    conn: Connection, statement_id: str, policy: Policy, before_seq: int = NEVER_SEQ
) -> dict[str, dict[str, int]]:
    """Return what a statement takes back of each invoice: gross_fen, net_fen, tax_fen below zero.

    A refund takes back of the invoice of its run's statement; what an invoice has no room for, and
    a correction that leaves less than nothing to invoice, goes over the account's last ones.

    Args:
        conn: The book.
        statement_id: Which one.
        policy: The rules.
        before_seq: By invoices that were recorded before an entry.

    Raises:
        InvalidInput: No such statement.
        Refused: It takes nothing back, or what it takes back of is not recorded.
    """
    statement = find(conn, "statement", id=statement_id)
    rooms_fen = _rooms(conn, statement, before_seq)
    total = _refunded(conn, statement, policy)
    rest_fen = min(0, _invoiced_fen(conn, statement, policy))
    for number, fen in total.items():
        total[number] = max(fen, -rooms_fen.get(number, 0))
        rooms_fen[number] = rooms_fen.get(number, 0) + total[number]
        rest_fen += fen - total[number]
    for number, room_fen in rooms_fen.items():
        part_fen = max(rest_fen, -room_fen)
        total[number] += part_fen
        rest_fen -= part_fen
    if rest_fen:
        raise Refused(
            f"statement {statement.id}: {yuan(-rest_fen)} yuan are more than the invoices recorded "
            "before it have left to take back of; record the missing ones first"
        )
    found = {
        number: {name: -part for name, part in _split(-fen, policy).items()}
        for number, fen in total.items()
        if fen
    }
    if not found:
        raise Refused(
            f"statement {statement.id} has no credit, a red-letter invoice needs one; record an "
            "invoice instead"
        )
    return found


def _refunded(conn: Connection, statement: Any, policy: Policy) -> Counter[str]:
    """Sum what a statement's credits take back, below zero, by the invoice of their statement."""
    total: Counter[str] = Counter()
    for line in statements.lines(conn, statement.id):
        if line["refund"] is not None:
            refund = find(conn, "refund", id=line["refund"])
            of = find(conn, "statement_line", id=refund.line).statement
            total[_invoice_of(conn, of)] += line[_BASIS[policy.invoice_basis]]
    return total


def _rooms(conn: Connection, statement: Any, before_seq: int) -> dict[str, int]:
    """Return what other statements have left to take back of, by invoice, the last one first."""
    paper, invoice, red = schema.statement, schema.invoice, schema.red_invoice
    taken = (
        select(red.c.invoice, func.sum(red.c.gross_fen).label("gross_fen"))
        .where(red.c.statement != statement.id, red.c.seq < before_seq)
        .group_by(red.c.invoice)
        .subquery()
    )
    room = invoice.c.gross_fen + func.coalesce(taken.c.gross_fen, 0)
    query = (
        select(invoice.c.number, room)
        .join(paper, paper.c.id == invoice.c.statement)
        .outerjoin(taken, taken.c.invoice == invoice.c.number)
        .where(paper.c.account == statement.account, paper.c.seq < statement.seq)
        .where(invoice.c.seq < before_seq)
        .order_by(paper.c.seq.desc())
    )
    return {number: int(fen) for number, fen in conn.execute(query)}


def _invoice_of(conn: Connection, statement_id: str) -> str:
    number = conn.execute(
        select(schema.invoice.c.number).filter_by(statement=statement_id)
    ).scalar()
    if number is None:
        raise Refused(f"statement {statement_id} has no invoice; record it first")
    return str(number)


def _invoiced_fen(conn: Connection, statement: Any, policy: Policy) -> int:
    """Return what of a statement is invoiced: all lines but credits, which are invoiced in red."""
    name = _BASIS[policy.invoice_basis]
    lines = statements.lines(conn, statement.id)
    return sum(int(line[name]) for line in lines if line["refund"] is None)


def amounts(conn: Connection, statement_id: str, policy: Policy) -> dict[str, int]:
    """Return gross_fen, net_fen and tax_fen of a statement's invoice.

    Raises:
        InvalidInput: No such statement.
        Refused: It has nothing to invoice.
    """
    statement = find(conn, "statement", id=statement_id)
    gross_fen = _invoiced_fen(conn, statement, policy)
    if gross_fen <= 0:
        raise Refused(
            f"statement {statement.id}: the unit's part is {yuan(gross_fen)} yuan, an invoice "
            "needs more than 0.00; there is nothing to invoice"
        )
    return _split(gross_fen, policy)


def _split(gross_fen: int, policy: Policy) -> dict[str, int]:
    """Split an amount, which includes the tax, into net and tax: gross_fen, net_fen, tax_fen."""
    net_fen = money.half_up(gross_fen * money.BP, money.BP + policy.vat_bp)
    return {"gross_fen": gross_fen, "net_fen": net_fen, "tax_fen": gross_fen - net_fen}
