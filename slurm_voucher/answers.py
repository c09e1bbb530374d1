"""What is told of balances and quotes: the same rows to the operator and to a user who asks."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.money import MICRO_PER_FEN, fen_up, yuan, yuan_micro
from accounting.period import day_of
from accounting.policy import Policy
from accounting.vouchers import holds, registry, spending
from accounting.vouchers.holds import Position
from slurm_voucher import asking
from slurm_voucher.asking import Asker, Rules, Terms

Row = dict[str, str | None]


def balance(conn: Connection, policy: Policy, contract: Any) -> Row:
    """Tell where the account of a contract stands, in yuan."""
    where: Position = holds.position(conn, contract.account, policy)
    issued = deducted = 0
    for voucher in holds.vouchers(conn, contract.account):
        issued += voucher.amount_fen
        deducted += ledger.balance(conn, "voucher.deducted", voucher.id) // MICRO_PER_FEN
    window = holds.validity(conn, contract.account)
    last_day = day_of(window[1] - 1, policy.timezone).isoformat() if window else None
    return {
        "account": contract.account,
        "unit": contract.unit,
        "voucher": yuan(issued),
        "deducted": yuan(deducted),
        "accrued": yuan_micro(where.accrued_micro),
        "held": yuan_micro(where.held_micro),
        "free": yuan(where.free_fen),
        "cash": yuan(where.cash_fen),
        "cash_free": yuan(where.free_cash_fen),
        "owed": yuan(where.owed_fen),
        "credit": yuan(where.credit_fen),
        "available": yuan(where.available_fen),
        "last_day": last_day,
    }


def balances_of(conn: Connection, policy: Policy, cluster: str, uid: int, now_s: int) -> list[Row]:
    """Tell where the accounts stand of the unit for which a user computes."""
    unit = registry.unit_of(conn, cluster, uid, now_s)
    if unit is None:
        return []
    contracts = select(schema.contract).filter_by(unit=unit).order_by(schema.contract.c.seq)
    return [balance(conn, policy, row) for row in conn.execute(contracts).all()]


def quote(
    conn: Connection,
    rules: Rules,
    fields: Mapping[str, str],
    account: str | None,
    uid: int | None,
    now_s: int,
) -> list[str]:
    """Tell what a job can cost at most and, on an account, whether it would be accepted now.

    Args:
        fields: As of a HOLD question.
        uid: Who would submit it. None: the operator asks, for anybody.

    Raises:
        VoucherError: It is not known what it can cost, or it would be refused.
    """
    want = asking.wanted(rules, fields)
    by = Terms(None, "")
    if account and uid is not None:
        by = asking.terms(conn, rules, Asker(account, uid), want.provider, now_s)
    elif account:
        by = asking.terms_of(rules, spending.standing(conn, account))
    job, most = asking.cost(rules, want, by, now_s)
    told = [
        f"{job.tasks} × {most.basis.chip or f'{job.kind.cpus} cores'} {job.kind.gres or ''} for"
        f" {job.limit_s} s on {rules.cluster.name}/{job.kind.partition}: at most"
        f" {yuan(fen_up(job.tasks * most.fee_micro))} yuan by tariff {most.tariff}"
    ]
    if account:
        request = asking.hold(rules, "", Asker(account, uid or 0), want, most, fields)
        before, after = holds.fit(conn, request, rules.policy, now_s)
        told.append(
            f"voucher {account}: would be accepted, {yuan(before.available_fen)} yuan is"
            f" available; voucher part {yuan(after.held_share_fen - before.held_share_fen)}"
        )
    return told
