"""A contract's fee goes up: the difference is applied for; down: what is unused comes off."""

from datetime import date

import delivery
import pytest
import town as towns
from delivery import DECEMBER, balance, close, take, yuan
from msgspec.structs import replace
from town import ACCOUNT, CONTRACT, PROVIDER, UNIT, VOUCHER, stamp

from accounting import money
from accounting.book import ledger
from accounting.book.ledger import Entry
from accounting.errors import InvalidInput, NotAllowed, NotEligible
from accounting.policy import Cap
from accounting.vouchers import amending, debts, ending, entitling, registry, waiting

SECOND = f"A-{ACCOUNT}-2"


@pytest.fixture
def shop(town):
    """The town with round prices."""
    delivery.load_prices(town)
    return town


def amend(town, fee, paper="a" * 64, day=date(2024, 7, 1), until=None, at=towns.NOW):
    """Amend the town's contract."""
    paper = delivery.hand_in(town, paper)
    with town.begin() as conn:
        return amending.amend(
            conn, CONTRACT, fee_fen=money.fen(fee), effective_on=day, last_day=until,
            paper_sha256=paper, policy=town.policy, stamp=stamp(at),
        )  # fmt: skip


def apply(town, paper="b" * 64, **changes):
    """Apply for what the amendment added."""
    with town.begin() as conn:
        return towns.add_application(conn, paper_sha256=paper, category=None, **changes)


def vouchers(town):
    """Return amounts of the account's vouchers, yuan."""
    with town.begin() as conn:
        rows = conn.execute(amending.select(amending.schema.voucher).order_by("seq"))
        return {row.id: money.yuan(row.amount_fen) for row in rows}


def head(town):
    """Return the journal's head."""
    with town.begin() as conn:
        return ledger.head(conn)


# --- up --------------------------------------------------------------------------------------


def test_what_is_more_is_applied_for(town):
    """From 100,000 to 130,000 there is another voucher over 15,000, in the same category."""
    assert amend(town, "130,000") == (0, 0, [])
    assert apply(town) == apply(town) == SECOND
    assert towns.confirm(town, SECOND) == f"{ACCOUNT}-2"
    assert vouchers(town) == {VOUCHER: "50,000.00", f"{ACCOUNT}-2": "15,000.00"}
    with town.begin() as conn:
        assert registry.terms(conn, CONTRACT).fee_fen == money.fen("130,000")
        assert registry.find(conn, "application", id=SECOND).category == "general"
    assert delivery.findings(town) == []


def test_the_floor_is_the_differences(town):
    """19,999.98 more would give 9,999.99, which is below the floor; 20,000.00 more are enough."""
    amend(town, "119,999.98")
    apply(town)
    with pytest.raises(NotEligible, match=r"gives a voucher of 9,999\.99 yuan"):
        towns.confirm(town, SECOND)
    refuse(town, SECOND)
    amend(town, "139,999.98", "c" * 64)
    third = apply(town, "d" * 64)
    towns.confirm(town, third)
    assert vouchers(town) == {VOUCHER: "50,000.00", f"{ACCOUNT}-2": "10,000.00"}


def refuse(town, application):
    """Let the regulator refuse an application."""
    with town.begin() as conn:
        draft = towns.issuing.draft_review(
            conn, application, "refuse", "too small", town.policy, towns.instant(towns.NOW)
        )
    act = town.signed(draft)
    with town.begin() as conn:
        towns.issuing.accept_review(conn, act, town.policy, stamp())


def test_the_units_limit_counts_both(town):
    """A contract that grows to 3,000,000 gets what the unit has left of 1,000,000, trimmed."""
    amend(town, "3,000,000")
    towns.confirm(town, apply(town))
    assert vouchers(town)[f"{ACCOUNT}-2"] == "950,000.00"


def test_an_amendment_counts_by_its_own_day(town):
    """What is agreed in the next year is applied for in the next year."""
    at = "2025-02-03T10:00:00+08:00"
    with town.begin() as conn:
        registry.add_revenue(conn, UNIT, 2024, money.fen("20,000,000"), stamp())
    amend(town, "160,000", day=date(2025, 2, 1), until=date(2025, 12, 31), at=at)
    towns.confirm(town, apply(town, stamp=stamp(at)), at=at)
    assert vouchers(town)[f"{ACCOUNT}-2"] == "30,000.00"


@pytest.mark.parametrize("fees", [["60,000"], ["60,000", "80,000", "70,000"]])
def test_there_is_nothing_to_apply_for_without_more(town, fees):
    """After a way down, or up and down again before anybody applied, only what is above what was
    applied for counts."""
    for i, fee in enumerate(fees):
        amend(town, fee, f"{i}" * 64)
    if len(fees) == 1:
        with pytest.raises(NotEligible, match=r"its fee is 60,000\.00 yuan by now; there is no m"):
            apply(town)
        return
    apply(town)
    with pytest.raises(NotEligible, match=r"gives a voucher of 5,000\.00 yuan"):
        towns.confirm(town, SECOND)


def test_another_category_is_refused(town):
    """What an amendment added has the contract's category."""
    amend(town, "130,000")
    with (
        pytest.raises(NotAllowed, match="is for general, not joint_national; one contract has one"),
        town.begin() as conn,
    ):
        towns.add_application(conn, category="joint_national", paper_sha256="b" * 64)


def test_another_project_is_refused(town):
    """What an amendment added is for the contract's project, or for none as the contract is."""
    amend(town, "130,000")
    with (
        pytest.raises(NotAllowed, match="is for no project, not P-9; one contract has one project"),
        town.begin() as conn,
    ):
        towns.add_application(conn, project="P-9", category=None, paper_sha256="b" * 64)


def test_both_vouchers_are_drawn_one_after_the_other(shop):
    """With both vouchers together half of 120,000 is borne, and the audit agrees."""
    amend(shop, "130,000")
    towns.confirm(shop, apply(shop))
    take(shop, yuan(1, 120_000))
    close(shop, "2024-11")
    assert balance(shop, "voucher.left", VOUCHER) == "0.00"
    assert balance(shop, "voucher.left", f"{ACCOUNT}-2") == "5,000.00"
    assert delivery.findings(shop) == []


# --- down ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "fee", "cancelled", "owed"),
    [
        (20_000, "60,000", "20,000.00", "0.00"),
        (70_000, "60,000", "15,000.00", "5,000.00"),
        (20_000, "19,999.98", "40,000.00", "10,000.00"),
        (0, "20,000", "40,000.00", "0.00"),
        (0, "0.01", "50,000.00", "0.00"),
    ],
)
def test_what_is_less_comes_off(shop, used, fee, cancelled, owed):
    """What is above the new worth is cancelled as far as it is left, and owed as far as it was
    used; below the floor a contract is worth nothing."""
    if used:
        take(shop, yuan(1, used))
        close(shop, "2024-11")
    done = amend(shop, fee, at=DECEMBER)
    assert [money.yuan(fen) for fen in done[:2]] == [cancelled, owed]
    assert balance(shop, "clawback.due", UNIT) == owed
    assert balance(shop, "voucher.cancelled", VOUCHER) == cancelled
    assert delivery.findings(shop) == []
    before = head(shop)
    assert amend(shop, fee, at=DECEMBER) == (0, 0, ())
    assert head(shop) == before


def test_what_is_owed_already_is_not_asked_for_again(shop):
    """With 35,000.00 used of a voucher that goes down to 30,000.00 and to 20,000.00, 5,000.00 are
    owed and then 10,000.00 more; up and down again asks for nothing; paid or not."""
    take(shop, yuan(1, 70_000))
    close(shop, "2024-11")
    owed = []
    for fee, paper in (("60,000", "a"), ("40,000", "b"), ("50,000", "c"), ("40,000", "d")):
        owed.append(money.yuan(amend(shop, fee, paper * 64, at=DECEMBER).owed_fen))
        if paper == "a":
            with shop.begin() as conn:
                debts.pay(
                    conn, f"D-{VOUCHER}-1", amount_fen=100, reference="CZ-1",
                    paid_on=date(2024, 12, 2), programme=towns.POLICY.name,
                    stamp=stamp(DECEMBER),
                )  # fmt: skip
    assert owed == ["5,000.00", "10,000.00", "0.00", "0.00"]
    assert balance(shop, "clawback.due", UNIT) == "14,999.00"
    assert delivery.findings(shop) == []


def test_more_asked_back_than_was_borne_is_found(shop):
    """A debt of which the vouchers bore nothing is found by the audit, and by that rule alone."""
    take(shop, yuan(1, 70_000))
    close(shop, "2024-11")
    for fen in (35_000_00, 15_000_00, 1):
        with shop.begin() as conn:
            row, postings = debts.owe(conn, VOUCHER, "amended", fen, "less", towns.POLICY.name)
            rows = {"debt": [row]}
            entry = Entry(f"forged:{fen}", "contract.amend", stamp(DECEMBER), rows, postings)
            ledger.write(conn, entry)
        found = [(each.rule, each.subject) for each in delivery.findings(shop)]
        assert found == ([("debts", f"account {ACCOUNT}")] if fen == 1 else [])


def test_what_is_accrued_counts_as_used(shop):
    """Half of 70,000 that ran and is on no statement yet is not cancelled: 5,000 are owed."""
    take(shop, yuan(1, 70_000))
    assert [money.yuan(fen) for fen in amend(shop, "60,000", at=DECEMBER)[:2]] == [
        "15,000.00",
        "5,000.00",
    ]
    close(shop, "2024-11")
    assert balance(shop, "voucher.deducted", VOUCHER) == "35,000.00"
    assert delivery.findings(shop) == []


def test_a_trimmed_voucher_keeps_what_its_limit_gives(people):
    """A contract of 5,000,000 that goes down to 3,000,000 is still worth the 1,000,000 it got."""
    with people.begin() as conn:
        towns.add_contract(conn, fee_fen=money.fen("5,000,000"))
        application = towns.add_application(conn)
    towns.confirm(people, application)
    assert amend(people, "3,000,000")[:2] == (0, 0)
    assert amend(people, "1,500,000", "c" * 64)[:2] == (money.fen("250,000"), 0)


def test_down_and_up_again(town):
    """From 100,000 to 60,000 and to 90,000: 20,000 are cancelled, 15,000 are issued anew."""
    amend(town, "60,000")
    amend(town, "90,000", "c" * 64)
    towns.confirm(town, apply(town))
    assert vouchers(town) == {VOUCHER: "50,000.00", f"{ACCOUNT}-2": "15,000.00"}
    assert balance(town, "voucher.left", VOUCHER) == "30,000.00"
    assert delivery.findings(town) == []


def test_what_is_freed_goes_to_who_waits(town):
    """What an amendment cancels is issued to the next in the same transaction."""
    cap = Cap(scope="programme", max_fen=money.fen("60,000"), categories=("general",))
    rules = replace(town.policy, issue=replace(town.policy.issue, caps=(cap,)))
    with town.begin() as conn:
        towns.add_contract(conn, "next", fee_fen=money.fen("60,000"), policy=rules)
        application = towns.add_application(conn, "next", policy=rules)
    assert towns.confirm(town, application, rules=rules) is None
    with town.begin() as conn:
        done = amending.amend(
            conn, CONTRACT, fee_fen=money.fen("60,000"), effective_on=date(2024, 7, 1),
            last_day=None, paper_sha256=delivery.hand_in(town, "less"), policy=rules, stamp=stamp(),
        )  # fmt: skip
        assert waiting.listed(conn, rules, towns.instant(towns.NOW)) == []
    assert [money.yuan(done.cancelled_fen), list(done.issued)] == ["20,000.00", ["CD24-0002-1"]]
    assert delivery.findings(town) == []


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fee": "0"}, r"fee 0\.00 yuan is not above zero; end it"),
        ({"day": date(2024, 7, 2)}, "amended on 2024-07-02, 2024-06-01 to 2024-07-01 is possible"),
        ({"day": date(2024, 5, 31)}, "amended on 2024-05-31"),
        ({"until": date(2024, 11, 30)}, "runs to 2024-12-31; to stop before that, end it"),
        ({"fee": "100,000"}, "nothing changes"),
    ],
)
def test_what_cannot_be_is_refused(town, changes, message):
    """Fees and days that cannot be are refused, and nothing is written."""
    before = head(town)
    with pytest.raises(InvalidInput, match=message):
        amend(town, **{"fee": "130,000"} | changes)
    assert head(town) == before


def test_an_undecided_application_comes_first(town):
    """A contract is not amended while the regulator has an application of it."""
    amend(town, "130,000")
    apply(town)
    with pytest.raises(NotAllowed, match=f"{SECOND} is not decided; have it decided first"):
        amend(town, "140,000", "c" * 64)


def test_an_amendment_has_a_paper_of_its_own(town):
    """The same paper with another fee is refused."""
    amend(town, "130,000")
    with pytest.raises(NotAllowed, match="stands in the book with other facts"):
        amend(town, "140,000")


def test_an_ended_contract_is_over(town):
    """After its end a contract is neither amended nor applied for, but may be ended after an
    amendment."""
    amend(town, "130,000")
    with town.begin() as conn:
        ending.end_contract(conn, CONTRACT, date(2024, 8, 31), "e" * 64, town.policy, stamp())
    with pytest.raises(NotAllowed, match="was ended; sign a new one"):
        amend(town, "140,000", "c" * 64)
    with pytest.raises(NotEligible, match="it was ended; there is no more than"):
        apply(town)


def test_who_waits_on_an_ended_contract_gets_nothing(town):
    """A contract that ends while it waits is not served when money is freed."""
    cap = Cap(scope="programme", max_fen=money.fen("50,000"), categories=("general",))
    rules = replace(town.policy, issue=replace(town.policy.issue, caps=(cap,)))
    with town.begin() as conn:
        towns.add_contract(conn, "next", fee_fen=money.fen("60,000"), policy=rules)
        application = towns.add_application(conn, "next", policy=rules)
    towns.confirm(town, application, rules=rules)
    with town.begin() as conn:
        ending.end_contract(conn, "next", date(2024, 8, 31), "e" * 64, rules, stamp())
        _, issued = ending.end_contract(conn, CONTRACT, date(2024, 8, 31), "f" * 64, rules, stamp())
        assert issued == []
        with pytest.raises(NotEligible, match="a voucher needs one that still runs"):
            entitling.entitled(conn, application, rules, towns.instant(towns.NOW))


def test_the_other_accounts_are_left_alone(town):
    """An amendment of one contract cancels nothing of the unit's other ones."""
    with town.begin() as conn:
        towns.add_contract(conn, "other", provider=PROVIDER)
        application = towns.add_application(conn, "other")
    other = towns.confirm(town, application)
    amend(town, "20,000")
    assert balance(town, "voucher.left", other) == "50,000.00"
