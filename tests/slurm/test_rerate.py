"""The cluster that is billed rates its own archive: Dask's workers are its jobs."""

import json

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Stage, run, submitted

pytestmark = pytest.mark.slurm


def test_the_cluster_rates_its_own_archive(live: Stage) -> None:
    """Workers that Slurm starts give what one process gives, and are gone afterwards."""
    voucher = f"--voucher={live.accounts['ai']}"
    cards = ("-p", "ai", "--gres=gpu:ascend_910b:2", "-t", "10", "--wrap=sleep 2")
    stages.ended(submitted(run("sbatch", voucher, *cards, user="alice")))
    live.svoucher("collect", "--cluster", stages.CLUSTER)

    serial = live.svoucher("rerate", "--json")
    by_slurm = live.svoucher("rerate", "--json", "--slurm-partition", "sc", "--workers", "2")

    assert json.loads(by_slurm.out) == json.loads(serial.out)
    assert json.loads(serial.out)[0]["runs"] >= 1
    jobs = run("sacct", "-X", "-n", "-P", "--name=dask-worker", "--format=Partition").out.split()
    assert jobs == ["sc", "sc"]
    stages.until(
        "the workers' jobs are gone", lambda: not run("squeue", "-h", "--name=dask-worker").out
    )
