"""accounting/settle/shares.py: what of a statement is one run's."""

from collections.abc import Iterator
from dataclasses import replace

import delivery
import pytest
from delivery import DECEMBER, NOVEMBER, close, run, take, yuan
from town import ACCOUNT, VOUCHER, Town

from accounting.runs.run import Run
from accounting.settle import shares


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town with round prices; whatever a test does, the book adds up at its end."""
    delivery.load_prices(town)
    yield town
    assert delivery.findings(town) == []


def share(town: Town, of: Run, revision: int = 0) -> tuple[str, int, int] | None:
    """Return statement line, fee and deduction of a run."""
    with town.begin() as conn:
        found = shares.of_run(conn, town.archive, of, revision, ACCOUNT, town.policy)
    return None if found is None else (found.line, found.fee_fen, found.deduction_fen)


def test_shares_add_up_to_the_statement(shop: Town) -> None:
    """Three runs of 3.33 and a third share a fee of 9.99 and its deduction of 4.99: with them the
    fee grows to 3.33, 6.66 and 9.99, and half of it to 1.66, 3.33 and 4.99."""
    runs = [run(i, 12_000) for i in (1, 2, 3)]
    take(shop, *runs)
    close(shop, "2024-11")

    found = [share(shop, each) for each in runs]

    line = f"S-{ACCOUNT}-2024-11/1"
    assert found == [(line, 333, 166), (line, 333, 167), (line, 333, 166)]


def test_a_run_that_no_statement_has_has_no_share(shop: Town) -> None:
    """A run of an open month has no share."""
    take(shop, yuan(1, 10))

    assert share(shop, yuan(1, 10)) is None


def test_a_month_is_closed_while_the_next_one_is_collected(shop: Town) -> None:
    """Runs that came in before the month before was closed have their share of their own month."""
    early, late = yuan(2, 10, DECEMBER), yuan(3, 30, DECEMBER)
    take(shop, yuan(1, 5, NOVEMBER), early)
    close(shop, "2024-11")
    take(shop, late)
    close(shop, "2024-12")

    line = f"S-{ACCOUNT}-2024-12/1"
    assert [share(shop, early), share(shop, late)] == [(line, 1000, 500), (line, 3000, 1500)]


def test_a_line_that_is_net_of_a_correction_has_no_shares(shop: Town) -> None:
    """A line that takes back what another statement charged is not the sum of its runs."""
    first = yuan(1, 10)
    take(shop, first)
    close(shop, "2024-11")
    take(shop, replace(first, cpus=6), yuan(2, 20))
    close(shop, "2024-12")

    assert share(shop, yuan(2, 20)) is None
    assert share(shop, first) == (f"S-{ACCOUNT}-2024-11/1", 1000, 500)


def borne(town: Town, *of: Run) -> list[tuple[int, dict[str, int]]]:
    """Return the parts of runs that vouchers bear, in all and by voucher."""
    with town.begin() as conn:
        found = [shares.of_run(conn, town.archive, each, 0, ACCOUNT, town.policy) for each in of]
    return [(each.deduction_fen, each.borne_fen) for each in found]


def test_a_credit_of_an_earlier_month_takes_nothing_from_runs(shop: Town) -> None:
    """October gives 20.00 back on the statement of November, whose runs bear 20.00 and 30.00."""
    before = yuan(1, 100, "2024-10-10T12:00:00+08:00")
    take(shop, before)
    close(shop, "2024-10")
    runs = [yuan(2, 40), yuan(3, 60)]
    take(shop, replace(before, cpus=60), *runs)
    close(shop, "2024-11")

    assert borne(shop, *runs) == [(2000, {VOUCHER: 2000}), (3000, {VOUCHER: 3000})]


def test_a_statement_that_gives_more_back_than_it_takes(shop: Town) -> None:
    """Runs of 4.00 and 6.00 bear 2.00 and 3.00 though the statement gives 15.00 back in all."""
    before = yuan(1, 100, "2024-10-10T12:00:00+08:00")
    take(shop, before)
    close(shop, "2024-10")
    runs = [yuan(2, 4), yuan(3, 6)]
    take(shop, replace(before, cpus=60), *runs)
    close(shop, "2024-11")

    assert borne(shop, *runs) == [(200, {VOUCHER: 200}), (300, {VOUCHER: 300})]


def test_a_voucher_that_is_used_up_bears_what_ended_before(shop: Town) -> None:
    """Of 50,000 a run of 80,000 bears 40,000, the next one the last 10,000 and no other any."""
    runs = [yuan(i, 80_000, f"2024-11-1{i}T12:00:00+08:00") for i in (1, 2, 3)]
    take(shop, *runs)
    close(shop, "2024-11")

    assert [fen for fen, _ in borne(shop, *runs)] == [4_000_000, 1_000_000, 0]


def test_late_runs_have_parts_of_the_statement_that_has_them(shop: Town) -> None:
    """Two late runs of 0.05 bring the deduction of November from 0.02 to 0.07."""
    first = run(1, 180)
    late = [run(2, 180, "2024-11-11T12:00:00+08:00"), run(3, 180, "2024-11-12T12:00:00+08:00")]
    take(shop, first)
    close(shop, "2024-11")
    take(shop, *late)
    close(shop, "2024-12")

    assert [fen for fen, _ in borne(shop, first, *late)] == [2, 3, 2]
    assert [share(shop, each)[1] for each in (first, *late)] == [5, 5, 5]


def test_a_run_that_was_corrected_before_its_statement(shop: Town) -> None:
    """A run of 60.00, corrected from 100.00 before the close, has its part, and so has another."""
    first = yuan(1, 100)
    take(shop, first)
    take(shop, replace(first, cpus=60), yuan(2, 20, "2024-11-11T12:00:00+08:00"))
    close(shop, "2024-11")

    line = f"S-{ACCOUNT}-2024-11/1"
    assert share(shop, first, 1) == (line, 6000, 3000)
    assert share(shop, yuan(2, 20, "2024-11-11T12:00:00+08:00")) == (line, 2000, 1000)


def test_a_run_that_was_corrected_after_its_statement(shop: Town) -> None:
    """A run that was stated at 100.00 and is 60.00 now has no part as it is now."""
    first = yuan(1, 100)
    take(shop, first)
    close(shop, "2024-11")
    take(shop, replace(first, cpus=60))

    assert share(shop, replace(first, cpus=60), 1) is None
    close(shop, "2024-12")
    assert share(shop, replace(first, cpus=60), 1) is None


def test_a_run_that_moves_to_another_month_hides_no_other(shop: Town) -> None:
    """A correction moves a run from November to December, whose runs have their parts."""
    moved = yuan(1, 100)
    take(shop, moved)
    close(shop, "2024-11")
    later = replace(moved, end_s=moved.end_s + 30 * 86_400, suspended_s=30 * 86_400)
    take(shop, later, yuan(2, 27, DECEMBER))
    close(shop, "2024-12")

    assert share(shop, yuan(2, 27, DECEMBER))[1:] == (2700, 1350)
    assert share(shop, later, 1)[1:] == (10_000, 5000)
