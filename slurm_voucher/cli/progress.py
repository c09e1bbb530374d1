"""Say how far something long has come: on a terminal, on stderr, and only when it takes longer."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

import click

Part = TypeVar("Part")

AFTER_S = 2.0
"""What takes less is over before anybody has read how long it takes."""


def watched(
    parts: Iterable[Part],
    place: Callable[[], int],
    length: int | None,
    rows: Callable[[], int],
) -> Iterator[Part]:
    """Yield parts and show how far they have come, the rate, and the time left where that is known.

    Args:
        parts: What is read.
        place: Tells how far the reading has come.
        length: How far it goes. None: nobody knows.
        rows: Tells how many rows were taken.
    """
    if not sys.stderr.isatty():
        yield from parts
        return
    began_s = time.monotonic()

    def rate(_: Any) -> str:
        return f"{rows() / (time.monotonic() - began_s):,.0f} runs/s"

    with ExitStack() as stack:
        bar: Any = None
        for part in parts:
            yield part
            if bar is None and time.monotonic() - began_s >= AFTER_S:
                endless: Any = None if length else (None for _ in ())
                bar = stack.enter_context(
                    click.progressbar(
                        endless, length, label="reading", file=sys.stderr, item_show_func=rate
                    )
                )
            if bar is not None:
                bar.update(place() - bar.pos, current_item=part)
