"""A Slurm to measure: munged and any number of slurmctld of one cluster, without systemd.

5,000 CLOUD nodes are there by name only, so jobs are submitted and never run. Everything stands in
one folder with ports and a MUNGE socket of its own, and whatever is started is stopped.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
CLUSTER = "bench"
NODES = 5_000
PORTS = range(21_000, 32_000)
PATIENCE_S = 60
NEEDED = {
    "slurmctld": "slurmctld", "munged": "munge", "scancel": "slurm-client", "gcc": "gcc",
    "make": "make",
}  # fmt: skip
"""Commands, and the Debian packages that have them."""
CFLAGS = ["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
CONF = """
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthInfo=socket={munge}
StateSaveLocation={state}
SlurmctldPidFile={folder}/pid
SlurmctldLogFile={folder}/slurmctld.log
PluginDir={plugins}:{debian}
PlugStackConfig=/dev/null
PrivateData=cloud
{hook}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PropagateResourceLimits=NONE
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
MinJobAge=2
MaxJobCount=100000
ResumeProgram=/bin/true
SuspendProgram=/bin/true
SuspendTime=-1
ResumeTimeout=65000
ResumeRate=0
TreeWidth=65000
NodeName=n[1-{nodes}] CPUs=96 Sockets=4 CoresPerSocket=24 RealMemory=512000 {gres} State=CLOUD
PartitionName=ai Nodes=n[1-{nodes}] Default=YES DefaultTime=60 MaxTime=7-0 State=UP
"""
LUA = """
function slurm_job_submit(job, parts, uid) return slurm.SUCCESS end
function slurm_job_modify(job, record, parts, uid) return slurm.SUCCESS end
return slurm.SUCCESS
"""


def missing() -> list[str]:
    """Return the Debian packages without which nothing can be measured."""
    gone = [package for name, package in NEEDED.items() if _where(name) is None]
    if not Path("/usr/include/slurm/slurm.h").exists():
        gone.append("libslurm-dev")
    return gone


def _where(name: str) -> str | None:
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def build(folder: Path) -> None:
    """Compile our plugins as they are installed, and the benchmark's own."""
    peers = ROOT / "bench" / "peers"
    folder.mkdir()
    _do(["make", "-s", "-C", str(ROOT / "plugins"), f"BUILD={folder}", "all"])
    for name in ("noop", "timed"):
        plugin = str(folder / f"job_submit_{name}.so")
        _do(["gcc", *CFLAGS, "-fPIC", "-shared", "-o", plugin, str(peers / f"{name}.c"), "-ldl"])
    _do(["gcc", *CFLAGS, "-o", str(folder / "submit"), str(peers / "submit.c"), "-lslurm"])


def _do(command: list[str], env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env=dict(env) if env else None, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[0]}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def wait_for(what: str, seen: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so."""
    end_s = time.monotonic() + patience_s
    while not seen():
        if time.monotonic() > end_s:
            raise SystemExit(f"{what}: not within {patience_s:.0f} s")
        time.sleep(0.05)


def cpu_s(group: int) -> float:
    """Return the CPU time of all processes of a group that run, and of what they waited for."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def process(
    command: list[str], env: Mapping[str, str], log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a daemon in the foreground, in a group of its own, and stop all of that at the end."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield started
    finally:
        for sign in (signal.SIGCONT, signal.SIGTERM):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, sign)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextlib.contextmanager
def munge(folder: Path) -> Iterator[Path]:
    """Run a munged with a key of its own; return its socket."""
    folder.mkdir(mode=0o755)
    key, bound = folder / "key", folder / "socket"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    munged = [
        _where("munged") or "munged", "--foreground", "--force", f"--key-file={key}",
        f"--socket={bound}", f"--pid-file={folder}/pid", f"--seed-file={folder}/seed",
        f"--log-file={folder}/log", "--num-threads=4",
    ]  # fmt: skip
    with process(munged, os.environ, folder / "out") as started:
        wait_for("munged", lambda: bound.exists() or started.poll() is not None)
        yield bound


@dataclass(frozen=True)
class Controller:
    """A slurmctld that runs."""

    name: str
    folder: Path
    pid: int
    env: Mapping[str, str]

    def ask(self, *command: str) -> str:
        """Run one of Slurm's commands."""
        return _do(list(command), self.env)

    def memory_bytes(self) -> int:
        """Return the memory that is its own: without program text and mapped files."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(text.partition("RssAnon:")[2].split()[0]) * 1024


def empty(*controllers: Controller) -> None:
    """Cancel all jobs and wait until none is remembered."""
    for one in controllers:
        if one.ask("squeue", "--noheader", "--format=%i"):
            one.ask("scancel", "--state=PENDING")
    for one in controllers:
        wait_for(
            f"{one.name}: an empty queue",
            lambda to=one: not to.ask("squeue", "--noheader", "--states=all", "--format=%i"),
        )


@contextlib.contextmanager
def controller(
    name: str,
    folder: Path,
    state: Path,
    plugins: Path,
    munge_socket: Path,
    hook: str,
    env: Mapping[str, str],
) -> Iterator[Controller]:
    """Run a slurmctld.

    Args:
        folder: Its own, new.
        state: Where it writes each job's script to, and removes it.
        plugins: What `build` made.
        hook: What JobSubmitPlugins says; '' for none.
        env: What its plugins find in the environment beside the usual.
    """
    folder.mkdir()
    conf = CONF.format(
        cluster=CLUSTER, host=socket.gethostname().partition(".")[0], port=_free_port(),
        munge=munge_socket, folder=folder, plugins=plugins, debian=_plugin_folder(), nodes=NODES,
        state=state, hook=f"JobSubmitPlugins={hook}" if hook else "",
        gres="Gres=gpu:ascend_910b:8",
    )  # fmt: skip
    (folder / "slurm.conf").write_text(conf, encoding="utf-8")
    (folder / "gres.conf").write_text(
        f"NodeName=n[1-{NODES}] Name=gpu Type=ascend_910b Count=8\n", encoding="utf-8"
    )
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n", encoding="utf-8")
    (folder / "job_submit.lua").write_text(LUA, encoding="utf-8")
    whole = os.environ | env | {"SLURM_CONF": str(folder / "slurm.conf")}
    command = [_where("slurmctld") or "slurmctld", "-D", "-i"]
    with process(command, whole, folder / "out") as started:
        found = Controller(name, folder, started.pid, whole)

        def answers() -> bool:
            if started.poll() is not None:
                log = (folder / "slurmctld.log").read_text(errors="replace")[-2000:]
                raise SystemExit(f"slurmctld for {name}: exit {started.returncode}: {log}")
            asked = ["scontrol", "ping"]
            return not subprocess.run(asked, env=whole, capture_output=True, check=False).returncode

        wait_for(f"slurmctld for {name}", answers)
        yield found


def _plugin_folder() -> str:
    found = _do(["gcc", "-print-multiarch"]).strip()
    return f"/usr/lib/{found}/slurm-wlm"


_given: set[int] = set()


def _free_port() -> int:
    for port in PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            if port not in _given:
                probe.bind(("127.0.0.1", port))
                _given.add(port)
                return port
    raise SystemExit(f"ports {PORTS.start} to {PORTS.stop - 1}: none is free")
