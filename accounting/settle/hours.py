"""What machines did, split by time, over a whole archive: as `reports.usage_by` says, streamed.

Columns are read a part at a time and cut by compiled loops; what those are not sure of, runs of
decades, is cut plainly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path

from accounting.runs import reports
from accounting.runs.reports import Hours
from accounting.runs.segment import Segment
from accounting.settle import tallying


def usage(root: Path, files: Sequence[Segment], by: str, timezone: str) -> dict[str, Hours]:
    """Add a cluster's usage up by day, week, month, quarter or year, or in total.

    Args:
        root: Root of the archive.
        files: All of the cluster's, as `places.files` lists them.
        by: A kind of `period.KINDS`, or `total`.
        timezone: Zone of the periods.

    Returns:
        Each period from the first run to the last, as `reports.usage_by` has it.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    from accounting.settle import cutting  # numba takes its time; only who counts shall wait for it

    parts = tallying.footers(root, files)
    span = tallying.span(root, parts)
    if span is None:
        return {}
    names, edges = reports.periods(*span, by, timezone)
    cells, apart, span = cutting.hours(root, parts, cutting.Asked(edges))
    if span[0] > span[1]:
        return {}
    listed, _ = reports.periods(*span, by, timezone)
    found = dict.fromkeys(listed, Hours())
    _add(found, ((names[cell.period], Hours(*cell.sums, *cell.counts)) for cell in cells))
    if apart is not None:
        _add(found, reports.usage_by(apart, by, timezone).items())
    return found


def _add(found: dict[str, Hours], more: Iterable[tuple[str, Hours]]) -> None:
    for name, own in more:
        both = zip(astuple(found[name]), astuple(own), strict=True)
        found[name] = Hours(*(one + two for one, two in both))
