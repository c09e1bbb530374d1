"""accounting/settle/eligible.py: statements of accounts with two vouchers, and of frozen units."""

from dataclasses import replace

import delivery
import pytest
import town as towns
from delivery import DECEMBER, HOUR_S, balance, close, lines, run, statement, take, yuan
from sqlalchemy import select
from town import ACCOUNT, UNIT, VOUCHER, Town

from accounting import money, policy
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting
from accounting.settle import eligible, shares
from accounting.vouchers import holds

SECOND = "CD24-0001-2"
MINE = policy.builtin("chengdu-2023").replace(
    "  joint_national:\n    ratio: 30%\n",
    "  joint_national:\n    ratio: 30%\n    deduct: {ratio: 20%}\n",
)
"""Chengdu's rules, but that the vouchers of national projects bear a fifth of a fee."""


@pytest.fixture
def shop(town: Town) -> Town:
    """The town with round prices."""
    delivery.load_prices(town)
    return replace(town, policy=policy.load(MINE, "policy"))


def second_voucher(
    shop: Town, amount: str, from_: str, until: str, category: str = "general"
) -> None:
    """Issue another voucher on the account."""
    fen = money.fen(amount)
    with shop.begin() as conn:
        first = conn.execute(select(schema.application)).mappings().first()
        assert first is not None
        application = dict(first) | {"id": "A-2"}
        del application["seq"]
        row = {
            "id": SECOND,
            "account": ACCOUNT,
            "application": "A-2",
            "category": category,
            "issued_on": "2024-07-01",
            "amount_fen": fen,
            "trimmed": 0,
            "from_s": towns.instant(from_),
            "until_s": towns.instant(until),
        }
        postings = [
            Posting("voucher.left", SECOND, fen * 10_000),
            Posting("programme", shop.policy.name, -fen * 10_000),
        ]
        rows = {"application": [application], "voucher": [row]}
        ledger.write(conn, Entry("second", "application.confirm", towns.stamp(), rows, postings))


def freeze(shop: Town, from_: str, until: str | None = None) -> None:
    """Freeze the unit, and maybe let it go on."""
    with shop.begin() as conn:
        act = conn.execute(select(schema.signed_act.c.sha256)).scalars().first()
        facts = {"unit": UNIT, "from_s": towns.instant(from_), "act_sha256": act}
        rows = {"freeze": [facts | {"reason": "blacklisted"}]}
        ledger.write(conn, Entry("freeze", "unit.freeze", towns.stamp(), rows))
        if until is not None:
            rows = {"freeze_end": [facts | {"until_s": towns.instant(until)}]}
            ledger.write(conn, Entry("thaw", "unit.thaw", towns.stamp(), rows))


def found(shop: Town) -> list[str]:
    """Return the rules of the audit that find something: nobody signed for the second voucher or
    the freezes here, and the second voucher has days of its own."""
    made_up = ("issue", f"voucher {SECOND}")
    left = [each for each in delivery.findings(shop) if (each.rule, each.subject) != made_up]
    return sorted({each.rule for each in left} - {"signatures"})


def draws(shop: Town, month: str) -> dict[str, int]:
    """Return what a statement draws, by voucher."""
    query = select(schema.deduction.c.voucher, schema.deduction.c.amount_fen)
    with shop.begin() as conn:
        rows = conn.execute(query.filter_by(statement=f"S-{ACCOUNT}-{month}"))
        return {row.voucher: row.amount_fen for row in rows}


def test_earliest_expiry_first(shop: Town) -> None:
    """Half of 200.00 comes off the voucher that expires first as far as it lasts, then off the
    other one."""
    second_voucher(shop, "30", "2024-07-01T00:00:00+08:00", "2024-12-01T00:00:00+08:00")
    take(shop, yuan(1, 200))
    close(shop, "2024-11")

    assert draws(shop, "2024-11") == {SECOND: 3_000, VOUCHER: 7_000}
    assert found(shop) == []


def test_each_voucher_bears_its_own_share(shop: Town) -> None:
    """30.00 of the one that bears a fifth fill 150.00 of 200.00; half of the other 50.00 is the
    other's: 55.00, and never more than half of all."""
    second_voucher(
        shop, "30", "2024-07-01T00:00:00+08:00", "2025-01-01T00:00:00+08:00", "joint_national"
    )
    with shop.begin() as conn:
        own = eligible.vouchers(conn, ACCOUNT, shop.policy)
        assert [(each.id, each.ratio_bp) for each in own] == [(VOUCHER, 5_000), (SECOND, 2_000)]
        assert holds.position(conn, ACCOUNT, shop.policy).ratio_bp == 2_000
    delivery_of_october(shop)
    take(shop, yuan(1, 200))
    close(shop, "2024-11")

    assert draws(shop, "2024-11") == {VOUCHER: 2_500, SECOND: 3_000}
    assert found(shop) == []


def delivery_of_october(shop: Town) -> None:
    """Use the first voucher up but for 25.00."""
    take(shop, yuan(99, 99_950, "2024-10-10T12:00:00+08:00"), at="2024-10-10T12:00:00+08:00")
    close(shop, "2024-10")
    assert balance(shop, "voucher.left", VOUCHER) == "25.00"


def test_a_run_over_the_end_of_one_voucher(shop: Town) -> None:
    """Of two hours at 10.00, one before the first voucher is valid, one hour counts."""
    second_voucher(shop, "1,000", "2025-02-01T00:00:00+08:00", "2026-01-01T00:00:00+08:00")
    over = run(1, 2 * HOUR_S, "2025-01-01T01:00:00+08:00", cpus=10)
    between = yuan(2, 50, "2025-01-10T12:00:00+08:00")
    take(shop, over, between, at=delivery.JANUARY)
    close(shop, "2025-01")

    assert statement(shop, "2025-01", "fee_fen", "deduction_fen") == (7_000, 500)
    assert draws(shop, "2025-01") == {VOUCHER: 500}
    with shop.begin() as conn:
        share = shares.of_run(conn, shop.archive, over, 0, ACCOUNT, shop.policy)
        other = shares.of_run(conn, shop.archive, between, 0, ACCOUNT, shop.policy)
    assert share is not None
    assert share.borne_fen == {VOUCHER: 500}
    assert other is not None
    assert (other.fee_fen, other.deduction_fen) == (5_000, 0)
    assert found(shop) == []


def test_late_runs_and_corrections_of_two_vouchers(shop: Town) -> None:
    """What a month drew from each voucher is kept apart: 60.00 more draw 30.00 of the second one,
    and 100.00 less give them back to it before the first one gets 20.00."""
    second_voucher(shop, "100", "2024-07-01T00:00:00+08:00", "2024-12-15T00:00:00+08:00")
    take(shop, yuan(1, 200), yuan(2, 20))
    close(shop, "2024-11")
    assert draws(shop, "2024-11") == {SECOND: 10_000, VOUCHER: 1_000}
    take(shop, yuan(3, 60), yuan(4, 10, DECEMBER), at=DECEMBER)
    close(shop, "2024-12")
    assert draws(shop, "2024-12") == {VOUCHER: 3_500}
    take(shop, yuan(1, 80), at=delivery.JANUARY)
    close(shop, "2025-01")

    assert draws(shop, "2025-01") == {VOUCHER: -4_000, SECOND: -2_000}
    assert lines(shop, "2025-01", "usage_month", "fee_fen", "deduction_fen") == [
        ("2024-11", -12_000, -6_000)
    ]
    assert found(shop) == []


def test_what_is_delivered_while_a_unit_is_frozen_is_its_own(shop: Town) -> None:
    """A run over midnight of the tenth has half of its first hour; nothing of the days after it,
    and half again from the twentieth on."""
    freeze(shop, "2024-11-11T00:00:00+08:00", "2024-11-20T00:00:00+08:00")
    over = run(1, 2 * HOUR_S, "2024-11-11T01:00:00+08:00", cpus=10)
    within = yuan(2, 500, "2024-11-15T12:00:00+08:00")
    after = yuan(3, 100, "2024-11-25T12:00:00+08:00")
    take(shop, over, within, after)
    close(shop, "2024-11")

    assert statement(shop, "2024-11", "fee_fen", "deduction_fen") == (62_000, 500 + 5_000)
    with shop.begin() as conn:
        borne = [
            shares.of_run(conn, shop.archive, each, 0, ACCOUNT, shop.policy)
            for each in (over, within, after)
        ]
    assert [each and each.deduction_fen for each in borne] == [500, 0, 5_000]
    assert found(shop) == []


def test_a_freeze_that_comes_after_the_close_changes_nothing_before(shop: Town) -> None:
    """A share that was stated is explained as it was; what comes late is the frozen unit's."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11")
    freeze(shop, "2024-11-01T00:00:00+08:00")
    with shop.begin() as conn:
        share = shares.of_run(conn, shop.archive, yuan(1, 100), 0, ACCOUNT, shop.policy)
    assert share is not None
    assert share.deduction_fen == 5_000

    take(shop, yuan(2, 60, DECEMBER), at=DECEMBER)
    close(shop, "2024-12")

    assert statement(shop, "2024-12", "fee_fen", "deduction_fen") == (6_000, 0)
    assert found(shop) == []
