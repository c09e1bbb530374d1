"""Whose turn it is on a busy processor: while slurmctld waits for an answer, ours.

slurmctld keeps its locks while the hook asks, so all users wait for what voucherd waits for. As
one process among many it would get its turn milliseconds late on a busy host.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

_LOWEST = 1
"""Of the kernel's real-time priorities: before all that have none, after all others."""


def come_first() -> str:
    """Run this thread before all that have no real-time priority; what it starts does not.

    Returns:
        Why it may not be; '' where it is so.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_LOWEST))
    except OSError as error:
        return str(error.strerror)
    return ""


def threads(count: int) -> ThreadPoolExecutor:
    """Return threads that come first: none waits for a processor with the interpreter in hand.

    They have begun when this returns, and no more are added: whoever begins one waits until it has
    had its turn, before it comes first itself: a tenth of a second on a busy host.
    """
    pool, begun = ThreadPoolExecutor(count, initializer=come_first), Barrier(count + 1)
    for _ in range(count):
        pool.submit(begun.wait)
    begun.wait()
    return pool
