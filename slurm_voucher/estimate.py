"""The most that a job asks for: from the fields of a submit to cards, cores, time and tasks.

Unset is not zero: what a submit leaves open is filled from the partition, and where even that
does not say, the partition's worst case is taken.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from accounting.errors import InvalidInput, NotEligible
from accounting.rates.basis import Kind, asked
from slurm_voucher.partitions import Cluster, Partition
from slurm_voucher.tres import CARD_NAMES, count

TASKS_MAX = 4_000_001
"""Slurm's own highest MaxArraySize."""

_ARRAY = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?")
_GRES = re.compile(r"(?:gres[:/])?([a-z0-9_]+)(?::([A-Za-z0-9_.-]+))?(?:[:=](\d{1,9}K?))?")
_WHOLE = re.compile(r"\d{1,9}")


@dataclass(frozen=True)
class Most:
    """What one task of a job can use at most, and how many tasks there are."""

    kind: Kind
    limit_s: int
    tasks: int


def most(fields: Mapping[str, str], cluster: Cluster) -> Most:
    """Work out the most that a submitted job can use.

    Args:
        fields: Fields of a HOLD question, see protocol.py.
        cluster: Where it is submitted.

    Raises:
        NotEligible: The partition is unknown, or the job has no time limit.
        InvalidInput: A field cannot be read.
    """
    partition = _partition(fields, cluster.partitions)
    nodes = _nodes(fields, partition)
    cpus = _cpus(fields, partition, nodes)
    cards = _cards(fields, partition, nodes)
    qos = fields.get("qos") or cluster.default_qos
    kind = asked(cluster.name, partition.name, qos, cards, cpus)
    return Most(kind, _limit_s(fields, partition), array_tasks(fields.get("array", "")))


def _partition(fields: Mapping[str, str], partitions: Mapping[str, Partition]) -> Partition:
    name = fields.get("partition") or next((p.name for p in partitions.values() if p.default), "")
    if "," in name:
        raise NotEligible(
            f"partition {name}: several are named, 1 is possible with a voucher; choose one"
        )
    if name not in partitions:
        raise NotEligible(f"partition {name or '(none)'}: not known here; see sinfo and choose one")
    return partitions[name]


def number(fields: Mapping[str, str], key: str) -> int | None:
    """Return a field that is a whole number, or None where it is not set.

    Raises:
        InvalidInput: It is something else.
    """
    text = fields.get(key)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text):
        raise InvalidInput(f"{key} {text[:16]!r}: is no whole number")
    return int(text)


def _limit_s(fields: Mapping[str, str], partition: Partition) -> int:
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
    return minutes * 60


def _nodes(fields: Mapping[str, str], partition: Partition) -> int:
    """Return the most nodes that the job can get."""
    named = [n for n in (number(fields, "min_nodes"), number(fields, "max_nodes")) if n]
    if named:
        return max(named)
    tasks = number(fields, "num_tasks") or 1
    per_node = number(fields, "ntasks_per_node")
    if per_node:
        return -(-tasks // per_node)
    return max(1, min(tasks, partition.nodes))


def _cpus(fields: Mapping[str, str], partition: Partition, nodes: int) -> int:
    if fields.get("exclusive"):
        return _of_nodes(partition.cpus, nodes, partition)
    tasks = number(fields, "num_tasks") or 1
    per_task = number(fields, "cpus_per_task") or 1
    wanted = (number(fields, "min_cpus") or 1, number(fields, "max_cpus") or 1)
    return max(nodes, tasks * per_task, *wanted)


def _of_nodes(total: int, nodes: int, partition: Partition) -> int:
    """Return a partition's worst case for some of its nodes."""
    return -(-total // max(partition.nodes, 1)) * nodes


def _cards(fields: Mapping[str, str], partition: Partition, nodes: int) -> dict[str, int]:
    cards: Counter[str] = Counter()
    tasks = number(fields, "num_tasks") or 1
    for key, times in (("tres_per_node", nodes), ("tres_per_job", 1), ("tres_per_task", tasks)):
        for gres, cards_each in gres_of(fields.get(key, "")).items():
            cards[gres] = max(cards[gres], cards_each * times)
    sockets = gres_of(fields.get("tres_per_socket", ""))
    if sockets or (fields.get("exclusive") and partition.cards):
        # neither sockets nor what stands beside a whole node is known here
        name = next(iter(sockets or cards), "gpu")
        cards[name] = max(cards[name], _of_nodes(partition.cards, nodes, partition))
    return dict(cards)


def gres_of(text: str) -> dict[str, int]:
    """Read cards as a submit writes them: gres:gpu:ascend_910b:2, gres/gpu:2, gres/gpu:T=1.

    Raises:
        InvalidInput: A part cannot be read.
    """
    found: Counter[str] = Counter()
    for part in filter(None, text.split(",")):
        match = _GRES.fullmatch(part)
        name, type_, given = match.groups() if match else ("", None, None)
        if type_ is not None and given is None and type_.isdigit():
            type_, given = None, type_
        if not name:
            raise InvalidInput(f"gres {part[:64]!r}: cannot be read; write it as gpu:type:2")
        if name in CARD_NAMES:
            found[f"{name}:{type_}" if type_ else name] += count(given or "1")
    return dict(found)


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
            raise InvalidInput(f"array {text[:64]!r}: cannot be read; write it as 1-10 or 1,3,5")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        total += max(0, (last - first) // max(step, 1) + 1)
    if not 0 < total <= TASKS_MAX:
        raise InvalidInput(f"array {text[:64]!r}: {total} tasks, 1 to {TASKS_MAX} are possible")
    return total
