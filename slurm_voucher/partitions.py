"""What Slurm says about its partitions: defaults and limits that a submit leaves open."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from accounting.errors import SlurmUnavailable
from slurm_voucher import times, tres

TIMEOUT_S = 20


@dataclass(frozen=True)
class Partition:
    """One partition. Time limits are minutes; None: there is none."""

    name: str
    default: bool
    default_minutes: int | None
    max_minutes: int | None
    nodes: int
    cards: int
    cpus: int


@dataclass(frozen=True)
class Cluster:
    """What a submit leaves open is filled in from this.

    Attributes:
        name: Its name.
        partitions: By name.
        default_qos: QOS of a job that names none, by the site's word.
    """

    name: str
    partitions: Mapping[str, Partition]
    default_qos: str


def ask(command: list[str], timeout_s: int = TIMEOUT_S) -> str:
    """Run one of Slurm's commands and return what it prints.

    Raises:
        SlurmUnavailable: It is not there, failed, or took too long.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SlurmUnavailable(f"{command[0]}: no answer in {timeout_s} s; try again") from None
    except OSError as error:
        raise SlurmUnavailable(f"{command[0]}: {error.strerror}; install it or set PATH") from None
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0]
        raise SlurmUnavailable(f"{command[0]}: {said or 'failed'}; is slurmctld running?")
    return done.stdout


def load(default_qos: str) -> Cluster:
    """Ask slurmctld about its cluster. Never call this while slurmctld waits for an answer.

    Raises:
        SlurmUnavailable: No answer.
    """
    partitions = read(ask(["scontrol", "--oneliner", "show", "partition"]))
    return Cluster(_name(), partitions, default_qos)


def _name() -> str:
    for line in ask(["scontrol", "show", "config"]).splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "ClusterName":
            return value.strip()
    raise SlurmUnavailable("scontrol: show config names no ClusterName; set --cluster")


def read(text: str) -> dict[str, Partition]:
    """Read what `scontrol --oneliner show partition` prints."""
    found = {}
    for line in text.splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split())
        if "PartitionName" in fields:
            found[fields["PartitionName"]] = _partition(fields)
    return found


def _partition(fields: Mapping[str, str]) -> Partition:
    told = fields.get("TRES", "(null)")
    cards = tres.read(told).cards if told != "(null)" else 0
    return Partition(
        name=fields["PartitionName"],
        default=fields.get("Default") == "YES",
        default_minutes=_minutes(fields.get("DefaultTime", "NONE")),
        max_minutes=_minutes(fields.get("MaxTime", "UNLIMITED")),
        nodes=int(fields.get("TotalNodes", "0")),
        cards=cards,
        cpus=int(fields.get("TotalCPUs", "0")),
    )


def _minutes(text: str) -> int | None:
    return None if text in ("NONE", "UNLIMITED", "INFINITE") else times.limit_minutes(text)
