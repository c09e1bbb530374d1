"""A payment is taken back once; what was used of it is owed, and the papers still add up."""

import pytest
import town as towns
from delivery import close, findings, load_prices, statement, take, yuan
from homes import Home, an_account, furnished, one_line
from town import ACCOUNT, PROVIDER, Town, stamp

from accounting.book import ledger
from accounting.book.ledger import Entry, Posting
from accounting.errors import InvalidInput, NotAllowed
from accounting.money import micro
from accounting.vouchers import payments


def take_back(town: Town, reference: str, reason: str = "returned by the bank") -> int:
    """Take a payment back."""
    with town.begin() as conn:
        return payments.take_back(conn, reference, reason, stamp())


def standing(town: Town) -> tuple[int, int]:
    """Return (cash, what is owed) of the account, micro-yuan."""
    with town.begin() as conn:
        return -ledger.balance(conn, "cash", ACCOUNT), ledger.balance(conn, "receivable", ACCOUNT)


def test_unused_cash_is_taken_back(town: Town) -> None:
    """Cash that nothing has used is gone again, and nothing is owed."""
    assert take_back(town, "BANK-1") == 50_000_00

    assert standing(town) == (0, 0)
    with town.begin() as conn:
        assert ledger.balance(conn, "bank", PROVIDER) == 0
        assert payments.paid_fen(conn, ACCOUNT) == 0
    assert findings(town) == []


def test_used_cash_is_owed(town: Town) -> None:
    """Of 50,000 paid in, 100 went to a statement: taken back, 100 is owed and papers add up."""
    load_prices(town)
    take(town, yuan(1, 200))
    close(town, "2024-11")
    assert standing(town) == (micro("49,900"), 0)
    take_back(town, "BANK-1")

    assert standing(town) == (0, micro("100"))
    assert statement(town, "2024-11", "cash_fen", "receivable_fen") == (100_00, 0)
    assert findings(town) == []


def test_a_debt_that_was_settled_is_owed_again(town: Town) -> None:
    """A payment that settled 20 of debt and left 10 of cash leaves 20 of debt when it is gone."""
    debt = [Posting("receivable", ACCOUNT, micro("20")), Posting("revenue", PROVIDER, -micro("20"))]
    with town.begin() as conn:
        ledger.write(conn, Entry("debt", "test", stamp(), {}, debt))
        towns.pay(conn, "30", "BANK-2")
    before = standing(town)
    take_back(town, "BANK-2")

    assert before == (micro("50,010"), 0)
    assert standing(town) == (micro("50,000"), micro("20"))


def test_it_is_done_once(town: Town) -> None:
    """Repeated it is the same; for another reason, or paid in again, it is refused."""
    load_prices(town)
    take(town, yuan(1, 200))
    close(town, "2024-11")
    take_back(town, "BANK-1")
    with town.begin() as conn:
        before = ledger.head(conn)
    take_back(town, "BANK-1")
    with town.begin() as conn:
        assert ledger.head(conn) == before
    with pytest.raises(NotAllowed, match="payment:BANK-1: was taken back already"):
        take_back(town, "BANK-1", "another")
    with (
        pytest.raises(NotAllowed, match="payment BANK-1: was taken back by entry"),
        town.begin() as conn,
    ):
        towns.pay(conn, "50,000", "BANK-1")


@pytest.mark.parametrize(("reference", "reason"), [("BANK-9", "why"), ("BANK-1", " ")])
def test_what_is_refused(town: Town, reference: str, reason: str) -> None:
    """An unknown payment, and a reason that says nothing, leave the book as it was."""
    with pytest.raises(InvalidInput, match=f"payment {reference}"):
        take_back(town, reference, reason)
    assert standing(town) == (micro("50,000"), 0)


def test_the_command(tmp_path) -> None:
    """svoucher topup --reverse takes a payment back and says so; it wants a reason."""
    home: Home = furnished(tmp_path)
    home.ok("topup", an_account(home), "5", "--reference", "B1")

    assert home.run("topup", "--reverse", "B1").exit_code == 2
    said = home.ok("topup", "--reverse", "B1", "--reason", "returned")
    assert said.strip() == "payment B1: 5.00 yuan taken back: returned"
    one_line(home.run("topup", "--reverse", "B2", "--reason", "x"), 3, "payment B2")
    assert "0 findings" in home.ok("audit")
