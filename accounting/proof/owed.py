"""What units have to give back to the city, and what lowered it: a rule of the audit.

The list of all rules is in audit.py.
"""

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.money import MICRO_PER_FEN, yuan
from accounting.proof.evidence import Books, Found
from accounting.proof.settled import sums_by
from accounting.vouchers import debts, holds


def debts_of_units(books: Books) -> Found:
    """What units have to give back is what their debts say, less what lowered them and was paid:
    all that vouchers bore that were taken back, and no more than the others may have borne."""
    left: dict[str, int] = {}
    by_account: dict[str, int] = {}
    for row in debts.listed(books.conn):
        yield from _of_debt(row)
        left[row["unit"]] = left.get(row["unit"], 0) + row["left_fen"]
        due_fen = row["amount_fen"] - row["relieved_fen"]
        by_account[row["account"]] = by_account.get(row["account"], 0) + due_fen
    for unit in books.conn.execute(select(schema.unit.c.id)).scalars():
        micro, fen = books.sum_of("clawback.due", unit), left.get(unit, 0)
        if micro != fen * MICRO_PER_FEN:
            yield (
                f"unit {unit}",
                f"clawback.due is {micro} micro-yuan, {fen * MICRO_PER_FEN} by papers",
            )
    treasury = sum(micro for (name, _), micro in books.sums.items() if name == "treasury.due")
    if treasury != -sum(left.values()) * MICRO_PER_FEN:
        yield "treasury.due", f"is {treasury} micro-yuan, units owe {sum(left.values())} fen"
    gone = holds.taken_back(books.conn)
    for account in books.conn.execute(select(schema.voucher.c.account).distinct()).scalars():
        yield from _of_account(books, account, by_account.get(account, 0), gone)
    yield from _lowered(books.conn)


def _of_debt(row: dict[str, int]) -> Found:
    """Nothing is paid, lowered or given back that is not there."""
    subject = f"debt {row['id']}"
    for said, fen in (
        ("are paid", row["paid_fen"] - row["returned_fen"]),
        ("are taken off", row["relieved_fen"]),
    ):
        if fen > row["amount_fen"]:
            yield subject, f"{fen} fen {said}, {row['amount_fen']} were owed"
    over_fen = max(0, row["paid_fen"] + row["relieved_fen"] - row["amount_fen"])
    if row["returned_fen"] > over_fen:
        yield subject, f"{row['returned_fen']} fen are given back, {over_fen} were too much"


def _of_account(books: Books, account: str, due_fen: int, gone: set[str]) -> Found:
    """All is owed that was deducted of vouchers that were taken back; and beside that no more than
    was deducted of the others, or may be yet: what an amendment leaves is on runs without a
    statement."""
    own = {each.id for each in holds.vouchers(books.conn, account)}

    def sum_fen(some: set[str], *names: str) -> int:
        return sum(books.sum_of(f"voucher.{n}", each) for each in some for n in names) // (
            MICRO_PER_FEN
        )

    taken_fen = sum_fen(own & gone, "deducted")
    may_fen = sum_fen(own - gone, "deducted", "left")
    if not taken_fen <= due_fen <= taken_fen + may_fen:
        yield (
            f"account {account}",
            f"{yuan(due_fen)} yuan are asked back; its vouchers that were taken back bore "
            f"{yuan(taken_fen)}, others bore or have {yuan(may_fen)}",
        )


def _lowered(conn: Connection) -> Found:
    """A statement lowers debts by what it gives back to vouchers that were taken back before; what
    else lowers them, by no more than it ends."""
    relief, ends, part = schema.debt_relief.c, schema.voucher_end.c, schema.deduction
    act, paper = schema.signed_act, schema.statement
    back = (
        select(paper.c.seq, func.sum(part.c.amount_fen))
        .join(part, part.c.statement == paper.c.id)
        .join(act, act.c.subject == part.c.voucher)
        .where(act.c.verb == "voucher.clawback", act.c.seq < paper.c.seq)
        .group_by(paper.c.seq)
    )
    given = {seq: -int(fen) for seq, fen in conn.execute(back) if fen}
    lowered = sums_by(conn, relief.seq, relief.amount_fen)
    ended = sums_by(conn, ends.seq, ends.amount_fen)
    for seq in sorted(lowered.keys() | given.keys()):
        fen, most_fen = lowered.get(seq, 0), ended.get(seq, 0)
        if (fen != given[seq]) if seq in given else (fen > most_fen):
            yield f"entry {seq}", f"takes {fen} fen off debts, {given.get(seq, most_fen)} came back"
