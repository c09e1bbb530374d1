"""A hold is taken when voucher and cash cover the whole fee, and the account is never overspent."""

import multiprocessing

import pytest
import town as towns
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields
from sqlalchemy import func, select
from town import ACCOUNT, CLUSTER, NOW, OTHER_PROVIDER, POLICY, PROVIDER, UID, instant, raise_hold

from accounting import money
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting
from accounting.errors import InsufficientBalance, NotAllowed, NotEligible, VoucherExpired
from accounting.vouchers import holds, releasing, spending
from accounting.vouchers.holds import Accrued, Position, Request

NOW_S = instant(NOW)
EXPIRY_S = instant("2025-01-01T00:00:00+08:00")
SAY_BYTES_MAX = 200


def request(number, fee, *, eligible=None, tasks=1, **changes):
    """Ask to hold a fee in yuan for each task, eligible throughout unless told otherwise."""
    task_micro = money.micro(fee)
    eligible_micro = task_micro if eligible is None else money.micro(eligible)
    facts = {
        "id": f"{number:032x}",
        "cluster": CLUSTER,
        "account": ACCOUNT,
        "uid": UID,
        "tasks": tasks,
        "task_micro": task_micro,
        "task_eligible_micro": eligible_micro,
        "asked": {"partition": "ai", "time_limit": "60"},
    }
    return Request(**(facts | changes))


def place(town, asked, now_s=NOW_S):
    """Place a hold in a transaction of its own."""
    with town.begin() as conn:
        return holds.place(conn, asked, POLICY, now_s)


def position(town):
    """Return where the account stands."""
    with town.begin() as conn:
        return holds.position(conn, ACCOUNT, POLICY)


def row_of(conn, number):
    """Return a live hold."""
    return conn.execute(holds.LIVE.where(schema.hold.c.id == f"{number:032x}")).one()


# --- DESIGN 3b: V = min(left, floor(50 % of eligible)), cash is the rest ---------------------


def standing(left="0", cash="0", held="0", eligible=None, accrued=(), owed="0", ratio_bp=5000):
    """Make a position from amounts in yuan."""
    return Position.of(
        left_fen=money.fen(left),
        cash_fen=money.fen(cash),
        owed_fen=money.fen(owed),
        accrued=Accrued.of(
            [(money.micro(charge), money.micro(part)) for charge, part in accrued], ratio_bp
        ),
        held_micro=money.micro(held),
        held_eligible_micro=money.micro(held if eligible is None else eligible),
        ratio_bp=ratio_bp,
    )


@pytest.mark.parametrize(
    ("where", "share_fen", "free_cash_fen", "available_fen"),
    [
        # Nothing held: 100 + 100 carry a job of 200, half each.
        (standing("100", "100"), 0, 100_00, 200_00),
        # 60 held: 30 + 30; 70 + 70 are left for a job of 140.
        (standing("100", "100", "60"), 30_00, 70_00, 140_00),
        # An odd fen: half of 0.03 is 0.01, cash needs 0.02.
        (standing("100", "100", "0.03"), 1, 99_98, 199_96),
        # Below the fen: 0.029999 is 0.02 for the voucher's half, 0.03 for what must be covered.
        (standing("100", "100", "0.029999"), 1, 99_98, 199_96),
        # The voucher gives out: min(20, 50) = 20, cash needs 80; then cash alone.
        (standing("20", "100", "100"), 20_00, 20_00, 20_00),
        # Little cash: 10 of cash carry a job of 20.
        (standing("100", "10"), 0, 10_00, 20_00),
        # Only half inside the validity: floor(50 % of 30) = 15, cash needs 45.
        (standing("100", "100", "60", "30"), 15_00, 55_00, 110_00),
        # Nothing inside the validity: all cash.
        (standing("100", "100", "60", "0"), 0, 40_00, 80_00),
        # Accrued by month, each floored: 0.01 + 0.01 → 0; held 0.02 → 0.01.
        (
            standing("100", "100", "0.02", accrued=[("0.01", "0.01"), ("0.01", "0.01")]),
            1,
            99_97,
            199_94,
        ),
        # Accrued and held: floor(50 % of 40) + floor(50 % of 60) = 50, cash needs 50.
        (standing("100", "100", "60", accrued=[("40", "40")]), 50_00, 50_00, 100_00),
        # Runs outran their holds: cash is 5 short, nothing is available.
        (standing("100", "5", accrued=[("20", "20")]), 10_00, -5_00, 0),
        # No voucher at all: cash is cash.
        (standing("0", "100", "30"), 0, 70_00, 70_00),
        # 30 %: 70 of cash carry 100.
        (standing("100", "70", ratio_bp=3000), 0, 70_00, 100_00),
        # 100 %: the voucher carries all; with cash short by accrued fees, nothing is available.
        (standing("100", "0", ratio_bp=10_000), 0, 0, 100_00),
        (standing("100", "0", accrued=[("1", "0")], ratio_bp=10_000), 0, -1_00, 0),
    ],
)
def test_the_arithmetic_of_a_position(where, share_fen, free_cash_fen, available_fen):
    """Voucher share, free cash and what is available are what was worked out by hand."""
    assert where.share_fen == share_fen
    assert where.free_cash_fen == free_cash_fen
    assert where.available_fen == available_fen
    assert where.free_fen == where.left_fen - share_fen
    assert where.accrued_share_fen + where.held_share_fen == share_fen


AMOUNTS = st.integers(0, 10**13)


@given(AMOUNTS, AMOUNTS, st.lists(AMOUNTS, max_size=3), AMOUNTS, AMOUNTS, st.integers(0, 10_000))
def test_what_is_available_is_admitted(left, cash, accrued, held, part, ratio_bp):
    """A job of just what is available fits, and one of two fen more does not."""
    where = Position.of(
        left // 10_000, cash // 10_000, 0,
        Accrued.of([(micro, micro) for micro in accrued], ratio_bp),
        held, min(part, held), ratio_bp,
    )  # fmt: skip
    micro = where.available_fen * 10_000
    if where.free_cash_fen < 0:
        assert micro == 0
        return
    assert where.plus(micro, micro).free_cash_fen >= 0
    more = micro + 20_000 * (1 + 10_000 // max(10_000 - ratio_bp, 1))
    assert where.plus(more, more).free_cash_fen < 0


# --- placing ---------------------------------------------------------------------------------


def test_a_hold_sets_the_whole_fee_aside(town):
    """A hold of 1,240 takes 620 of the voucher's free part and 620 of the cash."""
    after = place(town, request(1, "1240"))

    assert after == position(town)
    assert (after.held_micro, after.free_fen, after.free_cash_fen) == (
        1_240_000_000,
        49_380_00,
        49_380_00,
    )
    assert after.available_fen == 98_760_00


def test_a_hold_of_all_that_is_there_fits(town):
    """50,000 and 50,000 carry a job of 100,000.00 and not of a fen more."""
    with pytest.raises(InsufficientBalance):
        place(town, request(1, "100000.01"))
    assert place(town, request(2, "100000.00")).available_fen == 0


def test_an_array_is_held_for_every_task(town):
    """A thousand tasks of 100.00 fit, a thousand and one do not."""
    with pytest.raises(
        InsufficientBalance, match=r"may cost 100,100\.00 yuan, 100,000\.00 is available"
    ):
        place(town, request(1, "100", tasks=1001))
    assert place(town, request(2, "100", tasks=1000)).available_fen == 0


def test_what_falls_after_the_validity_is_cash(town):
    """Of a job of 80,000, 20,000 inside the validity: 10,000 of voucher, 70,000 of cash."""
    with pytest.raises(InsufficientBalance):
        place(town, request(1, "80000", eligible="20000"))
    assert place(town, request(2, "60000", eligible="20000")).free_cash_fen == 0


def test_a_repeated_question_holds_once(town):
    """The same hold asked again is found taken, whatever is left by then."""
    place(town, request(1, "100000"))
    again = place(town, request(1, "100000"))
    assert again == position(town)
    assert again.held_micro == 100_000_000_000


@pytest.mark.parametrize("change", [{"uid": 7}, {"account": "CD24-0002"}, {"cluster": "other"}])
def test_a_hold_id_stands_for_one_job(town, change):
    """The same id for another user, account or cluster is refused."""
    place(town, request(1, "1"))
    with pytest.raises(NotAllowed, match="stands for another job; submit again"):
        place(town, request(1, "1", **change))


def test_nothing_is_held_while_something_is_owed(town):
    """A unit that owes a fen gets no new hold before it has paid."""
    debt = [Posting("receivable", ACCOUNT, 10_000), Posting("revenue", PROVIDER, -10_000)]
    with town.begin() as conn:
        ledger.write(conn, Entry("debt", "test", towns.stamp(), {}, debt))
    with pytest.raises(
        InsufficientBalance, match=r"0\.01 yuan is owed, 0\.00 is allowed for new jobs; pay it"
    ):
        place(town, request(1, "1"))
    with town.begin() as conn:
        towns.pay(conn, "0.01", "BANK-2")
    assert place(town, request(1, "1")).held_micro == 1_000_000


def test_after_expiry_cash_alone_counts(town):
    """From 24:00 of the last day on, a job is refused as expired unless cash covers it."""
    asked = request(1, "50000.01", eligible="0")
    with pytest.raises(InsufficientBalance):
        place(town, asked, EXPIRY_S - 1)
    with pytest.raises(
        VoucherExpired,
        match=r"expired on 2024-12-31, this job may cost 50,000\.01 yuan and 50,000\.00 of cash",
    ):
        place(town, asked, EXPIRY_S)
    assert place(town, request(1, "50000", eligible="0"), EXPIRY_S).free_cash_fen == 0


def test_an_ended_hold_frees_what_it_held(town):
    """When a task ends, its part is free again, and the other tasks stay held."""
    place(town, request(1, "100", tasks=3))
    with town.begin() as conn:
        assert releasing.end(conn, f"{1:032x}", "16", "posted", 1, NOW_S, "COMPLETED")
        assert type(row_of(conn, 1).live) is int
    assert position(town).held_micro == 200_000_000


def test_a_held_position_is_whole_numbers(town):
    """Every figure of a position is an int, in every database."""
    place(town, request(1, "100", tasks=3))
    with town.begin() as conn:
        releasing.end(conn, f"{1:032x}", "16", "posted", 1, NOW_S, "COMPLETED")
    where = position(town)
    figures = [getattr(where, field.name) for field in fields(where) if field.name != "accrued"]
    assert {type(figure) for figure in figures} == {int, bool}


# --- raising ---------------------------------------------------------------------------------


def raise_to(town, number, fee, **changes):
    """Raise a hold to a new fee for each task."""
    with town.begin() as conn:
        return raise_hold(conn, request(number, fee, **changes), NOW_S)


def test_a_hold_is_raised_by_the_difference(town):
    """60,000 held may be raised to 100,000 but not to a fen more, and stays as it was then."""
    place(town, request(1, "60000"))
    with pytest.raises(
        InsufficientBalance, match=r"may cost 40,000\.01 yuan, 40,000\.00 is available"
    ):
        raise_to(town, 1, "100000.01")
    assert position(town).held_micro == 60_000_000_000
    assert raise_to(town, 1, "100000") == position(town)
    assert position(town).available_fen == 0


def test_a_hold_is_not_lowered_at_once(town):
    """A lower limit changes nothing: the queue has to show it first."""
    place(town, request(1, "100"))
    assert raise_to(town, 1, "10").held_micro == 100_000_000


def test_only_live_tasks_are_raised(town):
    """Of three tasks two have ended: raising each from 100 to 200 takes 100 more, not 300."""
    place(town, request(1, "100", tasks=3))
    with town.begin() as conn:
        releasing.end(conn, f"{1:032x}", "16", "posted", 2, NOW_S, "COMPLETED")
    assert raise_to(town, 1, "200", tasks=3) == position(town)
    assert position(town).held_micro == 200_000_000


def test_more_tasks_at_a_lower_fee_are_admitted_at_what_is_stored(town):
    """What is admitted is what is stored: the dearer fee for every task."""
    place(town, request(1, "60000"))
    with pytest.raises(InsufficientBalance):
        raise_to(town, 1, "30000", tasks=3)
    assert position(town).held_micro == 60_000_000_000


def test_a_hold_that_ended_meanwhile_is_not_raised(town):
    """A hold whose last task ended after it was read stays ended."""
    place(town, request(1, "100"))
    with town.begin() as conn:
        held = holds.find_live(conn, f"{1:032x}")
        releasing.end(conn, f"{1:032x}", "*", "voided", 1, NOW_S, "gone")
        raised, _ = held.raised(request(1, "900"))
        holds.write_raised(conn, raised)
        assert holds.position(conn, ACCOUNT, POLICY).held_micro == 0


def test_the_hold_of_a_job_is_found(town):
    """A job's live hold is found by its number; what the hook asked is kept with it."""
    place(town, request(1, "100"))
    with town.begin() as conn:
        assert holds.of_job(conn, CLUSTER, 16) is None
        releasing.bind(conn, f"{1:032x}", CLUSTER, 16, NOW_S, NOW_S)
        row = holds.of_job(conn, CLUSTER, 16)
        assert (row.id, row.asked) == (f"{1:032x}", dict(request(1, "100").asked))
        assert holds.of_job(conn, "other", 16) is None
        assert holds.ids(conn, [f"{1:032x}", f"{2:032x}"]) == {f"{1:032x}"}


def test_a_lower_fee_raises_no_part_of_a_hold(town):
    """A change that would cost less, more of it by the voucher, leaves the hold as it is."""
    place(town, request(1, "100", eligible="0"))
    with town.begin() as conn:
        raise_hold(conn, request(1, "80", eligible="80"), NOW_S)
        held = holds.find_live(conn, f"{1:032x}")
    assert (held.task_micro, held.task_eligible_micro) == (100 * 10**6, 0)


def test_of_two_jobs_of_one_number_the_later_counts(town):
    """Slurm counts job numbers round: the job that was submitted last is meant."""
    for number, submit_s in ((1, NOW_S), (2, NOW_S - 9), (3, NOW_S - 5)):
        place(town, request(number, "1"))
        with town.begin() as conn:
            releasing.bind(conn, f"{number:032x}", CLUSTER, 16, submit_s, NOW_S)
    with town.begin() as conn:
        assert holds.of_job(conn, CLUSTER, 16).id == f"{1:032x}"


def test_positions_of_many_are_those_of_each(town):
    """Where many accounts stand is read at once; one that is not there has nothing."""
    place(town, request(1, "100"))
    with town.begin() as conn:
        towns.pay(conn, "7.00", "BANK-7")
        some = holds.positions(conn, ["nobody", ACCOUNT], POLICY)
    assert some[ACCOUNT].held_micro == 100 * 10**6
    assert some[ACCOUNT].cash_fen == 50_007_00
    assert (some["nobody"].cash_fen, some["nobody"].available_fen) == (0, 0)
    assert some["nobody"].accrued == Accrued(0, 0, 0)


# --- who may spend ---------------------------------------------------------------------------


def may_spend(town, account=ACCOUNT, uid=UID, provider=PROVIDER, at_s=NOW_S):
    """Ask whether a user may spend an account."""
    with town.begin() as conn:
        return spending.may_spend(
            conn, account, cluster=CLUSTER, uid=uid, provider=provider, at_s=at_s
        )


def test_a_member_may_spend_the_units_account(town):
    """A member of the unit may spend its account at the contract's provider."""
    assert may_spend(town).account == ACCOUNT


@pytest.mark.parametrize(
    ("facts", "error", "message"),
    [
        ({"account": "CD24-2"}, NotEligible, "not known here; check the number on your"),
        ({"account": "x" * 4000}, NotEligible, "not known here"),
        ({"account": "\x1b]0;" + "券" * 999}, NotEligible, "not known here"),
        ({"account": ""}, NotEligible, "not known here"),
        ({"uid": 7}, NotAllowed, "belongs to another unit than user 7's; use your own unit's"),
        ({"at_s": NOW_S - 1}, NotAllowed, "belongs to another unit than user 1001's"),
        ({"provider": OTHER_PROVIDER}, NotEligible, "for provider cdaicc, this partition is"),
    ],
)  # fmt: skip
def test_who_may_not_spend_is_told_why(town, facts, error, message):
    """Each refusal is one line of at most 200 bytes that says what to do."""
    with pytest.raises(error) as caught:
        may_spend(town, **facts)
    said = str(caught.value)
    assert message in said
    assert said.isprintable()
    assert len(said.encode()) <= SAY_BYTES_MAX


@pytest.mark.parametrize("now_s", [NOW_S, EXPIRY_S])
def test_the_largest_refusal_fits_on_the_wire(town, now_s):
    """With the largest amounts that can be asked, a refusal is one line of at most 200 bytes."""
    largest = request(1, "1", eligible="0", tasks=4_000_001, task_micro=10**15)
    with pytest.raises((InsufficientBalance, VoucherExpired)) as caught:
        place(town, largest, now_s)
    assert str(caught.value).isprintable()
    assert len(str(caught.value).encode()) <= SAY_BYTES_MAX


# --- many at once ----------------------------------------------------------------------------


def _submit(url, worker, begin, counts):
    """Place holds of 4,000 until one is refused; say how many were."""
    engine = ledger.connect(url, durable=False)
    begin.wait(60)
    taken = 0
    for i in range(30):
        try:
            with engine.begin() as conn:
                holds.place(conn, request(1000 * worker + i, "4000"), POLICY, NOW_S)
        except InsufficientBalance:
            break
        taken += 1
    engine.dispose()
    counts.put(taken)


@pytest.mark.thorough
def test_eight_submitters_do_not_overspend(town):
    """Eight processes at once hold 25 times 4,000 of an account of 100,000, and no more."""
    many = multiprocessing.get_context("forkserver")
    many.set_forkserver_preload([__name__])
    url = town.engine.url.render_as_string(hide_password=False)
    town.engine.dispose()
    begin, counts = many.Barrier(8), many.SimpleQueue()
    workers = [
        many.Process(target=_submit, args=(url, number, begin, counts)) for number in range(1, 9)
    ]
    for worker in workers:
        worker.start()
    taken = [counts.get() for _ in workers]
    for worker in workers:
        worker.join(60)

    assert sum(taken) == 25
    with town.begin() as conn:
        assert len(conn.execute(select(schema.hold.c.id)).all()) == 25
    assert position(town).available_fen == 0


def test_positions_are_values():
    """A position with one more hold is another one; the first stays as it was."""
    where = standing("1", "1")
    assert where.plus(10_000, 10_000) == standing("1", "1", held="0.01")
    assert where == standing("1", "1")


def test_ended_holds_are_not_walked(town):
    """Live holds are found by indexes that have these alone, of an account and of a cluster."""
    if town.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by how much there is")
    for column, index in (("account", "hold_live"), ("cluster", "hold_live_cluster")):
        query = holds.LIVE.where(schema.hold.c[column] == "x").compile(
            town.engine, compile_kwargs={"literal_binds": True}
        )
        with town.begin() as conn:
            plan = " ".join(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
        assert f"USING INDEX {index} " in plan


def test_live_tasks_are_counted(town):
    """A hold's count of live tasks is its tasks less those that ended, and is never below zero."""
    place(town, request(1, "10", tasks=3))
    with town.begin() as conn:
        releasing.end(conn, f"{1:032x}", "7", "posted", 1, NOW_S, "COMPLETED")
        assert row_of(conn, 1).live == 2
        releasing.end(conn, f"{1:032x}", "*", "voided", 9, NOW_S, "gone")
        ended = select(func.sum(schema.hold_end.c.tasks))
        assert conn.execute(ended).scalar_one() == 3
        assert conn.execute(select(schema.hold.c.live)).scalar_one() == 0
