"""Killed anywhere and run again: nothing is lost and nothing is there twice.

A child process does one act and kills itself (SIGKILL) after its n-th step, for every n until it
gets through. Steps are what changes something: each statement that writes, each commit, each
operation on files. To die while reading is to have died after the step before.

Acts are stamped with instants that are given, so that the book has to be the same in every byte
of every row, hashes of the chain included; that the undisturbed one is sound is for its audit.
"""

import contextlib
import io
import os
import shutil
import signal
import sqlite3
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import delivery
import pytest
import town as towns
from delivery import DECEMBER, JANUARY, close, run, take, yuan
from sqlalchemy import Engine, event
from town import ACCOUNT, CLUSTER, PROVIDER, Town, stamp

from accounting.book import ledger, signing
from accounting.errors import Refused
from accounting.redeem import paying, reserve, reviewing
from accounting.settle import charging, refunding, stored
from accounting.vouchers import holds

pytestmark = pytest.mark.thorough

CLAIM = f"C-{PROVIDER}-2024-Q4-1"
LATE = "2025-06-01T09:00:00+08:00"
HOLD = "a" * 32
Act = Callable[[Town], object]


class Killer:
    """Kills its own process at a step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def after(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Make a step after each call."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            self.step()
            return result

        return wrapped

    def watch(self, engine: Engine) -> None:
        """Take a step at whatever changes a file or the book; for a process that ends after it."""
        for name in ("replace", "rename", "fsync", "mkdir"):
            setattr(os, name, self.after(getattr(os, name)))
        open_ = io.open
        writing = self.after(open_)
        io.open = lambda file, mode="r", *rest, **more: (  # type: ignore[assignment]
            (writing if set(mode) & set("wax+") else open_)(file, mode, *rest, **more)
        )

        def on_statement(_conn: Any, _cursor: Any, sql: str, *_rest: Any) -> None:
            if sql.split(None, 1)[0] in ("INSERT", "UPDATE", "DELETE"):
                self.step()

        event.listen(engine, "after_cursor_execute", on_statement)
        engine.dialect.do_commit = self.after(engine.dialect.do_commit)  # type: ignore[method-assign]


def in_child(folder: Path, keys: Mapping[str, Mapping[str, str]], act: Act, kill_at: int) -> int:
    """Do an act in a process of its own; return its exit code, negative for a signal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork: the child starts no threads
        child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            try:
                town = opened(folder, keys)
                if kill_at:
                    Killer(kill_at).watch(town.engine)
                act(town)
                code = 0
            finally:
                if code:
                    traceback.print_exc(file=sys.__stderr__)
                os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def opened(folder: Path, keys: Mapping[str, Mapping[str, str]]) -> Town:
    """Open the book of a folder; a killed process loses nothing that was written, synced or not."""
    engine = ledger.connect(f"sqlite:///{folder / 'book.db'}", durable=False)
    return Town(engine, folder / "archive", keys)


def said(folder: Path) -> tuple[list[str], set[str]]:
    """Return every row of every table of a book, and the files of the archive."""
    book = sqlite3.connect(folder / "book.db")
    names = [name for (name,) in book.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    rows = sorted(
        f"{name} {row}" for name in names for row in book.execute(f"SELECT * FROM {name}")
    )
    book.close()
    found = (folder / "archive" / "usage").rglob("*")
    return rows, {f.relative_to(folder).as_posix() for f in found if f.is_file()}


def sound(folder: Path, keys: Mapping[str, Mapping[str, str]]) -> bool:
    """Tell whether an audit finds nothing, and the archive has no file that the book does not."""
    town = opened(folder, keys)
    found = delivery.findings(town)
    with town.begin() as conn:
        files = {f"archive/{segment.path}" for segment in stored.segments(conn)}
    town.engine.dispose()
    return not found and files == said(folder)[1]


# --- the acts, in their order: each starts from where the one before has ended -----------------


def take_in(town: Town) -> None:
    """A correction, two months and a hold that ends, with a watermark."""
    end_s = towns.instant("2025-01-01T00:00:00+08:00")
    runs = (
        yuan(1, 100),
        yuan(2, 7, hold=HOLD),
        yuan(3, 5, DECEMBER),
        yuan(4, 60, DECEMBER, partition="new"),
    )
    take(town, *runs, at=DECEMBER, watermark=(CLUSTER, "ended", end_s))


def rate_again(town: Town) -> None:
    """A new tariff and the run that had no price."""
    text = delivery.ROUND.replace("round-1", "round-2").replace("      dear:", "      new:", 1)
    delivery.load_prices(town, text, "round-2")
    charging.rate_again(town.engine, town.archive, town.policy, stamp(JANUARY))


def close_late(town: Town) -> None:
    """A statement over two months and the lapse of the voucher."""
    close(town, "2024-12", at=LATE)


def invoice(town: Town) -> None:
    """The invoice of the statement."""
    delivery.invoice(town, "2024-12")


def refund(town: Town) -> None:
    """A run of the statement that is given back; once that stands, it is refused."""
    lost = yuan(3, 5, DECEMBER)
    key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
    with contextlib.suppress(Refused):
        refunding.refund(town.engine, town.archive, key, "lost", town.policy, stamp(LATE))


def acts(folder: Path) -> dict[str, Act]:
    """Return every act; what is signed is signed once and comes from a file again."""

    def signed(name: str, draft: Callable[[Any], dict[str, Any]], role: str) -> Act:
        accept: dict[str, Callable[..., object]] = {
            "review": reviewing.accept_review,
            "payout": paying.accept_payout,
            "grant": reserve.accept_grant,
        }

        def carry_out(town: Town) -> None:
            path = folder / f"{name}.json"
            if not path.exists():
                with town.begin() as conn:
                    made = signing.sign(draft(conn), town.keys[role])
                path.write_text(ledger.canonical(made))
            with town.begin() as conn:
                act = signing.verify(conn, signing.read_json(path))
                accept[name](conn, act, stamp(LATE))

        return carry_out

    line = f"S-{ACCOUNT}-2024-12/1"
    at = towns.instant(LATE)
    policy = towns.POLICY
    return {
        "take_in": take_in,
        "rate_again": rate_again,
        "close": close_late,
        "invoice": invoice,
        "refund": refund,
        "grant": signed(
            "grant", lambda c: reserve.draft_grant(c, PROVIDER, 10_000, "R"), "treasury"
        ),
        "draw": lambda town: delivery.draw(town, line),
        "open_claim": lambda town: delivery.open_claim(town, at=LATE),
        "submit": lambda town: delivery.submit(town, CLAIM, at=LATE),
        "review": signed(
            "review", lambda c: reviewing.draft_review(c, CLAIM, {}, "checked"), "regulator"
        ),
        "payout": signed(
            "payout", lambda c: paying.draft_payout(c, CLAIM, "P", policy, at), "treasury"
        ),
    }


NAMES = tuple(acts(Path()))


@pytest.fixture(scope="module")
def stages(made: Path, keys: Mapping[str, Mapping[str, str]], tmp_path_factory) -> Path:
    """A folder with the book and archive before each act and, as `end`, after the last one."""
    root = tmp_path_factory.mktemp("stages")
    folder = root / NAMES[0]
    folder.mkdir()
    shutil.copy(made / "town.db", folder / "book.db")
    town = opened(folder, keys)
    delivery.load_prices(town)
    asked = holds.Request(HOLD, CLUSTER, ACCOUNT, towns.UID, 1, 1_000_000, 1_000_000, {})
    with town.begin() as conn:
        holds.place(conn, asked, town.policy, towns.instant(DECEMBER))
    take(town, yuan(1, 200), run(9, 12_000, qos="b"))
    town.engine.dispose()
    for name, after in zip(NAMES, (*NAMES[1:], "end"), strict=True):
        shutil.copytree(root / name, root / after)
        town = opened(root / after, keys)
        acts(root)[name](town)
        town.engine.dispose()
    return root


@pytest.mark.parametrize("name", NAMES)
def test_killed_anywhere(
    stages: Path, keys: Mapping[str, Mapping[str, str]], tmp_path: Path, name: str
) -> None:
    """Killed at any step and run again, an act leaves the book that it leaves undisturbed."""
    undisturbed = (*NAMES[1:], "end")[NAMES.index(name)]
    assert sound(stages / undisturbed, keys)
    expected = said(stages / undisturbed)
    act = acts(stages)[name]
    folder, killed = tmp_path / "copy", 0
    while True:
        shutil.copytree(stages / name, folder)
        code = in_child(folder, keys, act, kill_at=killed + 1)
        assert code in (0, -signal.SIGKILL)
        assert in_child(folder, keys, act, kill_at=0) == 0
        assert said(folder) == expected, f"killed after step {killed + 1}"
        shutil.rmtree(folder)
        if code == 0:
            break
        killed += 1

    assert killed >= 3


def test_the_killer_kills(stages: Path, keys: Mapping[str, Mapping[str, str]], tmp_path) -> None:
    """Killed after its first file, take_in has left that file and not one row."""
    folder, before = tmp_path / "copy", said(stages / "take_in")
    kill_at = 0
    while True:
        kill_at += 1
        shutil.copytree(stages / "take_in", folder)
        assert in_child(folder, keys, take_in, kill_at) == -signal.SIGKILL
        rows, files = said(folder)
        assert rows == before[0]
        if any(name.endswith(".parquet") for name in files - before[1]):
            break
        shutil.rmtree(folder)

    assert kill_at > 2
