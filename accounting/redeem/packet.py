"""What an evidence packet is: its files, their columns, and what stands for a run in its hash tree.

Amounts are fen and micro-yuan, instants epoch seconds UTC; text that is missing is empty.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from accounting.book.ledger import canonical
from accounting.redeem import merkle

VERSION = 1
MANIFEST = "manifest.json"
POLICY = "policy.yaml"
SUMMARY = "summary.json"
SUMMARY_CSV = "summary.csv"
STATEMENTS = "statements.json"
LINES = "lines.csv"
INVOICES = "invoices.csv"
PAYMENTS = "payments.csv"
DUES = "dues.csv"
USAGE_CSV = "usage.csv"
USAGE_PARQUET = "usage.parquet"
FILES = (
    SUMMARY,
    SUMMARY_CSV,
    STATEMENTS,
    LINES,
    INVOICES,
    PAYMENTS,
    DUES,
    POLICY,
    USAGE_CSV,
    USAGE_PARQUET,
)
"""In the order in which they stand in the zip; the manifest, which names them, stands last."""

WHAT = {
    "line": str,
    "usage_month": str,
    "cluster": str,
    "partition": str,
    "qos": str,
    "chip": str,
    "tariff": str,
    "refund": str,
}
"""What a statement's line is for."""
FIGURES = {
    "runs": int,
    "gflops_s": int,
    "charge_micro": int,
    "eligible_micro": int,
    "fee_fen": int,
    "deduction_fen": int,
    "cash_fen": int,
}
TABLES: Mapping[str, Mapping[str, type]] = {
    SUMMARY_CSV: {"what": str, "name": str, "amount_fen": int},
    LINES: {"statement": str, **WHAT, **FIGURES, "claimed_fen": int},
    INVOICES: {
        "number": str,
        "statement": str,
        "red_of": str,
        "gross_fen": int,
        "net_fen": int,
        "tax_fen": int,
        "recorded_on": str,
    },
    PAYMENTS: {"reference": str, "account": str, "amount_fen": int, "paid_on": str},
    DUES: {"account": str, "statement": str, "due_fen": int},
}
"""Columns of the small tables. What is not there is empty, as the claimed part of other lines."""

_NAME = pa.dictionary(pa.int32(), pa.string())
_RUN = {
    "statement": _NAME,
    "line": _NAME,
    "account": _NAME,
    "usage_month": _NAME,
    "cluster": _NAME,
    "job_id": pa.int64(),
    "job": _NAME,
    "submit_s": pa.int64(),
    "start_s": pa.int64(),
    "revision": pa.int64(),
    "count": pa.int64(),
    "end_s": pa.int64(),
    "elapsed_s": pa.int64(),
    "state": _NAME,
    "partition": _NAME,
    "qos": _NAME,
    "chip": _NAME,
    "tariff": _NAME,
    "nodes": pa.int64(),
    "cpus": pa.int64(),
    "cards": pa.int64(),
    "gflops_s": pa.int64(),
    "charge_micro": pa.int64(),
    "eligible_micro": pa.int64(),
    "intervals_micro": _NAME,
}
USAGE = pa.schema([pa.field(name, type_, name == "start_s") for name, type_ in _RUN.items()])
"""Columns of the runs: `count` is 1, or -1 where what an earlier statement had is taken back;
`line` is empty where both cancel; `intervals_micro` is what the run cost in each interval between
the edges of the account's vouchers, with spaces between. Who ran it is not there."""


def order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return where a run stands among the others."""
    start_s = -1 if row["start_s"] is None else row["start_s"]
    key = (row["cluster"], row["job_id"], row["submit_s"], start_s)
    return (*key, row["revision"], row["count"], row["statement"])


def leaf(row: Mapping[str, Any]) -> bytes:
    """Return what is hashed for a run."""
    return merkle.leaf_hash(canonical(dict(row)).encode())


def table(name: str, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Write one of the small tables as CSV."""
    return text([TABLES[name], *([row[key] for key in TABLES[name]] for row in rows)])


def text(rows: Iterable[Iterable[Any]]) -> bytes:
    """Write rows as CSV; None is empty."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def cells(content: bytes) -> list[list[str]]:
    """Read CSV as rows of text. Raises ValueError where it is none."""
    try:
        return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None


def summary_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the summary as a table."""
    whole = {"what": "claim", "name": summary["claim"], "amount_fen": summary["amount_fen"]}
    return [whole] + [
        {"what": what, "name": name, "amount_fen": fen}
        for what in ("statement", "voucher", "funder")
        for name, fen in sorted(summary[f"by_{what}_fen"].items())
    ]
