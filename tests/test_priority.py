"""voucherd comes before what has no priority, where it may, and nothing that it starts does."""

import os
import subprocess
import sys
import threading
from concurrent.futures import wait

import pytest

from slurm_voucher import priority

ASKED = """
import os, subprocess, sys, threading
from slurm_voucher import priority

said = priority.come_first()
print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, flush=True)
print(said, flush=True)
tell = "import os; print(os.sched_getscheduler(0))"
subprocess.run([sys.executable, "-c", tell])
"""


def told(*before: str) -> list[str]:
    """Run it in a process of its own; return its policy, what it says, and a child's policy."""
    command = [*before, sys.executable, "-c", ASKED]
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.splitlines()


def may_come_first() -> bool:
    """Return whether this process has the right to a real-time priority."""
    command = ["chrt", "--rr", "1", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_comes_first_where_it_may() -> None:
    """Its own thread has real-time priority, and a process that it starts has none."""
    if not may_come_first():
        pytest.skip("no right to real-time priority here")
    assert told() == [str(os.SCHED_RR), "", str(os.SCHED_OTHER)]


def test_goes_on_where_it_may_not() -> None:
    """Without the right to it it says so, and is as before."""
    if os.geteuid():
        pytest.skip("only root can give its rights away")
    other = str(os.SCHED_OTHER)
    without = ("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice")
    assert told(*without) == [other, "Operation not permitted", other]


def test_threads_are_there_before_they_are_needed() -> None:
    """All have begun, and come first where they may; what they are given begins no other."""
    before = threading.active_count()
    with priority.threads(3) as pool:
        there, held = threading.active_count() - before, threading.Event()
        busy = [pool.submit(held.wait) for _ in range(3)]
        policy = pool.submit(os.sched_getscheduler, 0)
        after = threading.active_count() - before
        held.set()
        wait(busy)

        assert (there, after) == (3, 3)
        assert policy.result() & ~os.SCHED_RESET_ON_FORK == (
            os.SCHED_RR if may_come_first() else os.SCHED_OTHER
        )
