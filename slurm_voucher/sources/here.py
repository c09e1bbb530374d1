"""Run a command of Slurm on this host, and give what it prints as it comes."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import IO

from accounting.errors import SlurmUnavailable

BLOCK_BYTES = 2**20
"""How much is read at a time."""
SAID_BYTES = 4096
"""How much is kept of what a command complains about."""


def ask(
    asked: Sequence[str], *, unset: Sequence[str], env: Mapping[str, str], timeout_s: float
) -> Iterator[bytes]:
    """Yield what a command prints, cut anywhere.

    Args:
        asked: The command and its arguments.
        unset: Variables that it does not see.
        env: Variables that it sees on top of ours.
        timeout_s: Time for the whole answer.

    Raises:
        SlurmUnavailable: It is not there, failed or took too long; raised at the end, after what
            it printed.
    """
    late = threading.Event()
    seen = {name: value for name, value in os.environ.items() if name not in unset} | dict(env)
    with tempfile.TemporaryFile() as errors:
        process = _start(asked, seen, errors)
        timer = threading.Timer(timeout_s, _give_up, (process, late))
        timer.start()
        try:
            assert process.stdout is not None
            yield from iter(partial(process.stdout.read, BLOCK_BYTES), b"")
            process.wait()
        finally:
            timer.cancel()
            _stop(process)
        if late.is_set():
            raise SlurmUnavailable(f"{asked[0]}: no complete answer in {timeout_s} s; try again")
        if process.returncode:
            errors.seek(0)
            raise failed(asked[0], process.returncode, errors.read(SAID_BYTES))


def failed(name: str, status: int, said: bytes) -> SlurmUnavailable:
    """Say how a command ended, with the first line of what it complained about."""
    line = said.decode("utf-8", "replace").strip().partition("\n")[0][:200]
    return SlurmUnavailable(f"{name}: {line or 'no message'} (exit status {status}); try again")


def _start(
    asked: Sequence[str], env: Mapping[str, str], errors: IO[bytes]
) -> "subprocess.Popen[bytes]":
    """Start a command with its output in a pipe and its complaints in a file."""
    try:
        return subprocess.Popen(
            asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=env
        )
    except OSError as error:
        reason = error.strerror or error
        raise SlurmUnavailable(f"{asked[0]}: {reason}; install it or set PATH") from None


def _give_up(process: "subprocess.Popen[bytes]", late: threading.Event) -> None:
    """End a command when its time is over."""
    late.set()
    process.kill()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a command where the reader went away before it did."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        process.kill()
        process.wait()
