"""A statement (结算单) as a paper that unit and provider stamp."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema
from accounting.forms import chained
from accounting.forms.paper import (
    Cell,
    Column,
    Field,
    Kind,
    Paper,
    Table,
    amount,
    insist,
    pflops_h,
    shown,
)
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.settle import statements
from accounting.vouchers import debts
from accounting.vouchers.registry import find

COLUMNS = (
    Column("使用月份"),
    Column("集群"),
    Column("分区"),
    Column("芯片"),
    Column("QOS"),
    Column("价目表"),
    Column("作业次数", Kind.COUNT, summed=True),
    Column("算力（PFLOPS·时）", Kind.PFLOPS_H, summed=True),
    Column("结算费用（元）", Kind.YUAN, summed=True),
    Column("算力券抵扣（元）", Kind.YUAN, summed=True),
    Column("单位自付（元）", Kind.YUAN, summed=True),
)
REFUND = Column("退费编号")
"""Only where a line is the credit of one."""


def paper(conn: Connection, statement_id: str, policy: Policy) -> Paper:
    """Describe the paper of a statement.

    Raises:
        InvalidInput: No such statement.
        InvariantBroken: Its lines do not add up to it.
    """
    row = find(conn, "statement", id=statement_id)
    lines = statements.lines(conn, statement_id)
    table = _table(lines)
    wanted = {"结算费用（元）": row.fee_fen, "算力券抵扣（元）": row.deduction_fen}
    insist(f"statement {row.id}", table, wanted | {"单位自付（元）": row.cash_fen})
    effective_s = chained.effective_s(conn, row.seq)
    below = row.charge_micro - row.fee_fen * MICRO_PER_FEN
    return Paper(
        title="算力券结算单",
        number=row.id,
        rehearsal=ledger.identity(conn).rehearsal,
        made_s=effective_s,
        fields=(
            *_parties(conn, row, policy, effective_s),
            *amount("结算费用", row.fee_fen),
            *amount("算力券抵扣", row.deduction_fen),
            *amount("单位自付", row.cash_fen),
            Field("其中尚未支付", row.receivable_fen, Kind.YUAN),
            *_vouchers(conn, row.id),
            *(
                Field(f"核减应退还财政款 {debt}", fen, Kind.YUAN)
                for debt, fen in debts.lowered_by(conn, row.seq).items()
            ),
            *_invoices(conn, row.id, policy),
        ),
        tables=(table,),
        notes=(
            f"不足一分的 {shown(below, Kind.MICRO)} 元转入尾差，不计入本单。",
            "算力券抵扣部分不开具发票，由财政向供给方兑付。"
            if policy.invoice_basis == "net"
            else "发票按结算费用全额开具。",
            *chained.of_entry(conn, row.seq),
        ),
        seals=("供给方（盖章）", "需求方（盖章）"),
    )


def _parties(conn: Connection, row: Any, policy: Policy, effective_s: int) -> tuple[Field, ...]:
    contract = find(conn, "contract", account=row.account)
    unit = find(conn, "unit", id=contract.unit)
    return (
        Field("结算单号", row.id),
        Field("结算月份", row.month),
        Field("需求方", unit.name),
        Field("统一社会信用代码", unit.credit_code),
        Field("供给方", find(conn, "provider", id=contract.provider).name),
        Field("合同编号", contract.id),
        Field("算力券账户", row.account),
        Field("结算日期", period.day_of(effective_s, policy.timezone).isoformat(), Kind.DAY),
        Field("政策依据", policy.source, wide=True),
    )


def _vouchers(conn: Connection, statement_id: str) -> tuple[Field, ...]:
    """Say what each voucher bore."""
    table = schema.deduction
    query = select(table).filter_by(statement=statement_id).order_by(table.c.voucher)
    return tuple(
        Field(f"抵扣自 {row.voucher}", row.amount_fen, Kind.YUAN) for row in conn.execute(query)
    )


def _invoices(conn: Connection, statement_id: str, policy: Policy) -> tuple[Field, ...]:
    """Say what was invoiced, with the tax that is in it, and what was taken back in red."""
    fields: list[Field] = []
    for name, table in (("发票", schema.invoice), ("红字发票", schema.red_invoice)):
        query = select(table).filter_by(statement=statement_id).order_by(table.c.number)
        for row in conn.execute(query):
            fields += [
                Field(f"{name}号码", row.number),
                Field("价税合计", row.gross_fen, Kind.YUAN),
                Field("不含税金额", row.net_fen, Kind.YUAN),
                Field(f"税额（税率 {shown(policy.vat_bp, Kind.PERCENT)}）", row.tax_fen, Kind.YUAN),
            ]
    return tuple(fields) or (Field("发票号码", None, wide=True),)


def _table(lines: Sequence[Mapping[str, Any]]) -> Table:
    rows = [_line(line) for line in lines]
    refunds = [line["refund"] for line in lines]
    if not any(refunds):
        return Table("结算明细", COLUMNS, tuple(rows))
    rows = [(*row, refund) for row, refund in zip(rows, refunds, strict=True)]
    return Table("结算明细", (*COLUMNS, REFUND), tuple(rows))


def _line(line: Mapping[str, Any]) -> tuple[Cell, ...]:
    return (
        line["usage_month"],
        line["cluster"],
        line["partition"],
        line["chip"],
        line["qos"],
        line["tariff"],
        line["runs"],
        pflops_h(line["gflops_s"]),
        line["fee_fen"],
        line["deduction_fen"],
        line["cash_fen"],
    )
