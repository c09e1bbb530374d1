"""Move a waiting job from one voucher account to another.

The new hold is taken first, then AdminComment names it, then the old one ends: killed in between
the job has both, and the same command again does the rest.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.errors import InvalidInput, NotAllowed
from accounting.vouchers import holds, releasing
from accounting.vouchers.holds import Position
from slurm_voucher import marks
from slurm_voucher.acting import Act, carry_out
from slurm_voucher.asking import Asker, Rules, request
from slurm_voucher.following import together
from slurm_voucher.queue import QueuedJob, Snapshot


def rebind(
    engine: Engine, rules: Rules, snapshot: Snapshot, job_id: int, account: str, now_s: int
) -> tuple[str, Position, list[str]]:
    """Move a waiting job to another account.

    Args:
        snapshot: The queue, just now.
        job_id: The job, or an array as a whole.

    Returns:
        Its new hold, where the account stands with it, and what Slurm did not do.

    Raises:
        InvalidInput: The queue shows no such job with a hold.
        NotAllowed: It runs, or a task of it ran, or it is another user's than the account's.
        VoucherError: The account may not be spent, or does not cover it.
    """
    own = _waiting(snapshot, job_id)
    with engine.begin() as conn:
        ledger.lock(conn)
        live = _holds_of(conn, rules, own[0].array_job_id)
        new = next((row.id for row in live if row.account == account), None)
        if new is None:
            _insist_on_whole(live, own[0].array_job_id)
            new = _place(conn, rules, own, account, now_s)
        after = holds.position(conn, account, rules.policy)
        held = holds.find_live(conn, new)
    assert held is not None
    amount = held.live * held.task_micro
    acts = [_marked(job, account, new, amount) for job in own if job.marks.hold != new]
    problems = carry_out(acts)
    if not problems:
        with engine.begin() as conn:
            for row in live:
                if row.id != new:
                    why = f"{releasing.REBOUND} to {new}"
                    releasing.end(conn, row.id, "*", "voided", row.live, now_s, why)
    return new, after, problems


def _marked(job: QueuedJob, account: str, hold_id: str, held_micro: int) -> Act:
    own = job.marks._replace(voucher=account, hold=hold_id, held_micro=held_micro)
    return Act(job.act_on, "", job.marked_by, marks.write(job.comment, own))


def _waiting(snapshot: Snapshot, job_id: int) -> list[QueuedJob]:
    own = [job for job in snapshot.jobs if job.array_job_id == job_id and not job.ended]
    if not own:
        raise InvalidInput(f"job {job_id}: 0 jobs with a voucher in the queue; see squeue")
    if not all(job.waiting for job in own):
        raise NotAllowed(
            f"job {job_id}: {sum(not job.waiting for job in own)} of it run, 0 may; a run is paid "
            "by the voucher that it began with"
        )
    return own


def _holds_of(conn: Connection, rules: Rules, job_id: int) -> Sequence[Any]:
    bound = schema.hold_bind.c
    query = holds.LIVE.where(bound.cluster == rules.cluster.name, bound.job_id == job_id)
    return conn.execute(query).all()


def _insist_on_whole(live: Sequence[Any], job_id: int) -> None:
    if not live:
        raise InvalidInput(f"job {job_id}: 0 holds in the book, 1 is needed; wait a minute")
    ran = sum(row.tasks - row.live for row in live)
    if ran:
        raise NotAllowed(
            f"job {job_id}: {ran} of its tasks ran already, 0 may; cancel the rest and submit it "
            "by the other voucher"
        )


def _place(
    conn: Connection, rules: Rules, own: Sequence[QueuedJob], account: str, now_s: int
) -> str:
    """Take the hold on the new account, and tie it to the job at once."""
    new, first = secrets.token_hex(16), own[0]
    asked = [
        request(conn, rules, new, Asker(account, job.uid), job.fields, now_s=now_s, submit_s=now_s)
        for job in own
    ]
    wanted = together(asked, own)
    holds.place(conn, wanted, rules.policy, now_s)
    releasing.bind(conn, new, wanted.cluster, first.array_job_id, first.submit_s, now_s)
    return new
