"""OpenSCOW's 36 price cases come out right: their roundings by an adapter, the rest by our rules.

OpenSCOW cuts unit-hours to hundredths before it prices them, and rounds prices to the fen; we round
once and to the micro-yuan. So the adapter hands over whole hundredths of unit-hours, as cores for
36 s, and rounds the charge to the fen. What it cuts to nothing still costs its minimum charge:
such a case is handed over as one core for one second. A price of 0.00 is `free: true` here.
"""

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from prices import RUN, STATES

from accounting import money
from accounting.rates import definition, rating, tariff
from accounting.runs import usage

DATA = json.loads(
    (Path(__file__).parent / "data" / "peers" / "scow-testData.json").read_text(encoding="utf-8"),
    parse_float=str,
)


def merged(tenant):
    """Return the price items of a tenant: its own, and the default for all that it has none of."""
    found = {}
    for whose in ("default", tenant):
        for cluster, partitions in DATA["price_items"].get(whose, {}).items():
            for name, item in partitions.items():
                by_qos = {None: item} if "id" in item else item
                found.setdefault((cluster, name), {}).update(by_qos)
    return found


def price_list(tenant):
    """Write a tenant's price items as a price list."""
    lines = ["tariff: scow", "chips: 2024-07", "timezone: Asia/Shanghai", "clusters:"]
    items = merged(tenant)
    for cluster in sorted({cluster for cluster, _ in items}):
        lines += [f"  {cluster}:", "    partitions:"]
        for name in sorted(name for each, name in items if each == cluster):
            lines += [f"      {name}:", "        provider: scow", "        prices:"]
            for qos, item in items[cluster, name].items():
                whom = f"qos: {qos}, " if qos else ""
                amount = f'yuan_per_core_hour: "{item["price"]}"'
                amount = "free: true" if Fraction(item["price"]) == 0 else amount
                lines.append(f"          - {{from: 2020-01-01, {whom}{amount}}}")
            least = DATA["min_charge"]
            lines.append(f'        terms: [{{from: 2020-01-01, minimum_yuan: "{least}"}}]')
    return tariff.load("\n".join(lines) + "\n", f"{tenant}.yaml")


def units(case, amount):
    """Return how many units OpenSCOW counts by one of its strategies."""
    partition = DATA["partitions"][case["cluster"]][case["partition"]]
    cpus, gpus = case["cpusAlloc"], case["gpusAlloc"]
    if amount == "max-cpusAlloc-mem":
        by_memory = Fraction(case["memReqMb"] * partition["cores"], partition["memMb"])
        return max(cpus, -(-by_memory.numerator // by_memory.denominator))
    if amount == "max-gpu-cpusAlloc":
        return max(gpus, -(-cpus * partition["gpus"] // partition["cores"]))
    return {"gpu": gpus, "cpusAlloc": cpus}[amount]


def as_run(case, tenant):
    """Make a run of a case, its unit-hours cut to hundredths."""
    item = merged(tenant)[case["cluster"], case["partition"]]
    amount = (item.get(case["qos"]) or item[None])["amount"]
    seconds = case["elapsedSeconds"]
    hundredths = units(case, amount) * seconds // 36
    cpus, elapsed_s = (hundredths, 36) if hundredths else (1, min(1, seconds))
    return dataclasses.replace(
        RUN, cluster=case["cluster"], partition=case["partition"], qos=case["qos"], gres="",
        cards=0, cpus=cpus, elapsed_s=elapsed_s, end_s=RUN.start_s + elapsed_s,
    )  # fmt: skip


@pytest.mark.parametrize("case", DATA["cases"], ids=lambda case: f"job {case['jobId']}")
@pytest.mark.parametrize("which", ["tenantPrice", "accountPrice"])
def test_case(case, which):
    """A case costs what OpenSCOW's own test says, by definition and by table."""
    tenant = "default" if which == "tenantPrice" else case["tenant"]
    run, prices = as_run(case, tenant), price_list(tenant)
    charge_micro = definition.define(run, prices, STATES).charge_micro

    expected_fen = money.fen(str(case[which]))
    assert money.half_up(charge_micro, money.MICRO_PER_FEN) == expected_fen
    table = rating.rate(usage.table([run]), prices, STATES, {})
    assert table.column("charge_micro").equals(pa.chunked_array([[charge_micro]]))


def test_there_are_36_cases():
    """None was lost on the way."""
    assert len(DATA["cases"]) == 36
