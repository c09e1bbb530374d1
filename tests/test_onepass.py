"""A table that is rated and drawn down in one pass gives what the definitions give, exactly."""

import dataclasses
from bisect import bisect_right
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prices import DAY_S, EPOCH_S, PRICES, RUN, STATES, odd_runs, runs, tariffs

from accounting import period
from accounting.rates import definition, kernels, rating
from accounting.rates.basis import FIRST_S
from accounting.runs import usage
from accounting.settle import drawdown, onepass
from accounting.settle.drawdown import Voucher
from accounting.settle.onepass import Prices

INSTANTS = (
    st.integers(-10, 10).map(EPOCH_S.__add__)
    | st.integers(EPOCH_S - 40 * DAY_S, EPOCH_S + 40 * DAY_S)
    | st.sampled_from([0, 2 * EPOCH_S])
)


@st.composite
def placed(draw):
    """Runs in two partitions, or in none that has a price."""
    run = draw(runs() | odd_runs())
    if run.partition == "ai":
        run = dataclasses.replace(run, partition=draw(st.sampled_from(["b", "ai"])))
    return run


@st.composite
def vouchers(draw):
    """Up to three vouchers of one account that overlap, touch, leave gaps or are spent at once."""
    found = []
    for name in range(draw(st.integers(0, 3))):
        edges = sorted(draw(st.lists(INSTANTS, min_size=2, max_size=2, unique=True)))
        left_fen = draw(st.sampled_from([0, 1, 999, 10**6, 10**17]))
        found.append(Voucher(str(name), *edges, left_fen, 5_000))
    return drawdown.in_order(found)


def sharing(vouchers, prices):
    """Let vouchers bear the share that one pass lets all of them bear."""
    return [dataclasses.replace(each, ratio_bp=prices.ratio_bp) for each in vouchers]


def months_of(some):
    """Return where the months begin in which runs end, and where the last one ends."""
    edges = [EPOCH_S]
    for run in some:
        if 0 <= run.end_s < 2**33:
            edges += period.bounds(period.month_of(run.end_s, period.SHANGHAI), period.SHANGHAI)
    return sorted({*edges})


def by_definition(some, accounts, prices, months_s):
    """Rate runs one by one and draw their months one after the other."""
    rated = [
        definition.define(run, prices.tariff, STATES, None, discount(prices.tariff, account))
        for run, account in zip(some, accounts, strict=True)
    ]
    share, drawn, intervals = {}, Counter(), Counter()
    for account, own in prices.vouchers.items():
        left_fen = {voucher.id: voucher.left_fen for voucher in own}
        for m in range(len(months_s) - 1):
            of_month = [
                i
                for i in sorted(range(len(some)), key=lambda i: some[i].end_s)
                if accounts[i] == account
                and months_s[m] <= some[i].end_s < months_s[m + 1]
                and rated[i].status == rating.CHARGED
            ]
            cut = [(some[i].end_s, parts(some[i], account, own, prices.tariff)) for i in of_month]
            found = drawdown.month(sharing(own, prices), left_fen, cut)
            for i, by_voucher in zip(of_month, found.shares_fen, strict=True):
                share[i] = sum(by_voucher.values())
            drawn.update({(m, account, name): fen for name, fen in found.drawn_fen.items()})
            for _, each in cut:
                intervals.update({(m, account, s): micro for s, micro in enumerate(each)})
    return rated, share, +drawn, +intervals


def by_place(some, accounts, rated, months_s):
    """Add charges up by account, month and partition; leave out those that come to nothing."""
    sums = Counter()
    for run, account, found in zip(some, accounts, rated, strict=True):
        month = bisect_right(months_s, run.end_s) - 1
        sums[account, month, run.cluster, run.partition] += found.charge_micro
    return +sums


def discount(tariff, account):
    """Return the name of an account's discount."""
    return account if account in tariff.discounts else ""


def parts(run, account, own, tariff):
    """Cut the charge of a run at the edges of its account's vouchers."""
    name = discount(tariff, account)
    upto = [
        definition.define(run, tariff, STATES, (FIRST_S, edge), name).eligible_micro
        for edge in drawdown.edges(own)
    ]
    whole = definition.define(run, tariff, STATES, None, name).charge_micro
    return [after - before for before, after in zip([0, *upto], [*upto, whole], strict=True)]


def in_one_pass(some, accounts, prices, months_s):
    """Do the same with the kernel; put what comes out into the same form."""
    table = usage.table(some)
    column = pa.chunked_array([pa.array(accounts, pa.string())])
    arranged = onepass.arrange(table, column, prices)
    own = [prices.vouchers.get(name, ()) for name in arranged.accounts]
    found = onepass.draw_down(
        arranged.rows, arranged.tables, own, np.array(months_s), prices.ratio_bp, arranged.apart
    )
    charge = dict(zip(arranged.places.tolist(), found.charge_micro.tolist(), strict=True))
    share = dict(zip(arranged.places.tolist(), found.share_fen.tolist(), strict=True))
    drawn, intervals = Counter(), Counter()
    voucher = interval = 0
    for name, held in zip(arranged.accounts, own, strict=True):
        for m in range(len(months_s) - 1):
            for v, each in enumerate(held):
                drawn[m, name, each.id] += int(found.drawn_fen[m, voucher + v])
            for s in range(len(drawdown.edges(held)) + 1):
                intervals[m, name, s] += int(found.by_interval_micro[m, interval + s])
        voucher += len(held)
        interval += len(drawdown.edges(held)) + 1
    return arranged, found, charge, share, +drawn, +intervals


@settings(max_examples=100, deadline=None)
@given(
    tariffs(),
    st.lists(st.tuples(placed(), st.sampled_from(["D", "E", None])), max_size=8),
    vouchers(),
    vouchers(),
    st.sampled_from([5000, 3000, 10_000, 3333, 0]),
)
def test_one_pass_is_the_definition(tariff, cases, of_d, of_e, ratio_bp):
    """Whatever runs and vouchers are, each run has its charge and share, and sums add up."""
    # two partitions of the same prices, of which the second counts every run by the second
    own = dict.fromkeys(("ai", "b"), tariff.partitions["chengdu", "ai"])
    own["b"] = dataclasses.replace(own["b"], terms=())
    tariff = dataclasses.replace(tariff, partitions={("chengdu", name): own[name] for name in own})
    some = [run for run, _ in cases if run.end_s < 2**33]
    accounts = [account for run, account in cases if run.end_s < 2**33]
    prices = Prices(tariff, STATES, {"D": of_d, "E": of_e}, {}, ratio_bp)
    months_s = months_of(some)
    rated, shares, drawn, intervals = by_definition(some, accounts, prices, months_s)
    assume(sum(found.charge_micro for found in rated) < 2**62)

    arranged, found, charge, share, drawn_, intervals_ = in_one_pass(
        some, accounts, prices, months_s
    )

    charged = {i: r.charge_micro for i, r in enumerate(rated) if r.status == rating.CHARGED}
    assert charged == {i: micro for i, micro in charge.items() if micro or i in charged}
    assert {i: shares.get(i, 0) for i in charge} == share
    assert drawn == drawn_
    assert {k: v for k, v in intervals.items() if prices.vouchers[k[1]]} == {
        k: v for k, v in intervals_.items() if k[1] is not None and prices.vouchers[k[1]]
    }
    assert by_place(some, accounts, rated, months_s) == {
        (arranged.accounts[a], m, *arranged.partitions[p]): int(found.by_partition_micro[a, m, p])
        for a, m, p in np.argwhere(found.by_partition_micro).tolist()
    }
    assert arranged.unrated == {
        i: r.reason for i, r in enumerate(rated) if r.status == rating.UNRATED
    }
    assert sum(share.values()) == sum(drawn.values())


def test_runs_priced_beforehand_keep_their_place() -> None:
    """Of two runs over the end of a voucher the first has its share first, however it is priced."""
    edge_s = EPOCH_S + 1800
    suspended = dataclasses.replace(RUN, job_id=8, elapsed_s=3599, suspended_s=1)
    last = [Voucher("V", 0, edge_s, 2_000, 5_000)]
    prices = Prices(PRICES, STATES, {"E": last}, {}, 5_000)
    some = [RUN, suspended]

    for order in (some, some[::-1]):
        _, _, _, share, _, _ = in_one_pass(order, ["E", "E"], prices, months_of(order))
        _, shares, _, _ = by_definition(order, ["E", "E"], prices, months_of(order))

        assert share == shares
        assert 0 < share[0] != share[1] > 0


@pytest.mark.parametrize("last", [10**9, 2**50 - 1, 2**50, 2**60])
def test_fees_next_to_a_whole_fen_entitle_to_what_whole_numbers_say(last) -> None:
    """However large the fees of a month: one micro-yuan less than a fen is not a fen."""
    fen = np.linspace(0, last // 10_000 - 1, 5_000).astype(np.int64) * 10_000
    fees = np.array([0, *sorted({0, last, *fen, *(fen[1:] - 1), *(fen + 1)})])

    for ratio_bp in (0, 1, 3_333, 5_000, 10_000):
        found = fees.copy()
        kernels._entitle(found, len(fees) - 1, ratio_bp, 0, last)
        expected = [fee // 10_000 * ratio_bp // 10_000 for fee in fees.tolist()]

        assert found[1:].tolist() == expected[1:]
