"""A frozen unit takes no hold and gets no deduction from that day on; the past is kept."""

from datetime import date

import delivery
import pytest
import town as towns
from delivery import DECEMBER, close, statement, take, yuan
from town import ACCOUNT, CLUSTER, POLICY, PROVIDER, UID, UNIT, stamp

from accounting.book import ledger
from accounting.errors import InvalidInput, NotAllowed, NotEligible
from accounting.vouchers import freezing, spending

MIDDLE = date(2024, 11, 10)


@pytest.fixture
def shop(town):
    """The town with round prices."""
    delivery.load_prices(town)
    return town


def freeze(town, day=MIDDLE, reason="blacklisted"):
    """Let the regulator freeze the unit from a day on."""
    with town.begin() as conn:
        draft = freezing.draft_freeze(conn, UNIT, day, reason)
    act = town.signed(draft)
    with town.begin() as conn:
        return freezing.accept_freeze(conn, act, POLICY, stamp(DECEMBER)), act


def unfreeze(town, day):
    """Let the regulator end the freeze after a day."""
    with town.begin() as conn:
        draft = freezing.draft_unfreeze(conn, UNIT, day, "taken off", POLICY)
    act = town.signed(draft)
    with town.begin() as conn:
        return freezing.accept_unfreeze(conn, act, POLICY, stamp(DECEMBER)), act


def may_spend(town, at):
    """Ask whether the user may spend the voucher at an instant."""
    with town.begin() as conn:
        return spending.may_spend(
            conn, ACCOUNT, cluster=CLUSTER, uid=UID, provider=PROVIDER, at_s=towns.instant(at)
        )


def test_no_hold_is_taken_while_a_unit_is_frozen(shop):
    """Holds end with the last second before the freeze and go on with the first one after it."""
    freeze(shop)
    unfreeze(shop, date(2024, 11, 20))
    assert may_spend(shop, "2024-11-09T23:59:59+08:00")
    for at in ("2024-11-10T00:00:00+08:00", "2024-11-20T23:59:59+08:00"):
        with pytest.raises(NotEligible, match=f"{ACCOUNT}: unit {UNIT} is frozen: blacklisted; as"):
            may_spend(shop, at)
    assert may_spend(shop, "2024-11-21T00:00:00+08:00")


def test_nothing_is_deducted_from_that_day_on(shop):
    """Of 200.00 before, 80.00 within and 40.00 after the freeze, half of 240.00 is deducted."""
    freeze(shop)
    unfreeze(shop, date(2024, 11, 20))
    for i, (fee, day) in enumerate(((200, "09"), (80, "15"), (40, "25")), 1):
        take(shop, yuan(i, fee, f"2024-11-{day}T12:00:00+08:00"))
    close(shop, "2024-11")
    assert statement(shop, "2024-11", "fee_fen", "deduction_fen") == (32_000, 12_000)
    assert delivery.findings(shop) == []


def test_a_job_across_the_edge_is_cut_there(shop):
    """Of a run that straddles the day only the part before it bears on the voucher."""
    freeze(shop)
    take(shop, yuan(1, 100, "2024-11-10T00:30:00+08:00"))
    close(shop, "2024-11")
    fee, deduction = statement(shop, "2024-11", "fee_fen", "deduction_fen")
    assert fee == 10_000
    assert 0 < deduction < 5_000


def test_the_same_act_is_done_once(shop):
    """A freeze that is brought in again changes nothing; another one that overlaps is refused."""
    _, act = freeze(shop)
    with shop.begin() as conn:
        before = ledger.head(conn)
        assert freezing.accept_freeze(conn, act, POLICY, stamp(DECEMBER)) == MIDDLE
        assert ledger.head(conn) == before
    for day in (date(2024, 11, 1), MIDDLE, date(2024, 12, 1)):
        with pytest.raises(NotAllowed, match="is frozen from 2024-11-10 already"):
            freeze(shop, day, "again")
    last, act = unfreeze(shop, date(2024, 11, 20))
    with shop.begin() as conn:
        assert freezing.accept_unfreeze(conn, act, POLICY, stamp(DECEMBER)) == last
    freeze(shop, date(2024, 12, 1))
    with shop.begin() as conn:
        assert [row["reason"] for row in freezing.listed(conn, UNIT)] == ["blacklisted"] * 2


@pytest.mark.parametrize("day", [date(2024, 11, 9), date(2024, 10, 1)])
def test_only_a_freeze_that_runs_is_ended(shop, day):
    """A freeze is not ended before it begins, nor twice."""
    freeze(shop)
    with pytest.raises(NotAllowed, match=f"no freeze runs on {day}"):
        unfreeze(shop, day)
    unfreeze(shop, MIDDLE)
    with pytest.raises(NotAllowed, match="no freeze runs on 2024-11-30"):
        unfreeze(shop, date(2024, 11, 30))


def test_a_month_with_a_statement_is_the_past(shop):
    """After November's statement the unit is frozen from December on, not from within November,
    and neither does a freeze end there."""
    take(shop, yuan(1, 200))
    close(shop, "2024-11")
    before = statement(shop, "2024-11", "deduction_fen")
    for day in (MIDDLE, date(2024, 10, 1), date(2024, 11, 30)):
        with pytest.raises(NotAllowed, match=f"statement S-{ACCOUNT}-2024-11 stands, chengdu-20"):
            freeze(shop, day)
    freeze(shop, date(2024, 12, 1))
    assert statement(shop, "2024-11", "deduction_fen") == before


@pytest.mark.parametrize(
    "change",
    [
        *({"from": day} for day in ("soon", None, "0001-01-01", "9999-12-31")),
        {"reason": " "},
    ],
)
def test_a_freeze_has_a_day_and_a_reason(shop, change):
    """An act without one of them is refused, and nothing is written."""
    with shop.begin() as conn:
        draft = freezing.draft_freeze(conn, UNIT, MIDDLE, "blacklisted")
        before = ledger.head(conn)
    act = shop.signed(draft | {"body": draft["body"] | change})
    with pytest.raises(InvalidInput), shop.begin() as conn:
        freezing.accept_freeze(conn, act, POLICY, stamp())
    with shop.begin() as conn:
        assert ledger.head(conn) == before
