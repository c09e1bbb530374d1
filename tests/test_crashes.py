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
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import delivery
import pytest
import town as towns
from conftest import Server
from delivery import DECEMBER, JANUARY, NOVEMBER, close, run, take, yuan
from sqlalchemy import Engine, event, select
from sqlalchemy.engine import Connection
from town import ACCOUNT, CLUSTER, PROVIDER, Town, stamp

from accounting.book import ledger, schema, signing
from accounting.errors import Refused
from accounting.redeem import paying, reserve, reviewing, withdrawing
from accounting.runs import places, usage, watermarks
from accounting.runs.run import Run
from accounting.settle import charging, compacting, refunding
from accounting.vouchers import clawback, debts, holds, issuing, papers, returning

pytestmark = pytest.mark.thorough

WITHDRAWN, CLAIM = (f"C-{PROVIDER}-2024-Q4-{i}" for i in (1, 2))
LATE = "2025-06-01T09:00:00+08:00"
LOST, LOST_LATER = yuan(3, 5, DECEMBER), yuan(1, 100)
DEBT, DEBT_FEN = f"D-{towns.VOUCHER}-1", 605_766
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


@dataclass(frozen=True)
class Site:
    """Where a site is: the folder with archive and papers, and its book."""

    folder: Path
    book: str
    keys: Mapping[str, Mapping[str, str]]

    @contextlib.contextmanager
    def opened(self) -> Iterator[Town]:
        """Open the book; a killed process loses nothing that was written, synced or not."""
        engine = ledger.connect(self.book, durable=False)
        yield Town(engine, self.folder / "archive", self.keys)
        engine.dispose()

    def do(self, act: Act, kill_at: int = 0) -> int:
        """Do an act in a process of its own; return its exit code, negative for a signal."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # fork: it starts no threads
            child = os.fork()
        if child == 0:
            code = 1
            with contextlib.suppress(BaseException):
                try:
                    with self.opened() as town:
                        if kill_at:
                            Killer(kill_at).watch(town.engine)
                        act(town)
                    code = 0
                finally:
                    if code:
                        traceback.print_exc(file=sys.__stderr__)
                    os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def said(self) -> tuple[list[str], set[str]]:
        """Return every row of every table of the book, and the files of archive and papers."""
        with self.opened() as town, town.begin() as conn:
            rows = sorted(
                f"{table} {row}"
                for table in schema.metadata.tables.values()
                for row in conn.execute(select(table))
            )
        found = [*self.folder.glob("archive/usage/**/*"), *self.folder.glob("papers/**/*")]
        whole = [f for f in found if f.is_file() and not f.match("papers/*/*.partial")]
        return rows, {f.relative_to(self.folder).as_posix() for f in whole}

    def sound(self) -> bool:
        """Tell whether an audit finds nothing, and every segment is one of the book's."""
        with self.opened() as town:
            found = delivery.findings(town)
            with town.begin() as conn:
                files = {f"archive/{file.path}" for file in places.files(conn)}
        return not found and files == {f for f in self.said()[1] if f.startswith("archive/")}


@dataclass(frozen=True)
class Stages:
    """What a site has before each act and, as `end`, after the last one."""

    root: Path
    keys: Mapping[str, Mapping[str, str]]
    server: Server | None
    """The book's server, or None where the book is a file in the site's folder."""

    def keep(self, name: str, site: Site) -> None:
        """Keep a site as a stage."""
        shutil.copytree(site.folder, self.root / name)
        if self.server:
            self.server.keep(name)

    def bring(self, name: str, folder: Path) -> Site:
        """Bring a stage back, into a folder that is not there. One PostgreSQL has one at a time."""
        shutil.copytree(self.root / name, folder)
        if self.server is None:
            return Site(folder, f"sqlite:///{folder / 'book.db'}", self.keys)
        self.server.reset(name)
        url = self.server.engine.url.render_as_string(hide_password=False)
        return Site(folder, url, self.keys)


# --- the acts, in their order: each starts from where the one before has ended -----------------


def sign_contract(town: Town) -> None:
    """A contract, which opens the account."""
    with town.begin() as conn:
        towns.add_contract(conn)


def apply(town: Town) -> None:
    """An application with the contract's paper, which is kept."""
    paper = town.archive.parent / "contract.pdf"
    described = papers.describe(paper, "contract")
    with town.begin() as conn:
        towns.add_application(conn, paper_sha256=described.sha256, kept=[described])
        papers.keep(town.archive.parent / "papers", paper, described)


def pay_in(town: Town) -> None:
    """Cash of the unit."""
    with town.begin() as conn:
        towns.pay(conn, "50,000", "BANK-1")


def hold(town: Town) -> None:
    """A hold for a job that will end."""
    asked = holds.Request(HOLD, CLUSTER, ACCOUNT, towns.UID, 1, 1_000_000, 1_000_000, {})
    with town.begin() as conn:
        holds.place(conn, asked, town.policy, towns.instant(DECEMBER))


def collect(town: Town) -> None:
    """The first runs, in two parts of which the second changes what the first says."""
    parts = [yuan(1, 100), run(9, 12_000, qos="b")], [yuan(1, 200)]
    charging.take_in_parts(
        town.engine,
        town.archive,
        map(usage.table, parts),
        town.policy,
        stamp(NOVEMBER),
        lambda: None,
    )


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


def close_again(town: Town) -> None:
    """A statement that gives back what was clawed back and repaid."""
    with town.begin() as conn:
        watermarks.advance(conn, CLUSTER, "ended", towns.instant(LATE))
    close(town, "2025-01", at=LATE)


def invoice(town: Town) -> None:
    """The invoice of the statement."""
    delivery.invoice(town, "2024-12")


def refund(town: Town, lost: Run = LOST) -> None:
    """A run of the statement that is given back; once that stands, it is refused."""
    key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
    with contextlib.suppress(Refused):
        refunding.refund(town.engine, town.archive, key, "lost", town.policy, stamp(LATE))


def repay(town: Town) -> None:
    """All that the unit owes of what was clawed back."""
    with town.begin() as conn:
        debts.pay(
            conn, DEBT, amount_fen=DEBT_FEN, reference="CZ", paid_on=date(2025, 6, 1),
            programme=town.policy.name, stamp=stamp(LATE),
        )  # fmt: skip


def withdraw(town: Town) -> None:
    """The claim, taken back before it is handed in."""
    with town.begin() as conn:
        withdrawing.withdraw(conn, WITHDRAWN, "another one follows", stamp(LATE))


def compact(town: Town) -> None:
    """One file of a closed month's segments."""
    compacting.compact(town.engine, town.archive, CLUSTER, "2024-11", stamp(LATE))


def acts(folder: Path) -> dict[str, Act]:
    """Return every act; what is signed is signed once and comes from a file again."""

    def signed(
        name: str, draft: Callable[[Connection, Town], dict[str, Any]], role: str, at: str = LATE
    ) -> Act:
        accept: dict[str, Callable[..., object]] = {
            "issue": lambda c, act, stamp, town: issuing.accept_review(
                c, act, policy, stamp, town.archive.parent / "papers"
            ),
            "review": lambda c, act, stamp, _: reviewing.accept_review(c, act, stamp),
            "payout": lambda c, act, stamp, _: paying.accept_payout(c, act, stamp),
            "grant": lambda c, act, stamp, _: reserve.accept_grant(c, act, stamp),
            "claw_back": lambda c, act, stamp, _: clawback.accept(c, act, policy, stamp),
            "give_back": lambda c, act, stamp, _: returning.accept(c, act, policy, stamp),
        }

        def carry_out(town: Town) -> None:
            path = folder / f"{name}.json"
            if not path.exists():
                with town.begin() as conn:
                    made = signing.sign(draft(conn, town), town.keys[role])
                path.write_text(ledger.canonical(made))
            with town.begin() as conn:
                act = signing.verify(conn, signing.read_json(path))
                accept[name](conn, act, stamp(at), town)

        return carry_out

    line = f"S-{ACCOUNT}-2024-12/1"
    at = towns.instant(LATE)
    policy = towns.POLICY

    def confirmed(conn: Connection, town: Town) -> dict[str, Any]:
        now, kept = towns.instant(towns.NOW), town.archive.parent / "papers"
        name = f"A-{ACCOUNT}"
        return issuing.draft_review(conn, name, "confirm", "complete", policy, now, kept)

    return {
        "contract": sign_contract,
        "apply": apply,
        "issue": signed("issue", confirmed, "regulator", towns.NOW),
        "pay_in": pay_in,
        "hold": hold,
        "collect": collect,
        "take_in": take_in,
        "rate_again": rate_again,
        "close": close_late,
        "invoice": invoice,
        "refund": refund,
        "grant": signed(
            "grant", lambda c, _: reserve.draft_grant(c, PROVIDER, 10_000, "R"), "treasury"
        ),
        "draw": lambda town: delivery.draw(town, line),
        "open_claim": lambda town: delivery.open_claim(town, at=LATE),
        "withdraw": withdraw,
        "open_again": lambda town: delivery.open_claim(town, at=LATE),
        "submit": lambda town: delivery.submit(town, CLAIM, at=LATE),
        "review": signed(
            "review", lambda c, _: reviewing.draft_review(c, CLAIM, {}, "checked"), "regulator"
        ),
        "payout": signed(
            "payout", lambda c, _: paying.draft_payout(c, CLAIM, "P", policy, at), "treasury"
        ),
        "claw_back": signed(
            "claw_back", lambda c, _: clawback.draft(c, towns.VOUCHER, "forged"), "regulator"
        ),
        "repay": repay,
        "refund_again": lambda town: refund(town, LOST_LATER),
        "close_again": close_again,
        "give_back": signed(
            "give_back", lambda c, _: returning.draft(c, DEBT, "CZ", policy, at), "treasury"
        ),
        "compact": compact,
    }


NAMES = tuple(acts(Path()))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stages(request, made: Path, keys: Mapping[str, Mapping[str, str]], tmp_path_factory) -> Stages:
    """Every stage of a site, each reached by the undisturbed act from the one before."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "contract.pdf").write_bytes(b"signed by both")
    if request.param == "sqlite":
        shutil.copy(made / "people.db", folder / "book.db")
        site, server = Site(folder, f"sqlite:///{folder / 'book.db'}", keys), None
    else:
        server = request.getfixturevalue("server")
        server.reset("people")
        site = Site(folder, server.engine.url.render_as_string(hide_password=False), keys)
    own = Stages(tmp_path_factory.mktemp("stages"), keys, server)
    with site.opened() as town:
        delivery.load_prices(town)
    own.keep(NAMES[0], site)
    for name, after in zip(NAMES, (*NAMES[1:], "end"), strict=True):
        with site.opened() as town:
            acts(own.root)[name](town)
        own.keep(after, site)
    return own


@pytest.mark.parametrize("name", NAMES)
def test_killed_anywhere(stages: Stages, tmp_path: Path, name: str) -> None:
    """Killed at any step and run again, an act leaves the book that it leaves undisturbed."""
    undisturbed = stages.bring((*NAMES[1:], "end")[NAMES.index(name)], tmp_path / "undisturbed")
    assert undisturbed.sound()
    expected = undisturbed.said()
    act = acts(stages.root)[name]
    folder, killed = tmp_path / "copy", 0
    while True:
        site = stages.bring(name, folder)
        code = site.do(act, kill_at=killed + 1)
        assert code in (0, -signal.SIGKILL)
        assert site.do(act) == 0
        assert site.said() == expected, f"killed after step {killed + 1}"
        shutil.rmtree(folder)
        if code == 0:
            break
        killed += 1

    assert killed >= (2 if name == "hold" else 3)  # a hold is a row and its commit


def test_the_killer_kills(stages: Stages, tmp_path: Path) -> None:
    """Killed after its first file, take_in has left that file and not one row."""
    folder, kill_at = tmp_path / "copy", 0
    before = stages.bring("take_in", tmp_path / "before").said()
    while True:
        kill_at += 1
        site = stages.bring("take_in", folder)
        assert site.do(take_in, kill_at) == -signal.SIGKILL
        rows, files = site.said()
        assert rows == before[0]
        if any(name.endswith(".parquet") for name in files - before[1]):
            break
        shutil.rmtree(folder)

    assert kill_at > 2
