"""What a live slurmdbd and its roll-up say of a day, and of what goes on."""

import time
from datetime import date, timedelta

import pytest

from slurm_voucher.sources import rollup
from tests.slurm import stage as stages
from tests.slurm.stage import Stage, run, submitted

pytestmark = pytest.mark.slurm


def test_a_day_is_compared_by_slurms_own_commands(live: Stage) -> None:
    """sacct and sreport take our questions, and a day on which nothing ran has no differences."""
    day = (date.today() - timedelta(days=2)).isoformat()
    done = live.svoucher("reconcile", day, "--cluster", stages.CLUSTER)

    assert "ours: 0 runs ended" in done.out
    assert "0 card-seconds of runs, 0 by sreport" in done.out
    assert "0 differences" in done.out


def test_what_goes_on_is_counted(live: Stage) -> None:
    """A running job has its cards from its start to the end of the window that is asked for."""
    arguments = ("-p", "ai", "--gres=gpu:ascend_910b:2", "-t", "10", "--wrap=sleep 300")
    job = submitted(run("sbatch", f"--voucher={live.accounts['ai']}", *arguments, user="alice"))
    stages.until("it runs", lambda: "RUNNING" in stages.queue(job))
    now_s = int(time.time())

    def seen() -> int:
        found = rollup.going_on(now_s - 3_600, now_s + 3_600, stages.CLUSTER)
        return found["shuzhi", "alice", "gres/gpu"]

    # Two cards for the hour to come, and for the seconds that it has run already.
    assert 2 * 3_500 <= stages.until("slurmdbd shows it", seen) <= 2 * 3_700
    run("scancel", str(job), user="alice")
