"""A redemption claim (兑付申请) as a paper that provider, regulator and treasury stamp."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.forms import chained
from accounting.forms.naming import CLAIM_STATES
from accounting.forms.paper import Cell, Column, Field, Kind, Paper, Table, amount, insist
from accounting.policy import Policy
from accounting.redeem import funding, redemption
from accounting.vouchers.registry import find

CLAIMED = "本次申请（元）"
COLUMNS = (
    Column("结算单明细"),
    Column("需求方"),
    Column("使用月份"),
    Column("发票号码"),
    Column("结算费用（元）", Kind.YUAN, summed=True),
    Column("算力券抵扣（元）", Kind.YUAN, summed=True),
    Column(CLAIMED, Kind.YUAN, summed=True),
    Column("核准（元）", Kind.YUAN, summed=True),
    Column("核减理由"),
)


def paper(conn: Connection, claim_id: str, policy: Policy) -> Paper:
    """Describe the summary of a claim as it stands.

    Raises:
        InvalidInput: No such claim.
        InvariantBroken: Its lines do not add up to it.
    """
    claim = redemption.find_claim(conn, claim_id)
    table = Table("申请明细", COLUMNS, _rows(conn, claim_id))
    insist(f"claim {claim_id}", table, {CLAIMED: claim["amount_fen"]})
    return Paper(
        title="算力券兑付申请汇总表",
        number=claim_id,
        rehearsal=ledger.identity(conn).rehearsal,
        made_s=chained.effective_s(conn, claim["seq"]),
        fields=(
            *_head(conn, claim, policy),
            *amount("申请金额", claim["amount_fen"]),
            *_decided(conn, claim),
            *_funded(conn, claim_id, policy),
        ),
        tables=(table,),
        notes=(
            "本表汇总已交付、已收款并已开票的算力券抵扣额，逐笔证据见兑付材料包。",
            f"材料包 SHA-256：{claim['packet_sha256'] or '尚未提交'}",
            *chained.of_entry(conn, claim["seq"]),
        ),
        seals=("供给方（盖章）", "主管部门（审核盖章）", "财政部门（拨付盖章）"),
    )


def _head(conn: Connection, claim: dict[str, Any], policy: Policy) -> tuple[Field, ...]:
    head = [
        Field("申请编号", claim["id"]),
        Field("季度", claim["quarter"]),
        Field("供给方", find(conn, "provider", id=claim["provider"]).name),
        Field("状态", CLAIM_STATES.get(claim["state"], claim["state"])),
    ]
    if claim["claimant"] is not None:
        head.append(Field("申请单位", find(conn, "unit", id=claim["claimant"]).name, wide=True))
    return (*head, Field("政策依据", policy.source, wide=True))


def _decided(conn: Connection, claim: dict[str, Any]) -> tuple[Field, ...]:
    """Say what was approved and what was paid, once it was."""
    fields: list[Field] = []
    if claim["approved_fen"] is not None:
        fields += amount("核准金额", claim["approved_fen"])
    payout = conn.execute(select(schema.payout).filter_by(claim=claim["id"])).one_or_none()
    if payout is not None:
        fields += amount("拨付金额", payout.amount_fen)
        fields += [
            Field("拨付文号", payout.reference),
            Field("拨付日期", payout.paid_on, Kind.DAY),
            Field("其中归还备用金", payout.repaid_fen, Kind.YUAN, wide=True),
        ]
    return tuple(fields)


def _funded(conn: Connection, claim_id: str, policy: Policy) -> tuple[Field, ...]:
    """Say what each of several offices pays: of what was approved, or is claimed as yet."""
    parts = funding.of_claims(conn, policy.name).get(claim_id, {})
    return tuple(Field(f"{funder}承担", fen, Kind.YUAN) for funder, fen in parts.items())


def _rows(conn: Connection, claim_id: str) -> tuple[tuple[Cell, ...], ...]:
    """List the claim's lines with the statements' figures and the review's."""
    own, line, review = schema.claim_line, schema.statement_line, schema.claim_review
    account = schema.statement.c.account
    query = (
        select(
            own.c.line,
            schema.unit.c.name,
            line.c.usage_month,
            schema.invoice.c.number,
            line.c.fee_fen,
            line.c.deduction_fen,
            own.c.amount_fen,
            review.c.approved_fen,
            review.c.reason,
        )
        .join(line, line.c.id == own.c.line)
        .join(schema.statement, schema.statement.c.id == line.c.statement)
        .join(schema.contract, schema.contract.c.account == account)
        .join(schema.unit, schema.unit.c.id == schema.contract.c.unit)
        .outerjoin(schema.invoice, schema.invoice.c.statement == line.c.statement)
        .outerjoin(review, (review.c.claim == own.c.claim) & (review.c.line == own.c.line))
        .where(own.c.claim == claim_id)
        .order_by(line.c.seq, own.c.line)
    )
    return tuple(_row(row) for row in conn.execute(query))


def _row(row: Any) -> tuple[Cell, ...]:
    """Return a line; the reason only where less was approved than claimed."""
    less = row.approved_fen is not None and row.approved_fen < row.amount_fen
    return (*row[:-1], row.reason if less else "")
