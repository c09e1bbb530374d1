"""Nothing that was acknowledged is lost when the power goes, at whatever sync that is.

powerloss/powerloss.c says what a disk has then. All that was not synced is lost, or some of it:
disks write in an order of their own.
"""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import delivery
import postgres
import pytest
from conftest import STAGES
from sqlalchemy import select
from town import Town

from accounting.book import ledger, schema

HERE = Path(__file__).parent
SYNCS_MAX = 200
"""More than the work needs; the last one that it reaches ends the test."""


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    """The shim, built."""
    library = tmp_path_factory.mktemp("shim") / "powerloss.so"
    source = str(HERE / "powerloss" / "powerloss.c")
    flags = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(library), source, "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def begun(made: Path, keys, tmp_path_factory) -> Path:
    """A folder with the town's book at round prices, all of it durable."""
    folder = tmp_path_factory.mktemp("begun")
    shutil.copy(made / "town.db", folder / "book.db")
    engine = ledger.connect(f"sqlite:///{folder / 'book.db'}")
    delivery.load_prices(Town(engine, folder / "archive", keys))
    engine.dispose()
    return folder


def work(shim: Path, begun: Path, place: Path, dies_at: int, how: str) -> tuple[list[str], bool]:
    """Work in a copy of a folder until a sync; return what was acknowledged, and if it ended."""
    watch, shadow = place / "disk", place / "shadow"
    shutil.copytree(begun, watch)
    shadow.mkdir()
    keep(watch, shadow)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{HERE.parent}:{HERE}",
        "LD_PRELOAD": str(shim),
        "POWERLOSS_WATCH": str(watch),
        "POWERLOSS_SHADOW": str(shadow),
        "POWERLOSS_DIES_AT": str(dies_at),
    }
    done = subprocess.run(
        [
            *(sys.executable, str(HERE / "powerloss" / "work.py")),
            *(f"sqlite:///{watch / 'book.db'}", str(watch / "archive"), how),
        ],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -9), done.stderr
    return done.stdout.splitlines(), done.returncode == 0


def keep(folder: Path, shadow: Path) -> None:
    """Take a folder as it is for durable."""
    entries = list(os.scandir(folder))
    names = "".join(f"{each.inode()} {int(each.is_dir())} {each.name}\n" for each in entries)
    (shadow / f"folder-{folder.stat().st_ino}").write_text(names)
    for each in entries:
        if each.is_dir():
            keep(Path(each.path), shadow)
        else:
            shutil.copy(each.path, shadow / f"file-{each.inode()}")


def restart(folder: Path, shadow: Path, target: Path, lost: Callable[[], bool]) -> None:
    """Make what a restart finds: of each name and content what is durable, or what was written."""
    target.mkdir()
    inode = folder.stat().st_ino if folder.is_dir() else None
    there = {each.name: each.inode() for each in os.scandir(folder)} if inode else {}
    durable = {}
    if inode and (shadow / f"folder-{inode}").is_file():
        for line in (shadow / f"folder-{inode}").read_text().splitlines():
            number, _, name = line.split(" ", 2)
            durable[name] = int(number)
    for name in durable.keys() | there.keys():
        found = durable.get(name) if lost() else there.get(name)
        if found is None:
            continue
        now = folder / name
        if now.is_dir():
            restart(now, shadow, target / name, lost)
            continue
        kept = shadow / f"file-{found}"
        if there.get(name) == found and not lost():
            shutil.copy(now, target / name)
        elif kept.is_file():
            shutil.copy(kept, target / name)
        else:
            (target / name).touch()


def missing(folder: Path, acknowledged: list[str], keys, url: str | None = None) -> list[str]:
    """Open what is left of a site; return what it said and does not have, and what audit finds."""
    engine = ledger.connect(url or f"sqlite:///{folder / 'book.db'}")
    town = Town(engine, folder / "archive", keys)
    with town.begin() as conn:
        paid = set(conn.execute(select(schema.payment.c.reference)).scalars())
        rows = sum(conn.execute(select(schema.segment.c.rows)).scalars())
    wrong = [
        said
        for said in acknowledged
        for what, number in [said.split()]
        if (f"P-{number}" not in paid if what == "paid" else rows < int(number))
    ]
    wrong += [str(found) for found in delivery.findings(town)]
    engine.dispose()
    return wrong


@pytest.mark.thorough
@pytest.mark.parametrize("loses", ["all", "some"])
def test_the_power_goes_at_every_sync(shim, begun, keys, tmp_path, loses) -> None:
    """Whatever sync the power goes at, what was acknowledged is there and audit finds nothing."""
    chance = random.Random(7)
    lost = (lambda: True) if loses == "all" else (lambda: chance.random() < 0.5)
    for sync in range(1, SYNCS_MAX):
        place = tmp_path / str(sync)
        place.mkdir()
        acknowledged, ended = work(shim, begun, place, sync, "durable")
        restart(place / "disk", place / "shadow", place / "after", lost)
        assert missing(place / "after", acknowledged, keys) == [], f"sync {sync}"
        shutil.rmtree(place)
        if ended:
            break
    assert ended
    assert sync > len(acknowledged) == 6


@pytest.mark.thorough
def test_without_syncs_it_would_be_lost(shim, begun, keys, tmp_path) -> None:
    """The test can fail: a book that does not wait for the disk has lost what it acknowledged."""
    acknowledged, _ = work(shim, begun, tmp_path, 10**6, "hasty")
    restart(tmp_path / "disk", tmp_path / "shadow", tmp_path / "after", lambda: True)
    assert len(acknowledged) == 6
    assert "paid 3" in missing(tmp_path / "after", acknowledged, keys)


# --- PostgreSQL: a server that does not wait for the disk by itself loses its power -----------


@pytest.fixture(scope="module")
def cluster(keys, tmp_path_factory) -> Iterator[Path]:
    """A PostgreSQL that is shut down, with the town's book at round prices."""
    with postgres.folder() as place:
        postgres.make(place, "--wal-segsize=1")
        with postgres.running(place, "fsync=off") as url:
            town = Town(ledger.connect(url, must_exist=False), place / "archive", keys)
            STAGES["town"](town)
            delivery.load_prices(town)
            town.engine.dispose()
        yield place


def cut(shim: Path, cluster: Path, place: Path, dies_at: int, how: str) -> tuple[list[str], bool]:
    """Work until a process of the server is at a sync; return what was acknowledged, and if all."""
    shutil.copytree(cluster / "data", place / "data")
    shutil.copy(shim, place / "shim.so")
    (place / "shadow").mkdir()
    keep(place / "data", place / "shadow")
    postgres.give(place)
    watched = {
        "LD_PRELOAD": str(place / "shim.so"),
        "POWERLOSS_WATCH": str(place / "data"),
        "POWERLOSS_SHADOW": str(place / "shadow"),
        "POWERLOSS_DIES_AT": str(dies_at),
        "POWERLOSS_ARMED": str(place / "armed"),
    }
    settings = ("restart_after_crash=off", "synchronous_commit=off", "wal_writer_delay=10s")
    with postgres.running(place, *settings, **watched) as url:
        (place / "armed").touch()
        done = subprocess.run(
            [sys.executable, str(HERE / "powerloss" / "work.py"), url, str(place / "archive"), how],
            capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": f"{HERE.parent}:{HERE}"},
        )  # fmt: skip
        partial = shutil.ignore_patterns("partial-*")
        shutil.copytree(place / "shadow", place / "then", ignore=partial)  # before it shuts down
    assert done.returncode in (0, -9) or "server closed the connection" in done.stderr, done.stderr
    return done.stdout.splitlines(), done.returncode != 1


def left(place: Path, acknowledged: list[str], keys) -> list[str]:
    """Start a server on what the disk has; return what is missing."""
    after = place / "after"
    after.mkdir()
    restart(place / "data", place / "then", after / "data", lambda: True)
    (after / "data").chmod(0o700)
    (after / "data" / "postmaster.pid").unlink(missing_ok=True)
    postgres.give(after)
    with postgres.running(after) as url:
        return missing(place, acknowledged, keys, url)


@pytest.mark.thorough
def test_the_power_of_the_server_goes_at_every_sync(shim, cluster, keys) -> None:
    """Whatever sync of PostgreSQL the power goes at, what was acknowledged is there."""
    for sync in range(1, SYNCS_MAX):
        with postgres.folder() as place:
            acknowledged, ended = cut(shim, cluster, place, sync, "durable")
            assert left(place, acknowledged, keys) == [], f"sync {sync}"
        if ended:
            break
    assert ended
    assert sync > len(acknowledged) == 6


@pytest.mark.thorough
def test_a_server_that_does_not_wait_would_lose_it(shim, cluster, keys) -> None:
    """The test can fail: whoever does not ask for durable commits has lost the last ones."""
    with postgres.folder() as place:
        acknowledged, _ = cut(shim, cluster, place, 10**6, "hasty")
        assert len(acknowledged) == 6
        assert "taken 3" in left(place, acknowledged, keys)
