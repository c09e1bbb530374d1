"""Slurm's own commands: run one, and return what it prints. Nothing else of a site is loaded."""

import os
import subprocess

from accounting.errors import SlurmUnavailable

TIMEOUT_S = 20


def ask(command: list[str], timeout_s: float = TIMEOUT_S) -> str:
    """Run one of Slurm's commands and return what it prints.

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
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0]
        raise SlurmUnavailable(f"{command[0]}: {said or 'failed'}; is slurmctld running?")
    return done.stdout
