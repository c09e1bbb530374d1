"""What Slurm says about its partitions: defaults and limits that a submit leaves open."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from accounting.errors import InvalidInput, SlurmUnavailable
from slurm_voucher import times, tres
from slurm_voucher.commands import ask
from slurm_voucher.config import Config

NODES_FORMAT = "%R|%c|%X|%G"
"""Partition, processors, sockets and gres, a line for each kind of node."""
WHOLE = ("NODE", "TOPO")
"""Exclusive= of a partition whose jobs get whole nodes (26.05); before it was OverSubscribe."""
PLACES = re.compile(r"\([^)]*\)")
"""Where a node's gres are, as in gpu:a:8(S:0-1)."""


@dataclass(frozen=True)
class Shape:
    """What one kind of node of a partition has."""

    cpus: int
    sockets: int
    cards: Mapping[str, int]


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
        name, cpus, sockets, gres = line.split("|")
        told = PLACES.sub("", gres.replace("(null)", ""))
        yield name, Shape(int(cpus), int(sockets), tres.asked(told))


def _partition(
    row: Mapping[str, str], shapes: Sequence[tuple[str, Shape]], config: str
) -> Partition:
    most = row.get("MaxMemPerCPU") or (
        setting(config, "MaxMemPerCPU") if "MaxMemPerCPU" in config else "UNLIMITED"
    )
    return Partition(
        name=row["PartitionName"],
        default=row["Default"] == "YES",
        default_minutes=_minutes(row["DefaultTime"]),
        max_minutes=_minutes(row["MaxTime"]),
        over_minutes=_over_minutes(row.get("OverTimeLimit", "NONE"), config),
        nodes=int(row["TotalNodes"]),
        whole=row["OverSubscribe"] == "EXCLUSIVE" or row.get("Exclusive", "NO") in WHOLE,
        mem_per_cpu_max_mb=None if most == "UNLIMITED" else int(most),
        shapes=[shape for name, shape in shapes if name == row["PartitionName"]],
    )


def _over_minutes(own: str, config: str) -> int | None:
    """Read a partition's OverTimeLimit; where it has none the cluster's counts, as `5 min`."""
    if own == "NONE":
        own = setting(config, "OverTimeLimit") if "OverTimeLimit" in config else "0 min"
    return _minutes(own.removesuffix(" min"))


def _minutes(text: str) -> int | None:
    return None if text in ("NONE", "UNLIMITED", "INFINITE") else times.limit_minutes(text)
