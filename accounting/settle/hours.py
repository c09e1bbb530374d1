"""What machines did, split by time, over a whole archive: as `reports.usage_by` says, from the sums
of days that are kept beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from accounting import period
from accounting.runs import reports
from accounting.runs.reports import Hours
from accounting.runs.segment import Segment
from accounting.settle import summing
from accounting.settle.summing import Asked

OF_RUNS = ("account", "provider", "partition", "chip", "qos", "user")
GROUPS = (*OF_RUNS, "unit")
"""What a cluster's usage can be added up by; a unit is that of the account."""
Key = tuple[str, str]
"""A period, and what is added up by; nothing in place of what a run has not."""


FIGURES = ("wall_s", "node_s", "cpu_s", "card_s", "ran", "started", "ended")
"""What `Hours` has, in its order."""


def usage(root: Path, files: Sequence[Segment], asked: Asked) -> dict[Key, Hours]:
    """Add a cluster's usage up by day, week, month, quarter or year, or in total.

    Args:
        root: Root of the archive.
        files: All of the cluster's, as `places.files` lists them.
        asked: What for; by a group of OF_RUNS, if by any.

    Returns:
        Each period from the first run to the last, as `reports.usage_by` has it; with a group, sums
        in the order of (period, group), without those in which nothing ran.

    Raises:
        InvariantBroken: A file is missing or cannot be read.
    """
    cells = summing.added_up(root, files, asked, FIGURES)
    found = {(cell.period, cell.group): Hours(*cell.figures) for cell in cells}
    if asked.group or asked.by == reports.TOTAL or not cells:
        return found
    name = cells[0].period
    every = {(name, ""): Hours()}
    while name != cells[-1].period:
        name = period.following(name)
        every[name, ""] = Hours()
    return every | found


def by_unit(found: Mapping[Key, Hours], units: Mapping[str, str]) -> dict[Key, Hours]:
    """Add sums of accounts up by the units that they belong to."""
    summed: dict[Key, Hours] = {}
    _add(summed, (((name, units.get(of, "")), own) for (name, of), own in found.items()))
    return {key: summed[key] for key in sorted(summed)}


def _add(found: dict[Key, Hours], more: Iterable[tuple[Key, Hours]]) -> None:
    for key, own in more:
        both = zip(astuple(found.get(key, Hours())), astuple(own), strict=True)
        found[key] = Hours(*(one + two for one, two in both))
