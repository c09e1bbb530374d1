"""A run's own part of a statement: what the statement grows by with it.

Runs come in the order in which they ended, ties by key. The fee is floored to the fen as it grows,
and so is what the vouchers bear of it; what a run adds to them is its part. So parts are whole fen,
they add up to the statement exactly, and a voucher that is used up bears the runs before and not
those after. Which voucher bears a part follows from the order in which they are drawn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.runs import usage
from accounting.runs.run import Run
from accounting.settle import drawdown, eligible, known, stored


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
        since_seq = known.stated_upto(conn, account, paper.usage_month, paper.seq)
        span = since_seq, paper.upto_seq
        rows = stored.charged(conn, root, account, paper.usage_month, span, policy.timezone)
        place = _place(rows, run, revision)
        if place is not None:
            fees = _Fees(conn, root, account, paper, policy)
            return _share(conn, fees, rows, place)
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


def _place(rows: pa.Table, run: Run, revision: int) -> int | None:
    """Return where a revision of a run stands among rows."""
    names = ("cluster", "job_id", "submit_s", "start_s", "revision")
    keys = list(zip(*(rows.column(name).to_pylist() for name in names), strict=True))
    key = (run.cluster, run.job_id, run.submit_s, run.start_s, revision)
    return keys.index(key) if key in keys else None


@dataclass(frozen=True)
class _Fees:
    """A statement's part of a usage month, and how it was drawn."""

    conn: Connection
    root: Path
    account: str
    paper: Any
    policy: Policy

    def borne(self, *where: ColumnElement[bool]) -> Mapping[str, int]:
        """Return what each voucher bore of the month, on some statements."""
        return known.borne_of(self.conn, self.account, self.paper.usage_month, *where)

    def stated(self, *where: ColumnElement[bool]) -> known.Sums:
        """Return what some statements took for the month."""
        return known.stated(self.conn, self.account, self.paper.usage_month, *where)


def _share(conn: Connection, fees: _Fees, rows: pa.Table, place: int) -> Share | None:
    paper, line = fees.paper, schema.statement_line.c
    here = schema.statement.c.id == paper.id
    stated = fees.stated(here, line.refund.is_(None))
    before = fees.stated((schema.statement.c.seq < paper.seq) | (here & line.refund.is_not(None)))
    charges: list[int] = usage.numbers(rows.column("charge_micro")).tolist()
    eligible_: list[int] = usage.numbers(rows.column("eligible_micro")).tolist()
    if (sum(charges), sum(eligible_)) != (stated["charge"], stated["eligible"]):
        return None

    def fee_fen(runs: int) -> int:
        return (before["charge"] + sum(charges[:runs])) // MICRO_PER_FEN - before["fee"]

    first, after = _borne(fees, rows, place, before)
    borne = drawdown.grown(first, after)
    return Share(
        statement=paper.id,
        line=_line(conn, paper, rows.slice(place, 1).to_pylist()[0]),
        fee_fen=fee_fen(place + 1) - fee_fen(place),
        deduction_fen=sum(borne.values()),
        borne_fen=borne,
    )


def _borne(
    fees: _Fees, rows: pa.Table, place: int, before: known.Sums
) -> tuple[dict[str, int], dict[str, int]]:
    """Return what vouchers bear of the month without a run and those after it, and with it; with
    the first one of a statement comes what was short before."""
    paper = fees.paper
    own = eligible.vouchers(fees.conn, fees.account, fees.policy, paper.seq)
    if not own:
        return {}, {}
    earlier = Counter(fees.borne(schema.statement.c.seq < paper.seq))
    earlier.subtract(_given_back(fees))
    upto = fees.borne(schema.statement.c.seq <= paper.seq)
    costs = eligible.of_runs(fees.conn, rows, fees.account, own, fees.policy)
    base = [0, before["eligible"], 0]
    if not eligible.simple(fees.conn, fees.account, own):
        where = (fees.conn, fees.root, fees.account, paper.usage_month)
        whole = eligible.of_month(*where, own, fees.policy, paper.upto_seq)
        base = [micro - int(costs[:, s].sum()) for s, micro in enumerate(whole)]

    def borne(runs: int) -> dict[str, int]:
        sums = [micro + int(costs[:runs, s].sum()) for s, micro in enumerate(base)]
        return drawdown.drawn_fen(own, upto, sums)

    return borne(place) if place else earlier, borne(place + 1)


def _given_back(fees: _Fees) -> dict[str, int]:
    """Return what refunds on a statement gave back of the month, by voucher."""
    line, share = schema.statement_line, schema.refund_share
    query = (
        select(share.c.voucher, func.sum(share.c.amount_fen))
        .join(line, line.c.refund == share.c.refund)
        .where(line.c.statement == fees.paper.id, line.c.usage_month == fees.paper.usage_month)
        .group_by(share.c.voucher)
    )
    return {voucher: int(fen) for voucher, fen in fees.conn.execute(query)}


def _line(conn: Connection, paper: Any, row: dict[str, Any]) -> str:
    """Return the line of a statement in which a run is counted."""
    same = {name: row[name] or "" for name in ("cluster", "partition", "qos", "chip", "tariff")}
    query = select(schema.statement_line.c.id).filter_by(
        statement=paper.id, usage_month=paper.usage_month, refund=None, **same
    )
    line: str = conn.execute(query).scalar_one()
    return line
