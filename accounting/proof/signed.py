"""What can be proved by signature: signed heads of the chain, keys, and what was decided by act.

Whoever writes into the database can hash all of it anew, but sign nothing. So every row that takes
an act is compared with what its act says, each act with the entry that it was signed for, and each
act is worth one decision. Rules of the audit; the list of all is in audit.py.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import keys as key_rules
from accounting.book import ledger, schema, signing
from accounting.book.signing import Act
from accounting.errors import VoucherError
from accounting.proof.evidence import Books, Found

_SUBJECTS = {
    "application": schema.application.c.id,
    "claim": schema.claim.c.id,
    "debt": schema.debt.c.id,
    "key": schema.signing_key.c.key_id,
    "reserve": schema.provider.c.id,
    "unit": schema.unit.c.id,
    "voucher": schema.voucher.c.id,
}
"""What an act is about, by the first word of its verb."""


Said = Mapping[tuple[str, ...], object]


class Decided(NamedTuple):
    """A row that takes an act.

    Attributes:
        subject: The row.
        act: SHA-256 of the act that it leans on, or None.
        verb: Which one that has to be.
        about: And about what.
        said: What the act has to say for it: a path in its body, and the value there.
    """

    subject: str
    act: str | None
    verb: str
    about: str
    said: Said


def anchors(books: Books) -> Found:
    """Signed heads of earlier days, the book's own and those that were kept outside, are still in
    the chain: it was not rewritten since."""
    own = select(schema.signing_key).filter_by(role="system")
    keys = {row.key_id: row.public_hex for row in books.conn.execute(own)}
    ended = {row.key_id: row.seq for row in books.conn.execute(select(schema.key_end))}
    query = select(schema.journal.c.seq, schema.journal.c.hash)
    hashes = {row.seq: row.hash for row in books.conn.execute(query)}
    inside = {f"anchor {r['day']}": r for r in books.conn.execute(select(schema.anchor)).mappings()}
    outside = {f"kept head {name}": head for name, head in books.heads.items()}
    for subject, row in (inside | outside).items():
        signed = {name: row.get(name) for name in signing.HEAD}
        if not signing.genuine(keys.get(row["key_id"], ""), row["signature"], signed):
            yield subject, "its signature is not that of the book's key"
        elif row.get("seq", 0) > ended.get(row["key_id"], ledger.NEVER_SEQ):
            yield subject, f"key {row['key_id']} had ended when it signed this"
        elif row["head_seq"] not in hashes:
            yield subject, f"entry {row['head_seq']} was signed and is not in the chain"
        elif hashes[row["head_seq"]] != row["head_hash"]:
            yield subject, f"entry {row['head_seq']} has another hash than was signed"


def keys(books: Books) -> Found:
    """Every key but the first of a role came by an act that names it, and ended by one; and who
    signed that was allowed to."""
    conn, seen = books.conn, set[str]()
    acts = {row.seq: row for row in conn.execute(select(schema.signed_act))}
    rows = conn.execute(select(schema.signing_key).order_by(schema.signing_key.c.seq)).all()
    roles = {row.key_id: row.role for row in rows}
    ends = {row.key_id: row for row in conn.execute(select(schema.key_end))}
    for row in rows:
        named = {"actor": row.actor, "role": row.role, "public": row.public_hex}
        if row.role in seen and not _succeeds(row.role, named, acts.get(row.seq), roles, ends):
            yield f"key {row.key_id}", f"is a further one of the {row.role}, no act names it"
        seen.add(row.role)
    verbs = {"replaced": "key.replace", "revoked": "key.revoke"}
    for end in ends.values():
        act = acts.get(end.seq)
        said = None if act is None else (act.verb, act.subject, act.sha256)
        if said != (verbs[end.kind], end.key_id, end.act_sha256):
            yield f"key {end.key_id}", f"is {end.kind}, no act says so"
        elif act is not None and not _may_end(end, act, roles):
            yield f"key {end.key_id}", f"is {end.kind} by key {act.key_id}, which may not do that"


def _succeeds(
    role: str, named: Mapping[str, str], act: Any, roles: Mapping[str, str], ends: Mapping[str, Any]
) -> bool:
    """Tell whether a key came as book/keys.py has it: by the key before it, or where that had
    ended by the city's other office."""
    if act is None or act.verb != "key.replace" or _body(act).get("key") != named:
        return False
    end = ends.get(act.subject)
    if roles.get(act.subject) != role or end is None or end.seq > act.seq:
        return False
    return act.key_id == act.subject or (
        end.seq < act.seq and roles.get(act.key_id) == key_rules.OTHER_OFFICE.get(role)
    )


def _may_end(end: Any, act: Any, roles: Mapping[str, str]) -> bool:
    """Tell whether who signed the end of a key may do that."""
    other = key_rules.OTHER_OFFICE.get(roles.get(end.key_id, ""))
    return act.key_id == end.key_id or (end.kind == "revoked" and roles.get(act.key_id) == other)


def _body(act: Any) -> Mapping[str, Any]:
    """Return what an act says; nothing where that cannot be read."""
    try:
        return dict(json.loads(act.text)["body"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}


def signatures(books: Books) -> Found:
    """What takes an act is what that act says, for what now stands in the book, and once."""
    acts: dict[str, Act] = {}
    for row in books.conn.execute(select(schema.signed_act)).mappings():
        subject = f"act {row['sha256'][:16]}"
        try:
            act = signing.verify(books.conn, json.loads(row["text"]))
        except (VoucherError, ValueError, RecursionError) as error:
            yield subject, str(error)
            continue
        kept = {name: value for name, value in row.items() if name != "seq"}
        if act.sha256 != row["sha256"]:
            yield subject, f"its text has the hash {act.sha256[:16]}"
        elif kept != signing.act_row(act):
            yield subject, "is kept as another one than its text says"
        elif act.subject_hash != _hash_of_subject(books.conn, act):
            yield subject, f"{act.verb} was signed for another {act.subject} than the book has"
        acts[row["sha256"]] = act
    used: set[str] = set()
    for decided in _decided(books):
        yield from _as_signed(decided, acts, used)
    for sha256, act in acts.items():
        if sha256 == act.sha256 and sha256 not in used and _has_rows(act):
            yield f"act {sha256[:16]}", f"{act.verb} {act.subject} was signed, nothing follows it"


def _hash_of_subject(conn: Connection, act: Act) -> str | None:
    """Return the hash of the entry that brought what an act is about, or None."""
    name = _SUBJECTS[act.verb.partition(".")[0]]
    query = select(schema.journal.c.hash).join(name.table, name.table.c.seq == schema.journal.c.seq)
    return conn.execute(query.where(name == act.subject)).scalar()


def _as_signed(decided: Decided, acts: Mapping[str, Act], used: set[str]) -> Found:
    """Compare a row with the act that it leans on, which is used then."""
    act = acts.get(decided.act or "")
    if act is None or (act.verb, act.subject) != (decided.verb, decided.about):
        name, value = next(iter(decided.said.items()))
        act_of = f"act {decided.verb} of {decided.about}"
        yield decided.subject, f"{name[0]} is {value}, no {act_of} is signed"
        return
    if act.sha256 in used and act.verb != "claim.review":  # which is about each line of a claim
        yield decided.subject, f"leans on act {act.sha256[:16]}, which was carried out already"
    used.add(act.sha256)
    for name, value in decided.said.items():
        signed: Any = act.body
        for step in name:
            signed = signed.get(step) if isinstance(signed, dict) else None
        if isinstance(value, str):  # as it was taken from the act
            signed = "" if signed is None else str(signed).strip()
            value = value.strip()
        if signed != value:
            yield decided.subject, f"{name[0]} is {value}, signed was {signed}"


def _has_rows(act: Act) -> bool:
    """Tell whether rows lean on an act that was carried out. Those of keys are found by `keys`; to
    take an unused voucher back leaves no debt."""
    return not act.verb.startswith("key.") and (
        act.verb != "voucher.clawback" or bool(act.body.get("deducted_fen"))
    )


def _decided(books: Books) -> Iterator[Decided]:
    """Yield every row that takes an act."""
    yield from _decided_on_applications(books.conn)
    yield from _decided_on_units(books.conn, books.policy.timezone)
    for row in books.conn.execute(select(schema.claim_review)):
        said: Said = {
            ("approved_fen", row.line): row.approved_fen,
            ("reasons", row.line): row.reason,
        }
        subject = f"claim {row.claim} line {row.line}"
        yield Decided(subject, row.act_sha256, "claim.review", row.claim, said)
    for row in books.conn.execute(select(schema.payout)):
        said = _columns(row, "amount_fen", "reference", "paid_on")
        yield Decided(f"payout {row.claim}", row.act_sha256, "claim.pay", row.claim, said)
    for row in books.conn.execute(select(schema.reserve_grant)):
        said = _columns(row, "amount_fen", "reference")
        subject = f"reserve grant {row.reference}"
        yield Decided(subject, row.act_sha256, "reserve.grant", row.provider, said)
    for row in books.conn.execute(select(schema.debt_return)):
        said = _columns(row, "amount_fen", "reference", "paid_on")
        subject = f"return {row.reference}"
        yield Decided(subject, row.act_sha256, "debt.return", row.debt, said)


def _columns(row: Any, *names: str) -> Said:
    return {(name,): getattr(row, name) for name in names}


def _decided_on_applications(conn: Connection) -> Iterator[Decided]:
    verb, review, waiting = "application.confirm", schema.review, schema.waiting
    query = (
        select(schema.voucher, review.c.act_sha256, waiting.c.wanted_fen)
        .outerjoin(
            review,
            (review.c.application == schema.voucher.c.application)
            & (review.c.verdict == "confirmed"),
        )
        .outerjoin(waiting, waiting.c.application == schema.voucher.c.application)
    )
    for row in conn.execute(query):
        # Who waited was confirmed for what it wanted; it may get less (issued.py).
        signed_fen = row.amount_fen if row.wanted_fen is None else row.wanted_fen
        said: Said = {("voucher_fen",): signed_fen}
        yield Decided(f"voucher {row.id}", row.act_sha256, verb, row.application, said)
    of_voucher = select(schema.voucher.c.application)
    for row in conn.execute(select(waiting).where(waiting.c.application.not_in(of_voucher))):
        subject, said = f"waiting {row.application}", {("voucher_fen",): row.wanted_fen}
        yield Decided(subject, row.act_sha256, verb, row.application, said)
    refused = select(review).where(review.c.verdict == "refused")
    for row in conn.execute(refused):
        subject, said = f"refusal of {row.application}", {("reason",): row.reason}
        yield Decided(subject, row.act_sha256, "application.refuse", row.application, said)


def _decided_on_units(conn: Connection, timezone: str) -> Iterator[Decided]:
    def day(at_s: int) -> str:
        return period.day_of(at_s, timezone).isoformat()

    said: Said
    for row in conn.execute(select(schema.freeze)):
        said = {("from",): day(row.from_s), ("reason",): row.reason}
        yield Decided(f"freeze of {row.unit}", row.act_sha256, "unit.freeze", row.unit, said)
    for row in conn.execute(select(schema.freeze_end)):
        said = {("from",): day(row.from_s), ("until",): day(row.until_s - 1)}
        subject = f"end of freeze of {row.unit}"
        yield Decided(subject, row.act_sha256, "unit.unfreeze", row.unit, said)
    for row in conn.execute(select(schema.debt).filter_by(kind="clawback")):
        said = {("deducted_fen",): row.amount_fen, ("reason",): row.reason}
        yield Decided(f"debt {row.id}", row.act_sha256, "voucher.clawback", row.voucher, said)
