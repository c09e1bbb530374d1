"""Many processes for one report: Dask's workers make sums of segments, and these are added up.

Where the work is done is Dask's business: processes on this machine, workers of a scheduler that
runs already, or jobs on the very cluster that is billed. A worker that dies has its segments done
by others, also where it was the only one and another takes its place; where none does, that is
said. Every worker must see the archive under the same path. What a scheduler hands out is run:
name one that is yours, and see Dask's own configuration for TLS.
"""

import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting.errors import ConfigInvalid, SlurmUnavailable, Unavailable
from accounting.runs.segment import Segment
from accounting.settle.rerating import Sums
from slurm_voucher.commands import ask

CONNECT_S = 20
START_S = 300
"""How long Slurm may take to start the first worker."""
LOOPBACK = "127.0.0.1"

ADDRESS = re.compile(r"(?:tcp|tls|wss?)://\S+:[0-9]{1,5}")


@dataclass(frozen=True)
class Where:
    """Where the work is done.

    Attributes:
        scheduler: Address of a scheduler that runs already. None: start one.
        workers: How many to start, if one is started.
        partition: Slurm partition to start them in as jobs. None: on this machine.
    """

    scheduler: str | None
    workers: int
    partition: str | None


@contextmanager
def client(where: Where) -> Iterator[Any]:
    """Connect to Dask's workers, and end those that were started.

    Raises:
        ConfigInvalid: The extra `distributed` is not installed, or the address is none.
        SlurmUnavailable: Slurm has no such partition, or does not answer.
        Unavailable: The scheduler does not answer, or no worker comes.
    """
    if where.scheduler is not None and not ADDRESS.fullmatch(where.scheduler):
        raise ConfigInvalid(
            f"scheduler {where.scheduler!r}: is no address; write it as tcp://HOST:8786"
        )
    try:
        import dask_jobqueue
        import distributed
    except ImportError as error:
        raise ConfigInvalid(
            f"{error.name}: not installed; install slurm-voucher[distributed]"
        ) from None
    # what went wrong is raised, and said in one line
    for name in ("distributed", "distributed.deploy.spec", "tornado", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _cluster(where, distributed, dask_jobqueue) as cluster:
        try:
            found = distributed.Client(cluster, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # TypeError: TLS without its settings
            reason = str(error).partition("\n")[0]
            raise Unavailable(f"scheduler {where.scheduler}: {reason}; is it running?") from None
        with found:
            _wait(found, where)
            yield found


@contextmanager
def _cluster(where: Where, distributed: Any, dask_jobqueue: Any) -> Iterator[Any]:
    """Return a scheduler's address, or a cluster that lives as long as it is needed."""
    if where.scheduler is not None:
        yield where.scheduler
    elif where.partition is None:
        with distributed.LocalCluster(
            n_workers=where.workers,
            threads_per_worker=1,
            host=LOOPBACK,
            dashboard_address=f"{LOOPBACK}:0",
            silence_logs=logging.CRITICAL,
        ) as cluster:
            yield cluster
    else:
        _check_partition(where.partition)
        with dask_jobqueue.SLURMCluster(
            queue=where.partition, cores=1, processes=1, memory="2GiB", walltime="01:00:00"
        ) as cluster:
            cluster.scale(where.workers)
            yield cluster


def _check_partition(name: str) -> None:
    """Refuse a partition that Slurm does not have, before Dask waits for jobs in it."""
    if shutil.which("sbatch") is None:
        raise SlurmUnavailable("sbatch: not found; install Slurm's commands or set PATH")
    if not ask(["sinfo", "--noheader", f"--partition={name}", "--format=%R"]).strip():
        raise ConfigInvalid(f"partition {name}: 0 of that name on this cluster; see sinfo")


def _wait(dask: Any, where: Where) -> None:
    """Wait for the first worker; others may come later."""
    limit_s = CONNECT_S if where.partition is None else START_S
    try:
        dask.wait_for_workers(1, timeout=limit_s)
    except (TimeoutError, OSError):
        raise Unavailable(
            f"workers: 0 came within {limit_s} s, 1 is needed; see squeue, or start one"
        ) from None


def total(
    dask: Any,
    of_segment: Callable[..., Sums],
    root: Path,
    segments: Iterable[Segment],
    *rest: object,
    progress: Callable[[int], None] = lambda done: None,
) -> Sums:
    """Add up what workers make of segments.

    Args:
        dask: A client.
        of_segment: Makes the sums of one segment from root, segment and rest.
        root: Root of the archive.
        segments: All of them.
        rest: What is the same for all.
        progress: Is told how many are done.

    Raises:
        Unavailable: A segment's worker died again and again, or the scheduler is gone.
    """
    from distributed import KilledWorker

    # the result of a task, so that it is made again where the worker that has it dies
    shared = dask.submit(tuple, rest, pure=False)
    futures = [
        dask.submit(_of_segment, of_segment, root, segment, shared, pure=False)
        for segment in segments
    ]
    sums = Sums()
    try:
        for done, future in enumerate(futures, 1):
            sums.add(_result(dask, future))
            progress(done)
    except KilledWorker as error:
        raise Unavailable(f"workers: {error.task} ended several; give them more memory") from None
    except (CancelledError, OSError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise Unavailable(f"scheduler: {reason}; is it running? start again") from None
    return sums


def _result(dask: Any, future: Any) -> Sums:
    """Wait for a result; give up where for START_S there is none, and no worker is left."""
    while True:
        try:
            sums: Sums = future.result(timeout=START_S)
        except TimeoutError:
            if dask.scheduler_info()["workers"]:
                continue
            raise Unavailable(
                f"workers: 0 are left for {START_S} s, 1 is needed; see squeue, or start one"
            ) from None
        return sums


def _of_segment(
    of_segment: Callable[..., Sums], root: Path, segment: Segment, rest: tuple[object, ...]
) -> Sums:
    return of_segment(root, segment, *rest)
