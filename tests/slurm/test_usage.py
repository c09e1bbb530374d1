"""Usage equals sacct, to the second and the card, for jobs of every kind of end."""

import json

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Stage, run, submitted

pytestmark = pytest.mark.slurm

CARDS = ("-p", "ai", "--gres=gpu:ascend_910b:2", "-t", "10")


def batch(site: Stage, *arguments: str) -> int:
    """Submit a job of alice with her voucher."""
    voucher = f"--voucher={site.accounts['ai']}"
    return submitted(run("sbatch", voucher, *CARDS, *arguments, user="alice"))


def ours(site: Stage, job: int) -> list[dict]:
    """Collect, and return what the archive has of a job."""
    site.svoucher("collect", "--cluster", stages.CLUSTER)
    rows = json.loads(site.svoucher("jobs", "--json").out)
    return [row for row in rows if row["job"].partition("_")[0] == str(job)]


def agree(site: Stage, job: int) -> list[dict]:
    """Check that our rows of a job are slurmdbd's, and return them."""

    def rated() -> list[dict]:
        rows = ours(site, job)
        return [] if any(row["status"] == "unrated" for row in rows) else rows

    # 22.05 shows a row for a moment before it has its cards; the next sweep corrects it.
    rows = stages.until(f"job {job} is rated", rated)
    theirs = stages.sacct(job, "JobID", "State", "ElapsedRaw", "Start")
    mine = sorted((row["job"], row["state"], row["elapsed_s"]) for row in rows)
    assert mine == sorted(
        (name, state.split()[0], int(elapsed))
        for name, state, elapsed, start in theirs
        if state.split()[0] not in ("PENDING", "RUNNING")
    )
    for row in rows:
        if row["status"] == "charged":  # 2 cards × 376 TFLOPS × 24 yuan per PFLOPS·hour
            micro = (2 * 2 * 376_000 * 24_000_000 * row["elapsed_s"] + 3_600_000_000) // (
                2 * 3_600_000_000
            )
            assert row["charge"] == f"{micro // 10**6}.{micro % 10**6:06d}"
    return rows


def running(job: int) -> None:
    """Wait until a job runs."""
    stages.until(f"job {job} runs", lambda: "RUNNING" in stages.queue(job))


def test_completed_and_failed(live: Stage) -> None:
    """Jobs that end well or badly are charged for what they ran."""
    good, bad = batch(live, "--wrap=sleep 3"), batch(live, "--wrap=sleep 2; exit 3")
    stages.ended(good, bad)

    [row] = agree(live, good)
    assert (row["state"], row["status"]) == ("COMPLETED", "charged")
    [row] = agree(live, bad)
    assert (row["state"], row["status"]) == ("FAILED", "charged")


def test_cancelled_while_running(live: Stage) -> None:
    """A job that its user cancels is charged for what it ran."""
    job = batch(live, "--wrap=sleep 100")
    running(job)
    run("sleep", "2")
    run("scancel", str(job), user="alice")
    stages.ended(job)

    [row] = agree(live, job)
    assert (row["state"], row["status"]) == ("CANCELLED", "charged")


def test_array_tasks_are_runs(live: Stage) -> None:
    """Each task of an array is a run of its own."""
    job = batch(live, "-a", "0-2", "--wrap=sleep 2")
    stages.ended(job, tasks=3)

    assert len(agree(live, job)) == 3


def test_requeued_job_has_two_runs_and_keeps_its_hold(live: Stage) -> None:
    """A requeued job is charged for both runs, and its hold lives until the last is over."""
    job = batch(live, "--requeue", "--wrap=sleep 6")
    running(job)
    run("sleep", "2")
    run("scontrol", "requeue", str(job), user="alice")
    stages.until("the first run is in slurmdbd", lambda: len(stages.sacct(job, "State")) == 2)
    assert [row["state"] for row in ours(live, job)] == ["REQUEUED"]
    [balance] = json.loads(live.svoucher("balance", live.accounts["ai"], "--json").out)
    assert balance["held"] != "0.000000"
    run("scontrol", "update", f"job={job}", "StartTime=now", ok=False)
    stages.until("it is over", lambda: not stages.queue(job), 180)
    stages.ended(job, tasks=2)

    rows = agree(live, job)
    assert sorted(row["state"] for row in rows) == ["COMPLETED", "REQUEUED"]
    assert all(row["status"] == "charged" for row in rows)


def test_suspended_seconds_are_free(live: Stage) -> None:
    """Suspended seconds are not charged."""
    job = batch(live, "--wrap=sleep 5")
    running(job)
    run("scontrol", "suspend", str(job))
    run("sleep", "3")
    run("scontrol", "resume", str(job))
    stages.ended(job)

    [row] = agree(live, job)
    assert row["state"] == "COMPLETED"


def test_collecting_again_finds_nothing_new(live: Stage) -> None:
    """A second sweep over the same jobs changes nothing, and audit finds nothing."""
    job = batch(live, "--wrap=sleep 1")
    stages.ended(job)
    agree(live, job)
    again = live.svoucher("collect", "--cluster", stages.CLUSTER).out

    assert " 0 new, 0 changed" in again
    assert "0 findings" in live.svoucher("audit").out
