"""slurm_voucher/standing.py: who may spend an account is asked when it can have changed."""

from contextlib import nullcontext
from math import inf

import pytest
import town as towns
from town import ACCOUNT, CLUSTER, NOW, UID, UNIT, instant

from accounting.book import ledger
from accounting.book.ledger import Entry
from accounting.vouchers import registry
from accounting.vouchers.spending import Standing
from slurm_voucher.asking import Asker
from slurm_voucher.standing import Standings

NOW_S = instant(NOW)


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """Write down for which users the book is asked."""
    users: list[int] = []
    really = registry.units_of

    def counted(conn, cluster, uids, at_s):
        users.extend(uids)
        return really(conn, cluster, uids, at_s)

    monkeypatch.setattr(registry, "units_of", counted)
    return users


def code(town, standings, at_s, uid=UID):
    """Return why a user may not spend the account at an instant, as one look asks it."""
    with town.begin() as conn:
        standings.refresh(conn)
        barred = standings.barred(Asker(ACCOUNT, uid), at_s, lambda: nullcontext(conn))
    return None if barred is None else barred.code


def test_asked_once_while_nothing_can_have_changed(town, asked) -> None:
    """Looks that follow each other ask the book once for each user, whatever money moves."""
    standings = Standings(CLUSTER)
    assert code(town, standings, NOW_S) is None
    assert code(town, standings, NOW_S, uid=7) == "not_allowed"
    with town.begin() as conn:
        ledger.write(conn, Entry("usage:1", "charge", towns.stamp()))
        towns.pay(conn, "1.00", "BANK-7")
    assert code(town, standings, NOW_S + 1) is None
    assert code(town, standings, NOW_S + 1, uid=7) == "not_allowed"

    assert asked == [UID, 7]


def test_asked_again_after_an_act(town, asked) -> None:
    """Whatever else is entered makes the book be asked again, for all that is known at once."""
    standings = Standings(CLUSTER)
    code(town, standings, NOW_S)
    code(town, standings, NOW_S, uid=7)
    with town.begin() as conn:
        registry.add_provider(conn, "another", "别家", towns.stamp())
    code(town, standings, NOW_S + 1, uid=7)
    code(town, standings, NOW_S + 1)

    assert asked == [UID, 7, 7, UID]


def test_asked_again_when_it_changes_by_itself(town, asked) -> None:
    """The end of a membership that was entered before is seen in the second in which it comes."""
    with town.begin() as conn:
        registry.end_member(
            conn, UNIT, cluster=CLUSTER, uid=UID, until_s=NOW_S + 60, stamp=towns.stamp()
        )
    standings = Standings(CLUSTER)

    codes = [code(town, standings, NOW_S + after_s) for after_s in (0, 59, 60, 61)]
    assert codes == [None, None, "not_allowed", "not_allowed"]
    assert asked == [UID, UID]


@pytest.mark.parametrize(
    ("at_s", "until_s"), [(0, 10), (10, 20), (19, 20), (20, 30), (29, 30), (30, inf)]
)
def test_stands_until_something_begins_or_ends(at_s: int, until_s: float) -> None:
    """A standing changes by itself where a freeze begins or ends and where its contract ends."""
    frozen = [(10, 20, "an audit")]
    standing = Standing("CD26-0001", "lab", "cdaicc", "", 30, frozen, None)

    assert standing.stands_until(at_s) == until_s
