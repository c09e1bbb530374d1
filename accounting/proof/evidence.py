"""What can be proved by hash and signature: the chain, its signed heads, the signed acts.

Rules of the audit that need no arithmetic; the other rules and the list of all are in audit.py.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema, signing
from accounting.errors import VoucherError
from accounting.policy import Policy
from accounting.runs import archive
from accounting.settle import stored
from accounting.vouchers import papers


@dataclass(frozen=True)
class Books:
    """What an audit looks at."""

    conn: Connection
    archive: Path
    policy: Policy
    papers: Path | None = None

    @cached_property
    def sums(self) -> Mapping[tuple[str, str], int]:
        """Sums of the postings, micro-yuan by (account, owner). The audit works with these and
        not with the running balances, which others rely on."""
        line = schema.posting.c
        query = select(line.account, line.owner, func.sum(line.amount_micro))
        rows = self.conn.execute(query.group_by(line.account, line.owner))
        return {(account, owner): int(micro) for account, owner, micro in rows}

    def sum_of(self, account: str, owner: str) -> int:
        """Return the sum of the postings to one account of one owner, micro-yuan."""
        return self.sums.get((account, owner), 0)

    @cached_property
    def damage(self) -> list[tuple[str, str]]:
        """Segments that are missing or not what the book names: (subject, message)."""
        return [
            (f"segment {segment.path}", problem)
            for segment in stored.segments(self.conn)
            for problem in archive.verify(self.archive, segment)
        ]


Found = Iterator[tuple[str, str]]
"""(subject, message) of each finding of a rule."""


def chain(books: Books) -> Found:
    """Hashes follow from each other, entries sum to zero, rows are those that were hashed."""
    before, place = ledger.GENESIS, 0
    postings = _by_entry(books.conn, schema.posting)
    rows = {name: _by_entry(books.conn, table) for name, table in schema.COVERED.items()}
    query = select(schema.journal).order_by(schema.journal.c.seq)
    for entry in map(dict[str, Any], books.conn.execute(query).mappings()):
        place += 1
        subject = f"entry {entry['seq']} {entry['key']}"
        content = _content(entry)
        if entry["seq"] != place:
            yield subject, f"stands where entry {place} belongs"
            place = entry["seq"]
        if entry["prev_hash"] != before or entry["hash"] != ledger.entry_hash(entry):
            yield subject, "its hash does not follow from its content and the entry before"
        before = entry["hash"]
        own = postings.pop(entry["seq"], [])
        if [[p["account"], p["owner"], p["amount_micro"]] for p in own] != content["postings"]:
            yield subject, "its postings are not those that were hashed"
        if sum(p["amount_micro"] for p in own):
            yield subject, "its postings do not sum to zero"
        for name, by_entry in rows.items():
            found = by_entry.pop(entry["seq"], [])
            if sorted(map(_said, found)) != sorted(map(_said, content["rows"].get(name, []))):
                yield subject, f"its rows in {name} are not those that were hashed"
    for name, left in (rows | {"posting": postings}).items():
        for seq in left:
            yield f"{name} of entry {seq}", "belongs to no entry of the chain"


def exported(conn: Connection) -> Iterator[str]:
    """Yield the chain as lines of canonical JSON, an entry with its hash on each."""
    query = select(schema.journal).order_by(schema.journal.c.seq)
    for entry in conn.execute(query).mappings():
        yield ledger.canonical(dict(entry))


def running(books: Books) -> Found:
    """Every running balance is the sum of its postings."""
    kept = {
        (row.account, row.owner): row.amount_micro
        for row in books.conn.execute(select(schema.balance))
    }
    for account, owner in sorted(kept.keys() | books.sums.keys()):
        is_, micro = kept.get((account, owner)), books.sum_of(account, owner)
        if is_ != micro:
            yield (
                f"balance {account} of {owner}",
                f"is kept as {is_} micro-yuan, its postings sum to {micro}",
            )


def reversals(books: Books) -> Found:
    """What takes an entry back has its postings negated, and is not itself taken back."""
    line, table = schema.posting.c, schema.journal.c
    sums: dict[int, dict[tuple[str, str], int]] = {}
    for row in books.conn.execute(select(line.seq, line.account, line.owner, line.amount_micro)):
        of = sums.setdefault(row.seq, {})
        of[row.account, row.owner] = of.get((row.account, row.owner), 0) + row.amount_micro
    taken_back = {
        row.seq: row.reverses
        for row in books.conn.execute(select(table.seq, table.reverses))
        if row.reverses is not None
    }
    for seq, of_seq in taken_back.items():
        subject = f"entry {seq}"
        if of_seq in taken_back:
            yield subject, f"takes entry {of_seq} back, which is itself a reversal"
        negated = {key: -micro for key, micro in sums.get(of_seq, {}).items()}
        if of_seq >= seq or not negated or sums.get(seq, {}) != negated:
            yield subject, f"says that it takes entry {of_seq} back, but posts something else"


def _content(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an entry says it is; nothing where that cannot be read."""
    try:
        content = json.loads(entry["content"])
        return {"rows": dict(content["rows"]), "postings": list(content["postings"])}
    except (ValueError, TypeError, KeyError):
        return {"rows": {}, "postings": []}


def _by_entry(conn: Connection, table: Any) -> dict[int, list[Mapping[str, Any]]]:
    grouped: dict[int, list[Mapping[str, Any]]] = {}
    for row in conn.execute(select(table).order_by(*table.primary_key.columns)).mappings():
        grouped.setdefault(row["seq"], []).append(dict(row))
    return grouped


def _said(row: Mapping[str, Any]) -> str:
    """Return what a row says. A column that is empty says nothing: later schemas have added some
    that the rows of earlier entries do not have."""
    return ledger.canonical(
        {name: value for name, value in row.items() if name != "seq" and value is not None}
    )


def kept(books: Books) -> Found:
    """Every paper is there, with the content that was handed in."""
    yield from papers.damage(books.conn, books.papers)


def anchors(books: Books) -> Found:
    """Signed heads of earlier days are still in the chain: it was not rewritten since."""
    keys = {row.key_id: row.public_hex for row in books.conn.execute(select(schema.signing_key))}
    ended = {row.key_id: row.seq for row in books.conn.execute(select(schema.key_end))}
    query = select(schema.journal.c.seq, schema.journal.c.hash)
    hashes = {row.seq: row.hash for row in books.conn.execute(query)}
    for row in books.conn.execute(select(schema.anchor)).mappings():
        signed = {name: row[name] for name in ("day", "head_seq", "head_hash", "key_id")}
        if not signing.genuine(keys.get(row["key_id"], ""), row["signature"], signed):
            yield f"anchor {row['day']}", "its signature is not that of the book's key"
        elif row["seq"] > ended.get(row["key_id"], row["seq"]):
            yield f"anchor {row['day']}", f"key {row['key_id']} had ended when it signed this"
        elif hashes.get(row["head_seq"]) != row["head_hash"]:
            yield (
                f"anchor {row['day']}",
                f"entry {row['head_seq']} has another hash than was signed",
            )


def keys(books: Books) -> Found:
    """Every key but the first of a role came by an act that names it, and ended by one."""
    conn, seen = books.conn, set[str]()
    acts = {row.seq: row for row in conn.execute(select(schema.signed_act))}
    for row in conn.execute(select(schema.signing_key).order_by(schema.signing_key.c.seq)):
        act = acts.get(row.seq)
        named = {"actor": row.actor, "role": row.role, "public": row.public_hex}
        by_act = act is not None and act.verb == "key.replace" and _body(act).get("key") == named
        if row.role in seen and not by_act:
            yield f"key {row.key_id}", f"is a further one of the {row.role}, no act names it"
        seen.add(row.role)
    verbs = {"replaced": "key.replace", "revoked": "key.revoke"}
    for end in conn.execute(select(schema.key_end)):
        act = acts.get(end.seq)
        said = None if act is None else (act.verb, act.subject, act.sha256)
        if said != (verbs[end.kind], end.key_id, end.act_sha256):
            yield f"key {end.key_id}", f"is {end.kind}, no act says so"


def _body(act: Any) -> Mapping[str, Any]:
    """Return what an act says; nothing where that cannot be read."""
    try:
        return dict(json.loads(act.text)["body"])
    except (ValueError, TypeError, KeyError):
        return {}


def signatures(books: Books) -> Found:
    """Every confirmation, review and payout is what its signed act says."""
    acts: dict[str, signing.Act] = {}
    for row in books.conn.execute(select(schema.signed_act)).mappings():
        try:
            act = signing.verify(books.conn, json.loads(row["text"]))
        except (VoucherError, ValueError) as error:
            yield f"act {row['sha256'][:16]}", str(error)
            continue
        if act.sha256 != row["sha256"]:
            yield f"act {row['sha256'][:16]}", f"its text has the hash {act.sha256[:16]}"
        acts[row["sha256"]] = act
    for subject, sha256, verb, about, name, value in _decided(books):
        act_ = acts.get(sha256)
        if act_ is None or (act_.verb, act_.subject) != (verb, about):
            yield subject, f"{name[0]} is {value}, no act {verb} of {about} is signed"
            continue
        signed: Any = act_.body
        for step in name:
            signed = signed.get(step) if isinstance(signed, dict) else None
        if signed != value:
            yield subject, f"{name[0]} is {value}, signed was {signed}"


def _decided(books: Books) -> Iterator[tuple[str, str, str, str, tuple[str, ...], object]]:
    """Yield what was decided by signature: what, act, verb, subject, where in its body, value."""
    conn, timezone = books.conn, books.policy.timezone
    own, waited = schema.voucher.c, schema.waiting.c
    query = (
        select(schema.voucher, schema.review.c.act_sha256, waited.wanted_fen)
        .join(schema.review, schema.review.c.application == own.application)
        .outerjoin(schema.waiting, waited.application == own.application)
    )
    for row in conn.execute(query):
        # Who waited was confirmed for what it wanted; it may get less (issued.py).
        signed_fen = row.amount_fen if row.wanted_fen is None else row.wanted_fen
        verb, about = "application.confirm", row.application
        yield f"voucher {row.id}", row.act_sha256, verb, about, ("voucher_fen",), signed_fen
    for row in conn.execute(select(schema.claim_review)):
        subject, line = f"claim {row.claim} line {row.line}", ("approved_fen", row.line)
        yield subject, row.act_sha256, "claim.review", row.claim, line, row.approved_fen
    for row in conn.execute(select(schema.payout)):
        subject = f"payout {row.claim}"
        yield subject, row.act_sha256, "claim.pay", row.claim, ("amount_fen",), row.amount_fen
    for row in conn.execute(select(schema.reserve_grant)):
        subject = f"reserve grant {row.reference}"
        about = row.provider
        yield subject, row.act_sha256, "reserve.grant", about, ("amount_fen",), row.amount_fen
    for row in conn.execute(select(schema.freeze)):
        day = period.day_of(row.from_s, timezone).isoformat()
        yield f"freeze of {row.unit}", row.act_sha256, "unit.freeze", row.unit, ("from",), day
    for row in conn.execute(select(schema.freeze_end)):
        day = period.day_of(row.until_s - 1, timezone).isoformat()
        subject = f"end of freeze of {row.unit}"
        yield subject, row.act_sha256, "unit.unfreeze", row.unit, ("until",), day
    for row in conn.execute(select(schema.debt).filter_by(kind="clawback")):
        verb, place = "voucher.clawback", ("deducted_fen",)
        yield f"debt {row.id}", row.act_sha256, verb, row.voucher, place, row.amount_fen
