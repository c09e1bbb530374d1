"""What becomes of jobs whose voucher does not cover them any more, by each choice of a site."""

import itertools
import json
from datetime import date, timedelta

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Done, Stage, admin_comment, run, submitted, until

pytestmark = pytest.mark.slurm

CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
LATER = "--begin=now+1hour"
HALF_AN_HOUR = "4.52"
"""Cash that covers an hour of a card, whose other half is the voucher's, and half a fen more."""

NUMBERS = itertools.count(1)


@pytest.fixture
def poor(live: Stage) -> str:
    """An account of bob's unit with just enough cash for one job."""
    today = date.today()
    until_day = today + timedelta(days=300)
    number = f"poor{next(NUMBERS)}"
    account = live.issue("yunlan", "cdaicc", "40,000", today, until_day, number=number)
    live.topup(account, HALF_AN_HOUR)
    return account


def sbatch(account: str | None, *arguments: str, ok: bool = True) -> Done:
    """Submit a job of bob."""
    voucher = [f"--voucher={account}"] if account else []
    return run("sbatch", *voucher, *CARD, *arguments, user="bob", ok=ok)


def bounce(live: Stage, account: str) -> None:
    """Let the bank take back what an account has in cash."""
    reference = f"BANK-{account}-{HALF_AN_HOUR}"
    live.svoucher("topup", "--reverse", reference, "--reason", "returned by the bank")


def bound(site: Stage, job: int) -> None:
    """Wait until a look at the queue has tied a hold to its job."""

    def is_bound() -> bool:
        return any(row["job"] == job for row in json.loads(site.svoucher("holds", "--json").out))

    until(f"the hold of job {job} is bound", is_bound)


def runs(site: Stage, job: int) -> list[tuple[str, str, str | None]]:
    """Collect, and return state, status and account of a job's runs in their order."""
    site.svoucher("collect", "--cluster", stages.CLUSTER)
    rows = json.loads(site.svoucher("jobs", "--json").out)
    own = sorted((r for r in rows if r["job"] == str(job)), key=lambda row: row["ended"])
    return [(row["state"], row["status"], row["account"]) for row in own]


def test_waiting_job_goes_on_as_self_pay(live: Stage, poor: str) -> None:
    """Where the site has it so, a job that its voucher does not cover any more gives its hold
    back, says so, and runs; its run is priced and on nobody's account, and status counts it."""
    with live.settings("uncovered: self_pay\n"):
        job = submitted(sbatch(poor, "--begin=now+20", "--wrap=sleep 2"))
        bound(live, job)
        bounce(live, poor)
        mark = "voucher=-;self_pay=insufficient_balance"
        until("it goes on without its voucher", lambda: admin_comment(job) == mark)
        assert "Priority=0 " not in run("scontrol", "show", "job", str(job)).out
        held = json.loads(live.svoucher("holds", "--json").out)
        assert [row for row in held if row["job"] == job] == []
        stages.ended(job)

        until("its run is known", lambda: runs(live, job) == [("COMPLETED", "charged", None)])
        told = json.loads(live.svoucher("status", "--json").out)
        assert [row["figure"] for row in told if "self-pay" in row["what"]] == ["1"]
        assert "goes on as self-pay" in (live.home / "voucherd.log").read_text()
    assert "0 findings" in live.svoucher("audit").out


def test_job_without_a_voucher_by_the_sites_choice(live: Stage) -> None:
    """Of a user without an account that is valid in a partition a job without a voucher goes on
    for itself, or is refused in words."""
    on_sc = ("-p", "sc", "--gres=gpu:dcu_z100:1", LATER, "--wrap=true")
    job = submitted(run("sbatch", *on_sc, user="bob"))
    assert admin_comment(job) == ""
    with live.settings("without_voucher: refuse\n"):
        refused = run("sbatch", *on_sc, user="bob", ok=False)
        other = submitted(run("sbatch", *CARD, LATER, "--wrap=true", user="bob"))
        move = ("scontrol", "update", f"job={other}", "Partition=sc", "Gres=gpu:dcu_z100:1")
        moved = run(*move, user="bob", ok=False)

    assert moved.code != 0
    assert refused.code != 0
    assert "this job names none and 0 are possible" in refused.err


def test_rerun_that_does_not_fit_waits_by_name(live: Stage, poor: str) -> None:
    """A job that was requeued, and whose first run has used up what a second one needs, is held in
    the queue by name, not lost, and runs once somebody has paid in."""
    job = submitted(sbatch(poor, "--requeue", "--wrap=sleep 30"))
    until("it runs", lambda: "RUNNING" in stages.queue(job))
    bound(live, job)
    run("sleep", "9")
    run("scontrol", "requeue", str(job))
    until("its first run is charged", lambda: runs(live, job) == [("REQUEUED", "charged", poor)])
    until("it waits by name", lambda: "waits=insufficient_balance" in admin_comment(job))
    run("scontrol", "update", f"job={job}", "StartTime=now", ok=False)
    until("it is held", lambda: "Priority=0 " in run("scontrol", "show", "job", str(job)).out)
    assert stages.queue(job) == f"{job} PENDING"
    assert live.held(job) == "9.024000"
    live.topup(poor, "100")
    until("it goes on", lambda: "waits=" not in admin_comment(job))
    run("scontrol", "update", f"job={job}", "StartTime=now", ok=False)
    until("it has run again", lambda: not stages.queue(job), 180)

    both = [("REQUEUED", "charged", poor), ("COMPLETED", "charged", poor)]
    until("both runs are charged", lambda: runs(live, job) == both)


@pytest.mark.timeout(500)
def test_finished_job_that_is_requeued_is_held_for_again(live: Stage, poor: str) -> None:
    """A job that has finished and been charged is requeued by its user: it has a hold of its own,
    and as its first run has used up what a second one needs, it waits by name."""
    job = submitted(sbatch(poor, "--requeue", "--wrap=sleep 9"))
    first = admin_comment(job)
    stages.ended(job)
    until("its first run is charged", lambda: runs(live, job) == [("COMPLETED", "charged", poor)])
    assert live.held(job) is None
    run("scontrol", "requeue", str(job), user="bob")
    until("it waits by name", lambda: "waits=insufficient_balance" in admin_comment(job))
    assert admin_comment(job).split(";")[1] != first.split(";")[1]
    assert live.held(job) == "9.024000"
    live.topup(poor, "100")
    until("it is let go", lambda: "waits=" not in admin_comment(job))
    run("scontrol", "update", f"job={job}", "StartTime=now", ok=False)  # else 2 minutes later
    until("it has run again", lambda: not stages.queue(job), 180)

    def both() -> list[str]:  # 24.11 calls the first one REQUEUED by now, up to the requeue
        found = runs(live, job)
        return [state for state, *of in found if of == ["charged", poor]] if found[1:] else []

    states = until("both runs are charged", both)
    assert states in (["COMPLETED", "COMPLETED"], ["REQUEUED", "COMPLETED"])
    assert live.held(job) is None
    assert "0 findings" in live.svoucher("audit").out


def test_running_job_is_ended_after_a_warning(live: Stage, poor: str) -> None:
    """Where the site says so of its account, a running job that is not covered any more is told of
    once, runs on for its grace time, and is cancelled; the reason stands in slurmdbd, and what it
    ran is charged. Of another account nothing is ended."""
    told = live.home / "told.json"
    command = f"[/usr/bin/tee, -a, {told}]"
    choice = f"end_running: {{accounts: [{poor}], grace_s: 15, command: {command}}}\n"
    with live.settings(choice):
        job = submitted(sbatch(poor, "--wrap=sleep 300"))
        until("it runs", lambda: "RUNNING" in stages.queue(job))
        bound(live, job)
        bounce(live, poor)
        until("it is told of", lambda: "ends=insufficient_balance@" in admin_comment(job))
        run("sleep", "5")
        assert "RUNNING" in stages.queue(job)
        stages.ended(job)
        [said] = map(json.loads, told.read_text().splitlines())
        assert (said["job"], said["account"], said["uid"]) == (str(job), poor, 2002)
        log = (live.home / "voucherd.log").read_text()
        assert f"job {job} of user 2002: account {poor}: insufficient_balance; ended" in log
        figures = json.loads(live.svoucher("status", "--json").out)
        assert [row["figure"] for row in figures if "were ended" in row["what"]] != ["0"]

    [[comment, state]] = stages.sacct(job, "AdminComment", "State")
    assert f"ends=insufficient_balance@{said['ends']}" in comment
    assert state.startswith("CANCELLED")
    until("its run is charged", lambda: runs(live, job) == [("CANCELLED", "charged", poor)])


def test_running_job_goes_on_where_nobody_says_otherwise(live: Stage, poor: str) -> None:
    """By default a running job runs to its end, whatever its account has, and is charged."""
    job = submitted(sbatch(poor, "--wrap=sleep 12"))
    until("it runs", lambda: "RUNNING" in stages.queue(job))
    bound(live, job)
    bounce(live, poor)
    stages.ended(job)

    until("its run is charged", lambda: runs(live, job) == [("COMPLETED", "charged", poor)])
