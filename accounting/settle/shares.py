"""A run's own part of a statement: fee and deduction by largest remainder, ties by run key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import schema
from accounting.rates import rating
from accounting.runs import archive, usage
from accounting.runs.run import Run
from accounting.runs.segment import Segment
from accounting.settle import grouping, stating

_SUMMED = ("charge_micro", "eligible_micro")


@dataclass(frozen=True)
class Share:
    """What of a statement line is one run's."""

    statement: str
    line: str
    fee_fen: int
    deduction_fen: int


def of_run(conn: Connection, root: Path, run: Run, account: str) -> Share | None:
    """Return a run's share of the statement line that is the sum of its runs.

    Returns:
        None while no statement has the run, and where its line is net of corrections: such a
        line is not the sum of runs.
    """
    for line in _lines(conn, run, account):
        rows = _rows_of(conn, root, line, account)
        place = _place(rows, run)
        charges, eligible = (rows.column(name).to_pylist() for name in _SUMMED)
        if place is None or (sum(charges), sum(eligible)) != (
            line.charge_micro,
            line.eligible_micro,
        ):
            continue
        fees = money.apportion(line.fee_fen, charges)
        parts = money.apportion(line.deduction_fen, eligible if sum(eligible) else charges)
        return Share(line.statement, line.id, fees[place], parts[place])
    return None


def _lines(conn: Connection, run: Run, account: str) -> list[Any]:
    line, paper = schema.statement_line, schema.statement
    query = (
        select(line, paper.c.upto_seq)
        .join(paper, paper.c.id == line.c.statement)
        .where(paper.c.account == account, line.c.cluster == run.cluster)
        .where(line.c.partition == run.partition, line.c.qos == run.qos)
        .order_by(line.c.seq)
    )
    return list(conn.execute(query))


def _rows_of(conn: Connection, root: Path, line: Any, account: str) -> pa.Table:
    """Return the runs that a line states, in key order."""
    since_seq = stating.stated_upto(conn, account, line.usage_month, line.seq)
    table = schema.segment
    query = (
        select(*(table.c[name] for name in Segment.__slots__))
        .where(table.c.cluster == line.cluster, table.c.month == line.usage_month)
        .where(table.c.seq > since_seq, table.c.seq <= line.upto_seq)
        .order_by(table.c.path)
    )
    found = [Segment(**row) for row in conn.execute(query).mappings()]
    rows = grouping.with_status(archive.read(root, found), rating.CHARGED)
    wanted = {
        "account": account,
        "partition": line.partition,
        "qos": line.qos,
        "chip": line.chip,
        "tariff": line.tariff,
    }
    for name, value in wanted.items():
        own = pc.fill_null(rows.column(name).cast(pa.string()), "")
        rows = rows.filter(pc.equal(own, value))
    return rows.take(pa.array(usage.key_order(usage.keys(rows))))


def _place(rows: pa.Table, run: Run) -> int | None:
    """Return where a run stands among rows."""
    names = ("job_id", "submit_s", "start_s")
    keys = list(zip(*(rows.column(name).to_pylist() for name in names), strict=True))
    key = (run.job_id, run.submit_s, run.start_s)
    return keys.index(key) if key in keys else None
