"""slurm_voucher/partitions.py: what Slurm says about partitions, or that it does not answer."""

from pathlib import Path

import pytest
from fakeslurm import CLUSTER, FakeSlurm, recorded

from accounting.errors import SlurmUnavailable
from slurm_voucher import commands, partitions
from slurm_voucher.config import Config
from slurm_voucher.partitions import Partition, Shape

AI = Shape(192, 4, {"gpu:ascend_910b": 8}, 192)
SC = Shape(64, 2, {"gpu:dcu_z100": 4}, 64)


def read(text: str = "", nodes: str = "", config: str = "") -> dict[str, Partition]:
    """Read recorded answers but for those given."""
    return partitions.read(
        text or recorded("partitions.txt"), nodes or recorded("sinfo.txt"),
        config or recorded("config.txt"),
    )  # fmt: skip


SITE = Config(Path("/"), "", Path("/"), Path("/"), "", 0, 30, "normal")


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    """Slurm's commands, which repeat what was recorded."""
    fake = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


def test_recorded_partitions() -> None:
    """Defaults, limits and nodes are those that Slurm 26.05 prints."""
    assert CLUSTER.partitions == {
        "ai": Partition("ai", True, 60, 7 * 1440, 0, 2, False, None, [AI]),
        "sc": Partition("sc", False, 60, 2 * 1440, 0, 2, False, None, [SC]),
        "whole": Partition("whole", False, None, None, 0, 3, True, 1000, [AI, SC]),
    }


def test_whole_nodes_before_2605() -> None:
    """OverSubscribe=EXCLUSIVE, as older Slurms say it, means whole nodes too."""
    text = recorded("partitions.txt").replace("Exclusive=NO ", "")
    text = text.replace("OverSubscribe=NO", "OverSubscribe=EXCLUSIVE", 1)

    assert [each.whole for each in read(text).values()] == [True, False, True]


@pytest.mark.parametrize(
    ("gres", "cards"),
    [
        ("(null)", {}),
        ("gpu:8", {"gpu": 8}),
        ("gpu:a:8(S:0-1)", {"gpu:a": 8}),
        ("gpu:a:4(S:0,2-3),gpu:b:2(S:1),shard:40", {"gpu:a": 4, "gpu:b": 2, "shard": 40}),
    ],
)
def test_cards_of_nodes(gres: str, cards: dict[str, int]) -> None:
    """The cards of a node are read in the forms of sinfo, places left out."""
    assert read(nodes=f"ai|192|4|48|{gres}")["ai"].shapes[0].cards == cards


def test_limit_of_memory_for_the_whole_cluster() -> None:
    """MaxMemPerCPU of the configuration counts where a partition says none."""
    config = recorded("config.txt") + "MaxMemPerCPU            = 4000\n"

    assert [each.mem_per_cpu_max_mb for each in read(config=config).values()] == [4000, 4000, 1000]


@pytest.mark.parametrize(
    ("select", "own", "nodes", "together"),
    [
        ("CR_CORE", "NONE", "ai|192|4|48|", 1),
        ("CR_CORE_MEMORY", "NONE", "ai|192|4|24|", 2),
        ("CR_CPU", "NONE", "ai|192|4|24|", 1),
        ("CR_SOCKET,CR_ONE_TASK_PER_CORE", "NONE", "ai|192|4|48|", 48),
        ("CR_CORE", "CR_SOCKET", "ai|192|4|48|", 48),
    ],
)
def test_processors_that_are_given_together(
    select: str, own: str, nodes: str, together: int
) -> None:
    """What jobs do not share is a core with its threads, or a socket, by SelectTypeParameters of
    the partition, else of the cluster."""
    text = recorded("partitions.txt").replace(
        "SelectTypeParameters=NONE", f"SelectTypeParameters={own}"
    )
    config = f"{recorded('config.txt')}SelectTypeParameters    = {select}\n"
    ai = read(text, nodes, config)["ai"]

    assert (ai.together, ai.core_alone) == (together, "ONE_TASK" in select)


def test_nodes_that_are_given_whole_everywhere() -> None:
    """select/linear knows no parts of nodes."""
    config = f"{recorded('config.txt')}SelectType              = select/linear\n"

    assert [each.whole for each in read(config=config).values()] == [True] * 3


@pytest.mark.parametrize(
    ("own", "all_of_them", "cpus"),
    [
        ("(null)", "(null)", 0),
        ("(null)", "DefMemPerGPU=1000,DefCpuPerGPU=12", 12),
        ("DefCpuPerGPU=4,DefMemPerGPU=1000", "DefCpuPerGPU=12", 4),
        ("DefMemPerGPU=1000", "DefCpuPerGPU=12", 12),
    ],
)
def test_cores_that_come_with_a_card(own: str, all_of_them: str, cpus: int) -> None:
    """DefCpuPerGPU is the partition's, else the cluster's."""
    text = recorded("partitions.txt").replace("JobDefaults=(null)", f"JobDefaults={own}")
    config = f"{recorded('config.txt')}JobDefaults             = {all_of_them}\n"

    assert read(text, config=config)["ai"].cpus_per_card == cpus


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("text", "PartitionName=ai TotalNodes=2"),
        ("text", "slurm_load_partitions: oops"),
        ("text", recorded("partitions.txt").replace("TotalNodes=2", "TotalNodes=two", 1)),
        ("text", recorded("partitions.txt").replace("DefaultTime=01:00:00", "DefaultTime=soon")),
        ("nodes", "ai|192|4"),
        ("nodes", "ai|many|4|48|gpu:1"),
        ("nodes", "ai|192|4|48|gpu:a:b:c"),
        ("config", "MaxMemPerCPU = plenty"),
    ],
)
def test_odd_answer_is_no_answer(answer: str, text: str) -> None:
    """An answer that cannot be read is refused as a whole, as an error that is caught."""
    with pytest.raises(SlurmUnavailable, match="cannot be read"):
        read(**{answer: text})


def test_load(slurm: FakeSlurm) -> None:
    """The cluster is asked for its name, its partitions and its nodes."""
    assert partitions.load(SITE) == CLUSTER


@pytest.mark.parametrize("command", ["scontrol", "sinfo"])
def test_failure_says_what_slurm_said(slurm: FakeSlurm, command: str) -> None:
    """A command that fails is named, with the first line that it said."""
    slurm.fails(command)

    with pytest.raises(SlurmUnavailable) as error:
        partitions.load(SITE)
    assert str(error.value) == f"{command}: slurm_load: Unable to contact; is slurmctld running?"


def test_no_cluster_name(slurm: FakeSlurm) -> None:
    """A configuration without a name of the cluster is refused."""
    slurm.says("config.txt", "ClusterName = \n")

    with pytest.raises(SlurmUnavailable, match="names no ClusterName"):
        partitions.load(SITE)


def test_command_that_is_not_there(tmp_path, monkeypatch) -> None:
    """Where Slurm is not installed the refusal names the command and PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SlurmUnavailable, match="sinfo: No such file or directory; install it"):
        partitions.load(SITE)


def test_command_that_hangs(slurm: FakeSlurm) -> None:
    """A command that does not answer in time is given up."""
    slurm.hangs("sdiag")

    with pytest.raises(SlurmUnavailable, match=r"sdiag: no answer in 0\.1 s"):
        commands.ask(["sdiag"], 0.1)


def test_bytes_that_are_no_text(slurm: FakeSlurm) -> None:
    """Bytes that are no UTF-8 do not stop the reading."""
    (slurm.folder / "sdiag.txt").write_bytes(b"\xff 1\n")

    assert commands.ask(["sdiag"]) == "\ufffd 1\n"


def test_long_lists_are_asked_for_whole(slurm: FakeSlurm) -> None:
    """Slurm is told not to shorten lists of array tasks."""
    (slurm.folder / "sdiag").write_text("#!/bin/sh\necho $SLURM_BITSTR_LEN\n")

    assert commands.ask(["sdiag"]) == "0\n"


@pytest.mark.parametrize(
    ("own", "all_of_them", "minutes"),
    [
        ("NONE", "0 min", 0),
        ("NONE", "5 min", 5),
        ("NONE", "UNLIMITED", None),
        ("UNLIMITED", "5 min", None),
        ("7", "5 min", 7),
    ],
)
def test_over_time_limit(own: str, all_of_them: str, minutes: int | None) -> None:
    """A partition's OverTimeLimit counts, else the cluster's."""
    text = recorded("partitions.txt").replace("OverTimeLimit=NONE", f"OverTimeLimit={own}")
    config = f"{recorded('config.txt')}OverTimeLimit           = {all_of_them}\n"

    assert read(text, config=config)["ai"].over_minutes == minutes
