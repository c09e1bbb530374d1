"""An sshd of the tests' own on a free port of this machine, with a fake sacct; nothing of it stays.

It takes over nothing that runs on this machine, and lets in who runs the tests, by one key.
"""

import getpass
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from slurm_voucher.logins import Login

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "sshd"
CONFIG = """ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/mine.pub
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv PATH={folder}:/usr/bin:/bin TZ=Asia/Shanghai SLURM_TIME_FORMAT=relative
"""


@dataclass(frozen=True)
class Sshd:
    """A running sshd.

    Attributes:
        folder: Where its files are, and the sacct that is found there.
        port: Where it listens.
    """

    folder: Path
    port: int

    @property
    def login(self) -> Login:
        """How one gets in."""
        return Login(
            host="127.0.0.1",
            port=self.port,
            user=getpass.getuser(),
            key=self.folder / "mine",
            known_hosts=self.folder / "known_hosts",
        )

    def other(self, **changes: object) -> Login:
        """Return that login with changes."""
        return replace(self.login, **changes)  # type: ignore[arg-type]

    def sacct(self, script: str) -> None:
        """Let sacct there do what a shell script says; it stands in the folder."""
        path = self.folder / "sacct"
        path.write_text(f"#!/bin/sh\ncd {self.folder}\n{script}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def make_key(path: Path, *options: str) -> str:
    """Make a key without a passphrase; return its public half."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path), *options]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.with_name(f"{path.name}.pub").read_text()


@contextmanager
def running() -> Iterator[Sshd]:
    """Run one."""
    folder = Path(tempfile.mkdtemp(prefix="svoucher-sshd-"))
    try:
        host = make_key(folder / "host")
        make_key(folder / "mine")
        if os.geteuid() == 0:  # sshd insists on it where it is root
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with _listening(folder) as port:
            (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
            yield Sshd(folder, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _listening(folder: Path) -> Iterator[int]:
    """Start sshd; another port is tried where somebody else was faster to take one."""
    for _ in range(5):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "config").write_text(CONFIG.format(folder=folder, port=port))
        command = [SSHD, "-D", "-e", "-f", str(folder / "config")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        try:
            if _answers(process, port):
                yield port
                return
        finally:
            process.terminate()
            process.wait()
    raise AssertionError(f"sshd does not start: {(folder / 'log').read_text()}")


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait until it greets; False: it ended before."""
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as line:
                return line.recv(4) == b"SSH-"
        except ConnectionRefusedError:
            time.sleep(0.02)
    return False


def until(probe: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < end, f"{what}: not within 20 s"
        time.sleep(0.02)


@contextmanager
def agent(at: Path, key: Path) -> Iterator[None]:
    """Run an agent that has a key, where SSH_AUTH_SOCK says."""
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(at)], stdout=subprocess.DEVNULL)
    try:
        until(at.exists, "ssh-agent starts")
        add(key)
        yield
    finally:
        process.terminate()
        process.wait()


def add(key: Path) -> None:
    """Give the agent a key."""
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
