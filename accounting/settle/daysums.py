"""What runs had on each day, by file: added up once, kept beside the archive, read by reports.

A file of the archive never changes, so neither does what its runs come to. A report that finds no
sums of a file adds them up (`cutting.py`) and keeps them, if it may write there (`summing.py`).
They stand in `sums/ZONE/` and are nobody's evidence: whoever takes them away has them added up
anew. Where usage is taken in, they are kept as it is written.

The sums of a file are what it adds: of its rows, less those that they take the place of. So those
of all files are those of the runs as they were told last, whatever was corrected when.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from accounting.runs import filing, usage
from accounting.runs.segment import Segment

GROUPINGS = (("partition", "qos", "chip", "provider", "tariff"), ("account",), ("user",))
"""What is added up by together: of the first there are few, whatever runs there are."""
WORDS = tuple(name for columns in GROUPINGS for name in columns)
COUNTED = ("ran", "started", "ended", "charged")
"""Runs that ran on a day, started and ended on it, and those that ended on it and were charged."""
SUMMED = (
    "wall_s", "node_s", "cpu_s", "card_s", "gflops_s", "unmetered_card_s", "charged_gflops_s",
    "charge_micro",
)  # fmt: skip
FIGURES = (*COUNTED, *SUMMED)
SCHEMA = pa.schema(
    [
        pa.field("day_s", pa.int64(), nullable=False),
        *(usage.STORED.field(name).with_nullable(True) for name in WORDS),
        *(pa.field(name, pa.int64(), nullable=False) for name in FIGURES),
    ]
)
"""A row: the begin of a day, words of one of GROUPINGS, and figures; row group by row group."""
FOLDER, SUFFIX = "sums", ".sums"
VERSION = b"1"
"""Of what is kept; another one is added up anew."""
_WRITTEN: dict[str, Any] = {
    "compression": "snappy",
    "use_dictionary": WORDS,
    "column_encoding": dict.fromkeys(("day_s", *FIGURES), "DELTA_BINARY_PACKED"),
    "write_statistics": False,
    "write_page_checksum": True,
}


def where(path: str, timezone: str) -> str:
    """Return where the sums of a file are, below the root."""
    return f"{FOLDER}/{timezone}/{path.removeprefix(f'{filing.FOLDER}/')}{SUFFIX}"


def tidy(root: Path, known_paths: Iterable[str]) -> None:
    """Take sums away that are of no file of the archive."""
    known = set(known_paths)
    folder = root / FOLDER
    for each in folder.rglob("*.*"):
        if not each.is_dir():
            cluster, month, name = each.relative_to(folder).parts[-3:]
            if f"{filing.FOLDER}/{cluster}/{month}/{name.removesuffix(SUFFIX)}" not in known:
                each.unlink(missing_ok=True)


def keep(root: Path, file: Segment, timezone: str, tables: Sequence[pa.Table]) -> None:
    """Keep sums; where nothing can be written, the next report adds up again."""
    sink = pa.BufferOutputStream()
    schema = SCHEMA.with_metadata({"version": VERSION})
    with pq.ParquetWriter(sink, schema, **_WRITTEN) as writer:
        for table in tables:
            writer.write_table(table.cast(schema), row_group_size=max(1, table.num_rows))
    target = root / where(file.file, timezone)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(sink.getvalue())
        partial.replace(target)  # not synced: what is torn has a wrong checksum
    except OSError:
        return


def kept(
    root: Path, file: Segment, timezone: str, number: int, columns: Sequence[str]
) -> pa.Table | None:
    """Return columns of the sums of a file, by one of GROUPINGS; None where there are none, or the
    file itself is not there as the book knows it: whoever adds up says what is wrong with it."""
    try:
        if filing.where(root, file.file).stat().st_size != file.size_bytes:
            return None
        path = root / where(file.file, timezone)
        with pq.ParquetFile(path, page_checksum_verification=True) as source:
            if (source.metadata.metadata or {}).get(b"version") != VERSION:
                return None
            rows = source.read_row_group(number, columns=[*columns]).select(columns)
    except (OSError, ValueError):  # not there, or torn: Arrow's own errors are ValueErrors
        return None
    return rows.cast(pa.schema([SCHEMA.field(name) for name in columns]))
