"""Books for tests: in a temporary SQLite file, and in PostgreSQL too where one is given.

SVOUCHER_TEST_POSTGRES names a PostgreSQL database by URL, in which each test gets a schema.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import town as towns
from sqlalchemy import Engine, create_engine, text
from town import Town

from accounting.book import ledger

POSTGRES = os.environ.get("SVOUCHER_TEST_POSTGRES")


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Private keys of regulator, treasury and the book itself, by role."""
    return towns.make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def made(tmp_path_factory, keys) -> Path:
    """A folder with SQLite books that tests copy: empty.db, people.db and town.db."""
    folder = tmp_path_factory.mktemp("books")
    for name, furnish in STAGES.items():
        engine = ledger.connect(f"sqlite:///{folder / name}.db", must_exist=False)
        furnish(Town(engine, folder / "none", keys))
        engine.dispose()
    return folder


def _empty(town: Town) -> None:
    towns.found(town.engine)


def _people(town: Town) -> None:
    _empty(town)
    towns.people(town)


def _town(town: Town) -> None:
    _people(town)
    towns.open_account(town)


STAGES = {"empty": _empty, "people": _people, "town": _town}


@cache
def _engine(path: Path) -> Engine:
    """Open the one file that a test's book is in: statements are compiled once for all tests."""
    return ledger.connect(f"sqlite:///{path}")


def _stage(stage: str, dialect: str, made: Path, keys, folder: Path) -> Iterator[Town]:
    if dialect == "sqlite":
        path = made / "book.db"
        for old in made.glob("book.db*"):
            old.unlink()
        shutil.copy(made / f"{stage}.db", path)
        engine = _engine(path)
        yield Town(engine, folder / "archive", keys)
        engine.dispose()
        return
    assert POSTGRES is not None
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        conn.execute(text(f"CREATE SCHEMA {name}"))
    engine = ledger.connect(f"{POSTGRES}?options=-csearch_path%3D{name}", must_exist=False)
    town = Town(engine, folder / "archive", keys)
    STAGES[stage](town)
    yield town
    engine.dispose()
    with admin.connect() as conn:
        conn.execute(text(f"DROP SCHEMA {name} CASCADE"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
def dialect(request) -> str:
    """Which database the test's book is in."""
    return request.param


@pytest.fixture
def empty(dialect, made, keys, tmp_path) -> Iterator[Town]:
    """A book with policy and tariff and nobody in it."""
    yield from _stage("empty", dialect, made, keys, tmp_path)


@pytest.fixture
def people(dialect, made, keys, tmp_path) -> Iterator[Town]:
    """A book with two providers, keys, a unit and a member; no contract yet."""
    yield from _stage("people", dialect, made, keys, tmp_path)


@pytest.fixture
def town(dialect, made, keys, tmp_path) -> Iterator[Town]:
    """A book with an account of 50,000 yuan of voucher and 50,000 of cash."""
    yield from _stage("town", dialect, made, keys, tmp_path)
