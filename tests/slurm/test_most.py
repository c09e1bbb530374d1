"""The most that a job can cost, where cores and memory are priced, beside what Slurm then gives it.

Nodes of `sc` have two threads a core here. `cores` prices core-hours, so that what is held says how
many were counted; `share` prices the largest share of a node.
"""

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from tests.slurm import stage as stages
from tests.slurm.stage import Done, Stage, admin_comment, run, submitted, until

pytestmark = pytest.mark.slurm

CONF = Path("/etc/slurm/slurm.conf")
CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1")
ONE_THREAD = "CPUs=64 Sockets=2 CoresPerSocket=32"
TWO_THREADS = "CPUs=64 Sockets=2 CoresPerSocket=16 ThreadsPerCore=2"
PARTITIONS = """
PartitionName=cores Nodes=sc[1-2] DefaultTime=01:00:00 MaxTime=2-00:00:00 State=UP
PartitionName=share Nodes=sc[1-2] DefaultTime=01:00:00 MaxTime=2-00:00:00 State=UP
"""
PRICES = {
    "cores": {
        "provider": "nscc-cd",
        "gres": {"gpu:dcu_z100": "dcu_z100"},
        "prices": [{"from": date(2023, 7, 1), "yuan_per_core_hour": "0.60"}],
    },
    "share": {
        "provider": "nscc-cd",
        "gres": {"gpu:dcu_z100": "dcu_z100"},
        "footprint": "max_share",
        "node": {"cards": {"gpu:dcu_z100": 4}, "cpus": 64, "mem_gb": 250},
        "prices": [{"from": date(2023, 7, 1), "yuan_per_pflops_hour": "120.00"}],
    },
}


@pytest.fixture(scope="module")
def priced(site: Stage) -> Iterator[Stage]:
    """The site with two partitions more, and memory that jobs do not share."""
    text = CONF.read_text()
    assert text.count(ONE_THREAD) == 2
    text = text.replace(ONE_THREAD, TWO_THREADS)
    text = text.replace("=CR_Core\n", "=CR_Core_Memory\n") + PARTITIONS
    prices = yaml.safe_load(stages.PRICES.read_text(encoding="utf-8"))
    prices["tariff"] = "chengdu-demo-cores"
    prices["clusters"][stages.CLUSTER]["partitions"] |= PRICES
    file = site.home / "cores.yaml"
    file.write_text(yaml.safe_dump(prices, allow_unicode=True), encoding="utf-8")
    with stages.slurm_with({CONF: text}):
        site.svoucher("price", "load", str(file))
        until("cores have a price", lambda: "cores" in _quoted(site))
        yield site


def _quoted(site: Stage) -> str:
    """Return what voucherd says of a job of one core: it knows a partition after its next look."""
    job = run("sbatch", f"--voucher={site.accounts['sc']}", "-p", "cores", "-H", "-t", "1",
              "--wrap=true", user="alice", ok=False)  # fmt: skip
    run("scancel", "--user=alice", ok=False)
    return "" if job.code else "cores"


def asked(site: Stage, *arguments: str, account: str = "sc") -> Done:
    """Submit a job of alice for an hour."""
    voucher = f"--voucher={site.accounts[account]}"
    return run("sbatch", voucher, "-t", "60", *arguments, user="alice")


def sbatch(site: Stage, *arguments: str, account: str = "sc") -> int:
    """Submit a job of alice for an hour; return its number."""
    return submitted(asked(site, *arguments, account=account))


def bound(site: Stage, job: int) -> None:
    """Wait until a look at the queue has tied a hold to its job."""

    def is_bound() -> bool:
        return any(row["job"] == job for row in json.loads(site.svoucher("holds", "--json").out))

    until(f"the hold of job {job} is bound", is_bound)


def shown(job: int, name: str) -> str:
    """Return a field of a job as scontrol shows it."""
    match = re.search(rf"\b{name}=(\S+)", run("scontrol", "show", "job", str(job)).out)
    return match[1] if match else ""


def given(job: int, name: str) -> int:
    """Return how much of a resource a running job has; memory in MiB."""
    match = re.search(rf"\b{name}=([0-9]+)([MG]?)", shown(job, "(?:Alloc)?TRES"))
    return int(match[1]) * (1024 if match[2] == "G" else 1) if match else 0


CORES = [  # on each node one more, where the number there is not known: a core is not shared
    (("-n3",), 4),
    (("-n4", "--ntasks-per-core=1"), 8),
    (("-n4", "--threads-per-core=1"), 8),
    (("--mincpus=20",), 20),
    (("--gpus-per-node=dcu_z100:1", "--cpus-per-gpu=6", "-N1-2"), 14),
    (("--gpus=dcu_z100:4", "--cpus-per-gpu=6", "-N2"), 38),
    (("--gres=gpu:dcu_z100:2", "--ntasks-per-gpu=4", "-N1"), 8),
    (("-w", "sc[1-2]", "--ntasks-per-node=2"), 6),
    (("-N2", "-n4", "-c2"), 8),
    (("--exclusive", "-n1"), 64),
]


@pytest.mark.parametrize(("options", "cores"), CORES)
def test_cores_are_held_as_many_as_slurm_gives(
    priced: Stage, live: Stage, options: tuple[str, ...], cores: int
) -> None:
    """Whatever brings cores with it, the most is held, and Slurm gives no more than that."""
    done = asked(live, "-p", "cores", "--mem=100", *options, "--wrap=sleep 300")
    assert f": held {cores * 0.6:.2f} yuan" in done.err  # 22.05's queue does not tell of -c
    job = submitted(done)
    until("it runs", lambda: "RUNNING" in stages.queue(job))
    assert 1 <= given(job, "cpu") <= cores


MEMORY = [
    (("--gres=gpu:dcu_z100:1", "--mem=125G"), "0.5"),
    (("-n2", "-N1", "--mem-per-cpu=25G"), "0.2"),
    (("--gpus=dcu_z100:2", "-N1", "--mem-per-gpu=75G"), "0.6"),
    (("--gres=gpu:dcu_z100:1",), "1"),
    (("--mem=0",), "1"),
]


@pytest.mark.parametrize(("options", "share"), MEMORY)
def test_memory_is_held_as_much_as_slurm_gives(
    priced: Stage, live: Stage, options: tuple[str, ...], share: str
) -> None:
    """Where the largest share of a node is priced memory counts, all of the node's where none was
    asked for; a run is charged no more than that."""
    whole = sbatch(live, "-H", "-p", "share", "--exclusive", "--mem=100", "--wrap=true")
    done = asked(live, "-p", "share", *options, "--wrap=sleep 4")
    job = submitted(done)
    assert ("for the dearest it may get" in done.err) is (share == "1")
    assert _micro(live.held(job)) == round(_micro(live.held(whole)) * float(share))
    held_micro = _micro(live.held(job))
    stages.ended(job)

    def charged() -> list[dict]:
        live.svoucher("collect", "--cluster", stages.CLUSTER)
        rows = json.loads(live.svoucher("jobs", "--json").out)
        return [row for row in rows if row["job"] == str(job) and row["status"] == "charged"]

    [run_] = until("it is charged", charged)
    assert 0 < _micro(run_["charge"]) <= held_micro * int(run_["elapsed_s"]) // 3600 + 1


def _micro(text: str | None) -> int:
    assert text
    return round(float(text.replace(",", "")) * 10**6)


def test_no_limit_is_the_partitions_longest(live: Stage) -> None:
    """A job that asks for no limit of time is held for the longest of its partition: seven days."""
    job = sbatch(live, "-H", *CARD, "-t", "UNLIMITED", "--wrap=true", account="ai")

    assert live.held(job) == f"{7 * 24 * 9.024:,.6f}"


def test_time_over_the_limit_is_held_for(live: Stage) -> None:
    """Where Slurm lets jobs run over their limit, as much more is held."""
    with stages.slurm_with({CONF: CONF.read_text() + "OverTimeLimit=10\n"}):
        until("70 minutes are held", lambda: _held_for_an_hour(live) == f"{9.024 * 70 / 60:.6f}")
    until("an hour is held again", lambda: _held_for_an_hour(live) == "9.024000")


def _held_for_an_hour(site: Stage) -> str | None:
    job = sbatch(site, "-H", *CARD, "--wrap=true", account="ai")
    held = site.held(job)
    run("scancel", str(job))
    return held


def test_another_account_of_slurm_costs_the_same(live: Stage) -> None:
    """A waiting job that goes to another account of Slurm keeps voucher and hold; another QOS with
    it is held for, and what does not cover it is refused."""
    run("sacctmgr", "-Qi", "add", "user", "alice", "Account=yunlan", "QOS=normal,urgent", ok=False)
    job = sbatch(live, "-H", *CARD, "--wrap=true", account="ai")
    bound(live, job)
    mark = admin_comment(job)
    run("scontrol", "update", f"job={job}", "Account=yunlan")
    assert (shown(job, "Account"), live.held(job)) == ("yunlan", "9.024000")
    assert admin_comment(job) == mark
    run("scontrol", "update", f"job={job}", "Account=shuzhi", "QOS=urgent")
    assert live.held(job) == "33.840000"
    dear = run("scontrol", "update", f"job={job}", "Account=yunlan", "TimeLimit=7-00:00:00",
               "NumNodes=2", "Gres=gpu:ascend_910b:8", ok=False)  # fmt: skip
    assert dear.code != 0
    assert (shown(job, "Account"), live.held(job)) == ("shuzhi", "33.840000")


def test_parts_of_one_job_are_marked_each_for_itself(live: Stage) -> None:
    """Of a heterogeneous job that has to wait each part says so with its own hold, and both are let
    go together when both are covered."""
    today = date.today()
    poor = live.issue(
        "yunlan", "cdaicc", "40,000", today, today + timedelta(days=300), number="het"
    )
    live.topup(poor, "9.03")
    part = (f"--voucher={poor}", *CARD, "-t", "60")
    job = submitted(run("sbatch", "--begin=now+15", *part, ":", *part, "--wrap=true", user="bob"))
    bound(live, job)
    bound(live, job + 1)
    holds = [_hold(number) for number in (job, job + 1)]
    assert holds[0] != holds[1]
    live.svoucher("topup", "--reverse", f"BANK-{poor}-9.03", "--reason", "returned by the bank")
    for number in (job, job + 1):
        until("each part waits by name", lambda n=number: "waits=insufficient" in admin_comment(n))
    assert [_hold(number) for number in (job, job + 1)] == holds
    live.topup(poor, "100")

    def have_run() -> bool:  # 22.05 looks at parts with a start time when anything else happens
        run("sbatch", "-p", "ai", "-t", "1", "--wrap=true")
        run("sleep", "3")
        return not stages.queue(job, job + 1)

    until("both have run", have_run, 120)
    stages.ended(job, job + 1)
    comments = [stages.sacct(number, "AdminComment")[0][0] for number in (job, job + 1)]
    assert [re.search("hold=([0-9a-f]+)", text)[1] for text in comments] == holds
    assert not any("waits=" in text for text in comments)


def _hold(job: int) -> str:
    match = re.search(r"hold=([0-9a-f]{32})", admin_comment(job))
    assert match
    return match[1]
