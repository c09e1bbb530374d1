"""Ask `sacct` for the runs that ended in a window, here or on a login node, and read its answer as
it comes."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa

from accounting.errors import SlurmUnavailable
from slurm_voucher import times
from slurm_voucher.logins import Login
from slurm_voucher.sources import BadRow, here, tables
from slurm_voucher.sources.states import ENDED
from slurm_voucher.sources.whole import Whole

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
UNSET = ("SLURM_TIME_FORMAT", "SLURM_CLUSTERS", "SACCT_FORMAT", "SACCT_FEDERATION")
"""Variables that would change what sacct answers."""
ENV = {"TZ": "UTC", "LC_ALL": "C.UTF-8"}


def command(
    start_s: int,
    end_s: int,
    *,
    cluster: str | None = None,
    states: Sequence[str] | None = tuple(ENDED.values()),
    fields: Sequence[str] = FIELDS,
) -> list[str]:
    """Write the arguments of sacct for a window; they want UNSET and ENV.

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


def ended(
    start_s: int,
    end_s: int,
    cluster: str,
    *,
    login: Login | None = None,
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
        login: Where sacct is asked, over SSH. None: on this host.
        remote: Ask for it by name, where that host belongs to another cluster.
        states: See `command`.
        skipped: Counts rows that are no runs, by reason.
        slow: Counts rows that the slow reader had to read.
        timeout_s: Time for the whole answer.

    Raises:
        SlurmUnavailable: sacct or its host is not there, failed or took too long. It may come
            after rows: they are true, but the window is not complete and must be asked for again.
        ConfigInvalid: The host is not known, or does not let this user in.
    """
    asked = command(start_s, end_s, cluster=cluster if remote else None, states=states)
    if login is None:
        answer = here.ask(asked, unset=UNSET, env=ENV, timeout_s=timeout_s)
    else:
        from slurm_voucher.sources import ssh  # loads paramiko

        answer = ssh.ask(login, asked, unset=UNSET, env=ENV, timeout_s=timeout_s)
    return read(answer, cluster, source="sacct", skipped=skipped, slow=slow)


def read(
    answer: Iterator[bytes],
    cluster: str,
    *,
    source: str,
    skipped: Counter[str] | None = None,
    slow: Counter[str] | None = None,
) -> Iterator[pa.Table | BadRow]:
    """Yield what stands in an answer; where it breaks off, its whole lines and then the reason."""
    with contextlib.closing(Whole(answer)) as whole:
        yield from tables.tables(
            whole, fields=FIELDS, timezone="UTC", cluster=cluster, source=source,
            skipped=skipped, slow=slow,
        )  # fmt: skip
        if whole.broken is not None:
            raise whole.broken
        if whole.rest:
            raise SlurmUnavailable(f"{source}: the answer ends within a line; try again")
