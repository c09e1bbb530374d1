"""Make the fixture of a schema: a small town's story by the code at hand, in both databases.

    PYTHONPATH=.:tests:POSTGRES python tests/schemas/make.py FOLDER

POSTGRES is where postgres.py stands, if it is not in tests yet. Run by the last commit of a schema
before it is released; what was made is kept for good. The private keys sign for this town alone.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import delivery
import postgres
import town as towns
from delivery import DECEMBER, NOVEMBER, take, yuan
from town import CLUSTER, Town, instant

from accounting.book import ledger, signing
from accounting.vouchers import holds

SEPTEMBER = "2024-09-10T12:00:00+08:00"
OCTOBER = "2024-10-08T09:00:00+08:00"


def tell(town: Town) -> None:
    """A quarter that was claimed and paid, one month of the next closed, one running."""
    towns.found(town.engine)
    towns.people(town)
    towns.open_account(town)
    delivery.load_prices(town)
    take(town, yuan(1, 100, SEPTEMBER), yuan(2, 33, SEPTEMBER, qos="high"), at=SEPTEMBER)
    delivery.close(town, "2024-09", at=OCTOBER)
    with town.begin() as conn:
        delivery.invoicing.record(
            conn, f"S-{towns.ACCOUNT}-2024-09", "F-1", town.policy, towns.stamp(OCTOBER)
        )
    delivery.grant(town, "1,000")
    delivery.draw(town, f"S-{towns.ACCOUNT}-2024-09/1")
    claim = delivery.open_claim(town, "2024-Q3", at=OCTOBER)
    delivery.submit(town, claim, at=OCTOBER)
    delivery.review(town, claim, {f"S-{towns.ACCOUNT}-2024-09/2": "no proof"})
    delivery.pay_out(town, claim)
    with town.begin() as conn:
        signing.anchor(conn, town.keys["system"], "2024-10-08", towns.stamp(OCTOBER))
        for letter, tasks in (("a", 1), ("b", 3), ("c", 2)):
            asked = holds.Request(
                letter * 32, CLUSTER, towns.ACCOUNT, towns.UID, tasks, 1_000_000, 500_000, {}
            )
            holds.place(conn, asked, town.policy, instant(NOVEMBER))
    take(town, yuan(3, 61, NOVEMBER, hold="a" * 32), yuan(4, 7, NOVEMBER, hold="b" * 32))
    delivery.close(town, "2024-11")
    take(town, yuan(5, 12, DECEMBER), at=DECEMBER)


def main(folder: Path) -> None:
    """Write sqlite.sql, postgresql.sql, keys.json and archive/ into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, postgres.server() as url:
        keys = towns.make_keys(Path(scratch, "keys"))
        (folder / "keys.json").write_text(json.dumps(keys, indent=1, sort_keys=True) + "\n")
        for url_, archive in (
            (f"sqlite:///{scratch}/book.db", folder / "archive"),
            (url, Path(scratch, "archive")),
        ):
            shutil.rmtree(archive, ignore_errors=True)
            engine = ledger.connect(url_, must_exist=False)
            town = Town(engine, archive, keys)
            tell(town)
            assert delivery.findings(town) == []
            engine.dispose()
        with sqlite3.connect(f"{scratch}/book.db") as book:
            (folder / "sqlite.sql").write_text("\n".join(book.iterdump()) + "\n")
        dumped = subprocess.run(
            [
                *(postgres.tool("pg_dump"), "--inserts", "--no-owner", "--no-privileges"),
                *("-U", "book", "-h", url.partition("host=")[2], "postgres"),
            ],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        (folder / "postgresql.sql").write_text(dumped)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
