"""A backup controller takes over, with a voucherd of its own on the one book in PostgreSQL.

The backup is another host as far as Slurm and voucherd can tell: a name, an address and a
/run/slurm-voucher of its own. The folder of slurmctld's state and the book are what both of them
reach.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.slurm import stage as stages
from tests.slurm.stage import Done, Stage, admin_comment, run, submitted, until

pytestmark = pytest.mark.slurm

CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60", "--begin=now+1hour", "--wrap=true")
SUM = "9.024000"
"""What such a job is held for."""
CONF = Path("/etc/slurm/slurm.conf")
HOSTS = Path("/etc/hosts")
HOME = Path("/var/lib/slurm-voucher-pg")
SITE = Path("/usr/local/sbin")
ON, OFF = SITE / "voucherd-on", SITE / "voucherd-off"
START = f"""#!/bin/sh
setsid svoucher --home {HOME} serve >>{HOME}/$(hostname).log 2>&1 </dev/null &
echo $! >/run/slurm-voucher/voucherd.pid
"""
STOP = """#!/bin/sh
[ ! -e /run/slurm-voucher/voucherd.pid ] || kill "$(cat /run/slurm-voucher/voucherd.pid)"
"""
CONTROLLERS = f"""
SlurmctldHost=standby(127.0.0.2)
CommunicationParameters=NoCtldInAddrAny
SlurmctldTimeout=5
SlurmctldPrimaryOnProg={ON}
SlurmctldPrimaryOffProg={OFF}
"""
STANDBY = """
hostname standby
mount --bind /run/standby /run/slurm-voucher
mount --bind /run/standby/slurmctld.pid /run/slurmctld.pid
exec slurmctld -D -L /var/log/slurm/standby.log
"""


def moved(live: Stage, url: str) -> Stage:
    """Move the book into PostgreSQL, as a site does that gets a backup controller."""
    live.stop()
    run("rm", "-rf", str(HOME), "/tmp/moving")
    HOME.mkdir()
    settings = f'book: "{url}"\nsnapshot_s: 2\noverrun_s: 0\n'
    (HOME / "config.yaml").write_text(settings)
    live.svoucher("backup", "/tmp/moving")
    site = Stage(HOME, accounts=live.accounts)
    site.svoucher("restore", "/tmp/moving")
    return site


@pytest.fixture
def pair(live: Stage) -> Iterator[Stage]:
    """The site with two controllers, of which the first is active."""
    text = CONF.read_text().replace(
        "SlurmctldHost=chengdu(127.0.0.1)\n", f"SlurmctldHost=chengdu(127.0.0.1){CONTROLLERS}"
    )
    assert CONTROLLERS in text
    with postgres.server() as url:
        site = moved(live, url)
        for path, program in ((ON, START), (OFF, STOP)):
            path.write_text(program)
            path.chmod(0o755)
        Path("/run/standby").mkdir(exist_ok=True)
        Path("/run/standby/slurmctld.pid").touch()
        with stages.slurm_with({CONF: text, HOSTS: HOSTS.read_text() + "127.0.0.2 standby\n"}):
            until("the primary's voucherd answers", lambda: is_active("chengdu"))
            standby = subprocess.Popen(
                ["unshare", "--uts", "--mount", "sh", "-c", STANDBY], start_new_session=True
            )
            try:
                until("the backup is there", lambda: pinged("standby"))
                yield site
            finally:
                run("scancel", "--user=alice", ok=False)
                standby.terminate()
                standby.wait(30)
                run("sh", str(OFF), ok=False)
        for path in (ON, OFF):
            path.unlink()


def pinged(host: str) -> bool:
    """Tell whether a controller answers."""
    return f"at {host} is UP" in run("scontrol", "ping", ok=False).out


def is_active(host: str) -> int:
    """Tell how often the voucherd of a host has become the active one."""
    log = HOME / f"{host}.log"
    return log.read_text().count("listening on") if log.exists() else 0


def sbatch(site: Stage) -> Done:
    """Submit a job that waits."""
    return run("sbatch", f"--voucher={site.accounts['ai']}", *CARD, user="alice", ok=False)


@pytest.fixture
def left(pair: Stage) -> set[str]:
    """The holds that others have left in the book."""
    return {row["hold"] for row in json.loads(pair.svoucher("holds", "--json").out)}


def held(site: Stage, left: set[str]) -> list[tuple[int, str]]:
    """Return what is held for which jobs, in the book, a row for each hold of our own."""
    rows = json.loads(site.svoucher("holds", "--json").out)
    own = [row for row in rows if row["job"] is not None and row["hold"] not in left]
    return sorted((row["job"], row["held"]) for row in own)


def kill(pid_file: str) -> None:
    """End a daemon as a power failure does."""
    os.kill(int(Path(pid_file).read_text()), signal.SIGKILL)


def test_backup_controller_takes_over_with_the_holds(pair: Stage, left: set[str]) -> None:
    """The primary's host dies: the backup's slurmctld goes on with the job and its mark, and its
    voucherd, alone on the book, with the hold; new jobs are held for. When the primary is back it
    is the other way round, and no hold is lost or taken twice."""
    first = submitted(until("the primary takes jobs", lambda: _taken(pair)))
    until("the first hold is bound", lambda: held(pair, left) == [(first, SUM)])
    mark = admin_comment(first)
    kill("/run/slurmctld.pid")
    kill("/run/slurm-voucher/voucherd.pid")

    until("the backup's voucherd is active", lambda: is_active("standby"), 60)
    until("the backup tells of the job", lambda: admin_comment(first) == mark)
    second = submitted(until("the backup takes jobs", lambda: _taken(pair), 60))
    until("both are held for", lambda: held(pair, left) == [(first, SUM), (second, SUM)])

    run("cluster", "start", "slurmctld")
    until("the primary's voucherd is active again", lambda: is_active("chengdu") == 2, 60)
    third = submitted(until("the primary takes jobs", lambda: _taken(pair), 60))
    assert admin_comment(first) == mark
    until(
        "all are held for", lambda: [job for job, _ in held(pair, left)] == [first, second, third]
    )
    assert "0 findings" in pair.svoucher("audit").out


def test_primary_slurmctld_dies_alone(pair: Stage, left: set[str]) -> None:
    """The primary's slurmctld dies and its voucherd lives: once the backup leads it ends by itself,
    and the backup's goes on with the book; then the same the other way round."""
    first = submitted(until("the primary takes jobs", lambda: _taken(pair)))
    until("the first hold is bound", lambda: held(pair, left) == [(first, SUM)])
    kill("/run/slurmctld.pid")

    until("the backup's voucherd is active", lambda: is_active("standby"), 60)
    assert "leads on another host; ending" in (HOME / "chengdu.log").read_text()
    second = submitted(until("the backup takes jobs", lambda: _taken(pair), 60))
    until("both are held for", lambda: held(pair, left) == [(first, SUM), (second, SUM)])

    kill("/run/standby/slurmctld.pid")
    run("cluster", "start", "slurmctld")
    until("the primary's voucherd is active again", lambda: is_active("chengdu") == 2, 60)
    third = submitted(until("the primary takes jobs", lambda: _taken(pair), 60))
    until(
        "all are held for", lambda: [job for job, _ in held(pair, left)] == [first, second, third]
    )
    assert "0 findings" in pair.svoucher("audit").out


def _taken(site: Stage) -> Done | None:
    done = sbatch(site)
    return done if "held 9.03 yuan" in done.err else None
