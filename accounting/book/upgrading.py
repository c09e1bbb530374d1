"""Bring a book to the schema that this program knows, all or nothing.

The chain stays as it is, and says at its end who upgraded it. Alembic takes the steps; it keeps
the mark of the schema, which books of schema 1 do not have.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection, Engine

from accounting.book import ledger, schema, triggers
from accounting.book.ledger import Entry, Stamp
from accounting.errors import BookUnavailable, InvariantBroken

STEPS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine, stamp: Stamp) -> int:
    """Upgrade a book; one that is up to date stays as it is.

    Args:
        engine: The book, opened without insisting on its schema.
        stamp: Who upgrades, and when.

    Returns:
        The schema that it had.

    Raises:
        BookUnavailable: It is no book, or of a schema that is not known here.
        InvariantBroken: A row would refer to nothing.
    """
    with engine.connect() as conn:
        if engine.dialect.name == "sqlite":  # a table that others refer to is made anew
            conn.connection.execute("PRAGMA foreign_keys = OFF")
        try:
            with conn.begin():
                return _upgrade(conn, stamp)
        finally:
            conn.invalidate()  # and with it what was set


def _upgrade(conn: Connection, stamp: Stamp) -> int:
    ledger.lock(conn)
    found = ledger.schema_version(conn)
    if found is None or found not in range(1, schema.VERSION + 1):
        raise BookUnavailable(
            f"book {conn.engine.url.database}: schema version {found}, this program knows 1 to "
            f"{schema.VERSION}; use the program that wrote it"
        )
    if found == schema.VERSION:
        return found
    triggers.drop(conn)
    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    config.attributes["connection"] = conn
    command.upgrade(config, str(schema.VERSION))
    triggers.create(conn)
    if conn.dialect.name == "sqlite":
        for table, *_ in conn.exec_driver_sql("PRAGMA foreign_key_check"):
            raise InvariantBroken(f"{table}: a row refers to nothing; run svoucher audit")
    ledger.write(conn, Entry(f"upgrade:{schema.VERSION}", "book.upgrade", stamp))
    return found
