"""A login node: another host, with a munged and without Slurm's daemons, from where users ask."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.stage import Done, Stage, ended, run, submitted, until

pytestmark = pytest.mark.slurm

HERE, THERE, PORT = "192.0.2.129", "192.0.2.130", 6899
MUNGE = Path("/run/munge-login")
ON_LOGIN = 'mount --bind "$0" /run/munge && user=$1 && shift && exec runuser -u "$user" -- "$@"'
"""Where /run/munge is that of the login node."""


def lay_cable() -> None:
    """Make a host of its own, as far as the network is concerned, that reaches the cluster."""
    run("ip", "netns", "delete", "login", ok=False)  # left by a test that was killed
    run("ip", "netns", "add", "login")
    run("ip", "link", "add", "to-login", "type", "veth", "peer", "name", "eth0", "netns", "login")
    run("ip", "address", "add", f"{HERE}/30", "dev", "to-login")
    run("ip", "link", "set", "to-login", "up")
    run("ip", "-n", "login", "address", "add", f"{THERE}/30", "dev", "eth0")
    run("ip", "-n", "login", "link", "set", "eth0", "up")


@pytest.fixture
def login(live: Stage) -> Iterator[Stage]:
    """The site with a login node, whose munged has the cluster's key; voucherd answers users."""
    settings = live.home / "config.yaml"
    before = settings.read_text()
    live.stop()
    settings.write_text(f"{before}users_port: {PORT}\n")
    lay_cable()
    MUNGE.mkdir(exist_ok=True)
    run("chown", "munge:", str(MUNGE))
    files = [f"--{name}-file={MUNGE}/munged.{name}" for name in ("pid", "log", "seed")]
    run("runuser", "-u", "munge", "--", "munged", f"--socket={MUNGE}/munge.socket.2", *files)
    live.start()
    until("users are answered", lambda: ask("alice", "balance", ok=False).code == 0)
    yield live
    run("kill", (MUNGE / "munged.pid").read_text().strip())
    run("ip", "netns", "delete", "login")
    live.stop()
    settings.write_text(before)


def ask(user: str, *arguments: str, ok: bool = True) -> Done:
    """Run svoucher as a user on the login node."""
    return run(
        "ip", "netns", "exec", "login", "unshare", "--mount", "sh", "-c", ON_LOGIN, str(MUNGE),
        user, "svoucher", "--at", f"{HERE}:{PORT}", *arguments, ok=ok,
    )  # fmt: skip


def test_users_ask_from_a_login_node(login: Stage) -> None:
    """From a host that reaches neither slurmctld nor the book a user is told of its own accounts,
    what a job would cost, and of nobody else's."""
    assert run("ip", "netns", "exec", "login", "scontrol", "ping", ok=False).code != 0
    told = json.loads(ask("alice", "balance", "--json").out)
    here = {login.accounts[name] for name in ("ai", "sc", "joint")}
    assert {row["account"] for row in told} == here
    assert {
        row["account"] for row in json.loads(ask("bob", "balance", "--json").out)
    } & here == set()
    account = login.accounts["ai"]
    quote = ("quote", "--voucher", account, "-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
    assert "at most 9.03 yuan" in ask("alice", *quote).out
    assert ask("bob", *quote, ok=False).code == 1
    assert account in ask("alice", "members", account).out


WORDS = (
    "-p ai --gres=gpu:ascend_910b:1 -t 60",
    "-p ai --gpus=2 -t 30",
    "-pai -Gascend_910b:2 -N1 -t1:30 -J--gres=gpu:8",
    "-p ai --gpus-per-node=1 -N 2 --ntasks-per-node=1 -t 10",
    "-p ai --gpus-per-task=1 -n 2 -c 2 --mem=1G -t 10 --exclusive=user",
    "-p ai --gres=gpu:ascend_910b:1 --array=1-4%2 -t 5 --mem-per-cpu=100M --begin=now+1hour",
    "-p ai --gres=gpu:ascend_910b:1 --exclusive -t 5",
)


@pytest.mark.parametrize("words", WORDS)
def test_a_quote_is_what_sbatch_holds(login: Stage, words: str) -> None:
    """svoucher quote and sbatch read the same words alike: so much is held as was quoted."""
    account = login.accounts["ai"]
    own = (f"--voucher={account}", *words.split())
    [row] = json.loads(ask("alice", "quote", "--json", *own).out)
    done = run("sbatch", "--hold", *own, "--wrap=true", user="alice")
    assert row["not_understood"] is None
    assert f"voucher {account}: held {row['cost']} yuan" in done.text


def test_jobs_and_explain_from_a_login_node(login: Stage) -> None:
    """A user sees the own jobs wait, run and end, each with its hold or its charge; nobody else
    does, and a number that is none is no job."""
    account = login.accounts["ai"]
    words = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "10", f"--voucher={account}")
    job = submitted(run("sbatch", "--hold", *words, "--wrap=sleep 1", user="alice"))

    def mine() -> dict[str, str]:
        rows = json.loads(ask("alice", "jobs", "--json").out)
        return next((row for row in rows if row["job"] == str(job)), {})

    waits = until("the job is seen", lambda: mine() if mine().get("held") else None)
    assert (waits["state"], waits["status"], waits["account"]) == ("PENDING", "held", account)
    assert "JobHeldUser" in waits["reason"]
    assert f"job {job} on chengdu/ai: PENDING" in ask("alice", "explain", str(job)).out
    run("scontrol", "release", str(job))
    ended(job)
    login.svoucher("collect", "--cluster", "chengdu")
    row = until("the job is charged", lambda: mine() if mine().get("charge") else None)
    assert (row["state"], row["status"], row["held"]) == ("COMPLETED", "charged", None)
    said = ask("alice", "explain", str(job)).out
    assert f"charge {row['charge']} yuan" in said
    assert "by policy chengdu-2023" in said
    refused = ask("bob", "explain", str(job), ok=False)
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "is another user's" in refused.err
    assert ask("bob", "explain", "999999", ok=False).code == 3
    assert str(job) not in {row["job"] for row in json.loads(ask("bob", "jobs", "--json").out)}
