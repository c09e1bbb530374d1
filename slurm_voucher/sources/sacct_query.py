"""Ask `sacct` for the runs that ended in a window, and read its answer as it comes."""

import os
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO

import pyarrow as pa

from accounting.errors import SlurmUnavailable
from slurm_voucher import times
from slurm_voucher.sources import BadRow, tables
from slurm_voucher.sources.states import ENDED

FIELDS = (
    "JobIDRaw",
    "JobID",
    "Cluster",
    "Submit",
    "Start",
    "End",
    "ElapsedRaw",
    "Suspended",
    "State",
    "Partition",
    "QOS",
    "Account",
    "User",
    "UID",
    "NNodes",
    "NCPUS",
    "ReqTRES",
    "AllocTRES",
    "AdminComment",  # last: the one free text, a | in it does no harm
)
"""Columns that every Slurm from 22.05 on has."""

TIMEOUT_S = 600
BLOCK_BYTES = 2**20
"""How much is read at a time."""


def command(
    start_s: int,
    end_s: int,
    *,
    cluster: str | None = None,
    states: Sequence[str] | None = tuple(ENDED.values()),
    fields: Sequence[str] = FIELDS,
) -> list[str]:
    """Write the arguments of sacct for a window; they want the environment of `environ()`.

    Args:
        start_s: Begin of the window.
        end_s: End of the window.
        cluster: Another cluster than the one this host belongs to. None: that one.
        states: With states that end a run, the rows are those whose end lies in the window.
            None: all rows that touch the window in any state, to find states nobody named.
        fields: Columns, in this order.

    Returns:
        An argument list; --noconvert keeps counts and memory from being rounded.
    """
    asked = ["sacct", "-a", "-X", "-D", "-n", "-P", "--noconvert"]
    asked += ["-S", times.utc(start_s), "-E", times.utc(end_s)]
    if states is not None:
        asked += ["-s", ",".join(states)]
    if cluster is not None:
        asked += ["-M", cluster]
    return [*asked, f"--format={','.join(fields)}"]


def environ() -> dict[str, str]:
    """Return this environment with UTC, and without what would change the answer of sacct."""
    changing = ("SLURM_TIME_FORMAT", "SLURM_CLUSTERS", "SACCT_FORMAT", "SACCT_FEDERATION")
    kept = {name: value for name, value in os.environ.items() if name not in changing}
    return kept | {"TZ": "UTC", "LC_ALL": "C.UTF-8"}


def ended(
    start_s: int,
    end_s: int,
    cluster: str,
    *,
    remote: bool = False,
    states: Sequence[str] | None = tuple(ENDED.values()),
    skipped: Counter[str] | None = None,
    slow: Counter[str] | None = None,
    timeout_s: int = TIMEOUT_S,
) -> Iterator[pa.Table | BadRow]:
    """Yield tables of the runs of a cluster that ended in a window.

    Args:
        start_s: Begin of the window.
        end_s: End of the window.
        cluster: Cluster that every row must be of.
        remote: Ask for it by name, where this host belongs to another cluster.
        states: See `command`.
        skipped: Counts rows that are no runs, by reason.
        slow: Counts rows that the slow reader had to read.
        timeout_s: Time for the whole answer.

    Raises:
        SlurmUnavailable: sacct is not there, failed or took too long. It may come after rows:
            they are true, but the window is not complete and must be asked for again.
    """
    asked = command(start_s, end_s, cluster=cluster if remote else None, states=states)
    late = threading.Event()
    with tempfile.TemporaryFile() as errors:
        process = _start(asked, errors)
        timer = threading.Timer(timeout_s, _give_up, (process, late))
        timer.start()
        try:
            assert process.stdout is not None
            yield from tables.tables(
                iter(partial(process.stdout.read, BLOCK_BYTES), b""),
                fields=FIELDS,
                timezone="UTC",
                cluster=cluster,
                source="sacct",
                skipped=skipped,
                slow=slow,
            )
            process.wait()
        finally:
            timer.cancel()
            _stop(process)
        if late.is_set():
            raise SlurmUnavailable(f"sacct: no complete answer in {timeout_s} s; try again")
        if process.returncode:
            errors.seek(0)
            said = errors.read(4096).decode("utf-8", "replace").strip().partition("\n")[0]
            status = f"exit status {process.returncode}"
            raise SlurmUnavailable(f"sacct: {said or 'no message'} ({status}); try again")


def _start(asked: list[str], errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start sacct with its output in a pipe and its complaints in a file."""
    try:
        return subprocess.Popen(
            asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environ()
        )
    except OSError as error:
        reason = error.strerror or error
        raise SlurmUnavailable(f"sacct: {reason}; install it or set PATH") from None


def _give_up(process: "subprocess.Popen[bytes]", late: threading.Event) -> None:
    """End sacct when its time is over."""
    late.set()
    process.kill()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End sacct where the reader went away before it did."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        process.kill()
        process.wait()
