"""Usage over SSH equals usage from the sacct on the spot, through the cluster's own sshd."""

import json
from pathlib import Path

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import PRICES, Done, Stage, run, submitted

pytestmark = pytest.mark.slurm

LOGIN = "{host: 127.0.0.1, port: 2222, user: root, key: /root/.ssh/id_ed25519, known_hosts: %s}"
KNOWN = "/root/.ssh/known_hosts"


def collected(home: Path, known: str, *, ok: bool = True) -> Done:
    """Collect where no sacct is to be found on the spot."""
    (home / "config.yaml").write_text(f"ssh:\n  chengdu: {LOGIN % known}\n")
    svoucher = ["env", "PATH=/nowhere", "/usr/local/bin/svoucher", "--home", str(home)]
    return run(*svoucher, "collect", "--cluster", stages.CLUSTER, ok=ok)


def test_the_same_runs_over_ssh(live: Stage, tmp_path: Path) -> None:
    """A book that is collected over SSH has the runs of one collected on the spot; a host whose key
    is not known is left."""
    job = submitted(
        run("sbatch", f"--voucher={live.accounts['ai']}", "-p", "ai", "--gres=gpu:ascend_910b:1",
            "-t", "5", "--wrap=sleep 2", user="alice")
    )  # fmt: skip
    stages.ended(job)
    other = Stage(tmp_path / "home")
    other.svoucher("init", "--rehearsal")
    other.svoucher("price", "load", str(PRICES))
    (tmp_path / "nobody").touch()
    left = collected(other.home, str(tmp_path / "nobody"), ok=False)
    assert left.code == 3
    assert "is not in" in left.err

    def the_same() -> bool:
        live.svoucher("collect", "--cluster", stages.CLUSTER)
        collected(other.home, KNOWN)
        found = []
        for stage in (live, other):
            rows = json.loads(stage.svoucher("jobs", "--json").out)
            facts = ("job", "ended", "state", "elapsed_s", "gres")
            found.append(sorted(tuple(str(row.get(name)) for name in facts) for row in rows))
        return found[0] == found[1] and any(row[0] == str(job) for row in found[0])

    stages.until("both books have the same runs", the_same)
