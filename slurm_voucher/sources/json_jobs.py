"""Read jobs as `sacct --json` and slurmrestd write them, by data_parser 0.0.39 and later.

What a job says is put into the columns of `sacct -P`, and `sacct` says what that is: so both are
the same run, or the same bad row. Its steps are not read. A site that does not track cards writes
none into what a job asked for; then its submit line is searched for them, so that a job on
cards is not taken for one without.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
import pyarrow as pa

from accounting.errors import InvalidInput
from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher import tres
from slurm_voucher.sources import BadRow, sacct
from slurm_voucher.sources.json_items import items

FIELDS = (
    "JobIDRaw",
    "JobID",
    "Cluster",
    "Submit",
    "Start",
    "End",
    "ElapsedRaw",
    "Suspended",
    "State",
    "Partition",
    "QOS",
    "Account",
    "User",
    "NNodes",
    "NCPUS",
    "NodeList",
    "ReqTRES",
    "AllocTRES",
    "AdminComment",
)
BATCH = 10_000
"""How many runs a table has."""
FLAGS = ("COMPLETING", "STAGE_OUT", "CONFIGURING", "RESIZING", "REQUEUED", "REQUEUE_FED",
         "REQUEUE_HOLD", "SPECIAL_EXIT", "STOPPED", "REVOKED", "RESV_DEL_HOLD",
         "SIGNALING")  # fmt: skip
"""What Slurm says instead of a state, the first that is set (slurm/src/common, job_state_string).
"""
_OPTION = re.compile(
    r"(?:^|\s)(?:--(gpus(?:-per-(?:node|task|socket))?|gres|tres-per-(?:task|node|socket|job))"
    r"(?:=|\s+)|(-G)\s*)([^\s=-]\S*)"
)


class _Number(msgspec.Struct):
    """A number that need not be there."""

    set: bool
    number: int = 0
    infinite: bool = False


_Whole = int | _Number | None


class _Time(msgspec.Struct):
    submission: _Whole
    start: _Whole
    end: _Whole
    elapsed: _Whole
    suspended: _Whole = 0


class _State(msgspec.Struct):
    current: list[str] | str


class _Tres(msgspec.Struct):
    type: str
    count: int
    name: str | None = ""
    id: int | None = None


class _Resources(msgspec.Struct):
    allocated: list[_Tres]
    requested: list[_Tres] = []


class _Comment(msgspec.Struct):
    administrator: str | None = ""


class _Array(msgspec.Struct):
    job_id: int = 0
    task_id: _Whole = None
    task: str | None = ""


class _Het(msgspec.Struct):
    job_id: int = 0
    job_offset: _Whole = None


class _Required(msgspec.Struct):
    CPUs: int = 0


class _Job(msgspec.Struct):
    job_id: int
    time: _Time
    state: _State
    tres: _Resources
    partition: str
    qos: str
    account: str
    user: str
    allocation_nodes: int
    comment: _Comment
    cluster: str = ""
    nodes: str | None = ""
    submit_line: str | None = ""
    array: _Array = msgspec.field(default_factory=_Array)
    het: _Het = msgspec.field(default_factory=_Het)
    required: _Required = msgspec.field(default_factory=_Required)


_DECODER = msgspec.json.Decoder(_Job)


def tables(
    blocks: Iterable[bytes],
    *,
    cluster: str | None = None,
    source: str = "",
    skipped: Counter[str] | None = None,
) -> Iterator[pa.Table | BadRow]:
    """Read jobs as runs that have ended.

    Args:
        blocks: The JSON, cut anywhere.
        cluster: Cluster that all jobs must be of. None: each says its own.
        source: Name of the file, for messages.
        skipped: Counts jobs that are no runs, by reason.

    Returns:
        Tables of the schema USAGE, in the order of the file, and the jobs that cannot be read,
        counted from 1 where text has lines.

    Raises:
        UsageInvalid: It is no such JSON, or ends in the middle; it may come after tables.
    """
    at = sacct.layout(FIELDS, cluster, source)
    runs: list[Run] = []
    number = 0
    for name, text in items(blocks, source):
        if name == "errors":
            said = text[:200].decode("utf-8", "replace")
            yield BadRow(
                number, "errors", said, "is what Slurm said: jobs may be missing", source, "job"
            )
            continue
        number += 1
        try:
            found = sacct.read(_row(text), FIELDS, at, "UTC", cluster)
        except sacct.BadValue as bad:
            yield BadRow(number, bad.column, bad.value, bad.reason, source, "job")
            continue
        if isinstance(found, Run):
            runs.append(found)
        elif skipped is not None:
            skipped[found] += 1
        if len(runs) >= BATCH:
            yield usage.table(runs)
            runs = []
    yield usage.table(runs)


def _row(text: bytes) -> list[str]:
    """Return what a job says, by FIELDS."""
    try:
        job = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise sacct.BadValue("", "", f"cannot be read: {error}") from None
    asked = _listed(job.tres.requested)
    if not any(each.startswith("gres/") for each in asked):
        asked += [f"gres/{name}={count}" for name, count in _on_the_line(job.submit_line).items()]
    cpus = next((each.count for each in job.tres.allocated if each.type == "cpu"), None)
    row = [
        str(job.job_id),
        _name(job),
        job.cluster,
        _text(job.time.submission),
        _text(job.time.start),
        _text(job.time.end),
        _text(job.time.elapsed),
        _duration(_text(job.time.suspended)),
        _state(job.state.current),
        job.partition,
        job.qos,
        job.account,
        job.user,
        str(job.allocation_nodes),
        str(job.required.CPUs if cpus is None else cpus),
        job.nodes or "",
        ",".join(asked),
        ",".join(_listed(job.tres.allocated)),
        job.comment.administrator or "",
    ]
    sacct.bounded("".join(row))
    return row


def _text(value: _Whole) -> str:
    """Write a number as sacct does; '' where it is not set."""
    if isinstance(value, _Number):
        if value.infinite:
            return "infinite"
        value = value.number if value.set else None
    return "" if value is None else str(value)


def _duration(seconds: str) -> str:
    """Write seconds as sacct writes a duration."""
    if not seconds.isdecimal():
        return seconds
    minutes, rest_s = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest_s:02}"


def _name(job: _Job) -> str:
    """Name a job as people see it: 16, 16_2, 16_[3-5%2], 17+0."""
    if job.array.job_id:
        task = _text(job.array.task_id)
        return f"{job.array.job_id}_{task}" if task else f"{job.array.job_id}_[{job.array.task}]"
    if job.het.job_id:
        return f"{job.het.job_id}+{_text(job.het.job_offset)}"
    return str(job.job_id)


def _state(current: list[str] | str) -> str:
    """Return the one word that sacct says for a state and its flags."""
    words = [current] if isinstance(current, str) else current
    flag = next((flag for flag in FLAGS if flag in words), None)
    return flag or "+".join(words)


def _listed(found: list[_Tres]) -> list[str]:
    """Write TRES as sacct does; one whose count is not known is less than zero, and left out."""
    texts = []
    for each in found:
        name = f"{each.type}/{each.name}" if each.name else each.type
        if each.count >= 0 or each.type == "gres":
            texts.append(f"{name}={each.count}{'M' if each.type == 'mem' else ''}")
    return texts


def _on_the_line(line: str | None) -> dict[str, int]:
    """Find the cards that a submit line asks for, at least how many of each kind."""
    found: Counter[str] = Counter()
    for option, short, value in _OPTION.findall(line or ""):
        if short or option.startswith("gpus"):
            value = ",".join(f"gpu:{part}" for part in value.split(","))
        try:
            asked = tres.asked(value)
        except InvalidInput:
            asked = {"gpu": 1}
        found |= Counter(asked)
    return dict(found)
