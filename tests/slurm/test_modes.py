"""When voucherd does not answer: each way to fail in each mode; and a site's own lua beside us."""

import contextlib
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from slurm_voucher import listening
from tests.slurm import stage as stages
from tests.slurm.stage import Done, Stage, admin_comment, run, submitted

pytestmark = pytest.mark.slurm

CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
HOUR = "9.024000"
CONF = Path("/etc/slurm/voucher.conf")
SLURM_CONF = Path("/etc/slurm/slurm.conf")
LUA = Path("/etc/slurm/job_submit.lua")


def sbatch(site: Stage, *arguments: str) -> Done:
    """Submit a job of alice with her voucher."""
    voucher = f"--voucher={site.accounts['ai']}"
    return run("sbatch", voucher, *CARD, *arguments, user="alice", ok=False)


@contextlib.contextmanager
def stopped(site: Stage) -> Iterator[None]:
    """Run while voucherd has been ended in order: there is no socket."""
    site.stop()
    yield
    site.start()


@contextlib.contextmanager
def killed(site: Stage) -> Iterator[None]:
    """Run while voucherd is dead and its socket still lies there."""
    site.stop(signal.SIGKILL)
    yield
    site.start()


@contextlib.contextmanager
def stalled(site: Stage) -> Iterator[None]:
    """Run while voucherd is there and does nothing."""
    assert site.voucherd is not None
    site.voucherd.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        site.voucherd.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def instead(site: Stage, backlog: int = 64) -> Iterator[socket.socket]:
    """Run while something else has voucherd's socket."""
    site.stop()
    stages.SOCKET.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(stages.SOCKET))
        server.listen(backlog)
        server.settimeout(0.1)
        yield server
    stages.SOCKET.unlink(missing_ok=True)
    site.start()


@contextlib.contextmanager
def answers(site: Stage, answer: Callable[[bytes], bytes]) -> Iterator[None]:
    """Run while something else answers on the socket."""
    over = threading.Event()
    with instead(site) as server:

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    peer, _ = server.accept()
                    with peer:
                        peer.sendall(answer(peer.recv(4096)))

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        over.set()
        thread.join()


def garbage(site: Stage) -> AbstractContextManager[None]:
    """Run while what answers are bytes that are no answer."""
    return answers(site, lambda _: b"\x00\xff1 YES\x1b[31m hold=\n")


def other_version(site: Stage) -> AbstractContextManager[None]:
    """Run while a voucherd of another release answers, which says yes on another wire."""
    return answers(site, lambda line: b"2 YES %s held=1 say=yes\n" % line.split()[2])


@contextlib.contextmanager
def full_backlog(site: Stage) -> Iterator[None]:
    """Run while voucherd's queue of connections is full: it takes none."""
    with instead(site, backlog=0), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first:
        first.connect(str(stages.SOCKET))
        yield


FAULTS = [stopped, killed, stalled, garbage, other_version, full_backlog]


@pytest.fixture(scope="module", params=["closed", "open", "queue"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    """The setting of what becomes of a job without an answer."""
    text = f"socket = {stages.SOCKET}\nbreaker_open_ms = 200\nwhen_unavailable = {request.param}\n"
    with stages.slurm_with({CONF: text}):
        yield request.param


@pytest.mark.parametrize("fault", FAULTS)
def test_unanswered_job(
    mode: str, live: Stage, fault: Callable[[Stage], AbstractContextManager[None]]
) -> None:
    """Without an answer the mode decides, the log says so, and once voucherd is back a job that
    was let in, or waits, has its hold."""
    told = stages.LOG.read_text(errors="replace").count("voucher: no answer")
    with fault(live):
        done = sbatch(live, "--wrap=sleep 300")
        if mode == "closed":
            assert done.code != 0
            assert "the voucher service did not answer" in done.err
        else:
            job = submitted(done)
            mark = "held=?" if mode == "open" else "held=wait"
            assert admin_comment(job).endswith(mark)
        if mode == "queue":
            assert "the job waits until the voucher service is back" in done.err
            assert stages.queue(job) == f"{job} PENDING"
        assert stages.LOG.read_text(errors="replace").count("voucher: no answer") == told + 1
    if mode != "closed":
        stages.until("the job has its hold", lambda: live.held(job) == HOUR)
        stages.until("the job runs", lambda: "RUNNING" in stages.queue(job))
    if mode == "open":
        listed = json.loads(live.svoucher("holds", "--unsecured", "--json").out)
        assert [row["held"] for row in listed if row["job"] == job] == [HOUR]
    stages.until("submits are answered", lambda: "held 9.03" in sbatch(live, "--wrap=true").err)


def test_job_that_its_user_held_stays_held(mode: str, live: Stage) -> None:
    """In mode queue a job that is submitted held while voucherd is away is not released by us, and
    nobody releases a job that waits for voucherd before it is back."""
    if mode != "queue":
        return
    with stopped(live):
        held, waits = (submitted(sbatch(live, *own, "--wrap=true")) for own in (("-H",), ()))
        for job in (held, waits):
            assert run("scontrol", "release", str(job), user="alice", ok=False).code != 0
            assert stages.queue(job) == f"{job} PENDING"
        assert admin_comment(held).endswith("held=own")
    stages.until("both have their hold", lambda: live.held(held) == HOUR == live.held(waits) or
                 not stages.queue(waits))  # fmt: skip
    stages.ended(waits)
    assert stages.queue(held) == f"{held} PENDING"
    assert admin_comment(held).endswith("held=9024000")
    release = ("scontrol", "release", str(held))
    # The first question tells voucherd what was missed: then it has to look at the queue.
    stages.until("it is released", lambda: not run(*release, user="alice", ok=False).code)
    stages.ended(held)


@pytest.fixture
def open_for_two(live: Stage) -> Iterator[Stage]:
    """A site that lets two jobs of a voucher in without an answer, and asks again after 2 s."""
    text = (
        f"socket = {stages.SOCKET}\nwhen_unavailable = open\nopen_most = 2\n"
        "breaker_misses = 3\nbreaker_open_ms = 2000\n"
    )
    with stages.slurm_with({CONF: text}):
        yield live


def test_open_has_a_limit_and_the_breaker_opens(open_for_two: Stage) -> None:
    """Mode open lets in as many jobs of a voucher as the site says, and no more, until voucherd
    answers; after three misses nobody is asked for a while, and both are in the log. A job of
    somebody whose voucher has expired meanwhile is then held by that name."""
    live = open_for_two
    told = stages.LOG.read_text(errors="replace")
    with stopped(live):
        tries = [sbatch(live, "-H", "--wrap=true") for _ in range(4)]
        old = submitted(run(
            "sbatch", f"--voucher={live.accounts['old']}", *CARD, "--begin=now+1hour",
            "--wrap=true", user="bob",
        ))  # fmt: skip
        assert admin_comment(old).endswith("held=?")
    assert [done.code == 0 for done in tries] == [True, True, False, False]
    assert "2 of its jobs were let in while the voucher service is away" in tries[2].err
    stages.until("submits are answered", lambda: "held 9.03" in sbatch(live, "--wrap=true").err)
    log = stages.LOG.read_text(errors="replace")[len(told) :]
    assert log.count("not asking for 2000 ms after 3 misses in a row") == 1
    assert "not asked, the breaker is open: let in" in log
    assert log.count("link: voucherd answers again") == 1
    stages.until("it waits by name", lambda: "waits=voucher_expired" in admin_comment(old))
    assert "Priority=0 " in run("scontrol", "show", "job", str(old)).out


def test_slurmctld_does_not_grow(live: Stage) -> None:
    """Submits that are asked about and refused leave slurmctld no larger than it was: 6,000 of
    them, after 1,000 to begin with, take less than 2 MB."""

    def submit(times: int) -> int:
        run("libslurm-submit", "SLURM_VOUCHER=CD99-9999", "", str(times), user="alice", ok=False,
            timeout_s=250)  # fmt: skip
        pid = Path("/run/slurmctld.pid").read_text().strip()
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    refused = _refused(live)
    begin_kb = submit(1_000)
    end_kb = submit(6_000)
    assert 6_000 < _refused(live) - refused <= 7_000  # of so many a second some wait for too long
    assert end_kb - begin_kb < 2_000


def _refused(site: Stage) -> int:
    """Return how many questions voucherd has answered with no."""
    return int(listening.ask(str(stages.SOCKET), "STATUS").get("refused", "0"))


SITES_OWN = """\
function slurm_job_submit(job_desc, part_list, submit_uid)
    if job_desc.comment == "no" then
        slurm.log_user("site: not this one")
        return slurm.ERROR
    end
    job_desc.time_limit = 120
    slurm.log_user("site: two hours")
    return slurm.SUCCESS
end
function slurm_job_modify(job_desc, job_rec, part_list, modify_uid)
    return slurm.SUCCESS
end
return slurm.SUCCESS
"""


@pytest.fixture(scope="module", params=["lua,voucher", "voucher,lua"])
def beside_lua(request: pytest.FixtureRequest) -> Iterator[str]:
    """A site's own job_submit.lua before us, or after us."""
    text = SLURM_CONF.read_text()
    assert "JobSubmitPlugins=voucher\n" in text
    text = text.replace("JobSubmitPlugins=voucher\n", f"JobSubmitPlugins={request.param}\n")
    with stages.slurm_with({SLURM_CONF: text, LUA: SITES_OWN}):
        yield request.param


def test_beside_a_sites_own_lua(beside_lua: str, live: Stage) -> None:
    """What lua made of the job is held: at once, and said, where lua comes first; else when the
    queue shows it."""
    done = sbatch(live, "-H", "--wrap=true")
    job = submitted(done)

    assert "site: two hours" in done.err
    if beside_lua == "lua,voucher":  # after us, what lua says replaces what we said
        assert "held 18.05 yuan" in done.err
    stages.until("two hours are held", lambda: live.held(job) == "18.048000")


def test_lua_refuses(beside_lua: str, live: Stage) -> None:
    """What lua refuses is refused, with its own words."""
    done = sbatch(live, "--comment=no", "--wrap=true")

    assert done.code != 0
    assert "site: not this one" in done.err
