"""A PostgreSQL of the tests' own: in a folder of its own, reached by a socket in it alone.

It takes over nothing that runs on this machine, and nothing of it stays. Disk syncs are off in
`server`: these tests are about rules; who cuts the power or measures asks for them.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Where Debian has them; elsewhere they are looked for on the path."""


def tool(name: str) -> str:
    path = str(BINARIES[-1] / name) if BINARIES else shutil.which(name)
    assert path, f"{name} is not installed: as root, apt-get install postgresql"
    return path


def _owner() -> dict[str, object]:
    """Return as whom the server runs: it refuses to be root."""
    if os.geteuid():
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def server(*, fsync: bool = False) -> Iterator[str]:
    """Run a server; yield the URL of its first database."""
    with folder() as place:
        make(place)
        with running(place, f"fsync={'on' if fsync else 'off'}") as url:
            yield url


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder where the server's own user may come, and take it away in the end."""
    place = Path(tempfile.mkdtemp(prefix="svoucher-pg-"))
    try:
        give(place)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def give(place: Path) -> None:
    """Give a folder, with all that is in it, to the user as whom the server runs."""
    if who := _owner():
        for path in (place, *place.rglob("*")):
            os.chown(path, who["user"], who["group"])  # type: ignore[arg-type]


def make(place: Path, *options: str) -> None:
    """Make an empty cluster in `data` of a folder."""
    made = subprocess.run(
        [
            *(tool("initdb"), "-D", str(place / "data"), "-U", "book", "-A", "trust", "-E", "UTF8"),
            *("--locale=C", "--no-sync", *options),
        ],
        cwd=place, capture_output=True, text=True, check=False, **_owner(),
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


@contextmanager
def running(place: Path, *settings: str, **environment: str) -> Iterator[str]:
    """Run the server of a folder; yield the URL of its first database."""
    command = [tool("postgres"), "-D", str(place / "data"), "-k", str(place)]
    for setting in ("listen_addresses=", "max_connections=150", *settings):
        command += ["-c", setting]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, **environment}, **_owner(),
        )  # fmt: skip
    try:
        _wait(place, process)
        yield f"postgresql+psycopg://book@/postgres?host={place}"
    finally:
        process.send_signal(signal.SIGINT)  # which does not wait for who is still connected
        process.wait(30)


def _wait(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        try:
            psycopg.connect(host=str(folder), user="book", dbname="postgres").close()
        except psycopg.OperationalError:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        else:
            return
    raise AssertionError((folder / "log").read_text())
