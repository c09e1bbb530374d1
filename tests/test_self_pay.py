"""Waiting jobs that no voucher covers go on as self-pay, where the site has it so."""

import copy
from datetime import date

import delivery
import pytest
import test_reconcile as looks
from sqlalchemy import select
from test_reconcile import (
    ARRAY,
    CARD_HOUR,
    FIRST,
    NOW_S,
    ONE,
    STOPPED,
    freeze,
    hold,
    live,
    mark,
    minutes,
    queued,
    running,
    unfreeze,
)
from town import ACCOUNT

from accounting.book import schema
from slurm_voucher import marks, reconcile
from slurm_voucher.choices import NOTHING_CHOSEN, Choices

site = looks.site
SELF_PAY = Choices(self_pay=True)
THIRD = "3" * 32
BACK = ("self-pay", "voided", "goes on as self-pay")


class Queue:
    """A queue that does what it is told."""

    def __init__(self, town, *rows, choices=SELF_PAY) -> None:
        self.town, self.choices = town, choices
        self.rows = {row["job_id"]: copy.deepcopy(row) for row in rows}
        self.memory, self.at_s = reconcile.Memory(), 0

    def look(self, times=1):
        """Let voucherd look so many times; return the last one's result."""
        for _ in range(times):
            self.at_s += 10
            done = looks.look(self.town, *self.rows.values(), after_s=self.at_s,
                              memory=self.memory, choices=self.choices)  # fmt: skip
            for act in done.acts:
                self.carry_out(act)
        return done

    def carry_out(self, act) -> None:
        """Do one thing to a job, as scontrol does."""
        for row in self.rows.values():
            het, part = (row[name]["number"] for name in ("het_job_id", "het_job_offset"))
            called = {row["job_id"], het, f"{het}+{part}"} if het else {row["job_id"]}
            if act.comment_of in called:  # the first part's number is that of all parts
                row["admin_comment"] = act.comment
            names = (row[name]["number"] for name in ("het_job_id", "array_job_id"))
            same = act.job_id == next(filter(None, names), row["job_id"])
            if same and "PENDING" in row["job_state"] and act.verb:
                held = act.verb == "hold"
                row["priority"] = {"set": True, "infinite": False, "number": 0 if held else 100}
                row["state_reason"] = "JobHeldAdmin" if held else "Priority"

    def is_held(self, job_id: int) -> bool:
        """Tell whether a job is held."""
        return bool(self.rows[job_id].get("priority", {}).get("number") == 0)

    def says(self, job_id: int) -> marks.Marks:
        """Return what a job's AdminComment says."""
        return marks.read(self.rows[job_id]["admin_comment"])


def ends(site) -> list[tuple[str, str, str]]:
    """Return how holds ended."""
    table = schema.hold_end.c
    with site.begin() as conn:
        found = conn.execute(select(table.task, table.kind, table.evidence, table.tasks))
        return [tuple(row) for row in found]


def test_job_of_a_frozen_unit_pays_for_itself(site) -> None:
    """It is held by name; it says that it goes on without its voucher; its hold is given back, and
    then it is let go, marked for good, and nothing more is done to it."""
    hold(site)
    queue = Queue(site, queued(ONE, admin_comment=f"lake {mark(FIRST, CARD_HOUR)}"))
    freeze(site, date(2024, 7, 1))
    queue.look()
    assert (queue.is_held(ONE), queue.says(ONE).waits) == (True, "not_eligible")

    queue.look()
    own = "voucher=-;self_pay=not_eligible;waits=not_eligible"
    assert queue.rows[ONE]["admin_comment"] == f"lake {own}"
    assert (queue.is_held(ONE), live(site)) == (True, [("1", 1, CARD_HOUR, ONE)])

    assert queue.look().self_paid == [FIRST]
    assert (queue.is_held(ONE), live(site)) == (False, [])
    assert queue.rows[ONE]["admin_comment"] == "lake voucher=-;self_pay=not_eligible"
    assert ends(site) == [(*BACK, 1)]
    assert queue.look() == reconcile.Reconciled()


def test_by_default_it_waits(site) -> None:
    """Where the site says nothing a job waits until its voucher covers it."""
    hold(site)
    queue = Queue(site, queued(ONE, admin_comment=mark(FIRST, CARD_HOUR)), choices=NOTHING_CHOSEN)
    freeze(site, date(2024, 7, 1))
    queue.look(4)

    assert queue.is_held(ONE)
    assert queue.says(ONE) == marks.Marks(ACCOUNT, FIRST, CARD_HOUR, "not_eligible")
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


def test_job_that_is_covered_again_keeps_its_voucher(site) -> None:
    """A job that is held, and covered by the next look, goes on with its voucher."""
    hold(site)
    queue = Queue(site, queued(ONE, admin_comment=mark(FIRST, CARD_HOUR)))
    freeze(site, date(2024, 7, 1))
    queue.look()
    unfreeze(site, date(2024, 7, 1))
    queue.at_s = 86_400
    queue.look(3)

    assert not queue.is_held(ONE)
    assert queue.says(ONE) == marks.Marks(ACCOUNT, FIRST, CARD_HOUR)
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


def test_only_as_many_pay_as_it_takes(site) -> None:
    """Where an account is short its newest job goes on without it, and the other one with it."""
    big = {"time_limit": minutes(60 * 5_000)}  # 56,400 of 50,000 on the voucher and as much cash
    hold(site, time_limit=str(60 * 5_000))
    newer = queued(ONE, admin_comment=mark("2" * 32), **big) | {"job_id": 200}
    newer["submit_time"] = minutes(NOW_S + 1)
    queue = Queue(site, queued(ONE, admin_comment=mark(FIRST, 5_000 * CARD_HOUR), **big), newer)
    queue.look(5)

    assert (queue.is_held(ONE), queue.is_held(200)) == (False, False)
    assert queue.says(ONE).voucher == ACCOUNT
    assert queue.says(200) == marks.Marks(None, None, None, None, "insufficient_balance")
    assert live(site) == [("1", 1, 5_000 * CARD_HOUR, ONE)]


def test_running_job_goes_on_with_its_voucher(site) -> None:
    """A job that runs keeps voucher, mark and hold, whatever becomes of its unit."""
    hold(site)
    queue = Queue(site, running(ONE, 1, admin_comment=mark(FIRST, CARD_HOUR)))
    freeze(site, date(2024, 7, 1))
    queue.look(4)

    assert queue.says(ONE) == marks.Marks(ACCOUNT, FIRST, CARD_HOUR)
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


def test_array_pays_when_none_of_its_tasks_runs(site) -> None:
    """Tasks that wait wait on while one runs by the voucher; then they go on without it, and what
    is held for the one that ran stays until its row has come."""
    hold(site, THIRD, array="3-6", time_limit="10")
    waits = queued(ARRAY, admin_comment=mark(THIRD), array_task_string="4-6%2")
    queue = Queue(site, waits, running(130, 1, admin_comment=mark(THIRD)))
    freeze(site, date(2024, 7, 1))
    queue.look(4)
    assert (queue.is_held(ARRAY), queue.says(ARRAY).voucher) == (True, ACCOUNT)

    queue.rows[130]["job_state"] = ["COMPLETED"]
    queue.look(3)
    assert not queue.is_held(ARRAY)
    assert queue.says(ARRAY).self_pay == "not_eligible"
    assert queue.says(130).voucher == ACCOUNT
    assert ends(site) == [(*BACK, 3)]
    assert [(one[0], one[1]) for one in live(site)] == [("3", 1)]


def test_array_of_which_a_part_is_not_marked_is_not_let_go(site) -> None:
    """What scontrol did for one record of an array and not for the other is done by the next look,
    and until then nothing is given back or released."""
    hold(site, THIRD, array="3-6", time_limit="10")
    again = {"job_id": 200, "array_task_string": "3"}
    rows = [queued(ARRAY, admin_comment=mark(THIRD), array_task_string="4-6") | some
            for some in ({}, again)]  # fmt: skip
    queue = Queue(site, *rows)
    freeze(site, date(2024, 7, 1))
    queue.look()
    before = queue.rows[200]["admin_comment"]
    queue.look()
    queue.rows[200]["admin_comment"] = before
    queue.look()
    assert (queue.is_held(ARRAY), [one[1] for one in live(site)]) == (True, [4])

    queue.look()
    assert (queue.is_held(ARRAY), live(site), ends(site)) == (False, [], [(*BACK, 4)])


def test_part_that_pays_for_itself_waits_for_those_that_may_not_go(site) -> None:
    """To release one part of a heterogeneous job is to release all: none goes while another one
    waits, and they go together when that is over."""
    held = STOPPED | {"state_reason": "JobHeldAdmin"}
    pays = "voucher=-;self_pay=not_eligible;waits=not_eligible"
    waits = f"{mark('5' * 32)};waits=tariff_missing"
    rows = queued(120, admin_comment=pays), queued(121, admin_comment=waits, partition="sc")
    queue = Queue(site, *(row | held for row in rows))
    assert [act for act in queue.look().acts if act.verb == "release"] == []
    assert queue.says(120).waits == "not_eligible"

    queue.rows[121] |= {"partition": "ai", "tres_per_node": "gres/gpu:ascend_910b:1"}
    queue.look(3)
    assert [queue.says(n).waits for n in (120, 121)] == [None, None]
    assert [queue.says(n).voucher for n in (120, 121)] == [None, ACCOUNT]


def test_job_that_its_user_holds_meanwhile_stays_held(site) -> None:
    """A job that says it pays for itself and is held by its user by then is not released."""
    hold(site)
    queue = Queue(site, queued(ONE, admin_comment=mark(FIRST, CARD_HOUR)))
    freeze(site, date(2024, 7, 1))
    queue.look(2)
    queue.rows[ONE]["state_reason"] = "JobHeldUser"
    queue.look()

    assert (queue.is_held(ONE), queue.says(ONE).waits) == (True, None)


def test_price_that_is_missing_lets_nobody_go(site) -> None:
    """A job whose partition has no price by now waits: no voucher is at fault."""
    hold(site)
    queue = Queue(site, queued(ONE, admin_comment=mark(FIRST, CARD_HOUR), partition="sc"))
    queue.look(4)

    assert (queue.is_held(ONE), queue.says(ONE).waits) == (True, "tariff_missing")


@pytest.mark.parametrize("pays", [False, True])
def test_job_that_names_no_voucher(site, pays: bool) -> None:
    """A job that the hook let wait and whose user has no account goes on where the site lets jobs
    without a voucher, and waits where it does not."""
    mine = f"voucher=-;hold={FIRST};held=wait"
    row = queued(ONE, admin_comment=mine, user_id=7, state_reason="JobHeldUser", **STOPPED)
    queue = Queue(site, row, choices=Choices(unnamed_self_pay=pays))
    queue.look(4)

    said = queue.says(ONE)
    assert (said.self_pay, said.waits) == (
        ("not_eligible", None) if pays else (None, "not_eligible")
    )
    assert queue.is_held(ONE) is not pays
    assert ends(site) == []


def test_job_without_a_name_whose_account_is_short_waits(site) -> None:
    """A job that named none is its user's only account's: that it is short is no reason to go on
    without it, where only jobs without a voucher may."""
    mine = f"voucher=-;hold={FIRST};held=wait"
    row = queued(ONE, admin_comment=mine, time_limit=minutes(600_000), **STOPPED)
    queue = Queue(site, row, choices=Choices(unnamed_self_pay=True))
    queue.look(4)

    assert (queue.is_held(ONE), queue.says(ONE).voucher) == (True, ACCOUNT)
    assert queue.says(ONE).waits == "insufficient_balance"


@pytest.mark.parametrize("other", ["x=1 ", ""])
def test_its_run_is_charged_to_no_voucher(site, other: str) -> None:
    """What slurmdbd has of it names no voucher and no hold: the run is priced, and on no account,
    while the run that it had before by the voucher is on the account."""
    delivery.load_prices(site)
    hold(site)
    queue = Queue(site, queued(ONE, admin_comment=other + mark(FIRST, CARD_HOUR)))
    said = [queue.says(ONE)]
    freeze(site, date(2024, 7, 1))
    queue.look(3)
    said.append(queue.says(ONE))
    start_s = NOW_S - 86_400  # before the freeze
    runs = [
        delivery.run(ONE, voucher=one.voucher, hold=one.hold, held_micro=one.held_micro,
                     state=state, submit_s=start_s - 60 + i)
        for i, (one, state) in enumerate(zip(said, ("REQUEUED", "COMPLETED"), strict=True))
    ]  # fmt: skip
    taken = delivery.take(site, *runs)

    assert (taken.new, taken.unclaimed, taken.charge_micro) == (2, 1, 2_000_000)
    assert delivery.balance(site, "accrued") == "1.00"
    assert delivery.findings(site) == []
