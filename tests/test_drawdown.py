"""Three witnesses for what vouchers bear: worked by hand, the definition, and one pass."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from delivery import ROUND, run
from hypothesis import given
from hypothesis import strategies as st

from accounting import money, period, yamlfile
from accounting.policy import percent
from accounting.rates import definition, tariff
from accounting.rates.basis import FIRST_S
from accounting.runs import usage
from accounting.settle import drawdown, onepass
from accounting.settle.drawdown import Voucher

WORKED = Path(__file__).parent / "worked" / "drawdown.yaml"
PRICES = tariff.load(ROUND, "round-1")
STATES = {"COMPLETED": "charged"}
RATIO_BP = 5_000
MONTHS_S = [period.bounds(f"2024-{month}", period.SHANGHAI)[0] for month in (11, 12)]
MONTHS_S.append(period.bounds("2024-12", period.SHANGHAI)[1])


def examples():
    content = yamlfile.read(WORKED.read_text(encoding="utf-8"), WORKED.name)
    assert content["clause"]
    return [pytest.param(each, id=each["name"]) for each in content["examples"]]


def at(value) -> int:
    """Read an instant."""
    return yamlfile.instant(value, period.SHANGHAI, "")


def vouchers_of(example) -> list[Voucher]:
    """Read the vouchers of an example."""
    return drawdown.in_order(
        Voucher(
            name, at(from_), at(until), money.fen(amount), percent(*share) if share else RATIO_BP
        )
        for name, (from_, until, amount, *share) in example["vouchers"].items()
    )


def runs_of(example):
    """Make the runs of an example, each on its cores."""
    found = []
    for number, (begin, end, cores, *suspended) in enumerate(example["runs"], 1):
        seconds = at(end) - at(begin) - sum(suspended)
        times = {"start_s": at(begin), "billed_from_s": at(begin), "end_s": at(end)}
        times |= {"elapsed_s": seconds, "suspended_s": sum(suspended)}
        found.append(run(number, cpus=int(cores), **times))
    return found


def by_definition(vouchers, some):
    """Cut runs at the edges and draw month after month; return what each voucher bears of each."""
    left_fen = {each.id: each.left_fen for each in vouchers}
    shares = [{} for _ in some]
    for begin_s, end_s in pairwise(MONTHS_S):
        order = sorted(range(len(some)), key=lambda i: some[i].end_s)
        own = [i for i in order if begin_s <= some[i].end_s < end_s]
        cut = [(some[i].end_s, parts(some[i], vouchers)) for i in own]
        month = drawdown.month(vouchers, left_fen, cut)
        for i, share in zip(own, month.shares_fen, strict=True):
            shares[i] = share
    return shares


def parts(each, vouchers):
    """Return what a run costs in each interval between edges."""
    upto = [
        definition.define(each, PRICES, STATES, (FIRST_S, edge)).eligible_micro
        for edge in drawdown.edges(vouchers)
    ]
    whole = definition.define(each, PRICES, STATES).charge_micro
    return np.diff([0, *upto, whole]).tolist()


@pytest.mark.parametrize("example", examples())
def test_worked_example(example) -> None:
    """Definition and kernel give what was worked out by hand."""
    vouchers, some = vouchers_of(example), runs_of(example)
    expected = [
        {name: money.fen(amount) for name, amount in share.items()} for share in example["expect"]
    ]
    assert example["arithmetic"]

    assert by_definition(vouchers, some) == expected
    if {each.ratio_bp for each in vouchers} != {RATIO_BP}:
        return  # one pass knows one share
    prices = onepass.Prices(PRICES, STATES, {"A": vouchers}, {}, RATIO_BP)
    accounts = pa.chunked_array([pa.array(["A"] * len(some))])
    arranged = onepass.arrange(usage.table(some), accounts, prices)
    found = onepass.draw_down(
        arranged.rows, arranged.tables, [vouchers], np.array(MONTHS_S), RATIO_BP, arranged.apart
    )
    by_place = dict(zip(arranged.places.tolist(), found.share_fen.tolist(), strict=True))
    assert [by_place[i] for i in range(len(some))] == [sum(s.values()) for s in expected]
    drawn = dict(zip((v.id for v in vouchers), found.drawn_fen.sum(axis=0).tolist(), strict=True))
    assert drawn == {v.id: sum(s.get(v.id, 0) for s in expected) for v in vouchers}


@given(
    st.lists(st.integers(0, 10**12), max_size=30),
    st.integers(0, 10**9),
    st.integers(0, 10_000),
)
def test_shares_add_up(charges, left_fen, ratio_bp) -> None:
    """Shares are what is drawn, to the fen, and never more than the ratio of the fee."""
    voucher = Voucher("V", 0, 100, left_fen, ratio_bp)
    left = {"V": left_fen}

    found = drawdown.month([voucher], left, [(9, (0, each, 0)) for each in charges])

    shares = [share.get("V", 0) for share in found.shares_fen]
    assert sum(shares) == found.drawn_fen.get("V", 0) == left_fen - left["V"]
    assert sum(shares) == min(left_fen, sum(charges) // 10_000 * ratio_bp // 10_000)
    assert all(share >= 0 for share in shares)
