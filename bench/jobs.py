"""Text of `sacct -P` as a large centre's slurmdbd would print it: the same for the same seed.

    python -m bench.usage --rows 1000000 --text jobs.psv

Shapes of jobs follow what was published of large AI clusters (AcmeTrace, Seren): a third on CPUs
alone, most runs short and a few very long, half of those on cards completed. Beside plain jobs
there are tasks of arrays, rows of steps, runs that were requeued, resized or never started, rows of
het jobs, states with a word more (CANCELLED by 1042), and AdminComments of ours and of others.
Rows come as sacct prints them, by job id.

Source:
    InternLM/AcmeTrace @6d6ac9c, data/cluster_summary.csv, CC-BY-4.0
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ("JobIDRaw", "JobID", "Submit", "Start", "End", "ElapsedRaw", "State", "Partition",
           "QOS", "Account", "User", "NNodes", "NCPUS", "AllocTRES", "AdminComment")  # fmt: skip
"""What is needed of a year that one cluster exports: about 150 bytes a row."""
CARDS = ("ascend_910b3", "ascend_910b4", "dcu_k100", "dcu_z100")
PARTITIONS = ("ai3", "ai4", "k100", "z100", "cpu", "fat")
QOS = ("normal", "shared", "exclusive", "urgent")
YEAR_S = 1_704_038_400
"""2024-01-01 in Asia/Shanghai."""
ROWS_A_YEAR = 54_000_000
USERS = 1_280
GROUPS = 200
SEED = 20_240_730
CHUNK_ROWS = 250_000
Ints = npt.NDArray[np.int64]

_DAYS = pa.array([str(np.datetime64(day, "D")) for day in range(19_000, 20_500)])
_CLOCK = pa.array([f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400)])
_HEX = np.frombuffer("".join(f"{i:02x}" for i in range(256)).encode(), "S2")


def text(
    rows: int,
    accounts: Sequence[str],
    columns: Sequence[str] = COLUMNS,
    begin_s: int = YEAR_S,
    first_job: int = 1_000_001,
) -> Iterator[bytes]:
    """Yield the lines of so many rows, many at a time, without a header.

    Args:
        rows: How many.
        accounts: Voucher accounts that AdminComments name.
        columns: Which columns, of those that `_columns` makes.
        begin_s: When the first is submitted; the others follow at ROWS_A_YEAR.
        first_job: Its number.
    """
    job = first_job
    for first in range(0, rows, CHUNK_ROWS):
        count = min(CHUNK_ROWS, rows - first)
        random = np.random.default_rng([SEED, first])
        span = 365 * 86_400 / ROWS_A_YEAR
        submit_s = begin_s + np.sort(random.uniform(first * span, (first + count) * span, count))
        found = _columns(random, submit_s.astype(np.int64), job, accounts)
        job += count
        lines = pc.binary_join_element_wise(*(found[name] for name in columns), "|")
        yield "\n".join(lines.to_pylist()).encode() + b"\n"


def _columns(
    random: np.random.Generator, submit_s: Ints, first_job: int, accounts: Sequence[str]
) -> dict[str, pa.Array]:
    """Make rows, column by column."""
    count = len(submit_s)
    job = first_job + np.arange(count)
    kind = random.choice(6, count, p=[0.785, 0.12, 0.06, 0.02, 0.01, 0.005])
    _, task, step, never, again, odd = (kind == i for i in range(6))
    # a step and a run after a requeue belong to the job before them
    job[step | again] -= 1
    submit_s = submit_s + again
    on_cpus = random.random(count) < 0.36
    partition = np.where(
        on_cpus, 4 + (random.random(count) < 0.1), random.choice(4, count, p=[0.5, 0.3, 0.15, 0.05])
    )
    wall_s = np.exp(np.where(on_cpus, 2.6 + 2.2 * random.standard_normal(count),
                             4.8 + 2.2 * random.standard_normal(count)))  # fmt: skip
    wall_s = np.clip(wall_s, 0, 7 * 86_400).astype(np.int64)
    wait_s = np.clip(np.exp(2.5 * random.standard_normal(count)), 0, 86_400).astype(np.int64)
    start_s = submit_s + wait_s
    wall_s[never] = 0
    size = _sizes(random, partition, on_cpus)
    user = np.minimum(random.zipf(1.25, count) * 7 % 9_973, random.integers(0, USERS, count))
    state = _states(random, user, on_cpus, never, odd)
    raw, shown = _text(job), _text(job)
    shown = _where(task, _joined(_text(job // 1000 * 1000), _text(job % 1000), "_"), shown)
    shown = _where(odd & (job % 3 == 0), _joined(_text(job), _text(job % 4), "+"), shown)
    steps = pa.array([".batch", ".0", ".extern", ".1"]).take(pa.array(job % 4))
    raw, shown = (_where(step, _joined(each, steps), each) for each in (raw, shown))
    empty = pa.scalar("")
    alloc = _tres(partition, on_cpus, size)
    names = {
        "Partition": pa.array(PARTITIONS).take(pa.array(partition)),
        "QOS": pa.array(QOS).take(pa.array(random.choice(4, count, p=[0.8, 0.1, 0.07, 0.03]))),
        "User": pa.array([f"u{i:04d}" for i in range(USERS)]).take(pa.array(user)),
    }
    found = {
        "JobIDRaw": raw,
        "JobID": shown,
        "Cluster": pa.array(["chengdu"]).take(pa.array(np.zeros(count, np.int64))),
        "Submit": _instants(submit_s),
        "Start": _where(never, pa.scalar("None"), _instants(start_s)),
        "End": _instants(start_s + wall_s),
        "ElapsedRaw": _text(wall_s),
        "Suspended": pa.array(["00:00:00"]).take(pa.array(np.zeros(count, np.int64))),
        "State": state,
        "Account": pa.array([f"grp{i:03d}" for i in range(GROUPS)]).take(pa.array(user % GROUPS)),
        "UID": _text(10_000 + user),
        "NNodes": _text(size["nodes"]),
        "NCPUS": _text(size["cpus"]),
        "ReqTRES": alloc,
        "AllocTRES": alloc,
        "AdminComment": _comments(random, user, accounts),
    }
    found |= {name: _where(step, empty, words) for name, words in names.items()}
    return found


def _sizes(random: np.random.Generator, partition: Ints, on_cpus: Ints) -> dict[str, Ints]:
    """Choose cards, cores, nodes and memory of jobs: few sizes are common, many are there."""
    count = len(partition)
    few = np.array([1, 1, 1, 1, 2, 4, 8, 8, 16, 32, 64, 128, 256, 512, 1024])
    cards = np.where(on_cpus, 0, few[(len(few) * random.random(count) ** 2.5).astype(np.int64)])
    per_card = random.choice([6, 8, 12, 16, 24], count, p=[0.1, 0.2, 0.5, 0.15, 0.05])
    alone = np.maximum(1, (96 * random.random(count) ** 6).astype(np.int64))
    cpus = np.where(on_cpus, alone, cards * per_card)
    gib = random.choice([2, 4, 8, 16], count, p=[0.2, 0.6, 0.15, 0.05])
    return {"cards": cards, "cpus": cpus, "nodes": np.maximum(1, -(-cards // 8)), "mem": cpus * gib}


def _tres(partition: Ints, on_cpus: Ints, size: dict[str, Ints]) -> pa.Array:
    """Write what was allocated, typed and untyped cards both, as sacct does."""
    cards = _text(size["cards"])
    typed = pa.array([f",gres/gpu:{name}=" for name in CARDS] + ["", ""]).take(pa.array(partition))
    gres = _joined(typed, cards, pa.scalar(",gres/gpu="), cards)
    gres = _where(on_cpus, pa.scalar(""), gres)
    cpus = _text(size["cpus"])
    return _joined(pa.scalar("billing="), cpus, pa.scalar(",cpu="), cpus, gres,
                   pa.scalar(",mem="), _text(size["mem"]), pa.scalar("G,node="),
                   _text(size["nodes"]))  # fmt: skip


def _states(
    random: np.random.Generator, user: Ints, on_cpus: Ints, never: Ints, odd: Ints
) -> pa.Array:
    """Choose how runs ended."""
    words = ["COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED",
             "REQUEUED", "RESIZING"]  # fmt: skip
    draw = random.random(len(user))
    cards = np.searchsorted([0.56, 0.93, 0.97, 0.985, 0.99, 0.995], draw)
    cpus = np.searchsorted([0.88, 0.985, 0.993, 0.997, 0.999, 0.9995], draw)
    code = np.where(odd, 6 + (draw < 0.2), np.where(on_cpus, cpus, cards))
    said = pa.array(words).take(pa.array(code))
    cancelled = never | (random.random(len(user)) < 0.06)
    return _where(cancelled, _joined(pa.scalar("CANCELLED by "), _text(10_000 + user)), said)


def _comments(random: np.random.Generator, user: Ints, accounts: Sequence[str]) -> pa.Array:
    """Write AdminComments: one run in twelve has a voucher, a few have what others wrote."""
    count = len(user)
    hold = _HEX[random.integers(0, 256, (count, 16), np.uint8)].view("S32").ravel().astype("U32")
    ours = _joined(
        pa.scalar("voucher="), pa.array(list(accounts)).take(pa.array(user % len(accounts))),
        pa.scalar(";hold="), pa.array(hold), pa.scalar(";held="),
        _text(random.integers(10**4, 10**9, count)),
    )  # fmt: skip
    draw = random.random(count)
    other = _where(draw < 0.09, pa.scalar("checked by the health check"), pa.scalar(""))
    mixed = _joined(pa.scalar("site=7 "), ours)
    found = _where(draw < 1 / 12, ours, other)
    return _where(draw > 0.9995, mixed, found)


def _instants(at_s: Ints) -> pa.Array:
    """Write instants in UTC."""
    days = _DAYS.take(pa.array(at_s // 86_400 - 19_000))
    return _joined(days, _CLOCK.take(pa.array(at_s % 86_400)))


def _text(numbers: Ints) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _joined(*parts: pa.Array | pa.Scalar | str) -> pa.Array:
    """Join texts row by row; a bare string at the end is what stands between them."""
    *texts, between = parts if isinstance(parts[-1], str) else (*parts, "")
    return pc.binary_join_element_wise(*texts, between)


def _where(marks: Ints, then: pa.Array | pa.Scalar, otherwise: pa.Array | pa.Scalar) -> pa.Array:
    return pc.if_else(pa.array(marks), then, otherwise)
