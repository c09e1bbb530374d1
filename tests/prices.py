"""The price list of the worked examples, and price lists and runs of every shape at random."""

import dataclasses
from datetime import datetime
from pathlib import Path

from hypothesis import strategies as st

from accounting import period
from accounting.rates import chips, tariff
from accounting.rates.bands import Plan
from accounting.rates.discounts import Discount
from accounting.rates.footprint import MAX_SHARE, NODE, PLAIN, Footprint
from accounting.rates.prices import CORE_HOUR, FREE, NODE_HOUR, PFLOPS_HOUR, UNITS, Price
from accounting.rates.tariff import Partition, Tariff
from accounting.rates.terms import Terms
from accounting.runs.run import Run

HERE = Path(__file__).parent


def price_list(version):
    """Load one of the price lists of the worked examples."""
    path = HERE / "data" / "tariffs" / f"{version}.yaml"
    return tariff.load(path.read_text(encoding="utf-8"), path.name)


PRICES = price_list("cd-2024-1")
CHARGED = "COMPLETED FAILED TIMEOUT CANCELLED OUT_OF_MEMORY DEADLINE REQUEUED RESIZING"
STATES = dict.fromkeys(CHARGED.split(), "charged") | dict.fromkeys(("NODE_FAIL",), "free")
EPOCH_S = 1_700_000_000

RUN = Run(
    cluster="chengdu",
    job_id=7,
    job="7",
    submit_s=EPOCH_S - 60,
    start_s=EPOCH_S,
    end_s=EPOCH_S + 3600,
    billed_from_s=EPOCH_S,
    elapsed_s=3600,
    suspended_s=0,
    state="COMPLETED",
    partition="ai",
    qos="normal",
    slurm_account="lab",
    user="li",
    uid=1001,
    nodes=1,
    cpus=8,
    mem_mb=None,
    cards=8,
    gres="gpu:ascend_910b=8",
    req_gres="",
    voucher=None,
    hold=None,
    held_micro=None,
)

DAY_S = 86_400
CARDS = st.sampled_from([1, 0, 2, 7, 8, 16, 99_999, 100_000])
AMOUNTS = st.one_of(
    st.sampled_from([0, 1, 24_000_000, 23_999_999, 10**12 - 1, 10**12]),
    st.integers(0, 10**12),
)
FACTORS_BP = st.sampled_from([10_000, 24_000, 37_500, 60_000, 13_333, 1, 9_999, 10**8])
PAID_BP = st.sampled_from([9_000, 10_000, 1, 3_333, 7_500])
DISCOUNTS = st.sampled_from(["", "D"])
TERMS = st.tuples(st.sampled_from([1, 60, 3600]), st.sampled_from([0, 0, 10**4, 10**12]))
CHANGES = st.just([]) | st.lists(st.integers(-10, 10) | st.integers(-400, 400), max_size=3)
PARTS = st.sampled_from([1000, 143, 1, 999])
MEMORY_MB = st.sampled_from([3 * 1024, 1, 100_003, 524_288, 524_287, 8 * 524_288, None, 0])
ON_A_NODE = st.sampled_from([100_000, 99_999, 70_000, 8])
GB_OF_A_NODE = st.sampled_from([512, 513, 100_000, 3])
SPANS_S = st.one_of(
    st.sampled_from([0, 1, 2, 3599, 3600, DAY_S, 400 * DAY_S]), st.integers(0, 400 * DAY_S)
)


ZONES = (
    period.SHANGHAI, "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"
)  # fmt: skip
"""With summer time, without it, with half an hour of it, and with it turned round."""


@st.composite
def plans(draw):
    """Days of two to six bands, of which some begin in the seconds around EPOCH_S."""
    zone = draw(st.sampled_from(ZONES))
    local = datetime.fromtimestamp(EPOCH_S, period.zone(zone))
    near_s = local.hour * 3600 + local.minute * 60 + local.second
    begins = draw(
        st.sets(
            st.integers(near_s - 10, near_s + 10)
            | st.sampled_from([0, 3600, 5400, 7200, 9000, 10_800, DAY_S - 1])
            | st.integers(0, DAY_S - 1),
            min_size=2,
            max_size=6,
        )
    )
    names = draw(st.permutations(["peak", "flat", "valley", "peak", "flat", "deep"]))
    listed = [(each % DAY_S, name) for each, name in zip(sorted(begins), names, strict=False)]
    return Plan(tuple(sorted(dict(listed).items())), zone)


@st.composite
def footprints(draw, cards):
    """Nodes of which a run takes all, a share, or what it was given."""
    how = draw(st.sampled_from([None, None, MAX_SHARE, MAX_SHARE, NODE]))
    if how is None:
        return PLAIN
    of_node = [dataclasses.replace(each, count=draw(ON_A_NODE)) for each in cards]
    return Footprint(how, tuple(of_node), draw(ON_A_NODE), 1024 * draw(GB_OF_A_NODE))


@st.composite
def tariffs(draw, whole=False):
    """Prices that change a few times around the runs, by cards, cores, nodes or all in turn.

    `whole` leaves no QOS and no instant without one.
    """
    chip_of = {
        f"gpu:{name}": chips.Chip(
            name, name, draw(st.integers(1, 10**6) | st.just(10**9 - 1)), "test", "site"
        )
        for name in ("a", "b")
    }
    instants = draw(
        st.lists(st.integers(-10, 10) | st.integers(-30 * DAY_S, 400 * DAY_S), max_size=5)
    )
    units = draw(st.sampled_from([[PFLOPS_HOUR], [CORE_HOUR], [NODE_HOUR], list(UNITS)]))
    before = draw(st.sampled_from([0] if whole else [0, EPOCH_S - 100 * DAY_S]))
    whose = [[None], [None, "urgent"]] if whole else [[None], ["urgent"], [None, "urgent"]]
    steps = [
        Price(from_s, qos, FREE, 0)
        if plan is None and draw(st.integers(0, 9)) == 0
        else Price(from_s, qos, unit, draw(AMOUNTS), plan, band, factor)
        for from_s in sorted({before, *(EPOCH_S + each for each in instants)})
        for qos in draw(st.sampled_from(whose))
        for unit in [draw(st.sampled_from(units))]
        for plan in [draw(st.none() | plans())]
        for factor in [draw(FACTORS_BP)]
        for band in (plan.bands if plan else [None])
    ]
    terms = tuple(
        Terms(at_s, *draw(TERMS)) for at_s in sorted({EPOCH_S + d for d in draw(CHANGES)})
    )
    known = chip_of | {"shard": chip_of["gpu:a"]}
    parts = {"gpu:b": draw(PARTS), "shard": draw(PARTS)}
    partition = Partition("p", known, tuple(steps), (), terms, parts)
    footprint = draw(footprints([partition.cards(name) for name in chip_of]))
    partition = dataclasses.replace(partition, footprint=footprint)
    edges = sorted({step.from_s for step in steps} | {each.from_s for each in terms})
    return Tariff(
        "t", "none", {("chengdu", "ai"): partition}, period.SHANGHAI, draw(discounts(edges))
    )


def discounts(edges):
    """Discounts of D that begin at the instants at which prices and terms do, and around them."""
    instants = st.sampled_from([*edges, EPOCH_S]) | st.integers(-10, 10).map(EPOCH_S.__add__)
    return st.dictionaries(instants, PAID_BP, min_size=1, max_size=4).map(
        lambda found: {"D": tuple(Discount(at_s, found[at_s]) for at_s in sorted(found))}
    )


ODD = [
    {"gres": "gpu:a=2147483647", "cards": 2**31 - 1},
    {"state": "NODE_FAIL"},
    {"state": "UNHEARD_OF"},
    {"start_s": None, "billed_from_s": None},
    {"billed_from_s": None},
    {"elapsed_s": 2**62},
    {"elapsed_s": -1},
    {"end_s": 0},
    {"end_s": 2**63 - 1},
    {"start_s": -(2**63), "billed_from_s": -(2**63)},
    {"partition": "elsewhere"},
    {"gres": "gpu:c=8", "cards": 8},
    {"gres": "gpu:a = 8", "cards": 8},
    {"gres": "gpu:a=8,gpu:a=8", "cards": 16},
    {"gres": "", "cards": 8},
    {"gres": "", "cards": 0},
    {"cpus": 0},
    {"nodes": 0},
    {"mem_mb": -1},
    {"mem_mb": 2**63 - 1},
    {"req_gres": "gpu:a=1"},
    {"req_gres": "npu=1"},
]


@st.composite
def runs(draw, spans_s=SPANS_S):
    """Runs of every shape whose figures fit together."""
    a, b = draw(CARDS), draw(CARDS)
    counts = {"gpu:a": a, "gpu:b": b, "shard": draw(st.sampled_from([0, 0, 1, 7]))}
    gres = ",".join(f"{name}={count}" for name, count in counts.items() if count)
    span_s = draw(spans_s)
    suspended_s = draw(st.sampled_from([0, 0, 1, span_s // 2, span_s - 1]))
    start_s = EPOCH_S + draw(st.integers(-10, 10) | st.integers(-400 * DAY_S, 400 * DAY_S))
    return dataclasses.replace(
        RUN,
        start_s=start_s,
        billed_from_s=start_s + draw(st.sampled_from([0, 0, 0, 1, span_s // 3])),
        end_s=start_s + span_s,
        suspended_s=suspended_s,
        elapsed_s=max(0, span_s - suspended_s),
        qos=draw(st.sampled_from(["normal", "urgent"])),
        cpus=draw(st.sampled_from([1, 96, 100_000])),
        nodes=draw(st.sampled_from([1, 4, 10_000])),
        mem_mb=draw(MEMORY_MB),
        gres=gres,
        cards=a + b,
    )


@st.composite
def odd_runs(draw):
    """Runs that contradict themselves, have no price, or never were."""
    return dataclasses.replace(draw(runs()), **draw(st.sampled_from(ODD)))


WINDOWS = st.none() | st.tuples(
    *[st.integers(-10, 10).map(EPOCH_S.__add__) | st.integers(0, 2 * EPOCH_S)] * 2
)
