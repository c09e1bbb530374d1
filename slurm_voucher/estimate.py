"""The most that a job asks for: from the fields of a submit to cards, cores, nodes, memory, time
and tasks.

Unset is not zero: what a submit leaves open is filled from the partition, and where even that
does not say, the partition's worst case is taken.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from accounting.errors import InvalidInput, NotEligible
from accounting.rates.basis import Kind, asked, read_gres
from accounting.runs.run import is_part
from slurm_voucher import tres
from slurm_voucher.partitions import Cluster, Partition

TASKS_MAX = 4_000_001
"""Slurm's own highest MaxArraySize."""
GRES_KEYS = ("tres_per_job", "tres_per_node", "tres_per_socket", "tres_per_task")
PER_CARD_KEYS = ("cpus_per_tres", "mem_per_tres")
"""Cores, and MiB of memory, for each card."""
MEMORY_KEYS = ("mem_per_node_mb", "mem_per_cpu_mb")
"""0 in either, or neither: as much as the nodes have."""
PARTITIONS_MAX = 16
"""How many partitions a job with a voucher may name: each is priced."""
SHOWN = 48
"""Characters of a user's word that a refusal repeats."""

_ARRAY = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?", re.ASCII)
_WHOLE = re.compile(r"\d{1,10}", re.ASCII)
_HOSTS = re.compile(r"(?:[^,\[\]]|\[[^\]]*\])+")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_NODES = re.compile(r"(?:^|,)node=(\d{1,9})(?=,|$)", re.ASCII)
_CPUS = re.compile(r"(?:^|,)cpu[:=](\d{1,9})(?=,|$)", re.ASCII)


Given = tuple[dict[str, int], int, int, int | None]
"""Cards by gres, cores, nodes, and memory in MiB (None: not known, so at most all of the nodes)."""


@dataclass(frozen=True)
class Most:
    """What one task of a job can use at most, and how many tasks there are."""

    kind: Kind
    limit_s: int
    tasks: int


def options(fields: Mapping[str, str], cluster: Cluster) -> tuple[Most, ...]:
    """Work out the most that a submitted job can use, in each partition that it names.

    Args:
        fields: Fields of a HOLD question, see protocol.py; of a job that runs also tres_alloc,
            what it was given.
        cluster: Where it is submitted.

    Raises:
        NotEligible: The partition is unknown, or the job has no time limit.
        InvalidInput: A field cannot be read.
    """
    return tuple(_most(fields, cluster, each) for each in _partitions(fields, cluster.partitions))


def fewest(fields: Mapping[str, str], cluster: Cluster) -> tuple[Most, ...]:
    """Return `options` of a job that gets the fewest nodes that it may.

    Raises:
        NotEligible, InvalidInput: As `options` does.
    """
    low = number(fields, "min_nodes") or 1
    return options({**fields, "max_nodes": str(low)}, cluster)


def _most(fields: Mapping[str, str], cluster: Cluster, partition: Partition) -> Most:
    if "tres_alloc" in fields:
        given = _allocated(fields["tres_alloc"], _nodes(fields, partition))
    else:
        given = _asked(fields, partition)
    qos = fields.get("qos") or cluster.default_qos
    kind = asked(cluster.name, partition.name, qos, *given)
    limit_s = 60 * (_minutes(fields, partition) + _over_minutes(partition)) + cluster.overrun_s
    return Most(kind, limit_s, array_tasks(fields.get("array", "")))


def partition_names(fields: Mapping[str, str], cluster: Cluster) -> list[str]:
    """Return the partitions in one of which a job will run.

    Raises:
        NotEligible: One is unknown, or there are too many.
    """
    return [each.name for each in _partitions(fields, cluster.partitions)]


def widest(
    before: Mapping[str, str], changed: Mapping[str, str], cluster: Cluster
) -> dict[str, str]:
    """Return what a job can be after a change, whether Slurm then takes the change or not.

    A hook cannot see whether a change that it let pass was made, so numbers and cards keep the
    higher of both; what has no order (partition, QOS) is as changed.

    Raises:
        InvalidInput: A field cannot be read.
    """
    said = {key: value for key, value in _said(before, cluster).items() if key in changed}
    before = said | dict(before)
    fields = dict(before) | dict(changed)
    for key in before.keys() & changed.keys():
        if key in PER_CARD_KEYS:
            fields[key] = max(before[key], changed[key], key=_for_a_card)
        elif key in GRES_KEYS:
            old, new = tres.asked(before[key]), tres.asked(changed[key])
            cores = max(_CPUS.findall(f"{before[key]},{changed[key]}"), key=int, default="")
            cards = [f"{name}:{max(old.get(name, 0), new.get(name, 0))}" for name in old | new]
            fields[key] = ",".join([*cards, f"cpu:{cores}"] if cores else cards)
        elif before[key] == "unlimited" or changed[key] == "unlimited":
            fields[key] = "unlimited"
        elif key in MEMORY_KEYS and "0" in (before[key], changed[key]):
            fields[key] = "0"
        elif before[key].isdecimal() and changed[key].isdecimal() and key != "begin_s":
            fields[key] = max(before[key], changed[key], key=int)
    if changed.keys() & set(GRES_KEYS):  # cards for each node may draw a job together
        either = (_most_nodes(each, cluster) for each in (before, {**before, **changed}))
        fields["min_nodes"] = str(max(number(fields, "min_nodes") or 1, *either))
    return fields


def _most_nodes(fields: Mapping[str, str], cluster: Cluster) -> int:
    """Return the most nodes that a job could lie on; 1 where its partition has gone."""
    try:
        partitions = _partitions(fields, cluster.partitions)
    except NotEligible:
        return 1
    return max(_spread(fields, each, _nodes(fields, each)) for each in partitions)


def _said(fields: Mapping[str, str], cluster: Cluster) -> dict[str, str]:
    """Say what a job left open, so that a change to less can be seen."""
    try:
        partitions = _partitions(fields, cluster.partitions)
        minutes = max(_minutes(fields, each) for each in partitions)
    except NotEligible:  # the partition has gone or lost its limit: the change may mend that
        return {}
    nodes = max(_spread(fields, each, _nodes(fields, each)) for each in partitions)
    memory = {} if fields.keys() & MEMORY_KEYS else dict.fromkeys(MEMORY_KEYS, "0")
    return memory | {
        "time_limit": str(minutes),
        "max_nodes": str(nodes),
        "num_tasks": str(_tasks(fields, nodes)),
    }


def number(fields: Mapping[str, str], key: str) -> int | None:
    """Return a field that is a whole number, or None where it is not set.

    Raises:
        InvalidInput: It is something else.
    """
    text = fields.get(key)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text):
        raise InvalidInput(
            f"{key} {text[:16]!r}: is no whole number; give one of at most 10 digits"
        )
    return int(text)


def _shown(word: str) -> str:
    """Return the begin of a user's word as a refusal repeats it: no control byte stands in it."""
    begin = word[:SHOWN]
    return begin if begin.isprintable() else repr(begin)


def _partitions(
    fields: Mapping[str, str], partitions: Mapping[str, Partition]
) -> Sequence[Partition]:
    """Return the partitions in one of which the job will run."""
    named = fields.get("partition") or next((p.name for p in partitions.values() if p.default), "")
    names = list(dict.fromkeys(named.split(",")))
    if len(names) > PARTITIONS_MAX:
        raise NotEligible(
            f"partition {_shown(named)}: {len(names)} are named, {PARTITIONS_MAX} are possible "
            "with a voucher; name fewer"
        )
    for name in names:
        if name not in partitions:
            raise NotEligible(
                f"partition {_shown(name) or '(none)'}: not known here; see sinfo and choose one"
            )
    return [partitions[name] for name in names]


def _over_minutes(partition: Partition) -> int:
    if partition.over_minutes is None:
        raise NotEligible(
            f"partition {partition.name}: its OverTimeLimit has no limit, a voucher needs one; "
            "choose another or tell the administrator"
        )
    return partition.over_minutes


def _minutes(fields: Mapping[str, str], partition: Partition) -> int:
    if fields.get("time_limit") == "unlimited":
        minutes = partition.max_minutes
    else:
        minutes = number(fields, "time_limit")
        minutes = partition.default_minutes if minutes is None else minutes
        minutes = partition.max_minutes if minutes is None else minutes
    if not minutes:
        raise NotEligible(
            f"partition {partition.name}: this job has no time limit, a voucher needs one; give "
            "--time"
        )
    return minutes


def _asked(fields: Mapping[str, str], partition: Partition) -> Given:
    """Return the most that a job can be given."""
    nodes = _spread(fields, partition, _nodes(fields, partition))
    tasks = _tasks(fields, nodes)
    cards = _cards(fields, partition, nodes, tasks)
    counted = _counted(fields, partition, nodes, cards)
    tasks = max(tasks, counted * (number(fields, "ntasks_per_tres") or 0))
    cpus = _cpus(fields, partition, nodes, tasks, counted)
    mem_mb = _memory_mb(fields, nodes, cpus, counted)
    if fields.get("exclusive") or partition.whole:
        cpus, cards = _whole(partition, nodes, cpus, cards)
    return cards, cpus, nodes, mem_mb


def _nodes(fields: Mapping[str, str], partition: Partition) -> int:
    """Return the most nodes that the job can get: without an upper limit, one for each task.

    --ntasks-per-node is no lower limit where --ntasks stands beside it.
    """
    low, high = number(fields, "min_nodes") or 1, number(fields, "max_nodes")
    low = max(low, min(_named(fields.get("req_nodes", "")), partition.nodes))
    if high:
        return max(low, min(high, partition.nodes))
    return max(low, min(number(fields, "num_tasks") or 1, partition.nodes))


def _spread(fields: Mapping[str, str], partition: Partition, nodes: int) -> int:
    """Return the most nodes that the job can lie on: each of its cards may be on one of its own,
    where they are asked for all together and not so many for each node."""
    if number(fields, "max_nodes"):
        return nodes
    cards, each = (tres.asked(fields.get(key, "")) for key in ("tres_per_job", "tres_per_node"))
    apart = sum(each.values()) if _names(cards) == _names(each) else 1
    return max(nodes, min(-(-sum(cards.values()) // max(1, apart)), partition.nodes))


def _named(text: str) -> int:
    """Count the nodes that a job names, as in ai[1-2,7],sc1: no less than there are."""
    found = 0
    for name in set(_HOSTS.findall(text)):
        times = 1
        for inside in _BRACKETS.findall(name):
            ends = (part.partition("-") for part in inside.split(","))
            times *= sum(
                max(int(last) - int(first) + 1, 1) if first.isdecimal() and last.isdecimal() else 1
                for first, _, last in ends
            )
        found += times
    return found


def _memory_mb(fields: Mapping[str, str], nodes: int, cpus: int, cards: int) -> int | None:
    """Return the most memory that the job can get in MiB, or None: as much as its nodes have."""
    each_mb = [number(fields, key) for key in MEMORY_KEYS]
    each_mb.append(_for_a_card(fields.get("mem_per_tres", "")) or None)
    if 0 in each_mb or each_mb == [None, None, None]:
        return None
    several = zip(each_mb, (nodes, cpus, cards), strict=True)
    return max((each or 0) * times for each, times in several)


def _for_a_card(text: str) -> int:
    return max(tres.asked(text).values(), default=0)


def _counted(
    fields: Mapping[str, str], partition: Partition, nodes: int, cards: Mapping[str, int]
) -> int:
    """Return for how many cards a job can be given cores and memory.

    Of cards that are asked for all together Slurm counts on each node what could lie there: 4 on 2
    nodes are 3 and 3 (tried on 26.05).
    """
    total = _whole_cards(cards)
    if fields.get("tres_per_job") and nodes > 1:
        there = [_whole_cards(shape.cards) for shape in partition.shapes]
        total = max(total, nodes * min(max(there, default=0), total - nodes + 1))
    return total


def _whole_cards(cards: Mapping[str, int]) -> int:
    return sum(how_many for gres, how_many in cards.items() if not is_part(gres))


def _tasks(fields: Mapping[str, str], nodes: int) -> int:
    tasks = number(fields, "num_tasks")
    if tasks:
        return max(tasks, number(fields, "min_nodes") or 1)
    return nodes * (number(fields, "ntasks_per_node") or 1)


def _cpus(
    fields: Mapping[str, str], partition: Partition, nodes: int, tasks: int, cards: int
) -> int:
    per_task = [int(cpus) for cpus in _CPUS.findall(fields.get("tres_per_task", ""))]
    per_task.append(number(fields, "cpus_per_task") or 1)
    wanted = (number(fields, "min_cpus") or 1, number(fields, "max_cpus") or 1)
    least = number(fields, "pn_min_cpus") or 1
    per_card = cards * (_for_a_card(fields.get("cpus_per_tres", "")) or partition.cpus_per_card)
    by_task = tasks * max(per_task)
    cpus = max(by_task, *wanted, nodes * least, per_card)
    most_mb = partition.mem_per_cpu_max_mb
    if most_mb:  # Slurm gives more cores instead of more memory for each
        per_node = -(-(number(fields, "mem_per_node_mb") or 0) // most_mb)
        per_cpu = -(-(number(fields, "mem_per_cpu_mb") or 0) // most_mb)
        cpus = max(cpus, nodes * per_node, cpus * per_cpu)
    alone = fields.get("cores_alone") or partition.core_alone
    each = partition.threads if alone else 1
    together = partition.together  # on each node a job's last core, or socket, is wholly its own
    by_more = per_card or most_mb or least > max(per_task) or cpus > by_task
    step = each * (1 if by_more else max(per_task))  # what falls on a node is a multiple of it
    spare = nodes * (together - gcd(step, together))
    return (cpus * each + spare) // together * together


def _cards(
    fields: Mapping[str, str], partition: Partition, nodes: int, tasks: int
) -> dict[str, int]:
    cards: Counter[str] = Counter()
    sockets = max((shape.sockets for shape in partition.shapes), default=1)
    for key, times in zip(GRES_KEYS, (1, nodes, nodes * sockets, tasks), strict=True):
        for gres, cards_each in tres.asked(fields.get(key, "")).items():
            cards[gres] = max(cards[gres], cards_each * times)
    return dict(cards)


def _whole(
    partition: Partition, nodes: int, cpus: int, cards: Mapping[str, int]
) -> tuple[int, dict[str, int]]:
    """Return processors and cards of whole nodes: the most of each that a node has which fits.

    Parts of cards are on top of whole cards only where they are asked for.
    """
    fits = [shape for shape in partition.shapes if _has(shape.cards, cards)]
    if not fits:
        raise NotEligible(
            f"partition {partition.name}: 0 of its nodes have the cards of this job; see sinfo"
        )
    given = {gres: number for gres, number in cards.items() if ":" in gres or is_part(gres)}
    for shape in fits:
        for gres, cards_each in shape.cards.items():
            if not is_part(gres):
                given[gres] = max(given.get(gres, 0), nodes * cards_each)
    return max(cpus, nodes * max(shape.cpus for shape in fits)), given


def _names(cards: Mapping[str, int]) -> set[str]:
    return {gres.partition(":")[0] for gres in cards}


def _has(there: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    names = _names(there)
    return all(gres in there or gres in names for gres, number in wanted.items() if number)


def _allocated(text: str, nodes: int) -> Given:
    """Read what a running job was given: cards, cores, nodes (else as many as said) and memory."""
    try:
        given = tres.read(text)
        cards = read_gres(given.gres)
    except ValueError as error:
        raise InvalidInput(f"tres {text[:SHOWN]!r}: {error}; tell the operator") from None
    cpus = max((int(cpus) for cpus in _CPUS.findall(text)), default=0)
    nodes = max((int(nodes) for nodes in _NODES.findall(text)), default=nodes)
    return cards, cpus, nodes, given.mem_mb or None


def array_tasks(text: str) -> int:
    """Count the tasks of an array: 1-3%2 has three, 0-15:4 four, 1,3,5-7 five; '' is one job.

    Raises:
        InvalidInput: It cannot be read, or has more tasks than Slurm allows.
    """
    if not text:
        return 1
    indices = text.partition("%")[0].strip("[]")
    total = 0
    for part in indices.split(","):
        match = _ARRAY.fullmatch(part)
        if match is None:
            raise InvalidInput(f"array {text[:SHOWN]!r}: cannot be read; write it as 1-10 or 1,3,5")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        total += max(0, (last - first) // max(step, 1) + 1)
    if not 0 < total <= TASKS_MAX:
        raise InvalidInput(
            f"array {text[:SHOWN]!r}: {total} tasks, 1 to {TASKS_MAX} are possible; split it"
        )
    return total
