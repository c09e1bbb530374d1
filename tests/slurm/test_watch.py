"""svoucher collect --watch as a service: a job that ends wakes it, long before its timer."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Stage, run, submitted

pytestmark = pytest.mark.slurm

HOUR = ("--every", "3600")
"""Beyond the test's end: what is collected before, a datagram has brought."""


@contextlib.contextmanager
def watching(site: Stage, log: Path) -> Iterator[None]:
    """Collect as a service until the block ends; it ends by itself at SIGTERM, and well."""
    what = ("collect", "--cluster", stages.CLUSTER, "--watch", *HOUR, "--least", "1")
    command = ["svoucher", "--home", str(site.home), *what]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as service:
        try:
            stages.until("the first sweep is over", lambda: " ended up to " in log.read_text())
            yield
        finally:
            service.send_signal(signal.SIGTERM)
            assert service.wait(30) == 0, log.read_text()


def test_job_that_ends_wakes_collect(live: Stage, tmp_path: Path) -> None:
    """slurmctld's jobcomp/lua sends a datagram, and the run is in the archive within seconds."""

    def charged(job: int) -> bool:
        rows = json.loads(live.svoucher("jobs", "--json").out)
        return any(row["job"] == str(job) and row["status"] == "charged" for row in rows)

    def submit() -> int:
        voucher = f"--voucher={live.accounts['ai']}"
        cards = ("-p", "ai", "--gres=gpu:ascend_910b:2", "-t", "10")
        return submitted(run("sbatch", voucher, *cards, "--wrap=sleep 2", user="alice"))

    def collected(job: int) -> bool:
        live.svoucher("collect", "--cluster", stages.CLUSTER)
        return charged(job)

    # The first run that is ever collected has what rates it compiled: a minute on a busy host.
    job = submit()
    stages.until("the first run is charged", lambda: collected(job), 180)
    with watching(live, tmp_path / "log"):
        for _ in range(2):  # the second one after a sweep that a datagram began
            job = submit()
            stages.until(f"job {job} is charged", lambda job=job: charged(job))
