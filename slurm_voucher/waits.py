"""Which waiting jobs are to be held in the queue, and which are let go again.

Where an account is short its newest waiting jobs wait until it is not; so does each job that may
not be paid by its account. What Slurm is to do about it is carried out by acting.py.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy.engine import Connection

from accounting.errors import InsufficientBalance, VoucherError
from accounting.money import BP, MICRO_PER_FEN
from accounting.policy import Policy
from accounting.vouchers import holds
from accounting.vouchers.holds import Held, Position
from slurm_voucher import marks
from slurm_voucher.acting import Act
from slurm_voucher.queue import QueuedJob

Jobs = Sequence[QueuedJob]
OWES_MICRO = 2**63 - 1
"""By how much an account is short whose unit owes more than it may: no job makes up for it."""


def acts(
    conn: Connection,
    policy: Policy,
    by_hold: Mapping[str, Jobs],
    live: Mapping[str, Held],
    why: Mapping[str, VoucherError],
    judged: Collection[str],
) -> list[Act]:
    """Find what is to be done to jobs; only what is not so yet.

    Args:
        by_hold: Jobs of the queue by hold.
        live: Holds in the book.
        why: Why jobs may not run now, by hold.
        judged: Holds that are what their jobs can cost: no job of another one is released.
    """
    found: dict[Act, None] = {}
    waiting: dict[str, list[tuple[Held, Jobs]]] = {}
    for hold_id, own in by_hold.items():
        held = live.get(hold_id)
        found.update(dict.fromkeys(_unmarked(own, held)))
        if not any(job.waiting for job in own):
            continue
        if held is not None:
            waiting.setdefault(held.account, []).append((held, own))
        elif hold_id in why:
            found.update(dict.fromkeys(_waits(own, why[hold_id].code, None)))
    for account, some in waiting.items():
        where = holds.position(conn, account, policy)
        short_micro = _short_micro(where)
        for held, own in sorted(some, key=_newest, reverse=True):
            error = why.get(held.id)
            if error is None and short_micro > 0:
                short_micro -= held.live * _cash_micro(held, where)
                error = InsufficientBalance("")
            if error is not None or held.id in judged:
                found.update(dict.fromkeys(_waits(own, error.code if error else None, held)))
    return list(found)


def _unmarked(own: Jobs, held: Held | None) -> Iterator[Act]:
    """Take the reason off jobs that wait no more: one started before our hold reached it, or
    somebody else let it go; requeued and held it would pass for ours."""
    for job in own:
        if job.marks.waits is not None and not job.waiting and not job.ended:
            yield _act(job, "", held, None)


def _waits(own: Jobs, code: str | None, held: Held | None) -> Iterator[Act]:
    """Have jobs wait for a reason, or go on (None)."""
    for job in own:
        if not job.waiting:
            continue
        # What the hook held at submit Slurm takes for its user's hold: to wait on it is held anew.
        hooks = job.stopped and job.marks.waits == marks.UNASKED
        ours = hooks or (job.stopped and not job.not_by_us and job.marks.waits is not None)
        # A job that somebody else holds waits anyway.
        stop = code is not None and (not job.stopped or (hooks and job.not_by_us))
        waits = code if ours or stop else None
        if stop or waits != job.marks.waits:
            verb = "hold" if stop else "release" if ours and code is None else ""
            yield _act(job, verb, held, waits)


def _act(job: QueuedJob, verb: str, held: Held | None, waits: str | None) -> Act:
    """Return what is to be done to a job, with all that is known by now in its AdminComment."""
    amount = held.live * held.task_micro if held else job.marks.held_micro
    voucher = held.account if held else job.marks.voucher
    own = job.marks._replace(voucher=voucher, held_micro=amount, waits=waits)
    return Act(job.act_on, verb, job.job_id, marks.write(job.comment, own))


def _newest(held_and_jobs: tuple[Held, Jobs]) -> tuple[int, str]:
    held, own = held_and_jobs
    return max(job.submit_s for job in own), held.id


def _short_micro(where: Position) -> int:
    """Return by how much an account does not cover what is accrued and held on it."""
    if where.owed_fen > where.credit_fen:
        return OWES_MICRO
    return -where.free_cash_fen * MICRO_PER_FEN


def _cash_micro(held: Held, where: Position) -> int:
    """Return what of a task's fee its vouchers will surely not bear."""
    return held.task_micro - held.task_eligible_micro * where.ratio_bp // BP
