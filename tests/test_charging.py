"""accounting/settle/charging.py: what comes in is charged once, and what changes is corrected."""

import fcntl
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import archived
import delivery
import pyarrow as pa
import pytest
import town as towns
from delivery import DECEMBER, HOUR_S, NOVEMBER, balance, close, run, take, yuan
from sqlalchemy import select
from town import ACCOUNT, CLUSTER, OTHER_PROVIDER, PROVIDER, Town, stamp

from accounting.book import ledger, schema
from accounting.errors import BookUnavailable, Refused
from accounting.runs import archive, usage, watermarks
from accounting.runs.run import Run
from accounting.settle import charging, grouping, stored, writing
from accounting.vouchers import holds, registry

HOLD = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def shop(town: Town) -> Iterator[Town]:
    """The town with round prices; whatever a test does, the book adds up at its end."""
    delivery.load_prices(town)
    yield town
    assert delivery.findings(town) == []


def charges(town: Town) -> list[tuple[Any, ...]]:
    """Return account, month, charge and eligible part of all charges, in the order of writing."""
    table = schema.charge
    query = select(table.c.account, table.c.month, table.c.charge_micro, table.c.eligible_micro)
    with town.begin() as conn:
        return [tuple(row) for row in conn.execute(query.order_by(table.c.seq, table.c.month))]


def rows_that_count(town: Town) -> pa.Table:
    """Return the rows that count."""
    with town.begin() as conn:
        return archived.current(conn, town.archive, CLUSTER)


def second_account(town: Town, provider: str = PROVIDER) -> str:
    """Open another account of the unit."""
    with town.begin() as conn:
        account = towns.add_contract(conn, "2024-AI-002", provider=provider)
        application = towns.add_application(conn, "2024-AI-002")
    towns.confirm(town, application)
    return account


def hold(town: Town, account: str = ACCOUNT, tasks: int = 1) -> None:
    """Take a hold of 1.00 yuan a task."""
    asked = holds.Request(
        HOLD, CLUSTER, account, towns.UID, tasks, 1_000_000, 1_000_000, {"uid": "1001"}
    )
    with town.begin() as conn:
        holds.place(conn, asked, town.policy, towns.instant(NOVEMBER))


def ends(town: Town) -> list[tuple[str, str, int]]:
    """Return how tasks of holds ended."""
    table = schema.hold_end
    with town.begin() as conn:
        query = select(table.c.task, table.c.kind, table.c.tasks).order_by(table.c.task)
        return [tuple(row) for row in conn.execute(query)]


def test_a_discount_is_for_its_own_account_and_provider(shop: Town) -> None:
    """A contract pays by its own discount, another of the unit by the unit's, nobody by none.

    1 h of a core at 1.00: 0.50 for the account, 0.90 for the other contract; a run at another
    provider and a run without an account are charged in full, to nobody.
    """
    other = second_account(shop)
    with shop.begin() as conn:
        code = registry.credit_codes(conn)[ACCOUNT]
    text = delivery.ROUND.replace("round-1", "round-2")
    text += f'discounts:\n  {ACCOUNT}: [{{from: 2024-01-01, factor: "0.50"}}]\n'
    text += f'  {code}: [{{from: 2024-01-01, factor: "0.90"}}]\n'
    delivery.load_prices(shop, text, "round-2")
    taken = take(
        shop, run(1), run(2, voucher=other), run(3, voucher=None), run(4, partition="other")
    )
    found = rows_that_count(shop).to_pylist()

    assert taken.unclaimed == 2
    assert [(row["account"], row["charge_micro"]) for row in found] == [
        (ACCOUNT, 500_000),
        (other, 900_000),
        (None, 1_000_000),
        (None, 1_000_000),
    ]


def test_a_run_is_charged_in_the_month_in_which_it_ended(shop: Town) -> None:
    """A run that ends at 16:00 UTC of the last day ends in the next month in Chengdu."""
    taken = take(
        shop, yuan(1, 7, "2024-11-30T15:59:59+00:00"), yuan(2, 5, "2024-11-30T16:00:00+00:00")
    )

    assert (taken.new, taken.changed, taken.charge_micro) == (2, 0, 12_000_000)
    assert charges(shop) == [
        (ACCOUNT, "2024-11", 7_000_000, 7_000_000),
        (ACCOUNT, "2024-12", 5_000_000, 5_000_000),
    ]
    assert balance(shop, "accrued") == "12.00"
    assert balance(shop, "revenue", PROVIDER) == "-12.00"


def test_twice_is_once(shop: Town) -> None:
    """The same rows, together or in part, change nothing any more."""
    runs = [yuan(i, i) for i in range(1, 6)]
    take(shop, *runs)
    with shop.begin() as conn:
        entries = conn.execute(select(schema.journal)).all()
    again = take(shop, *reversed(runs), *runs[1:3], at=DECEMBER)

    assert (again.new, again.changed, again.segments) == (0, 0, [])
    with shop.begin() as conn:
        assert conn.execute(select(schema.journal)).all() == entries


def test_in_pieces_and_in_any_order(shop: Town) -> None:
    """Twelve runs in five pieces, some twice, make the balances that they make at once."""
    runs = [yuan(i, i, qos="ab"[i % 2], end=(NOVEMBER, DECEMBER)[i % 3 % 2]) for i in range(1, 13)]
    mixed = [*runs, *runs[:4]]
    random.Random(20230616).shuffle(mixed)
    for i in range(5):
        take(shop, *mixed[i::5])
    whole = usage.table(runs)

    assert sum(row[2] for row in charges(shop)) == 78_000_000
    assert balance(shop, "accrued") == "78.00"
    found = usage.conform(rows_that_count(shop), usage.USAGE)
    assert sorted(usage.runs(found), key=lambda run: run.job_id) == usage.runs(whole)


def test_a_changed_run_is_corrected(shop: Town) -> None:
    """A row that says something else gets revision 1, and the difference is charged."""
    take(shop, yuan(1, 100))
    taken = take(shop, yuan(1, 40))

    assert (taken.new, taken.changed) == (0, 1)
    assert charges(shop) == [
        (ACCOUNT, "2024-11", 100_000_000, 100_000_000),
        (ACCOUNT, "2024-11", -60_000_000, -60_000_000),
    ]
    assert rows_that_count(shop).column("revision").to_pylist() == [1]
    assert balance(shop, "accrued") == "40.00"


def test_a_run_that_changes_back(shop: Town) -> None:
    """A third look with the first content is revision 2, and the balance is the first one."""
    for amount in (100, 40, 100):
        take(shop, yuan(1, amount))

    assert rows_that_count(shop).column("revision").to_pylist() == [2]
    assert balance(shop, "accrued") == "100.00"


def test_a_run_that_changes_its_account(shop: Town) -> None:
    """A run that turns out to be another account's is taken off the first one."""
    other = second_account(shop)
    take(shop, yuan(1, 100))
    take(shop, yuan(1, 40, voucher=other))

    assert charges(shop)[1:] == [
        (ACCOUNT, "2024-11", -100_000_000, -100_000_000),
        (other, "2024-11", 40_000_000, 40_000_000),
    ]
    assert balance(shop, "accrued", other) == "40.00"
    assert balance(shop, "revenue", PROVIDER) == "-40.00"


def test_a_run_that_changes_its_month(shop: Town) -> None:
    """A run whose end moves into December is taken off November."""
    was = yuan(1, 100)
    take(shop, was)
    take(shop, replace(was, cpus=70, end_s=towns.instant(DECEMBER), suspended_s=30 * 86_400))

    assert charges(shop)[1:] == [
        (ACCOUNT, "2024-11", -100_000_000, -100_000_000),
        (ACCOUNT, "2024-12", 70_000_000, 70_000_000),
    ]
    close(shop, "2024-11")
    close(shop, "2024-12")
    assert delivery.statement(shop, "2024-12", "fee_fen") == (7_000,)


def test_a_run_whose_voucher_goes_away(shop: Town) -> None:
    """A run that turns out to have no voucher is taken off the account."""
    take(shop, yuan(1, 100))
    taken = take(shop, yuan(1, 100, voucher=None))

    assert taken.unclaimed == 1
    assert balance(shop, "accrued") == "0.00"


def test_an_unknown_partition_is_no_zero(shop: Town) -> None:
    """A run without a price is unrated, is on no account, and keeps its month open."""
    taken = take(shop, yuan(1, 100, partition="new"), yuan(2, 5))

    assert (taken.unrated, taken.charge_micro) == (1, 5_000_000)
    assert rows_that_count(shop).column("status").to_pylist() == ["unrated", "charged"]
    with pytest.raises(Refused, match=r"1 runs are unrated: job 1 of chengdu \(.*new"):
        close(shop, "2024-11")
    with shop.begin() as conn:
        [row] = stored.unrated(conn, shop.archive).to_pylist()
    assert row["job_id"] == 1


def test_an_unknown_state_is_no_zero(shop: Town) -> None:
    """A state that the policy does not name keeps the month open."""
    take(shop, yuan(1, 100, state="UNHEARD_OF"))
    with pytest.raises(Refused, match="state UNHEARD_OF"):
        close(shop, "2024-11")


def test_unrated_runs_of_a_later_month(shop: Town) -> None:
    """What is unrated in December does not keep November open."""
    take(shop, yuan(1, 100), yuan(2, 5, DECEMBER, partition="new"))

    assert close(shop, "2024-11") == [f"S-{ACCOUNT}-2024-11"]


def test_a_new_tariff_rates_what_had_no_price(shop: Town) -> None:
    """Rated again with a tariff that knows the partition, the run is charged, and once."""
    take(shop, yuan(1, 100, partition="new"), yuan(2, 5, partition="newer"))
    text = delivery.ROUND.replace("round-1", "round-2").replace("      core:", "      new:", 1)
    delivery.load_prices(shop, text, "round-2")

    def again() -> tuple[int, int]:
        taken = charging.rate_again(shop.engine, shop.archive, shop.policy, stamp(DECEMBER))
        return taken.changed, taken.unrated

    assert [again(), again()] == [(1, 1), (0, 1)]
    assert charges(shop) == [(ACCOUNT, "2024-11", 100_000_000, 100_000_000)]
    assert rows_that_count(shop).column("tariff").to_pylist() == ["round-2", "round-1"]


def test_without_a_tariff_nothing_has_a_price(tmp_path: Path, keys: Any) -> None:
    """A book without any tariff takes runs in and rates none of them."""
    engine = ledger.connect(f"sqlite:///{tmp_path / 'book.db'}", must_exist=False)
    towns.found(engine)
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP TRIGGER document_no_delete")
        conn.exec_driver_sql("DELETE FROM document WHERE kind = 'tariff'")
    taken = take(Town(engine, tmp_path / "archive", keys), yuan(1, 100, voucher=None))
    engine.dispose()

    assert (taken.new, taken.unrated, taken.charge_micro) == (1, 1, 0)


def test_runs_without_a_voucher_are_nobodys(shop: Town) -> None:
    """A run without a voucher, or with an unknown one, is rated and posted to no account."""
    taken = take(shop, yuan(1, 100, voucher=None), yuan(2, 5, voucher="CD24-9999"))

    assert (taken.new, taken.unclaimed, taken.charge_micro) == (2, 2, 105_000_000)
    assert charges(shop) == []
    assert rows_that_count(shop).column("account").to_pylist() == [None, None]
    assert rows_that_count(shop).column("eligible_micro").to_pylist() == [0, 0]


def test_an_account_of_another_provider_is_not_charged(shop: Town) -> None:
    """A run on the other centre's partition is not charged to this centre's account."""
    taken = take(shop, yuan(1, 100, partition="other"))

    assert taken.unclaimed == 1
    assert balance(shop, "accrued") == "0.00"
    assert balance(shop, "revenue", OTHER_PROVIDER) == "0.00"


def test_the_holds_account_decides(shop: Town) -> None:
    """Where the book knows the hold, its account is charged, whatever AdminComment says."""
    other = second_account(shop)
    hold(shop)
    take(shop, yuan(1, 100, hold=HOLD, voucher=other), yuan(2, 5, hold="f" * 32, voucher=other))

    assert charges(shop) == [
        (ACCOUNT, "2024-11", 100_000_000, 100_000_000),
        (other, "2024-11", 5_000_000, 5_000_000),
    ]


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"])
def test_a_terminal_row_ends_the_hold(shop: Town, state: str) -> None:
    """A row in a terminal state posts the hold, and once."""
    hold(shop)
    for _ in range(2):
        take(shop, yuan(1, 1, hold=HOLD, state=state))

    assert ends(shop) == [("1", "posted", 1)]


@pytest.mark.parametrize("state", sorted(writing.NOT_OVER))
def test_a_job_that_may_run_again_keeps_its_hold(shop: Town, state: str) -> None:
    """A requeued, resized or preempted run leaves the hold, which ends with the last run."""
    hold(shop)
    take(shop, yuan(1, 1, hold=HOLD, state=state))
    assert ends(shop) == []
    take(shop, yuan(1, 1, DECEMBER, hold=HOLD))

    assert ends(shop) == [("1", "posted", 1)]


def test_each_task_of_an_array_ends_its_part(shop: Town) -> None:
    """Of a hold of three tasks two end with two rows."""
    hold(shop, tasks=3)
    take(shop, yuan(11, 1, hold=HOLD), yuan(12, 1, hold=HOLD, state="NODE_FAIL"))
    take(shop, yuan(13, 1, hold=HOLD))

    assert ends(shop) == [("11", "posted", 1), ("13", "posted", 1)]
    with shop.begin() as conn:
        assert holds.position(conn, ACCOUNT, shop.policy).held_micro == 1_000_000


def test_a_charge_above_its_hold_is_posted(shop: Town) -> None:
    """A run of 100 with a hold of 1 is charged 100."""
    hold(shop)
    take(shop, yuan(1, 100, hold=HOLD))

    assert balance(shop, "accrued") == "100.00"


def test_free_states_cost_nothing(shop: Town) -> None:
    """NODE_FAIL is free and REQUEUED is charged."""
    take(shop, yuan(1, 100, state="NODE_FAIL"), yuan(2, 5, state="REQUEUED"))

    assert balance(shop, "accrued") == "5.00"


def test_a_requeued_job_has_several_runs(shop: Town) -> None:
    """Two runs of one job number are two charges."""
    take(shop, yuan(1, 3, state="REQUEUED"), yuan(1, 4, DECEMBER))

    assert [row[2] for row in charges(shop)] == [3_000_000, 4_000_000]


def test_late_rows_of_a_closed_month(shop: Town) -> None:
    """A run that turns up after the close is charged in the month in which it ended."""
    take(shop, yuan(1, 100))
    close(shop, "2024-11")
    take(shop, yuan(2, 7), at=DECEMBER)

    assert charges(shop)[-1] == (ACCOUNT, "2024-11", 7_000_000, 7_000_000)
    assert balance(shop, "accrued") == "7.00"


def resized() -> tuple[Run, Run]:
    """A job that ran 40 days on one core and then, resized, one hour more, as 22.05 tells it."""
    first = run(1, 40 * 24 * HOUR_S, "2024-11-20T12:00:00+08:00", state="RESIZING")
    assert first.start_s is not None
    end_s = first.end_s + HOUR_S
    last = replace(
        first, submit_s=first.end_s, end_s=end_s, elapsed_s=end_s - first.start_s, state="COMPLETED"
    )
    return first, last


@pytest.mark.parametrize("order", [[[0, 1]], [[0], [1]], [[1], [0]], [[1], [0], [1], [0, 1]]])
def test_no_second_of_a_resized_job_is_charged_twice(shop: Town, order: list[list[int]]) -> None:
    """40 days and an hour cost 961 yuan, whichever row comes first, and however often."""
    rows = resized()
    for part in order:
        take(shop, *(rows[i] for i in part))

    assert balance(shop, "accrued") == "961.00"


def test_the_watermark_never_goes_back(shop: Town) -> None:
    """A sweep up to an earlier instant leaves the watermark; each sweep has its own."""
    take(shop, watermark=(CLUSTER, "ended", 100))
    take(shop, watermark=(CLUSTER, "ended", 90))
    take(shop, watermark=(CLUSTER, "all", 50))
    with shop.begin() as conn:
        assert watermarks.by_cluster(conn) == {CLUSTER: 100}
        assert watermarks.by_cluster(conn, "all") == {CLUSTER: 50}
    take(shop, watermark=(CLUSTER, "ended", 101))
    with shop.begin() as conn:
        assert watermarks.by_cluster(conn) == {CLUSTER: 101}


def test_two_clusters_at_once(shop: Town) -> None:
    """Rows of two clusters are stored apart; the one that the tariff does not know is unrated."""
    taken = take(shop, yuan(1, 100), yuan(1, 100, cluster="elsewhere"))

    assert (taken.new, taken.unrated, len(taken.segments)) == (2, 1, 2)
    with shop.begin() as conn:
        assert len(stored.segments(conn, cluster="elsewhere")) == 1


def test_one_collector_at_a_time(shop: Town) -> None:
    """While somebody holds the lock of the archive nobody else takes runs in."""
    take(shop)
    handle = os.open(shop.archive / ".lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(BookUnavailable, match="1 process is collecting, 1 is allowed"):
        take(shop, yuan(1, 100))
    os.close(handle)

    assert take(shop, yuan(1, 100)).new == 1


def test_a_file_that_the_book_does_not_know(shop: Town) -> None:
    """A file without a row goes into quarantine, is not counted, and is taken in once more."""
    [path] = take(shop, yuan(1, 100)).segments
    stray = shop.archive / path.replace("2024-11", "2024-12")
    stray.parent.mkdir(parents=True)
    stray.write_bytes((shop.archive / path).read_bytes())
    taken = take(shop, yuan(2, 5))

    assert taken.quarantined == [f"quarantine/{stray.relative_to(shop.archive).as_posix()}"]
    assert balance(shop, "accrued") == "105.00"


@pytest.mark.parametrize("taken_off", [0, 1, 5])
def test_what_accrues_is_the_sum_of_the_lines(shop: Town, taken_off: int) -> None:
    """Charges by account and month come to what the lines come to, whatever is taken off; where
    nothing is left of an account there is no charge."""
    take(shop, *(yuan(i, i, qos="ab"[i % 2], end=(NOVEMBER, DECEMBER)[i % 2]) for i in range(5)))
    rows = rows_that_count(shop)
    lines = grouping.net(rows, rows.slice(0, taken_off), "Asia/Shanghai")
    expected: dict[tuple[str, str], tuple[int, int]] = {}
    for line, account in grouping.together([lines]):
        charge, eligible = expected.get((account, line.month), (0, 0))
        more = charge + line.charge_micro, eligible + line.eligible_micro
        expected[account, line.month] = more

    found = grouping.accrued(lines)
    assert expected == found
    assert len(found) == (0 if taken_off == 5 else 2)


def test_months_begin_at_half_hours_elsewhere() -> None:
    """At 5:30 off UTC a month ends at 18:30 UTC: a second apart, two runs have two months."""
    midnight_s = towns.instant("2024-11-30T18:30:00+00:00")
    rows = usage.table(run(i, 60, end_s=midnight_s - 1 + i) for i in range(2))

    assert grouping.months_of(rows, "Asia/Kolkata").to_pylist() == ["2024-11", "2024-12"]


def test_a_segment_row_says_what_the_file_has(shop: Town) -> None:
    """Path, sums and hash that the book keeps are those of the file."""
    take(shop, yuan(1, 100), yuan(2, 5, partition="new"))
    with shop.begin() as conn:
        [segment] = stored.segments(conn)
        unrated = conn.execute(select(schema.segment.c.unrated)).scalar_one()

    assert archive.verify(shop.archive, segment) == []
    assert (segment.rows, segment.charge_micro, unrated) == (2, 100_000_000, 1)


@pytest.mark.parametrize(("job", "found"), [("16_2", [18]), ("18", [18]), ("16", [16]), ("2", [])])
def test_a_job_is_found_by_either_number(shop: Town, job: str, found: list[int]) -> None:
    """A job is found by Slurm's own number and by the one that people see, with its last row."""
    take(shop, yuan(16, 1), yuan(18, 2, job="16_2"))
    take(shop, yuan(18, 3, job="16_2"))

    with shop.begin() as conn:
        rows = stored.of_job(conn, shop.archive, job)

    assert rows.column("job_id").to_pylist() == found
    assert set(rows.column("cpus").to_pylist()) <= {1, 3}
    with shop.begin() as conn:
        assert stored.of_job(conn, shop.archive, job, "elsewhere").num_rows == 0
