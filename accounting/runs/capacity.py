"""How many seconds of nodes and cards there were, and how many of them were out of service.

What is known of nodes follows from notes (`nodes.py`): between two that say the same it was so all
the time; between two that differ the change counts from the later one, if they are no further apart
than GAP_S, and else nothing is known of the time between. Before the first and after the last one
nothing is known. Where somebody's word says since when nodes had been so, it holds for what no two
notes tell.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from accounting.runs.nodes import WHYS, Alike, Note, Out

GAP_S = 26 * 3_600
"""A note a day, and some hours."""
NODE = ""
"""What stands in place of a gres for the node itself."""
IN_ALL = ""
"""What stands in place of a reason for all seconds, in service or not."""

Part = tuple[tuple[str, ...], str, str]
"""Partitions that nodes are in, gres or NODE, reason or IN_ALL."""


@dataclass(frozen=True)
class Stretch:
    """Which nodes there were within [begin, end)."""

    begin_s: int
    end_s: int
    nodes: tuple[Alike, ...]


@dataclass
class Capacity:
    """What there was in one period.

    Attributes:
        known_s: Of how many seconds of it the nodes are known.
        seconds: Seconds of nodes and of cards. A node in two partitions is in one part, which
            names both.
    """

    known_s: int = 0
    seconds: Counter[Part] = field(default_factory=Counter)


def stretches(notes: Sequence[Note]) -> list[Stretch]:
    """Return what is known of nodes, in the order of time and without overlaps."""
    found: list[Stretch] = []
    for note in notes:
        found = _laid_over(found, Stretch(note.held_from_s, note.at_s, note.nodes))
    for before, after in pairwise(notes):
        if before.nodes == after.nodes or after.at_s - before.at_s <= GAP_S:
            found = _laid_over(found, Stretch(before.at_s, after.at_s, before.nodes))
    return found


def by_period(notes: Sequence[Note], edges: Sequence[int]) -> list[Capacity]:
    """Add up what there was in each period.

    Args:
        notes: Of one cluster, in the order of time.
        edges: Where periods begin, and where the last one ends.

    Example:
        A node with 8 cards, noted at 0:00 and at 24:00, that is down from 6:00 to 18:00 and
        drained from 12:00 to 24:00: 24 hours of the node and 192 of cards in all, 12 and 96 down,
        6 and 48 drained.
    """
    found = [Capacity() for _ in edges[1:]]
    out = _out_by_node(notes)
    for stretch in stretches(notes):
        for i, seconds in _cut(stretch.begin_s, stretch.end_s, edges):
            found[i].known_s += seconds
            for alike in stretch.nodes:
                _add(found[i], alike, IN_ALL, seconds * len(alike.names))
        for alike in stretch.nodes:
            lost = (each for name in alike.names for each in out.get(name, ()))
            for each in _within(lost, stretch.begin_s, stretch.end_s):
                for i, seconds in _cut(each.begin_s, each.end_s, edges):
                    _add(found[i], alike, each.why, seconds)
    return found


def _laid_over(under: Sequence[Stretch], over: Stretch) -> list[Stretch]:
    """Lay a stretch over others: where they overlap it is what counts."""
    if over.begin_s >= over.end_s:
        return list(under)
    before = [replace(s, end_s=min(s.end_s, over.begin_s)) for s in under]
    after = [replace(s, begin_s=max(s.begin_s, over.end_s)) for s in under]
    pieces = [*before, over, *after]
    found: list[Stretch] = []
    for piece in sorted((s for s in pieces if s.begin_s < s.end_s), key=lambda s: s.begin_s):
        if found and (found[-1].end_s, found[-1].nodes) == (piece.begin_s, piece.nodes):
            piece = replace(found.pop(), end_s=piece.end_s)
        found.append(piece)
    return found


def _out_by_node(notes: Sequence[Note]) -> dict[str, list[Out]]:
    """Return for each node when it was out of service and why, each second once."""
    found: dict[str, list[Out]] = {}
    for note in notes:
        for node, own in found.items():  # what this note tells takes the place of it
            found[node] = list(_within(own, 0, note.told_from_s))
        for out in _within(note.out, note.told_from_s, note.at_s):
            _append(found.setdefault(out.node, []), out)
    return {node: list(_once(own)) for node, own in found.items()}


def _within(outs: Iterable[Out], begin_s: int, end_s: int) -> Iterator[Out]:
    """Yield what lies of outages within [begin, end)."""
    for out in outs:
        cut = Out(out.node, out.why, max(out.begin_s, begin_s), min(out.end_s, end_s))
        if cut.begin_s < cut.end_s:
            yield cut


def _append(own: list[Out], out: Out) -> None:
    """Add an outage; one that only goes on is not another one."""
    for i, before in enumerate(own):
        if (before.why, before.end_s) == (out.why, out.begin_s):
            own[i] = Out(out.node, out.why, before.begin_s, out.end_s)
            return
    own.append(out)


def _once(own: Sequence[Out]) -> Iterator[Out]:
    """Give each second of a node one reason, the first of WHYS that holds."""
    edges = sorted({edge for out in own for edge in (out.begin_s, out.end_s)})
    for begin_s, end_s in pairwise(edges):
        whys = [out.why for out in own if out.begin_s <= begin_s and end_s <= out.end_s]
        if whys:
            yield Out(own[0].node, min(whys, key=WHYS.index), begin_s, end_s)


def _cut(begin_s: int, end_s: int, edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut a time at the edges of periods: yield the number of each, and the seconds in it."""
    begin_s, end_s = max(begin_s, edges[0]), min(end_s, edges[-1])
    while begin_s < end_s:
        i = bisect_right(edges, begin_s) - 1
        yield i, min(end_s, edges[i + 1]) - begin_s
        begin_s = edges[i + 1]


def _add(capacity: Capacity, alike: Alike, why: str, seconds: int) -> None:
    """Add seconds of a node, and of each of its cards."""
    for gres, count in ((NODE, 1), *alike.cards.items()):
        capacity.seconds[alike.partitions, gres, why] += seconds * count
