"""One voucherd of a cluster is active: that of a backup controller waits for its turn.

The book itself says whose turn it is, by a lock that ends with who holds it: a session's advisory
lock in PostgreSQL, a lock on a file beside SQLite's.
"""

import fcntl
import os
from functools import partial
from typing import Protocol

from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError


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


_TRY = text("SELECT pg_try_advisory_lock(hashtextextended(current_schema() || :name, 0))")
"""The lock is of this database, and of this book in it."""


class _OfSession:
    def __init__(self, engine: Engine, cluster: str) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._name = {"name": f" voucherd {cluster}"}
        self._conn: Connection | None = None

    def take(self) -> bool:
        self._conn = self._conn or self._engine.connect()
        return bool(self._conn.execute(_TRY, self._name).scalar())

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
