"""What voucherd has Slurm do: hold a waiting job, say why, and let it go again.

Jobs that run are left alone, but for a mark that is not so any more. Why a job waits stands in
AdminComment (`waits=CODE`), which its user can read and not change; only jobs that say so, and
that nobody else holds, are released.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from accounting.errors import SlurmUnavailable
from slurm_voucher.commands import ask


@dataclass(frozen=True)
class Act:
    """One thing to be done to a job.

    Attributes:
        job_id: The job, or its array, or the first part of it.
        verb: hold, release, or '' where only the comment changes.
        comment_of: The job whose AdminComment is written, as Slurm calls it alone.
        comment: What it is to be.
    """

    job_id: int
    verb: str
    comment_of: int | str
    comment: str


def carry_out(acts: Iterable[Act]) -> list[str]:
    """Have Slurm do what is to be done; return what it did not do, which the next look sees again.

    A job is marked before it is held and unmarked after it is released: what stops in the middle
    is still ours to release.
    """
    problems = []
    for act in acts:
        mark = ["update", f"JobId={act.comment_of}", f"AdminComment={act.comment}"]
        move = [[act.verb, str(act.job_id)]] if act.verb else []
        for arguments in [*move, mark] if act.verb == "release" else [mark, *move]:
            try:
                ask(["scontrol", *arguments])
            except SlurmUnavailable as error:
                problems.append(f"job {act.job_id}: {error}")
                break
    return problems
