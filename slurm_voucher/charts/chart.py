"""A chart as plain data: what is drawn, and nothing of how.

Figures are exact; whoever draws one makes a place on the paper of it and prints it as it is here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from slurm_voucher.words import word

SERIES_MAX = 8
"""More are not told apart, by colour or by mark."""
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#444444", "#aaaaaa",
)  # fmt: skip
"""Told apart also by those who see fewer colours."""
OTHERS = "others"
FEW = 5
"""So many bars take the whole axis; fewer stay as slim."""
TICKS_MAX = 14
"""More names do not stand along an axis side by side."""


class Kind(Enum):
    """How values stand over the places of the axis."""

    BARS = "bars"
    """Stacked, one bar for each name."""
    STEPS = "steps"
    """Lines that change at a day and stay until the next one."""
    LINES = "lines"
    """A point at each name, joined: shares, which do not add up."""


@dataclass(frozen=True)
class Series:
    """One of the things compared: a value for each place of the axis, None where there is none."""

    name: str
    values: tuple[Decimal | None, ...]


@dataclass(frozen=True)
class Chart:
    """What is drawn together, in one unit.

    Attributes:
        at: Names along the axis; days (2026-11-27), in their order, where kind is STEPS.
    """

    title: str
    unit: str
    kind: Kind
    at: tuple[str, ...]
    series: tuple[Series, ...]

    @property
    def texts(self) -> Iterable[str]:
        """Yield every word that is drawn."""
        yield from (self.title, self.unit, *self.at, *(each.name for each in self.series))


def around(bars: int) -> tuple[float, float]:
    """Return where an axis of bars begins and ends, one for each whole number: few stay slim."""
    middle, half = (bars - 1) / 2, max(bars, FEW) / 2
    return middle - half, middle + half


def lowest(chart: Chart) -> float:
    """Return where the axis of values begins: at nothing, or below it where values are.

    An axis that begins elsewhere makes a little less look like half.
    """
    rows = [[min(0.0, float(v or 0)) for v in each.values] for each in chart.series]
    if chart.kind is Kind.BARS:  # stacked
        rows = [[sum(column) for column in zip(*rows, strict=True)]]
    return min((value for row in rows for value in row), default=0.0)


def series(values: Mapping[str, tuple[Decimal | None, ...]]) -> tuple[Series, ...]:
    """Return the largest as they are, in their order, and the sum of all others as one.

    Example:
        Of ten, seven by name and the sum of three as "others (3)".
    """
    if len(values) <= SERIES_MAX:
        return tuple(Series(name, own) for name, own in values.items())
    size = {name: sum(v or 0 for v in own) for name, own in values.items()}
    largest = sorted(values, key=lambda name: -size[name])[: SERIES_MAX - 1]
    rest = [own for name, own in values.items() if name not in largest]
    summed = tuple(_sum(column) for column in zip(*rest, strict=True))
    named = tuple(Series(name, own) for name, own in values.items() if name in largest)
    return (*named, Series(f"{word('series', OTHERS)} ({len(rest)})", summed))


def _sum(column: Iterable[Decimal | None]) -> Decimal | None:
    known = [value for value in column if value is not None]
    return sum(known, Decimal(0)) if known else None
