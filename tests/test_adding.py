"""settle/adding.py: statements are those of the runs, whatever is kept of what segments add."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import delivery
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delivery import DECEMBER, FEBRUARY, JANUARY, close, findings, lines, run, statement, take, yuan
from sqlalchemy import Engine
from town import CLUSTER, POLICY, Town, stamp

from accounting.errors import InvalidInput, InvariantBroken
from accounting.proof import backup, inventory
from accounting.runs import places
from accounting.settle import adding, compacting, grouping, keeping

ZONE = POLICY.timezone
LINE = ("partition", "qos", "runs", "charge_micro", "eligible_micro", "fee_fen", "deduction_fen")
PLAIN = [
    ("core", "a", 2, 130_000_000, 130_000_000, 13_000, 6_500),
    ("core", "b", 1, 50_000_000, 50_000_000, 5_000, 2_500),
]
"""The lines of November, worked out by hand."""


def kept(town: Town) -> list[Path]:
    """List what is kept of segments for statements."""
    return sorted((town.archive / keeping.FOLDER).rglob(f"*{grouping.KIND.suffix}"))


def wrong(town: Town) -> list[tuple[str, str]]:
    """Return what is wrong with the archive."""
    with town.begin() as conn:
        found = inventory.findings(conn, town.archive, ZONE)
        # the town is collected up to 2030, and nothing ran in most of its months
        return [(each.kind, Path(each.subject).suffix) for each in found if each.kind != "month"]


def no_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody sum runs up."""
    monkeypatch.setattr(adding.Sums, "_sum_up", lambda _self, _conn, paths: paths and 1 / 0)


@pytest.fixture
def shop(town: Town) -> Town:
    """A town with three runs of November in two segments; one was corrected, its QOS, too."""
    delivery.load_prices(town)
    take(town, yuan(1, 100, qos="b"), yuan(2, 30, qos="a"))
    take(town, yuan(1, 100, qos="a"), yuan(3, 50, qos="b"), at=DECEMBER)
    return town


def test_a_statement_reads_no_runs(shop: Town, monkeypatch) -> None:
    """What was kept when usage was written is all that a statement needs, corrections and all."""
    no_runs(monkeypatch)
    close(shop, "2024-11")
    assert lines(shop, "2024-11", *LINE) == PLAIN
    monkeypatch.undo()
    assert findings(shop) == []
    assert wrong(shop) == []


def test_what_is_missing_is_summed_up_and_kept(shop: Town, monkeypatch) -> None:
    """Without anything that is kept the runs say the same, and then it is kept."""
    before = {each: each.read_bytes() for each in kept(shop)}
    assert len(before) == 2
    for each in before:
        each.unlink()
    close(shop, "2024-11")
    assert lines(shop, "2024-11", *LINE) == PLAIN
    assert kept(shop) == [*before]
    assert wrong(shop) == []


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _turned(content: bytes) -> bytes:
    """Turn one bit."""
    changed = bytearray(content)
    changed[40] ^= 1
    return bytes(changed)


@pytest.mark.parametrize("tear", [lambda _: b"", lambda _: b"PAR1", _cut, _turned])
def test_what_is_torn_is_not_believed(shop: Town, tear: Callable[[bytes], bytes]) -> None:
    """What a power cut left half, or a bit that turned, changes no statement."""
    for each in kept(shop):
        each.write_bytes(tear(each.read_bytes()))
    close(shop, "2024-11")
    assert lines(shop, "2024-11", *LINE) == PLAIN


def forge(path: Path, change: Callable[[dict[str, Any]], None], version: bytes = b"1") -> None:
    """Change each line that is kept in a file, checksums and all."""
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        change(row)
    schema = grouping.LINES.with_metadata({"version": version})
    with pq.ParquetWriter(path, schema, **grouping.KIND.written) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _dearer(row: dict[str, Any]) -> None:
    row["charge_micro"] += 10_000_000


def _less_eligible(row: dict[str, Any]) -> None:
    row["eligible_micro"] -= 10_000_000


def _another_month(row: dict[str, Any]) -> None:
    row["month"] = "2024-10"


def _another_account(row: dict[str, Any]) -> None:
    row["account"] = "CD24-0002"


@pytest.mark.parametrize("change", [_dearer, _less_eligible, _another_month, _another_account])
def test_what_the_book_does_not_say_is_not_believed(
    shop: Town, change: Callable[[dict[str, Any]], None]
) -> None:
    """Kept lines that do not come to the charges in the book change no statement."""
    for each in kept(shop):
        forge(each, change)
    assert wrong(shop) == [("sums", ".lines")] * 2
    close(shop, "2024-11")
    assert lines(shop, "2024-11", *LINE) == PLAIN
    assert wrong(shop) == []  # kept anew
    assert findings(shop) == []


def test_another_version_is_not_believed(shop: Town) -> None:
    """What another release has kept is summed up anew."""
    for each in kept(shop):
        forge(each, _split, b"0")
    close(shop, "2024-11")
    assert lines(shop, "2024-11", *LINE) == PLAIN


def _split(row: dict[str, Any]) -> None:
    row["partition"], row["runs"] = "dear", row["runs"] + 1


def test_a_forged_split_is_found(shop: Town) -> None:
    """Lines that come to what the book says and are split otherwise make a statement of the right
    amount with wrong lines: the archive's verification finds it before, the audit after."""
    for each in kept(shop):
        forge(each, _split)
    assert wrong(shop) == [("sums", ".lines")] * 2
    close(shop, "2024-11")
    assert lines(shop, "2024-11", *LINE) != PLAIN
    assert statement(shop, "2024-11", "fee_fen", "deduction_fen") == (18_000, 9_000)
    named = {each.message for each in findings(shop)}
    assert {each.rule for each in findings(shop)} == {"replay"}
    assert "partition comes out as core, written is dear" in named


def test_the_audit_believes_nothing_that_is_kept(shop: Town) -> None:
    """A right statement stays right, whatever is kept afterwards; nothing is kept by an audit."""
    close(shop, "2024-11")
    for each in kept(shop):
        forge(each, _split)
    assert findings(shop) == []
    for each in kept(shop):
        each.unlink()
    assert findings(shop) == []
    assert kept(shop) == []


def test_a_segment_that_is_gone_or_shorter_is_told(shop: Town) -> None:
    """What is kept does not stand in for a file that is not there as the book knows it."""
    with shop.begin() as conn:
        path = shop.archive / places.files(conn)[0].path
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(InvariantBroken, match="cannot be read"):
        close(shop, "2024-11")
    path.unlink()
    with pytest.raises(InvariantBroken, match="is missing"):
        close(shop, "2024-11")
    path.write_bytes(content)
    close(shop, "2024-11")
    assert lines(shop, "2024-11", *LINE) == PLAIN


def test_a_late_run_that_was_compacted_before_it_was_stated(shop: Town) -> None:
    """Of segments that stand in a larger file nothing is kept; their runs are stated all the
    same, and once."""
    close(shop, "2024-11")
    take(shop, yuan(4, 7, qos="a"), replace(yuan(1, 100, qos="a"), cpus=90), at=JANUARY)
    compacting.compact(shop.engine, shop.archive, CLUSTER, "2024-11", stamp(JANUARY))
    take(shop, run(5, 60, DECEMBER), at=JANUARY)
    assert len(kept(shop)) == 1
    close(shop, "2024-12")
    assert lines(shop, "2024-12", "usage_month", "runs", "charge_micro") == [
        ("2024-11", 1, -3_000_000),
        ("2024-12", 1, 16_667),
    ]
    assert findings(shop) == []


def test_a_restored_archive_has_none(shop: Town, blank: Engine, tmp_path: Path) -> None:
    """A backup leaves out what is nobody's evidence; what is restored closes with the same."""
    saved = tmp_path / "saved"
    backup.back_up(shop.engine, shop.archive, tmp_path / "papers", Path("/nonexistent"), saved)
    home = tmp_path / "home"
    backup.restore(saved, blank, home / "archive", home / "papers")
    restored = Town(blank, home / "archive", shop.keys)
    assert kept(restored) == []
    close(restored, "2024-11")
    assert lines(restored, "2024-11", *LINE) == PLAIN
    assert len(kept(restored)) == 2


def test_who_closes_a_single_account_states_nothing_twice(shop: Town, monkeypatch) -> None:
    """One account's month, late runs, and then everybody's: each charge is stated once."""
    close(shop, "2024-11", account="CD24-0001")
    take(shop, yuan(4, 7, qos="a"), at=JANUARY)
    no_runs(monkeypatch)
    close(shop, "2024-11", at=JANUARY)
    close(shop, "2024-12")
    close(shop, "2025-01", at=FEBRUARY)
    monkeypatch.undo()
    assert lines(shop, "2024-12", "usage_month", "charge_micro") == [("2024-11", 7_000_000)]
    assert findings(shop) == []


def test_what_64_bits_do_not_hold_is_refused() -> None:
    """Sums that Arrow would let go round are refused; the largest that fits comes out exact."""
    row = dict.fromkeys(grouping.LINES.names, "x") | dict.fromkeys(
        ("runs", "gflops_s", "charge_micro", "eligible_micro"), 1
    )
    most = row | {"charge_micro": 2**62}
    one_less = most | {"charge_micro": 2**62 - 1}
    whole = pa.Table.from_pylist([most, one_less], schema=grouping.LINES)
    [(group, _)] = grouping.together([whole])
    assert group.charge_micro == 2**63 - 1
    with pytest.raises(InvalidInput, match="charge_micro of 2 runs come to more than 64 bits hold"):
        grouping.together([pa.Table.from_pylist([most, most], schema=grouping.LINES)])
