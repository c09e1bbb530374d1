"""End running jobs that their account does not cover any more, where the site says so of it.

Never without a word: the site's command is told first, once, and what it was told stands in the
job's AdminComment (`ends=CODE@INSTANT`), which Slurm keeps; the job is cancelled when that instant
has come and it is still not covered. A command that fails ends no job. Killed in between, a job is
told of twice and never not at all.
"""

import time
from collections.abc import Sequence
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
"""After how long a look tells of no other job: one whose command takes its whole time may be the
last, so a look takes at most so much longer, and the command's time (warning.COMMAND_S)."""


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


def carry_out(found: Sequence[Ending], settings: EndRunning, now_s: int, timezone: str) -> Done:
    """Tell of jobs that nobody was told of, and end those whose time is over."""
    done, began_s = Done(), time.monotonic()
    for number, one in enumerate([e for e in found if e.job.marks.ends is None][:TOLD_MAX]):
        late_s = time.monotonic() - began_s
        if number and late_s >= TELL_S:
            break
        failed = _tell(one, settings, now_s + int(late_s) + settings.grace_s, timezone, done)
        if failed:
            done.problems.append(f"{_words(one)}; the site's command {failed}: it is not ended")
            break  # the next one would fail as well
    for one in found:
        ends_s = one.job.marks.ends_s
        if ends_s is not None and ends_s <= now_s:
            _ask(["scancel", one.job.to_end], f"{_words(one)}; ended", done.ended, done)
    return done


def _tell(one: Ending, settings: EndRunning, ends_s: int, timezone: str, done: Done) -> str:
    """Tell the site's command of a job, and mark it; return why the command did not work."""
    job, ends = one.job, period.clock(ends_s, timezone)
    text = f"{_words(one)}; it is ended at {ends} if that is still so"
    told = {
        "warning": "ends",
        "account": one.account,
        "job": job.name,
        "uid": job.uid,
        "reason": one.code,
        "ends": ends,
        "grace_s": settings.grace_s,
        "text": text,
    }
    failed = warning.run(settings.command, told)
    if not failed:
        own = job.marks._replace(waits=None, ends=f"{one.code}@{ends}")
        comment = marks.write(job.comment, own)
        mark = ["scontrol", "update", f"JobId={job.name}", f"AdminComment={comment}"]
        _ask(mark, f"{text}; told", done.told, done)
    return failed


def _words(one: Ending) -> str:
    return f"job {one.job.name} of user {one.job.uid}: account {one.account}: {one.code}"


def _ask(command: list[str], what: str, where: list[str], done: Done) -> None:
    try:
        ask(command)
    except SlurmUnavailable as error:
        done.problems.append(f"{what}: {error}")
    else:
        where.append(what)
