"""An explanation adds up to the charge and says what it was made from."""

import dataclasses
from datetime import date

from hypothesis import given, settings
from prices import DISCOUNTS, PRICES, RUN, STATES, WINDOWS, odd_runs, price_list, runs, tariffs

from accounting import period
from accounting.rates import definition, explaining, tariff

NEW_YEAR_S = period.bounds("2024", period.SHANGHAI)[0]


def test_an_explanation_reads_like_the_sum():
    """Cards, chip, seconds, usage, price and amount of every part stand in a line of their own."""
    run = dataclasses.replace(
        RUN,
        start_s=NEW_YEAR_S - 1800,
        billed_from_s=NEW_YEAR_S - 1800,
        end_s=NEW_YEAR_S + 1800,
        elapsed_s=3000,
        suspended_s=600,
        gres="gpu:ascend_910b=2",
        cards=2,
    )
    found = explaining.explain(run, PRICES, STATES, (0, NEW_YEAR_S))

    assert list(found.lines()) == [
        "job 7 on chengdu/ai, QOS normal: COMPLETED, tariff cd-2024-1",
        "2 × gpu:ascend_910b: Ascend 910B2, 376 TFLOPS FP16, unverified",
        "2023-12-31T23:30:00+08:00 to 2024-01-01T00:00:00+08:00: 1800 s = 0.376 PFLOPS·h × "
        "24.000000 yuan/PFLOPS·h = 9.024000 yuan",
        "2024-01-01T00:00:00+08:00 to 2024-01-01T00:30:00+08:00: 1200 s (600 s suspended) = "
        "0.250666666… PFLOPS·h × 30.000000 yuan/PFLOPS·h = 7.520000 yuan, not eligible",
        "charge 16.544000 yuan, eligible 9.024000",
        "by tariff cd-2024-1: clusters.chengdu.partitions.ai.prices[0], "
        "clusters.chengdu.partitions.ai.prices[1]",
    ]


def test_hours_of_a_band_stand_together():
    """A run of two nights has a line for each band, with the hours of both."""
    start_s, end_s = (period.instant(date(2024, 7, day), period.SHANGHAI) for day in (10, 12))
    run = dataclasses.replace(
        RUN, start_s=start_s, billed_from_s=start_s, end_s=end_s, elapsed_s=end_s - start_s
    )
    found = explaining.explain(run, price_list("options-1"), STATES)

    assert list(found.lines())[2:] == [
        "2024-07-10T00:00:00+08:00 to 2024-07-12T00:00:00+08:00, valley: 57600 s = "
        "48.128 PFLOPS·h × 12.000000 yuan/PFLOPS·h = 577.536000 yuan",
        "2024-07-10T07:00:00+08:00 to 2024-07-11T23:00:00+08:00, flat: 57600 s = "
        "48.128 PFLOPS·h × 24.000000 yuan/PFLOPS·h = 1,155.072000 yuan",
        "2024-07-10T10:00:00+08:00 to 2024-07-11T21:00:00+08:00, peak: 57600 s = "
        "48.128 PFLOPS·h × 36.000000 yuan/PFLOPS·h = 1,732.608000 yuan",
        "charge 3,465.216000 yuan",
        "by tariff options-1: clusters.chengdu.partitions.ai.prices[1]",
    ]


def test_a_factor_stands_beside_its_price():
    """A QOS that is multiplied says by what."""
    run = dataclasses.replace(RUN, partition="qos", qos="shared")
    found = explaining.explain(run, price_list("options-1"), STATES)

    assert "× 10.000000 yuan/PFLOPS·h × 2.4 = 72.192000 yuan" in list(found.lines())[2]


def test_nodes_are_explained_by_the_node():
    """Node-hours stand where core-hours stand elsewhere."""
    run = dataclasses.replace(RUN, partition="whole", nodes=4, gres="", cards=0)
    found = explaining.explain(run, price_list("options-1"), STATES)

    assert "4 node-h × 6.500000 yuan/node-h = 26.000000 yuan" in list(found.lines())[1]


def test_terms_are_said():
    """A run that is rounded up and raised to the minimum says so before its charge."""
    run = dataclasses.replace(
        RUN, partition="begun", gres="", cards=0, cpus=1, start_s=NEW_YEAR_S,
        billed_from_s=NEW_YEAR_S, end_s=NEW_YEAR_S + 1, elapsed_s=1,
    )  # fmt: skip
    found = explaining.explain(run, price_list("options-1"), STATES)

    assert list(found.lines())[1:] == [
        "2024-01-01T00:00:00+08:00 to 2024-01-01T01:00:00+08:00: 3600 s = 1 core-h × "
        "0.600000 yuan/core-h = 1.000000 yuan",
        "billed by the hour, rounded up",
        "minimum charge 1.000000 yuan",
        "charge 1.000000 yuan",
        "by tariff options-1: clusters.chengdu.partitions.begun.prices[0], "
        "clusters.chengdu.partitions.begun.terms",
    ]


def test_a_part_of_a_card_is_said():
    """A gres that is a part of a card says how much of it."""
    run = dataclasses.replace(RUN, partition="parts", gres="gpu:mig_1g=8")
    found = explaining.explain(run, price_list("options-1"), STATES)

    assert list(found.lines())[1].endswith("376 TFLOPS FP16, unverified, 0.143 of it")
    assert "0.430144 PFLOPS·h × 10.000000 yuan/PFLOPS·h = 4.301440 yuan" in list(found.lines())[2]


def test_a_footprint_says_which_share_was_the_largest():
    """A run that is priced by its share of a node says of what, and what the others were."""
    run = dataclasses.replace(
        RUN, gres="gpu:ascend_910b=1", cards=1, cpus=12, mem_mb=384 * 1024
    )  # fmt: skip
    found = explaining.explain(run, price_list("footprint-1"), STATES)
    whole = dataclasses.replace(run, partition="whole", nodes=2)

    assert list(found.lines())[2:] == [
        "priced as 0.75 nodes by memory (gpu:ascend_910b 0.125, cores 0.125)",
        "2023-11-15T06:13:20+08:00 to 2023-11-15T07:13:20+08:00: 3600 s = 2.256 PFLOPS·h × "
        "10.000000 yuan/PFLOPS·h = 22.560000 yuan",
        "charge 22.560000 yuan",
        "by tariff footprint-1: clusters.chengdu.partitions.ai.prices[0], "
        "clusters.chengdu.partitions.ai.footprint",
    ]
    assert "priced as 2 nodes, all of each" in list(
        explaining.explain(whole, price_list("footprint-1"), STATES).lines()
    )


def test_a_discount_stands_beside_its_price():
    """A run over the begin of a discount has a line for each side, and says whose it is."""
    run = dataclasses.replace(
        RUN, start_s=NEW_YEAR_S - 1800, billed_from_s=NEW_YEAR_S - 1800, end_s=NEW_YEAR_S + 1800,
    )  # fmt: skip
    prices = price_list("discounts-1")
    found = list(explaining.explain(run, prices, STATES, None, "CD24-0007").lines())

    assert found[2].endswith("1.504 PFLOPS·h × 10.000000 yuan/PFLOPS·h = 15.040000 yuan")
    assert found[3].endswith(
        "1.504 PFLOPS·h × 10.000000 yuan/PFLOPS·h × 0.9 for CD24-0007 = 13.536000 yuan"
    )
    assert found[-1] == (
        "by tariff discounts-1: clusters.chengdu.partitions.ai.prices[0], discounts.CD24-0007"
    )


def test_free_hours_stand_beside_charged_ones():
    """A run that is free until New Year says so of its first part."""
    run = dataclasses.replace(
        RUN, partition="free", start_s=NEW_YEAR_S - 60, billed_from_s=NEW_YEAR_S - 60,
        end_s=NEW_YEAR_S + 60, elapsed_s=120,
    )  # fmt: skip
    found = explaining.explain(run, price_list("options-1"), STATES)

    assert list(found.lines())[2] == (
        "2023-12-31T23:59:00+08:00 to 2024-01-01T00:00:00+08:00: 60 s free"
    )


def test_what_is_not_charged_says_why():
    """A free and an unrated run end with their reason, and with a price only if one decided."""
    by_price = explaining.explain(
        dataclasses.replace(RUN, partition="free"), price_list("options-1"), STATES
    )
    free = explaining.explain(dataclasses.replace(RUN, state="NODE_FAIL"), PRICES, STATES)
    unrated = explaining.explain(dataclasses.replace(RUN, partition="x"), PRICES, STATES)

    assert list(free.lines())[-1] == "free: NODE_FAIL is free"
    assert list(by_price.lines())[-2:] == [
        "free: partition chengdu/free: every QOS without a price of its own is free",
        "by tariff options-1: clusters.chengdu.partitions.free.prices[0]",
    ]
    assert list(unrated.lines())[-1].startswith("unrated: partition chengdu/x is not in tariff")


def test_the_partition_for_all_others_is_named():
    """Where the partition is not named in the price list, what stands for it is."""
    anywhere = tariff.load(
        "{tariff: t-1, chips: 2024-07, timezone: Asia/Shanghai, clusters: {chengdu: {partitions: "
        '{"*": {provider: p, prices: [{from: 2023-07-01, yuan_per_core_hour: "1"}], '
        "terms: [{from: 2023-07-01, per: hour}]}}}}}",
        "t.yaml",
    )
    run = dataclasses.replace(RUN, gres="", cards=0)

    assert list(explaining.explain(run, anywhere, STATES).lines())[-1] == (
        "by tariff t-1: clusters.chengdu.partitions.*.prices[0], "
        "clusters.chengdu.partitions.*.terms"
    )


@settings(max_examples=150, deadline=None)
@given(tariffs(), runs() | odd_runs(), WINDOWS, DISCOUNTS)
def test_parts_add_up(prices, run, window, discount):
    """Parts add up to the charge, eligible parts to the eligible part, seconds to those billed."""
    found = explaining.explain(run, prices, STATES, window, discount)

    assert found.rating == definition.define(run, prices, STATES, window, discount)
    assert sum(part.amount_micro for part in found.parts) == found.rating.charge_micro
    eligible = sum(part.amount_micro for part in found.parts if part.eligible)
    assert eligible == found.rating.eligible_micro
    if found.parts:
        billed_s = definition.billable_s(run)
        assert sum(part.seconds for part in found.parts) == billed_s + found.terms.added_s(billed_s)
    assert all("\n" not in line for line in found.lines())


def test_decimals_end_or_say_that_they_do_not():
    """1/3 is cut and marked; 3/2 is exact."""
    assert explaining.decimal(1, 3) == "0.333333333…"
    assert explaining.decimal(3, 2) == "1.5"
    assert explaining.decimal(0, 7) == "0"
