"""The reserve fund (备用金): the city's advance money, drawn for deducted lines, repaid first."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema, signing
from accounting.book.ledger import Entry, Stamp, hash_of, lock, move, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, Refused
from accounting.money import MICRO_PER_FEN, yuan
from accounting.vouchers.registry import find


def draft_grant(conn: Connection, provider: str, amount_fen: int, reference: str) -> dict[str, Any]:
    """Return the act that the treasury signs when it gives a provider advance money."""
    row = find(conn, "provider", id=provider)
    body = {"amount_fen": amount_fen, "reference": reference}
    return signing.draft(conn, "reserve.grant", provider, hash_of(conn, row.seq), body)


def accept_grant(conn: Connection, act: Act, stamp: Stamp) -> None:
    """Carry out the treasury's signed grant of advance money.

    Raises:
        NotAllowed: Signed for something else, or the reference stands for another grant.
        InvalidInput: The amount is not above zero, or there is no reference.
    """
    lock(conn)
    provider = find(conn, "provider", id=act.subject)
    signing.insist_on_subject(act, "reserve.grant", hash_of(conn, provider.seq))
    amount_fen, reference = act.body.get("amount_fen"), str(act.body.get("reference", ""))
    if type(amount_fen) is not int or amount_fen <= 0 or not reference:
        raise InvalidInput(
            f"act reserve.grant {act.subject}: an amount above zero and a reference are needed"
        )
    row = {
        "reference": reference,
        "provider": act.subject,
        "amount_fen": amount_fen,
        "act_sha256": act.sha256,
    }
    rows = {"signed_act": [signing.act_row(act)], "reserve_grant": [row]}
    postings = move(act.subject, {"reserve.fund": amount_fen, "reserve.owed": -amount_fen})
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    write(conn, Entry(f"reserve.grant:{reference}", "reserve.grant", signed, rows, postings))


def draw(conn: Connection, line_ids: Iterable[str], stamp: Stamp) -> int:
    """Draw advance money for statement lines that are deducted and not yet paid.

    Returns:
        What is drawn for these lines, fen: a line that was drawn for before stays so, once.

    Raises:
        InvalidInput: No such line.
        Refused: The fund does not cover a line, or the line is paid already.
    """
    lock(conn)
    total = 0
    for line_id in line_ids:
        line = find(conn, "statement_line", id=line_id)
        provider = _provider_of(conn, line.statement)
        query = select(schema.reserve_draw.c.amount_fen).filter_by(line=line_id)
        drawn_fen = conn.execute(query).scalar()
        if drawn_fen is not None:
            total += drawn_fen
            continue
        _insist_unpaid(conn, line_id)
        fund_fen = ledger.balance(conn, "reserve.fund", provider) // MICRO_PER_FEN
        if not 0 < line.deduction_fen <= fund_fen:
            raise Refused(
                f"reserve {provider}: {yuan(line.deduction_fen)} yuan wanted for {line_id}, "
                f"{yuan(fund_fen)} is in the fund; wait for the next payout"
            )
        row = {"line": line_id, "provider": provider, "amount_fen": line.deduction_fen}
        postings = move(provider, {"reserve.fund": -line.deduction_fen, "bank": line.deduction_fen})
        key = f"reserve.draw:{line_id}"
        write(conn, Entry(key, "reserve.draw", stamp, {"reserve_draw": [row]}, postings))
        total += int(line.deduction_fen)
    return total


def _insist_unpaid(conn: Connection, line_id: str) -> None:
    review = schema.claim_review
    paid = conn.execute(
        select(schema.payout.c.claim)
        .join(review, review.c.claim == schema.payout.c.claim)
        .where(review.c.line == line_id, review.c.approved_fen != 0)
    ).scalar()
    if paid:
        raise Refused(
            f"reserve: line {line_id} is paid already by claim {paid}; draw for lines that wait"
        )


def _provider_of(conn: Connection, statement_id: str) -> str:
    return str(
        conn.execute(
            select(schema.contract.c.provider)
            .join(schema.statement, schema.statement.c.account == schema.contract.c.account)
            .where(schema.statement.c.id == statement_id)
        ).scalar_one()
    )
