"""Books for tests: in a temporary SQLite file and in a PostgreSQL of the tests' own.

Each stage of a book is made once and copied for each test that begins with it.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import postgres
import pytest
import town as towns
from hypothesis import settings
from sqlalchemy import Engine, NullPool, Result, Table, create_engine, insert, make_url, select
from town import Town

from accounting.book import ledger, schema

os.environ["LC_ALL"] = "C.UTF-8"  # whoever runs the tests, svoucher speaks English to them
settings.register_profile("untimed", deadline=None)  # a busy machine is no mistake of ours
settings.load_profile("untimed")


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


@dataclass(frozen=True)
class Server:
    """A book in PostgreSQL, and the rows that it has at each stage, by table."""

    engine: Engine
    stages: dict[str, Mapping[Table, Sequence[Mapping[str, object]]]]

    def keep(self, stage: str, engine: Engine | None = None) -> None:
        """Keep what stands in the book, or in another one, as a stage."""
        with (engine or self.engine).begin() as conn:
            found = {t: conn.execute(select(t)) for t in schema.metadata.tables.values()}
            self.stages[stage] = {t: rows for t, each in found.items() if (rows := _rows(each))}

    def reset(self, stage: str) -> None:
        """Bring the book to a stage: quicker by far than another database."""
        with self.engine.begin() as conn:
            conn.exec_driver_sql("SET LOCAL session_replication_role = replica")  # no triggers
            conn.exec_driver_sql("; ".join(f'DELETE FROM "{t}"' for t in schema.metadata.tables))
            for table, rows in self.stages[stage].items():
                conn.execute(insert(table), rows)


@pytest.fixture(scope="session")
def server(keys, tmp_path_factory) -> Iterator[Server]:
    """A PostgreSQL of this session's own."""
    with postgres.server() as url:
        own = Server(ledger.connect(_url(url, "empty"), must_exist=False), {})
        for name, furnish in STAGES.items():
            _administer(url, f"CREATE DATABASE {name}")
            engine = ledger.connect(_url(url, name), must_exist=False)
            furnish(Town(engine, tmp_path_factory.mktemp("none"), keys))
            own.keep(name, engine)
            engine.dispose()
        yield own
        own.engine.dispose()


def _rows(result: Result[Any]) -> list[dict[str, object]]:
    return [dict(row) for row in result.mappings()]


def _url(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


def _administer(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as conn:
        conn.exec_driver_sql(statement)


def _sqlite(stage: str, made: Path, keys, folder: Path) -> Iterator[Town]:
    path = made / "book.db"
    for old in made.glob("book.db*"):
        old.unlink()
    shutil.copy(made / f"{stage}.db", path)
    engine = _engine(path)
    yield Town(engine, folder / "archive", keys)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request) -> str:
    """Which database the test's book is in."""
    return request.param


def _stage(stage: str, dialect: str, request, keys, folder: Path) -> Iterator[Town]:
    if dialect == "sqlite":
        return _sqlite(stage, request.getfixturevalue("made"), keys, folder)
    server = request.getfixturevalue("server")
    server.reset(stage)
    return iter([Town(server.engine, folder / "archive", keys)])


@pytest.fixture
def empty(dialect, request, keys, tmp_path) -> Iterator[Town]:
    """A book with policy and tariff and nobody in it."""
    yield from _stage("empty", dialect, request, keys, tmp_path)


@pytest.fixture
def people(dialect, request, keys, tmp_path) -> Iterator[Town]:
    """A book with two providers, keys, a unit and a member; no contract yet."""
    yield from _stage("people", dialect, request, keys, tmp_path)


@pytest.fixture
def town(dialect, request, keys, tmp_path) -> Iterator[Town]:
    """A book with an account of 50,000 yuan of voucher and 50,000 of cash."""
    yield from _stage("town", dialect, request, keys, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def blank(request, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of the test's own."""
    if request.param == "sqlite":
        engine = ledger.connect(f"sqlite:///{tmp_path / 'new.db'}", must_exist=False)
        yield engine
        engine.dispose()
        return
    url = request.getfixturevalue("server").engine.url.render_as_string(hide_password=False)
    _administer(url, "CREATE DATABASE blank")
    engine = ledger.connect(_url(url, "blank"), must_exist=False)
    yield engine
    engine.dispose()
    _administer(url, "DROP DATABASE blank")
