"""What runs had on each day, by file: added up once, kept (`keeping.py`), read by reports.

A report that finds no sums of a file adds them up (`cutting.py`) and keeps them, if it may write
there (`summing.py`). Where usage is taken in, they are kept as it is written.

The sums of a file are what it adds: of its rows, less those that they take the place of. So those
of all files are those of the runs as they were told last, whatever was corrected when.
"""

import pyarrow as pa

from accounting.runs import usage
from accounting.settle.keeping import Kind

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
KIND = Kind(".sums", b"1", SCHEMA)
