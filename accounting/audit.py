"""Does it all add up? Every rule over the whole book and the archive; findings are data.

A rule yields what it finds and hides nothing behind the first; nothing is written or mended.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import archive, charging, holds, ledger, period, replay, reports, schema, signing
from accounting.errors import VoucherError
from accounting.money import MICRO_PER_FEN, yuan
from accounting.policy import Policy


@dataclass(frozen=True)
class Finding:
    """Something that does not add up: which rule, what about, how, and what to do."""

    rule: str
    subject: str
    message: str
    advice: str


@dataclass(frozen=True)
class Books:
    """What an audit looks at."""

    conn: Connection
    archive: Path
    policy: Policy


Found = Iterator[tuple[str, str]]
"""(subject, message) of each finding of a rule."""


def findings(books: Books) -> list[Finding]:
    """Check every rule and return all findings, in the order of the rules."""
    return [
        Finding(rule, subject, message, advice)
        for rule, (check, advice) in RULES.items()
        for subject, message in check(books)
    ]


def chain(books: Books) -> Found:
    """Hashes follow from each other, entries sum to zero, rows are those that were hashed."""
    before, place = ledger.GENESIS, 0
    postings = _by_entry(books.conn, schema.posting)
    rows = {name: _by_entry(books.conn, table) for name, table in schema.COVERED.items()}
    query = select(schema.journal).order_by(schema.journal.c.seq)
    for entry in map(dict[str, Any], books.conn.execute(query).mappings()):
        place += 1
        subject = f"entry {entry['seq']} {entry['key']}"
        if entry["seq"] != place:
            yield subject, f"stands where entry {place} belongs"
            place = entry["seq"]
        if entry["prev_hash"] != before or entry["hash"] != ledger.entry_hash(entry):
            yield subject, "its hash does not follow from its content and the entry before"
        before = entry["hash"]
        content = json.loads(entry["content"])
        own = postings.pop(entry["seq"], [])
        if [[p["account"], p["owner"], p["amount_micro"]] for p in own] != content["postings"]:
            yield subject, "its postings are not those that were hashed"
        if sum(p["amount_micro"] for p in own):
            yield subject, "its postings do not sum to zero"
        for name, by_entry in rows.items():
            found = [_without_seq(row) for row in by_entry.pop(entry["seq"], [])]
            if sorted(map(_sorted, found)) != sorted(map(_sorted, content["rows"].get(name, []))):
                yield subject, f"its rows in {name} are not those that were hashed"
    for name, left in (rows | {"posting": postings}).items():
        for seq in left:
            yield f"{name} of entry {seq}", "belongs to no entry of the chain"


def _by_entry(conn: Connection, table: Any) -> dict[int, list[Mapping[str, Any]]]:
    grouped: dict[int, list[Mapping[str, Any]]] = {}
    for row in conn.execute(select(table).order_by(*table.primary_key.columns)).mappings():
        grouped.setdefault(row["seq"], []).append(dict(row))
    return grouped


def _without_seq(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "seq"}


def _sorted(row: Mapping[str, Any]) -> str:
    return ledger.canonical(row)


def anchors(books: Books) -> Found:
    """Signed heads of earlier days are still in the chain: it was not rewritten since."""
    keys = {row.key_id: row.public_hex for row in books.conn.execute(select(schema.signing_key))}
    hashes = dict(
        books.conn.execute(select(schema.journal.c.seq, schema.journal.c.hash)).tuples().all()
    )
    for row in books.conn.execute(select(schema.anchor)).mappings():
        signed = {name: row[name] for name in ("day", "head_seq", "head_hash", "key_id")}
        if not signing.genuine(keys.get(row["key_id"], ""), row["signature"], signed):
            yield f"anchor {row['day']}", "its signature is not that of the book's key"
        elif hashes.get(row["head_seq"]) != row["head_hash"]:
            yield (
                f"anchor {row['day']}",
                f"entry {row['head_seq']} has another hash than was signed",
            )


def signatures(books: Books) -> Found:
    """Every confirmation, review and payout is what its signed act says."""
    acts: dict[str, Mapping[str, Any]] = {}
    for row in books.conn.execute(select(schema.signed_act)).mappings():
        try:
            act = signing.verify(books.conn, json.loads(row["text"]))
        except (VoucherError, ValueError) as error:
            yield f"act {row['sha256'][:16]}", str(error)
            continue
        if act.sha256 != row["sha256"]:
            yield f"act {row['sha256'][:16]}", f"its text has the hash {act.sha256[:16]}"
        acts[row["sha256"]] = act.body
    for subject, sha256, name, value in _decided(books.conn):
        signed: Any = acts.get(sha256, {})
        for step in name:
            signed = signed.get(step, {})
        if signed != value:
            yield subject, f"{name[0]} is {value}, signed was {signed or 'nothing'}"


def _decided(conn: Connection) -> Iterator[tuple[str, str, tuple[str, ...], int]]:
    """Yield what was decided by signature: subject, act, where in its body, value."""
    query = select(schema.voucher, schema.review.c.act_sha256).join(
        schema.review, schema.review.c.application == schema.voucher.c.application
    )
    for row in conn.execute(query):
        yield f"voucher {row.id}", row.act_sha256, ("voucher_fen",), row.amount_fen
    for row in conn.execute(select(schema.claim_review)):
        subject = f"claim {row.claim} line {row.line}"
        yield subject, row.act_sha256, ("approved_fen", row.line), row.approved_fen
    for row in conn.execute(select(schema.payout)):
        yield f"payout {row.claim}", row.act_sha256, ("amount_fen",), row.amount_fen
    for row in conn.execute(select(schema.reserve_grant)):
        yield f"reserve grant {row.reference}", row.act_sha256, ("amount_fen",), row.amount_fen


def vouchers(books: Books) -> Found:
    """issued = left + held + accrued + deducted + expired + cancelled, per voucher."""
    deducted = _sums(books.conn, schema.deduction.c.voucher, schema.deduction.c.amount_fen)
    for row in books.conn.execute(select(schema.voucher)):
        ended = {
            kind: _sum(books.conn, schema.voucher_end.c.amount_fen, voucher=row.id, kind=kind)
            for kind in ("expired", "cancelled")
        }
        left = ledger.balance(books.conn, "voucher.left", row.id)
        expected = {
            "voucher.left": row.amount_fen - deducted.get(row.id, 0) - sum(ended.values()),
            "voucher.deducted": deducted.get(row.id, 0),
            "voucher.expired": ended["expired"],
            "voucher.cancelled": ended["cancelled"],
        }
        for account, fen in expected.items():
            micro = ledger.balance(books.conn, account, row.id)
            if micro != fen * MICRO_PER_FEN:
                yield (
                    f"voucher {row.id}",
                    (
                        f"{account} is {micro} micro-yuan in the ledger, {fen * MICRO_PER_FEN} by"
                        " papers"
                    ),
                )
        if left < 0:
            yield (
                f"voucher {row.id}",
                f"{yuan(-left // MICRO_PER_FEN)} yuan more is deducted than issued",
            )
    for account in books.conn.execute(select(schema.voucher.c.account).distinct()).scalars():
        where = holds.position(books.conn, account, books.policy)
        if min(where.accrued_share_fen, where.held_share_fen, where.free_fen) < 0:
            yield f"account {account}", f"accrued, held or free is below zero: {where}"


def statements(books: Books) -> Found:
    """deduction + cash = fee; lines and vouchers add up to the statement."""
    for row in books.conn.execute(select(schema.statement)).mappings():
        if row["deduction_fen"] + row["cash_fen"] != row["fee_fen"]:
            yield f"statement {row['id']}", "deduction and cash part do not add up to the fee"
        for name in ("fee_fen", "deduction_fen", "cash_fen", "charge_micro", "eligible_micro"):
            total = _sum(books.conn, schema.statement_line.c[name], statement=row["id"])
            if total != row[name]:
                yield f"statement {row['id']}", f"{name} is {row[name]}, its lines have {total}"
        drawn = _sum(books.conn, schema.deduction.c.amount_fen, statement=row["id"])
        if drawn != row["deduction_fen"]:
            yield (
                f"statement {row['id']}",
                f"{drawn} fen came off vouchers, not {row['deduction_fen']}",
            )


def balances(books: Books) -> Found:
    """Each ledger account is what the papers make it: charges, payments, rounding."""
    conn = books.conn
    for contract in conn.execute(select(schema.contract)):
        account = contract.account
        stated = select(schema.statement.c.id).where(schema.statement.c.account == account)
        ids = conn.execute(stated).scalars().all()
        papers = {
            name: sum(_sum(conn, schema.statement.c[name], id=each) for each in ids)
            for name in ("charge_micro", "fee_fen", "cash_fen")
        }
        charged = _sum(conn, schema.charge.c.charge_micro, account=account)
        paid = _sum(conn, schema.payment.c.amount_fen, account=account)
        rounding = papers["charge_micro"] - papers["fee_fen"] * MICRO_PER_FEN
        open_cash = ledger.balance(conn, "receivable", account) + ledger.balance(
            conn, "cash", account
        )
        for name, is_, by_papers in (
            ("accrued", ledger.balance(conn, "accrued", account), charged - papers["charge_micro"]),
            ("rounding", ledger.balance(conn, "rounding", account), rounding),
            ("cash", open_cash, (papers["cash_fen"] - paid) * MICRO_PER_FEN),
        ):
            if is_ != by_papers:
                yield f"account {account}", f"{name} is {is_} micro-yuan, {by_papers} by papers"
        months = _usage_months(conn, account)
        if not 0 <= rounding < max(months, 1) * MICRO_PER_FEN:
            yield (
                f"account {account}",
                f"rounding of {rounding} micro-yuan is no part of a fen a month",
            )


def _usage_months(conn: Connection, account: str) -> int:
    line = schema.statement_line
    query = (
        select(func.count(line.c.usage_month.distinct()))
        .join(schema.statement, schema.statement.c.id == line.c.statement)
        .where(schema.statement.c.account == account)
    )
    return int(conn.execute(query).scalar_one())


def claimed_once(books: Books) -> Found:
    """A statement line is in at most one claim that is open or accepted it."""
    review, line = schema.claim_review, schema.claim_line
    query = select(line.c.line, line.c.claim, review.c.approved_fen).outerjoin(
        review, (review.c.claim == line.c.claim) & (review.c.line == line.c.line)
    )
    claims: dict[str, list[str]] = {}
    for row in books.conn.execute(query.order_by(line.c.line, line.c.claim)):
        if row.approved_fen is None or row.approved_fen != 0:
            claims.setdefault(row.line, []).append(row.claim)
    for name, found in claims.items():
        if len(found) > 1:
            yield f"line {name}", f"stands in {len(found)} claims, 1 is allowed: {', '.join(found)}"


def paid(books: Books) -> Found:
    """paid ≤ approved ≤ claimed, per claim; a line is claimed for its deduction."""
    for row in books.conn.execute(select(schema.claim)).mappings():
        subject = f"claim {row['id']}"
        claimed = _sum(books.conn, schema.claim_line.c.amount_fen, claim=row["id"])
        approved = _sum(books.conn, schema.claim_review.c.approved_fen, claim=row["id"])
        paid_fen = _sum(books.conn, schema.payout.c.amount_fen, claim=row["id"])
        if claimed != row["amount_fen"]:
            yield subject, f"its lines have {claimed} fen, the claim {row['amount_fen']}"
        if not paid_fen <= approved <= claimed:
            yield (
                subject,
                f"paid {paid_fen}, approved {approved}, claimed {claimed} fen: not in order",
            )
    query = select(schema.claim_line, schema.statement_line.c.deduction_fen).join(
        schema.statement_line, schema.statement_line.c.id == schema.claim_line.c.line
    )
    for row in books.conn.execute(query).mappings():
        if row["amount_fen"] != row["deduction_fen"]:
            yield (
                f"claim {row['claim']} line {row['line']}",
                f"claims {row['amount_fen']} fen, {row['deduction_fen']} were deducted",
            )


def reserve(books: Books) -> Found:
    """Reserve fund, receivable from the city and what it paid add up, per provider."""
    conn = books.conn
    for provider in conn.execute(select(schema.provider.c.id)).scalars():
        own = select(schema.contract.c.account).where(schema.contract.c.provider == provider)
        deducted = int(
            conn.execute(
                select(func.coalesce(func.sum(schema.statement.c.deduction_fen), 0)).where(
                    schema.statement.c.account.in_(own)
                )
            ).scalar_one()
        )
        ids = select(schema.claim.c.id).where(schema.claim.c.provider == provider)
        payouts = conn.execute(
            select(
                func.coalesce(func.sum(schema.payout.c.amount_fen), 0),
                func.coalesce(func.sum(schema.payout.c.repaid_fen), 0),
            ).where(schema.payout.c.claim.in_(ids))
        ).one()
        stages = ("claim.unclaimed", "claim.review", "claim.approved", "claim.disputed")
        open_micro = sum(ledger.balance(conn, stage, provider) for stage in stages)
        if open_micro + payouts[0] * MICRO_PER_FEN != deducted * MICRO_PER_FEN:
            yield (
                f"provider {provider}",
                (
                    f"{yuan(deducted)} yuan deducted is not {yuan(open_micro // MICRO_PER_FEN)}"
                    f" open and {yuan(int(payouts[0]))} paid"
                ),
            )
        granted = _sum(conn, schema.reserve_grant.c.amount_fen, provider=provider)
        drawn = _sum(conn, schema.reserve_draw.c.amount_fen, provider=provider)
        fund = ledger.balance(conn, "reserve.fund", provider)
        if fund != (granted - drawn + int(payouts[1])) * MICRO_PER_FEN or fund < 0:
            yield (
                f"provider {provider}",
                (
                    f"the fund holds {yuan(fund // MICRO_PER_FEN)} yuan; granted {yuan(granted)},"
                    f" drawn {yuan(drawn)}, repaid {yuan(int(payouts[1]))}"
                ),
            )


def capacity(books: Books) -> Found:
    """No partition delivers more card-hours on a day than it has cards."""
    prices = charging.in_force(books.conn)
    if prices is None:
        return
    for (cluster, name), partition in prices.partitions.items():
        if not partition.capacity:
            continue
        rows = charging.current(books.conn, books.archive, cluster)
        rows = rows.filter(pc.equal(rows.column("partition").cast(pa.string()), name))
        for day in reports.usage_by(rows, "day", prices.timezone):
            begin_s, end_s = period.bounds(str(day["period"]), prices.timezone)
            known = [c for c in partition.capacity if c.from_s < end_s]
            most = max(sum(c.cards.values()) for c in known[-2:]) if known else None
            if most is None:
                continue
            limit = Decimal(most * (end_s - begin_s)) / 3600
            if Decimal(day["card_hours"]) > limit:
                yield (
                    f"partition {cluster}/{name} {day['period']}",
                    f"{day['card_hours']} card-hours are metered, {limit:.4f} are possible",
                )


def archived(books: Books) -> Found:
    """Every segment is there, with the content that the book names."""
    for segment in charging.segments(books.conn):
        for problem in archive.verify(books.archive, segment):
            yield f"segment {segment.path}", problem


def replayed(books: Books) -> Found:
    """The same usage and closing instants give the same charges and statements."""
    if any(archived(books)):
        yield "archive", "segments are damaged, so nothing can be replayed"
        return
    yield from replay.differences(books.conn, books.archive, books.policy)


def _sum(conn: Connection, column: Any, **where: object) -> int:
    query = select(func.coalesce(func.sum(column), 0))
    for name, value in where.items():
        query = query.where(column.table.c[name] == value)
    return int(conn.execute(query).scalar_one())


def _sums(conn: Connection, by: Any, column: Any) -> dict[str, int]:
    rows = conn.execute(select(by, func.sum(column)).group_by(by)).tuples()
    return {key: int(total) for key, total in rows}


RULES: Mapping[str, tuple[Callable[[Books], Found], str]] = {
    "chain": (chain, "stop posting and compare with a backup and the signed heads"),
    "anchors": (anchors, "the chain was rewritten: compare with a backup and with printed papers"),
    "signatures": (signatures, "ask the regulator or treasury for the act they signed"),
    "vouchers": (vouchers, "compare issue, statements and expiries of the voucher"),
    "statements": (statements, "compare the statement with its lines"),
    "balances": (balances, "compare the ledger account with payments and statements"),
    "claimed-once": (claimed_once, "withdraw the line from one of the claims"),
    "paid": (paid, "compare claim, review and payout"),
    "reserve": (reserve, "compare deductions, payouts and the reserve fund"),
    "capacity": (capacity, "look for runs counted twice, or correct the capacity in the tariff"),
    "archive": (archived, "restore the segment from a backup; the quarantine may have it"),
    "replay": (replayed, "stop closing; compare tariff, archive and statement"),
}
"""The closed list of rules, in the order in which they are checked, each with what to do."""
