"""A run that an operator gives back: it costs nothing any more, and what was paid for it returns.

The run stands in the archive once more, free, with the next revision; so what is still accrued for
it is reversed at once. What statements have of it is credited on the next one by the shares that
were recorded for it, as `shares` tells them: a refund is no new settlement.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Engine

from accounting import period
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Stamp
from accounting.errors import InvalidInput, Refused
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.rates import rating
from accounting.runs import archive, places, usage
from accounting.settle import charging, grouping, known, owners, pricing, shares, writing
from accounting.vouchers import holds


@dataclass(frozen=True)
class Recorded:
    """What statements have of a run: nothing where no line is named.

    Attributes:
        line: The line that it was counted in first.
        charge_micro: What it is on statements with, or what it was to be.
        eligible_micro: Its part inside the validity.
        fee_fen: Its part of the fee.
        borne_fen: What vouchers bore of that, by voucher.
    """

    line: str | None
    charge_micro: int
    eligible_micro: int
    fee_fen: int = 0
    borne_fen: Mapping[str, int] = field(default_factory=dict)


def refund(
    engine: Engine, root: Path, run: tuple[Any, ...], reason: str, policy: Policy, stamp: Stamp
) -> dict[str, Any]:
    """Give a run back, once.

    Args:
        engine: The book.
        root: Root of the usage archive.
        run: Its key: cluster, job id, submit and start.
        reason: Why.
        policy: The rules.
        stamp: Who, when.

    Returns:
        The refund's row.

    Raises:
        InvalidInput: No such run.
        Refused: It was refunded already, or nothing is charged to a voucher account for it.
        BookUnavailable: Somebody is taking usage in.
    """
    with charging.alone(root):
        charging.tidy(engine, root)
        with ledger.reading(engine).begin() as conn:
            known = revisions(conn, root, run)
            last = _refundable(conn, known, run)
            of_hold = owners.of_holds(conn, last)
        free = _freed(last)
        months = grouping.by_month(free, policy.timezone)
        written = writing.write_rows(root, run[0], months, last, of_hold, policy.timezone)
        with engine.begin() as conn:
            ledger.lock(conn)
            recorded = recorded_of(conn, root, known, policy)
            row = _row(conn, last, recorded, reason, policy)
            parts = [
                {"refund": row["id"], "voucher": voucher, "amount_fen": fen}
                for voucher, fen in recorded.borne_fen.items()
            ]
            key = "refund:" + ":".join(map(str, run))
            added = {"refund": [row]} | ({"refund_share": parts} if parts else {})
            act = Entry(key, "refund", stamp, added)
            charging.enter(conn, act, written, charging.Taken())
    return row


def of_run(conn: Connection, run: tuple[Any, ...]) -> dict[str, Any] | None:
    """Return the refund of a run with the line that credits it, or None."""
    table, line = schema.refund, schema.statement_line
    query = select(table, line.c.id.label("credit")).outerjoin(line, line.c.refund == table.c.id)
    key = dict(zip(pricing.RUN_KEY, run, strict=True))
    query = query.where(*(table.c[name] == value for name, value in key.items()))
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def revisions(conn: Connection, root: Path, run: tuple[Any, ...]) -> list[tuple[int, pa.Table]]:
    """Return all revisions of a run in order, each with the entry that its segment was written
    with."""
    ids = pa.chunked_array([pa.array([run[1]], pa.int64())])
    table = schema.segment
    query = select(table).filter_by(cluster=run[0])
    query = query.where(table.c.submit_min_s <= run[2], run[2] <= table.c.submit_max_s)
    found = []
    known = conn.execute(query).mappings().all()
    for row, segment in zip(known, places.placed(conn, known), strict=True):
        rows = archive.read(root, [segment], job_ids=ids)
        for name, value in zip(pricing.RUN_KEY[2:], run[2:], strict=True):
            rows = rows.filter(pc.fill_null(pc.equal(rows.column(name), value), False))
        found += [(row["seq"], rows.slice(i, 1)) for i in range(rows.num_rows)]
    return sorted(found, key=lambda each: int(each[1].column("revision")[0].as_py()))


def _refundable(
    conn: Connection, known: Sequence[tuple[int, pa.Table]], run: tuple[Any, ...]
) -> pa.Table:
    """Return the last revision of a run, if there is something to give back."""
    if not known:
        raise InvalidInput(f"job {run[1]} of {run[0]}: no such run in the archive; collect first")
    _, last = known[-1]
    [row] = last.to_pylist()
    before = of_run(conn, run)
    if before is not None:
        raise Refused(
            f"job {row['job']} of {row['cluster']}: is refunded already by {before['id']} "
            f"({before['reason']}); nothing is left to give back"
        )
    if row["status"] != rating.CHARGED or row["account"] is None or not row["charge_micro"]:
        raise Refused(
            f"job {row['job']} of {row['cluster']}: {row['status']}, 0.00 yuan is charged to a "
            "voucher account, more is needed; there is nothing to give back"
        )
    return last


def _freed(last: pa.Table) -> pa.Table:
    """Return a run's next revision: the same facts, and no charge."""
    free = pricing.waived(last, np.ones(last.num_rows, np.bool_))
    place = free.column_names.index("revision")
    revision = pc.add(free.column("revision"), pa.scalar(1, pa.int16()))
    return usage.conform(free.set_column(place, "revision", revision), usage.STORED)


def recorded_of(
    conn: Connection, root: Path, known: Sequence[tuple[int, pa.Table]], policy: Policy
) -> Recorded:
    """Return what statements have of a run.

    Raises:
        Refused: It is on a statement by an account or a month that it is no longer of.
    """
    [last] = known[-1][1].to_pylist()
    account, month = last["account"], period.month_of(last["end_s"], policy.timezone)
    on_paper = [rows for seq, rows in known if seq <= _upto_seq(conn, rows, policy)]
    if not on_paper:
        return Recorded(None, last["charge_micro"], last["eligible_micro"])
    [row] = on_paper[-1].to_pylist()
    ended_in = period.month_of(row["end_s"], policy.timezone)
    if (row["account"], ended_in) != (account, month):
        raise Refused(
            f"job {row['job']} of {row['cluster']}: stands on a statement of {row['account']} for "
            f"{ended_in} and was corrected since; close the open month first, then refund it"
        )
    bound = _still_borne(conn, account, month)
    share = _share(conn, root, on_paper, policy)
    if share is None:
        return _in_proportion(conn, row, month, bound)
    borne = {name: min(fen, bound.get(name, 0)) for name, fen in share.borne_fen.items()}
    borne = {name: fen for name, fen in borne.items() if fen > 0}
    return Recorded(share.line, row["charge_micro"], row["eligible_micro"], share.fee_fen, borne)


def _share(
    conn: Connection, root: Path, on_paper: Sequence[pa.Table], policy: Policy
) -> shares.Share | None:
    """Return a run's part of its statement, by the revision that was stated: one that changed
    nothing but a state is on no line."""
    [last] = on_paper[-1].to_pylist()
    for rows in reversed(on_paper):
        [row] = rows.to_pylist()
        if any(row[name] != last[name] for name in ("account", "charge_micro", "eligible_micro")):
            return None
        [run] = usage.runs(rows)
        share = shares.of_run(conn, root, run, row["revision"], row["account"], policy)
        if share is not None:
            return share
    return None


def _upto_seq(conn: Connection, rows: pa.Table, policy: Policy) -> int:
    """Return the entry up to which runs like this one are on statements."""
    [row] = rows.to_pylist()
    if row["account"] is None:
        return 0
    month = period.month_of(row["end_s"], policy.timezone)
    return known.stated_upto(conn, row["account"], month)


def _still_borne(conn: Connection, account: str, month: str) -> Counter[str]:
    """Return what vouchers bear of a month, less what refunds are to give back."""
    bound = Counter(known.borne_of(conn, account, month))
    for pending in known.refunds(conn, account, month).values():
        bound.subtract(pending.borne_fen)
    return bound


def _in_proportion(
    conn: Connection, row: Mapping[str, Any], month: str, bound: Mapping[str, int]
) -> Recorded:
    """Return a run's part of what a month's statements came to, in proportion to its charge.

    A statement that takes corrections up is not the sum of its runs: it has no share of its own
    for each of them. What vouchers bear is rounded up, and given back by the last one first.
    """
    account = row["account"]
    stated = known.stated(conn, account, month)
    part = sum(bound.values()) * row["eligible_micro"]
    wanted = -(-part // stated["eligible"]) if stated["eligible"] > 0 else 0
    borne: dict[str, int] = {}
    for voucher in reversed(holds.vouchers(conn, account)):
        fen = min(wanted - sum(borne.values()), bound.get(voucher.id, 0))
        if fen > 0:
            borne[voucher.id] = fen
    line = schema.statement_line
    same = {name: row[name] or "" for name in ("cluster", "partition", "qos")}
    query = (
        select(line.c.id)
        .join(schema.statement, schema.statement.c.id == line.c.statement)
        .where(schema.statement.c.account == account, line.c.refund.is_(None))
        .filter_by(usage_month=month)
        .where(*(line.c[name] == value for name, value in same.items()))
        .order_by(line.c.seq.desc(), line.c.id)
    )
    found = conn.execute(query).scalars().first()
    fee_fen = row["charge_micro"] // MICRO_PER_FEN
    return Recorded(found, row["charge_micro"], row["eligible_micro"], fee_fen, borne)


def _row(
    conn: Connection, last: pa.Table, recorded: Recorded, reason: str, policy: Policy
) -> dict[str, Any]:
    """Return the refund as the book keeps it."""
    [row] = last.to_pylist()
    count = select(func.count()).where(schema.refund.c.account == row["account"])
    return {
        "id": f"R-{row['account']}-{conn.execute(count).scalar_one() + 1}",
        "account": row["account"],
        **{name: row[name] for name in pricing.RUN_KEY},
        "revision": row["revision"],
        "usage_month": period.month_of(row["end_s"], policy.timezone),
        "charge_micro": recorded.charge_micro,
        "eligible_micro": recorded.eligible_micro,
        "line": recorded.line,
        "fee_fen": recorded.fee_fen,
        "deduction_fen": sum(recorded.borne_fen.values()),
        "reason": reason,
    }
