"""The process beside voucherd: it answers, and it ends with who asked it."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm_voucher import aside

# Twice whatever it is asked; a path: a command that goes on for long, its process and ours there.
ANSWERS = """
import os, subprocess
from slurm_voucher import aside

def answer(question):
    if isinstance(question, int):
        return 2 * question
    begun = subprocess.Popen(["sleep", "1000"])
    with open(question, "w") as out:
        print(os.getpid(), begun.pid, file=out)
    begun.wait()

aside.serve(answer)
"""
ASKER = f"""
import asyncio, sys
from slurm_voucher import aside
asyncio.run(aside.Aside('''{ANSWERS}''').ask(sys.argv[1]))
"""


def test_answers_one_after_the_other() -> None:
    """One process answers every question, until it is ended."""

    async def two() -> list[int]:
        process = aside.Aside(ANSWERS)
        try:
            return [await process.ask(2), await process.ask(21)]
        finally:
            await process.end()

    assert asyncio.run(two()) == [4, 42]


def test_ends_with_a_killed_asker(tmp_path: Path) -> None:
    """Who asks is killed while it works: it ends at once, and so does what it waits for."""
    told = tmp_path / "pids"
    asker = subprocess.Popen([sys.executable, "-c", ASKER, str(told)])
    try:
        _until(lambda: told.exists() and told.read_text().endswith("\n"))
        pids = [int(pid) for pid in told.read_text().split()]
        assert all(map(_runs, pids))
    finally:
        asker.send_signal(signal.SIGKILL)
        asker.wait()

    _until(lambda: not any(map(_runs, pids)))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.02)
    pytest.fail("not within ten seconds")
