"""slurm_voucher/reconcile.py: holds follow the queue, and end on evidence alone."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import fakeslurm
import pytest
import town as towns
from fakeslurm import row, squeue
from prices import PRICES
from sqlalchemy import insert, select
from town import ACCOUNT, NOW, POLICY, UNIT, instant

from accounting.book import ledger, schema
from accounting.rates import tariff
from accounting.vouchers import freezing, holds, registry, releasing
from slurm_voucher import marks, queue, reconcile
from slurm_voucher.acting import Act
from slurm_voucher.asking import Asker, Rules, request
from slurm_voucher.choices import NOTHING_CHOSEN

UID = 2001
RULES = Rules(fakeslurm.CLUSTER, PRICES, POLICY)
NOW_S = instant(NOW)
SUBMIT = {"set": True, "infinite": False, "number": NOW_S}
LIKE_IT = replace(PRICES, version="another")
CARD_HOUR = 11_280_000
"""376 TFLOPS for an hour at 30 yuan per PFLOPS·hour, micro-yuan."""
ONE, TWO, ARRAY, WIDE = 117, 118, 119, 127
FIRST = "1" * 32


@pytest.fixture
def site(town):
    """A town whose user of the recorded queue is a member."""
    with town.begin() as conn:
        registry.add_member(
            conn, UNIT, cluster="chengdu", uid=UID, from_s=NOW_S, until_s=None,
            stamp=towns.stamp(),
        )  # fmt: skip
    return town


def queued(job_id, **changes):
    """Return a recorded row, submitted on the town's clock."""
    return row(job_id, submit_time=SUBMIT, **changes)


def mark(hold, held="?", voucher=ACCOUNT):
    """Return what the hook writes into AdminComment."""
    return f"voucher={voucher};hold={hold};held={held}"


def hold(site, hold_id=FIRST, now_s=NOW_S, **fields):
    """Take a hold as voucherd does at submit; one card for an hour unless told otherwise."""
    asked = {"tres_per_node": "gres/gpu:ascend_910b:1", "time_limit": "60"} | fields
    with site.begin() as conn:
        asker = Asker(ACCOUNT, UID)
        wanted = request(conn, RULES, hold_id, asker, asked, now_s=now_s, submit_s=now_s)
        holds.place(conn, wanted, POLICY, now_s)


def look(
    site, *rows, after_s=10, nothing_waits=True, collected_s=None, memory=None, rules=RULES,
    choices=NOTHING_CHOSEN,
):  # fmt: skip
    """Look at a queue of these rows, some seconds after the submit."""
    snapshot = queue.read(squeue(*rows))
    if collected_s is not None:
        with site.begin() as conn:
            collected(conn, NOW_S + collected_s)
    return reconcile.apply(
        site.engine, rules, snapshot, began_s=NOW_S + after_s, nothing_waits=nothing_waits,
        memory=reconcile.Memory() if memory is None else memory, choices=choices,
    )  # fmt: skip


def collected(conn, at_s):
    """Say that everything that ended before an instant is collected."""
    conn.execute(schema.watermark.delete())
    values = {"cluster": "chengdu", "sweep": "ended", "until_s": at_s}
    conn.execute(insert(schema.watermark), values)


def live(site):
    """Return (hold, live tasks, amount of one, job) of all live holds."""
    with site.begin() as conn:
        rows = conn.execute(holds.LIVE.order_by(schema.hold.c.id))
        return [(each.id[0], each.live, each.task_micro, each.job_id) for each in rows]


# --- binding ---------------------------------------------------------------------------------


def test_seen_hold_is_bound(site) -> None:
    """A hold that the queue shows is tied to its job, and nothing else happens to it."""
    hold(site)

    assert look(site, queued(ONE)) == reconcile.Reconciled()
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


def test_looking_twice_is_looking_once(site) -> None:
    """The same queue again changes nothing."""
    rows = (
        queued(ONE, admin_comment=mark(FIRST, CARD_HOUR)),
        queued(ARRAY, admin_comment=mark("3" * 32)),
    )
    look(site, *rows)
    before = live(site)

    assert look(site, *rows, after_s=20) == reconcile.Reconciled()
    assert live(site) == before


def test_rebuilt_hold_that_is_too_small_is_raised(site) -> None:
    """A job that was changed after its mark was written is raised at the look after."""
    rows = [queued(ONE, admin_comment=mark(FIRST, 9_024_000))]

    assert look(site, *rows).rebuilt == [FIRST]
    assert look(site, *rows, after_s=20).raised == [FIRST]
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


# --- rebuilding ------------------------------------------------------------------------------


def test_rebuilt_hold_has_the_same_amount(site) -> None:
    """A hold that the book lost is entered with the amount in AdminComment."""
    done = look(site, queued(ONE, admin_comment=mark(FIRST, 7_000_001)))

    assert (done.rebuilt, done.problems) == ([FIRST], [])
    assert live(site) == [("1", 1, 7_000_001, ONE)]


def test_unknown_amount_is_worked_out(site) -> None:
    """A job that was let in without an answer is held for the most that it can cost."""
    look(site, queued(TWO))

    assert live(site) == [("2", 1, 2 * 2 * CARD_HOUR, TWO)]


def test_rebuilt_array_has_its_tasks(site) -> None:
    """An array that waits in part is one hold with all tasks that are there."""
    rows = [queued(n, admin_comment=mark("3" * 32, 6 * 1_880_000)) for n in (ARRAY, 130, 131)]

    assert look(site, *rows).rebuilt == ["3" * 32]
    assert live(site) == [("3", 6, 1_880_000, ARRAY)]


def test_rebuilt_hold_is_the_dearest_of_its_tasks(site) -> None:
    """Where tasks of an array were changed, each is held for what the dearest can cost."""
    longer = {"set": True, "infinite": False, "number": 60}
    rows = [queued(ARRAY, admin_comment=mark("3" * 32))]
    rows.append(queued(130, admin_comment=mark("3" * 32), time_limit=longer))

    look(site, *rows)
    assert live(site) == [("3", 5, CARD_HOUR, ARRAY)]


def test_parts_of_a_heterogeneous_job_are_rebuilt(site) -> None:
    """Each part of a heterogeneous job is rebuilt with its own hold."""
    look(site, queued(120), queued(121))

    assert [(h, job) for h, _, _, job in live(site)] == [("4", 120), ("5", 121)]


def test_ended_job_is_not_rebuilt(site) -> None:
    """A job that has ended needs no hold any more."""
    assert look(site, queued(124)).rebuilt == []
    assert live(site) == []


def test_ended_hold_is_not_rebuilt(site) -> None:
    """A hold that has ended is not taken again for a job that the queue still shows."""
    hold(site)
    with site.begin() as conn:
        releasing.end(conn, FIRST, "*", "posted", 1, NOW_S, "COMPLETED in slurmdbd")

    assert look(site, queued(ONE)) == reconcile.Reconciled()
    assert live(site) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"admin_comment": mark(FIRST, voucher="CD99-0009")}, "voucher 'CD99-0009': not known"),
        ({"user_id": 4242}, "belongs to another unit than user 4242's"),
        ({"partition": "sc"}, "partition sc: has no price for vouchers"),
        ({"partition": "gone"}, "partition gone: not known here"),
        ({"tres_per_node": "gpu:h100:1"}, "h100"),
        ({"admin_comment": "hold=a hold=b"}, "AdminComment says two things about hold"),
        ({"array_task_string": "1,2,..."}, "array '1,2,...': cannot be read"),
        (
            {
                "time_limit": {"set": True, "number": 10**10 - 1},
                "array_task_string": "0-4000000",
                "admin_comment": mark(FIRST),
            },
            "cannot be rebuilt: it is too large",
        ),
    ],
)
def test_what_cannot_be_rebuilt_is_named(site, changes, why) -> None:
    """A hold that cannot be rebuilt is a named problem, and the next one is rebuilt."""
    done = look(site, queued(ONE, **changes), queued(TWO))

    assert len(done.problems) == 1
    assert why in done.problems[0]
    assert done.problems[0].startswith("job 117: ")
    assert done.rebuilt == ["2" * 32]


# --- what was changed behind our back --------------------------------------------------------


def test_change_before_the_first_binding_is_held(site) -> None:
    """A job that was made larger before its hold was bound is raised at the first look."""
    hold(site)
    done = look(site, queued(ONE, tres_per_node="gres/gpu:ascend_910b:4"))

    assert done.raised == [FIRST]
    assert live(site) == [("1", 1, 4 * CARD_HOUR, ONE)]


def test_larger_change_than_the_balance_makes_the_job_wait(site) -> None:
    """A job that was made dearer than what is left covers is held for all, and has to wait."""
    hold(site)
    big = queued(ONE, time_limit=minutes(600_000))
    done = look(site, big)

    assert done.raised == [FIRST]
    assert live(site) == [("1", 1, 10_000 * CARD_HOUR, ONE)]
    text = f"voucher={ACCOUNT};hold={FIRST};held={10_000 * CARD_HOUR};waits=insufficient_balance"
    assert done.acts == [Act(ONE, "hold", ONE, text)]


def test_change_that_no_book_can_take_stops_no_other(site) -> None:
    """A job that became too large to be held for waits by name, and another one is followed."""
    look(site, *many(2))
    rows = many(2, time_limit=minutes(120))
    rows[0] |= {"time_limit": minutes(10**10 - 1), "array_task_string": "0-4000000"}
    done = look(site, *rows, after_s=20)

    assert (done.raised, acts(done)) == ([f"{2:032x}"], [("hold", 1, "insufficient_balance")])


def minutes(number):
    """Return a time limit as squeue prints it."""
    return {"set": True, "infinite": False, "number": number}


def test_what_the_queue_never_showed_stays_held(site) -> None:
    """A job whose whole node the queue does not show while it waits keeps its hold."""
    hold(site, tres_per_node="gpu:ascend_910b:8")
    memory = reconcile.Memory()
    for after_s in (10, 20, 30, 40):
        look(site, queued(ONE), after_s=after_s, memory=memory)

    assert live(site) == [("1", 1, 8 * CARD_HOUR, ONE)]


def test_smaller_job_gives_back_when_two_looks_have_shown_it(site) -> None:
    """A job that was made shorter by half holds half, after the second look that shows it."""
    hold(site, tres_per_node="gpu:ascend_910b:8")
    memory = reconcile.Memory()
    look(site, queued(ONE), memory=memory)
    short = queued(ONE, time_limit=minutes(30))
    looks = [look(site, short, after_s=after_s, memory=memory) for after_s in (20, 30, 40)]

    assert [each.lowered for each in looks] == [[], [FIRST], []]
    assert live(site) == [("1", 1, 4 * CARD_HOUR, ONE)]


def by_prices(yuan):
    """Return the rules with another price of a PFLOPS·hour in the partition of the jobs."""
    text = towns.TARIFF.replace('yuan_per_pflops_hour: "30.00"', f'yuan_per_pflops_hour: "{yuan}"')
    assert text != towns.TARIFF
    return replace(RULES, prices=tariff.load(text, "another list"))


@pytest.mark.parametrize("cards", [1, 8])
def test_cheaper_price_list_gives_back_and_a_dearer_one_takes(site, cards) -> None:
    """At half of the price a waiting job holds half, also for a whole node that the queue does
    not show, and all of it by the old one."""
    hold(site, tres_per_node=f"gpu:ascend_910b:{cards}")
    memory = reconcile.Memory()
    look(site, queued(ONE), memory=memory)
    done = look(site, queued(ONE), after_s=20, memory=memory, rules=by_prices("15.00"))
    assert done.lowered == [FIRST]
    assert live(site) == [("1", 1, cards * CARD_HOUR // 2, ONE)]

    again = look(site, queued(ONE), after_s=30, memory=memory, rules=by_prices("15.00"))
    assert again == reconcile.Reconciled()
    done = look(site, queued(ONE), after_s=40, memory=memory)
    assert done.raised == [FIRST]
    assert live(site) == [("1", 1, cards * CARD_HOUR, ONE)]


def test_cheaper_price_list_lowers_a_changed_job_by_the_second_look(site) -> None:
    """A job that was made shorter while the price list changed gives back both at the look after
    the one that shows it."""
    hold(site, tres_per_node="gpu:ascend_910b:8")
    memory = reconcile.Memory()
    look(site, queued(ONE), memory=memory)
    short, cheap = queued(ONE, time_limit=minutes(30)), by_prices("15.00")
    looks = [look(site, short, after_s=s, memory=memory, rules=cheap) for s in (20, 30, 40)]

    assert [each.lowered for each in looks] == [[], [FIRST], []]
    assert live(site) == [("1", 1, 2 * CARD_HOUR, ONE)]


def test_change_between_two_looks_starts_the_count_anew(site) -> None:
    """A raise that voucherd let pass after a look is not taken back by the next one."""
    hold(site, time_limit="120")
    memory = reconcile.Memory()
    look(site, queued(ONE, time_limit=minutes(120)), memory=memory)
    look(site, queued(ONE), after_s=20, memory=memory)
    with site.begin() as conn:
        held = holds.find_live(conn, FIRST)
        fields = held.asked | {"time_limit": "240"}
        asked = request(conn, RULES, FIRST, Asker(ACCOUNT, UID), fields, now_s=NOW_S,
                        submit_s=NOW_S)  # fmt: skip
        holds.write_raised(conn, held.raised(asked)[0])

    assert look(site, queued(ONE), after_s=30, memory=memory).lowered == []
    assert live(site) == [("1", 1, 4 * CARD_HOUR, ONE)]


def running(job_id, cards, **changes):
    """Return a row of a job that has run since the submit on so many cards of one node."""
    given = f"cpu=1,node=1,gres/gpu={cards},gres/gpu:ascend_910b={cards}"
    return queued(job_id, job_state=["RUNNING"], start_time=SUBMIT, tres_alloc_str=given, **changes)


def test_running_job_that_shrinks_keeps_what_it_has_used(site) -> None:
    """Of an hour on 8 cards half is over when 4 of them are given back: 8 half, 4 for the hour."""
    hold(site, tres_per_node="gpu:ascend_910b:8")
    memory = reconcile.Memory()
    look(site, running(ONE, 8), memory=memory)
    for after_s in (1800, 1800):
        look(site, running(ONE, 2), after_s=after_s, memory=memory)

    assert live(site) == [("1", 1, 4 * CARD_HOUR + 2 * CARD_HOUR, ONE)]


# --- a job that has finished and is requeued ---------------------------------------------------


def at(after_s: int) -> dict:
    """Return a submit so many seconds later."""
    return {"submit_time": {"set": True, "infinite": False, "number": NOW_S + after_s}}


def finished(site, *jobs) -> None:
    """Let runs of the first hold's jobs be posted, as their rows say."""
    with site.begin() as conn:
        for job in jobs:
            assert releasing.end(conn, FIRST, str(job), "posted", 1, NOW_S + 20, "row")


def test_finished_job_that_is_requeued_gets_a_hold_of_its_own(site) -> None:
    """Its user may let a finished job run again: what was held was for the run that is over. Until
    its mark says so it is the same hold; what it cannot pay for waits by name."""
    hold(site)
    job = queued(ONE, admin_comment=f"lake {mark(FIRST, CARD_HOUR)}")
    look(site, job)
    finished(site, ONE)
    assert look(site, job, after_s=30).rebuilt == []  # the row was there before the queue knew
    done = look(site, job | at(25), after_s=30)
    [new] = done.rebuilt
    assert new != FIRST
    assert live(site) == [(new[0], 1, CARD_HOUR, ONE)]
    text = f"lake {mark(new, CARD_HOUR)}"
    assert done.acts == [Act(ONE, "", ONE, text)]
    same = look(site, job | at(25), after_s=40)
    assert (same.rebuilt, same.acts) == ([], done.acts)
    assert look(site, job | at(25) | {"admin_comment": text}, after_s=50).acts == []

    freeze(site, date(2024, 7, 1))
    frozen = look(site, job | at(60), after_s=70)
    assert acts(frozen) == [("", ONE, ""), ("hold", ONE, "not_eligible")]


def test_finished_task_that_is_requeued_is_held_for_beside_the_others(site) -> None:
    """Of an array the task that runs again has a hold of its own; the others keep theirs."""
    hold(site, array="1-2")
    array = {"array_job_id": {"set": True, "infinite": False, "number": ONE}}

    def task(number: int) -> dict:
        of = {"array_task_id": {"set": True, "infinite": False, "number": number}}
        return queued(ONE, admin_comment=mark(FIRST)) | array | of | {"job_id": ONE + number}

    look(site, task(1), task(2))
    finished(site, ONE + 1)
    done = look(site, task(1) | at(25), task(2), after_s=30)
    [new] = done.rebuilt
    assert sorted(live(site)) == sorted([("1", 1, CARD_HOUR, ONE), (new[0], 1, CARD_HOUR, ONE)])
    assert [act.comment_of for act in done.acts] == [f"{ONE}_1"]


# --- what a voucher can still bear -----------------------------------------------------------

END_S = instant("2025-01-01T00:00:00+08:00") - NOW_S
"""The end of the voucher, seconds after the submit."""


def eligible(site, account=ACCOUNT):
    """Return what the vouchers may bear of what is held on an account."""
    with site.begin() as conn:
        return holds.position(conn, account, POLICY).held_eligible_micro


def test_waiting_job_is_worth_less_of_a_voucher_that_expires(site) -> None:
    """Of an hour that begins half an hour before a voucher's end half is eligible, then nothing."""
    hold(site)
    memory = reconcile.Memory()
    parts = []
    for after_s in (10, END_S - 7200, END_S - 1800, END_S, END_S + 30):
        look(site, queued(ONE), after_s=after_s, memory=memory)
        parts.append(eligible(site))

    assert parts == [CARD_HOUR, CARD_HOUR, CARD_HOUR // 2, 0, 0]
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


def test_voucher_that_expired_unseen_bears_nothing(site) -> None:
    """A voucherd that starts after a voucher's end sees it by its second look."""
    hold(site)
    memory = reconcile.Memory()
    for after_s in (END_S + 10, END_S + 20):
        look(site, queued(ONE), after_s=after_s, memory=memory)

    assert eligible(site) == 0


def test_job_waits_by_the_name_of_what_is_missing(site) -> None:
    """What half of a voucher and the cash cover the cash alone does not: while the voucher is valid
    the job may run, and once it has expired the job waits by that name."""
    hold(site, time_limit=str(60 * 5_000))
    job = queued(ONE, admin_comment=mark(FIRST, 5_000 * CARD_HOUR), time_limit=minutes(60 * 5_000))
    memory = reconcile.Memory()
    found = [
        acts(look(site, job, after_s=after_s, memory=memory)) for after_s in (10, END_S, END_S + 9)
    ]
    assert found[0] == []
    assert found[2] == [("hold", ONE, "voucher_expired")]


def test_running_job_keeps_what_it_began_with(site) -> None:
    """A job that runs beyond the voucher's end keeps the part that it had when it began."""
    hold(site)
    memory = reconcile.Memory()
    for after_s in (10, END_S, END_S + 10):
        look(site, running(ONE, 1), after_s=after_s, memory=memory)

    assert eligible(site) == CARD_HOUR


def test_voucher_that_is_issued_while_a_job_waits_bears_its_part(site) -> None:
    """A job on an account that had cash alone is worth a voucher's share once there is one."""
    with site.begin() as conn:
        account = towns.add_contract(conn, "2024-AI-002")
        application = towns.add_application(conn, "2024-AI-002")
        towns.pay(conn, "1000.00", "BANK-3", account)
    memory = reconcile.Memory()
    rows = [queued(ONE, admin_comment=mark(FIRST, voucher=account))]
    for after_s in (10, 20):
        look(site, *rows, after_s=after_s, memory=memory)
    assert eligible(site, account) == 0
    towns.confirm(site, application)
    look(site, *rows, after_s=30, memory=memory)

    assert eligible(site, account) == CARD_HOUR


def test_whole_node_that_is_requeued_stays_held(site) -> None:
    """A job on a whole node, which the queue shows only while it runs, keeps its hold when it
    waits again; made shorter by half then it gives back half."""
    hold(site, tres_per_node="gpu:ascend_910b:8")
    memory = reconcile.Memory()
    look(site, running(ONE, 8), memory=memory)
    for after_s in (20, 30, 40):
        look(site, queued(ONE), after_s=after_s, memory=memory)
    assert live(site) == [("1", 1, 8 * CARD_HOUR, ONE)]

    for after_s in (50, 60):
        look(site, queued(ONE, time_limit=minutes(30)), after_s=after_s, memory=memory)
    assert live(site) == [("1", 1, 4 * CARD_HOUR, ONE)]


def test_whole_nodes_of_an_array_stay_held_when_one_is_done(site) -> None:
    """Tasks of an array that wait for whole nodes keep their holds when the one that showed what
    they get has ended."""
    hold(site, "3" * 32, tres_per_node="gpu:ascend_910b:8", array="3-6")
    memory = reconcile.Memory()
    waits = queued(ARRAY, admin_comment=mark("3" * 32), time_limit=minutes(60))
    runs = running(130, 8, time_limit=minutes(60))
    look(site, waits, runs, memory=memory)
    for after_s in (20, 30, 40):
        look(site, waits, after_s=after_s, memory=memory)

    assert [micro for _, _, micro, _ in live(site)] == [8 * CARD_HOUR]


def test_running_job_is_not_raised_by_the_time_that_passes(site) -> None:
    """A whole node that was held for, of which a job runs on one card, is not held for again when
    half of its time is over and a price list comes that costs the same."""
    hold(site, tres_per_node="gpu:ascend_910b:8")
    memory = reconcile.Memory()
    look(site, running(ONE, 1), after_s=360, memory=memory)
    look(site, running(ONE, 1), after_s=1800, memory=memory, rules=replace(RULES, prices=LIKE_IT))

    assert live(site) == [("1", 1, 8 * CARD_HOUR, ONE)]


# --- who has to wait -------------------------------------------------------------------------

OTHER = 200


def other(**changes):
    """Return a second job that waits."""
    return queued(ONE, **changes) | {"job_id": OTHER}


STOPPED = {"priority": {"set": True, "infinite": False, "number": 0}}


def acts(done):
    """Return what Slurm is to do: verb, job, and why it waits then."""
    return [(a.verb, a.job_id, (marks.read(a.comment).waits or "")) for a in done.acts]


def test_job_that_was_let_wait_gets_its_hold_and_goes(site) -> None:
    """A job that the hook let wait is held for and released; its mark says what is held."""
    waits = f"voucher={ACCOUNT};hold={FIRST};held=wait"
    done = look(site, queued(ONE, admin_comment=f"lake {waits}", **STOPPED))

    assert live(site) == [("1", 1, CARD_HOUR, ONE)]
    text = f"lake voucher={ACCOUNT};hold={FIRST};held={CARD_HOUR}"
    assert done.acts == [Act(ONE, "release", ONE, text)]


def test_job_that_was_let_wait_looks_as_if_its_user_held_it(site) -> None:
    """Slurm takes what the hook held for its user's hold: it is released, or held by us to wait."""
    let_wait = STOPPED | {"state_reason": "JobHeldUser"}
    waits = f"voucher={ACCOUNT};hold={FIRST};held=wait"
    assert acts(look(site, queued(ONE, admin_comment=waits, **let_wait))) == [("release", ONE, "")]
    nobodys = other(admin_comment=waits.replace("1", "2"), user_id=7, **let_wait)
    done = look(site, nobodys)

    assert acts(done) == [("hold", OTHER, "not_eligible")]
    by_us = {"admin_comment": done.acts[0].comment, "state_reason": "JobHeldAdmin"}
    assert acts(look(site, nobodys | by_us)) == []


@pytest.mark.parametrize("reason", ["JobHeldUser", "JobHeldAdmin"])
def test_job_that_its_user_held_stays_held(site, reason: str) -> None:
    """A job that was submitted held while nobody answered gets its hold and stays held, whoever
    submitted it; once it is released what it cannot pay for is held by us."""
    own = f"voucher={ACCOUNT};hold={FIRST};held=own"
    held = STOPPED | {"state_reason": reason}
    done = look(site, queued(ONE, admin_comment=own, **held))
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]
    assert done.acts == [Act(ONE, "", ONE, mark(FIRST, CARD_HOUR))]

    nobodys = other(admin_comment=f"voucher=-;hold={'2' * 32};held=own", user_id=7)
    assert acts(look(site, nobodys | held)) == []
    assert acts(look(site, nobodys)) == [("hold", OTHER, "not_eligible")]


def test_job_that_was_let_wait_without_voucher_gets_its_users(site) -> None:
    """A job that named no voucher waits for the only one of its user, if there is one."""
    waits = f"voucher=-;hold={FIRST};held=wait"
    done = look(site, queued(ONE, admin_comment=waits, **STOPPED))

    assert acts(done) == [("release", ONE, "")]
    assert marks.read(done.acts[0].comment).voucher == ACCOUNT
    nobodys = other(admin_comment=waits.replace("1", "2"), user_id=7, **STOPPED)
    assert acts(look(site, nobodys)) == [("", OTHER, "not_eligible")]


def test_newest_jobs_wait_until_the_account_is_not_short(site) -> None:
    """Where what is left does not cover two jobs the newer one waits; paid, it goes on."""
    big = {"time_limit": minutes(60 * 5_000)}  # 56,400 of 50,000 on the voucher and as much cash
    hold(site)
    older = queued(ONE, admin_comment=mark(FIRST, 5_000 * CARD_HOUR), **big)
    later = {"set": True, "infinite": False, "number": NOW_S + 1}
    newer = other(admin_comment=mark("2" * 32), **big) | {"submit_time": later}
    done = look(site, older, newer, after_s=20)
    assert done.rebuilt == ["2" * 32]
    assert acts(done) == [("hold", OTHER, "insufficient_balance")]

    held = newer | {"admin_comment": done.acts[0].comment} | STOPPED
    assert look(site, older, held, after_s=30).acts == []
    with site.begin() as conn:
        towns.pay(conn, "50000.00", "BANK-2")
    assert acts(look(site, older, held, after_s=40)) == [("release", OTHER, "")]


def test_as_many_wait_as_it_takes(site) -> None:
    """What a waiting job frees is its cash: the voucher's half of it is no cash of the others."""
    hold(site)
    long = {"time_limit": minutes(60 * 4_000)}  # 45,120, half of it cash
    rows = [queued(ONE, admin_comment=mark(FIRST), **long)]
    for number in (2, 3, 4):
        submit = {"set": True, "infinite": False, "number": NOW_S + number}
        rows.append(
            other(admin_comment=mark(str(number) * 32), **long)
            | {"submit_time": submit, "job_id": OTHER + number}
        )
    done = look(site, *rows, after_s=20)  # 180,480: 130,480 of cash is wanted, 50,000 is there

    assert sorted(each.job_id for each in done.acts) == [ONE, OTHER + 2, OTHER + 3, OTHER + 4]


def freeze(site, day):
    """Let the regulator freeze the unit from a day on."""
    with site.begin() as conn:
        draft = freezing.draft_freeze(conn, UNIT, day, "blacklisted")
    act = site.signed(draft)
    with site.begin() as conn:
        freezing.accept_freeze(conn, act, POLICY, towns.stamp())


def unfreeze(site, last_on):
    """Let the regulator end the freeze after a day."""
    with site.begin() as conn:
        draft = freezing.draft_unfreeze(conn, UNIT, last_on, "taken off", POLICY)
    act = site.signed(draft)
    with site.begin() as conn:
        freezing.accept_unfreeze(conn, act, POLICY, towns.stamp())


def leave(site, until_s):
    """Let the user's membership end at an instant."""
    with site.begin() as conn:
        registry.end_member(
            conn, UNIT, cluster="chengdu", uid=UID, until_s=until_s, stamp=towns.stamp()
        )


SEEN_BEFORE = pytest.mark.parametrize("seen_before", [False, True])
"""Whether a look has seen the jobs already, which have not changed since."""


@SEEN_BEFORE
def test_job_of_a_frozen_unit_waits_by_name(site, seen_before) -> None:
    """A waiting job whose unit is frozen is held by the next look, one that runs is not."""
    hold(site)
    hold(site, "2" * 32)
    memory = reconcile.Memory()
    if seen_before:
        assert acts(look(site, queued(ONE), running(TWO, 2), memory=memory)) == []
    freeze(site, date(2024, 7, 1))
    done = look(site, queued(ONE), running(TWO, 2), after_s=20, memory=memory)

    assert acts(done) == [("hold", ONE, "not_eligible")]


@SEEN_BEFORE
def test_job_of_a_member_who_left_waits_by_name(site, seen_before) -> None:
    """A waiting job whose user has left the unit is held by the next look, one that runs is not."""
    hold(site)
    hold(site, "2" * 32)
    memory = reconcile.Memory()
    if seen_before:
        assert acts(look(site, queued(ONE), running(TWO, 2), memory=memory)) == []
    leave(site, NOW_S + 15)
    done = look(site, queued(ONE), running(TWO, 2), after_s=20, memory=memory)

    assert acts(done) == [("hold", ONE, "not_allowed")]


def test_freeze_counts_from_its_first_day_to_its_last(site) -> None:
    """A freeze that was signed before holds a waiting job from the day it begins until it ends."""
    hold(site)
    freeze(site, date(2024, 7, 2))
    memory = reconcile.Memory()
    midnight_s = instant("2024-07-02T00:00:00+08:00") - NOW_S
    assert acts(look(site, queued(ONE), after_s=midnight_s - 1, memory=memory)) == []
    done = look(site, queued(ONE), after_s=midnight_s, memory=memory)
    assert acts(done) == [("hold", ONE, "not_eligible")]

    unfreeze(site, date(2024, 7, 2))
    waits = queued(ONE, admin_comment=done.acts[0].comment, **STOPPED)
    assert acts(look(site, waits, after_s=midnight_s + 86_399, memory=memory)) == []
    assert acts(look(site, waits, after_s=midnight_s + 86_400, memory=memory)) == [
        ("release", ONE, "")
    ]


def test_job_of_a_frozen_unit_is_followed(site) -> None:
    """A waiting job that was made dearer while its unit is frozen is held for all of it."""
    hold(site)
    memory = reconcile.Memory()
    look(site, queued(ONE), memory=memory)
    freeze(site, date(2024, 7, 2))
    done = look(site, queued(ONE, time_limit=minutes(120)), after_s=86_400, memory=memory)

    assert (done.raised, acts(done)) == ([FIRST], [("hold", ONE, "not_eligible")])
    assert live(site) == [("1", 1, 2 * CARD_HOUR, ONE)]


def test_job_that_was_not_worked_out_for_a_while_keeps_its_hold(site) -> None:
    """A whole node that the queue does not show stays held when a price was gone for a look."""
    hold(site, tres_per_node="gpu:ascend_910b:8")
    memory = reconcile.Memory()
    no_prices = replace(RULES, prices=replace(PRICES, partitions={}))
    look(site, queued(ONE), memory=memory, rules=no_prices)
    for after_s in (20, 30, 40):
        look(site, queued(ONE), after_s=after_s, memory=memory)

    assert live(site) == [("1", 1, 8 * CARD_HOUR, ONE)]


@pytest.mark.parametrize("comment", [mark(FIRST, CARD_HOUR), f"{mark(FIRST, CARD_HOUR)};waits=x"])
def test_only_our_own_jobs_are_released(site, comment) -> None:
    """A job that its user or the administrator holds stays held; only ours go on."""
    hold(site)
    done = look(site, queued(ONE, admin_comment=comment, **STOPPED))

    ours = "waits" in comment
    assert acts(done) == ([("release", ONE, "")] if ours else [])


@pytest.mark.parametrize("state", ["RUNNING", "SUSPENDED"])
def test_job_that_started_all_the_same_waits_no_more(site, state) -> None:
    """A job that started before voucherd's hold reached it is not marked as one that waits."""
    hold(site)
    done = look(
        site, running(ONE, 1) | {"admin_comment": f"{mark(FIRST)};waits=x", "job_state": [state]}
    )

    assert done.acts == [Act(ONE, "", ONE, mark(FIRST, CARD_HOUR))]


def test_job_that_runs_and_is_marked_is_no_money_for_others(site) -> None:
    """What a job that runs has is not counted as what those that wait can leave to others."""
    big = {"time_limit": minutes(60 * 5_000)}  # 56,400 each, of 50,000 on the voucher and in cash
    hold(site)
    runs = running(ONE, 1, **big) | {"admin_comment": f"{mark(FIRST)};waits=x"}
    waits = other(admin_comment=mark("2" * 32), **big) | {"submit_time": minutes(NOW_S - 60)}
    done = look(site, runs, waits)

    assert acts(done) == [("", ONE, ""), ("hold", OTHER, "insufficient_balance")]


@pytest.mark.parametrize(
    "how",
    [
        {"state_reason": "JobHeldUser"},
        {"state_reason": "job_requeued_in_held_state"},
        {"state_reason": "JobHeldUser", "state_description": "job requeued in held state"},
        {"state_reason": "JobHoldMaxRequeue"},
        {"job_state": ["PENDING", "REQUEUE_HOLD"]},
        {"job_state": ["PENDING", "SPECIAL_EXIT"]},
    ],
)
def test_job_that_another_holds_by_now_is_not_released(site, how) -> None:
    """A job that is marked as ours and was requeued to be held, or is held by its user, stays so;
    the mark goes."""
    hold(site)
    marked = queued(ONE, admin_comment=f"{mark(FIRST)};waits=x", **STOPPED)
    assert acts(look(site, marked | {"state_reason": "JobHeldAdmin"})) == [("release", ONE, "")]
    done = look(site, marked | how, after_s=20)

    assert done.acts == [Act(ONE, "", ONE, mark(FIRST, CARD_HOUR))]


def test_task_that_runs_is_unmarked_alone(site) -> None:
    """The last task of an array has the array's number, by which scontrol would also write what
    stands in those that wait again: they would be held and not ours to release."""
    last = {"job_id": ARRAY, "array_task_id": {"set": True, "infinite": False, "number": 6}}
    waits = running(130, 1, admin_comment=f"{mark('3' * 32)};waits=x") | last
    assert [act.comment_of for act in look(site, waits).acts] == ["119_6"]


def test_parts_of_a_heterogeneous_job_are_marked_each(site) -> None:
    """They are held and released by the first part's number, by which scontrol would write the
    AdminComment of all of them: each mark names its part."""
    big = {"time_limit": minutes(60 * 20_000), "tres_per_node": "gres/gpu:ascend_910b:1"}
    rows = queued(120, admin_comment=mark("4" * 32), **big), queued(121, **big)
    done = look(site, *rows)

    assert {(a.verb, a.job_id) for a in done.acts} == {("hold", 120)}
    own = {a.comment_of: marks.read(a.comment).hold for a in done.acts}
    assert own == {"120+0": "4" * 32, "120+1": "5" * 32}


def test_array_is_held_and_marked_as_a_whole(site) -> None:
    """Tasks of an array that wait are held and released by the array's number, each marked."""
    big = {"time_limit": minutes(60 * 20_000)}
    task = {"job_id": OTHER, "array_task_string": "7"}
    rows = [queued(ARRAY, admin_comment=mark("3" * 32), **big) | some for some in ({}, task)]
    done = look(site, *rows)

    assert {(a.verb, a.job_id) for a in done.acts} == {("hold", ARRAY)}
    assert {a.comment_of for a in done.acts} == {ARRAY, OTHER}


def test_whole_node_that_runs_is_known(site) -> None:
    """A job let in for a whole node is raised once it runs, as the queue shows only then."""
    lone = queued(ONE, tres_per_node="", admin_comment=mark(FIRST, 1))
    given = "cpu=192,node=1,gres/gpu=8,gres/gpu:ascend_910b=8"
    runs = queued(ONE, job_state=["RUNNING"], tres_alloc_str=given, admin_comment=mark(FIRST, 1))

    assert look(site, lone).rebuilt == []
    assert look(site, runs, after_s=20).rebuilt == [FIRST]
    assert look(site, runs, after_s=30).raised == [FIRST]
    assert live(site) == [("1", 1, 8 * CARD_HOUR, ONE)]


def test_only_what_changed_is_worked_out_again(site) -> None:
    """What the queue said last time is not worked out again, and is forgotten with its job."""
    hold(site)
    memory = reconcile.Memory()
    look(site, queued(ONE), memory=memory)
    no_prices = replace(RULES, prices=replace(PRICES, partitions={}))

    assert look(site, queued(ONE), after_s=20, memory=memory, rules=no_prices).problems == []
    assert look(site, after_s=30, memory=memory, rules=no_prices).problems == []
    assert memory.seen == {}


def test_many_changes_take_several_looks(site, monkeypatch) -> None:
    """One look works out no more than CHECKS_MAX jobs, and the next looks go on."""
    monkeypatch.setattr(reconcile, "CHECKS_MAX", 5)
    number = reconcile.CHECKS_MAX + 1
    rows = [
        queued(ONE, admin_comment=mark(f"{n:032x}", 1)) | {"job_id": n}
        for n in range(1, number + 1)
    ]
    memory = reconcile.Memory()

    looks = [look(site, *rows, after_s=10 * n, memory=memory) for n in (1, 2, 3, 4)]
    assert [len(each.rebuilt) for each in looks] == [number, 0, 0, 0]
    assert [len(each.raised) for each in looks] == [0, number - 1, 1, 0]


def many(number, **changes):
    """Return rows of jobs 1, 2, 3, … with a hold each, one submitted after the other."""
    return [
        queued(ONE, **({"admin_comment": mark(f"{n:032x}", CARD_HOUR)} | changes))
        | {"job_id": n, "submit_time": minutes(NOW_S + n)}
        for n in range(1, number + 1)
    ]


def stopped(row):
    """Return a row of a job that voucherd holds."""
    return row | STOPPED | {"admin_comment": f"{row['admin_comment']};waits=not_eligible"}


def test_jobs_that_cannot_be_worked_out_stand_in_nobodys_way(site, monkeypatch) -> None:
    """A job that got longer is held for though more jobs than a look takes cannot be worked out,
    and each of those is tried again in its turn."""
    look(site, *many(4))
    monkeypatch.setattr(reconcile, "CHECKS_MAX", 2)
    *bad, last = many(4)
    bad = [row | {"partition": "gone"} for row in bad]
    memory = reconcile.Memory()
    longer = last | {"time_limit": minutes(120)}

    looks = [look(site, *bad, longer, after_s=10 * n, memory=memory) for n in range(2, 6)]
    assert [len(each.raised) for each in looks] == [0, 1, 0, 0]
    held = [{act.job_id for act in each.acts} for each in looks]
    assert held == [{1, 2}, {3}, {1, 2}, {3, 1}]


def test_only_what_was_worked_out_is_released(site, monkeypatch) -> None:
    """A voucherd that starts releases the jobs that it holds as it works them out, and none that
    it cannot."""
    rows = many(5)
    look(site, *rows)
    monkeypatch.setattr(reconcile, "CHECKS_MAX", 2)
    rows[3]["partition"] = "gone"
    rows = [stopped(row) for row in rows]
    memory = reconcile.Memory()

    looks = [look(site, *rows, after_s=10 * n, memory=memory) for n in (2, 3, 4)]
    assert [sorted(acts(each)) for each in looks] == [
        [("release", n, "") for n in some] for some in ([1, 2], [1, 2, 3], [1, 2, 3, 5])
    ]


def test_new_price_list_releases_nothing_before_it_is_worked_out(site, monkeypatch) -> None:
    """A job that waits for a price goes on when the list that has it was seen to have it."""
    rows = [stopped(row) for row in many(3)]
    look(site, *rows)
    memory, no_prices = reconcile.Memory(), replace(RULES, prices=replace(PRICES, partitions={}))
    look(site, *rows, memory=memory, after_s=20, rules=no_prices)
    monkeypatch.setattr(reconcile, "CHECKS_MAX", 2)

    looks = [look(site, *rows, after_s=10 * n, memory=memory) for n in (3, 4)]
    assert [len(each.acts) for each in looks] == [2, 3]


def test_copied_mark_releases_nothing(site) -> None:
    """A job that says it waits by the hold of another is not released."""
    hold(site)
    look(site, queued(ONE))
    copied = stopped(queued(TWO, job_state=["PENDING"], admin_comment=mark(FIRST, CARD_HOUR)))

    assert look(site, copied, after_s=20).acts == []


# --- while others write ----------------------------------------------------------------------


@pytest.fixture
def between(monkeypatch):
    """Let holds be written one by one, and something happen in between."""

    def happens(what):
        monkeypatch.setattr(reconcile, "TOGETHER", 1)
        monkeypatch.setattr(reconcile, "time", SimpleNamespace(sleep=lambda _: what()))

    return happens


LONGER = {"time_limit": minutes(120)}


def test_look_that_changes_nothing_does_not_wait_for_the_book(site) -> None:
    """While somebody else writes, a look sees that all is as it was."""
    memory, rows = reconcile.Memory(), many(3)
    for after_s in (10, 20):
        look(site, *rows, after_s=after_s, memory=memory)

    with site.begin() as conn:
        ledger.lock(conn)
        assert look(site, *rows, after_s=30, memory=memory) == reconcile.Reconciled()


def test_others_write_between_two_holds(site, between) -> None:
    """Whoever wants to write waits for one transaction of a look, not for all of it."""
    rows, paid = many(3, **LONGER), []

    def pay():
        with site.begin() as conn:
            towns.pay(conn, "1.00", f"BANK-{len(paid) + 7}")
        paid.append(len(live(site)))

    look(site, *many(3))
    between(pay)

    assert look(site, *rows, after_s=20).raised == [f"{n:032x}" for n in (1, 2, 3)]
    assert paid == [3, 3]


def test_hold_that_another_changed_meanwhile_is_left_to_the_next_look(site, between) -> None:
    """A job that is made longer still while a look writes keeps what was held for that."""
    look(site, *many(2))
    memory, last = reconcile.Memory(), f"{2:032x}"

    def change():
        fields = {"tres_per_node": "gres/gpu:ascend_910b:1", "time_limit": "240"}
        with site.begin() as conn:
            asked = request(conn, RULES, last, Asker(ACCOUNT, UID), fields, now_s=NOW_S,
                            submit_s=NOW_S)  # fmt: skip
            holds.write_raised(conn, holds.find_live(conn, last).raised(asked)[0])

    between(change)
    assert look(site, *many(2, **LONGER), after_s=20, memory=memory).raised == [f"{1:032x}"]
    assert [micro for _, _, micro, _ in live(site)] == [2 * CARD_HOUR, 4 * CARD_HOUR]

    last_row = many(2, time_limit=minutes(240))[1]
    done = look(site, many(1, **LONGER)[0], last_row, after_s=30, memory=memory)
    assert done == reconcile.Reconciled()


def test_next_look_does_what_a_look_left(site, between) -> None:
    """A look that ends in the middle has done what it has done, and the next one does the rest."""
    look(site, *many(3))
    memory, rows = reconcile.Memory(), many(3, **LONGER)

    def end():
        raise SystemExit

    between(end)
    with pytest.raises(SystemExit):
        look(site, *rows, after_s=20, memory=memory)
    assert [micro for _, _, micro, _ in live(site)] == [2 * CARD_HOUR, CARD_HOUR, CARD_HOUR]

    between(lambda: None)
    done = look(site, *rows, after_s=30, memory=memory)
    assert done.raised == [f"{n:032x}" for n in (2, 3)]
    assert [micro for _, _, micro, _ in live(site)] == [2 * CARD_HOUR] * 3


# --- ending ----------------------------------------------------------------------------------


def test_hold_that_was_never_seen_expires(site) -> None:
    """A hold that the queue never showed lapses when its time is over, and not before."""
    hold(site)

    assert look(site, after_s=POLICY.unseen_s - 1).expired == []
    assert look(site, after_s=POLICY.unseen_s).expired == [FIRST]
    assert live(site) == []


def test_hold_that_is_seen_late_does_not_expire(site) -> None:
    """A hold whose time is over when the queue shows it first is bound and stays."""
    hold(site)

    assert look(site, queued(ONE), after_s=POLICY.unseen_s + 9).expired == []
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


def test_two_looks_and_everything_collected(site) -> None:
    """A hold is voided by two looks without its job, both before all that is collected."""
    hold(site)
    look(site, queued(ONE), collected_s=10)

    assert look(site, after_s=20, collected_s=20).voided == []
    assert look(site, after_s=30, collected_s=20).voided == []
    assert look(site, after_s=40, collected_s=40).voided == [FIRST]
    assert live(site) == []


def test_nothing_is_voided_while_slurmdbd_waits(site) -> None:
    """While something waits for slurmdbd no look counts."""
    hold(site)
    look(site, queued(ONE))
    for after_s in (20, 30, 40):
        look(site, after_s=after_s, collected_s=100, nothing_waits=False)

    assert look(site, after_s=50, collected_s=100).voided == []
    assert look(site, after_s=60, collected_s=100).voided == [FIRST]


def test_ended_job_is_absent(site) -> None:
    """A job that the queue only remembers counts as absent."""
    hold(site)
    look(site, queued(ONE))
    ended = queued(ONE, job_state=["CANCELLED"])

    assert look(site, ended, after_s=20, collected_s=100).voided == []
    assert look(site, ended, after_s=30, collected_s=100).voided == [FIRST]


@pytest.mark.parametrize(
    "changes",
    [
        {"admin_comment": "edited by hand"},
        {"admin_comment": ""},
        {"admin_comment": "hold=a hold=b"},
        {"admin_comment": mark("e" * 32)},
        {"job_state": ["PENDING", "REQUEUED"]},
        {"job_state": ["SOMETHING_NEW"]},
    ],
)
def test_bound_job_that_is_there_keeps_its_hold(site, changes) -> None:
    """Once bound, the job's number decides, whatever AdminComment says then."""
    hold(site)
    look(site, queued(ONE))
    for after_s in (20, 30, 40):
        assert look(site, queued(ONE, **changes), after_s=after_s, collected_s=100).voided == []

    assert live(site)[0] == ("1", 1, CARD_HOUR, ONE)


def test_mark_that_was_copied_is_named(site) -> None:
    """A job with the mark of another job's hold is a problem, and the hold stays the first's."""
    hold(site)
    look(site, queued(ONE))
    copied = queued(TWO, admin_comment=mark(FIRST, CARD_HOUR))
    done = look(site, copied, after_s=20)

    assert done.problems == [
        f"job 118: hold {FIRST} is another job's: AdminComment was changed; the hold is job 117's"
    ]
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


def test_snapshot_before_the_binding_proves_nothing(site) -> None:
    """A look that began before the hold was seen does not count against it."""
    hold(site)
    look(site, queued(ONE), after_s=50)
    look(site, after_s=40, collected_s=100)
    look(site, after_s=45, collected_s=100)

    with site.begin() as conn:
        assert conn.execute(select(schema.hold_missing)).all() == []
