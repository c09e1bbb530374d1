"""A price list is right as a whole or is refused with the place, and is silent about nothing."""

from pathlib import Path

import pytest

from accounting import period
from accounting.errors import ConfigInvalid, TariffMissing
from accounting.rates import tariff

TARIFFS = Path(__file__).parent / "data" / "tariffs"
TEXT = (TARIFFS / "cd-2024-1.yaml").read_text(encoding="utf-8")
OPTIONS = (TARIFFS / "options-1.yaml").read_text(encoding="utf-8")
DISCOUNTS = (TARIFFS / "discounts-1.yaml").read_text(encoding="utf-8")
FOOTPRINT = (TARIFFS / "footprint-1.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def prices():
    return tariff.load(TEXT, "t.yaml")


def at(text):
    """Return the first second of a day in Chengdu."""
    return period.bounds(text, period.SHANGHAI)[0]


def test_a_tariff_knows_its_version_and_its_catalogue(prices):
    """A tariff knows its version and the catalogue that it was read with."""
    assert prices.version == "cd-2024-1"
    assert prices.catalogue == "2024-07"


def test_lookups(prices):
    """Provider, chip and capacity are looked up by cluster and partition."""
    assert prices.provider("chengdu", "ai") == "cdaicc"
    assert prices.chip("chengdu", "ai", "gpu:ascend_910b").key == "ascend_910b2"
    assert prices.partition("chengdu", "ai").capacity[0].cards == {"gpu:ascend_910b": 16}


def test_price_changes_at_its_instant(prices):
    """The old price holds to the last second before midnight in Chengdu."""
    new_year = at("2024-01-01")

    assert prices.price_at("chengdu", "ai", "normal", new_year - 1).micro == 24_000_000
    assert prices.price_at("chengdu", "ai", "normal", new_year).micro == 30_000_000


def test_named_price_begins_at_its_instant(prices):
    """A QOS has the general price before its own, and only its own from then on."""
    steps = [(price.from_s, price.micro) for price in prices.prices("chengdu", "ai", "urgent")]

    assert steps == [(at("2023-07-01"), 24_000_000), (at("2023-10-01"), 90_000_000)]


def test_silence_is_an_error(prices):
    """Unknown cluster, partition, gres, QOS and instant raise and say what to add."""
    with pytest.raises(TariffMissing, match="partition chengdu/x is not in tariff cd-2024-1"):
        prices.provider("chengdu", "x")
    with pytest.raises(TariffMissing, match="partition mars/ai is not in tariff"):
        prices.partition("mars", "ai")
    with pytest.raises(TariffMissing, match="gres gpu of partition chengdu/ai has no chip"):
        prices.chip("chengdu", "ai", "gpu")
    with pytest.raises(TariffMissing, match="chengdu/night has no price for QOS normal"):
        prices.prices("chengdu", "night", "normal")
    with pytest.raises(TariffMissing, match=r"before 2023-07-01T00:00:00\+08:00; add one"):
        prices.price_at("chengdu", "ai", "normal", at("2023-07-01") - 1)


def test_any_partition():
    """A partition by its own name goes before the one that stands for all others."""
    text = TEXT.replace("      night:", '      "*":')
    prices = tariff.load(text, "t.yaml")

    assert prices.prices("chengdu", "brand-new", "night")[0].micro == 20_000
    assert prices.provider("chengdu", "ai") == "cdaicc"


def test_own_chip_overrides_the_catalogue():
    """A site can give its own figure for a chip, with its source, in the tariff itself."""
    own = (
        "own_chips: {ascend_910b2: {name: Ascend 910B2, tflops: '380.5', "
        "source: acceptance test, status: site}}\n"
    )
    prices = tariff.load(TEXT + own, "t.yaml")

    assert prices.chip("chengdu", "ai", "gpu:ascend_910b").gflops == 380_500


def test_instants_with_an_offset():
    """A price may begin at any instant that carries its offset."""
    prices = tariff.load(TEXT.replace("2024-01-01", "2023-12-31T16:00:00Z"), "t.yaml")

    assert prices.price_at("chengdu", "ai", "normal", at("2024-01-01")).micro == 30_000_000


def test_bands_are_priced_by_the_clock():
    """A price with bands is one price for each, and the clock says which holds."""
    prices = tariff.load(OPTIONS, "o.yaml")
    ten_s = at("2024-07-10") + 10 * 3600
    found = [prices.price_at("chengdu", "ai", "normal", at_s) for at_s in (ten_s - 1, ten_s)]

    assert [(price.band, price.micro) for price in found] == [
        ("flat", 24_000_000),
        ("peak", 36_000_000),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"10:00": peak', '"25:00": peak', "bands.city.25:00: '25:00' is no time of day"),
        ('"10:00": peak', '"9:00": peak', "'9:00' is no time of day such as 08:00"),
        ('"10:00": peak', '"06:00": peak', "bands.city: its times do not follow each other"),
        ("bands: city", "bands: town", "prices[1].bands: 'town' is not under bands: of the file"),
        (', valley: "12.00"', "", "yuan_per_pflops_hour: key 'valley' is missing"),
        ("valley: ", "vally: ", "key 'vally' is unknown; did you mean 'valley'?"),
        ('peak: "36.00"', 'peak: "x"', "yuan_per_pflops_hour.peak: 'x' is no amount"),
        ("            bands: city\n", "", "stands where text"),
        ('shared: "2.40"', 'shared: "2.40001"', "qos.shared: '2.40001' is no factor above 0"),
        ('shared: "2.40"', 'shared: "0"', "qos.shared: '0' is no factor above 0"),
        ('shared: "2.40"', "shared: 2", "qos.shared: 2 stands where text"),
        ('qos: {rush: "1.50"}', "qos: {}", "prices[2].qos: '' names none; leave qos out"),
        ('qos: {rush: "1.50"}', 'qos: {"*": "1.50"}', "prices[2].qos: '*' names none"),
        ('qos: {rush: "1.50"}', "qos: [rush]", "prices[2].qos: ['rush'] stands where text"),
        ("per: minute", "per: week", "terms[0].per: 'week' is unknown; use one of second"),
        ("2024-01-01, per", "2023-07-01, per", "terms: two entries are in force from 2023-07-01"),
        ('_yuan: "1.00"', '_yuan: "-1"', "terms[1].minimum_yuan: '-1' is no amount"),
        ('_yuan: "1.00"', '_yuan: "1,000,001"', "is above 1,000,000.000000; lower it"),
        ('fraction: "0.143"', 'fraction: "1.5"', "mig_1g.fraction: '1.5' is no part of a card"),
        ('fraction: "0.143"', 'fraction: "0.1428"', "'0.1428' is no part of a card"),
        (', fraction: "0.143"', "", "gpu:mig_1g: key 'fraction' is missing"),
        (
            '"shard": {chip: ascend_910b2, fraction: "0.25"}',
            '"shard": ascend_910b2',
            "shards.gres.shard: is a part of a card; write {chip: …, fraction: …}",
        ),
        (
            '"mps": {chip: ascend_910b2, fraction: "0.01"}',
            '"mps:a": ascend_910b2',
            "shards.gres.mps:a: is a part of a card",
        ),
        ("chip: ascend_910b2\n        gres", "chip: ascend\n        gres", "parts.chip: chip 'asc"),
        ("free: true", "free: false", "prices[0]: free stands alone as true"),
        ("free: true", "free: true, bands: city", "prices[0]: free stands alone as true"),
        ("free: true", 'free: true, yuan_per_core_hour: "1"', "prices[0]: has 2 prices"),
        ("from: 2024-07-01", "from: 2345-07-01", "from: 2345-07-01 is after 2242"),
    ],
)
def test_wrong_options_are_refused(old, new, message):
    """What is off by default is read as strictly as the rest."""
    assert old in OPTIONS

    with pytest.raises(ConfigInvalid) as caught:
        tariff.load(OPTIONS.replace(old, new, 1), "o.yaml")

    assert message in str(caught.value)


def test_a_contract_goes_before_its_unit():
    """What is said of a contract stands in place of what is said of its unit."""
    prices = tariff.load(DISCOUNTS, "d.yaml")
    unit = "91510100MA6C4TX27W"

    assert prices.discount_of("CD24-0007", unit) == "CD24-0007"
    assert prices.discount_of("CD24-0008", unit) == unit
    assert prices.discount_of("CD24-0008", "91350100M000100Y43") == ""
    assert prices.discount_of("CD24-0008", None) == ""
    assert prices.discount_of(None, unit) == ""
    assert [each.factor_bp for each in prices.discounts[unit]] == [8_333, 5_000]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('factor: "0.90"', 'factor: "0"', "discounts.CD24-0007[0].factor: '0' is no factor above"),
        ('factor: "0.90"', 'factor: "0.90001"', "'0.90001' is no factor above 0"),
        ('factor: "0.90"', 'factor: "1.0001"', "factor: '1.0001' is above 1; give what is paid"),
        ('factor: "0.90"', "factor: 1", "CD24-0007[0].factor: 1 stands where text"),
        ('factor: "0.90"', "factor: 0.90", "0.90 would be read as a float"),
        (', factor: "0.90"', "", "CD24-0007[0]: key 'factor' is missing"),
        ("from: 2024-01-01, ", "", "CD24-0007[0]: key 'from' is missing"),
        ("2024-07-01, factor", "2024-01-01, factor", "CD24-0007: two entries are in force from"),
        ('factor: "0.90"', 'facter: "0.90"', "key 'facter' is unknown; did you mean 'factor'?"),
        ("  CD24-0007:", "  CD24:", "discounts.CD24: is no voucher account such as CD24-0007; cr"),
        ("91510100MA6C4TX27W:", "91510100MA6C4TX28W:", "the check digit is W, "),
        ("  CD24-0007:", "  CD24-0008: []\n  CD24-0007:", "CD24-0008: is an empty list"),
        ("  CD24-0007:", "  CD24-0008: 1\n  CD24-0007:", "CD24-0008: 1 stands where a list"),
        ("discounts:", "discount:", "key 'discount' is unknown; did you mean 'discounts'?"),
    ],
)
def test_wrong_discounts_are_refused(old, new, message):
    """A discount is for somebody who can be known, and no more than the price."""
    assert old in DISCOUNTS

    with pytest.raises(ConfigInvalid) as caught:
        tariff.load(DISCOUNTS.replace(old, new, 1), "d.yaml")

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_share", "share", "ai.footprint: 'share' is unknown; use one of cards, max_share, no"),
        ("max_share", "1", "ai.footprint: 1 stands where text"),
        ("footprint: max_share", "footprint: cards", "ai.node: is used by no footprint; say max"),
        ("        footprint: max_share\n", "", "ai.node: is used by no footprint"),
        ("node: {cpus: 64, mem_gb: 3}", "", "fat: key 'node' is missing; add it as a mapping"),
        (", mem_gb: 512", "", "ai.node: key 'mem_gb' is missing"),
        (", cpus: 96, ", ", ", "ai.node: key 'cpus' is missing"),
        (", mem_gb: 512", ", mem_gb: 0", "ai.node.mem_gb: 0 on a node; use 1 to 1000000000"),
        (", mem_gb: 512", ', mem_gb: "512"', "ai.node.mem_gb: '512' stands where a whole number"),
        (", mem_gb: 512", ", mem: 512", "ai.node: key 'mem' is unknown; did you mean 'mem_gb'?"),
        ('"dcu:k100": 4', '"dcu:k100": 0', "two.node.cards.dcu:k100: 0 on a node; use 1 to"),
        ('"dcu:k100": 4', '"dcu:k200": 4', "two.node.cards.dcu:k200: has no chip; add it under"),
        (
            '{"gpu:ascend_910b": 8}, cpus',
            '{"shard": 32}, cpus',
            "ai.node.cards.shard: is a part of",
        ),
        ('{cards: {"dcu:k100": 4, "dcu:z100": 2}, ', "{", "two.node: has no cards to be priced by"),
    ],
)
def test_wrong_footprints_are_refused(old, new, message):
    """What a node has is said where it is needed, and nowhere else."""
    assert old in FOOTPRINT

    with pytest.raises(ConfigInvalid) as caught:
        tariff.load(FOOTPRINT.replace(old, new, 1), "f.yaml")

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"24.00"', "24.00", "24.00 would be read as a float"),
        ('"24.00"', "24", "prices[0].yuan_per_pflops_hour: 24 stands where text"),
        ('"24.00"', '"24.0000001"', "yuan_per_pflops_hour: '24.0000001' is no amount"),
        ('"24.00"', '"-1"', "'-1' is no amount"),
        ("2024-01-01", "2023-07-01", "ai.prices: two entries are in force from 2023-07-01T00:00"),
        ("2024-01-01", "2023-06-30T16:00:00Z", "two entries are in force from 2023-07-01T00:00"),
        ("2024-01-01", "2024-01-01 00:00:00", "is no whole second with an offset"),
        ("2024-01-01", "soon", "prices[1].from: 'soon' stands where a day"),
        ("from: 2024-01-01, ", "", "prices[1]: key 'from' is missing"),
        ("provider: cdaicc", 'provider: ""', "ai.provider: is empty"),
        ("provider: cdaicc", "porvider: cdaicc", "'porvider' is unknown; did you mean 'provider'?"),
        ("ascend_910b2}", "ascend_910b9}", "chip 'ascend_910b9' is not in the catalogue; did you"),
        ("ascend_910b2}", "quantum}", "chip 'quantum' is not in the catalogue; add it under own"),
        ('{"gpu:ascend_910b": 16}', '{"gpu:ascend_910": 16}', "did you mean 'gpu:ascend_910b'?"),
        ('{"gpu:ascend_910b": 16}', '{"gpu:ascend_910b": -1}', "-1 cards; use 0 or more"),
        ("chips: 2024-07", "chips: 2024-08", "t.yaml: chips: catalogue '2024-08' is not packaged"),
        ("Asia/Shanghai", "Asia/Chengdu", "t.yaml: timezone: time zone 'Asia/Chengdu' is unknown"),
        ("tariff: cd-2024-1", "tariff: a b", "t.yaml: tariff: 'a b' is no name"),
        ("qos: urgent", 'qos: "*"', "prices[2].qos: '*' names none; leave qos out"),
        ('yuan_per_core_hour: "0.03"', "qos: x", "cpu.prices[0]: has 0 prices; give one of"),
        ("yuan_per_core_hour", "yuan_per_pflops_hour", "cpu: is priced per PFLOPS·hour without"),
        ('[{from: 2023-07-01, yuan_per_core_hour: "0.03"}]', "[]", "cpu.prices: is an empty list"),
        ("  chengdu:", "  chengdu: {partitions: {}}\n  x:", "chengdu.partitions: an empty list"),
        ("clusters:", "cluster:", "key 'cluster' is unknown; did you mean 'clusters'?"),
        ("      cpu:", "      ai:", "key 'ai' is given twice"),
    ],
)
def test_wrong_files_are_refused(old, new, message):
    """Whatever is wrong is refused with file, place, value and what to do."""
    assert old in TEXT

    with pytest.raises(ConfigInvalid) as caught:
        tariff.load(TEXT.replace(old, new, 1), "t.yaml")

    assert str(caught.value).startswith("t.yaml: ")
    assert message in str(caught.value)
