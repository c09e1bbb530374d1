"""A process beside this one that does what takes time: asked by frames on its pipes.

A frame is its length in four bytes and a pickle: both ends are this program, run by the same user.
"""

import asyncio
import contextlib
import os
import pickle
import select
import signal
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

_LENGTH = struct.Struct(">I")


class Ended(Exception):
    """The process has ended; `code` is how."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Aside:
    """One such process, started when it is needed."""

    def __init__(self, code: str) -> None:
        """Take the Python that it runs, which calls `serve`."""
        self._code = code
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, question: object) -> Any:
        """Ask it, one question at a time.

        Raises:
            Ended: It ended before it answered; the next question starts another.
            Exception: What it raised.
        """
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", self._code, stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        there, back = self._process.stdin, self._process.stdout
        assert there is not None
        assert back is not None
        try:
            there.write(_frame(question))
            await there.drain()
            (length,) = _LENGTH.unpack(await back.readexactly(_LENGTH.size))
            answer = pickle.loads(await back.readexactly(length))  # noqa: S301 - see above
        except (OSError, asyncio.IncompleteReadError):
            raise Ended(await self._process.wait()) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def end(self) -> None:
        """End it at once, with whatever it has started and waits for."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.communicate()


def _frame(value: object) -> bytes:
    raw = pickle.dumps(value)
    return _LENGTH.pack(len(raw)) + raw


def _end_with_who_asked() -> None:
    """End when the asker is gone, killed even: what it began must not meet what its successor does.

    It takes what it has started and waits for along: the process leads a group of its own.
    """
    asker = select.poll()
    asker.register(sys.stdin.fileno(), 0)  # no event but that the other end is gone
    asker.poll()
    os.killpg(os.getpid(), signal.SIGKILL)


def serve(answer: Callable[[Any], object]) -> None:
    """Answer frames until there are no more; what is raised is an answer, too."""
    threading.Thread(target=_end_with_who_asked, daemon=True).start()
    there, back = sys.stdin.buffer, sys.stdout.buffer
    while head := there.read(_LENGTH.size):
        question = pickle.loads(there.read(*_LENGTH.unpack(head)))  # noqa: S301 - see above
        try:
            answered = answer(question)
        except Exception as error:  # noqa: BLE001 - it is who asked that tells it
            answered = error
        back.write(_frame(answered))
        back.flush()
