"""A book to hold in: accounts of one partition, each with a unit, a member, a voucher and cash."""

import hashlib
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from accounting import period, policy
from accounting.book import ledger, schema
from accounting.book.ledger import Actor, Entry, Posting, Stamp
from accounting.vouchers import registry

RULES = policy.load(policy.builtin("chengdu-2023"), "policy chengdu-2023")
CASH_FEN = 10**12
"""More than all jobs can cost: whatever is refused is refused wrongly."""
PRICES = """
tariff: hook-1
chips: 2024-07
timezone: Asia/Shanghai
clusters:
  {cluster}:
    partitions:
      ai:
        provider: cdaicc
        gres: {{"gpu:ascend_910b": ascend_910b2}}
        prices:
          - {{from: 2023-07-01, yuan_per_pflops_hour: "24.00"}}
          - {{from: 2023-07-01, qos: urgent, yuan_per_pflops_hour: "90.00"}}
"""


def found(path: Path, cluster: str, uids: range) -> str:
    """Make a book with an account for each user; return what all their names begin with."""
    now_s = int(time.time())
    stamp = Stamp(Actor("operations", "operator"), now_s, now_s)
    today = period.day_of(now_s, RULES.timezone)
    engine = ledger.connect(f"sqlite:///{path}", durable=False, must_exist=False)
    texts = {
        "policy": (RULES.name, policy.builtin(RULES.name)),
        "tariff": ("hook-1", PRICES.format(cluster=cluster)),
    }
    documents = [
        {"kind": kind, "version": version, "text": text,
         "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for kind, (version, text) in texts.items()
    ]  # fmt: skip
    book = {"book_id": "0" * 32, "schema_version": schema.VERSION, "rehearsal": 1}
    rows: dict[str, list[dict[str, Any]]] = {
        "book": [book | {"policy": RULES.name}], "document": documents
    }  # fmt: skip
    ledger.create(engine, Entry("book", "book.init", stamp, rows))
    with engine.begin() as conn:
        registry.add_provider(conn, "cdaicc", "成都智算中心", stamp)
        for number, uid in enumerate(uids):
            unit = f"unit-{number}"
            registry.register_unit(
                conn, unit, name=unit, credit_code=_credit_code(number), kind="university",
                revenue_fen=None, revenue_year=None, stamp=stamp,
            )  # fmt: skip
            registry.add_member(
                conn, unit, cluster=cluster, uid=uid, from_s=now_s - 86_400, until_s=None,
                stamp=stamp,
            )  # fmt: skip
            name = registry.sign_contract(
                conn, f"HT-{number}", unit=unit, provider="cdaicc", signed_on=today,
                last_day=today + timedelta(days=300), fee_fen=CASH_FEN, policy=RULES, stamp=stamp,
            )  # fmt: skip
            ledger.write(conn, _voucher(f"HT-{number}", name, today, stamp))
            registry.pay_in(
                conn, name, amount_fen=CASH_FEN, reference=f"T-{number}", paid_on=today, stamp=stamp
            )
    engine.dispose()
    return name.rpartition("-")[0] + "-"


def _credit_code(number: int) -> str:
    """Return a number with its check digit by GB 32100-2015."""
    letters, body = "0123456789ABCDEFGHJKLMNPQRTUWXY", f"91510100MA{number:07d}"
    total = sum(letters.index(c) * pow(3, i, 31) for i, c in enumerate(body))
    return body + letters[-total % 31]


def _voucher(contract: str, account: str, day: date, stamp: Stamp) -> Entry:
    """Issue a voucher, without the regulator's act."""
    from_s = period.instant(day, RULES.timezone)
    application = {
        "id": f"A-{account}", "contract": contract, "category": "general", "channel": "online",
        "paper_sha256": "0" * 64,
    }  # fmt: skip
    voucher = {
        "id": f"{account}-1", "account": account, "application": f"A-{account}",
        "category": "general", "issued_on": day.isoformat(), "amount_fen": CASH_FEN, "trimmed": 0,
        "from_s": from_s, "until_s": from_s + 300 * 86_400,
    }  # fmt: skip
    micro = CASH_FEN * 10_000
    postings = [
        Posting("voucher.left", f"{account}-1", micro), Posting("programme", RULES.name, -micro)
    ]  # fmt: skip
    rows: dict[str, list[dict[str, Any]]] = {"application": [application], "voucher": [voucher]}
    return Entry(f"review:A-{account}", "application.confirm", stamp, rows, postings)
