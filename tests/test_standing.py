"""slurm_voucher/standing.py: who may spend an account is asked when it can have changed."""

import fakeslurm
import pytest
import town as towns
from prices import PRICES
from town import ACCOUNT, CLUSTER, NOW, POLICY, UID, UNIT, instant

from accounting.book import ledger
from accounting.book.ledger import Entry
from accounting.vouchers import registry
from slurm_voucher import standing
from slurm_voucher.asking import Asker, Rules
from slurm_voucher.standing import Standings

NOW_S = instant(NOW)
RULES = Rules(fakeslurm.CLUSTER, PRICES, POLICY)


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """Write down at which instants the book is asked."""
    instants: list[int] = []
    really = standing.holds.may_spend

    def counted(conn, account, *, at_s, **who):
        instants.append(at_s)
        return really(conn, account, at_s=at_s, **who)

    monkeypatch.setattr(standing.holds, "may_spend", counted)
    return instants


def code(town, standings, at_s, uid=UID):
    """Return why a user may not spend the account at an instant, as one look asks it."""
    with town.begin() as conn:
        standings.refresh(conn)
        barred = standings.of(conn, RULES, Asker(ACCOUNT, uid), at_s).barred
    return None if barred is None else barred.code


def test_asked_once_while_nothing_can_have_changed(town, asked) -> None:
    """Looks that follow each other ask the book once, for each user, whatever usage comes in."""
    standings = Standings()
    assert code(town, standings, NOW_S) is None
    assert code(town, standings, NOW_S, uid=7) == "not_allowed"
    with town.begin() as conn:
        ledger.write(conn, Entry("usage:1", "charge", towns.stamp()))
    assert code(town, standings, NOW_S + 1) is None
    assert code(town, standings, NOW_S + 1, uid=7) == "not_allowed"

    assert asked == [NOW_S, NOW_S]


def test_asked_again_after_an_act(town, asked) -> None:
    """Whatever else is entered makes the book be asked again."""
    standings = Standings()
    code(town, standings, NOW_S)
    with town.begin() as conn:
        towns.pay(conn, "1.00", "BANK-7")
    code(town, standings, NOW_S + 1)

    assert asked == [NOW_S, NOW_S + 1]


def test_asked_again_when_it_changes_by_itself(town, asked) -> None:
    """The end of a membership that was entered before is seen in the second in which it comes."""
    with town.begin() as conn:
        registry.end_member(
            conn, UNIT, cluster=CLUSTER, uid=UID, until_s=NOW_S + 60, stamp=towns.stamp()
        )
    standings = Standings()

    codes = [code(town, standings, NOW_S + after_s) for after_s in (0, 59, 60, 61)]
    assert codes == [None, None, "not_allowed", "not_allowed"]
    assert asked == [NOW_S, NOW_S + 60]
