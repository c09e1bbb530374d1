"""Holds against the queue: bind what is seen, rebuild what was lost, end what is proved over."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from accounting.errors import VoucherError
from accounting.policy import Policy
from accounting.rates import quoting
from accounting.rates.tariff import Tariff
from accounting.settle import charging
from accounting.vouchers import holds, releasing
from slurm_voucher import estimate
from slurm_voucher.partitions import Cluster
from slurm_voucher.queue import QueuedJob


@dataclass
class Reconciled:
    """What reconciling did, by hold id."""

    rebuilt: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    voided: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def apply(
    conn: Connection,
    cluster: Cluster,
    jobs: Sequence[QueuedJob],
    *,
    began_s: int,
    nothing_waits: bool,
    prices: Tariff,
    policy: Policy,
) -> Reconciled:
    """Bring holds in line with one complete snapshot of the queue.

    Args:
        jobs: The snapshot.
        began_s: When it was begun.
        nothing_waits: Whether slurmdbd has everything; if not, nothing is voided.
    """
    done = Reconciled()
    by_hold: dict[str, list[QueuedJob]] = {}
    for job in jobs:
        assert job.marks.hold is not None
        by_hold.setdefault(job.marks.hold, []).append(job)
    for hold_id, own in by_hold.items():
        if not holds.exists(conn, hold_id) and not all(job.ended for job in own):
            _rebuild(conn, cluster, hold_id, own, prices, policy, began_s, done)
        if holds.exists(conn, hold_id):
            first = own[0]
            releasing.bind(conn, hold_id, cluster.name, first.array_job_id, first.submit_s, began_s)
    done.expired = releasing.expire_unseen(conn, cluster.name, set(by_hold), began_s)
    if nothing_waits:
        present = {hold for hold, own in by_hold.items() if not all(job.ended for job in own)}
        collected_s = charging.watermarks(conn).get(cluster.name, 0)
        done.voided = releasing.absent(conn, cluster.name, present, began_s, collected_s)
    return done


def _rebuild(
    conn: Connection,
    cluster: Cluster,
    hold_id: str,
    jobs: Sequence[QueuedJob],
    prices: Tariff,
    policy: Policy,
    now_s: int,
    done: Reconciled,
) -> None:
    """Enter a hold that the queue shows and the book does not have: it is a fact by now."""
    job = jobs[0]
    account = job.marks.voucher or ""
    tasks = sum(estimate.array_tasks(each.fields.get("array", "")) for each in jobs)
    try:
        asked = estimate.most(job.fields, cluster)
        window = holds.validity(conn, account)
        quote = quoting.most(prices, asked.kind, asked.limit_s, now_s, window)
    except VoucherError as error:
        done.problems.append(f"job {job.job_id}: hold {hold_id} cannot be rebuilt: {error}")
        return
    held_micro = job.marks.held_micro
    task_micro = quote.fee_micro if held_micro is None else -(-held_micro // tasks)
    request = holds.Request(
        hold_id, cluster.name, account, job.uid, tasks, task_micro,
        min(task_micro, quote.eligible_micro), job.fields,
    )  # fmt: skip
    holds.enter(conn, request, policy, now_s)
    done.rebuilt.append(hold_id)
