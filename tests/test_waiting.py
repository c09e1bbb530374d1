"""Who waits gets what is freed, in order; nobody gets more than the limits, however many ask."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
import town as towns
from msgspec.structs import replace
from sqlalchemy import func, select
from town import NOW, POLICY, UNIT, instant, stamp

from accounting import money
from accounting.book import schema, signing
from accounting.errors import InvalidInput, NotAllowed, NotEligible, VoucherError
from accounting.forms import programme
from accounting.policy import Cap
from accounting.redeem import acts
from accounting.vouchers import ending, freezing, issuing, registry, spending, waiting
from slurm_voucher.charts import reports

PAPER = "e" * 64


def limited(yuan):
    """Give Chengdu's rules another limit of the programme."""
    cap = Cap(scope="programme", max_fen=money.fen(yuan), categories=("general",))
    return replace(POLICY, issue=replace(POLICY.issue, caps=(cap,)))


def asks(town, name, fee, rules, **facts):
    """Let a contract's unit apply and the regulator confirm; return application and voucher."""
    with town.begin() as conn:
        towns.add_contract(conn, name, fee_fen=money.fen(fee), policy=rules)
        application = towns.add_application(conn, name, policy=rules, **facts)
    return application, towns.confirm(town, application, rules=rules)


def amount(town, voucher):
    """Return what a voucher was issued over, and whether it was trimmed."""
    with town.begin() as conn:
        row = registry.find(conn, "voucher", id=voucher)
    return money.yuan(row.amount_fen), bool(row.trimmed)


def who_waits(town, rules, at=NOW):
    """List who waits: application, wanted, lapsed."""
    with town.begin() as conn:
        rows = waiting.listed(conn, rules, instant(at))
    return [(row["application"], money.yuan(row["wanted_fen"]), row["lapsed"]) for row in rows]


def test_who_takes_less_is_trimmed(people):
    """The last one gets what is left if its unit said that less will do, and is marked trimmed."""
    rules = limited("30,000")
    asks(people, "first", "40,000", rules)
    _, voucher = asks(people, "second", "30,000", rules, consent=True)
    assert amount(people, voucher) == ("10,000.00", True)
    assert who_waits(people, rules) == []


def test_who_does_not_waits_until_it_consents(people):
    """A unit that consents while it waits gets what is left at once."""
    rules = limited("30,000")
    asks(people, "first", "40,000", rules)
    application, voucher = asks(people, "second", "30,000", rules)
    assert (voucher, who_waits(people, rules)) == (None, [(application, "15,000.00", False)])
    with people.begin() as conn:
        waiting.take_less(conn, application, stamp())
        [voucher] = waiting.serve(conn, rules, stamp())
        waiting.take_less(conn, application, stamp())
    assert amount(people, voucher) == ("10,000.00", True)
    assert who_waits(people, rules) == []


def test_what_waits_stands_above_its_limit(people):
    """A programme's chart has beside what is issued and left what a limit has no room for."""
    rules, year = limited("30,000"), int(NOW[:4])
    asks(people, "first", "40,000", rules)
    asks(people, "second", "30,000", rules)
    with people.begin() as conn:
        found = [programme.waiting_fen(conn, of, rules) for of in (year, year + 1)]
        table = programme.limits(conn, year, rules)
    drawn = [reports.limits(table, waits, year).series for waits in found]

    assert found == [[1_500_000], [0]]
    assert [[(each.name, *map(str, each.values)) for each in series] for series in drawn] == [
        [
            ("issued", "20000.00"),
            ("left of the limit", "10000.00"),
            ("confirmed, waits for money", "15000.00"),
        ],
        [("issued", "20000.00"), ("left of the limit", "10000.00")],
    ]


def test_what_is_freed_goes_to_those_who_wait_in_their_order(people):
    """Of 20,000 freed the first gets its 15,000, the second waits on, the third gets its 5,000."""
    rules = replace(limited("20,000"), issue=replace(limited("20,000").issue, min_fen=0))
    with people.begin() as conn:
        ended = towns.add_contract(conn, "ended", fee_fen=money.fen("40,000"), policy=rules)
        application = towns.add_application(conn, "ended", policy=rules)
    towns.confirm(people, application, rules=rules)
    names = [
        asks(people, f"w-{i}", fee, rules) for i, fee in enumerate(("30,000", "16,000", "10,000"))
    ]
    assert [voucher for _, voucher in names] == [None, None, None]
    with people.begin() as conn:
        cancelled_fen, issued = ending.end_contract(
            conn, "ended", date(2024, 7, 31), PAPER, rules, stamp()
        )
    assert money.yuan(cancelled_fen) == "20,000.00"
    assert [amount(people, voucher) for voucher in issued] == [
        ("15,000.00", False),
        ("5,000.00", False),
    ]
    assert who_waits(people, rules) == [(names[1][0], "8,000.00", False)]
    with people.begin() as conn:
        again = ending.end_contract(conn, "ended", date(2024, 7, 31), PAPER, rules, stamp())
        with pytest.raises(NotAllowed, match="its contract was ended"):
            spending.may_spend(
                conn, ended, cluster=towns.CLUSTER, uid=towns.UID, provider=towns.PROVIDER,
                at_s=instant("2024-08-01T00:00:00+08:00"),
            )  # fmt: skip
    assert again == (0, [])


def test_who_waits_gets_what_was_confirmed_and_no_more(people):
    """Of 20,000 the unit's limit left 5,000, and for these there was no money: when another
    contract of the unit ends the rules give 12,000, and 5,000 are issued."""
    caps = (
        Cap(scope="unit", max_fen=money.fen("15,000"), categories=("general",)),
        Cap(scope="programme", max_fen=money.fen("12,000"), categories=("general",)),
    )
    rules = replace(POLICY, issue=replace(POLICY.issue, caps=caps, min_fen=0))
    asks(people, "first", "20,000", rules)
    application, _ = asks(people, "second", "40,000", rules)
    assert who_waits(people, rules) == [(application, "5,000.00", False)]
    with people.begin() as conn:
        _, [voucher] = ending.end_contract(conn, "first", date(2024, 7, 31), PAPER, rules, stamp())
    assert amount(people, voucher) == ("5,000.00", True)
    assert who_waits(people, rules) == []


def test_frozen_units_wait_on(people):
    """A unit that is frozen gets nothing, neither by an act nor from what is freed."""
    rules = limited("10,000")
    asks(people, "first", "20,000", rules)
    application, _ = asks(people, "second", "20,000", rules)
    with people.begin() as conn:
        towns.add_contract(conn, "third", fee_fen=money.fen("20,000"), policy=rules)
        third = towns.add_application(conn, "third", policy=rules)
        drafted = freezing.draft_freeze(conn, UNIT, date(2024, 7, 1), "blacklisted")
    act = people.signed(drafted)
    with people.begin() as conn:
        freezing.accept_freeze(conn, act, rules, stamp())
        _, issued = ending.end_contract(conn, "first", date(2024, 7, 31), PAPER, rules, stamp())
    assert issued == []
    assert who_waits(people, rules) == [(application, "10,000.00", False)]
    with pytest.raises(NotEligible, match=f"unit {UNIT} is frozen on 2024-07-01"):
        towns.confirm(people, third, rules=rules)


def test_who_was_frozen_is_served_when_it_is_free_again(people):
    """Money that was freed while a unit was frozen is issued with the end of the freeze."""
    rules = limited("10,000")
    asks(people, "first", "20,000", rules)
    asks(people, "second", "20,000", rules)
    with people.begin() as conn:
        drafted = freezing.draft_freeze(conn, UNIT, date(2024, 7, 1), "blacklisted")
    place = acts.Place(rules, people.archive, stamp())
    acts.accept(people.engine, signing.sign(drafted, people.keys["regulator"]), place)
    with people.begin() as conn:
        ending.end_contract(conn, "first", date(2024, 7, 31), PAPER, rules, stamp())
        drafted = freezing.draft_unfreeze(conn, UNIT, date(2024, 7, 5), "taken off", rules)
    place = acts.Place(rules, people.archive, stamp("2024-07-06T09:00:00+08:00"))
    _, said = acts.accept(people.engine, signing.sign(drafted, people.keys["regulator"]), place)
    assert said == "free after 2024-07-05, issued to those who waited: CD24-0002-1"
    assert who_waits(people, rules) == []


def test_a_contract_ends_once_and_within_its_time(people):
    """A contract ends on a day before its last one, and not again on another."""
    with people.begin() as conn:
        towns.add_contract(conn, "ended")
        for day in (date(2024, 5, 30), date(2024, 12, 31)):
            with pytest.raises(InvalidInput, match="runs 2024-06-01 to 2024-12-31; end it on an e"):
                ending.end_contract(conn, "ended", day, PAPER, POLICY, stamp())
        ending.end_contract(conn, "ended", date(2024, 7, 31), PAPER, POLICY, stamp())
        with pytest.raises(NotAllowed, match="ended after 2024-07-31 already"):
            ending.end_contract(conn, "ended", date(2024, 8, 1), PAPER, POLICY, stamp())


def test_with_the_year_ends_the_waiting(people):
    """A contract of one year never takes the limit of the next."""
    rules = limited("10,000")
    asks(people, "first", "20,000", rules)
    application, _ = asks(people, "second", "20,000", rules)
    new_year = "2025-01-01T00:00:00+08:00"
    with people.begin() as conn:
        assert waiting.serve(conn, rules, stamp(new_year)) == []
    assert who_waits(people, rules, new_year) == [(application, "10,000.00", True)]


def test_what_lapsed_is_not_issued_where_old_contracts_count(people):
    """Also by rules that take contracts of other years nobody waits beyond the year."""
    rules = limited("10,000")
    rules = replace(rules, contract=replace(rules.contract, signed_in_year=False))
    asks(people, "first", "20,000", rules)
    asks(people, "second", "20,000", rules)
    with people.begin() as conn:
        assert waiting.serve(conn, rules, stamp("2025-01-01T00:00:00+08:00")) == []


def test_who_waits_is_decided_once(people):
    """The same act again changes nothing; another confirmation is refused, a refusal is not."""
    rules = limited("10,000")
    asks(people, "first", "20,000", rules)
    with people.begin() as conn:
        towns.add_contract(conn, "second", fee_fen=money.fen("20,000"), policy=rules)
        application = towns.add_application(conn, "second", policy=rules)
        draft = issuing.draft_review(conn, application, "confirm", "", rules, instant(NOW))
        other = issuing.draft_review(conn, application, "confirm", "again", rules, instant(NOW))
        refusal = issuing.draft_review(conn, application, "refuse", "no", rules, instant(NOW))
    assert (draft["body"]["waits"], draft["body"]["voucher_fen"]) == (True, 1_000_000)
    for act, error in ((draft, None), (draft, None), (other, NotAllowed), (refusal, None)):
        signed = people.signed(act)
        if error is not None:
            with pytest.raises(error, match=r"waits for 10,000\.00 yuan"), people.begin() as conn:
                issuing.accept_review(conn, signed, rules, stamp())
            continue
        with people.begin() as conn:
            assert issuing.accept_review(conn, signed, rules, stamp()) is None
    assert who_waits(people, rules) == []


def test_a_hundred_confirmations_at_once_keep_the_limits(people):
    """Of 100 who are confirmed at once, each for 30,000, as many are served as the limits allow:
    33 within the programme's 1,000,000, of them no more than 10 of one unit."""
    unit = Cap(scope="unit", max_fen=money.fen("300,000"), categories=("general",))
    programme = Cap(scope="programme", max_fen=money.fen("1,000,000"), categories=("general",))
    rules = replace(POLICY, issue=replace(POLICY.issue, caps=(unit, programme)))
    acts = []
    with people.begin() as conn:
        for name in ("many", "few", "two", "one"):
            towns.add_unit(conn, name)
        for i in range(100):
            unit_name = ("many", "many", "few", "two", "one")[i % 5]
            towns.add_contract(
                conn, f"c-{i}", unit=unit_name, fee_fen=money.fen("60,000"), policy=rules
            )
            application = towns.add_application(conn, f"c-{i}", policy=rules)
            acts.append(issuing.draft_review(conn, application, "confirm", "", rules, instant(NOW)))
    signed = [people.signed(act) for act in acts]

    def confirm(act):
        try:
            with people.begin() as conn:
                return issuing.accept_review(conn, act, rules, stamp())
        except VoucherError as error:
            return error

    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(confirm, signed))
    issued = [each for each in done if isinstance(each, str)]
    assert not [each for each in done if isinstance(each, Exception)]
    assert len(issued) == 33
    own, contract = schema.voucher.c, schema.contract.c
    with people.begin() as conn:
        by_unit = select(contract.unit, func.sum(own.amount_fen)).join(
            schema.contract, contract.account == own.account
        )
        sums = dict(conn.execute(by_unit.group_by(contract.unit)).all())
        assert sum(sums.values()) == money.fen("990,000")
        assert max(sums.values()) <= money.fen("300,000")
        assert len(waiting.listed(conn, rules, instant(NOW))) == 67
        assert waiting.serve(conn, rules, stamp()) == []
    assert UNIT not in sums
