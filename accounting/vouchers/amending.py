"""A contract's fee is amended: up is applied for, down is recomputed.

Down: its vouchers are worth what the rules give for the new fee, and what is above that is
cancelled as far as nobody has used it; the rest is a debt to the treasury. What is cancelled goes
to those who wait.

Example:
    A voucher of 50,000 for a contract of 100,000, amended to 60,000: it is worth 30,000. With
    10,000 deducted, 20,000 are cancelled; with 35,000 deducted, 15,000 are and 5,000 are owed;
    amended once more, to 40,000, another 10,000 are.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting, Stamp, lock, write
from accounting.errors import InvalidInput, NotAllowed
from accounting.money import MICRO_PER_FEN, yuan
from accounting.policy import Policy
from accounting.vouchers import cancelling, debts, granting, holds, waiting
from accounting.vouchers.entitling import application_facts
from accounting.vouchers.registry import Terms, find, terms


class Amended(NamedTuple):
    """What an amendment changed, fen, and the vouchers that were issued to those who waited."""

    cancelled_fen: int = 0
    owed_fen: int = 0
    issued: Sequence[str] = ()


def amend(
    conn: Connection,
    contract_id: str,
    *,
    fee_fen: int,
    effective_on: date,
    last_day: date | None,
    paper_sha256: str,
    policy: Policy,
    stamp: Stamp,
) -> Amended:
    """Enter an amendment of a contract; the same paper twice is one amendment.

    Args:
        conn: The book.
        contract_id: Of which contract.
        fee_fen: All of its fee from now on.
        effective_on: When it was agreed.
        last_day: Its last day from now on, not before the one so far. None: as it was.
        paper_sha256: Of the amendment's paper.
        policy: The rules.
        stamp: Who enters it, when.

    Raises:
        InvalidInput: The contract is unknown, or fee or days cannot be.
        NotAllowed: It was ended, an application of it is not decided, or the paper stands for
            another amendment.
    """
    lock(conn)
    contract = find(conn, "contract", id=contract_id)
    now = terms(conn, contract_id)
    until_s = now.until_s
    if last_day is not None:
        until_s = period.instant(last_day + timedelta(days=1), policy.timezone)
    row = {
        "contract": contract_id,
        "kind": "amended",
        "effective_on": effective_on.isoformat(),
        "fee_fen": fee_fen,
        "until_s": until_s,
        "paper_sha256": paper_sha256,
    }
    if _known(conn, row):
        return Amended()
    _check(conn, contract, now, row, policy, stamp)
    rows: dict[str, list[dict[str, Any]]] = {"contract_change": [row | {"number": now.changes + 1}]}
    postings: list[Posting] = []
    less = Amended()
    if fee_fen < now.fee_fen:
        less, more_rows, postings = _recomputed(conn, contract, fee_fen, policy, stamp)
        rows |= more_rows
    key = f"contract.amend:{contract_id}:{now.changes + 1}"
    write(conn, Entry(key, "contract.amend", stamp, rows, postings))
    return less._replace(issued=waiting.serve(conn, policy, stamp))


def _known(conn: Connection, row: dict[str, Any]) -> bool:
    """Tell whether an amendment is in the book.

    Raises:
        NotAllowed: Its paper stands there with other facts.
    """
    query = select(schema.contract_change).filter_by(
        contract=row["contract"], paper_sha256=row["paper_sha256"]
    )
    known = conn.execute(query).mappings().one_or_none()
    if known is None:
        return False
    if any(known[name] != value for name, value in row.items()):
        raise NotAllowed(
            f"contract {row['contract']}: the paper {row['paper_sha256'][:16]} stands in the book "
            "with other facts; each amendment has a paper of its own"
        )
    return True


def _check(
    conn: Connection, contract: Any, now: Terms, row: dict[str, Any], policy: Policy, stamp: Stamp
) -> None:
    subject, today = f"contract {contract.id}", period.day_of(stamp.effective_s, policy.timezone)
    if now.ended:
        raise NotAllowed(f"{subject}: was ended; sign a new one")
    if row["fee_fen"] <= 0:
        raise InvalidInput(f"{subject}: fee {yuan(row['fee_fen'])} yuan is not above zero; end it")
    if not contract.signed_on <= row["effective_on"] <= today.isoformat():
        raise InvalidInput(
            f"{subject}: amended on {row['effective_on']}, {contract.signed_on} to {today} is "
            "possible; check the day"
        )
    if row["until_s"] < now.until_s:
        last = period.day_of(now.until_s - 1, policy.timezone)
        raise InvalidInput(f"{subject}: runs to {last}; to stop before that, end it")
    if (row["fee_fen"], row["until_s"]) == (now.fee_fen, now.until_s):
        raise InvalidInput(f"{subject}: nothing changes; say another --fee or --until")
    open_ = (
        select(schema.application.c.id)
        .outerjoin(schema.review, schema.review.c.application == schema.application.c.id)
        .where(schema.application.c.contract == contract.id, schema.review.c.verdict.is_(None))
    )
    undecided = conn.execute(open_).scalars().first()
    if undecided is not None:
        raise NotAllowed(f"{subject}: {undecided} is not decided; have it decided first")


def _recomputed(
    conn: Connection, contract: Any, fee_fen: int, policy: Policy, stamp: Stamp
) -> tuple[Amended, dict[str, list[dict[str, Any]]], list[Posting]]:
    """Bring a contract's vouchers down to what they are worth by a lower fee."""
    gone = holds.taken_back(conn)
    own = [each for each in holds.vouchers(conn, contract.account) if each.id not in gone]
    if not own:
        return Amended(), {}, []
    left_fen, deducted_fen = (
        sum(ledger.balance(conn, account, each.id) for each in own) // MICRO_PER_FEN
        for account in ("voucher.left", "voucher.deducted")
    )
    had_fen = left_fen + deducted_fen - debts.not_used_fen(conn, contract.account)
    over_fen = max(0, had_fen - _worth(conn, own, fee_fen, policy))
    accrued_fen = holds.position(conn, contract.account, policy).accrued_share_fen
    cancelled_fen = min(over_fen, left_fen - accrued_fen)
    ends, postings = cancelling.of_account(conn, contract.account, cancelled_fen, stamp)
    rows = {"voucher_end": ends} if ends else {}
    owed_fen = over_fen - cancelled_fen
    if owed_fen:
        first = min(own, key=lambda each: each.seq)
        reason = f"fee amended to {yuan(fee_fen)} yuan"
        debt, owed = debts.owe(conn, first.id, "amended", owed_fen, reason, policy.name)
        rows["debt"] = [debt]
        postings += owed
    return Amended(cancelled_fen, owed_fen), rows, postings


def _worth(conn: Connection, own: Sequence[Any], fee_fen: int, policy: Policy) -> int:
    """Return what the rules give for a fee, as on the day of the first voucher; limits, which it
    was within, only lower that."""
    first = min(own, key=lambda each: each.seq)
    day = date.fromisoformat(first.issued_on)
    facts = replace(application_facts(conn, first.application, policy, day), fee_fen=fee_fen)
    return granting.worth(policy, facts, first.category)
