"""What voucherd has Slurm do: hold a waiting job, say why, and let it go again.

Jobs that run are left alone, but for a mark that is not so any more. Why a job waits stands in
AdminComment (`waits=CODE`), which its user can read and not change; only jobs that say so, and
that nobody else holds, are released.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from accounting.errors import SlurmUnavailable
from slurm_voucher.commands import ask

_EACH = re.compile(r"[0-9]+_[0-9,:%.\[\]-]+: (No error|Job has already finished)")
"""What scontrol says of an array, with exit code 1, when tasks that have ended are remembered: what
was to be done is done to the others.

Source:
    slurm/src/slurmctld/job_mgr.c, update_job_str; seen on 22.05
"""


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
                ask(["scontrol", *arguments], fine=_EACH)
            except SlurmUnavailable as error:
                problems.append(f"job {act.job_id}: {error}")
                break
    return problems
