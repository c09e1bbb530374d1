"""A whole archive rated by another price list: sums that add up, whoever makes them."""

import gc
import json
import os
import signal
from collections.abc import Iterator

import delivery
import pyarrow.parquet as pq
import pytest
from delivery import NOVEMBER, ROUND, close, load_prices, run, statement, take, yuan
from distributed import LocalCluster
from homes import GOOD, HEADER, PRICES, Home, furnished, one_line
from town import ACCOUNT, Town

from accounting import money
from accounting.errors import SlurmUnavailable, Unavailable
from accounting.rates import pricelists
from accounting.runs import archive
from accounting.settle import rerating, stored
from accounting.settle.rerating import Place, Sums
from slurm_voucher import workers
from slurm_voucher.cli import rerate
from slurm_voucher.workers import Where

TWICE = ROUND.replace("round-1", "round-2").replace('core_hour: "1.00"', 'core_hour: "2.00"')
MICRO = money.MICRO_PER_YUAN
LOOPBACK = {"host": workers.LOOPBACK, "dashboard_address": f"{workers.LOOPBACK}:0"}
"""Where a test's own scheduler listens."""


@pytest.fixture
def tidied() -> Iterator[None]:
    """Let what Dask leaves behind go within the test that made it, where its warnings are no
    errors, and not in whichever one comes next."""
    yield
    gc.collect()


@pytest.fixture
def delivered(town: Town) -> Town:
    """A year's end: runs in twelve segments of two months, one changed, one free, one unrated."""
    load_prices(town)
    for day in range(10, 20):
        end = f"2024-{11 + day % 2}-{day}T12:00:00+08:00"
        take(town, *(yuan(100 * day + i, day + i, end) for i in range(5)))
    take(town, run(1, cpus=7), run(2, state="NODE_FAIL"), run(3, partition="unheard"), at=NOVEMBER)
    take(town, run(1, cpus=9), at=NOVEMBER)
    take(town, yuan(4, 5, voucher=None))
    return town


def asked(town: Town, version: str = "round-1"):
    """Return segments and the rest of what rating them takes."""
    with town.begin() as conn:
        prices = rerating.prices_of(conn, pricelists.loaded(conn, version), town.policy)
        newer = rerating.revised(conn, town.archive)
        whose = rerating.owners_of(conn, town.archive)
        return stored.segments(conn), (newer, prices, whose, town.policy.timezone)


def rerated(town: Town, version: str = "round-1") -> Sums:
    """Rate everything again, one segment after the other."""
    segments, rest = asked(town, version)
    sums = Sums()
    for segment in segments:
        sums.add(rerating.of_segment(town.archive, segment, *rest))
    return sums


def test_the_same_prices_give_the_same_charges(delivered) -> None:
    """By the price list in force every sum is what was charged, latest revisions alone."""
    sums = rerated(delivered)

    assert sums.was_micro == sums.micro
    assert sums.micro.keys() <= sums.runs.keys()
    core = Place(ACCOUNT, "2024-11", "chengdu", "core")
    days = (10, 12, 14, 16, 18)
    assert sums.micro[core] == MICRO * (9 + sum(5 * day + 10 for day in days))
    assert sums.micro[core._replace(account="")] == 5 * MICRO
    assert sum(sums.runs.values()) == 54
    assert list(sums.unrated) == [core._replace(partition="unheard")]
    assert list(sums.reasons) == [
        "partition chengdu/unheard is not in tariff round-1; add it with a price"
    ]


def test_what_is_priced_beforehand_stands_in_its_place(delivered) -> None:
    """Where one partition counts by the minute, its runs cost what they cost, and there."""
    dear = 'prices: [{from: 2023-07-01, yuan_per_core_hour: "200.00"}]'
    by_minute = "        terms: [{from: 2023-07-01, per: minute}]"
    load_prices(
        delivered, ROUND.replace("round-1", "m-1").replace(dear, f"{dear}\n{by_minute}"), "m-1"
    )
    take(delivered, run(5, partition="dear"))
    place = Place(ACCOUNT, "2024-11", "chengdu", "dear")

    sums = rerated(delivered, "m-1")

    assert sums.was_micro[place] == sums.micro[place] == 200 * MICRO
    assert sums.micro.keys() <= sums.runs.keys()


def test_runs_without_a_price_are_never_nought(delivered) -> None:
    """A price list that does not know a partition counts its runs as unrated, at no price."""
    none = ROUND.replace("round-1", "none-1").replace("      core:", "      heart:")
    load_prices(delivered, none, "none-1")
    place = Place(ACCOUNT, "2024-11", "chengdu", "core")

    sums = rerated(delivered, "none-1")

    assert (sums.runs[place], sums.unrated[place]) == (5 * 5 + 2, 5 * 5 + 1)
    assert sums.micro[place] == 0
    assert sums.was_micro[place] > 0
    _, (_, prices, *_) = asked(delivered, "none-1")
    shown = {(row["account"], row["month"]): row for row in rerate._by_account(sums, prices)}
    november, december = (shown[ACCOUNT, month] for month in ("2024-11", "2024-12"))
    assert november["now"] is november["difference"] is november["voucher_part"] is None
    assert december["voucher_part"] is None


def test_runs_that_get_a_price_get_their_account(delivered) -> None:
    """By a list that knows the partition a run is its account's, as rating it again would say."""
    heard = ROUND.replace("round-1", "all-1").replace("      other:", "      unheard:")
    heard = heard.replace("provider: nscc-cd", "provider: cdaicc")
    load_prices(delivered, heard, "all-1")
    place = Place(ACCOUNT, "2024-11", "chengdu", "unheard")

    first = rerated(delivered, "all-1")
    delivery.charging.rate_again(
        delivered.engine, delivered.archive, delivered.policy, delivery.stamp(NOVEMBER)
    )

    assert first.micro[place] == rerated(delivered, "all-1").was_micro[place] == MICRO


def test_other_prices_stand_beside_what_was_charged(delivered) -> None:
    """At twice the price everything costs twice as much, and nothing is written."""
    load_prices(delivered, TWICE, "round-2")
    before = delivery.content(delivered.engine)

    sums = rerated(delivered, "round-2")

    assert sums.micro == {place: 2 * micro for place, micro in sums.was_micro.items() if micro}
    assert delivery.content(delivered.engine) == before


def test_what_vouchers_would_bear_is_what_statements_deduct(delivered) -> None:
    """By the same prices the draw-down of the sums is the deduction of each statement."""
    _, (_, prices, *_) = asked(delivered)

    drawn = {
        month: sum(by_voucher.values())
        for account, month, by_voucher in rerating.drawn_fen(rerated(delivered), prices)
        if account == ACCOUNT
    }

    with delivered.begin() as conn:
        unrated = stored.unrated(conn, delivered.archive)
    assert unrated.num_rows == 1
    load_prices(delivered, ROUND.replace("round-1", "all-1").replace("other:", "unheard:"), "all-1")
    delivery.charging.rate_again(
        delivered.engine, delivered.archive, delivered.policy, delivery.stamp(NOVEMBER)
    )
    for month in ("2024-11", "2024-12"):
        close(delivered, month)
    assert {month: statement(delivered, month, "deduction_fen")[0] for month in drawn} == drawn


def test_a_segment_in_parts_is_the_segment(delivered, monkeypatch) -> None:
    """Sums do not depend on how many rows are read at a time."""
    whole = rerated(delivered)
    real = archive.batches
    monkeypatch.setattr(
        archive, "batches", lambda root, segment, columns, _=0: real(root, segment, columns, 2)
    )

    assert rerated(delivered) == whole


def test_only_segments_with_revisions_are_read_for_them(delivered) -> None:
    """What a segment's footer says of revisions is what its rows say."""
    for segment in asked(delivered)[0]:
        rows = pq.read_table(delivered.archive / segment.path, columns=["revision"])
        newest = max(rows.column("revision").to_pylist())

        assert archive.has_revisions(delivered.archive, segment) == (newest > 0)


@pytest.mark.usefixtures("tidied")
@pytest.mark.filterwarnings("default")
def test_two_workers_give_the_same_though_one_is_killed(delivered) -> None:
    """Two worker processes, of which one is killed in the middle, give the serial result."""
    segments, rest = asked(delivered)
    killed = []

    with workers.client(Where(None, 2, None)) as dask:
        pids = dask.run(os.getpid)

        def kill_one(done: int) -> None:
            if done == 3:
                killed.append(pids.popitem()[1])
                os.kill(killed[0], signal.SIGKILL)

        sums = workers.total(
            dask, rerating.of_segment, delivered.archive, segments, *rest, progress=kill_one
        )

    assert sums == rerated(delivered)
    assert killed
    assert len(segments) > 3
    with pytest.raises(ProcessLookupError):
        os.kill(killed[0], 0)


@pytest.mark.usefixtures("tidied")
@pytest.mark.filterwarnings("default")
def test_the_only_worker_is_killed(delivered) -> None:
    """Where the only worker dies, the one that takes its place gives the serial result."""
    segments, rest = asked(delivered)

    with workers.client(Where(None, 1, None)) as dask:
        [pid] = dask.run(os.getpid).values()
        sums = workers.total(
            dask,
            rerating.of_segment,
            delivered.archive,
            segments,
            *rest,
            progress=lambda done: os.kill(pid, signal.SIGKILL) if done == 3 else None,
        )

    assert sums == rerated(delivered)


@pytest.mark.usefixtures("tidied")
@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_goes_away(delivered) -> None:
    """Where the scheduler ends in the middle that is one error, and can be tried again."""
    segments, rest = asked(delivered)
    with (
        LocalCluster(n_workers=1, **LOOPBACK) as cluster,
        pytest.raises(Unavailable, match=r"^scheduler: .*start again$"),
        workers.client(Where(cluster.scheduler_address, 1, None)) as dask,
    ):
        workers.total(
            dask,
            rerating.of_segment,
            delivered.archive,
            segments,
            *rest,
            progress=lambda done: cluster.close() if done == 2 else None,
        )


@pytest.mark.usefixtures("tidied")
@pytest.mark.filterwarnings("default")
def test_no_worker_is_left(delivered, monkeypatch) -> None:
    """Where the last worker goes and none takes its place, nobody waits for ever."""
    monkeypatch.setattr(workers, "START_S", 2)
    segments, rest = asked(delivered)

    with (
        LocalCluster(n_workers=1, **LOOPBACK) as cluster,
        pytest.raises(Unavailable, match=r"^workers: 0 are left for 2 s, 1 is needed"),
        workers.client(Where(cluster.scheduler_address, 1, None)) as dask,
    ):
        workers.total(
            dask,
            rerating.of_segment,
            delivered.archive,
            segments * 50,
            *rest,
            progress=lambda done: cluster.scale(0) if done == 1 else None,
        )


@pytest.mark.usefixtures("tidied")
@pytest.mark.filterwarnings("default")
def test_a_scheduler_that_is_not_there(monkeypatch) -> None:
    """A scheduler that does not answer is named, with what to do, and can be tried again."""
    monkeypatch.setattr(workers, "CONNECT_S", 1)

    with (
        pytest.raises(Unavailable, match=r"^scheduler tcp://127\.0\.0\.1:9: .*is it running\?$"),
        workers.client(Where("tcp://127.0.0.1:9", 2, None)),
    ):
        pass


def test_slurm_that_is_not_there(monkeypatch) -> None:
    """Workers cannot be Slurm jobs where there is no sbatch."""
    monkeypatch.setenv("PATH", "")

    with (
        pytest.raises(SlurmUnavailable, match=r"^sbatch: not found"),
        workers.client(Where(None, 2, "core")),
    ):
        pass


@pytest.mark.usefixtures("tidied")
@pytest.mark.filterwarnings("default")
def test_a_scheduler_without_workers(monkeypatch) -> None:
    """Where no worker comes in time that is said, and nobody waits for ever."""
    monkeypatch.setattr(workers, "CONNECT_S", 1)

    with (
        LocalCluster(n_workers=0, **LOOPBACK) as cluster,
        pytest.raises(Unavailable, match=r"^workers: 0 came within 1 s, 1 is needed"),
        workers.client(Where(cluster.scheduler_address, 2, None)),
    ):
        pass


def test_the_command(tmp_path) -> None:
    """svoucher rerate shows both sums, by a price list of the book or of a file."""
    home: Home = furnished(tmp_path / "home")
    assert home.ok("rerate") == "nothing to show\n"
    (tmp_path / "usage.psv").write_text(f"{HEADER}\n{GOOD}\n")
    home.ok("import", str(tmp_path / "usage.psv"), "--timezone", "UTC")
    dearer = tmp_path / "dearer.yaml"
    dearer.write_text(PRICES.read_text().replace('core_hour: "0.03"', 'core_hour: "0.05"'))

    [now] = json.loads(home.ok("rerate", "--by", "partition", "--json"))
    [then] = json.loads(home.ok("rerate", "--prices", str(dearer), "--json"))

    assert now == {
        "account": None, "month": "2016-12", "cluster": "pozidriv", "partition": "any",
        "runs": 1, "unrated": 0, "was": "0.120000", "now": "0.120000", "difference": "0.000000",
    }  # fmt: skip
    assert then == {
        "account": None, "month": "2016-12", "runs": 1, "unrated": 0, "was": "0.120000",
        "now": "0.200000", "difference": "0.080000", "voucher_part": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--tariff", "nothing-1"], 3, "tariff nothing-1: none is loaded"),
        (["--prices", "nowhere.yaml"], 3, "nowhere.yaml: No such file or directory; check"),
        (["--slurm-partition", "core"], 4, "sbatch: not found"),
        (["--scheduler", "nowhere"], 3, "'nowhere': is no address"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, options, code, words) -> None:
    """An unknown price list, and workers that cannot be had, are one line."""
    home: Home = furnished(tmp_path)
    monkeypatch.setenv("PATH", "")

    one_line(home.run("rerate", *options), code, words)


@pytest.mark.parametrize(
    "options", ["--workers=3", "--distributed --scheduler=tcp://h:1", "--tariff=a --prices=b"]
)
def test_what_contradicts_itself_is_wrong_usage(tmp_path, options) -> None:
    """Options that say two things, or nothing, are refused."""
    assert furnished(tmp_path).run("rerate", *options.split()).exit_code == 2


def test_an_archive_that_is_broken(tmp_path) -> None:
    """A segment that is missing, or is no Parquet, ends it with exit 5 and the file's name."""
    home: Home = furnished(tmp_path / "home")
    (tmp_path / "usage.psv").write_text(f"{HEADER}\n{GOOD}\n")
    home.ok("import", str(tmp_path / "usage.psv"), "--timezone", "UTC")
    [file] = (tmp_path / "home" / "archive" / "usage").rglob("*.parquet")

    file.write_bytes(b"PAR1 nonsense PAR1")
    one_line(home.run("rerate"), 5, file.name, "cannot be read")
    file.unlink()
    one_line(home.run("rerate"), 5, file.name, "is missing; restore it")


def test_unrated_runs_are_told_beside_the_table(tmp_path) -> None:
    """What has no price stands as null in the rows, and its reason on stderr, not among them."""
    home: Home = furnished(tmp_path / "home")
    (tmp_path / "usage.psv").write_text(f"{HEADER}\n{GOOD}\n")
    home.ok("import", str(tmp_path / "usage.psv"), "--timezone", "UTC")
    other = tmp_path / "other.yaml"
    other.write_text(PRICES.read_text().replace("  pozidriv:", "  elsewhere:"))

    done = home.run("rerate", "--prices", str(other), "--json")

    [row] = json.loads(done.stdout)
    assert (row["unrated"], row["now"], row["difference"]) == (1, None, None)
    assert done.stderr.startswith("1 unrated by tariff example-1: partition pozidriv/any is not")
