"""What a statement has to say: worked out from the book and the archive, nothing is written.

Everything is cumulative by usage month, so that late runs and corrections come to the same as if
they had been in time; a replay works it out once more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import schema
from accounting.errors import InvariantBroken
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.settle import drawdown, eligible, stored
from accounting.settle.drawdown import Voucher
from accounting.settle.grouping import Group


@dataclass(frozen=True)
class Line:
    """One line of a statement: what one kind of computing of one usage month cost, or the credit
    of a refund."""

    usage_month: str
    group: Group
    fee_fen: int
    deduction_fen: int
    refund: str | None = None


@dataclass(frozen=True)
class Paper:
    """What a statement has to say.

    Attributes:
        lines: Its lines.
        borne_fen: What it draws from each voucher, or gives back, by usage month.
    """

    lines: Sequence[Line]
    borne_fen: Mapping[str, Mapping[str, int]]

    @property
    def draws_fen(self) -> dict[str, int]:
        """What it draws from each voucher that it touches."""
        total: Counter[str] = Counter()
        for by_voucher in self.borne_fen.values():
            total.update(by_voucher)
        return dict(total)


def state(conn: Connection, sums: stored.Sums, account: str, month: str, policy: Policy) -> Paper:
    """Work out what an account's statement of a month has to say.

    A usage month draws what its whole eligible fee entitles to, as far as vouchers last, less what
    it drew already: so late runs find their part, and a correction gives back only what is above
    that. A refund gives back what was recorded for its run, and more where that is not enough.

    Raises:
        InvariantBroken: The runs in the archive do not add up to the charges in the book.
    """
    own = eligible.vouchers(conn, account, policy)
    left_fen = {voucher.id: voucher.left_fen for voucher in own}
    lines: list[Line] = []
    by_month: dict[str, Mapping[str, int]] = {}
    for usage_month, cumulative in sorted(_charged(conn, account).items()):
        if usage_month > month:
            continue
        pending = refunds(conn, account, usage_month)
        keys = {name: refund.run for name, refund in pending.items()}
        since_seq = stated_upto(conn, account, usage_month)
        groups = stored.groups(conn, sums, account, usage_month, since_seq, keys)
        taken = stated(conn, account, usage_month)
        _check_archive(account, usage_month, cumulative, taken, groups)
        if not groups:
            continue
        before = borne_of(conn, account, usage_month)
        # What is left is there for what was delivered; what a refund gives back, for later months.
        anew = any(refund is None for _, refund in groups)
        limits = _kept(before, pending)
        for name, fen in left_fen.items() if anew else ():
            limits[name] = limits.get(name, 0) + fen
        intervals = _intervals(conn, sums, account, usage_month, cumulative, own, policy)
        after = drawdown.drawn_fen(own, limits, intervals)
        by_month[usage_month] = drawdown.grown(before, after)
        for name, fen in by_month[usage_month].items():
            left_fen[name] = left_fen.get(name, 0) - fen
        fee_fen = cumulative["charge"] // MICRO_PER_FEN - taken["fee"]
        deduction_fen = sum(by_month[usage_month].values())
        lines += month_lines(usage_month, groups, pending, fee_fen, deduction_fen)
    return Paper(lines, by_month)


def _intervals(
    conn: Connection,
    sums: stored.Sums,
    account: str,
    usage_month: str,
    cumulative: Mapping[str, int],
    own: Sequence[Voucher],
    policy: Policy,
) -> list[int]:
    """Return what a month cost in each interval between the edges of an account's vouchers."""
    if eligible.simple(conn, account, own):
        return [0, cumulative["eligible"], cumulative["charge"] - cumulative["eligible"]]
    return eligible.of_month(conn, sums.root, account, usage_month, own, policy)


@dataclass(frozen=True)
class Refund:
    """What was recorded for a run that is refunded, and which run it is."""

    run: tuple[object, ...]
    fee_fen: int
    borne_fen: Mapping[str, int]


def refunds(conn: Connection, account: str, usage_month: str) -> dict[str, Refund]:
    """Return the refunds of a usage month that have to be credited, by id in order."""
    table, share, line = schema.refund, schema.refund_share, schema.statement_line
    query = (
        select(table)
        .outerjoin(line, line.c.refund == table.c.id)
        .where(table.c.account == account, table.c.usage_month == usage_month)
        .where(table.c.line.is_not(None), line.c.id.is_(None))
        .order_by(table.c.seq)
    )
    found = {}
    for row in conn.execute(query):
        shares = conn.execute(select(share.c.voucher, share.c.amount_fen).filter_by(refund=row.id))
        run = (row.cluster, row.job_id, row.submit_s, row.start_s)
        found[row.id] = Refund(run, row.fee_fen, {each.voucher: each.amount_fen for each in shares})
    return found


def _kept(before: Mapping[str, int], refunds: Mapping[str, Refund]) -> dict[str, int]:
    """Return what vouchers still bear of a month when what was recorded is given back."""
    kept = Counter(before)
    for refund in refunds.values():
        kept.subtract(refund.borne_fen)
    return dict(kept)


def month_lines(
    usage_month: str,
    groups: Sequence[stored.Line],
    refunds: Mapping[str, Refund],
    fee_fen: int,
    deduction_fen: int,
) -> Iterable[Line]:
    """Share a usage month's fee and deduction out: what was recorded for it to each refund, the
    rest to what was delivered; where nothing was, to the last refund."""
    plain = [group for group, refund in groups if refund is None]
    credits_ = [(group, refund) for group, refund in groups if refund is not None]
    for i, (group, refund) in enumerate(credits_, 1):
        recorded = refunds[refund]
        fee, part = -recorded.fee_fen, -sum(recorded.borne_fen.values())
        if i == len(credits_) and not plain:
            fee, part = fee_fen, deduction_fen
        yield Line(usage_month, group, fee, part, refund)
        fee_fen, deduction_fen = fee_fen - fee, deduction_fen - part
    if plain:
        yield from _lines(usage_month, plain, fee_fen, deduction_fen)


def _lines(
    usage_month: str, groups: Sequence[Group], fee_fen: int, deduction_fen: int
) -> Iterable[Line]:
    charges = [group.charge_micro for group in groups]
    eligible = [group.eligible_micro for group in groups]
    fees = money.apportion(fee_fen, charges)
    deductions = money.apportion(deduction_fen, _weights(deduction_fen, eligible, charges))
    for group, fee, part in zip(groups, fees, deductions, strict=True):
        yield Line(usage_month, group, fee, part)


def _weights(total: int, *choices: Sequence[int]) -> Sequence[int]:
    """Return the first weights that a total can be split over: their sum has its sign.

    None has it when a month that was short of voucher gets, by a correction that lowers its fee,
    some of what another correction gave back: the first line takes it.
    """
    for weights in choices:
        if total == 0 or sum(weights) * total > 0:
            return weights
    return [total, *[0] * (len(choices[0]) - 1)]


def _charged(conn: Connection, account: str) -> dict[str, dict[str, int]]:
    """Sum all charges ever posted to an account, by usage month."""
    table = schema.charge
    query = (
        select(table.c.month, func.sum(table.c.charge_micro), func.sum(table.c.eligible_micro))
        .where(table.c.account == account)
        .group_by(table.c.month)
    )
    return {
        month: {"charge": int(charge), "eligible": int(eligible)}
        for month, charge, eligible in conn.execute(query)
    }


def stated(
    conn: Connection, account: str, usage_month: str, *where: ColumnElement[bool]
) -> dict[str, int]:
    """Sum what statements took for a usage month: charge, eligible, fee and deduction.

    Args:
        where: Which statements. None: all of the account.
    """
    table = schema.statement_line
    names = {
        "charge": table.c.charge_micro,
        "eligible": table.c.eligible_micro,
        "fee": table.c.fee_fen,
        "deduction": table.c.deduction_fen,
    }
    query = (
        select(*(func.coalesce(func.sum(column), 0).label(name) for name, column in names.items()))
        .join(schema.statement, schema.statement.c.id == table.c.statement)
        .where(schema.statement.c.account == account, table.c.usage_month == usage_month, *where)
    )
    return {name: int(value) for name, value in conn.execute(query).mappings().one().items()}


def borne_of(
    conn: Connection, account: str, usage_month: str, *where: ColumnElement[bool]
) -> dict[str, int]:
    """Return what each voucher bore of a usage month, on statements so far.

    A statement that draws from one voucher does not say it by month: its lines do. Where it gave
    back to it in one month what it drew in another, it names none: the account had only one then.

    Args:
        where: Which statements. None: all of the account.
    """
    part, line, paper, draw = (
        schema.deduction_month,
        schema.statement_line,
        schema.statement,
        schema.deduction,
    )
    said = (
        select(part.c.voucher, func.sum(part.c.amount_fen))
        .join(paper, paper.c.id == part.c.statement)
        .where(paper.c.account == account, part.c.usage_month == usage_month, *where)
        .group_by(part.c.voucher)
    )
    split = select(part.c.statement)
    only = select(func.min(schema.voucher.c.id)).where(schema.voucher.c.account == account)
    named = func.coalesce(draw.c.voucher, only.scalar_subquery()).label("bearer")
    whole = (
        select(named, func.sum(line.c.deduction_fen))
        .join(paper, paper.c.id == line.c.statement)
        .outerjoin(draw, draw.c.statement == line.c.statement)
        .where(paper.c.account == account, line.c.usage_month == usage_month, *where)
        .where(paper.c.id.not_in(split))
        .group_by("bearer")
    )
    total: Counter[str] = Counter()
    for query in (said, whole):
        total.update({voucher: int(fen) for voucher, fen in conn.execute(query) if voucher})
    return dict(total)


def stated_upto(
    conn: Connection, account: str, usage_month: str, before_seq: int | None = None
) -> int:
    """Return the place in the chain up to which a month's charges are on statements.

    A statement has the charges of its own month and of those before: what was charged meanwhile
    for a later month is still to be stated.

    Args:
        before_seq: Look at statements written before this entry. None: at all.
    """
    paper = schema.statement
    query = select(func.max(paper.c.upto_seq)).filter_by(account=account)
    query = query.where(paper.c.month >= usage_month)
    if before_seq is not None:
        query = query.where(paper.c.seq < before_seq)
    return conn.execute(query).scalar() or 0


def _check_archive(
    account: str,
    month: str,
    cumulative: Mapping[str, int],
    stated: Mapping[str, int],
    groups: Sequence[stored.Line],
) -> None:
    new_micro = cumulative["charge"] - stated["charge"]
    found_micro = sum(group.charge_micro for group, _ in groups)
    if new_micro != found_micro:
        raise InvariantBroken(
            f"account {account}, {month}: the book has {new_micro} micro-yuan to state, the archive"
            f" {found_micro}; run svoucher audit"
        )


def line_row(statement_id: str, number: int, line: Line) -> dict[str, Any]:
    """Return a statement's line as the book keeps it."""
    group = line.group
    return {
        "id": f"{statement_id}/{number}",
        "statement": statement_id,
        "usage_month": line.usage_month,
        "cluster": group.cluster,
        "partition": group.partition,
        "qos": group.qos,
        "chip": group.chip,
        "tariff": group.tariff,
        "runs": group.runs,
        "gflops_s": group.gflops_s,
        "charge_micro": group.charge_micro,
        "eligible_micro": group.eligible_micro,
        "fee_fen": line.fee_fen,
        "deduction_fen": line.deduction_fen,
        "cash_fen": line.fee_fen - line.deduction_fen,
        "refund": line.refund,
    }


def month_rows(statement_id: str, paper: Paper) -> list[dict[str, Any]]:
    """Return what a statement draws by usage month, as the book keeps it: nothing where it draws
    from one voucher, for then its lines say it."""
    if len(paper.draws_fen) < 2:
        return []
    return [
        {"statement": statement_id, "usage_month": month, "voucher": voucher, "amount_fen": fen}
        for month, by_voucher in paper.borne_fen.items()
        for voucher, fen in by_voucher.items()
    ]
