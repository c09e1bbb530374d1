"""What bench/hook.py measures: slurmctlds, a real voucherd with a real book, usage."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import accounts
from bench.cluster import (
    CLUSTER,
    ROOT,
    Controller,
    build,
    controller,
    munge,
    process,
    wait_for,
)

SVOUCHER = [sys.executable, "-c", "from slurm_voucher.cli import main; main(prog_name='svoucher')"]
ACCOUNTS = 1_000
UIDS = range(20_000, 20_000 + ACCOUNTS)
LOOK_S = 30
"""How often voucherd looks at the queue unless a site says otherwise."""
COLLECT_EVERY_S, COLLECT_RUNS = 5, 500
HOOKS = {"none": "", "noop_c": "noop", "noop_lua": "lua", "ours": "timed", "stopped": "timed"}
MODE = {"ours": "closed", "stopped": "queue"}
RECORD = np.dtype([("began_ns", "<i8"), ("took_ns", "<i4"), ("rc", "<i4"), ("said", "S240")])
"""As in peers/timed.c."""
PREFIX = "voucher-bench-"
STATE = "/dev/shm"
"""ext4 shuns the inodes of files that were removed in the last minutes and searches long for
others, so there each round would be slower than the one before."""
SACCT = "#!/bin/sh\nexec cat {folder}/ended\n"
SACCTMGR = f"#!/bin/sh\necho {CLUSTER}\n"


@dataclass(frozen=True)
class Bench:
    """Where everything is, and what is up."""

    folder: Path
    up: dict[str, Controller]
    named: str
    """What the names of all accounts begin with."""

    def records(self, hook: str) -> np.ndarray[Any, Any]:
        """Return what the hook did so far, a row for each submit."""
        rows = np.fromfile(self.folder / f"{hook}.records", RECORD)
        return rows[rows["began_ns"] > 0]


@contextlib.contextmanager
def ready(folder: Path, most_jobs: int) -> Iterator[Bench]:
    """Build, make the book and start a slurmctld for each kind of hook."""
    plugins = folder / "plugins"
    build(plugins)
    named = accounts.found(folder / "book.db", CLUSTER, UIDS)
    _play_slurmdbd(folder / "bin")
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(munge(folder / "munge"))
        up = {}
        for name, hook in HOOKS.items():
            env = {}
            if name in MODE:
                records = folder / f"{name}.records"
                records.touch()
                os.truncate(records, most_jobs * RECORD.itemsize)
                conf = folder / f"{name}.conf"
                conf.write_text(f"socket = {folder}/hook\nwhen_unavailable = {MODE[name]}\n")
                env = {
                    "TIMED_PLUGIN": str(plugins / "job_submit_voucher.so"),
                    "TIMED_RECORDS": str(records), "VOUCHER_CONF": str(conf),
                }  # fmt: skip
            state = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="voucher-bench-", dir=STATE))
            )
            up[name] = stack.enter_context(
                controller(name, folder / name, state, plugins, bound, hook, env)
            )
        yield Bench(folder, up, named)


def _play_slurmdbd(folder: Path) -> None:
    folder.mkdir()
    (folder / "ended").touch()
    for name, text in (("sacct", SACCT), ("sacctmgr", SACCTMGR)):
        (folder / name).write_text(text.format(folder=folder))
        (folder / name).chmod(0o755)


def _site(bench: Bench, home: Path) -> dict[str, str]:
    """Return the environment of svoucher for a site."""
    path = f"{bench.folder}/bin:{os.environ['PATH']}"
    own = {"SVOUCHER_HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": path}
    return dict(bench.up["ours"].env) | own


@contextlib.contextmanager
def voucherd(
    bench: Bench, home: Path, look_s: int = LOOK_S
) -> Iterator[tuple["subprocess.Popen[bytes]", list[float]]]:
    """Run voucherd with a book of its own, once it has looked at the queue and knows the accounts.

    Yields:
        It, and how long it took to answer for each account that it did not know, in microseconds.
    """
    home.mkdir()
    shutil.copy(bench.folder / "book.db", home / "book.db")
    (home / "config.yaml").write_text(f"socket: {bench.folder}/hook\nsnapshot_s: {look_s}\n")
    with process([*SVOUCHER, "serve"], _site(bench, home), home / "log") as started:
        path = bench.folder / "hook"
        wait_for("voucherd", lambda: path.exists() or started.poll() is not None)
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(path))
            wait_for("a look at the queue", lambda: b"looked_ago_s" in _ask(asked, "STATUS"))
            cold = [_hold_us(asked, bench.named, number) for number in range(ACCOUNTS)]
            wait_for("holds in the book", lambda: b"waiting=0" in _ask(asked, "STATUS"))
        yield started, cold


def _ask(voucherd: socket.socket, question: str) -> bytes:
    voucherd.sendall(f"1 {question}\n".encode())
    return voucherd.recv(4096)


def _hold_us(voucherd: socket.socket, named: str, number: int) -> float:
    """Take a hold for an account; return how long that took."""
    question = (
        f"HOLD hold={number:032x} uid={UIDS[number]} voucher={named}{number + 1:04d} partition=ai "
        "time_limit=60 min_nodes=1 tres_per_node=gres:gpu:ascend_910b:1"
    )
    began = time.perf_counter()
    answer = _ask(voucherd, question)
    took_us = (time.perf_counter() - began) * 1e6
    if b" YES " not in answer:
        raise SystemExit(f"voucherd: {answer.decode()}")
    return took_us


@contextlib.contextmanager
def collecting(bench: Bench, home: Path) -> Iterator[list[float]]:
    """Run `svoucher collect` over and over; yield how long each took, in seconds."""
    stop, took = threading.Event(), []

    def collect() -> None:
        number = 0
        while not stop.wait(COLLECT_EVERY_S):
            (bench.folder / "bin" / "ended").write_text(_ended(bench, number))
            number += COLLECT_RUNS
            began = time.monotonic()
            asked = [*SVOUCHER, "collect", "--cluster", CLUSTER]
            done = subprocess.run(
                asked, env=_site(bench, home), capture_output=True, encoding="utf-8", check=False
            )
            took.append(time.monotonic() - began)
            if done.returncode:
                print(f"collect: {done.stderr.strip()}", file=sys.stderr, flush=True)

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join()


def _ended(bench: Bench, first: int) -> str:
    """Write what sacct prints of runs that ended a moment ago: a minute on one card each."""
    now_s = int(time.time())
    submit, start, end = (
        datetime.fromtimestamp(now_s - ago, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        for ago in (70, 62, 2)
    )
    tres = "billing=1,cpu=1,gres/gpu:ascend_910b=1,gres/gpu=1,mem=1G,node=1"
    lines = []
    for job in range(first, first + COLLECT_RUNS):
        at = job % ACCOUNTS
        lines.append(
            f"{9_000_000 + job}|{9_000_000 + job}|{CLUSTER}|{submit}|{start}|{end}|60|00:00:00|"
            f"COMPLETED|ai|normal|lab|li|{UIDS[at]}|1|1|{tres}|{tres}|"
            f"voucher={bench.named}{at + 1:04d}\n"
        )
    return "".join(lines)
