"""A quote is the most that a job can cost, whenever it starts and whatever it gets."""

import dataclasses
from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prices import DAY_S, DISCOUNTS, EPOCH_S, PRICES, STATES, WINDOWS, price_list, runs, tariffs

from accounting import money, period
from accounting.errors import TariffMissing, UsageInvalid
from accounting.rates import basis, definition, quoting
from accounting.rates.prices import PFLOPS_HOUR, Price

HOUR_S = 3600
NEW_YEAR_S = period.bounds("2024", period.SHANGHAI)[0]
TWO = {"gpu:ascend_910b": 2}
WAITS_S = st.integers(0, 99) | st.integers(0, 366 * DAY_S)


def quote(gres, now_s, *, qos="normal", partition="ai", limit_s=HOUR_S, window=None, cpus=8):
    kind = basis.asked("chengdu", partition, qos, gres, cpus)
    return quoting.most(PRICES, kind, limit_s, now_s, window)


def test_a_dearer_price_to_come_is_quoted():
    """2 cards for 1 h: 0.752 × 30.00 = 22.56, as it may start after New Year."""
    found = quote(TWO, NEW_YEAR_S - DAY_S)

    assert found.fee_micro == 22_560_000
    assert found.starts_s == NEW_YEAR_S


def test_a_cheaper_price_to_come_does_not_help():
    """At a price that falls, the job that starts now is the dearest: 0.752 × 24.00 = 18.048."""
    falling = PRICES.partition("chengdu", "ai")
    cheaper = tuple(
        dataclasses.replace(
            price, micro=price.micro // 2 if price.from_s == NEW_YEAR_S else price.micro
        )
        for price in falling.prices
    )
    prices = dataclasses.replace(
        PRICES, partitions={("chengdu", "ai"): dataclasses.replace(falling, prices=cheaper)}
    )
    kind = basis.asked("chengdu", "ai", "normal", TWO, 8)

    assert quoting.most(prices, kind, HOUR_S, NEW_YEAR_S - DAY_S).fee_micro == 18_048_000
    half_past = quoting.most(prices, kind, HOUR_S, NEW_YEAR_S - 1800)
    assert half_past.fee_micro == 9_024_000 + 5_640_000


def test_a_dear_half_hour_is_quoted_with_the_dearer_side():
    """10.00, half an hour of 30.00, then 5.00: the dearest hour ends with the dear half hour."""
    ai = PRICES.partition("chengdu", "ai")
    steps = ((0, 10), (NEW_YEAR_S, 30), (NEW_YEAR_S + 1800, 5))
    prices_of = tuple(Price(at, None, PFLOPS_HOUR, yuan * 10**6) for at, yuan in steps)
    prices = dataclasses.replace(
        PRICES, partitions={("chengdu", "ai"): dataclasses.replace(ai, prices=prices_of)}
    )
    kind = basis.asked("chengdu", "ai", "normal", TWO, 8)
    found = quoting.most(prices, kind, HOUR_S, NEW_YEAR_S - DAY_S)

    assert found.starts_s == NEW_YEAR_S - 1800
    assert found.fee_micro == 376_000 * (10 + 30)


def test_the_dearest_hours_to_come_are_quoted():
    """Asked at night, 4 h of 2 cards are quoted from 10:00: 0.752 × 4 × 36.00 = 108.288.

    6 h hold 5 of peak, from 09:00 on: 0.752 × (1 × 24.00 + 5 × 36.00) = 153.408.
    """
    night_s = period.instant(date(2024, 7, 10), period.SHANGHAI)
    kind = basis.asked("chengdu", "ai", "normal", TWO, 8)
    four, six = (
        quoting.most(price_list("options-1"), kind, hours * HOUR_S, night_s) for hours in (4, 6)
    )

    assert (four.fee_micro, four.starts_s) == (108_288_000, night_s + 10 * HOUR_S)
    assert (six.fee_micro, six.starts_s) == (153_408_000, night_s + 9 * HOUR_S)


def test_what_is_free_is_quoted_as_nothing():
    """A QOS that is said to be free has a quote, and it is zero; until it ends, no longer."""
    now_s = period.instant(date(2023, 8, 1), period.SHANGHAI)
    teaching, normal = (
        quoting.most(
            price_list("options-1"), basis.asked("chengdu", "free", qos, TWO, 8), 60, now_s
        )
        for qos in ("teaching", "normal")
    )

    assert teaching.fee_micro == 0
    assert normal.starts_s == NEW_YEAR_S


def test_a_past_price_does_not_count():
    """After New Year only 30.00 is left, though 24.00 still stands in the list."""
    assert quote(TWO, NEW_YEAR_S).fee_micro == 22_560_000


def test_a_fee_is_rounded_up_and_its_eligible_part_down():
    """8 cards for 1 s: 0.02005333… yuan are held as 20,054, of which 20,053 are eligible."""
    now_s = NEW_YEAR_S - DAY_S
    found = quote({"gpu:ascend_910b": 8}, now_s, qos="normal", limit_s=1, window=(0, 2**40))

    assert found.eligible_micro == 20_053
    assert found.fee_micro == 25_067


def test_only_seconds_inside_the_validity_are_eligible():
    """Half an hour before the voucher ends half of an hour's job is eligible, at today's price."""
    found = quote(TWO, NEW_YEAR_S - 1800, window=(0, NEW_YEAR_S))

    assert found.eligible_micro == 9_024_000
    assert quote(TWO, NEW_YEAR_S - 1800).eligible_micro == 0


def test_untyped_cards_are_quoted_as_the_fastest_type():
    """--gres=gpu:2 may be given any type that the tariff knows: here there is one."""
    assert quote({"gpu": 2}, NEW_YEAR_S).basis.chip == "ascend_910b2"
    assert quote({"dcu": 2}, NEW_YEAR_S, partition="dcu").basis.chip == "dcu_k100"
    assert quote({"gpu": 2}, NEW_YEAR_S, partition="dcu").basis.chip == "dcu_z100"


def test_cores_are_quoted_by_the_core():
    """96 cores for 1 h at 0.03: 2.88 yuan."""
    assert quote({}, NEW_YEAR_S, partition="cpu", cpus=96).fee_micro == 2_880_000


def test_terms_to_come_are_quoted():
    """10 cores for 61 s are 0.20 by the minute, and 6.00 by the hour from New Year on."""
    kind = basis.asked("chengdu", "begun", "normal", {}, 10)
    found = quoting.most(price_list("options-1"), kind, 61, NEW_YEAR_S - DAY_S)

    assert (found.fee_micro, found.starts_s) == (6_000_000, NEW_YEAR_S)


def test_untyped_cards_are_never_quoted_as_a_part():
    """--gres=gpu:2 may be given whole cards: 0.752 × 10.00 = 7.52."""
    kind = basis.asked("chengdu", "parts", "normal", {"gpu": 2}, 8)
    found = quoting.most(price_list("options-1"), kind, HOUR_S, NEW_YEAR_S)

    assert found.fee_micro == 7_520_000


@pytest.mark.parametrize(
    ("gres", "fee_yuan"),
    [({"shard": 3}, "2.82"), ({"mps": 50}, "1.88"), ({"gpu": 1, "shard": 2}, "5.64")],
)
def test_parts_of_cards_are_quoted(gres, fee_yuan):
    """Shards are quoted by their part of a card: 3 × 0.25 × 0.376 × 10.00 = 2.82."""
    kind = basis.asked("chengdu", "shards", "normal", gres, 8)
    found = quoting.most(price_list("options-1"), kind, HOUR_S, NEW_YEAR_S)

    assert found.fee_micro == money.micro(fee_yuan)


def test_nodes_are_quoted_by_the_node():
    """3 nodes for 1 h at 6.50: 19.50 yuan; how many it gets must be known."""
    by_node = basis.asked("chengdu", "whole", "normal", {}, 64, 3)
    unknown = by_node._replace(nodes=0)

    found = quoting.most(price_list("options-1"), by_node, HOUR_S, NEW_YEAR_S)
    assert found.fee_micro == 19_500_000
    with pytest.raises(TariffMissing, match="is priced by nodes and none is in the allocation"):
        quoting.most(price_list("options-1"), unknown, HOUR_S, NEW_YEAR_S)


@pytest.mark.parametrize(
    ("gres", "cpus", "nodes", "mem_mb", "fee_yuan"),
    [
        ({"gpu:ascend_910b": 1}, 12, 1, 65_536, "3.76"),  # 1/8 of everything
        ({"gpu:ascend_910b": 1}, 12, 1, 393_216, "22.56"),  # 3/4 of the memory
        ({"gpu:ascend_910b": 1}, 12, 1, None, "30.08"),  # memory not known: all of it
        ({"gpu:ascend_910b": 1}, 12, 2, None, "60.16"),  # on each of its nodes
        ({"gpu": 1}, 12, 1, 65_536, "3.76"),  # any type, and there is one
        ({"gpu:ascend_910b": 99}, 999, 2, 2**40, "60.16"),  # no job takes more than its nodes
    ],
)
def test_shares_of_nodes_are_quoted(gres, cpus, nodes, mem_mb, fee_yuan):
    """An hour is quoted by the largest share that the job can take: 3.008 PFLOPS a node at 10."""
    kind = basis.asked("chengdu", "ai", "normal", gres, cpus, nodes, mem_mb)
    found = quoting.most(price_list("footprint-1"), kind, HOUR_S, NEW_YEAR_S)

    assert found.fee_micro == money.micro(fee_yuan)


def test_a_discount_that_ends_is_quoted_with_what_follows():
    """2 cards for 1 h at 20.00 are 11.28 by 0.75, and 15.04 if they may wait until it ends."""
    kind = basis.asked("chengdu", "ai", "normal", TWO, 8)._replace(discount="CD24-0007")
    end_s = period.bounds("2025", period.SHANGHAI)[0]
    found, later = (
        quoting.most(price_list("discounts-1"), each, HOUR_S, end_s - DAY_S)
        for each in (kind, kind._replace(discount="91510100MA6C4TX27W"))
    )

    assert (found.fee_micro, found.starts_s) == (15_040_000, end_s)
    assert later.fee_micro == 7_520_000


def test_untyped_cards_are_quoted_as_the_rarest_type():
    """Where shares are priced, one of 2 Z100 is half a node, though a K100 is faster: 2.245."""
    kind = basis.asked("chengdu", "two", "normal", {"dcu": 1}, 1, 1, 1024)
    found = quoting.most(price_list("footprint-1"), kind, HOUR_S, NEW_YEAR_S)

    assert found.basis.chip == "dcu_z100"
    assert found.fee_micro == 2_245_000


def test_whole_nodes_are_quoted():
    """Where a run is priced by all of its nodes, 3 nodes are quoted: 3 × 30.08."""
    kind = basis.asked("chengdu", "whole", "normal", {"gpu:ascend_910b": 1}, 1, 3)
    found = quoting.most(price_list("footprint-1"), kind, HOUR_S, NEW_YEAR_S)

    assert found.fee_micro == 90_240_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gres": TWO, "partition": "x"}, "partition chengdu/x is not in tariff cd-2024-1"),
        ({"gres": {"npu": 1}}, "gres npu of partition chengdu/ai has no chip"),
        ({"gres": {}}, "is priced by cards and none is in the allocation"),
        ({"gres": {}, "partition": "night"}, "has no price for QOS normal"),
        ({"gres": TWO, "now_s": 1_600_000_000}, "no price for QOS normal before 2023-07-01"),
    ],
)
def test_what_has_no_price_has_no_quote(arguments, message):
    """No price, no chip, no cards: the quote says which, and is never zero."""
    with pytest.raises(TariffMissing, match=message):
        quote(**{"now_s": NEW_YEAR_S} | arguments)


def test_unreadable_cards_have_no_quote():
    """Cards that cannot be read are not no cards."""
    kind = basis.Kind("chengdu", "ai", "normal", "gpu:::2", "", 2, 8)
    with pytest.raises(UsageInvalid, match="cannot be read"):
        quoting.most(PRICES, kind, HOUR_S, NEW_YEAR_S)


@settings(max_examples=200, deadline=None)
@given(tariffs(whole=True), runs(st.integers(1, 30 * DAY_S)), WAITS_S, WINDOWS, DISCOUNTS)
def test_no_charge_exceeds_its_quote(prices, run, waits_s, window, discount):
    """A run that starts after the quote and keeps its limit never costs more than was quoted."""
    limit_s = run.end_s - run.start_s
    kind = definition.kind_of(run, prices, discount)
    try:
        found = quoting.most(prices, kind, limit_s, run.start_s - waits_s, window)
    except TariffMissing:
        assume(False)
    charge = definition.define(run, prices, STATES, window, discount)

    assert charge.charge_micro <= found.fee_micro
    assert 0 <= found.eligible_micro <= found.fee_micro


@settings(max_examples=100, deadline=None)
@given(tariffs(whole=True), runs(st.integers(1, 40)), DISCOUNTS)
def test_a_quote_is_reached(prices, run, discount):
    """Some start from now on really costs what was quoted: a quote is no guess upwards."""
    limit_s = run.end_s - run.start_s
    whole = dataclasses.replace(run, billed_from_s=run.start_s, elapsed_s=limit_s)
    try:
        kind = definition.kind_of(run, prices, discount)
        found = quoting.most(prices, kind, limit_s, EPOCH_S - 400 * DAY_S)
    except TariffMissing:
        assume(False)
    start_s = found.starts_s
    at_worst = dataclasses.replace(
        whole, start_s=start_s, billed_from_s=start_s, end_s=start_s + limit_s
    )
    charge = definition.define(at_worst, prices, STATES, None, discount)
    assume(charge.status == "charged")

    assert found.fee_micro - charge.charge_micro in (0, 1)
