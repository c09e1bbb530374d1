"""svoucher collect --watch: a datagram wakes it, a timer makes sure, and it ends when told to."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakeslurm import RECORDED, FakeSlurm
from homes import ROOT, Home, furnished
from hypothesis import given
from hypothesis import strategies as st
from test_userport import until

from accounting.book import ledger
from accounting.book.ledger import Actor, Stamp
from accounting.errors import ConfigInvalid
from accounting.runs import nodes
from slurm_voucher import config, waking, watching
from slurm_voucher.watching import BACKOFF_MAX_S, BACKOFF_S, Pace, Watch

LAZY = "3600"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch) -> FakeSlurm:
    """Slurm's commands on PATH, and a sacct that counts how often it was asked."""
    fake = FakeSlurm(tmp_path / "bin")
    sacct = fake.folder / "sacct"
    fails = "if [ -e sacct.fails ]; then cat sacct.fails >&2; exit 1; fi"
    sacct.write_text(f'#!/bin/sh\ncd {fake.folder}\necho "$*" >> asked.txt\n{fails}\n')
    sacct.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A rehearsal book whose sockets are in its folder."""
    made = furnished(tmp_path / "h")
    (made.path / "config.yaml").write_text(f"socket: {tmp_path}/h/hook.sock\n")
    return made


def asked(slurm: FakeSlurm) -> list[str]:
    """Return what sacct was asked."""
    file = slurm.folder / "asked.txt"
    return file.read_text().splitlines() if file.exists() else []


def sdiag(slurm: FakeSlurm, waiting: int) -> None:
    """Let so many messages of slurmctld wait for slurmdbd."""
    slurm.says("sdiag.txt", f"DBD Agent queue size: {waiting}\n")


def watch(home: Home, clock=lambda: 1_800_000_000.0) -> Watch:
    """Return who collects, in this process."""
    site = config.load(home.path)
    now = Stamp(Actor("root", "system"), 1_800_000_000, 1_800_000_000)
    return Watch(ledger.connect(site.book), site, "chengdu", lambda: now, clock)


@contextmanager
def running(home: Home) -> Iterator["subprocess.Popen[str]"]:
    """Run the service as a process of its own."""
    command = [sys.executable, "-c", "from slurm_voucher.cli import main; main()",
               "--home", str(home.path), "collect", "--cluster", "chengdu", "--watch",
               "--every", LAZY, "--least", "1"]  # fmt: skip
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as service:
        try:
            yield service
        finally:
            service.kill()


def test_woken_and_ended(home: Home, slurm: FakeSlurm) -> None:
    """It sweeps at once, again when a datagram comes, says each in one line, and ends well."""
    sdiag(slurm, 0)
    path = home.path / "collect-chengdu.sock"
    with running(home) as service:
        until(path.exists, 60)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        until(lambda: len(asked(slurm)) >= 7 + 7, 60)
        assert len(asked(slurm)) == 7 + 7  # a week in stretches, once a day without a filter
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slurmctld:
            slurmctld.sendto(b"x" * 9_999, str(path))
        until(lambda: len(asked(slurm)) == 7 + 7 + 1, 60)
        service.send_signal(signal.SIGTERM)
        assert service.stderr is not None
        said = service.stderr.read()
        assert service.wait() == 0
    lines = [line for line in said.splitlines() if " up to " in line]
    assert len(lines) == 3, said
    assert "chengdu ended up to " in lines[0]
    assert "chengdu all-states up to " in lines[1]
    assert "0 read, 0 new, 0 changed" in lines[2]
    assert not path.exists()


def test_jobs_that_end_all_the_time_do_not_sweep_all_the_time(home: Home, monkeypatch) -> None:
    """Woken right after a sweep, the next one waits until its time has come."""
    waited: list[float] = []

    def wait(_bound: object, _signals: object, seconds: float) -> bool:
        waited.append(seconds)
        if len(waited) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return True

    monkeypatch.setattr(watching.waking, "wait", wait)
    watched = watch(home)
    monkeypatch.setattr(watched, "sweep", lambda stop: True)
    watching.watch(watched, 300, 60)

    assert waited[0] == 300
    assert 50 < waited[1] <= 60


def test_killed_and_started_again(home: Home, slurm: FakeSlurm) -> None:
    """Killed, it leaves a socket that nobody reads; the next one takes its place."""
    path = home.path / "collect-chengdu.sock"
    with running(home) as service:
        until(path.exists, 60)
        service.kill()
        service.wait()
    assert path.exists()
    site = config.load(home.path)
    with waking.listen(site, "chengdu"):
        with pytest.raises(ConfigInvalid, match="somebody collects this cluster already"):
            waking.listen(site, "chengdu")
        waking.listen(site, "other").close()


def test_nothing_else_gives_way(home: Home) -> None:
    """A file in the socket's place is left alone."""
    (home.path / "collect-chengdu.sock").write_text("mine")
    with pytest.raises(ConfigInvalid, match="is no socket"):
        waking.listen(config.load(home.path), "chengdu")
    assert (home.path / "collect-chengdu.sock").read_text() == "mine"


def test_what_stands_in_a_datagram_is_thrown_away(home: Home) -> None:
    """However many have come, and whatever is in them, they are one wake-up."""
    site = config.load(home.path)
    path = str(waking.path_of(site, "chengdu"))
    signals, other = socket.socketpair()
    with waking.listen(site, "chengdu") as bound, signals, other:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slurmctld:
            for size in (0, 1, 50_000):
                slurmctld.sendto(b"\0" * size, path)
        assert waking.wait(bound, signals, 60)
        assert waking.drain(bound) == 3
        assert not waking.wait(bound, signals, 0)


def test_slurmdbd_away(home: Home, slurm: FakeSlurm, caplog) -> None:
    """Where sacct fails, the sweep fails in one line, asks once, and has moved nothing."""
    sdiag(slurm, 0)
    slurm.fails("sacct", "sacct: error: slurmdbd is away")
    watched = watch(home)
    assert not watched.sweep()
    assert [record.getMessage() for record in caplog.records] == [
        "chengdu: sacct: sacct: error: slurmdbd is away (exit status 1); try again"
    ]
    assert len(asked(slurm)) == 1
    slurm.heal()
    assert watched.sweep()


def test_rows_wait_for_slurmdbd(home: Home, slurm: FakeSlurm, caplog) -> None:
    """While slurmctld has rows that slurmdbd has not, or nobody can say, no watermark moves and the
    slow sweep waits."""
    caplog.set_level("INFO")
    watched = watch(home)
    for tell in (lambda: sdiag(slurm, 3), lambda: slurm.fails("sdiag")):
        tell()
        assert watched.sweep()
        assert "the watermark stays" in caplog.records[-1].getMessage()
    assert len(asked(slurm)) == 2
    with watched.engine.connect() as conn:
        assert watching.watermarks.by_cluster(conn) == {}
    slurm.heal()
    sdiag(slurm, 0)
    assert watched.sweep()
    with watched.engine.connect() as conn:
        assert watching.watermarks.by_cluster(conn) == {"chengdu": 1_800_000_000}
        assert watching.watermarks.by_cluster(conn, "all-states") == {"chengdu": 1_800_000_000}


def test_the_slow_sweep_is_due_once_a_day(home: Home, slurm: FakeSlurm) -> None:
    """A sweep without a filter comes once a day, and no sooner where the clock was put back."""
    sdiag(slurm, 0)
    now = [1_800_000_000.0]
    watched = watch(home, lambda: now[0])

    def slow_ones() -> int:
        before = len(asked(slurm))
        watched.slow_tried_s = None  # an hour has gone by
        assert watched.sweep()
        return sum(" -s " not in line for line in asked(slurm)[before:])

    assert slow_ones() == 7
    now[0] += 86_399
    assert slow_ones() == 0
    now[0] += 1
    assert slow_ones() == 1  # a day and the overlap
    watched.sweep()
    before = len(asked(slurm))
    now[0] -= 86_400 * 3
    watched.sweep()
    watched.sweep()
    assert sum(" -s " not in line for line in asked(slurm)[before:]) == 0


def test_a_book_that_others_have(home: Home, slurm: FakeSlurm, caplog) -> None:
    """Where somebody else is collecting it says so and tries again."""
    sdiag(slurm, 0)
    watched = watch(home)
    with watching.sweeping.charging.alone(watched.config.archive):
        assert not watched.sweep()
    assert "1 process is collecting" in caplog.records[-1].getMessage()


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_the_pace(went_well: list[bool]) -> None:
    """After a sweep that went well it waits as long as it is told; after failures in a row longer
    and longer, up to the cap."""
    pace, row = Pace(300.0), 0
    for well in went_well:
        row = 0 if well else row + 1
        wait_s = pace.after(well=well)
        assert wait_s == (300.0 if well else min(BACKOFF_MAX_S, BACKOFF_S * 2.0 ** (row - 1)))


def test_nodes_are_noted_beside_the_runs(home: Home, slurm: FakeSlurm, caplog) -> None:
    """The first sweep notes the nodes, and the next one hours later; where that fails it is said,
    the runs come in all the same, and it is tried again no sooner than in an hour."""
    clock = [1_800_000_000.0]
    watched = watch(home, lambda: clock[0])
    root = home.path / "archive"
    slurm.says("nodes.txt", "")
    assert watched.sweep()
    assert "sinfo: 0 nodes, 1 is needed" in caplog.records[-1].getMessage()
    shutil.copy(RECORDED / "nodes.txt", slurm.folder)
    assert watched.sweep()
    assert nodes.files(root) == []
    for hours, wanted in ((0, 1), (1, 1), (7, 2)):
        clock[0], watched.nodes_tried_s = 1_800_000_000.0 + hours * 3_600, None
        assert watched.sweep()
        assert len(nodes.files(root)) == wanted
