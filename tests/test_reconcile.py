"""slurm_voucher/reconcile.py: holds follow the queue, and end on evidence alone."""

from dataclasses import replace

import fakeslurm
import pytest
import town as towns
from fakeslurm import row, squeue
from prices import PRICES
from sqlalchemy import insert, select
from town import ACCOUNT, NOW, POLICY, UNIT, instant

from accounting.book import schema
from accounting.vouchers import holds, registry, releasing
from slurm_voucher import queue, reconcile
from slurm_voucher.asking import Asker, Rules, request

UID = 2001
RULES = Rules(fakeslurm.CLUSTER, PRICES, POLICY)
NOW_S = instant(NOW)
SUBMIT = {"set": True, "infinite": False, "number": NOW_S}
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


def look(site, *rows, after_s=10, nothing_waits=True, collected_s=None, checked=None, rules=RULES):
    """Look at a queue of these rows, some seconds after the submit."""
    snapshot = queue.read(squeue(*rows))
    with site.begin() as conn:
        if collected_s is not None:
            collected(conn, NOW_S + collected_s)
        return reconcile.apply(
            conn, rules, snapshot, began_s=NOW_S + after_s, nothing_waits=nothing_waits,
            checked={} if checked is None else checked,
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


def test_larger_change_than_the_balance_is_named(site) -> None:
    """A change that what is left does not cover is named once, and the hold stays."""
    hold(site)
    big = queued(ONE, time_limit={"set": True, "infinite": False, "number": 600_000})
    checked: reconcile.Checked = {}

    done = look(site, big, checked=checked)
    assert "job 117: hold 1111" in done.problems[0]
    assert "available" in done.problems[0]
    assert look(site, big, after_s=20, checked=checked).problems == []
    assert live(site) == [("1", 1, CARD_HOUR, ONE)]


def test_smaller_job_keeps_its_hold(site) -> None:
    """A job that was made smaller keeps its hold."""
    hold(site, tres_per_node="gpu:ascend_910b:8")
    look(site, queued(ONE))

    assert live(site) == [("1", 1, 8 * CARD_HOUR, ONE)]


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
    checked: reconcile.Checked = {}
    look(site, queued(ONE), checked=checked)
    no_prices = replace(RULES, prices=replace(PRICES, partitions={}))

    assert look(site, queued(ONE), after_s=20, checked=checked, rules=no_prices).problems == []
    assert look(site, after_s=30, checked=checked, rules=no_prices).problems == []
    assert checked == {}


def test_many_changes_take_several_looks(site, monkeypatch) -> None:
    """One look works out no more than CHECKS_MAX jobs, and the next looks go on."""
    monkeypatch.setattr(reconcile, "CHECKS_MAX", 5)
    number = reconcile.CHECKS_MAX + 1
    rows = [
        queued(ONE, admin_comment=mark(f"{n:032x}", 1)) | {"job_id": n}
        for n in range(1, number + 1)
    ]
    checked: reconcile.Checked = {}

    looks = [look(site, *rows, after_s=10 * n, checked=checked) for n in (1, 2, 3, 4)]
    assert [len(each.rebuilt) for each in looks] == [number, 0, 0, 0]
    assert [len(each.raised) for each in looks] == [0, number - 1, 1, 0]


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
