"""Add up what the runs of a file had on each day: compiled loops over rows as they are read.

Words of columns become numbers; the loops (`rates/kernels.py`) find days, cut runs at midnights and
add up, without Python's lock. Sums are exact: before one might not fit into 64 bits all are put
aside, and others begun. It loads numba: import it where it is used.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from accounting import period
from accounting.errors import InvariantBroken
from accounting.rates import kernels, rating
from accounting.runs import encoding, reports, usage
from accounting.runs.usage import Int64s
from accounting.settle import daysums, grouping, tallying

Int32s = npt.NDArray[np.int32]

COLUMNS = (
    "start_s", "billed_from_s", "end_s", "elapsed_s", "nodes", "cpus", "cards", "status",
    "gflops_s", "charge_micro", *dict.fromkeys(sum(daysums.GROUPINGS, ())),
)  # fmt: skip
"""What is read of each run."""
_BEFORE_S, _AFTER_S = 40 * 86_400, 2 * 86_400
"""What of the days around the month in which runs ended has a place of its own; what ran before
that is added up plainly."""
_ALWAYS = (0, 2**62)
_CELL_BITS = 12
_LOW, _BITS, _MOST = 2**32 - 1, 32, 2**31 - 1
_KINDS_MAX = 2**20


def by_day(
    root: Path, part: tallying.Part, parts: Sequence[tallying.Part], timezone: str
) -> list[pa.Table]:
    """Add up what the runs of a file had on each day, less what the rows had that they take the
    place of: all files together have what runs had as they were told last.

    Args:
        root: Root of the archive.
        part: The file.
        parts: All files of its cluster.
        timezone: Zone of the days.

    Returns:
        For each of `daysums.GROUPINGS` a table of the schema `daysums.SCHEMA`, in which a day and
        group may stand in several rows.

    Raises:
        InvariantBroken: A file is missing or cannot be read, or a run ended in no day near.
    """
    own = _Counter(part.file.month, timezone, _ALWAYS)
    for rows in tallying.batches(root, part, COLUMNS):
        own.count(rows)
    changed = tallying.again(root, [part])
    less: dict[str, _Counter] = {}
    if changed.num_rows:
        for month, rows in tallying.replaced(root, parts, changed, COLUMNS):
            less.setdefault(month, _Counter(month, timezone, _ALWAYS)).count(rows)
    found = [own.tables(1), *(counter.tables(-1) for counter in less.values())]
    return [pa.concat_tables(each).unify_dictionaries() for each in zip(*found, strict=True)]


def of_rows(rows: pa.Table, replaced: pa.Table, timezone: str) -> list[pa.Table]:
    """Add up rows as `by_day` does it, where they and those that they take the place of are at
    hand."""
    found = []
    for sign, table in ((1, rows), (-1, replaced)):
        for month, own in grouping.by_month(table, timezone):
            counter = _Counter(month, timezone, _span(own))
            whole = own.select(COLUMNS).unify_dictionaries().combine_chunks()
            for batch in whole.to_batches():
                counter.count(batch)
            found.append(counter.tables(sign))
    return [pa.concat_tables(each).unify_dictionaries() for each in zip(*found, strict=True)]


def _span(rows: pa.Table) -> tuple[int, int]:
    """Return when the first of some runs began and the last one ended."""
    end_s = usage.numbers(rows.column("end_s"))
    begin_s = pc.min(rows.column("billed_from_s")).as_py()
    first_s = int(end_s.min())
    return min(first_s, first_s if begin_s is None else begin_s), int(end_s.max()) + 1


class _Words:
    """Numbers what stands in some columns together, the same in all batches."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns
        self.number: dict[tuple[str | None, ...], int] = {}

    def of(self, rows: pa.RecordBatch) -> Int32s:
        """Return the number of what stands in each row."""
        joint: Int64s = np.zeros(rows.num_rows, np.int64)
        words: list[list[str | None]] = []
        for name in self.columns:
            code, listed = usage.places(rows.column(name))
            words.append([None, *listed])
            encoding.fold(joint, code, -1, len(words[-1]))
        size = math.prod(map(len, words))
        if size > _KINDS_MAX:
            found, joint = np.unique(joint, return_inverse=True)
            size = len(found)
            place = np.arange(size)
        else:
            place = found = np.flatnonzero(np.bincount(joint, minlength=size))
        of_kind = np.zeros(size, np.int32)
        of_kind[place] = [
            self.number.setdefault(kind, len(self.number)) for kind in _kinds(found, words)
        ]
        return of_kind.take(joint)


def _kinds(
    found: Int64s, words: Sequence[Sequence[str | None]]
) -> Iterator[tuple[str | None, ...]]:
    """Return the words of joint numbers."""
    columns = []
    for each in reversed(words):
        found, place = np.divmod(found, len(each))
        columns.append([each[i] for i in place.tolist()])
    return zip(*reversed(columns), strict=True)


class _Sums:
    """Sums by day and group, as `kernels.Cells` has them.

    What is counted stands in the cell day × `width` + group; `width` grows with the groups.
    """

    def __init__(self, days: int) -> None:
        self._days, self.width = days, 1
        self.sums = np.zeros((days, len(daysums.FIGURES)), np.int64)

    def widen(self, groups: int) -> None:
        """Make room for as many groups."""
        if groups > self.width:
            width, figures = max(groups, self.width + self.width // 4), self.sums.shape[1]
            new = np.zeros((self._days, width, figures), np.int64)
            new[:, : self.width] = self.sums.reshape(self._days, self.width, figures)
            self.sums, self.width = new.reshape(-1, figures), width

    def taken(self) -> tuple[Int64s, Int64s, Int64s]:
        """Take out the cells in which something is, as days and groups, and int64[cells, 12]."""
        found = np.flatnonzero(np.logical_or.reduce([*self.sums.T[: len(daysums.COUNTED)]]))
        figures = self.sums[found]
        self.sums[found] = 0
        return *np.divmod(found, self.width), figures


class _Counter:
    """Adds up the rows of a file, by each of `daysums.GROUPINGS`."""

    def __init__(self, month: str, timezone: str, span: tuple[int, int]) -> None:
        """Take the month in which the runs ended, and a span that no run reaches beyond."""
        begin_s, end_s = period.bounds(month, timezone)
        begin_s, end_s = max(span[0], begin_s - _BEFORE_S), min(span[1], end_s + _AFTER_S)
        self._month, self._timezone = month, timezone
        _, self._edges = reports.periods(begin_s, end_s, "day", timezone)
        self._calendar = calendar(self._edges)
        self._words = [_Words(columns) for columns in daysums.GROUPINGS]
        self._sums = [_Sums(len(self._edges) - 1) for _ in daysums.GROUPINGS]
        self._most = 0.0
        self._full: list[list[tuple[Int64s, Int64s, Int64s]]] = [[] for _ in daysums.GROUPINGS]
        """Sums to which no more could be added."""
        self._apart: list[pa.RecordBatch] = []

    def count(self, rows: pa.RecordBatch) -> None:
        """Add up some rows; runs that the loops are not sure of are left apart."""
        groupings = []
        for words, own in zip(self._words, self._sums, strict=True):
            group = words.of(rows)
            own.widen(len(words.number))
            groupings.append(kernels.Cells(group, own.width, own.sums))
        runs, row = _runs(rows), 0
        apart = np.empty(rows.num_rows, np.int64)
        while row < rows.num_rows:
            row, self._most, others, outside = kernels.add_up(
                runs, row, self._most, self._calendar, (*groupings,), apart
            )
            if outside:
                raise InvariantBroken(
                    f"archive: runs of {self._month} ended in no month near it; run svoucher "
                    "archive verify"
                )
            if others:
                self._apart.append(rows.take(pa.array(apart[:others])))
            if row < rows.num_rows:
                self._take()

    def _take(self) -> None:
        """Take all sums out, so that more can be added."""
        for sums, full in zip(self._sums, self._full, strict=True):
            full.append(sums.taken())
        self._most = 0.0

    def tables(self, sign: int) -> list[pa.Table]:
        """Return what was added up, or what is to be taken off, once."""
        self._take()
        apart = None
        if self._apart:
            apart = pa.Table.from_batches(self._apart).unify_dictionaries()
        found = []
        for words, full in zip(self._words, self._full, strict=True):
            parts = []
            for day, group, figures in full:
                halves = figures & _LOW, figures >> _BITS
                parts += _rows(
                    self._edges[day], group, [*words.number], words.columns, halves, sign
                )
            if apart is not None:
                parts += _plainly(apart, words.columns, self._timezone, sign)
            found.append(pa.concat_tables(parts).unify_dictionaries())
        return found


def _rows(
    day_s: Int64s,
    group: Int64s,
    kinds: Sequence[tuple[str | None, ...]],
    columns: Sequence[str],
    halves: tuple[Int64s, Int64s],
    sign: int,
) -> list[pa.Table]:
    """Make rows of sums; what int64 does not hold comes in several."""
    low, high = (sign * half for half in halves)
    low, high = low & _LOW, high + (low >> _BITS)
    tables: list[pa.Table] = []
    while len(day_s):
        part = np.clip(high, -_MOST - 1, _MOST)
        figures = np.ascontiguousarray(((part << _BITS) + low).T)
        arrays = {"day_s": pa.array(day_s)}
        for name in daysums.WORDS:
            if name in columns:
                place = columns.index(name)
                arrays[name] = usage.words([kind[place] for kind in kinds], group)
            else:
                arrays[name] = pa.nulls(len(day_s), daysums.SCHEMA.field(name).type)
        arrays |= dict(zip(daysums.FIGURES, map(pa.array, figures), strict=True))
        tables.append(pa.table(arrays).select(daysums.SCHEMA.names).cast(daysums.SCHEMA))
        left = np.flatnonzero((high != part).any(axis=1))
        day_s, group, high = day_s[left], group[left], (high - part)[left]
        low = np.zeros_like(high)
    return tables or [daysums.SCHEMA.empty_table()]


def _plainly(runs: pa.Table, columns: Sequence[str], timezone: str, sign: int) -> list[pa.Table]:
    """Add up what runs had on each day as the definitions say it, whatever they are."""
    begin_s, end_s = (usage.numbers(runs.column(name)) for name in ("billed_from_s", "end_s"))
    ran_s = usage.billable_s(runs)
    _, edges = reports.periods(int(begin_s.min()), int(end_s.max()), "day", timezone)
    row, day, seconds = reports.split(begin_s, end_s, ran_s, edges)
    words = _Words(columns)
    group = words.of(runs.combine_chunks().to_batches()[0])
    width = len(words.number)
    nodes, cpus, cards = (
        usage.numbers(runs.column(name))[row] for name in ("nodes", "cpus", "cards")
    )
    metered = usage.numbers(runs.column("gflops_s"))
    begun, over = (np.searchsorted(edges, at_s, "right") - 1 for at_s in (begin_s, end_s))
    places = [day * width + group[row], begun * width + group, over * width + group]
    cells, where = np.unique(np.concatenate(places), return_inverse=True)
    ran, started, ended = np.split(where, np.cumsum([len(each) for each in places[:2]]))
    figures = {
        "ran": (ran, np.ones_like(row)),
        "started": (started, np.ones_like(begun)),
        "ended": (ended, np.ones_like(over)),
        "wall_s": (ran, seconds),
        "node_s": (ran, seconds.astype(object) * nodes),
        "cpu_s": (ran, seconds.astype(object) * cpus),
        "card_s": (ran, seconds.astype(object) * cards),
        "gflops_s": (ran, reports.parts(metered, ran_s, row, seconds)),
        "unmetered_card_s": (ran, seconds.astype(object) * np.where(metered[row] == 0, cards, 0)),
    }
    sums = np.zeros((len(cells), len(daysums.FIGURES)), object)
    for name, (at, values) in figures.items():
        np.add.at(sums[:, daysums.FIGURES.index(name)], at, values.astype(object))
    halves = (sums & _LOW).astype(np.int64), (sums >> _BITS).astype(np.int64)
    of_day, of_group = np.divmod(cells, width)
    return _rows(edges[of_day], of_group, [*words.number], columns, halves, sign)


def calendar(edges: Int64s) -> kernels.Calendar:
    """Lay days out for looking up: a cell for each hour and more."""
    at_s = np.arange(edges[0], edges[-1], 1 << _CELL_BITS)
    cells = np.searchsorted(edges, at_s, side="right") - 1
    return kernels.Calendar(edges, _CELL_BITS, cells.astype(np.int32))


def numbers(column: pa.Array) -> npt.NDArray[Any]:
    """Return a column's numbers as they stand there, without a copy; of nulls any."""
    whole = column.type.to_pandas_dtype()
    found: npt.NDArray[Any] = np.frombuffer(column.buffers()[1], whole)
    return found[column.offset : column.offset + len(column)]


def _runs(rows: pa.RecordBatch) -> kernels.Runs:
    """Take the columns of runs as they are; where a begin is known and a start is not, or the bits
    that tell begin in the middle of a byte, nulls are filled in."""
    start, begin, status = (rows.column(name) for name in ("start_s", "billed_from_s", "status"))
    begun = _bits(begin)
    started_s = numbers(start)
    if not np.array_equal(begun, _bits(start)):
        started_s = start.fill_null(usage.NEVER).to_numpy()
    words = status.dictionary.to_pylist()
    end_s, elapsed_s, gflops_s, charge_micro = (
        numbers(rows.column(name)) for name in ("end_s", "elapsed_s", "gflops_s", "charge_micro")
    )
    nodes, cpus, cards = (numbers(rows.column(name)) for name in ("nodes", "cpus", "cards"))
    return kernels.Runs(
        started_s,
        numbers(begin),
        end_s,
        elapsed_s,
        nodes,
        cpus,
        cards,
        gflops_s,
        charge_micro,
        begun,
        _bits(rows.column("account")),
        numbers(status.indices),
        words.index(rating.CHARGED) if rating.CHARGED in words else -1,
    )


def _bits(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the bits that tell which rows are not null; nothing where none is."""
    if not column.null_count:
        return np.empty(0, np.uint8)
    found = np.unpackbits(np.frombuffer(column.buffers()[0], np.uint8), bitorder="little")
    known = found[column.offset : column.offset + len(column)]
    return np.packbits(known, bitorder="little")
