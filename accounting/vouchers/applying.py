"""A unit applies for a voucher (申领): for a contract, then for what amendments added to it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.book.ledger import Entry, Stamp, lock, write
from accounting.errors import NotAllowed, NotEligible
from accounting.money import yuan
from accounting.policy import Policy
from accounting.vouchers import granting, unitfacts
from accounting.vouchers.entitling import contract_facts
from accounting.vouchers.papers import Paper
from accounting.vouchers.registry import find, terms


class _Place(NamedTuple):
    """Which application of its contract it is: the number, what it is for where that is only what
    an amendment added, the same one if it is repeated, and the one before."""

    number: int
    more_fen: int | None
    same: Any | None
    before: Any | None


def apply(
    conn: Connection,
    contract_id: str,
    *,
    category: str | None,
    channel: str,
    paper_sha256: str,
    policy: Policy,
    stamp: Stamp,
    project: str | None = None,
    stated: Mapping[str, str] | None = None,
    kept: Sequence[Paper] = (),
    consent: bool = False,
) -> str:
    """Enter an application (申领) for a contract, or for what its last amendment added.

    Args:
        conn: A connection to the book.
        contract_id: What is applied for.
        category: Which one it is for, or None: the first that fits; later that of the first time.
        channel: How it came in, online or offline.
        paper_sha256: Of the contract's paper.
        policy: The rules.
        stamp: Who, when.
        project: Its project, where it is for one.
        stated: What it says of itself, fact by fact, with a value or "".
        kept: The papers that are kept, the contract among them.
        consent: The unit takes less where the money does not last.

    Returns:
        The application's id.

    Raises:
        InvalidInput: Contract, category or a fact is unknown.
        NotEligible: The rules do not allow it, or an amendment added nothing.
        NotAllowed: The contract was applied for in another category, for another project or with
            another paper, or the paper is another contract's.
    """
    lock(conn)
    contract = find(conn, "contract", id=contract_id)
    _insist_on_own_paper(conn, contract.id, paper_sha256)
    at = _place(conn, contract, paper_sha256)
    if at.before is not None:
        _insist_on_same(conn, at, category, project, paper_sha256, policy)
        category, project = at.before.category, at.before.project
        stated = stated or _stated(conn, at.before.id)
    unitfacts.check_stated(policy, stated or {})
    facts = contract_facts(
        conn,
        contract_id,
        period.day_of(stamp.effective_s, policy.timezone),
        name=f"contract {contract_id}",
        category=category,
        project=project,
        stated=stated or {},
        more_fen=at.more_fen,
        amended_on=terms(conn, contract_id).amended_on,
    )
    suffix = "" if at.number == 1 else f"-{at.number}"
    application_id = f"A-{contract.account}{suffix}"
    row = {
        "id": application_id,
        "contract": contract_id,
        "category": granting.eligible(policy, facts),
        "channel": channel,
        "paper_sha256": paper_sha256,
        "project": project,
        "fee_fen": at.more_fen,
    }
    rows: dict[str, list[Mapping[str, Any]]] = {"application": [row]}
    if stated:
        rows["application_fact"] = [
            {"application": application_id, "fact": fact, "value": value or None}
            for fact, value in sorted(stated.items())
        ]
    if kept:
        once = {paper.sha256: paper for paper in reversed(kept)}
        rows["paper"] = [
            {"application": application_id, **paper._asdict()} for paper in once.values()
        ]
    if consent:
        rows["consent"] = [{"application": application_id}]
    key = f"application:{contract_id}" + (f":{at.number}" if suffix else "")
    write(conn, Entry(key, "application.submit", stamp, rows))
    return application_id


def _insist_on_own_paper(conn: Connection, contract_id: str, paper_sha256: str) -> None:
    """Refuse a contract's paper that was handed in for another contract, and not refused there:
    it is paid for once."""
    table, review = schema.application, schema.review
    query = (
        select(table.c.id, table.c.contract)
        .outerjoin(review, review.c.application == table.c.id)
        .where(table.c.paper_sha256 == paper_sha256, table.c.contract != contract_id)
        .where(func.coalesce(review.c.verdict, "") != "refused")
    )
    other = conn.execute(query.order_by(table.c.seq)).first()
    if other is not None:
        raise NotAllowed(
            f"contract {contract_id}: its paper is that of contract {other.contract} "
            f"({other.id}); one paper is one contract, hand in its own"
        )


def _place(conn: Connection, contract: Any, paper_sha256: str) -> _Place:
    """Find which application of its contract this is.

    Raises:
        NotEligible: The contract was ended, or its last amendment added nothing.
    """
    table = schema.application
    query = select(table).where(table.c.contract == contract.id).order_by(table.c.seq)
    entered = conn.execute(query).all()
    if not entered:
        return _Place(1, None, None, None)
    last, now = entered[-1], terms(conn, contract.id)
    if now.amended_seq < last.seq or last.paper_sha256 == paper_sha256:
        return _Place(len(entered), last.fee_fen, last, last)
    more_fen = now.fee_fen - _covered_fen(conn, contract, entered)
    if now.ended or more_fen <= 0:
        raise NotEligible(
            f"contract {contract.id}: its fee is {yuan(now.fee_fen)} yuan by now"
            f"{', it was ended' if now.ended else ''}; there is no more than {last.id} to apply for"
        )
    return _Place(len(entered) + 1, more_fen, None, last)


def _covered_fen(conn: Connection, contract: Any, entered: Sequence[Any]) -> int:
    """Return for how much of a contract's fee was applied: less again where that went down."""
    change = schema.contract_change
    events = [(row.seq, None, row.fee_fen or 0) for row in entered]
    query = select(change.c.seq, change.c.fee_fen).where(change.c.contract == contract.id)
    events += [(row.seq, row.fee_fen, 0) for row in conn.execute(query)]
    covered_fen = int(contract.fee_fen)
    for _, fee_fen, more_fen in sorted(events):
        covered_fen += more_fen
        covered_fen = covered_fen if fee_fen is None else min(covered_fen, fee_fen)
    return covered_fen


def _stated(conn: Connection, application_id: str) -> dict[str, str]:
    """Return what an application said of itself."""
    rows = conn.execute(select(schema.application_fact).filter_by(application=application_id))
    return {row.fact: row.value or "" for row in rows}


def _insist_on_same(
    conn: Connection,
    at: _Place,
    category: str | None,
    project: str | None,
    paper_sha256: str,
    policy: Policy,
) -> None:
    """Say what differs, where a contract is applied for once more.

    Raises:
        NotAllowed: Another category or project; or another paper than was handed in or reviewed.
    """
    known = at.before
    assert known is not None, "there is an application before this one"
    if category not in (None, known.category):
        raise NotAllowed(
            f"contract {known.contract}: {known.id} is for {known.category}, not {category}; "
            f"one contract has one category ({policy.clause('categories')})"
        )
    if project not in (None, known.project):
        raise NotAllowed(
            f"contract {known.contract}: {known.id} is for {known.project or 'no project'}, not "
            f"{project}; one contract has one project"
        )
    if at.same is not None and known.paper_sha256 != paper_sha256:
        verdict = select(schema.review.c.verdict).filter_by(application=known.id)
        state = conn.execute(verdict).scalar() or "handed in"
        raise NotAllowed(
            f"application {known.id}: was {state} with a paper of SHA-256 "
            f"{known.paper_sha256}, this one has {paper_sha256}; what changed in a contract is an "
            "amendment"
        )
