"""A job that comes in by slurmrestd is held for, or refused, like any other."""

import http.client
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Stage

pytestmark = pytest.mark.slurm

SOCKET = Path("/home/alice/rest.sock")


class Local(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(SOCKET))


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask slurmrestd as alice, who is let in by who owns the connection."""
    program = (
        "import json, sys; from tests.slurm.test_rest import told; "
        "print(json.dumps(told(*json.load(sys.stdin))))"
    )
    done = subprocess.run(
        ["runuser", "-u", "alice", "--", "python", "-c", program],
        input=json.dumps([method, path, body]), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def told(method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """Return what slurmrestd answers."""
    connection = Local("localhost")
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json"})
    return json.loads(connection.getresponse().read())


@pytest.fixture
def submit_path(live: Stage) -> Iterator[str]:
    """slurmrestd of alice, and where its newest version takes jobs."""
    SOCKET.unlink(missing_ok=True)
    server = subprocess.Popen(
        ["runuser", "-u", "alice", "--", "slurmrestd", "-a", "rest_auth/local", f"unix:{SOCKET}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        stages.until("slurmrestd listens", SOCKET.exists)
        paths = stages.until("slurmrestd answers", lambda: ask("GET", "/openapi/v3")["paths"])
        yield max(path for path in paths if re.fullmatch(r"/slurm/v[\d.]+/job/submit/?", path))
    finally:
        stages.run("pkill", "-u", "alice", "-x", "slurmrestd", ok=False)
        server.wait(20)


def job(path: str, voucher: str) -> dict[str, Any]:
    """Describe a job of a card for an hour, as this version of slurmrestd wants it."""
    old = path < "/slurm/v0.0.39"
    named = f"SLURM_VOUCHER={voucher}"
    facts: dict[str, Any] = {
        "partition": "ai",
        "name": "rest",
        "current_working_directory": "/tmp",
        "time_limit": 60 if old else {"set": True, "number": 60},
        "environment": {"SLURM_VOUCHER": voucher} if old else ["PATH=/usr/bin:/bin", named],
        "gres" if old else "tres_per_node": f"{'' if old else 'gres/'}gpu:ascend_910b:1",
    }
    return {"script": "#!/bin/sh\nsleep 30\n", "job": facts}


def test_slurmrestd_submission_follows_the_same_rules(live: Stage, submit_path: str) -> None:
    """A job by slurmrestd names its voucher by its environment, and is held or refused."""
    good = ask("POST", submit_path, job(submit_path, live.accounts["ai"]))
    assert good.get("job_id"), good
    assert live.held(good["job_id"]) == "9.024000"
    bad = ask("POST", submit_path, job(submit_path, "CD99-9999"))

    assert not bad.get("job_id")
    assert bad["errors"]
