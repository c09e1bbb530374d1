"""redeem/reserve.py: advance money is drawn once for a line and repaid before anything."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import delivery
import msgspec
import pytest
import told
import town as towns
from delivery import (
    DECEMBER,
    JANUARY,
    balance,
    close,
    draw,
    grant,
    invoice,
    open_claim,
    pay_out,
    review,
    run,
    submit,
    take,
    yuan,
)
from homes import an_account, furnished
from town import ACCOUNT, PROVIDER, Town, stamp

from accounting import policy
from accounting.book import ledger
from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.redeem import reserve

Q4 = f"C-{PROVIDER}-2024-Q4-1"
LINES = delivery.LINES


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town after November, invoiced: lines of 100.00 and 40.00, a fund of 130.00."""
    delivery.november(town)
    invoice(town, "2024-11")
    grant(town, "130.00")
    yield town
    assert delivery.findings(town) == []


def money(town: Town) -> tuple[str, str, str]:
    """Return the fund, what belongs to the city, and what the claims brought to the bank."""
    bank = int(balance(town, "bank", PROVIDER).replace(",", "").replace(".", "")) - 5_000_000
    owed = balance(town, "reserve.owed", PROVIDER)
    return balance(town, "reserve.fund", PROVIDER), owed, f"{bank / 100:.2f}"


def claimed(town: Town, **refused: str) -> None:
    """Claim the lines and have them reviewed; keys are a and b."""
    submit(town, open_claim(town))
    review(town, Q4, {LINES["ab".index(name)]: why for name, why in refused.items()})


def test_the_provider_has_its_money_once(shop: Town) -> None:
    """100 drawn and then paid are 100 in the provider's bank, and the fund is whole again."""
    assert draw(shop, LINES[0]) == 10_000
    assert money(shop) == ("30.00", "-130.00", "100.00")
    claimed(shop, b="no log")

    assert pay_out(shop, Q4) == (0, 10_000)
    assert money(shop) == ("130.00", "-130.00", "100.00")


def test_a_line_that_is_named_twice(shop: Town) -> None:
    """It is drawn for once, and 100 are said to be drawn."""
    assert draw(shop, LINES[0], LINES[0]) == 10_000
    assert money(shop) == ("30.00", "-130.00", "100.00")


def test_the_rest_goes_to_the_provider(shop: Town) -> None:
    """With 40 drawn, 140 paid bring 100 to the bank and 40 to the fund."""
    draw(shop, LINES[1])
    claimed(shop)

    assert pay_out(shop, Q4) == (10_000, 4_000)
    assert money(shop) == ("130.00", "-130.00", "140.00")


def test_the_fund_is_a_limit(shop: Town) -> None:
    """A second line of 40 is not drawn from the 30 that are left, and the first stays drawn."""
    draw(shop, LINES[0])
    with pytest.raises(Refused, match=r"40\.00 yuan wanted for .*/2, 30\.00 is in the fund"):
        draw(shop, LINES[1])

    assert money(shop) == ("30.00", "-130.00", "100.00")


def test_a_line_with_no_deduction(shop: Town) -> None:
    """Nothing is drawn for a line of which the unit pays all, or that gives back."""
    take(shop, run(9, 3600, "2025-01-10T12:00:00+08:00"))
    close(shop, "2025-01")
    with pytest.raises(Refused, match=r"0\.00 yuan is deducted on .*/1, more than 0\.00 is needed"):
        draw(shop, f"S-{ACCOUNT}-2025-01/1")


def test_all_or_nothing(shop: Town) -> None:
    """Two lines in one draw of which the second does not fit leave nothing drawn."""
    with pytest.raises(Refused, match="is in the fund"):
        draw(shop, *LINES)

    assert money(shop) == ("130.00", "-130.00", "0.00")


def test_a_line_is_advanced_once(shop: Town) -> None:
    """A line that is drawn for stays drawn for once; one that is paid is not drawn for."""
    assert [draw(shop, LINES[0]), draw(shop, LINES[0])] == [10_000, 10_000]
    assert money(shop) == ("30.00", "-130.00", "100.00")
    claimed(shop)
    pay_out(shop, Q4)
    with pytest.raises(Refused, match="is paid already"):
        draw(shop, LINES[1])
    with pytest.raises(InvalidInput, match="statement_line S-1/1: not in the book"):
        draw(shop, "S-1/1")


def test_a_refused_line_is_owed_and_repaid_later(shop: Town) -> None:
    """What a refused line drew stays owed; when the line is paid in the end, it is repaid."""
    draw(shop, LINES[0])
    claimed(shop, a="no log")
    assert pay_out(shop, Q4) == (4_000, 0)
    assert money(shop) == ("30.00", "-130.00", "140.00")
    second = open_claim(shop)
    submit(shop, second)
    review(shop, second)

    assert pay_out(shop, second) == (0, 10_000)
    assert money(shop) == ("130.00", "-130.00", "140.00")


def test_a_refused_line_of_a_paid_claim_can_be_drawn_for(shop: Town) -> None:
    """A line that was refused is not paid, though its claim is."""
    claimed(shop, b="no log")
    pay_out(shop, Q4)

    assert draw(shop, LINES[1]) == 4_000


def test_credits_leave_less_than_was_drawn(shop: Town) -> None:
    """40 drawn and a credit of 20: 20 are paid, all of them to the fund, and none from the bank.
    The next 50 bring the other 20 to the fund and 30 to the bank."""
    claimed(shop, b="no log")
    pay_out(shop, Q4)
    draw(shop, LINES[1])
    take(shop, yuan(1, 160, qos="a"), at=DECEMBER)
    close(shop, "2024-12")
    second = open_claim(shop)
    submit(shop, second)
    review(shop, second)

    assert pay_out(shop, second) == (0, 2_000)
    assert money(shop) == ("110.00", "-130.00", "140.00")
    take(shop, yuan(3, 100, DECEMBER), at=JANUARY)
    close(shop, "2025-01")
    invoice(shop, "2025-01")
    third = open_claim(shop, "2025-Q1", at="2025-04-05T09:00:00+08:00")
    submit(shop, third)
    review(shop, third)

    assert pay_out(shop, third) == (3_000, 2_000)
    assert money(shop) == ("130.00", "-130.00", "170.00")


def give_back(town: Town, fen: int, reference: str = "ICBC-1") -> int:
    """Put advance money back."""
    with town.begin() as conn:
        day = date(2025, 1, 9)
        return reserve.give_back(conn, PROVIDER, fen, reference, day, stamp(JANUARY))


def test_what_no_payout_repays_is_returned(shop: Town) -> None:
    """Of 40 drawn and 20 repaid, 20 are returned in two parts, each once, and not a fen more; and
    the line's own payout repays what is still out alone."""
    draw(shop, LINES[1])
    assert [give_back(shop, 1_000), give_back(shop, 1_000)] == [3_000, 3_000]
    with pytest.raises(NotAllowed, match="return ICBC-1: stands in the book with other facts"):
        give_back(shop, 999)
    with pytest.raises(Refused, match=r"30\.01 yuan returned, 30\.00 is drawn and not repaid"):
        give_back(shop, 3_001, "ICBC-2")
    for nothing in (0, -1):
        with pytest.raises(InvalidInput, match=r"is not above 0\.00"):
            give_back(shop, nothing, "ICBC-2")
    claimed(shop)

    assert pay_out(shop, Q4) == (11_000, 3_000)
    assert money(shop) == ("130.00", "-130.00", "140.00")
    with pytest.raises(Refused, match=r"0\.00 is drawn and not repaid"):
        give_back(shop, 1, "ICBC-2")
    with shop.begin() as conn:
        kinds = [row["what"] for row in reserve.statement(conn, PROVIDER)]
    assert kinds == ["granted", "drawn", "returned", "repaid"]


def test_a_grant_twice_is_one(shop: Town) -> None:
    """The same signed grant adds nothing; another one by the same reference is refused."""
    with shop.begin() as conn:
        draft = reserve.draft_grant(conn, PROVIDER, 500, "R-2")
    act = shop.signed(draft, "treasury")
    for _ in range(2):
        with shop.begin() as conn:
            reserve.accept_grant(conn, act, stamp())
    assert money(shop)[0] == "135.00"
    with pytest.raises(NotAllowed, match="with other content"):
        grant(shop, "6.00", "R-2")


@pytest.mark.parametrize(("amount", "reference"), [(0, "R"), (-1, "R"), ("1", "R"), (1, "")])
def test_a_grant_of_nothing(shop: Town, amount: object, reference: str) -> None:
    """A grant needs an amount above zero and a reference."""
    with shop.begin() as conn:
        draft = reserve.draft_grant(conn, PROVIDER, 1, reference)
    draft["body"]["amount_fen"] = amount
    act = shop.signed(draft, "treasury")
    with pytest.raises(InvalidInput, match="an amount above zero"), shop.begin() as conn:
        reserve.accept_grant(conn, act, stamp(JANUARY))


def lasts(town: Town, at: str = JANUARY) -> int | None:
    """Return for how many days the fund lasts."""
    with town.begin() as conn:
        return reserve.lasts_days(conn, PROVIDER, towns.instant(at))


def test_a_statement_of_the_fund(shop: Town) -> None:
    """Grant, draws and repayment stand in order, each with what the fund held after it."""
    draw(shop, *LINES[:1])
    claimed(shop, b="no log")
    pay_out(shop, Q4)
    with shop.begin() as conn:
        rows = reserve.statement(conn, PROVIDER)
    assert [(row["what"], row["of"], row["amount_fen"], row["fund_fen"]) for row in rows] == [
        ("granted", "R-1", 13_000, 13_000),
        ("drawn", LINES[0], -10_000, 3_000),
        ("repaid", Q4, 10_000, 13_000),
    ]


def test_how_long_a_fund_lasts(shop: Town) -> None:
    """100.00 drawn in 90 days leave 30.00, which last for 27 days; nobody knows before a draw,
    and what was drawn longer ago is no pace."""
    assert lasts(shop) is None
    draw(shop, LINES[0])
    assert lasts(shop) == 27
    assert lasts(shop, "2025-04-10T11:59:59+08:00") == 27
    assert lasts(shop, "2025-04-10T12:00:00+08:00") is None


def test_a_young_funds_pace_is_that_of_its_days(town: Town) -> None:
    """A fund of 130.00 from which 100.00 are drawn on its tenth day lasts for 3 days more."""
    delivery.november(town)
    with town.begin() as conn:
        draft = reserve.draft_grant(conn, PROVIDER, 13_000, "R-1")
    act = town.signed(draft, "treasury")
    with town.begin() as conn:
        reserve.accept_grant(conn, act, stamp("2024-12-31T12:00:00+08:00"))
    draw(town, LINES[0])
    assert lasts(town) == 3


def test_nothing_is_drawn_where_units_claim(shop: Town) -> None:
    """Where units pay all of the fee the provider waits for nothing."""
    rules = msgspec.structs.replace(shop.policy, redeem=policy.Redeem(claimant="unit"))
    with pytest.raises(NotAllowed, match=r"0\.00 yuan can be drawn"), shop.begin() as conn:
        reserve.draw(conn, LINES, rules, stamp(JANUARY))


def test_a_low_fund_is_said(tmp_path: Path) -> None:
    """`reserve statement` and `reserve show` warn when the fund lasts for too few days."""
    home = furnished(tmp_path / "home")
    an_account(home)
    engine = ledger.connect(f"sqlite:///{home.path / 'book.db'}")
    for key, fen in (("reserve.grant:R-1", 13_000), ("reserve.draw:S-1/1", -10_000)):
        other = "bank" if fen < 0 else "reserve.owed"
        postings = ledger.move("cdaicc", {"reserve.fund": fen, other: -fen})
        code, at = key.partition(":")[0], stamp("2026-11-20T12:00:00+08:00")
        with engine.begin() as conn:
            ledger.write(conn, ledger.Entry(key, code, at, {}, postings))
    engine.dispose()
    asked = ("--as-of", "2026-11-22", "reserve", "statement", "cdaicc")
    rows = told.rows("reserve-statement", home.run(*asked, "--json").stdout)
    assert [row["of"] for row in rows] == ["R-1", "S-1/1"]
    done = home.run(*asked, "--csv")
    assert done.stdout.splitlines() == [
        "day,what,of,amount,fund",
        "2026-11-20,granted,R-1,130.00,130.00",
        "2026-11-20,drawn,S-1/1,-100.00,30.00",
    ]
    assert "reserve cdaicc: lasts for 0 days at the pace of its draws, 30 are wanted" in done.stderr
    shown = home.run("--as-of", "2026-11-22", "reserve", "show", "cdaicc")
    assert "lasts for 0 days" in shown.stderr
