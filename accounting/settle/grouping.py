"""Sums of stored runs: by month, and by what a statement has a line for.

Sums are net of corrections: a changed run counts with its latest revision, and the one before
is taken off. Nothing here writes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from accounting import period
from accounting.rates import rating
from accounting.runs import archive, usage


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


def by_month(rows: pa.Table, timezone: str) -> list[tuple[str, pa.Table]]:
    """Split rows by the month in which they ended."""
    place, months = _months(rows, timezone)
    present = np.flatnonzero(np.bincount(place, minlength=len(months))).tolist()
    if len(present) == 1:
        return [(months[present[0]], rows)]
    return [(months[i], rows.filter(pa.array(place == i))) for i in present]


def months_of(rows: pa.Table, timezone: str) -> pa.StringArray:
    """Return the month in which each run ended: it is charged in that one."""
    place, months = _months(rows, timezone)
    return pa.array(months, pa.string()).take(pa.array(place))


def _months(rows: pa.Table, timezone: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the number of the month of each row, and the months from the first to the last."""
    end_s = usage.numbers(rows.column("end_s"))
    if not len(end_s):
        return end_s, []
    months = [period.month_of(int(end_s.min()), timezone)]
    last = period.month_of(int(end_s.max()), timezone)
    while months[-1] != last:
        months.append(period.following(months[-1]))
    if len(months) == 1:
        return np.zeros(len(end_s), np.int64), months
    edges = [period.bounds(month, timezone)[0] for month in months]
    return np.searchsorted(np.array(edges), end_s, "right") - 1, months


def with_status(rows: pa.Table, status: str) -> pa.Table:
    """Keep the rows of one status: charged, free or unrated."""
    return rows.filter(pa.array(usage.marks(rows.column("status"), status)))


def superseded(rows: pa.Table, stored: pa.Table) -> pa.Table:
    """Return the stored rows that changed rows take the place of: the revision before theirs."""
    return stored.filter(pa.array(outdated(stored, rows)))


def outdated(stored: pa.Table, rows: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mark the stored rows that changed rows take the place of."""
    again = rows.filter(pc.greater(rows.column("revision"), 0))
    if not again.num_rows:
        return np.zeros(stored.num_rows, np.bool_)
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
_GROUP = ("account", "month", "cluster", "partition", "qos", "chip", "tariff")


def net(added: pa.Table, removed: pa.Table, timezone: str) -> list[tuple[Group, str]]:
    """Sum charged rows by group and account, those added minus those they take the place of.

    Groups in which nothing is left over are not there: a corrected state costs no line.
    """
    if not removed.num_rows:  # of each group there is one sum, of one run or more
        plain = sorted(_summed(added, timezone))
        return [(Group(*key[1:], *total), key[0]) for key, total in plain]  # type: ignore[arg-type]
    sums: dict[tuple[str, ...], list[int]] = {}
    for rows, sign in ((added, 1), (removed, -1)):
        for key, values in _summed(rows, timezone):
            total = sums.setdefault(key, [0, 0, 0, 0])
            for i, value in enumerate(values):
                total[i] += sign * value
    return [
        (Group(*key[1:], *total), key[0])  # type: ignore[arg-type]  # six names, then four sums
        for key, total in sorted(sums.items())
        if any(total)
    ]


def accrued(
    added: pa.Table, removed: pa.Table, timezone: str
) -> dict[tuple[str, str], tuple[int, int]]:
    """Sum charge and eligible part of `net` by account and month."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    amounts = (usage.numbers(added.column(name)) for name in ("charge_micro", "eligible_micro"))
    most = max(int(each.max(initial=0)) for each in amounts)
    if not removed.num_rows and most * added.num_rows < 2**63:
        # no group comes to nothing, so none need be told apart from another
        for (account, month), (_, _, charge, eligible) in _summed(added, timezone, _GROUP[:2]):
            sums[account, month] = charge, eligible
        return sums
    for group, account in net(added, removed, timezone):
        charge, eligible = sums.get((account, group.month), (0, 0))
        sums[account, group.month] = charge + group.charge_micro, eligible + group.eligible_micro
    return sums


def _summed(
    rows: pa.Table, timezone: str, by: Sequence[str] = _GROUP
) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    """Sum the charged rows of each account by group: words stay numbers until they are few."""
    named = [name for name in by if name != "month"]
    own = rows.select(["status", *named, *archive.SUMS, "end_s"])
    own = own.filter(pc.is_valid(own.column("account")))  # few have one: the rest is about them
    charged = with_status(own, rating.CHARGED).drop_columns(["status"])
    place, months = _months(charged, timezone)
    table = charged.append_column("month", usage.words(months, place))
    table = table.unify_dictionaries().combine_chunks()
    found = table.group_by(list(by), use_threads=False).aggregate(
        [([], "count_all"), *((name, "sum") for name in archive.SUMS)]
    )
    names = [[word or "" for word in usage.values(found.column(name))] for name in by]
    sums = (usage.values(found.column(f"{name}_sum")) for name in archive.SUMS)
    counts = usage.values(found.column("count_all"))
    yield from zip(zip(*names, strict=True), zip(counts, *sums, strict=True), strict=True)


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
