"""Do not charge the seconds twice that Slurm 22.05 reports twice for a resized job.

A job that is resized leaves one row for each size; all but the last have the state RESIZING.
The Submit of a row is the instant at which its size began. On 26.05 it starts then, too. On
22.05 it starts where the job first started, so that it overlaps the rows before it: a job of
16 cards that shrinks to 8 after 2 s and runs for 25 s more shows 2 s, then 27 s.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from accounting import period
from accounting.runs import usage
from accounting.runs.segment import Segment


@dataclass(frozen=True)
class Near:
    """Which segments may hold stored rows that matter to incoming runs.

    Attributes:
        submit_min_s, submit_max_s: Rows of the same key have the same submit; the next size of
            a resized job has the RESIZING row's end as its submit.
        months: An overlapping row of a resized job wants the RESIZING row that ended at its
            submit, whenever that was submitted.
    """

    submit_min_s: int
    submit_max_s: int
    months: frozenset[str]

    def has(self, segment: Segment) -> bool:
        """Tell whether a segment may hold such rows."""
        overlaps = self.submit_min_s <= segment.submit_max_s
        overlaps &= segment.submit_min_s <= self.submit_max_s
        return overlaps or segment.month in self.months


def near(runs: pa.Table, timezone: str) -> Near:
    """Say which segments may hold stored rows that matter to incoming runs."""
    submits = pc.min_max(runs.column("submit_s")).as_py()
    resizing = np.flatnonzero(usage.marks(runs.column("state"), "RESIZING"))
    ends = pc.min_max(runs.column("end_s").take(pa.array(resizing))).as_py()
    overlapping = pc.less(runs.column("start_s"), runs.column("submit_s"))
    months = {
        period.month_of(at_s, timezone)
        for at_s in runs.column("submit_s").filter(overlapping).to_pylist()
    }
    return Near(submits["min"], max(submits["max"], ends["max"] or 0), frozenset(months))


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
    # one chunk stays one: each array of many is a copy
    rows = pa.concat_tables([late, incoming]) if late.num_rows else incoming
    return _bill_from_submit(rows, _overlapping(rows, parts))


def _ends(table: pa.Table) -> set[tuple[str, int, int]]:
    """Return (cluster, job id, end) of each RESIZING row."""
    resizing = np.flatnonzero(usage.marks(table.column("state"), "RESIZING"))
    rows = table.select(["cluster", "job_id", "end_s"]).take(pa.array(resizing))
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
        usage.as_one(table.column("billed_from_s")), pa.array(marks), pa.array(submit_s)
    )
    place = table.column_names.index("billed_from_s")
    return table.set_column(place, usage.USAGE.field("billed_from_s"), column)
