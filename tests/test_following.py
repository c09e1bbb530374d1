"""slurm_voucher/following.py: whatever becomes of a job, no less is held than it can cost."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from accounting.vouchers.holds import Held, Request
from slurm_voucher import following
from slurm_voucher.asking import Terms
from slurm_voucher.following import NEVER_S, NOW_S, Seen

TERMS = Terms((0, 2**40), "")
GIVEN = 8
"""Cards that a job gets for each that it asks for, on a whole node."""


@dataclass
class Story:
    """A job, its hold, and what the looks remember of it.

    Attributes:
        given: Cards that it gets for each that the queue shows while it waits.
    """

    given: int
    cards: int = 4
    minutes: int = 64
    price_micro: int = 3_333
    runs: bool = False
    now_s: int = 0
    turn: int = 1
    seen: Seen | None = None

    def __post_init__(self) -> None:
        micro = self.cost_micro
        self.held = Held("1", "CD24-0001", 7, 0, 1, 1, micro, micro, {}, self.turn)

    @property
    def cost_micro(self) -> int:
        """What it can cost."""
        return self.given * self.cards * self.minutes * self.price_micro

    @property
    def shown(self) -> int:
        """Cards that the queue shows."""
        return self.cards * (self.given if self.runs else 1)

    def happens(self, what: str) -> None:
        """Let something happen to it, and to its hold what the hook does about it."""
        match what:
            case "shorter":
                self.minutes = max(1, self.minutes // 2)
            case "longer":
                self.minutes *= 2
                micro = max(self.held.task_micro, self.cost_micro)
                self._write(structs.replace(self.held, task_micro=micro, task_eligible_micro=micro))
            case "fewer":
                self.cards = max(1, self.cards // 2)
            case "start" | "requeue":
                self.runs = what == "start"
            case "cheaper" | "dearer" if self.seen is not None:
                self.price_micro = 1_000 if what == "cheaper" else 7_001
                self.seen = replace(self.seen, again_s=NOW_S)

    def _write(self, held: Held) -> None:
        self.turn += 1
        self.held = structs.replace(held, turn=self.turn)

    def look(self) -> None:
        """Let a look at the queue follow it."""
        self.now_s += 1
        jobs = [
            {
                "cards": str(self.shown),
                "minutes": str(self.minutes),
                "state": following.RUNNING if self.runs else following.WAITING,
            }
        ]
        known_micro = self.seen.comparable_micro(self.held, jobs) if self.seen else None
        now = Seen(jobs, self.held.turn, known_micro, TERMS, self.now_s, NOW_S)
        if self.seen is not None and self.seen.stands(now):
            return
        micro = self.shown * self.minutes * self.price_micro
        asked = Request("1", "chengdu", "CD24-0001", 7, 1, micro, micro, {})
        one = following.follow(self.held, asked, 0, self.seen, replace(now, again_s=NEVER_S))
        if one.after is not self.held:
            self._write(one.after)
        self.seen = replace(one.seen, turn=self.held.turn)


EVENTS = ["look", "shorter", "longer", "fewer", "start", "requeue", "cheaper", "dearer"]


@pytest.mark.parametrize("given_", [1, GIVEN])
@given(events=st.lists(st.sampled_from(EVENTS), max_size=12))
def test_no_less_is_held_than_a_job_can_cost(given_: int, events: list[str]) -> None:
    """However a job and its price are changed, and in whatever order, each look leaves a hold of
    what it can cost or more, also on a whole node that shows only while it runs."""
    job = Story(given_)
    for event in events:
        job.happens(event)
        job.look()

        assert job.held.task_micro >= job.cost_micro
        assert job.held.task_eligible_micro <= job.held.task_micro


@pytest.mark.parametrize("given_", [1, GIVEN])
@given(events=st.lists(st.sampled_from(["shorter", "fewer", "cheaper", "dearer"]), max_size=6))
def test_what_a_waiting_job_cannot_cost_is_given_back(given_: int, events: list[str]) -> None:
    """A job that was made smaller, cheaper or dearer while it waits holds what it can cost, no
    more and no less, when two more looks have shown it."""
    job = Story(given_)
    job.look()
    for event in events:
        job.happens(event)
        job.look()
    for _ in range(2):
        job.look()

    assert job.held.task_micro == job.cost_micro
