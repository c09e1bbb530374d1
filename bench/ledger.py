"""What posting costs: one writer, hold and post of 4 postings each, each phase on the disk.

    python -m bench.ledger [--phases 4000] [--json -]

A phase is one entry of the journal with 4 postings: a hold sets a fee aside, half of it off the
voucher; a post turns it into what is claimed and what is paid. Every phase has a key, is looked
for first, hashed into the chain and applied to 4 balances. It is done one by one, each in a commit
of its own, and in groups of 100; the disk is waited for at each commit (SQLite in WAL with
synchronous=FULL, PostgreSQL with fsync and synchronous_commit on). Beside it, in turns with it: a
bare loop of write and fdatasync, of a file that grows and of one that is written over. And in the
same run: the same phases in SQLAlchemy's ORM as a beginner writes it (no chain, no keys, no
triggers), and beancount: text appended and synced, then loaded once.

Peers have to come to our balances, and our book has to pass its own rules of the chain, or there
is no result. Prints a table and writes bench/results/ledger.json; exits 1 below a bound.
"""

import argparse
import contextlib
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, select, text

from accounting import policy
from accounting.book import ledger, schema
from accounting.book.ledger import Actor, Entry, Posting, Stamp
from accounting.proof import evidence
from bench.peers import beancount_, orm
from tests.postgres import server

RESULTS = Path(__file__).parent / "results" / "ledger.json"
SIZES = {1: "single", 100: "group100"}
ROUNDS = 8
ACCOUNTS = 1_000
BLOCK = b"\0" * 4096
BOUNDS = {"sqlite_single_of_fsync": 0.3, "sqlite_group100_tps": 20_000,
          "postgres_group100_tps": 6_000}  # fmt: skip
SYNCED: dict[str, tuple[list[str], list[object]]] = {
    "sqlite": (["PRAGMA synchronous", "PRAGMA journal_mode"], [2, "wal"]),
    "postgresql": (["SHOW fsync", "SHOW synchronous_commit"], ["on", "on"]),
}
"""What each database says of itself when a commit waits for the disk; 2 is FULL."""
STAMP = Stamp(Actor("operations", "operator"), 1_720_000_000, 1_720_000_000)
Balances = dict[tuple[str, str], int]


def phases(count: int) -> Iterator[Entry]:
    """Make holds and posts in turn, of random accounts and fees, always the same ones."""
    random = Random(1)
    for number in range(count // 2):
        account, fee = f"CD24-{random.randrange(ACCOUNTS):04}", 20_000 * random.randint(1, 10_000)
        voucher, half = f"{account}-1", fee // 2
        hold = (("accrued", account, fee), ("revenue", "cdaicc", -fee),
                ("voucher.left", voucher, -half), ("voucher.deducted", voucher, half))  # fmt: skip
        post = (("accrued", account, -fee), ("rounding", account, 1),
                ("claim.unclaimed", "cdaicc", half), ("cash", account, half - 1))  # fmt: skip
        for code, lines in (("hold", hold), ("post", post)):
            postings = [Posting(*line) for line in lines]
            yield Entry(f"{code}:{number}", code, STAMP, {}, postings)


def opening() -> list[Entry]:
    """Give each account a voucher and cash that last."""
    entries = []
    for number in range(ACCOUNTS):
        account, much = f"CD24-{number:04}", 10**15
        lines = (("voucher.left", f"{account}-1", much), ("programme", "chengdu-2023", -much),
                 ("bank", "cdaicc", much), ("cash", account, -much))  # fmt: skip
        entries.append(Entry(f"open:{account}", "open", STAMP, {}, [Posting(*x) for x in lines]))
    return entries


def in_groups(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    """Cut phases into groups."""
    return (entries[i : i + size] for i in range(0, len(entries), size))


def fsync_per_s(folder: Path, times: int, *, anew: bool = True) -> float:
    """Write a page and wait for the disk, over and over.

    A file that grows (`anew`) costs the file system a note of its own each time; SQLite's log
    does so until it is written back, and from then on writes over what is there.
    """
    handle = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if anew else 0))
    began = time.perf_counter()
    for _ in range(times):
        os.write(handle, BLOCK)
        os.fdatasync(handle)
    took = time.perf_counter() - began
    os.close(handle)
    return times / took


def found(url: str) -> Engine:
    """Make a book with accounts that have money."""
    engine = ledger.connect(url, must_exist=False)
    name = "chengdu-2023"
    book = {"book_id": "0" * 32, "schema_version": schema.VERSION, "rehearsal": 1, "policy": name}
    ledger.create(engine, Entry("book", "book.init", STAMP, {"book": [book]}))
    with engine.begin() as conn:
        ledger.write_all(conn, opening())
    return engine


def post(engine: Engine, entries: Sequence[Entry], size: int) -> float:
    """Post phases in groups, each in a transaction of its own; return phases a second."""
    began = time.perf_counter()
    with engine.connect() as conn:
        for group in in_groups(entries, size):
            with conn.begin():
                ledger.write_all(conn, group)
    return len(entries) / (time.perf_counter() - began)


def balances(engine: Engine) -> Balances:
    """Return what the running balances say, once the chain and they are seen to be sound."""
    with ledger.reading(engine).begin() as conn:
        rules = policy.load(policy.builtin("chengdu-2023"), "policy")
        books = evidence.Books(conn, Path(), rules)
        assert [*evidence.chain(books), *evidence.running(books)] == []
        kept = schema.balance.c
        return {
            (a, o): m
            for a, o, m in conn.execute(select(kept.account, kept.owner, kept.amount_micro))
            if m
        }


def ours(
    folder: Path, urls: dict[str, Callable[[int], str]], entries: Sequence[Entry]
) -> tuple[dict[str, float], Balances]:
    """Return the median round's phases a second by database and size, and where balances end.

    In each round everybody posts the next phases after the others, and the bare loop runs in
    between: what else the machine does falls on all of them.
    """
    each = len(entries) // ROUNDS
    rates: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        books = {}
        for name, url in urls.items():
            for size, way in SIZES.items():
                engine = books[f"{name}_{way}", size] = found(url(size))
                stack.callback(engine.dispose)  # an open connection keeps its server from stopping
                _assert_synced(engine)
        for i in range(ROUNDS):
            part = entries[i * each : (i + 1) * each]
            for (name, size), engine in books.items():
                rates.setdefault(f"{name}_tps", []).append(post(engine, part, size))
                bare = fsync_per_s(folder, each // 4)
                rates.setdefault("fsync_per_s", []).append(bare)
                over = fsync_per_s(folder, each // 4, anew=False)
                rates.setdefault("overwrite_per_s", []).append(over)
        ends = [balances(engine) for engine in books.values()]
    assert all(end == ends[0] for end in ends)
    figures = {name: statistics.median(rounds) for name, rounds in rates.items()}
    figures["sqlite_single_of_fsync"] = figures["sqlite_single_tps"] / figures["fsync_per_s"]
    return figures, ends[0]


def _assert_synced(engine: Engine) -> None:
    """See that each commit waits for the disk."""
    names, wanted = SYNCED[engine.dialect.name]
    with engine.connect() as conn:
        said = [conn.execute(text(name)).scalar() for name in names]
    assert said == wanted, said


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Take all figures: ours in rounds, then the peers."""
    entries = list(phases(count))
    figures: dict[str, Any] = {"phases": count, "sqlite_version": sqlite3.sqlite_version}
    with server(fsync=True) as url:
        figures["postgres_version"] = _make_databases(url)
        urls = {
            "sqlite": lambda size: f"sqlite:///{folder}/{size}.db",
            "postgres": lambda size: url.replace("/postgres?", f"/{SIZES[size]}?"),
        }
        rates, ends = ours(folder, urls, entries)
    figures |= rates
    for size, way in SIZES.items():
        lines = [[(p.account, p.owner, p.amount_micro) for p in e.postings] for e in entries]
        given = [[(p.account, p.owner, p.amount_micro) for p in e.postings] for e in opening()]
        for peer in (orm, beancount_):
            tps, theirs = peer.run(folder / f"{peer.NAME}-{size}", given, lines, size)
            assert theirs == ends, f"{peer.NAME} ends elsewhere"
            figures[f"{peer.NAME}_{way}_tps"] = tps
            figures[f"{peer.NAME}_version"] = peer.VERSION
    return figures


def _make_databases(url: str) -> str:
    """Make a database for each way of posting; return the server's version."""
    admin = ledger.create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        for way in SIZES.values():
            conn.execute(text(f"CREATE DATABASE {way}"))
        version = str(conn.execute(text("SHOW server_version")).scalar())
    admin.dispose()
    return version


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--phases", type=int, default=4_000)
    parser.add_argument("--json", choices=["-"], help="Print figures as JSON.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=RESULTS.parent.parent) as folder:
        figures = measure(Path(folder), options.phases) | {"python": platform.python_version()}
    figures["bounds_missed"] = [name for name, least in BOUNDS.items() if figures[name] < least]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value:,.2f}" if type(value) is float else f"{name:24} {value}")
    return int(bool(figures["bounds_missed"]))


if __name__ == "__main__":
    sys.exit(main())
