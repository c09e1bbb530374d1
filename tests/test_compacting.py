"""settle/compacting.py: files become fewer, and nothing that anybody says of them changes."""

import shutil
from pathlib import Path

import archived
import delivery
import pytest
from delivery import (
    DECEMBER,
    FEBRUARY,
    JANUARY,
    close,
    findings,
    invoice,
    open_claim,
    run,
    take,
    yuan,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import a_run, rated
from sqlalchemy import Engine, func, select
from town import ACCOUNT, CLUSTER, PROVIDER, Town, stamp

from accounting.book import ledger, schema
from accounting.errors import InvariantBroken, Refused
from accounting.proof import backup
from accounting.redeem import backing, packing
from accounting.runs import archive, filing, places, usage
from accounting.settle import charging, compacting, refunding, stored

Q4 = f"C-{PROVIDER}-2024-Q4-1"
MONTHS = ("2024-11", "2024-12")


@pytest.fixture
def settled(town: Town) -> Town:
    """Two closed months of many segments, with corrections, a late price and a claim."""
    delivery.load_prices(town)
    for i in range(6):
        take(town, yuan(10 * i, 100 + i, qos="a"), yuan(10 * i + 1, 7, DECEMBER), at=DECEMBER)
    take(town, run(90, partition="new"), yuan(10, 90, qos="a"), at=DECEMBER)
    text = delivery.ROUND.replace("round-1", "round-2").replace("      dear:", "      new:", 1)
    delivery.load_prices(town, text, "round-2")
    charging.rate_again(town.engine, town.archive, town.policy, stamp(DECEMBER))
    for month in MONTHS:
        close(town, month)
        invoice(town, month)
    open_claim(town)
    return town


def compact(town: Town, month: str = "2024-11", at: str = JANUARY) -> dict | None:
    """Compact a month."""
    return compacting.compact(town.engine, town.archive, CLUSTER, month, stamp(at))


def listed(town: Town) -> list[str]:
    """Return the files that hold the archive, as the book says."""
    with town.begin() as conn:
        return sorted(file.path for file in places.files(conn))


def said(town: Town, folder: Path) -> dict[str, object]:
    """Return what readers make of the archive: rows, charges of a statement, evidence, unrated."""
    packet = folder / "packet.zip"
    with town.begin() as conn:
        packing.write(backing.Source(conn, town.archive, town.policy), Q4, packet)
        current = archived.current(conn, town.archive, CLUSTER)
        span = (0, None)
        charged = [
            stored.charged(conn, town.archive, ACCOUNT, month, span, town.policy.timezone)
            for month in MONTHS
        ]
        run_ = (CLUSTER, 10, *_times(current, 10))
        revised = refunding.revisions(conn, town.archive, run_)
        return {
            "current": usage.runs(current),
            "charged": [rows.to_pylist() for rows in charged],
            "packet": packet.read_bytes(),
            "unrated": stored.unrated(conn, town.archive).to_pylist(),
            "of job": stored.of_job(conn, town.archive, "10").to_pylist(),
            "revisions": [(seq, rows.to_pylist()) for seq, rows in revised],
            "segments": archive.read(town.archive, stored.segments(conn)).num_rows,
            "findings": findings_in(town, conn),
        }


def findings_in(town: Town, conn) -> list:
    """Audit within a transaction."""
    books = delivery.audit.Books(conn, town.archive, town.policy, delivery.papers_of(town))
    return delivery.audit.findings(books)


def _times(rows, job_id: int) -> tuple[int, int]:
    [own] = [row for row in rows.to_pylist() if row["job_id"] == job_id]
    return own["submit_s"], own["start_s"]


def test_readers_see_no_difference(settled: Town, tmp_path: Path) -> None:
    """Runs, statements, a claim's packet and the audit are the same before and after."""
    before, files = said(settled, tmp_path), listed(settled)
    made = [compact(settled, month) for month in MONTHS]
    assert [row and row["files"] for row in made] == [8, 6]

    assert said(settled, tmp_path) == before
    assert before["findings"] == []
    assert len(listed(settled)) == 2
    assert filing.files(settled.archive) == listed(settled)
    aside = (settled.archive / filing.COMPACTED).rglob("*.parquet")
    names = [path.relative_to(settled.archive / filing.COMPACTED).as_posix() for path in aside]
    assert sorted(names) == files


def test_life_goes_on_as_without_it(settled: Town, tmp_path: Path) -> None:
    """Late runs, corrections, refunds and later statements come out as in a town that never
    compacted, and a month can be compacted once more."""
    twin = _twin(settled, tmp_path / "twin")
    for town in (settled, twin):
        if town is settled:
            assert compact(town)
        take(town, yuan(10, 80, qos="a"), yuan(500, 3), at=JANUARY)  # corrected again; late
        if town is settled:
            again = compact(town)
            assert again
            assert again["files"] == 2
        key = (CLUSTER, 20, *_times_of(town, 20))
        refunding.refund(town.engine, town.archive, key, "lost", town.policy, stamp(JANUARY))
        take(town, yuan(600, 11, JANUARY), at=JANUARY)
        close(town, "2025-01", at=FEBRUARY)

    leave_out = ("compaction",)
    assert delivery.content(settled.engine, leave_out) == delivery.content(twin.engine, leave_out)
    assert findings(settled) == []


def _twin(town: Town, folder: Path) -> Town:
    """Copy a town."""
    saved = folder / "saved"
    folder.mkdir()
    backup.back_up(town.engine, town.archive, folder / "papers", folder / "none", saved)
    engine = ledger.connect(f"sqlite:///{folder / 'book.db'}", must_exist=False)
    backup.restore(saved, engine, folder / "archive", folder / "papers")
    return Town(engine, folder / "archive", town.keys)


def _times_of(town: Town, job_id: int) -> tuple[int, int]:
    with town.begin() as conn:
        return _times(archived.current(conn, town.archive, CLUSTER), job_id)


def test_twice_is_once(settled: Town) -> None:
    """A month that stands in one file is left alone."""
    assert compact(settled)
    with settled.begin() as conn:
        before = ledger.head(conn)
    assert compact(settled) is None
    with settled.begin() as conn:
        assert ledger.head(conn) == before


def test_only_closed_months(settled: Town) -> None:
    """While a provider may still add to a month, it is refused by name."""
    take(settled, yuan(700, 1, JANUARY), at=JANUARY)
    take(settled, yuan(701, 1, JANUARY), at=JANUARY)
    with pytest.raises(Refused, match=f"2025-01 of chengdu: not closed by {PROVIDER}"):
        compact(settled, "2025-01")


def test_what_is_damaged_is_not_compacted(settled: Town) -> None:
    """A file that is not what the book says stops it, and nothing has changed."""
    path = listed(settled)[0]
    file = settled.archive / path
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    before = filing.files(settled.archive)
    with pytest.raises(InvariantBroken, match=r"SHA-256 is .*; run svoucher archive verify"):
        compact(settled)
    assert filing.files(settled.archive) == before
    with settled.begin() as conn:
        assert conn.execute(select(func.count()).select_from(schema.compaction)).scalar() == 0


def test_who_began_before_can_go_on(settled: Town) -> None:
    """Segments that were listed before a compaction can still be read and verified after it."""
    with settled.begin() as conn:
        before = stored.segments(conn)
    rows = archive.read(settled.archive, before)
    compact(settled)
    assert archive.read(settled.archive, before) == rows
    assert [problem for s in before for problem in archive.verify(settled.archive, s)] == []


@pytest.mark.parametrize("harm", ["changed", "missing", "other"])
def test_a_damaged_compaction_is_found(settled: Town, harm: str) -> None:
    """Whatever becomes of the large file, the audit names it, and reading it says so."""
    row = compact(settled)
    assert row
    file = settled.archive / row["path"]
    match harm:
        case "changed":
            file.write_bytes(file.read_bytes()[:-1] + b"?")
        case "missing":
            file.unlink()
        case "other":
            old = next((settled.archive / filing.COMPACTED).rglob("*.parquet"))
            shutil.copy(old, file)
    found = {finding.rule: finding for finding in findings(settled)}
    assert set(found) == {"archive", "replay"}
    assert found["archive"].subject == f"segment {row['path']}"


def test_a_restored_backup_needs_no_file_of_before(
    settled: Town, blank: Engine, tmp_path: Path
) -> None:
    """A backup has the large files alone, and what is restored from it adds up."""
    before = said(settled, tmp_path)
    for month in MONTHS:
        compact(settled, month)
    saved = tmp_path / "saved"
    backup.back_up(settled.engine, settled.archive, tmp_path / "p", tmp_path / "none", saved)
    restored = Town(blank, tmp_path / "new", settled.keys)
    backup.restore(saved, blank, restored.archive, tmp_path / "papers")
    assert filing.files(restored.archive) == listed(settled)
    assert said(restored, tmp_path) == before


SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=8)


@settings(deadline=None)
@given(SIZES, st.integers(1, 7))
def test_every_segment_comes_back(tmp_path_factory, sizes: list[int], group_rows: int) -> None:
    """However rows fall into row groups, each segment is read from the large file as it was, and
    written anew it is the same file to the byte."""
    root = tmp_path_factory.mktemp("archive")
    segments, number = [], 0
    for size in sizes:
        runs = [a_run(job_id=number + i, voucher=None if i % 2 else f"V-{i}") for i in range(size)]
        number += size
        rows = rated(usage.table(runs), charge_micro=number, gflops_s=size)
        segments.append(archive.write(root, "chengdu", "2024-07", rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compacting, "GROUP_ROWS", group_rows)
        row = compacting._write(root, "chengdu", "2024-07", segments)
    first_row = 0
    for segment in segments:
        known = {name: getattr(segment, name) for name in compacting.COLUMNS}
        within = compacting.places.Within(row["path"], row["sha256"], first_row)
        moved = archive.Segment(**known, within=within)
        first_row += segment.rows
        assert archive.verify(root, moved) == []
        other = root / "again"
        again = archive.write(other, "chengdu", "2024-07", archive.read(root, [moved]))
        assert again == segment
    assert row["rows"] == first_row
