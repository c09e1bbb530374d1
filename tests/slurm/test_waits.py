"""What changes while jobs wait, and what Slurm ends by itself: prices, nodes, priorities."""

import json
import signal
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from tests.slurm import stage as stages
from tests.slurm.stage import Stage, admin_comment, run, submitted, until

pytestmark = pytest.mark.slurm

CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
LATER = "--begin=now+1hour"
HOUR = "9.024000"
CONF = Path("/etc/slurm/slurm.conf")


def sbatch(site: Stage, *arguments: str, account: str = "ai", user: str = "alice") -> int:
    """Submit a job with a voucher."""
    voucher = f"--voucher={site.accounts.get(account, account)}"
    return submitted(run("sbatch", voucher, *CARD, *arguments, user=user))


def bound(site: Stage, job: int) -> None:
    """Wait until a look at the queue has tied a hold to its job."""

    def is_bound() -> bool:
        return any(row["job"] == job for row in json.loads(site.svoucher("holds", "--json").out))

    until(f"the hold of job {job} is bound", is_bound)


def runs(site: Stage, job: int) -> list[tuple[str, str]]:
    """Collect, and return state and status of a job's runs in their order."""
    site.svoucher("collect", "--cluster", stages.CLUSTER)
    rows = json.loads(site.svoucher("jobs", "--json").out)
    own = [row for row in rows if row["job"] == str(job)]
    return [(row["state"], row["status"]) for row in sorted(own, key=lambda row: row["ended"])]


def test_dearer_price_is_held_for(live: Stage) -> None:
    """A price that rises tomorrow is held for by a job that waits and may run then."""
    run("sacctmgr", "-Qi", "add", "qos", "patient", ok=False)  # there since an earlier time
    run("sacctmgr", "-Qi", "modify", "user", "alice", "set", "qos+=patient")
    job = sbatch(live, LATER, "--qos=patient", "--wrap=true")
    bound(live, job)
    assert live.held(job) == HOUR
    prices = yaml.safe_load(stages.PRICES.read_text(encoding="utf-8"))
    prices["tariff"] = "chengdu-demo-2"
    dearer = {
        "from": date.today() + timedelta(days=1),
        "qos": "patient",
        "yuan_per_pflops_hour": "48.00",
    }
    prices["clusters"][stages.CLUSTER]["partitions"]["ai"]["prices"].append(dearer)
    file = live.home / "dearer.yaml"
    file.write_text(yaml.safe_dump(prices, allow_unicode=True), encoding="utf-8")
    live.svoucher("price", "load", str(file))

    until("twice as much is held", lambda: live.held(job) == "18.048000")


def test_frozen_unit_waits_and_goes_on(live: Stage) -> None:
    """A job that waits while its unit is frozen is held by name; what runs is left alone."""
    live.svoucher(
        "unit", "register", "icy", "--name", "冰", "--credit-code", "12510000MA6C4TX35P",
        "--kind", "university",
    )  # fmt: skip
    run("useradd", "-m", "-s", "/bin/bash", "carol", ok=False)  # there since an earlier time
    run("sacctmgr", "-Qi", "add", "user", "carol", "Account=yunlan", "QOS=normal", ok=False)
    live.svoucher("member", "add", "icy", "--cluster", stages.CLUSTER, "--user", "carol")
    today = date.today()
    account = live.issue("icy", "cdaicc", "40,000", today, today + timedelta(days=300))
    live.topup(account, "1,000")
    running = sbatch(live, "--wrap=sleep 60", account=account, user="carol")
    waiting = sbatch(live, LATER, "--wrap=true", account=account, user="carol")
    bound(live, waiting)
    until("it runs", lambda: "RUNNING" in stages.queue(running))
    live.signed("regulator", "unit", "freeze", "icy", "--from", str(today), "--reason", "inquiry")

    until("it waits by name", lambda: "waits=" in admin_comment(waiting))
    assert "Priority=0 " in run("scontrol", "show", "job", str(waiting)).out
    assert "RUNNING" in stages.queue(running)
    assert "waits=" not in admin_comment(running)
    run("scancel", str(running), str(waiting))


def test_failed_node_is_free_and_its_job_runs_again(live: Stage) -> None:
    """A job whose node fails keeps its hold and runs elsewhere: the first run is free, the second
    charged, and then nothing is held."""
    job = sbatch(live, "-w", "ai1", "--requeue", "--wrap=sleep 8")
    until("it runs", lambda: "RUNNING" in stages.queue(job))
    bound(live, job)
    try:
        run("scontrol", "update", "nodename=ai1", "state=DOWN", "reason=broken")
        until("it is queued again", lambda: "PENDING" in stages.queue(job))
        assert live.held(job) == HOUR
    finally:
        run("scontrol", "update", "nodename=ai1", "state=RESUME", ok=False)  # it is back already
    run("scontrol", "update", f"job={job}", "StartTime=now", ok=False)
    until("it has run again", lambda: not stages.queue(job), 180)

    until("both runs are known", lambda: len(runs(live, job)) == 2)
    assert runs(live, job) == [("NODE_FAIL", "free"), ("COMPLETED", "charged")]
    hold = next(iter(json.loads(live.svoucher("holds", "--json").out)), None)
    assert hold is None or hold["job"] != job


def test_preempted_job_keeps_its_hold(live: Stage) -> None:
    """A job that an urgent one puts back keeps its hold; what it had run is free."""
    text = CONF.read_text().replace("PreemptType", "#PreemptType")
    preempting = text + "PreemptType=preempt/qos\nPreemptMode=REQUEUE\n"
    run("sacctmgr", "-Qi", "modify", "qos", "urgent", "set", "preempt=normal")
    with stages.slurm_with({CONF: preempting}):
        low = sbatch(live, "-N2", "--exclusive", "--requeue", "--wrap=sleep 60")
        until("it runs", lambda: "RUNNING" in stages.queue(low))
        bound(live, low)
        held = live.held(low)
        high = sbatch(live, "--qos=urgent", "--exclusive", "--wrap=sleep 60")
        until("the urgent one runs", lambda: "RUNNING" in stages.queue(high), 90)
        until("the other one waits", lambda: "PENDING" in stages.queue(low))

        until("its run is known", lambda: ("PREEMPTED", "free") in runs(live, low))
        assert live.held(low) == held
        run("scancel", str(low), str(high))
        until("both are gone", lambda: not stages.queue(low, high), 90)


def test_hold_stands_until_slurmdbd_has_the_row(live: Stage) -> None:
    """voucherd killed while slurmdbd is down, and a short job over meanwhile: the hold stays until
    the row comes, and is then charged once."""
    job = sbatch(live, "--wrap=sleep 1")
    bound(live, job)
    mark = admin_comment(job)
    run("cluster", "stop", "slurmdbd")
    try:
        live.stop(signal.SIGKILL)
        until("it has ended", lambda: not stages.queue(job))
        live.start()
        run("sleep", "8")  # four looks at the queue, which has it no more
        assert mark.split("hold=")[1][:32] in live.svoucher("holds", "--json").out
    finally:
        run("cluster", "start", "slurmdbd")
    stages.ended(job)

    until("it is charged", lambda: runs(live, job) == [("COMPLETED", "charged")])
    assert mark.split("hold=")[1][:32] not in live.svoucher("holds", "--json").out


def test_partitions_of_two_providers_are_refused(live: Stage) -> None:
    """A job that may run at either provider is refused: its voucher is for one of them."""
    voucher = f"--voucher={live.accounts['ai']}"
    done = run("sbatch", voucher, "-p", "ai,sc", "--gres=gpu:1", "-t", "60", "--wrap=true",
               user="alice", ok=False)  # fmt: skip

    assert done.code != 0
    assert "partition ai,sc: are of 2 providers" in done.err
