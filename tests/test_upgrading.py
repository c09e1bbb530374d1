"""A book that an earlier release wrote is brought up, keeps its chain, and goes on.

tests/schemas/N/ has the book of a small town, as the last commit of schema N wrote it.
"""

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import delivery
import postgres
import psycopg
import pytest
from delivery import DECEMBER, findings, take, yuan
from homes import Home, one_line
from sqlalchemy import Engine, event, select, text, update
from town import ACCOUNT, Town, stamp

from accounting.book import ledger, schema, upgrading
from accounting.errors import BookUnavailable

SCHEMAS = Path(__file__).parent / "schemas"
OLD = range(1, schema.VERSION)


def load(engine: Engine, version: int) -> None:
    """Bring a book of an earlier schema into an empty database."""
    dump = (SCHEMAS / str(version) / f"{engine.dialect.name}.sql").read_text()
    if engine.dialect.name == "sqlite":
        assert engine.url.database
        with sqlite3.connect(engine.url.database) as book:
            book.executescript(f"PRAGMA journal_mode = WAL; {dump}")
        book.close()
        return
    dump = "\n".join(line for line in dump.splitlines() if not line.startswith("\\"))
    with psycopg.connect(**engine.dialect.create_connect_args(engine.url)[1]) as conn:
        conn.execute(dump.encode())


@pytest.fixture(params=OLD)
def old(request, blank: Engine, tmp_path: Path) -> Town:
    """The town of an earlier release, with its archive."""
    load(blank, request.param)
    folder = SCHEMAS / str(request.param)
    shutil.copytree(folder / "archive", tmp_path / "archive")
    return Town(blank, tmp_path / "archive", json.loads((folder / "keys.json").read_text()))


def said(engine: Engine) -> list[str]:
    """Return the whole schema of a database, as it tells it itself."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as conn:
            query = text("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")
            return [re.sub(r"\s+", " ", str(tuple(row))) for row in conn.execute(query)]
    done = subprocess.run(
        [
            *(postgres.tool("pg_dump"), "--schema-only", "--no-owner", "-U", "book"),
            *("-h", str(engine.url.query["host"]), str(engine.url.database)),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if not line.startswith("\\")]


def chain(engine: Engine) -> list[str]:
    """Return every entry of the chain."""
    with engine.connect() as conn:
        return [str(row) for row in conn.execute(select(schema.journal).order_by(text("seq")))]


@pytest.fixture
def fresh(blank: Engine, request, made: Path) -> Iterator[Engine]:
    """A book of the present schema, in the same kind of database."""
    if blank.dialect.name == "sqlite":
        engine = ledger.connect(f"sqlite:///{made}/empty.db")
        yield engine
        engine.dispose()
    else:
        yield request.getfixturevalue("server").engine


def test_an_upgraded_book_is_as_a_new_one(old: Town, fresh: Engine) -> None:
    """Tables, columns, keys, checks, indexes and triggers are those of a new book."""
    assert said(old.engine) != said(fresh)
    upgrading.upgrade(old.engine, stamp())
    assert said(old.engine) == said(fresh)


def test_the_chain_stays(old: Town) -> None:
    """Old entries are what they were, one at the end says who upgraded, and audit finds nothing."""
    before = chain(old.engine)
    upgrading.upgrade(old.engine, stamp())
    after = chain(old.engine)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    assert "'book.upgrade', 'operations', 'operator'" in after[-1]
    assert findings(old) == []


def test_life_goes_on(old: Town) -> None:
    """The month that ran is closed, the quarter claimed and paid, and holds that lived are used."""
    upgrading.upgrade(old.engine, stamp())
    with old.begin() as conn:
        live = {row.id[0]: row.live for row in conn.execute(select(schema.hold))}
    assert live == {"a": 0, "b": 2, "c": 2}
    take(old, yuan(6, 100, DECEMBER, hold="b" * 32), at=DECEMBER)
    delivery.close(old, "2024-12")
    for month in ("2024-11", "2024-12"):
        delivery.invoice(old, month)
    claim = delivery.open_claim(old)
    delivery.submit(old, claim)
    delivery.review(old, claim)
    # 61 + 7 and 12 + 100, half of it each, and the line that was refused in the quarter before.
    drawn = sum(delivery.statement(old, m, "deduction_fen")[0] for m in ("2024-11", "2024-12"))
    assert drawn == 3_400 + 5_600
    assert sum(delivery.pay_out(old, claim)) >= drawn
    assert findings(old) == []


def test_twice_is_once(old: Town) -> None:
    """An upgraded book is left as it is by another upgrade."""
    upgrading.upgrade(old.engine, stamp())
    before = chain(old.engine)
    assert upgrading.upgrade(old.engine, stamp(DECEMBER)) == schema.VERSION
    assert chain(old.engine) == before


def test_all_or_nothing(old: Town) -> None:
    """Stopped at a statement, an upgrade has changed nothing, and can be done again."""
    before, left = said(old.engine), 0

    def stop(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise InterruptedError

    event.listen(old.engine, "before_cursor_execute", stop)
    stopped = 0
    while True:
        left = 20 + stopped * 61
        try:
            upgrading.upgrade(old.engine, stamp())
        except InterruptedError:
            stopped += 1
            assert said(old.engine) == before
        else:
            break
    event.remove(old.engine, "before_cursor_execute", stop)
    assert stopped >= 3
    assert findings(old) == []


@pytest.mark.parametrize("version", [0, schema.VERSION + 1])
def test_what_is_not_known_is_refused(town: Town, version: int) -> None:
    """A schema that is not known is neither opened nor upgraded."""
    with town.begin() as conn:
        conn.execute(update(schema.mark).values(version_num=str(version)))
    url = town.engine.url.render_as_string(hide_password=False)
    with pytest.raises(BookUnavailable, match="use the program that wrote it"):
        ledger.connect(url)
    with pytest.raises(BookUnavailable, match=f"schema version {version}, .* knows 1 to"):
        upgrading.upgrade(ledger.connect(url, any_schema=True), stamp())


def test_by_command(tmp_path: Path) -> None:
    """Until it is upgraded, a book is refused in one line that names the command."""
    shutil.copytree(SCHEMAS / "1", tmp_path / "home", ignore=shutil.ignore_patterns("*.sql"))
    home = Home(tmp_path / "home")
    one_line(home.run("upgrade"), 4, "not there")
    load(ledger.connect(f"sqlite:///{home.path}/book.db", must_exist=False), 1)
    one_line(home.run("balance"), 4, "schema version 1", "svoucher upgrade")
    assert "schema 1 before, now 2; next: svoucher audit" in home.ok("upgrade")
    assert "schema 2 already" in home.ok("upgrade")
    assert ACCOUNT in home.ok("balance")
    assert "0 findings" in home.ok("audit")
