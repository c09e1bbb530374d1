"""settle/daysums.py, summing.py: sums that are kept are those of the runs, whatever happens."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from delivery import DECEMBER, close, load_prices, run, take, yuan
from town import CLUSTER, POLICY, Town, stamp

from accounting.errors import InvariantBroken
from accounting.proof import inventory
from accounting.runs import places
from accounting.runs.segment import Segment
from accounting.settle import charges, compacting, cutting, hours, keeping
from accounting.settle.summing import Asked

ZONE = POLICY.timezone
DAYS = Asked("day", ZONE)


def files(town: Town) -> list[Segment]:
    """List the files of the archive."""
    with town.begin() as conn:
        return places.files(conn)


def kept(town: Town) -> list[Path]:
    """List the sums that are kept."""
    return sorted((town.archive / keeping.FOLDER).rglob("*.sums"))


def usage(town: Town, asked: Asked = DAYS) -> dict[tuple[str, str], hours.Hours]:
    """Report the usage of the town's cluster."""
    return hours.usage(town.archive, files(town), asked)


def findings(town: Town) -> list[str]:
    """Return what is wrong with the archive."""
    with town.begin() as conn:
        return [each.kind for each in inventory.findings(conn, town.archive, ZONE)]


@pytest.fixture
def busy(town: Town) -> Town:
    """A town with three runs in two months, one of them corrected later."""
    load_prices(town)
    one = run(1, 3600, cpus=4)
    take(town, one, run(2, 1800, user="wang"))
    take(town, run(3, 60, DECEMBER), replace(one, cpus=8), at="2024-12-20T12:00:00+08:00")
    return town


def test_import_keeps_them_and_a_report_only_reads(busy: Town, monkeypatch) -> None:
    """After usage was taken in each file has its sums, and no report counts a run again."""
    assert len(kept(busy)) == len(files(busy)) == 3
    found = usage(busy)
    for each in kept(busy):
        each.unlink()
    assert usage(busy) == found
    assert len(kept(busy)) == 3
    monkeypatch.setattr(cutting, "by_day", None)
    assert usage(busy) == found
    assert sum(own.cpu_s for own in found.values()) == 3600 * 8 + 1800 * 1 + 60 * 1


def test_another_zone_has_its_own(busy: Town) -> None:
    """A report in UTC keeps the days of UTC beside the others."""
    found = usage(busy, replace(DAYS, timezone="UTC"))
    assert len(kept(busy)) == 6
    assert usage(busy, replace(DAYS, timezone="UTC")) == found


@pytest.mark.parametrize("torn", [b"", b"PAR1", None])
def test_what_is_torn_is_counted_anew(busy: Town, torn: bytes | None) -> None:
    """Sums that a power cut left half, or of which a bit turned, are not believed."""
    found = usage(busy)
    for each in kept(busy):
        content = bytearray(each.read_bytes())
        content[40] ^= 1
        each.write_bytes(bytes(content) if torn is None else torn)
    assert usage(busy) == found
    assert findings(busy) == []


def test_without_its_file_nothing_is_told(busy: Town) -> None:
    """Sums of a file that is gone, or has another length, are not told as if it were there."""
    path = busy.archive / files(busy)[0].path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvariantBroken, match="cannot be read"):
        usage(busy)
    path.unlink()
    with pytest.raises(InvariantBroken, match="is missing"):
        usage(busy)


def test_where_nothing_can_be_written(busy: Town, monkeypatch) -> None:
    """A report on a full disk, or by somebody who may only read, tells the same."""
    found = usage(busy)
    for each in kept(busy):
        each.unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert usage(busy) == found
    assert kept(busy) == []


def test_verify_counts_them_anew(busy: Town) -> None:
    """Sums that somebody changed, checksum and all, are a finding; those of no file are taken away
    with the next usage."""
    assert findings(busy) == []
    path = kept(busy)[0]
    with pq.ParquetFile(path) as source:
        tables = [source.read_row_group(i) for i in range(source.num_row_groups)]
    place = tables[0].schema.get_field_index("cpu_s")
    more = tables[0].column("cpu_s").to_pylist()
    more[0] += 1
    changed = tables[0].set_column(place, tables[0].schema.field(place), [more])
    with pq.ParquetWriter(path, changed.schema) as writer:
        for table in (changed, *tables[1:]):
            writer.write_table(table)
    assert findings(busy) == ["sums"]
    path.rename(path.with_name("0123456789abcdef.parquet.sums"))
    assert findings(busy) == []
    take(busy, run(9, 60, DECEMBER), at="2024-12-20T12:00:00+08:00")
    assert [each.name for each in kept(busy) if each.name.startswith("0123")] == []


def test_compaction_has_the_same(busy: Town) -> None:
    """What many files had together, the one that takes their place has."""
    take(busy, run(4, 60), at="2024-12-20T12:00:00+08:00")
    found = usage(busy), usage(busy, replace(DAYS, group="user"))
    for month in ("2024-11", "2024-12"):
        close(busy, month)
    compacting.compact(
        busy.engine, busy.archive, CLUSTER, "2024-11", stamp("2025-01-03T12:00:00+08:00")
    )
    assert len(files(busy)) == 2
    assert (usage(busy), usage(busy, replace(DAYS, group="user"))) == found


def test_a_range_of_days(town: Town) -> None:
    """Three days of a run of five: it ran in them, began before and ended after them; charges have
    only what ended in them, and the book is compared with all."""
    load_prices(town)
    five_days = run(1, 5 * 86_400, "2024-11-10T12:00:00+08:00", cpus=1)
    take(town, five_days, yuan(2, 5, "2024-11-08T12:00:00+08:00"))
    days = (date(2024, 11, 7), date(2024, 11, 9))
    found = usage(town, Asked("month", ZONE, None, days))
    assert list(found) == [("2024-11", "")]
    own = found["2024-11", ""]
    assert own.wall_s == 3 * 86_400 + 3_600
    assert (own.runs, own.started, own.ended) == (2, 1, 1)
    weeks = usage(town, Asked("week", ZONE, None, days))
    assert [each.wall_s for each in weeks.values()] == [3 * 86_400 + 3_600]
    with town.begin() as conn:
        of_days = charges.charges(conn, town.archive, Asked("total", ZONE, None, days))
    assert [(key, own.charge_micro) for key, own in of_days] == [(("total", ""), 5_000_000)]
    later = (date(2025, 1, 1), date(2025, 1, 2))
    assert usage(town, Asked("day", ZONE, None, later)) == {}
