"""The loop's selector, which lets some sockets be heard before the loop has its turn.

What the loop does for each event of a socket is little, but it is done while slurmctld waits, and
with cold caches.
"""

import select
import selectors
import socket
import time
from collections.abc import Callable

AT_ONCE = 8
"""Sockets that are looked at together; Python makes room for a thousand unless it is told."""
Hear = Callable[[], bool]
"""Reads a socket that has something; True: the loop has something to do."""


class Doors(selectors.EpollSelector):
    """A selector for asyncio's loop, with sockets of its own beside those of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._both = select.epoll()
        self._both.register(super().fileno(), select.EPOLLIN)
        self._hear: dict[int, Hear] = {}

    def open(self, peer: socket.socket, hear: Hear) -> None:
        """Call `hear` in the loop's thread whenever a socket has something to be read."""
        self._hear[peer.fileno()] = hear
        self._both.register(peer, select.EPOLLIN)

    def shut(self, peer: socket.socket) -> None:
        """Hear a socket no more; it is still open."""
        del self._hear[peer.fileno()]
        self._both.unregister(peer)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what the loop waits for, once there is any or its time is over."""
        end_s = None if timeout is None else time.monotonic() + timeout
        left_s, due = timeout, False
        while not due:
            for fd, _ in self._both.poll(left_s, AT_ONCE):
                hear = self._hear.get(fd)  # None: the loop's own; or shut a moment ago
                due |= hear is None or hear()
            if end_s is not None:
                left_s = max(0.0, end_s - time.monotonic())
                due |= left_s == 0
        return super().select(0)

    def close(self) -> None:
        """Hear nobody any more."""
        self._both.close()
        super().close()
