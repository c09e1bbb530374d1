"""A unit that is no longer eligible is frozen from a day on, by the regulator's act.

From then on no hold is taken and nothing is deducted for what runs; what ran before is settled
as ever. Months that have a statement are the past and are kept.
"""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema, signing
from accounting.book.ledger import Entry, Stamp, hash_of, lock, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, NotAllowed
from accounting.policy import Policy
from accounting.vouchers.registry import find

ALWAYS_S = 2**62


def draft_freeze(conn: Connection, unit: str, from_on: date, reason: str) -> dict[str, Any]:
    """Return the act by which a unit is frozen from a day on."""
    row = find(conn, "unit", id=unit)
    body = {"from": from_on.isoformat(), "reason": reason}
    return signing.draft(conn, "unit.freeze", unit, hash_of(conn, row.seq), body)


def accept_freeze(conn: Connection, act: Act, policy: Policy, stamp: Stamp) -> date:
    """Carry out the regulator's freeze of a unit; return its first day.

    Raises:
        InvalidInput: The act names no day or reason.
        NotAllowed: The unit is frozen then already, or the month has a statement.
    """
    lock(conn)
    row = find(conn, "unit", id=act.subject)
    signing.insist_on_subject(act, "unit.freeze", hash_of(conn, row.seq))
    from_on, reason = signing.day_in(act, "from"), str(act.body.get("reason", "")).strip()
    if not reason:
        raise InvalidInput(f"act unit.freeze {row.id}: 0 reasons, 1 is needed; draft it again")
    if signing.carried_out(conn, act.sha256) is not None:
        return from_on
    from_s = period.instant(from_on, policy.timezone)
    for begin_s, end_s in of_unit(conn, row.id):
        if from_s < end_s:
            day = period.day_of(begin_s, policy.timezone)
            raise NotAllowed(f"unit {row.id}: is frozen from {day} already; end that first")
    _insist_on_open(conn, row.id, from_on, policy)
    freeze = {"unit": row.id, "from_s": from_s, "reason": reason, "act_sha256": act.sha256}
    rows = {"signed_act": [signing.act_row(act)], "freeze": [freeze]}
    _write(conn, f"freeze:{row.id}:{from_on}", act, stamp, rows)
    return from_on


def draft_unfreeze(
    conn: Connection, unit: str, last_on: date, reason: str, policy: Policy
) -> dict[str, Any]:
    """Return the act by which a unit is free again after a day.

    Raises:
        NotAllowed: The unit is not frozen on that day without an end.
    """
    row = find(conn, "unit", id=unit)
    begun = _running(conn, unit, last_on, policy)
    body = {
        "from": period.day_of(begun, policy.timezone).isoformat(),
        "until": last_on.isoformat(),
        "reason": reason,
    }
    return signing.draft(conn, "unit.unfreeze", unit, hash_of(conn, row.seq), body)


def accept_unfreeze(conn: Connection, act: Act, policy: Policy, stamp: Stamp) -> date:
    """Carry out the end of a freeze; return its last day.

    Raises:
        InvalidInput: The act names no day.
        NotAllowed: The unit is not frozen then, or the month has a statement.
    """
    lock(conn)
    row = find(conn, "unit", id=act.subject)
    signing.insist_on_subject(act, "unit.unfreeze", hash_of(conn, row.seq))
    last_on = signing.day_in(act, "until")
    if signing.carried_out(conn, act.sha256) is not None:
        return last_on
    from_s = period.instant(signing.day_in(act, "from"), policy.timezone)
    if _running(conn, row.id, last_on, policy) != from_s:
        raise NotAllowed(f"act unit.unfreeze {row.id}: another freeze runs by now; draft it again")
    _insist_on_open(conn, row.id, last_on + timedelta(days=1), policy)
    end = {
        "unit": row.id,
        "from_s": from_s,
        "until_s": period.instant(last_on + timedelta(days=1), policy.timezone),
        "act_sha256": act.sha256,
    }
    rows = {"signed_act": [signing.act_row(act)], "freeze_end": [end]}
    _write(conn, f"unfreeze:{row.id}:{from_s}", act, stamp, rows)
    return last_on


def _running(conn: Connection, unit: str, day: date, policy: Policy) -> int:
    """Return when the freeze began that runs on a day and has no end."""
    at_s = period.instant(day, policy.timezone)
    for begin_s, end_s in of_unit(conn, unit):
        if begin_s <= at_s and end_s == ALWAYS_S:
            return begin_s
    raise NotAllowed(f"unit {unit}: no freeze runs on {day}; see svoucher unit freezes")


def _insist_on_open(conn: Connection, unit: str, day: date, policy: Policy) -> None:
    """Refuse to change what a statement was made by."""
    month, statement = period.name_of(day, "month"), schema.statement.c
    query = (
        select(statement.id)
        .join(schema.contract, schema.contract.c.account == statement.account)
        .where(schema.contract.c.unit == unit, statement.month >= month)
        .order_by(statement.month.desc())
    )
    last = conn.execute(query).scalars().first()
    if last is not None:
        raise NotAllowed(
            f"unit {unit}: statement {last} stands, {policy.name} keeps the past "
            f"({policy.clause('on_ineligible.later')}); take a day of a later month"
        )


def _write(
    conn: Connection, key: str, act: Act, stamp: Stamp, rows: dict[str, list[dict[str, Any]]]
) -> None:
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    write(conn, Entry(key, act.verb, signed, rows))


def of_unit(conn: Connection, unit: str, last_seq: int = ledger.NEVER_SEQ) -> list[tuple[int, int]]:
    """List the times in which a unit is frozen, half-open, in order; ALWAYS_S where no end is set.

    Args:
        conn: The book.
        unit: Whose.
        last_seq: As of this entry.
    """
    return [
        (begin_s, end_s) for begin_s, end_s, _ in of_units(conn, [unit], last_seq).get(unit, ())
    ]


def is_frozen(conn: Connection, unit: str, at_s: int, last_seq: int = ledger.NEVER_SEQ) -> bool:
    """Tell whether a unit is frozen at an instant, as of an entry."""
    return any(begin_s <= at_s < end_s for begin_s, end_s in of_unit(conn, unit, last_seq))


def of_units(
    conn: Connection, units: Collection[str], last_seq: int = ledger.NEVER_SEQ
) -> dict[str, list[tuple[int, int, str]]]:
    """Return the times in which units are frozen, and why; see `of_unit`."""
    begun, ended = schema.freeze, schema.freeze_end
    same = (ended.c.unit == begun.c.unit) & (ended.c.from_s == begun.c.from_s)
    query = (
        select(begun.c.unit, begun.c.from_s, ended.c.until_s, begun.c.reason)
        .outerjoin(ended, same & (ended.c.seq <= last_seq))
        .where(begun.c.unit.in_(units), begun.c.seq <= last_seq)
        .order_by(begun.c.unit, begun.c.from_s)
    )
    found: dict[str, list[tuple[int, int, str]]] = {}
    for unit, from_s, until_s, reason in conn.execute(query):
        end_s = ALWAYS_S if until_s is None else until_s
        found.setdefault(unit, []).append((from_s, end_s, reason))
    return found


def listed(conn: Connection, unit: str) -> list[dict[str, Any]]:
    """List a unit's freezes: from_s, until_s or ALWAYS_S, reason."""
    return [
        {"from_s": from_s, "until_s": until_s, "reason": reason}
        for from_s, until_s, reason in of_units(conn, [unit]).get(unit, ())
    ]
