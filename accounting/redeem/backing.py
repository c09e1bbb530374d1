"""What stands behind a statement: its runs, and what earlier statements took for its months.

All of it as of the statement: whatever comes later changes nothing here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import hash_of
from accounting.errors import InvariantBroken
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.rates import rating
from accounting.redeem import packet
from accounting.runs import archive, places, usage
from accounting.settle import drawdown, eligible, grouping, known, stored
from accounting.vouchers import holds
from accounting.vouchers.registry import find

Json = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Where a packet comes from."""

    conn: Connection
    archive: Path
    policy: Policy


def papers(
    source: Source, papers: Sequence[Json], lines: Sequence[Json]
) -> tuple[pa.Table, list[Json]]:
    """Return the runs behind statements in the order of their keys, and what statements say."""
    parts = [packet.USAGE.empty_table()]
    said = []
    for paper in papers:
        own = _vouchers(source, paper)
        months: list[Json] = []
        for month in sorted({line["usage_month"] for line in lines if _of(line, paper)}):
            here = [line for line in lines if _of(line, paper) and line["usage_month"] == month]
            rows, entry = _month(source, paper, month, own, here)
            parts.append(rows)
            months.append(entry)
        said.append(_paper(source, paper, own) | {"months": months})
    runs = pa.concat_tables(parts).unify_dictionaries()
    order = [usage.numbers(runs.column(name)) for name in ("revision", "count")]
    keys = usage.key_order(usage.keys(runs), order[0], order[1])
    return usage.conform(runs.take(pa.array(keys)), packet.USAGE), said


def _of(line: Json, paper: Json) -> bool:
    return bool(line["statement"] == paper["id"])


def _vouchers(source: Source, paper: Json) -> list[drawdown.Voucher]:
    return eligible.vouchers(source.conn, paper["account"], source.policy, paper["upto_seq"])


def _paper(source: Source, paper: Json, own: Sequence[drawdown.Voucher]) -> Json:
    conn = source.conn
    contract = find(conn, "contract", account=paper["account"])
    unit = find(conn, "unit", id=contract.unit)
    kinds = {row.id: row.category for row in holds.vouchers(conn, paper["account"])}
    names = ("account", "month", "fee_fen", "deduction_fen", "cash_fen")
    return {name: paper[name] for name in names} | {
        "statement": paper["id"],
        "unit": unit.id,
        "unit_name": unit.name,
        "credit_code": unit.credit_code,
        "contract": contract.id,
        "entry": paper["seq"],
        "entry_hash": hash_of(conn, paper["seq"]),
        "left_fen": {each.id: _left_fen(conn, each.id, paper["upto_seq"]) for each in own},
        "vouchers": [
            {
                "voucher": each.id,
                "category": kinds[each.id],
                "ratio_bp": each.ratio_bp,
                "from_s": each.from_s,
                "until_s": each.until_s,
            }
            for each in own
        ],
    }


def _left_fen(conn: Connection, voucher: str, upto_seq: int) -> int:
    """Return what was left of a voucher before a statement."""
    line = schema.posting.c
    query = select(func.coalesce(func.sum(line.amount_micro), 0))
    query = query.where(line.account == "voucher.left", line.owner == voucher, line.seq <= upto_seq)
    return int(conn.execute(query).scalar_one()) // MICRO_PER_FEN


def _month(
    source: Source,
    paper: Json,
    month: str,
    own: Sequence[drawdown.Voucher],
    lines: Sequence[Json],
) -> tuple[pa.Table, Json]:
    """Return a statement's runs of one usage month, and what it says of the month."""
    conn, account, table = source.conn, paper["account"], schema.statement.c
    earlier = table.seq < paper["seq"]
    before = known.stated(conn, account, month, earlier)
    refunds = _refunds(conn, paper["id"], month)
    span = known.stated_upto(conn, account, month, paper["seq"]), paper["upto_seq"]
    runs = [packet.USAGE.empty_table()]
    intervals = [0, before["eligible"], before["charge"] - before["eligible"]]
    simple = _simple(conn, account, own, paper["upto_seq"])
    if not simple:
        where = (conn, source.archive, account, month)
        intervals = eligible.of_month(*where, own, source.policy, paper["upto_seq"])
    for count, rows in zip((1, -1), _net(source, account, month, span), strict=True):
        if simple:
            costs = _inside(rows)
        else:
            costs = eligible.of_runs(conn, rows, account, own, source.policy)
            intervals = [a - count * int(b) for a, b in zip(intervals, costs.sum(0), strict=True)]
        runs.append(_described(rows, count, paper, month, costs, lines, refunds))
    return pa.concat_tables(runs), {
        "usage_month": month,
        "before": {
            "charge_micro": before["charge"],
            "fee_fen": before["fee"],
            "intervals_micro": intervals,
            "borne_fen": known.borne_of(conn, account, month, earlier),
        },
        "drawn_fen": known.borne_of(conn, account, month, table.id == paper["id"]),
        "refunds": refunds,
    }


def _simple(conn: Connection, account: str, own: Sequence[drawdown.Voucher], upto_seq: int) -> bool:
    """Tell what `eligible.simple` told when a statement was made: vouchers may have come since."""
    known = [row for row in holds.vouchers(conn, account) if row.seq <= upto_seq]
    if not own:
        return True
    begin_s, end_s = min(row.from_s for row in known), max(row.until_s for row in known)
    return drawdown.edges(own) == [begin_s, end_s]


def _inside(rows: pa.Table) -> usage.Int64s:
    """Return what runs cost before, in and after the one time in which vouchers are valid."""
    charge = usage.numbers(rows.column("charge_micro"))
    inside = usage.numbers(rows.column("eligible_micro"))
    return np.column_stack([np.zeros_like(charge), inside, charge - inside])


def _refunds(conn: Connection, statement_id: str, month: str) -> list[Json]:
    """Return the refunds that a statement credits, with the shares recorded for them."""
    table, line, share = schema.refund, schema.statement_line, schema.refund_share
    query = select(table, line.c.id.label("credit")).join(line, line.c.refund == table.c.id)
    query = query.where(line.c.statement == statement_id, table.c.usage_month == month)
    names = ("id", "cluster", "job_id", "submit_s", "start_s", "fee_fen", "reason")
    found = []
    for row in conn.execute(query.order_by(table.c.seq)).mappings().all():
        borne = conn.execute(
            select(share.c.voucher, share.c.amount_fen).filter_by(refund=row["id"])
        )
        shares = {each.voucher: each.amount_fen for each in borne}
        also = {"line": row["credit"], "borne_fen": shares}
        found.append({name: row[name] for name in names} | also)
    return found


def _net(
    source: Source, account: str, month: str, span: tuple[int, int]
) -> tuple[pa.Table, pa.Table]:
    """Return the runs that segments of a span of entries add, and those that they take back."""
    conn, timezone = source.conn, source.policy.timezone
    table, charge = schema.segment, schema.charge
    query = select(*places.SEGMENT)
    query = query.join(charge, charge.c.path == table.c.path).order_by(table.c.seq, table.c.path)
    query = query.where(charge.c.account == account, charge.c.month == month)
    query = query.where(table.c.seq > span[0], table.c.seq <= span[1])
    added, taken = [usage.STORED.empty_table()], [usage.STORED.empty_table()]
    for segment in places.placed(conn, conn.execute(query).mappings().all()):
        for problem in archive.verify(source.archive, segment):
            raise InvariantBroken(f"archive: {problem}; run svoucher audit")
        rows = archive.read(source.archive, [segment])
        added.append(_own(rows, account, month, timezone))
        before = stored.superseded(conn, source.archive, rows)
        taken.append(_own(before, account, month, timezone))
    return _apart(pa.concat_tables(added), pa.concat_tables(taken))


def _own(rows: pa.Table, account: str, month: str, timezone: str) -> pa.Table:
    """Keep what an account was charged for a month."""
    rows = grouping.with_status(rows, rating.CHARGED)
    same = pc.equal(rows.column("account").cast(pa.string()), account)
    rows = rows.filter(pc.fill_null(same, False))
    return rows.filter(pc.equal(grouping.months_of(rows, timezone), month))


def _apart(added: pa.Table, taken: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Leave out what is in both: it came and was changed before a statement had it."""
    both = set(_names(added)) & set(_names(taken))
    left = [
        rows.filter(pa.array([name not in both for name in _names(rows)], pa.bool_()))
        for rows in (added, taken)
    ]
    return left[0].unify_dictionaries(), left[1].unify_dictionaries()


def _names(rows: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(rows.column(name).to_pylist() for name in stored.KEY), strict=True))


_OF_LINE = ("cluster", "partition", "qos", "chip", "tariff")


def _described(
    rows: pa.Table,
    count: int,
    paper: Json,
    month: str,
    costs: usage.Int64s,
    lines: Sequence[Json],
    refunds: Sequence[Json],
) -> pa.Table:
    """Bring runs to the columns of a packet."""
    credit = {tuple(each[name] for name in usage.Keys._fields): each["line"] for each in refunds}
    plain = {
        tuple(line[name] for name in _OF_LINE): line["line"] for line in lines if not line["refund"]
    }
    kinds = zip(*(_words(rows, name) for name in _OF_LINE), strict=True)
    of = [
        credit.get(key[:4]) or plain.get(kind, "")
        for key, kind in zip(_names(rows), kinds, strict=True)
    ]
    said = {
        "statement": [paper["id"]] * rows.num_rows,
        "line": of,
        "usage_month": [month] * rows.num_rows,
        "count": [count] * rows.num_rows,
        "intervals_micro": [" ".join(map(str, each)) for each in costs.tolist()],
    }
    columns = []
    for field in packet.USAGE:
        values = said.get(field.name)
        if values is None and pa.types.is_dictionary(field.type):
            values = _words(rows, field.name)
        known = rows.column(field.name) if values is None else pa.array(values, field.type)
        columns.append(known.cast(field.type))
    return pa.Table.from_arrays(columns, schema=packet.USAGE)


def _words(rows: pa.Table, name: str) -> list[str]:
    return [word or "" for word in rows.column(name).to_pylist()]
