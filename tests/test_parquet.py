"""Our own layout of a Parquet file: whoever reads it reads what was written."""

import io
import random
from pathlib import Path

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accounting.runs import parquet

HIGHEST = 2**63 - 1
WORDS = ["", "a", "hold", "成都超算", "x" * 300]
SCHEMA = pa.schema(
    [
        pa.field("difference", pa.int64(), False),
        pa.field("difference_", pa.int64()),
        pa.field("number", pa.int32(), False),
        pa.field("number_", pa.int64()),
        pa.field("word", pa.dictionary(pa.int32(), pa.string()), False),
        pa.field("word_", pa.dictionary(pa.int32(), pa.string())),
        pa.field("text", pa.string(), False),
        pa.field("text_", pa.string()),
        pa.field("small", pa.int16(), False),
    ]
)
HOW = {
    "compression": dict.fromkeys(SCHEMA.names, "none") | {"text": "snappy", "text_": "zstd"},
    "compression_level": {"text_": 1},
    "use_dictionary": ["number", "number_", "word", "word_"],
    "column_encoding": dict.fromkeys(["difference", "difference_"], "DELTA_BINARY_PACKED"),
    "write_statistics": ["difference", "difference_", "small"],
}


def column(chance: random.Random, field: pa.Field, rows: int) -> pa.Array:
    """Make up a column: few values or many, near each other or as far as can be."""
    null = chance.choice((0, 0.1, 0.9, 1)) if field.nullable else 0
    if not pa.types.is_integer(field.type):
        some = chance.sample(WORDS, chance.randint(1, len(WORDS)))
        values = [chance.choice(some) for _ in range(rows)]
    else:
        most = chance.choice((0, 1, 255, 2 ** (field.type.bit_width - 1) - 1))
        values = [chance.randint(-most - (most > 255), most) for _ in range(rows)]
    kept = [None if chance.random() < null else value for value in values]
    plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return pa.array(kept, plain).cast(field.type)


def table(chance: random.Random, rows: int) -> pa.Table:
    """Make up a table, from whole arrays or from parts of larger ones."""
    before = chance.choice((0, 0, 3, 8))
    columns = [column(chance, field, before + rows).slice(before) for field in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


@pytest.mark.parametrize("seed", range(60))
def test_everybody_reads_what_was_written(tmp_path: Path, seed: int) -> None:
    """Arrow reads the same table, schema and all; DuckDB and Polars what they read of Arrow's."""
    chance = random.Random(seed)
    rows = table(chance, chance.choice((1, 2, 7, 8, 31, 127, 128, 129, 130, 1000)))
    size = chance.choice((3, 64, 2**20)) if rows.num_rows < 500 else 400
    ours, arrows = tmp_path / "ours.parquet", tmp_path / "arrows.parquet"
    ours.write_bytes(parquet.written(rows, **HOW, row_group_size=size))
    pq.write_table(rows, arrows, **HOW)
    found = pq.ParquetFile(ours)

    assert found.read().equals(rows)
    assert found.schema_arrow == SCHEMA
    assert found.schema.equals(pq.ParquetFile(arrows).schema)
    assert found.num_row_groups == -(-rows.num_rows // size)
    assert polars.read_parquet(ours).equals(polars.read_parquet(arrows))
    read = [duckdb.read_parquet(str(path)).fetchall() for path in (ours, arrows)]
    assert read[0] == read[1]


@pytest.mark.parametrize("seed", range(20))
def test_bounds_are_those_of_arrow(seed: int) -> None:
    """The footer keeps bounds and the number of nulls of the columns that are named."""
    rows = table(random.Random(seed), 50)
    file = io.BytesIO()
    pq.write_table(rows, file, **HOW)
    both = [
        pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0)
        for content in (bytes(parquet.written(rows, **HOW)), file.getvalue())
    ]
    for i, name in enumerate(SCHEMA.names):
        ours, arrows = (group.column(i).statistics for group in both)
        assert (ours is None) == (arrows is None) == (name not in HOW["write_statistics"])
        if ours is not None:
            assert (ours.min, ours.max) == (arrows.min, arrows.max)
            assert ours.null_count == arrows.null_count


def test_the_same_rows_make_the_same_bytes() -> None:
    """What stands under a null, before a column or behind it, is in no file."""
    values = np.array([7, 1, 9, 2], np.int64)
    other = np.array([8, 1, 5, 2], np.int64)
    bits = [np.array([byte], np.uint8) for byte in (0b0000_1010, 0b1111_1010)]
    made = []
    for numbers, valid in zip((values, other), bits, strict=True):
        buffers = [pa.py_buffer(valid), pa.py_buffer(numbers)]
        one = pa.Array.from_buffers(pa.int64(), 4, buffers)
        schema = pa.schema([SCHEMA.field("difference_")])
        made.append(parquet.written(pa.Table.from_arrays([one], schema=schema), **HOW))
    assert made[0] == made[1]
