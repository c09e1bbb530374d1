"""What the book knows of voucher accounts that a statement is made of: asked once for many.

All of it is by usage month: what was charged, what statements so far took and drew for it, and what
is still to be stated.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.policy import Policy
from accounting.settle import eligible
from accounting.settle.drawdown import Voucher
from accounting.vouchers import holds

Sums = Mapping[str, int]
NOTHING: Sums = {"charge": 0, "eligible": 0, "fee": 0, "deduction": 0}
"""What statements took for a month that is on none."""
Unstated = Mapping[str, Mapping[str, tuple[int, int]]]
"""Charge and eligible part that are on no statement, by usage month and segment."""
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
        borne: What each voucher bore on statements; of months of which there is more to state.
        refunds: What has to be credited, by id in order.
        unstated: What of that is on no statement yet, by segment.
    """

    account: str
    vouchers: Sequence[Voucher]
    simple: bool
    charged: Mapping[str, Sums]
    stated: Mapping[str, Sums]
    borne: Mapping[str, Mapping[str, int]]
    refunds: Mapping[str, Mapping[str, Refund]]
    unstated: Unstated


_CHARGE, _PAPER, _LINE = schema.charge.c, schema.statement.c, schema.statement_line.c
_PART, _REFUND = schema.deduction_month.c, schema.refund.c
_SOME: BindParameter[Any] = bindparam("some", expanding=True)
_MONTHS: BindParameter[Any] = bindparam("months", expanding=True)
_UPTO: BindParameter[Any] = bindparam("upto")


def _of_paper(part: Any) -> ColumnElement[bool]:
    """Say in SQL that something is of a statement: both are of one entry, which has an index."""
    same: ColumnElement[bool] = (part.statement == _PAPER.id) & (part.seq == _PAPER.seq)
    return same


def _stated_of(*where: ColumnElement[bool]) -> Select[Any]:
    """Return the query for what statements of accounts took, by usage month."""
    sums = (_LINE.charge_micro, _LINE.eligible_micro, _LINE.fee_fen, _LINE.deduction_fen)
    return (
        select(_PAPER.account, _LINE.usage_month, *(func.sum(column) for column in sums))
        .join(schema.statement, _of_paper(_LINE))
        .where(_PAPER.account.in_(_SOME), *where)
        .group_by(_PAPER.account, _LINE.usage_month)
    )


def _borne_of(
    of_month: Callable[[ColumnElement[str]], ColumnElement[bool]], *where: ColumnElement[bool]
) -> tuple[Select[Any], Select[Any]]:
    """Return the queries for what each voucher of accounts bore of some usage months: as it is said
    by month, and by the lines of statements that do not say it by month."""
    said = (
        select(_PAPER.account, _PART.usage_month, _PART.voucher, func.sum(_PART.amount_fen))
        .join(schema.statement, _of_paper(_PART))
        .where(_PAPER.account.in_(_SOME), of_month(_PART.usage_month), *where)
        .group_by(_PAPER.account, _PART.usage_month, _PART.voucher)
        .order_by(_PAPER.account, _PART.usage_month, _PART.voucher)
    )
    own = schema.voucher.c
    only = select(func.min(own.id)).where(own.account == _PAPER.account).scalar_subquery()
    bearer = func.coalesce(schema.deduction.c.voucher, only).label("bearer")
    whole = (
        select(_PAPER.account, _LINE.usage_month, bearer, func.sum(_LINE.deduction_fen))
        .join(schema.statement, _of_paper(_LINE))
        .outerjoin(schema.deduction, schema.deduction.c.statement == _LINE.statement)
        .where(_PAPER.account.in_(_SOME), of_month(_LINE.usage_month), *where)
        .where(_PAPER.id.not_in(select(_PART.statement)))
        .group_by(_PAPER.account, _LINE.usage_month, "bearer")
        .order_by(_PAPER.account, _LINE.usage_month, "bearer")
    )
    return said, whole


def _refunds_of(of_month: ColumnElement[bool]) -> Select[Any]:
    """Return the query for the refunds of accounts that have to be credited."""
    return (
        select(schema.refund)
        .outerjoin(schema.statement_line, _LINE.refund == _REFUND.id)
        .where(_REFUND.account.in_(_SOME), of_month)
        .where(_REFUND.line.is_not(None), _LINE.id.is_(None))
        .order_by(_REFUND.seq)
    )


_CHARGED = (
    select(
        _CHARGE.account,
        _CHARGE.month,
        func.sum(_CHARGE.charge_micro).label("charge"),
        func.sum(_CHARGE.eligible_micro).label("eligible"),
        func.max(_CHARGE.seq).label("last"),
        select(func.coalesce(func.max(_PAPER.upto_seq), 0))
        .where(_PAPER.account == _CHARGE.account, _PAPER.month >= _CHARGE.month)
        .scalar_subquery()
        .label("upto"),
    )
    .where(_CHARGE.account.in_(_SOME), _CHARGE.month <= _UPTO)
    .group_by(_CHARGE.account, _CHARGE.month)
)
_SINCE = (
    select(
        _CHARGE.account,
        _CHARGE.month,
        _CHARGE.path,
        _CHARGE.seq,
        _CHARGE.charge_micro,
        _CHARGE.eligible_micro,
    )
    .where(_CHARGE.account.in_(_SOME), _CHARGE.month.in_(_MONTHS), _CHARGE.seq > _UPTO)
    .order_by(_CHARGE.seq, _CHARGE.path)
)
_STATED = _stated_of(_LINE.usage_month <= _UPTO)
# A statement has usage of its own month and of those before.
_BORNE = _borne_of(lambda of: of.in_(_MONTHS), _PAPER.month >= bindparam("first"))
_REFUNDS = _refunds_of(_REFUND.usage_month <= _UPTO)
"""Statements that are asked for each few accounts, made once."""


def accounts(
    conn: Connection, names: Sequence[str], month: str, policy: Policy
) -> dict[str, Account]:
    """Return what is known of at most KEYS_MAX accounts, of usage months up to this one."""
    asked = {"some": names, "upto": month}
    owned = holds.of_accounts(conn, names)
    own = eligible.of_accounts(conn, {name: owned.get(name, ()) for name in names}, policy)
    charges = conn.execute(_CHARGED, asked).all()
    charged = _by_month(
        (row.account, row.month, {"charge": int(row.charge), "eligible": int(row.eligible)})
        for row in charges
    )
    taken, left = _stated(conn, _STATED, asked), _unstated(conn, names, charges)
    pending = _refunds(conn, _REFUNDS, asked)
    months = {each for of in (left, pending) for by_month in of.values() for each in by_month}
    bore = _borne(
        conn, _BORNE, {"some": names, "months": [*months], "first": min(months, default="")}
    )
    return {
        name: Account(
            account=name,
            vouchers=own[name],
            simple=eligible.in_one_time(own[name], holds.validity_of(owned.get(name, ()))),
            charged=charged.get(name, {}),
            stated=taken.get(name, {}),
            borne=bore.get(name, {}),
            refunds=pending.get(name, {}),
            unstated=left.get(name, {}),
        )
        for name in names
    }


def unstated(conn: Connection, names: Sequence[str], month: str) -> Mapping[str, Unstated]:
    """Return the charges of at most KEYS_MAX accounts that are on no statement yet, of usage months
    up to this one."""
    charges = conn.execute(_CHARGED, {"some": names, "upto": month}).all()
    return _unstated(conn, names, charges)


def _unstated(
    conn: Connection, names: Sequence[str], charges: Sequence[Any]
) -> Mapping[str, Unstated]:
    """Do what `unstated` does; `charges` are the rows of _CHARGED.

    A statement has the charges of its own month and of those before: what was charged meanwhile
    for a later month is still to be stated.
    """
    upto = {(row.account, row.month): row.upto for row in charges if row.last > row.upto}
    found: dict[str, dict[str, dict[str, tuple[int, int]]]] = {}
    if not upto:
        return found
    asked = {"some": names, "months": [*{month for _, month in upto}], "upto": min(upto.values())}
    for account, month, path, seq, micro, eligible_micro in conn.execute(_SINCE, asked).all():
        if seq > upto.get((account, month), seq):
            own = found.setdefault(account, {}).setdefault(month, {})
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
    query = _stated_of(_LINE.usage_month == usage_month, *where)
    return _stated(conn, query, {"some": [account]}).get(account, {}).get(usage_month, NOTHING)


def _stated(
    conn: Connection, query: Select[Any], asked: Mapping[str, Any]
) -> dict[str, dict[str, Sums]]:
    return _by_month(
        (account, month, dict(zip(NOTHING, map(int, values), strict=True)))
        for account, month, *values in conn.execute(query, asked).all()
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
    queries = _borne_of(lambda of: of == usage_month, *where)
    return _borne(conn, queries, {"some": [account]}).get(account, {}).get(usage_month, {})


def _borne(
    conn: Connection, queries: Iterable[Select[Any]], asked: Mapping[str, Any]
) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for query in queries:
        for account, month, voucher, fen in conn.execute(query, asked).all():
            if voucher:
                bore = found.setdefault(account, {}).setdefault(month, {})
                bore[voucher] = bore.get(voucher, 0) + int(fen)
    return found


def refunds(conn: Connection, account: str, usage_month: str) -> Mapping[str, Refund]:
    """Return the refunds of a usage month that have to be credited, by id in order."""
    query = _refunds_of(schema.refund.c.usage_month == usage_month)
    return _refunds(conn, query, {"some": [account]}).get(account, {}).get(usage_month, {})


def _refunds(
    conn: Connection, query: Select[Any], asked: Mapping[str, Any]
) -> dict[str, dict[str, dict[str, Refund]]]:
    found: dict[str, dict[str, dict[str, Refund]]] = {}
    share = schema.refund_share.c
    for row in conn.execute(query, asked).all():
        shares = conn.execute(select(share.voucher, share.amount_fen).filter_by(refund=row.id))
        run = (row.cluster, row.job_id, row.submit_s, row.start_s)
        own = found.setdefault(row.account, {}).setdefault(row.usage_month, {})
        own[row.id] = Refund(run, row.fee_fen, {each.voucher: each.amount_fen for each in shares})
    return found


def _by_month(rows: Iterable[tuple[str, str, T]]) -> dict[str, dict[str, T]]:
    """Put values by account and month."""
    found: dict[str, dict[str, T]] = {}
    for account, month, value in rows:
        found.setdefault(account, {})[month] = value
    return found
