"""Usage in, charges out: what is new or changed is rated, archived and posted, once.

A segment belongs to the archive when its row and the postings made from it are committed in one
transaction; the file is whole and on the disk before that. So a crash at any point leaves at
most a file without a row, which the next run puts into quarantine, and does its work again.
"""

import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection, Engine

from accounting import durable
from accounting.book import ledger
from accounting.book.ledger import Entry, Posting, Stamp
from accounting.errors import BookUnavailable
from accounting.policy import Policy
from accounting.rates import rating
from accounting.runs import archive, filing, places, usage, watermarks
from accounting.runs.segment import COLUMNS
from accounting.settle import keeping, owners, stored
from accounting.settle.writing import Writer, Written
from accounting.vouchers import releasing

Watermark = tuple[str, str, int]
"""Cluster, sweep, and the instant up to which it is complete."""


@dataclass
class Taken:
    """What taking usage in did."""

    new: int = 0
    changed: int = 0
    unrated: int = 0
    unclaimed: int = 0
    charge_micro: int = 0
    segments: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)


def take_in(
    engine: Engine,
    root: Path,
    runs: pa.Table,
    policy: Policy,
    stamp: Stamp,
    watermark: Watermark | None = None,
) -> Taken:
    """Rate, archive and post runs that are new or have changed.

    Args:
        root: Root of the usage archive.
        runs: Columns of USAGE; what is known already is found and left alone.
        watermark: (cluster, sweep, instant) up to which a sweep is complete, committed with it.

    Raises:
        BookUnavailable: Somebody else is taking usage in.
    """
    return take_in_parts(engine, root, [runs], policy, stamp, lambda: watermark)


def take_in_parts(
    engine: Engine,
    root: Path,
    parts: Iterable[pa.Table],
    policy: Policy,
    stamp: Stamp,
    watermark: Callable[[], Watermark | None],
) -> Taken:
    """Do what `take_in` does with runs that come part after part, however many there are.

    All parts are one entry of the book: if something is raised before it is written, by the parts
    or in between (Ctrl-C), the book is as it was. Memory is bounded by the parts, of which a few
    are under way at a time, and by what the book keeps of each segment.

    Args:
        parts: Tables with the columns of USAGE.
        watermark: Asked for when all parts are there.
    """
    taken = Taken()
    with alone(root):
        taken.quarantined = tidy(engine, root)
        with Writer(engine, root, policy) as writer:
            _each(parts, partial(_take, writer))
            _commit(engine, writer.written(), stamp, taken)
        until = watermark()
        if until is not None:
            with engine.begin() as conn:
                watermarks.advance(conn, *until)
    return taken


def _each(parts: Iterable[pa.Table], take: Callable[[pa.Table], None]) -> None:
    """Have each part taken while the next one is made."""
    with ThreadPoolExecutor(1) as pool:
        taking: Future[None] | None = None
        for part in parts:
            if taking:
                taking.result()
            taking = pool.submit(take, part)
            del part
        if taking:
            taking.result()


def _take(writer: Writer, part: pa.Table) -> None:
    for cluster in part.column("cluster").unique().to_pylist():
        compared, before = writer.compare(cluster, _of_cluster(part, cluster))
        writer.write(cluster, compared, before)


def _of_cluster(rows: pa.Table, cluster: str) -> pa.Table:
    own = usage.marks(rows.column("cluster"), cluster)
    return rows if own.all() else rows.filter(pa.array(own))


def rate_again(engine: Engine, root: Path, policy: Policy, stamp: Stamp) -> Taken:
    """Rate the unrated runs once more, with the tariff that is now in force."""
    taken = Taken()
    with alone(root):
        taken.quarantined = tidy(engine, root)
        with ledger.reading(engine).begin() as conn:
            unrated = stored.unrated(conn, root)
        with Writer(engine, root, policy) as writer:
            for cluster in unrated.column("cluster").unique().to_pylist():
                own = _of_cluster(unrated, cluster)
                rated = writer.rated(own.select(usage.USAGE.names))
                better = pa.array(~usage.marks(rated.column("status"), rating.UNRATED))
                revision = pc.add(own.column("revision"), pa.scalar(1, pa.int16()))
                again = own.select(usage.USAGE.names)
                again = again.append_column(usage.RATED.field("revision"), revision).filter(better)
                taken.unrated += own.num_rows - again.num_rows
                writer.write(cluster, archive.Compared(again.slice(0, 0), again), own)
            _commit(engine, writer.written(), stamp, taken)
    return taken


def _commit(engine: Engine, written: Sequence[Written], stamp: Stamp, taken: Taken) -> None:
    """Enter what was written, if anything was."""
    if not written:
        return
    paths = sorted(each.segment.path for each in written)
    key = hashlib.sha256("\n".join(paths).encode()).hexdigest()
    with engine.begin() as conn:
        enter(conn, Entry(f"usage:{key}", "charge", stamp), written, taken)


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Let one process at a time write segments; the lock dies with its holder."""
    durable.make_folder(root)
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BookUnavailable(
                f"archive {root}: 1 process is collecting, 1 is allowed; wait until it is done"
            ) from None
        yield
    finally:
        os.close(handle)


def tidy(engine: Engine, root: Path) -> list[str]:
    """Put what an interrupted run has left into quarantine, and what a larger file has aside."""
    with ledger.reading(engine).begin() as conn:
        known, old = {file.path for file in places.files(conn)}, places.retired(conn)
    filing.retire(root, old)
    keeping.tidy(root, known)
    return filing.quarantine(root, known)


def enter(conn: Connection, act: Entry, written: Sequence[Written], taken: Taken) -> None:
    """Enter segments, charges and postings, and end the holds of runs that are over.

    Args:
        conn: The book.
        act: The entry as far as it is known; segments, charges and postings are added to it.
        written: Segments and what follows from them.
        taken: What was done; added to.
    """
    ledger.lock(conn)
    segment_rows: list[dict[str, Any]] = []
    charge_rows: list[dict[str, Any]] = []
    accrued: Counter[str] = Counter()
    for each in written:
        segment = each.segment
        taken.new += each.new
        taken.changed += segment.rows - each.new
        taken.unrated += each.unrated
        taken.unclaimed += each.unclaimed
        taken.charge_micro += segment.charge_micro
        taken.segments.append(segment.path)
        segment_rows.append({name: getattr(segment, name) for name in COLUMNS})
        segment_rows[-1]["unrated"] = each.unrated
        charge_rows += each.charges
    for row in charge_rows:
        accrued[row["account"]] += row["charge_micro"]
    charge_rows.sort(key=lambda row: (row["account"], row["month"], row["path"]))
    rows = {"segment": segment_rows, "charge": charge_rows, **act.rows}
    ledger.write(conn, replace(act, rows=rows, postings=_charge_postings(conn, accrued)))
    for each in written:
        for hold, job_id, state in each.ends:
            evidence = f"{state} in slurmdbd"
            releasing.end(conn, hold, str(job_id), "posted", 1, act.stamp.at_s, evidence)


def _charge_postings(conn: Connection, accrued: Mapping[str, int]) -> list[Posting]:
    provider = owners.providers(conn)
    postings = [
        Posting("accrued", account, micro) for account, micro in sorted(accrued.items()) if micro
    ]
    earned: Counter[str] = Counter()
    for account, micro in accrued.items():
        earned[provider[account]] += micro
    earned_by = sorted(earned.items())
    return postings + [Posting("revenue", name, -micro) for name, micro in earned_by if micro]
