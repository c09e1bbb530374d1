"""What a statement has to say: worked out from the book and the archive, nothing is written.

Everything is cumulative by usage month, so that late runs and corrections come to the same as if
they had been in time; a replay works it out once more.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.engine import Connection

from accounting import money
from accounting.errors import InvariantBroken
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy
from accounting.settle import adding, drawdown, eligible, known
from accounting.settle.grouping import Group


class Line(NamedTuple):
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


def state(conn: Connection, sums: adding.Sums, account: str, month: str, policy: Policy) -> Paper:
    """Work out what an account's statement of a month has to say; see `states`."""
    return states(conn, sums, [account], month, policy)[account]


def states(
    conn: Connection, sums: adding.Sums, accounts: Sequence[str], month: str, policy: Policy
) -> dict[str, Paper]:
    """Work out what statements of a month have to say, of at most KEYS_MAX accounts.

    A usage month draws what its whole eligible fee entitles to, as far as vouchers last, less what
    it drew already: so late runs find their part, and a correction gives back only what is above
    that. A refund gives back what was recorded for its run, and more where that is not enough.

    Raises:
        InvariantBroken: The runs in the archive do not add up to the charges in the book.
    """
    told = known.accounts(conn, accounts, month, policy)
    sums.read(conn, {own.account: own.unstated for own in told.values()})
    return {account: _paper(conn, sums, told[account], policy) for account in accounts}


def _paper(conn: Connection, sums: adding.Sums, own: known.Account, policy: Policy) -> Paper:
    left_fen = {voucher.id: voucher.left_fen for voucher in own.vouchers}
    lines: list[Line] = []
    by_month: dict[str, Mapping[str, int]] = {}
    for usage_month, cumulative in sorted(own.charged.items()):
        pending = own.refunds.get(usage_month, {})
        keys = {name: refund.run for name, refund in pending.items()}
        charges = own.unstated.get(usage_month, {})
        groups = adding.groups(conn, sums, own.account, usage_month, charges, keys)
        taken = own.stated.get(usage_month, known.NOTHING)
        _check_archive(own.account, usage_month, cumulative, taken, groups)
        if not groups:
            continue
        before = own.borne.get(usage_month, {})
        # What is left is there for what was delivered; what a refund gives back, for later months.
        anew = any(refund is None for _, refund in groups)
        limits = _kept(before, pending)
        for name, fen in left_fen.items() if anew else ():
            limits[name] = limits.get(name, 0) + fen
        intervals = _intervals(conn, sums, own, usage_month, policy)
        after = drawdown.drawn_fen(own.vouchers, limits, intervals)
        by_month[usage_month] = drawdown.grown(before, after)
        for name, fen in by_month[usage_month].items():
            left_fen[name] = left_fen.get(name, 0) - fen
        fee_fen = cumulative["charge"] // MICRO_PER_FEN - taken["fee"]
        deduction_fen = sum(by_month[usage_month].values())
        lines += month_lines(usage_month, groups, pending, fee_fen, deduction_fen)
    return Paper(lines, by_month)


def _intervals(
    conn: Connection, sums: adding.Sums, own: known.Account, usage_month: str, policy: Policy
) -> list[int]:
    """Return what a month cost in each interval between the edges of an account's vouchers."""
    cumulative = own.charged[usage_month]
    if own.simple:
        return [0, cumulative["eligible"], cumulative["charge"] - cumulative["eligible"]]
    return eligible.of_month(conn, sums.root, own.account, usage_month, own.vouchers, policy)


def _kept(before: Mapping[str, int], refunds: Mapping[str, known.Refund]) -> dict[str, int]:
    """Return what vouchers still bear of a month when what was recorded is given back."""
    kept = Counter(before)
    for refund in refunds.values():
        kept.subtract(refund.borne_fen)
    return dict(kept)


def month_lines(
    usage_month: str,
    groups: Sequence[adding.Line],
    refunds: Mapping[str, known.Refund],
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


def _check_archive(
    account: str,
    month: str,
    cumulative: Mapping[str, int],
    stated: Mapping[str, int],
    groups: Sequence[adding.Line],
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
    row = {
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
    }
    return row if line.refund is None else row | {"refund": line.refund}


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
