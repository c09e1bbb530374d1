"""From application to voucher: the second step of the rules (申领, 发放).

What is issued follows from policy, contract and what was issued before, in one serialised
transaction. The regulator signs the figure; if the rules give another one by then, nothing
is issued.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import schema, signing
from accounting.book.ledger import Entry, Posting, Stamp, hash_of, lock, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, NotAllowed
from accounting.policy import Policy
from accounting.vouchers import granting
from accounting.vouchers.entitling import Entitlement, contract_facts, entitled
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

    Returns:
        The application's id.

    Raises:
        InvalidInput: Contract or category is unknown.
        NotEligible: The rules do not allow it.
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
    write(conn, Entry(f"application:{contract_id}", "application.submit", stamp, rows))
    return application_id


def draft_review(
    conn: Connection,
    application_id: str,
    verdict: str,
    reason: str,
    policy: Policy,
    effective_s: int,
) -> dict[str, Any]:
    """Return the act that the regulator signs to confirm or refuse an application."""
    application = find(conn, "application", id=application_id)
    body: dict[str, Any] = {"reason": reason}
    if verdict == "confirm":
        body["voucher_fen"] = entitled(conn, application_id, policy, effective_s).amount_fen
    return signing.draft(
        conn, f"application.{verdict}", application_id, hash_of(conn, application.seq), body
    )


def accept_review(conn: Connection, act: Act, policy: Policy, stamp: Stamp) -> str | None:
    """Carry out the regulator's signed review; issue the voucher if it confirms.

    Returns:
        The voucher's id, or None when the application is refused.

    Raises:
        InvalidInput: The act decides something else than an application.
        NotAllowed: It was signed for other content, by the submitter, or decided already.
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
