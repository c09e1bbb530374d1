"""Slurm's queue: the second copy of every hold. One snapshot is complete or it is none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounting.errors import SlurmUnavailable
from slurm_voucher import marks
from slurm_voucher.partitions import ask
from slurm_voucher.sources.states import ENDED

COMMAND = ["squeue", "--all", "--states=all", "--json"]
TIMEOUT_S = 60


@dataclass(frozen=True)
class QueuedJob:
    """One record of the queue: a job, a task of an array, or an array's tasks that still wait.

    Attributes:
        job_id: Its own number.
        array_job_id: Number of the array it belongs to; its own where it belongs to none.
        submit_s: Submit.
        uid: Who submitted it.
        ended: Whether it has ended and is only remembered.
        marks: What the submit hook wrote into AdminComment.
        fields: What a hold for it would ask, as in a HOLD question.
    """

    job_id: int
    array_job_id: int
    submit_s: int
    uid: int
    ended: bool
    marks: marks.Marks
    fields: Mapping[str, str]


def read(text: str) -> list[QueuedJob]:
    """Read what `squeue --json` prints, jobs without a mark left out.

    Raises:
        SlurmUnavailable: It is not whole; half a snapshot is worse than none.
    """
    try:
        answer = json.loads(text)
        errors = answer.get("errors")
        if errors:
            raise SlurmUnavailable(f"squeue: {errors[0].get('description', errors[0])}; try again")
        return [job for row in answer["jobs"] if (job := _job(row)) is not None]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SlurmUnavailable(f"squeue: its answer is not whole ({error!r}); try again") from None


def _job(row: Mapping[str, Any]) -> QueuedJob | None:
    found = marks.read(row.get("admin_comment") or "")
    if found.hold is None:
        return None
    states = row["job_state"]
    ended = any(state in ENDED for state in ([states] if isinstance(states, str) else states))
    return QueuedJob(
        job_id=int(row["job_id"]),
        array_job_id=_number(row.get("array_job_id")) or int(row["job_id"]),
        submit_s=_number(row["submit_time"]) or 0,
        uid=int(row["user_id"]),
        ended=ended,
        marks=found,
        fields=_fields(row),
    )


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
    }
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
    }
    for name, value in numbers.items():
        number = _number(value)
        if number:
            fields[name] = str(number)
    return {name: value for name, value in fields.items() if value}


def snapshot() -> list[QueuedJob]:
    """Ask slurmctld for the whole queue. Never call this while it waits for an answer.

    Raises:
        SlurmUnavailable: No complete answer.
    """
    return read(ask(COMMAND, TIMEOUT_S))


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
