"""Slurm's commands as scripts on PATH that repeat what a real 26.05 answered.

Recorded answers stand in tests/data/slurm; a test changes rows of the queue, or lets a command
fail, hang or print something else.
"""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

from slurm_voucher.partitions import Cluster, read

RECORDED = Path(__file__).parent / "data" / "slurm" / "26.05"
SCRIPT = """#!/bin/sh
cd {folder}
if [ -e {name}.hangs ]; then exec sleep 60; fi
if [ -e {name}.fails ]; then cat {name}.fails >&2; exit 1; fi
case "$*" in
*--Node*) exec cat nodes.txt;;
*"list events"*) exec cat events.txt;;
*"list reservation"*) exec cat reservations.txt;;
*partition*) exec cat partitions.txt;;
*federation*) exec true;;
*config*) exec cat config.txt;;
*--json*) exec cat squeue.json;;
*) exec cat {name}.txt;;
esac
"""


def recorded(name: str) -> str:
    """Return one recorded answer."""
    return (RECORDED / name).read_text(encoding="utf-8")


ROWS = {row["job_id"]: row for row in json.loads(recorded("squeue.json"))["jobs"]}
"""The recorded queue by job number; its first is a held job of one card for 60 minutes."""
CLUSTER = Cluster(
    "chengdu",
    read(recorded("partitions.txt"), recorded("sinfo.txt"), recorded("config.txt")),
    "normal",
)


def row(job_id: int, **changes: Any) -> dict[str, Any]:
    """Return a recorded row, changed."""
    return copy.deepcopy(ROWS[job_id]) | changes


def squeue(*rows: dict[str, Any], errors: tuple[Any, ...] = ()) -> str:
    """Print rows as squeue --json does."""
    return json.dumps({"jobs": rows, "errors": errors, "warnings": []})


class FakeSlurm:
    """A folder of commands, to be put on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for path in RECORDED.glob("*.txt"):
            shutil.copy(path, folder)
        (folder / "sacctmgr.txt").write_text("chengdu\n")
        self.queue()
        for name in ("scontrol", "sinfo", "squeue", "sacctmgr", "sdiag"):
            (folder / name).write_text(SCRIPT.format(folder=folder, name=name))
            (folder / name).chmod(0o755)

    def queue(self, *rows: dict[str, Any]) -> None:
        """Let the queue be these rows."""
        self.says("squeue.json", squeue(*rows))

    def says(self, name: str, text: str) -> None:
        """Let a command print something else."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def fails(self, command: str, said: str = "slurm_load: Unable to contact\nmore") -> None:
        """Let a command fail."""
        (self.folder / f"{command}.fails").write_text(said)

    def hangs(self, command: str) -> None:
        """Let a command not answer."""
        (self.folder / f"{command}.hangs").touch()

    def heal(self) -> None:
        """Let every command answer again."""
        for path in (*self.folder.glob("*.fails"), *self.folder.glob("*.hangs")):
            path.unlink()
