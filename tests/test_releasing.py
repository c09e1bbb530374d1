"""A hold ends on evidence, once, and never on a look that failed or came too early."""

import pytest
import town as towns
from sqlalchemy import select
from test_holds import NOW_S, place, position, request
from town import CLUSTER, POLICY

from accounting.book import schema
from accounting.vouchers import holds, releasing

HOLD = f"{1:032x}"
LAPSE_S = NOW_S + POLICY.unseen_s
SEEN_S = NOW_S + 10
FIRST_S, SECOND_S, THIRD_S = NOW_S + 20, NOW_S + 30, NOW_S + 40


@pytest.fixture
def held(town):
    """A town with a hold of three tasks of 100 yuan."""
    place(town, request(1, "100", tasks=3))
    return town


@pytest.fixture
def bound(held):
    """The same, and the queue has shown its job."""
    with held.begin() as conn:
        releasing.bind(conn, HOLD, CLUSTER, 16, NOW_S, SEEN_S)
    return held


def ends(town):
    """Return which tasks of the hold have ended and how."""
    with town.begin() as conn:
        rows = conn.execute(select(schema.hold_end).order_by(schema.hold_end.c.task))
        return [(row.task, row.kind, row.tasks) for row in rows]


def end(town, task, kind="posted", tasks=1, hold=HOLD):
    """End tasks of a hold."""
    with town.begin() as conn:
        return releasing.end(conn, hold, task, kind, tasks, NOW_S, "COMPLETED in slurmdbd")


def absent(town, snapshot_s, *, present=(), collected_s, cluster=CLUSTER):
    """Compare the holds with a snapshot of the queue."""
    with town.begin() as conn:
        return towns.absent(conn, set(present), snapshot_s, collected_s, cluster)


def expire(town, now_s, *, seen=(), cluster=CLUSTER):
    """Let holds lapse that were never seen."""
    with town.begin() as conn:
        return towns.lapse(conn, now_s, set(seen), cluster)


# --- terminal rows ---------------------------------------------------------------------------


def test_each_task_ends_once(held):
    """A task's row seen twice ends one task."""
    assert [end(held, "16"), end(held, "16"), end(held, "17")] == [True, False, True]
    assert ends(held) == [("16", "posted", 1), ("17", "posted", 1)]
    assert position(held).held_micro == 100_000_000


def test_no_more_tasks_end_than_there_are(held):
    """The rest of a hold ends as what is left, and after it nothing ends any more."""
    end(held, "16")
    assert end(held, "*", "voided", tasks=3)
    assert ends(held) == [("*", "voided", 2), ("16", "posted", 1)]
    assert not end(held, "17")
    assert position(held).held_micro == 0


def test_an_unknown_hold_ends_nothing(held):
    """A row that names a hold which the book does not have ends nothing."""
    assert not end(held, "16", hold="0" * 32)
    assert ends(held) == []


def test_the_first_binding_stands(bound):
    """A hold stays with the job that the queue showed first."""
    with bound.begin() as conn:
        releasing.bind(conn, HOLD, CLUSTER, 99, SECOND_S, SECOND_S)
        assert holds.of_job(conn, CLUSTER, 16).id == HOLD
        assert holds.of_job(conn, CLUSTER, 99) is None


# --- never seen ------------------------------------------------------------------------------


def test_an_unseen_hold_lapses_when_its_time_is_over(held):
    """A hold that the queue never showed lapses at 120 seconds, not a second before."""
    assert expire(held, LAPSE_S - 1) == []
    assert position(held).held_micro == 300_000_000
    assert expire(held, LAPSE_S) == [HOLD]
    assert (ends(held), position(held).held_micro) == ([("*", "expired", 3)], 0)
    assert expire(held, LAPSE_S) == []


def test_what_this_look_shows_does_not_lapse(held):
    """A hold in the snapshot that was just taken does not lapse."""
    assert expire(held, LAPSE_S, seen=[HOLD]) == []


def test_a_seen_hold_never_lapses(bound):
    """Once the queue has shown it, time alone does not end a hold."""
    assert expire(bound, LAPSE_S + 10**6) == []


def test_holds_of_other_clusters_are_left_alone(held):
    """One cluster's queue says nothing about another's holds."""
    assert expire(held, LAPSE_S, cluster="other") == []


# --- gone from the queue ---------------------------------------------------------------------


def test_two_looks_and_a_collection_void_a_hold(bound):
    """A hold is voided when two looks miss it and all that ended before them is collected."""
    assert absent(bound, FIRST_S, collected_s=0) == []
    assert absent(bound, SECOND_S, collected_s=FIRST_S) == []
    assert absent(bound, THIRD_S, collected_s=SECOND_S) == [HOLD]
    assert (ends(bound), position(bound).held_micro) == ([("*", "voided", 3)], 0)
    assert absent(bound, THIRD_S + 1, collected_s=THIRD_S) == []


def test_one_look_is_not_enough(bound):
    """The same look twice is one look, however far collecting has come."""
    for _ in range(3):
        assert absent(bound, FIRST_S, collected_s=10**10) == []
    assert position(bound).held_micro == 300_000_000


def test_collecting_need_not_overtake_the_looks(bound):
    """With a look every 10 seconds and collecting 15 behind, a hold is still voided."""
    voided = [absent(bound, FIRST_S + 10 * i, collected_s=FIRST_S + 10 * i - 15) for i in range(5)]
    assert voided == [[], [], [], [HOLD], []]


def test_nothing_is_voided_that_was_not_collected(bound):
    """While slurmdbd cannot be collected, no look voids anything."""
    for look_s in range(FIRST_S, FIRST_S + 1000, 100):
        assert absent(bound, look_s, collected_s=FIRST_S) == []
    assert position(bound).held_micro == 300_000_000


def test_being_seen_again_starts_over(bound):
    """A job that is in the queue again needs two more looks without it."""
    absent(bound, FIRST_S, collected_s=0)
    assert absent(bound, SECOND_S, present=[HOLD], collected_s=10**10) == []
    assert absent(bound, THIRD_S, collected_s=10**10) == []
    assert absent(bound, THIRD_S + 1, collected_s=10**10) == [HOLD]


def test_a_look_begun_before_the_job_was_seen_does_not_count(bound):
    """A snapshot that began before the hold was bound says nothing about it."""
    for look_s in (SEEN_S - 1, SEEN_S):
        assert absent(bound, look_s, collected_s=10**10) == []
    with bound.begin() as conn:
        assert conn.execute(select(schema.hold_missing)).all() == []


def test_an_unbound_hold_is_not_missed(held):
    """A hold that the queue never showed is not voided for not being there."""
    for look_s in (FIRST_S, SECOND_S, THIRD_S):
        assert absent(held, look_s, collected_s=10**10) == []


def test_looks_are_kept_no_longer_than_needed(bound):
    """However often a hold is missed, two looks are kept."""
    for look_s in range(FIRST_S, FIRST_S + 100, 10):
        absent(bound, look_s, collected_s=0)
    with bound.begin() as conn:
        kept = conn.execute(select(schema.hold_missing.c.snapshot_s)).scalars().all()
    assert sorted(kept) == [FIRST_S, FIRST_S + 10]


def test_a_late_row_finds_a_voided_hold_ended(bound):
    """A row that comes after all ends nothing twice."""
    absent(bound, FIRST_S, collected_s=0)
    absent(bound, SECOND_S, collected_s=SECOND_S)
    assert not end(bound, "16")


def test_hold_that_is_bound_meanwhile_does_not_lapse(held):
    """A hold that was found unseen, and is seen before it is ended, stays."""
    with held.begin() as conn:
        assert releasing.unseen(conn, CLUSTER, set(), LAPSE_S) == [HOLD]
        releasing.bind(conn, HOLD, CLUSTER, 16, NOW_S, SEEN_S)
        assert releasing.expire(conn, [HOLD], LAPSE_S) == []

    assert ends(held) == []


def test_hold_that_ended_meanwhile_is_not_voided(bound):
    """Of a hold that was found absent only what has not ended by then is voided, once."""
    absent(bound, FIRST_S, collected_s=0)
    for task in ("16", "17"):
        end(bound, task)
    assert absent(bound, SECOND_S, collected_s=SECOND_S) == [HOLD]
    with bound.begin() as conn:
        assert releasing.note_absent(conn, [HOLD], THIRD_S, THIRD_S) == []

    assert ends(bound) == [("*", "voided", 1), ("16", "posted", 1), ("17", "posted", 1)]
