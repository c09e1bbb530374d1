"""redeem/withdrawing.py: a claim that is not handed in yet can be taken back and opened anew."""

from collections.abc import Iterator
from pathlib import Path

import delivery
import pytest
import town as towns
from delivery import (
    AFTER,
    DECEMBER,
    JANUARY,
    LINES,
    balance,
    claim,
    close,
    invoice,
    open_claim,
    pay_out,
    review,
    submit,
    take,
    yuan,
)
from homes import Home, one_line
from town import PROVIDER, Town, stamp

from accounting.book import ledger
from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.forms import programme
from accounting.redeem import owing, redemption, withdrawing
from accounting.vouchers import payments

FIRST, SECOND = (f"C-{PROVIDER}-2024-Q4-{i}" for i in (1, 2))
OTHER = "CD24-0002"


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town after November: lines of 100.00 and 40.00 that are paid and invoiced."""
    delivery.november(town)
    invoice(town, "2024-11")
    yield town
    assert delivery.findings(town) == []


def withdraw(town: Town, claim_id: str = FIRST, reason: str = "a unit owes by now") -> int:
    """Take a claim back."""
    with town.begin() as conn:
        return withdrawing.withdraw(conn, claim_id, reason, stamp(AFTER["2024-12"]))


def entries(town: Town) -> int:
    """Count the entries of the chain."""
    with town.begin() as conn:
        return ledger.head(conn)[0]


def lines_of(town: Town, claim_id: str) -> list[str]:
    """Name the lines of a claim."""
    with town.begin() as conn:
        return [row["line"] for row in redemption.claim_lines(conn, claim_id)]


def second_account(town: Town) -> None:
    """Another unit with an account of its own, 1,000.00 of cash and a run of 60 in November."""
    with town.begin() as conn:
        towns.add_unit(conn, "qingyun")
        assert towns.add_contract(conn, "HT-2", unit="qingyun") == OTHER
        application = towns.add_application(conn, "HT-2")
    towns.confirm(town, application)
    with town.begin() as conn:
        towns.pay(conn, "1,000", "BANK-O", OTHER)
    take(town, yuan(9, 60, voucher=OTHER))


def test_its_lines_can_be_claimed_again(shop: Town) -> None:
    """Nothing has moved; another claim takes the same lines, and goes its way to the payout."""
    before = [balance(shop, f"claim.{stage}", PROVIDER) for stage in ("unclaimed", "review")]
    assert open_claim(shop) == FIRST
    assert withdraw(shop) == 2
    assert claim(shop, FIRST)["state"] == "withdrawn"
    after = [balance(shop, f"claim.{stage}", PROVIDER) for stage in ("unclaimed", "review")]
    assert (before, after) == (["140.00", "0.00"], ["140.00", "0.00"])
    assert open_claim(shop) == SECOND
    assert lines_of(shop, SECOND) == lines_of(shop, FIRST) == LINES
    submit(shop, SECOND)
    assert review(shop, SECOND) == 14_000

    assert pay_out(shop, SECOND) == (14_000, 0)
    assert [claim(shop, each)["state"] for each in (FIRST, SECOND)] == ["withdrawn", "paid"]


def test_one_unit_that_owes_holds_up_nobody_else(town: Town) -> None:
    """A payment is taken back after the claim was opened: the claim over both units is withdrawn,
    the next one has the lines of the other unit, and one more those of this one once it paid."""
    delivery.load_prices(town)
    second_account(town)
    delivery.november(town)
    invoice(town, "2024-11")
    with town.begin() as conn:
        delivery.invoicing.record(
            conn, f"S-{OTHER}-2024-11", "F-O", town.policy, stamp(AFTER["2024-11"])
        )
    assert claim(town, open_claim(town))["amount_fen"] == 17_000
    with town.begin() as conn:
        payments.take_back(conn, "BANK-O", "returned", stamp(AFTER["2024-12"]))
    with pytest.raises(Refused, match=f"{OTHER} owes 30.00 yuan .* withdraw this claim"):
        submit(town, FIRST)
    withdraw(town)
    assert lines_of(town, open_claim(town)) == LINES
    submit(town, SECOND)
    with town.begin() as conn:
        towns.pay(conn, "30", "BANK-P", OTHER)

    assert lines_of(town, open_claim(town)) == [f"S-{OTHER}-2024-11/1"]
    assert delivery.findings(town) == []


def test_twice_is_once(shop: Town) -> None:
    """The same withdrawal is written once; another reason is another one, and refused."""
    open_claim(shop)
    withdraw(shop)
    before = entries(shop)
    assert withdraw(shop) == 2
    with pytest.raises(NotAllowed, match=r"withdrawn already \(a unit owes by now\)"):
        withdraw(shop, reason="changed my mind")

    assert entries(shop) == before


def test_what_was_handed_in_is_the_regulators(shop: Town) -> None:
    """Under review, approved and paid: no claim is withdrawn, and nothing is written."""
    submit(shop, open_claim(shop))
    for state, step in (("under review", review), ("approved", pay_out), ("paid", None)):
        before = entries(shop)
        with pytest.raises(NotAllowed, match=f"{FIRST}: it is {state}, only an open one"):
            withdraw(shop)
        assert entries(shop) == before
        if step:
            step(shop, FIRST)


def test_a_withdrawn_claim_is_not_handed_in(shop: Town) -> None:
    """Neither handed in nor reviewed; what is no claim, or has no reason, is not withdrawn."""
    open_claim(shop)
    with pytest.raises(InvalidInput, match="no reason is given"):
        withdraw(shop, reason="  ")
    with pytest.raises(InvalidInput, match="claim C-9: not in the book"):
        withdraw(shop, "C-9")
    withdraw(shop)
    with pytest.raises(NotAllowed, match=f"{FIRST}: it is withdrawn, only an open one"):
        submit(shop, FIRST)
    with pytest.raises(NotAllowed, match="the claim is withdrawn, it has to be under review"):
        review(shop, FIRST)


def test_a_debt_is_not_withdrawn(shop: Town) -> None:
    """What a provider owes after its last claim stays owed."""
    submit(shop, open_claim(shop))
    review(shop, FIRST)
    pay_out(shop, FIRST)
    take(shop, yuan(1, 140, qos="a"), at=DECEMBER)
    close(shop, "2024-12")
    with shop.begin() as conn:
        owed = owing.owe(conn, PROVIDER, "2024-Q4", shop.policy, stamp(JANUARY))
    with pytest.raises(NotAllowed, match=f"{owed[0]}: it is owed, only an open one"):
        withdraw(shop, owed[0])


def test_a_credit_that_it_took_off_enters_the_next(shop: Town) -> None:
    """100 and 40 less a credit of 30: withdrawn and opened anew, the credit is taken off again; a
    claim that was opened while it stood in the first is not at fault."""
    take(shop, yuan(1, 140, qos="a"), yuan(4, 500, DECEMBER), at=DECEMBER)
    close(shop, "2024-12")
    assert claim(shop, open_claim(shop))["amount_fen"] == 14_000 - 3_000
    invoice(shop, "2024-12")
    between = open_claim(shop, "2025-Q1", at="2025-04-05T09:00:00+08:00")
    assert claim(shop, between)["amount_fen"] == 25_000
    withdraw(shop)
    submit(shop, between, at="2025-04-05T09:00:00+08:00")

    assert claim(shop, open_claim(shop))["amount_fen"] == 14_000 - 3_000
    submit(shop, SECOND)


def test_lines_of_a_withdrawn_claim_are_drawn_for(shop: Town) -> None:
    """Advance money drawn for a line while its claim was open is repaid by the claim that pays."""
    delivery.grant(shop, "100")
    open_claim(shop)
    assert delivery.draw(shop, LINES[0]) == 10_000
    withdraw(shop)
    submit(shop, open_claim(shop))
    review(shop, SECOND)

    assert pay_out(shop, SECOND) == (4_000, 10_000)
    assert balance(shop, "bank", PROVIDER) == "50,140.00"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_by_command_and_what_is_refused_leaves_no_packet(shop: Town, tmp_path: Path) -> None:
    """A claim is withdrawn by command, and handing it in then is refused before a packet is made;
    the programme's report leaves it out."""
    home, out = Home(tmp_path / "home"), tmp_path / "packet.zip"
    home.path.mkdir()
    url = shop.engine.url.render_as_string(hide_password=False)
    (home.path / "config.yaml").write_text(f"book: {url}\narchive: {shop.archive}\n")
    open_claim(shop)
    said = home.ok("claim", "withdraw", FIRST, "--reason", "a unit owes by now")
    assert said == f"claim {FIRST}: withdrawn; its 2 lines can stand in another one\n"
    done = home.run("claim", "submit", FIRST, "-o", str(out))
    one_line(done, 1, f"{FIRST}: it is withdrawn", "open another one")
    assert not out.exists()
    with shop.begin() as conn:
        paper = programme.paper(conn, 2024, shop.policy, towns.instant(JANUARY))
    assert "兑付" not in [table.title for table in paper.tables]
