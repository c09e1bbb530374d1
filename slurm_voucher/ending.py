"""End running jobs that their account does not cover any more, where the site says so of it.

Never without a word: the site's command is told first, once, and what it was told stands in the
job's AdminComment (`ends=CODE@INSTANT`), which Slurm keeps; the job is cancelled when that instant
has come and it is still not covered. A command that fails ends no job. Killed in between, a job is
told of twice and never not at all. A command that stalls keeps no look waiting for long: the look
after it finds what came of it.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from accounting import period
from accounting.errors import SlurmUnavailable
from slurm_voucher import marks, warning
from slurm_voucher.choices import EndRunning
from slurm_voucher.commands import ask
from slurm_voucher.queue import QueuedJob

TOLD_MAX = 20
"""How many jobs one look tells of; the next look goes on, and those it tells of have so much
longer."""
TELL_S = 10
"""For how long a look tells of jobs, and waits for the command."""


@dataclass(frozen=True)
class Ending:
    """A job that runs, though its account does not cover it any more."""

    job: QueuedJob
    account: str
    code: str


@dataclass
class Done:
    """What was done, a sentence each."""

    told: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Telling:
    """The site's command, run beside the looks for one job after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None
        self._said = deque[tuple[Ending, str, str]]()

    def of(
        self, found: Sequence[Ending], settings: EndRunning, now_s: int, timezone: str
    ) -> Iterator[tuple[Ending, str, str]]:
        """Tell of jobs, unless others are still told of.

        Yields:
            A job that was told of by now, when it is to end, and why the command did not work.
        """
        if self._under_way is None and found:
            some = found[:TOLD_MAX]
            self._under_way = self._thread.submit(self._tell, some, settings, now_s, timezone)
        if self._under_way is not None and wait([self._under_way], TELL_S).done:
            self._under_way.result()
            self._under_way = None
        while self._said:
            yield self._said.popleft()

    def _tell(
        self, found: Sequence[Ending], settings: EndRunning, now_s: int, timezone: str
    ) -> None:
        began_s, failed = time.monotonic(), ""
        for number, one in enumerate(found):
            late_s = time.monotonic() - began_s
            if failed or (number and late_s >= TELL_S):
                return  # the next one would fail as well, or is for the next look
            ends = period.clock(now_s + int(late_s) + settings.grace_s, timezone)
            told = {
                "warning": "ends",
                "account": one.account,
                "job": one.job.name,
                "uid": one.job.uid,
                "reason": one.code,
                "ends": ends,
                "grace_s": settings.grace_s,
                "text": _text(one, ends),
            }
            failed = warning.run(settings.command, told)
            self._said.append((one, ends, failed))


def carry_out(
    found: Sequence[Ending], settings: EndRunning, now_s: int, timezone: str, telling: Telling
) -> Done:
    """Tell of jobs that nobody was told of, and end those whose time is over."""
    done = Done()
    untold = {one.job.name: one for one in found if one.job.marks.ends is None}
    for one, ends, failed in telling.of([*untold.values()], settings, now_s, timezone):
        if failed:
            done.problems.append(f"{_words(one)}; the site's command {failed}: it is not ended")
        elif one.job.name in untold:  # and not covered again since
            _mark(untold[one.job.name], ends, done)
    for one in found:
        ends_s = one.job.marks.ends_s
        if ends_s is not None and ends_s <= now_s:
            _ask(["scancel", one.job.to_end], f"{_words(one)}; ended", done.ended, done)
    return done


def _mark(one: Ending, ends: str, done: Done) -> None:
    job = one.job
    own = job.marks._replace(waits=None, ends=f"{one.code}@{ends}")
    comment = marks.write(job.comment, own)
    mark = ["scontrol", "update", f"JobId={job.name}", f"AdminComment={comment}"]
    _ask(mark, f"{_text(one, ends)}; told", done.told, done)


def _text(one: Ending, ends: str) -> str:
    return f"{_words(one)}; it is ended at {ends} if that is still so"


def _words(one: Ending) -> str:
    return f"job {one.job.name} of user {one.job.uid}: account {one.account}: {one.code}"


def _ask(command: list[str], what: str, where: list[str], done: Done) -> None:
    try:
        ask(command)
    except SlurmUnavailable as error:
        done.problems.append(f"{what}: {error}")
    else:
        where.append(what)
