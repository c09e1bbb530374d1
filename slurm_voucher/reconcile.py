"""Holds against the queue: bind what is seen, rebuild what was lost, end what is proved over."""

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.errors import VoucherError
from accounting.runs import watermarks
from accounting.vouchers import holds, releasing
from slurm_voucher import estimate
from slurm_voucher.asking import Asker, Rules, request
from slurm_voucher.queue import QueuedJob, Snapshot

CHECKS_MAX = 100
"""Changed jobs that one look works out, so that slurmctld's questions need not wait for long;
the next look goes on."""
HELD_MICRO_MAX = 2**63 - 1
"""What a column of the book can take."""


@dataclass
class Reconciled:
    """What reconciling did, by hold id."""

    rebuilt: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    voided: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


Checked = MutableMapping[str, list[dict[str, str]]]
"""What the queue said of the jobs of a hold when it was last worked out what they can cost."""


def apply(
    conn: Connection,
    rules: Rules,
    snapshot: Snapshot,
    *,
    began_s: int,
    nothing_waits: bool,
    checked: Checked,
) -> Reconciled:
    """Bring holds in line with one complete snapshot of the queue.

    Args:
        began_s: When the snapshot was begun.
        nothing_waits: Whether slurmdbd has everything; if not, nothing is voided.
        checked: Kept from one look to the next, so that only what changed is worked out again.
    """
    done = Reconciled(problems=list(snapshot.problems))
    by_hold: dict[str, list[QueuedJob]] = {}
    for job in snapshot.jobs:
        by_hold.setdefault(job.hold, []).append(job)
    cluster = rules.cluster.name
    live = _live(conn, cluster)
    checks = iter(range(CHECKS_MAX))
    for hold_id, own in by_hold.items():
        if hold_id not in live and not holds.exists(conn, hold_id):
            _rebuild(conn, rules, hold_id, own, began_s, done)
        _bind_and_check(conn, rules, live.get(hold_id), own, began_s, checked, checks, done)
    for hold_id in checked.keys() - by_hold.keys():
        del checked[hold_id]
    done.expired = releasing.expire_unseen(conn, cluster, set(by_hold), began_s)
    if nothing_waits:
        present = {hold for hold, own in by_hold.items() if not _ended(own)}
        present |= {row.id for row in live.values() if row.job_id in snapshot.there}
        collected_s = watermarks.by_cluster(conn).get(cluster, 0)
        done.voided = releasing.absent(conn, cluster, present, began_s, collected_s)
    return done


def _live(conn: Connection, cluster: str) -> dict[str, Any]:
    rows = conn.execute(holds.LIVE.where(schema.hold.c.cluster == cluster))
    return {row.id: row for row in rows}


def _ended(jobs: Sequence[QueuedJob]) -> bool:
    return all(job.ended for job in jobs)


def _rebuild(
    conn: Connection,
    rules: Rules,
    hold_id: str,
    jobs: Sequence[QueuedJob],
    began_s: int,
    done: Reconciled,
) -> None:
    """Enter a hold that the queue shows and the book does not have: it is a fact by now."""
    if _ended(jobs):
        return
    try:
        asked = _request(conn, rules, hold_id, jobs, began_s)
    except VoucherError as error:
        done.problems.append(_problem(jobs[0], hold_id, "cannot be rebuilt", error))
        return
    held_micro = jobs[0].held_micro
    if held_micro is not None:
        task_micro = -(-held_micro // asked.tasks)
        eligible_micro = min(task_micro, asked.task_eligible_micro)
        asked = replace(asked, task_micro=task_micro, task_eligible_micro=eligible_micro)
    if asked.tasks * asked.task_micro > HELD_MICRO_MAX:
        done.problems.append(_problem(jobs[0], hold_id, "cannot be rebuilt", "it is too large"))
        return
    holds.enter(conn, [asked], rules.policy, began_s)
    done.rebuilt.append(hold_id)


def _request(
    conn: Connection, rules: Rules, hold_id: str, jobs: Sequence[QueuedJob], began_s: int
) -> holds.Request:
    """Work out what all jobs of a hold need: the dearest, times the tasks that are there."""
    dearest = None
    for job in jobs:
        if not job.ended:
            asker = Asker(job.voucher, job.uid)
            one = request(
                conn, rules, hold_id, asker, job.fields, now_s=began_s, submit_s=job.submit_s
            )
            if dearest is None or one.task_micro > dearest.task_micro:
                dearest = one
    assert dearest is not None
    tasks = sum(estimate.array_tasks(job.fields.get("array", "")) for job in jobs)
    return replace(dearest, tasks=tasks)


def _bind_and_check(
    conn: Connection,
    rules: Rules,
    row: Any | None,
    jobs: Sequence[QueuedJob],
    began_s: int,
    checked: Checked,
    checks: Iterator[int],
    done: Reconciled,
) -> None:
    """Tie a hold to its job, and raise it where the job was changed behind our back.

    No hook sees the job a hold belongs to before the first binding, nor which part of a
    heterogeneous job is changed.
    """
    hold_id, first = jobs[0].hold, jobs[0]
    cluster = rules.cluster.name
    if row is None:
        if hold_id in done.rebuilt:
            releasing.bind(conn, hold_id, cluster, first.array_job_id, first.submit_s, began_s)
        return
    if row.job_id is None:
        releasing.bind(conn, hold_id, cluster, first.array_job_id, first.submit_s, began_s)
    elif row.job_id not in {job.array_job_id for job in jobs}:
        why = f"AdminComment was changed; the hold is job {row.job_id}'s"
        done.problems.append(_problem(first, hold_id, "is another job's", why))
        return
    now = [dict(job.fields) for job in jobs if not job.ended]
    if not now or checked.get(hold_id) == now or next(checks, None) is None:
        return
    checked[hold_id] = now
    try:
        asked = replace(_request(conn, rules, hold_id, jobs, began_s), tasks=row.tasks)
        if asked.task_micro > row.task_micro:
            holds.raise_to(conn, row, asked, rules.policy, began_s)
            done.raised.append(hold_id)
    except VoucherError as error:
        done.problems.append(_problem(first, hold_id, "may be below what the job can cost", error))


def _problem(job: QueuedJob, hold_id: str, what: str, why: object) -> str:
    return f"job {job.job_id}: hold {hold_id} {what}: {why}"
