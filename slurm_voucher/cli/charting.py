"""What reports share that can be drawn: in the terminal, as a page, as a picture."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from accounting.errors import ConfigInvalid
from slurm_voucher import words
from slurm_voucher.charts.chart import Chart
from slurm_voucher.cli.output import plain, say
from slurm_voucher.cli.site import PATH, Site
from slurm_voucher.cli.writing import write, write_bytes

FORMS = (".png", ".svg")
OTHERWISE = ("as_json", "as_csv", "to")
"""Options of a report that print or write it in another way."""


@dataclass(frozen=True)
class Drawing:
    """How a report is to be drawn, if it is."""

    chart: bool
    page: Path | None
    picture: Path | None

    @property
    def wanted(self) -> bool:
        """Whether charts are asked for, in place of the table."""
        return bool(self.chart or self.page or self.picture)


def _picture(_ctx: Any, _param: Any, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in FORMS:
        raise click.BadParameter(f"{value}: ends in none of {', '.join(FORMS)}, which say the form")
    return value


def chart_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a report --chart, --html and --plot; it receives `drawing`."""

    def wrapped(*args: Any, chart: bool, page: Path | None, picture: Path | None, **kw: Any) -> Any:
        drawing = Drawing(chart, page, picture)
        if drawing.wanted and any(kw.get(name) for name in OTHERWISE):
            raise click.UsageError("--chart, --html and --plot draw; leave --json, --csv, --to out")
        return command(*args, drawing=drawing, **kw)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__dict__.update(command.__dict__)
    for option in (
        click.option("--plot", "picture", type=PATH, callback=_picture, metavar="FILE.png|.svg",
                     help="Draw it as a picture for slides."),
        click.option("--html", "page", type=PATH, metavar="FILE",
                     help="Draw it on one page that needs no network, to point at and zoom."),
        click.option("--chart", is_flag=True, help="Draw it here."),
    ):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped


def draw(site: Site, drawing: Drawing, title: str, how: str, charts: Sequence[Chart]) -> None:
    """Draw charts as asked; where there is nothing in them, say so and write no file."""
    charts = [_seen(chart) for chart in charts if _known(chart)]
    if not charts:
        say("nothing to show")
        return
    title = words.word("title", title)
    if drawing.chart:
        say(f"counted {how}")
        click.echo(_loaded("terminal", "--chart").drawn(charts))
    if drawing.page:
        said = words.said(f"Counted {how}.")
        write(drawing.page, [_loaded("page", "--html").content(charts, title, said, words.tag())])
        say(f"{title}: in {drawing.page}")
    if drawing.picture:
        form = drawing.picture.suffix.lower().removeprefix(".")
        drawn = _loaded("picture", "--plot").content(charts, form, site.config.paper_font)
        write_bytes(drawing.picture, [drawn])
        say(f"{title}: in {drawing.picture}")


def _loaded(module: str, option: str) -> ModuleType:
    try:
        return importlib.import_module(f"slurm_voucher.charts.{module}")
    except ModuleNotFoundError as error:
        library = str(error.name).partition(".")[0]
        raise ConfigInvalid(
            f"{option}: {library} is not installed here; pip install 'slurm-voucher[charts]'"
        ) from None


def _known(chart: Chart) -> bool:
    return any(value is not None for each in chart.series for value in each.values)


def _seen(chart: Chart) -> Chart:
    """Write out what would not be seen in names: they come from users and files."""
    series = tuple(replace(each, name=plain(each.name)) for each in chart.series)
    return replace(chart, at=tuple(map(plain, chart.at)), series=series)
