"""Add many rows up by period and group: what reports about machines and about money have in common.

Rows come as they are read, words of columns as numbers; compiled loops (`rates/kernels.py`) find
periods, cut runs at their edges and add up, without Python's lock. Sums are exact: halves of 64
bits are added apart and put together at the end. It loads numba: import it where it is used.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from accounting.errors import InvariantBroken
from accounting.rates import kernels, rating
from accounting.runs import usage
from accounting.runs.usage import Int64s
from accounting.settle import tallying

Int32s = npt.NDArray[np.int32]

TIMES = ("start_s", "billed_from_s", "end_s", "elapsed_s")
"""What is read of runs that are cut."""
CHARGED = ("account", "status", "gflops_s", "charge_micro")
"""What is read of charges."""
_NO_GROUPS: Int32s = np.empty(0, np.int32)
_NO_ENDS: Int64s = np.empty(0, np.int64)
_CELL_BITS = 12
_CELLS_MAX = 2**20


def calendar(edges: Int64s) -> kernels.Calendar:
    """Lay periods out for looking up: cells of an hour and more, few enough to be at hand."""
    shift = _CELL_BITS
    while (int(edges[-1]) - int(edges[0])) >> shift >= _CELLS_MAX:
        shift += 1
    at_s = np.arange(edges[0], edges[-1], 1 << shift)
    cells = np.searchsorted(edges, at_s, side="right") - 1
    return kernels.Calendar(edges, shift, cells.astype(np.int32))


class Words:
    """Numbers the words of a column, the same in all of its parts and for all threads."""

    def __init__(self) -> None:
        self.number: dict[str | None, int] = {}
        self._lock = Lock()

    def of(self, column: pa.DictionaryArray) -> Int32s:
        """Return the number of each row's word; null has one of its own."""
        words = [*column.dictionary.to_pylist(), None]
        with self._lock:
            own = [self.number.setdefault(word, len(self.number)) for word in words]
        code = column.indices.fill_null(-1) if column.null_count else column.indices
        numbered: Int32s = np.array(own, np.int32).take(code.to_numpy())
        return numbered


class Sums:
    """Counts and exact sums by period and group, as one thread adds them up.

    A row or piece stands in the cell period × `width` + group; `width` grows with the groups.
    `counts` are int64[cells] each, `halves` int64[cells, figures, 2].
    """

    def __init__(self, periods: int, counted: int, summed: int) -> None:
        self._periods, self.width = periods, 1
        self.counts = [np.zeros(periods, np.int64) for _ in range(counted)]
        self.halves = np.zeros((periods, summed, 2), np.int64)

    def widen(self, groups: int) -> None:
        """Make room for as many groups."""
        if groups > self.width:
            width = max(groups, self.width + self.width // 4)
            self.counts = [self._wider(count, width) for count in self.counts]
            self.halves = self._wider(self.halves, width)
            self.width = width

    def _wider(self, old: Int64s, width: int) -> Int64s:
        new = np.zeros((self._periods, width, *old.shape[1:]), np.int64)
        new[:, : self.width] = old.reshape(self._periods, self.width, *old.shape[1:])
        return new.reshape(-1, *old.shape[1:])

    def add(self, other: "Sums") -> None:
        """Add what another thread has."""
        self.widen(other.width)
        other.widen(self.width)
        for mine, theirs in zip(self.counts, other.counts, strict=True):
            mine += theirs
        self.halves += other.halves

    def rows(self) -> Iterator[tuple[int, int, list[int], list[int]]]:
        """Yield period, group, counts and sums of each cell in which something was counted."""
        found = np.flatnonzero(np.any([count != 0 for count in self.counts], axis=0))
        counts = np.stack([count[found] for count in self.counts], axis=1).tolist()
        for cell, own, sums in zip(
            found.tolist(), counts, self.halves[found].tolist(), strict=True
        ):
            yield *divmod(cell, self.width), own, [(high << 32) + low for low, high in sums]


def numbers(column: pa.Array) -> npt.NDArray[Any]:
    """Return a column's numbers as they stand there, without a copy; of nulls any."""
    whole = column.type.to_pandas_dtype()
    found: npt.NDArray[Any] = np.frombuffer(column.buffers()[1], whole)
    return found[column.offset : column.offset + len(column)]


@dataclass(frozen=True)
class Asked:
    """What is added up, the same for all threads.

    Attributes:
        edges: int64[p + 1], between the periods.
        group: The column that it is added up by, a word in each row; None: by nothing.
        words: Numbers of the words in it.
    """

    edges: Int64s
    group: str | None = None
    words: Words = field(default_factory=Words)

    def groups(self, rows: pa.RecordBatch) -> Int32s:
        """Return the number of each row's group; nothing where all are in one."""
        return self.words.of(rows.column(self.group)) if self.group else _NO_GROUPS


class Cell(NamedTuple):
    """What there is of a period and a group: counts, and exact sums."""

    period: int
    group: str | None
    counts: list[int]
    sums: list[int]


class Found(NamedTuple):
    """What was added up; the rows that have to be cut plainly, if there are any; when the first run
    began and the last one ended, the other way round where none ever began."""

    cells: list[Cell]
    apart: pa.Table | None
    span: tuple[int, int]


class _Split:
    """Adds up what runs had in each period in which they ran, for one thread."""

    def __init__(
        self, asked: Asked, had: Sequence[str], figures: int, add: Callable[..., None]
    ) -> None:
        """Say of which columns a kernel makes so many figures: add(pieces, count, *had, …)."""
        room = tallying.BATCH_ROWS + len(asked.edges) + 1
        self._asked, self._had, self._add = asked, had, add
        self._calendar = calendar(asked.edges)
        self._pieces = kernels.Pieces(
            np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int64)
        )
        self._others = np.empty(room, np.int64)
        self.sums = Sums(len(asked.edges) - 1, counted=3, summed=figures)
        self.apart: list[pa.RecordBatch] = []
        self.span = np.array([2**63 - 1, -(2**63)])

    def count(self, rows: pa.RecordBatch, _month: str) -> None:
        """Add up some runs; those that the kernel is not sure of are left apart."""
        group = self._asked.groups(rows)
        self.sums.widen(len(self._asked.words.number))
        ran, started, ended = self.sums.counts
        runs, row = _runs(rows, group, self.sums.width), 0
        had = [numbers(rows.column(name)) for name in self._had]
        while row < rows.num_rows:
            row, count, others = kernels.cut_runs(
                runs, row, self._calendar, self._pieces, started, ended, self._others, self.span
            )
            self._add(self._pieces, count, *had, ran, self.sums.halves)
            if others:
                self.apart.append(rows.take(pa.array(self._others[:others])))


def hours(root: Path, parts: Sequence[tallying.Part], asked: Asked) -> Found:
    """Add up seconds of runs, alone and times nodes, cores and cards; count how many runs ran,
    started and ended.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    return _split(root, parts, asked, ["nodes", "cpus", "cards"], 4, kernels.add_hours)


def metered(root: Path, parts: Sequence[tallying.Part], asked: Asked) -> Found:
    """Add up card-seconds, GFLOPS-seconds, and card-seconds of runs of which no GFLOPS are known;
    counts and errors as of `hours`."""
    return _split(root, parts, asked, ["cards", "gflops_s"], 3, kernels.add_metered)


def _split(
    root: Path, parts: Sequence[tallying.Part], asked: Asked, had: Sequence[str], figures: int,
    add: Callable[..., None],
) -> Found:  # fmt: skip
    group = [asked.group] if asked.group else []
    columns = [*TIMES, *had, *group]
    counters = tallying.tally(root, parts, columns, lambda: _Split(asked, had, figures, add))
    apart = [rows for counter in counters for rows in counter.apart]
    first_s = min(int(counter.span[0]) for counter in counters)
    return Found(
        _cells(asked, [counter.sums for counter in counters]),
        pa.Table.from_batches(apart).unify_dictionaries() if apart else None,
        (first_s, max(int(counter.span[1]) for counter in counters)),
    )


def _cells(asked: Asked, sums: Sequence[Sums]) -> list[Cell]:
    first, *others = sums
    for other in others:
        first.add(other)
    words = list(asked.words.number) or [None]
    return [Cell(period, words[group], *own) for period, group, *own in first.rows()]


class _Charges:
    """Adds charged rows up by the period of their end, for one thread."""

    def __init__(self, asked: Asked, places: Mapping[str, int] | None) -> None:
        self._asked, self._places = asked, places
        self._calendar = calendar(asked.edges)
        self._cells = np.empty(tallying.BATCH_ROWS, np.int32)
        self.sums = Sums(len(asked.edges) - 1, counted=1, summed=2)

    def count(self, rows: pa.RecordBatch, month: str) -> None:
        """Add up the rows that are charged to an account."""
        group = self._asked.groups(rows)
        self.sums.widen(len(self._asked.words.number))
        status = rows.column("status")
        words = status.dictionary.to_pylist()
        charged = kernels.Charged(
            numbers(status.indices),
            words.index(rating.CHARGED) if rating.CHARGED in words else -1,
            _bits(rows.column("account")),
            group,
            self.sums.width,
            _NO_ENDS if self._places else numbers(rows.column("end_s")),
            self._places[month] if self._places else 0,
        )
        cells = self._cells[: rows.num_rows]
        if kernels.cells_of(charged, self._calendar, cells):
            raise InvariantBroken(
                f"archive: runs of {month} ended in no month that there is; run svoucher audit"
            )
        metered, charge = (numbers(rows.column(name)) for name in ("gflops_s", "charge_micro"))
        kernels.add_charges(cells, metered, charge, self.sums.counts[0], self.sums.halves)


def charges(
    root: Path,
    parts: Sequence[tallying.Part],
    asked: Asked,
    places: Mapping[str, int] | None,
) -> list[Cell]:
    """Count runs that were charged to an account, and add up what they were metered and charged.

    Args:
        root: Root of the archive.
        parts: Of which files.
        asked: What for.
        places: The period of each month; None: it takes the ends of runs to tell.

    Raises:
        InvariantBroken: A file is missing or cannot be read, or a run ended in no period.
    """
    columns = dict.fromkeys([*CHARGED, *([] if places else ["end_s"]), asked.group or "account"])
    counters = tallying.tally(root, parts, [*columns], lambda: _Charges(asked, places))
    return _cells(asked, [counter.sums for counter in counters])


def _runs(rows: pa.RecordBatch, group: Int32s, width: int) -> kernels.Runs:
    """Take the columns of runs as they are; where a begin is known and a start is not, or the bits
    that tell begin in the middle of a byte, nulls are filled in."""
    start, begin, end, elapsed = (
        rows.column(name) for name in ("start_s", "billed_from_s", "end_s", "elapsed_s")
    )
    begun = _bits(begin)
    started_s = numbers(start)
    if not np.array_equal(begun, _bits(start)):
        started_s = start.fill_null(usage.NEVER).to_numpy()
    return kernels.Runs(
        started_s, numbers(begin), numbers(end), numbers(elapsed), begun, group, width
    )


def _bits(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the bits that tell which rows are not null; nothing where none is."""
    if not column.null_count:
        return np.empty(0, np.uint8)
    found = np.unpackbits(np.frombuffer(column.buffers()[0], np.uint8), bitorder="little")
    known = found[column.offset : column.offset + len(column)]
    return np.packbits(known, bitorder="little")
