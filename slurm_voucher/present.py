"""What is told of a user's jobs that have not been charged yet, by the queue and by the holds."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.errors import VoucherError
from accounting.money import fen_up, yuan, yuan_micro
from accounting.vouchers import holds, spending
from accounting.vouchers.holds import Held
from slurm_voucher import asking, estimate, marks
from slurm_voucher.asking import Rules
from slurm_voucher.queue import QueuedJob, Snapshot

Row = dict[str, Any]
ROWS_MAX = 1000
"""How many jobs that have not ended are told at most."""
COLUMNS = ("job", "cluster", "partition", "user", "state", "ended", "elapsed_s", "gres", "account",
           "status", "held", "charge", "statement", "reason")  # fmt: skip
"""What is told of a job, whether it has ended or not."""
EXPLAINED = ("eligible", "tariff", "line", "fee", "voucher_part", "own_part", "said")
"""What is told beside it of one that is explained."""
HELD, SELF_PAY = "held", "self_pay"
"""The status of a job that has not been charged yet: something is held for it, or it goes on
without its voucher."""
WAITS = {
    "insufficient_balance": "voucher and cash do not cover all of your jobs, the newest wait",
    "not_eligible": "its unit is frozen, or its voucher is not for this partition",
    "not_allowed": "you left its unit, or its contract was ended",
    "voucher_expired": "its voucher has expired",
    "unasked": "the voucher service did not answer at submit; it goes on by itself",
}
"""What `waits=CODE` of an AdminComment means."""


def row(**known: Any) -> Row:
    """Return the row of a job; what is not known is None."""
    return {name: known.get(name) for name in COLUMNS}


def jobs(conn: Connection, cluster: str, uid: int, seen: Snapshot | None) -> list[Row]:
    """Tell of a user's jobs that the queue shows or that something is held for.

    Args:
        seen: The user's jobs in the queue. None: it did not answer.
    """
    held = _held(conn, cluster, uid)
    mine = _mine(seen, uid)
    found = [_queued(cluster, job, _of(held, job)) for job in mine]
    shown = {job.marks.hold for job in mine}
    for hold_id, (own, job_id) in held.items():
        if hold_id not in shown:
            found.append(_unseen(cluster, own, job_id, seen is not None))
    return found[:ROWS_MAX]


def _held(conn: Connection, cluster: str, uid: int) -> dict[str, tuple[Held, int | None]]:
    """Return a user's live holds by id, each with the job that it is bound to."""
    hold = schema.hold.c
    query = holds.LIVE.where(hold.cluster == cluster, hold.uid == uid)
    rows = conn.execute(query.order_by(hold.asked_s, hold.id))
    return {found.id: (Held.of(found), found.job_id) for found in rows}


def _mine(seen: Snapshot | None, uid: int) -> list[QueuedJob]:
    """Return a user's jobs that have not ended."""
    there = [*seen.jobs, *seen.self_paid] if seen else []
    return [job for job in there if job.uid == uid and not job.ended]


def _of(
    held: Mapping[str, tuple[Held, int | None]], job: QueuedJob
) -> tuple[Held, int | None] | None:
    return held.get(job.marks.hold or "")


def _queued(cluster: str, job: QueuedJob, known: tuple[Held, int | None] | None) -> Row:
    held = known[0] if known else None
    micro = _tasks(job) * held.task_micro if held else job.marks.held_micro
    return row(
        job=job.seen_as,
        cluster=cluster,
        partition=job.fields.get("partition"),
        state=job.state,
        gres=_cards(job.fields),
        account=held.account if held else job.marks.voucher,
        status=SELF_PAY if job.marks.self_pay else HELD,
        held=None if micro is None else yuan_micro(micro),
        reason=_why(job),
    )


def _tasks(job: QueuedJob) -> int:
    return estimate.array_tasks(job.fields.get("array", ""))


def _cards(fields: Mapping[str, str]) -> str:
    asked = [fields[key] for key in ("tres_alloc", *estimate.GRES_KEYS) if fields.get(key)]
    return asked[0] if asked else ""


def _why(job: QueuedJob) -> str:
    """Say why a job waits, goes on without its voucher, or is to be ended."""
    waits = None if job.marks.waits == marks.OWN else job.marks.waits
    said = [job.reason] if job.waiting and waits is None and job.reason else []
    if waits is not None:
        said.append(WAITS.get(waits, waits))
    if job.marks.self_pay is not None:
        said.append(f"without its voucher: {WAITS.get(job.marks.self_pay, job.marks.self_pay)}")
    if job.marks.ends:
        code, _, at = job.marks.ends.partition("@")
        said.append(f"is to be ended at {at}: {WAITS.get(code, code)}")
    return "; ".join(said)


def _unseen(cluster: str, held: Held, job_id: int | None, answered: bool) -> Row:
    """Tell of a hold whose job the queue does not show."""
    why = "the queue does not answer"
    if answered:
        why = "not in the queue yet" if job_id is None else "has ended, is not collected yet"
    return row(
        job=None if job_id is None else str(job_id),
        cluster=cluster,
        partition=held.asked.get("partition"),
        gres=_cards(held.asked),
        account=held.account,
        status=HELD,
        held=yuan_micro(held.live * held.task_micro),
        reason=why,
    )


def explain(
    conn: Connection, rules: Rules, job: str, uid: int, seen: Snapshot | None, now_s: int
) -> list[Row]:
    """Say what is held for a job of a user that has not been charged yet, and why it waits.

    Returns:
        A row for each part of it; none where nothing is known of it.
    """
    cluster = rules.cluster.name
    held = _held(conn, cluster, uid)
    mine = _mine(seen, uid)
    found = [
        (_queued(cluster, one, _of(held, one)), _of(held, one)) for one in mine if _is(one, job)
    ]
    shown = {one.marks.hold for one in mine}
    for hold_id, (own, job_id) in held.items():
        if hold_id not in shown and str(job_id) == job:
            found.append((_unseen(cluster, own, job_id, seen is not None), (own, job_id)))
    return [_said(told, _lines(conn, rules, told, known, now_s)) for told, known in found]


def is_others(conn: Connection, cluster: str, job: str, uid: int) -> bool:
    """Tell whether something was held for a job of this number of another user."""
    if not job.isascii() or not job.isdecimal() or len(job) > 18:
        return False
    hold, bind = schema.hold.c, schema.hold_bind.c
    query = select(hold.id).join(schema.hold_bind, bind.hold == hold.id).limit(1)
    query = query.where(bind.cluster == cluster, bind.job_id == int(job), hold.uid != uid)
    return conn.execute(query).first() is not None


def _is(one: QueuedJob, job: str) -> bool:
    return job in (one.seen_as, str(one.job_id), str(one.array_job_id))


def _said(told: Row, lines: Iterable[str]) -> Row:
    return told | dict.fromkeys(EXPLAINED) | {"said": "\n".join(lines)}


def _lines(
    conn: Connection, rules: Rules, told: Row, known: tuple[Held, int | None] | None, now_s: int
) -> Iterator[str]:
    state = told["state"] or "not in the queue"
    yield f"job {told['job'] or '?'} on {told['cluster']}/{told['partition'] or '?'}: {state}"
    if told["reason"]:
        yield f"because: {told['reason']}"
    if told["status"] == SELF_PAY:
        yield "nothing is held for it: your unit pays it in cash"
        return
    if known is None or told["held"] is None:
        yield f"voucher account {told['account'] or '?'}: what is held is not known yet"
        return
    held = known[0]
    yield (
        f"voucher account {held.account}: held {told['held']} yuan, the most that it can cost; what"
        " it does not use is free again when it has ended"
    )
    try:
        want = asking.wanted(rules, held.asked)
        by = asking.terms_of(rules, spending.standing(conn, held.account))
        job, most = asking.cost(rules, want, by, now_s)
    except VoucherError as error:
        yield f"by today's prices: {error}"
        return
    what = most.basis.chip or f"{job.kind.cpus} cores"
    yield (
        f"{job.tasks} × {what} {job.kind.gres or ''} for {job.limit_s} s: at most"
        f" {yuan(fen_up(job.tasks * most.fee_micro))} yuan by tariff {most.tariff}"
    )
