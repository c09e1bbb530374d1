"""Whole stories worked by hand: from what was held to what was deducted, in yuan."""

from collections.abc import Iterator

import delivery
import pytest
import town as towns
from delivery import DECEMBER, NOVEMBER, balance, close, statement, take, yuan
from town import ACCOUNT, CLUSTER, VOUCHER, Town

from accounting import money
from accounting.errors import InsufficientBalance
from accounting.vouchers import holds

OCTOBER = "2024-10-10T12:00:00+08:00"


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town with round prices; whatever a test does, the book adds up at its end."""
    delivery.load_prices(town)
    yield town
    assert delivery.findings(town) == []


def hold(shop: Town, number: int, amount: str) -> holds.Position:
    """Hold for a job, all of it eligible."""
    micro = money.micro(amount)
    asked = holds.Request(f"{number:032x}", CLUSTER, ACCOUNT, towns.UID, 1, micro, micro, {})
    with shop.begin() as conn:
        return holds.place(conn, asked, shop.policy, towns.instant(NOVEMBER))


def test_two_jobs_held_for_8000_each(shop: Town) -> None:
    """Left 6,000, cash 10,000: two jobs held for 8,000 take all of both, so that not one yuan more
    is held; they really cost 1,000 and 8,000, and 4,500 are deducted, half of 9,000."""
    take(shop, yuan(99, 88_000, OCTOBER), at=OCTOBER)
    close(shop, "2024-10")
    with shop.begin() as conn:
        towns.pay(conn, "4,000", "BANK-2")
    assert (balance(shop, "voucher.left", VOUCHER), balance(shop, "cash")) == (
        "6,000.00",
        "-10,000.00",
    )
    assert hold(shop, 1, "8,000").share_fen == 400_000
    both = hold(shop, 2, "8,000")
    assert (both.share_fen, both.free_fen, both.free_cash_fen) == (600_000, 0, 0)
    with pytest.raises(InsufficientBalance, match=r"may cost 1\.00 yuan, 0\.00 is available"):
        hold(shop, 3, "1")
    ended = {"voucher": ACCOUNT, "held_micro": money.micro("8,000")}
    take(
        shop,
        yuan(1, 1_000, hold=f"{1:032x}", **ended),
        yuan(2, 8_000, hold=f"{2:032x}", **ended),
    )
    close(shop, "2024-11")

    names = ("fee_fen", "deduction_fen", "cash_fen", "receivable_fen")
    assert statement(shop, "2024-11", *names) == (900_000, 450_000, 450_000, 0)
    assert (balance(shop, "voucher.left", VOUCHER), balance(shop, "cash")) == (
        "1,500.00",
        "-5,500.00",
    )


@pytest.fixture
def national(people: Town) -> Iterator[Town]:
    """A contract over 400,000 of a national project: a voucher of 30 %, 120,000."""
    delivery.load_prices(people)
    with people.begin() as conn:
        account = towns.add_contract(conn, fee_fen=money.fen("400,000"))
        application = towns.add_application(conn, category="joint_national", project="P-1")
    assert account == ACCOUNT
    assert towns.confirm(people, application) == VOUCHER
    with people.begin() as conn:
        towns.pay(conn, "400,000", "BANK-1")
    yield people
    assert delivery.findings(people) == []


def test_a_voucher_of_30_percent_is_used_up_after_60(national: Town) -> None:
    """Half of each fee: after 100,000 and 140,000 of fees 120,000 are deducted and nothing is left;
    what follows is the unit's."""
    take(national, yuan(1, 100_000, OCTOBER), at=OCTOBER)
    close(national, "2024-10")
    assert balance(national, "voucher.left", VOUCHER) == "70,000.00"
    take(national, yuan(2, 140_000))
    close(national, "2024-11")
    assert balance(national, "voucher.left", VOUCHER) == "0.00"
    take(national, yuan(3, 160_000, DECEMBER), at=DECEMBER)
    close(national, "2024-12")

    assert statement(national, "2024-11", "deduction_fen") == (7_000_000,)
    assert statement(national, "2024-12", "deduction_fen", "cash_fen") == (0, 16_000_000)
    assert balance(national, "cash") == "-120,000.00"
