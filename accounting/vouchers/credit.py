"""Credit: what a unit may come to owe before it pays, where the rules are postpaid."""

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import Entry, Stamp, lock, write
from accounting.errors import InvalidInput, Refused
from accounting.money import yuan
from accounting.policy import Policy
from accounting.vouchers.registry import find


def set_limit(
    conn: Connection, account: str, amount_fen: int, policy: Policy, stamp: Stamp
) -> None:
    """Set the credit limit of a voucher account; the same once more changes nothing.

    Raises:
        InvalidInput: The account is unknown, or the amount is below zero.
        Refused: The rules are not postpaid.
    """
    find(conn, "contract", account=account)
    if amount_fen < 0:
        raise InvalidInput(f"credit {account}: {yuan(amount_fen)} yuan, at least 0.00; check it")
    if policy.payment_mode != "postpaid":
        raise Refused(
            f"credit {account}: policy {policy.name} is {policy.payment_mode}, credit needs "
            "postpaid; record cash with svoucher topup"
        )
    lock(conn)
    table = schema.credit_limit
    query = select(table.c.amount_fen, table.c.from_s).filter_by(account=account)
    last = conn.execute(query.order_by(table.c.seq.desc()).limit(1)).one_or_none()
    if last is not None and last.amount_fen == amount_fen:
        return
    from_s = stamp.effective_s if last is None else max(stamp.effective_s, last.from_s + 1)
    row = {"account": account, "from_s": from_s, "amount_fen": amount_fen}
    key = f"credit:{account}:{from_s}"
    write(conn, Entry(key, "contract.credit", stamp, {"credit_limit": [row]}))
