"""Charts as a picture for slides, PNG or SVG, by matplotlib; Chinese in the font of the papers."""

import datetime as dt
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.font_manager import FontPath, FontProperties, fontManager
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from slurm_voucher.charts.chart import COLOURS, TICKS_MAX, Chart, Kind, around, lowest
from slurm_voucher.papers import fonts

WIDTH_IN, HEIGHT_IN, DPI = 9.6, 4.5, 150
HEADROOM = 1.04
EPOCH = dt.date(1970, 1, 1).toordinal()
LATIN = 0x250
"""Characters below this are in matplotlib's own font."""


def content(charts: Sequence[Chart], form: str, font: Path | None = None) -> bytes:
    """Return the file, one chart below the other.

    Args:
        form: png or svg.
        font: What Chinese is set in. None: what is found, as for papers.

    Raises:
        InvalidInput: There is Chinese to be written, and no font for it.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    settings: Any = {
        "font.family": _families(charts, font),
        "text.parse_math": False,  # names come from outside: $ is no formula
        "axes.unicode_minus": False,
        "svg.hashsalt": "svoucher",
    }
    with rc_context(settings):
        figure = Figure(
            (WIDTH_IN, HEIGHT_IN * len(charts)), dpi=DPI, layout=ConstrainedLayoutEngine(h_pad=0.2)
        )
        for i, chart in enumerate(charts, 1):
            _draw(chart, figure.add_subplot(len(charts), 1, i))
        made = io.BytesIO()
        figure.savefig(made, format=form, metadata={"Date": None} if form == "svg" else None)
    return made.getvalue()


def _families(charts: Sequence[Chart], font: Path | None) -> list[str]:
    """Return the fonts that text is set in, a Chinese one only where there is Chinese."""
    own = ["DejaVu Sans"]
    if all(ord(c) < LATIN for chart in charts for text in chart.texts for c in text):
        return own
    face = fonts.find(font).regular
    fontManager.addfont(face.path)
    name = FontProperties(fname=FontPath(str(face.path), face.number)).get_name()
    return [*own, name]


def _draw(chart: Chart, axes: Axes) -> None:
    DRAWS[chart.kind](chart, axes)
    axes.set_title(chart.title, loc="left", fontsize=11)
    axes.set_ylabel(chart.unit)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    low, high = axes.get_ylim()
    axes.set_ylim(low if lowest(chart) < 0 else 0, max(0.0, high) * HEADROOM or 1)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)


def _bars(chart: Chart, axes: Axes) -> None:
    places = range(len(chart.at))
    bottom = [0.0] * len(chart.at)
    for each, colour in zip(chart.series, COLOURS, strict=False):
        values = [float(value or 0) for value in each.values]
        axes.bar(places, values, 0.7, bottom, color=colour, label=each.name)
        bottom = [low + own for low, own in zip(bottom, values, strict=True)]
    _name_places(chart, axes)


def _lines(chart: Chart, axes: Axes) -> None:
    for each, colour in zip(chart.series, COLOURS, strict=False):
        values = [float("nan") if value is None else float(value) for value in each.values]
        axes.plot(range(len(values)), values, "o-", color=colour, label=each.name, markersize=4)
    _name_places(chart, axes)


def _name_places(chart: Chart, axes: Axes) -> None:
    """Write as many names along the axis as have room."""
    places, every = range(len(chart.at)), -(-len(chart.at) // TICKS_MAX)
    slanted = max(map(len, chart.at)) * len(chart.at[::every]) > 90
    axes.set_xticks(
        places[::every],
        chart.at[::every],
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
    )
    axes.set_xlim(*around(len(chart.at)))


def _steps(chart: Chart, axes: Axes) -> None:
    days = [dt.date.fromisoformat(day).toordinal() - EPOCH for day in chart.at]
    for each, colour in zip(chart.series, COLOURS, strict=False):
        values = [float("nan") if value is None else float(value) for value in each.values]
        axes.step(days, values, where="post", color=colour, label=each.name, linewidth=1.8)
    axes.xaxis.set_major_locator(AutoDateLocator(maxticks=8))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))  # type: ignore[no-untyped-call]


DRAWS = {Kind.BARS: _bars, Kind.STEPS: _steps, Kind.LINES: _lines}
