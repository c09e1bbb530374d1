"""Which vouchers near their end: by how much of them is used, and by the days that are left."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import ledger, schema
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.vouchers import holds

USED, EXPIRES = "used", "expires"


@dataclass(frozen=True)
class Nearing:
    """That an account's vouchers have passed a level.

    Attributes:
        account: Whose vouchers.
        unit: To whom they were issued.
        kind: `used` or `expires`.
        level: Percent that are used, or days that are left: the last one that was passed.
        keys: Names of this level and of those passed before it: who was told of one of them is
            not told of it again.
        issued_fen: All vouchers of the account, less what was cancelled or has expired.
        used_fen: Deducted, and the share of what is accrued; what is only held is not in it.
        free_fen: Neither used nor held.
        last_day: On which they are valid.
    """

    account: str
    unit: str
    kind: str
    level: int
    keys: tuple[str, ...]
    issued_fen: int
    used_fen: int
    free_fen: int
    last_day: str


def nearing(
    conn: Connection, policy: Policy, now_s: int, percent: Sequence[int], days: Sequence[int]
) -> list[Nearing]:
    """List what accounts with vouchers that are valid now have passed.

    Args:
        conn: The book.
        policy: The rules.
        now_s: The instant.
        percent: Levels of what is used.
        days: Levels of what is left, in days before the end of the last one.

    Returns:
        At most one of each kind for an account, in the order of the contracts. Where nothing is
        left there is no warning of the expiry.
    """
    found = []
    contracts = conn.execute(select(schema.contract).order_by(schema.contract.c.seq)).all()
    where = holds.positions(conn, [row.account for row in contracts], policy)
    for row in contracts:
        window = holds.validity(conn, row.account)
        if window is None or not window[0] <= now_s < window[1]:
            continue
        used_fen = _deducted_fen(conn, row.account) + where[row.account].accrued_share_fen
        issued_fen = _deducted_fen(conn, row.account) + where[row.account].left_fen
        left_s = window[1] - now_s
        passed = {
            USED: [p for p in sorted(percent) if _reaches(used_fen, issued_fen, p)],
            EXPIRES: [d for d in sorted(days, reverse=True) if left_s <= d * 86_400],
        }
        if where[row.account].left_fen <= 0:
            passed[EXPIRES] = []
        last_day = period.day_of(window[1] - 1, policy.timezone).isoformat()
        found += [
            Nearing(
                account=row.account,
                unit=row.unit,
                kind=kind,
                level=levels[-1],
                keys=tuple(_key(row.account, kind, issued_fen, last_day, n) for n in levels),
                issued_fen=issued_fen,
                used_fen=used_fen,
                free_fen=where[row.account].free_fen,
                last_day=last_day,
            )
            for kind, levels in passed.items()
            if levels
        ]
    return found


def _reaches(used_fen: int, issued_fen: int, percent: int) -> bool:
    return issued_fen > 0 and used_fen * 100 >= issued_fen * percent


def _key(account: str, kind: str, issued_fen: int, last_day: str, level: int) -> str:
    """Name a level; a further voucher, or another last day, makes it another one."""
    of = money.yuan(issued_fen).replace(",", "") if kind == USED else last_day
    return f"{account}/{kind}/{of}/{level}"


def _deducted_fen(conn: Connection, account: str) -> int:
    ids = [voucher.id for voucher in holds.vouchers(conn, account)]
    return sum(ledger.balances(conn, "voucher.deducted", ids).values()) // MICRO_PER_FEN
