"""What a hold follows: arrays, shrunk jobs, changes by scontrol, and jobs not by sbatch."""

import importlib.util
import json
import re
from datetime import datetime

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Done, Stage, run, submitted

pytestmark = pytest.mark.slurm

CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
HOUR = "9.024000"
"""One card for an hour: 376 TFLOPS at 24 yuan per PFLOPS·hour."""


def sbatch(site: Stage, *arguments: str, ok: bool = True) -> Done:
    """Submit a job of alice with her voucher."""
    return run("sbatch", f"--voucher={site.accounts['ai']}", *arguments, user="alice", ok=ok)


def all_holds(site: Stage) -> list[dict]:
    """Return the holds that have not ended."""
    return json.loads(site.svoucher("holds", "--json").out)


def shown(job: int | str, name: str) -> str:
    """Return a field of a job as scontrol shows it; its name is a pattern."""
    text = run("scontrol", "show", "job", str(job)).out
    match = re.search(rf"\b{name}=(\S+)", text)
    assert match, text
    return match[1]


def test_admin_comment_cannot_be_forged_at_submit(live: Stage) -> None:
    """A job that brings an AdminComment of its own is refused, whatever program submits it."""
    forged = f"voucher={live.accounts['sc']};hold={'0' * 32};held=1"
    voucher = f"SLURM_VOUCHER={live.accounts['ai']}"
    done = run("libslurm-submit", voucher, forged, user="alice", ok=False)

    assert done.code != 0
    assert "Submitted" not in done.out


def test_array_is_released_task_by_task(live: Stage) -> None:
    """Of an array what is held shrinks by each task that has ended."""
    script = '--wrap=[ "$SLURM_ARRAY_TASK_ID" = 1 ] || sleep 300'
    job = submitted(sbatch(live, *CARD, "-a", "1-3%2", script))
    assert live.held(f"{job}_3") == "27.072000"

    def two_are_left() -> bool:
        live.svoucher("collect", "--cluster", stages.CLUSTER)
        return live.held(f"{job}_3") == "18.048000"

    stages.until("one task's part of the hold ends", two_are_left)


def test_shrunk_job_is_charged_for_what_it_had(live: Stage) -> None:
    """A running job that gives a node back: each part costs what it had, no second twice."""
    cards = ("-p", "ai", "-N2", "--gres=gpu:ascend_910b:4", "-t", "60")
    job = submitted(sbatch(live, *cards, "--wrap=sleep 300"))
    stages.until("it runs", lambda: "RUNNING" in stages.queue(job))
    # What the queue showed before is what a smaller job is compared with.
    stages.until("the hold is the job's", lambda: _is_bound(live, job))
    assert live.held(job) == "72.192000"
    stages.until("it has run for 2 s", lambda: shown(job, "RunTime") >= "00:00:02")
    run("scontrol", "update", f"job={job}", "NumNodes=1", user="alice")
    stages.until("less is held", lambda: 36 <= float(live.held(job) or 0) < 37)
    run("scancel", str(job), user="alice")
    stages.ended(job, tasks=2)
    rows = sorted(stages.sacct(job, "Start", "End", "State"), key=lambda row: row[1])
    assert [row[2].split()[0] for row in rows] == ["RESIZING", "CANCELLED"]
    first_s = _seconds(rows[0][0], rows[0][1])
    second_s = _seconds(rows[0][1], rows[1][1])
    # 8 cards, then 4; each card costs 9.024 yuan an hour
    expected = 9_024_000 * (8 * first_s + 4 * second_s) / 3600

    def charged() -> list[dict]:
        live.svoucher("collect", "--cluster", stages.CLUSTER)
        rows = json.loads(live.svoucher("jobs", "--json").out)
        own = [row for row in rows if row["job"] == str(job) and row["status"] == "charged"]
        return own if len(own) == 2 else []

    own = stages.until("both rows are charged", charged)
    assert abs(sum(round(float(row["charge"]) * 10**6) for row in own) - expected) <= 2


def _seconds(start: str, end: str) -> int:
    return int((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


OPTIONS = [
    (("--gres=gpu:ascend_910b:1",), 1),  # no limit: the partition's default, an hour
    (("--time-min=10", "-t", "60", "--gres=gpu:ascend_910b:1"), 1),
    (("-t", "60", "--gpus=ascend_910b:3"), 3),
    (("-t", "60", "-N2", "--gpus-per-node=ascend_910b:2"), 4),
    (("-t", "60", "-N1-2", "--gres=gpu:ascend_910b:1"), 2),
    (("-t", "60", "-n3", "--gpus-per-task=ascend_910b:1"), 3),
    (("-t", "60", "--exclusive", "--gres=gpu:ascend_910b:1"), 8),
    (("-t", "60", "--gpus-per-socket=ascend_910b:1", "--sockets-per-node=2"), 4),
]


@pytest.mark.parametrize(("options", "cards"), OPTIONS)
def test_options_hold_the_most_that_slurm_gives(
    live: Stage, options: tuple[str, ...], cards: int
) -> None:
    """Whatever says how much a job wants, the most is held, and Slurm gives no more than that."""
    job = submitted(sbatch(live, "-p", "ai", *options, "--wrap=sleep 300"))
    assert live.held(job) == f"{cards * 9.024:.6f}"
    stages.until("it runs", lambda: "RUNNING" in stages.queue(job))
    allocated = shown(job, "(?:Alloc)?TRES")  # TRES is what Slurm 22.05 calls it
    given = re.search(r"gres/gpu:ascend_910b=(\d+)", allocated)
    assert given, allocated
    assert 1 <= int(given[1]) <= cards
    run("scancel", str(job), user="alice")


def test_how_many_tasks_run_at_once_changes_no_hold(live: Stage) -> None:
    """A throttle spreads an array over time: what it can cost stays."""
    job = submitted(sbatch(live, "-H", *CARD, "-a", "1-4%2", "--wrap=true"))
    stages.until("the hold is the job's", lambda: _is_bound(live, job))
    run("scontrol", "update", f"job={job}", "ArrayTaskThrottle=1")

    assert live.held(job) == "36.096000"
    run("scancel", str(job), user="alice")


RAISED = [
    ("TimeLimit=2:00:00", "18.048000"),
    ("QOS=urgent", "33.840000"),
    ("NumNodes=2", "18.048000"),
    ("Gres=gpu:ascend_910b:3", "27.072000"),
]


@pytest.mark.parametrize(("change", "held"), RAISED)
def test_dearer_job_holds_more_at_once(live: Stage, change: str, held: str) -> None:
    """What makes a waiting job dearer is held by the time scontrol update is back."""
    job = submitted(sbatch(live, "-H", *CARD, "--wrap=true"))
    stages.until("the hold is the job's", lambda: _is_bound(live, job))
    run("scontrol", "update", f"job={job}", change)

    assert live.held(job) == held


def _is_bound(site: Stage, job: int) -> bool:
    return any(row["job"] == job for row in all_holds(site))


def test_move_to_a_partition_of_another_provider_is_refused(live: Stage) -> None:
    """A voucher for one provider's machines cannot follow a job to another's."""
    job = submitted(sbatch(live, "-H", *CARD, "--wrap=true"))
    stages.until("the hold is the job's", lambda: _is_bound(live, job))
    done = run("scontrol", "update", f"job={job}", "Partition=sc", "Gres=gpu:dcu_z100:1", ok=False)

    assert done.code != 0
    assert shown(job, "Partition") == "ai"
    assert live.held(job) == HOUR


def test_hold_release_and_top_move_no_money(live: Stage) -> None:
    """scontrol hold, top and release leave the hold as it is, and are allowed."""
    blocker = submitted(run("sbatch", "-p", "ai", "-N2", "--exclusive", "--wrap=sleep 300"))
    job = submitted(sbatch(live, *CARD, "--wrap=true"))
    stages.until("the hold is the job's", lambda: _is_bound(live, job))
    try:
        for verb in ("hold", "release", "top"):
            run("scontrol", verb, str(job))
            assert live.held(job) == HOUR
    finally:
        run("scancel", str(blocker), str(job))


def test_dependency_waits_with_its_hold(live: Stage) -> None:
    """A job that waits for another one keeps its hold from submit on."""
    first = submitted(sbatch(live, "-H", *CARD, "--wrap=true"))
    second = submitted(sbatch(live, f"--dependency=afterok:{first}", *CARD, "--wrap=true"))
    stages.until("the hold is the job's", lambda: _is_bound(live, second))

    assert shown(second, "Reason") == "Dependency"
    assert live.held(second) == HOUR


def test_libslurm_submission_follows_the_same_rules(live: Stage) -> None:
    """A job by libslurm names its voucher by its environment, and is held or refused."""
    good = run("libslurm-submit", f"SLURM_VOUCHER={live.accounts['ai']}", user="alice")
    bad = run("libslurm-submit", "SLURM_VOUCHER=CD99-9999", user="alice", ok=False)

    assert live.held(submitted(good)) == HOUR
    assert bad.code != 0
    assert "Submitted" not in bad.out


@pytest.mark.skipif(importlib.util.find_spec("pyslurm") is None, reason="no pyslurm here")
def test_pyslurm_submission_follows_the_same_rules(live: Stage) -> None:
    """A job by pyslurm names its voucher by its environment, too."""
    program = (
        "import sys, pyslurm; print('Submitted batch job', pyslurm.JobSubmitDescription("
        "name='py', script='#!/bin/sh\\ntrue\\n', partitions='ai', time_limit=60, priority=0, "
        "gres_per_node={'gpu:ascend_910b': 1}, working_directory='/tmp', "
        "environment={'SLURM_VOUCHER': sys.argv[1]}).submit())"
    )
    done = run("python", "-c", program, live.accounts["ai"], user="alice")

    assert live.held(submitted(done)) == HOUR
