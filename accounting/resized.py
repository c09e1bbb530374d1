"""Do not charge the seconds twice that Slurm 22.05 reports twice for a resized job.

A job that is resized leaves one row for each size; all but the last have the state RESIZING.
The Submit of a row is the instant at which its size began. On 26.05 it starts then, too. On
22.05 it starts where the job first started, so that it overlaps the rows before it: a job of
16 cards that shrinks to 8 after 2 s and runs for 25 s more shows 2 s, then 27 s.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from accounting import usage


def billed_from(incoming: pa.Table, stored: pa.Table) -> pa.Table:
    """Bill from its Submit each row at whose Submit a RESIZING row of the same job ends.

    Only billed_from_s changes: elapsed_s stays what Slurm says, `usage.billable_s` and rating
    take off what lies before. A start before Submit without that RESIZING row is left alone.
    Doing it twice is doing it once.

    Args:
        incoming: Rows of the schema USAGE, as a source gave them.
        stored: `archive.current` rows of the same jobs: the RESIZING row may have come before.

    Returns:
        Stored rows that need it because their RESIZING row comes in only now, then the
        incoming rows in their order.

    Example:
        Start 100, Submit 102, End 127, elapsed 27: billed from 102, which is 25 s.
    """
    incoming = usage.conform(incoming, usage.USAGE)
    archived = usage.conform(stored, usage.USAGE)
    parts = _ends(incoming) | _ends(archived)
    if not parts:
        return incoming
    late = archived.filter(pa.array(_overlapping(archived, parts)))
    rows = pa.concat_tables([late, incoming])
    return _bill_from_submit(rows, _overlapping(rows, parts))


def _ends(table: pa.Table) -> set[tuple[str, int, int]]:
    """Return (cluster, job id, end) of each RESIZING row."""
    state = table.column("state").cast(pa.string())
    rows = table.filter(pc.equal(state, "RESIZING")).select(["cluster", "job_id", "end_s"])
    return set(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _overlapping(
    table: pa.Table, parts: set[tuple[str, int, int]]
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Mark the rows that start before the Submit at which a part of their job ends."""
    submit_s = usage.numbers(table.column("submit_s"))
    billed_s = usage.numbers(table.column("billed_from_s"), 2**62)
    marks = (billed_s < submit_s) & (submit_s <= usage.numbers(table.column("end_s")))
    places = np.flatnonzero(marks)
    few = table.take(pa.array(places))
    names = zip(
        *(few.column(name).to_pylist() for name in ("cluster", "job_id", "submit_s")), strict=True
    )
    marks[places] = [key in parts for key in names]
    return marks


def _bill_from_submit(
    table: pa.Table, marks: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
) -> pa.Table:
    """Move the begin of billing of the marked rows to their Submit."""
    if not marks.any():
        return table
    submit_s = usage.numbers(table.column("submit_s"))[marks]
    column = pc.replace_with_mask(
        table.column("billed_from_s").combine_chunks(), pa.array(marks), pa.array(submit_s)
    )
    place = table.column_names.index("billed_from_s")
    return table.set_column(place, usage.USAGE.field("billed_from_s"), column)
