"""Sums of the runs of a file, kept beside the archive: it never changes, so neither do they.

They stand in `sums/ZONE/` and are nobody's evidence: what is torn, of another version, or of a file
that is not there as the book knows it, is as if it were not there. Whoever takes them away has them
added up anew.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from accounting.runs import filing
from accounting.runs.segment import Segment

FOLDER = "sums"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sums.

    Attributes:
        suffix: What is appended to the name of a file.
        version: Of what is kept; another one is added up anew.
        schema: Of the tables, each a row group.
    """

    suffix: str
    version: bytes
    schema: pa.Schema

    @property
    def written(self) -> dict[str, Any]:
        """How tables are written: words by number, numbers by what they differ. Defaults and zstd
        take nearly three times as long, for as much."""
        by_number = [each.name for each in self.schema if pa.types.is_dictionary(each.type)]
        return {
            "compression": "snappy",
            "use_dictionary": by_number,
            "column_encoding": {
                name: "DELTA_BINARY_PACKED" for name in self.schema.names if name not in by_number
            },
            "write_statistics": False,
            "write_page_checksum": True,
        }


def where(path: str, timezone: str, kind: Kind) -> str:
    """Return where sums of a file are, below the root."""
    return f"{FOLDER}/{timezone}/{path.removeprefix(f'{filing.FOLDER}/')}{kind.suffix}"


def tidy(root: Path, known_paths: Iterable[str]) -> None:
    """Take sums away that are of no file of the archive."""
    known = set(known_paths)
    folder = root / FOLDER
    for each in folder.rglob("*.*"):
        if not each.is_dir():
            cluster, month, name = each.relative_to(folder).parts[-3:]
            if f"{filing.FOLDER}/{cluster}/{month}/{name.rpartition('.')[0]}" not in known:
                each.unlink(missing_ok=True)


def keep(root: Path, file: Segment, timezone: str, kind: Kind, tables: Sequence[pa.Table]) -> None:
    """Keep sums; where nothing can be written, whoever looks for them adds up again."""
    sink = pa.BufferOutputStream()
    schema = kind.schema.with_metadata({"version": kind.version})
    with pq.ParquetWriter(sink, schema, **kind.written) as writer:
        for table in tables:
            writer.write_table(table.cast(schema), row_group_size=max(1, table.num_rows))
    target = root / where(file.file, timezone, kind)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(sink.getvalue())
        partial.replace(target)  # not synced: what is torn has a wrong checksum
    except OSError:
        return


def kept(
    root: Path, file: Segment, timezone: str, kind: Kind, number: int, columns: Sequence[str]
) -> pa.Table | None:
    """Return columns of one of the tables that are kept of a file; None where there are none, or
    the file itself is not there as the book knows it: whoever adds up says what is wrong with it.
    """
    try:
        if filing.where(root, file.file).stat().st_size != file.size_bytes:
            return None
        path = root / where(file.file, timezone, kind)
        with pq.ParquetFile(path, page_checksum_verification=True) as source:
            if (source.metadata.metadata or {}).get(b"version") != kind.version:
                return None
            rows = source.read_row_group(number, [*columns], use_threads=False).select(columns)
    except (OSError, ValueError):  # not there, or torn: Arrow's own errors are ValueErrors
        return None
    return rows.cast(pa.schema([kind.schema.field(name) for name in columns]))
