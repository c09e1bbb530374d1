"""slurm_voucher/doors.py: sockets that are heard before the loop has its turn."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from slurm_voucher.doors import Doors


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def run(main: Callable[[Doors], object]) -> None:
    """Run a coroutine in a loop with doors."""
    doors = Doors()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(doors)) as runner:
        runner.run(asyncio.wait_for(main(doors), 10))  # type: ignore[arg-type]


def test_the_loop_goes_on_when_it_is_told(pair) -> None:
    """What is heard is read at once; the loop has its turn where `hear` says so, and not before."""
    ours, theirs = pair
    heard: list[bytes] = []

    async def main(doors: Doors) -> None:
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def hear() -> bool:
            heard.append(ours.recv(1))
            if heard[-1] == b"c":
                woken.set()
            else:
                theirs.send(b"c" if heard[-1] == b"b" else b"b")
                loop.call_soon(heard.append, b"turn")
            return heard[-1] == b"c"

        doors.open(ours, hear)
        theirs.send(b"a")
        await woken.wait()

    run(main)
    assert heard[:3] == [b"a", b"b", b"c"]


def test_timers_and_threads_come_though_a_socket_is_never_quiet(pair) -> None:
    """Whoever asks without end keeps neither a timer waiting nor what a thread has done."""
    ours, _ = pair

    async def main(doors: Doors) -> None:
        ours.shutdown(socket.SHUT_RD)  # there is something to be read, and always will be
        doors.open(ours, lambda: False)
        await asyncio.sleep(0.01)
        await asyncio.to_thread(int)

    run(main)


def test_a_socket_that_was_shut_is_not_heard(pair) -> None:
    """What comes after that, and what came together with another's last word, is left alone."""
    ours, theirs = pair
    heard: list[bytes] = []

    async def main(doors: Doors) -> None:
        doors.open(ours, lambda: bool(heard.append(ours.recv(1))))
        doors.shut(ours)
        theirs.send(b"a")
        await asyncio.sleep(0.01)
        with pytest.raises(KeyError):
            doors.shut(ours)

    run(main)
    assert heard == []
    with contextlib.suppress(BlockingIOError):
        assert ours.recv(1) == b"a"
