"""Holds follow their jobs: down as well as up, and away when nothing comes."""

import json
from datetime import date, timedelta

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Stage, admin_comment, run, submitted, until

pytestmark = pytest.mark.slurm

CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
LATER = "--begin=now+1hour"


def sbatch(site: Stage, account: str, *arguments: str, user: str = "alice", ok: bool = True):
    """Submit a job that waits."""
    voucher = f"--voucher={site.accounts.get(account, account)}"
    return run("sbatch", voucher, LATER, *arguments, "--wrap=sleep 60", user=user, ok=ok)


def live_holds(site: Stage) -> set[str]:
    """Return the holds that have not ended."""
    return {row["hold"] for row in json.loads(site.svoucher("holds", "--json").out)}


def bound(site: Stage, job: int) -> None:
    """Wait until a look at the queue has tied a hold to its job."""

    def is_bound() -> bool:
        rows = json.loads(site.svoucher("holds", "--json").out)
        return any(row["job"] == job for row in rows)

    until(f"the hold of job {job} is bound", is_bound)


def test_shorter_job_gives_back(live: Stage) -> None:
    """A waiting job that is made shorter gives back half, once the queue has shown it."""
    job = submitted(sbatch(live, "ai", *CARD))
    bound(live, job)
    assert live.held(job) == "9.024000"
    run("scontrol", "update", f"job={job}", "TimeLimit=30", user="alice")

    until("half is given back", lambda: live.held(job) == "4.512000")


def test_longer_job_after_that_is_held_for_again(live: Stage) -> None:
    """Down and up again: the hold is what the job can cost now."""
    job = submitted(sbatch(live, "ai", *CARD))
    bound(live, job)
    run("scontrol", "update", f"job={job}", "TimeLimit=30", user="alice")
    until("half is given back", lambda: live.held(job) == "4.512000")
    run("scontrol", "update", f"job={job}", "TimeLimit=120", ok=False)

    until("all of it is held", lambda: live.held(job) == "18.048000")


def test_running_job_that_shrinks_gives_back(live: Stage) -> None:
    """A running job that gives a node back holds for one node, and for what it has used."""
    voucher = f"--voucher={live.accounts['ai']}"
    job = submitted(run("sbatch", voucher, "-N", "2", *CARD, "--wrap=sleep 60", user="alice"))
    until("it runs", lambda: "RUNNING" in stages.queue(job))
    bound(live, job)
    assert live.held(job) == "18.048000"
    run("scontrol", "update", f"job={job}", "NumNodes=1", user="alice")

    until("a node is given back", lambda: "9.0" < (live.held(job) or "") < "9.6")


def test_test_only_is_given_back(live: Stage) -> None:
    """What --test-only holds lapses soon: the queue never shows it."""
    before = live_holds(live)
    run("sbatch", f"--voucher={live.accounts['ai']}", "--test-only", *CARD, "--wrap=true",
        user="alice", ok=False)  # fmt: skip
    until("a hold is taken", lambda: live_holds(live) - before, 5)

    until("it lapses", lambda: not live_holds(live) - before, 40)


def test_refused_part_takes_the_others_holds_back(live: Stage) -> None:
    """Of a heterogeneous job with a part that is refused no hold is left, at once."""
    before = live_holds(live)
    refused = run(
        "sbatch", f"--voucher={live.accounts['ai']}", *CARD, ":", "--voucher=CD99-0009", *CARD,
        "--wrap=true", user="alice", ok=False,
    )  # fmt: skip

    assert refused.code != 0
    assert "CD99-0009" in refused.text
    until("no hold is left", lambda: not live_holds(live) - before, 5)


def test_two_vouchers_in_one_job(live: Stage) -> None:
    """Parts of a heterogeneous job are held for by a voucher each."""
    parts = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
    other = ("-p", "sc", "--gres=gpu:dcu_z100:1", "-t", "60")
    job = submitted(run(
        "sbatch", LATER, f"--voucher={live.accounts['ai']}", *parts, ":",
        f"--voucher={live.accounts['sc']}", *other, "--wrap=true", user="alice",
    ))  # fmt: skip

    assert f"voucher={live.accounts['ai']};" in admin_comment(job)
    assert f"voucher={live.accounts['sc']};" in admin_comment(job + 1)


def test_job_without_voucher_goes_on_its_users_own(live: Stage) -> None:
    """Where the site asks for it a job without a voucher is on the only one of its user."""
    job = submitted(run(
        "sbatch", LATER, "-p", "sc", "--gres=gpu:dcu_z100:1", "-t", "60", "--wrap=true",
        user="alice",
    ))  # fmt: skip

    assert admin_comment(job).startswith(f"voucher={live.accounts['sc']};hold=")


def test_waiting_job_goes_to_another_account(live: Stage) -> None:
    """svoucher rebind moves a waiting job, its hold and its mark."""
    job = submitted(sbatch(live, "ai", *CARD))
    bound(live, job)
    live.svoucher("rebind", str(job), live.accounts["joint"])

    assert f"voucher={live.accounts['joint']};" in admin_comment(job)
    assert live.held(job) == "9.024000"
    rows = json.loads(live.svoucher("holds", "--json").out)
    assert [row["account"] for row in rows if row["job"] == job] == [live.accounts["joint"]]


def test_user_cannot_write_the_mark(live: Stage) -> None:
    """AdminComment is not the user's to write, at submit or later."""
    job = submitted(sbatch(live, "ai", *CARD))
    mark = admin_comment(job)
    forged = f"AdminComment=voucher={live.accounts['sc']};hold={'0' * 32};held=1"
    run("scontrol", "update", f"job={job}", forged, user="alice", ok=False)

    assert admin_comment(job) == mark


def test_job_that_is_not_covered_waits_and_goes_on(live: Stage) -> None:
    """A waiting job whose cash the bank takes back is held by name, and goes on when it is paid."""
    account = live.issue(
        "yunlan", "cdaicc", "40,000", date.today(), date.today() + timedelta(days=300), number="9"
    )
    live.topup(account, "5")
    job = submitted(sbatch(live, account, *CARD, user="bob"))
    bound(live, job)
    live.svoucher("topup", "--reverse", f"BANK-{account}-5", "--reason", "returned by the bank")
    until("it waits by name", lambda: "waits=insufficient_balance" in admin_comment(job))
    until("it is held", lambda: "Priority=0 " in run("scontrol", "show", "job", str(job)).out)
    live.topup(account, "100")

    until("it goes on", lambda: "waits=" not in admin_comment(job))
    assert "Priority=0 " not in run("scontrol", "show", "job", str(job)).out


def test_slurmctld_restarts_with_jobs_in_its_queue(live: Stage) -> None:
    """A restart of slurmctld, and a new reading of its settings, leave job, mark and hold."""
    job = submitted(sbatch(live, "ai", *CARD))
    bound(live, job)
    run("scontrol", "reconfigure")
    run("cluster", "stop", "slurmctld")
    run("cluster", "start", "slurmctld")

    assert admin_comment(job).startswith(f"voucher={live.accounts['ai']};hold=")
    assert live.held(job) == "9.024000"
    until("jobs are taken again", lambda: not sbatch(live, "ai", *CARD, ok=False).code)
