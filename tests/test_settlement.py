"""accounting/settle/settlement.py and stating.py: statements by hand, and what a close refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import delivery
import pytest
import town as towns
from delivery import (
    AFTER,
    DECEMBER,
    HOUR_S,
    JANUARY,
    balance,
    close,
    invoice,
    lines,
    run,
    statement,
    take,
    yuan,
)
from sqlalchemy import select
from town import ACCOUNT, CLUSTER, OTHER_PROVIDER, PROVIDER, VOUCHER, Town

from accounting.book import ledger, schema
from accounting.errors import InsufficientBalance, InvalidInput, InvariantBroken, Refused
from accounting.runs import watermarks
from accounting.settle import settlement, stating
from accounting.vouchers import holds

OCTOBER = "2024-10-10T12:00:00+08:00"


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town with round prices; whatever a test does, the book adds up at its end."""
    delivery.load_prices(town)
    yield town
    assert delivery.findings(town) == []


def spent(shop: Town, fee: int) -> None:
    """Use up some of voucher and cash in October."""
    take(shop, yuan(1, fee, OCTOBER), at=OCTOBER)
    close(shop, "2024-10")


def test_three_lines_of_a_third(shop: Town) -> None:
    """Three lines of 3.333333 make a fee of 9.99, a deduction of 4.99 and 0.009999 of rounding."""
    take(shop, *(run(i, 12_000, qos=qos) for i, qos in enumerate(("a", "b", "c"), 1)))

    assert close(shop, "2024-11") == [f"S-{ACCOUNT}-2024-11"]
    assert statement(shop, "2024-11", "fee_fen", "deduction_fen", "cash_fen") == (999, 499, 500)
    assert lines(shop, "2024-11", "qos", "fee_fen", "deduction_fen", "cash_fen") == [
        ("a", 333, 167, 166),
        ("b", 333, 166, 167),
        ("c", 333, 166, 167),
    ]
    with shop.begin() as conn:
        assert ledger.balance(conn, "rounding", ACCOUNT) == 9_999


def test_half_of_an_odd_fee(shop: Town) -> None:
    """333.33 is 166.66 off the voucher and 166.67 of cash."""
    take(shop, run(1, 12, cpus=99_999))
    close(shop, "2024-11")

    assert statement(shop, "2024-11", "fee_fen", "deduction_fen", "cash_fen") == (
        33_333,
        16_666,
        16_667,
    )
    assert balance(shop, "voucher.left", VOUCHER) == "49,833.34"
    assert balance(shop, "cash") == "-49,833.33"
    assert balance(shop, "claim.unclaimed", PROVIDER) == "166.66"


def test_jobs_cost_what_they_really_cost(shop: Town) -> None:
    """With 6,000 left, jobs of really 1,000 and 8,000 deduct 4,500, whatever was held."""
    spent(shop, 88_000)
    take(shop, yuan(2, 1_000), yuan(3, 8_000))
    close(shop, "2024-11")

    assert statement(shop, "2024-11", "fee_fen", "deduction_fen") == (900_000, 450_000)
    assert balance(shop, "voucher.left", VOUCHER) == "1,500.00"


def test_a_run_that_outlives_the_voucher(shop: Town) -> None:
    """Of 20 hours at 200, 10 of them valid, 2,000 are eligible; with 1,000 left 1,000 go off."""
    spent(shop, 98_000)
    take(shop, run(2, 20 * HOUR_S, "2025-01-01T10:00:00+08:00", partition="dear"), at=JANUARY)
    close(shop, "2025-01")

    assert statement(shop, "2025-01", "charge_micro", "eligible_micro", "deduction_fen") == (
        4_000_000_000,
        2_000_000_000,
        100_000,
    )
    assert statement(shop, "2025-01", "cash_fen", "receivable_fen") == (300_000, 200_000)


def test_half_of_what_is_eligible(shop: Town) -> None:
    """With voucher enough, 2,000 eligible of a fee of 4,000 deduct 1,000."""
    take(shop, run(2, 20 * HOUR_S, "2025-01-01T10:00:00+08:00", partition="dear"), at=JANUARY)
    close(shop, "2025-01")

    assert statement(shop, "2025-01", "fee_fen", "deduction_fen") == (400_000, 100_000)


def test_a_late_run_of_a_closed_month(shop: Town) -> None:
    """A run of November that comes after both closes stands in January with November's half."""
    take(shop, run(1, 12, cpus=99_999))
    close(shop, "2024-11")
    take(shop, yuan(2, 10, DECEMBER), at=DECEMBER)
    close(shop, "2024-12")
    before = delivery.content(shop.engine)["statement"]
    take(shop, run(3, 12, cpus=99_999), at=JANUARY)
    close(shop, "2025-01")

    assert lines(shop, "2025-01", "usage_month", "fee_fen", "deduction_fen") == [
        ("2024-11", 33_333, 33_333 - 16_666)
    ]
    assert set(before) < set(delivery.content(shop.engine)["statement"])


def test_what_came_in_before_the_close_for_the_next_month(shop: Town) -> None:
    """December's runs that are collected before November is closed are December's."""
    take(shop, yuan(1, 100), yuan(2, 10, "2024-12-02T09:00:00+08:00"), at=AFTER["2024-11"])
    close(shop, "2024-11")
    take(shop, yuan(3, 1, DECEMBER), at=DECEMBER)
    close(shop, "2024-12")

    assert statement(shop, "2024-11", "fee_fen") == (10_000,)
    assert statement(shop, "2024-12", "fee_fen") == (1_100,)


def test_a_correction_of_a_closed_month(shop: Town) -> None:
    """A run that shrinks after its close gives back fee and half in the open month."""
    take(shop, yuan(1, 100), yuan(2, 5))
    close(shop, "2024-11")
    take(shop, yuan(1, 40), at=DECEMBER)
    close(shop, "2024-12")

    names = ("usage_month", "runs", "fee_fen", "deduction_fen", "cash_fen")
    assert lines(shop, "2024-12", *names) == [("2024-11", 0, -6_000, -3_000, -3_000)]
    assert balance(shop, "voucher.left", VOUCHER) == "49,977.50"
    assert balance(shop, "cash") == "-49,977.50"


def test_a_correction_that_costs_nothing(shop: Town) -> None:
    """A run whose state alone changes after the close makes no statement."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11")
    take(shop, yuan(1, 100, state="FAILED"), at=DECEMBER)

    assert close(shop, "2024-12") == []


def test_a_credit_settles_what_is_owed_first(shop: Town) -> None:
    """Cash that a correction gives back pays the receivable before it is free."""
    take(shop, yuan(1, 100_100))
    close(shop, "2024-11")
    assert balance(shop, "receivable") == "100.00"
    take(shop, yuan(1, 99_600), at=DECEMBER)
    close(shop, "2024-12")

    assert balance(shop, "receivable") == "0.00"
    assert balance(shop, "cash") == "-200.00"


def test_a_month_short_of_voucher_that_shrinks_while_another_gives_back(shop: Town) -> None:
    """What October gives back goes to November's missing half, though November shrinks, too."""
    spent(shop, 99_000)
    take(shop, yuan(2, 3_000))
    close(shop, "2024-11")
    assert statement(shop, "2024-11", "deduction_fen") == (50_000,)
    take(shop, yuan(1, 98_600, OCTOBER), yuan(2, 2_900), at=DECEMBER)
    close(shop, "2024-12")

    assert lines(shop, "2024-12", "usage_month", "fee_fen", "deduction_fen") == [
        ("2024-10", -40_000, -20_000),
        ("2024-11", -10_000, 20_000),
    ]


def test_closing_twice(shop: Town) -> None:
    """A month that is closed again gives the same statements and not one byte more."""
    take(shop, yuan(1, 100))
    first = close(shop, "2024-11")
    with shop.begin() as conn:
        rows = conn.execute(select(schema.journal)).all()

    assert close(shop, "2024-11", at=AFTER["2025-01"]) == first
    with shop.begin() as conn:
        assert conn.execute(select(schema.journal)).all() == rows


def test_closing_a_month_that_runs(shop: Town) -> None:
    """A month that has not ended is not closed."""
    with pytest.raises(Refused, match=r"close 2024-12: it ends 2025-01-01T00:00:00\+08:00"):
        close(shop, "2024-12", at="2024-12-31T23:59:59+08:00")

    assert close(shop, "2024-12", at="2025-01-01T00:00:00+08:00") == []


def test_closing_a_month_that_is_not_collected(shop: Town) -> None:
    """A cluster collected up to a second before the month's end keeps it open."""
    end_s = towns.instant("2024-12-01T00:00:00+08:00")
    take(shop, yuan(1, 100), watermark=(CLUSTER, "ended", end_s - 1))
    with pytest.raises(Refused, match="cluster chengdu is collected up to 2024-11-30T23:59:59"):
        close(shop, "2024-11")
    take(shop, watermark=(CLUSTER, "ended", end_s))

    assert close(shop, "2024-11") == [f"S-{ACCOUNT}-2024-11"]


def sweep(shop: Town, cluster: str, until: str) -> None:
    """Say up to when a cluster is collected."""
    with shop.begin() as conn:
        watermarks.advance(conn, cluster, "ended", towns.instant(until))


def test_a_cluster_that_was_never_swept_keeps_a_month_open(shop: Town) -> None:
    """Where the price list has a cluster that nobody ever collected, nothing is closed."""
    take(shop, yuan(1, 100))
    scope = settlement.Scope(PROVIDER)
    when = towns.stamp(AFTER["2024-11"])
    with pytest.raises(Refused, match="close 2024-11: cluster chengdu is collected never"):
        settlement.close(shop.engine, shop.archive, "2024-11", scope, shop.policy, when)
    sweep(shop, CLUSTER, "2024-12-01T00:00:00+08:00")

    made = settlement.close(shop.engine, shop.archive, "2024-11", scope, shop.policy, when)
    assert made == [f"S-{ACCOUNT}-2024-11"]


TWO = (
    delivery.ROUND
    + """
  mianyang:
    partitions:
      far:
        provider: nscc-cd
        prices: [{from: 2023-07-01, yuan_per_core_hour: "1.00"}]
"""
)


def test_a_cluster_of_another_provider_keeps_nothing_open(shop: Town) -> None:
    """What is not collected of the other provider's cluster stops its close and no other."""
    delivery.load_prices(shop, TWO.replace("round-1", "two-1"), "two-1")
    take(shop, yuan(1, 100))
    with pytest.raises(Refused, match="cluster mianyang is collected never"):
        close(shop, "2024-11", provider=OTHER_PROVIDER)

    assert close(shop, "2024-11") == [f"S-{ACCOUNT}-2024-11"]


def test_unrated_runs_stop_those_whose_they_are(shop: Town) -> None:
    """Runs without a price stop the provider of their account, each named; not the other one."""
    take(shop, *(yuan(i, 1, gres="gpu:odd=1", partition="cards") for i in range(1, 8)))
    take(shop, yuan(9, 1, voucher=None, gres="gpu:odd=1", partition="cards"))
    names = ", ".join(rf"job {i} of chengdu \([^)]*\)" for i in range(1, 6))
    with pytest.raises(Refused, match=f"8 runs are unrated: {names} and 3 more; 0 are allowed"):
        close(shop, "2024-11")
    with pytest.raises(Refused, match="7 runs are unrated"):
        close(shop, "2024-11", account=ACCOUNT)

    assert close(shop, "2024-11", provider=OTHER_PROVIDER) == []


def test_what_may_be_anybodys_stops_every_provider(shop: Town) -> None:
    """A run that names no account, where nobody is said to provide, may be any provider's."""
    take(shop, yuan(1, 100), yuan(2, 1, voucher=None, partition="unheard"))
    for provider in (PROVIDER, OTHER_PROVIDER):
        with pytest.raises(Refused, match="1 runs are unrated: job 2 of chengdu"):
            close(shop, "2024-11", provider=provider)

    assert close(shop, "2024-11", account=ACCOUNT) == [f"S-{ACCOUNT}-2024-11"]


def second_account(shop: Town) -> str:
    """Open another account of the unit, with cash and no voucher."""
    with shop.begin() as conn:
        account = towns.add_contract(conn, "2024-AI-002")
        towns.pay(conn, "1,000", "BANK-9", account=account)
    return account


def test_one_account_is_closed_alone(shop: Town) -> None:
    """Its statement stands, the others' month is open, and the provider's close repeats nothing."""
    other = second_account(shop)
    take(shop, yuan(1, 100), yuan(2, 10, voucher=other))

    assert close(shop, "2024-11", account=ACCOUNT) == [f"S-{ACCOUNT}-2024-11"]
    assert close(shop, "2024-11", account=ACCOUNT) == [f"S-{ACCOUNT}-2024-11"]
    both = [f"S-{ACCOUNT}-2024-11", f"S-{other}-2024-11"]
    assert close(shop, "2024-11") == both
    assert close(shop, "2024-11", account=other) == [both[1]]


@pytest.mark.parametrize("together", [1, 2, 32])
def test_statements_that_are_written_together(
    shop: Town, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    """However many are one transaction, each is an entry of its own, has what was charged up to the
    entry before it, and draws from its own account alone."""
    monkeypatch.setattr(settlement, "TOGETHER", together)
    other = second_account(shop)
    take(shop, yuan(1, 100), yuan(2, 10, voucher=other), yuan(3, 7, DECEMBER, voucher=other))
    close(shop, "2024-11")
    take(shop, yuan(4, 5, voucher=other))
    close(shop, "2024-12")

    table = schema.statement.c
    columns = table.account, table.month, table.fee_fen, table.deduction_fen, table.cash_fen
    with shop.begin() as conn:
        rows = conn.execute(select(*columns, table.seq - table.upto_seq).order_by(table.seq)).all()
        keys = select(schema.journal.c.key).where(schema.journal.c.code == "statement")
        said = conn.execute(keys.order_by(schema.journal.c.seq)).scalars().all()
    assert [tuple(row) for row in rows] == [
        (ACCOUNT, "2024-11", 10_000, 5_000, 5_000, 1),
        (other, "2024-11", 1_000, 0, 1_000, 1),
        (other, "2024-12", 1_200, 0, 1_200, 1),
    ]
    assert said == [f"statement:{row.account}:{row.month}" for row in rows]
    assert balance(shop, "cash", other) == "-978.00"


def test_an_account_that_was_closed_with_nothing_stays_closed(shop: Town) -> None:
    """A run that comes after its account was closed is the next month's, also for the provider."""
    assert close(shop, "2024-11", account=ACCOUNT) == []
    take(shop, yuan(1, 100))

    assert close(shop, "2024-11", account=ACCOUNT) == []
    assert close(shop, "2024-11") == []
    assert close(shop, "2024-12") == [f"S-{ACCOUNT}-2024-12"]
    assert lines(shop, "2024-12", "usage_month", "fee_fen") == [("2024-11", 10_000)]


def test_closing_an_account_of_another_provider(shop: Town) -> None:
    """An account is closed at its own provider, and one that is not there at none."""
    with pytest.raises(InvalidInput, match=f"contract {ACCOUNT} {OTHER_PROVIDER}: not in the book"):
        close(shop, "2024-11", provider=OTHER_PROVIDER, account=ACCOUNT)


@pytest.mark.parametrize("month", ["2024-Q4", "2024", "2024-11-01"])
def test_closing_something_else(shop: Town, month: str) -> None:
    """Only months are closed."""
    with pytest.raises(InvalidInput, match="not a month"):
        close(shop, month, at=AFTER["2024-12"])


def test_closing_for_nobody(shop: Town) -> None:
    """A provider that is not in the book closes nothing."""
    with pytest.raises(InvalidInput, match="provider nobody: not in the book"):
        close(shop, "2024-11", provider="nobody")


def test_each_provider_closes_its_own(shop: Town) -> None:
    """The other provider's close leaves the account's month open."""
    take(shop, yuan(1, 100))

    assert close(shop, "2024-11", provider=OTHER_PROVIDER) == []
    assert close(shop, "2024-11") == [f"S-{ACCOUNT}-2024-11"]


def test_a_receivable_stops_new_holds(shop: Town) -> None:
    """What the cash does not cover is owed, and while it is no hold is taken."""
    take(shop, yuan(1, 120_000))
    close(shop, "2024-11")
    assert statement(shop, "2024-11", "deduction_fen", "cash_fen", "receivable_fen") == (
        5_000_000,
        7_000_000,
        2_000_000,
    )
    asked = holds.Request("a" * 32, CLUSTER, ACCOUNT, towns.UID, 1, 1_000_000, 0, {})
    with pytest.raises(InsufficientBalance, match=r"20,000\.00 yuan is owed"), shop.begin() as conn:
        holds.place(conn, asked, shop.policy, towns.instant(DECEMBER))
    with shop.begin() as conn:
        towns.pay(conn, "20,001", "BANK-2")
        left = holds.place(conn, asked, shop.policy, towns.instant(DECEMBER))

    assert left.free_cash_fen == 0


def test_an_expired_voucher_lapses_after_its_last_run_is_stated(shop: Town) -> None:
    """The free part lapses after the time to settle, and not while December is open."""
    take(shop, yuan(1, 100), yuan(2, 10, DECEMBER), at=DECEMBER)
    late = "2025-06-01T09:00:00+08:00"
    close(shop, "2024-11", at=late)
    assert balance(shop, "voucher.left", VOUCHER) == "49,950.00"
    close(shop, "2024-12", at=late)

    assert balance(shop, "voucher.left", VOUCHER) == "0.00"
    assert balance(shop, "voucher.expired", VOUCHER) == "49,945.00"


def test_a_voucher_waits_for_a_run_that_outlived_it(shop: Town) -> None:
    """A run that began before the expiry and ended in January is deducted, however late."""
    late = "2025-06-01T09:00:00+08:00"
    take(shop, run(2, 20 * HOUR_S, "2025-01-01T10:00:00+08:00", partition="dear"), at=JANUARY)
    close(shop, "2024-12", at=late)
    assert balance(shop, "voucher.left", VOUCHER) == "50,000.00"
    close(shop, "2025-01", at=late)

    assert statement(shop, "2025-01", "deduction_fen") == (100_000,)
    assert balance(shop, "voucher.expired", VOUCHER) == "49,000.00"


def test_what_a_lapsed_voucher_gets_back_lapses_too(shop: Town) -> None:
    """A credit after the voucher lapsed goes back to the programme, not to the unit."""
    late = "2025-06-01T09:00:00+08:00"
    take(shop, yuan(1, 100, DECEMBER), at=DECEMBER)
    close(shop, "2024-12", at=late)
    take(shop, yuan(1, 40, DECEMBER), at=late)
    close(shop, "2025-05", at=late)

    assert statement(shop, "2025-05", "deduction_fen", "cash_fen") == (-3_000, -3_000)
    assert balance(shop, "voucher.expired", VOUCHER) == "49,980.00"
    assert balance(shop, "voucher.left", VOUCHER) == "0.00"


def test_before_the_time_to_settle_is_over(shop: Town) -> None:
    """44 days after expiry a late run of December is still deducted."""
    close(shop, "2024-12", at="2025-02-14T23:59:59+08:00")
    take(shop, yuan(1, 100, DECEMBER), at="2025-02-14T23:59:59+08:00")
    close(shop, "2025-01", at="2025-02-14T23:59:59+08:00")

    assert statement(shop, "2025-01", "deduction_fen") == (5_000,)


def test_tax_is_split_once(shop: Town) -> None:
    """Of 106.00 with 6 % in it, 100.00 are net; asked again it is the same invoice."""
    take(shop, yuan(1, 212))
    close(shop, "2024-11")
    amounts = {"gross_fen": 10_600, "net_fen": 10_000, "tax_fen": 600}

    assert invoice(shop, "2024-11") == amounts
    assert invoice(shop, "2024-11") == amounts
    assert balance(shop, "cash") == "-49,894.00"


def test_one_statement_has_one_invoice(shop: Town) -> None:
    """Neither a second number for a statement nor a second statement for a number is recorded."""
    take(shop, yuan(1, 100), yuan(2, 100, DECEMBER), at=DECEMBER)
    close(shop, "2024-11")
    close(shop, "2024-12")
    invoice(shop, "2024-11", "F-1")
    with pytest.raises(Refused, match="S-CD24-0001-2024-11 has invoice F-1 already"):
        invoice(shop, "2024-11", "F-2")
    with pytest.raises(Refused, match="S-CD24-0001-2024-11 has invoice F-1 already"):
        invoice(shop, "2024-12", "F-1")
    invoice(shop, "2024-12", "F-2")
    with pytest.raises(Refused, match="one statement has one invoice"):
        invoice(shop, "2024-12", "F-1")


def test_a_credit_has_no_invoice(shop: Town) -> None:
    """A statement whose cash part is below zero is not invoiced."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11")
    take(shop, yuan(1, 40), at=DECEMBER)
    close(shop, "2024-12")
    with pytest.raises(Refused, match=r"the unit's part is -30\.00 yuan"):
        invoice(shop, "2024-12")


def test_lines_stand_in_order(shop: Town) -> None:
    """The tenth line stands after the ninth."""
    take(shop, *(yuan(i, 1, qos=f"q{i:02d}") for i in range(1, 12)))
    close(shop, "2024-11")

    assert [qos for (qos,) in lines(shop, "2024-11", "qos")] == [f"q{i:02d}" for i in range(1, 12)]


def test_a_missing_file_is_found_by_the_close(town: Town) -> None:
    """A statement is not written from an archive that lost a segment."""
    delivery.load_prices(town)
    [path] = take(town, yuan(1, 100)).segments
    (town.archive / path).unlink()
    with pytest.raises(InvariantBroken, match="is missing; restore it"):
        close(town, "2024-11")


def test_book_and_archive_have_to_agree() -> None:
    """Charges in the book that the archive does not have are an error, not a statement."""
    cumulative, stated = {"charge": 5, "eligible": 5}, {"charge": 1, "eligible": 1}
    with pytest.raises(InvariantBroken, match="the book has 4 micro-yuan to state, the archive 0"):
        stating._check_archive(ACCOUNT, "2024-11", cumulative, stated, [])


def test_a_rehearsal_closes_at_a_date_that_is_set(tmp_path: Path, keys: Any) -> None:
    """What is uncollected keeps nothing open in a rehearsal: its clock may be set."""
    engine = ledger.connect(f"sqlite:///{tmp_path / 'book.db'}", must_exist=False)
    towns.found(engine, rehearsal=True)
    town = Town(engine, tmp_path / "archive", keys)
    towns.people(town)
    take(town, watermark=(CLUSTER, "ended", 1))

    assert close(town, "2024-11") == []
    with pytest.raises(Refused, match="close it after it has ended"):
        close(town, "2024-12", at=AFTER["2024-11"])
    engine.dispose()
