"""What is delivered in the town: runs at round prices, taken in, settled, claimed and paid."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import town as towns
from sqlalchemy import Engine, func, select
from town import ACCOUNT, CLUSTER, PROVIDER, Town, stamp

from accounting import money
from accounting.book import ledger, schema
from accounting.book.ledger import Entry
from accounting.proof import audit
from accounting.redeem import paying, redemption, reserve, reviewing
from accounting.runs import usage, watermarks
from accounting.runs.run import Run
from accounting.settle import charging, invoicing, settlement, statements
from accounting.settle.charging import Taken
from accounting.settle.settlement import Scope

ROUND = """
tariff: round-1
chips: 2024-07
timezone: Asia/Shanghai
clusters:
  chengdu:
    partitions:
      core:
        provider: cdaicc
        prices: [{from: 2023-07-01, yuan_per_core_hour: "1.00"}]
      dear:
        provider: cdaicc
        prices: [{from: 2023-07-01, yuan_per_core_hour: "200.00"}]
      cards:
        provider: cdaicc
        gres: {"gpu:ascend_910b": ascend_910b2}
        capacity: [{from: 2023-07-01, cards: {"gpu:ascend_910b": 16}}]
        prices: [{from: 2023-07-01, yuan_per_pflops_hour: "1.00"}]
      other:
        provider: nscc-cd
        prices: [{from: 2023-07-01, yuan_per_core_hour: "1.00"}]
"""
"""One core in `core` costs 1.00 yuan an hour: a run's hours are its price."""

HOUR_S = 3600
NOVEMBER, DECEMBER, JANUARY, FEBRUARY = (
    f"{month}-10T12:00:00+08:00" for month in ("2024-11", "2024-12", "2025-01", "2025-02")
)
AFTER = {
    "2024-10": "2024-11-05T09:00:00+08:00",
    "2024-11": "2024-12-05T09:00:00+08:00",
    "2024-12": "2025-01-05T09:00:00+08:00",
    "2025-01": "2025-02-05T09:00:00+08:00",
    "2025-02": "2025-03-05T09:00:00+08:00",
}
"""When each month is closed."""
SWEPT = "2030-01-01T00:00:00+08:00"
"""Up to when the cluster is collected, in tests that say nothing of it."""


def load_prices(town: Town, text: str = ROUND, version: str = "round-1") -> None:
    """Bring a tariff into force."""
    rows = {"document": [towns.document("tariff", version, text)]}
    with town.begin() as conn:
        ledger.write(conn, Entry(f"document:tariff:{version}", "tariff.load", stamp(), rows))


def run(job_id: int, core_s: int = HOUR_S, end: str = NOVEMBER, **changes: Any) -> Run:
    """Make a run on one core of the account of the town; it ends when it is told."""
    end_s = towns.instant(end)
    start_s = end_s - core_s
    facts: dict[str, Any] = {
        "cluster": CLUSTER,
        "job_id": job_id,
        "job": str(job_id),
        "submit_s": start_s - 60,
        "start_s": start_s,
        "end_s": end_s,
        "billed_from_s": start_s,
        "elapsed_s": core_s,
        "suspended_s": 0,
        "state": "COMPLETED",
        "partition": "core",
        "qos": "normal",
        "slurm_account": "lab",
        "user": "li",
        "uid": towns.UID,
        "nodes": 1,
        "cpus": 1,
        "mem_mb": None,
        "cards": 0,
        "gres": "",
        "req_gres": "",
        "voucher": ACCOUNT,
        "hold": None,
        "held_micro": None,
    }
    return Run(**(facts | changes))


def yuan(job_id: int, amount: int, end: str = NOVEMBER, **changes: Any) -> Run:
    """Make a run that costs whole yuan: an hour on that many cores."""
    return run(job_id, HOUR_S, end, **({"cpus": amount} | changes))


def take(
    town: Town, *runs: Run, at: str = NOVEMBER, watermark: tuple[str, str, int] | None = None
) -> Taken:
    """Take runs in."""
    table = usage.table(runs)
    return charging.take_in(
        town.engine, town.archive, table, town.policy, stamp(at), watermark=watermark
    )


def close(
    town: Town,
    month: str,
    at: str | None = None,
    provider: str = PROVIDER,
    account: str | None = None,
) -> list[str]:
    """Close a month, a few days after it has ended; a cluster that was never swept is, first."""
    scope, when = Scope(provider, account), stamp(at or AFTER[month])
    with town.begin() as conn:
        if CLUSTER not in watermarks.by_cluster(conn):
            watermarks.advance(conn, CLUSTER, "ended", towns.instant(SWEPT))
    return settlement.close(town.engine, town.archive, month, scope, town.policy, when)


def statement(town: Town, month: str, *names: str) -> Any:
    """Return figures of the account's statement of a month."""
    with town.begin() as conn:
        [row] = statements.listed(conn, account=ACCOUNT, month=month)
    return row if not names else tuple(row[name] for name in names)


def lines(town: Town, month: str, *names: str) -> list[tuple[Any, ...]]:
    """Return figures of the lines of the account's statement of a month."""
    with town.begin() as conn:
        rows = statements.lines(conn, f"S-{ACCOUNT}-{month}")
    return [tuple(row[name] for name in names) for row in rows]


def balance(town: Town, account: str, owner: str = ACCOUNT) -> str:
    """Return a ledger balance in yuan."""
    with town.begin() as conn:
        micro = ledger.balance(conn, account, owner)
    return money.yuan(micro // money.MICRO_PER_FEN)


def papers_of(town: Town) -> Path:
    """Return where the town keeps papers."""
    return town.archive.parent / "papers"


def hand_in(town: Town, text: str) -> str:
    """Keep a paper; return its hash."""
    source = town.archive.parent / "paper.pdf"
    source.write_text(text, encoding="utf-8")
    return towns.keep_paper(papers_of(town), source, "annex").sha256


def findings(town: Town) -> list[audit.Finding]:
    """Audit the book."""
    with town.begin() as conn:
        return audit.findings(audit.Books(conn, town.archive, town.policy, papers_of(town)))


def invoice(town: Town, month: str, number: str | None = None) -> Mapping[str, int]:
    """Record the invoice of a month's statement."""
    number = number or f"F-{month}"
    with town.begin() as conn:
        return invoicing.record(
            conn, f"S-{ACCOUNT}-{month}", number, town.policy, stamp(AFTER[month])
        )


def open_claim(town: Town, quarter: str = "2024-Q4", at: str = AFTER["2024-12"]) -> str:
    """Open a claim of the provider."""
    with town.begin() as conn:
        return redemption.open_claim(conn, PROVIDER, quarter, town.policy, stamp(at))


def submit(town: Town, claim: str, at: str = AFTER["2024-12"], **who: Any) -> None:
    """Hand a claim in."""
    packet = hashlib.sha256(claim.encode()).hexdigest()
    with town.begin() as conn:
        redemption.submit(conn, claim, packet, stamp(at, **who))


def review(town: Town, claim: str, refused: Mapping[str, str] | None = None) -> int:
    """Let the regulator review a claim; return what is approved."""
    with town.begin() as conn:
        draft = reviewing.draft_review(conn, claim, refused or {}, "checked")
    act = town.signed(draft)
    with town.begin() as conn:
        return reviewing.accept_review(conn, act, stamp(JANUARY))


def pay_out(town: Town, claim: str, reference: str | None = None) -> tuple[int, int]:
    """Let the treasury pay a claim; return what went to the provider and to the fund."""
    at = towns.instant(JANUARY)
    with town.begin() as conn:
        draft = paying.draft_payout(conn, claim, reference or f"P-{claim}", town.policy, at)
    act = town.signed(draft, "treasury")
    with town.begin() as conn:
        return paying.accept_payout(conn, act, stamp(JANUARY))


def grant(town: Town, amount: str, reference: str = "R-1") -> None:
    """Let the treasury grant advance money to the provider."""
    with town.begin() as conn:
        draft = reserve.draft_grant(conn, PROVIDER, money.fen(amount), reference)
    act = town.signed(draft, "treasury")
    with town.begin() as conn:
        reserve.accept_grant(conn, act, stamp())


def draw(town: Town, *line_ids: str) -> int:
    """Draw advance money for lines."""
    with town.begin() as conn:
        return reserve.draw(conn, line_ids, town.policy, stamp(JANUARY))


def claim(town: Town, claim_id: str) -> dict[str, Any]:
    """Return a claim with its state."""
    with town.begin() as conn:
        return redemption.find_claim(conn, claim_id)


VOLATILE = {"seq", "upto_seq", "at_s", "path", "sha256", "size_bytes"}
"""Columns that depend on when and in which pieces something was done."""


def content(engine: Engine, leave_out: Iterable[str] = ()) -> dict[str, list[str]]:
    """Return what a book says: the rows of its tables without their places in the chain."""
    said = {}
    with engine.begin() as conn:
        for name, table in schema.COVERED.items():
            if name not in leave_out:
                kept = [column for column in table.c if column.name not in VOLATILE]
                said[name] = sorted(str(tuple(row)) for row in conn.execute(select(*kept)))
        columns = (schema.posting.c.account, schema.posting.c.owner)
        total = func.sum(schema.posting.c.amount_micro)
        query = select(*columns, total).group_by(*columns)
        said["balances"] = sorted(
            str((*row[:2], int(row[2]))) for row in conn.execute(query) if row[2]
        )
    return said


LINES = [f"S-{ACCOUNT}-2024-11/{i}" for i in (1, 2)]
"""The lines of `november`: 100.00 and 40.00 off the voucher."""


def november(town: Town) -> None:
    """Deliver and close a November with two lines."""
    load_prices(town)
    take(town, yuan(1, 200, qos="a"), yuan(2, 80, qos="b"))
    close(town, "2024-11")
