"""Read the text that `sacct -P` prints, from a file or a pipe.

Not every row is a run. Skipped, and counted by these words, are
  step     JobIDRaw has a dot (123.batch, 123.0): the row of its job already holds all of it;
  live     the state says that it has not ended, see states.LIVE;
  no end   End is Unknown, None or empty.
A row that is neither run nor skipped is a `BadRow`; nothing is guessed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from accounting.errors import UsageInvalid
from accounting.runs.run import CLUSTER_NAME, Run
from slurm_voucher import marks, times, tres
from slurm_voucher.sources import BadRow
from slurm_voucher.sources.states import LIVE

LINE_CHARS_MAX = 65536
UNSET = frozenset({"Unknown", "None", "", "0"})
"""What stands for an instant that there is not; 0 is what SLURM_TIME_FORMAT=%s makes of it."""
NO_NODES = "None assigned"
FREE_TEXT = frozenset(
    {"admincomment", "comment", "extra", "jobname", "submitline", "systemcomment", "workdir"}
)
"""Columns in which a | may stand, for sacct does not escape it."""


class Layout(NamedTuple):
    """Where each column stands; -1: it does not."""

    job_id: int
    job: int
    submit: int
    start: int
    end: int
    state: int
    partition: int
    qos: int
    account: int
    user: int
    alloc: int
    nodes: int
    cpus: int
    cluster: int
    elapsed_raw: int
    elapsed: int
    uid: int
    req: int
    suspended: int
    node_list: int
    comment: int


_REQUIRED = (
    ("JobIDRaw",),
    ("JobID",),
    ("Submit",),
    ("Start",),
    ("End",),
    ("State",),
    ("Partition",),
    ("QOS",),
    ("Account",),
    ("User",),
    ("AllocTRES",),
    ("NNodes", "AllocNodes"),
    ("NCPUS", "AllocCPUS"),
)
"""In the order of Layout; of several names the first that is there."""

_OPTIONAL = (
    "Cluster",  # required where the caller does not name the cluster
    "ElapsedRaw",  # one of these two is required
    "Elapsed",
    "UID",  # not there: not recorded
    "ReqTRES",  # not there: requested cards are not recorded
    "Suspended",  # not there: what Elapsed leaves out of the wall time, as sacct computes it
    "NodeList",  # not there: only Start tells whether it started
    "AdminComment",  # not there: no voucher
)
_BY_STAFF = frozenset({"admincomment", "systemcomment"})
"""Free text that no user writes."""
_TOLD = {
    "UID": "who ran it, by number",
    "ReqTRES": "cards that were asked for and not counted",
    "AdminComment": "voucher and hold",
}
"""What no run says where a column is not there."""


class BadValue(Exception):
    """A row cannot be read.

    Attributes:
        column: Name of the column at fault, '' where it is the whole row.
        value: What stands there, shortened.
        reason: What is wrong with it.
    """

    def __init__(self, column: str, value: str, reason: str) -> None:
        super().__init__(column, value, reason)
        self.column, self.value, self.reason = column, value, reason


class _Bad(Exception):
    """A row cannot be read: index of the column, reason."""


def parse(
    lines: Iterable[bytes | str],
    *,
    fields: Sequence[str] | None = None,
    timezone: str,
    cluster: str | None = None,
    source: str = "",
    skipped: Counter[str] | None = None,
) -> Iterator[Run | BadRow]:
    """Read rows as runs that have ended.

    Args:
        lines: Text of sacct -P, line by line.
        fields: Order of the columns; None: the first line says it.
        timezone: Zone of the times in the text; UTC where sacct ran with TZ=UTC.
        cluster: Cluster that all rows must be of. None: each row says its own.
        source: Name of the file or command, for messages.
        skipped: Counts rows that are no runs, by reason.

    Raises:
        UsageInvalid: Columns are missing or stand twice; raised before the first row.
    """
    numbered = enumerate(lines, 1)
    if fields is None:
        first = next(numbered, (0, ""))[1]
        header = first.decode("utf-8", "replace") if isinstance(first, bytes) else first
        fields = header.lstrip("\ufeff").rstrip("\r\n").split("|")
    at = layout(fields, cluster, source)
    return rows(numbered, tuple(fields), at, timezone, cluster, source, skipped)


def layout(fields: Sequence[str], cluster: str | None, source: str) -> Layout:
    """Find the columns, or say by name which are missing."""
    places = {name.partition("%")[0].lower(): i for i, name in enumerate(fields)}
    if len(places) < len(fields):
        raise UsageInvalid(f"{source or 'sacct text'}: a column stands twice; name each once")
    groups = [*_REQUIRED, ("ElapsedRaw", "Elapsed")]
    if cluster is None:
        groups.append(("Cluster",))
    missing = [
        " or ".join(names) for names in groups if not any(name.lower() in places for name in names)
    ]
    if missing:
        raise UsageInvalid(
            f"{source or 'sacct text'}: no column {', '.join(missing)}; "
            "export them with sacct -P --format, or give the order of the columns"
        )
    required = (
        next(places[n.lower()] for n in names if n.lower() in places) for names in _REQUIRED
    )
    return Layout(*required, *(places.get(name.lower(), -1) for name in _OPTIONAL))


def lacks(fields: Iterable[str]) -> str:
    """Say what runs of these columns do not tell; '' where they tell all."""
    there = {name.partition("%")[0].lower() for name in fields}
    return ", ".join(
        f"no {name} ({what})" for name, what in _TOLD.items() if name.lower() not in there
    )


def chosen(fields: Iterable[str]) -> str:
    """Name the columns whose text users choose: a line feed in one can look like a row."""
    names = (name.partition("%")[0] for name in fields)
    return ", ".join(name for name in names if name.lower() in FREE_TEXT - _BY_STAFF)


def rows(
    numbered: Iterable[tuple[int, bytes | str]],
    fields: tuple[str, ...],
    at: Layout,
    timezone: str,
    cluster: str | None,
    source: str,
    skipped: Counter[str] | None,
) -> Iterator[Run | BadRow]:
    """Yield what each line is."""
    for number, raw in numbered:
        line = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
        line = line.rstrip("\r\n")
        if not line:
            continue
        try:
            found = read(_split(line, fields), fields, at, timezone, cluster)
        except BadValue as bad:
            yield BadRow(number, bad.column, bad.value, bad.reason, source)
            continue
        if isinstance(found, Run):
            yield found
        elif skipped is not None:
            skipped[found] += 1


def read(
    row: list[str], fields: Sequence[str], at: Layout, timezone: str, cluster: str | None
) -> Run | str:
    """Read the values of one row: a run, or the word for why it is none.

    Raises:
        BadValue: One of them cannot be read.
    """
    try:
        return _run(row, at, timezone, cluster)
    except _Bad as bad:
        index, reason = bad.args
        raise BadValue(fields[index], row[index][:80], reason) from None


def bounded(text: str) -> None:
    """Refuse a row that is longer than any can be, or that no text can hold."""
    if len(text) > LINE_CHARS_MAX:
        raise BadValue("", "", f"is {len(text)} characters long, at most {LINE_CHARS_MAX} can be")
    if "\0" in text:
        raise BadValue("", "", "holds a NUL byte")


def _split(line: str, fields: tuple[str, ...]) -> list[str]:
    """Split a line into its fields; the last takes what is left where it is the one free text."""
    bounded(line)
    row = line.split("|")
    if len(row) > len(fields):
        free = [name.lower() in FREE_TEXT for name in fields]
        if free[-1] and sum(free) == 1:
            row = line.split("|", len(fields) - 1)
    if len(row) != len(fields):
        raise BadValue("", "", f"has {len(row)} fields, {len(fields)} are needed")
    return row


def _run(row: list[str], at: Layout, timezone: str, cluster: str | None) -> Run | str:
    """Read one row: a run, or the word for why it is none."""
    named = row[at.cluster] if at.cluster >= 0 else cluster
    if not named or (cluster is not None and named != cluster):
        raise _Bad(at.cluster, f"is not cluster {cluster}" if cluster else "names no cluster")
    if not is_cluster(named):
        raise _Bad(max(at.cluster, 0), "cannot be of a cluster of that name; use A-Z a-z 0-9 _ . -")
    if "." in row[at.job_id]:
        return "step"
    state = row[at.state].partition(" ")[0]
    if not state:
        raise _Bad(at.state, "is no state")
    if state in LIVE:
        return "live"
    if row[at.end] in UNSET:
        return "no end"
    start_s, end_s, elapsed_s, suspended_s = _span(row, at, timezone)
    cards, gres, mem_mb = _tres(row, at.alloc)
    nodes, cpus = _count(row, at.nodes), _count(row, at.cpus)
    if start_s is None:  # Slurm leaves what it would have had in these columns
        nodes, cpus, mem_mb, cards, gres = 0, 0, None, 0, ""
    elif elapsed_s and not row[at.alloc]:
        raise _Bad(at.alloc, f"does not say what a run of {elapsed_s} s had")
    return Run(
        named,
        _number(row, at.job_id),
        _word(row, at.job),
        _instant(row, at.submit, timezone),
        start_s,
        end_s,
        start_s,
        elapsed_s,
        suspended_s,
        _word(row, at.state).partition(" ")[0],
        _word(row, at.partition),
        _word(row, at.qos),
        _word(row, at.account),
        _word(row, at.user),
        _number(row, at.uid) if at.uid >= 0 and row[at.uid] else None,
        nodes,
        cpus,
        mem_mb,
        cards,
        gres,
        _tres(row, at.req).gres if at.req >= 0 else "",
        *_marks(row, at.comment)[:3],
    )


@lru_cache(maxsize=256)
def is_cluster(name: str) -> bool:
    """Tell whether this can be the name of a cluster."""
    return CLUSTER_NAME.fullmatch(name) is not None


def _span(row: list[str], at: Layout, timezone: str) -> tuple[int | None, int, int, int]:
    """Read start, end, elapsed and suspended seconds, which must fit each other.

    Of a row that has ended sacct computes Elapsed = max(0, End - Start - Suspended), in every
    version, so anything else is not what Slurm recorded.

    Source:
        slurm/src/plugins/accounting_storage/mysql/as_mysql_jobacct_process.c
    """
    end_s = _instant(row, at.end, timezone)
    raw = at.elapsed_raw >= 0
    elapsed_at = at.elapsed_raw if raw else at.elapsed
    elapsed_s = _number(row, elapsed_at) if raw else _duration(row, elapsed_at)
    if row[at.start] in UNSET or (at.node_list >= 0 and row[at.node_list] == NO_NODES):
        if elapsed_s:
            raise _Bad(elapsed_at, "elapsed in a run that never started")
        return None, end_s, 0, 0
    start_s = _instant(row, at.start, timezone)
    wall_s = end_s - start_s
    if wall_s < 0:
        raise _Bad(at.end, f"is before Start {row[at.start]}")
    if elapsed_s > wall_s:
        raise _Bad(elapsed_at, f"is more than the {wall_s} s from Start to End")
    if at.suspended >= 0:
        given_s = _duration(row, at.suspended)
        if elapsed_s != max(0, wall_s - given_s):
            raise _Bad(elapsed_at, f"is not the {wall_s} s from Start to End less {given_s} s")
    return start_s, end_s, elapsed_s, wall_s - elapsed_s


def _marks(row: list[str], index: int) -> marks.Marks:
    """Read what the submit hook wrote into an AdminComment."""
    if index < 0:
        return marks.NONE
    try:
        return marks.read(_word(row, index))
    except ValueError as error:
        raise _Bad(index, str(error)) from None


def _word(row: list[str], index: int) -> str:
    """Return a text that can be stored."""
    text = row[index]
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise _Bad(index, "is not UTF-8")
    return text


def _number(row: list[str], index: int) -> int:
    """Read a plain whole number."""
    text = row[index]
    if not (text.isdigit() and text.isascii() and len(text) < 19):
        raise _Bad(index, "is no whole number")
    return int(text)


def _count(row: list[str], index: int) -> int:
    """Read a number of nodes or CPUs."""
    try:
        counted = tres.count(row[index])
    except ValueError:
        raise _Bad(index, "is no whole count; ask sacct with --noconvert") from None
    if counted >= 2**31:
        raise _Bad(index, "is more than any cluster has")
    return counted


def _tres(row: list[str], index: int) -> tres.Tres:
    """Read a TRES text."""
    text = _word(row, index)
    try:
        found = tres.read(text)
    except ValueError as error:
        raise _Bad(index, f"cannot be read: {error}") from None
    if found.cards >= 2**31 or (found.mem_mb or 0) >= 2**63:
        raise _Bad(index, "is more than any cluster has")
    return found


def _instant(row: list[str], index: int, timezone: str) -> int:
    """Read an instant."""
    try:
        return times.epoch_s(row[index], timezone)
    except ValueError as error:
        raise _Bad(index, str(error)) from None


def _duration(row: list[str], index: int) -> int:
    """Read a duration."""
    try:
        return times.duration_s(row[index])
    except ValueError as error:
        raise _Bad(index, str(error)) from None
