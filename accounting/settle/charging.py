"""Usage in, charges out: what is new or changed is rated, archived and posted, once.

A segment belongs to the archive when its row and the postings made from it are committed in one
transaction; the file is whole and on the disk before that. So a crash at any point leaves at
most a file without a row, which the next run puts into quarantine, and does its work again.
"""

import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection, Engine

from accounting import durable
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting, Stamp
from accounting.errors import BookUnavailable
from accounting.policy import Policy, states_of
from accounting.rates import pricelists, rating, tariff
from accounting.runs import archive, filing, places, resized, usage, watermarks
from accounting.runs.segment import COLUMNS, Segment
from accounting.settle import grouping, owners, stored
from accounting.vouchers import holds, registry, releasing

NOT_OVER = frozenset(
    {"REQUEUED", "RESIZING", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED"}
)
"""States after which the job may run again: they do not end its hold (DESIGN 3a)."""


RUN_KEY = ("cluster", "job_id", "submit_s", "start_s")
"""Columns that say which run it is."""
REFUNDED = "refunded"
"""Why a run is free that an operator gave back."""

Bools = npt.NDArray[np.bool_]


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
    watermark: tuple[str, str, int] | None = None,
) -> Taken:
    """Rate, archive and post runs that are new or have changed.

    Args:
        root: Root of the usage archive.
        runs: Columns of USAGE, all of one cluster; what is known already is found and left alone.
        watermark: (cluster, sweep, instant) up to which a sweep is complete, committed with it.

    Raises:
        BookUnavailable: Somebody else is taking usage in.
    """
    taken = Taken()
    with alone(root):
        taken.quarantined = tidy(engine, root)
        for cluster in runs.column("cluster").unique().to_pylist():
            own = runs.filter(pc.equal(runs.column("cluster").cast(pa.string()), cluster))
            near = resized.near(own, policy.timezone)
            with ledger.reading(engine).begin() as conn:
                before = stored.current(conn, root, cluster, near, own.column("job_id"))
            compared = archive.compare(resized.billed_from(own, before), before)
            taken.new += compared.new.num_rows
            taken.changed += compared.changed.num_rows
            _store(engine, root, cluster, compared, before, policy, stamp, taken)
        if watermark is not None:
            with engine.begin() as conn:
                watermarks.advance(conn, *watermark)
    return taken


def rate_again(engine: Engine, root: Path, policy: Policy, stamp: Stamp) -> Taken:
    """Rate the unrated runs once more, with the tariff that is now in force."""
    taken = Taken()
    with alone(root):
        taken.quarantined = tidy(engine, root)
        with ledger.reading(engine).begin() as conn:
            unrated = stored.unrated(conn, root)
        for cluster in unrated.column("cluster").unique().to_pylist():
            own = unrated.filter(pc.equal(unrated.column("cluster").cast(pa.string()), cluster))
            rows = own.select(usage.USAGE.names)
            with ledger.reading(engine).begin() as conn:
                rated = _rated(conn, rows, policy)
            better = pc.not_equal(rated.column("status").cast(pa.string()), rating.UNRATED)
            revision = pc.add(own.column("revision"), pa.scalar(1, pa.int16()))
            again = rows.append_column(usage.RATED.field("revision"), revision).filter(better)
            taken.changed += again.num_rows
            taken.unrated += own.num_rows - again.num_rows
            compared = archive.Compared(again.slice(0, 0), again)
            _store(engine, root, cluster, compared, own, policy, stamp, taken)
    return taken


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
    return filing.quarantine(root, known)


def _rated(conn: Connection, rows: pa.Table, policy: Policy) -> pa.Table:
    """Find the voucher account of each row and rate it; returns the RATED columns but revision."""
    prices = pricelists.in_force(conn) or pricelists.nothing(policy.timezone)
    named = owners.named(rows, owners.of_holds(conn, rows))
    accounts = owners.at_their_provider(named, rows, prices, owners.providers(conn))
    rated = rate(conn, rows, prices, policy, accounts)
    return rated.append_column("account", accounts)


def rate(
    conn: Connection,
    rows: pa.Table,
    prices: tariff.Tariff,
    policy: Policy,
    accounts: pa.ChunkedArray,
) -> pa.Table:
    """Rate rows whose voucher accounts are known, by what the book says of these accounts."""
    windows = {
        account: window
        for account in accounts.unique().to_pylist()
        if account is not None and (window := holds.validity(conn, account)) is not None
    }
    units = registry.credit_codes(conn) if prices.discounts else {}
    rated = rating.rate(rows, prices, states_of(policy), windows, accounts, units)
    return waived(rated, are(rows, refunded(conn)))


def refunded(conn: Connection) -> set[tuple[Any, ...]]:
    """Return the keys of the runs that were refunded: they cost nothing, whatever is still heard
    of them."""
    table = schema.refund
    return {tuple(row) for row in conn.execute(select(*(table.c[name] for name in RUN_KEY)))}


def are(rows: pa.Table, keys: Collection[tuple[Any, ...]]) -> Bools:
    """Mark the rows that are some runs."""
    known = pa.array([key[1] for key in keys], pa.int64())
    found: Bools = pc.is_in(rows.column("job_id"), known).to_numpy().copy()
    for i in np.flatnonzero(found).tolist():
        found[i] = tuple(rows.column(name)[i].as_py() for name in RUN_KEY) in keys
    return found


def waived(rated: pa.Table, where: Bools) -> pa.Table:
    """Take the charge off some of the rows that rating has charged."""
    charged = pc.equal(rated.column("status").cast(pa.string()), rating.CHARGED)
    gone = pc.and_(pa.array(where), charged)
    instead = {"status": rating.FREE, "reason": REFUNDED, "charge_micro": 0, "eligible_micro": 0}
    for name, value in instead.items():
        column = rated.column(name)
        plain = column.cast(pa.string()) if isinstance(value, str) else column
        place = rated.column_names.index(name)
        changed = pc.if_else(gone, pa.scalar(value, plain.type), plain)
        rated = rated.set_column(place, name, changed.cast(column.type))
    return rated


def _store(
    engine: Engine,
    root: Path,
    cluster: str,
    compared: archive.Compared,
    before: pa.Table,
    policy: Policy,
    stamp: Stamp,
    taken: Taken,
) -> None:
    """Write segments and commit them together with what follows from them."""
    rows = pa.concat_tables([compared.new, compared.changed]).unify_dictionaries()
    if not rows.num_rows:
        return
    with ledger.reading(engine).begin() as conn:
        rated = _rated(conn, rows.select(usage.USAGE.names), policy)
    for name in rated.column_names:
        rows = rows.append_column(name, rated.column(name))
    rows = usage.conform(rows, usage.STORED)
    written = [
        (archive.write(root, cluster, month, own), own)
        for month, own in grouping.by_month(rows, policy.timezone)
    ]
    with engine.begin() as conn:
        paths = sorted(segment.path for segment, _ in written)
        key = hashlib.sha256("\n".join(paths).encode()).hexdigest()
        act = Entry(f"usage:{key}", "charge", stamp)
        enter(conn, act, written, before, policy, taken)


def enter(
    conn: Connection,
    act: Entry,
    written: Sequence[tuple[Segment, pa.Table]],
    before: pa.Table,
    policy: Policy,
    taken: Taken,
) -> None:
    """Enter segments, charges and postings, and end the holds of runs that are over.

    Args:
        conn: The book.
        act: The entry as far as it is known; segments, charges and postings are added to it.
        written: Segments with their rows.
        before: The rows that they take the place of.
        policy: The rules.
        taken: What was done; added to.
    """
    ledger.lock(conn)
    segment_rows, charge_rows = [], []
    for segment, own in written:
        lost = grouping.with_status(own, rating.UNRATED).num_rows
        charged = grouping.with_status(own, rating.CHARGED)
        taken.unrated += lost
        taken.unclaimed += charged.column("account").null_count
        taken.charge_micro += segment.charge_micro
        taken.segments.append(segment.path)
        segment_rows.append({name: getattr(segment, name) for name in COLUMNS})
        segment_rows[-1]["unrated"] = lost
        charge_rows += _charges(segment, own, before, policy.timezone)
    accrued: Counter[str] = Counter()
    for row in charge_rows:
        accrued[row["account"]] += row["charge_micro"]
    charge_rows.sort(key=lambda row: (row["account"], row["month"], row["path"]))
    rows = {"segment": segment_rows, "charge": charge_rows, **act.rows}
    ledger.write(conn, replace(act, rows=rows, postings=_charge_postings(conn, accrued)))
    for _, own in written:
        _end_holds(conn, own, act.stamp.at_s)


def _charges(
    segment: Segment, rows: pa.Table, before: pa.Table, timezone: str
) -> list[dict[str, Any]]:
    """Sum what a segment changes on each account, net of what earlier revisions charged."""
    sums: dict[tuple[str, str], list[int]] = {}
    for group, account in grouping.net(rows, grouping.superseded(rows, before), timezone):
        total = sums.setdefault((account, group.month), [0, 0])
        total[0] += group.charge_micro
        total[1] += group.eligible_micro
    return [
        {
            "path": segment.path,
            "account": account,
            "month": month,
            "charge_micro": charge,
            "eligible_micro": eligible,
        }
        for (account, month), (charge, eligible) in sorted(sums.items())
    ]


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


def _end_holds(conn: Connection, rows: pa.Table, now_s: int) -> None:
    held = rows.filter(pc.is_valid(rows.column("hold")))
    for row in held.select(["hold", "job_id", "state"]).to_pylist():
        if row["state"] not in NOT_OVER:
            evidence = f"{row['state']} in slurmdbd"
            releasing.end(conn, row["hold"], str(row["job_id"]), "posted", 1, now_s, evidence)
