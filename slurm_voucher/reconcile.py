"""Holds against the queue: bind what is seen, rebuild what was lost, follow what was changed, end
what is proved over.

A job that the queue shows is a fact: its hold is what it can still cost, whether that fits or not.
What a hold becomes is for following.py, which jobs have to wait for their voucher for waits.py.

All is worked out while others may write. What is then written is many short transactions: each
hold's step stands by itself, and is left to the next look where somebody else has changed the hold
meanwhile; so is what was not done when a look ends in the middle.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from msgspec import structs
from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.errors import InsufficientBalance, InvalidInput, NotEligible, VoucherError
from accounting.runs import watermarks
from accounting.vouchers import holds, releasing
from accounting.vouchers.holds import Held
from slurm_voucher import again, asking, estimate, following, waits
from slurm_voucher.acting import Act
from slurm_voucher.asking import Asker, Rules, Terms
from slurm_voucher.choices import NOTHING_CHOSEN, Choices
from slurm_voucher.ending import Ending
from slurm_voucher.following import NEVER_S, NOW_S, Followed, Seen
from slurm_voucher.queue import QueuedJob, Snapshot
from slurm_voucher.standing import Standings

CHECKS_MAX = 1000
"""Changed holds that one look works out, those that have waited longest; the next look goes on."""
TOGETHER = 200
"""Holds that are written in one transaction: some tens of milliseconds."""
GAP_S = 0.03
"""How long the book is left to others between two of them: who waits for SQLite's looks every
25 ms at first whether it is free."""
HELD_MICRO_MAX = 2**63 - 1
"""What a column of the book can take."""

Jobs = Sequence[QueuedJob]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass
class Reconciled:
    """What reconciling did, by hold id; and what Slurm is to do next."""

    rebuilt: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    lowered: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    voided: list[str] = field(default_factory=list)
    self_paid: list[str] = field(default_factory=list)
    """Given back, for their jobs go on without a voucher."""
    problems: list[str] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    unseen_of: list[int] = field(default_factory=list)
    """uids of expired holds, one for each."""


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
    standings: Standings | None = None


def apply(
    engine: Engine,
    rules: Rules,
    snapshot: Snapshot,
    *,
    began_s: int,
    nothing_waits: bool,
    memory: Memory,
    choices: Choices = NOTHING_CHOSEN,
) -> Reconciled:
    """Bring holds in line with one complete snapshot of the queue.

    Args:
        began_s: When the snapshot was begun.
        nothing_waits: Whether slurmdbd has everything; if not, nothing is voided.
        memory: What the looks before knew.
        choices: What the site lets become of jobs that no voucher covers.
    """
    if memory.standings is None or rules != memory.rules:
        memory.rules = rules
        memory.seen = {hold: replace(one, again_s=NOW_S) for hold, one in memory.seen.items()}
        memory.standings = Standings(rules.cluster.name)
    look = _Look(engine, rules, began_s, memory.seen, memory.standings, choices)
    return look.at(snapshot, nothing_waits)


class _Look:
    """One look: what it is made by, what it found, and what it has done so far."""

    conn: Connection
    """The book as it was when the look began."""

    def __init__(
        self,
        engine: Engine,
        rules: Rules,
        began_s: int,
        seen: dict[str, Seen],
        standings: Standings,
        choices: Choices,
    ) -> None:
        self.engine, self.rules, self.began_s = engine, rules, began_s
        self.seen, self.standings, self.choices = seen, standings, choices
        self.done = Reconciled()
        self.cluster = rules.cluster.name
        self.terms: dict[tuple[Asker, str, int], Terms] = {}
        self.lost: list[holds.Request] = []
        self.unbound: dict[str, QueuedJob] = {}
        self.followed: list[Followed] = []
        self.why: dict[str, VoucherError] = {}
        """Why the jobs of a hold may not run now, by hold."""
        self.barred: dict[str, VoucherError] = {}
        """Why its account may pay none of a hold's jobs by now, by hold."""
        self.judged: set[str] = set()
        """Holds that are what their jobs can cost: only such a job is released."""
        self.expired: set[str] = set()
        """Holds on accounts whose vouchers have all expired."""
        self.wrote = False

    def at(self, snapshot: Snapshot, nothing_waits: bool) -> Reconciled:
        """Work through a snapshot."""
        self.done.problems += snapshot.problems
        by_hold: dict[str, list[QueuedJob]] = {}
        for job in snapshot.jobs:
            by_hold.setdefault(job.hold, []).append(job)
        reader = ledger.reading(self.engine)
        with reader.begin() as self.conn:
            self.standings.refresh(self.conn)
            live = self._live()
            by_hold = again.split(self.conn, by_hold, live)
            for hold_id in self.seen.keys() - by_hold.keys():
                del self.seen[hold_id]
            self._find_lost(by_hold, live)
            for held, own, now in self._due(by_hold, live)[:CHECKS_MAX]:
                self._follow(held, own, now)
            unseen = releasing.unseen(self.conn, self.cluster, by_hold.keys(), self.began_s)
            present = {hold for hold, own in by_hold.items() if not _ended(own)}
            left = self._left_without(snapshot.self_paid, present, live)
            present |= {row.id for row in live.values() if row.job_id in snapshot.there}
            absent, back = releasing.absent(self.conn, self.cluster, present, self.began_s)
            collected_s = watermarks.by_cluster(self.conn).get(self.cluster, 0)
        self._write_what_is_there()
        self._expire(unseen)
        self._give_back(left)
        if nothing_waits:
            self._void(absent, back, collected_s)
        with reader.begin() as self.conn:
            left_now = {hold_id: Held.of(row) for hold_id, row in self._live().items()}
            judge = waits.Judge(
                self.conn, self.rules.policy, self.choices, self.why, self.barred, self.judged,
                self.expired,
            )  # fmt: skip
            self.done.acts, self.done.endings = judge.judge(by_hold, left_now, snapshot.self_paid)
        return self.done

    def _live(self) -> dict[str, Any]:
        rows = self.conn.execute(holds.LIVE.where(schema.hold.c.cluster == self.cluster))
        return {row.id: row for row in rows}

    # --- what the queue shows -----------------------------------------------------------------

    def _find_lost(self, by_hold: Mapping[str, Jobs], live: Mapping[str, Any]) -> None:
        """Find holds that the queue shows and the book does not have: they are facts by now."""
        lost = [hold for hold, own in by_hold.items() if hold not in live and not _ended(own)]
        for hold_id in sorted(set(lost) - holds.ids(self.conn, lost)):
            own = by_hold[hold_id]
            try:
                self.lost.append(self._rebuilt(hold_id, own))
                self.unbound[hold_id] = own[0]
            except VoucherError as error:
                self._problem(own[0], "cannot be rebuilt", error)
                self.why[hold_id] = error

    def _rebuilt(self, hold_id: str, own: Jobs) -> holds.Request:
        asked, _ = self._request(hold_id, own, self._account(own[0]))
        held_micro = own[0].marks.held_micro
        if held_micro is not None:
            task_micro = -(-held_micro // asked.tasks)
            eligible_micro = min(task_micro, asked.task_eligible_micro)
            asked = structs.replace(
                asked, task_micro=task_micro, task_eligible_micro=eligible_micro
            )
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

    def _request(self, hold_id: str, own: Jobs, account: str) -> tuple[holds.Request, int]:
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
            by = self._terms(asker, want.provider, submit_s)
            _, quote = asking.cost(self.rules, want, by, now_s)
            asked.append(asking.hold(self.rules, hold_id, asker, want, quote))
            if job.waiting:
                again_s = min(again_s, following.bears_until(quote, by, now_s))
        most = following.together(asked, own)
        if most.tasks * most.task_micro > HELD_MICRO_MAX:
            raise InsufficientBalance("it is too large")
        return most, again_s

    def _terms(self, asker: Asker, provider: str, submit_s: int) -> Terms:
        """Return by which terms a user computes; in one look many jobs are alike."""
        key = (asker, provider, submit_s)
        if key not in self.terms:
            self.terms[key] = asking.terms(self.conn, self.rules, asker, provider, submit_s)
        return self.terms[key]

    def _due(
        self, by_hold: Mapping[str, Jobs], live: Mapping[str, Any]
    ) -> list[tuple[Held, Jobs, Seen]]:
        """List what is to be worked out, what has waited longest first; and what is seen of it."""
        found = []
        for hold_id, own in by_hold.items():
            row = live.get(hold_id)
            if row is None or not self._is_own(row, own) or _ended(own):
                continue
            held, before = Held.of(row), self.seen.get(hold_id)
            shown, terms = following.shown(own), self._judge(held, own)
            known_micro = before.comparable_micro(held, shown) if before else None
            now = Seen(shown, held.turn, known_micro, terms, self.began_s, NOW_S)
            if before and before.stands(now):
                self.judged.add(hold_id)
                continue
            since_s = before.at_s if before else min(job.submit_s for job in own)
            found.append((since_s, (held, own, now)))
        return [case for _, case in sorted(found, key=lambda one: one[0])]

    def _is_own(self, row: Any, own: Jobs) -> bool:
        """Tell whether these jobs are a hold's own, by the job that it is bound to."""
        first = own[0]
        if row.job_id is None:
            self.unbound[row.id] = first
        elif row.job_id not in {job.array_job_id for job in own}:
            why = f"AdminComment was changed; the hold is job {row.job_id}'s"
            self._problem(first, "is another job's", why)
            return False
        return True

    def _left_without(
        self, self_paid: Jobs, present: Collection[str], live: Mapping[str, Any]
    ) -> list[tuple[str, int]]:
        """List holds whose jobs say that they go on without, and for how many tasks."""
        tasks: Counter[int] = Counter()
        for job in self_paid:
            try:
                tasks[job.array_job_id] += estimate.array_tasks(job.fields.get("array", ""))
            except InvalidInput as error:
                self.done.problems.append(f"job {job.job_id}: {error}")
        return [
            (row.id, tasks[row.job_id])
            for row in live.values()
            if row.job_id in tasks and row.id not in present
        ]

    def _judge(self, held: Held, own: Jobs) -> Terms:
        """See whether jobs that wait may still be paid by their account; return its terms."""
        asker = Asker(held.account, held.uid)
        barred = self.standings.barred(asker, self.began_s, self._begin)
        if barred is not None:
            self.barred[held.id] = barred
            if any(job.waiting for job in own):
                self.why[held.id] = barred
        terms = asking.terms_of(self.rules, self.standings.of(held.account, self._begin))
        if terms.window is not None and terms.window[1] <= self.began_s:
            self.expired.add(held.id)
        return terms

    def _begin(self) -> AbstractContextManager[Connection]:
        return nullcontext(self.conn)

    def _follow(self, held: Held, own: Jobs, now: Seen) -> None:
        """Work out what a hold becomes."""
        try:
            asked, again_s = self._request(held.id, own, held.account)
            past_micro = following.past_micro(held, own, self.began_s)
        except VoucherError as error:
            self.why[held.id] = error
            if not all(job.waiting for job in own if not job.ended):
                self._problem(own[0], "may be below what the job can cost", error)
            self.seen[held.id] = now
            return
        now = replace(now, again_s=again_s)
        one = following.follow(held, asked, past_micro, self.seen.get(held.id), now)
        if one.after is held:
            self._note(one.after, one.seen)
        else:
            self.followed.append(one)

    # --- into the book ------------------------------------------------------------------------

    def _in_turns(
        self, items: Sequence[_Item], step: Callable[[Connection, Sequence[_Item]], _Result]
    ) -> list[_Result]:
        """Take a step for some items at a time, each in a transaction of its own."""
        results = []
        for i in range(0, len(items), TOGETHER):
            if self.wrote:
                time.sleep(GAP_S)
            self.wrote = True
            with self.engine.begin() as conn:
                results.append(step(conn, items[i : i + TOGETHER]))
        return results

    def _write_what_is_there(self) -> None:
        """Enter, bind and follow holds; what becomes less comes last."""
        self._in_turns(self.lost, self._enter)
        self._in_turns(list(self.unbound), self._bind)
        steps = sorted(self.followed, key=lambda one: one.lower)
        for some in self._in_turns(steps, _write_followed):
            for one, after in some:
                self._note(after, one.seen)
                if after.task_micro != one.before.task_micro:
                    (self.done.lowered if one.lower else self.done.raised).append(after.id)

    def _enter(self, conn: Connection, some: Sequence[holds.Request]) -> None:
        holds.enter(conn, some, self.rules.policy, self.began_s)
        ids = [request.id for request in some]
        self.done.rebuilt += ids
        self.judged.update(ids)

    def _bind(self, conn: Connection, some: Sequence[str]) -> None:
        jobs = {hold_id: self.unbound[hold_id] for hold_id in some}
        named = {hold_id: (job.array_job_id, job.submit_s) for hold_id, job in jobs.items()}
        releasing.bind_all(conn, self.cluster, named, self.began_s)

    def _note(self, held: Held, seen: Seen) -> None:
        self.seen[held.id] = replace(seen, turn=held.turn)
        self.judged.add(held.id)

    def _expire(self, unseen: Sequence[str]) -> None:
        for lapsed in self._in_turns(
            unseen, lambda conn, some: releasing.expire(conn, some, self.began_s)
        ):
            self.done.expired += [hold_id for hold_id, _ in lapsed]
            self.done.unseen_of += [uid for _, uid in lapsed]

    def _give_back(self, left: Sequence[tuple[str, int]]) -> None:
        for given in self._in_turns(
            left, lambda conn, some: releasing.give_back(conn, some, self.began_s)
        ):
            self.done.self_paid += given

    def _void(self, absent: Sequence[str], back: Sequence[str], collected_s: int) -> None:
        self._in_turns(back, releasing.note_present)
        for voided in self._in_turns(
            absent,
            lambda conn, some: releasing.note_absent(conn, some, self.began_s, collected_s),
        ):
            self.done.voided += voided

    def _problem(self, job: QueuedJob, what: str, why: object) -> None:
        self.done.problems.append(f"job {job.job_id}: hold {job.hold} {what}: {why}")


def _write_followed(conn: Connection, some: Sequence[Followed]) -> list[tuple[Followed, Held]]:
    written = holds.write_followed(conn, [one.after for one in some])
    return [(one, written[one.after.id]) for one in some if one.after.id in written]


def _ended(jobs: Jobs) -> bool:
    return all(job.ended for job in jobs)
