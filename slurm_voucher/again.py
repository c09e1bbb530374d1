"""Jobs that run again though their hold has ended: a user may requeue a job that has finished.

Slurm gives such a job a later submit and keeps its AdminComment. What was held for it was for the
runs that are over, so it gets a hold of its own; the id is made from both, so that it is the same
in whatever look it is found first.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Connection

from accounting.vouchers import releasing
from slurm_voucher.queue import QueuedJob

Jobs = Sequence[QueuedJob]


def split(
    conn: Connection, by_hold: Mapping[str, Jobs], live: Mapping[str, Any]
) -> dict[str, list[QueuedJob]]:
    """Return jobs by hold, those that run again apart from the ones that their hold was for.

    Args:
        by_hold: As their AdminComment says.
        live: Holds in the book that have not ended.
    """
    later = [
        hold_id
        for hold_id, own in by_hold.items()
        if hold_id not in live or any(_is_later(job, live[hold_id].submit_s) for job in own)
    ]
    over = releasing.ended_tasks(conn, [i for i in later if not all(j.ended for j in by_hold[i])])
    found: dict[str, list[QueuedJob]] = {}
    for hold_id, own in by_hold.items():
        first_s, tasks = over.get(hold_id, (None, frozenset[str]()))
        for job in own:
            if _is_later(job, first_s) and tasks & {"*", str(job.job_id)}:
                job = _anew(job)
            found.setdefault(job.hold, []).append(job)
    return found


def _is_later(job: QueuedJob, submit_s: int | None) -> bool:
    return submit_s is not None and job.submit_s > submit_s and not job.ended


def _anew(job: QueuedJob) -> QueuedJob:
    hold = hashlib.sha256(f"{job.hold} {job.submit_s}".encode()).hexdigest()[:32]
    return replace(job, marks=job.marks._replace(hold=hold, held_micro=None))
