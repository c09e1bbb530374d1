"""Many processes for one report: Dask's workers make sums of segments, and these are added up.

Where the work is done is Dask's business: processes on this machine, workers of a scheduler that
runs already, or jobs on the very cluster that is billed. A worker that dies has its segments done
by others. Every worker must see the archive under the same path. What a scheduler hands out is run:
name one that is yours, and see Dask's own configuration for TLS.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting.errors import ConfigInvalid, SlurmUnavailable, Unavailable
from accounting.runs.segment import Segment
from accounting.settle.rerating import Sums

CONNECT_S = 20
START_S = 300
"""How long Slurm may take to start the first worker."""
LOOPBACK = "127.0.0.1"


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
        ConfigInvalid: The extra `distributed` is not installed.
        Unavailable: The scheduler does not answer.
    """
    try:
        import distributed
    except ImportError:
        raise ConfigInvalid(
            "distributed: 0 of 1 packages are installed; install slurm-voucher[distributed]"
        ) from None
    with _cluster(where) as cluster:
        try:
            found = distributed.Client(cluster, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise Unavailable(f"scheduler {where.scheduler}: {reason}; is it running?") from None
        with found:
            _wait(found, CONNECT_S if where.partition is None else START_S)
            yield found


def _wait(dask: Any, limit_s: int) -> None:
    try:
        dask.wait_for_workers(1, timeout=limit_s)
    except TimeoutError:
        raise Unavailable(
            f"workers: 0 came within {limit_s} s, 1 is needed; see squeue, or start one"
        ) from None


@contextmanager
def _cluster(where: Where) -> Iterator[Any]:
    """Return a scheduler's address, or a cluster that lives as long as it is needed."""
    if where.scheduler is not None:
        yield where.scheduler
    elif where.partition is None:
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=where.workers, threads_per_worker=1, host=LOOPBACK, dashboard_address=None
        ) as cluster:
            yield cluster
    else:
        from dask_jobqueue import SLURMCluster

        if shutil.which("sbatch") is None:
            raise SlurmUnavailable("sbatch: not found; install Slurm's commands or set PATH")
        with SLURMCluster(
            queue=where.partition, cores=1, processes=1, memory="2GiB", walltime="01:00:00"
        ) as cluster:
            cluster.scale(where.workers)
            yield cluster


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
        rest: What is the same for all; it is sent once.
        progress: Is told how many are done.

    Raises:
        Unavailable: A segment's worker died again and again.
    """
    from distributed import KilledWorker, as_completed

    shared = [dask.scatter(each, broadcast=True) for each in rest]
    futures = [
        dask.submit(
            of_segment, root, segment, *shared, key=f"rerate-{i}-{segment.path}", pure=False
        )
        for i, segment in enumerate(segments)
    ]
    sums = Sums()
    try:
        for done, future in enumerate(as_completed(futures, loop=dask.loop), 1):
            sums.add(future.result())
            progress(done)
    except KilledWorker as error:
        raise Unavailable(f"workers: {error.task} ended several; give them more memory") from None
    return sums
