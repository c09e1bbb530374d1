"""Ask sacct which jobs went on over an instant, such as the end of a month."""

from collections.abc import Iterator
from dataclasses import dataclass

from accounting.errors import UsageInvalid
from slurm_voucher import times
from slurm_voucher.logins import Login
from slurm_voucher.sources import commands, sacct, sacct_query

FIELDS = ("JobID", "Cluster", "Start", "End", "Partition", "User")
STATES = ("R", "S")


@dataclass(frozen=True)
class Running:
    """A job that had begun before the instant and had not ended by then.

    Attributes:
        job: As people see it: 16_2.
        partition: Where it runs.
        user: Whose it is.
        start_s: When it began.
        end_s: When it ended since. None: it still runs.
    """

    job: str
    partition: str
    user: str
    start_s: int
    end_s: int | None

    @property
    def number(self) -> int:
        """Number of the job, of the array for a task of one, of the whole for a part of a het job:
        what a hold is bound to."""
        return int(self.job.replace("+", "_").partition("_")[0])


def over(at_s: int, cluster: str, login: Login | None = None) -> list[Running]:
    """Return the jobs that went on over an instant, in the order of their begin.

    Raises:
        SlurmUnavailable: sacct is not there, failed or took too long.
        UsageInvalid: Its answer cannot be read.
    """
    asked = sacct_query.command(at_s, at_s + 1, states=STATES, fields=FIELDS)
    found = read(commands.answer(asked, login), cluster)
    went_on = [each for each in found if each.start_s < at_s and at_s <= (each.end_s or at_s)]
    return sorted(went_on, key=lambda each: (each.start_s, each.job))


def read(text: str, cluster: str) -> Iterator[Running]:
    """Read what sacct printed; a job that has not begun is left out. Raises UsageInvalid."""
    for number, line in enumerate(text.splitlines(), 1):
        values = line.split("|")
        row = dict(zip(FIELDS, values, strict=False))
        if (
            len(values) != len(FIELDS)
            or row["Cluster"] != cluster
            or not row["JobID"][:1].isdigit()
        ):
            raise UsageInvalid(
                f"sacct: line {number} is {line[:80]!r}, a job of {cluster} is needed"
            )
        if row["Start"] in sacct.UNSET:
            continue
        try:
            start_s = times.epoch_s(row["Start"], "UTC")
            end_s = None if row["End"] in sacct.UNSET else times.epoch_s(row["End"], "UTC")
        except ValueError as error:
            raise UsageInvalid(f"sacct: line {number}: {error}") from None
        yield Running(row["JobID"], row["Partition"], row["User"], start_s, end_s)
