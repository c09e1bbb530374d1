"""Signed acts come in: which function carries which verb out, and what becomes of a refused one.

It stands with the last step of the flow because it knows what every step does with an act.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.engine import Connection

from accounting.book import keys, schema, signing
from accounting.book.ledger import Entry, Stamp, canonical, lock, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, Refused, VoucherError
from accounting.money import yuan
from accounting.policy import Policy
from accounting.redeem import paying, reserve, reviewing
from accounting.vouchers import clawback, freezing, issuing, returning, waiting

WORD_CHARS_MAX = 200
"""Of what a file calls itself: it may say anything."""


@dataclass(frozen=True)
class Place:
    """Where and when acts are carried out: rules, where papers are kept, who brought it when."""

    policy: Policy
    papers: Path
    stamp: Stamp


def _review(conn: Connection, act: Act, at: Place) -> str:
    voucher = issuing.accept_review(conn, act, at.policy, at.stamp, at.papers)
    if voucher is not None:
        return f"voucher {voucher} issued{_in_kind(at.policy)}"
    return "refused" if act.verb == "application.refuse" else "confirmed, it waits for money"


def _in_kind(policy: Policy) -> str:
    """Say what is given beside the money: it is not in the book, which counts money."""
    if policy.in_kind is None:
        return ""
    return (
        f"; {policy.in_kind.card_hours:,} card-hours in kind are to be given beside it, by "
        "svoucher refund of the first runs"
    )


def _claim_review(conn: Connection, act: Act, at: Place) -> str:
    return f"{yuan(reviewing.accept_review(conn, act, at.stamp))} yuan approved"


def _claim_pay(conn: Connection, act: Act, at: Place) -> str:
    to_provider, repaid = paying.accept_payout(conn, act, at.stamp)
    return f"{yuan(to_provider)} yuan paid, {yuan(repaid)} repaid to the reserve fund"


def _reserve_grant(conn: Connection, act: Act, at: Place) -> str:
    reserve.accept_grant(conn, act, at.stamp)
    return "granted"


def _freeze(conn: Connection, act: Act, at: Place) -> str:
    return f"frozen from {freezing.accept_freeze(conn, act, at.policy, at.stamp)}"


def _unfreeze(conn: Connection, act: Act, at: Place) -> str:
    last_on = freezing.accept_unfreeze(conn, act, at.policy, at.stamp)
    issued = waiting.serve(conn, at.policy, at.stamp)
    words = f"free after {last_on}"
    return words + (f", issued to those who waited: {', '.join(issued)}" if issued else "")


def _clawback(conn: Connection, act: Act, at: Place) -> str:
    return clawback.said(clawback.accept(conn, act, at.policy, at.stamp))


def _debt_return(conn: Connection, act: Act, at: Place) -> str:
    return f"{yuan(returning.accept(conn, act, at.policy, at.stamp))} yuan given back to the unit"


def _key_replace(conn: Connection, act: Act, at: Place) -> str:
    return f"key {keys.accept_replace(conn, act, at.stamp)} takes its place"


def _key_revoke(conn: Connection, act: Act, at: Place) -> str:
    keys.accept_revoke(conn, act, at.stamp)
    return "revoked"


VERBS: Mapping[str, Callable[[Connection, Act, Place], str]] = {
    "application.confirm": _review,
    "application.refuse": _review,
    "claim.review": _claim_review,
    "claim.pay": _claim_pay,
    "reserve.grant": _reserve_grant,
    "unit.freeze": _freeze,
    "unit.unfreeze": _unfreeze,
    "voucher.clawback": _clawback,
    "debt.return": _debt_return,
    "key.replace": _key_replace,
    "key.revoke": _key_revoke,
}
"""What carries each act out, and says in a few words what came of it."""


def accept(engine: Engine, signed: Mapping[str, Any], at: Place) -> tuple[Act, str]:
    """Verify a signed act and carry it out in one transaction; the same file twice is once.

    Returns:
        (the act, what came of it).

    Raises:
        Refused, InvalidInput: It is not carried out, and the book keeps why: nothing else of it.
    """
    try:
        with engine.begin() as conn:
            lock(conn)  # a key that is revoked meanwhile signs nothing
            act = signing.verify(conn, signed)
            return act, VERBS[act.verb](conn, act, at)
    except (Refused, InvalidInput) as error:
        with engine.begin() as conn:
            _record(conn, signed, error, at.stamp)
        raise


def _record(conn: Connection, signed: Mapping[str, Any], error: VoucherError, stamp: Stamp) -> None:
    """Enter that an act was refused, once for each reason: it may come too early, then too late."""
    lock(conn)
    sha256 = hashlib.sha256(canonical(signed).encode(errors="backslashreplace")).hexdigest()
    message = _plain(str(error))
    row = {
        "sha256": sha256,
        "verb": _plain(signed.get("act"))[:WORD_CHARS_MAX],
        "subject": _plain(signed.get("subject"))[:WORD_CHARS_MAX],
        "code": error.code,
        "message": message,
    }
    known = select(schema.refusal.c.seq).filter_by(sha256=sha256, message=message)
    if conn.execute(known).scalar() is None:
        key = f"refusal:{sha256}:{hashlib.sha256(message.encode()).hexdigest()[:16]}"
        write(conn, Entry(key, "act.refused", stamp, {"refusal": [row]}))


def _plain(value: object) -> str:
    """Return text that every database takes, whatever a file has in it."""
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def refusals(conn: Connection) -> list[dict[str, Any]]:
    """List refused acts in the order in which they came, with who brought each."""
    entry = schema.journal.c
    query = (
        select(schema.refusal, entry.actor, entry.effective_s)
        .join(schema.journal, entry.seq == schema.refusal.c.seq)
        .order_by(schema.refusal.c.seq)
    )
    return [dict(row) for row in conn.execute(query).mappings()]
