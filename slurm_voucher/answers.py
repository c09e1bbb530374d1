"""What is told of balances and members: the same rows to the operator and to a user who asks."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.money import MICRO_PER_FEN, half_up, yuan, yuan_micro
from accounting.period import day_of
from accounting.policy import Policy
from accounting.vouchers import holds, pace, registry, spending
from accounting.vouchers.holds import Position

Row = dict[str, Any]
MEMBERS_MAX = 1000
"""How many rows of members are told at most."""


def balance(conn: Connection, policy: Policy, contract: Any, now_s: int) -> Row:
    """Tell where the account of a contract stands, in yuan."""
    account, zone = contract.account, policy.timezone
    where: Position = holds.position(conn, account, policy)
    issued = deducted = 0
    for voucher in holds.vouchers(conn, account):
        issued += voucher.amount_fen
        deducted += ledger.balance(conn, "voucher.deducted", voucher.id) // MICRO_PER_FEN
    window = holds.validity(conn, account)
    charged_micro, in_s = pace.charged_a_day(conn, account, contract.from_s, now_s, zone)
    return {
        "account": account,
        "unit": contract.unit,
        "voucher": yuan(issued),
        "deducted": yuan(deducted),
        "settled": yuan(_settled_fen(conn, account)),
        "accrued": yuan_micro(where.accrued.charge_micro),
        "held": yuan_micro(where.held_micro),
        "free": yuan(where.free_fen),
        "cash": yuan(where.cash_fen),
        "cash_free": yuan(where.free_cash_fen),
        "owed": yuan(where.owed_fen),
        "credit": yuan(where.credit_fen),
        "available": yuan(where.available_fen),
        "a_day": yuan(half_up(charged_micro * pace.DAY_S, in_s * MICRO_PER_FEN)),
        "days_left": pace.days_left(where.available_fen, charged_micro, in_s),
        "first_day": day_of(window[0], zone).isoformat() if window else None,
        "last_day": day_of(window[1] - 1, zone).isoformat() if window else None,
    }


def _settled_fen(conn: Connection, account: str) -> int:
    """Return what an account's statements came to."""
    query = select(func.sum(schema.statement.c.fee_fen)).filter_by(account=account)
    return int(conn.execute(query).scalar() or 0)


def balances_of(conn: Connection, policy: Policy, cluster: str, uid: int, now_s: int) -> list[Row]:
    """Tell where the accounts stand of the unit for which a user computes."""
    found = _contracts_of(conn, cluster, uid, now_s)
    return [balance(conn, policy, row, now_s) for row in found]


def contracts(conn: Connection, account: str | None = None) -> Sequence[Any]:
    """Return all contracts in the order in which they were entered, or that of an account."""
    query = select(schema.contract).order_by(schema.contract.c.seq)
    return conn.execute(query.filter_by(account=account) if account else query).all()


def _contracts_of(conn: Connection, cluster: str, uid: int, now_s: int) -> Sequence[Any]:
    """Return the contracts of the unit for which a user computes."""
    unit = registry.unit_of(conn, cluster, uid, now_s)
    query = select(schema.contract).filter_by(unit=unit).order_by(schema.contract.c.seq)
    return conn.execute(query).all() if unit is not None else ()


def members_of(conn: Connection, policy: Policy, cluster: str, uid: int, now_s: int) -> list[Row]:
    """Tell who may spend the accounts of the unit for which a user computes."""
    return members(conn, policy, _contracts_of(conn, cluster, uid, now_s), now_s)


def members(conn: Connection, policy: Policy, found: Sequence[Any], now_s: int) -> list[Row]:
    """Tell who may spend the accounts of contracts, now or later, and whether one may now."""
    rows: list[Row] = []
    standings = spending.standings(conn, [contract.account for contract in found])
    of_unit = {
        unit: registry.members(conn, now_s, unit=unit)
        for unit in dict.fromkeys(contract.unit for contract in found)
    }
    for contract in found:
        for member in of_unit[contract.unit][: MEMBERS_MAX - len(rows)]:
            until_s = member["last_s"]
            rows.append(
                {
                    "account": contract.account,
                    "unit": contract.unit,
                    "cluster": member["cluster"],
                    "uid": member["uid"],
                    "from": _day(member["from_s"], policy),
                    "until": None if until_s is None else _day(until_s - 1, policy),
                    "may_spend": _may(standings[contract.account], member, now_s),
                }
            )
    return rows


def _day(at_s: int, policy: Policy) -> str:
    return day_of(at_s, policy.timezone).isoformat()


def _may(standing: spending.Standing, member: Mapping[str, Any], now_s: int) -> str:
    """Say `yes`, or in a word why a member may not spend an account now."""
    if member["from_s"] > now_s:
        return "not yet"
    if any(begin_s <= now_s < end_s for begin_s, end_s, _ in standing.frozen):
        return "frozen"
    if standing.ended_s is not None and now_s >= standing.ended_s:
        return "ended"
    return "yes"
