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

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import canonical, hash_of, identity
from accounting.policy import Policy
from accounting.redeem import backing, funding, merkle, packet, redemption
from accounting.redeem.backing import Json, Source
from accounting.settle import statements
from accounting.vouchers.registry import find

BATCH_ROWS = 65_536
"""How many runs are written as text at a time."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The instant that every file in the zip has: the first one that a zip can say."""


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
    except OSError as error:  # names the file that was asked for, and not the one beside it
        raise OSError(error.errno, error.strerror, str(out)) from None
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
    runs, said = backing.papers(source, papers, lines)
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
    borne = funding.by_voucher(lines, papers)
    given, before = funding.of_vouchers(conn), funding.before(conn, claim["seq"])
    funders = {voucher: given.get(voucher, []) for voucher in borne}
    before = {voucher: before.get(voucher, 0) for voucher in borne if funders[voucher]}
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
        "before_fen": before,
        "by_funder_fen": funding.by_funder(borne, before, funders, source.policy.name),
        "funders": funders,
    }


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


# --- runs as files -------------------------------------------------------------------------------


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
