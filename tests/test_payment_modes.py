"""Prepaid, postpaid and reimburse: who pays what, and when."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import delivery
import pytest
import town as towns
from delivery import DECEMBER, balance, close, invoice, lines, statement, take, yuan
from town import ACCOUNT, CLUSTER, PROVIDER, VOUCHER, Town

from accounting import money, policy
from accounting.errors import InsufficientBalance, InvalidInput, Refused
from accounting.settle import invoicing, refunding
from accounting.vouchers import credit, holds

TEXT = policy.builtin("chengdu-2023")


def under(town: Town, *changes: tuple[str, str]) -> Town:
    """Return the town with a policy that says something else."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    delivery.load_prices(town)
    return replace(town, policy=policy.load(text, "policy"))


@pytest.fixture
def postpaid(town: Town) -> Iterator[Town]:
    """The town where a unit pays after the statement; whatever happens, the book adds up."""
    shop = under(town, ("mode: prepaid", "mode: postpaid"))
    yield shop
    assert delivery.findings(shop) == []


@pytest.fixture
def reimburse(town: Town) -> Iterator[Town]:
    """The town where a unit pays all and gets the voucher's half back."""
    shop = under(town, ("mode: prepaid", "mode: reimburse"), ("basis: net", "basis: gross"))
    yield shop
    assert delivery.findings(shop) == []


@pytest.fixture
def place(request: Any) -> Callable[[Town, int, str], holds.Position]:
    """How a hold is placed."""

    def placed(shop: Town, number: int, amount: str) -> holds.Position:
        micro = money.micro(amount)
        asked = holds.Request(f"{number:032x}", CLUSTER, ACCOUNT, towns.UID, 1, micro, micro, {})
        with shop.begin() as conn:
            return holds.place(conn, asked, shop.policy, towns.instant(DECEMBER))

    return placed


def allow(shop: Town, amount: str) -> None:
    """Set the credit limit."""
    with shop.begin() as conn:
        credit.set_limit(conn, ACCOUNT, money.fen(amount), shop.policy, towns.stamp())


def pay(shop: Town, amount: str, reference: str = "BANK-7") -> None:
    """Pay in."""
    with shop.begin() as conn:
        towns.pay(conn, amount, reference)


def test_credit_carries_a_hold(postpaid: Town, place) -> None:
    """With 50,000 of cash used up, 300.00 of credit carry a job of 600.00 and no more."""
    take(postpaid, yuan(1, 100_000))
    close(postpaid, "2024-11")
    pay(postpaid, "100")
    with pytest.raises(InsufficientBalance, match=r"may cost 100\.01 yuan, 100\.00 is available"):
        place(postpaid, 1, "100.01")
    allow(postpaid, "300")

    with pytest.raises(InsufficientBalance, match=r"may cost 400\.01 yuan, 400\.00 is available"):
        place(postpaid, 2, "400.01")
    assert place(postpaid, 3, "400").available_fen == 0


def test_a_unit_owes_after_the_statement_and_a_top_up_pays_it(postpaid: Town, place) -> None:
    """Half of 120,000 less 50,000 of cash is owed on a voucher of 50,000: 20,000; more credit than
    that admits jobs of what is left of it, and a payment pays the debt first."""
    allow(postpaid, "20,000")
    take(postpaid, yuan(1, 120_000))
    close(postpaid, "2024-11")
    assert statement(postpaid, "2024-11", "cash_fen", "receivable_fen") == (7_000_000, 2_000_000)
    with pytest.raises(InsufficientBalance, match=r"may cost 0\.01 yuan, 0\.00 is available"):
        place(postpaid, 1, "0.01")
    allow(postpaid, "19,999")
    with pytest.raises(
        InsufficientBalance, match=r"20,000\.00 yuan is owed, 19,999\.00 is allowed"
    ):
        place(postpaid, 2, "0.01")
    pay(postpaid, "15,000")

    assert balance(postpaid, "receivable") == "5,000.00"
    assert place(postpaid, 3, "14,999").available_fen == 0
    with pytest.raises(InsufficientBalance):
        place(postpaid, 4, "0.01")


def test_credit_is_set_once_and_again(postpaid: Town) -> None:
    """The same limit changes nothing, another one is the new one, also in the same second."""
    allow(postpaid, "100")
    allow(postpaid, "100")
    allow(postpaid, "50")
    with postpaid.begin() as conn:
        assert holds.position(conn, ACCOUNT, postpaid.policy).credit_fen == 5_000
    with (
        pytest.raises(InvalidInput, match=r"-0\.01 yuan, at least 0\.00"),
        postpaid.begin() as conn,
    ):
        credit.set_limit(conn, ACCOUNT, -1, postpaid.policy, towns.stamp())


def test_credit_where_cash_is_paid_in_first(town: Town) -> None:
    """A prepaid policy gives no credit."""
    with pytest.raises(Refused, match="policy chengdu-2023 is prepaid, credit needs postpaid"):
        allow(town, "100")


def test_the_unit_pays_all_and_half_comes_back(reimburse: Town, place) -> None:
    """Of a fee of 200.00 the unit pays 200.00; 100.00 are off the voucher and due to it."""
    assert place(reimburse, 1, "49,900").available_fen == 10_000
    with pytest.raises(InsufficientBalance, match=r"100\.00 is available"):
        place(reimburse, 2, "100.01")
    take(reimburse, yuan(1, 200))
    close(reimburse, "2024-11")

    names = ("fee_fen", "deduction_fen", "cash_fen", "receivable_fen")
    assert statement(reimburse, "2024-11", *names) == (20_000, 10_000, 10_000, 0)
    assert balance(reimburse, "cash") == "-49,800.00"
    assert balance(reimburse, "reimburse.due") == "-100.00"
    assert balance(reimburse, "voucher.left", VOUCHER) == "49,900.00"
    assert balance(reimburse, "claim.unclaimed", PROVIDER) == "100.00"


def test_what_a_unit_pays_in_full_it_can_owe(reimburse: Town) -> None:
    """Of a fee of 50,300.00, 50,000.00 are paid and 300.00 owed."""
    take(reimburse, yuan(1, 50_300))
    close(reimburse, "2024-11")

    assert statement(reimburse, "2024-11", "cash_fen", "receivable_fen") == (2_515_000, 30_000)
    assert balance(reimburse, "reimburse.due") == "-25,150.00"


def test_a_refund_of_what_was_paid_in_full(reimburse: Town) -> None:
    """The whole fee comes back to the unit, and what was due to it is due no more."""
    take(reimburse, yuan(1, 200))
    close(reimburse, "2024-11")
    give_back(reimburse, yuan(1, 200))
    close(reimburse, "2024-12")

    assert balance(reimburse, "cash") == "-50,000.00"
    assert balance(reimburse, "reimburse.due") == "0.00"


def give_back(shop: Town, of: Any) -> None:
    """Refund a run."""
    key = (of.cluster, of.job_id, of.submit_s, of.start_s)
    refunding.refund(shop.engine, shop.archive, key, "lost", shop.policy, towns.stamp(DECEMBER))


def test_a_gross_invoice_is_over_the_whole_fee(reimburse: Town) -> None:
    """Of a fee of 212.00 the tax of 6 % is 12.00, whatever the voucher bore."""
    take(reimburse, yuan(1, 212))
    close(reimburse, "2024-11")

    assert invoice(reimburse, "2024-11") == {
        "gross_fen": 21_200,
        "net_fen": 20_000,
        "tax_fen": 1_200,
    }
    with reimburse.begin() as conn:
        wanted = invoicing.request(conn, f"S-{ACCOUNT}-2024-11", reimburse.policy)
    assert [line["gross"] for line in wanted["lines"]] == ["212.00"]


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town as it is: prepaid, invoices over the cash part."""
    delivery.load_prices(town)
    yield town
    assert delivery.findings(town) == []


def red(shop: Town, month: str, number: str, original: str | None = None) -> Any:
    """Record a red-letter invoice over the credits of a month's statement."""
    with shop.begin() as conn:
        return invoicing.record_red(
            conn, f"S-{ACCOUNT}-{month}", number, original, shop.policy, towns.stamp(DECEMBER)
        )


def test_a_refund_is_invoiced_in_red(shop: Town) -> None:
    """A refunded run of 212.00 takes 106.00 back from the invoice of its statement, with its tax;
    what was delivered meanwhile has an invoice of its own."""
    take(shop, yuan(1, 212), yuan(2, 100))
    close(shop, "2024-11")
    with pytest.raises(Refused, match="S-CD24-0001-2024-11 has no credit"):
        red(shop, "2024-11", "R-1")
    give_back(shop, yuan(1, 212))
    take(shop, yuan(3, 424, DECEMBER), at=DECEMBER)
    close(shop, "2024-12")
    with pytest.raises(Refused, match=r"S-CD24-0001-2024-11 has no invoice; record it first"):
        red(shop, "2024-12", "R-1")
    invoice(shop, "2024-11", "F-1")
    amounts = {"gross_fen": -10_600, "net_fen": -10_000, "tax_fen": -600}

    assert red(shop, "2024-12", "R-1") == amounts
    assert red(shop, "2024-12", "R-1") == amounts
    with pytest.raises(Refused, match="S-CD24-0001-2024-12 has red-letter invoice R-1 already"):
        red(shop, "2024-12", "R-2")
    assert invoice(shop, "2024-12")["gross_fen"] == 21_200


def test_credits_of_two_invoices(shop: Town) -> None:
    """Each invoice is taken back by a red one of its own, which has to say which."""
    take(shop, yuan(1, 100), yuan(2, 60, DECEMBER), at=DECEMBER)
    for month in ("2024-11", "2024-12"):
        close(shop, month)
        invoice(shop, month)
    for each in (yuan(1, 100), yuan(2, 60, DECEMBER)):
        give_back(shop, each)
    close(shop, "2025-01")
    with pytest.raises(Refused, match="takes back of invoices F-2024-11, F-2024-12"):
        red(shop, "2025-01", "R-1")

    assert red(shop, "2025-01", "R-1", "F-2024-11")["gross_fen"] == -5_000
    assert red(shop, "2025-01", "R-2", "F-2024-12")["gross_fen"] == -3_000
    with pytest.raises(Refused, match="takes nothing back of invoice F-9"):
        red(shop, "2025-01", "R-3", "F-9")


def test_a_correction_is_invoiced_in_red(shop: Town) -> None:
    """A month that comes to less than nothing by a correction takes back of the last invoice."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11")
    invoice(shop, "2024-11", "F-1")
    take(shop, yuan(1, 40), at=DECEMBER)
    close(shop, "2024-12")

    assert lines(shop, "2024-12", "cash_fen") == [(-3_000,)]
    assert red(shop, "2024-12", "R-1")["gross_fen"] == -3_000


def test_a_correction_is_more_than_the_last_invoice(shop: Town) -> None:
    """What the last invoice has no room for is taken back of the one before."""
    take(shop, yuan(1, 100), yuan(2, 20, DECEMBER), at=DECEMBER)
    for month in ("2024-11", "2024-12"):
        close(shop, month)
        invoice(shop, month)
    take(shop, yuan(1, 40), at=towns.NOW)
    close(shop, "2025-01")

    assert lines(shop, "2025-01", "cash_fen") == [(-3_000,)]
    assert red(shop, "2025-01", "R-1", "F-2024-12")["gross_fen"] == -1_000
    assert red(shop, "2025-01", "R-2", "F-2024-11")["gross_fen"] == -2_000


def test_a_refund_after_a_correction_finds_less_on_its_invoice(shop: Town) -> None:
    """A correction took the last invoice back; a refund of its run goes over what is left."""
    take(shop, yuan(1, 100), yuan(2, 20, DECEMBER), at=DECEMBER)
    for month in ("2024-11", "2024-12"):
        close(shop, month)
        invoice(shop, month)
    take(shop, yuan(1, 90), at=towns.NOW)
    close(shop, "2025-01")
    assert red(shop, "2025-01", "R-1")["gross_fen"] == -500
    give_back(shop, yuan(2, 20, DECEMBER))
    close(shop, "2025-02")

    assert red(shop, "2025-02", "R-2", "F-2024-12")["gross_fen"] == -500
    assert red(shop, "2025-02", "R-3", "F-2024-11")["gross_fen"] == -500


def test_a_correction_with_too_little_invoiced(shop: Town) -> None:
    """Where an invoice is missing nothing is taken back: it has to be recorded first."""
    take(shop, yuan(1, 100), yuan(2, 20, DECEMBER), at=DECEMBER)
    for month in ("2024-11", "2024-12"):
        close(shop, month)
    invoice(shop, "2024-12")
    take(shop, yuan(1, 40), at=towns.NOW)
    close(shop, "2025-01")

    with pytest.raises(Refused, match=r"20\.00 yuan are more than the invoices recorded before"):
        red(shop, "2025-01", "R-1")
