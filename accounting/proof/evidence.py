"""What can be proved by hash: the chain, what it covers, and the papers and balances beside it.

Rules of the audit that need no arithmetic; what is proved by signature is in signed.py, the other
rules and the list of all in audit.py.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.policy import Policy
from accounting.runs import archive, places
from accounting.vouchers import papers


@dataclass(frozen=True)
class Books:
    """What an audit looks at: the book, its files and rules, and the signed heads of its chain that
    were kept outside, by the name of each."""

    conn: Connection
    archive: Path
    policy: Policy
    papers: Path | None = None
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
            (f"segment {file.path}", problem)
            for file in places.files(self.conn)
            for problem in archive.verify_within(
                self.archive, file, places.segments_in(self.conn, file)
            )
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
    """Every running balance is the sum of its postings, up to the last one of them: one that says
    a later one would take no further posting."""
    kept = {
        (row.account, row.owner): (row.amount_micro, row.upto)
        for row in books.conn.execute(select(schema.balance))
    }
    line = schema.posting.c
    last = select(line.account, line.owner, func.max(text(schema.PLACE)))
    places = {
        (row[0], row[1]): int(row[2])
        for row in books.conn.execute(last.group_by(line.account, line.owner))
    }
    for account, owner in sorted(kept.keys() | places.keys()):
        is_, upto = kept.get((account, owner), (None, None))
        micro, place = books.sum_of(account, owner), places.get((account, owner))
        if (is_, upto) != (micro, place):
            yield (
                f"balance {account} of {owner}",
                f"is kept as {is_} micro-yuan up to {upto}, its postings sum to {micro} up to "
                f"{place}",
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
    except (ValueError, TypeError, KeyError, RecursionError):
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


def documents(books: Books) -> Found:
    """Policy, price lists and chip catalogues have their hashes, and the policy is the book's."""
    policy = ledger.identity(books.conn).policy
    for row in books.conn.execute(select(schema.document)):
        subject = f"{row.kind} {row.version}"
        sha256 = hashlib.sha256(row.text.encode()).hexdigest()
        if sha256 != row.sha256:
            yield subject, f"was loaded with SHA-256 {row.sha256}, its text has {sha256}"
        if row.kind == "policy" and row.version != policy:
            yield subject, f"is loaded beside policy {policy}, by which the book was made"


def kept(books: Books) -> Found:
    """Every paper is there, with the content that was handed in."""
    yield from papers.damage(books.conn, books.papers)
