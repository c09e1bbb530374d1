"""How large the book of a year is: a year of usage taken in day by day and closed month by month.

    python -m bench.book_size [--accounts 1280] [--days 31] [--json -]

Every account computes on every day, of two kinds of computing, which is as much as 54 million runs
can come to: what the book keeps of a segment are sums by account, however many runs are behind
them. So each day has one run for each account and kind here; the archive is small and the book as
large as it gets. All of it is written by the program itself: take_in, close. One account in three
has a voucher.

Prints the size of the SQLite file, its parts, and what each day and close added, and writes
bench/results/book_size.json. `year_bytes` is 366 such days and 12 such closes; with --days 366 it
is the file itself. Fails at 200 MB.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from accounting import period, policy
from accounting.book import ledger, schema
from accounting.book.ledger import Actor, Entry, Posting, Stamp
from accounting.runs import usage
from accounting.runs.run import Run
from accounting.settle import charging, settlement
from accounting.settle.settlement import Scope
from accounting.vouchers import registry

RESULTS = Path(__file__).parent / "results" / "book_size.json"
LIMIT_BYTES = 200_000_000
YEAR = 2024
RULES = policy.load(policy.builtin("chengdu-2023"), "policy chengdu-2023")
OPERATOR = Actor("operations", "operator")
KINDS = ("normal", "urgent")
PRICES = """
tariff: size-1
chips: 2024-07
timezone: Asia/Shanghai
clusters:
  cd:
    partitions:
      core:
        provider: cdaicc
        prices: [{from: 2023-01-01, yuan_per_core_hour: "1.00"}]
"""


def stamp(day: date) -> Stamp:
    """Say that the operator acts at noon of a day."""
    at_s = period.instant(day, RULES.timezone) + 43_200
    return Stamp(OPERATOR, at_s, at_s)


def found(engine: Engine, accounts: int, prices: str = PRICES) -> list[str]:
    """Make a book with voucher accounts, one in three with a voucher; return their names."""
    day = date(YEAR, 1, 1)
    texts = {"policy": (RULES.name, policy.builtin(RULES.name)), "tariff": ("size-1", prices)}
    documents = [
        {
            "kind": kind,
            "version": version,
            "sha256": hashlib.sha256(said.encode()).hexdigest(),
            "text": said,
        }
        for kind, (version, said) in texts.items()
    ]
    book = {"book_id": "0" * 32, "schema_version": schema.VERSION, "rehearsal": 1}
    rows: dict[str, list[dict[str, Any]]] = {
        "book": [book | {"policy": RULES.name}],
        "document": documents,
    }
    ledger.create(engine, Entry("book", "book.init", stamp(day), rows))
    with engine.begin() as conn:
        registry.add_provider(conn, "cdaicc", "成都智算中心", stamp(day))
        registry.register_unit(
            conn, "shuzhi", name="成都数智科技有限公司", credit_code="91510100MA6C4TX27W",
            kind="university", revenue_fen=None, revenue_year=None, stamp=stamp(day),
        )  # fmt: skip
        names = [
            registry.sign_contract(
                conn,
                f"HT-{number}",
                unit="shuzhi",
                provider="cdaicc",
                signed_on=day,
                last_day=date(YEAR, 12, 31),
                fee_fen=2_000_000,
                policy=RULES,
                stamp=stamp(day),
            )
            for number in range(accounts)
        ]
        for number in range(0, accounts, 3):
            ledger.write(conn, _voucher(f"HT-{number}", names[number], day))
    return names


def _voucher(contract: str, account: str, day: date) -> Entry:
    """Issue a voucher, without the regulator's act."""
    year_s = period.bounds(str(YEAR), RULES.timezone)
    facts = {"contract": contract, "category": "general", "channel": "online"}
    application = facts | {"id": f"A-{account}", "paper_sha256": "0" * 64}
    voucher = {
        "id": f"{account}-1",
        "account": account,
        "application": f"A-{account}",
        "category": "general",
        "issued_on": day.isoformat(),
        "amount_fen": 100_000_000,
        "trimmed": 0,
        "from_s": year_s[0],
        "until_s": year_s[1],
    }
    rows: dict[str, list[dict[str, Any]]] = {"application": [application], "voucher": [voucher]}
    postings = [
        Posting("voucher.left", f"{account}-1", 10**12),
        Posting("programme", RULES.name, -(10**12)),
    ]
    return Entry(f"review:A-{account}", "application.confirm", stamp(day), rows, postings)


def delivered(names: list[str], day: date) -> Iterator[Run]:
    """Make a day's runs: one hour for each account and kind, on as many cores as it takes."""
    end_s = period.instant(day, RULES.timezone) + 40_000
    for number, account in enumerate(names):
        for kind, qos in enumerate(KINDS):
            job = (day.toordinal() * len(names) + number) * len(KINDS) + kind
            cores = 1 + (job * 7_919) % 997
            yield Run(
                cluster="cd", job_id=job, job=str(job), submit_s=end_s - 3_660,
                start_s=end_s - 3_600, end_s=end_s, billed_from_s=end_s - 3_600, elapsed_s=3_600,
                suspended_s=0, state="COMPLETED", partition="core", qos=qos, slurm_account="lab",
                user="li", uid=1001, nodes=1, cpus=cores, mem_mb=None, cards=0, gres="",
                req_gres="", voucher=account, hold=None, held_micro=None,
            )  # fmt: skip


def measure(folder: Path, accounts: int, days: int) -> dict[str, Any]:
    """Fill a book and return how large it is."""
    path = folder / "book.db"
    engine = ledger.connect(f"sqlite:///{path}", must_exist=False)
    names = found(engine, accounts)
    begun_bytes = _size(engine, path)
    collected, closed = [], []
    began_s = time.monotonic()
    before = begun_bytes
    for number in range(days):
        day = date(YEAR, 1, 1) + timedelta(days=number)
        runs = usage.table(delivered(names, day))
        charging.take_in(engine, folder / "archive", runs, RULES, stamp(day))
        after = _size(engine, path)
        collected.append(after - before)
        following = day + timedelta(days=1)
        if following.day == 1 or number == days - 1:
            first = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            settlement.close(
                engine, folder / "archive", period.name_of(day, "month"), Scope("cdaicc"), RULES,
                stamp(first + timedelta(days=4)),
            )  # fmt: skip
            before, after = after, _size(engine, path)
            closed.append(after - before)
            print(f"{day} {after / 1e6:.1f} MB", file=sys.stderr, flush=True)
        before = after
    with engine.connect() as conn:
        parts = conn.execute(text("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")).all()
    engine.dispose()
    return {
        "accounts": accounts,
        "days": days,
        "book_bytes": before,
        "empty_bytes": begun_bytes,
        "day_bytes": sum(collected) // len(collected),
        "close_bytes": sum(closed) // len(closed),
        "year_bytes": begun_bytes + _year(collected, 366) + _year(closed, 12),
        "took_s": round(time.monotonic() - began_s),
        "parts": dict(sorted(parts, key=lambda row: -row[1])[:12]),
    }


def close(home: Path, months: Sequence[str]) -> None:
    """Close months of a site: for a process of its own, which loads no more than that takes."""
    engine = ledger.connect(f"sqlite:///{home / 'book.db'}")
    for month in months:
        day = period.first_day(period.following(month)) + timedelta(days=40)
        settlement.close(engine, home / "archive", month, Scope("cdaicc"), RULES, stamp(day))
    engine.dispose()


def _year(added: list[int], times: int) -> int:
    """Return what so many of what was added come to."""
    return sum(added) * times // len(added)


def _size(engine: Engine, path: Path) -> int:
    """Return how large the file is once all of it is in it."""
    with engine.connect() as conn:
        conn.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # outside of any transaction
    return path.stat().st_size


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--accounts", type=int, default=1_280)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--json", choices=["-"], help="Print figures as JSON.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.accounts, options.days)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:12} {value}")
    return int(figures["year_bytes"] >= LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
