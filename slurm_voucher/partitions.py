"""What Slurm says about its partitions: defaults and limits that a submit leaves open."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from accounting.errors import InvalidInput, SlurmUnavailable
from slurm_voucher import times, tres
from slurm_voucher.commands import ask
from slurm_voucher.config import Config

NODES_FORMAT = "%R|%c|%X|%Y|%G"
"""Partition, processors, sockets, cores of each and gres, a line for each kind of node."""
WHOLE = ("NODE", "TOPO")
"""Exclusive= of a partition whose jobs get whole nodes (26.05); before it was OverSubscribe."""
_PER_CARD = re.compile(r"DefCpuPerGPU=([0-9]{1,6})")
_UNIT = re.compile(r"CR_(CPU|CORE|SOCKET)(?![A-Z])")
PLACES = re.compile(r"\([^)]*\)")
"""Where a node's gres are, as in gpu:a:8(S:0-1)."""


@dataclass(frozen=True)
class Shape:
    """What one kind of node of a partition has.

    Attributes:
        cores: Of the whole node; each has `threads` of its processors.
    """

    cpus: int
    sockets: int
    cards: Mapping[str, int]
    cores: int = 0

    @property
    def threads(self) -> int:
        """How many of its processors are one core."""
        return max(1, self.cpus // self.cores) if self.cores else 1


@dataclass(frozen=True)
class Partition:
    """One partition.

    Attributes:
        default_minutes: Time limit of a job that names none. None: there is none.
        max_minutes: Longest time limit. None: there is none.
        over_minutes: How much longer than its limit a job may run (OverTimeLimit). None: for ever.
        whole: Whether every job gets whole nodes.
        mem_per_cpu_max_mb: A job that asks for more gets more cores. None: it does not.
        shapes: Every kind of node in it.
        cpus_per_card: What a job gets for each card at least (DefCpuPerGPU). 0: nothing.
        unit: What jobs do not share: CPU, CORE, SOCKET (SelectTypeParameters).
        core_alone: Whether each task has its core alone (CR_ONE_TASK_PER_CORE).
    """

    name: str
    default: bool
    default_minutes: int | None
    max_minutes: int | None
    over_minutes: int | None
    nodes: int
    whole: bool
    mem_per_cpu_max_mb: int | None
    shapes: Sequence[Shape]
    cpus_per_card: int = 0
    unit: str = "CORE"
    core_alone: bool = False

    @property
    def together(self) -> int:
        """How many processors of a node are given to a job together, at most."""
        if self.unit == "SOCKET":
            return max((shape.cpus // shape.sockets for shape in self.shapes), default=1)
        return self.threads if self.unit == "CORE" else 1

    @property
    def threads(self) -> int:
        """How many processors a core has, at most."""
        return max((shape.threads for shape in self.shapes), default=1)


@dataclass(frozen=True)
class Cluster:
    """What a submit leaves open is filled in from this.

    Attributes:
        name: Its name.
        partitions: By name.
        default_qos: QOS of a job that names none, by the site's word.
        overrun_s: How long after its limit slurmctld may see that a job is over it.
    """

    name: str
    partitions: Mapping[str, Partition]
    default_qos: str
    overrun_s: int = 0


def load(site: Config) -> Cluster:
    """Ask slurmctld about a site's cluster. Never call this while slurmctld waits for an answer.

    Raises:
        SlurmUnavailable: No answer.
    """
    nodes = ask(["sinfo", "--all", "--exact", "--noheader", f"--format={NODES_FORMAT}"])
    config = ask(["scontrol", "show", "config"])
    partitions = read(ask(["scontrol", "--oneliner", "show", "partition"]), nodes, config)
    name = setting(config, "ClusterName")
    return Cluster(name, partitions, site.default_qos, site.overrun_s)


def setting(config: str, name: str) -> str:
    """Return what `scontrol show config` says of a setting. Raises SlurmUnavailable."""
    for line in config.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == name and value.strip():
            return value.strip()
    raise SlurmUnavailable(f"scontrol: show config names no {name}; is slurmctld running?")


def read(text: str, nodes: str, config: str) -> dict[str, Partition]:
    """Read what Slurm prints about partitions.

    Args:
        text: Of `scontrol --oneliner show partition`.
        nodes: Of `sinfo` in NODES_FORMAT.
        config: Of `scontrol show config`.

    Raises:
        SlurmUnavailable: A part cannot be read.
    """
    try:
        rows = [
            dict(word.partition("=")[::2] for word in line.split()) for line in text.split("\n")
        ]
        shapes = list(_shapes(nodes))
        return {
            row["PartitionName"]: _partition(row, shapes, config) for row in rows if row
        }  # fmt: skip
    except (ValueError, KeyError, InvalidInput) as error:
        raise SlurmUnavailable(
            f"scontrol: partitions cannot be read ({error}); try again"
        ) from None


def _shapes(nodes: str) -> Iterator[tuple[str, Shape]]:
    for line in nodes.splitlines():
        name, cpus, sockets, cores, gres = line.split("|")
        told = PLACES.sub("", gres.replace("(null)", ""))
        shape = Shape(int(cpus), int(sockets), tres.asked(told), int(sockets) * int(cores))
        yield name, shape


def _partition(
    row: Mapping[str, str], shapes: Sequence[tuple[str, Shape]], config: str
) -> Partition:
    most = row.get("MaxMemPerCPU") or _set(config, "MaxMemPerCPU", "UNLIMITED")
    defaults = row.get("JobDefaults", "(null)")
    for_cards = defaults if "DefCpuPerGPU" in defaults else _set(config, "JobDefaults", "")
    per_card = _PER_CARD.search(for_cards)
    own, whole = row.get("SelectTypeParameters", "NONE"), row["OverSubscribe"] == "EXCLUSIVE"
    select = _set(config, "SelectTypeParameters", "").upper()
    unit = _UNIT.search(select if own == "NONE" else own.upper())
    return Partition(
        name=row["PartitionName"],
        default=row["Default"] == "YES",
        default_minutes=_minutes(row["DefaultTime"]),
        max_minutes=_minutes(row["MaxTime"]),
        over_minutes=_over_minutes(row.get("OverTimeLimit", "NONE"), config),
        nodes=int(row["TotalNodes"]),
        whole=whole or row.get("Exclusive", "NO") in WHOLE or _gives_nodes(config),
        mem_per_cpu_max_mb=None if most == "UNLIMITED" else int(most),
        shapes=[shape for name, shape in shapes if name == row["PartitionName"]],
        cpus_per_card=int(per_card[1]) if per_card else 0,
        unit=unit[1] if unit else "CORE",
        core_alone="CR_ONE_TASK_PER_CORE" in select,
    )


def _gives_nodes(config: str) -> bool:
    return _set(config, "SelectType", "") == "select/linear"


def _set(config: str, name: str, otherwise: str) -> str:
    """Return a setting, where it has one."""
    try:
        return setting(config, name)
    except SlurmUnavailable:
        return otherwise


def _over_minutes(own: str, config: str) -> int | None:
    """Read a partition's OverTimeLimit; where it has none the cluster's counts, as `5 min`."""
    if own == "NONE":
        own = _set(config, "OverTimeLimit", "0 min")
    return _minutes(own.removesuffix(" min"))


def _minutes(text: str) -> int | None:
    return None if text in ("NONE", "UNLIMITED", "INFINITE") else times.limit_minutes(text)
