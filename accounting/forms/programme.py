"""How a programme stands in a year (执行情况表): issued against its limits, used, settled, paid.

Vouchers are those issued in the year, with what became of them by now; settlement is by the month
of the statement, redemption by the quarter of the claim.
"""

from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import ledger, schema
from accounting.forms import chained
from accounting.forms.naming import CATEGORIES
from accounting.forms.paper import Cell, Column, Field, Kind, Paper, Table
from accounting.forms.registers import fen_by_owner
from accounting.policy import Policy
from accounting.redeem import funding, redemption
from accounting.vouchers.entitling import issued_fen
from accounting.vouchers.waiting import listed

LIMITS = (
    Column("额度范围"),
    Column("年度额度（元）", Kind.YUAN),
    Column("已发放（元）", Kind.YUAN),
    Column("剩余额度（元）", Kind.YUAN),
    Column("使用率", Kind.PERCENT),
)
VOUCHERS = (
    Column("类别"),
    Column("张数", Kind.COUNT, summed=True),
    Column("发放（元）", Kind.YUAN, summed=True),
    Column("已抵扣（元）", Kind.YUAN, summed=True),
    Column("到期失效（元）", Kind.YUAN, summed=True),
    Column("作废（元）", Kind.YUAN, summed=True),
    Column("余额（元）", Kind.YUAN, summed=True),
)
ENDS = ("voucher.deducted", "voucher.expired", "voucher.cancelled", "voucher.left")
"""What can become of a voucher's money: they come to what was issued."""
MONTHS = (
    Column("月份"),
    Column("结算单", Kind.COUNT, summed=True),
    Column("结算费用（元）", Kind.YUAN, summed=True),
    Column("算力券抵扣（元）", Kind.YUAN, summed=True),
    Column("单位自付（元）", Kind.YUAN, summed=True),
)
CLAIMS = (
    Column("兑付申请"),
    Column("供给方"),
    Column("季度"),
    Column("申请（元）", Kind.YUAN, summed=True),
    Column("核准（元）", Kind.YUAN, summed=True),
    Column("拨付（元）", Kind.YUAN, summed=True),
)
FUNDERS = (
    Column("出资方"),
    Column("发放（元）", Kind.YUAN, summed=True),
    Column("核准（元）", Kind.YUAN, summed=True),
    Column("拨付（元）", Kind.YUAN, summed=True),
)


def paper(conn: Connection, year: int, policy: Policy, effective_s: int) -> Paper:
    """Describe the report of a programme over a year."""
    today = period.day_of(effective_s, policy.timezone)
    tables = (
        limits(conn, year, policy),
        Table("算力券", VOUCHERS, _vouchers(conn, year)),
        Table("月度结算", MONTHS, months(conn, year)),
        Table("兑付", CLAIMS, _claims(conn, year)),
        Table("出资分担", FUNDERS, _funders(conn, year, policy)),
    )
    return Paper(
        title="算力券执行情况表",
        number=str(year),
        rehearsal=ledger.identity(conn).rehearsal,
        made_s=period.instant(today, policy.timezone),
        fields=(
            Field("年度", str(year)),
            Field("制表日期", today.isoformat(), Kind.DAY),
            Field("政策依据", policy.source, wide=True),
        ),
        tables=tuple(table for table in tables if table.rows),
        notes=(
            "算力券按发放日期计入年度，列其至今的去向；结算按结算单月份，兑付按申请季度。",
            *chained.of_head(conn),
        ),
        seals=("运营机构（盖章）", "主管部门（盖章）"),
    )


def limits(conn: Connection, year: int, policy: Policy) -> Table:
    """List the programme's limits with what stands against them, as issuing counts it."""
    rows: list[tuple[Cell, ...]] = []
    for cap in policy.issue.caps:
        if cap.scope != "programme":
            continue
        of = year if cap.per == "year" else None
        issued = issued_fen(conn, cap.categories, policy.timezone, year=of)
        names = "、".join(CATEGORIES.get(name, name) for name in cap.categories)
        used_bp = money.half_up(issued * money.BP, cap.max_fen) if cap.max_fen else None
        rows.append((names, int(cap.max_fen), issued, cap.max_fen - issued, used_bp))
    return Table("年度额度", LIMITS, tuple(rows))


def waiting_fen(conn: Connection, year: int, policy: Policy) -> list[int]:
    """Return what confirmed applications of a year want that a limit has no room for, by limit."""
    begin_s, end_s = period.bounds(str(year), policy.timezone)
    waits = [row for row in listed(conn, policy, begin_s) if begin_s <= row["since_s"] < end_s]
    return [
        sum(row["wanted_fen"] for row in waits if row["category"] in cap.categories)
        for cap in policy.issue.caps
        if cap.scope == "programme"
    ]


def _vouchers(conn: Connection, year: int) -> tuple[tuple[Cell, ...], ...]:
    """Add up the vouchers of a year by category."""
    table = schema.voucher
    query = select(table).where(table.c.issued_on.startswith(f"{year}-")).order_by(table.c.seq)
    ends = [fen_by_owner(conn, account) for account in ENDS]
    sums: dict[str, Counter[int]] = {}
    for row in conn.execute(query):
        own = sums.setdefault(row.category, Counter())
        own.update(dict(enumerate((1, row.amount_fen, *(each[row.id] for each in ends)))))
    places = range(len(ENDS) + 2)
    return tuple(
        (CATEGORIES.get(name, name), *(own[i] for i in places)) for name, own in sums.items()
    )


def months(conn: Connection, year: int) -> tuple[tuple[Cell, ...], ...]:
    """List what was settled in each month of a year: statements, fee, deduction and cash part."""
    paper_of = schema.statement.c
    amounts = (paper_of.fee_fen, paper_of.deduction_fen, paper_of.cash_fen)
    query = (
        select(paper_of.month, func.count(), *map(func.sum, amounts))
        .where(paper_of.month.startswith(f"{year}-"))
        .group_by(paper_of.month)
        .order_by(paper_of.month)
    )
    return tuple((month, *map(int, numbers)) for month, *numbers in conn.execute(query))


def _claims(conn: Connection, year: int) -> tuple[tuple[Cell, ...], ...]:
    names = {row.id: row.name for row in conn.execute(select(schema.provider))}
    return tuple(
        (
            claim["id"],
            names[claim["provider"]],
            claim["quarter"],
            claim["amount_fen"],
            claim["approved_fen"],
            claim["paid_fen"],
        )
        for claim in redemption.claims(conn)
        if claim["quarter"].startswith(f"{year}-") and claim["state"] != "withdrawn"
    )


def _funders(conn: Connection, year: int, policy: Policy) -> tuple[tuple[Cell, ...], ...]:
    """List what each of several offices gave of the year's vouchers, and what it bears of what was
    approved and paid of the year's claims."""
    table = schema.voucher
    own = select(table.c.id).where(table.c.issued_on.startswith(f"{year}-"))
    issued = set(conn.execute(own).scalars())
    sums: dict[str, Counter[str]] = {}
    for voucher, given in funding.of_vouchers(conn).items():
        for funder, fen in given if voucher in issued else ():
            sums.setdefault(funder, Counter())["issued"] += fen
    parts = funding.of_claims(conn, policy.name)
    for claim in redemption.claims(conn):
        if claim["state"] in ("approved", "paid") and claim["quarter"].startswith(f"{year}-"):
            for funder, fen in parts.get(claim["id"], {}).items():
                sums.setdefault(funder, Counter()).update(approved=fen)
                sums[funder].update(paid=fen if claim["state"] == "paid" else 0)
    names = ("issued", "approved", "paid")
    return tuple((funder, *(own[name] for name in names)) for funder, own in sums.items())
