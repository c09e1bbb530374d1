"""Three witnesses for what a run costs: worked example, definition and kernel, equal exactly."""

import dataclasses
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prices import (
    DISCOUNTS,
    EPOCH_S,
    PRICES,
    RUN,
    STATES,
    WINDOWS,
    odd_runs,
    price_list,
    runs,
    tariffs,
)

from accounting import money, period, yamlfile
from accounting.rates import basis, chips, definition, items, rating
from accounting.rates.basis import FIRST_S
from accounting.rates.definition import TOO_LARGE
from accounting.rates.prices import CORE_HOUR, FREE, NODE_HOUR, PFLOPS_HOUR, Price
from accounting.rates.tariff import Partition, Tariff
from accounting.rates.terms import Terms
from accounting.runs import usage
from accounting.runs.run import is_part

WORKED = sorted((Path(__file__).parent / "worked").glob("rating-*.yaml"))


def rate(runs, prices, windows=(), discounts=()):
    """Rate runs as a table, each with a voucher account of its own, of a unit of its own."""
    known = {str(i): window for i, window in enumerate(windows) if window is not None}
    units = {str(i): discount for i, discount in enumerate(discounts)}
    accounts = pa.array([str(i) for i in range(len(runs))])
    return rating.rate(usage.table(runs), prices, STATES, known, accounts, units).to_pylist()


def defined(runs, prices, windows=(), discounts=()):
    """Rate the same runs one by one, by definition."""
    none, no_discount = [None] * len(runs), [""] * len(runs)
    each = zip(runs, windows or none, discounts or no_discount, strict=True)
    return [
        dataclasses.asdict(definition.define(run, prices, STATES, window, discount))
        for run, window, discount in each
    ]


def example_run(given_):
    """Make a run from what a worked example says of it; the rest is ordinary."""
    fields = dict(given_)
    seconds = {
        name: yamlfile.instant(fields.pop(name), period.SHANGHAI, name)
        for name in ("start", "billed_from", "end")
        if name in fields
    }
    start_s, end_s = seconds.get("start"), seconds["end"]
    suspended_s = fields.pop("suspended_s", 0)
    ran_s = end_s - (end_s if start_s is None else start_s) - suspended_s
    gres = fields.pop("gres", "")
    times = {
        "submit_s": (start_s or end_s) - 60,
        "start_s": start_s,
        "billed_from_s": seconds.get("billed_from", start_s),
        "end_s": end_s,
        "elapsed_s": fields.pop("elapsed_s", ran_s),
        "suspended_s": suspended_s,
    }
    whole = [n for name, n in basis.read_gres(gres).items() if not is_part(name)]
    cards = fields.pop("cards", sum(whole))
    return dataclasses.replace(RUN, **times, gres=gres, cards=cards, **fields)


def examples():
    for path in WORKED:
        content = yamlfile.read(path.read_text(encoding="utf-8"), path.name)
        assert content["clause"]
        for example in content["examples"]:
            prices = price_list(content.get("tariff", PRICES.version))
            yield pytest.param(prices, example, id=f"{path.stem}: {example['name']}")


@pytest.mark.parametrize(("prices", "example"), list(examples()))
def test_worked_example(prices, example):
    """Definition and table give what was worked out by hand."""
    run = example_run(example["run"])
    window = None
    if "window" in example:
        window = tuple(yamlfile.instant(day, period.SHANGHAI, "") for day in example["window"])
    expected = dict(example["expect"])
    reason = expected.pop("reason", "")
    assert example["arithmetic"]

    discounts = [example.get("discount", "")]
    [by_table] = rate([run], prices, [window], discounts)
    [by_definition] = defined([run], prices, [window], discounts)

    assert by_table == by_definition
    assert expected == {key: by_table[key] for key in expected}
    assert reason in by_table["reason"]
    assert bool(reason) == bool(by_table["reason"])


@settings(max_examples=150, deadline=None)
@given(tariffs(), st.lists(st.tuples(runs() | odd_runs(), WINDOWS, DISCOUNTS), max_size=8))
def test_table_is_definition(prices, cases):
    """Whatever the runs, a table gives what the definition gives for each of them."""
    some, *known = ([case[i] for case in cases] for i in range(3))

    assert defined(some, prices, *known) == rate(some, prices, *known)


@settings(max_examples=60, deadline=None)
@given(tariffs(), st.lists(st.lists(runs() | odd_runs(), max_size=4), max_size=4))
def test_parts_are_rated_like_the_whole(prices, parts):
    """What is known of the kinds of earlier parts changes no figure of a later one."""
    seen = rating.Seen(prices)
    by_part = [rating.rate(usage.table(part), prices, STATES, {}, seen=seen) for part in parts]

    whole = [row for part in parts for row in rate(part, prices)]
    assert whole == [row for part in by_part for row in part.to_pylist()]


@settings(max_examples=150, deadline=None)
@given(tariffs(), runs() | odd_runs(), WINDOWS, DISCOUNTS)
def test_a_charge_keeps_its_promises(prices, run, window, discount):
    """Eligible never exceeds the charge, only charged runs cost anything, and no discount adds."""
    [found], [whole] = (rate([run], prices, [window], [each]) for each in (discount, ""))

    assert found["charge_micro"] <= whole["charge_micro"] or whole["reason"] == TOO_LARGE
    assert found["gflops_s"] == whole["gflops_s"]

    assert 0 <= found["eligible_micro"] <= found["charge_micro"]
    assert (found["status"] == "charged") == (found["reason"] == "")
    assert found["status"] == "charged" or found["charge_micro"] == 0


def quantities(run, known):
    """Return the PFLOPS, cores and nodes that a run is priced by, as fractions."""

    def thousandths(counts, chip):
        alike = [gres for gres in counts if known.gres[gres] == chip]
        return sum(counts[gres] * known.thousandths.get(gres, 1000) for gres in alike)

    def pflops(count, gres):
        part = count * known.thousandths.get(gres, 1000)
        return Fraction(part * known.gres[gres].gflops, 10**9)

    given, footprint = basis.read_gres(run.gres), known.footprint
    if footprint.how == "cards":
        pflops_given = sum((pflops(n, gres) for gres, n in given.items()), Fraction(0))
        return {PFLOPS_HOUR: pflops_given, CORE_HOUR: run.cpus, NODE_HOUR: run.nodes}
    on_a_node = {each.gres: each.count for each in footprint.cards}
    share = Fraction(run.nodes)
    if footprint.how == "max_share":
        of_cards = [Fraction(n, on_a_node[g]) for g, n in given.items() if g in on_a_node]
        of_cards += [
            Fraction(thousandths(given, chip), thousandths(on_a_node, chip))
            for chip in [known.gres[gres] for gres in given if gres not in on_a_node]
        ]
        of_rest = Fraction(run.cpus, footprint.cpus), Fraction(run.mem_mb, footprint.mem_mb)
        share = max(*of_cards, *of_rest)
    return {
        PFLOPS_HOUR: share * sum(pflops(n, gres) for gres, n in on_a_node.items()),
        CORE_HOUR: share * footprint.cpus,
        NODE_HOUR: share,
    }


def second_by_second(run, prices, window, discount):
    """Price every second on its own and take the suspended ones off, dearest first."""
    seconds = []
    known = prices.partition(run.cluster, run.partition)
    [*_, terms] = [Terms(0), *(each for each in known.terms if each.from_s <= run.billed_from_s)]
    billed_s = -(-definition.billable_s(run) // terms.per_s) * terms.per_s
    for at_s in range(run.billed_from_s, run.end_s + billed_s - definition.billable_s(run)):
        price = prices.price_at(run.cluster, run.partition, run.qos, at_s)
        quantity = 0 if price.unit == FREE else quantities(run, known)[price.unit]
        inside, paid = window is not None and window[0] <= at_s < window[1], 1
        per_s = quantity * price.micro * Fraction(price.factor_bp, 10**4) / 3600
        for each in prices.discounts.get(discount, ()):
            if each.from_s <= at_s:
                paid = Fraction(each.factor_bp, 10**4)
        per_s *= paid
        seconds.append((per_s, inside))
    seconds.sort(key=lambda second: (-second[0], not second[1]))
    billed = seconds[len(seconds) - billed_s :]
    charge = sum((amount for amount, _ in billed), Fraction(0))
    eligible = sum((amount for amount, inside in billed if inside), Fraction(0))
    parts = [money.half_up(each.numerator, each.denominator) for each in (charge, eligible)]
    if charge and parts[0] < terms.minimum_micro:
        return terms.minimum_micro, terms.minimum_micro if eligible == charge else parts[1]
    return tuple(parts)


@settings(max_examples=150, deadline=None)
@given(tariffs(whole=True), runs(st.integers(1, 40)), WINDOWS, DISCOUNTS)
def test_definition_is_the_sum_of_seconds(prices, run, window, discount):
    """A charge is what one gets by pricing each second of the run on its own."""
    found = definition.define(run, prices, STATES, window, discount)
    assume(found.status == "charged")

    by_seconds = second_by_second(run, prices, window, discount)
    assert by_seconds == (found.charge_micro, found.eligible_micro)


def test_a_table_has_any_rows_in_any_chunks():
    """No rows are no rows, and rows in chunks with dictionaries of their own are the same rows."""
    others = [dataclasses.replace(RUN, partition=name, qos=name) for name in ("ai", "cpu", "x")]
    chunked = pa.concat_tables([usage.table([run]) for run in (RUN, *others)])

    assert rating.rate(usage.table([]), PRICES, STATES, {}).num_rows == 0
    by_chunks = rating.rate(chunked, PRICES, STATES, {})
    assert by_chunks.to_pylist() == defined([RUN, *others], PRICES)


def test_columns_are_those_of_the_archive():
    """What comes out has the types of the archive, less revision and account."""
    found = rating.rate(usage.table([RUN]), PRICES, STATES, {}).schema

    assert found == pa.schema([usage.RATED.field(name) for name in rating.COLUMNS])
    assert {"revision", "account"} | set(found.names) == set(usage.RATED.names)


def test_a_state_is_charged_or_free():
    """A policy that says anything else of a state is a programmer's error."""
    with pytest.raises(ValueError, match="state COMPLETED is 'maybe'"):
        rating.rate(usage.table([RUN]), PRICES, {"COMPLETED": "maybe"}, {})


def test_numbers_just_inside_and_outside_the_kernel():
    """Where int64 ends the definition takes over, and nothing is seen of it."""
    month = Price(0, None, PFLOPS_HOUR, 999_999_999_989)
    known = {"gpu:ascend_910b": chips.Chip("x", "x", 999_983, "test", "site")}
    partition = Partition("p", known, (month,), ())
    prices = Tariff("t", "", {("chengdu", "ai"): partition}, period.SHANGHAI)
    lengths = [2**n + d for n in range(1, 20) for d in (-1, 0, 1)]
    some = [
        dataclasses.replace(
            RUN, end_s=EPOCH_S + each, elapsed_s=each, gres=f"gpu:ascend_910b={n}", cards=n
        )
        for each in lengths
        for n in (1, 8)
    ]
    _, kinds = rating._kinds(rating._priced_by(usage.table(some), prices))
    known = items.build([basis.basis(prices, kind) for kind in kinds], EPOCH_S, EPOCH_S + 2**20)

    assert min(lengths) < min(known.longest_s.tolist()) < max(lengths)
    assert rate(some, prices) == defined(some, prices)
    assert {found["status"] for found in rate(some, prices)} == {"charged"}


def test_a_span_without_a_second_reaches_nowhere():
    """Runs of which none was billed do not have calendars laid out from 1970 on, whenever they
    come."""
    _, kinds = rating.kinds_of(usage.table([RUN]), PRICES)
    bases = [basis.basis(PRICES, kind) for kind in kinds]
    for order in ((0, 1), (1, 0)):
        grown = items.Grown()
        spans = [(FIRST_S, FIRST_S), (EPOCH_S, EPOCH_S + 86_400)]
        found = [grown.items(bases, *spans[i]) for i in order]

        assert found[-1].span == spans[1]


def test_numba_waits_until_it_is_needed():
    """Importing the domain's rating does not import numba, so that --help stays fast."""
    modules = "sys, accounting.rates.rating, accounting.rates.quoting"
    code = f"import {modules}; assert 'numba' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)
