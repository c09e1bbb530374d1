"""Slurm's own roll-up of usage: what `sreport` says of accounts, users and resources.

slurmdbd rolls usage up by the hour, some minutes after its end. It splits runs by time, takes
suspended seconds off and counts runs that still go on.
"""

from collections import Counter

from accounting.errors import UsageInvalid
from slurm_voucher import times, tres
from slurm_voucher.logins import Login
from slurm_voucher.sources import commands, sacct, sacct_query

KINDS = ("cpu", "gres/gpu")
FIELDS = ("Cluster", "Account", "Login", "TresName", "Used")
LATE_S = 3_600
"""How long after its end an hour may still be rolled up."""


def command(begin_s: int, until_s: int, cluster: str) -> list[str]:
    """Write the arguments of sreport for a window of whole hours."""
    if begin_s % 3_600 or until_s % 3_600:
        raise ValueError("sreport knows whole hours alone")
    return [
        "sreport", "-n", "-P", "-t", "Seconds", "-T", ",".join(KINDS),
        "cluster", "AccountUtilizationByUser", f"Clusters={cluster}",
        f"Start={times.utc(begin_s)}", f"End={times.utc(until_s)}", f"format={','.join(FIELDS)}",
    ]  # fmt: skip


def used(
    begin_s: int, until_s: int, cluster: str, login: Login | None = None
) -> Counter[tuple[str, str, str]]:
    """Return seconds by Slurm account, user and resource in a window.

    Raises:
        SlurmUnavailable: sreport is not there, failed or took too long.
        UsageInvalid: Its answer cannot be read.
    """
    return read(commands.answer(command(begin_s, until_s, cluster), login), cluster)


def read(text: str, cluster: str) -> Counter[tuple[str, str, str]]:
    """Read what sreport printed. Rows without a user are the sums over the accounts below."""
    found: Counter[tuple[str, str, str]] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        row = line.split("|")
        if len(row) != len(FIELDS) or row[0] != cluster or row[3] not in KINDS:
            raise UsageInvalid(
                f"sreport: line {number} is {line[:80]!r}, {len(FIELDS)} fields of {cluster} are "
                "needed"
            )
        if not row[4].isdecimal():
            raise UsageInvalid(f"sreport: line {number}: Used {row[4][:40]!r} is no whole number")
        if row[2]:
            found[row[1], row[2], row[3]] += int(row[4])
    return +found


GOING_ON = ("Start", "End", "Suspended", "Account", "User", "NCPUS", "AllocTRES")


def going_on(
    begin_s: int, until_s: int, cluster: str, login: Login | None = None
) -> Counter[tuple[str, str, str]]:
    """Return what jobs that still run had in a window: the roll-up counts them, too.

    Raises:
        SlurmUnavailable: sacct is not there, failed or took too long.
        UsageInvalid: Its answer cannot be read.
    """
    asked = sacct_query.command(begin_s, until_s, states=("R", "S"), fields=GOING_ON)
    found: Counter[tuple[str, str, str]] = Counter()
    for number, line in enumerate(commands.answer(asked, login).splitlines(), 1):
        row = dict(zip(GOING_ON, line.split("|"), strict=False))
        if len(row) != len(GOING_ON):
            raise UsageInvalid(f"sacct: line {number} is {line[:80]!r}, which is no running job")
        if row["End"] not in sacct.UNSET or row["Start"] in sacct.UNSET:
            continue
        try:
            start_s = times.epoch_s(row["Start"], "UTC")
            rest_s = times.duration_s(row["Suspended"])
            counts = {
                "cpu": tres.count(row["NCPUS"]),
                "gres/gpu": tres.read(row["AllocTRES"]).cards,
            }
        except ValueError as error:
            raise UsageInvalid(f"sacct: line {number}: {error}") from None
        seconds = max(0, until_s - max(start_s, begin_s) - rest_s)
        for kind, count in counts.items():
            found[row["Account"], row["User"], kind] += seconds * count
    return +found
