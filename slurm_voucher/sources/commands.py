"""What a command of Slurm prints, whole: for answers that are small, here or on a login node."""

from accounting.errors import SlurmUnavailable
from slurm_voucher.logins import Login
from slurm_voucher.sources import here, sacct_query

TIMEOUT_S = 600
ANSWER_BYTES_MAX = 64 << 20


def answer(asked: list[str], login: Login | None) -> str:
    """Return what a command prints, here or on a login node.

    Raises:
        SlurmUnavailable: It is not there, failed, took too long, or says more than is read.
    """
    unset, env = sacct_query.UNSET, sacct_query.ENV
    if login is None:
        found = here.ask(asked, unset=unset, env=env, timeout_s=TIMEOUT_S)
    else:
        from slurm_voucher.sources import ssh  # loads paramiko

        found = ssh.ask(login, asked, unset=unset, env=env, timeout_s=TIMEOUT_S)
    parts, size = [], 0
    for part in found:
        parts.append(part)
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise SlurmUnavailable(
                f"{asked[0]}: its answer is over {ANSWER_BYTES_MAX} bytes; ask for fewer days"
            )
    return b"".join(parts).decode("utf-8", "replace")
