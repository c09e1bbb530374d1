"""A chart drawn with characters, by plotext; each series has its mark beside its colour."""

import datetime as dt
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence

import plotext

from slurm_voucher.charts.chart import Chart, Kind, around
from slurm_voucher.cli.cells import width_of

BLOCKS = "█▓▒░#%+@"
POINTS = "•+x*o#%@"
COLOURS = ("blue", "orange", "green", "magenta", "cyan", "red", "yellow", "gray")
WIDTH_MAX, HEIGHT = 120, 18
WIDTH_MIN = 30
TICK = 12
"""Columns that a name on the axis takes, with what is between it and the next one."""
FILLER = "\ue000"
"""Stands for the second column of a Chinese character, which plotext takes for one column."""


def drawn(charts: Sequence[Chart]) -> str:
    """Return charts one below the other, in colour where that is wanted."""
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = max(WIDTH_MIN, min(shutil.get_terminal_size().columns, WIDTH_MAX))
    return "\n\n".join(_drawn(chart, width, colour) for chart in charts)


def _drawn(chart: Chart, width: int, colour: bool) -> str:
    plotext.clear_figure()
    plotext.theme("clear" if not colour else "pro")
    plotext.plotsize(width, HEIGHT)
    marks = BLOCKS if chart.kind is Kind.BARS else POINTS
    colours = [COLOURS[i] for i in range(len(chart.series))]
    if chart.kind is Kind.BARS:
        _bars(chart, colours)
    elif chart.kind is Kind.STEPS:
        _steps(chart, colours)
    else:
        _lines(chart, colours)
    text = plotext.build() if colour else plotext.uncolorize(plotext.build())
    head = _folded(f"{chart.title} ({chart.unit})", width)
    head += _legend([f"{m} {s.name}" for m, s in zip(marks, chart.series, strict=False)], width)
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join([*head, *lines]).replace(FILLER, "")


def _bars(chart: Chart, colours: list[str]) -> None:
    places = list(range(len(chart.at)))
    values = [[float(value or 0) for value in each.values] for each in chart.series]
    plotext.stacked_bar(places, values, marker=list(BLOCKS[: len(values)]), color=colours)
    plotext.xlim(*around(len(places)))
    _ticks(places, chart.at)
    _scale([sum(column) for column in zip(*values, strict=True)])


def _steps(chart: Chart, colours: list[str]) -> None:
    days = [dt.date.fromisoformat(day).toordinal() for day in chart.at]
    for each, mark, colour in zip(chart.series, POINTS, colours, strict=False):
        xs, ys = corners(days, [None if v is None else float(v) for v in each.values])
        plotext.plot(xs, ys, marker=mark, color=colour)
    _ticks(days, chart.at)
    _scale([float(v) for each in chart.series for v in each.values if v is not None])


def _lines(chart: Chart, colours: list[str]) -> None:
    places = list(range(len(chart.at)))
    for each, mark, colour in zip(chart.series, POINTS, colours, strict=False):
        known = [(i, float(v)) for i, v in enumerate(each.values) if v is not None]
        if known:
            plotext.plot(*zip(*known, strict=True), marker=mark, color=colour)
    plotext.xlim(*around(len(places)))
    _ticks(places, chart.at)
    _scale([float(v) for each in chart.series for v in each.values if v is not None])


def corners(days: Sequence[int], values: Sequence[float | None]) -> tuple[list[int], list[float]]:
    """Return the corners of a stair that changes at its days."""
    xs: list[int] = []
    ys: list[float] = []
    for day, value in zip(days, values, strict=True):
        if value is not None:
            if ys:
                xs.append(day)
                ys.append(ys[-1])
            xs.append(day)
            ys.append(value)
    return xs, ys


def _ticks(places: Sequence[int], names: Sequence[str]) -> None:
    """Write as many names below the axis as have room."""
    room = max(2, (plotext.plot_size()[0] - TICK) // (max(map(len, map(_wide, names))) + 3))
    every = -(-len(places) // room)
    plotext.xticks(list(places)[::every], [_wide(name) for name in names][::every])


def _scale(values: Sequence[float]) -> None:
    """Begin at nothing, or below it where values are, and write figures as 1,234."""
    low, high = min([0.0, *values]), max([0.0, *values])
    high = high if high > low else low + 1
    steps = [low + (high - low) * i / 4 for i in range(5)]
    plotext.ylim(low, high)
    plotext.yticks(steps, [f"{step:,.0f}" if high >= 20 else f"{step:,.2f}" for step in steps])


def _folded(text: str, width: int) -> list[str]:
    """Fold a title between words, one that is too long for a line wherever the line ends."""
    lines = [""]
    for word in text.split():
        if lines[-1] and width_of(f"{lines[-1]} {word}") > width:
            lines.append("")
        for c in f" {word}" if lines[-1] else word:
            if width_of(lines[-1] + c) > width:
                lines.append("")
            lines[-1] += c
    return lines


def _legend(entries: Sequence[str], width: int) -> list[str]:
    lines = [""]
    for entry in entries:
        line = f"{lines[-1]}  {entry}".lstrip()
        if width_of(line) > width and lines[-1]:
            lines.append(entry)
        else:
            lines[-1] = line
    return lines


def _wide(text: str) -> str:
    return "".join(c + FILLER if unicodedata.east_asian_width(c) in "WF" else c for c in text)
