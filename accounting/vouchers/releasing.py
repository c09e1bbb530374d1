"""A hold ends only on evidence (DESIGN 3a).

What the queue showed is bound to its job. A task ends when slurmdbd has its terminal row, or
when the job is absent from two complete snapshots of the queue and everything that ended before
them is collected. Time alone ends only holds that the queue never showed.
"""

from collections.abc import Collection

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import lock
from accounting.vouchers.holds import LIVE, next_turn

SNAPSHOTS_NEEDED = 2


def bind(
    conn: Connection, hold_id: str, cluster: str, job_id: int, submit_s: int, now_s: int
) -> None:
    """Tie a hold to the job that the queue shows with it; the first binding stands."""
    lock(conn)
    known = conn.execute(select(schema.hold_bind).filter_by(hold=hold_id)).one_or_none()
    if known is None:
        row = {"hold": hold_id, "cluster": cluster, "job_id": job_id}
        conn.execute(insert(schema.hold_bind), row | {"submit_s": submit_s, "seen_s": now_s})


def end(
    conn: Connection, hold_id: str, task: str, kind: str, tasks: int, now_s: int, evidence: str
) -> bool:
    """End tasks of a hold, once.

    Args:
        task: Which of its tasks: the run's own job number, or `*` for all that are left.
        kind: posted, voided or expired.

    Returns:
        Whether something was ended: False for an unknown hold and for a repetition.
    """
    lock(conn)
    row = conn.execute(LIVE.where(schema.hold.c.id == hold_id)).one_or_none()
    if row is None:
        return False
    if conn.execute(select(schema.hold_end.c.task).filter_by(hold=hold_id, task=task)).scalar():
        return False
    ended = min(tasks, row.live)
    values = {"hold": hold_id, "task": task, "kind": kind, "tasks": ended}
    conn.execute(insert(schema.hold_end), values | {"at_s": now_s, "evidence": evidence})
    left = update(schema.hold).where(schema.hold.c.id == hold_id)
    conn.execute(left.values(live=row.live - ended, turn=next_turn(conn)))
    return True


def take_back(conn: Connection, hold_id: str, now_s: int) -> bool:
    """Void a hold whose job will not be, as the hook says that asked for it; once the queue has
    shown the job only evidence ends it."""
    row = conn.execute(LIVE.where(schema.hold.c.id == hold_id)).one_or_none()
    if row is None or row.job_id is not None:
        return False
    return end(conn, hold_id, "*", "voided", row.live, now_s, "refused with its other parts")


def expire_unseen(
    conn: Connection, cluster: str, seen: set[str], began_s: int
) -> list[tuple[str, int]]:
    """Let holds lapse whose jobs never came into the queue.

    A job is in the queue a moment after its hold was asked for, or never (--test-only, a job that
    Slurm itself refused): the policy says how much later a snapshot proves it.

    Args:
        seen: Ids of holds in the complete snapshot of the queue that was just taken.
        began_s: When it was begun.

    Returns:
        Hold and uid of each.
    """
    unseen = LIVE.where(schema.hold_bind.c.hold.is_(None), schema.hold.c.expires_s <= began_s)
    lapsed = []
    for row in conn.execute(unseen.where(schema.hold.c.cluster == cluster)).all():
        if row.id not in seen and end(
            conn, row.id, "*", "expired", row.live, began_s, "never queued"
        ):
            lapsed.append((row.id, row.uid))
    return lapsed


def absent(
    conn: Connection, cluster: str, present: Collection[str], snapshot_s: int, collected_s: int
) -> list[str]:
    """Note which bound holds a complete snapshot of the queue does not show; void those that
    two do not show.

    Args:
        present: Ids of holds of jobs that have not ended, in the snapshot.
        snapshot_s: When the snapshot began; holds seen later than that are left alone.
        collected_s: Up to when ended runs are collected. Only snapshots before it count: the
            row of a job that a later one does not show may still be to come.

    Returns:
        Ids of the holds that were voided.
    """
    voided = []
    table = schema.hold_missing
    bound = LIVE.where(
        schema.hold_bind.c.cluster == cluster, schema.hold_bind.c.seen_s < snapshot_s
    )
    for row in conn.execute(bound).all():
        if row.id in present:
            conn.execute(delete(table).where(table.c.hold == row.id))
            continue
        missed = set(conn.execute(select(table.c.snapshot_s).filter_by(hold=row.id)).scalars())
        if len(missed) < SNAPSHOTS_NEEDED and snapshot_s not in missed:
            conn.execute(insert(table), {"hold": row.id, "snapshot_s": snapshot_s})
            missed.add(snapshot_s)
        if len(missed) >= SNAPSHOTS_NEEDED and collected_s >= max(missed):
            why = "not in the queue, no row to come"
            end(conn, row.id, "*", "voided", row.live, snapshot_s, why)
            voided.append(row.id)
    return voided
