"""A few rows out of many millions: those of one user, or of one job.

A file is read a row group at a time: of a group first the columns that tell whether a row is one
of them, and only where its bounds and its users say that there may be one; the others for the rows
that were found. What a group's bounds and users are is kept: files never change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from accounting.runs import archive, usage
from accounting.runs.segment import Segment

KEY = ["uid", "job_id", "submit_s", "start_s", "end_s", "revision"]
"""What is read of each row that may be one of them."""
KEPT = 2**17
"""Of how many row groups it is remembered what is in them."""
Bools = npt.NDArray[np.bool_]
Int64s = usage.Int64s
EVER = (-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class Group:
    """What a row group's footer says: its first row, and bounds of what it holds; of starts those
    of the runs that started, or None where none did."""

    number: int
    first_row: int
    rows: int
    jobs: tuple[int, int]
    ends: tuple[int, int]
    revisions: tuple[int, int]
    starts: tuple[int, int] | None


@dataclass(frozen=True)
class Wanted:
    """Which rows; what is None says nothing.

    Attributes:
        uid: Whose.
        job_id: Of which job, by Slurm's own number.
        job_from: Not of jobs with a lower number.
        ended: When they ended, half-open.
        again: Only those that take the place of another one.
        named: What stands in columns of words, by column.
    """

    uid: int | None = None
    job_id: int | None = None
    job_from: int | None = None
    ended: tuple[int, int] | None = None
    again: bool = False
    named: tuple[tuple[str, str], ...] = ()

    def may_be_in(self, group: Group) -> bool:
        """Tell by its bounds whether such a row can be in a group."""
        (first, last), ends = group.jobs, group.ends
        return (
            (self.job_id is None or first <= self.job_id <= last)
            and (self.job_from is None or self.job_from <= last)
            and (self.ended is None or (ends[0] < self.ended[1] and self.ended[0] <= ends[1]))
            and (not self.again or group.revisions[1] > 0)
        )

    def marks(self, rows: pa.Table) -> Bools:
        """Mark the rows that these are, by the columns of KEY."""
        number = {name: usage.numbers(rows.column(name), usage.NEVER) for name in KEY}
        found = np.ones(rows.num_rows, np.bool_)
        if self.uid is not None:
            found &= number["uid"] == self.uid
        if self.job_id is not None:
            found &= number["job_id"] == self.job_id
        if self.ended is not None:
            found &= (number["end_s"] >= self.ended[0]) & (number["end_s"] < self.ended[1])
        if self.again:
            found &= number["revision"] > 0
        return found


@dataclass(frozen=True)
class Found:
    """Rows of a file.

    Attributes:
        file: The file.
        place: Which rows of it, int64[n], in order.
        key: Their columns of KEY.
    """

    file: Segment
    place: Int64s
    key: pa.Table


def find(root: Path, files: Sequence[Segment], wanted: Wanted) -> Iterator[Found]:
    """Find rows in files, one after the other; nothing stands for a file that has none.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    for file in files:
        groups = [group for group in groups_of(root, file) if wanted.may_be_in(group)]
        if wanted.uid is not None:
            groups = [g for g in groups if wanted.uid in users_of(root, file, g.number)]
        if not groups:
            continue
        places, keys = [], []
        with archive.opened(root, file) as source:
            for group in groups:
                rows = source.read_row_group(group.number, columns=KEY).select(KEY)
                here = np.flatnonzero(wanted.marks(rows))
                for name, word in wanted.named if len(here) else ():
                    own = source.read_row_group(group.number, columns=[name]).take(pa.array(here))
                    here = here[usage.marks(own.column(name), word)]
                if len(here):
                    places.append(group.first_row + here)
                    keys.append(rows.take(pa.array(here)))
        if places:
            yield Found(file, np.concatenate(places), pa.concat_tables(keys))


def take(root: Path, file: Segment, place: Int64s, columns: Sequence[str]) -> pa.Table:
    """Return columns of some rows of a file, in the order in which they stand there."""
    schema = pa.schema([usage.STORED.field(name) for name in columns])
    wanted, parts = np.sort(place), [schema.empty_table()]
    with archive.opened(root, file) as source:
        for group in groups_of(root, file):
            end = group.first_row + group.rows
            here = wanted[(wanted >= group.first_row) & (wanted < end)] - group.first_row
            if len(here):
                rows = source.read_row_group(group.number, columns=list(columns))
                parts.append(usage.conform(rows.take(pa.array(here)), schema))
    return pa.concat_tables(parts).unify_dictionaries()


@lru_cache(maxsize=KEPT)
def groups_of(root: Path, file: Segment) -> tuple[Group, ...]:
    """Return the row groups of a file, from its footer."""
    found, first_row = [], 0
    with archive.opened(root, file) as source:
        for number in range(source.metadata.num_row_groups):
            told = source.metadata.row_group(number)
            jobs, ends, revisions, starts = (
                told.column(usage.STORED.names.index(name)).statistics
                for name in ("job_id", "end_s", "revision", "start_s")
            )
            never = starts is not None and starts.null_count == told.num_rows
            found.append(
                Group(
                    number, first_row, told.num_rows, _bounds(jobs), _bounds(ends),
                    _bounds(revisions), None if never else _bounds(starts),
                )
            )  # fmt: skip
            first_row += told.num_rows
    return tuple(found)


def _bounds(told: Any) -> tuple[int, int]:
    """Return what a footer says of a column, or that it can be anything."""
    return (told.min, told.max) if told is not None and told.has_min_max else EVER


def last_end(root: Path, file: Segment) -> int:
    """Return when the last run of a file ended, or later."""
    return max(group.ends[1] for group in groups_of(root, file))


@lru_cache(maxsize=KEPT)
def users_of(root: Path, file: Segment, number: int) -> frozenset[int]:
    """Return whose runs are in a row group."""
    with archive.opened(root, file) as source:
        rows = source.read_row_group(number, columns=["uid"])
    return frozenset(np.unique(usage.numbers(rows.column("uid"), usage.NEVER)).tolist())


def latest(keys: pa.Table) -> Bools:
    """Mark the rows of which no other one of a cluster has the same key and a higher revision."""
    names = ("job_id", "submit_s", "start_s")
    arrays = [usage.numbers(keys.column(name), usage.NEVER) for name in names]
    order = usage.key_order(arrays, usage.numbers(keys.column("revision")))
    starts = usage.key_starts([array[order] for array in arrays])
    found = np.zeros(keys.num_rows, np.bool_)
    if len(starts):
        found[order[np.append(starts[1:], True)]] = True
    return found
