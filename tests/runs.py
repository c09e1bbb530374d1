"""Runs for tests: one that can be varied, and the 11,704 real ones of a public cluster."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher.sources import BadRow, sacct

DATA = Path(__file__).parent / "data"

A_RUN = Run(
    cluster="chengdu",
    job_id=16,
    job="16_2",
    submit_s=1_720_000_000,
    start_s=1_720_000_100,
    end_s=1_720_003_700,
    billed_from_s=1_720_000_100,
    elapsed_s=3600,
    suspended_s=0,
    state="COMPLETED",
    partition="ai",
    qos="normal",
    slurm_account="lab",
    user="li",
    uid=1001,
    nodes=1,
    cpus=24,
    mem_mb=128_000,
    cards=2,
    gres="gpu:ascend_910b=2",
    req_gres="gpu:ascend_910b=2",
    voucher="CD24-0007",
    hold="0123456789abcdef0123456789abcdef",
    held_micro=48_000_000,
)


def a_run(**changes: Any) -> Run:
    """Vary the one run."""
    return replace(A_RUN, **changes)


def rated(table: pa.Table, revision: int = 0, **values: Any) -> pa.Table:
    """Add RATED columns to USAGE rows: free unless told otherwise."""
    facts = {"status": "free", "reason": "", "gflops_s": 0, "charge_micro": 0, "eligible_micro": 0}
    facts |= {"revision": revision, **values}
    for field in usage.RATED:
        column = pa.array([facts.get(field.name)] * table.num_rows, field.type)
        if field.name in table.column_names:
            table = table.drop_columns([field.name])
        table = table.append_column(field, column)
    return table.select(usage.STORED.names)


def header() -> list[str]:
    """Return the columns of the files in data/xdmod."""
    return (DATA / "xdmod/HEADER.txt").read_text().splitlines()[0].split("|")


def pozidriv_lines() -> list[bytes]:
    """Return the rows of the public cluster as they stand in the file."""
    return gzip.decompress((DATA / "xdmod/pozidriv.psv.gz").read_bytes()).splitlines()


def pozidriv(lines: Sequence[bytes]) -> pa.Table:
    """Read rows of the public cluster."""
    read = list(sacct.parse(lines, fields=header(), timezone="UTC", cluster="pozidriv"))
    assert not [row for row in read if isinstance(row, BadRow)]
    return usage.table(row for row in read if isinstance(row, Run))


def expected(name: str) -> Any:
    """Read a JSON file of tests/data."""
    return json.loads((DATA / name).read_text())
