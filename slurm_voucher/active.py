"""One voucherd of a cluster is active: that of a backup controller waits for its turn.

The book itself says whose turn it is, by a lock that ends with who holds it: a session's advisory
lock in PostgreSQL, a lock on a file beside SQLite's.
"""

import fcntl
import hashlib
import os
from functools import partial
from typing import Protocol

from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from accounting.book import ledger


class Turn(Protocol):
    """The turn of one voucherd."""

    def take(self) -> bool:
        """Take the turn; tell whether it is ours."""

    def lasts(self) -> bool:
        """Tell whether it still is."""

    def end(self) -> None:
        """Let the next one."""


def turn(engine: Engine, cluster: str) -> Turn:
    """Return the turn at a book for a cluster."""
    return (_OfSession if engine.dialect.name == "postgresql" else _OfFile)(engine, cluster)


class _OfSession:
    def __init__(self, engine: Engine, cluster: str) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        with ledger.reading(engine).begin() as conn:
            name = f"voucherd {ledger.identity(conn).book_id} {cluster}"
        digest = hashlib.sha256(name.encode()).digest()
        self._key = {"key": int.from_bytes(digest[:8], "big", signed=True)}
        self._conn: Connection | None = None

    def take(self) -> bool:
        self._conn = self._conn or self._engine.connect()
        return bool(
            self._conn.execute(text("SELECT pg_try_advisory_lock(:key)"), self._key).scalar()
        )

    def lasts(self) -> bool:
        assert self._conn is not None
        try:
            self._conn.execute(text("SELECT 1"))
        except DBAPIError:
            return False
        return True

    def end(self) -> None:
        if self._conn is not None:
            self._conn.invalidate()  # ends the session, and with it the lock
            self._conn.close()
            self._conn = None


class _OfFile:
    def __init__(self, engine: Engine, cluster: str) -> None:
        path = f"{engine.url.database}.voucherd-{cluster}"
        self._file = open(path, "a", opener=partial(os.open, mode=0o600))  # noqa: SIM115 - kept

    def take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lasts(self) -> bool:
        return True

    def end(self) -> None:
        self._file.close()
