"""A PostgreSQL of the tests' own: in a folder of its own, reached by a socket in it alone.

It takes over nothing that runs on this machine, and nothing of it stays. Disk syncs are off: these
tests are about rules; who kills or cuts the power asks for them.
"""

import os
import pwd
import shutil
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
    folder = Path(tempfile.mkdtemp(prefix="svoucher-pg-"))
    who = _owner()
    if who:
        os.chown(folder, who["user"], who["group"])  # type: ignore[arg-type]
    try:
        data = str(folder / "data")
        made = subprocess.run(
            [
                *(tool("initdb"), "-D", data, "-U", "book", "-A", "trust", "-E", "UTF8"),
                *("--locale=C", "--no-sync"),
            ],
            cwd=folder, capture_output=True, text=True, check=False, **who,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(tool("postgres"), "-D", data, "-k", str(folder), "-c", "listen_addresses="),
                    *("-c", f"fsync={'on' if fsync else 'off'}", "-c", "max_connections=150"),
                ],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **who,
            )  # fmt: skip
        try:
            _wait(folder, process)
            yield f"postgresql+psycopg://book@/postgres?host={folder}"
        finally:
            process.terminate()
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
