"""Holds against the queue: bind what is seen, rebuild what was lost, follow what was changed, end
what is proved over.

A job that the queue shows is a fact: its hold is what it can still cost, whether that fits or not.
Which jobs have to wait for their voucher then is for waits.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.errors import InsufficientBalance, NotEligible, VoucherError
from accounting.rates import quoting
from accounting.runs import watermarks
from accounting.vouchers import holds, releasing
from accounting.vouchers.holds import Held
from slurm_voucher import asking, estimate, waits
from slurm_voucher.acting import Act
from slurm_voucher.asking import Asker, Rules, Terms
from slurm_voucher.queue import QueuedJob, Snapshot
from slurm_voucher.standing import Standings

CHECKS_MAX = 1000
"""Changed holds that one look works out, those that have waited longest; the next look goes on."""
HELD_MICRO_MAX = 2**63 - 1
"""What a column of the book can take."""
NOW_S, NEVER_S = 0, 2**62
"""When a hold is worked out again whose jobs do not change: at the next look, or not at all."""


@dataclass
class Reconciled:
    """What reconciling did, by hold id; and what Slurm is to do next."""

    rebuilt: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    lowered: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    voided: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    unseen_of: list[int] = field(default_factory=list)
    """uids of expired holds, one for each."""


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

    jobs: Sequence[Mapping[str, str]]
    turn: int
    asked_micro: int | None
    terms: Terms
    at_s: int
    again_s: int


@dataclass
class Memory:
    """What is kept from one look to the next.

    Attributes:
        rules: Of the last look.
        seen: What it saw, by hold: only what changed is worked out again.
        standings: Who may spend which account.
    """

    rules: Rules | None = None
    seen: dict[str, Seen] = field(default_factory=dict)
    standings: Standings = field(default_factory=Standings)


def apply(
    conn: Connection,
    rules: Rules,
    snapshot: Snapshot,
    *,
    began_s: int,
    nothing_waits: bool,
    memory: Memory,
) -> Reconciled:
    """Bring holds in line with one complete snapshot of the queue.

    Args:
        began_s: When the snapshot was begun.
        nothing_waits: Whether slurmdbd has everything; if not, nothing is voided.
        memory: What the looks before knew.
    """
    if rules != memory.rules:
        memory.rules = rules
        memory.seen = {hold: replace(one, again_s=NOW_S) for hold, one in memory.seen.items()}
        memory.standings = Standings()
    return _Look(conn, rules, began_s, memory).at(snapshot, nothing_waits)


class _Look:
    """One look: what it is made by, and what it has done so far."""

    def __init__(self, conn: Connection, rules: Rules, began_s: int, memory: Memory) -> None:
        self.conn, self.rules, self.began_s = conn, rules, began_s
        self.seen, self.standings = memory.seen, memory.standings
        self.done = Reconciled()
        self.cluster = rules.cluster.name
        self.why: dict[str, VoucherError] = {}
        """Why the jobs of a hold may not run now, by hold."""
        self.judged: set[str] = set()
        """Holds that are what their jobs can cost: only such a job is released."""

    def at(self, snapshot: Snapshot, nothing_waits: bool) -> Reconciled:
        """Work through a snapshot."""
        self.done.problems += snapshot.problems
        by_hold: dict[str, list[QueuedJob]] = {}
        for job in snapshot.jobs:
            by_hold.setdefault(job.hold, []).append(job)
        self.standings.refresh(self.conn)
        live = self._live()
        self._enter(by_hold, live)
        due = self._due(by_hold, live)
        for held, own, terms in due[:CHECKS_MAX]:
            self._follow(held, own, terms)
        for hold_id in self.seen.keys() - by_hold.keys():
            del self.seen[hold_id]
        now = {hold_id: Held.of(row) for hold_id, row in self._live().items()}
        self.done.acts = waits.acts(
            self.conn, self.rules.policy, by_hold, now, self.why, self.judged
        )
        self._expire(set(by_hold))
        if nothing_waits:
            present = {hold for hold, own in by_hold.items() if not _ended(own)}
            present |= {row.id for row in live.values() if row.job_id in snapshot.there}
            collected_s = watermarks.by_cluster(self.conn).get(self.cluster, 0)
            self.done.voided = releasing.absent(
                self.conn, self.cluster, present, self.began_s, collected_s
            )
        return self.done

    def _live(self) -> dict[str, Any]:
        rows = self.conn.execute(holds.LIVE.where(schema.hold.c.cluster == self.cluster))
        return {row.id: row for row in rows}

    # --- a hold and its jobs ----------------------------------------------------------------

    def _enter(self, by_hold: Mapping[str, Sequence[QueuedJob]], live: Mapping[str, Any]) -> None:
        """Enter holds that the queue shows and the book does not have: they are facts by now."""
        lost = [hold for hold, own in by_hold.items() if hold not in live and not _ended(own)]
        lost = sorted(set(lost) - holds.ids(self.conn, lost))
        made = []
        for hold_id in lost:
            own = by_hold[hold_id]
            try:
                made.append(self._rebuilt(hold_id, own))
            except VoucherError as error:
                self._problem(own[0], "cannot be rebuilt", error)
                self.why[hold_id] = error
        if made:
            holds.enter(self.conn, made, self.rules.policy, self.began_s)
            self.done.rebuilt = [request.id for request in made]
            self.judged.update(self.done.rebuilt)
        for hold_id in self.done.rebuilt:
            self._bind(hold_id, by_hold[hold_id][0])

    def _rebuilt(self, hold_id: str, own: Sequence[QueuedJob]) -> holds.Request:
        asked, _ = self._request(hold_id, own, self._account(own[0]))
        held_micro = own[0].marks.held_micro
        if held_micro is not None:
            task_micro = -(-held_micro // asked.tasks)
            eligible_micro = min(task_micro, asked.task_eligible_micro)
            asked = replace(asked, task_micro=task_micro, task_eligible_micro=eligible_micro)
        if asked.tasks * asked.task_micro > HELD_MICRO_MAX:
            raise InsufficientBalance("it is too large")
        return asked

    def _account(self, job: QueuedJob) -> str:
        """Return the account that a job names, or its user's only one where it waited unasked."""
        if job.marks.voucher is not None:
            return job.marks.voucher
        providers = asking.providers_of(self.rules, job.fields)
        found = asking.usable(self.conn, self.rules, job.uid, providers, self.began_s)
        if len(found) != 1:
            raise NotEligible(
                f"voucher: this job names none and {len(found)} are possible; release it by "
                "scontrol, or submit it again with --voucher=ID"
            )
        return found[0]

    def _request(
        self, hold_id: str, own: Sequence[QueuedJob], account: str
    ) -> tuple[holds.Request, int]:
        """Work out what all jobs of a hold need, and until when that stays so by itself."""
        asked, again_s = [], NEVER_S
        for job in own:
            if job.ended:
                continue
            # What runs is charged by when it began, what waits by when it will.
            now_s = self.began_s if job.start_s is None else min(job.start_s, self.began_s)
            # Of a user who may not spend by now it is still followed what the job can cost.
            by_now = job.waiting and hold_id not in self.why
            submit_s = self.began_s if by_now else job.submit_s
            asker = Asker(account, job.uid)
            want = asking.wanted(self.rules, job.fields)
            by = asking.terms(self.conn, self.rules, asker, want.provider, submit_s)
            _, quote = asking.cost(self.rules, want, by, now_s)
            asked.append(asking.hold(self.rules, hold_id, asker, want, quote, job.fields))
            if job.waiting:
                again_s = min(again_s, _bears_until(quote, by, now_s))
        return together(asked, own), again_s

    def _bound(self, row: Any, own: Sequence[QueuedJob]) -> bool:
        """Tie a hold to its job; tell whether these jobs are its own."""
        first = own[0]
        if row.job_id is None:
            self._bind(row.id, first)
        elif row.job_id not in {job.array_job_id for job in own}:
            why = f"AdminComment was changed; the hold is job {row.job_id}'s"
            self._problem(first, "is another job's", why)
            return False
        return True

    def _bind(self, hold_id: str, job: QueuedJob) -> None:
        releasing.bind(
            self.conn, hold_id, self.cluster, job.array_job_id, job.submit_s, self.began_s
        )

    def _due(
        self, by_hold: Mapping[str, Sequence[QueuedJob]], live: Mapping[str, Any]
    ) -> list[tuple[Held, Sequence[QueuedJob], Terms]]:
        """List what is to be worked out, with its terms; what has waited longest comes first."""
        found = []
        for hold_id, own in by_hold.items():
            row = live.get(hold_id)
            if row is None or not self._bound(row, own) or _ended(own):
                continue
            held = Held.of(row)
            terms, before = self._terms(held, own), self.seen.get(hold_id)
            still = before and before.terms == terms and self.began_s < before.again_s
            if still and self._same(held, own):
                self.judged.add(hold_id)
                continue
            since_s = before.at_s if before else min(job.submit_s for job in own)
            found.append((since_s, (held, own, terms)))
        return [case for _, case in sorted(found, key=lambda one: one[0])]

    def _same(self, held: Held, own: Sequence[QueuedJob]) -> bool:
        """Tell whether the last look saw a hold and its jobs as they are now."""
        before = self.seen.get(held.id)
        return before is not None and (before.jobs, before.turn) == (_shown(own), held.turn)

    def _follow(self, held: Held, own: Sequence[QueuedJob], terms: Terms) -> None:
        """Let a hold be what its jobs can cost now.

        More is held at once. Less, once two looks have shown it with no change of the hold
        between them: the first may have begun before a change that was let pass was made. The
        queue does not say all that the hook said (--exclusive), so what it shows now is compared
        with what it showed before, and the hold becomes less by as much; or more, where prices
        are others and the job is not.
        """
        now, before, same = _shown(own), self.seen.get(held.id), self._same(held, own)
        known_micro = before.asked_micro if before and before.turn == held.turn else None
        try:
            asked, again_s = self._request(held.id, own, held.account)
            past_micro = self._past_micro(held, own)
        except VoucherError as error:
            self.why[held.id] = error
            if not all(job.waiting for job in own if not job.ended):
                self._problem(own[0], "may be below what the job can cost", error)
            self.seen[held.id] = Seen(now, held.turn, known_micro, terms, self.began_s, NOW_S)
            return
        self.judged.add(held.id)
        base_micro = asked.task_micro if known_micro is None else known_micro
        less = 0 < asked.task_micro < min(base_micro, held.task_micro)
        follows = same and (less or asked.task_micro > base_micro > 0)
        wanted = _wanted(held, asked, past_micro, base_micro if follows else None)
        after = holds.follow(self.conn, held, wanted, lower=same)
        if after.task_micro != held.task_micro:
            lower = after.task_micro < held.task_micro
            (self.done.lowered if lower else self.done.raised).append(held.id)
        bears_less = wanted.task_eligible_micro < after.task_eligible_micro
        shown_micro = base_micro if less and not same else asked.task_micro
        if not same and (less or bears_less):
            again_s = NOW_S
        self.seen[held.id] = Seen(now, after.turn, shown_micro, terms, self.began_s, again_s)

    def _terms(self, held: Held, own: Sequence[QueuedJob]) -> Terms:
        """Return by which terms a hold's account computes, and see whether jobs of it that wait
        may still be paid by it."""
        asker = Asker(held.account, held.uid)
        standing = self.standings.of(self.conn, self.rules, asker, self.began_s)
        if standing.barred is not None and any(job.waiting for job in own):
            self.why[held.id] = standing.barred
        return standing.terms

    def _past_micro(self, held: Held, own: Sequence[QueuedJob]) -> int:
        """Return what a job that runs may have cost until now: its hold by the time that has
        passed."""
        found = 0
        for job in own:
            limit_s = 60 * (estimate.number(job.fields, "time_limit") or 0)
            if limit_s and job.start_s is not None and not job.ended:
                past_s = min(max(self.began_s - job.start_s, 0), limit_s)
                found = max(found, -(-held.task_micro * past_s // limit_s))
        return found

    # --- what is over -----------------------------------------------------------------------

    def _expire(self, seen: set[str]) -> None:
        lapsed = releasing.expire_unseen(self.conn, self.cluster, seen, self.began_s)
        self.done.expired = [hold_id for hold_id, _ in lapsed]
        self.done.unseen_of = [uid for _, uid in lapsed]

    def _problem(self, job: QueuedJob, what: str, why: object) -> None:
        self.done.problems.append(f"job {job.job_id}: hold {job.hold} {what}: {why}")


def together(asked: Sequence[holds.Request], jobs: Sequence[QueuedJob]) -> holds.Request:
    """Return the hold for all jobs of one: the dearest, times the tasks that are there."""
    dearest = max(asked, key=lambda one: one.task_micro)
    tasks = sum(estimate.array_tasks(job.fields.get("array", "")) for job in jobs)
    return replace(dearest, tasks=tasks)


def _bears_until(quote: quoting.Quote, by: Terms, now_s: int) -> int:
    """Return until when a voucher bears as much of a job that starts later: all of it, as long as
    the job would end in time, and nothing, once it has expired; in between it is less each second.
    """
    if by.window is None or by.window[1] <= now_s:
        return NEVER_S
    whole = quote.fee_micro - quote.eligible_micro <= 1  # one is rounded up, the other down
    return by.window[1] - quote.limit_s - quoting.LONGEST_S if whole else NOW_S


def _wanted(
    held: Held, asked: holds.Request, past_micro: int, base_micro: int | None
) -> holds.Request:
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
    return replace(asked, task_micro=micro, task_eligible_micro=share_micro)


def _ended(jobs: Sequence[QueuedJob]) -> bool:
    return all(job.ended for job in jobs)


def _shown(jobs: Sequence[QueuedJob]) -> list[dict[str, str]]:
    """Return what the queue shows of jobs that says what they can cost."""
    return [
        dict(job.fields) | {"state": "waiting" if job.waiting else "running"}
        for job in jobs
        if not job.ended
    ]
