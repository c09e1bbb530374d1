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
def garbage(site: Stage) -> Iterator[None]:
    """Run while something else answers on the socket, with bytes that are no answer."""
    site.stop()
    stages.SOCKET.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(stages.SOCKET))
        server.listen()
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    peer, _ = server.accept()
                    with peer:
                        peer.recv(4096)
                        peer.sendall(b"\x00\xff1 YES\x1b[31m hold=\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        over.set()
        thread.join()
    stages.SOCKET.unlink(missing_ok=True)
    site.start()


FAULTS = [stopped, killed, stalled, garbage]


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
