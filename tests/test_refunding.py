"""accounting/settle/refunding.py: a run that is given back, before and after its statement."""

from collections.abc import Iterator
from typing import Any

import archived
import delivery
import pytest
import town as towns
from delivery import (
    AFTER,
    DECEMBER,
    FEBRUARY,
    JANUARY,
    balance,
    close,
    invoice,
    lines,
    open_claim,
    pay_out,
    review,
    run,
    statement,
    submit,
    take,
    yuan,
)
from sqlalchemy import select
from town import ACCOUNT, PROVIDER, VOUCHER, Town

from accounting.book import schema
from accounting.errors import InvalidInput, Refused
from accounting.runs.run import Run
from accounting.settle import refunding
from accounting.vouchers import holds

FIRST, SECOND, THIRD = (f"2024-11-{day}T12:00:00+08:00" for day in (10, 11, 12))
NAMES = ("usage_month", "runs", "fee_fen", "deduction_fen", "cash_fen", "refund")


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town with round prices; whatever a test does, the book adds up at its end."""
    delivery.load_prices(town)
    yield town
    assert delivery.findings(town) == []


def refund(shop: Town, of: Run, at: str = DECEMBER, reason: str = "lost") -> dict[str, Any]:
    """Give a run back."""
    key = (of.cluster, of.job_id, of.submit_s, of.start_s)
    return refunding.refund(shop.engine, shop.archive, key, reason, shop.policy, towns.stamp(at))


def spent(shop: Town, left: int) -> None:
    """Use the voucher up in October, but for some yuan."""
    october = "2024-10-10T12:00:00+08:00"
    take(shop, yuan(99, 100_000 - 2 * left, october), at=october)
    close(shop, "2024-10")
    with shop.begin() as conn:
        towns.pay(conn, "150,000", "BANK-2")


def test_before_the_statement_nothing_was_deducted(shop: Town) -> None:
    """A run that no statement has is not on the next one, and its usage stays metered."""
    take(shop, yuan(1, 100), yuan(2, 40))
    row = refund(shop, yuan(1, 100))
    assert (row["id"], row["line"], row["fee_fen"], row["deduction_fen"]) == (
        f"R-{ACCOUNT}-1",
        None,
        0,
        0,
    )
    assert balance(shop, "accrued") == "40.00"
    assert balance(shop, "revenue", PROVIDER) == "-40.00"
    close(shop, "2024-11")

    assert lines(shop, "2024-11", *NAMES) == [("2024-11", 1, 4_000, 2_000, 2_000, None)]
    with shop.begin() as conn:
        found = archived.current(conn, shop.archive, "chengdu").to_pylist()
    assert [(row["status"], row["reason"], row["cpus"]) for row in found] == [
        ("free", "refunded", 100),
        ("charged", "", 40),
    ]


def test_after_the_statement_its_recorded_share_goes_back(shop: Town) -> None:
    """Of a fee of 100,000, 20,000 are deducted: 18,000 for the first run, 2,000 and no more for
    the second one, nothing for the third. The second one is given back: 2,000 and 8,000."""
    spent(shop, 20_000)
    second = yuan(2, 10_000, SECOND)
    take(shop, yuan(1, 36_000, FIRST), second, yuan(3, 54_000, THIRD))
    close(shop, "2024-11")
    assert statement(shop, "2024-11", "fee_fen", "deduction_fen") == (10_000_000, 2_000_000)
    row = refund(shop, second)
    assert (row["line"], row["fee_fen"], row["deduction_fen"]) == (
        f"S-{ACCOUNT}-2024-11/1",
        1_000_000,
        200_000,
    )
    close(shop, "2024-12")

    assert lines(shop, "2024-12", *NAMES) == [
        ("2024-11", -1, -1_000_000, -200_000, -800_000, f"R-{ACCOUNT}-1")
    ]
    assert balance(shop, "voucher.left", VOUCHER) == "2,000.00"


@pytest.mark.parametrize(("number", "back"), [(1, 500_000), (3, 0)])
def test_a_run_that_the_voucher_bore_or_not(shop: Town, number: int, back: int) -> None:
    """The first run of 10,000 gives its 5,000 back; the last one, which the unit paid, nothing."""
    spent(shop, 20_000)
    own = {1: yuan(1, 10_000, FIRST), 3: yuan(3, 10_000, THIRD)}
    take(shop, own[1], yuan(2, 80_000, SECOND), own[3])
    close(shop, "2024-11")
    refund(shop, own[number])
    close(shop, "2024-12")

    assert lines(shop, "2024-12", "fee_fen", "deduction_fen") == [(-1_000_000, -back)]


def test_after_the_payout_it_comes_off_the_next_claim(shop: Town) -> None:
    """The claim after the payout has the credit line: 2,000 less, and the ledger says so."""
    spent(shop, 20_000)
    second = yuan(2, 10_000, SECOND)
    take(shop, yuan(1, 36_000, FIRST), second, yuan(3, 54_000, THIRD))
    for month in ("2024-10", "2024-11"):
        close(shop, month)
        invoice(shop, month)
    claim = open_claim(shop)
    submit(shop, claim)
    assert review(shop, claim) == 5_000_000
    pay_out(shop, claim)
    refund(shop, second, at=JANUARY)
    close(shop, "2025-01")
    assert balance(shop, "claim.unclaimed", PROVIDER) == "-2,000.00"

    with shop.begin() as conn:
        found = delivery.redemption.claimable(conn, PROVIDER, "2025-Q1")
    assert [(row["deduction_fen"], row["refund"]) for row in found] == [
        (-200_000, f"R-{ACCOUNT}-1")
    ]


def test_the_public_part_is_rounded_up(shop: Town) -> None:
    """Runs of 0.01 and 0.01: the second one makes the fen of the deduction. Given back is the
    first, whose share is nothing; but half of 0.01 is nothing too, so the fen goes back."""
    one, two = run(1, 36, FIRST), run(2, 36, SECOND)
    take(shop, one, two)
    close(shop, "2024-11")
    assert statement(shop, "2024-11", "fee_fen", "deduction_fen") == (2, 1)
    assert refund(shop, one)["deduction_fen"] == 0
    close(shop, "2024-12")

    assert lines(shop, "2024-12", "fee_fen", "deduction_fen") == [(-1, -1)]


def test_the_fee_stays_the_sum_of_the_month(shop: Town) -> None:
    """Three runs of 3.333333 are 9.99; without one of them 6.66, whatever was recorded for it."""
    some = [run(i, 12_000, f"2024-11-{9 + i}T12:00:00+08:00") for i in (1, 2, 3)]
    take(shop, *some)
    close(shop, "2024-11")
    for each in some:
        refund(shop, each)
    close(shop, "2024-12")

    found = lines(shop, "2024-12", "fee_fen", "deduction_fen")
    assert [sum(column) for column in zip(*found, strict=True)] == [-999, -499]
    assert balance(shop, "rounding") == "0.00"
    assert balance(shop, "voucher.left", VOUCHER) == "50,000.00"


def test_a_late_run_beside_a_refund(shop: Town) -> None:
    """What a refund gives back is not drawn again by the same month's late run: its own half is
    nothing, for the month is short of voucher as it is."""
    spent(shop, 20_000)
    second = yuan(2, 10_000, SECOND)
    take(shop, yuan(1, 36_000, FIRST), second, yuan(3, 54_000, THIRD))
    close(shop, "2024-11")
    refund(shop, second)
    take(shop, yuan(4, 100, THIRD), at=DECEMBER)
    close(shop, "2024-12")

    assert lines(shop, "2024-12", *NAMES) == [
        ("2024-11", -1, -1_000_000, -200_000, -800_000, f"R-{ACCOUNT}-1"),
        ("2024-11", 1, 10_000, 0, 10_000, None),
    ]
    late = towns_share(shop, yuan(4, 100, THIRD))
    assert late is not None
    assert (late.fee_fen, late.deduction_fen) == (10_000, 0)


def towns_share(shop: Town, of: Run) -> Any:
    """Return the share of a run."""
    with shop.begin() as conn:
        return refunding.shares.of_run(conn, shop.archive, of, 0, ACCOUNT, shop.policy)


def test_refunding_twice(shop: Town) -> None:
    """A run is given back once, before and after its credit."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11")
    refund(shop, yuan(1, 100))
    with pytest.raises(Refused, match=rf"is refunded already by R-{ACCOUNT}-1 \(lost\)"):
        refund(shop, yuan(1, 100))
    close(shop, "2024-12")
    with pytest.raises(Refused, match="is refunded already"):
        refund(shop, yuan(1, 100))
    assert close(shop, "2025-01") == []


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (yuan(1, 10, state="NODE_FAIL"), r"job 1 of chengdu: free, 0\.00 yuan is charged"),
        (yuan(1, 10, voucher=None), r"charged, 0\.00 yuan is charged to a voucher account"),
        (yuan(1, 10, partition="unheard"), r"unrated, 0\.00 yuan is charged"),
    ],
)
def test_nothing_to_give_back(shop: Town, of: Run, message: str) -> None:
    """What is free, unrated or nobody's is not refunded."""
    take(shop, of)
    with pytest.raises(Refused, match=message):
        refund(shop, of)


def test_a_run_that_is_not_there(shop: Town) -> None:
    """What is not in the archive is not refunded."""
    take(shop, yuan(2, 10))
    with pytest.raises(InvalidInput, match="job 1 of chengdu: no such run in the archive"):
        refund(shop, yuan(1, 10))


def test_what_is_heard_of_a_refunded_run_later(shop: Town) -> None:
    """Swept again it is known, and changed it still costs nothing."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11")
    refund(shop, yuan(1, 100))
    assert take(shop, yuan(1, 100), at=DECEMBER).changed == 0
    assert take(shop, yuan(1, 300), at=DECEMBER).charge_micro == 0
    close(shop, "2024-12")

    assert lines(shop, "2024-12", *NAMES) == [
        ("2024-11", -1, -10_000, -5_000, -5_000, f"R-{ACCOUNT}-1")
    ]


def test_a_run_that_was_corrected_and_then_refunded(shop: Town) -> None:
    """Stated with 100.00 and corrected to 40.00 in the open month, it gives 100.00 back; stated
    twice, its part of what the month came to."""
    take(shop, yuan(1, 100), yuan(2, 60, SECOND))
    close(shop, "2024-11")
    take(shop, yuan(1, 40), at=DECEMBER)
    refund(shop, yuan(1, 40))
    take(shop, yuan(2, 30, SECOND), at=DECEMBER)
    close(shop, "2024-12")
    assert lines(shop, "2024-12", *NAMES) == [
        ("2024-11", -1, -10_000, -5_000, -5_000, f"R-{ACCOUNT}-1"),
        ("2024-11", 0, -3_000, -1_500, -1_500, None),
    ]
    row = refund(shop, yuan(2, 30, SECOND), at=JANUARY)
    assert (row["fee_fen"], row["deduction_fen"]) == (3_000, 1_500)
    close(shop, "2025-01")

    assert balance(shop, "voucher.left", VOUCHER) == "50,000.00"
    assert balance(shop, "cash") == "-50,000.00"


def test_the_public_part_of_an_expired_voucher_goes_to_the_programme(shop: Town) -> None:
    """What is given back after the voucher lapsed lapses too; the unit has its cash."""
    late = "2025-06-01T09:00:00+08:00"
    take(shop, yuan(1, 100, DECEMBER), yuan(2, 60, DECEMBER), at=DECEMBER)
    close(shop, "2024-12", at=late)
    assert balance(shop, "voucher.expired", VOUCHER) == "49,920.00"
    refund(shop, yuan(2, 60, DECEMBER), at=late)
    close(shop, "2025-05", at=late)

    assert balance(shop, "voucher.left", VOUCHER) == "0.00"
    assert balance(shop, "voucher.expired", VOUCHER) == "49,950.00"
    assert balance(shop, "cash") == "-49,950.00"


def test_what_is_to_be_given_back_is_not_spent_before(shop: Town) -> None:
    """Until the credit is stated, neither its cash nor its voucher part can be held."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11")
    with shop.begin() as conn:
        before = holds.position(conn, ACCOUNT, shop.policy)
    refund(shop, yuan(1, 100))
    with shop.begin() as conn:
        after = holds.position(conn, ACCOUNT, shop.policy)
    assert (after.available_fen, after.free_cash_fen) == (
        before.available_fen,
        before.free_cash_fen,
    )
    close(shop, "2024-12")
    with shop.begin() as conn:
        assert holds.position(conn, ACCOUNT, shop.policy).available_fen == 10_000_000


def test_a_refund_that_pays_what_is_owed(shop: Town) -> None:
    """Cash that comes back pays the receivable first."""
    take(shop, yuan(1, 100_000, FIRST), yuan(2, 300, SECOND))
    close(shop, "2024-11")
    assert balance(shop, "receivable") == "300.00"
    refund(shop, yuan(2, 300, SECOND))
    close(shop, "2024-12")

    assert balance(shop, "receivable") == "0.00"


def test_the_credit_names_the_line(shop: Town) -> None:
    """The refund leads from the credit to the line that it takes back, and to the reason."""
    take(shop, yuan(1, 100, qos="a"), yuan(2, 50, qos="b"))
    close(shop, "2024-11")
    refund(shop, yuan(2, 50, qos="b"), reason="node lost its disk")
    close(shop, "2024-12")
    with shop.begin() as conn:
        key = yuan(2, 50)
        found = refunding.of_run(conn, (key.cluster, 2, key.submit_s, key.start_s))
        credit = conn.execute(
            select(schema.statement_line).filter_by(refund=f"R-{ACCOUNT}-1")
        ).one()
    assert found is not None
    assert (found["line"], found["credit"], found["reason"]) == (
        f"S-{ACCOUNT}-2024-11/2",
        f"S-{ACCOUNT}-2024-12/1",
        "node lost its disk",
    )
    assert (credit.qos, credit.runs) == ("b", -1)


def test_a_refund_of_a_month_that_another_account_has_open(shop: Town) -> None:
    """The credit stands in the open month also when the claim's quarter is long over."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11", account=ACCOUNT)
    refund(shop, yuan(1, 100), at=FEBRUARY)

    assert close(shop, "2025-02", at=AFTER["2025-02"]) == [f"S-{ACCOUNT}-2025-02"]


def test_a_run_whose_state_alone_changed(shop: Town) -> None:
    """A state that came later costs nothing and is on no line: the part is the first one's."""
    spent(shop, 20_000)
    second = yuan(2, 10_000, SECOND)
    take(shop, yuan(1, 36_000, FIRST), second, yuan(3, 54_000, THIRD))
    changed = yuan(2, 10_000, SECOND, state="FAILED")
    take(shop, changed)
    close(shop, "2024-11")
    row = refund(shop, changed)

    assert (row["fee_fen"], row["deduction_fen"]) == (1_000_000, 200_000)
