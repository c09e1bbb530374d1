"""A hold ends only on evidence (DESIGN 3a).

What the queue showed is bound to its job. A task ends when slurmdbd has its terminal row, or
when the job is absent from two complete snapshots of the queue and everything that ended before
them is collected. Time alone ends only holds that the queue never showed.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, text, update
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import KEYS_MAX, lock
from accounting.vouchers.holds import LIVE, next_turn

SNAPSHOTS_NEEDED = 2
SELF_PAY = "self-pay"
"""The task under which what is held ends for jobs that go on without their voucher."""
REBOUND = "rebound"
"""How the evidence begins of a hold whose job goes on under another one."""
_BIND = text(
    "INSERT INTO hold_bind (hold, cluster, job_id, submit_s, seen_s) "
    "VALUES (:hold, :cluster, :job_id, :submit_s, :seen_s) ON CONFLICT (hold) DO NOTHING"
)
_END_ALL = (
    update(schema.hold)
    .where(schema.hold.c.id == bindparam("of"))
    .values(live=0, turn=bindparam("now"))
)


def bind(
    conn: Connection, hold_id: str, cluster: str, job_id: int, submit_s: int, now_s: int
) -> None:
    """Tie a hold to the job that the queue shows with it; the first binding stands."""
    bind_all(conn, cluster, {hold_id: (job_id, submit_s)}, now_s)


def bind_all(
    conn: Connection, cluster: str, jobs: Mapping[str, tuple[int, int]], now_s: int
) -> None:
    """Tie holds to their jobs, as `bind` does each.

    Args:
        jobs: Number and submit of the job, by hold.
    """
    lock(conn)
    rows = [
        {"hold": hold_id, "cluster": cluster, "job_id": job_id, "submit_s": submit_s}
        | {"seen_s": now_s}
        for hold_id, (job_id, submit_s) in jobs.items()
    ]
    conn.execute(_BIND, rows)


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


def ended_tasks(conn: Connection, some: Sequence[str]) -> dict[str, tuple[int, frozenset[str]]]:
    """Return of holds that were bound when their job was submitted, and which tasks have ended:
    not those that went on under another hold."""
    bound, ended = schema.hold_bind.c, schema.hold_end.c
    query = select(bound.hold, bound.submit_s, ended.task)
    query = query.join(schema.hold_end, ended.hold == bound.hold)
    query = query.where(~ended.evidence.startswith(REBOUND))
    found: dict[str, tuple[int, set[str]]] = {}
    for i in range(0, len(some), KEYS_MAX):
        for row in conn.execute(query.where(bound.hold.in_(some[i : i + KEYS_MAX]))):
            found.setdefault(row.hold, (row.submit_s, set()))[1].add(row.task)
    return {hold: (submit_s, frozenset(tasks)) for hold, (submit_s, tasks) in found.items()}


def ran_lately(conn: Connection, cluster: str, job_id: int, since_s: int) -> bool:
    """Tell whether what was held for a job has ended since, and it did not go on as self-pay."""
    bound, ended = schema.hold_bind.c, schema.hold_end.c
    query = select(ended.hold).join(schema.hold_bind, bound.hold == ended.hold).limit(1)
    query = query.where(bound.cluster == cluster, bound.job_id == job_id)
    query = query.where(ended.at_s >= since_s, ended.task != SELF_PAY)
    return conn.execute(query).scalar() is not None


def take_back(conn: Connection, hold_id: str, now_s: int) -> bool:
    """Void a hold whose job will not be, as the hook says that asked for it; once the queue has
    shown the job only evidence ends it."""
    row = conn.execute(LIVE.where(schema.hold.c.id == hold_id)).one_or_none()
    if row is None or row.job_id is not None:
        return False
    return end(conn, hold_id, "*", "voided", row.live, now_s, "refused with its other parts")


def give_back(conn: Connection, some: Sequence[tuple[str, int]], now_s: int) -> list[str]:
    """Void what is held for tasks that go on without their voucher, as the queue says of them.

    Args:
        some: Holds, and how many of their tasks.

    Returns:
        Ids of the holds that were given back: each once.
    """
    why = "goes on as self-pay"
    return [
        hold_id
        for hold_id, tasks in some
        if end(conn, hold_id, SELF_PAY, "voided", tasks, now_s, why)
    ]


def unseen(conn: Connection, cluster: str, seen: Collection[str], began_s: int) -> list[str]:
    """List the holds whose jobs never came into the queue, though their time is over.

    A job is in the queue a moment after its hold was asked for, or never (--test-only, a job that
    Slurm itself refused): the policy says how much later a snapshot proves it.

    Args:
        seen: Ids of holds in the complete snapshot of the queue that was just taken.
        began_s: When it was begun.
    """
    query = LIVE.where(schema.hold_bind.c.hold.is_(None), schema.hold.c.expires_s <= began_s)
    rows = conn.execute(query.where(schema.hold.c.cluster == cluster))
    return [row.id for row in rows if row.id not in seen]


def expire(conn: Connection, some: Sequence[str], began_s: int) -> list[tuple[str, int]]:
    """Let holds lapse that are `unseen`, and still are.

    Returns:
        Hold and uid of each.
    """
    lock(conn)
    query = LIVE.where(schema.hold.c.id.in_(some), schema.hold_bind.c.hold.is_(None))
    rows = conn.execute(query).all()
    return [(row.id, row.uid) for row in _end_all(conn, rows, "expired", began_s, "never queued")]


def absent(
    conn: Connection, cluster: str, present: Collection[str], snapshot_s: int
) -> tuple[list[str], list[str]]:
    """Find the bound holds that a complete snapshot of the queue does not show.

    Args:
        present: Ids of holds of jobs that have not ended, in the snapshot.
        snapshot_s: When the snapshot began; holds seen later than that are left alone.

    Returns:
        Ids of those, and of the ones that it shows and an earlier snapshot did not.
    """
    bound = schema.hold_bind.c
    query = LIVE.where(bound.cluster == cluster, bound.seen_s < snapshot_s)
    ids = {row.id for row in conn.execute(query)}
    of = schema.hold.c
    missing = select(schema.hold_missing.c.hold).join(schema.hold).distinct()
    missed = set(conn.execute(missing.where(of.cluster == cluster, of.live > 0)).scalars())
    return sorted(ids - set(present)), sorted(ids & missed & set(present))


def note_present(conn: Connection, some: Sequence[str]) -> None:
    """Forget that snapshots did not show these holds."""
    lock(conn)
    conn.execute(delete(schema.hold_missing).where(schema.hold_missing.c.hold.in_(some)))


def note_absent(
    conn: Connection, some: Sequence[str], snapshot_s: int, collected_s: int
) -> list[str]:
    """Note that a snapshot does not show these holds; void those that two do not show.

    Args:
        some: As `absent` returns them.
        snapshot_s: When the snapshot began.
        collected_s: Up to when ended runs are collected. Only snapshots before it count: the
            row of a job that a later one does not show may still be to come.

    Returns:
        Ids of the holds that were voided.
    """
    lock(conn)
    table = schema.hold_missing
    missed: dict[str, set[int]] = {hold_id: set() for hold_id in some}
    for row in conn.execute(select(table).where(table.c.hold.in_(some))):
        missed[row.hold].add(row.snapshot_s)
    new = [
        hold_id
        for hold_id, at_s in missed.items()
        if len(at_s) < SNAPSHOTS_NEEDED and snapshot_s not in at_s
    ]
    for hold_id in new:
        missed[hold_id].add(snapshot_s)
    if new:
        rows = [{"hold": hold_id, "snapshot_s": snapshot_s} for hold_id in new]
        conn.execute(insert(table), rows)
    over = [
        hold_id
        for hold_id, at_s in missed.items()
        if len(at_s) >= SNAPSHOTS_NEEDED and collected_s >= max(at_s)
    ]
    left = conn.execute(LIVE.where(schema.hold.c.id.in_(over))).all()
    why = "not in the queue, no row to come"
    return [row.id for row in _end_all(conn, left, "voided", snapshot_s, why)]


def _end_all(
    conn: Connection, rows: Sequence[Any], kind: str, now_s: int, evidence: str
) -> list[Any]:
    """End all that is left of live holds, as `end` does each; return the rows of those."""
    table = schema.hold_end
    query = select(table.c.hold).where(table.c.hold.in_([row.id for row in rows]))
    known = set(conn.execute(query.where(table.c.task == "*")).scalars())
    rows = [row for row in rows if row.id not in known]
    if rows:
        same = {"task": "*", "kind": kind, "at_s": now_s, "evidence": evidence}
        conn.execute(insert(table), [same | {"hold": row.id, "tasks": row.live} for row in rows])
        turn = next_turn(conn)
        conn.execute(_END_ALL, [{"of": row.id, "now": turn} for row in rows])
    return list(rows)
