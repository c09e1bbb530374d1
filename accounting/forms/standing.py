"""Where vouchers and units stand by now: what was issued, and what became of it. In fen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import schema
from accounting.forms.registers import fen_by_owner
from accounting.policy import Policy
from accounting.vouchers import registry

GROUPS = ("voucher", "account", "unit", "provider", "category", "month", "quarter", "year")
"""What vouchers can be added up by; periods are those of their issue."""
ENDS = ("deducted", "expired", "cancelled", "left")
"""What can become of a voucher's money."""


@dataclass
class Standing:
    """What vouchers come to, fen: deducted, expired, cancelled and left are what was issued."""

    vouchers: int = 0
    issued_fen: int = 0
    deducted_fen: int = 0
    expired_fen: int = 0
    cancelled_fen: int = 0
    left_fen: int = 0

    @property
    def used_bp(self) -> int | None:
        """How much of what was issued is deducted; None where nothing was."""
        if not self.issued_fen:
            return None
        return money.half_up(max(0, self.deducted_fen) * money.BP, self.issued_fen)


def vouchers(conn: Connection, group: str) -> dict[str, Standing]:
    """Add vouchers up by one of GROUPS, in the order in which they were issued.

    Raises:
        ValueError: There is no such group.
    """
    ends = {name: fen_by_owner(conn, f"voucher.{name}") for name in ENDS}
    found: dict[str, Standing] = {}
    for row in _issued(conn):
        own = found.setdefault(_group(row, group), Standing())
        own.vouchers += 1
        own.issued_fen += row.amount_fen
        own.deducted_fen += ends["deducted"][row.id]
        own.expired_fen += ends["expired"][row.id]
        own.cancelled_fen += ends["cancelled"][row.id]
        own.left_fen += ends["left"][row.id]
    return found


def left_by_day(conn: Connection, group: str, policy: Policy) -> dict[str, dict[str, int]]:
    """Return what was left on vouchers at the end of each day on which that changed, in fen.

    Groups stand in the order in which their first voucher was issued, days in that of the calendar.

    Raises:
        ValueError: There is no such group.
    """
    of = {row.id: _group(row, group) for row in _issued(conn)}
    posting, entry = schema.posting.c, schema.journal.c
    query = (
        select(posting.owner, posting.amount_micro, entry.effective_s)
        .join(schema.journal, entry.seq == posting.seq)
        .where(posting.account == "voucher.left")
    )
    changes: dict[str, Counter[str]] = {name: Counter() for name in of.values()}
    for voucher, micro, at_s in conn.execute(query):
        day = period.day_of(at_s, policy.timezone).isoformat()
        changes[of[voucher]][day] += int(micro)
    found: dict[str, dict[str, int]] = {}
    for name, by_day in changes.items():
        days = sorted(by_day)
        sums = accumulate(by_day[day] for day in days)
        found[name] = {
            day: micro // money.MICRO_PER_FEN for day, micro in zip(days, sums, strict=True)
        }
    return found


def last_days(conn: Connection, policy: Policy) -> dict[str, str]:
    """Return the last day of each voucher."""
    table = schema.voucher.c
    rows = conn.execute(select(table.id, table.until_s))
    return {row.id: period.day_of(row.until_s - 1, policy.timezone).isoformat() for row in rows}


def _issued(conn: Connection) -> Sequence[Any]:
    voucher, contract = schema.voucher, schema.contract
    query = (
        select(voucher, contract.c.unit, contract.c.provider)
        .join(contract, contract.c.account == voucher.c.account)
        .order_by(voucher.c.seq, voucher.c.id)
    )
    return conn.execute(query).all()


def _group(row: Any, group: str) -> str:
    if group in period.KINDS:
        return period.name_of(period.first_day(row.issued_on), group)
    if group not in GROUPS:
        raise ValueError(f"{group!r} is no group of vouchers; use one of {', '.join(GROUPS)}")
    return str(row.id if group == "voucher" else row._mapping[group])


@dataclass(frozen=True)
class Account:
    """Where the money of voucher accounts stands, micro-yuan."""

    accrued_micro: int
    cash_micro: int
    receivable_micro: int


def units(conn: Connection) -> dict[str, tuple[Standing, Account]]:
    """Return for each unit what its vouchers come to, and the cash of its accounts."""
    of = registry.unit_by_account(conn)
    table = schema.balance.c
    sums: dict[tuple[str, str], int] = {}
    names = ("accrued", "cash", "receivable")
    query = select(table.account, table.owner, table.amount_micro).where(table.account.in_(names))
    for name, account, micro in conn.execute(query):
        key = (of[account], name)
        sums[key] = sums.get(key, 0) + int(micro)
    standing = vouchers(conn, "unit")
    ids = conn.execute(select(schema.unit.c.id).order_by(schema.unit.c.seq)).scalars().all()
    return {
        unit: (
            standing.get(unit, Standing()),
            Account(
                sums.get((unit, "accrued"), 0),
                -sums.get((unit, "cash"), 0),
                sums.get((unit, "receivable"), 0),
            ),
        )
        for unit in ids
    }
