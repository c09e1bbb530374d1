"""Month's end: what was delivered becomes a statement (结算单), half of it off the voucher.

A statement is cumulative by usage month: fee = floor(all charges of that month to the fen) and
deduction = floor(ratio of the eligible fee), each minus what earlier statements took. So a late
run or a correction finds its way into the open month, to the fen, and a closed one never changes.

Worked example: three runs of 3.333333 make 9.999999 yuan: fee 9.99, 0.009999 to the rounding
account, deduction floor(4.995) = 4.99, cash 5.00.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Engine

from accounting import charging, ledger, money, period, schema
from accounting.errors import InvalidInput, InvariantBroken, Refused
from accounting.grouping import Group
from accounting.holds import vouchers
from accounting.ledger import Entry, Posting, Stamp, lock, write
from accounting.money import MICRO_PER_FEN, yuan
from accounting.policy import Policy
from accounting.registry import contracts, find


@dataclass(frozen=True)
class Line:
    """One line of a statement: what one kind of computing of one usage month cost."""

    usage_month: str
    group: Group
    fee_fen: int
    deduction_fen: int


def close(
    engine: Engine, archive: Path, month: str, provider: str, policy: Policy, stamp: Stamp
) -> list[str]:
    """Close a month for one provider: one statement for each account with charges.

    Each statement is one transaction, so a close that was interrupted is simply run again;
    closing a closed month changes nothing.

    Returns:
        The month's statements, by id.

    Raises:
        InvalidInput: This is no month, or no such provider.
        Refused: The month has not ended, or runs of it are unrated or not yet collected.
        InvariantBroken: Archive and book disagree.
    """
    if period.kind_of(month) != "month":
        raise InvalidInput(f"close {month}: not a month; write it as 2026-11")
    with engine.begin() as conn:
        lock(conn)
        find(conn, "provider", id=provider)
        accounts = [row["account"] for row in contracts(conn, provider=provider)]
        if not closed(conn, provider, month):
            _check_closable(conn, archive, month, provider, policy, stamp)
    if not closed_now(engine, provider, month):
        for account in accounts:
            with engine.begin() as conn:
                lock(conn)
                _settle(conn, archive, account, month, provider, policy, stamp)
        with engine.begin() as conn:
            lock(conn)
            _lapse(conn, provider, policy, stamp)
            _mark_closed(conn, provider, month, stamp)
    with engine.begin() as conn:
        return [row["id"] for row in statements(conn, provider=provider, month=month)]


def closed(conn: Connection, provider: str, month: str) -> bool:
    """Tell whether a month is closed for a provider."""
    query = select(schema.closing.c.seq).filter_by(provider=provider, month=month)
    return conn.execute(query).scalar() is not None


def closed_now(engine: Engine, provider: str, month: str) -> bool:
    """Tell whether a month is closed, in a transaction of its own."""
    with engine.begin() as conn:
        return closed(conn, provider, month)


def _check_closable(
    conn: Connection, archive: Path, month: str, provider: str, policy: Policy, stamp: Stamp
) -> None:
    end_s = period.bounds(month, policy.timezone)[1]
    if stamp.effective_s < end_s:
        raise Refused(
            f"close {month}: it ends {period.clock(end_s, policy.timezone)}, now is "
            f"{period.clock(stamp.effective_s, policy.timezone)}; close it after it has ended"
        )
    unrated = charging.unrated(conn, archive, end_s)
    if unrated.num_rows:
        first = unrated.slice(0, 1).to_pylist()[0]
        raise Refused(
            f"close {month}: {unrated.num_rows} runs are unrated, such as job {first['job']} of "
            f"{first['cluster']} ({first['reason']}); 0 are allowed; load a price that covers them "
            "and run svoucher rate"
        )
    if ledger.identity(conn).rehearsal:
        return  # its clock may be set: what is collected up to is a real instant
    for cluster, until_s in charging.watermarks(conn).items():
        if until_s < end_s:
            raise Refused(
                f"close {month}: cluster {cluster} is collected up to "
                f"{period.clock(until_s, policy.timezone)}, {period.clock(end_s, policy.timezone)} "
                "is needed; run svoucher collect first"
            )


def _settle(
    conn: Connection,
    archive: Path,
    account: str,
    month: str,
    provider: str,
    policy: Policy,
    stamp: Stamp,
) -> None:
    """Write the statement of one account, if there is anything to state."""
    statement_id = f"S-{account}-{month}"
    if conn.execute(select(schema.statement.c.seq).filter_by(id=statement_id)).scalar():
        return
    lines = state(conn, archive, account, month, policy)
    if not lines:
        return
    fee_fen = sum(line.fee_fen for line in lines)
    deduction_fen = sum(line.deduction_fen for line in lines)
    cash_fen = fee_fen - deduction_fen
    paid_fen = min(cash_fen, -ledger.balance(conn, "cash", account) // MICRO_PER_FEN)
    draws = _draw(conn, account, deduction_fen)
    row = {
        "id": statement_id,
        "account": account,
        "month": month,
        "upto_seq": ledger.head(conn)[0],
        "charge_micro": sum(line.group.charge_micro for line in lines),
        "eligible_micro": sum(line.group.eligible_micro for line in lines),
        "fee_fen": fee_fen,
        "deduction_fen": deduction_fen,
        "cash_fen": cash_fen,
        "receivable_fen": cash_fen - paid_fen,
    }
    rows = {
        "statement": [row],
        "statement_line": [line_row(statement_id, i, line) for i, line in enumerate(lines, 1)],
        "deduction": [
            {"statement": statement_id, "voucher": voucher, "amount_fen": fen}
            for voucher, fen in draws.items()
        ],
    }
    postings = _statement_postings(row, draws, provider)
    write(conn, Entry(f"statement:{account}:{month}", "statement", stamp, rows, postings))


def state(conn: Connection, archive: Path, account: str, month: str, policy: Policy) -> list[Line]:
    """Work out the lines that an account's statement of a month has to have.

    Raises:
        InvariantBroken: The runs in the archive do not add up to the charges in the book.
    """
    left_fen = sum(
        ledger.balance(conn, "voucher.left", voucher.id) // MICRO_PER_FEN
        for voucher in vouchers(conn, account)
    )
    lines: list[Line] = []
    since_seq = _stated_upto(conn, account)
    groups = charging.groups(conn, archive, account, since_seq, policy.timezone)
    for usage_month, cumulative in sorted(_charged(conn, account).items()):
        if usage_month > month:
            continue
        own = [group for group in groups if group.month == usage_month]
        stated = _stated(conn, account, usage_month)
        _check_archive(account, usage_month, cumulative, stated, own)
        if not own:
            continue
        fee_cum_fen = cumulative["charge"] // MICRO_PER_FEN
        eligible_fen = min(fee_cum_fen, cumulative["eligible"] // MICRO_PER_FEN)
        wanted_fen = money.share(eligible_fen, policy.deduct_ratio_bp) - stated["deduction"]
        deduction_fen = min(wanted_fen, left_fen)
        left_fen -= deduction_fen
        lines += _lines(usage_month, own, fee_cum_fen - stated["fee"], deduction_fen)
    return lines


def _lines(
    usage_month: str, groups: Sequence[Group], fee_fen: int, deduction_fen: int
) -> Iterable[Line]:
    charges = [group.charge_micro for group in groups]
    eligible = [group.eligible_micro for group in groups]
    fees = money.apportion(fee_fen, charges)
    deductions = money.apportion(deduction_fen, eligible if sum(eligible) else charges)
    for group, fee, part in zip(groups, fees, deductions, strict=True):
        yield Line(usage_month, group, fee, part)


def _charged(conn: Connection, account: str) -> dict[str, dict[str, int]]:
    """Sum all charges ever posted to an account, by usage month."""
    table = schema.charge
    query = (
        select(table.c.month, func.sum(table.c.charge_micro), func.sum(table.c.eligible_micro))
        .where(table.c.account == account)
        .group_by(table.c.month)
    )
    return {
        month: {"charge": int(charge), "eligible": int(eligible)}
        for month, charge, eligible in conn.execute(query)
    }


def _stated(conn: Connection, account: str, usage_month: str) -> dict[str, int]:
    """Sum what earlier statements took for a usage month."""
    table = schema.statement_line
    names = {
        "charge": table.c.charge_micro,
        "eligible": table.c.eligible_micro,
        "fee": table.c.fee_fen,
        "deduction": table.c.deduction_fen,
    }
    query = (
        select(*(func.coalesce(func.sum(column), 0).label(name) for name, column in names.items()))
        .join(schema.statement, schema.statement.c.id == table.c.statement)
        .where(schema.statement.c.account == account, table.c.usage_month == usage_month)
    )
    return {name: int(value) for name, value in conn.execute(query).mappings().one().items()}


def _stated_upto(conn: Connection, account: str) -> int:
    """Return the place in the chain up to which an account's charges are on statements."""
    query = select(func.max(schema.statement.c.upto_seq)).filter_by(account=account)
    return conn.execute(query).scalar() or 0


def _check_archive(
    account: str,
    month: str,
    cumulative: Mapping[str, int],
    stated: Mapping[str, int],
    groups: Sequence[Group],
) -> None:
    new_micro = cumulative["charge"] - stated["charge"]
    found_micro = sum(group.charge_micro for group in groups)
    if new_micro != found_micro:
        raise InvariantBroken(
            f"account {account}, {month}: the book has {new_micro} micro-yuan to state, the archive"
            f" {found_micro}; run svoucher audit"
        )


def _draw(conn: Connection, account: str, deduction_fen: int) -> dict[str, int]:
    """Split a deduction over an account's vouchers, earliest expiry first; credits go back to
    the last one."""
    own = vouchers(conn, account)
    if deduction_fen < 0:
        return {own[-1].id: deduction_fen}
    draws: dict[str, int] = {}
    for voucher in own:
        left_fen = ledger.balance(conn, "voucher.left", voucher.id) // MICRO_PER_FEN
        part = min(deduction_fen - sum(draws.values()), left_fen)
        if part:
            draws[voucher.id] = part
    return draws


def line_row(statement_id: str, number: int, line: Line) -> dict[str, Any]:
    """Return a statement's line as the book keeps it."""
    group = line.group
    return {
        "id": f"{statement_id}/{number}",
        "statement": statement_id,
        "usage_month": line.usage_month,
        "cluster": group.cluster,
        "partition": group.partition,
        "qos": group.qos,
        "chip": group.chip,
        "tariff": group.tariff,
        "runs": group.runs,
        "gflops_s": group.gflops_s,
        "charge_micro": group.charge_micro,
        "eligible_micro": group.eligible_micro,
        "fee_fen": line.fee_fen,
        "deduction_fen": line.deduction_fen,
        "cash_fen": line.fee_fen - line.deduction_fen,
    }


def _statement_postings(
    row: Mapping[str, Any], draws: Mapping[str, int], provider: str
) -> list[Posting]:
    account = row["account"]
    paid_fen = row["cash_fen"] - row["receivable_fen"]
    amounts = [
        ("accrued", account, -row["charge_micro"]),
        ("rounding", account, row["charge_micro"] - row["fee_fen"] * MICRO_PER_FEN),
        ("claim.unclaimed", provider, row["deduction_fen"] * MICRO_PER_FEN),
        ("cash", account, paid_fen * MICRO_PER_FEN),
        ("receivable", account, row["receivable_fen"] * MICRO_PER_FEN),
    ]
    for voucher, fen in draws.items():
        amounts.append(("voucher.left", voucher, -fen * MICRO_PER_FEN))
        amounts.append(("voucher.deducted", voucher, fen * MICRO_PER_FEN))
    return [Posting(name, owner, micro) for name, owner, micro in amounts if micro]


def _lapse(conn: Connection, provider: str, policy: Policy, stamp: Stamp) -> None:
    """Let vouchers lapse whose validity, and the time to settle late runs, are over."""
    late_s = policy.settle_days * 86_400
    for contract in contracts(conn, provider=provider):
        for voucher in vouchers(conn, contract["account"]):
            left = ledger.balance(conn, "voucher.left", voucher.id)
            if left and voucher.until_s + late_s <= stamp.effective_s:
                row = {
                    "voucher": voucher.id,
                    "kind": "expired",
                    "at_s": voucher.until_s,
                    "amount_fen": left // MICRO_PER_FEN,
                }
                postings = [
                    Posting("voucher.left", voucher.id, -left),
                    Posting("voucher.expired", voucher.id, left),
                ]
                key = f"expiry:{voucher.id}"
                rows = {"voucher_end": [row]}
                write(conn, Entry(key, "voucher.expire", stamp, rows, postings))


def _mark_closed(conn: Connection, provider: str, month: str, stamp: Stamp) -> None:
    row = {
        "provider": provider,
        "month": month,
        "at_s": stamp.effective_s,
        "upto_seq": ledger.head(conn)[0],
    }
    write(conn, Entry(f"closing:{provider}:{month}", "month.close", stamp, {"closing": [row]}))


def statements(conn: Connection, **filters: object) -> list[dict[str, Any]]:
    """List statements with their unit and provider, in the order in which they were written."""
    query = (
        select(schema.statement, schema.contract.c.unit, schema.contract.c.provider)
        .join(schema.contract, schema.contract.c.account == schema.statement.c.account)
        .filter_by()
        .order_by(schema.statement.c.seq)
    )
    for name, value in filters.items():
        table = schema.statement if name in schema.statement.c else schema.contract
        query = query.where(table.c[name] == value)
    return [dict(row) for row in conn.execute(query).mappings()]


def lines_of(conn: Connection, statement_id: str) -> list[dict[str, Any]]:
    """List the lines of a statement."""
    table = schema.statement_line
    query = select(table).where(table.c.statement == statement_id).order_by(table.c.id)
    return [dict(row) for row in conn.execute(query).mappings()]


def record_invoice(
    conn: Connection, statement_id: str, number: str, policy: Policy, stamp: Stamp
) -> Mapping[str, int]:
    """Record the number of the invoice (发票) that the provider made over the cash part.

    Returns:
        gross_fen, net_fen and tax_fen: prices include the tax, which is split once, here.

    Raises:
        InvalidInput: No such statement, or the number is another statement's.
        Refused: The statement has no cash part to invoice, or another invoice.
    """
    statement = find(conn, "statement", id=statement_id)
    if statement.cash_fen <= 0:
        raise Refused(
            f"statement {statement_id}: the unit's part is {yuan(statement.cash_fen)} yuan, an "
            "invoice needs more than 0.00; there is nothing to invoice"
        )
    net_fen = money.half_up(statement.cash_fen * money.BP, money.BP + policy.vat_bp)
    amounts = {
        "gross_fen": statement.cash_fen,
        "net_fen": net_fen,
        "tax_fen": statement.cash_fen - net_fen,
    }
    day = period.day_of(stamp.effective_s, policy.timezone).isoformat()
    row = {"number": number, "statement": statement_id, "recorded_on": day} | amounts
    known = conn.execute(
        select(schema.invoice).where(
            (schema.invoice.c.number == number) | (schema.invoice.c.statement == statement_id)
        )
    ).one_or_none()
    if known is not None and (known.number, known.statement) != (number, statement_id):
        raise Refused(
            f"invoice {number}: {known.statement} has invoice {known.number} already; one statement"
            " has one invoice"
        )
    if known is None:
        write(conn, Entry(f"invoice:{number}", "invoice.record", stamp, {"invoice": [row]}))
    return amounts
