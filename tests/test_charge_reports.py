"""Reports about money count by the end of runs: they are the statements, to the micro-yuan."""

import json
from collections import Counter
from dataclasses import replace

import delivery
import pytest
import town as towns
from delivery import DECEMBER, JANUARY, NOVEMBER, close, run, take, yuan
from homes import Home, an_account, furnished
from sqlalchemy import func, select
from town import ACCOUNT, POLICY, PROVIDER, UNIT, Town, stamp

from accounting import money, period
from accounting.book import ledger, schema
from accounting.errors import InvariantBroken
from accounting.forms import standing
from accounting.runs.run import Run
from accounting.settle import charges, refunding, stored
from accounting.settle.charges import GROUPS
from accounting.settle.summing import Asked

ZONE = POLICY.timezone
OTHER = "CD24-0002"


def report(town: Town, by: str = "month", group: str | None = None) -> dict[tuple[str, str], int]:
    """Return the charges of a report in micro-yuan, by period and group."""
    with town.begin() as conn:
        found = charges.charges(conn, town.archive, Asked(by, ZONE, group))
    return {key: own.charge_micro for key, own in found}


def stated(town: Town) -> Counter[tuple[str, str]]:
    """Return what all statements' lines come to, micro-yuan, by usage month and account."""
    line, paper = schema.statement_line.c, schema.statement.c
    query = (
        select(line.usage_month, paper.account, func.sum(line.charge_micro))
        .join(schema.statement, paper.id == line.statement)
        .group_by(line.usage_month, paper.account)
    )
    with town.begin() as conn:
        rows = [(month, account, int(micro)) for month, account, micro in conn.execute(query)]
    return Counter({(month, account): micro for month, account, micro in rows if micro})


def odd(job_id: int, seconds: int, end: str = NOVEMBER, **changes) -> Run:
    """Make a run whose charge has micro-yuan in it."""
    return run(job_id, seconds, end, **({"cpus": 7} | changes))


@pytest.fixture
def busy(town: Town) -> Town:
    """A town with two accounts, three months, late runs, corrections and a refund, all closed."""
    delivery.load_prices(town)
    with town.begin() as conn:
        towns.add_contract(conn, "2024-AI-002")
    first, moved, wang = (
        odd(1, 1001),
        odd(2, 3601, qos="a"),
        odd(3, 777, user="wang", voucher=OTHER),
    )
    take(town, first, moved, wang)
    take(town, odd(4, 50, state="NODE_FAIL"), yuan(5, 80, partition="dear"), odd(6, 99, cards=0))
    take(town, odd(7, 3000, voucher=None))  # of no account: on no statement
    close(town, "2024-11")
    late = "2024-12-20T12:00:00+08:00"
    later_s = towns.instant(DECEMBER)
    longer = replace(moved, end_s=later_s, elapsed_s=later_s - moved.start_s)
    take(town, odd(8, 1234), replace(first, cpus=9), longer, replace(wang, cpus=5), at=late)
    take(town, odd(9, 4321, DECEMBER), at=late)
    of = odd(8, 1234)
    key = (of.cluster, of.job_id, of.submit_s, of.start_s)
    refunding.refund(town.engine, town.archive, key, "lost", POLICY, stamp(late))
    close(town, "2024-12")
    take(town, odd(10, 11, JANUARY), replace(first, cpus=8), at="2025-01-20T12:00:00+08:00")
    close(town, "2025-01")
    assert delivery.findings(town) == []
    return town


def test_months_are_the_statements(busy: Town) -> None:
    """What each account was charged in each month is what all statements say of that month, late
    runs, corrections that changed the month and refunds with them, to the micro-yuan."""
    found = report(busy, "month", "account")
    assert found == stated(busy)
    assert set(found) == {
        ("2024-11", ACCOUNT),
        ("2024-11", OTHER),
        ("2024-12", ACCOUNT),
        ("2025-01", ACCOUNT),
    }
    assert sum(found.values()) % 10_000


def test_however_it_is_added_up_it_is_the_same(busy: Town) -> None:
    """Any group and any kind of period comes to the same sums of years."""
    wanted: Counter[str] = Counter()
    for (month, _), micro in stated(busy).items():
        wanted[month[:4]] += micro
    for group in (None, *GROUPS):
        for by in period.KINDS:
            years: Counter[str] = Counter()
            for (name, _), micro in report(busy, by, group).items():
                years[name[:4]] += micro
            assert years == wanted
        assert sum(report(busy, "total", group).values()) == wanted.total()


def test_groups_by_hand(busy: Town) -> None:
    """80.00 yuan an hour on a partition at 200 yuan are 16,000.00; the unit has both accounts."""
    november = report(busy, "day", "partition")
    assert november[("2024-11-10", "dear")] == 16_000_000_000
    assert report(busy, "year", "unit").keys() == {("2024", UNIT), ("2025", UNIT)}
    assert report(busy, "quarter", "provider").keys() == {
        ("2024-Q4", PROVIDER),
        ("2025-Q1", PROVIDER),
    }
    users = report(busy, "total", "user")
    assert users[("total", "wang")] == money.half_up(5 * 777 * 1_000_000, 3600)


def test_a_week_in_two_months(town: Town) -> None:
    """A Saturday's 5.00 of November and the Sunday's 7.00 of December are one week's 12.00."""
    delivery.load_prices(town)
    take(town, yuan(1, 5, "2024-11-30T12:00:00+08:00"), yuan(2, 7, "2024-12-01T12:00:00+08:00"))
    assert report(town, "week") == {("2024-W48", ""): 12_000_000}


def test_runs_are_counted_net(busy: Town) -> None:
    """A corrected run is one run in the month of its end by now, a refunded or free one none."""
    with busy.begin() as conn:
        found = charges.charges(conn, busy.archive, Asked("month", ZONE))
    runs = {name: own.runs for (name, _), own in found}
    assert runs == {"2024-11": 4, "2024-12": 2, "2025-01": 1}


def test_sums_that_are_not_the_books_are_refused(busy: Town) -> None:
    """An archive that does not come to what the book posted is refused, with both figures, and so
    is one of which a file is missing."""
    posted = sum(report(busy).values())
    with busy.begin() as conn:
        with pytest.raises(InvariantBroken, match=f"come to 0 micro-yuan, the book has {posted};"):
            charges.insist_on_book(conn, {})
        segments = stored.segments(conn)
        path = max(segments, key=lambda each: each.rows).path
        (busy.archive / path).unlink()
        with pytest.raises(InvariantBroken, match="is missing"):
            charges.charges(conn, busy.archive, Asked("month", ZONE))


def test_a_book_without_runs(town: Town) -> None:
    """Where nothing ran there is nothing, and that is no error."""
    assert report(town) == {}


def test_by_command(tmp_path) -> None:
    """The command says in every form that it counts by the end of runs."""
    home = furnished(tmp_path / "home")
    assert home.ok("report", "charges") == (
        "counted by end of the run (Asia/Shanghai)\nnothing to show\n"
    )
    assert json.loads(home.ok("report", "charges", "--json")) == []
    done = Home(home.path).run("report", "charges", "--group", "colour")
    assert done.exit_code == 2
    assert "'colour' is not one of" in done.output


def test_vouchers_add_up_by_every_group(busy: Town) -> None:
    """However vouchers are added up, what was issued is what was deducted, has expired, was
    cancelled and is left, and it is the same."""
    totals = set()
    with busy.begin() as conn:
        for group in standing.GROUPS:
            found = standing.vouchers(conn, group)
            for own in found.values():
                parts = (own.deducted_fen, own.expired_fen, own.cancelled_fen, own.left_fen)
                assert sum(parts) == own.issued_fen
            totals.add(
                tuple(
                    sum(getattr(own, name) for own in found.values())
                    for name in ("vouchers", "issued_fen", "deducted_fen", "left_fen")
                )
            )
        by_month = standing.vouchers(conn, "month")
        with pytest.raises(ValueError, match="'colour' is no group of vouchers"):
            standing.vouchers(conn, "colour")
    [(count, issued, deducted, _)] = totals
    assert (count, issued, list(by_month)) == (1, 5_000_000, ["2024-07"])
    with busy.begin() as conn:
        stated_fen = sum(conn.execute(select(schema.statement.c.deduction_fen)).scalars())
    assert deducted == stated_fen > 0


def test_units_have_the_money_of_their_accounts(busy: Town) -> None:
    """A unit's cash, accrual and debt are those of its accounts; one without any has zeros."""
    with busy.begin() as conn:
        towns.add_unit(conn, "lab", kind="university", revenue_fen=None, revenue_year=None)
        found = standing.units(conn)
    take(busy, yuan(99, 3, JANUARY), at="2025-02-01T12:00:00+08:00")
    with busy.begin() as conn:
        later = standing.units(conn)[UNIT][1]
        cash = -sum(ledger.balance(conn, "cash", account) for account in (ACCOUNT, OTHER))
        owed = sum(ledger.balance(conn, "receivable", account) for account in (ACCOUNT, OTHER))
    own = found[UNIT][1]
    assert (own.cash_micro, own.receivable_micro) == (cash, owed)
    assert later.accrued_micro - own.accrued_micro == 3_000_000
    assert found["lab"] == (standing.Standing(), standing.Account(0, 0, 0))
    assert standing.Standing().used_bp is None


def test_vouchers_and_units_by_command(tmp_path) -> None:
    """A unit without a voucher has no share that is used: a dash and no zero."""
    home = furnished(tmp_path / "home")
    an_account(home)
    [row] = json.loads(home.ok("report", "units", "--json"))
    assert (row["unit"], row["issued"], row["used"]) == ("shuzhi", "0.00", None)
    assert row["counted"] == "as of now"
    assert home.ok("report", "vouchers", "--group", "category").startswith(
        "counted by day of issue"
    )
