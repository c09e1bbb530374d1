"""vouchers/debts.py: what a provider gives back has not to be given back by the unit once more."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import delivery
import pytest
import town as towns
from delivery import (
    DECEMBER,
    JANUARY,
    balance,
    close,
    invoice,
    open_claim,
    pay_out,
    review,
    run,
    submit,
    take,
    yuan,
)
from sqlalchemy import Engine, func, select
from test_amending import amend
from test_refunding import refund
from town import ACCOUNT, CONTRACT, PROVIDER, UNIT, VOUCHER, Town, stamp

from accounting import policy
from accounting.book import ledger, schema
from accounting.book.ledger import Entry
from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.forms import statement as paper_of_statement
from accounting.proof import replay
from accounting.redeem import funding, redemption
from accounting.settle import refunding
from accounting.vouchers import clawback, debts, ending, returning

DEBT = f"D-{VOUCHER}-1"
LONG = "2025-08-05T09:00:00+08:00"
"""When vouchers of 2024 have lapsed."""
ONE, TWO = yuan(1, 200, qos="a"), yuan(2, 80, qos="b")
"""Runs of which the voucher bears 100.00 and 40.00."""


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town after a November of 280.00; whatever a test does, the book adds up at its end."""
    delivery.november(town)
    invoice(town, "2024-11")
    yield town
    assert delivery.findings(town) == []


def take_back(shop: Town, voucher: str = VOUCHER, at: str = DECEMBER) -> None:
    """Claw the voucher back."""
    with shop.begin() as conn:
        draft = clawback.draft(conn, voucher, "forged contract")
    act = shop.signed(draft)
    with shop.begin() as conn:
        clawback.accept(conn, act, shop.policy, stamp(at))


def repay(shop: Town, fen: int, debt: str = DEBT, reference: str = "CZ-1") -> int:
    """Let the unit give something back."""
    with shop.begin() as conn:
        return debts.pay(
            conn, debt, amount_fen=fen, reference=reference, paid_on=date(2024, 12, 20),
            programme=shop.policy.name, stamp=stamp(DECEMBER),
        )  # fmt: skip


def draft_return(shop: Town, reference: str = "CZ-9") -> dict[str, Any]:
    """Draft what the treasury gives back."""
    with shop.begin() as conn:
        return returning.draft(conn, DEBT, reference, shop.policy, towns.instant(JANUARY))


def give_back(shop: Town, draft: Mapping[str, Any]) -> int:
    """Let the treasury give it back."""
    act = shop.signed(draft, "treasury")
    with shop.begin() as conn:
        return returning.accept(conn, act, shop.policy, stamp(JANUARY))


def owed(shop: Town) -> list[tuple[int, ...]]:
    """Return amount, relieved, paid, returned and left of each debt."""
    names = ("amount_fen", "relieved_fen", "paid_fen", "returned_fen", "left_fen")
    with shop.begin() as conn:
        return [tuple(row[name] for name in names) for row in debts.listed(conn)]


def cost_fen(shop: Town) -> int:
    """Return what the city has paid and still has to pay, less what it got back and still gets."""
    stages = ("unclaimed", "review", "approved", "disputed")
    with shop.begin() as conn:
        paid = conn.execute(select(func.sum(schema.payout.c.amount_fen))).scalar() or 0
        repaid = conn.execute(select(func.sum(schema.claim_repayment.c.amount_fen))).scalar() or 0
        due = sum(ledger.balance(conn, f"claim.{stage}", PROVIDER) for stage in stages)
        due += ledger.balance(conn, "claim.owed", PROVIDER)
        rows = debts.listed(conn)
    units = sum(row["paid_fen"] - row["returned_fen"] + row["left_fen"] for row in rows)
    return int(paid) - int(repaid) + due // 10_000 - units


def paid(shop: Town, refused: Mapping[str, str] | None = None) -> None:
    """Have November claimed, reviewed and paid."""
    close(shop, "2024-12")
    claim = open_claim(shop)
    submit(shop, claim)
    review(shop, claim, refused)
    pay_out(shop, claim)


def test_what_was_paid_out_comes_back_once(shop: Town) -> None:
    """(a) 140.00 are paid out and clawed back; a run that bore 100.00 is refunded: the provider's
    next claim gives them back, and the unit owes the other 40.00."""
    paid(shop)
    assert cost_fen(shop) == 14_000
    take_back(shop, at=JANUARY)
    assert (owed(shop), cost_fen(shop)) == ([(14_000, 0, 0, 0, 14_000)], 0)
    refund(shop, ONE, JANUARY)
    assert owed(shop) == [(14_000, 0, 0, 0, 14_000)]
    close(shop, "2025-01")

    assert owed(shop) == [(14_000, 10_000, 0, 0, 4_000)]
    assert balance(shop, "claim.unclaimed", PROVIDER) == "-100.00"
    assert balance(shop, "clawback.due", UNIT) == "40.00"
    assert cost_fen(shop) == 0
    assert repay(shop, 4_000) == 0
    with pytest.raises(NotAllowed, match=r"0\.01 yuan paid, 0\.00 is owed"):
        repay(shop, 1, reference="CZ-2")
    assert cost_fen(shop) == 0


@pytest.mark.parametrize("stated", [True, False])
def test_what_was_refunded_before_is_not_owed(shop: Town, stated: bool) -> None:
    """(b) A run of 100.00 is refunded first: where a statement has that by then, 40.00 are clawed
    back; where none has, 140.00 are, less 100.00 at the next one."""
    refund(shop, ONE, DECEMBER)
    if stated:
        close(shop, "2024-12")
    take_back(shop, at=JANUARY)
    if not stated:
        assert owed(shop) == [(14_000, 0, 0, 0, 14_000)]
        close(shop, "2024-12")

    assert owed(shop) == [(4_000, 0, 0, 0, 4_000) if stated else (14_000, 10_000, 0, 0, 4_000)]
    assert cost_fen(shop) == 0
    close(shop, "2025-01")
    assert cost_fen(shop) == 0


@pytest.mark.parametrize("again", [True, False])
def test_a_line_that_was_refused_costs_nothing_yet(shop: Town, again: bool) -> None:
    """(c) The line of 100.00 is refused and that of 40.00 is paid; both runs are refunded after the
    clawback: the provider's credits are 140.00, and it may claim the refused line again."""
    paid(shop, {delivery.LINES[0]: "no log"})
    take_back(shop, at=JANUARY)
    refund(shop, ONE, JANUARY)
    refund(shop, TWO, JANUARY)
    close(shop, "2025-01")
    assert owed(shop) == [(14_000, 14_000, 0, 0, 0)]
    assert cost_fen(shop) == 0
    if again:
        with shop.begin() as conn:
            left = redemption.claimable(conn, PROVIDER, "2025-Q1")
        assert sum(line["rest_fen"] for line in left) == -4_000


def test_several_funders(blank: Engine, keys: Any, tmp_path: Path) -> None:
    """(d) What province and city bore alike is one debt; what the provider gives back lowers it,
    and each one's part of the claim by half of that."""
    text = policy.builtin("henan-2025")
    text = text.replace("policy: henan-2025", "policy: mine").replace("prefix: HN", "prefix: CD")
    shop = towns.by(blank, tmp_path, keys, text)
    delivery.load_prices(shop)
    lost = run(1, 36, cpus=50_000, qos="a")
    take(shop, lost, run(2, 36, cpus=100_000, qos="b"))
    close(shop, "2024-11")
    invoice(shop, "2024-11")
    take_back(shop)
    bore = owed(shop)[0][0]
    refund(shop, lost)
    close(shop, "2024-12")

    assert owed(shop) == [(bore, bore // 3, 0, 0, bore - bore // 3)]
    claim = open_claim(shop)
    with shop.begin() as conn:
        parts = redemption.claims(conn)[0]["amount_fen"]
        halves = funding.of_claims(conn, shop.policy.name)[claim]
    assert (parts, halves) == (bore - bore // 3, {"province": parts // 2, "city": parts // 2})
    assert cost_fen(shop) == 0
    assert delivery.findings(shop) == []


def test_what_was_repaid_comes_back_from_the_city(shop: Town) -> None:
    """(e) The unit has repaid 80.00 of 140.00 when a run that bore 100.00 is refunded: the city has
    40.00 too much and gives them back, once and by the treasury's signature."""
    take_back(shop)
    repay(shop, 8_000)
    with pytest.raises(Refused, match=r"0\.00 yuan is paid too much, 60\.00 is still owed"):
        draft_return(shop)
    refund(shop, ONE)
    close(shop, "2024-12")
    assert owed(shop) == [(14_000, 10_000, 8_000, 0, -4_000)]
    assert balance(shop, "clawback.due", UNIT) == "-40.00"
    assert cost_fen(shop) == 0
    draft = draft_return(shop)
    assert draft["body"]["amount_fen"] == 4_000
    for change in ({"amount_fen": 4_001}, {"amount_fen": "4000"}, {"reference": " "}):
        with pytest.raises(NotAllowed, match="draft it"):
            give_back(shop, draft | {"body": draft["body"] | change})
    with pytest.raises(InvalidInput, match="paid_on is 'soon'"):
        give_back(shop, draft | {"body": draft["body"] | {"paid_on": "soon"}})
    assert give_back(shop, draft) == give_back(shop, draft) == 4_000

    assert owed(shop) == [(14_000, 10_000, 8_000, 4_000, 0)]
    assert (balance(shop, "clawback.due", UNIT), cost_fen(shop)) == ("0.00", 0)
    with pytest.raises(NotAllowed, match="signed for 4000 fen, 0 is paid too much by now"):
        give_back(shop, draft | {"body": draft["body"] | {"reference": "CZ-10"}})


def test_one_number_gives_back_once(shop: Town) -> None:
    """A second return takes another number of the treasury."""
    take_back(shop)
    repay(shop, 14_000)
    refund(shop, ONE)
    close(shop, "2024-12")
    give_back(shop, draft_return(shop))
    refund(shop, TWO, JANUARY)
    close(shop, "2025-01")
    with pytest.raises(NotAllowed, match="reference 'CZ-9' gave something back already"):
        give_back(shop, draft_return(shop))
    assert give_back(shop, draft_return(shop, "CZ-10")) == 4_000
    assert owed(shop) == [(14_000, 14_000, 14_000, 14_000, 0)]
    assert cost_fen(shop) == 0


def test_a_correction_lowers_it_as_well(shop: Town) -> None:
    """A run that cost 120.00 less than was told gives 60.00 back."""
    take_back(shop)
    take(shop, yuan(1, 80, qos="a"), at=DECEMBER)
    close(shop, "2024-12")
    assert owed(shop) == [(14_000, 6_000, 0, 0, 8_000)]
    assert cost_fen(shop) == 0


# --- what an amendment made a unit owe ---------------------------------------------------------


@pytest.fixture
def amended(town: Town) -> Iterator[Town]:
    """A voucher of 50,000.00 of which 35,000.00 are used, that is worth 30,000.00 by now: 5,000.00
    are owed."""
    delivery.load_prices(town)
    take(town, yuan(1, 50_000, qos="a"), yuan(2, 20_000, qos="b"))
    close(town, "2024-11")
    amend(town, "60,000", at=DECEMBER)
    assert owed(town) == [(500_000, 0, 0, 0, 500_000)]
    yield town
    assert delivery.findings(town) == []


def test_what_an_amendment_left_over_and_nobody_used(amended: Town) -> None:
    """A refund leaves 10,000.00 on the voucher, which may be used as before; what lapses of it was
    not used, so nothing is owed any more."""
    refund(amended, yuan(2, 20_000, qos="b"), DECEMBER)
    close(amended, "2024-12")
    assert owed(amended) == [(500_000, 0, 0, 0, 500_000)]
    close(amended, "2025-01", at=LONG)

    assert balance(amended, "voucher.expired", VOUCHER) == "10,000.00"
    assert owed(amended) == [(500_000, 500_000, 0, 0, 0)]
    assert cost_fen(amended) == 2_500_000


def test_what_is_left_when_the_contract_ends(amended: Town) -> None:
    """2,000.00 of a debt of 5,000.00 were not used when the contract is ended."""
    refund(amended, yuan(2, 20_000, qos="b"), DECEMBER)
    close(amended, "2024-12")
    take(amended, yuan(3, 16_000, DECEMBER), at=JANUARY)
    paper = delivery.hand_in(amended, "ended")
    with amended.begin() as conn:
        day = date(2024, 12, 30)
        ending.end_contract(conn, CONTRACT, day, paper, amended.policy, stamp(JANUARY))
    close(amended, "2025-01")

    assert balance(amended, "voucher.cancelled", VOUCHER) == "17,000.00"
    assert owed(amended) == [(500_000, 200_000, 0, 0, 300_000)]
    assert cost_fen(amended) == 3_000_000


def test_another_amendment_asks_for_what_is_over_alone(amended: Town) -> None:
    """With 25,000.00 deducted and 10,000.00 left of what is worth 20,000.00 by now, the 10,000.00
    are cancelled, and the 5,000.00 stay."""
    refund(amended, yuan(2, 20_000, qos="b"), DECEMBER)
    close(amended, "2024-12")
    amend(amended, "40,000", "c" * 64, at=JANUARY)
    assert owed(amended) == [(500_000, 0, 0, 0, 500_000)]
    assert cost_fen(amended) == 2_000_000


def test_both_debts_are_lowered_by_what_comes_back(amended: Town) -> None:
    """Clawed back after the amendment, 30,000.00 more are owed; as the runs are refunded one by
    one, what is owed is what is still deducted."""
    take_back(amended)
    refund(amended, yuan(2, 20_000, qos="b"), DECEMBER)
    close(amended, "2024-12")
    assert owed(amended) == [(500_000, 0, 0, 0, 500_000), (3_000_000, 1_000_000, 0, 0, 2_000_000)]
    assert cost_fen(amended) == 0
    refund(amended, yuan(1, 50_000, qos="a"), JANUARY)
    close(amended, "2025-01")
    assert [row[4] for row in owed(amended)] == [0, 0]
    assert cost_fen(amended) == 0


def test_what_was_still_to_be_deducted_is_not_owed(town: Town) -> None:
    """35,000.00 are accrued when a voucher is amended to 30,000.00, so 5,000.00 are owed; clawed
    back before the statement, it never bears them, and the unit pays all of the fee."""
    delivery.load_prices(town)
    take(town, yuan(1, 70_000))
    amend(town, "60,000", at=DECEMBER)
    assert owed(town) == [(500_000, 0, 0, 0, 500_000)]
    take_back(town)
    assert owed(town) == [(500_000, 500_000, 0, 0, 0)]
    close(town, "2024-11")
    assert delivery.statement(town, "2024-11", "deduction_fen", "cash_fen") == (0, 7_000_000)
    assert cost_fen(town) == 0
    assert delivery.findings(town) == []


# --- papers, replay, forgeries -----------------------------------------------------------------


def test_the_statement_says_it(shop: Town) -> None:
    """The paper of the statement that gives back names the debt and by how much less is owed."""
    take_back(shop)
    refund(shop, ONE)
    close(shop, "2024-12")
    with shop.begin() as conn:
        paper = paper_of_statement.paper(conn, f"S-{ACCOUNT}-2024-12", shop.policy)
        assert [*replay.differences(conn, shop.archive, shop.policy)] == []
    fields = {field.name: field.value for field in paper.fields}
    assert fields[f"核减应退还财政款 {DEBT}"] == 10_000


FORGED = {
    "more is taken off than came back": (
        "debt_relief",
        {"debt": DEBT, "amount_fen": 1_000},
        -1_000,
    ),
    "more is given back than was too much": (
        "debt_return",
        {"debt": DEBT, "amount_fen": 5, "reference": "X", "paid_on": "2025-01-01"},
        5,
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_debts_that_were_lowered_by_hand_are_found(town: Town, what: str) -> None:
    """Relief without a refund, and money that the city gave back without a reason, are found."""
    delivery.november(town)
    take_back(town)
    name, row, fen = FORGED[what]
    with town.begin() as conn:
        if name == "debt_return":
            row = row | {"act_sha256": conn.execute(select(schema.debt.c.act_sha256)).scalar()}
        postings = debts.due(UNIT, town.policy.name, fen)
        ledger.write(conn, Entry("forged", "debt", stamp(DECEMBER), {name: [row]}, postings))
    found = [each for each in delivery.findings(town) if each.rule == "debts"]
    assert found
    assert {each.rule for each in delivery.findings(town)} <= {"debts", "signatures"}


def test_a_statement_that_lowers_no_debt_is_found(town: Town, monkeypatch: Any) -> None:
    """Closed by a program that forgets the debt, a refund after a clawback is found, also by a
    replay."""
    delivery.november(town)
    take_back(town)
    refund(town, ONE)
    with monkeypatch.context() as patch:
        patch.setattr(debts, "lowered", lambda *_: ({}, []))
        close(town, "2024-12")
    found = delivery.findings(town)
    assert {each.rule for each in found} == {"debts", "replay"}
    assert {each.subject for each in found} >= {f"account {ACCOUNT}"}


def test_the_refund_itself_posts_no_relief(shop: Town) -> None:
    """Refunded twice or refused, the debt is lowered once, with the statement."""
    take_back(shop)
    refund(shop, ONE)
    with pytest.raises(Refused, match="refunded already"):
        refund(shop, ONE)
    assert close(shop, "2024-12") == close(shop, "2024-12")
    key = (ONE.cluster, ONE.job_id, ONE.submit_s, ONE.start_s)
    with shop.begin() as conn:
        assert refunding.of_run(conn, key) is not None
        rows = conn.execute(select(schema.debt_relief)).all()
    assert [(row.debt, row.amount_fen) for row in rows] == [(DEBT, 10_000)]
