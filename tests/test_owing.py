"""redeem/owing.py: what credits leave below zero after the last claim is paid back."""

from collections.abc import Iterator
from datetime import date

import delivery
import pytest
from delivery import (
    DECEMBER,
    JANUARY,
    balance,
    claim,
    close,
    draw,
    grant,
    invoice,
    open_claim,
    pay_out,
    review,
    submit,
    take,
    yuan,
)
from town import ACCOUNT, PROVIDER, Town, stamp

from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.redeem import owing

LATER = "2025-04-05T09:00:00+08:00"
DEBT = f"C-{PROVIDER}-2025-Q1-1"


@pytest.fixture
def paid(town: Town) -> Iterator[Town]:
    """The town after a claim over 140.00 that is paid, and a correction that gives 30.00 back."""
    delivery.november(town)
    invoice(town, "2024-11")
    first = open_claim(town)
    submit(town, first)
    review(town, first)
    pay_out(town, first)
    take(town, yuan(1, 140, qos="a"), at=DECEMBER)
    close(town, "2024-12")
    yield town
    assert delivery.findings(town) == []


def owe(town: Town, quarter: str = "2025-Q1") -> tuple[str, int]:
    """Say that no claim follows."""
    with town.begin() as conn:
        return owing.owe(conn, PROVIDER, quarter, town.policy, stamp(LATER))


def repay(town: Town, fen: int, reference: str = "T-1", claim_id: str = DEBT) -> int:
    """Pay back to the treasury."""
    with town.begin() as conn:
        day = date(2025, 4, 6)
        return owing.repay(conn, claim_id, fen, reference, day, stamp(LATER))


def test_a_negative_net_becomes_a_debt_and_is_repaid(paid: Town) -> None:
    """-30.00 after the last claim is owed, repaid in two parts, and then nothing is left."""
    assert balance(paid, "claim.unclaimed", PROVIDER) == "-30.00"
    assert owe(paid) == (DEBT, 3_000)
    assert claim(paid, DEBT)["state"] == "owed"
    assert balance(paid, "claim.unclaimed", PROVIDER) == "0.00"
    assert balance(paid, "claim.owed", PROVIDER) == "-30.00"
    assert [repay(paid, 1_000), repay(paid, 1_000), repay(paid, 2_000, "T-2")] == [2_000, 2_000, 0]
    assert balance(paid, "claim.owed", PROVIDER) == "0.00"
    assert balance(paid, "bank", PROVIDER) == "50,110.00"


def test_a_debt_is_stated_once(paid: Town) -> None:
    """What is owed is in no other claim, and nothing is owed twice."""
    owe(paid)
    with pytest.raises(Refused, match=r"0\.00 yuan is left after credits"):
        owe(paid)
    with pytest.raises(Refused, match="0 lines"):
        open_claim(paid, "2025-Q1", at=LATER)
    with pytest.raises(NotAllowed, match="it is owed to the treasury, only an open one"):
        submit(paid, DEBT)


def test_what_a_debt_set_off_is_not_drawn_for(paid: Town) -> None:
    """A line of 10.00 that a debt took off 30.00 is paid by that: nothing is advanced for it."""
    take(paid, yuan(3, 20, DECEMBER), at=JANUARY)
    close(paid, "2025-01")
    invoice(paid, "2025-01")
    grant(paid, "50.00")
    assert owe(paid) == (DEBT, 2_000)
    with pytest.raises(Refused, match=f"is set off already by debt {DEBT}; draw for lines that"):
        draw(paid, f"S-{ACCOUNT}-2025-01/1")


def test_no_debt_while_a_claim_waits(town: Town) -> None:
    """As long as a claim is not decided nobody knows what it leaves."""
    delivery.november(town)
    invoice(town, "2024-11")
    submit(town, open_claim(town))
    with pytest.raises(Refused, match="it is under review, and what it leaves is not known"):
        owe(town)


def test_repayments_that_do_not_fit(paid: Town) -> None:
    """More than is owed, another amount by the same number, and no debt at all are refused."""
    with pytest.raises(InvalidInput, match="it is paid"):
        repay(paid, 1, claim_id=f"C-{PROVIDER}-2024-Q4-1")
    owe(paid)
    with pytest.raises(Refused, match=r"30\.01 yuan, 30\.00 is owed"):
        repay(paid, 3_001)
    repay(paid, 1_000)
    with pytest.raises(NotAllowed, match="stands in the book with other facts"):
        repay(paid, 2_000)
