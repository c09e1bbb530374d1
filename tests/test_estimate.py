"""slurm_voucher/estimate.py: a hold is never for less than the most that the job can use."""

import dataclasses
import re
from dataclasses import replace

import pytest
from fakeslurm import CLUSTER
from hypothesis import given, settings
from hypothesis import strategies as st
from prices import PRICES
from town import POLICY

from accounting.errors import InvalidInput, NotEligible, VoucherError
from accounting.rates import tariff
from accounting.rates.footprint import MAX_SHARE
from slurm_voucher import asking, estimate, tres
from slurm_voucher.partitions import Cluster, Shape

CARD = "gpu:ascend_910b"


def one(fields, cluster) -> estimate.Most:
    """Return the most that a job of one partition can use."""
    [only] = estimate.options(fields, cluster)
    return only


def most(text: str = "", **fields: str) -> estimate.Most:
    """Estimate a job, given as words key=value that a real hook has sent."""
    return one(dict(word.split("=", 1) for word in text.split()) | fields, CLUSTER)


def changed(**changes: object) -> Cluster:
    """Return the cluster with its default partition changed."""
    ai = dataclasses.replace(CLUSTER.partitions["ai"], **changes)
    return dataclasses.replace(CLUSTER, partitions={"ai": ai})


# --- what sbatch options come to, by the fields that Slurm 26.05 hands to the hook -----------


@pytest.mark.parametrize(
    ("option", "fields", "cards", "cpus"),
    [
        ("(none)", "min_cpus=1", 0, 1),
        ("--gres=gpu:ascend_910b:2", "tres_per_node=gres/gpu:ascend_910b:2", 2, 1),
        ("the same on 22.05", "tres_per_node=gres:gpu:ascend_910b:2", 2, 1),
        ("--gres=gpu:ascend_910b", "tres_per_node=gres/gpu:ascend_910b", 1, 1),
        ("--gpus=3", "tres_per_job=gres/gpu:3", 3, 2),
        ("--gpus-per-node=2 -N 2", "min_nodes=2 max_nodes=2 tres_per_node=gres/gpu:2", 4, 2),
        ("-N 1-4 on 2 nodes", "min_nodes=1 max_nodes=4 tres_per_node=gres/gpu:1", 2, 2),
        ("-n 2 --gres=gpu:4", "num_tasks=2 tres_per_node=gres/gpu:4", 8, 2),
        (
            "-n 8 --ntasks-per-node=8 --gres=gpu:4",
            "min_nodes=1 num_tasks=8 ntasks_per_node=8 tres_per_node=gres/gpu:4",
            8,
            8,
        ),
        ("-n 3 --gpus-per-task=1", "num_tasks=3 tres_per_task=gres/gpu:ascend_910b=1", 3, 3),
        ("-N 2 --gpus-per-task=1", "min_nodes=2 max_nodes=2 tres_per_task=gres/gpu:1", 2, 2),
        (
            "-N 2 --ntasks-per-node=8 -c 4",
            "min_nodes=2 max_nodes=2 ntasks_per_node=8 cpus_per_task=4",
            0,
            64,
        ),
        (
            "--tres-per-task=cpu=4,gres/gpu:ascend_910b=1 -n 2",
            "num_tasks=2 tres_per_task=cpu=4,gres/gpu:ascend_910b=1",
            2,
            8,
        ),
        ("--gpus-per-socket=1", "tres_per_socket=gres/gpu:1", 4, 1),
        ("--exclusive", "exclusive=1", 8, 192),
        ("--exclusive -N 2 --gres=gpu:1", "exclusive=1 max_nodes=2 tres_per_node=gpu:1", 16, 384),
        ("--exclusive -p sc", "exclusive=1 partition=sc", 4, 64),
        ("--gpus=4 --gpus-per-node=2", "tres_per_job=gpu:4 tres_per_node=gpu:2", 4, 2),
        ("--cpus-per-gpu=4 --gpus=2", "min_cpus=8 tres_per_job=gres/gpu:2", 2, 8),
        ("--gres=shard:2", "tres_per_node=gres/shard:2", 0, 1),
        # what Slurm 26.05 gave for these where the hook said no more than min_cpus
        ("--mincpus=64 --gres=gpu:2", "min_cpus=1 pn_min_cpus=64 tres_per_node=gres/gpu:2", 2, 64),
        (
            "--gpus=4 --cpus-per-gpu=10 -N2",
            "min_nodes=2 max_nodes=2 min_cpus=40 tres_per_job=gres/gpu:4 cpus_per_tres=gres/gpu:10",
            4,
            60,
        ),
        (
            "--gpus-per-node=2 --cpus-per-gpu=10 -N1-2",
            "min_nodes=1 max_nodes=2 min_cpus=20 tres_per_node=gres/gpu:2 cpus_per_tres=gpu:10",
            4,
            40,
        ),
        ("the same on 22.05", "tres_per_node=gres:gpu:2 cpus_per_tres=gres:gpu:10", 2, 20),
        ("by libslurm", "req_nodes=ai[1-2] tres_per_node=gres/gpu:2", 4, 2),
        ("by libslurm", "ntasks_per_tres=8 tres_per_node=gres/gpu:2", 2, 16),
        ("--gres=shard:2 --cpus-per-gpu=4", "tres_per_node=shard:2 cpus_per_tres=gpu:4", 0, 1),
    ],
)
def test_options(option: str, fields: str, cards: int, cpus: int) -> None:
    """Each way of asking for cards and cores counts as the most that it can be given."""
    kind = most(fields).kind

    assert (kind.cards, kind.cpus) == (cards, cpus)


@pytest.mark.parametrize(
    ("fields", "nodes"),
    [
        ("", 1),
        ("min_nodes=2 max_nodes=2", 2),
        ("min_nodes=2 max_nodes=4 partition=whole time_limit=1", 3),
        ("min_nodes=2 max_nodes=16", 2),
        ("min_nodes=3 max_nodes=16", 3),
        ("req_nodes=ai1", 1),
        ("req_nodes=ai1,ai1", 1),
        ("req_nodes=ai[1,2],x", 2),
        ("partition=whole time_limit=1 req_nodes=a[1-2]b,c", 3),
        ("partition=whole time_limit=1 req_nodes=a[2-1],b[x-],c]", 3),
        ("max_nodes=1 req_nodes=ai[1-2]", 2),
        ("num_tasks=64", 2),
        ("num_tasks=64 max_nodes=1", 1),
        ("num_tasks=64 partition=whole time_limit=1", 3),
        ("tres_per_job=gres/gpu:16", 2),
        ("tres_per_job=gres/gpu:16 max_nodes=1", 1),
        ("tres_per_node=gres/gpu:8", 1),
        ("tres_alloc=cpu=1,node=2,gres/gpu=2 num_tasks=64", 2),
        ("tres_alloc=cpu=1 min_nodes=3", 3),
    ],
)
def test_nodes(fields: str, nodes: int) -> None:
    """A job counts with the most nodes that it can lie on, one that runs with those it has."""
    assert most(fields).kind.nodes == nodes


@pytest.mark.parametrize(
    ("fields", "mem_mb"),
    [
        ("", None),
        ("mem_per_node_mb=0", None),
        ("mem_per_node_mb=1000", 1000),
        ("mem_per_node_mb=1000 min_nodes=2 max_nodes=2", 2000),
        ("mem_per_node_mb=1000 tres_per_job=gres/gpu:16", 2000),
        ("mem_per_cpu_mb=1000 num_tasks=2 cpus_per_task=3", 6000),
        ("mem_per_cpu_mb=0 num_tasks=2", None),
        ("mem_per_node_mb=1000 mem_per_cpu_mb=900", 1000),
        ("mem_per_tres=gres/gpu:1024 tres_per_node=gres/gpu:2", 2048),
        ("mem_per_tres=gres:gpu:1024 tres_per_node=gpu:2 min_nodes=2 max_nodes=2", 4096),
        ("mem_per_tres=gres/gpu:1024 tres_per_node=gpu:2 mem_per_node_mb=1024", 2048),
        ("tres_alloc=cpu=1,mem=2G,node=1 mem_per_node_mb=1", 2048),
        ("tres_alloc=cpu=1,node=1 mem_per_node_mb=1", None),
        ("tres_alloc=cpu=1,mem=0,node=1", None),
    ],
)
def test_memory(fields: str, mem_mb: int | None) -> None:
    """Memory is the most that was asked for on all nodes; not asked for, it is not known."""
    assert most(fields).kind.mem_mb == mem_mb


def test_whole_nodes_of_cards_asked_for_together() -> None:
    """Whole nodes for 16 cards are two nodes, whether the cards have a type or not."""
    assert most("exclusive=1 tres_per_job=gres/gpu:16").kind.gres == f"{CARD}=16"


@pytest.mark.parametrize(
    ("asked", "gres"),
    [("", f"{CARD}=8"), ("shard:2", f"{CARD}=8,shard=2"), ("gpu:2", f"{CARD}=8")],
)
def test_whole_nodes_with_parts_of_cards(asked: str, gres: str) -> None:
    """A whole node is its cards; the parts they can be given in are not added unasked."""
    cluster = changed(shapes=[Shape(192, 4, {CARD: 8, "shard": 32})])

    assert one({"exclusive": "1", "tres_per_node": asked}, cluster).kind.gres == gres


def test_tasks_without_nodes_spread_over_the_partition() -> None:
    """Tasks without a number of nodes count as a node each, up to the partition's nodes."""
    assert most(num_tasks="64", tres_per_node="gpu:1").kind.cards == 2


def test_unset_is_not_zero() -> None:
    """A job that says nothing has the default partition, QOS and time, a node, a core, a task."""
    job = most()

    assert (job.kind.partition, job.kind.qos, job.kind.cpus) == ("ai", "normal", 1)
    assert (job.limit_s, job.tasks) == (3600, 1)


def test_types_are_kept_apart() -> None:
    """Cards of two types are two kinds, and both are held."""
    assert most(tres_per_node="gpu:a:1,gpu:b:2,shard:4").kind.gres == "gpu:a=1,gpu:b=2,shard=4"


def test_partition_of_whole_nodes() -> None:
    """Where a partition gives whole nodes, one card asked is all cards of the node held."""
    job = most(partition="whole", tres_per_node="gres/gpu:ascend_910b:1", time_limit="60")

    assert (job.kind.gres, job.kind.cpus) == (f"{CARD}=8", 192)


def test_whole_nodes_of_no_sort_are_the_largest_of_each() -> None:
    """Whole nodes of unlike sorts count with the most cards of each sort that fits."""
    job = most(partition="whole", time_limit="60")

    assert (job.kind.gres, job.kind.cpus) == (f"{CARD}=8,gpu:dcu_z100=4", 192)


def test_whole_nodes_without_the_card_are_refused() -> None:
    """A whole node with a card that no node has is refused and not held for nothing."""
    with pytest.raises(NotEligible, match="0 of its nodes"):
        most("exclusive=1 tres_per_node=gpu:h100:1")


def test_more_memory_than_a_core_may_have_is_more_cores() -> None:
    """Memory above the partition's limit for each core counts as the cores Slurm gives for it."""
    fields = {"partition": "whole", "exclusive": "", "time_limit": "1"}
    limited = dataclasses.replace(CLUSTER.partitions["whole"], whole=False)
    cluster = dataclasses.replace(CLUSTER, partitions={"whole": limited})

    assert one(fields | {"mem_per_node_mb": "8001"}, cluster).kind.cpus == 9
    assert one(fields | {"mem_per_cpu_mb": "2001"}, cluster).kind.cpus == 3


@pytest.mark.parametrize(
    ("fields", "unit", "cpus"),
    [
        ("num_tasks=3", "CORE", 4),
        ("num_tasks=4", "CORE", 4),
        ("num_tasks=4", "CPU", 4),
        ("num_tasks=4 cores_alone=1", "CORE", 8),
        ("num_tasks=4", "SOCKET", 48),
        ("num_tasks=3 min_nodes=2 max_nodes=2", "CORE", 4),
        ("num_tasks=4 min_nodes=2 max_nodes=2", "CORE", 6),
        ("num_tasks=5 min_nodes=2 max_nodes=2", "CORE", 6),
        ("num_tasks=4 min_nodes=2 max_nodes=2", "SOCKET", 96),
        ("num_tasks=4 cpus_per_task=2 min_nodes=2 max_nodes=2", "CORE", 8),
        ("num_tasks=4 cpus_per_task=3 min_nodes=2 max_nodes=2", "CORE", 14),
        ("num_tasks=4 cpus_per_task=2 min_nodes=2 max_nodes=2 pn_min_cpus=3", "CORE", 10),
        ("num_tasks=4 cpus_per_task=2 min_nodes=2 max_nodes=2 min_cpus=9", "CORE", 10),
    ],
)
def test_what_jobs_do_not_share(fields: str, unit: str, cpus: int) -> None:
    """Where a core has two threads, or sockets are given whole, the last one on each node counts
    whole; a task that wants its core for itself counts with both threads."""
    cluster = changed(shapes=[Shape(192, 4, {CARD: 8}, 96)], unit=unit)
    words = {"max_nodes": "1"} | dict(word.split("=", 1) for word in fields.split())

    assert one(words, cluster).kind.cpus == cpus


def test_cores_that_come_with_each_card() -> None:
    """The partition's DefCpuPerGPU counts where the job says nothing else."""
    cluster = changed(cpus_per_card=12)

    assert one({"tres_per_node": "gpu:2"}, cluster).kind.cpus == 24
    assert one({"tres_per_node": "gpu:2", "cpus_per_tres": "gpu:4"}, cluster).kind.cpus == 8


def test_what_a_running_job_was_given_stands() -> None:
    """A running job counts with its allocation, typed and untyped sums once."""
    job = most("num_tasks=64", tres_alloc="cpu=1,node=1,gres/gpu=2,gres/gpu:ascend_910b=2")

    assert (job.kind.gres, job.kind.cpus) == (f"{CARD}=2", 1)


# --- time ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "default", "longest", "limit_s"),
    [
        ("", 60, 100, 3600),
        ("", None, 100, 6000),
        ("time_limit=30", 60, 100, 1800),
        ("time_limit=unlimited", 60, 100, 6000),
        ("time_limit=30 time_min=1", 60, 100, 1800),
    ],
)
def test_time(fields: str, default: int | None, longest: int, limit_s: int) -> None:
    """A job's time is its limit, else the partition's default, else its longest."""
    cluster = changed(default_minutes=default, max_minutes=longest)
    words = dict(word.split("=") for word in fields.split())

    assert one(words, cluster).limit_s == limit_s


@pytest.mark.parametrize("fields", [{}, {"time_limit": "unlimited"}, {"time_limit": "0"}])
def test_no_time_limit_is_refused(fields: dict[str, str]) -> None:
    """A job that nothing limits in time is refused."""
    with pytest.raises(NotEligible, match="has no time limit, a voucher needs one; give --time"):
        one(fields, changed(default_minutes=None, max_minutes=None))


# --- arrays ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("", 1),
        ("0", 1),
        ("1-3%2", 3),
        ("0-15:4", 4),
        ("0-16:4", 5),
        ("1,3,5-7", 5),
        ("[1-3]", 3),
        ("[1-3]%2", 3),
        ("1,3-5,9%1", 5),
        ("0-4000000", 4_000_001),
    ],
)
def test_array_tasks(text: str, tasks: int) -> None:
    """An array text counts the tasks that Slurm makes of it."""
    assert estimate.array_tasks(text) == tasks


ARRAY_NONSENSE = ["x", "-", "1-", "1--3", "3-1", "1,,2", "1-3:", "%2", "[]", "0-4000001", "1-3 ",
                  "1,2,...", "٣", "9" * 4000, "1-9999999," * 99 + "1"]  # fmt: skip


@pytest.mark.parametrize("text", ARRAY_NONSENSE)
def test_array_nonsense_is_refused(text: str) -> None:
    """An array text that is none, or is too large, is refused."""
    with pytest.raises(InvalidInput):
        estimate.array_tasks(text)


@given(st.sets(st.integers(0, 300), min_size=1), st.sampled_from(["{}", "[{}]", "{}%3"]))
def test_array_counts_what_slurm_counts(indices: set[int], form: str) -> None:
    """Any list of single indices has as many tasks as indices."""
    text = form.format(",".join(map(str, sorted(indices))))

    assert estimate.array_tasks(text) == len(indices)


# --- gres ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cards"),
    [
        ("", {}),
        ("gres:gpu:a:2", {"gpu:a": 2}),
        ("gres/gpu:a:2", {"gpu:a": 2}),
        ("gres/gpu:a=2", {"gpu:a": 2}),
        ("gpu", {"gpu": 1}),
        ("gpu:2", {"gpu": 2}),
        ("gpu:a", {"gpu:a": 1}),
        ("gpu:910b", {"gpu:910b": 1}),
        ("gpu:910b:2", {"gpu:910b": 2}),
        ("gpu:3090:2", {"gpu:3090": 2}),
        ("gres/gpu=2", {"gpu": 2}),
        ("gres/gpu:2K", {"gpu": 2048}),
        ("gres/gpu:2k", {"gpu": 2048}),
        ("gpu:a:1,gpu:b:2,gpu:a:3", {"gpu:a": 4, "gpu:b": 2}),
        ("GPU:2", {"gpu": 2}),
        ("npu:1,dcu:2", {"npu": 1, "dcu": 2}),
        ("none", {}),
        ("license/matlab:2,bb/datawarp=512M,cpu=4", {}),
        ("shard:5,gres/mps:50,gres/shard:a:2", {"shard": 5, "mps": 50, "shard:a": 2}),
    ],
)
def test_gres(text: str, cards: dict[str, int]) -> None:
    """Cards are read in every form in which Slurm hands a request on."""
    assert tres.asked(text) == cards


@pytest.mark.parametrize(
    "text",
    ["gpu:2M", "shard:a:b", "gpu:a:2T", "gpu:a:b", "gpu:a:-1", "gpu:a:1.5", "gpu:a:b:2", "gpu::2",
     "gpu:a:", ":gpu", "gpu :2", "g pu:2", "gpu:9999999999999", "gpu:" + "a" * 4000],
)  # fmt: skip
def test_gres_nonsense_is_refused(text: str) -> None:
    """A card text that cannot be read is refused and not taken for no card."""
    with pytest.raises(InvalidInput, match="write it as gpu:type:2"):
        tres.asked(text)


# --- changes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"time_limit": "90"}, "time_limit", "90"),
        ({"time_limit": "30"}, "time_limit", "60"),
        ({"time_limit": "unlimited"}, "time_limit", "unlimited"),
        ({"tres_per_node": ""}, "tres_per_node", "gpu:a:2"),
        ({"tres_per_node": "gres/gpu:a:1,gres/gpu:b:1"}, "tres_per_node", "gpu:a:2,gpu:b:1"),
        ({"tres_per_task": "cpu=2"}, "tres_per_task", "cpu:4"),
        ({"partition": "sc"}, "partition", "sc"),
        ({"num_tasks": "4"}, "num_tasks", "4"),
        ({"mem_per_node_mb": "10"}, "mem_per_node_mb", "0"),
        ({"mem_per_cpu_mb": "10"}, "mem_per_cpu_mb", "0"),
    ],
)
def test_change_keeps_the_higher(change: dict[str, str], key: str, value: str) -> None:
    """What a change lowers or clears is still held, as Slurm may not take the change."""
    before = {"time_limit": "60", "tres_per_node": "gpu:a:2", "tres_per_task": "cpu=4"}

    assert estimate.widest(before, change, CLUSTER)[key] == value


FIELD = st.fixed_dictionaries(
    {},
    optional={
        "min_nodes": st.sampled_from(["1", "2"]),
        "max_nodes": st.sampled_from(["1", "2", "3"]),
        "num_tasks": st.sampled_from(["1", "5"]),
        "cpus_per_task": st.sampled_from(["1", "7"]),
        "time_limit": st.sampled_from(["1", "90", "unlimited"]),
        "tres_per_node": st.sampled_from(["", "gpu:1", "gres/gpu:ascend_910b:2"]),
        "tres_per_task": st.sampled_from(["", "gres/gpu:1", "cpu=3"]),
        "tres_per_job": st.sampled_from(["", "gpu:ascend_910b:4"]),
        "exclusive": st.just("1"),
        "mem_per_node_mb": st.sampled_from(["0", "1000", "5000"]),
        "mem_per_cpu_mb": st.sampled_from(["0", "400", "6000"]),
    },
)


@settings(max_examples=400)
@given(FIELD, FIELD)
def test_change_is_never_below_either(before: dict[str, str], change: dict[str, str]) -> None:
    """A changed job holds no less than before, and no less than after the change."""
    cluster = changed(nodes=8)
    wide = one(estimate.widest(before, change, cluster), cluster)
    for fields in (before, before | change):
        other = one(fields, cluster)
        assert wide.kind.cards >= other.kind.cards
        assert wide.kind.cpus >= other.kind.cpus
        assert wide.kind.nodes >= other.kind.nodes
        assert wide.kind.mem_mb is None or wide.kind.mem_mb >= (other.kind.mem_mb or 2**62)
        assert wide.limit_s >= other.limit_s


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"partition": ",".join(f"p{n}" for n in range(17))},
        {"partition": ",".join(["partition"] * 300)},
        {"partition": "nowhere"},
        {"partition": "x" * 4000},
        {"time_limit": "soon"},
        {"min_nodes": "-1"},
        {"max_nodes": "unlimited"},
        {"num_tasks": "99999999999"},
        {"tres_per_node": "gpu:a:b:c"},
        {"tres_per_node": "x" * 4000 + " "},
        {"array": "1-9999999"},
        {"array": "x" * 4000},
        {"tres_alloc": "gres/gpu=1,gres/gpu:a=2"},
    ],
)
def test_refusal_is_one_short_line(fields: dict[str, str]) -> None:
    """Each refusal is one line of at most 200 bytes: subject, figure, limit, and a next act."""
    with pytest.raises(VoucherError) as refused:
        one(fields, CLUSTER)

    assert re.fullmatch(r"[a-z_]+ [^\n]+: [^\n]+; [^\n]+", str(refused.value))
    assert len(str(refused.value).encode()) <= 200


def test_uid_of_a_directory_service_is_read() -> None:
    """A uid above 1,000,000,000, as directory services give them, is a number."""
    assert estimate.number({"uid": "4294967294"}, "uid") == 4_294_967_294


def test_cards_on_several_nodes_have_cores_and_memory_on_each() -> None:
    """Where each of two cards may lie on a node of its own, each has a core and its memory."""
    kind = most("tres_per_job=gres/gpu:2 mem_per_cpu_mb=512000").kind

    assert (kind.nodes, kind.cpus, kind.mem_mb) == (2, 2, 1_024_000)


# --- how long, and where ---------------------------------------------------------------------


def cluster_with(overrun_s: int = 0, **changes):
    """Return the recorded cluster, with another `ai`."""
    ai = replace(CLUSTER.partitions["ai"], **changes)
    return replace(CLUSTER, partitions={**CLUSTER.partitions, "ai": ai}, overrun_s=overrun_s)


@pytest.mark.parametrize(
    ("cluster", "limit_s"),
    [
        (cluster_with(), 3600),
        (cluster_with(over_minutes=5), 3900),
        (cluster_with(30), 3630),
        (cluster_with(30, over_minutes=5), 3930),
    ],
)
def test_what_a_job_may_run_over_its_limit_counts(cluster, limit_s: int) -> None:
    """OverTimeLimit, and the time until slurmctld sees that it is over, are held for."""
    assert one({"partition": "ai", "time_limit": "60"}, cluster).limit_s == limit_s


def test_no_limit_over_the_limit_is_refused() -> None:
    """A partition where a job may run over its limit for ever is refused in words."""
    with pytest.raises(NotEligible, match="partition ai: its OverTimeLimit has no limit"):
        one({"partition": "ai", "time_limit": "60"}, cluster_with(over_minutes=None))


def test_each_partition_that_is_named_is_worked_out() -> None:
    """A job that may run in several partitions has a figure for each, by its own defaults."""
    found = estimate.options({"partition": "sc,ai,sc", "num_tasks": "3"}, CLUSTER)

    assert [each.kind.partition for each in found] == ["sc", "ai"]
    assert {each.kind.cpus for each in found} == {3}
    with pytest.raises(NotEligible, match="partition gone: not known here"):
        estimate.options({"partition": "ai,gone"}, CLUSTER)


def test_changes_of_a_job_in_several_partitions() -> None:
    """What a change may make of it is the widest of all of them."""
    fields = {"partition": "ai,sc", "time_limit": "60"}

    assert estimate.widest(fields, {"time_limit": "90"}, CLUSTER)["time_limit"] == "90"
    assert estimate.widest(fields, {"time_limit": "30"}, CLUSTER)["time_limit"] == "60"


def test_memory_that_a_job_does_not_name_is_held_as_the_dearest() -> None:
    """Where shares of nodes are priced a job that names no memory may get all of it: the sentence
    says so. Where memory has no price it does not."""
    ai = PRICES.partitions["chengdu", "ai"]
    shares = replace(ai.footprint, how=MAX_SHARE)
    weighs = replace(PRICES, partitions={("chengdu", "ai"): replace(ai, footprint=shares)})
    fields = {"tres_per_node": f"{CARD}:1", "partition": "ai"}

    def vague(prices: tariff.Tariff, **more: str) -> bool:
        return asking.wanted(asking.Rules(CLUSTER, prices, POLICY), fields | more).vague

    assert (vague(PRICES), vague(weighs)) == (False, True)
    assert not vague(weighs, mem_per_node_mb="1000")


@pytest.mark.parametrize(
    ("fields", "vague"),
    [
        ({"tres_per_node": f"{CARD}:1", "min_nodes": "1", "max_nodes": "2"}, True),
        ({"tres_per_node": f"{CARD}:1", "min_nodes": "2", "max_nodes": "2"}, False),
        ({"tres_per_node": f"{CARD}:1", "num_tasks": "3"}, True),
        ({"tres_per_job": f"{CARD}:4", "min_nodes": "1", "max_nodes": "2"}, False),
        ({"tres_per_job": f"{CARD}:4", "min_nodes": "1", "max_nodes": "2", "exclusive": "1"}, True),
        ({"tres_per_node": f"{CARD}:1", "req_nodes": "ai[1-2]"}, False),
        ({"min_nodes": "2", "max_nodes": "4", "tres_alloc": "cpu=1,node=3"}, False),
    ],
)
def test_the_most_nodes_are_held_for_and_the_sentence_says_so(
    fields: dict[str, str], vague: bool
) -> None:
    """Where fewer nodes would cost less it is not known what a job will be given."""
    want = asking.wanted(asking.Rules(CLUSTER, PRICES, POLICY), {"partition": "ai"} | fields)

    assert want.vague is vague
