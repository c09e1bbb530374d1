"""slurm_voucher/answers.py: what is told of accounts and of who may spend them."""

from datetime import date

import pytest
import town as towns
from delivery import load_prices, take, yuan
from town import ACCOUNT, CLUSTER, POLICY, UID, UNIT, Town, instant, stamp

from accounting.vouchers import freezing, pace, registry
from slurm_voucher import answers

JULY = "2024-07-20T12:00:00+08:00"


def balance(town: Town, at: str = JULY) -> dict[str, object]:
    """Return the row of the town's account."""
    with town.begin() as conn:
        [contract] = answers.contracts(conn, ACCOUNT)
        return answers.balance(conn, POLICY, contract, instant(at))


def members(town: Town, at: str = JULY) -> list[tuple[object, ...]]:
    """Return who may spend the town's account, without its name."""
    with town.begin() as conn:
        rows = answers.members_of(conn, POLICY, CLUSTER, UID, instant(at))
    assert {(row["account"], row["unit"], row["cluster"]) for row in rows} <= {
        (ACCOUNT, UNIT, CLUSTER)
    }
    return [tuple(row[key] for key in ("uid", "from", "until", "may_spend")) for row in rows]


def test_days_left_at_the_pace_of_the_last_fourteen(town: Town) -> None:
    """A month's late usage and what is older than 14 days is no pace; what is there is a day's
    share of it, and what is available lasts for so many days."""
    load_prices(town)
    assert (balance(town)["a_day"], balance(town)["days_left"]) == ("0.00", None)
    take(town, yuan(1, 5000, "2024-07-04T12:00:00+08:00"), at="2024-07-05T12:00:00+08:00")
    take(town, yuan(2, 700, "2024-06-20T12:00:00+08:00"), at=JULY)
    take(town, yuan(3, 1400, "2024-07-19T12:00:00+08:00"), at=JULY)

    row = balance(town)

    assert (row["accrued"], row["a_day"]) == ("7,100.000000", "100.00")
    assert (row["available"], row["days_left"]) == ("92,200.00", 922)
    assert (row["first_day"], row["last_day"]) == ("2024-07-01", "2024-12-31")


def test_a_young_account_is_not_slow(town: Town) -> None:
    """An account of four days is used at the pace of four days, not of fourteen."""
    assert pace.days_left(100, 10_000, 4 * pace.DAY_S) == 400
    with town.begin() as conn:
        begun_s = instant(JULY) - 4 * pace.DAY_S
        _, in_s = pace.charged_a_day(conn, ACCOUNT, begun_s, instant(JULY), "Asia/Shanghai")
        assert in_s == 4 * pace.DAY_S
        _, in_s = pace.charged_a_day(conn, ACCOUNT, instant(JULY), instant(JULY), "Asia/Shanghai")
        assert in_s == pace.DAY_S


def test_what_is_given_back_is_no_pace() -> None:
    """Where more was given back than charged, what is left does not end."""
    assert pace.days_left(100, 0, pace.DAY_S) is None
    assert pace.days_left(0, 1, pace.DAY_S) == 0


@pytest.mark.parametrize(
    ("at", "said"), [("2024-07-31T12:00:00+08:00", "yes"), ("2024-08-02T12:00:00+08:00", "frozen")]
)
def test_members_of_a_frozen_unit(town: Town, at: str, said: str) -> None:
    """While a unit is frozen its members are listed, and may not spend."""
    with town.begin() as conn:
        draft = freezing.draft_freeze(conn, UNIT, date(2024, 8, 1), "inspection")
    act = town.signed(draft)
    with town.begin() as conn:
        freezing.accept_freeze(conn, act, POLICY, stamp(JULY))

    assert members(town, at) == [(UID, "2024-07-01", None, said)]


def test_members_come_and_go(town: Town) -> None:
    """Who left is not listed, who comes later is, with the days."""
    august = instant("2024-08-01T00:00:00+08:00")
    with town.begin() as conn:
        facts = {"cluster": CLUSTER, "from_s": august, "until_s": None, "stamp": stamp()}
        registry.add_member(conn, UNIT, uid=UID + 1, **facts)
        left = facts | {"from_s": instant(towns.NOW), "until_s": instant(JULY)}
        registry.add_member(conn, UNIT, uid=UID + 2, **left)
        last = left | {"until_s": august}
        registry.add_member(conn, UNIT, uid=UID + 3, **last)

    assert members(town) == [
        (UID, "2024-07-01", None, "yes"),
        (UID + 3, "2024-07-01", "2024-07-31", "yes"),
        (UID + 1, "2024-08-01", None, "not yet"),
    ]


def test_who_is_in_no_unit_is_told_nothing(town: Town) -> None:
    """A user who computes for no unit sees nobody."""
    with town.begin() as conn:
        assert answers.members_of(conn, POLICY, CLUSTER, UID + 9, instant(JULY)) == []
