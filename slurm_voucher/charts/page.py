"""Charts on one page that needs nothing else, by Bokeh: its program is put into the page.

What the page may load is nothing (its own policy says so), so it can be mailed and opened anywhere.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import (
    BoxZoomTool,
    ColumnDataSource,
    DataRange1d,
    DatetimeTickFormatter,
    HoverTool,
    NumeralTickFormatter,
    PanTool,
    ResetTool,
    SaveTool,
    WheelZoomTool,
)
from bokeh.plotting import figure
from bokeh.resources import INLINE
from jinja2 import Template

from slurm_voucher.charts.chart import COLOURS, TICKS_MAX, Chart, Kind, around, lowest
from slurm_voucher.words import word

TOOLS = {
    "move": PanTool,
    "zoom with the wheel": WheelZoomTool,
    "zoom into a box": BoxZoomTool,
    "as at first": ResetTool,
    "save as a picture": SaveTool,
}
"""What can be done with a chart, by what is said of it where the mouse points."""
POINTED_AT = "show figures"

PAGE = Template(
    """<!DOCTYPE html>
<html lang="{{ lang }}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
font-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title|e }}</title>
<style>
body { font-family: sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
</style>
{{ bokeh_css }}
{{ bokeh_js }}
</head>
<body>
<h1>{{ title|e }}</h1>
<p>{{ how|e }}</p>
{{ plot_div }}
{{ plot_script }}
</body>
</html>
"""
)


def content(charts: Sequence[Chart], title: str, how: str, lang: str = "en") -> str:
    """Return the page in a language: a heading, how it was counted, and the charts."""
    drawn = column(*(_figure(chart) for chart in charts), sizing_mode="stretch_width")
    return file_html(
        drawn,
        INLINE,
        title,
        template=PAGE,
        template_variables={"how": how, "lang": lang},
    )


def _figure(chart: Chart) -> figure:
    days = chart.kind is Kind.STEPS
    drawn = figure(
        title=chart.title,
        height=360,
        sizing_mode="stretch_width",
        y_axis_label=chart.unit,
        y_range=DataRange1d(start=lowest(chart)),
        tools=[tool(description=word("tool", said)) for said, tool in TOOLS.items()],
        **({"x_axis_type": "datetime"} if days else {"x_range": around(len(chart.at))}),
    )
    drawn.toolbar.logo = None
    drawn.yaxis.formatter = NumeralTickFormatter(format="0,0.[00]")
    DRAWS[chart.kind](chart, drawn)
    drawn.add_layout(drawn.legend[0], "right")
    drawn.legend.click_policy = "hide"
    return drawn


def _bars(chart: Chart, drawn: figure) -> None:
    places, bottom = list(range(len(chart.at))), [0.0] * len(chart.at)
    for each, colour in zip(chart.series, COLOURS, strict=False):
        top = [low + float(v or 0) for low, v in zip(bottom, each.values, strict=True)]
        source = _source(chart, each.name, each.values, x=places, bottom=bottom, top=top)
        bar = drawn.vbar(
            "x", 0.7, "top", "bottom", source=source, color=colour, legend_label=each.name
        )
        _hover(drawn, bar)
        bottom = top
    _name_places(chart, drawn)


def _lines(chart: Chart, drawn: figure) -> None:
    places = list(range(len(chart.at)))
    for each, colour in zip(chart.series, COLOURS, strict=False):
        source = _source(chart, each.name, each.values, x=places, y=_known(each.values))
        drawn.line("x", "y", source=source, color=colour, line_width=2, legend_label=each.name)
        _points(drawn, source, colour, each.name)
    _name_places(chart, drawn)


def _name_places(chart: Chart, drawn: figure) -> None:
    """Write as many names along the axis as have room."""
    places = list(range(len(chart.at)))
    shown = places[:: -(-len(places) // TICKS_MAX)]
    drawn.xaxis.ticker = shown
    drawn.xaxis.major_label_overrides = {i: chart.at[i] for i in shown}
    drawn.xaxis.major_label_orientation = 0.6 if len(shown) > 8 else "horizontal"
    drawn.xgrid.visible = False


def _steps(chart: Chart, drawn: figure) -> None:
    days = [dt.datetime.fromisoformat(day) for day in chart.at]
    for each, colour in zip(chart.series, COLOURS, strict=False):
        source = _source(chart, each.name, each.values, x=days, y=_known(each.values))
        drawn.xaxis.formatter = DatetimeTickFormatter(  # names of months are English
            days="%Y-%m-%d", months="%Y-%m", years="%Y"
        )
        drawn.step("x", "y", source=source, mode="after", color=colour, line_width=2,
                   legend_label=each.name)  # fmt: skip
        _points(drawn, source, colour, each.name)


def _points(drawn: figure, source: ColumnDataSource, colour: str, name: str) -> None:
    on = drawn.scatter("x", "y", source=source, color=colour, size=5, legend_label=name)
    _hover(drawn, on)


def _known(values: Sequence[Decimal | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]


def _source(
    chart: Chart, name: str, values: Sequence[Decimal | None], **columns: Any
) -> ColumnDataSource:
    """Return what is drawn, and beside it the exact figure as it is printed."""
    said = ["-" if value is None else f"{value:,f} {chart.unit}" for value in values]
    columns |= {"at": list(chart.at), "said": said, "name": [name] * len(said)}
    return ColumnDataSource(columns)


def _hover(drawn: figure, on: Any) -> None:
    told = [("", "@at"), ("", "@name"), ("", "@said")]
    said = word("tool", POINTED_AT)
    drawn.add_tools(HoverTool(renderers=[on], tooltips=told, description=said))


DRAWS = {Kind.BARS: _bars, Kind.STEPS: _steps, Kind.LINES: _lines}
