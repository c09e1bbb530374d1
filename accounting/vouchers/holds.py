"""Holds: the most a job can cost, set aside at submit and resolved on evidence.

A hold never shows on a statement. It stands outside the chain, because Slurm's queue is its
second copy (the job's AdminComment). It begins unseen, is bound to a job once the queue shows
it, and each of its tasks ends once: posted (the run was charged), voided (it never ran) or
expired (the queue never showed it).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import BindParameter, bindparam, func, select, update
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import ledger, schema
from accounting.book.ledger import lock
from accounting.errors import InsufficientBalance, NotAllowed, VoucherExpired
from accounting.money import MICRO_PER_FEN, yuan
from accounting.period import day_of
from accounting.policy import Policy

LIVE = (
    select(schema.hold, schema.hold_bind.c.job_id, schema.hold_bind.c.submit_s)
    .outerjoin(schema.hold_bind, schema.hold_bind.c.hold == schema.hold.c.id)
    .where(schema.hold.c.live > 0)
)
"""Holds with tasks that have not ended: how many are `live`, and the job they are bound to.
An index has these alone: the many that have ended cost nothing."""
_SOME: BindParameter[Any] = bindparam("some", expanding=True)
_HOLD, _VOUCHER, _CHARGE = schema.hold.c, schema.voucher.c, schema.charge.c
_STATEMENT, _LINE = schema.statement.c, schema.statement_line.c
_HELD = (
    select(
        _HOLD.account,
        func.sum(_HOLD.live * _HOLD.task_micro).label("micro"),
        func.sum(_HOLD.live * _HOLD.task_eligible_micro).label("eligible_micro"),
    )
    .where(_HOLD.account.in_(_SOME), _HOLD.live > 0)
    .group_by(_HOLD.account)
)
_VOUCHERS = (
    select(schema.voucher)
    .where(_VOUCHER.account.in_(_SOME))
    .order_by(_VOUCHER.until_s, _VOUCHER.id)
)
_CHARGED = (
    select(
        _CHARGE.account,
        _CHARGE.month,
        func.sum(_CHARGE.charge_micro),
        func.sum(_CHARGE.eligible_micro),
    )
    .where(_CHARGE.account.in_(_SOME))
    .group_by(_CHARGE.account, _CHARGE.month)
)
_STATED = (
    select(
        _STATEMENT.account,
        _LINE.usage_month,
        func.sum(_LINE.charge_micro),
        func.sum(_LINE.eligible_micro),
    )
    .join(
        schema.statement,
        # of one entry, by which lines are found
        (_STATEMENT.id == _LINE.statement) & (_STATEMENT.seq == _LINE.seq),
    )
    .where(_STATEMENT.account.in_(_SOME))
    .group_by(_STATEMENT.account, _LINE.usage_month)
)
_LAST_TURN = select(func.max(schema.hold.c.turn))
_ENTER = {
    dialect: "INSERT INTO hold (id, cluster, account, uid, asked_s, expires_s, tasks, "  # noqa: S608
    f"live, turn, task_micro, task_eligible_micro, request) VALUES ({', '.join([mark] * 12)}) "
    "ON CONFLICT (id) DO NOTHING"
    for dialect, mark in (("sqlite", "?"), ("postgresql", "%s"))
}
"""Past SQLAlchemy, which took as long as SQLite to enter a hold."""
_ASKED = msgspec.json.Encoder(order="sorted")

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


class Request(msgspec.Struct, frozen=True):
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

    @property
    def held_micro(self) -> int:
        """What is held, for all tasks."""
        return self.tasks * self.task_micro

    @property
    def eligible_micro(self) -> int:
        """Its part inside the validity."""
        return self.tasks * self.task_eligible_micro


class Held(msgspec.Struct, frozen=True):
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
            row.task_eligible_micro, msgspec.json.decode(row.request), row.turn,
        )  # fmt: skip

    def raised(self, request: Request) -> tuple["Held", Request]:
        """Return what it is when the job may cost so much, and the hold for the difference.

        A lower value changes nothing, and only tasks that have not ended are raised.
        """
        tasks = max(self.tasks, request.tasks)
        task_micro, eligible_micro = self.task_micro, self.task_eligible_micro
        if request.task_micro > task_micro:
            task_micro = request.task_micro
            eligible_micro = min(task_micro, max(eligible_micro, request.task_eligible_micro))
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


class Accrued(msgspec.Struct, frozen=True):
    """What of an account's charges is not yet on a statement.

    Attributes:
        charge_micro: Their sum.
        owed_micro: Without the months that are to give back: that is nobody's to spend until it is
            stated.
        share_fen: The share of them that vouchers would bear if they sufficed.
    """

    charge_micro: int
    owed_micro: int
    share_fen: int

    @classmethod
    def of(cls, months: Iterable[tuple[int, int]], ratio_bp: int) -> "Accrued":
        """Sum up (charge, eligible part) of usage months, micro-yuan."""
        charge_micro = owed_micro = share_fen = 0
        for charge, eligible in months:
            charge_micro += charge
            owed_micro += max(charge, 0)
            share_fen += money.share(max(eligible, 0) // MICRO_PER_FEN, ratio_bp)
        return cls(charge_micro, owed_micro, share_fen)


class Position(msgspec.Struct, frozen=True):
    """Where a voucher account stands; make it by `of`, which works out what follows.

    Attributes:
        left_fen: On vouchers, not yet deducted; accrued and held shares are still in it.
        cash_fen: Paid in and not yet used.
        owed_fen: What the unit owes; above zero no hold is taken.
        accrued: Charges that are not yet on a statement.
        held_micro: Sum of live holds.
        held_eligible_micro: Its part inside the validity.
        ratio_bp: The voucher's share of a fee.
        credit_fen: What the unit may come to owe (postpaid).
        in_full: The unit pays the whole fee, and the voucher's share comes back later (reimburse).
        share_fen: The voucher's share of what is accrued and held (V of DESIGN 3b).
        free_cash_fen: Cash, and credit that is not owed yet, that nothing accrued or held needs;
            below zero when runs outran their holds.
        available_fen: A fee, eligible throughout, that would still be admitted; the largest but
            for a fen.
    """

    left_fen: int
    cash_fen: int
    owed_fen: int
    accrued: Accrued
    held_micro: int
    held_eligible_micro: int
    ratio_bp: int
    credit_fen: int
    in_full: bool
    share_fen: int
    free_cash_fen: int
    available_fen: int

    @classmethod
    def of(
        cls,
        left_fen: int,
        cash_fen: int,
        owed_fen: int,
        accrued: Accrued,
        held_micro: int,
        held_eligible_micro: int,
        ratio_bp: int,
        credit_fen: int = 0,
        in_full: bool = False,
    ) -> "Position":
        """Work out what follows from where an account stands; all in one place, for slurmctld
        waits meanwhile."""
        share_fen = accrued.share_fen
        if held_eligible_micro > 0:
            share_fen += held_eligible_micro // MICRO_PER_FEN * ratio_bp // money.BP
        if share_fen > left_fen:
            share_fen = left_fen
        needed_fen = -(-(accrued.owed_micro + held_micro) // MICRO_PER_FEN)
        cash_alone_fen = cash_fen - needed_fen
        if credit_fen > owed_fen:
            cash_alone_fen += credit_fen - owed_fen
        free_fen = cash_alone_fen if in_full else cash_alone_fen + share_fen
        available_fen = free_fen
        if free_fen < 0 or owed_fen > credit_fen:
            available_fen = 0
        elif not in_full:
            available_fen = cash_alone_fen + left_fen
            if ratio_bp < money.BP:
                available_fen = min(available_fen, free_fen * money.BP // (money.BP - ratio_bp))
        return cls(
            left_fen, cash_fen, owed_fen, accrued, held_micro, held_eligible_micro, ratio_bp,
            credit_fen, in_full, share_fen, free_fen, available_fen,
        )  # fmt: skip

    @property
    def accrued_share_fen(self) -> int:
        """The voucher's share of what is accrued."""
        return min(self.left_fen, self.accrued.share_fen)

    @property
    def held_share_fen(self) -> int:
        """The voucher's share of what is held."""
        return self.share_fen - self.accrued_share_fen

    @property
    def free_fen(self) -> int:
        """On vouchers and neither accrued nor held."""
        return self.left_fen - self.share_fen

    def plus(self, held_micro: int, eligible_micro: int) -> "Position":
        """Return the position with one more hold."""
        return Position.of(
            self.left_fen, self.cash_fen, self.owed_fen, self.accrued,
            self.held_micro + held_micro, self.held_eligible_micro + eligible_micro,
            self.ratio_bp, self.credit_fen, self.in_full,
        )  # fmt: skip


def position(conn: Connection, account: str, policy: Policy) -> Position:
    """Work out where a voucher account stands."""
    return positions(conn, [account], policy)[account]


def positions(conn: Connection, accounts: Sequence[str], policy: Policy) -> dict[str, Position]:
    """Work out where voucher accounts stand: many cost little more than one."""
    found: dict[str, Position] = {}
    for i in range(0, len(accounts), ledger.KEYS_MAX):
        some = accounts[i : i + ledger.KEYS_MAX]
        own = of_accounts(conn, some)
        gone = taken_back(conn)
        left = ledger.balances(conn, "voucher.left", [v.id for each in own.values() for v in each])
        cash, owed = (ledger.balances(conn, of, some) for of in ("cash", "receivable"))
        held = {row.account: row for row in conn.execute(_HELD, {"some": some})}
        sums = accrued_of(conn, some)
        credit = _credit_fen(conn, some) if policy.payment_mode == "postpaid" else {}
        for account in some:
            mine, now = own.get(account, ()), held.get(account)
            ratio_bp = _ratio_bp(mine, policy)
            found[account] = Position.of(
                left_fen=sum(left.get(v.id, 0) for v in mine if v.id not in gone) // MICRO_PER_FEN,
                cash_fen=-cash.get(account, 0) // MICRO_PER_FEN,
                owed_fen=owed.get(account, 0) // MICRO_PER_FEN,
                accrued=Accrued.of(sums.get(account, {}).values(), ratio_bp),
                held_micro=int(now.micro) if now else 0,
                held_eligible_micro=int(now.eligible_micro) if now else 0,
                ratio_bp=ratio_bp,
                credit_fen=credit.get(account, 0),
                in_full=policy.payment_mode == "reimburse",
            )
    return found


def _credit_fen(conn: Connection, accounts: Sequence[str]) -> dict[str, int]:
    """Return the credit limits of accounts: the one that was set last."""
    table = schema.credit_limit
    query = select(table.c.account, table.c.amount_fen).where(table.c.account.in_(accounts))
    return {row.account: row.amount_fen for row in conn.execute(query.order_by(table.c.seq))}


def _ratio_bp(own: Sequence[Any], policy: Policy) -> int:
    """Return the share of a fee that an account's vouchers bear; the smallest, if they differ:
    so much is sure."""
    shares = (policy.deduct_bp(voucher.category) for voucher in own)
    return int(min(shares, default=policy.deduct_ratio_bp))


def vouchers(conn: Connection, account: str) -> Sequence[Any]:
    """List an account's vouchers in the order in which they are drawn: earliest expiry first."""
    return of_accounts(conn, [account]).get(account, ())


def of_accounts(conn: Connection, accounts: Sequence[str]) -> dict[str, list[Any]]:
    """List the vouchers of accounts, each account's in the order in which they are drawn."""
    found: dict[str, list[Any]] = {}
    for row in conn.execute(_VOUCHERS, {"some": accounts}):
        found.setdefault(row.account, []).append(row)
    return found


def taken_back(conn: Connection, last_seq: int | None = None) -> set[str]:
    """Return the vouchers that were clawed back, by now or up to an entry: what a refund gives
    back to one is not used again, it lapses with it."""
    act = schema.signed_act.c
    query = select(act.subject).where(act.verb == "voucher.clawback")
    if last_seq is not None:
        query = query.where(act.seq <= last_seq)
    return set(conn.execute(query).scalars())


def accrued(conn: Connection, account: str) -> dict[str, tuple[int, int]]:
    """Return (charge, eligible part) in micro-yuan by usage month, of what no statement has yet."""
    return accrued_of(conn, [account]).get(account, {})


def accrued_of(conn: Connection, accounts: Sequence[str]) -> dict[str, dict[str, tuple[int, int]]]:
    """Do what `accrued` does, for many accounts."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for sign, query in ((1, _CHARGED), (-1, _STATED)):
        for account, month, charge, eligible in conn.execute(query, {"some": accounts}):
            sums = found.setdefault(account, {})
            was = sums.get(month, (0, 0))
            sums[month] = (was[0] + sign * int(charge), was[1] + sign * int(eligible))
    return {
        account: {month: parts for month, parts in sums.items() if parts != (0, 0)}
        for account, sums in found.items()
    }


def validity(conn: Connection, account: str) -> tuple[int, int] | None:
    """Return the half-open interval in which an account's vouchers are valid, or None."""
    return validity_of(vouchers(conn, account))


def validity_of(own: Sequence[Any]) -> tuple[int, int] | None:
    """Return the half-open interval in which these vouchers are valid, or None."""
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
    after = admit_request(conn, before, request, policy, now_s)
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
    return before, admit_request(conn, before, request, policy, now_s)


def enter(conn: Connection, requests: Sequence[Request], policy: Policy, now_s: int) -> int:
    """Enter holds without asking whether they fit: they were answered, or the queue shows them.

    Returns:
        The turn in which it was done. One that stands already stays as it is.
    """
    turn, expires_s = next_turn(conn), now_s + policy.unseen_s
    rows = [
        (
            request.id, request.cluster, request.account, request.uid, now_s, expires_s,
            request.tasks, request.tasks, turn, request.task_micro, request.task_eligible_micro,
            _text(request.asked),
        )
        for request in requests
    ]  # fmt: skip
    conn.exec_driver_sql(_ENTER[conn.dialect.name], rows)
    return turn


def _text(asked: Mapping[str, str]) -> str:
    return _ASKED.encode(asked).decode()


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


def taken_since(conn: Connection, cluster: str, since_s: int) -> list[Request]:
    """List the live holds of a cluster that were taken since an instant."""
    own = LIVE.where(schema.hold.c.cluster == cluster, schema.hold.c.asked_s >= since_s)
    return [
        Request(
            held.id, cluster, held.account, held.uid, held.tasks, held.task_micro,
            held.task_eligible_micro, held.asked,
        )
        for held in map(Held.of, conn.execute(own))
    ]  # fmt: skip


def unseen(conn: Connection, cluster: str, uid: int) -> int:
    """Count the live holds of a user that the queue has not shown."""
    own = LIVE.where(schema.hold.c.cluster == cluster, schema.hold.c.uid == uid)
    own = own.where(schema.hold_bind.c.hold.is_(None))
    return int(conn.execute(select(func.count()).select_from(own.subquery())).scalar() or 0)


def admit(
    before: Position,
    account: str,
    held_micro: int,
    eligible_micro: int,
    now_s: int,
    policy: Policy,
    window: tuple[int, int] | None,
) -> Position:
    """Return an account's position with one more hold in it.

    Args:
        held_micro, eligible_micro: What is to be held, and its part inside the validity.
        window: Validity of the account's vouchers.

    Raises:
        VoucherExpired: No voucher is valid and cash alone does not cover it.
        InsufficientBalance: What is left does not cover it.
    """
    after = before.plus(held_micro, eligible_micro)
    if before.owed_fen <= before.credit_fen and after.free_cash_fen >= 0:
        return after
    if before.owed_fen > before.credit_fen:
        raise InsufficientBalance(
            f"voucher {account}: {yuan(before.owed_fen)} yuan is owed, "
            f"{yuan(before.credit_fen)} is allowed for new jobs; pay it first"
        )
    fee = yuan(money.fen_up(held_micro))
    if window is not None and now_s >= window[1]:
        raise VoucherExpired(
            f"voucher {account}: expired on {day_of(window[1] - 1, policy.timezone)}, this "
            f"job may cost {fee} yuan and {yuan(max(before.free_cash_fen, 0))} of cash is free; "
            "use another voucher or top up"
        )
    raise InsufficientBalance(
        f"voucher {account}: this job may cost {fee} yuan, {yuan(before.available_fen)} is "
        "available; ask for less time or top up"
    )


def admit_request(
    conn: Connection, before: Position, request: Request, policy: Policy, now_s: int
) -> Position:
    """Return `admit`'s answer to a hold, by the validity that the book has for its account.

    Raises:
        VoucherExpired, InsufficientBalance: As `admit` does.
    """
    window = validity(conn, request.account)
    return admit(
        before, request.account, request.held_micro, request.eligible_micro, now_s, policy, window
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
            "asked": _text(held.asked),
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
    values: dict[str, Any] = {"request": _text(raised.asked)}
    more = {name: max(getattr(now, name), getattr(raised, name)) for name in _RAISED}
    if any(more[name] != getattr(now, name) for name in _RAISED):
        values |= more | {"live": now.live + more["tasks"] - now.tasks, "turn": next_turn(conn)}
    conn.execute(update(schema.hold).where(schema.hold.c.id == raised.id).values(**values))
