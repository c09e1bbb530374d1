"""Signed acts: what regulator and treasury decide arrives as a file that they signed.

An act names the book, its subject and the hash of the subject's entry, so that a signature
given for one thing is worth nothing for another. Keys are Ed25519; private ones never enter
the book. Their library is loaded when a signature is made or checked: most commands do neither.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import Actor, Entry, Stamp, canonical, head, identity, lock, write
from accounting.errors import InvalidInput, NotAllowed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ACT_BYTES_MAX = 1_000_000
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)
"""What an act can name: signers write their files as they like."""
KEY_ROLES = ("regulator", "treasury", "system")
ACTS = {
    "application.confirm": ("regulator",),
    "application.refuse": ("regulator",),
    "claim.review": ("regulator",),
    "claim.pay": ("treasury",),
    "reserve.grant": ("treasury",),
    "unit.freeze": ("regulator",),
    "unit.unfreeze": ("regulator",),
    "voucher.clawback": ("regulator",),
    "debt.return": ("treasury",),
    "key.replace": KEY_ROLES,
    "key.revoke": KEY_ROLES,
}
"""Which roles may sign which act: the provider confirms, approves and pays nothing."""


@dataclass(frozen=True)
class Act:
    """A verified act: who decided what about which entry."""

    verb: str
    subject: str
    subject_hash: str
    body: Mapping[str, Any]
    actor: Actor
    key_id: str
    sha256: str
    text: str


def make_key(path: Path, actor: str, role: str) -> Mapping[str, str]:
    """Make a key pair: the private key at `path` (0600), the public one at `path`.pub.

    Raises:
        InvalidInput: A file is there already (keys are never overwritten) or cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    public_hex = private.public_key().public_bytes_raw().hex()
    public = {"actor": actor, "role": role, "public": public_hex, "key": key_id(public_hex)}
    _write_new(Path(f"{path}.pub"), public, 0o644)
    _write_new(path, public | {"private": private.private_bytes_raw().hex()}, 0o600)
    return public


def _write_new(path: Path, value: Mapping[str, str], mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise InvalidInput(f"key {path}: {error.strerror}; choose another name") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(canonical(value) + "\n")
    except OSError as error:  # a full disk does not say whose file it has no room for
        path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None


def key_id(public_hex: str) -> str:
    """Name a key by the hash of its public half."""
    return hashlib.sha256(bytes.fromhex(public_hex)).hexdigest()[:16]


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON object from a file, or raise InvalidInput that says what is wrong."""
    try:
        if path.stat().st_size > ACT_BYTES_MAX:
            raise InvalidInput(f"{path}: larger than {ACT_BYTES_MAX} bytes; this is no act or key")
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; check the path") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: no JSON ({error}); export it again") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{path}: a JSON object is expected; export it again")
    return value


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Take each key once: of two values a reader sees one, and a program the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:32]!r} stands there twice")
    return found


def trust(conn: Connection, public: Mapping[str, Any], stamp: Stamp) -> dict[str, str]:
    """Enter a public key into the book; return its row, whose id is worked out from the key.

    The first key of a role may be entered by the operator when the book is set up. Later keys
    of a role are refused here: who holds the provider's machine could else appoint its own
    regulator.

    Raises:
        NotAllowed: The role has a key already, or the actor holds another role.
        InvalidInput: This is no public key.
    """
    row = key_row(public)
    lock(conn)
    for known in conn.execute(select(schema.signing_key)).all():
        if all(getattr(known, name) == value for name, value in row.items()):
            return row
        if known.role == row["role"] or known.actor == row["actor"]:
            raise NotAllowed(
                f"key {row['key_id']}: {known.actor} already holds the key of the {known.role}; "
                "one actor has one role, and a role's key is not replaced by the operator"
            )
    write(conn, Entry(f"key:{row['key_id']}", "key.trust", stamp, {"signing_key": [row]}))
    return row


def key_row(public: Mapping[str, Any]) -> dict[str, str]:
    """Return the row of a public key, or raise InvalidInput."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public["public"]))
        row = {
            "key_id": key_id(public["public"]),
            "role": public["role"],
            "actor": str(public["actor"]),
            "public_hex": public["public"],
        }
    except (KeyError, ValueError, TypeError):
        raise InvalidInput(
            "key: this is no public key; give the .pub file of svoucher key make"
        ) from None
    if row["role"] not in KEY_ROLES:
        raise InvalidInput(
            f"key {row['key_id']}: role {row['role']!r} signs nothing; use {', '.join(KEY_ROLES)}"
        )
    return row


def draft(
    conn: Connection, verb: str, subject: str, subject_hash: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Return an act that is still to be signed."""
    return {
        "act": verb,
        "book": identity(conn).book_id,
        "subject": subject,
        "subject_hash": subject_hash,
        "body": dict(body),
    }


def sign(act: Mapping[str, Any], key: Mapping[str, Any]) -> dict[str, Any]:
    """Sign a drafted act. Needs the private key and no book."""
    signer = {name: str(key.get(name)) for name in ("actor", "role", "key")}
    signers = ACTS.get(str(act.get("act")), ())
    if signer["role"] not in signers:
        raise NotAllowed(
            f"act {act.get('act')!r}: the {signer['role']} does not sign this; give it to the "
            f"{' or '.join(signers) or 'one who drafted it'}"
        )
    signed = {name: value for name, value in act.items() if name != "signature"} | signer
    return signed | {"signature": signature(key, signed)}


def _private(key: Mapping[str, Any]) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["private"]))
    except (KeyError, ValueError, TypeError):
        raise InvalidInput(
            "key: this is no private key; give the file of svoucher key make"
        ) from None


def verify(conn: Connection, signed: Mapping[str, Any]) -> Act:
    """Check a signed act against the keys of the book.

    Raises:
        InvalidInput: A field is missing or the act belongs to another book.
        NotAllowed: Key unknown or no longer in force, role wrong, signature wrong, or another
            signer named. What was carried out while the key was in force stands.
    """
    try:
        verb, subject, book_id = str(signed["act"]), str(signed["subject"]), str(signed["book"])
        subject_hash, body = str(signed["subject_hash"]), dict(signed["body"])
        signature, used_key = str(signed["signature"]), str(signed["key"])
    except (KeyError, ValueError, TypeError):
        raise InvalidInput("act: not a signed act; sign it with svoucher act sign") from None
    if book_id != identity(conn).book_id:
        raise InvalidInput(
            f"act {verb} {subject}: made for book {book_id[:8]}, not for this one; draft it here"
        )
    known = conn.execute(
        select(schema.signing_key).where(schema.signing_key.c.key_id == used_key)
    ).one_or_none()
    if known is None:
        raise NotAllowed(f"act {verb} {subject}: key {used_key[:16]!r} is not trusted in this book")
    if known.role not in ACTS.get(verb, ()):
        raise NotAllowed(
            f"act {verb} {subject}: {known.actor} holds the key of the {known.role}, who may not do"
            " this"
        )
    unsigned = {name: value for name, value in signed.items() if name != "signature"}
    if not genuine(known.public_hex, signature, unsigned):
        raise NotAllowed(
            f"act {verb} {subject}: the signature does not fit; sign the unchanged draft"
        )
    if (signed.get("actor"), signed.get("role")) != (known.actor, known.role):
        raise NotAllowed(
            f"act {verb} {subject}: names {signed.get('actor')!r}, the key is {known.actor}'s;"
            " sign it again"
        )
    text = canonical(signed)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    end, done = key_end(conn, used_key), carried_out(conn, sha256)
    if end is not None and (done is None or done > end.seq):
        raise NotAllowed(
            f"act {verb} {subject}: key {used_key} of {known.actor} was {end.kind} by entry "
            f"{end.seq}; sign it with the key in force"
        )
    actor = Actor(known.actor, known.role)
    return Act(verb, subject, subject_hash, body, actor, used_key, sha256, text)


def key_end(conn: Connection, used_key: str) -> Any | None:
    """Return how a key ended, or None while it is in force."""
    return conn.execute(select(schema.key_end).filter_by(key_id=used_key)).one_or_none()


def carried_out(conn: Connection, sha256: str) -> int | None:
    """Return the entry that carried an act out, or None."""
    return conn.execute(select(schema.signed_act.c.seq).filter_by(sha256=sha256)).scalar()


HEAD = ("day", "head_seq", "head_hash", "key_id")
"""What is signed of a day's head."""


def anchor(conn: Connection, key: Mapping[str, Any], day: str, stamp: Stamp) -> dict[str, Any]:
    """Sign the head of the chain for a day, so that whoever rewrites the chain is found; return
    the signed head, of a day that has one already that one.

    Raises:
        NotAllowed: This is not the book's system key, or no longer.
    """
    lock(conn)
    seq, head_hash = head(conn)
    known = system_key(conn, key)
    row = {"day": day, "head_seq": seq, "head_hash": head_hash, "key_id": known.key_id}
    row["signature"] = signature(key, row)
    same = conn.execute(select(schema.anchor).filter_by(day=day)).mappings().one_or_none()
    if same is not None:
        return {name: same[name] for name in row}
    write(conn, Entry(f"anchor:{day}", "anchor", stamp, {"anchor": [row]}))
    return row


def kept_head(path: Path) -> dict[str, Any]:
    """Read a signed head that was kept outside the book.

    Raises:
        InvalidInput: It is none.
    """
    found = read_json(path)
    kinds = {name: int if name == "head_seq" else str for name in (*HEAD, "signature")}
    if any(type(found.get(name)) is not kind for name, kind in kinds.items()):
        raise InvalidInput(f"{path}: no signed head; svoucher audit --sign --anchors writes them")
    return found


def system_key(conn: Connection, key: Mapping[str, Any]) -> Any:
    """Return the row of the book's own key, given its private half.

    Raises:
        NotAllowed: This is not the book's key in force, or its two halves do not fit.
    """
    known = conn.execute(select(schema.signing_key).filter_by(key_id=str(key.get("key")))).first()
    if known is None or known.role != "system" or key_end(conn, known.key_id) is not None:
        raise NotAllowed(
            f"key {str(key.get('key'))[:16]}: not this book's system key in force; heads and "
            "certificates need it"
        )
    if _private(key).public_key().public_bytes_raw().hex() != known.public_hex:
        raise NotAllowed(f"key {known.key_id}: its two halves do not fit; take the file as made")
    return known


def signature(key: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """Sign canonical JSON with a private key; return the signature in hexadecimal."""
    return _private(key).sign(canonical(content).encode()).hex()


def genuine(public_hex: str, signature_hex: str, content: Mapping[str, Any]) -> bool:
    """Tell whether a signature over canonical JSON is that of a public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex))
        public.verify(bytes.fromhex(signature_hex), canonical(content).encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def act_row(act: Act) -> dict[str, Any]:
    """Return the row that keeps a signed act in the book."""
    return {
        "sha256": act.sha256,
        "verb": act.verb,
        "subject": act.subject,
        "key_id": act.key_id,
        "text": act.text,
    }


def day_in(act: Act, name: str) -> date:
    """Return a day that an act names.

    Raises:
        InvalidInput: It is none.
    """
    said = str(act.body.get(name))
    try:
        day = date.fromisoformat(said)
    except ValueError:
        day = date.min
    if not FIRST_DAY <= day <= LAST_DAY or day.isoformat() != said:
        raise InvalidInput(
            f"act {act.verb} {act.subject}: {name} is {said[:40]!r}, a day from "
            f"{FIRST_DAY} to {LAST_DAY} is expected; draft it again"
        )
    return day


def insist_on_subject(act: Act, verb: str, current_hash: str) -> None:
    """Refuse an act that was signed for something else than what now stands in the book."""
    if act.verb != verb or act.subject_hash != current_hash:
        raise NotAllowed(
            f"act {act.verb} {act.subject}: signed for other content than the book's; draft it"
            " again"
        )


def insist_on_other(act: Act, submitter: str) -> None:
    """Four eyes: who submitted does not decide."""
    if act.actor.name == submitter:
        raise NotAllowed(
            f"act {act.verb} {act.subject}: {submitter} submitted it; somebody else decides"
        )
