"""Commands on the containerised cluster: run them, wait for jobs, set the scene.

Used by the story that `make demo` tells and by the live tests. Everything is a real command.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from accounting.errors import Unavailable
from slurm_voucher import listening

CLUSTER = "chengdu"
HOME = Path("/var/lib/slurm-voucher")
PRICES = Path(__file__).parent / "cluster" / "prices.yaml"
LOG = Path("/var/log/slurm/slurmctld.log")
SOCKET = Path("/run/slurm-voucher/hook.sock")
UNITS = {
    "shuzhi": ("成都数智科技有限公司", "91510100MA6C4TX27W", "enterprise", "alice"),
    "yunlan": ("四川云岚研究院", "12510000450720A177", "research_institute", "bob"),
}
ROLES = {"regulator": "市经信局", "treasury": "市财政", "system": "book"}


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return (self.out + self.err).strip()


def run(*command: str, user: str | None = None, ok: bool = True, timeout_s: int = 60) -> Done:
    """Run a command, as another user if one is named; fail loudly if it had to succeed."""
    full = ["runuser", "-u", user, "--", *command] if user else list(command)
    done = subprocess.run(
        full, capture_output=True, text=True, timeout=timeout_s, check=False,
        stdin=subprocess.DEVNULL, cwd=f"/home/{user}" if user else None,
    )  # fmt: skip
    if ok and done.returncode:
        raise AssertionError(
            f"{' '.join(full)}: exit {done.returncode}: {done.stdout}{done.stderr}"
        )
    return Done(done.returncode, done.stdout, done.stderr)


def submitted(done: Done) -> int:
    """Return the job number that sbatch printed."""
    match = re.search(r"Submitted batch job (\d+)", done.out)
    assert match, done.text
    return int(match[1])


def until(what: str, probe, limit_s: float = 40.0):
    """Poll until a probe returns something true; the only place that sleeps."""
    end = time.monotonic() + limit_s
    while True:
        seen = probe()
        if seen:
            return seen
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {limit_s} s, last seen: {seen!r}")
        time.sleep(0.2)


def queue(*job_ids: int) -> str:
    """Return what squeue shows of jobs that have not ended."""
    ids = ",".join(map(str, job_ids))
    return run("squeue", "-h", "-j", ids, "-o", "%i %T", ok=False).out.strip()


def admin_comment(job: int | str) -> str:
    """Return a job's AdminComment while slurmctld remembers the job."""
    match = re.search(r"AdminComment=(\S+)", run("scontrol", "show", "job", str(job)).out)
    return match[1] if match else ""


def sacct(job_id: int, *fields: str) -> list[list[str]]:
    """Return the rows that slurmdbd has of a job."""
    done = run(
        "env", "TZ=UTC", "sacct", "-X", "-D", "-n", "-P", "-j", str(job_id), "--noconvert",
        f"--format={','.join(fields)}",
    )  # fmt: skip
    return [line.split("|") for line in done.out.splitlines()]


def ended(*job_ids: int, tasks: int | None = None) -> None:
    """Wait until jobs have left the queue and slurmdbd has all their rows, and these whole: on
    22.05 a row may end before it has its partition."""
    until(f"jobs {job_ids} leave the queue", lambda: not queue(*job_ids))
    wanted = len(job_ids) if tasks is None else tasks

    def rows() -> bool:
        found = [row for job in job_ids for row in sacct(job, "Partition", "End")]
        return len(found) >= wanted and all(
            partition and end not in ("Unknown", "") for partition, end in found
        )

    until(f"slurmdbd has jobs {job_ids}", rows)


def restart() -> None:
    """Restart slurmctld and wait until its nodes are there again."""
    run("cluster", "stop", "slurmctld")
    run("cluster", "start", "slurmctld")
    run("cluster", "ready")


@contextlib.contextmanager
def slurm_with(changed: dict[Path, str]) -> Iterator[None]:
    """Run slurmctld with other texts of its settings for a while."""
    before = {path: path.read_text() if path.exists() else None for path in changed}
    try:
        for path, text in changed.items():
            path.write_text(text)
        restart()
        yield
    finally:
        for path, old in before.items():
            path.unlink() if old is None else path.write_text(old)
        restart()


@dataclass
class Stage:
    """One site's book with its voucherd, and accounts by name."""

    home: Path = HOME
    voucherd: subprocess.Popen[bytes] | None = None
    accounts: dict[str, str] = field(default_factory=dict)

    def svoucher(self, *arguments: str, ok: bool = True, as_of: date | None = None) -> Done:
        """Run svoucher on this book."""
        dated = ["--as-of", as_of.isoformat()] if as_of else []
        return run("svoucher", "--home", str(self.home), *dated, *arguments, ok=ok, timeout_s=120)

    def start(self) -> None:
        """Start voucherd and wait until it answers."""
        with (self.home / "voucherd.log").open("ab") as log:
            self.voucherd = subprocess.Popen(
                ["svoucher", "--home", str(self.home), "serve"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        (self.home / "voucherd.pid").write_text(str(self.voucherd.pid))
        until("voucherd answers", lambda: "answers on" in self.svoucher("check", ok=False).out)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """End voucherd."""
        if self.voucherd is not None:
            self.voucherd.send_signal(sign)
            self.voucherd.wait(20)
            self.voucherd = None

    @contextlib.contextmanager
    def settings(self, text: str) -> Iterator[None]:
        """Run voucherd with more settings for a while."""
        path = self.home / "config.yaml"
        before = path.read_text()
        try:
            self.stop()
            path.write_text(before + text)
            self.start()
            yield
        finally:
            self.stop()
            path.write_text(before)
            self.start()

    def signed(self, role: str, *draft: str, as_of: date | None = None) -> Done:
        """Draft an act, sign it with a role's key, and carry it out."""
        path, out = self.home / "act.json", self.home / "act.signed.json"
        self.svoucher(*draft, "-o", str(path), as_of=as_of)
        run("svoucher", "act", "sign", str(path), "--key", self.key(role), "-o", str(out))
        return self.svoucher("act", "accept", str(out), as_of=as_of)

    def key(self, role: str) -> str:
        """Return where a role's secret key is; in life it is on another machine."""
        return str(self.home / f"{role}.key")

    def found(self) -> None:
        """Make a rehearsal book with keys, providers and prices."""
        self.svoucher("init", "--rehearsal")
        (self.home / "config.yaml").write_text("snapshot_s: 2\noverrun_s: 0\n")
        for role, actor in ROLES.items():
            run("svoucher", "key", "make", self.key(role), "--actor", actor, "--role", role)
            self.svoucher("key", "trust", f"{self.key(role)}.pub")
        for provider, name in (("cdaicc", "成都智算中心"), ("nscc-cd", "国家超级计算成都中心")):
            self.svoucher("provider", "add", provider, name)
        self.svoucher("price", "load", str(PRICES))

    def register(self, unit: str) -> None:
        """Register a unit and let its user spend its vouchers."""
        name, code, kind, user = UNITS[unit]
        revenue = ("--revenue", "25,000,000", "--revenue-year", str(date.today().year - 1))
        self.svoucher(
            "unit", "register", unit, "--name", name, "--credit-code", code, "--kind", kind,
            *(revenue if kind == "enterprise" else ()),
        )  # fmt: skip
        self.svoucher("member", "add", unit, "--cluster", CLUSTER, "--user", user)

    def issue(
        self,
        unit: str,
        provider: str,
        fee: str,
        signed_on: date,
        until_day: date,
        *application: str,
        number: str = "1",
        as_of: date | None = None,
    ) -> str:
        """Sign a contract, apply, have it confirmed; return the voucher account."""
        contract = f"HT-{unit}-{provider}-{signed_on.year}-{number}"
        paper = self.home / f"{contract}.txt"
        paper.write_text(f"{contract}: {unit}, {provider}, {fee}\n", encoding="utf-8")
        said = self.svoucher(
            "contract", "sign", contract, "--unit", unit, "--provider", provider, "--fee", fee,
            "--signed-on", signed_on.isoformat(), "--until", until_day.isoformat(), as_of=as_of,
        ).out  # fmt: skip
        account = said.split()[-1]
        self.svoucher("apply", contract, "--paper", str(paper), *application, as_of=as_of)
        self.signed("regulator", "review", f"A-{account}", "--confirm", as_of=as_of)
        return account

    def held(self, job: int | str) -> str | None:
        """Return what is held under the hold that a job's AdminComment names; None: nothing."""
        hold = re.search(r"hold=([0-9a-f]{32})", admin_comment(job))
        assert hold, f"job {job} names no hold"
        until("what voucherd answered is in the book", _nothing_waits)
        rows = json.loads(self.svoucher("holds", "--json").out)
        return next((row["held"] for row in rows if row["hold"] == hold[1]), None)

    def topup(self, account: str, amount: str) -> None:
        """Record cash for an account."""
        self.svoucher("topup", account, amount, "--reference", f"BANK-{account}-{amount}")


def _nothing_waits() -> bool:
    try:
        return listening.ask(str(SOCKET), "STATUS").get("waiting", "0") == "0"
    except Unavailable:
        return True  # it ended with nothing to be written, or was killed


def scene(stage: Stage, say=lambda text: None) -> None:
    """Set the scene of the story: two units, three accounts, one of them expired."""
    today = date.today()
    stage.found()
    for unit in UNITS:
        stage.register(unit)
    say("two units are registered: shuzhi (alice) and yunlan (bob)")
    year = timedelta(days=330)
    stage.accounts["ai"] = stage.issue("shuzhi", "cdaicc", "200,000", today, today + year)
    stage.accounts["sc"] = stage.issue("shuzhi", "nscc-cd", "60,000", today, today + year)
    last = today.year - 1
    stage.accounts["old"] = stage.issue(
        "yunlan", "cdaicc", "40,000", date(last, 1, 4), date(last, 12, 20), as_of=date(last, 1, 5)
    )
    stage.accounts["joint"] = stage.issue(
        "shuzhi", "cdaicc", "1,000,000", today, today + year,
        "--category", "joint_national", "--project", "AI-2026-07", number="2",
    )  # fmt: skip
    stage.topup(stage.accounts["ai"], "10,000")
    stage.topup(stage.accounts["sc"], "3,000")
    stage.topup(stage.accounts["joint"], "5,000")


def fresh() -> Stage:
    """Empty the home folder and return a stage in it; a voucherd left there is ended."""
    pid = HOME / "voucherd.pid"
    if pid.is_file():
        _end_left_over(int(pid.read_text()))
    for path in sorted(HOME.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    return Stage()


def _end_left_over(pid: int) -> None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return
    if b"svoucher" in command:
        os.kill(pid, signal.SIGTERM)
        until("the old voucherd ends", lambda: not Path(f"/proc/{pid}").exists())


def ids_of(jobs: Sequence[int]) -> str:
    """Print job numbers."""
    return ", ".join(map(str, jobs))
