"""What the book knows of voucher accounts that a statement is made of: asked once for many.

All of it is by usage month: what was charged, what statements so far took and drew for it, and what
is still to be stated.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.policy import Policy
from accounting.settle import eligible
from accounting.settle.drawdown import Voucher
from accounting.vouchers import holds

Sums = Mapping[str, int]
NOTHING: Sums = {"charge": 0, "eligible": 0, "fee": 0, "deduction": 0}
"""What statements took for a month that is on none."""
T = TypeVar("T")


@dataclass(frozen=True)
class Refund:
    """What was recorded for a run that is refunded, and which run it is."""

    run: tuple[object, ...]
    fee_fen: int
    borne_fen: Mapping[str, int]


@dataclass(frozen=True)
class Account:
    """What the book knows of an account; all but the vouchers by usage month.

    Attributes:
        account: Which one.
        vouchers: Its vouchers, in the order in which they are drawn.
        simple: Whether the archive knows what of its runs they may bear; see `eligible.simple`.
        charged: What was ever charged to it, and the eligible part.
        stated: What statements took: charge, eligible, fee and deduction.
        borne: What each voucher bore on statements.
        refunds: What has to be credited, by id in order.
        unstated: What of that is on no statement yet, by segment: charge and eligible part.
    """

    account: str
    vouchers: Sequence[Voucher]
    simple: bool
    charged: Mapping[str, Sums]
    stated: Mapping[str, Sums]
    borne: Mapping[str, Mapping[str, int]]
    refunds: Mapping[str, Mapping[str, Refund]]
    unstated: Mapping[str, Mapping[str, tuple[int, int]]]


def accounts(
    conn: Connection, names: Sequence[str], month: str, policy: Policy
) -> dict[str, Account]:
    """Return what is known of at most KEYS_MAX accounts, of usage months up to this one."""
    owned = holds.of_accounts(conn, names)
    own = eligible.of_accounts(conn, {name: owned.get(name, ()) for name in names}, policy)
    of_month = [t.c.usage_month <= month for t in (schema.deduction_month, schema.statement_line)]
    charged, taken = _charged(conn, names, month), _stated(conn, names, of_month[1])
    bore = _borne(conn, names, of_month)
    pending = _refunds(conn, names, schema.refund.c.usage_month <= month)
    paths = unstated(conn, names, month)
    return {
        name: Account(
            account=name,
            vouchers=own[name],
            simple=eligible.in_one_time(own[name], holds.validity_of(owned.get(name, ()))),
            charged=charged.get(name, {}),
            stated=taken.get(name, {}),
            borne=bore.get(name, {}),
            refunds=pending.get(name, {}),
            unstated=paths.get(name, {}),
        )
        for name in names
    }


def unstated(
    conn: Connection, names: Sequence[str], month: str
) -> dict[str, dict[str, dict[str, tuple[int, int]]]]:
    """Return the charges that are on no statement yet, by account, month and segment: charge and
    eligible part of each.

    A statement has the charges of its own month and of those before: what was charged meanwhile
    for a later month is still to be stated.
    """
    charge, paper = schema.charge.c, schema.statement.c
    upto = (
        select(func.coalesce(func.max(paper.upto_seq), 0))
        .where(paper.account == charge.account, paper.month >= charge.month)
        .scalar_subquery()
    )
    query = (
        select(
            charge.account, charge.month, charge.path, charge.charge_micro, charge.eligible_micro
        )
        .where(charge.account.in_(names), charge.month <= month, charge.seq > upto)
        .order_by(charge.seq, charge.path)
    )
    found: dict[str, dict[str, dict[str, tuple[int, int]]]] = {}
    for account, usage_month, path, micro, eligible_micro in conn.execute(query).all():
        own = found.setdefault(account, {}).setdefault(usage_month, {})
        own[path] = (int(micro), int(eligible_micro))
    return found


def stated_upto(
    conn: Connection, account: str, usage_month: str, before_seq: int | None = None
) -> int:
    """Return the place in the chain up to which a month's charges are on statements; see
    `unstated`.

    Args:
        before_seq: Look at statements written before this entry. None: at all.
    """
    paper = schema.statement
    query = select(func.max(paper.c.upto_seq)).filter_by(account=account)
    query = query.where(paper.c.month >= usage_month)
    if before_seq is not None:
        query = query.where(paper.c.seq < before_seq)
    return conn.execute(query).scalar() or 0


def stated(conn: Connection, account: str, usage_month: str, *where: ColumnElement[bool]) -> Sums:
    """Sum what statements took for a usage month: charge, eligible, fee and deduction.

    Args:
        where: Which statements. None: all of the account.
    """
    of_month = schema.statement_line.c.usage_month == usage_month
    found = _stated(conn, [account], of_month, *where)
    return found.get(account, {}).get(usage_month, NOTHING)


def _stated(
    conn: Connection, names: Sequence[str], *where: ColumnElement[bool]
) -> dict[str, dict[str, Sums]]:
    line, paper = schema.statement_line.c, schema.statement.c
    sums = (line.charge_micro, line.eligible_micro, line.fee_fen, line.deduction_fen)
    query = (
        select(paper.account, line.usage_month, *(func.sum(column) for column in sums))
        .join(schema.statement, _of_paper(line))
        .where(paper.account.in_(names), *where)
        .group_by(paper.account, line.usage_month)
    )
    return _by_month(
        (account, month, dict(zip(NOTHING, map(int, values), strict=True)))
        for account, month, *values in conn.execute(query)
    )


def borne_of(
    conn: Connection, account: str, usage_month: str, *where: ColumnElement[bool]
) -> Mapping[str, int]:
    """Return what each voucher bore of a usage month, on statements so far.

    A statement that draws from one voucher does not say it by month: its lines do. Where it gave
    back to it in one month what it drew in another, it names none: the account had only one then.

    Args:
        where: Which statements. None: all of the account.
    """
    tables = schema.deduction_month, schema.statement_line
    of_month = [table.c.usage_month == usage_month for table in tables]
    return _borne(conn, [account], of_month, *where).get(account, {}).get(usage_month, {})


def _borne(
    conn: Connection,
    names: Sequence[str],
    of_month: Sequence[ColumnElement[bool]],
    *where: ColumnElement[bool],
) -> dict[str, dict[str, dict[str, int]]]:
    """Do what `borne_of` does; `of_month` says which months, of what is said by month and lines."""
    part, line, paper = schema.deduction_month.c, schema.statement_line.c, schema.statement.c
    said = (
        select(paper.account, part.usage_month, part.voucher, func.sum(part.amount_fen))
        .join(schema.statement, _of_paper(part))
        .where(paper.account.in_(names), of_month[0], *where)
        .group_by(paper.account, part.usage_month, part.voucher)
        .order_by(paper.account, part.usage_month, part.voucher)
    )
    own = schema.voucher.c
    only = select(func.min(own.id)).where(own.account == paper.account).scalar_subquery()
    bearer = func.coalesce(schema.deduction.c.voucher, only).label("bearer")
    whole = (
        select(paper.account, line.usage_month, bearer, func.sum(line.deduction_fen))
        .join(schema.statement, _of_paper(line))
        .outerjoin(schema.deduction, schema.deduction.c.statement == line.statement)
        .where(paper.account.in_(names), of_month[1], *where)
        .where(paper.id.not_in(select(part.statement)))
        .group_by(paper.account, line.usage_month, "bearer")
        .order_by(paper.account, line.usage_month, "bearer")
    )
    found: dict[str, dict[str, dict[str, int]]] = {}
    for query in (said, whole):
        for account, month, voucher, fen in conn.execute(query):
            if voucher:
                bore = found.setdefault(account, {}).setdefault(month, {})
                bore[voucher] = bore.get(voucher, 0) + int(fen)
    return found


def _of_paper(part: Any) -> ColumnElement[bool]:
    """Say in SQL that something is of a statement: both are of one entry, which has an index."""
    paper = schema.statement.c
    same: ColumnElement[bool] = (part.statement == paper.id) & (part.seq == paper.seq)
    return same


def refunds(conn: Connection, account: str, usage_month: str) -> Mapping[str, Refund]:
    """Return the refunds of a usage month that have to be credited, by id in order."""
    found = _refunds(conn, [account], schema.refund.c.usage_month == usage_month)
    return found.get(account, {}).get(usage_month, {})


def _refunds(
    conn: Connection, names: Sequence[str], of_month: ColumnElement[bool]
) -> dict[str, dict[str, dict[str, Refund]]]:
    table, line = schema.refund, schema.statement_line
    query = (
        select(table)
        .outerjoin(line, line.c.refund == table.c.id)
        .where(table.c.account.in_(names), of_month)
        .where(table.c.line.is_not(None), line.c.id.is_(None))
        .order_by(table.c.seq)
    )
    found: dict[str, dict[str, dict[str, Refund]]] = {}
    share = schema.refund_share.c
    for row in conn.execute(query).all():
        shares = conn.execute(select(share.voucher, share.amount_fen).filter_by(refund=row.id))
        run = (row.cluster, row.job_id, row.submit_s, row.start_s)
        own = found.setdefault(row.account, {}).setdefault(row.usage_month, {})
        own[row.id] = Refund(run, row.fee_fen, {each.voucher: each.amount_fen for each in shares})
    return found


def _charged(conn: Connection, names: Sequence[str], month: str) -> dict[str, dict[str, Sums]]:
    """Sum all charges ever posted to accounts, by usage month."""
    table = schema.charge.c
    query = (
        select(
            table.account,
            table.month,
            func.sum(table.charge_micro),
            func.sum(table.eligible_micro),
        )
        .where(table.account.in_(names), table.month <= month)
        .group_by(table.account, table.month)
    )
    return _by_month(
        (account, usage_month, {"charge": int(charge), "eligible": int(eligible)})
        for account, usage_month, charge, eligible in conn.execute(query)
    )


def _by_month(rows: Iterable[tuple[str, str, T]]) -> dict[str, dict[str, T]]:
    """Put values by account and month."""
    found: dict[str, dict[str, T]] = {}
    for account, month, value in rows:
        found.setdefault(account, {})[month] = value
    return found
