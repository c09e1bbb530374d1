"""Reports' figures by period and group, from what runs had on each day (`daysums.py`).

A report that finds no sums of a file adds them up (`cutting.py`), and keeps them.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from accounting import period
from accounting.runs import reports, usage
from accounting.runs.segment import Segment
from accounting.runs.usage import Int64s
from accounting.settle import daysums, keeping
from accounting.settle.daysums import GROUPINGS, SCHEMA, WORDS

THREADS = min(4, os.cpu_count() or 1)
_LOW, _BITS = 2**32 - 1, 32
_SIZE_MAX = 2**24


@dataclass(frozen=True)
class Asked:
    """What a report is asked for.

    Attributes:
        by: A kind of `period.KINDS`, or `total`.
        timezone: Zone of the periods.
        group: A column to add up by besides. None: by nothing.
        days: The first and the last day; None: all that there are.
    """

    by: str
    timezone: str
    group: str | None = None
    days: tuple[date, date] | None = None


class Cell(NamedTuple):
    """The figures of a period and a group; nothing in place of what runs have not."""

    period: str
    group: str
    figures: list[int]


def added_up(
    root: Path, files: Sequence[Segment], asked: Asked, figures: Sequence[str]
) -> list[Cell]:
    """Add up figures of the runs of files, by period and group in that order.

    Args:
        root: Root of the archive.
        files: All files of the clusters that are asked about.
        asked: What for.
        figures: Of `daysums.FIGURES`; `ran` counts a run once in each period in which it ran.

    Returns:
        Cells in which something ran or ended.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    tables = _tables(root, files, asked, figures)
    if asked.days is not None:
        begin_s = period.instant(asked.days[0], asked.timezone)
        end_s = period.instant(asked.days[1] + timedelta(days=1), asked.timezone)
        day_s = usage.numbers(tables.column("day_s"))
        tables = tables.filter(pa.array((begin_s <= day_s) & (day_s < end_s)))
    if not tables.num_rows:
        return []
    day_s = usage.numbers(tables.column("day_s"))
    first_s = int(day_s.min()) if asked.days is None else begin_s
    names, edges = reports.periods(first_s, int(day_s.max()), asked.by, asked.timezone)
    code, words = usage.split(tables.column("group"))
    words, code = [*words, ""], np.where(code < 0, len(words), code)
    place = np.maximum(np.searchsorted(edges, day_s, "right") - 1, 0)
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words), np.int64)
    rank[order] = np.arange(len(words))
    cells, where = _numbered(place * len(words) + rank[code], len(names) * len(words))
    begins = np.isin(day_s, np.maximum(edges, first_s))
    summed = []
    for name in figures:
        values = usage.numbers(tables.column(name))
        if name == "ran":  # who ran on after a midnight within the period is there already
            values = np.where(begins, values, usage.numbers(tables.column("started")))
        summed.append(_sums(values, where, len(cells)))
    found = zip(cells.tolist(), *summed, strict=True)
    return [
        Cell(names[cell // len(words)], words[order[cell % len(words)]], own)
        for cell, *own in found
        if any(own)
    ]


def prepare(root: Path, files: Sequence[Segment], timezone: str) -> None:
    """Add up those files of which there are no sums yet: no report has to.

    Args:
        root: Root of the archive.
        files: All files of their clusters.
        timezone: Zone of the days.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    missing = [f for f in files if _kept(root, f, timezone, 0, ["day_s"]) is None]
    _made(root, files, missing, timezone)


def _kept(
    root: Path, file: Segment, timezone: str, number: int, columns: Sequence[str]
) -> pa.Table | None:
    """Return columns of what is kept of a file by one of GROUPINGS, or None."""
    return keeping.kept(root, file, timezone, daysums.KIND, number, columns)


def _numbered(key: Int64s, size: int) -> tuple[Int64s, Int64s]:
    """Return the keys below `size` that there are, in order, and which of them each one is."""
    if size > _SIZE_MAX:
        return np.unique(key, return_inverse=True)
    found = np.flatnonzero(np.bincount(key, minlength=size))
    number = np.zeros(size, np.int64)
    number[found] = np.arange(len(found))
    return found, number[key]


def _sums(values: Int64s, where: Int64s, cells: int) -> list[int]:
    """Add up by cell; exact, also where int64 would overflow."""
    low, high = np.zeros(cells, np.int64), np.zeros(cells, np.int64)
    np.add.at(low, where, values & _LOW)
    np.add.at(high, where, values >> _BITS)
    halves = zip(high.tolist(), low.tolist(), strict=True)
    return [(upper << _BITS) + lower for upper, lower in halves]


def _tables(root: Path, files: Sequence[Segment], asked: Asked, figures: Iterable[str]) -> pa.Table:
    """Return day, group and figures of all files."""
    names = [*dict.fromkeys(["day_s", *figures, "started"])]
    by = [asked.group] if asked.group in WORDS else []
    number = next((i for i, columns in enumerate(GROUPINGS) if asked.group in columns), 0)

    def read(file: Segment) -> pa.Table | None:
        return _kept(root, file, asked.timezone, number, [*names, *by])

    with ThreadPoolExecutor(THREADS) as pool:
        found = [*pool.map(read, files)]
    missing = [file for file, table in zip(files, found, strict=True) if table is None]
    made = dict(zip(missing, _made(root, files, missing, asked.timezone), strict=True))
    none = SCHEMA.empty_table().select([*names, *by])
    tables = [none]
    for file, table in zip(files, found, strict=True):
        rows = made[file][number].select([*names, *by]) if table is None else table
        if asked.group == "cluster":
            rows = rows.append_column("group", _one(file.cluster, rows.num_rows))
        tables.append(rows)
    if asked.group == "cluster":
        tables[0] = none.append_column("group", _one("", 0))
    table = pa.concat_tables(tables).unify_dictionaries()
    if asked.group is None:
        return table.append_column("group", _one("", table.num_rows))
    return table.rename_columns({asked.group: "group"} if by else {})


def _one(word: str, rows: int) -> pa.DictionaryArray:
    """Return a column of one word."""
    return usage.words([word], np.zeros(rows, np.int64))


def differ(root: Path, files: Sequence[Segment], timezone: str) -> Iterator[bool]:
    """Tell of each file whether what is kept of it is other than what its runs come to.

    Args:
        root: Root of the archive.
        files: All files of their clusters.
        timezone: Zone of the days.
    """
    for file in files:
        kept = [_kept(root, file, timezone, i, SCHEMA.names) for i in range(len(GROUPINGS))]
        [made] = _counted(root, files, [file], timezone)
        yield any(
            own is not None and _in_order(own) != _in_order(other)
            for own, other in zip(kept, made, strict=True)
        )


def _in_order(table: pa.Table) -> list[tuple[object, ...]]:
    """Return rows in an order that is theirs alone, those of one day and group as one."""
    words = [usage.values(table.column(name)) for name in ("day_s", *WORDS)]
    figures = [usage.values(table.column(name)) for name in daysums.FIGURES]
    sums: dict[tuple[object, ...], list[int]] = {}
    for key, own in zip(zip(*words, strict=True), zip(*figures, strict=True), strict=True):
        had = sums.setdefault(key, [0] * len(own))
        sums[key] = [a + b for a, b in zip(had, own, strict=True)]
    return sorted((repr(key), *own) for key, own in sums.items() if any(own))


def _made(
    root: Path, files: Sequence[Segment], missing: Sequence[Segment], timezone: str
) -> list[list[pa.Table]]:
    """Add up files of which there are no sums, and keep those."""
    made = _counted(root, files, missing, timezone)
    for file, tables in zip(missing, made, strict=True):
        keeping.keep(root, file, timezone, daysums.KIND, tables)
    return made


def _counted(
    root: Path, files: Sequence[Segment], some: Sequence[Segment], timezone: str
) -> list[list[pa.Table]]:
    """Add up the runs of files, some beside each other."""
    if not some:
        return []
    from accounting.settle import cutting, tallying  # numba takes its time; who reads does not wait

    parts = tallying.footers(root, files)
    part_of = {part.file: part for part in parts}

    def count(file: Segment) -> list[pa.Table]:
        near = [part for part in parts if part.file.cluster == file.cluster]
        return cutting.by_day(root, part_of[file], near, timezone)

    with ThreadPoolExecutor(THREADS) as pool:
        return [*pool.map(count, some)]
