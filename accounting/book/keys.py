"""How a key ends and another takes its place: by a signature, never by whoever runs the machine.

A key is replaced by an act that it signs itself, and revoked by one that it or the city's other
office signs. Where it was revoked, the other office names the next one. What was carried out while
a key was in force stands; what comes in afterwards is refused, whenever it was signed: nobody can
tell when.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema, signing
from accounting.book.ledger import Entry, Stamp, hash_of, lock, write
from accounting.book.signing import Act
from accounting.errors import InvalidInput, NotAllowed

OTHER_OFFICE = {"regulator": "treasury", "treasury": "regulator", "system": "regulator"}
"""Who may end a key beside its holder."""
_KEY = schema.signing_key


def draft_replace(conn: Connection, old_id: str, public: Mapping[str, Any]) -> dict[str, Any]:
    """Return the act by which another key takes a key's place."""
    old = _find(conn, old_id)
    _check_successor(conn, old, signing.key_row(public))
    body = {"key": {name: public[name] for name in ("actor", "role", "public")}}
    return signing.draft(conn, "key.replace", old_id, hash_of(conn, old.seq), body)


def accept_replace(conn: Connection, act: Act, stamp: Stamp) -> str:
    """Carry out the replacement of a key.

    Returns:
        The new key's id.

    Raises:
        NotAllowed: Signed by neither the key itself nor, where that was revoked, by the other
            office; or the new key's actor or role does not fit.
        InvalidInput: The act names no public key.
    """
    lock(conn)
    old = _find(conn, act.subject)
    signing.insist_on_subject(act, "key.replace", hash_of(conn, old.seq))
    public = act.body.get("key")
    new = signing.key_row(public if isinstance(public, dict) else {})
    if signing.carried_out(conn, act.sha256) is not None:
        return new["key_id"]
    revoked = signing.key_end(conn, old.key_id) is not None
    if act.key_id != old.key_id and not (revoked and act.actor.role == OTHER_OFFICE[old.role]):
        raise NotAllowed(
            f"act key.replace {old.key_id}: signed by {act.actor.name}, it takes the key itself"
            f", or, when that is revoked, the {OTHER_OFFICE[old.role]}; revoke it first"
        )
    _check_successor(conn, old, new)
    rows = {"signed_act": [signing.act_row(act)], "signing_key": [new]}
    if not revoked:
        rows["key_end"] = [_end(act, "replaced")]
    _write(conn, f"key:{new['key_id']}", act, stamp, rows)
    return new["key_id"]


def _check_successor(conn: Connection, old: Any, new: Mapping[str, str]) -> None:
    """Check whether a key can follow another one: same role, no other one in force, a new key."""
    if new["role"] != old.role:
        raise NotAllowed(
            f"key {new['key_id']}: is made for the {new['role']}, {old.key_id} is the {old.role}'s;"
            " make it with that role"
        )
    for known in conn.execute(select(_KEY)).all():
        if known.key_id == new["key_id"]:
            raise NotAllowed(f"key {known.key_id}: is in the book already; make another one")
        if known.actor == new["actor"] and known.role != new["role"]:
            raise NotAllowed(
                f"key {new['key_id']}: {known.actor} already holds the key of the {known.role}; "
                "one actor has one role"
            )
        in_force = signing.key_end(conn, known.key_id) is None
        if known.role == old.role and known.key_id != old.key_id and in_force:
            raise NotAllowed(
                f"key {old.key_id}: {known.key_id} of {known.actor} is the {old.role}'s in force; "
                "replace that one"
            )


def draft_revoke(conn: Connection, key_id: str, reason: str) -> dict[str, Any]:
    """Return the act by which a key is revoked."""
    known = _find(conn, key_id)
    return signing.draft(conn, "key.revoke", key_id, hash_of(conn, known.seq), {"reason": reason})


def accept_revoke(conn: Connection, act: Act, stamp: Stamp) -> None:
    """Carry out the revocation of a key: no act that it signed comes in from now on.

    Raises:
        NotAllowed: Signed by somebody else than the key or the other office, or ended already.
    """
    lock(conn)
    known = _find(conn, act.subject)
    signing.insist_on_subject(act, "key.revoke", hash_of(conn, known.seq))
    if signing.carried_out(conn, act.sha256) is not None:
        return
    if act.key_id != known.key_id and act.actor.role != OTHER_OFFICE[known.role]:
        raise NotAllowed(
            f"act key.revoke {known.key_id}: signed by {act.actor.name}, it takes the key itself or"
            f" the {OTHER_OFFICE[known.role]}; let one of them sign"
        )
    end = signing.key_end(conn, known.key_id)
    if end is not None:
        raise NotAllowed(f"key {known.key_id}: was {end.kind} by entry {end.seq}; it ends once")
    rows = {"signed_act": [signing.act_row(act)], "key_end": [_end(act, "revoked")]}
    _write(conn, f"key.revoke:{known.key_id}", act, stamp, rows)


def _end(act: Act, kind: str) -> dict[str, str]:
    return {"key_id": act.subject, "kind": kind, "act_sha256": act.sha256}


def _write(
    conn: Connection, key: str, act: Act, stamp: Stamp, rows: Mapping[str, list[dict[str, str]]]
) -> None:
    signed = Stamp(act.actor, stamp.at_s, stamp.effective_s)
    write(conn, Entry(key, act.verb, signed, rows))


def _find(conn: Connection, key_id: str) -> Any:
    row = conn.execute(select(_KEY).filter_by(key_id=key_id)).one_or_none()
    if row is None:
        raise InvalidInput(f"key {key_id}: not in the book; see svoucher key list")
    return row


def listed(conn: Connection) -> list[dict[str, Any]]:
    """List the keys of the book: key_id, role, actor, kind of the end and its entry, or None."""
    end = schema.key_end.c
    query = (
        select(_KEY.c.key_id, _KEY.c.role, _KEY.c.actor, end.kind, end.seq.label("end_seq"))
        .outerjoin(schema.key_end, end.key_id == _KEY.c.key_id)
        .order_by(_KEY.c.seq)
    )
    return [dict(row) for row in conn.execute(query).mappings()]
