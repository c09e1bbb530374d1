"""Papers of applications: kept by content, so that what was reviewed is what can be shown.

A paper stands at `<first 2 digits of its SHA-256>/<SHA-256>`. It is kept when the book has taken
it, before that is committed: what the book names is there, and what it refuses is not. A file that
nothing names (its command was killed) harms nothing.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import durable
from accounting.book import schema
from accounting.errors import InvalidInput, NotAllowed

BYTES_MAX = 100_000_000
KINDS = ("contract", "annex")


class Paper(NamedTuple):
    """A paper that was handed in: columns of the table `paper`."""

    sha256: str
    kind: str
    name: str
    size_bytes: int


def describe(source: Path, kind: str) -> Paper:
    """Return what the book will say of a file.

    Raises:
        InvalidInput: It cannot be read, is empty or too large.
    """
    return _described(source, kind, _content(source))


def _described(source: Path, kind: str, content: bytes) -> Paper:
    return Paper(hashlib.sha256(content).hexdigest(), kind, source.name, len(content))


def _content(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise InvalidInput(f"paper {source}: {error.strerror}; check the path") from None
    if not 0 < len(content) <= BYTES_MAX:
        size = "is empty" if not content else f"has more than {BYTES_MAX:,} bytes"
        raise InvalidInput(f"paper {source}: {size}; hand in the signed paper")
    return content


def keep(root: Path, source: Path, paper: Paper) -> None:
    """Keep a copy of a file that was described, under its hash.

    Raises:
        InvalidInput: It is another file by now.
    """
    content = _content(source)
    now = _described(source, paper.kind, content)
    if now != paper:
        raise InvalidInput(
            f"paper {source}: had SHA-256 {paper.sha256} a moment ago, now {now.sha256}; hand it "
            "in again when nobody writes to it"
        )
    durable.put(root, place(paper.sha256), content)


def place(sha256: str) -> str:
    """Return where a paper stands under the root."""
    return f"{sha256[:2]}/{sha256}"


def of(conn: Connection, application: str) -> list[dict[str, Any]]:
    """List an application's papers: sha256, kind, name, size_bytes; who handed them in and when."""
    entry = schema.journal.c
    query = (
        select(schema.paper, entry.actor, entry.effective_s)
        .join(schema.journal, entry.seq == schema.paper.c.seq)
        .where(schema.paper.c.application == application)
        .order_by(schema.paper.c.kind.desc(), schema.paper.c.name, schema.paper.c.sha256)
    )
    return [dict(row) for row in conn.execute(query).mappings()]


def named(conn: Connection) -> list[str]:
    """List the SHA-256 of each paper that the book keeps: of applications, and of what changed or
    ended a contract."""
    columns = (schema.paper.c.sha256, schema.contract_change.c.paper_sha256)
    return sorted({sha256 for each in columns for sha256 in conn.execute(select(each)).scalars()})


def insist(conn: Connection, application: str, root: Path | None) -> None:
    """Refuse to decide on an application whose papers are not what was handed in.

    Raises:
        NotAllowed: One is missing or has another hash; names both.
    """
    for row in of(conn, application):
        found = hash_of(root, row["sha256"])
        if found != row["sha256"]:
            raise NotAllowed(
                f"application {application}: paper {row['name']} was handed in with SHA-256 "
                f"{row['sha256']}, what is kept has {found or 'none: it is missing'}; bring it "
                "back from a backup"
            )


def hash_of(root: Path | None, sha256: str) -> str | None:
    """Return the hash of what is kept under a hash, or None where nothing is."""
    try:
        with ((root or Path()) / place(sha256)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def damage(conn: Connection, root: Path | None) -> Iterator[tuple[str, str]]:
    """Yield (subject, problem) for each paper that is not what was handed in."""
    own, change = schema.paper.c, schema.contract_change.c
    for kind, query in (
        ("application", select(own.application, own.name, own.sha256).order_by(own.seq)),
        ("contract", select(change.contract, change.kind, change.paper_sha256)),
    ):
        for subject, name, sha256 in conn.execute(query):
            found = hash_of(root, sha256)
            if found != sha256:
                problem = "is missing" if found is None else f"has SHA-256 {found}"
                yield f"{kind} {subject}", f"paper {name} of SHA-256 {sha256} {problem}"
