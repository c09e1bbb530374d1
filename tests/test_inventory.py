"""proof/inventory.py and svoucher archive: whatever is wrong with the archive is named."""

import json
import re
import shutil
from pathlib import Path

import archived
import delivery
import duckdb
import polars as pl
import pyarrow as pa
import pytest
from delivery import DECEMBER, JANUARY, take, yuan
from homes import GOOD, HEADER, ROOT, furnished, one_line
from sqlalchemy import insert
from town import ACCOUNT, CLUSTER, Town, instant, stamp

from accounting.book import ledger, schema
from accounting.book.ledger import Entry
from accounting.proof import inventory
from accounting.proof.inventory import Finding
from accounting.runs import archive, usage
from accounting.runs.segment import COLUMNS
from accounting.settle import compacting

DOCS = (ROOT / "docs" / "archive.md").read_text(encoding="utf-8")


@pytest.fixture
def shop(town: Town) -> Town:
    """The town with two months of runs, one of them changed twice."""
    delivery.load_prices(town)
    take(town, yuan(1, 5), yuan(2, 6), yuan(3, 7, DECEMBER), at=DECEMBER)
    take(town, yuan(1, 8), at=DECEMBER)
    take(town, yuan(1, 9), at=DECEMBER, watermark=(CLUSTER, "ended", instant(JANUARY)))
    return town


def found(town: Town) -> list[Finding]:
    """Take stock of the archive."""
    with town.begin() as conn:
        return list(inventory.findings(conn, town.archive, town.policy.timezone))


def kinds(town: Town) -> list[str]:
    """Return the kinds of findings."""
    return [each.kind for each in found(town)]


def enter(town: Town, table: pa.Table, month: str = "2024-11") -> None:
    """Add a segment with its row to the archive, past everything that would refuse it."""
    segment = archive.write(town.archive, CLUSTER, month, table)
    row = {name: getattr(segment, name) for name in COLUMNS} | {"unrated": 0}
    act = Entry(f"usage:{segment.sha256}", "charge", stamp(), {"segment": [row], "charge": []})
    with town.begin() as conn:
        ledger.write(conn, act)


def rows_of(town: Town, job_id: int) -> pa.Table:
    """Return the stored row of a run that counts."""
    with town.begin() as conn:
        rows = archived.current(conn, town.archive, CLUSTER)
    return rows.filter(pa.compute.equal(rows.column("job_id"), job_id))


def revised(rows: pa.Table, revision: int, charge_micro: int) -> pa.Table:
    """Return a row with another revision and charge."""
    changed = [
        row | {"revision": revision, "charge_micro": charge_micro} for row in rows.to_pylist()
    ]
    return pa.Table.from_pylist(changed, schema=usage.STORED)


def test_a_sound_archive(shop: Town) -> None:
    """Nothing is found wrong with what was taken in, corrected and compacted."""
    assert found(shop) == []
    for month in ("2024-11", "2024-12"):
        delivery.close(shop, month)
    compacting.compact(shop.engine, shop.archive, CLUSTER, "2024-11", stamp(JANUARY))
    assert found(shop) == []
    with shop.begin() as conn:
        [november, december] = inventory.listed(conn)
    assert (november["segments"], november["files"], november["rows"]) == (3, 1, 4)
    assert (december["segments"], december["files"], december["rows"]) == (1, 1, 1)


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_file_that_is_not_what_the_book_says(shop: Town, harm: str) -> None:
    """A changed byte and a missing file are found."""
    file = sorted((shop.archive / "usage").rglob("*.parquet"))[0]
    whole = file.read_bytes()
    file.unlink() if harm == "missing" else file.write_bytes(whole[:-1] + b"?")
    assert kinds(shop)[0] == "file"
    assert found(shop)[0].subject == file.relative_to(shop.archive).as_posix()


def test_a_file_that_nobody_knows(shop: Town) -> None:
    """A file without a row in the book is found, and left where it is."""
    other = shop.archive / "usage" / "cluster=x" / "month=2024-11" / "f.parquet"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"")
    [one] = found(shop)
    assert (one.kind, one.subject) == ("unknown", "usage/cluster=x/month=2024-11/f.parquet")
    assert other.exists()


def test_a_compaction_that_was_interrupted(shop: Town) -> None:
    """Small files that were not put aside yet are found, and the next run puts them aside."""
    for month in ("2024-11", "2024-12"):
        delivery.close(shop, month)
    compacting.compact(shop.engine, shop.archive, CLUSTER, "2024-11", stamp(JANUARY))
    aside = shop.archive / "compacted" / "usage"
    shutil.copytree(aside, shop.archive / "usage", dirs_exist_ok=True)
    shutil.rmtree(aside)
    assert kinds(shop) == ["aside"] * 3
    take(shop, yuan(50, 1, JANUARY), at=JANUARY)
    assert found(shop) == []
    assert len(list(aside.rglob("*.parquet"))) == 3


@pytest.mark.parametrize("window", [1, 2, 1000])
def test_a_run_that_stands_twice(shop: Town, window: int, monkeypatch) -> None:
    """One revision of a run in two segments is found, in however many stretches it is sought."""
    monkeypatch.setattr(inventory, "WINDOW_ROWS", window)
    enter(shop, revised(rows_of(shop, 2), 0, 1))
    [one] = found(shop)
    assert (one.kind, one.subject) == ("twice", "job 2 of chengdu")


def test_a_revision_that_is_missing(shop: Town) -> None:
    """A run with revision 2 and no revision 1 is found, and one that begins with revision 1."""
    enter(shop, revised(rows_of(shop, 2), 2, 1))
    enter(shop, revised(rows_of(shop, 3), 5, 1), "2024-12")
    assert [(each.kind, each.subject) for each in found(shop)] == [
        ("gap", "job 2 of chengdu"),
        ("gap", "job 3 of chengdu"),
    ]


def test_a_run_in_the_wrong_month(shop: Town) -> None:
    """A run that stands in a month in which it did not end is found."""
    enter(shop, revised(rows_of(shop, 3), 1, 1), "2024-11")
    [one] = found(shop)
    assert "1 runs did not end in 2024-11" in one.message


def test_a_month_without_runs(shop: Town) -> None:
    """A month that is collected to its end and has no run is named; the running one is not."""
    with shop.begin() as conn:
        delivery.watermarks.advance(conn, CLUSTER, "ended", instant("2025-03-10T00:00:00+08:00"))
    assert [each.subject for each in found(shop)] == ["chengdu 2025-01", "chengdu 2025-02"]


def test_a_segment_row_without_a_file(shop: Town) -> None:
    """A row that was written without its file is found."""
    with shop.begin() as conn:
        seq = ledger.head(conn)[0] + 1
        row = dict.fromkeys(COLUMNS, 0) | {"unrated": 0, "seq": seq}
        row |= {"path": "usage/x", "cluster": CLUSTER, "month": "2024-11", "sha256": "0"}
        conn.execute(insert(schema.segment), row)
        assert "usage/x: is missing" in [
            each.message for each in inventory.findings(conn, shop.archive, "Asia/Shanghai")
        ]
        conn.rollback()


def block(language: str) -> str:
    """Return the example that the guide has in a language."""
    match = re.search(rf"```{language}\n(.*?)```", DOCS, re.S)
    assert match
    return match[1]


def test_the_guide_reads_the_archive(shop: Town, monkeypatch) -> None:
    """The guide's examples for DuckDB and Polars give what the book has charged."""
    take(shop, yuan(4, 3, voucher=None))
    for month in ("2024-11", "2024-12"):
        delivery.close(shop, month)
    monkeypatch.chdir(shop.archive.parent)
    assert shop.archive.name == "archive"
    expected = [(ACCOUNT, 3, (9 + 6 + 7) * 1_000_000)]
    for _ in range(2):
        assert duckdb.sql(block("sql")).fetchall() == expected
        scope: dict[str, pl.DataFrame] = {}
        exec(block("python"), scope)
        assert scope["result"].rows() == expected
        compacting.compact(shop.engine, shop.archive, CLUSTER, "2024-11", stamp(JANUARY))


def test_the_commands(tmp_path: Path) -> None:
    """archive list names months and files; verify says that all is sound, or exits with 5."""
    home = furnished(tmp_path / "home")
    rows = [GOOD, GOOD.replace("|7|", "|8|", 1).replace("7|", "8|", 1)]
    (tmp_path / "jobs.psv").write_text("\n".join([HEADER, *rows]) + "\n")
    home.ok("import", str(tmp_path / "jobs.psv"))
    [month] = json.loads(home.ok("archive", "list", "--json"))
    [file] = json.loads(home.ok("archive", "list", "--files", "--json"))
    assert (month["month"], month["files"], month["rows"]) == ("2016-12", 1, file["rows"])
    assert json.loads(home.ok("archive", "list", "--cluster", "other", "--json")) == []
    assert "1 files, 0 findings" in home.ok("archive", "verify")
    assert json.loads(home.ok("archive", "verify", "--json")) == []
    assert "one file already" in home.ok("archive", "compact", "2016-12", "--cluster", "pozidriv")
    (home.path / "archive" / file["path"]).unlink()
    done = home.run("archive", "verify", "--json")
    one_line(done, 5, "1 findings")
    assert json.loads(done.stdout)[0]["message"].endswith("is missing")


def test_compaction_leaves_no_report_waiting(tmp_path: Path) -> None:
    """What the days of the large file come to is there when the command has ended."""
    home = furnished(tmp_path / "home")
    for row in (GOOD, GOOD.replace("|7|", "|8|", 1).replace("7|", "8|", 1)):
        (tmp_path / "jobs.psv").write_text(f"{HEADER}\n{row}\n")
        home.ok("import", str(tmp_path / "jobs.psv"))
    report = "report", "usage", "--by", "day", "--cluster", "pozidriv", "--json"
    before = home.ok(*report)
    assert "2 rows of 2 files" in home.ok("archive", "compact", "2016-12", "--cluster", "pozidriv")
    [file] = json.loads(home.ok("archive", "list", "--files", "--json"))
    [sums] = (home.path / "archive" / "sums" / "Asia" / "Shanghai").rglob(
        f"{Path(file['path']).name}.sums"
    )
    made_ns = sums.stat().st_mtime_ns
    assert home.ok(*report) == before
    assert sums.stat().st_mtime_ns == made_ns
