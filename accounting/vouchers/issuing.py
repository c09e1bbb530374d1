"""From application to voucher: review and issue (发放).

What is issued follows from policy, contract and what was issued before, in one serialised
transaction. The regulator signs the figure; if the rules give another one by then, nothing
is issued. Who is confirmed when a limit is used up waits (waiting.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import schema, signing
from accounting.book.ledger import Entry, Posting, Stamp, hash_of, lock, write
from accounting.book.signing import Act
from accounting.errors import CapReached, InvalidInput, NotAllowed
from accounting.policy import Policy
from accounting.vouchers import papers
from accounting.vouchers.entitling import Entitlement, entitled
from accounting.vouchers.registry import find

_VERDICTS = {"application.confirm": "confirmed", "application.refuse": "refused"}


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
        body["voucher_fen"], given = _figure(conn, application_id, policy, effective_s)
        if given is None:
            body["waits"] = True  # said to who signs; what counts is how it stands on import
    return signing.draft(
        conn, f"application.{verdict}", application_id, hash_of(conn, application.seq), body
    )


def _figure(
    conn: Connection, application_id: str, policy: Policy, effective_s: int
) -> tuple[int, Entitlement | None]:
    """Return what the rules give, fen, and how; without a how it waits for a limit to be freed."""
    try:
        given = entitled(conn, application_id, policy, effective_s)
    except CapReached as short:
        return short.wanted_fen, None
    return given.amount_fen, given


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
        The voucher's id, or None when the application is refused or waits.

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
    decided, voucher = _decided(conn, application.id, act)
    if decided:
        return voucher
    papers.insist(conn, application.id, root)
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    act_row = {"signed_act": [signing.act_row(act)]}
    reason = str(act.body.get("reason", ""))
    if _VERDICTS[act.verb] == "refused":
        rows = act_row | {"review": [_review_row(application.id, "refused", reason, act.sha256)]}
        write(conn, Entry(f"review:{application.id}", act.verb, signed, rows))
        return None
    given = _signed_for(conn, application, act, policy, stamp)
    if given is None:
        waits = {
            "application": application.id,
            "wanted_fen": act.body["voucher_fen"],
            "act_sha256": act.sha256,
        }
        rows = act_row | {"waiting": [waits]}
        write(conn, Entry(f"waiting:{application.id}", act.verb, signed, rows))
        return None
    return issue(
        conn, application, act.verb, act.sha256, reason, given, policy, signed, rows=act_row
    )


def _decided(conn: Connection, application_id: str, act: Act) -> tuple[bool, str | None]:
    """Tell whether an act was carried out already, and with which voucher.

    Raises:
        NotAllowed: Another act decided.
    """
    known = conn.execute(select(schema.review).filter_by(application=application_id)).one_or_none()
    if known is not None:
        if known.act_sha256 != act.sha256:
            raise NotAllowed(
                f"application {application_id}: was {known.verdict} already; nothing is left to "
                "decide"
            )
        own = select(schema.voucher.c.id).filter_by(application=application_id)
        return True, conn.execute(own).scalar()
    waits = conn.execute(select(schema.waiting).filter_by(application=application_id)).one_or_none()
    if waits is None or act.verb == "application.refuse":
        return False, None
    if waits.act_sha256 != act.sha256:
        raise NotAllowed(
            f"application {application_id}: was confirmed and waits for "
            f"{money.yuan(waits.wanted_fen)} yuan; refuse it, or wait until money is freed"
        )
    return True, None


def _review_row(application: str, verdict: str, reason: str, act_sha256: str) -> dict[str, Any]:
    return {
        "application": application,
        "verdict": verdict,
        "reason": reason,
        "act_sha256": act_sha256,
    }


def issue(
    conn: Connection,
    application: Any,
    code: str,
    act_sha256: str,
    reason: str,
    given: Entitlement,
    policy: Policy,
    stamp: Stamp,
    *,
    rows: Mapping[str, list[dict[str, Any]]],
) -> str:
    """Issue what an application is entitled to, on the regulator's act; return the voucher's id."""
    voucher = _voucher_row(conn, application, given)
    review = _review_row(application.id, "confirmed", reason, act_sha256)
    own = {**rows, "review": [review], "voucher": [voucher]}
    if given.funders_fen:
        own["voucher_funder"] = _funder_rows(voucher["id"], given)
    micro = given.amount_fen * money.MICRO_PER_FEN
    postings = [
        Posting("voucher.left", voucher["id"], micro),
        Posting("programme", policy.name, -micro),
    ]
    write(conn, Entry(f"review:{application.id}", code, stamp, own, postings))
    return str(voucher["id"])


def _signed_for(
    conn: Connection, application: Any, act: Act, policy: Policy, stamp: Stamp
) -> Entitlement | None:
    """Return what the rules give, None while there is no money for it, and insist that it is the
    figure that the regulator signed."""
    fen, given = _figure(conn, application.id, policy, stamp.effective_s)
    if act.body.get("voucher_fen") != fen:
        raise NotAllowed(
            f"act {act.verb} {application.id}: signed for {act.body.get('voucher_fen')} fen, the "
            f"rules now give {fen}; draft it again"
        )
    return given


def _voucher_row(conn: Connection, application: Any, given: Entitlement) -> dict[str, Any]:
    contract = find(conn, "contract", id=application.contract)
    own = schema.voucher.c.account == contract.account
    before = select(func.count()).select_from(schema.voucher).where(own)
    return {
        "id": f"{contract.account}-{conn.execute(before).scalar_one() + 1}",
        "account": contract.account,
        "application": application.id,
        "category": application.category,
        "issued_on": given.issued_on.isoformat(),
        "amount_fen": given.amount_fen,
        "trimmed": int(given.trimmed),
        "from_s": given.from_s,
        "until_s": given.until_s,
    }


def _funder_rows(voucher: str, given: Entitlement) -> list[dict[str, Any]]:
    return [
        {"voucher": voucher, "funder": name, "place": place, "amount_fen": fen}
        for place, (name, fen) in enumerate(given.funders_fen)
    ]
