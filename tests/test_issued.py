"""Audit of what was issued: worth, limits, order of waiting, and what consent makes smaller."""

import delivery
import pytest
import town as towns
from msgspec.structs import replace
from town import POLICY, stamp

from accounting import money
from accounting.policy import Cap
from accounting.vouchers import issuing, waiting


def limited(*caps, **issue):
    """Give Chengdu's rules other limits."""
    return replace(POLICY, issue=replace(POLICY.issue, caps=caps, **issue))


def programme(yuan):
    """A limit of the programme."""
    return Cap(scope="programme", max_fen=money.fen(yuan), categories=("general",))


def asks(town, name, fee, rules, **facts):
    """Let a contract's unit apply and the regulator confirm; return application and voucher."""
    with town.begin() as conn:
        towns.add_contract(conn, name, fee_fen=money.fen(fee), policy=rules)
        application = towns.add_application(conn, name, policy=rules, **facts)
    return application, towns.confirm(town, application, rules=rules)


def found(town, rules):
    """Return (rule, subject) of what the audit finds by some rules."""
    return [(each.rule, each.subject) for each in delivery.findings(_by(town, rules))]


def _by(town, rules):
    return towns.Town(town.engine, town.archive, town.keys, rules)


@pytest.mark.parametrize("scope", ["programme", "unit"])
def test_a_voucher_above_a_limit_is_found(people, scope):
    """What was issued without a limit is found where there is one; a fen more of it is fine."""
    _, first = asks(people, "first", "40,000", limited())
    _, second = asks(people, "second", "40,000", limited())
    cap = Cap(scope=scope, max_fen=money.fen("39,999.99"), categories=("general",))
    assert found(people, limited(cap)) == [("issue", f"voucher {second}")]
    assert found(people, limited(replace(cap, max_fen=money.fen("40,000")))) == []
    assert found(people, limited(replace(cap, max_fen=money.fen("19,999.99")))) == [
        ("issue", f"voucher {first}"),
        ("issue", f"voucher {second}"),
    ]


def test_a_voucher_below_the_floor_is_found(people):
    """A voucher that another city's floor allowed is above what the rules give: nothing."""
    _, voucher = asks(people, "small", "10,000", limited(min_fen=0))
    assert found(people, limited()) == [("issue", f"voucher {voucher}")]


def test_who_waited_and_took_less_is_as_it_should_be(people):
    """A voucher that consent made smaller than what was confirmed has no finding, whenever the
    unit consented."""
    rules = limited(programme("30,000"))
    asks(people, "first", "40,000", rules)
    application, voucher = asks(people, "second", "30,000", rules)
    assert voucher is None
    with people.begin() as conn:
        waiting.take_less(conn, application, stamp())
        [voucher] = waiting.serve(conn, rules, stamp())
    assert found(people, rules) == []


def test_a_smaller_one_may_be_served_before(people):
    """Where the first wants more than there is, the second may get what fits."""
    rules = limited(programme("60,000"))
    asks(people, "first", "80,000", rules)
    asks(people, "large", "60,000", rules)
    asks(people, "small", "40,000", rules)
    assert found(people, rules) == []


def test_who_cannot_be_served_is_not_passed_over(people):
    """An application that is excluded by the time another is served has no claim to its place."""
    rules = limited(programme("0.01"))
    first, _ = asks(people, "first", "40,000", rules)
    second, _ = asks(people, "second", "40,000", rules)
    with people.begin() as conn:
        towns.add_unit(conn, "other")
        draft = issuing.draft_review(
            conn, first, "refuse", "withdrawn", rules, towns.instant(towns.NOW)
        )
    act = people.signed(draft)
    with people.begin() as conn:
        issuing.accept_review(conn, act, rules, stamp())
        assert len(waiting.serve(conn, limited(), stamp())) == 1
    assert found(people, limited()) == []
    assert second != first
