"""Do it all again: the same usage, the same instants of closing, in a book in memory.

Every entry of the chain is carried over as it stands, except what follows from usage by rule:
charges are rated once more from the archive and statements are worked out once more. What
comes out otherwise than it was written is a finding.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import create_engine, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from accounting.book import schema, triggers
from accounting.errors import VoucherError
from accounting.policy import Policy
from accounting.rates import pricelists
from accounting.runs import archive, usage
from accounting.runs.segment import Segment
from accounting.settle import adding, grouping, pricing, refunding, stating, stored
from accounting.vouchers import debts, holds

_LINE = ("usage_month", "cluster", "partition", "qos", "chip", "tariff", "runs", "gflops_s",
         "charge_micro", "eligible_micro", "fee_fen", "deduction_fen", "refund")  # fmt: skip

_MEMORY = create_engine("sqlite://", poolclass=NullPool)
"""Each connection is an empty book of its own; statements are compiled once for all of them."""

_UNREADABLE = (ValueError, KeyError, TypeError, SQLAlchemyError)
"""What comes of an entry whose content was changed by hand."""


def differences(conn: Connection, root: Path, policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield (what, how it differs) for every charge and statement that a replay makes otherwise.

    Args:
        conn: The book; only read.
        root: Root of the usage archive.
    """
    sums = adding.Sums(root, policy.timezone, of_runs=True)
    with _MEMORY.begin() as copy:
        schema.create(copy)
        for trigger in triggers.KEEP_BALANCES:
            copy.exec_driver_sql(trigger)
        # What never may be is looked for by rules of its own: here it shall not stop the work.
        copy.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        # Files that were compacted since are read where their rows stand now.
        for row in conn.execute(select(schema.compaction)).mappings():
            copy.execute(insert(schema.compaction), dict(row))
        for entry in conn.execute(select(schema.journal).order_by(schema.journal.c.seq)).mappings():
            try:
                content = json.loads(entry["content"])
                if entry["code"] in ("charge", "refund"):
                    segments = stored.segments(conn, seq=entry["seq"])
                    yield from _charges(copy, root, segments, content["rows"], policy)
                if entry["code"] == "refund":
                    yield from _refund(copy, root, content["rows"], policy)
                elif entry["code"] == "statement":
                    yield from _statement(copy, sums, content["rows"], policy)
            except (VoucherError, *_UNREADABLE) as error:
                yield entry["key"], f"cannot be replayed: {error}"
            try:
                _carry_over(copy, entry)
            except _UNREADABLE as error:
                yield entry["key"], f"cannot be carried over: {error}"


def _carry_over(copy: Connection, entry: Any) -> None:
    seq, content = entry["seq"], json.loads(entry["content"])
    for i, (account, owner, micro) in enumerate(content["postings"]):
        row = {"seq": seq, "line": i, "account": account, "owner": owner, "amount_micro": micro}
        copy.execute(insert(schema.posting), row)
    for name, rows in content["rows"].items():
        for row in rows if name != "compaction" else ():
            copy.execute(insert(schema.COVERED[name]), row | {"seq": seq})
    copy.execute(insert(schema.journal), dict(entry))


def _charges(
    copy: Connection,
    root: Path,
    segments: Sequence[Segment],
    rows: dict[str, Any],
    policy: Policy,
) -> Iterator[tuple[str, str]]:
    """Rate the runs of an entry's segments again, each with the tariff it was rated with."""
    sums: dict[tuple[str, str, str], tuple[int, int]] = {}
    for segment in segments:
        runs = archive.read(root, [segment])
        yield from _ratings(copy, segment, runs, policy, rows.get("refund", ()))
        before = stored.superseded(copy, root, runs, segments)
        lines = grouping.net(runs, before, policy.timezone)
        for (account, month), charged in grouping.accrued(lines).items():
            sums[segment.path, account, month] = charged
    posted = {
        (row["path"], row["account"], row["month"]): (row["charge_micro"], row["eligible_micro"])
        for row in rows["charge"]
    }
    for key in sorted(sums.keys() | posted.keys()):
        if sums.get(key) != posted.get(key):
            yield (
                f"{key[0]} {key[1]}",
                (
                    f"runs add up to {sums.get(key)} micro-yuan (charge, eligible), posted is"
                    f" {posted.get(key)}"
                ),
            )


def _ratings(
    copy: Connection,
    segment: Segment,
    runs: pa.Table,
    policy: Policy,
    refunds: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, str]]:
    for version in runs.column("tariff").unique().to_pylist():
        rows = runs.filter(pc.equal(runs.column("tariff").cast(pa.string()), version))
        if version is None or version == pricelists.NO_TARIFF:
            continue
        prices = pricelists.loaded(copy, version)
        accounts = rows.column("account").cast(pa.string())
        priced = pricing.Pricing(copy, prices, policy)
        rated = priced.rated(copy, rows.select(usage.USAGE.names), accounts)
        given_back = [tuple(refund[name] for name in pricing.RUN_KEY) for refund in refunds]
        rated = pricing.waived(rated, pricing.are(rows, given_back))
        for name in ("status", "charge_micro", "eligible_micro", "gflops_s"):
            now, was = rated.column(name), rows.column(name)
            if pa.types.is_dictionary(was.type):
                now, was = now.cast(pa.string()), was.cast(pa.string())
            wrong = pc.sum(pc.not_equal(now, was)).as_py()
            if wrong:
                yield (
                    segment.path,
                    f"{name} of {wrong} runs comes out otherwise by tariff {version}",
                )


def _refund(
    copy: Connection, root: Path, rows: dict[str, Any], policy: Policy
) -> Iterator[tuple[str, str]]:
    """Look up once more what statements had of a run when it was given back."""
    [row] = rows["refund"]
    run = tuple(row[name] for name in pricing.RUN_KEY)
    now = refunding.recorded_of(copy, root, refunding.revisions(copy, root, run), policy)
    for name in ("line", "charge_micro", "eligible_micro", "fee_fen"):
        if row.get(name) != getattr(now, name):
            yield row["id"], f"{name} comes out as {getattr(now, name)}, written is {row.get(name)}"
    borne = {each["voucher"]: each["amount_fen"] for each in rows.get("refund_share", ())}
    if borne != now.borne_fen:
        yield row["id"], f"vouchers bore {now.borne_fen} fen of it, written is {borne}"


def _statement(
    copy: Connection, sums: adding.Sums, rows: dict[str, Any], policy: Policy
) -> Iterator[tuple[str, str]]:
    paper = rows["statement"][0]
    stated = stating.state(copy, sums, paper["account"], paper["month"], policy)
    numbered = enumerate(stated.lines, 1)
    now = [stating.line_row(paper["id"], i, line) for i, line in numbered]
    for was, is_ in zip(rows["statement_line"], now, strict=False):
        for name in _LINE:
            if was.get(name) != is_.get(name):
                yield was["id"], f"{name} comes out as {is_.get(name)}, written is {was.get(name)}"
    if len(now) != len(rows["statement_line"]):
        yield paper["id"], f"{len(now)} lines come out, {len(rows['statement_line'])} are written"
    draws = {row["voucher"]: row["amount_fen"] for row in rows.get("deduction", ())}
    if draws != stated.draws_fen:
        yield paper["id"], f"{stated.draws_fen} fen are drawn by voucher, written is {draws}"
    gone = holds.taken_back(copy)
    relief, _ = debts.given_back(copy, paper["account"], stated.draws_fen, gone, policy.name)
    if rows.get("debt_relief", []) != relief.get("debt_relief", []):
        yield paper["id"], "what it takes off debts comes out otherwise"
    parts = rows.get("deduction_month", [])
    if parts != stating.month_rows(paper["id"], stated):
        yield paper["id"], "what its vouchers bear of each month comes out otherwise"
