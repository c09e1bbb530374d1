"""Slurm's own commands: run one, and return what it prints. Nothing else of a site is loaded."""

import os
import re
import subprocess

from accounting.errors import SlurmUnavailable

TIMEOUT_S = 20


def ask(
    command: list[str], timeout_s: float = TIMEOUT_S, *, fine: re.Pattern[str] | None = None
) -> str:
    """Run one of Slurm's commands and return what it prints.

    Args:
        command: The command and its arguments.
        timeout_s: How long it may take.
        fine: What each line of its errors says when none of them is one.

    Raises:
        SlurmUnavailable: It is not there, failed, or took too long.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=timeout_s,
            check=False, stdin=subprocess.DEVNULL, env=os.environ | {"SLURM_BITSTR_LEN": "0"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SlurmUnavailable(f"{command[0]}: no answer in {timeout_s} s; try again") from None
    except OSError as error:
        raise SlurmUnavailable(f"{command[0]}: {error.strerror}; install it or set PATH") from None
    lines = done.stderr.strip().splitlines()
    if done.returncode and not (fine and lines and all(map(fine.fullmatch, lines))):
        said = lines[0] if lines else ""
        raise SlurmUnavailable(f"{command[0]}: {said or 'failed'}; is slurmctld running?")
    return done.stdout
