"""The reserve fund (备用金): the city's advance money, drawn for deducted lines, repaid first."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema, signing
from accounting.book.ledger import Entry, Stamp, hash_of, lock, move, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.money import MICRO_PER_FEN, yuan
from accounting.policy import Policy
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


def draw(conn: Connection, line_ids: Iterable[str], policy: Policy, stamp: Stamp) -> int:
    """Draw advance money for statement lines that are deducted and not yet paid.

    Returns:
        What is drawn for these lines, fen: a line that was drawn for before stays so, once.

    Raises:
        InvalidInput: No such line.
        NotAllowed: Units claim by these rules: the provider waits for nothing.
        Refused: The fund does not cover a line, or the line is paid or set off already.
    """
    if policy.claimant == "unit":
        raise NotAllowed(
            f"reserve: by {policy.name} units pay all of the fee and claim, so 0.00 yuan can be "
            "drawn; the provider has its money"
        )
    lock(conn)
    total = 0
    for line_id in dict.fromkeys(line_ids):  # one that is named twice is drawn for once
        line = find(conn, "statement_line", id=line_id)
        provider = _provider_of(conn, line.statement)
        query = select(schema.reserve_draw.c.amount_fen).filter_by(line=line_id)
        drawn_fen = conn.execute(query).scalar()
        if drawn_fen is not None:
            total += drawn_fen
            continue
        _insist_unpaid(conn, line_id)
        fund_fen = ledger.balance(conn, "reserve.fund", provider) // MICRO_PER_FEN
        if line.deduction_fen <= 0:
            raise Refused(
                f"reserve {provider}: {yuan(line.deduction_fen)} yuan is deducted on {line_id}, "
                "more than 0.00 is needed; draw for a line that the city owes something for"
            )
        if line.deduction_fen > fund_fen:
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


def give_back(
    conn: Connection, provider: str, amount_fen: int, reference: str, paid_on: date, stamp: Stamp
) -> int:
    """Record that a provider put advance money back into the fund that no payout repaid.

    Returns:
        What is still out, fen.

    Raises:
        InvalidInput: No such provider, or the amount is not above zero.
        NotAllowed: The number stands for another return.
        Refused: It is more than is out.
    """
    lock(conn)
    find(conn, "provider", id=provider)
    if amount_fen <= 0:
        raise InvalidInput(f"reserve {provider}: {yuan(amount_fen)} yuan is not above 0.00; check")
    row = {
        "reference": reference,
        "provider": provider,
        "amount_fen": amount_fen,
        "paid_on": paid_on.isoformat(),
    }
    table = schema.reserve_return
    known = conn.execute(select(table).filter_by(reference=reference)).mappings().one_or_none()
    left_fen = out_fen(conn, provider)
    if known is not None:
        if {name: known[name] for name in row} != row:
            raise NotAllowed(
                f"return {reference}: stands in the book with other facts; check the number"
            )
        return left_fen
    if amount_fen > left_fen:
        raise Refused(
            f"reserve {provider}: {yuan(amount_fen)} yuan returned, {yuan(left_fen)} is drawn and "
            "not repaid; return no more than that"
        )
    postings = move(provider, {"reserve.fund": amount_fen, "bank": -amount_fen})
    key = f"reserve.return:{reference}"
    write(conn, Entry(key, "reserve.return", stamp, {"reserve_return": [row]}, postings))
    return left_fen - amount_fen


def out_fen(conn: Connection, provider: str, before_seq: int = ledger.NEVER_SEQ) -> int:
    """Return what was drawn and came back by no payout and no return, as before an entry, fen."""
    draw, back, payout = schema.reserve_draw.c, schema.reserve_return.c, schema.payout.c
    own = select(schema.claim.c.id).where(schema.claim.c.provider == provider)
    drawn, returned, repaid = (
        int(conn.execute(select(func.coalesce(func.sum(amount), 0)).where(*which)).scalar_one())
        for amount, which in (
            (draw.amount_fen, (draw.provider == provider, draw.seq < before_seq)),
            (back.amount_fen, (back.provider == provider, back.seq < before_seq)),
            (payout.repaid_fen, (payout.claim.in_(own), payout.seq < before_seq)),
        )
    )
    return drawn - returned - repaid


PACE_DAYS = 90
"""Over how many days before now the pace of draws is taken."""
_DAY_S = 86_400
_KINDS = {
    "reserve.grant": "granted",
    "reserve.draw": "drawn",
    "claim.pay": "repaid",
    "reserve.return": "returned",
}


def statement(conn: Connection, provider: str) -> list[dict[str, Any]]:
    """List what came into a provider's fund and went out of it, with what it held after each.

    Returns:
        at_s, what (granted, drawn, repaid, returned), of (reference, line or claim), amount_fen and
        fund_fen, in order.

    Raises:
        InvalidInput: No such provider.
    """
    find(conn, "provider", id=provider)
    entry, line = schema.journal, schema.posting
    query = (
        select(entry.c.effective_s, entry.c.code, entry.c.key, line.c.amount_micro)
        .join(line, line.c.seq == entry.c.seq)
        .where(line.c.account == "reserve.fund", line.c.owner == provider)
        .order_by(entry.c.seq, line.c.line)
    )
    rows: list[dict[str, Any]] = []
    fund_fen = 0
    for row in conn.execute(query):
        amount_fen = row.amount_micro // MICRO_PER_FEN
        fund_fen += amount_fen
        rows.append(
            {
                "at_s": row.effective_s,
                "what": _KINDS.get(row.code, row.code),
                "of": row.key.partition(":")[2],
                "amount_fen": amount_fen,
                "fund_fen": fund_fen,
            }
        )
    return rows


def lasts_days(conn: Connection, provider: str, now_s: int) -> int | None:
    """Return for how many days a fund lasts at the pace of its draws, or None without any draw.

    The pace is that of the last 90 days, or of the days since the first grant if they are fewer.

    Example:
        100.00 left after 450.00 drawn in 90 days, 5.00 a day, last for 20 days.
    """
    rows = [row for row in statement(conn, provider) if row["at_s"] <= now_s]
    since_s = now_s - PACE_DAYS * _DAY_S
    drawn_fen = -sum(
        row["amount_fen"] for row in rows if row["what"] == "drawn" and row["at_s"] > since_s
    )
    if not drawn_fen:
        return None
    days = min(PACE_DAYS, max(1, -(-(now_s - rows[0]["at_s"]) // _DAY_S)))
    return int(rows[-1]["fund_fen"] * days // drawn_fen)


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
    debt, line = schema.claim_debt.c, schema.claim_line.c
    set_off = conn.execute(
        select(debt.claim)
        .join(schema.claim_line, line.claim == debt.claim)
        .where(line.line == line_id)
    ).scalar()
    if set_off:
        raise Refused(
            f"reserve: line {line_id} is set off already by debt {set_off}; draw for lines that "
            "wait"
        )


def _provider_of(conn: Connection, statement_id: str) -> str:
    return str(
        conn.execute(
            select(schema.contract.c.provider)
            .join(schema.statement, schema.statement.c.account == schema.contract.c.account)
            .where(schema.statement.c.id == statement_id)
        ).scalar_one()
    )
