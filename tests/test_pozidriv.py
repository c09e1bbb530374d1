"""The 11,704 public rows: what their own portal reports must come out, however they come in."""

import random
from itertools import permutations

import pyarrow as pa
import pytest
from runs import expected, pozidriv, pozidriv_lines, rated

from accounting import period
from accounting.runs import archive, reports, usage

FIGURES = {
    "cpu_hours": "cpu_hours",
    "gpu_hours": "card_hours",
    "node_hours": "node_hours",
    "wall_hours": "wall_hours",
    "jobs_running": "runs",
    "jobs_started": "started",
    "jobs_ended": "ended",
}
"""What the portal calls it, and what we do."""


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Return the rows as they stand in the file."""
    return pozidriv_lines()


@pytest.fixture(scope="module")
def whole(lines: list[bytes]) -> pa.Table:
    """Return what is stored after one import of the whole file."""
    return take_in(usage.STORED.empty_table(), lines)


def take_in(stored: pa.Table, lines: list[bytes]) -> pa.Table:
    """Import rows: what is new is stored, what was seen is not; nothing of it ever changes."""
    new, changed = archive.compare(pozidriv(lines), stored)
    assert changed.num_rows == 0
    return archive.current(pa.concat_tables([stored, rated(new)]))


@pytest.mark.parametrize("kind", [*(each for each in period.KINDS if each != "week"), "total"])
@pytest.mark.parametrize("figure", FIGURES)
def test_what_the_portal_reports(whole: pa.Table, kind: str, figure: str) -> None:
    """Hours and job counts are those of XDMoD, to the last decimal; it knows no weeks."""
    wanted = expected("xdmod/pozidriv.expected.json")["values"][figure][kind]
    if kind == "total":
        wanted = {"total": wanted}
    found = reports.usage_by(whole, kind, "UTC")

    assert {name: str(own.row()[FIGURES[figure]]) for name, own in found.items()} == {
        name.replace(" ", "-"): str(value) for name, value in wanted.items()
    }


def test_twice_is_once(whole: pa.Table, lines: list[bytes]) -> None:
    """The same file a second time, in another order, changes nothing."""
    mixed = random.Random(7).sample(lines, len(lines))

    assert take_in(whole, mixed).equals(whole)


@pytest.mark.parametrize("order", random.Random(5).sample(list(permutations(range(5))), 6))
def test_pieces_in_any_order(whole: pa.Table, lines: list[bytes], order: tuple[int, ...]) -> None:
    """Five overlapping pieces in any order make the same table."""
    size = len(lines) // 5 + 1
    stored = usage.STORED.empty_table()
    for i in order:
        stored = take_in(stored, lines[max(0, i * size - 100) : (i + 1) * size])

    assert usage.runs(stored) == usage.runs(whole)
