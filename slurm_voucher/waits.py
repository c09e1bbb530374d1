"""Which waiting jobs are to be held in the queue, and which are let go again; which running ones
are to be ended.

Where an account is short its newest waiting jobs wait until it is not; so does each job that may
not be paid by its account. Where the site has it so they then go on as self-pay, a step at each
look: the job is held and says why; it says that it goes on without its voucher; what was held for
it has been given back (reconcile.py), and it is released. So a job never runs on both. Jobs that
run are left alone, but where the site says otherwise of their account. What Slurm is to do about it
is carried out by acting.py and ending.py.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from accounting.errors import (
    InsufficientBalance,
    NotAllowed,
    NotEligible,
    VoucherError,
    VoucherExpired,
)
from accounting.money import BP, MICRO_PER_FEN
from accounting.policy import Policy
from accounting.vouchers import holds
from accounting.vouchers.holds import Held, Position
from slurm_voucher import marks
from slurm_voucher.acting import Act
from slurm_voucher.choices import Choices
from slurm_voucher.ending import Ending
from slurm_voucher.marks import Marks
from slurm_voucher.queue import QueuedJob

Jobs = Sequence[QueuedJob]
OWES_MICRO = 2**63 - 1
"""By how much an account is short whose unit owes more than it may: no job makes up for it."""
OF_THE_VOUCHER = frozenset(
    each.code for each in (InsufficientBalance, VoucherExpired, NotEligible, NotAllowed)
)
"""Why a voucher does not pay a job; what a job can cost is no reason to let it go without one."""


@dataclass(frozen=True)
class Judge:
    """Judges the jobs of one look.

    Attributes:
        conn: The book.
        policy: The rules.
        choices: The site's.
        why: Why waiting jobs may not run now, by hold.
        barred: Why jobs may not be paid by their account from now on, by hold.
        judged: Holds that are what their jobs can cost: no job of another one is released.
        expired: Holds on accounts whose vouchers have all expired.
        stay: Numbers by which jobs would be let go of which one has to wait.
    """

    conn: Connection
    policy: Policy
    choices: Choices
    why: Mapping[str, VoucherError]
    barred: Mapping[str, VoucherError]
    judged: Collection[str]
    expired: Collection[str]
    stay: set[int] = field(default_factory=set)

    def judge(
        self, by_hold: Mapping[str, Jobs], live: Mapping[str, Held], self_paid: Jobs
    ) -> tuple[list[Act], list[Ending]]:
        """Find what is to be done to jobs, only what is not so yet; and which of those that run are
        to be ended.

        Args:
            by_hold: Jobs of the queue by hold.
            live: Holds in the book.
            self_paid: Jobs that say they go on without a voucher.
        """
        found: dict[Act, None] = {}
        endings: list[Ending] = []
        accounts: dict[str, list[tuple[Held, Jobs]]] = {}
        for hold_id, own in by_hold.items():
            held = live.get(hold_id)
            found.update(dict.fromkeys(_unmarked(own, held)))
            if held is not None:
                accounts.setdefault(held.account, []).append((held, own))
            elif hold_id in self.why:
                found.update(dict.fromkeys(self._wait(own, self.why[hold_id].code, None)))
        for account, some in accounts.items():
            acts, ends = self._of_account(account, sorted(some, key=_newest, reverse=True))
            found.update(dict.fromkeys(acts))
            endings += ends
        found.update(dict.fromkeys(_let_go(self_paid, by_hold)))
        found.update(dict.fromkeys(_not_to_be_ended(by_hold, endings)))
        stays = [a for a in found if a.verb == "release" and a.job_id in self.stay]
        return [act for act in found if act not in stays], endings

    def _of_account(
        self, account: str, newest: Sequence[tuple[Held, Jobs]]
    ) -> tuple[list[Act], list[Ending]]:
        """Let the newest jobs of an account wait, as many as it takes."""
        waiting = [(held, own) for held, own in newest if any(job.waiting for job in own)]
        may_end = self.choices.end_running.covers(account)
        acts: list[Act] = []
        if not (waiting or may_end):
            return acts, []
        where = holds.position(self.conn, account, self.policy)
        short_micro = _short_micro(where)
        for held, own in waiting:
            error = self.why.get(held.id)
            if error is None and short_micro > 0:
                short_micro -= held.live * _cash_micro(held, where)
                error = self._too_little(held)
            if error is not None or held.id in self.judged:
                acts += self._wait(own, error.code if error else None, held)
        return acts, self._endings(newest, where) if may_end else []

    def _endings(self, newest: Sequence[tuple[Held, Jobs]], where: Position) -> list[Ending]:
        """Return which jobs that run are to be ended: those that the account may not pay, and of
        the others the newest, where it would be short though nothing waited."""
        found: list[Ending] = []
        left: list[tuple[Held, QueuedJob]] = []
        for held, own in newest:
            runs, error = [job for job in own if job.runs], self.barred.get(held.id)
            if error is not None:
                found += [Ending(job, held.account, error.code) for job in runs]
            elif runs:
                left += [(held, job) for job in sorted(runs, key=_started, reverse=True)]
            stay = len(runs) if error is None else 0
            where = _without(where, held, max(held.live - stay, 0))
        for held, job in left:
            if _short_micro(where) <= 0:
                break
            where = _without(where, held, 1)
            found.append(Ending(job, held.account, self._too_little(held).code))
        return found

    def _too_little(self, held: Held) -> VoucherError:
        """Return why an account is short: by its voucher's end, or by what was used."""
        return VoucherExpired("") if held.id in self.expired else InsufficientBalance("")

    def _wait(self, own: Jobs, code: str | None, held: Held | None) -> Iterator[Act]:
        """Have jobs wait for a reason, or say that they pay for themselves, or go on (None)."""
        left = [job for job in own if not job.ended]
        if code is not None:  # parts of a heterogeneous job are let go together
            self.stay.update(job.act_on for job in left)
        pays = self._self_pays(left, code, held) and all(_ours(job) for job in left)
        for job in left:
            if pays:
                own_marks = Marks(None, None, None, job.marks.waits, code)
                yield Act(job.act_on, "", job.marked_by, marks.write(job.comment, own_marks))
            elif job.waiting:
                yield from _waits(job, code, held)

    def _self_pays(self, left: Jobs, code: str | None, held: Held | None) -> bool:
        """Tell whether the site lets jobs go on without a voucher that may not go on with one."""
        unnamed = held is None and all(job.marks.voucher is None for job in left)
        allowed = self.choices.unnamed_self_pay if unnamed else self.choices.self_pay
        return allowed and code in OF_THE_VOUCHER


def _let_go(self_paid: Jobs, by_hold: Mapping[str, Jobs]) -> Iterator[Act]:
    """Release jobs that pay for themselves, once no part of an array names the hold any more."""
    held = {job.array_job_id for own in by_hold.values() for job in own if not job.ended}
    for job in self_paid:
        if job.marks.waits is not None and job.array_job_id not in held:
            comment = marks.write(job.comment, job.marks._replace(waits=None))
            yield Act(job.act_on, "release" if _ours(job) else "", job.marked_by, comment)


def _not_to_be_ended(by_hold: Mapping[str, Jobs], endings: Sequence[Ending]) -> Iterator[Act]:
    """Take the word off running jobs that they are ended, where that is not so any more."""
    ending = {one.job.job_id for one in endings}
    for own in by_hold.values():
        for job in own:
            if job.runs and job.marks.ends is not None and job.job_id not in ending:
                comment = marks.write(job.comment, job.marks._replace(ends=None))
                yield Act(job.act_on, "", job.name, comment)


def _unmarked(own: Jobs, held: Held | None) -> Iterator[Act]:
    """Take the reason off jobs that wait no more: one started before our hold reached it, or
    somebody else let it go; requeued and held it would pass for ours. Of a job that runs again
    write the hold that it has now."""
    for job in own:
        if job.marks.waits is not None and job.runs:
            yield _act(job, "", held, None)
        elif f"hold={job.hold}" not in job.comment:
            yield _act(job, "", held, job.marks.waits)


def _waits(job: QueuedJob, code: str | None, held: Held | None) -> Iterator[Act]:
    """Have a job wait for a reason, or go on (None)."""
    # What the hook held at submit Slurm takes for its user's hold: to wait on it is held anew.
    ours = _ours(job)
    stop = code is not None and (not job.stopped or (ours and job.not_by_us))
    waits = code if ours or stop else None
    if code is not None and waits is None and job.marks.waits == marks.OWN:
        waits = marks.OWN  # its user holds it, and it may have no voucher yet
    if stop or waits != job.marks.waits or job.marks.ends is not None:
        verb = "hold" if stop else "release" if ours and code is None else ""
        yield _act(job, verb, held, waits)


def _ours(job: QueuedJob) -> bool:
    """Tell whether it is we who hold a job in the queue, or the hook."""
    waits = job.marks.waits
    others = waits in (None, marks.OWN) or job.not_by_us
    return job.stopped and (waits == marks.UNASKED or not others)


def _act(job: QueuedJob, verb: str, held: Held | None, waits: str | None) -> Act:
    """Return what is to be done to a job, with all that is known by now in its AdminComment."""
    amount = held.live * held.task_micro if held else job.marks.held_micro
    voucher = held.account if held else job.marks.voucher
    ends = job.marks.ends if job.runs else None
    own = job.marks._replace(voucher=voucher, held_micro=amount, waits=waits, ends=ends)
    return Act(job.act_on, verb, job.marked_by, marks.write(job.comment, own))


def _newest(held_and_jobs: tuple[Held, Jobs]) -> tuple[int, str]:
    held, own = held_and_jobs
    return max(job.submit_s for job in own), held.id


def _short_micro(where: Position) -> int:
    """Return by how much an account does not cover what is accrued and held on it."""
    if where.owed_fen > where.credit_fen:
        return OWES_MICRO
    return -where.free_cash_fen * MICRO_PER_FEN


def _started(job: QueuedJob) -> tuple[int, int, int]:
    return job.start_s or 0, job.task or 0, job.job_id


def _without(where: Position, held: Held, tasks: int) -> Position:
    """Return the position with some tasks of a hold less."""
    return where.plus(-tasks * held.task_micro, -tasks * held.task_eligible_micro)


def _cash_micro(held: Held, where: Position) -> int:
    """Return what of a task's fee its vouchers will surely not bear."""
    return held.task_micro - held.task_eligible_micro * where.ratio_bp // BP
