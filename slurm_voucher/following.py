"""What a hold becomes when its jobs in the queue can cost something else than it was taken for.

More is held at once. Less, once two looks have shown it with no change of the hold between them:
the first may have begun before a change that was let pass was made. The queue does not say all
that the hook said (--exclusive), so what it shows now is compared with what it showed before, and
the hold becomes less by as much; or more, where prices are others and the job is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from accounting.rates import quoting
from accounting.vouchers import holds
from accounting.vouchers.holds import Held, Request
from slurm_voucher import estimate
from slurm_voucher.asking import Terms
from slurm_voucher.queue import QueuedJob

Jobs = Sequence[Mapping[str, str]]
"""What the queue shows of a hold's jobs."""
WAITING, RUNNING = "waiting", "running"
NOW_S, NEVER_S = 0, 2**62
"""When a hold is worked out again whose jobs do not change: at the next look, or not at all."""


@dataclass(frozen=True)
class Seen:
    """What the last look saw of a hold, and whether all was done.

    Attributes:
        jobs: Fields of its jobs.
        turn: The last change of the hold that it knew.
        asked_micro: What a task could cost, by what the queue shows. None: it is not known.
        terms: By which terms its account computed.
        at_s: When it was last worked out.
        again_s: From when on to work it out again, though nothing has changed.
    """

    jobs: Jobs
    turn: int
    asked_micro: int | None
    terms: Terms
    at_s: int
    again_s: int

    def comparable_micro(self, held: Held, jobs: Jobs) -> int | None:
        """Return what a task could cost, if what the queue shows now can be compared with it.

        What a job was given is shown only while it runs. That it is not shown any more, because
        the job was requeued or the task that ran has ended, says nothing of what comes next.
        """
        ran = _runs(self.jobs) and not _runs(jobs)
        return self.asked_micro if held.turn == self.turn and not ran else None

    def same(self, now: "Seen") -> bool:
        """Tell whether hold and jobs are what they were."""
        return (self.jobs, self.turn) == (now.jobs, now.turn)

    def stands(self, now: "Seen") -> bool:
        """Tell whether there is nothing to be worked out again."""
        return self.terms == now.terms and now.at_s < self.again_s and self.same(now)


@dataclass(frozen=True)
class Followed:
    """What a hold becomes.

    Attributes:
        before, after: The hold; one and the same where it stays as it is.
        seen: What is remembered of it.
    """

    before: Held
    after: Held
    seen: Seen

    @property
    def lower(self) -> bool:
        """Whether it becomes less."""
        return self.after.task_micro < self.before.task_micro


def follow(held: Held, asked: Request, past_micro: int, before: Seen | None, now: Seen) -> Followed:
    """Return what a hold becomes.

    Args:
        held: The hold.
        asked: What its jobs can cost, by what the queue shows.
        past_micro: What those that run may have cost until now, of a task.
        before: What was seen of it by the last look.
        now: What is seen of it now, as far as it is known.
    """
    same = before is not None and before.same(now)
    base_micro = asked.task_micro if now.asked_micro is None else now.asked_micro
    less = 0 < asked.task_micro < min(base_micro, held.task_micro)
    moves = same and (less or asked.task_micro > base_micro > 0)
    wanted = _wanted(held, asked, past_micro, base_micro if moves else None)
    after = holds.followed(held, wanted, lower=same)
    shown_micro = base_micro if less and not same else asked.task_micro
    seen = replace(now, asked_micro=shown_micro)
    if not same and (less or wanted.task_eligible_micro < after.task_eligible_micro):
        seen = replace(seen, again_s=NOW_S)
    return Followed(held, after, seen)


def _wanted(held: Held, asked: Request, past_micro: int, base_micro: int | None) -> Request:
    """Return what a task is to be held for: what it can cost, and no less than now; where the
    queue, or the price list, showed `base_micro` before, less or more by as much. What becomes
    less keeps what it may have cost already."""
    micro = held.task_micro
    if base_micro is not None:
        micro = -(-micro * asked.task_micro // base_micro)
    if micro < held.task_micro:
        micro = min(held.task_micro, micro + past_micro)
    micro = max(asked.task_micro, micro)
    share_micro = micro * asked.task_eligible_micro // max(asked.task_micro, 1)
    return structs.replace(asked, task_micro=micro, task_eligible_micro=share_micro)


def together(asked: Sequence[Request], jobs: Sequence[QueuedJob]) -> Request:
    """Return the hold for all jobs of one: the dearest, times the tasks that are there."""
    dearest = max(asked, key=lambda one: one.task_micro)
    tasks = sum(estimate.array_tasks(job.fields.get("array", "")) for job in jobs)
    return structs.replace(dearest, tasks=tasks)


def past_micro(held: Held, own: Sequence[QueuedJob], now_s: int) -> int:
    """Return what a job that runs may have cost until now: its hold by the time that has passed."""
    found = 0
    for job in own:
        limit_s = 60 * (estimate.number(job.fields, "time_limit") or 0)
        if limit_s and job.start_s is not None and not job.ended:
            past_s = min(max(now_s - job.start_s, 0), limit_s)
            found = max(found, -(-held.task_micro * past_s // limit_s))
    return found


def bears_until(quote: quoting.Quote, by: Terms, now_s: int) -> int:
    """Return until when a voucher bears as much of a job that starts later: all of it, as long as
    the job would end in time, and nothing, once it has expired; in between it is less each second.
    """
    if by.window is None or by.window[1] <= now_s:
        return NEVER_S
    whole = quote.fee_micro - quote.eligible_micro <= 1  # one is rounded up, the other down
    return by.window[1] - quote.limit_s - quoting.LONGEST_S if whole else NOW_S


def shown(jobs: Sequence[QueuedJob]) -> Jobs:
    """Return what the queue shows of jobs that says what they can cost."""
    return [
        dict(job.fields) | {"state": WAITING if job.waiting else RUNNING}
        for job in jobs
        if not job.ended
    ]


def _runs(jobs: Jobs) -> bool:
    return any(job["state"] == RUNNING for job in jobs)
