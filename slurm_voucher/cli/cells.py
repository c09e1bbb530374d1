"""A table as text, before it is drawn anywhere."""

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Cells:
    """A table as text: what its columns are called, how wide they are, and which are numbers."""

    names: list[str]
    rows: list[list[str]]
    right: list[bool]
    widths: list[int]


def width_of(text: str) -> int:
    """Count the columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
