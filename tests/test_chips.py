"""The chip catalogue says what it says, where from, and does not change."""

import hashlib
from importlib import resources

import pytest

from accounting.errors import ConfigInvalid
from accounting.rates import chips

PUBLISHED = {
    "chips-2024-07.yaml": "028e1647558fefdef9862109ab22240702ee1c760a96ab792bef300cf5de46f1"
}

ENTRY = {"name": "Card", "tflops": "24.5", "source": "maker", "status": "vendor"}


def test_published_catalogues_are_never_edited():
    """Every packaged catalogue is known here by its SHA-256 and still has it."""
    folder = resources.files("accounting") / "catalogues"
    found = {
        f"chips-{version}.yaml": hashlib.sha256(
            (folder / f"chips-{version}.yaml").read_bytes()
        ).hexdigest()
        for version in chips.versions()
    }

    assert found == PUBLISHED


def test_catalogue_has_the_figures_of_the_policy():
    """The figures are those of POLICY.md's table, in GFLOPS."""
    catalogue = chips.catalogue("2024-07")
    tflops = {key: chip.tflops for key, chip in catalogue.items()}

    assert tflops == {
        "ascend_910a": "256",
        "ascend_910b1": "414",
        "ascend_910b2": "376",
        "ascend_910b3": "313",
        "ascend_910b4": "280",
        "ascend_910c": "752",
        "ascend_310p": "70",
        "dcu_z100": "24.5",
        "dcu_z100l": "24.5",
        "dcu_k100": "100",
        "dcu_k100_ai": "192",
        "mlu370_x8": "96",
        "mlu590": "314",
        "sw26010_pro": "55.3",
        "metax_c500": "240",
        "kunlun_p800": "345",
        "nvidia_a100": "312",
        "nvidia_h800": "989",
        "nvidia_h20": "148",
    }
    assert catalogue["sw26010_pro"].gflops == 55_300


def test_every_figure_has_a_source():
    """No figure stands without a source, and one that nobody confirmed says so."""
    catalogue = chips.catalogue("2024-07").values()

    assert all(chip.source and chip.status in chips.STATUSES for chip in catalogue)
    assert {chip.status for chip in catalogue} == {"vendor", "unverified"}


def test_unknown_catalogue_is_refused():
    """A version that is not packaged is refused with those that are."""
    with pytest.raises(ConfigInvalid, match=r"a\.yaml: catalogue '1999' .* use one of 2024-07"):
        chips.catalogue("1999", "a.yaml")


@pytest.mark.parametrize("text", ["0", "0.000", "1.2345", "-1", "1e3", "", "1,000", "1234567"])
def test_wrong_figures_are_refused(text):
    """TFLOPS are above 0 and have at most three decimals."""
    with pytest.raises(ConfigInvalid, match=r"f: card\.tflops: .* is no TFLOPS figure"):
        chips.parse({"card": ENTRY | {"tflops": text}}, "f")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "sure"}, "status 'sure' is unknown; use one of vendor, reported"),
        ({"tflops": 24}, "24 stands where text"),
        ({"sauce": "x"}, "key 'sauce' is unknown; did you mean 'source'?"),
    ],
)
def test_wrong_entries_are_refused(change, message):
    """An entry with a wrong status, type or key is refused with its place."""
    with pytest.raises(ConfigInvalid) as caught:
        chips.parse({"card": ENTRY | change}, "f")

    assert str(caught.value).startswith("f: card")
    assert message in str(caught.value)
