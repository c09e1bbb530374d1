"""Tables on a terminal, JSON and CSV in a pipe: the same rows in each."""

import csv
import json
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

Show = Callable[[Sequence[Mapping[str, Any]]], None]


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a listing --json and --csv; it receives `show`, which prints its rows."""

    def wrapped(*args: Any, as_json: bool, as_csv: bool, **kwargs: Any) -> Any:
        show = show_json if as_json else show_csv if as_csv else show_table
        return command(*args, show=show, **kwargs)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__dict__.update(command.__dict__)
    for flag, name, text in (("--csv", "as_csv", "CSV"), ("--json", "as_json", "JSON")):
        wrapped = click.option(flag, name, is_flag=True, help=f"Print {text}.")(wrapped)
    return wrapped


def show_json(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of objects."""
    click.echo(json.dumps([dict(row) for row in rows], ensure_ascii=False, indent=1))


def show_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a header and one line for each row."""
    if rows:
        writer = csv.DictWriter(sys.stdout, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def show_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print aligned columns; numbers to the right. Chinese characters are two columns wide."""
    if not rows:
        click.echo("nothing to show")
        return
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    right = [all(_numeric(row[i]) for row in cells) for i in range(len(names))]
    widths = [max(map(_width, column)) for column in zip(names, *cells, strict=True)]
    for row in [names, *cells]:
        padded = [
            " " * (width - _width(text)) + text if is_right else text + " " * (width - _width(text))
            for text, width, is_right in zip(row, widths, right, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def _cell(value: Any) -> str:
    return "-" if value is None else str(value)


def _numeric(text: str) -> bool:
    return text == "-" or text.lstrip("-").replace(",", "").replace(".", "", 1).isdigit()


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
