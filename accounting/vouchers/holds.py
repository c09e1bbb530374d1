"""Holds: the most a job can cost, set aside at submit and resolved on evidence.

A hold never shows on a statement. It stands outside the chain, because Slurm's queue is its
second copy (the job's AdminComment). It begins unseen, is bound to a job once the queue shows
it, and each of its tasks ends once: posted (the run was charged), voided (it never ran) or
expired (the queue never showed it).
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import ledger, schema
from accounting.book.ledger import lock
from accounting.errors import InsufficientBalance, NotAllowed, NotEligible, VoucherExpired
from accounting.money import MICRO_PER_FEN, yuan
from accounting.period import day_of
from accounting.policy import Policy
from accounting.vouchers import freezing
from accounting.vouchers.registry import find, next_coming_or_going, terms, unit_of

LIVE = (
    select(schema.hold, schema.hold_bind.c.job_id, schema.hold_bind.c.submit_s)
    .outerjoin(schema.hold_bind, schema.hold_bind.c.hold == schema.hold.c.id)
    .where(schema.hold.c.live > 0)
)
"""Holds with tasks that have not ended: how many are `live`, and the job they are bound to.
An index has these alone: the many that have ended cost nothing."""
_HELD = select(
    func.sum(schema.hold.c.live * schema.hold.c.task_micro),
    func.sum(schema.hold.c.live * schema.hold.c.task_eligible_micro),
).where(schema.hold.c.account == bindparam("of"), schema.hold.c.live > 0)
_LAST_TURN = select(func.max(schema.hold.c.turn))
_ENTER = text(
    f"INSERT INTO hold ({', '.join(c.name for c in schema.hold.columns)}) "  # noqa: S608 - our own names
    f"VALUES ({', '.join(f':{c.name}' for c in schema.hold.columns)}) "
    "ON CONFLICT (id) DO NOTHING"
)

_FOLLOW = (
    update(schema.hold)
    .where(schema.hold.c.id == bindparam("of"), schema.hold.c.turn == bindparam("was"))
    .values(
        task_micro=bindparam("micro"),
        task_eligible_micro=bindparam("eligible_micro"),
        request=bindparam("asked"),
        turn=bindparam("now"),
    )
)


@dataclass(frozen=True)
class Request:
    """What a submit hook asks to hold.

    `task_micro` is the most one task can cost; `task_eligible_micro` the part of it whose
    seconds fall inside the voucher's validity if the task starts at once.
    """

    id: str
    cluster: str
    account: str
    uid: int
    tasks: int
    task_micro: int
    task_eligible_micro: int
    asked: Mapping[str, str]


@dataclass(frozen=True)
class Held:
    """A hold as it stands: `live` of its tasks have not ended, `turn` was its last change."""

    id: str
    account: str
    uid: int
    asked_s: int
    tasks: int
    live: int
    task_micro: int
    task_eligible_micro: int
    asked: Mapping[str, str]
    turn: int

    @classmethod
    def of(cls, row: Any) -> "Held":
        """Return the hold of a row of the book."""
        return cls(
            row.id, row.account, row.uid, row.asked_s, row.tasks, row.live, row.task_micro,
            row.task_eligible_micro, json.loads(row.request), row.turn,
        )  # fmt: skip

    def raised(self, request: Request) -> tuple["Held", Request]:
        """Return what it is when the job may cost so much, and the hold for the difference.

        A lower value changes nothing, and only tasks that have not ended are raised.
        """
        tasks = max(self.tasks, request.tasks)
        task_micro = max(self.task_micro, request.task_micro)
        wanted_micro = max(self.task_eligible_micro, request.task_eligible_micro)
        eligible_micro = min(task_micro, wanted_micro)
        live = self.live + tasks - self.tasks
        more = replace(
            request,
            tasks=1,
            task_micro=live * task_micro - self.live * self.task_micro,
            task_eligible_micro=live * eligible_micro - self.live * self.task_eligible_micro,
        )
        raised = replace(
            self,
            tasks=tasks,
            live=live,
            task_micro=task_micro,
            task_eligible_micro=eligible_micro,
            asked=request.asked,
        )
        return raised, more


_RAISED = ("tasks", "task_micro", "task_eligible_micro")


@dataclass(frozen=True)
class Position:
    """Where a voucher account stands.

    Attributes:
        left_fen: On vouchers, not yet deducted; accrued and held shares are still in it.
        cash_fen: Paid in and not yet used.
        owed_fen: What the unit owes; above zero no hold is taken.
        accrued: (charge, eligible part), micro-yuan, for each usage month not yet on a statement.
        held_micro: Sum of live holds.
        held_eligible_micro: Its part inside the validity.
        ratio_bp: The voucher's share of a fee.
        credit_fen: What the unit may come to owe (postpaid).
        in_full: The unit pays the whole fee, and the voucher's share comes back later (reimburse).
    """

    left_fen: int
    cash_fen: int
    owed_fen: int
    accrued: Sequence[tuple[int, int]]
    held_micro: int
    held_eligible_micro: int
    ratio_bp: int
    credit_fen: int = 0
    in_full: bool = False

    @property
    def accrued_micro(self) -> int:
        """Charges not yet on a statement."""
        return sum(charge for charge, _ in self.accrued)

    def _share_fen(self, eligible_micro: int) -> int:
        return money.share(max(eligible_micro, 0) // MICRO_PER_FEN, self.ratio_bp)

    @property
    def accrued_share_fen(self) -> int:
        """The voucher's share of what is accrued."""
        return min(self.left_fen, sum(self._share_fen(part) for _, part in self.accrued))

    @property
    def share_fen(self) -> int:
        """The voucher's share of what is accrued and held (V of DESIGN 3b)."""
        held = self._share_fen(self.held_eligible_micro)
        return min(self.left_fen, self.accrued_share_fen + held)

    @property
    def held_share_fen(self) -> int:
        """The voucher's share of what is held."""
        return self.share_fen - self.accrued_share_fen

    @property
    def free_fen(self) -> int:
        """On vouchers and neither accrued nor held."""
        return self.left_fen - self.share_fen

    @property
    def free_cash_fen(self) -> int:
        """Cash, and credit that is not owed yet, that nothing accrued or held needs; below zero
        when runs outran their holds."""
        # What a month is to give back is nobody's to spend until it is stated.
        owed_micro = sum(max(charge, 0) for charge, _ in self.accrued) + self.held_micro
        there_fen = self.cash_fen + max(0, self.credit_fen - self.owed_fen)
        return there_fen - money.fen_up(owed_micro) + (0 if self.in_full else self.share_fen)

    @property
    def available_fen(self) -> int:
        """A fee, eligible throughout, that would still be admitted; the largest but for a fen."""
        if self.free_cash_fen < 0 or self.owed_fen > self.credit_fen:
            return 0
        if self.in_full:
            return self.free_cash_fen
        both = self.free_cash_fen + self.free_fen
        whole = money.BP - self.ratio_bp
        return min(both, self.free_cash_fen * money.BP // whole) if whole else both

    def plus(self, held_micro: int, eligible_micro: int) -> "Position":
        """Return the position with one more hold."""
        return replace(
            self,
            held_micro=self.held_micro + held_micro,
            held_eligible_micro=self.held_eligible_micro + eligible_micro,
        )


def position(conn: Connection, account: str, policy: Policy) -> Position:
    """Work out where a voucher account stands."""
    own = vouchers(conn, account)
    gone = taken_back(conn)
    left = sum(ledger.balance(conn, "voucher.left", each.id) for each in own if each.id not in gone)
    held_micro, held_eligible_micro = conn.execute(_HELD, {"of": account}).one()
    return Position(
        left_fen=left // MICRO_PER_FEN,
        cash_fen=-ledger.balance(conn, "cash", account) // MICRO_PER_FEN,
        owed_fen=ledger.balance(conn, "receivable", account) // MICRO_PER_FEN,
        accrued=list(accrued(conn, account).values()),
        held_micro=int(held_micro or 0),
        held_eligible_micro=int(held_eligible_micro or 0),
        ratio_bp=_ratio_bp(own, policy),
        credit_fen=_credit_fen(conn, account) if policy.payment_mode == "postpaid" else 0,
        in_full=policy.payment_mode == "reimburse",
    )


def _credit_fen(conn: Connection, account: str) -> int:
    """Return the credit limit of an account: the one that was set last."""
    table = schema.credit_limit
    query = select(table.c.amount_fen).filter_by(account=account).order_by(table.c.seq.desc())
    return conn.execute(query.limit(1)).scalar() or 0


def _ratio_bp(own: Sequence[Any], policy: Policy) -> int:
    """Return the share of a fee that an account's vouchers bear; the smallest, if they differ:
    so much is sure."""
    shares = (policy.deduct_bp(voucher.category) for voucher in own)
    return int(min(shares, default=policy.deduct_ratio_bp))


def vouchers(conn: Connection, account: str) -> Sequence[Any]:
    """List an account's vouchers in the order in which they are drawn: earliest expiry first."""
    table = schema.voucher
    return conn.execute(
        select(table).where(table.c.account == account).order_by(table.c.until_s, table.c.id)
    ).all()


def taken_back(conn: Connection, last_seq: int | None = None) -> set[str]:
    """Return the vouchers that were clawed back after something was deducted, by now or up to an
    entry: what a refund gives back to one is not used again, it lapses with it."""
    debt = schema.debt.c
    query = select(debt.voucher).where(debt.kind == "clawback")
    if last_seq is not None:
        query = query.where(debt.seq <= last_seq)
    return set(conn.execute(query).scalars())


def accrued(conn: Connection, account: str) -> dict[str, tuple[int, int]]:
    """Return (charge, eligible part) in micro-yuan by usage month, of what no statement has yet."""
    sums: dict[str, tuple[int, int]] = {}
    for table, sign, month in (
        (schema.charge, 1, schema.charge.c.month),
        (schema.statement_line, -1, schema.statement_line.c.usage_month),
    ):
        query = select(month, func.sum(table.c.charge_micro), func.sum(table.c.eligible_micro))
        if table is schema.statement_line:
            query = query.join(schema.statement, schema.statement.c.id == table.c.statement)
            query = query.where(schema.statement.c.account == account)
        else:
            query = query.where(table.c.account == account)
        for name, charge, eligible in conn.execute(query.group_by(month)):
            was = sums.get(name, (0, 0))
            sums[name] = (was[0] + sign * int(charge), was[1] + sign * int(eligible))
    return {name: parts for name, parts in sums.items() if parts != (0, 0)}


def may_spend(
    conn: Connection, account: str, *, cluster: str, uid: int, provider: str, at_s: int
) -> Any:
    """Check that a user of a cluster may spend a voucher account at a provider.

    Returns:
        The account's contract.

    Raises:
        NotEligible: No such account, or it is for another provider.
        NotAllowed: The user is no member of the account's unit, or the contract was ended.
    """
    contract = conn.execute(select(schema.contract).filter_by(account=account)).one_or_none()
    if contract is None:
        raise NotEligible(
            f"voucher {account[:24]!r}: not known here; check the number on your certificate"
        )
    if unit_of(conn, cluster, uid, at_s) != contract.unit:
        raise NotAllowed(
            f"voucher {account}: belongs to another unit than user {uid}'s; use your own unit's"
            " voucher"
        )
    frozen = freezing.at(conn, contract.unit, at_s)
    if frozen is not None:
        raise NotEligible(
            f"voucher {account}: unit {contract.unit} is frozen: {frozen.reason}; ask the regulator"
        )
    now = terms(conn, contract.id)
    if now.ended and at_s >= now.until_s:
        raise NotAllowed(
            f"voucher {account}: its contract was ended; use another voucher or sign a new contract"
        )
    if contract.provider != provider:
        raise NotEligible(
            f"voucher {account}: is for provider {contract.provider}, this partition is"
            f" {provider}'s; choose another partition or voucher"
        )
    return contract


def usable(conn: Connection, *, cluster: str, uid: int, provider: str, at_s: int) -> list[str]:
    """List the accounts that a user of a cluster may spend at a provider, with a voucher that is
    valid at an instant."""
    unit = unit_of(conn, cluster, uid, at_s)
    if unit is None:
        return []
    contract, voucher = schema.contract.c, schema.voucher.c
    query = select(contract.account).where(contract.unit == unit, contract.provider == provider)
    valid = (voucher.from_s <= at_s) & (voucher.until_s > at_s)
    query = query.join(schema.voucher, (voucher.account == contract.account) & valid).distinct()
    found = []
    for account in conn.execute(query.order_by(contract.account)).scalars():
        with contextlib.suppress(NotEligible, NotAllowed):
            may_spend(conn, account, cluster=cluster, uid=uid, provider=provider, at_s=at_s)
            found.append(account)
    return found


def spenders(conn: Connection, cluster: str) -> list[tuple[str, str, int]]:
    """List each account with its provider and one user of a cluster who may know it."""
    contract, member = schema.contract.c, schema.member.c
    query = (
        select(contract.account, contract.provider, func.min(member.uid))
        .join(schema.member, (member.unit == contract.unit) & (member.cluster == cluster))
        .group_by(contract.account, contract.provider)
        .order_by(contract.account.desc())
    )
    return [tuple(row) for row in conn.execute(query)]


def stands_until(conn: Connection, account: str, now_s: int) -> int:
    """Return the next instant at which `may_spend` can say something else by itself: a member
    comes or goes, a freeze begins or ends, the contract is over."""
    contract = find(conn, "contract", account=account)
    edges = [edge for freeze in freezing.of_unit(conn, contract.unit) for edge in freeze]
    edges += [terms(conn, contract.id).until_s, freezing.ALWAYS_S]
    member_s = next_coming_or_going(conn, contract.unit, now_s)
    if member_s is not None:
        edges.append(member_s)
    return min(edge for edge in edges if edge > now_s)


def validity(conn: Connection, account: str) -> tuple[int, int] | None:
    """Return the half-open interval in which an account's vouchers are valid, or None."""
    own = vouchers(conn, account)
    if not own:
        return None
    return min(v.from_s for v in own), max(v.until_s for v in own)


def place(conn: Connection, request: Request, policy: Policy, now_s: int) -> Position:
    """Take a hold if what is left covers it; asked again with the same id, find it taken.

    Returns:
        The account's position after it.

    Raises:
        NotAllowed: The id stands for another hold.
        VoucherExpired: No voucher is valid and cash alone does not cover it.
        InsufficientBalance: What is left does not cover it.
    """
    lock(conn)
    before = position(conn, request.account, policy)
    known = conn.execute(select(schema.hold).filter_by(id=request.id)).mappings().one_or_none()
    if known is not None:
        if any(known[name] != getattr(request, name) for name in ("cluster", "account", "uid")):
            raise NotAllowed(f"hold {request.id}: stands for another job; submit again")
        return before
    after = admit(before, request, now_s, policy, validity(conn, request.account))
    enter(conn, [request], policy, now_s)
    return after


def fit(
    conn: Connection, request: Request, policy: Policy, now_s: int
) -> tuple[Position, Position]:
    """Return an account's position before and after a hold that would be taken, or say why not.

    Raises:
        VoucherExpired, InsufficientBalance: As `place` does.
    """
    before = position(conn, request.account, policy)
    window = validity(conn, request.account)
    return before, admit(before, request, now_s, policy, window)


def enter(conn: Connection, requests: Sequence[Request], policy: Policy, now_s: int) -> int:
    """Enter holds without asking whether they fit: they were answered, or the queue shows them.

    Returns:
        The turn in which it was done. One that stands already stays as it is.
    """
    turn = next_turn(conn)
    rows = [
        {
            "id": request.id,
            "cluster": request.cluster,
            "account": request.account,
            "uid": request.uid,
            "tasks": request.tasks,
            "live": request.tasks,
            "turn": turn,
            "task_micro": request.task_micro,
            "task_eligible_micro": request.task_eligible_micro,
            "asked_s": now_s,
            "expires_s": now_s + policy.unseen_s,
            "request": ledger.canonical(dict(request.asked)),
        }
        for request in requests
    ]
    conn.execute(_ENTER, rows)
    return turn


def next_turn(conn: Connection) -> int:
    """Return the number of the change of holds that is under way: who remembers a position sees
    by it whose holds have changed since."""
    lock(conn)
    return last_turn(conn) + 1


def last_turn(conn: Connection) -> int:
    """Return the number of the last change of holds; 0 before the first."""
    return conn.execute(_LAST_TURN).scalar() or 0


def ids(conn: Connection, some: Sequence[str]) -> set[str]:
    """Return which of these holds the book has."""
    column = schema.hold.c.id
    return {
        one
        for i in range(0, len(some), ledger.KEYS_MAX)
        for one in conn.execute(
            select(column).where(column.in_(some[i : i + ledger.KEYS_MAX]))
        ).scalars()
    }


def changed(conn: Connection, turn: int) -> set[str]:
    """Return the accounts whose holds have changed since a turn."""
    query = select(schema.hold.c.account).distinct().where(schema.hold.c.turn > turn)
    return set(conn.execute(query).scalars())


def unseen(conn: Connection, cluster: str, uid: int) -> int:
    """Count the live holds of a user that the queue has not shown."""
    own = LIVE.where(schema.hold.c.cluster == cluster, schema.hold.c.uid == uid)
    own = own.where(schema.hold_bind.c.hold.is_(None))
    return int(conn.execute(select(func.count()).select_from(own.subquery())).scalar() or 0)


def exists(conn: Connection, hold_id: str) -> bool:
    """Tell whether the book has a hold, live or ended."""
    return conn.execute(select(schema.hold.c.id).filter_by(id=hold_id)).scalar() is not None


def admit(
    before: Position,
    request: Request,
    now_s: int,
    policy: Policy,
    window: tuple[int, int] | None,
) -> Position:
    """Return the position with the hold in it.

    Args:
        window: Validity of the account's vouchers.

    Raises:
        VoucherExpired: No voucher is valid and cash alone does not cover it.
        InsufficientBalance: What is left does not cover it.
    """
    fee_micro = request.tasks * request.task_micro
    after = before.plus(fee_micro, request.tasks * request.task_eligible_micro)
    fee = yuan(money.fen_up(fee_micro))
    if before.owed_fen > before.credit_fen:
        raise InsufficientBalance(
            f"voucher {request.account}: {yuan(before.owed_fen)} yuan is owed, "
            f"{yuan(before.credit_fen)} is allowed for new jobs; pay it first"
        )
    if after.free_cash_fen >= 0:
        return after
    if window is not None and now_s >= window[1]:
        raise VoucherExpired(
            f"voucher {request.account}: expired on {day_of(window[1] - 1, policy.timezone)}, this "
            f"job may cost {fee} yuan and {yuan(max(before.free_cash_fen, 0))} of cash is free; "
            "use another voucher or top up"
        )
    raise InsufficientBalance(
        f"voucher {request.account}: this job may cost {fee} yuan, {yuan(before.available_fen)} is "
        "available; ask for less time or top up"
    )


def of_job(conn: Connection, cluster: str, job_id: int) -> Held | None:
    """Return the live hold that is bound to a job, or None."""
    bound = LIVE.where(schema.hold_bind.c.cluster == cluster, schema.hold_bind.c.job_id == job_id)
    row = conn.execute(bound.order_by(schema.hold_bind.c.submit_s.desc())).first()
    return None if row is None else Held.of(row)


def followed(held: Held, request: Request, *, lower: bool) -> Held:
    """Return what a hold becomes whose jobs in the queue can cost so much, whether it fits or not.

    Args:
        lower: Whether it may also become less.
    """
    task_micro, eligible_micro = request.task_micro, request.task_eligible_micro
    if not lower:
        task_micro = max(task_micro, held.task_micro)
        eligible_micro = max(eligible_micro, held.task_eligible_micro)
    eligible_micro = min(task_micro, eligible_micro)
    if (task_micro, eligible_micro) == (held.task_micro, held.task_eligible_micro):
        return held
    return replace(
        held, task_micro=task_micro, task_eligible_micro=eligible_micro, asked=request.asked
    )


def write_followed(conn: Connection, some: Sequence[Held]) -> dict[str, Held]:
    """Write what holds became, but not over what somebody else made of them since they were read.

    Returns:
        Those that were written, with their new turn.
    """
    turn = next_turn(conn)
    rows = [
        {
            "of": held.id,
            "was": held.turn,
            "micro": held.task_micro,
            "eligible_micro": held.task_eligible_micro,
            "asked": ledger.canonical(dict(held.asked)),
            "now": turn,
        }
        for held in some
    ]
    conn.execute(_FOLLOW, rows)
    written = set(conn.execute(select(schema.hold.c.id).filter_by(turn=turn)).scalars())
    return {held.id: replace(held, turn=turn) for held in some if held.id in written}


def find_live(conn: Connection, hold_id: str) -> Held | None:
    """Return a live hold as it stands, or None."""
    row = conn.execute(LIVE.where(schema.hold.c.id == hold_id)).one_or_none()
    return None if row is None else Held.of(row)


def write_raised(conn: Connection, raised: Held) -> None:
    """Write what a hold was raised to; tasks that have ended in the meantime stay ended."""
    now = find_live(conn, raised.id)
    if now is None:
        return
    values: dict[str, Any] = {"request": ledger.canonical(dict(raised.asked))}
    more = {name: max(getattr(now, name), getattr(raised, name)) for name in _RAISED}
    if any(more[name] != getattr(now, name) for name in _RAISED):
        values |= more | {"live": now.live + more["tasks"] - now.tasks, "turn": next_turn(conn)}
    conn.execute(update(schema.hold).where(schema.hold.c.id == raised.id).values(**values))
