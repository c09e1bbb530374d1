"""What segments add to statements: as it was kept when they were written, or summed up anew.

What is kept is nobody's evidence. A statement believes it where it comes to the charges in the
book; the audit never does, and `svoucher archive verify` compares it with the runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.errors import InvariantBroken
from accounting.runs import archive, usage
from accounting.runs.segment import Segment
from accounting.settle import grouping, keeping, stored

_PLAIN = ["status", *grouping.SUMMED]
_NET = [*dict.fromkeys([*stored.KEY, *_PLAIN])]
"""Columns of what `grouping.net` sums, and `stored.superseded` looks up."""
Line = tuple[grouping.Group, str | None]
"""What a statement has a line for, and the refund that it is the credit of."""
Charges = Mapping[str, tuple[int, int]]
"""Charge and eligible part of an account and month, as the book says them, by segment."""


def kept(root: Path, segment: Segment, timezone: str) -> pa.Table | None:
    """Return the lines that are kept of a segment; None where there are none, or it has no file of
    its own any more."""
    if segment.within is not None:
        return None
    return keeping.kept(root, segment, timezone, grouping.KIND, 0, grouping.LINES.names)


@dataclass(frozen=True)
class Sums:
    """What segments add to statements, each looked at once: a close asks for every account.

    A segment adds what its rows cost, less those that they take the place of; that does not change,
    whatever is written later, and is kept since the segment was written. It is believed where it
    comes to the charges in the book; otherwise the segment is verified and its runs are summed up.

    Attributes:
        root: Root of the archive.
        timezone: Where months begin.
        of_runs: Believe nothing that is kept: for whoever checks.
    """

    root: Path
    timezone: str
    of_runs: bool = False
    _places: dict[str, Segment] = field(default_factory=dict)
    _summed: dict[str, pa.Table] = field(default_factory=dict)
    _known: dict[tuple[str, str], tuple[Charges, list[grouping.Group]]] = field(
        default_factory=dict
    )

    def read(self, conn: Connection, unstated: Mapping[str, Mapping[str, Charges]]) -> None:
        """Look at segments that were not looked at before.

        Args:
            conn: The book.
            unstated: Charges, by account and month, as `known.unstated` tells them.

        Raises:
            InvariantBroken: A file is missing, or is not what the book says.
        """
        asked = {
            (account, month): charges
            for account, by_month in unstated.items()
            for month, charges in by_month.items()
            if self._known.get((account, month), ({},))[0] != charges
        }
        wanted: dict[str, dict[tuple[str, str], tuple[int, int]]] = {}
        for key, charges in asked.items():
            for path, charge in charges.items():
                wanted.setdefault(path, {})[key] = charge
        self._find(conn, sorted(wanted.keys() - self._places.keys()))
        lines = {} if self.of_runs else self._kept(wanted)
        self._sum_up(conn, sorted(wanted.keys() - lines.keys() - self._summed.keys()))
        for path, charge_of in wanted.items():
            if path not in lines:
                lines[path] = grouping.of(self._summed[path], charge_of)
        found: dict[tuple[str, str], list[grouping.Group]] = {key: [] for key in asked}
        for group, account in grouping.together([*lines.values()]):
            found[account, group.month].append(group)
        self._known.update((key, (asked[key], sorted(own))) for key, own in found.items())

    def of(self, account: str, month: str, charges: Charges) -> Sequence[grouping.Group]:
        """Return what an account was charged for in a month; that was looked at."""
        return self._known[account, month][1] if charges else ()

    def place(self, path: str) -> Segment:
        """Return a segment that was looked at."""
        return self._places[path]

    def _find(self, conn: Connection, paths: Sequence[str]) -> None:
        for i in range(0, len(paths), ledger.KEYS_MAX):
            some = stored.segments(conn, schema.segment.c.path.in_(paths[i : i + ledger.KEYS_MAX]))
            self._places.update((segment.path, segment) for segment in some)

    def _kept(
        self, wanted: Mapping[str, Mapping[tuple[str, str], tuple[int, int]]]
    ) -> dict[str, pa.Table]:
        """Return the lines that are kept of segments and come to the charges in the book."""
        found = {}
        for path, charge_of in wanted.items():
            lines = kept(self.root, self._places[path], self.timezone)
            if lines is not None and path not in self._summed:
                own = grouping.of(lines, charge_of)
                if grouping.accrued(own) == charge_of:
                    found[path] = own
        return found

    def _sum_up(self, conn: Connection, paths: Sequence[str]) -> None:
        """Sum the runs of segments up, some beside each other."""
        if not paths:
            return
        found = [self._places[path] for path in paths]
        with ThreadPoolExecutor(stored.THREADS) as pool:
            plain = [*pool.map(self._plain, found)]
        for segment, lines in zip(found, plain, strict=True):
            lines = self.net(conn, segment) if lines is None else lines
            self._summed[segment.path] = lines
            if not self.of_runs and segment.within is None:
                keeping.keep(self.root, segment, self.timezone, grouping.KIND, [lines])

    def _plain(self, segment: Segment) -> pa.Table | None:
        """Sum a segment up whose rows take the place of no others; None: they may."""
        if archive.has_revisions(self.root, segment):
            return None
        rows = self._rows(segment, _PLAIN)
        return grouping.net(rows, rows.slice(0, 0), self.timezone)

    def net(self, conn: Connection, segment: Segment) -> pa.Table:
        """Sum a segment up, less what its rows take the place of."""
        rows = self._rows(segment, _NET)
        return grouping.net(rows, stored.superseded(conn, self.root, rows), self.timezone)

    def _rows(self, segment: Segment, columns: Sequence[str]) -> pa.Table:
        rows = archive.read(self.root, [segment], [*dict.fromkeys([*columns, *archive.VERIFIED])])
        for problem in archive.verify(self.root, segment, rows):
            raise InvariantBroken(f"archive: {problem}; run svoucher audit")
        return rows


def differ(conn: Connection, root: Path, files: Sequence[Segment], timezone: str) -> Iterator[bool]:
    """Tell of each file whether what is kept of it is other than what its runs add.

    Args:
        conn: The book.
        root: Root of the archive.
        files: Some of its files.
        timezone: Where months begin.
    """
    for file in files:
        lines = kept(root, file, timezone)
        if lines is None:
            yield False
        else:
            runs = Sums(root, timezone, of_runs=True).net(conn, file)
            yield sorted(grouping.together([lines])) != sorted(grouping.together([runs]))


def groups(
    conn: Connection,
    sums: Sums,
    account: str,
    month: str,
    charges: Charges,
    refunds: Mapping[str, tuple[object, ...]],
) -> list[Line]:
    """Sum what an account was charged for in a month, net of corrections.

    Args:
        conn: The book.
        sums: What segments add; these were looked at.
        account: Whose.
        month: In which they ended.
        charges: What it was charged, by segment.
        refunds: Key of the run of each refund that has to stand apart, by its id.
    """
    parts = sums.of(account, month, charges)
    if not refunds:
        return [(each, None) for each in parts]
    credits_: list[Line] = []
    found = [sums.place(path) for path in charges]
    for refund, key in refunds.items():
        job = pa.chunked_array([pa.array([key[1]], pa.int64())])
        rows = archive.read(sums.root, found, job_ids=job)
        before = stored.superseded(conn, sums.root, rows)
        apart = grouping.net(
            rows.filter(_is_run(rows, key)), before.filter(_is_run(before, key)), sums.timezone
        )
        own = [each for each, _ in grouping.together([grouping.of(apart, [(account, month)])])]
        credits_ += [(each, refund) for each in own]
    others = grouping.added([*parts, *(grouping.negative(each) for each, _ in credits_)])
    return [*((each, None) for each in others), *credits_]


def _is_run(rows: pa.Table, key: tuple[object, ...]) -> pa.ChunkedArray:
    """Mark the revisions of a run."""
    same = pc.equal(rows.column("cluster").cast(pa.string()), key[0])
    for name, value in zip(usage.Keys._fields[1:], key[1:], strict=True):
        same = pc.and_(same, pc.fill_null(pc.equal(rows.column(name), value), False))
    return same
