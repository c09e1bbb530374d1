"""What a run takes of its nodes: what it was given, its largest share of anything, or all of them.

A run with one card and all the memory blocks the other seven cards. Where a price list says so, a
run is priced as what it blocks: in nodes' worth, an exact rational, times what one node has.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accounting.errors import ConfigInvalid
from accounting.rates.chips import Cards
from accounting.runs.run import is_part
from accounting.yamlfile import at, need, only

CARDS = "cards"
MAX_SHARE = "max_share"
NODE = "node"
FOOTPRINTS = (CARDS, MAX_SHARE, NODE)
MB_PER_GB = 1_024
MOST = 10**9
"""A node with a thousand million of anything is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run is priced by: cards, cores and nodes, each a number over `denominator`.

    Attributes:
        mflops: Of cards.
        cpus: Cores.
        nodes: Nodes; 0: not known.
        denominator: 1 but where shares are priced.
        shares: In nodes' worth, by what they are shares of, the largest first; none where a run is
            priced by what it was given.
    """

    mflops: int
    cpus: int
    nodes: int
    denominator: int = 1
    shares: tuple[tuple[str, Fraction], ...] = ()


NOTHING = Taken(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Footprint:
    """How the runs of a partition are measured, and what one of its nodes has.

    Attributes:
        how: One of FOOTPRINTS.
        cards: Cards of a node.
        cpus: Cores of a node; 0: not said.
        mem_mb: Memory of a node, MiB; 0: not said.
    """

    how: str = CARDS
    cards: tuple[Cards, ...] = ()
    cpus: int = 0
    mem_mb: int = 0

    def take(self, cards: Sequence[Cards], cpus: int, nodes: int, mem_mb: int | None) -> Taken:
        """Return what a run is priced by that was given so much on all of its nodes together.

        Raises:
            ValueError: It is not known; says why, as in "… and no memory is in the allocation".

        Example:
            1 of 8 cards, 12 of 96 cores and 384 of 512 GiB: 3/4 of a node by memory, which is 6
            cards or 72 cores or 0.75 nodes.
        """
        if self.how == CARDS:
            return Taken(sum(each.mflops for each in cards), cpus, nodes)
        if nodes <= 0:
            raise ValueError("is priced by shares of nodes and no node is in the allocation")
        shares = [("nodes", Fraction(nodes))]
        if self.how == MAX_SHARE:
            shares = list(self._shares(cards, cpus, mem_mb))
        shares.sort(key=lambda share: -share[1])
        what, largest = shares[0]
        if largest > nodes:
            raise ValueError(
                f"takes {largest} nodes by {what}, {nodes} in the allocation; correct node: in the "
                "tariff"
            )
        times, whole = largest.numerator, sum(each.mflops for each in self.cards)
        return Taken(
            whole * times, self.cpus * times, times, largest.denominator, tuple(shares)
        )  # fmt: skip

    def _shares(
        self, cards: Sequence[Cards], cpus: int, mem_mb: int | None
    ) -> Iterator[tuple[str, Fraction]]:
        """Yield the nodes' worth of each thing that a run was given."""
        if mem_mb is None or mem_mb <= 0:
            raise ValueError("is priced by shares of nodes and no memory is in the allocation")
        for each in cards:
            share = self.share(each.gres, cards)
            if share is None:
                raise ValueError(f"gres {each.gres} is not among the cards of a node; add it there")
            yield each.gres, share
        yield "cores", Fraction(cpus, self.cpus)
        yield "memory", Fraction(mem_mb, self.mem_mb)

    def share(self, gres: str, given: Sequence[Cards]) -> Fraction | None:
        """Return the nodes' worth of one gres among those given; None: a node has nothing of it.

        A gres that the node is not said to have counts as its chip, together with all that were
        given of this chip: so a part of a card, or a card without a type.
        """
        for each in self.cards:
            if each.gres == gres:
                return Fraction(sum(own.count for own in given if own.gres == gres), each.count)
        chips = {own.chip for own in given if own.gres == gres}
        taken, there = (
            sum(each.count * each.thousandths for each in some if each.chip in chips)
            for some in (given, self.cards)
        )
        return Fraction(taken, there) if there else None


PLAIN = Footprint()


def read(
    entry: Mapping[str, Any], cards_of: Callable[[str, int], Cards | None], where: str
) -> Footprint:
    """Read `footprint` and `node` of a partition.

    Args:
        entry: The partition.
        cards_of: Gives cards by gres and number; None: it is not said what chip they are.
        where: Its place.

    Raises:
        ConfigInvalid: One is unknown, missing, or there and not used.
    """
    how = need(entry, "footprint", str, where) if "footprint" in entry else CARDS
    if how not in FOOTPRINTS:
        known = ", ".join(FOOTPRINTS)
        raise ConfigInvalid(f"{at(where, 'footprint')}: {how!r} is unknown; use one of {known}")
    if how == CARDS and "node" in entry:
        raise ConfigInvalid(f"{at(where, 'node')}: is used by no footprint; say max_share or node")
    if how == CARDS:
        return PLAIN
    here = at(where, "node")
    node = only(need(entry, "node", dict, where), ("cards", "cpus", "mem_gb"), here)
    cpus = _count(node, "cpus", here)
    weighed = how == MAX_SHARE or "mem_gb" in node
    mem_mb = _count(node, "mem_gb", here) * MB_PER_GB if weighed else 0
    listed = need(node, "cards", dict, here) if "cards" in node else {}
    cards = [_cards(listed, gres, cards_of, at(here, "cards")) for gres in listed]
    return Footprint(how, tuple(cards), cpus, mem_mb)


def _cards(
    listed: Mapping[str, Any], gres: str, cards_of: Callable[[str, int], Cards | None], where: str
) -> Cards:
    if is_part(gres):
        raise ConfigInvalid(f"{at(where, gres)}: is a part of the cards of a node; leave it out")
    found = cards_of(gres, _count(listed, gres, where))
    if found is None:
        raise ConfigInvalid(f"{at(where, gres)}: has no chip; add it under gres of the partition")
    return found


def _count(entry: Mapping[str, Any], key: str, where: str) -> int:
    """Read how many of something a node has."""
    found = need(entry, key, int, where)
    if not 0 < found <= MOST:
        raise ConfigInvalid(f"{at(where, key)}: {found} on a node; use 1 to {MOST}")
    return found
