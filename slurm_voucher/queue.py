"""Slurm's queue: the second copy of every hold. One snapshot is complete or it is none."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounting.errors import SlurmUnavailable
from slurm_voucher import marks
from slurm_voucher.commands import ask
from slurm_voucher.marks import Marks
from slurm_voucher.sources.states import ENDED

COMMAND = ["squeue", "--all", "--states=all", "--json"]
TIMEOUT_S = 60
USER_TIMEOUT_S = 3
AGAIN = frozenset({"REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESIZING"})
"""With one of these a job is still there, whatever else its state says."""
FINAL = frozenset(ENDED) - AGAIN
TO_BE_HELD = frozenset({"REQUEUE_HOLD", "SPECIAL_EXIT"})
"""A job was requeued with one of these: whoever did so decides when it goes on."""
WAITS = TO_BE_HELD | {"PENDING"}
NO_VALUE = 0xFFFE
"""What 22.05 prints of a small number that is not set (NO_VAL16); one more says: no limit."""
NOT_BY_US = frozenset({"JobHeldUser", "JobHoldMaxRequeue", "job requeued in held state"})
"""Reasons of a held job that `scontrol hold` by an administrator does not give it: by voucherd it
is JobHeldAdmin.

Source:
    slurm/src/common/job_state_reason.c; slurmctld/job_mgr.c, job_requeue
"""


@dataclass(frozen=True)
class QueuedJob:
    """One record of the queue: a job, a task of an array, or an array's tasks that still wait.

    Attributes:
        job_id: Its own number.
        array_job_id: Number of the array it belongs to; its own where it belongs to none.
        submit_s: Submit.
        uid: Who submitted it.
        ended: Whether it has ended and is only remembered.
        act_on: Number by which an administrator holds or releases it: of all tasks of an array,
            of all parts of a heterogeneous job.
        task: Which task of an array it is; None for a job, and for tasks that wait together.
        part: Which part of a heterogeneous job it is; None for any other.
        start_s: When it started; None while it waits.
        waiting: Whether it waits in the queue.
        stopped: Whether it waits with priority 0: somebody holds it.
        not_by_us: Whether that is a hold as voucherd makes none: its user's, or of a requeue.
        marks: What stands in its AdminComment of ours.
        comment: All of its AdminComment.
        fields: What a hold for it would ask, as in a HOLD question.
        seen_as: The job as people see it: 16, 16_2, 16_[3-9], 17+1.
        state: Its state in Slurm's word.
        reason: Why it waits, in Slurm's word; '' where it does not say.
    """

    job_id: int
    array_job_id: int
    submit_s: int
    uid: int
    ended: bool
    act_on: int
    task: int | None
    part: int | None
    start_s: int | None
    waiting: bool
    stopped: bool
    not_by_us: bool
    marks: Marks
    comment: str
    fields: Mapping[str, str]
    seen_as: str = field(default="", compare=False)
    state: str = field(default="", compare=False)
    reason: str = field(default="", compare=False)

    @property
    def hold(self) -> str:
        """Id of its hold."""
        assert self.marks.hold is not None
        return self.marks.hold

    @property
    def name(self) -> str:
        """What Slurm calls it alone: the number of an array is that of all of its tasks."""
        if self.part is not None:
            return f"{self.act_on}+{self.part}"
        return str(self.job_id) if self.task is None else f"{self.array_job_id}_{self.task}"

    @property
    def marked_by(self) -> int | str:
        """By what its AdminComment is written: the number of the last task of an array is that of
        all of them, and that of a heterogeneous job's first part of all parts."""
        return self.job_id if self.task is None and self.part is None else self.name

    @property
    def to_end(self) -> str:
        """What is ended when it is: of a heterogeneous job all parts."""
        return self.name if self.part is None else str(self.act_on)

    @property
    def runs(self) -> bool:
        """Whether it has started and not ended."""
        return not self.waiting and not self.ended


@dataclass(frozen=True)
class Snapshot:
    """The whole queue at one time.

    Attributes:
        jobs: Those with a hold; its length is the snapshot's.
        there: Numbers (of the array, for a task of one) of all jobs that have not ended,
            whatever their AdminComment says.
        problems: Jobs whose AdminComment cannot be what the hook wrote.
        self_paid: Jobs that have not ended, and go on without the voucher that they had.
    """

    jobs: Sequence[QueuedJob]
    there: frozenset[int]
    problems: Sequence[str]
    self_paid: Sequence[QueuedJob] = ()

    def __len__(self) -> int:
        return len(self.jobs)


def read(text: str) -> Snapshot:
    """Read what `squeue --json` prints.

    Raises:
        SlurmUnavailable: It is not whole; half a snapshot is worse than none.
    """
    jobs: list[QueuedJob] = []
    self_paid: list[QueuedJob] = []
    there, problems = set(), []
    try:
        answer = json.loads(text)
        errors = answer.get("errors")
        if errors:
            first = errors[0]
            said = first.get("description", first) if isinstance(first, dict) else first
            raise SlurmUnavailable(f"squeue: {said}; try again")
        for row in answer["jobs"]:
            if not _ended(row):
                there.add(_of_array(row))
            try:
                found = _marks(row.get("admin_comment") or "")
            except ValueError as error:
                problems.append(f"job {row['job_id']}: AdminComment {error}; correct it")
                continue
            if found is not None:
                (self_paid if found.self_pay else jobs).append(_job(row, found))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SlurmUnavailable(f"squeue: its answer is not whole ({error!r}); try again") from None
    left = [job for job in self_paid if not job.ended]
    return Snapshot(jobs, frozenset(there), problems, left)


def _marks(comment: str) -> Marks | None:
    """Return the marks of a job that has a hold, or pays for itself in place of it, or None.

    Raises:
        ValueError: It says something that the hook does not write.
    """
    found = marks.read(comment)
    if found.hold is None:
        return found if found.self_pay else None
    if found.self_pay:
        raise ValueError("says self_pay and names a hold")
    if not marks.HOLD_ID.fullmatch(found.hold) or not (found.voucher or found.waits):
        raise ValueError("names no voucher or no hold of 32 hex digits")
    return found


def _ended(row: Mapping[str, Any]) -> bool:
    """Tell whether a job has ended; a state that is not known here is no end."""
    names = _states(row)
    return bool(names & FINAL) and not names & AGAIN


def _not_by_us(row: Mapping[str, Any]) -> bool:
    reasons = {str(row.get(key)).replace("_", " ") for key in ("state_reason", "state_description")}
    return bool(_states(row) & TO_BE_HELD or reasons & NOT_BY_US)


def _states(row: Mapping[str, Any]) -> set[str]:
    states = row["job_state"]
    return {states} if isinstance(states, str) else set(states)


def _of_array(row: Mapping[str, Any]) -> int:
    return _number(row.get("array_job_id")) or int(row["job_id"])


def _job(row: Mapping[str, Any], found: Marks) -> QueuedJob:
    submit_s = _number(row["submit_time"])
    if submit_s is None:
        raise ValueError(f"job {row['job_id']} has no submit time")
    # 22.05 names one state alone: of a job that was requeued and is held not that it is pending.
    waiting = bool(_states(row) & WAITS)
    stopped = waiting and _number(row.get("priority")) == 0
    het_job_id = _number(row.get("het_job_id"))
    return QueuedJob(
        job_id=int(row["job_id"]),
        array_job_id=_of_array(row),
        submit_s=submit_s,
        uid=int(row["user_id"]),
        ended=_ended(row),
        act_on=het_job_id or _of_array(row),
        task=_number(row.get("array_task_id")) if row.get("array_job_id") else None,
        part=_number(row.get("het_job_offset")) if het_job_id else None,
        start_s=None if waiting else _number(row.get("start_time")) or None,
        waiting=waiting,
        stopped=stopped,
        not_by_us=stopped and _not_by_us(row),
        marks=found,
        comment=row.get("admin_comment") or "",
        fields=_fields(row),
        seen_as=_seen_as(row),
        state=_state(row),
        reason=_reason(row),
    )


def _state(row: Mapping[str, Any]) -> str:
    """Return the first of a job's states; '' where it has none."""
    states = row["job_state"]
    return states if isinstance(states, str) else str(next(iter(states), ""))


def _reason(row: Mapping[str, Any]) -> str:
    reason = str(row.get("state_reason") or "")
    return "" if reason == "None" else reason


def _seen_as(row: Mapping[str, Any]) -> str:
    """Return a job as squeue shows it."""
    array, task = _number(row.get("array_job_id")), _number(row.get("array_task_id"))
    het = _number(row.get("het_job_id"))
    if array and row.get("array_task_string"):
        return f"{array}_[{row['array_task_string']}]"
    if array and task is not None:
        return f"{array}_{task}"
    return f"{het}+{_number(row.get('het_job_offset')) or 0}" if het else str(row["job_id"])


def _number(value: Any) -> int | None:
    """Read a number as slurmrestd writes it: plain, or {set, infinite, number}."""
    if isinstance(value, dict):
        return int(value["number"]) if value.get("set") and not value.get("infinite") else None
    return None if value is None else int(value)


def _fields(row: Mapping[str, Any]) -> dict[str, str]:
    fields = {
        "partition": row.get("partition") or "",
        "qos": row.get("qos") or "",
        "array": row.get("array_task_string") or "",
        "tres_per_job": row.get("tres_per_job") or "",
        "tres_per_node": row.get("tres_per_node") or "",
        "tres_per_task": row.get("tres_per_task") or "",
        "tres_per_socket": row.get("tres_per_socket") or "",
        "cpus_per_tres": row.get("cpus_per_tres") or "",
        "mem_per_tres": row.get("memory_per_tres") or "",
        "req_nodes": row.get("required_nodes") or "",
    }
    alone = (_number(row.get(key)) or 0 for key in ("threads_per_core", "tasks_per_core"))
    if any(0 < each < NO_VALUE for each in alone):
        fields["cores_alone"] = "1"
    if "RUNNING" in row["job_state"]:
        fields["tres_alloc"] = row.get("tres_alloc_str") or ""
    limit = row.get("time_limit")
    if isinstance(limit, dict) and limit.get("infinite"):
        fields["time_limit"] = "unlimited"
    numbers = {
        "time_limit": limit,
        "min_nodes": row.get("node_count"),
        "max_nodes": row.get("max_nodes"),
        "num_tasks": row.get("tasks"),
        "cpus_per_task": row.get("cpus_per_task"),
        "min_cpus": row.get("cpus"),
        "pn_min_cpus": row.get("minimum_cpus_per_node"),
        "mem_per_node_mb": row.get("memory_per_node"),
        "mem_per_cpu_mb": row.get("memory_per_cpu"),
    }
    for name, value in numbers.items():
        number = _number(value)
        if number:
            fields[name] = str(number)
    return {name: value for name, value in fields.items() if value}


def snapshot() -> Snapshot:
    """Ask slurmctld for the whole queue. Never call this while it waits for an answer.

    Raises:
        SlurmUnavailable: No complete answer.
    """
    return read(ask(COMMAND, TIMEOUT_S))


def of_user(uid: int) -> Snapshot:
    """Ask slurmctld for the jobs of one user, and do not wait for long.

    Raises:
        SlurmUnavailable: No complete answer.
    """
    return read(ask([*COMMAND, f"--user={uid}"], USER_TIMEOUT_S))


def nothing_waits_for_slurmdbd() -> bool:
    """Tell whether slurmdbd answers and slurmctld has handed over all it had for it."""
    try:
        ask(["sacctmgr", "--noheader", "--parsable2", "list", "cluster", "format=cluster"])
        told = ask(["sdiag"])
    except SlurmUnavailable:
        return False
    for line in told.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "DBD Agent queue size":
            return value.strip() == "0"
    return False
