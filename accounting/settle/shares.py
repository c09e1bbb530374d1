"""A run's own part of a statement: what the statement grows by with it.

Runs come in the order in which they ended, ties by key. The fee is floored to the fen as it grows,
and so is what the vouchers bear of it; what a run adds to them is its part. So parts are whole fen,
they add up to the statement exactly, and a voucher that is used up bears the runs before and not
those after. Which voucher bears a part follows from the order in which they are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.rates import rating
from accounting.runs import archive, usage
from accounting.runs.run import Run
from accounting.runs.segment import Segment
from accounting.settle import drawdown, grouping, stating
from accounting.vouchers import holds


@dataclass(frozen=True)
class Share:
    """What of a statement is one run's.

    Attributes:
        statement: Its id.
        line: The line in which the run is counted.
        fee_fen: The run's part of the fee.
        deduction_fen: The run's part of the deduction.
        borne_fen: That by voucher.
    """

    statement: str
    line: str
    fee_fen: int
    deduction_fen: int
    borne_fen: dict[str, int]


def of_run(
    conn: Connection, root: Path, run: Run, revision: int, account: str, policy: Policy
) -> Share | None:
    """Return a run's part of the statement that it is on.

    Args:
        conn: The book.
        root: Root of the archive.
        run: A run of the account.
        revision: Which revision of it.
        account: Its voucher account.
        policy: The rules.

    Returns:
        None while no statement has this revision of the run, and where its statement takes back
        what another one charged for that month: it is then not the sum of runs.
    """
    for paper in _papers(conn, run, account):
        rows = _rows_of(conn, root, paper, account, policy.timezone)
        place = _place(rows, run, revision)
        if place is not None:
            return _share(conn, paper, rows, place, account, policy.deduct_ratio_bp)
    return None


def _papers(conn: Connection, run: Run, account: str) -> Sequence[Any]:
    """Return which statements have runs like this one, and of which usage month."""
    line, paper = schema.statement_line, schema.statement
    query = (
        select(paper.c.id, paper.c.seq, paper.c.upto_seq, line.c.usage_month)
        .join(paper, paper.c.id == line.c.statement)
        .where(paper.c.account == account, line.c.cluster == run.cluster)
        .where(line.c.partition == run.partition, line.c.qos == run.qos)
        .order_by(paper.c.seq, line.c.usage_month)
    )
    return conn.execute(query.distinct()).all()


def _rows_of(conn: Connection, root: Path, paper: Any, account: str, timezone: str) -> pa.Table:
    """Return the runs of a usage month that a statement has, each with its latest revision there,
    in the order of their shares."""
    since_seq = stating.stated_upto(conn, account, paper.usage_month, paper.seq)
    table, charge = schema.segment, schema.charge
    query = (
        select(*(table.c[name] for name in Segment.__slots__))
        .join(charge, charge.c.path == table.c.path)
        .where(charge.c.account == account, charge.c.month == paper.usage_month)
        .where(table.c.seq > since_seq, table.c.seq <= paper.upto_seq)
        .order_by(table.c.path)
    )
    found = [Segment(**row) for row in conn.execute(query).mappings()]
    rows = archive.read(root, found)
    rows = rows.filter(pa.array(~grouping.outdated(rows, rows)))
    rows = grouping.with_status(rows, rating.CHARGED)
    rows = rows.filter(pc.equal(grouping.months_of(rows, timezone), paper.usage_month))
    rows = rows.filter(
        pc.fill_null(pc.equal(rows.column("account").cast(pa.string()), account), False)
    )
    keys = usage.keys(rows)
    return rows.take(pa.array(usage.key_order([usage.numbers(rows.column("end_s")), *keys])))


def _place(rows: pa.Table, run: Run, revision: int) -> int | None:
    """Return where a revision of a run stands among rows."""
    names = ("cluster", "job_id", "submit_s", "start_s", "revision")
    keys = list(zip(*(rows.column(name).to_pylist() for name in names), strict=True))
    key = (run.cluster, run.job_id, run.submit_s, run.start_s, revision)
    return keys.index(key) if key in keys else None


def _share(
    conn: Connection, paper: Any, rows: pa.Table, place: int, account: str, ratio_bp: int
) -> Share | None:
    stated = stating.stated(conn, account, paper.usage_month, schema.statement.c.id == paper.id)
    before = stating.stated(conn, account, paper.usage_month, schema.statement.c.seq < paper.seq)
    charges: list[int] = usage.numbers(rows.column("charge_micro")).tolist()
    eligible: list[int] = usage.numbers(rows.column("eligible_micro")).tolist()
    if (sum(charges), sum(eligible)) != (stated["charge"], stated["eligible"]):
        return None

    def fee_fen(runs: int) -> int:
        return (before["charge"] + sum(charges[:runs])) // MICRO_PER_FEN - before["fee"]

    def borne_fen(runs: int) -> int:
        """Return what vouchers bear of the first runs; with one comes what was short before."""
        fee = before["eligible"] + sum(eligible[:runs])
        entitled = drawdown.entitled_fen(fee, ratio_bp) - before["deduction"]
        return min(entitled, stated["deduction"]) if runs else 0

    first, after = borne_fen(place), borne_fen(place + 1)
    return Share(
        statement=paper.id,
        line=_line(conn, paper, rows.slice(place, 1).to_pylist()[0]),
        fee_fen=fee_fen(place + 1) - fee_fen(place),
        deduction_fen=after - first,
        borne_fen=_borne(conn, paper, account, first, after),
    )


def _line(conn: Connection, paper: Any, row: dict[str, Any]) -> str:
    """Return the line of a statement in which a run is counted."""
    same = {name: row[name] or "" for name in ("cluster", "partition", "qos", "chip", "tariff")}
    query = select(schema.statement_line.c.id).filter_by(
        statement=paper.id, usage_month=paper.usage_month, **same
    )
    line: str = conn.execute(query).scalar_one()
    return line


def _borne(
    conn: Connection, paper: Any, account: str, from_fen: int, until_fen: int
) -> dict[str, int]:
    """Return who bears the fen of a usage month's deduction from one to another.

    Months are drawn one after the other. One that gives back, by a correction, gives back to the
    last voucher, so that the others of the statement have drawn so much more from it.
    """
    table = schema.statement_line
    query = select(table.c.usage_month, func.sum(table.c.deduction_fen))
    query = query.where(table.c.statement == paper.id).group_by(table.c.usage_month)
    by_month = {month: int(fen) for month, fen in conn.execute(query)}
    earlier = sum(max(0, fen) for month, fen in by_month.items() if month < paper.usage_month)
    draws = select(schema.deduction.c.voucher, schema.deduction.c.amount_fen)
    drawn = {
        row.voucher: row.amount_fen for row in conn.execute(draws.filter_by(statement=paper.id))
    }
    own = [voucher.id for voucher in holds.vouchers(conn, account)]
    if not own:
        return {}
    drawn[own[-1]] = drawn.get(own[-1], 0) - sum(min(0, fen) for fen in by_month.values())
    in_order = {voucher: drawn.get(voucher, 0) for voucher in own}
    return drawdown.bear(in_order, earlier + from_fen, earlier + until_fen)
