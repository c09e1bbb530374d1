"""Ask Slurm which nodes there are, and when they were out of service, here or on a login node.

slurmctld knows nodes and partitions as they are now (`sinfo`), and keeps no history of them.
slurmdbd keeps when nodes were down or drained (its events) and reserved (its reservations); both by
`sacctmgr`, whose lines end with a |. Nothing that users choose is asked for, such as reasons.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from accounting.errors import InvalidInput, UsageInvalid
from accounting.runs.nodes import Alike, Note, Out, Why
from accounting.runs.run import is_part
from slurm_voucher import partitions, times, tres
from slurm_voucher.logins import Login
from slurm_voucher.sources import commands

SINFO = ["sinfo", "--all", "--Node", "--exact", "--noheader", "--format=%N|%R|%c|%G"]
"""Node, partition, processors and gres, a line for each node of each partition."""
EVENTS = ("Cluster", "NodeName", "StateRaw", "TimeStart", "TimeEnd")
RESERVATIONS = ("Cluster", "Flags", "TRES", "NodeNames", "TimeStart", "TimeEnd")
OPEN = frozenset({"Unknown", "None", ""})
"""What sacctmgr prints where something has not ended."""
NODES_MAX = 100_000
"""How many nodes a list of them may name."""

# What a node's state is made of: slurm/slurm.h, the same from 22.05 to 26.05.
_BASE, _IN_SERVICE = 0x0F, frozenset({2, 3, 5})  # idle, allocated, mixed
_DRAIN, _FAIL, _MAINT = 0x200, 0x2000, 0x8000
_SAVING_POWER = 0x1000 | 0x4000 | 0x40000 | 0x800000 | 0x1000000
"""Powered down, on its way there, or on its way up: it runs jobs when there are some."""

_BRACKETS = re.compile(r"([^\[\]]*)\[([^\[\]]+)\]")
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", re.ASCII)
_OUTSIDE = re.compile(r",(?![^\[]*\])")
"""A comma that stands outside of brackets."""


def note(
    cluster: str, told_from_s: int, now_s: int, held_from_s: int, login: Login | None = None
) -> Note:
    """Return what there is now, and when it was out of service within [told_from, now).

    Args:
        cluster: Whose nodes.
        told_from_s: From when on outages are asked for.
        now_s: Now.
        held_from_s: Since when the nodes were so, as far as somebody says.
        login: Where Slurm is asked, over SSH. None: on this host.

    Raises:
        SlurmUnavailable: A command is not there, failed or took too long.
        UsageInvalid: It is another cluster, or an answer cannot be read.
    """
    named = partitions.setting(
        commands.answer(["scontrol", "show", "config"], login), "ClusterName"
    )
    if named != cluster:
        raise UsageInvalid(
            f"nodes: Slurm says that this is cluster {named}, {cluster} is asked for; ask on a "
            "host of that one, or over ssh (config.yaml)"
        )
    nodes, cpus = read_nodes(commands.answer(SINFO, login))
    window = [f"clusters={cluster}", f"start={times.utc(told_from_s)}", f"end={times.utc(now_s)}"]
    listing = ["sacctmgr", "--noheader", "--parsable", "list"]
    asked = [*listing, "events", "event=node", *window, f"format={','.join(EVENTS)}"]
    out = [*read_events(commands.answer(asked, login), cluster, now_s)]
    asked = [*listing, "reservation", *window, f"format={','.join(RESERVATIONS)}"]
    out += read_reservations(commands.answer(asked, login), cluster, cpus, now_s)
    return Note(now_s, told_from_s, held_from_s, nodes, tuple(sorted(out, key=_by_node)))


def _by_node(out: Out) -> tuple[str, int, int, str]:
    return out.node, out.begin_s, out.end_s, out.why


def read_nodes(text: str) -> tuple[tuple[Alike, ...], dict[str, int]]:
    """Read what sinfo prints: nodes that are alike together, and the processors of each.

    Raises:
        UsageInvalid: A line cannot be read, or a node is not the same in all of its lines.
    """
    found: dict[str, tuple[set[str], int, tuple[tuple[str, int], ...]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            name, partition, processors, gres = line.split("|")
            row = set[str](), int(processors), tuple(sorted(_cards(gres).items()))
        except (ValueError, InvalidInput) as error:
            raise UsageInvalid(f"sinfo: line {number} is {line[:80]!r}: {error}") from None
        known = found.setdefault(name, row)
        if known[1:] != row[1:]:
            raise UsageInvalid(f"sinfo: line {number}: node {name} is another one than before")
        known[0].add(partition)
    if not found:
        raise UsageInvalid("sinfo: 0 nodes, 1 is needed; is slurmctld running?")
    kinds = {name: (tuple(sorted(own)), cards) for name, (own, _, cards) in found.items()}
    by_kind = groupby(sorted(kinds, key=lambda name: (kinds[name], name)), key=kinds.__getitem__)
    alike = tuple(Alike(tuple(names), own, dict(cards)) for (own, cards), names in by_kind)
    return alike, {name: processors for name, (_, processors, _) in found.items()}


def _cards(gres: str) -> dict[str, int]:
    """Read the cards of a node; parts of cards are parts of these."""
    told = tres.asked(partitions.PLACES.sub("", gres.replace("(null)", "")))
    return {name: count for name, count in told.items() if count and not is_part(name)}


def read_events(text: str, cluster: str, now_s: int) -> Iterator[Out]:
    """Read slurmdbd's events of nodes: when they were down or drained. Raises UsageInvalid."""
    for row in _rows(text, EVENTS, cluster, "events"):
        why = _why(row)
        if row["NodeName"] and why is not None:
            yield Out(row["NodeName"], why, _instant(row, "TimeStart"), _end(row, now_s))


def _why(row: Mapping[str, str]) -> Why | None:
    """Tell why an event took a node out of service. None: it saves power, and is there for jobs."""
    if not row["StateRaw"].isdecimal():
        raise UsageInvalid(f"sacctmgr: events: state {row['StateRaw'][:40]!r} is no number")
    state = int(row["StateRaw"])
    if state & _MAINT:
        return "maintenance"
    if state & _BASE not in _IN_SERVICE or state & _FAIL:
        return "down"
    if state & _DRAIN:
        return "drained"
    return None if state & _SAVING_POWER else "down"


def read_reservations(
    text: str, cluster: str, cpus: Mapping[str, int], now_s: int
) -> Iterator[Out]:
    """Read slurmdbd's reservations of whole nodes; what reserves a part of its nodes takes none out
    of service.

    Args:
        text: What sacctmgr printed.
        cluster: Whose.
        cpus: Processors of each node.
        now_s: Now: what lies ahead is not yet so.

    Raises:
        UsageInvalid: A line cannot be read.
    """
    for row in _rows(text, RESERVATIONS, cluster, "reservation"):
        names = hosts(row["NodeNames"])
        if _cpus(row["TRES"]) < sum(cpus.get(name, 0) for name in names):
            continue
        why: Why = "maintenance" if "MAINT" in row["Flags"].split(",") else "reserved"
        begin_s, end_s = _instant(row, "TimeStart"), _end(row, now_s)
        yield from (Out(name, why, begin_s, end_s) for name in names)


def _cpus(text: str) -> int:
    """Read how many processors a reservation has; none where it has cards or licences alone."""
    count = dict(item.partition("=")[::2] for item in text.split(",")).get("cpu", "0")
    if not count.isdecimal():
        raise UsageInvalid(f"sacctmgr: reservation: TRES {text[:80]!r} is no cpu=number")
    return int(count)


def _rows(
    text: str, fields: Sequence[str], cluster: str, listed: str
) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a list of sacctmgr by its fields."""
    for number, line in enumerate(text.splitlines(), 1):
        values = line.split("|")
        row = dict(zip(fields, values, strict=False))
        if len(values) != len(fields) + 1 or values[-1] or row["Cluster"] != cluster:
            raise UsageInvalid(
                f"sacctmgr: {listed}: line {number} is {line[:80]!r}, {len(fields)} fields of "
                f"{cluster} are needed"
            )
        yield row


def _instant(row: Mapping[str, str], field: str) -> int:
    try:
        return times.epoch_s(row[field], "UTC")
    except ValueError as error:
        raise UsageInvalid(f"sacctmgr: {field} {row[field][:40]!r} {error}") from None


def _end(row: Mapping[str, str], now_s: int) -> int:
    """Return when something ended; what goes on has lasted until now."""
    return now_s if row["TimeEnd"] in OPEN else min(now_s, _instant(row, "TimeEnd"))


def hosts(text: str) -> list[str]:
    """Read a list of nodes as Slurm writes it: ai[1-2,07],sc1.

    Raises:
        UsageInvalid: It cannot be read, or names too many.
    """
    found: list[str] = []
    for word in filter(None, _OUTSIDE.split(text)):
        names = [""]
        rest = _BRACKETS.match(word)
        while rest is not None:
            names = [n + rest[1] + i for n in names for i in _numbers(rest[2], text)]
            word = word[rest.end() :]
            if len(found) + len(names) > NODES_MAX:
                raise UsageInvalid(f"nodes: {text[:80]!r} names more than {NODES_MAX} nodes")
            rest = _BRACKETS.match(word)
        if "[" in word or "]" in word:
            raise UsageInvalid(f"nodes: {text[:80]!r} is no list such as ai[1-2,07],sc1")
        found += [name + word for name in names]
    return found


def _numbers(text: str, whole: str) -> list[str]:
    """Read what stands in brackets: numbers and ranges, as wide as they are written."""
    found = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if match is None or not first <= last < first + NODES_MAX:
            raise UsageInvalid(f"nodes: {whole[:80]!r} is no list such as ai[1-2,07],sc1")
        found += [f"{i:0{len(match[1])}d}" for i in range(first, last + 1)]
    return found
