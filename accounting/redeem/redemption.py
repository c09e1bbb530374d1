"""Quarter's end: deductions are claimed from the city, reviewed and paid (兑付).

A claim takes statement lines whose cash part is paid and invoiced. The regulator approves line
by line, the treasury pays; both sign. Advance money (备用金) drawn for a line is repaid first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Stamp, lock, move, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.money import MICRO_PER_FEN, yuan
from accounting.policy import Policy
from accounting.vouchers.registry import find


def claimable(
    conn: Connection, provider: str, quarter: str, claimant: str | None = None
) -> list[Mapping[str, Any]]:
    """List the lines that a provider may claim, up to and with a quarter's statements.

    A line is claimable when its statement's cash part is paid and invoiced and it is in no claim
    that is open: with `rest_fen`, what no review has approved of it. Credit lines go in whatever
    their invoice says, also those of later statements. Where units claim, each claims its own.
    """
    until = period.first_day(period.following(quarter))
    line, paper = schema.statement_line, schema.statement
    query = (
        select(line, paper.c.account, paper.c.month)
        .join(paper, paper.c.id == line.c.statement)
        .join(schema.contract, schema.contract.c.account == paper.c.account)
        .where(schema.contract.c.provider == provider, line.c.deduction_fen != 0)
        .order_by(line.c.seq, line.c.id)
    )
    if claimant is not None:
        query = query.where(schema.contract.c.unit == claimant)
    open_ = _to_invoice(conn)
    waiting, approved = _taken(conn)
    rows = [
        dict(row) | {"rest_fen": row["deduction_fen"] - approved.get(row["id"], 0)}
        for row in conn.execute(query).mappings()
        if row["id"] not in waiting
    ]
    return [
        row
        for row in rows
        if row["rest_fen"] < 0
        or (
            row["rest_fen"] > 0
            and period.first_day(row["month"]) < until
            and _paid(conn, row, open_)
        )
    ]


def _taken(conn: Connection) -> tuple[set[str], dict[str, int]]:
    """Return the lines that stand in a claim which is not reviewed, and what was approved of
    those that were."""
    line, review = schema.claim_line, schema.claim_review
    same = (review.c.claim == line.c.claim) & (review.c.line == line.c.line)
    query = select(line.c.line, review.c.approved_fen).outerjoin(review, same)
    rows = conn.execute(query.where(line.c.claim.not_in(withdrawn())))
    waiting: set[str] = set()
    approved: dict[str, int] = {}
    for row in rows:
        if row.approved_fen is None:
            waiting.add(row.line)
        else:
            approved[row.line] = approved.get(row.line, 0) + row.approved_fen
    return waiting, approved


def withdrawn(before_seq: int = ledger.NEVER_SEQ) -> Select[tuple[str]]:
    """Return what asks for the claims that were withdrawn before an entry."""
    table = schema.claim_withdrawal.c
    return select(table.claim).where(table.seq < before_seq)


def _to_invoice(conn: Connection) -> set[str]:
    """Return the statements with a cash part that has no invoice: credits, which are invoiced in
    red, take nothing off it."""
    line, invoice = schema.statement_line.c, schema.invoice.c
    query = (
        select(line.statement)
        .where(line.refund.is_(None), line.statement.not_in(select(invoice.statement)))
        .group_by(line.statement)
        .having(func.sum(line.cash_fen) > 0)
    )
    return set(conn.execute(query).scalars())


def _paid(conn: Connection, line: Mapping[str, Any], to_invoice: set[str]) -> bool:
    if ledger.balance(conn, "receivable", line["account"]) > 0:
        return False
    return line["statement"] not in to_invoice


def open_claim(
    conn: Connection,
    provider: str,
    quarter: str,
    policy: Policy,
    stamp: Stamp,
    claimant: str | None = None,
) -> str:
    """Open a claim (兑付申请) over everything that may be claimed.

    Args:
        conn: The book.
        provider: Whose lines.
        quarter: Up to and with which.
        policy: The rules.
        stamp: Who, when.
        claimant: The unit that claims, where units do. None: the provider does.

    Returns:
        The claim's id; that of the open one when there is one.

    Raises:
        InvalidInput: This is no quarter, or no such provider or unit.
        NotAllowed: The rules name another claimant.
        Refused: The quarter has not ended, or nothing is claimable.
    """
    lock(conn)
    insist_on_ended(conn, provider, quarter, policy, stamp)
    if (claimant is not None) != (policy.claimant == "unit"):
        who = f"unit {claimant}" if claimant else f"provider {provider}"
        raise NotAllowed(
            f"claim {quarter}: by {policy.name} the {policy.claimant} claims, not {who}; see "
            "svoucher policy show"
        )
    if claimant is not None:
        find(conn, "unit", id=claimant)
    own = _claims_of(conn, _stem(provider, quarter, claimant))
    if own and own[-1]["state"] == "open":
        return str(own[-1]["id"])
    lines = claimable(conn, provider, quarter, claimant)
    if not lines:
        raise Refused(
            f"claim {quarter}: 0 lines of {claimant or provider} are claimable, 1 is needed; close "
            "the months, record invoices and payments first"
        )
    rows = new_rows(conn, provider, quarter, claimant, lines)
    [claim] = rows["claim"]
    if claim["amount_fen"] <= 0:
        raise Refused(
            f"claim {quarter}: {yuan(claim['amount_fen'])} yuan is left after credits, more than "
            "0.00 is needed; the credits go into the next claim"
        )
    write(conn, Entry(f"claim:{claim['id']}", "claim.open", stamp, rows))
    return str(claim["id"])


def insist_on_ended(
    conn: Connection, provider: str, quarter: str, policy: Policy, stamp: Stamp
) -> None:
    """Refuse what is no quarter of a provider that has ended."""
    find(conn, "provider", id=provider)
    if period.kind_of(quarter) != "quarter":
        raise InvalidInput(f"claim {quarter}: not a quarter; write it as 2026-Q4")
    end_s = period.bounds(quarter, policy.timezone)[1]
    if stamp.effective_s < end_s:
        raise Refused(
            f"claim {quarter}: it ends {period.clock(end_s, policy.timezone)}, now is "
            f"{period.clock(stamp.effective_s, policy.timezone)}; claim after it has ended"
        )


def _stem(provider: str, quarter: str, claimant: str | None) -> str:
    return "-".join(["C", provider, *([claimant] if claimant else []), quarter, ""])


def _claims_of(conn: Connection, stem: str) -> list[dict[str, Any]]:
    return [row for row in claims(conn) if row["id"].startswith(stem)]


def new_rows(
    conn: Connection,
    provider: str,
    quarter: str,
    claimant: str | None,
    lines: Sequence[Mapping[str, Any]],
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of another claim over lines, with what is left of each."""
    stem = _stem(provider, quarter, claimant)
    claim_id = f"{stem}{len(_claims_of(conn, stem)) + 1}"
    claim = {
        "id": claim_id,
        "provider": provider,
        "quarter": quarter,
        "amount_fen": sum(line["rest_fen"] for line in lines),
        "claimant": claimant,
    }
    of = [{"claim": claim_id, "line": line["id"], "amount_fen": line["rest_fen"]} for line in lines]
    return {"claim": [claim], "claim_line": of}


def claims(conn: Connection) -> list[dict[str, Any]]:
    """List claims with what was approved and paid, and their state."""
    found, gone = [], set(conn.execute(withdrawn()).scalars())
    for row in conn.execute(select(schema.claim).order_by(schema.claim.c.seq)).mappings():
        submitted = conn.execute(
            select(schema.claim_submission.c.packet_sha256).filter_by(claim=row["id"])
        ).scalar()
        approved = conn.execute(
            select(func.sum(schema.claim_review.c.approved_fen)).filter_by(claim=row["id"])
        ).scalar()
        paid = conn.execute(select(schema.payout.c.amount_fen).filter_by(claim=row["id"])).scalar()
        state = "open" if submitted is None else "under review"
        state = state if approved is None else "approved"
        state = state if paid is None else "paid"
        owed = conn.execute(select(schema.claim_debt.c.seq).filter_by(claim=row["id"])).scalar()
        state = state if owed is None else "owed"
        state = "withdrawn" if row["id"] in gone else state
        found.append(
            dict(row)
            | {
                "state": state,
                "packet_sha256": submitted,
                "approved_fen": None if approved is None else int(approved),
                "paid_fen": paid,
            }
        )
    return found


def find_claim(conn: Connection, claim_id: str) -> dict[str, Any]:
    """Return one claim with its state, or raise InvalidInput."""
    for row in claims(conn):
        if row["id"] == claim_id:
            return row
    raise InvalidInput(f"claim {claim_id}: not in the book; see svoucher claim list")


def claim_lines(conn: Connection, claim_id: str) -> list[Mapping[str, Any]]:
    """List a claim's lines in order."""
    query = (
        select(schema.claim_line, schema.statement_line.c.statement)
        .join(schema.statement_line, schema.statement_line.c.id == schema.claim_line.c.line)
        .where(schema.claim_line.c.claim == claim_id)
        .order_by(schema.claim_line.c.line)
    )
    return [dict(row) for row in conn.execute(query).mappings()]


def insist_on_ready(conn: Connection, claim_id: str) -> dict[str, Any]:
    """Return a claim that can be handed in, or was.

    Raises:
        InvalidInput: No such claim.
        NotAllowed: It is a debt, or withdrawn.
        Refused: It leaves out a credit that it has to take off, or a unit owes by now.
    """
    claim = find_claim(conn, claim_id)
    ended = {
        "owed": ("owed to the treasury", "repay it"),
        "withdrawn": ("withdrawn", "open another one"),
    }.get(claim["state"])
    if ended:
        raise NotAllowed(
            f"claim {claim_id}: it is {ended[0]}, only an open one is handed in; {ended[1]}"
        )
    left_out = credits_left_out(conn, claim)
    if left_out:
        raise Refused(
            f"claim {claim_id}: leaves out credit {left_out[0]}, which stood before it; credits "
            "enter the next claim, open one with all of them"
        )
    if claim["state"] == "open":
        _insist_on_paid(conn, claim_id)
    return claim


def submit(conn: Connection, claim_id: str, packet_sha256: str, stamp: Stamp) -> None:
    """Hand a claim in, with the hash of its evidence packet.

    Raises:
        InvalidInput: No such claim.
        NotAllowed: It was submitted with another packet, is a debt, or withdrawn.
        Refused: It leaves out a credit that it has to take off, or a unit owes by now.
    """
    lock(conn)
    claim = insist_on_ready(conn, claim_id)
    disputed = disputed_fen(conn, claim_lines(conn, claim_id), claim["seq"])
    postings = move(
        claim["provider"],
        {
            "claim.unclaimed": disputed - claim["amount_fen"],
            "claim.disputed": -disputed,
            "claim.review": claim["amount_fen"],
        },
    )
    row = {"claim": claim_id, "packet_sha256": packet_sha256}
    key = f"claim.submit:{claim_id}"
    write(conn, Entry(key, "claim.submit", stamp, {"claim_submission": [row]}, postings))


def _insist_on_paid(conn: Connection, claim_id: str) -> None:
    """Refuse to hand in what has become unpaid since the claim was opened."""
    line, paper = schema.statement_line.c, schema.statement.c
    query = (
        select(paper.account)
        .join(schema.statement_line, line.statement == paper.id)
        .join(schema.claim_line, schema.claim_line.c.line == line.id)
        .where(schema.claim_line.c.claim == claim_id, schema.claim_line.c.amount_fen > 0)
        .distinct()
        .order_by(paper.account)
    )
    for account in conn.execute(query).scalars():
        owed = ledger.balance(conn, "receivable", account)
        if owed > 0:
            raise Refused(
                f"claim {claim_id}: account {account} owes {yuan(owed // MICRO_PER_FEN)} yuan by "
                "now, lines that are paid are claimed; have it paid, or withdraw this claim and "
                "open another"
            )


def credits_left_out(conn: Connection, claim: Mapping[str, Any]) -> list[str]:
    """List the credit lines of a claim's provider that stood when it was opened, and that neither
    it nor a claim before it took off."""
    line, claimed, review = schema.statement_line, schema.claim_line, schema.claim_review
    same = (review.c.claim == claimed.c.claim) & (review.c.line == claimed.c.line)
    refused = (review.c.approved_fen == 0) & (review.c.seq < claim["seq"])
    taken = (
        select(claimed.c.line)
        .outerjoin(review, same)
        .where(claimed.c.seq <= claim["seq"], refused.is_not(True))
        .where(claimed.c.claim.not_in(withdrawn(claim["seq"])))
    )
    query = (
        select(line.c.id)
        .join(schema.statement, schema.statement.c.id == line.c.statement)
        .join(schema.contract, schema.contract.c.account == schema.statement.c.account)
        .where(schema.contract.c.provider == claim["provider"], line.c.deduction_fen < 0)
        .where(line.c.seq < claim["seq"], line.c.id.not_in(taken))
        .order_by(line.c.seq, line.c.id)
    )
    if claim["claimant"] is not None:
        query = query.where(schema.contract.c.unit == claim["claimant"])
    return list(conn.execute(query).scalars())


def disputed_fen(
    conn: Connection, lines: Sequence[Mapping[str, Any]], before_seq: int = ledger.NEVER_SEQ
) -> int:
    """Return how much of a claim was reviewed before an entry: what was left then is disputed."""
    table = schema.claim_review.c
    reviewed = set(conn.execute(select(table.line).where(table.seq < before_seq)).scalars())
    return sum(int(line["amount_fen"]) for line in lines if line["line"] in reviewed)


def submitter(conn: Connection, claim_id: str) -> str:
    """Name who handed a claim in: somebody else decides."""
    table = schema.claim_submission
    query = select(schema.journal.c.actor).join(table, table.c.seq == schema.journal.c.seq)
    return str(conn.execute(query.where(table.c.claim == claim_id)).scalar_one())


def insist_on_state(
    conn: Connection, claim: Mapping[str, Any], act: Act, wanted: str, decided: Any
) -> None:
    """Refuse an act that comes too early, or that repeats another decision."""
    known = (
        conn.execute(select(decided.c.act_sha256).filter_by(claim=claim["id"])).scalars().first()
    )
    if known == act.sha256:
        return
    if claim["state"] != wanted:
        raise NotAllowed(
            f"act {act.verb} {claim['id']}: the claim is {claim['state']}, it has to be {wanted}; "
            f"see svoucher claim show {claim['id']}"
        )
