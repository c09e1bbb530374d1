"""What a statement has to say: worked out from the book and the archive, nothing is written.

Everything is cumulative by usage month, so that late runs and corrections come to the same as if
they had been in time; a replay works it out once more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import ledger, schema
from accounting.errors import InvariantBroken
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.settle import stored
from accounting.settle.grouping import Group
from accounting.vouchers.holds import vouchers


@dataclass(frozen=True)
class Line:
    """One line of a statement: what one kind of computing of one usage month cost."""

    usage_month: str
    group: Group
    fee_fen: int
    deduction_fen: int


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
    for usage_month, cumulative in sorted(_charged(conn, account).items()):
        if usage_month > month:
            continue
        since_seq = stated_upto(conn, account, usage_month)
        own = stored.groups(conn, archive, account, usage_month, since_seq, policy.timezone)
        taken = stated(conn, account, usage_month)
        _check_archive(account, usage_month, cumulative, taken, own)
        if not own:
            continue
        fee_cum_fen = cumulative["charge"] // MICRO_PER_FEN
        eligible_fen = min(fee_cum_fen, cumulative["eligible"] // MICRO_PER_FEN)
        wanted_fen = money.share(eligible_fen, policy.deduct_ratio_bp) - taken["deduction"]
        deduction_fen = min(wanted_fen, left_fen)
        left_fen -= deduction_fen
        lines += _lines(usage_month, own, fee_cum_fen - taken["fee"], deduction_fen)
    return lines


def _lines(
    usage_month: str, groups: Sequence[Group], fee_fen: int, deduction_fen: int
) -> Iterable[Line]:
    charges = [group.charge_micro for group in groups]
    eligible = [group.eligible_micro for group in groups]
    fees = money.apportion(fee_fen, charges)
    deductions = money.apportion(deduction_fen, _weights(deduction_fen, eligible, charges))
    for group, fee, part in zip(groups, fees, deductions, strict=True):
        yield Line(usage_month, group, fee, part)


def _weights(total: int, *choices: Sequence[int]) -> Sequence[int]:
    """Return the first weights that a total can be split over: their sum has its sign.

    None has it when a month that was short of voucher gets, by a correction that lowers its fee,
    some of what another correction gave back: the first line takes it.
    """
    for weights in choices:
        if total == 0 or sum(weights) * total > 0:
            return weights
    return [total, *[0] * (len(choices[0]) - 1)]


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


def stated(
    conn: Connection, account: str, usage_month: str, *where: ColumnElement[bool]
) -> dict[str, int]:
    """Sum what statements took for a usage month: charge, eligible, fee and deduction.

    Args:
        where: Which statements. None: all of the account.
    """
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
        .where(schema.statement.c.account == account, table.c.usage_month == usage_month, *where)
    )
    return {name: int(value) for name, value in conn.execute(query).mappings().one().items()}


def stated_upto(
    conn: Connection, account: str, usage_month: str, before_seq: int | None = None
) -> int:
    """Return the place in the chain up to which a month's charges are on statements.

    A statement has the charges of its own month and of those before: what was charged meanwhile
    for a later month is still to be stated.

    Args:
        before_seq: Look at statements written before this entry. None: at all.
    """
    paper = schema.statement
    query = select(func.max(paper.c.upto_seq)).filter_by(account=account)
    query = query.where(paper.c.month >= usage_month)
    if before_seq is not None:
        query = query.where(paper.c.seq < before_seq)
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
