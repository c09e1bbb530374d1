"""The evidence that a redemption claim carries, as a zip: papers, invoices, payments, and the runs.

Everything is as it was at the entry that opened the claim. So the same claim makes the same bytes
whenever it is packed (with one version of pyarrow and zlib), and its hash, which the book keeps,
can be compared by whoever reviews it. Each statement says what earlier ones took for its months:
fee and deduction can be worked out again from the packet alone.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import canonical, hash_of, identity
from accounting.errors import InvariantBroken
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.rates import rating
from accounting.redeem import merkle, packet, redemption
from accounting.runs import archive, usage
from accounting.runs.segment import Segment
from accounting.settle import drawdown, eligible, grouping, statements, stating, stored
from accounting.vouchers import holds
from accounting.vouchers.registry import find

Json = dict[str, Any]
BATCH_ROWS = 65_536
"""How many runs are written as text at a time."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The instant that every file in the zip has: the first one that a zip can say."""


@dataclass(frozen=True)
class Source:
    """Where a packet comes from."""

    conn: Connection
    archive: Path
    policy: Policy


def write(source: Source, claim_id: str, out: Path) -> str:
    """Write a claim's packet.

    Returns:
        The SHA-256 of the file.

    Raises:
        InvalidInput: No such claim.
        InvariantBroken: The archive has not what the statements were made from.
    """
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file, ZipFile(file, "w", allowZip64=False) as zipped:
            _fill(_Packing(zipped, {}), source, claim_id)
        with partial.open("rb") as written:
            sha256 = hashlib.file_digest(written, "sha256").hexdigest()
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return sha256


@dataclass(frozen=True)
class _Packing:
    """A zip that is being written, and what its manifest will say of each file."""

    zipped: ZipFile
    files: dict[str, Json]

    def add(self, name: str, content: bytes) -> None:
        self.stream(name, iter([content]))

    def stream(self, name: str, parts: Iterator[bytes]) -> None:
        info = ZipInfo(name, _EPOCH)
        info.create_system, info.external_attr = 3, 0o644 << 16
        info.compress_type = ZIP_DEFLATED
        digest, size = hashlib.sha256(), 0
        with self.zipped.open(info, "w") as member:
            for part in parts:
                member.write(part)
                digest.update(part)
                size += len(part)
        self.files[name] = {"sha256": digest.hexdigest(), "size_bytes": size}


def _fill(into: _Packing, source: Source, claim_id: str) -> None:
    conn = source.conn
    claim = redemption.find_claim(conn, claim_id)
    claimed = {row["line"]: row["amount_fen"] for row in redemption.claim_lines(conn, claim_id)}
    of_line = schema.statement_line.c
    named = select(of_line.statement).where(of_line.id.in_(claimed)).distinct()
    found = conn.execute(select(schema.statement).where(schema.statement.c.id.in_(named)))
    papers = [dict(row) for row in found.mappings()]
    papers.sort(key=lambda row: row["id"])
    lines = [
        _line(row, claimed.get(row["id"]))
        for paper in papers
        for row in statements.lines(conn, paper["id"])
    ]
    runs, said = _papers(source, papers, lines)
    summary = _summary(source, claim, lines, said)
    into.add(packet.SUMMARY, _json(summary))
    rows = packet.summary_rows(summary)
    into.add(packet.SUMMARY_CSV, packet.table(packet.SUMMARY_CSV, rows))
    into.add(packet.STATEMENTS, _json(said))
    into.add(packet.LINES, packet.table(packet.LINES, lines))
    accounts = sorted({paper["account"] for paper in papers})
    for name, own in _proofs(source, accounts, papers, claim["seq"]).items():
        into.add(name, packet.table(name, own))
    into.add(packet.POLICY, _policy(conn, source.policy, claim["seq"]))
    leaves: list[bytes] = []
    into.stream(packet.USAGE_CSV, _usage_csv(runs, leaves))
    into.add(packet.USAGE_PARQUET, _parquet(runs))
    tree = {"root": merkle.root(leaves).hex(), "leaves": len(leaves), "hash": "RFC 6962 SHA-256"}
    manifest = {"packet": packet.VERSION, "claim": claim_id, "merkle": tree, "files": into.files}
    into.add(packet.MANIFEST, _json(manifest))


def _json(value: object) -> bytes:
    return (canonical(value) + "\n").encode()


def _line(row: Mapping[str, Any], claimed_fen: int | None) -> Json:
    named = {name: row[name] for name in packet.TABLES[packet.LINES] if name in row}
    also = {"line": row["id"], "refund": row["refund"] or "", "claimed_fen": claimed_fen}
    return named | also


def _policy(conn: Connection, policy: Policy, seq: int) -> bytes:
    """Return the text of the rules that were in force at an entry."""
    table = schema.document.c
    query = select(table.text).where(table.kind == "policy", table.seq <= seq)
    query = query.where(table.version == policy.name)
    return str(conn.execute(query).scalar_one()).encode()


# --- who pays -----------------------------------------------------------------------------------


def _summary(
    source: Source, claim: Mapping[str, Any], lines: Sequence[Json], papers: Sequence[Json]
) -> Json:
    conn = source.conn
    book = identity(conn)
    by_statement: dict[str, int] = {}
    for line in lines:
        name = line["statement"]
        by_statement[name] = by_statement.get(name, 0) + (line["claimed_fen"] or 0)
    borne = packet.by_voucher(lines, papers)
    funders = {voucher: _funders(conn, voucher) for voucher in borne}
    return {
        "claim": claim["id"],
        "book": book.book_id,
        "rehearsal": book.rehearsal,
        "provider": claim["provider"],
        "provider_name": find(conn, "provider", id=claim["provider"]).name,
        "claimant": claim["claimant"] or claim["provider"],
        "quarter": claim["quarter"],
        "opened_by_entry": claim["seq"],
        "entry_hash": hash_of(conn, claim["seq"]),
        "policy": source.policy.name,
        "amount_fen": claim["amount_fen"],
        "by_statement_fen": by_statement,
        "by_voucher_fen": borne,
        "by_funder_fen": packet.by_funder(borne, funders, source.policy.name),
        "funders": funders,
    }


def _funders(conn: Connection, voucher: str) -> list[tuple[str, int]]:
    table = schema.voucher_funder.c
    query = select(table.funder, table.amount_fen).where(table.voucher == voucher)
    return [(row.funder, row.amount_fen) for row in conn.execute(query.order_by(table.place))]


def _proofs(
    source: Source, accounts: Sequence[str], papers: Sequence[Json], seq: int
) -> dict[str, list[Json]]:
    """Return invoices of the statements, payments to their accounts, and what these came to owe."""
    conn = source.conn
    ids = [paper["id"] for paper in papers]
    invoices = []
    for table in (schema.invoice, schema.red_invoice):
        query = select(table).where(table.c.statement.in_(ids), table.c.seq <= seq)
        for row in conn.execute(query.order_by(table.c.seq, table.c.number)).mappings():
            invoices.append(dict(row) | {"red_of": row.get("invoice", "")})
    undone = select(schema.journal.c.reverses).where(
        schema.journal.c.reverses.is_not(None), schema.journal.c.seq <= seq
    )
    paid = schema.payment.c
    query = select(schema.payment).where(paid.account.in_(accounts), paid.seq <= seq)
    query = query.where(paid.seq.not_in(undone)).order_by(paid.account, paid.seq)
    due = schema.statement.c
    wanted = select(schema.statement).where(due.account.in_(accounts), due.seq <= seq)
    whole = source.policy.payment_mode == "reimburse"
    return {
        packet.INVOICES: invoices,
        packet.PAYMENTS: [dict(row) for row in conn.execute(query).mappings()],
        packet.DUES: [
            {
                "account": row["account"],
                "statement": row["id"],
                "due_fen": row["fee_fen" if whole else "cash_fen"],
            }
            for row in conn.execute(wanted.order_by(due.account, due.seq)).mappings()
        ],
    }


# --- what was delivered -------------------------------------------------------------------------


def _papers(
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
    before = stating.stated(conn, account, month, earlier)
    refunds = _refunds(conn, paper["id"], month)
    span = stating.stated_upto(conn, account, month, paper["seq"]), paper["upto_seq"]
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
            "borne_fen": stating.borne_of(conn, account, month, earlier),
        },
        "drawn_fen": stating.borne_of(conn, account, month, table.id == paper["id"]),
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
    query = select(*(table.c[name] for name in Segment.__slots__))
    query = query.join(charge, charge.c.path == table.c.path).order_by(table.c.path)
    query = query.where(charge.c.account == account, charge.c.month == month)
    query = query.where(table.c.seq > span[0], table.c.seq <= span[1])
    added, taken = [usage.STORED.empty_table()], [usage.STORED.empty_table()]
    for row in conn.execute(query).mappings().all():
        segment = Segment(**row)
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


def _usage_csv(runs: pa.Table, leaves: list[bytes]) -> Iterator[bytes]:
    """Write runs as CSV, and hash each for the tree."""
    yield packet.text([packet.USAGE.names])
    for part in runs.to_batches(max_chunksize=BATCH_ROWS):
        rows = part.to_pylist()
        leaves += map(packet.leaf, rows)
        yield packet.text(row.values() for row in rows)


def _parquet(runs: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    plain = [  # dictionaries in the order in which their words come, whatever the runs came from
        column.cast(pa.string()).combine_chunks().dictionary_encode()
        if pa.types.is_dictionary(column.type)
        else column.combine_chunks()
        for column in runs.columns
    ]
    table = pa.Table.from_arrays(plain, schema=packet.USAGE)
    pq.write_table(table, sink, compression="zstd", row_group_size=2**20)
    return bytes(sink.getvalue().to_pybytes())
