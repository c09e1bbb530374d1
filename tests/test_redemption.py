"""accounting/redeem/redemption.py: what may be claimed, who decides, and that money moves once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import delivery
import pytest
import town as towns
from delivery import (
    AFTER,
    DECEMBER,
    JANUARY,
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
from homes import Home
from sqlalchemy import func, select
from town import ACCOUNT, PROVIDER, REGULATOR, TREASURY, Town, stamp

from accounting.book import ledger, schema, signing
from accounting.errors import InvalidInput, NotAllowed, Refused
from accounting.redeem import paying, redemption, reviewing
from accounting.settle import refunding
from accounting.vouchers import payments

Q4 = f"C-{PROVIDER}-2024-Q4-1"
LINES = delivery.LINES


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town after November: lines of 100.00 and 40.00 in a statement that is not invoiced."""
    delivery.november(town)
    yield town
    assert delivery.findings(town) == []


@pytest.fixture
def claimed(shop: Town) -> Town:
    """The shop with a claim that is under review."""
    invoice(shop, "2024-11")
    submit(shop, open_claim(shop))
    return shop


def stages(town: Town) -> tuple[str, ...]:
    """Return what is unclaimed, under review, approved and disputed, and the provider's bank."""
    names = ("claim.unclaimed", "claim.review", "claim.approved", "claim.disputed", "bank")
    return tuple(balance(town, name, PROVIDER) for name in names)


def entries(town: Town) -> int:
    """Count the entries of the chain."""
    with town.begin() as conn:
        return ledger.head(conn)[0]


def drafted(town: Town, claim_id: str, **body: Any) -> dict[str, Any]:
    """Draft a review and change its body."""
    with town.begin() as conn:
        draft = reviewing.draft_review(conn, claim_id, {}, "checked")
    return draft | {"body": draft["body"] | body}


def decide(town: Town, draft: Mapping[str, Any], role: str = "regulator") -> Any:
    """Sign and carry out a review or a payout."""
    act = town.signed(draft, role)
    accept = {"claim.review": reviewing.accept_review, "claim.pay": paying.accept_payout}
    with town.begin() as conn:
        return accept[act.verb](conn, act, stamp(JANUARY))


def drafted_payout(town: Town, claim_id: str, **body: Any) -> dict[str, Any]:
    """Draft a payout and change its body."""
    with town.begin() as conn:
        at = towns.instant(JANUARY)
        draft = paying.draft_payout(conn, claim_id, "P-1", town.policy, at)
    return draft | {"body": draft["body"] | body}


def test_what_is_not_invoiced_is_not_claimable(shop: Town) -> None:
    """Lines wait for the invoice number of their statement."""
    with pytest.raises(Refused, match=f"0 lines of {PROVIDER} are claimable"):
        open_claim(shop)
    invoice(shop, "2024-11")

    assert open_claim(shop) == Q4
    assert claim(shop, Q4)["amount_fen"] == 14_000


def test_what_is_not_paid_is_not_claimable(shop: Town) -> None:
    """While the unit owes on the account nothing of it is claimed; once it has paid, all is."""
    take(shop, yuan(3, 110_000, DECEMBER), at=DECEMBER)
    close(shop, "2024-12")
    invoice(shop, "2024-11")
    invoice(shop, "2024-12")
    with pytest.raises(Refused, match="0 lines"):
        open_claim(shop)
    with shop.begin() as conn:
        towns.pay(conn, "10,280", "BANK-2")

    assert claim(shop, open_claim(shop))["amount_fen"] == 5_000_000


def test_a_claim_goes_its_way(claimed: Town) -> None:
    """Deducted, under review, approved and paid: the amount is in one place at a time."""
    bank = balance(claimed, "bank", PROVIDER)
    assert stages(claimed) == ("0.00", "140.00", "0.00", "0.00", bank)
    assert claim(claimed, Q4)["state"] == "under review"
    assert review(claimed, Q4) == 14_000
    assert stages(claimed) == ("0.00", "0.00", "140.00", "0.00", bank)
    assert pay_out(claimed, Q4) == (14_000, 0)
    assert stages(claimed) == ("0.00", "0.00", "0.00", "0.00", "50,140.00")
    assert (claim(claimed, Q4)["state"], claim(claimed, Q4)["paid_fen"]) == ("paid", 14_000)


def test_what_is_unpaid_by_now_is_not_handed_in(shop: Town) -> None:
    """A payment that is taken back after the claim was opened keeps it from the city until the
    unit has paid again."""
    invoice(shop, "2024-11")
    claim_id = open_claim(shop)
    with shop.begin() as conn:
        payments.take_back(conn, "BANK-1", "returned", stamp(AFTER["2024-12"]))
    before = entries(shop)
    with pytest.raises(Refused, match=f"account {ACCOUNT} owes 140.00 yuan by now"):
        submit(shop, claim_id)
    assert entries(shop) == before
    with shop.begin() as conn:
        towns.pay(conn, "140", "BANK-2")
    submit(shop, claim_id)

    assert claim(shop, claim_id)["state"] == "under review"


def test_opening_and_submitting_twice(shop: Town) -> None:
    """An open claim is opened once, and one that was handed in is handed in once."""
    invoice(shop, "2024-11")
    assert [open_claim(shop), open_claim(shop)] == [Q4, Q4]
    submit(shop, Q4)
    before = entries(shop)
    submit(shop, Q4)

    assert entries(shop) == before
    with pytest.raises(NotAllowed, match="with other content"), shop.begin() as conn:
        redemption.submit(conn, Q4, "0" * 64, stamp(JANUARY))


def test_a_quarter_that_runs_is_not_claimed(shop: Town) -> None:
    """A claim waits for the end of its quarter, to the second."""
    invoice(shop, "2024-11")
    with pytest.raises(Refused, match="claim 2024-Q4: it ends 2025-01-01"):
        open_claim(shop, at="2024-12-31T23:59:59+08:00")

    assert open_claim(shop, at="2025-01-01T00:00:00+08:00") == Q4


def test_only_quarters_are_claimed(shop: Town) -> None:
    """A month is no quarter."""
    with pytest.raises(InvalidInput, match="not a quarter"):
        open_claim(shop, "2024-11")


def test_statements_after_the_quarter_wait(shop: Town) -> None:
    """A line of January is not in the claim of the fourth quarter."""
    take(shop, yuan(3, 60, DECEMBER), at=JANUARY)
    close(shop, "2025-01")
    invoice(shop, "2024-11")
    invoice(shop, "2025-01")

    assert claim(shop, open_claim(shop, at=AFTER["2025-01"]))["amount_fen"] == 14_000


def test_a_line_is_in_one_claim(claimed: Town) -> None:
    """What stands in a claim is not claimable, under review and after its approval."""
    for step in (lambda: None, lambda: review(claimed, Q4), lambda: pay_out(claimed, Q4)):
        step()
        with pytest.raises(Refused, match="0 lines"):
            open_claim(claimed)


def test_a_refused_line_can_be_claimed_again(claimed: Town) -> None:
    """A refused line is disputed, and goes from there into the next claim."""
    assert review(claimed, Q4, {LINES[1]: "no log"}) == 10_000
    assert stages(claimed)[:4] == ("0.00", "0.00", "100.00", "40.00")
    second = open_claim(claimed)
    assert (second, claim(claimed, second)["amount_fen"]) == (Q4[:-1] + "2", 4_000)
    submit(claimed, second)
    assert stages(claimed)[:4] == ("0.00", "40.00", "100.00", "0.00")
    review(claimed, second, {LINES[1]: "still no log"})
    assert stages(claimed)[:4] == ("0.00", "0.00", "100.00", "40.00")
    before = entries(claimed)
    submit(claimed, Q4)
    submit(claimed, second)
    assert entries(claimed) == before
    third = open_claim(claimed)
    submit(claimed, third)
    review(claimed, third)

    assert pay_out(claimed, Q4) == (10_000, 0)
    assert pay_out(claimed, third) == (4_000, 0)
    assert stages(claimed) == ("0.00", "0.00", "0.00", "0.00", "50,140.00")


def test_a_part_is_approved_and_the_rest_claimed_again(claimed: Town) -> None:
    """Of 100 and 40, 60 and 40 are approved: 40 are disputed, claimed again and paid, and then
    nothing of the line is left."""
    draft = drafted(claimed, Q4, approved_fen={LINES[0]: 6_000, LINES[1]: 4_000})
    assert decide(claimed, draft) == 10_000
    assert stages(claimed)[:4] == ("0.00", "0.00", "100.00", "40.00")
    second = open_claim(claimed)
    assert claim(claimed, second)["amount_fen"] == 4_000
    submit(claimed, second)
    assert stages(claimed)[:4] == ("0.00", "40.00", "100.00", "0.00")
    review(claimed, second)
    assert pay_out(claimed, Q4) == (10_000, 0)
    assert pay_out(claimed, second) == (4_000, 0)
    assert stages(claimed) == ("0.00", "0.00", "0.00", "0.00", "50,140.00")
    with pytest.raises(Refused, match="0 lines"):
        open_claim(claimed)


def test_a_draft_that_approves_a_part(claimed: Town) -> None:
    """A draft says the amount and its own reason for one line, and the common one for the other."""
    with claimed.begin() as conn:
        draft = reviewing.draft_review(conn, Q4, {}, "checked", {LINES[0]: (6_000, "no log")})
    assert draft["body"] == {
        "approved_fen": {LINES[0]: 6_000, LINES[1]: 4_000},
        "reasons": {LINES[0]: "no log", LINES[1]: "checked"},
    }
    with pytest.raises(InvalidInput, match="is refused and approved"), claimed.begin() as conn:
        reviewing.draft_review(conn, Q4, {LINES[0]: "no"}, "checked", {LINES[0]: (1, "no log")})
    too_much = pytest.raises(InvalidInput, match=r"100\.01 yuan approved .* 0\.00 to 100\.00")
    with too_much, claimed.begin() as conn:
        reviewing.draft_review(conn, Q4, {}, "checked", {LINES[0]: (10_001, "more")})


def test_less_needs_a_reason(claimed: Town) -> None:
    """A review that approves less of a line and does not say why is refused."""
    reasons = {LINES[0]: "  ", LINES[1]: "checked"}
    amounts = {LINES[0]: 6_000, LINES[1]: 4_000}
    draft = drafted(claimed, Q4, approved_fen=amounts, reasons=reasons)
    with pytest.raises(InvalidInput, match=r"60\.00 of 100\.00 yuan is approved .* no reason"):
        decide(claimed, draft)


def test_a_credit_of_a_later_statement_enters_too(claimed: Town) -> None:
    """A credit of January is taken off the next claim of the fourth quarter, also while the
    statement that it stands on is not claimed yet."""
    review(claimed, Q4, {LINES[1]: "no log"})
    take(claimed, yuan(1, 180, qos="a"), at=JANUARY)
    close(claimed, "2024-12")
    close(claimed, "2025-01")
    second = open_claim(claimed, at=AFTER["2025-01"])
    assert claim(claimed, second)["amount_fen"] == 4_000 - 1_000


def test_a_claim_that_leaves_a_credit_out_is_refused(town: Town) -> None:
    """A claim that was opened without a credit that stood before it is not handed in."""
    delivery.november(town)
    invoice(town, "2024-11")
    submit(town, open_claim(town))
    review(town, Q4, {LINES[1]: "no log"})
    corrected(town, 180)
    second = Q4[:-1] + "2"
    row = {"id": second, "provider": PROVIDER, "quarter": "2024-Q4", "amount_fen": 4_000}
    line = {"claim": second, "line": LINES[1], "amount_fen": 4_000}
    rows = {"claim": [row], "claim_line": [line]}
    with town.begin() as conn:
        ledger.write(conn, ledger.Entry(f"claim:{second}", "claim.open", stamp(JANUARY), rows))
    with pytest.raises(Refused, match=f"leaves out credit S-{ACCOUNT}-2024-12/1"):
        submit(town, second)


@pytest.mark.parametrize(
    ("approved", "message"),
    [
        ({LINES[0]: 10_001, LINES[1]: 4_000}, "10001 fen approved of line .*/1, 0 to 10000"),
        ({LINES[0]: -1, LINES[1]: 4_000}, "-1 fen approved"),
        ({LINES[0]: "10000", LINES[1]: 4_000}, "10000 fen approved"),
        ({LINES[0]: True, LINES[1]: 4_000}, "True fen approved"),
        ({LINES[0]: 10_000}, "None fen approved of line .*/2"),
        ({LINES[0]: 1, LINES[1]: 1, "S-1/1": 1}, "S-1/1 is no line of it"),
        ([14_000], "approved_fen has to name each line"),
        (None, "approved_fen has to name each line"),
    ],
)
def test_a_review_that_does_not_fit(claimed: Town, approved: Any, message: str) -> None:
    """More than was claimed, less than nothing, a missing or a strange line are refused."""
    with pytest.raises(InvalidInput, match=message):
        decide(claimed, drafted(claimed, Q4, approved_fen=approved))


def test_a_draft_for_a_strange_line(claimed: Town) -> None:
    """Refusing a line that is not in the claim is no draft."""
    with pytest.raises(InvalidInput, match="S-1/1 is no line of it"), claimed.begin() as conn:
        reviewing.draft_review(conn, Q4, {"S-1/1": "why"}, "checked")


@pytest.mark.parametrize("who", [REGULATOR, TREASURY])
def test_who_submitted_does_not_decide(shop: Town, who: ledger.Actor) -> None:
    """Somebody who handed the claim in neither reviews nor pays it."""
    invoice(shop, "2024-11")
    submit(shop, open_claim(shop), actor=who)
    if who == TREASURY:
        review(shop, Q4)
    with pytest.raises(NotAllowed, match=f"{who.name} submitted it; somebody else decides"):
        review(shop, Q4) if who == REGULATOR else pay_out(shop, Q4)


def test_roles_are_not_exchanged(claimed: Town, keys: Mapping[str, Mapping[str, str]]) -> None:
    """The treasury's key reviews nothing, the regulator's pays nothing, forged or not."""
    draft = drafted(claimed, Q4)
    with pytest.raises(NotAllowed, match="the treasury does not sign this"):
        claimed.signed(draft, "treasury")
    disguised = keys["treasury"] | {"role": "regulator"}
    signed = signing.sign(draft, disguised)
    with pytest.raises(NotAllowed, match="holds the key of the treasury"), claimed.begin() as conn:
        signing.verify(conn, signed)
    review(claimed, Q4)
    with pytest.raises(NotAllowed, match="the regulator does not sign this"):
        claimed.signed(drafted_payout(claimed, Q4), "regulator")


def test_an_act_for_something_else(claimed: Town) -> None:
    """An act that was signed for another entry, or as another act, decides nothing here."""
    with pytest.raises(NotAllowed, match="signed for other content"):
        decide(claimed, drafted(claimed, Q4) | {"subject_hash": "0" * 64})
    act = claimed.signed(drafted(claimed, Q4))
    with pytest.raises(NotAllowed, match="signed for other content"), claimed.begin() as conn:
        paying.accept_payout(conn, act, stamp(JANUARY))


def test_a_claim_that_was_not_handed_in(shop: Town) -> None:
    """An open claim is neither reviewed nor paid, and one under review is not paid."""
    invoice(shop, "2024-11")
    open_claim(shop)
    with pytest.raises(NotAllowed, match="the claim is open, it has to be under review"):
        review(shop, Q4)
    with pytest.raises(Refused, match="it is open, it has to be approved"):
        pay_out(shop, Q4)
    with pytest.raises(InvalidInput, match="claim C-9: not in the book"):
        submit(shop, "C-9")


def test_a_repeated_act_changes_nothing(claimed: Town) -> None:
    """The same signed review and payout, once more, add no entry and give the same answer."""
    with claimed.begin() as conn:
        reviewed = reviewing.draft_review(conn, Q4, {}, "checked")
    assert decide(claimed, reviewed) == 14_000
    paid = drafted_payout(claimed, Q4)
    assert decide(claimed, paid, "treasury") == (14_000, 0)
    before = entries(claimed)

    assert decide(claimed, reviewed) == 14_000
    assert decide(claimed, paid, "treasury") == (14_000, 0)
    assert entries(claimed) == before


def test_a_changed_act_decides_nothing(claimed: Town) -> None:
    """Another decision after the first one is refused, for review and payout."""
    review(claimed, Q4)
    with pytest.raises(NotAllowed, match="the claim is approved, it has to be under review"):
        decide(claimed, drafted(claimed, Q4, reasons={}))
    pay_out(claimed, Q4, "P-1")
    with pytest.raises(NotAllowed, match="the claim is paid, it has to be approved"):
        decide(claimed, drafted_payout(claimed, Q4, reference="P-2"), "treasury")


def test_a_tampered_act_is_refused(claimed: Town, keys: Mapping[str, Mapping[str, str]]) -> None:
    """A figure that changes after signing makes the signature worthless."""
    signed = signing.sign(drafted(claimed, Q4), keys["regulator"])
    signed["body"] = {"approved_fen": {LINES[0]: 10_000, LINES[1]: 1}}
    with pytest.raises(NotAllowed, match="the signature does not fit"), claimed.begin() as conn:
        signing.verify(conn, signed)


@pytest.mark.parametrize("amount", [14_001, 13_999, "14000", None, -14_000])
def test_the_payout_is_what_was_approved(claimed: Town, amount: Any) -> None:
    """Neither more nor less is paid."""
    review(claimed, Q4)
    with pytest.raises(NotAllowed, match="14000 is approved; draft it again"):
        decide(claimed, drafted_payout(claimed, Q4, amount_fen=amount), "treasury")


def corrected(town: Town, amount: int) -> None:
    """Correct the run of 200 after everything of November was claimed, and close December."""
    take(town, yuan(1, amount, qos="a"), at=DECEMBER)
    close(town, "2024-12")


@pytest.mark.parametrize("day", ["soon", "", None, 20250110, "2025-02-30", "0001-01-01"])
def test_a_payout_names_a_day(claimed: Town, day: Any) -> None:
    """What is signed for no day is not paid."""
    review(claimed, Q4)
    with pytest.raises(InvalidInput, match=r"paid_on is .* a day from 2000-01-01"):
        decide(claimed, drafted_payout(claimed, Q4, paid_on=day), "treasury")


def test_credits_enter_the_next_claim(claimed: Town) -> None:
    """A credit of 30 goes into the claim with a new line of 50, and 20 are paid."""
    review(claimed, Q4)
    pay_out(claimed, Q4)
    corrected(claimed, 140)
    take(claimed, yuan(3, 100, DECEMBER), at=JANUARY)
    close(claimed, "2025-01")
    with pytest.raises(Refused, match=r"-30\.00 yuan is left after credits"):
        open_claim(claimed)
    invoice(claimed, "2025-01")
    second = open_claim(claimed, "2025-Q1", at="2025-04-05T09:00:00+08:00")
    assert claim(claimed, second)["amount_fen"] == 2_000
    submit(claimed, second)
    review(claimed, second)
    for reference, message in ((f"P-{Q4}", f"paid claim {Q4} already"), ("", "is empty")):
        pay = drafted_payout(claimed, second, reference=reference)
        with pytest.raises(NotAllowed, match=message):
            decide(claimed, pay, "treasury")

    assert pay_out(claimed, second) == (2_000, 0)
    assert balance(claimed, "bank", PROVIDER) == "50,160.00"


def test_a_claim_over_nothing(claimed: Town) -> None:
    """A credit of 30 and a new line of 30 make no claim."""
    review(claimed, Q4)
    corrected(claimed, 140)
    take(claimed, yuan(3, 60, DECEMBER), at=JANUARY)
    close(claimed, "2025-01")
    invoice(claimed, "2025-01")
    with pytest.raises(Refused, match=r" 0\.00 yuan is left after credits"):
        open_claim(claimed, "2025-Q1", at="2025-04-05T09:00:00+08:00")


def test_credits_are_carried_when_what_covers_them_is_refused(claimed: Town) -> None:
    """Where the other line is refused the credit waits; it cannot be left out for nothing."""
    review(claimed, Q4)
    corrected(claimed, 140)
    take(claimed, yuan(3, 100, DECEMBER), at=JANUARY)
    close(claimed, "2025-01")
    invoice(claimed, "2025-01")
    second = open_claim(claimed, "2025-Q1", at="2025-04-05T09:00:00+08:00")
    submit(claimed, second)
    credit, new = f"S-{ACCOUNT}-2024-12/1", f"S-{ACCOUNT}-2025-01/1"
    for approved in ({credit: 0, new: 5_000}, {credit: -3_000, new: 0}):
        with pytest.raises(InvalidInput, match="credits are taken off"):
            decide(claimed, drafted(claimed, second, approved_fen=approved))
    with pytest.raises(InvalidInput, match="-1 fen approved"):
        decide(claimed, drafted(claimed, second, approved_fen={credit: -1, new: 5_000}))

    assert review(claimed, second, {new: "no log"}) == 0
    assert stages(claimed)[:4] == ("0.00", "0.00", "140.00", "20.00")
    third = open_claim(claimed, "2025-Q1", at="2025-04-05T09:00:00+08:00")
    assert claim(claimed, third)["amount_fen"] == 2_000
    submit(claimed, third)
    review(claimed, third)
    assert pay_out(claimed, second) == (0, 0)
    assert pay_out(claimed, third) == (2_000, 0)


def test_credits_are_taken_off_all_of_them_or_nothing_is_approved(claimed: Town) -> None:
    """With credits of 30 and 10 and a line of 35 the credit of 10 cannot be left out: nothing is
    approved, and all of it goes into the next claim."""
    review(claimed, Q4)
    take(claimed, yuan(1, 140, qos="a"), yuan(2, 60, qos="b"), at=DECEMBER)
    close(claimed, "2024-12")
    take(claimed, yuan(3, 100, DECEMBER), at=JANUARY)
    close(claimed, "2025-01")
    invoice(claimed, "2025-01")
    second = open_claim(claimed, "2025-Q1", at="2025-04-05T09:00:00+08:00")
    submit(claimed, second)
    with claimed.begin() as conn:
        lines = {row["line"]: row["amount_fen"] for row in redemption.claim_lines(conn, second)}
    credit, *_ = sorted(line for line, fen in lines.items() if fen < 0)
    [new] = [line for line, fen in lines.items() if fen > 0]
    some = lines | {credit: 0, new: 3_500}
    assert (len(lines), sum(some.values()) >= 0) == (3, True)
    draft = drafted(claimed, second, approved_fen=some, reasons=dict.fromkeys(lines, "checked"))
    words = f"credit {credit} left out; credits are taken off, all"
    with pytest.raises(InvalidInput, match=words):
        decide(claimed, draft)
    with pytest.raises(InvalidInput, match=words), claimed.begin() as conn:
        reviewing.draft_review(conn, second, {credit: "no log"}, "checked")


def test_what_refunds_outweigh_waits_for_its_invoice(claimed: Town) -> None:
    """A statement of 50 that gives 200 back has 25 to invoice, and waits for that."""
    review(claimed, Q4)
    pay_out(claimed, Q4)
    take(claimed, yuan(3, 50, DECEMBER), at=DECEMBER)
    lost = yuan(1, 200)
    key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
    refunding.refund(claimed.engine, claimed.archive, key, "lost", claimed.policy, stamp(DECEMBER))
    close(claimed, "2024-12")
    line = f"S-{ACCOUNT}-2024-12/2"
    before = [row["id"] for row in _claimable(claimed) if row["rest_fen"] > 0]
    invoice(claimed, "2024-12")
    assert (before, [row["id"] for row in _claimable(claimed) if row["rest_fen"] > 0]) == (
        [],
        [line],
    )


def _claimable(town: Town) -> list[Mapping[str, Any]]:
    with town.begin() as conn:
        return redemption.claimable(conn, PROVIDER, "2024-Q4")


def test_deducted_is_where_it_stands(claimed: Town) -> None:
    """deducted = unclaimed + under review + approved unpaid + disputed + paid, at each step."""

    def total() -> int:
        with claimed.begin() as conn:
            accounts = ("claim.unclaimed", "claim.review", "claim.approved", "claim.disputed")
            open_micro = sum(ledger.balance(conn, name, PROVIDER) for name in accounts)
            paid = conn.execute(select(func.sum(schema.payout.c.amount_fen))).scalar() or 0
        return open_micro // 10_000 + int(paid)

    seen = [total()]
    review(claimed, Q4, {LINES[0]: "why"})
    seen.append(total())
    pay_out(claimed, Q4)
    assert [*seen, total()] == [14_000, 14_000, 14_000]


def test_a_line_is_decided_once(tmp_path: Path) -> None:
    """Of two amounts for one line none is taken."""
    out, words = str(tmp_path / "draft.json"), ("--approve=L=6:a", "--approve=L=7:b")
    for options in (words, ("--refuse=L=a", "--refuse=L=b")):
        done = Home(tmp_path).run("claim", "review", "C-1", *options, "-o", out)
        assert (done.exit_code, "a line is named twice" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--approve=L", "is no LINE=AMOUNT:REASON"),
        ("--approve=L=60.00", "is no LINE=AMOUNT:REASON"),
        ("--approve=L=60.00: ", "is no LINE=AMOUNT:REASON"),
        ("--approve=L=sixty:no log", "'sixty' is no amount"),
        ("--refuse=L= ", "is no LINE=REASON"),
    ],
)
def test_a_review_without_amount_or_reason(tmp_path: Path, option: str, words: str) -> None:
    """What `claim review` is told of a line names line, amount and reason, or is wrong usage."""
    out = str(tmp_path / "draft.json")
    done = Home(tmp_path).run("claim", "review", "C-1", option, "-o", out)
    assert done.exit_code == 2
    assert words in done.stderr
