"""What machines did, split by time, over a whole archive: as `reports.usage_by` says, streamed.

Columns are read a part at a time and cut by compiled loops; what those are not sure of, runs of
decades, is cut plainly.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from accounting.runs import reports
from accounting.runs.reports import Hours
from accounting.runs.segment import Segment
from accounting.settle import tallying

OF_RUNS = ("account", "provider", "partition", "chip", "qos", "user")
GROUPS = (*OF_RUNS, "unit")
"""What a cluster's usage can be added up by; a unit is that of the account."""
Key = tuple[str, str]
"""A period, and what is added up by; nothing in place of what a run has not."""


def usage(
    root: Path, files: Sequence[Segment], by: str, timezone: str, group: str | None = None
) -> dict[Key, Hours]:
    """Add a cluster's usage up by day, week, month, quarter or year, or in total.

    Args:
        root: Root of the archive.
        files: All of the cluster's, as `places.files` lists them.
        by: A kind of `period.KINDS`, or `total`.
        timezone: Zone of the periods.
        group: One of OF_RUNS, to add up by besides.

    Returns:
        Each period from the first run to the last, as `reports.usage_by` has it; with a group, sums
        in the order of (period, group), without those in which nothing ran.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    from accounting.settle import cutting  # numba takes its time; only who counts shall wait for it

    parts = tallying.footers(root, files)
    span = tallying.span(root, parts)
    if span is None:
        return {}
    names, edges = reports.periods(*span, by, timezone)
    cells, apart, span = cutting.hours(root, parts, cutting.Asked(edges, group))
    if span[0] > span[1]:
        return {}
    listed, _ = reports.periods(*span, by, timezone)
    found = {} if group else {(name, ""): Hours() for name in listed}
    _add(
        found,
        (((names[c.period], c.group or ""), Hours(*c.sums, *c.counts)) for c in cells),
    )
    if apart is not None:
        _add(found, _plainly(apart, by, timezone, group))
    return {key: found[key] for key in sorted(found)} if group else found


def _plainly(
    apart: pa.Table, by: str, timezone: str, group: str | None
) -> Iterable[tuple[Key, Hours]]:
    """Add runs up as the definition does, each group by itself."""
    words = apart.column(group).cast(pa.string()).fill_null("") if group else None
    for word in [""] if words is None else words.unique().to_pylist():
        own = apart if words is None else apart.filter(pc.equal(words, word))
        for name, hours in reports.usage_by(own, by, timezone).items():
            if group is None or hours != Hours():
                yield (name, word), hours


def by_unit(found: Mapping[Key, Hours], units: Mapping[str, str]) -> dict[Key, Hours]:
    """Add sums of accounts up by the units that they belong to."""
    summed: dict[Key, Hours] = {}
    _add(summed, (((name, units.get(of, "")), own) for (name, of), own in found.items()))
    return {key: summed[key] for key in sorted(summed)}


def _add(found: dict[Key, Hours], more: Iterable[tuple[Key, Hours]]) -> None:
    for key, own in more:
        both = zip(astuple(found.get(key, Hours())), astuple(own), strict=True)
        found[key] = Hours(*(one + two for one, two in both))
