"""Sums of stored runs: by month, and by what a statement has a line for.

Sums are net of corrections: a changed run counts with its latest revision, and the one before
is taken off. Nothing here writes.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from accounting import period
from accounting.errors import InvalidInput
from accounting.rates import rating
from accounting.runs import archive, usage
from accounting.settle.keeping import Kind


class Group(NamedTuple):
    """Charges of one account for one kind of computing, net of corrections."""

    month: str
    cluster: str
    partition: str
    qos: str
    chip: str
    tariff: str
    runs: int
    gflops_s: int
    charge_micro: int
    eligible_micro: int


def by_month(rows: pa.Table, timezone: str) -> Iterator[tuple[str, pa.Table]]:
    """Split rows by the month in which they ended, one month after the other."""
    end_s = usage.numbers(rows.column("end_s"))
    months = _months(end_s, timezone)
    if len(months) == 1:
        yield months[0], rows
        return
    place = _place(end_s, months, timezone)
    for i in np.flatnonzero(np.bincount(place, minlength=len(months))).tolist():
        yield months[i], rows.filter(pa.array(place == i))


def months_of(rows: pa.Table, timezone: str) -> pa.StringArray:
    """Return the month in which each run ended: it is charged in that one."""
    end_s = usage.numbers(rows.column("end_s"))
    months = _months(end_s, timezone)
    return pa.array(months, pa.string()).take(pa.array(_place(end_s, months, timezone)))


def _months(end_s: npt.NDArray[np.int64], timezone: str) -> list[str]:
    """Return the months from the first in which a run ended to the last."""
    if not len(end_s):
        return []
    months = [period.month_of(int(end_s.min()), timezone)]
    last = period.month_of(int(end_s.max()), timezone)
    while months[-1] != last:
        months.append(period.following(months[-1]))
    return months


def _place(
    end_s: npt.NDArray[np.int64], months: Sequence[str], timezone: str
) -> npt.NDArray[np.int64]:
    """Return which of these months each run ended in."""
    if len(months) < 2:
        return np.zeros(len(end_s), np.int64)
    edges = [period.bounds(month, timezone)[0] for month in months]
    return np.searchsorted(np.array(edges), end_s, "right") - 1


def with_status(rows: pa.Table, status: str) -> pa.Table:
    """Keep the rows of one status: charged, free or unrated."""
    return rows.filter(pa.array(usage.marks(rows.column("status"), status)))


def superseded(rows: pa.Table, stored: pa.Table) -> pa.Table:
    """Return the stored rows that changed rows take the place of: the revision before theirs."""
    return stored.filter(pa.array(outdated(stored, rows)))


def outdated(stored: pa.Table, rows: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mark the stored rows that changed rows take the place of."""
    changed = usage.as_stored(rows.column("revision")) > 0
    if not changed.any():
        return np.zeros(stored.num_rows, np.bool_)
    again = rows.filter(pa.array(changed))
    both = pa.concat_tables([stored.select(_REVISION), again.select(_REVISION)])
    revision = usage.numbers(both.column("revision")).copy()
    revision[stored.num_rows :] -= 1
    keys = usage.keys(both)
    order = usage.key_order(keys, revision)
    starts = usage.key_starts([array[order] for array in (*keys, revision)])
    same = np.empty(both.num_rows, np.int64)  # rows of the same key and revision: the same number
    same[order] = np.cumsum(starts)
    return np.isin(same[: stored.num_rows], same[stored.num_rows :])


_REVISION = ["cluster", "job_id", "submit_s", "start_s", "revision"]
SUMMED = [*archive.SUMS, "end_s", "account", "cluster", "partition", "qos", "chip", "tariff"]
_BY = ("account", "month", "cluster", "partition", "qos", "chip", "tariff")
_FIGURES = ("runs", *archive.SUMS)
LINES = pa.schema(
    [
        *(pa.field(name, usage.STORED.field("account").type) for name in _BY),
        *(pa.field(name, pa.int64(), nullable=False) for name in _FIGURES),
    ]
)
"""What runs add to statements: a row for each account and group."""
KIND = Kind(".lines", b"1", LINES)
"""It is kept of each segment, as long as that has a file of its own."""


def net(added: pa.Table, removed: pa.Table, timezone: str) -> pa.Table:
    """Sum charged rows by account and group, those added minus those they take the place of.

    Groups in which nothing is left over are not there: a corrected state costs no line.

    Returns:
        A table of the schema LINES.

    Raises:
        InvalidInput: They come to more than 64 bits hold.
    """
    parts = [_charged(added, timezone, 1)]
    if removed.num_rows:
        parts.append(_charged(removed, timezone, -1))
    return _added(pa.concat_tables(parts))


def _added(lines: pa.Table) -> pa.Table:
    """Sum lines by account and group; those in which nothing is left are not there."""
    found = _summed(lines, _BY)
    left = np.logical_or.reduce([usage.numbers(found.column(name)) != 0 for name in _FIGURES])
    return found if left.all() else found.filter(pa.array(left))


def of(lines: pa.Table, keys: Container[tuple[str, str]]) -> pa.Table:
    """Keep the lines of some accounts and months."""
    account, accounts = usage.split(lines.column("account"))
    month, months = usage.split(lines.column("month"))
    asked = np.array([[(a, m) in keys for m in months] for a in accounts], np.bool_)
    if asked.all():
        return lines
    return lines.filter(pa.array(asked.reshape(len(accounts), len(months))[account, month]))


def together(tables: Sequence[pa.Table]) -> list[tuple[Group, str]]:
    """Sum lines up, in whatever table they are, as `net` does it; each group with its account."""
    found = _added(pa.concat_tables([LINES.empty_table(), *tables]))
    words = [[word or "" for word in usage.values(found.column(name))] for name in _BY]
    sums = (usage.values(found.column(name)) for name in _FIGURES)
    account, *others = words
    return list(zip(map(Group, *others, *sums), account, strict=True))


def accrued(lines: pa.Table) -> dict[tuple[str, str], tuple[int, int]]:
    """Sum charge and eligible part of lines by account and month."""
    found = _summed(lines, ("account", "month"))
    names = ("account", "month", "charge_micro", "eligible_micro")
    account, month, charge, eligible = (usage.values(found.column(name)) for name in names)
    keys = zip(account, month, strict=True)
    return dict(zip(keys, zip(charge, eligible, strict=True), strict=True))


def _charged(rows: pa.Table, timezone: str, sign: int) -> pa.Table:
    """Return the charged rows of each account as lines of one run each, or less one."""
    named = [name for name in _BY if name != "month"]
    own = usage.marks(rows.column("status"), rating.CHARGED)
    own &= rows.column("account").is_valid().to_numpy()
    # few have one: to take them is faster than to look at all others
    charged = rows.select([*named, *archive.SUMS, "end_s"]).take(pa.array(np.flatnonzero(own)))
    end_s = usage.numbers(charged.column("end_s"))
    months = _months(end_s, timezone)
    columns = {name: charged.column(name) for name in (*named, *archive.SUMS)}
    if sign < 0:
        columns |= {name: pc.negate(columns[name]) for name in archive.SUMS}
    columns["month"] = usage.words(months, _place(end_s, months, timezone))
    columns["runs"] = pa.array(np.full(charged.num_rows, sign))
    return pa.Table.from_arrays([columns[name] for name in LINES.names], schema=LINES)


def _summed(lines: pa.Table, by: Sequence[str]) -> pa.Table:
    """Sum lines: words stay numbers until they are few."""
    _must_fit(lines)
    table = lines.unify_dictionaries().combine_chunks()
    sums = [(name, "sum") for name in _FIGURES]
    found = table.group_by(list(by), use_threads=False).aggregate(sums)
    columns = [found.column(name) for name in (*by, *(f"{name}_sum" for name in _FIGURES))]
    schema = pa.schema([LINES.field(name) for name in (*by, *_FIGURES)])
    return pa.Table.from_arrays(columns, schema=schema)


def _must_fit(lines: pa.Table) -> None:
    """Refuse what sums of 64 bits do not hold: Arrow would go round."""
    for name in _FIGURES:
        values = usage.numbers(lines.column(name))
        most = max(int(values.max(initial=0)), -int(values.min(initial=0)))
        if most * len(values) >= 2**63 and sum(map(abs, values.tolist())) >= 2**63:
            raise InvalidInput(
                f"{name} of {len(values)} runs come to more than 64 bits hold; look for a price or "
                "a run that is absurd"
            )


def added(groups: Iterable[Group]) -> list[Group]:
    """Add up groups of one account that are of the same kind, in order; leave those out in which
    nothing is left."""
    sums: dict[tuple[object, ...], list[int]] = {}
    for group in groups:
        total = sums.setdefault(group[:-4], [0, 0, 0, 0])
        for i, value in enumerate(group[-4:]):
            total[i] += value
    return [
        Group(*key, *total)  # type: ignore[arg-type]  # six names, then four sums
        for key, total in sorted(sums.items())
        if any(total)
    ]


def negative(group: Group) -> Group:
    """Return what takes a group off."""
    return Group(*group[:-4], *(-value for value in group[-4:]))
