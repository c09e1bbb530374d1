"""The registers of units (需求方登记表) and of providers (供给方登记表), as of now."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema
from accounting.forms import chained
from accounting.forms.naming import UNIT_KINDS
from accounting.forms.paper import Cell, Column, Field, Kind, Paper, Table
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.vouchers import freezing
from accounting.vouchers.registry import terms

UNITS = (
    Column("编号"),
    Column("单位名称"),
    Column("统一社会信用代码"),
    Column("类别"),
    Column("登记日期", Kind.DAY),
    Column("营收年度"),
    Column("主营业务收入（元）", Kind.YUAN),
    Column("合同", Kind.COUNT, summed=True),
    Column("合同金额（元）", Kind.YUAN, summed=True),
    Column("已发放（元）", Kind.YUAN, summed=True),
    Column("已抵扣（元）", Kind.YUAN, summed=True),
    Column("余额（元）", Kind.YUAN, summed=True),
    Column("状态"),
)
PROVIDERS = (
    Column("编号"),
    Column("名称"),
    Column("登记日期", Kind.DAY),
    Column("合同", Kind.COUNT, summed=True),
    Column("合同金额（元）", Kind.YUAN, summed=True),
    Column("结算费用（元）", Kind.YUAN, summed=True),
    Column("算力券抵扣（元）", Kind.YUAN, summed=True),
    Column("未申请（元）", Kind.YUAN, summed=True),
    Column("审核中（元）", Kind.YUAN, summed=True),
    Column("待拨付（元）", Kind.YUAN, summed=True),
    Column("争议（元）", Kind.YUAN, summed=True),
    Column("已拨付（元）", Kind.YUAN, summed=True),
    Column("备用金（元）", Kind.YUAN, summed=True),
)
STAGES = ("claim.unclaimed", "claim.review", "claim.approved", "claim.disputed")
"""Where a provider's deductions are on their way to being paid."""


def units(conn: Connection, policy: Policy, effective_s: int) -> Paper:
    """Describe the register of units."""
    rows = _entered(conn, schema.unit)
    contracts = _contracts(conn, schema.contract.c.unit)
    issued = _by_unit(conn)
    table = Table(
        "需求方",
        UNITS,
        tuple(
            (
                row.id,
                row.name,
                row.credit_code,
                UNIT_KINDS.get(row.kind, row.kind),
                period.day_of(row.effective_s, policy.timezone).isoformat(),
                *_revenue(conn, row.id),
                *contracts.get(row.id, (0, 0)),
                *(each[row.id] for each in issued),
                "冻结" if freezing.is_frozen(conn, row.id, effective_s) else "正常",
            )
            for row in rows
        ),
    )
    return _register(conn, "需求方登记表", table, policy, effective_s)


def providers(conn: Connection, policy: Policy, effective_s: int) -> Paper:
    """Describe the register of providers, with where their deductions stand."""
    rows = _entered(conn, schema.provider)
    contracts = _contracts(conn, schema.contract.c.provider)
    settled = _settled(conn)
    stages = [fen_by_owner(conn, account) for account in STAGES]
    paid, fund = _paid(conn), fen_by_owner(conn, "reserve.fund")
    table = Table(
        "供给方",
        PROVIDERS,
        tuple(
            (
                row.id,
                row.name,
                period.day_of(row.effective_s, policy.timezone).isoformat(),
                *contracts.get(row.id, (0, 0)),
                *settled.get(row.id, (0, 0)),
                *(stage[row.id] for stage in stages),
                paid[row.id],
                fund[row.id],
            )
            for row in rows
        ),
    )
    return _register(conn, "供给方登记表", table, policy, effective_s)


def _register(
    conn: Connection, title: str, table: Table, policy: Policy, effective_s: int
) -> Paper:
    today = period.day_of(effective_s, policy.timezone)
    return Paper(
        title=title,
        number=today.isoformat(),
        rehearsal=ledger.identity(conn).rehearsal,
        made_s=period.instant(today, policy.timezone),
        fields=(
            Field("制表日期", today.isoformat(), Kind.DAY),
            Field("登记数", len(table.rows), Kind.COUNT),
            Field("政策依据", policy.source, wide=True),
        ),
        tables=(table,),
        notes=chained.of_head(conn),
        seals=("制表单位（盖章）", "审核单位（盖章）"),
    )


def _entered(conn: Connection, table: Any) -> Sequence[Any]:
    """List the rows of a table with the instant in the book at which each was entered."""
    entry = schema.journal.c
    query = select(table, entry.effective_s).join(schema.journal, entry.seq == table.c.seq)
    return conn.execute(query.order_by(table.c.seq)).all()


def _contracts(conn: Connection, by: ColumnElement[str]) -> dict[str, tuple[int, int]]:
    """Return how many contracts each has, and what they come to as amended, fen."""
    found: dict[str, tuple[int, int]] = {}
    for contract, whose in conn.execute(select(schema.contract.c.id, by)).all():
        number, fen = found.get(whose, (0, 0))
        found[whose] = (number + 1, fen + terms(conn, contract).fee_fen)
    return found


def _revenue(conn: Connection, unit: str) -> tuple[Cell, Cell]:
    """Return the last year of which a unit's revenue is known, and that revenue."""
    table = schema.revenue
    query = select(table).filter_by(unit=unit).order_by(table.c.year.desc()).limit(1)
    row = conn.execute(query).one_or_none()
    return (None, None) if row is None else (str(row.year), row.amount_fen)


def _by_unit(conn: Connection) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Return what was issued to each unit, what was deducted of it and what is left, fen."""
    voucher, contract = schema.voucher, schema.contract
    query = select(voucher.c.id, voucher.c.amount_fen, contract.c.unit).join(
        contract, contract.c.account == voucher.c.account
    )
    deducted, left = (fen_by_owner(conn, f"voucher.{name}") for name in ("deducted", "left"))
    sums: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())
    for row in conn.execute(query):
        parts = (row.amount_fen, deducted[row.id], left[row.id])
        for total, fen in zip(sums, parts, strict=True):
            total[row.unit] += fen
    return sums


def _settled(conn: Connection) -> dict[str, tuple[int, int]]:
    """Return fees and deductions of all statements by provider, fen."""
    paper, contract = schema.statement.c, schema.contract.c
    query = (
        select(contract.provider, func.sum(paper.fee_fen), func.sum(paper.deduction_fen))
        .join(schema.statement, paper.account == contract.account)
        .group_by(contract.provider)
    )
    return {row[0]: (int(row[1]), int(row[2])) for row in conn.execute(query)}


def _paid(conn: Connection) -> Counter[str]:
    """Return what the treasury paid by provider, fen."""
    query = (
        select(schema.claim.c.provider, func.sum(schema.payout.c.amount_fen))
        .join(schema.payout, schema.payout.c.claim == schema.claim.c.id)
        .group_by(schema.claim.c.provider)
    )
    return Counter({provider: int(fen) for provider, fen in conn.execute(query)})


def fen_by_owner(conn: Connection, account: str) -> Counter[str]:
    """Return the balances of an account in fen, by owner; who has none has zero."""
    table = schema.balance.c
    query = select(table.owner, table.amount_micro).where(table.account == account)
    return Counter({owner: int(micro) // MICRO_PER_FEN for owner, micro in conn.execute(query)})
