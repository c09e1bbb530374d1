"""Fraud: a voucher is taken back whole; what was deducted is owed to the treasury."""

from datetime import date

import delivery
import pytest
from delivery import DECEMBER, balance, close, statement, take, yuan
from town import ACCOUNT, CONTRACT, POLICY, UNIT, VOUCHER, stamp

from accounting import money
from accounting.book import ledger
from accounting.errors import InvalidInput, NotAllowed
from accounting.settle import refunding
from accounting.vouchers import amending, clawback, debts, holds

DEBT = f"D-{VOUCHER}-1"


@pytest.fixture
def used(town):
    """The town with 100.00 of its voucher deducted in November and a December that runs."""
    delivery.load_prices(town)
    take(town, yuan(1, 200))
    close(town, "2024-11")
    return town


def draft(town, reason="forged contract"):
    """Draft the clawback."""
    with town.begin() as conn:
        return clawback.draft(conn, VOUCHER, reason)


def accept(town, act):
    """Carry it out."""
    with town.begin() as conn:
        return clawback.accept(conn, act, POLICY, stamp(DECEMBER))


def pay(town, fen, reference="CZ-1"):
    """Give some of it back."""
    with town.begin() as conn:
        return debts.pay(
            conn, DEBT, amount_fen=fen, reference=reference, paid_on=date(2024, 12, 20),
            programme=POLICY.name, stamp=stamp(DECEMBER),
        )  # fmt: skip


def test_what_is_left_is_cancelled_and_what_was_used_is_owed(used):
    """Of 50,000.00 with 100.00 used, 49,900.00 are cancelled and 100.00 owed, once."""
    act = used.signed(draft(used))
    assert accept(used, act) == (4_990_000, 10_000, [])
    assert accept(used, act) == (0, 0, [])
    assert balance(used, "voucher.left", VOUCHER) == "0.00"
    assert balance(used, "clawback.due", UNIT) == "100.00"
    assert delivery.findings(used) == []


def test_what_runs_afterwards_is_the_units(used):
    """A month after the clawback has no deduction."""
    accept(used, used.signed(draft(used)))
    take(used, yuan(2, 60, DECEMBER), at=DECEMBER)
    close(used, "2024-12")
    assert statement(used, "2024-12", "deduction_fen", "cash_fen") == (0, 6_000)
    assert delivery.findings(used) == []


@pytest.mark.parametrize(("fee", "owed"), [("60,000", "5,000.00"), ("60", "35,000.00")])
def test_what_an_amendment_made_it_owe_is_not_asked_for_again(town, fee, owed):
    """With 35,000.00 used and some of it, or all, owed since the fee went down, the rest is; and
    nothing that comes back is used."""
    delivery.load_prices(town)
    take(town, yuan(1, 70_000))
    close(town, "2024-11")
    paper = delivery.hand_in(town, "a" * 64)
    with town.begin() as conn:
        amending.amend(
            conn, CONTRACT, fee_fen=money.fen(fee), effective_on=date(2024, 12, 1), last_day=None,
            paper_sha256=paper, policy=POLICY, stamp=stamp(DECEMBER),
        )  # fmt: skip
    assert balance(town, "clawback.due", UNIT) == owed
    accept(town, town.signed(draft(town)))
    assert balance(town, "clawback.due", UNIT) == "35,000.00"
    lost = yuan(1, 70_000)
    key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
    refunding.refund(town.engine, town.archive, key, "lost", POLICY, stamp(DECEMBER))
    close(town, "2024-12")
    with town.begin() as conn:
        assert holds.position(conn, ACCOUNT, POLICY).left_fen == 0
    assert delivery.findings(town) == []


def test_an_unused_voucher_leaves_no_debt(town):
    """A voucher of which nothing was deducted is cancelled and nothing is owed."""
    assert accept(town, town.signed(draft(town))) == (5_000_000, 0, [])
    with town.begin() as conn:
        assert debts.listed(conn) == []
    assert delivery.findings(town) == []


def test_a_deduction_after_the_signature_takes_another_one(used):
    """What was signed for 100.00 does nothing once another month is deducted."""
    act = used.signed(draft(used))
    take(used, yuan(2, 60, DECEMBER), at=DECEMBER)
    close(used, "2024-12")
    with pytest.raises(NotAllowed, match="signed for 10000 fen, by now 13000 are deducted"):
        accept(used, act)


def test_it_is_done_once_and_with_a_reason(used):
    """A second act is refused, and one without a reason; nothing is written."""
    silent = used.signed(draft(used, " "))
    with pytest.raises(InvalidInput, match="0 reasons, 1 is needed"):
        accept(used, silent)
    second = used.signed(draft(used, "again"))
    accept(used, used.signed(draft(used)))
    with used.begin() as conn:
        before = ledger.head(conn)
    with pytest.raises(NotAllowed, match=f"{VOUCHER}: was taken back already"):
        accept(used, second)
    with used.begin() as conn:
        assert ledger.head(conn) == before


def test_a_debt_is_paid_in_parts_and_never_beyond(used):
    """Of 100.00, 60.00 and 40.00 are paid, each number once; a fen more is refused."""
    accept(used, used.signed(draft(used)))
    assert pay(used, 6_000) == pay(used, 6_000) == 4_000
    with pytest.raises(NotAllowed, match=r"40\.01 yuan paid, 40\.00 is owed"):
        pay(used, 4_001, "CZ-2")
    with pytest.raises(NotAllowed, match="with other content"):
        pay(used, 1, "CZ-1")
    with pytest.raises(InvalidInput, match="is not above zero"):
        pay(used, 0, "CZ-2")
    assert pay(used, 4_000, "CZ-2") == 0
    assert balance(used, "clawback.due", UNIT) == balance(used, "treasury.due", POLICY.name)
    with used.begin() as conn:
        [row] = debts.listed(conn)
    assert (row["unit"], row["kind"], row["paid_fen"]) == (UNIT, "clawback", 10_000)
    assert delivery.findings(used) == []


def test_what_a_refund_gives_back_is_not_used_again(used):
    """A run of 200.00 that is refunded after the clawback gives its 100.00 back to a voucher that
    bears nothing any more: no hold counts on it, and a late run of 60.00 is the unit's."""
    accept(used, used.signed(draft(used)))
    lost = yuan(1, 200)
    key = (lost.cluster, lost.job_id, lost.submit_s, lost.start_s)
    refunding.refund(used.engine, used.archive, key, "lost", POLICY, stamp(DECEMBER))
    close(used, "2024-12")
    take(used, yuan(2, 60, DECEMBER), at="2025-01-06T12:00:00+08:00")
    with used.begin() as conn:
        position = holds.position(conn, ACCOUNT, POLICY)
    assert (position.left_fen, position.accrued_share_fen) == (0, 0)
    close(used, "2025-01", at="2025-02-03T12:00:00+08:00")
    assert statement(used, "2025-01", "deduction_fen", "cash_fen") == (0, 6_000)
    assert delivery.findings(used) == []


def test_the_account_goes_on_in_cash(used):
    """Cash that was paid in stays the unit's."""
    before = balance(used, "cash", ACCOUNT)
    accept(used, used.signed(draft(used)))
    assert balance(used, "cash", ACCOUNT) == before
