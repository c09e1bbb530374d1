"""Claims by units: who paid all of the fee gets the voucher's half back from the city."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import delivery
import pytest
import town as towns
from delivery import DECEMBER, balance, claim, close, invoice, pay_out, review, submit, take, yuan
from sqlalchemy import Engine
from test_packing import packed
from town import PROVIDER, UNIT, Town, add_unit, stamp

from accounting import policy
from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.redeem import checking, redemption

FIRST = f"C-{PROVIDER}-{UNIT}-2024-Q4-1"


@pytest.fixture
def shop(blank: Engine, keys: Mapping[str, Mapping[str, str]], tmp_path: Path) -> Iterator[Town]:
    """The town after an invoiced November of 280.00, where units pay all and claim themselves."""
    text = policy.builtin("chengdu-2023")
    for old, new in (
        ("policy: chengdu-2023\n", "policy: mine\n"),
        ("mode: prepaid", "mode: reimburse"),
        ("basis: net", "basis: gross"),
        ("claimant: provider", "claimant: unit"),
    ):
        assert old in text
        text = text.replace(old, new)
    own = towns.by(blank, tmp_path, keys, text)
    delivery.november(own)
    invoice(own, "2024-11")
    yield own
    assert delivery.findings(own) == []


def opened(town: Town, unit: str | None = UNIT, quarter: str = "2024-Q4") -> str:
    """Open a claim of a unit."""
    with town.begin() as conn:
        at = stamp("2025-04-05T09:00:00+08:00")
        return redemption.open_claim(conn, PROVIDER, quarter, town.policy, at, unit)


def test_the_unit_gets_its_half_back(shop: Town, tmp_path: Path) -> None:
    """280.00 are paid, 140.00 of it are due back; the payout settles that and touches no bank of
    the provider; and the packet proves itself."""
    assert balance(shop, "reimburse.due") == "-140.00"
    assert opened(shop) == FIRST
    assert checking.check(packed(shop, tmp_path, FIRST)).findings == []
    submit(shop, FIRST)
    assert review(shop, FIRST) == 14_000
    assert pay_out(shop, FIRST) == (14_000, 0)
    assert balance(shop, "reimburse.due") == "0.00"
    assert balance(shop, "bank", PROVIDER) == "50,000.00"
    assert claim(shop, FIRST)["claimant"] == UNIT


def test_a_later_correction_is_taken_off_the_units_next_claim(shop: Town) -> None:
    """A correction of 60.00 after the payout takes 30.00 off the unit's next claim of 50.00."""
    submit(shop, opened(shop))
    review(shop, FIRST)
    pay_out(shop, FIRST)
    take(shop, yuan(1, 140, qos="a"), yuan(3, 100, DECEMBER), at=DECEMBER)
    close(shop, "2024-12")
    invoice(shop, "2024-12")
    second = opened(shop)
    assert claim(shop, second)["amount_fen"] == 5_000 - 3_000
    submit(shop, second)
    review(shop, second)
    assert pay_out(shop, second) == (2_000, 0)
    assert balance(shop, "reimburse.due") == "0.00"


def test_who_claims_is_said_by_the_rules(shop: Town) -> None:
    """Where units claim a provider does not, and the other way round; a unit claims its own."""
    with pytest.raises(NotAllowed, match=f"the unit claims, not provider {PROVIDER}"):
        opened(shop, None)
    with pytest.raises(NotAllowed, match=f"the provider claims, not unit {UNIT}"):
        opened(replace(shop, policy=towns.POLICY))
    with pytest.raises(InvalidInput, match="unit nobody: not in the book"):
        opened(shop, "nobody")
    with shop.begin() as conn:
        add_unit(conn, "another")
    with pytest.raises(Refused, match="0 lines of another are claimable"):
        opened(shop, "another")
