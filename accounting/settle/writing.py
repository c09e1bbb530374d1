"""Rows become segments: compared with what is there, rated, written, and summed for the book.

Parts come one after the other; while one is compared and rated, the one before it is written by a
thread of its own. What is written stands in no book yet: it is handed over to be entered, or taken
away again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Engine

from accounting.book import ledger
from accounting.policy import Policy
from accounting.rates import rating
from accounting.runs import archive, places, resized, usage
from accounting.runs.segment import Segment
from accounting.settle import daysums, grouping, keeping, owners
from accounting.settle.pricing import Pricing

NOT_OVER = frozenset(
    {"REQUEUED", "RESIZING", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED"}
)
"""States after which the job may run again: they do not end its hold (DESIGN 3a)."""


@dataclass(frozen=True, slots=True)
class Written:
    """A segment that was written, and what the book takes from it.

    Attributes:
        segment: The segment.
        new: How many of its rows were not seen before.
        unrated: How many of its rows have no price.
        unclaimed: How many are charged, and to no voucher account.
        charges: Rows of `charge`: what it changes on each account.
        ends: Hold, job id and state of runs after which their job is over.
    """

    segment: Segment
    new: int
    unrated: int
    unclaimed: int
    charges: Sequence[dict[str, Any]]
    ends: Sequence[tuple[str, int, str]]


def write_rows(
    root: Path,
    cluster: str,
    months: Iterable[tuple[str, pa.Table]],
    before: pa.Table,
    of_hold: Mapping[str, str],
    timezone: str,
) -> list[Written]:
    """Write rows of the schema STORED as a segment for each month, and keep its sums.

    Args:
        root: Root of the usage archive.
        cluster: Of all of them.
        months: The rows, as `grouping.by_month` splits them.
        before: Rows that they may take the place of.
        of_hold: Account of each hold that they name and the book knows.
        timezone: Where months begin.
    """
    from accounting.settle import cutting  # numba takes its time; only who writes shall wait for it

    found = []
    for month, own in months:
        segment = archive.write(root, cluster, month, own)
        replaced = grouping.superseded(own, before)
        days = cutting.of_rows(own, replaced, timezone)
        lines = grouping.net(own, replaced, timezone)
        keeping.keep(root, segment, timezone, daysums.KIND, days)
        keeping.keep(root, segment, timezone, grouping.KIND, [lines])
        charged = usage.marks(own.column("status"), rating.CHARGED)
        found.append(
            Written(
                segment,
                int((usage.numbers(own.column("revision")) == 0).sum()),
                int(usage.marks(own.column("status"), rating.UNRATED).sum()),
                int((charged & own.column("account").is_null().to_numpy()).sum()),
                _charges(segment, lines),
                _ends(own, of_hold),
            )
        )
    return found


def _charges(segment: Segment, lines: pa.Table) -> list[dict[str, Any]]:
    """Sum what a segment changes on each account, net of what earlier revisions charged."""
    return [
        {
            "path": segment.path,
            "account": account,
            "month": month,
            "charge_micro": charge,
            "eligible_micro": eligible,
        }
        for (account, month), (charge, eligible) in sorted(grouping.accrued(lines).items())
    ]


def _ends(rows: pa.Table, of_hold: Mapping[str, str]) -> list[tuple[str, int, str]]:
    """List the runs that end holds which the book knows."""
    if not of_hold:
        return []
    known = pa.array(list(of_hold), pa.string())
    held = rows.select(["hold", "job_id", "state"]).filter(pc.is_in(rows.column("hold"), known))
    listed = zip(*(column.to_pylist() for column in held.columns), strict=True)
    return [row for row in listed if row[2] not in NOT_OVER]


Key = tuple[int, int, int | None]
"""Job, submit and start of a run of one cluster."""


def _keys(rows: pa.Table) -> list[Key]:
    """Return the keys of rows of one cluster."""
    columns = (rows.column(name).to_pylist() for name in ("job_id", "submit_s", "start_s"))
    return list(zip(*columns, strict=True))


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """Rows that are being written: of which jobs, from one number to another."""

    cluster: str
    jobs: tuple[int, int]
    segments: Future[list[Written]]


class Writer:
    """Writes segments for one entry of the book.

    Where a run comes in twice, the later row wins, whether both are in one part or not: the row
    that was written is left out of its segment before that is handed over. So the same parts, cut
    in another way or taken in twice, come to the same.
    """

    def __init__(self, engine: Engine, root: Path, policy: Policy) -> None:
        self._engine, self._root, self._policy = engine, root, policy
        self._known: dict[str, list[Segment]] = defaultdict(list)
        with ledger.reading(engine).begin() as conn:
            self._pricing = Pricing.in_force(conn, policy)
            for file in places.files(conn):
                self._known[file.cluster].append(file)
        self._pool = ThreadPoolExecutor(1)
        self._under_way: _UnderWay | None = None
        self._written: dict[str, Written] = {}
        self._jobs: dict[str, tuple[int, int]] = {}
        """Between which numbers the jobs of each segment lie that later parts are compared with."""
        self._outdated: dict[str, set[Key]] = defaultdict(set)
        self._handed_over = False

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        """Take away what was written and never handed over: it is of nobody else."""
        self._pool.shutdown()
        if self._handed_over:
            return
        made = set(self._written)
        if self._under_way and self._under_way.segments.exception() is None:
            made |= {each.segment.path for each in self._under_way.segments.result()}
        self._discard(made)

    def _discard(self, paths: set[str]) -> None:
        known = {file.path for own in self._known.values() for file in own}
        archive.discard(self._root, paths - known)

    def written(self) -> list[Written]:
        """Return all that was written, to be entered: it stays, whatever comes."""
        self._wait()
        for path, keys in self._outdated.items():
            self._write_without(self._written.pop(path), keys)
        self._handed_over = True
        return list(self._written.values())

    def _write_without(self, written: Written, keys: set[Key]) -> None:
        """Write a segment anew, without runs of which a later part says something else."""
        segment = written.segment
        rows = archive.read(self._root, [segment])
        rows = rows.filter(pa.array([key not in keys for key in _keys(rows)], pa.bool_()))
        if rows.num_rows:
            before = self._before(segment.cluster, rows)
            with ledger.reading(self._engine).begin() as conn:
                of_hold = owners.of_holds(conn, rows)
            timezone = self._policy.timezone
            months = grouping.by_month(rows, timezone)
            anew = write_rows(self._root, segment.cluster, months, before, of_hold, timezone)
            self._written |= {each.segment.path: each for each in anew}
        self._discard({segment.path} - set(self._written))

    def compare(self, cluster: str, runs: pa.Table) -> tuple[archive.Compared, pa.Table]:
        """Find out which runs of a cluster are new and which have changed.

        Returns:
            These rows; and the stored rows of the same jobs, latest revisions only.
        """
        before, earlier = self._before(cluster, runs), self._earlier(cluster, runs)
        if not earlier:
            return archive.compare(resized.billed_from(runs, before), before), before
        rows = pa.concat_tables(earlier.values()).unify_dictionaries()
        both = archive.current(pa.concat_tables([before, rows]).unify_dictionaries())
        found = archive.compare(resized.billed_from(runs, both), rows)
        again = set(_keys(found.changed))
        for path, own in earlier.items():
            self._outdated[path] |= again.intersection(_keys(own))
        rows = pa.concat_tables([found.new, found.changed]).unify_dictionaries()
        return archive.compare(rows, before), before

    def _before(self, cluster: str, runs: pa.Table) -> pa.Table:
        """Return the stored rows of the jobs of some runs, latest revisions only."""
        near = resized.near(runs, self._policy.timezone)
        found = [file for file in self._known[cluster] if near.has(file)]
        return archive.current(archive.read(self._root, found, job_ids=runs.column("job_id")))

    def _earlier(self, cluster: str, runs: pa.Table) -> dict[str, pa.Table]:
        """Return what earlier parts had of the jobs of some runs, by segment, without what a part
        between them has changed."""
        ids = usage.numbers(runs.column("job_id"))
        low, high = int(ids.min()), int(ids.max())  # once: a year has hundreds of segments
        now = self._under_way
        if now and now.cluster == cluster and low <= now.jobs[1] and now.jobs[0] <= high:
            self._wait()
        found = {}
        for path, written in self._written.items():
            first, last = self._jobs[path]
            if written.segment.cluster == cluster and first <= high and low <= last:
                rows = archive.read(self._root, [written.segment], job_ids=runs.column("job_id"))
                old = self._outdated.get(path, set())
                rows = rows.filter(pa.array([key not in old for key in _keys(rows)], pa.bool_()))
                if rows.num_rows:
                    found[path] = rows
        return found

    def rated(self, rows: pa.Table) -> pa.Table:
        """Rate rows; returns the columns of RATED but revision."""
        with ledger.reading(self._engine).begin() as conn:
            of_hold = owners.of_holds(conn, rows)
            return self._pricing.with_accounts(conn, rows, of_hold)

    def write(self, cluster: str, compared: archive.Compared, before: pa.Table) -> None:
        """Rate rows and have them written.

        Args:
            cluster: Of all of them.
            compared: The rows.
            before: Rows that the changed ones take the place of.
        """
        rows = compared.new
        if compared.changed.num_rows:
            rows = pa.concat_tables([rows, compared.changed]).unify_dictionaries()
        if not rows.num_rows:
            return
        with ledger.reading(self._engine).begin() as conn:
            of_hold = owners.of_holds(conn, rows)
            rated = self._pricing.with_accounts(conn, rows.select(usage.USAGE.names), of_hold)
        for name in rated.column_names:
            rows = rows.append_column(name, rated.column(name))
        rows = usage.conform(rows, usage.STORED)
        ids, timezone = usage.numbers(rows.column("job_id")), self._policy.timezone
        months = [*grouping.by_month(rows, timezone)]  # here: who writes has most to do
        self._wait()
        segments = self._pool.submit(
            write_rows, self._root, cluster, months, before, of_hold, timezone
        )
        self._under_way = _UnderWay(cluster, (int(ids.min()), int(ids.max())), segments)

    def _wait(self) -> None:
        """Wait until nothing is under way; what comes next may be compared with it."""
        if self._under_way:
            written = self._under_way.segments.result()
            self._written |= {each.segment.path: each for each in written}
            self._jobs |= {each.segment.path: self._under_way.jobs for each in written}
            self._under_way = None
