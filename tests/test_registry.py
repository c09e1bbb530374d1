"""Units, contracts, members and cash are entered once, and only what is true is entered."""

from datetime import date

import pytest
import town as towns
from town import ACCOUNT, CLUSTER, CONTRACT, OTHER_PROVIDER, POLICY, PROVIDER, UID, UNIT, stamp

from accounting import money, policy
from accounting.book import ledger
from accounting.book.ledger import Entry, Posting
from accounting.errors import InvalidInput, NotAllowed
from accounting.vouchers import registry

GB_32100_EXAMPLE = "91350100M000100Y43"


def day(text):
    """Return the instant at which a day begins in Chengdu."""
    return towns.instant(f"{text}T00:00:00+08:00")


# --- units -----------------------------------------------------------------------------------


def test_a_unit_is_registered_once(people):
    """The same unit again is nothing; with another name it is refused."""
    with people.begin() as conn:
        before = ledger.head(conn)
        towns.add_unit(conn)
        assert ledger.head(conn) == before
    with (
        pytest.raises(NotAllowed, match="unit:sichuan-vision: stands already"),
        people.begin() as conn,
    ):
        towns.add_unit(conn, name="other")


def test_a_code_belongs_to_one_unit(people):
    """A second unit with the same code is refused, and told which unit has it."""
    with people.begin() as conn:
        code = registry.find(conn, "unit", id=UNIT).credit_code
    with (
        pytest.raises(InvalidInput, match=f"unit twin: {UNIT} is registered with"),
        people.begin() as conn,
    ):
        towns.add_unit(conn, "twin", credit_code=code)


def test_an_unknown_kind_of_unit_is_refused(people):
    """A kind that the rules do not know is refused with those that they know."""
    with (
        pytest.raises(
            InvalidInput, match="kind 'company' is unknown; use enterprise, research_institute"
        ),
        people.begin() as conn,
    ):
        towns.add_unit(conn, "odd", kind="company")


def test_revenues_are_added_year_by_year(people):
    """A later year's revenue is registered beside the first; another figure for it is refused."""
    with people.begin() as conn:
        for _ in range(2):
            registry.add_revenue(conn, UNIT, 2024, 900, stamp())
        assert registry.revenue_of(conn, UNIT, 2023) == money.fen("20,000,000")
        assert registry.revenue_of(conn, UNIT, 2024) == 900
        assert registry.revenue_of(conn, UNIT, 2022) is None
    with (
        pytest.raises(NotAllowed, match=r"revenue of 2024 stands as 9\.00 yuan, not 9\.01"),
        people.begin() as conn,
    ):
        registry.add_revenue(conn, UNIT, 2024, 901, stamp())
    with (
        pytest.raises(InvalidInput, match=r"revenue of 2025 is -0\.01 yuan"),
        people.begin() as conn,
    ):
        registry.add_revenue(conn, UNIT, 2025, -1, stamp())


def test_a_revenue_of_nothing_is_not_unknown(people):
    """A revenue of 0 is known; one that was never given is not."""
    with people.begin() as conn:
        towns.add_unit(conn, "new", revenue_fen=0)
        towns.add_unit(conn, "silent", revenue_fen=None, revenue_year=None)
        assert registry.revenue_of(conn, "new", 2023) == 0
        assert registry.revenue_of(conn, "silent", 2023) is None


# --- contracts -------------------------------------------------------------------------------


def test_a_contract_is_one_account(people):
    """Contracts get accounts in the order in which they come; the same one keeps its account."""
    with people.begin() as conn:
        assert towns.add_contract(conn) == ACCOUNT
        assert towns.add_contract(conn, "second", provider=OTHER_PROVIDER) == "CD24-0002"
        assert towns.add_contract(conn) == ACCOUNT
        assert [row["id"] for row in registry.contracts(conn, unit=UNIT)] == [CONTRACT, "second"]


def test_accounts_are_counted_by_year(people):
    """The first contract of a year is number one of that year, whatever prefix others have."""
    later = stamp("2025-01-01T00:00:00+08:00")
    other = policy.load(
        policy.builtin("chengdu-2023").replace("account_prefix: CD", "account_prefix: C"), "p"
    )
    with people.begin() as conn:
        towns.add_contract(conn)
        assert towns.add_contract(conn, "b", last_day=date(2025, 9, 1), stamp=later) == "CD25-0001"
        assert towns.add_contract(conn, "c", policy=other) == "C24-0001"


def test_a_contract_runs_to_the_end_of_its_last_day(people):
    """Its validity is half-open, from the day it is signed to 24:00 of its last day."""
    with people.begin() as conn:
        towns.add_contract(conn)
        row = registry.find(conn, "contract", id=CONTRACT)
    assert (row.from_s, row.until_s) == (day("2024-06-01"), day("2025-01-01"))


def test_a_contract_is_not_changed_by_repeating_it(people):
    """The same contract with another fee is refused."""
    with people.begin() as conn:
        towns.add_contract(conn)
    with (
        pytest.raises(
            NotAllowed, match=f"contract {CONTRACT}: stands in the book with other facts"
        ),
        people.begin() as conn,
    ):
        towns.add_contract(conn, fee_fen=1)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"unit": "nobody"}, "unit nobody: not in the book; check the name or register it first"),
        ({"provider": "aws"}, "provider aws: not in the book"),
        ({"last_day": date(2024, 5, 31)}, "ends 2024-05-31, signed 2024-06-01; check the dates"),
        ({"signed_on": date(2024, 7, 2)}, "signed 2024-07-02, today is 2024-07-01"),
        ({"fee_fen": 0}, "fee 0.00 yuan is not above zero"),
        ({"fee_fen": -1}, "fee -0.01 yuan is not above zero"),
    ],
)
def test_a_wrong_contract_is_refused(people, facts, message):
    """A contract of unknown parties, impossible dates or no fee is refused."""
    with pytest.raises(InvalidInput) as caught, people.begin() as conn:
        towns.add_contract(conn, **facts)
    assert message in str(caught.value)


# --- members ---------------------------------------------------------------------------------


def join(conn, unit, from_day, until_day=None, uid=7):
    """Let a user compute for a unit."""
    until_s = None if until_day is None else day(until_day)
    registry.add_member(
        conn, unit, cluster=CLUSTER, uid=uid, from_s=day(from_day), until_s=until_s, stamp=stamp()
    )


def test_a_membership_is_half_open(people):
    """A user computes for a unit from the first instant up to, and not with, the last."""
    with people.begin() as conn:
        join(conn, UNIT, "2024-01-01", "2024-02-01")
        for at_s, unit in (
            (day("2024-01-01") - 1, None),
            (day("2024-01-01"), UNIT),
            (day("2024-02-01") - 1, UNIT),
            (day("2024-02-01"), None),
        ):
            assert registry.unit_of(conn, CLUSTER, 7, at_s) == unit
        assert registry.unit_of(conn, "other", 7, day("2024-01-15")) is None


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2024-01-01", None),
        ("2024-01-01", "2024-03-02"),
        ("2024-03-31", "2024-12-01"),
        ("2024-03-10", "2024-03-11"),
    ],
)
def test_nobody_belongs_to_two_units(people, begin, end):
    """A membership that overlaps one of another unit, before, within or after, is refused."""
    with people.begin() as conn:
        towns.add_unit(conn, "rival")
        join(conn, UNIT, "2024-03-01", "2024-04-01")
    with (
        pytest.raises(NotAllowed, match=f"member 7@chengdu: belongs to unit {UNIT} in that time"),
        people.begin() as conn,
    ):
        join(conn, "rival", begin, end)


def test_memberships_may_follow_each_other(people):
    """A user may change units at an instant, in either order of entering."""
    with people.begin() as conn:
        towns.add_unit(conn, "rival")
        join(conn, UNIT, "2024-03-01", "2024-04-01")
        join(conn, "rival", "2024-04-01")
        join(conn, "rival", "2024-02-01", "2024-03-01")
        days = ("2024-02-15", "2024-03-15", "2024-04-15")
        units = [registry.unit_of(conn, CLUSTER, 7, day(each)) for each in days]
        known = [registry.units_of(conn, CLUSTER, [7, 8], day(each))[7] for each in days]
        early = registry.units_of(conn, CLUSTER, [7, 8], day("2024-01-15"))
    assert units == ["rival", UNIT, "rival"]
    assert known == [("rival", day("2024-03-01")), (UNIT, day("2024-04-01")), ("rival", None)]
    assert early == {7: (None, day("2024-02-01")), 8: (None, None)}


def test_joining_again_changes_nothing(people):
    """Who is a member of the unit all that time is not entered again."""
    with people.begin() as conn:
        join(conn, UNIT, "2024-03-01")
        before = ledger.head(conn)
        join(conn, UNIT, "2024-03-01")
        join(conn, UNIT, "2024-05-01")
        join(conn, UNIT, "2024-05-01", "2024-06-01")
        assert ledger.head(conn) == before


def test_a_membership_is_ended_once(people):
    """After its end the user computes for nobody and may join another unit; it is not moved."""
    with people.begin() as conn:
        towns.add_unit(conn, "rival")
        join(conn, UNIT, "2024-03-01")
        for _ in range(2):
            leave(conn, UNIT, "2024-04-01")
        assert registry.unit_of(conn, CLUSTER, 7, day("2024-04-01") - 1) == UNIT
        assert registry.unit_of(conn, CLUSTER, 7, day("2024-04-01")) is None
        join(conn, "rival", "2024-04-01")
    with pytest.raises(NotAllowed, match="with other content"), people.begin() as conn:
        leave(conn, UNIT, "2024-05-01")


def leave(conn, unit, until_day):
    """End a user's membership."""
    registry.end_member(conn, unit, cluster=CLUSTER, uid=7, until_s=day(until_day), stamp=stamp())


@pytest.mark.parametrize("until_day", ["2024-02-28", "2024-04-01", "2024-05-01"])
def test_only_a_membership_that_runs_is_ended(people, until_day):
    """A membership is ended neither before it begins nor after its own end."""
    with people.begin() as conn:
        join(conn, UNIT, "2024-03-01", "2024-04-01")
    with (
        pytest.raises(InvalidInput, match=f"member 7@chengdu: is not in unit {UNIT} then"),
        people.begin() as conn,
    ):
        leave(conn, UNIT, until_day)


def test_a_membership_has_a_duration(people):
    """A membership that ends when it begins is refused."""
    with pytest.raises(InvalidInput, match="ends before it begins"), people.begin() as conn:
        join(conn, UNIT, "2024-03-01", "2024-03-01")


# --- cash ------------------------------------------------------------------------------------


def test_cash_is_counted_once(town):
    """The same bank number is the same payment; with another amount it is refused."""
    with town.begin() as conn:
        before = ledger.head(conn)
        towns.pay(conn, "50,000", "BANK-1")
        assert ledger.head(conn) == before
        assert ledger.balance(conn, "cash", ACCOUNT) == -50_000_000_000
        assert ledger.balance(conn, "bank", PROVIDER) == 50_000_000_000
    with (
        pytest.raises(NotAllowed, match="payment BANK-1: stands in the book with other facts"),
        town.begin() as conn,
    ):
        towns.pay(conn, "50,000.01", "BANK-1")


@pytest.mark.parametrize(
    ("amount", "owed", "cash"),
    [("30", "20", "0"), ("50", "0", "0"), ("80", "0", "30"), ("0.01", "49.99", "0")],
)
def test_cash_pays_what_is_owed_first(town, amount, owed, cash):
    """Of 50 yuan owed, a payment settles what it can, and only the rest is free."""
    debt = [Posting("receivable", ACCOUNT, 50_000_000), Posting("revenue", PROVIDER, -50_000_000)]
    with town.begin() as conn:
        ledger.write(conn, Entry("debt", "test", stamp(), {}, debt))
        before = ledger.balance(conn, "cash", ACCOUNT)
        towns.pay(conn, amount, "BANK-2")
        assert registry.owed_micro(conn, ACCOUNT) == money.micro(owed)
        assert before - ledger.balance(conn, "cash", ACCOUNT) == money.micro(cash)


def test_a_repeated_payment_is_found_after_the_debt_is_paid(town):
    """A payment that settled a debt is still the same payment when it is repeated."""
    debt = [Posting("receivable", ACCOUNT, 10_000), Posting("revenue", PROVIDER, -10_000)]
    with town.begin() as conn:
        ledger.write(conn, Entry("debt", "test", stamp(), {}, debt))
        towns.pay(conn, "1", "BANK-2")
        before = ledger.head(conn)
        towns.pay(conn, "1", "BANK-2")
        assert ledger.head(conn) == before


@pytest.mark.parametrize(
    ("amount_fen", "account", "message"),
    [
        (0, ACCOUNT, "payment B: 0.00 yuan is not above zero"),
        (-1, ACCOUNT, "payment B: -0.01 yuan is not above zero"),
        (1, "CD24-0009", "contract CD24-0009: not in the book"),
    ],
)
def test_a_wrong_payment_is_refused(town, amount_fen, account, message):
    """A payment of nothing, or to an unknown account, is refused."""
    with pytest.raises(InvalidInput) as caught, town.begin() as conn:
        registry.pay_in(
            conn,
            account,
            amount_fen=amount_fen,
            reference="B",
            paid_on=date(2024, 7, 1),
            stamp=stamp(),
        )
    assert message in str(caught.value)


def test_the_towns_user_is_a_member(town):
    """The user of the other tests computes for the unit."""
    with town.begin() as conn:
        assert registry.unit_of(conn, CLUSTER, UID, towns.instant(towns.NOW)) == UNIT
        assert POLICY.account_prefix == "CD"
