"""A backup is whole or refused, and what came after it comes in again with the same figures."""

import hashlib
import json
import shutil
import threading
from datetime import date
from pathlib import Path

import delivery
import pytest
from delivery import DECEMBER, close, findings, hand_in, papers_of, take, yuan
from homes import GOOD, HEADER, Home, furnished, one_line
from sqlalchemy import Engine, select
from town import CONTRACT, Town, pay, stamp

from accounting.book import ledger, schema
from accounting.book.ledger import Entry
from accounting.errors import InvalidInput, InvariantBroken, NotAllowed
from accounting.proof import backup
from accounting.vouchers import amending

YESTERDAY = [yuan(1, 1_000), yuan(2, 333)]
TODAY = [yuan(3, 4_321), yuan(4, 77, DECEMBER)]
NO_CONFIG = Path("/nonexistent/config.yaml")


@pytest.fixture
def shop(town: Town) -> Town:
    """The town at round prices, with yesterday's runs."""
    delivery.load_prices(town)
    take(town, *YESTERDAY)
    return town


def backed_up(town: Town, folder: Path) -> Path:
    """Back a town up."""
    backup.back_up(town.engine, town.archive, folder / "papers", NO_CONFIG, folder / "saved")
    return folder / "saved"


def settled(town: Town) -> dict[str, list[str]]:
    """Let today's work come in and close; return the statements and their lines."""
    take(town, *YESTERDAY, *TODAY)
    close(town, "2024-11")
    close(town, "2024-12")
    said = delivery.content(town.engine)
    return {name: said[name] for name in ("statement", "statement_line", "deduction", "balances")}


def test_drill(shop: Town, blank: Engine, tmp_path: Path) -> None:
    """Yesterday's backup, restored into either database, collects today's work again and closes
    with identical figures; nothing is found wrong with it."""
    saved = backed_up(shop, tmp_path)
    lost = settled(shop)
    shutil.rmtree(shop.archive)
    home = tmp_path / "home"
    made = backup.restore(saved, blank, home / "archive", home / "papers")
    restored = Town(blank, home / "archive", shop.keys)
    with restored.begin() as conn:
        assert ledger.head(conn) == (made["head_seq"], made["head_hash"])
    assert settled(restored) == lost
    assert findings(restored) == []


def test_what_is_backed_up_is_one_state(shop: Town, blank: Engine, tmp_path: Path) -> None:
    """While others go on writing, a backup has whole entries up to one of them, and no part of
    a later one."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with shop.begin() as conn:
                pay(conn, "1", f"W-{number}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        saved = backed_up(shop, tmp_path)
    finally:
        stop.set()
        writer.join()
    backup.restore(saved, blank, tmp_path / "a", tmp_path / "p")
    assert findings(Town(blank, tmp_path / "a", shop.keys)) == []


@pytest.mark.parametrize(
    "harm",
    ["changed", "missing", "outside", "from the root", "link", "manifest", "version", "short"],
)
def test_a_damaged_backup_is_refused(shop: Town, tmp_path: Path, harm: str) -> None:
    """A backup of which a byte changed or a file is missing is refused by its name, and nothing
    is restored."""
    saved = backed_up(shop, tmp_path)
    target = saved / "book/posting.jsonl"
    manifest = json.loads((saved / "manifest.json").read_text())
    match harm:
        case "changed":
            target.write_bytes(target.read_bytes().replace(b"cash", b"bank", 1))
        case "missing":
            target.unlink()
        case "outside":
            manifest["files"]["archive/../../x"] = "0" * 64
        case "from the root":
            name = f"archive/{tmp_path}/taken"
            (saved / name).parent.mkdir(parents=True)
            (saved / name).write_bytes(b"")
            manifest["files"][name] = hashlib.sha256(b"").hexdigest()
        case "link":
            (tmp_path / "secret").write_bytes(b"")
            (saved / "papers").mkdir()
            (saved / "papers/x").symlink_to(tmp_path / "secret")
            manifest["files"]["papers/x"] = hashlib.sha256(b"").hexdigest()
        case "manifest":
            (saved / "manifest.json").unlink()
        case "version":
            manifest["schema_version"] = 99
        case "short":
            del manifest["files"]["book/posting.jsonl"]
    if harm not in ("changed", "missing", "manifest"):
        (saved / "manifest.json").write_text(json.dumps(manifest))
    said = dict.fromkeys(("outside", "from the root", "link"), "leads out")
    said |= {"manifest": "no manifest", "version": "of schema 99"}
    engine = ledger.connect(f"sqlite:///{tmp_path / 'new.db'}", must_exist=False)
    with pytest.raises(InvalidInput, match=said.get(harm, "posting.jsonl")):
        backup.restore(saved, engine, tmp_path / "a", tmp_path / "p")
    with engine.connect() as conn:
        assert not engine.dialect.has_table(conn, "book")
    engine.dispose()
    assert not (tmp_path / "taken").exists()


def test_a_backup_takes_the_place_of_nothing(shop: Town, tmp_path: Path) -> None:
    """A backup is not written over another, nor restored over a book."""
    saved = backed_up(shop, tmp_path)
    with pytest.raises(NotAllowed, match="is there already"):
        backed_up(shop, tmp_path)
    with pytest.raises(NotAllowed, match="there is a book already"):
        backup.restore(saved, shop.engine, shop.archive, tmp_path / "p")


def test_what_is_damaged_is_not_backed_up(shop: Town, tmp_path: Path) -> None:
    """A segment that is not what the book says stops a backup, and none stands there."""
    segment = next(shop.archive.rglob("*.parquet"))
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(InvariantBroken, match="the book says"):
        backed_up(shop, tmp_path)
    segment.unlink()
    with pytest.raises(InvariantBroken, match="is missing"):
        backed_up(shop, tmp_path)
    assert not (tmp_path / "saved").exists()


def test_papers_of_amendments_come_back(town: Town, blank: Engine, tmp_path: Path) -> None:
    """What changed a contract is kept like what was applied for: nothing is missing after a
    restore."""
    with town.begin() as conn:
        amending.amend(
            conn,
            CONTRACT,
            fee_fen=20_000_000,
            effective_on=date(2024, 7, 1),
            last_day=None,
            paper_sha256=hand_in(town, "twice as much"),
            policy=town.policy,
            stamp=stamp(),
        )
    backup.back_up(town.engine, town.archive, papers_of(town), NO_CONFIG, tmp_path / "saved")
    restored = Town(blank, tmp_path / "home" / "archive", town.keys)
    backup.restore(tmp_path / "saved", blank, restored.archive, papers_of(restored))
    assert findings(restored) == []


def test_a_backup_leads_nowhere_else(shop: Town, tmp_path: Path) -> None:
    """A book that names a segment outside of the archive is not backed up."""
    outside = tmp_path / "outside.parquet"
    outside.write_bytes(next(shop.archive.rglob("*.parquet")).read_bytes())
    with shop.begin() as conn:
        row = dict(conn.execute(select(schema.segment)).mappings().first() or {})
        row |= {"path": "../outside.parquet"}
        del row["seq"]
        ledger.write(conn, Entry("forged", "test", stamp(), {"segment": [row]}))
    with pytest.raises(InvariantBroken, match="leads out of archive"):
        backed_up(shop, tmp_path)


def test_settings_of_no_whole_backup_are_not_taken(tmp_path: Path) -> None:
    """Settings come from a backup that was checked, and only where its manifest names them."""
    home = furnished(tmp_path / "home")
    saved = tmp_path / "saved"
    home.ok("backup", str(saved))
    (saved / "config.yaml").write_text("snapshot_s: 7\n")
    new = Home(tmp_path / "new")
    new.ok("restore", str(saved))
    assert not (new.path / "config.yaml").exists()
    (saved / "manifest.json").unlink()
    one_line(Home(tmp_path / "other").run("restore", str(saved)), 3, "has no manifest")
    assert not (tmp_path / "other" / "config.yaml").exists()


def test_by_command(tmp_path: Path) -> None:
    """A site's home comes back with its settings, and says what to do next."""
    home = furnished(tmp_path / "home")
    (home.path / "config.yaml").write_text("snapshot_s: 7\n")
    file = tmp_path / "sacct.txt"
    file.write_text(f"{HEADER}\n{GOOD}\n")
    home.ok("import", str(file))
    saved = str(tmp_path / "saved")
    assert "keep the secret keys elsewhere" in home.ok("backup", saved)
    one_line(home.run("backup", saved), 1, "is there already")

    new = Home(tmp_path / "new")
    assert "next: svoucher audit, then svoucher collect" in new.ok("restore", saved)
    assert (new.path / "config.yaml").read_text() == "snapshot_s: 7\n"
    assert new.ok("jobs", "--json") == home.ok("jobs", "--json")
    one_line(new.run("restore", saved), 1, "there is a book already")
    one_line(Home(tmp_path / "other").run("restore", str(tmp_path)), 3, "has no manifest")
