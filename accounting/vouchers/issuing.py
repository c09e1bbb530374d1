"""From application to voucher: the second step of the rules (申领, 发放).

What is issued follows from policy, contract and what was issued before, in one serialised
transaction. The regulator signs the figure; if the rules give another one by then, nothing
is issued.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import schema, signing
from accounting.book.ledger import Entry, Posting, Stamp, hash_of, lock, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, NotAllowed
from accounting.policy import Policy
from accounting.vouchers import granting, papers
from accounting.vouchers.entitling import Entitlement, contract_facts, entitled
from accounting.vouchers.papers import Paper
from accounting.vouchers.registry import find

_VERDICTS = {"application.confirm": "confirmed", "application.refuse": "refused"}


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
) -> str:
    """Enter an application (申领) for a contract.

    Args:
        conn: A connection to the book.
        contract_id: What is applied for.
        category: Which one it is for, or None: the first that fits.
        channel: How it came in, online or offline.
        paper_sha256: Of the contract's paper.
        policy: The rules.
        stamp: Who, when.
        project: Its project, where it is for one.
        stated: What it says of itself, fact by fact, with a value or "".
        kept: The papers that are kept, the contract among them.

    Returns:
        The application's id.

    Raises:
        InvalidInput: Contract or category is unknown.
        NotEligible: The rules do not allow it.
        NotAllowed: The contract was applied for in another category or with another paper.
    """
    contract = find(conn, "contract", id=contract_id)
    facts = contract_facts(
        conn,
        contract_id,
        period.day_of(stamp.effective_s, policy.timezone),
        name=f"contract {contract_id}",
        category=category,
        project=project,
        stated=stated or {},
    )
    application_id = f"A-{contract.account}"
    _insist_on_same(conn, application_id, category, paper_sha256, policy)
    row = {
        "id": application_id,
        "contract": contract_id,
        "category": granting.eligible(policy, facts),
        "channel": channel,
        "paper_sha256": paper_sha256,
        "project": project,
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
    write(conn, Entry(f"application:{contract_id}", "application.submit", stamp, rows))
    return application_id


def _insist_on_same(
    conn: Connection, application_id: str, category: str | None, paper_sha256: str, policy: Policy
) -> None:
    """Say what differs, where a contract is applied for once more: nothing may.

    Raises:
        NotAllowed: Another category, or another paper than was handed in or reviewed.
    """
    known = conn.execute(select(schema.application).filter_by(id=application_id)).one_or_none()
    if known is None:
        return
    if category not in (None, known.category):
        raise NotAllowed(
            f"contract {known.contract}: {application_id} is for {known.category}, not {category}; "
            f"one contract has one category ({policy.clause('categories')})"
        )
    if known.paper_sha256 != paper_sha256:
        verdict = select(schema.review.c.verdict).filter_by(application=application_id)
        state = conn.execute(verdict).scalar() or "handed in"
        raise NotAllowed(
            f"application {application_id}: was {state} with a paper of SHA-256 "
            f"{known.paper_sha256}, this one has {paper_sha256}; what changed in a contract is an "
            "amendment"
        )


def draft_review(
    conn: Connection,
    application_id: str,
    verdict: str,
    reason: str,
    policy: Policy,
    effective_s: int,
    root: Path | None = None,
) -> dict[str, Any]:
    """Return the act that the regulator signs to confirm or refuse an application.

    Args:
        conn: A connection to the book.
        application_id: What is reviewed.
        verdict: confirm or refuse.
        reason: Why.
        policy: The rules.
        effective_s: When.
        root: Where papers are kept.
    """
    application = find(conn, "application", id=application_id)
    papers.insist(conn, application_id, root)
    body: dict[str, Any] = {"reason": reason}
    if verdict == "confirm":
        body["voucher_fen"] = entitled(conn, application_id, policy, effective_s).amount_fen
    return signing.draft(
        conn, f"application.{verdict}", application_id, hash_of(conn, application.seq), body
    )


def accept_review(
    conn: Connection, act: Act, policy: Policy, stamp: Stamp, root: Path | None = None
) -> str | None:
    """Carry out the regulator's signed review; issue the voucher if it confirms.

    Args:
        conn: A connection to the book.
        act: What was signed.
        policy: The rules.
        stamp: When.
        root: Where papers are kept.

    Returns:
        The voucher's id, or None when the application is refused.

    Raises:
        InvalidInput: The act decides something else than an application.
        NotAllowed: It was signed for other content, by the submitter, or decided already; or a
            paper is not what was handed in.
    """
    if act.verb not in _VERDICTS:
        raise InvalidInput(
            f"act {act.verb} {act.subject}: decides no application; draft it as one of"
            f" {', '.join(_VERDICTS)}"
        )
    lock(conn)
    application = find(conn, "application", id=act.subject)
    signing.insist_on_subject(act, act.verb, hash_of(conn, application.seq))
    submitter = conn.execute(
        select(schema.journal.c.actor).where(schema.journal.c.seq == application.seq)
    ).scalar_one()
    signing.insist_on_other(act, submitter)
    known = conn.execute(select(schema.review).filter_by(application=application.id)).one_or_none()
    if known is not None:
        if known.act_sha256 == act.sha256:
            return conn.execute(
                select(schema.voucher.c.id).filter_by(application=application.id)
            ).scalar()
        raise NotAllowed(
            f"application {application.id}: was {known.verdict} already; nothing is left to decide"
        )
    papers.insist(conn, application.id, root)
    verdict = _VERDICTS[act.verb]
    review = {
        "application": application.id,
        "verdict": verdict,
        "reason": str(act.body.get("reason", "")),
        "act_sha256": act.sha256,
    }
    rows: dict[str, list[Mapping[str, Any]]] = {
        "signed_act": [signing.act_row(act)],
        "review": [review],
    }
    voucher = None
    postings: list[Posting] = []
    if verdict == "confirmed":
        given = _signed_for(conn, application, act, policy, stamp)
        voucher = _voucher_row(conn, application, given)
        rows["voucher"] = [voucher]
        if given.funders_fen:
            rows["voucher_funder"] = _funder_rows(voucher["id"], given)
        micro = given.amount_fen * money.MICRO_PER_FEN
        postings = [
            Posting("voucher.left", voucher["id"], micro),
            Posting("programme", policy.name, -micro),
        ]
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    write(conn, Entry(f"review:{application.id}", act.verb, signed, rows, postings))
    return None if voucher is None else voucher["id"]


def _signed_for(
    conn: Connection, application: Any, act: Act, policy: Policy, stamp: Stamp
) -> Entitlement:
    """Return what the rules give, and insist that it is what the regulator signed."""
    given = entitled(conn, application.id, policy, stamp.effective_s)
    if act.body.get("voucher_fen") != given.amount_fen:
        raise NotAllowed(
            f"act {act.verb} {application.id}: signed for {act.body.get('voucher_fen')} fen, the "
            f"rules now give {given.amount_fen}; draft it again"
        )
    return given


def _voucher_row(conn: Connection, application: Any, given: Entitlement) -> dict[str, Any]:
    contract = find(conn, "contract", id=application.contract)
    return {
        "id": f"{contract.account}-1",
        "account": contract.account,
        "application": application.id,
        "category": application.category,
        "issued_on": given.issued_on.isoformat(),
        "amount_fen": given.amount_fen,
        "trimmed": int(given.trimmed),
        "from_s": given.from_s,
        "until_s": given.until_s,
    }


def _funder_rows(voucher: str, given: Entitlement) -> list[Mapping[str, Any]]:
    return [
        {"voucher": voucher, "funder": name, "place": place, "amount_fen": fen}
        for place, (name, fen) in enumerate(given.funders_fen)
    ]
