"""Whatever comes in whatever order: the book does what a few lines of plain Python do.

Holds are placed, raised, bound, posted, voided and expired, cash and debts come in. After each
step everything sums to zero, balances and position are the model's, and the same step again
changes nothing.
"""

import shutil
from dataclasses import dataclass, field

import pytest
import town as towns
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select
from test_holds import NOW_S
from town import ACCOUNT, CLUSTER, POLICY, PROVIDER, UID, pay, raise_hold, stamp

from accounting import money
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting
from accounting.errors import InsufficientBalance
from accounting.vouchers import holds, registry, releasing
from accounting.vouchers.holds import Request

LEFT_FEN = CASH_FEN = 50_000_00
FEN = 10_000
MONTHS = ("2024-07", "2024-08")
FEES = st.one_of(
    st.integers(0, 60_000_000_000), st.sampled_from([0, 1, 9_999, 10_000, 30_000, 50_000_000_000])
)
QUARTERS = st.integers(0, 4)
PICK = st.integers(0, 99)


@dataclass
class Held:
    """A hold, as the model knows it."""

    tasks: int
    live: int
    micro: int
    eligible: int
    lapses_s: int
    bound: bool = False


@dataclass
class Model:
    """An account in plain Python."""

    cash_fen: int = CASH_FEN
    owed_fen: int = 0
    held: dict[str, Held] = field(default_factory=dict)
    charged: dict[str, list[int]] = field(default_factory=dict)

    def short_fen(self, micro=0, eligible=0):
        """Return by how much cash falls short of accrued, held and this much more."""
        held = sum(h.live * h.micro for h in self.held.values()) + micro
        held_eligible = sum(h.live * h.eligible for h in self.held.values()) + eligible
        accrued = sum(charge for charge, _ in self.charged.values())
        halves = [part // FEN // 2 for _, part in self.charged.values()]
        share = min(LEFT_FEN, sum(halves) + held_eligible // FEN // 2)
        return -(-(accrued + held) // FEN) - share - self.cash_fen

    def live(self):
        """Return ids of live holds, oldest first."""
        return [number for number, h in self.held.items() if h.live]


class Account(RuleBasedStateMachine):
    """Steps on the book and on the model, side by side."""

    def __init__(self, folder, made):
        super().__init__()
        path = folder / "book.db"
        for old in folder.glob("book.db*"):
            old.unlink()
        shutil.copy(made / "town.db", path)
        self.engine = ledger.connect(f"sqlite:///{path}", durable=False)
        self.model = Model()
        self.now_s = NOW_S
        self.count = 0
        self.outrun = False

    def teardown(self):
        self.engine.dispose()

    def twice(self, step):
        """Take a step, and again: the second time changes nothing."""
        with self.engine.begin() as conn:
            first = step(conn)
            after = self.everything(conn)
        with self.engine.begin() as conn:
            step(conn)
            assert self.everything(conn) == after
        return first

    def everything(self, conn):
        """Return all that a step can change."""
        tables = (schema.hold, schema.hold_end, schema.hold_bind, schema.posting, schema.charge)
        rows = [sorted(map(tuple, conn.execute(select(table)))) for table in tables]
        return ledger.head(conn), rows

    def next(self):
        """Let ten seconds pass; return a new number."""
        self.count += 1
        self.now_s += 10
        return self.count

    def pick(self, which):
        """Choose a live hold."""
        live = self.model.live()
        return live[which % len(live)]

    @rule(fee=FEES, quarters=QUARTERS, tasks=st.integers(1, 3))
    def place(self, fee, quarters, tasks):
        """A hold is taken when cash covers what the voucher does not, and nothing is owed."""
        hold_id, part, now_s = f"{self.next():032x}", fee * quarters // 4, self.now_s
        asked = Request(hold_id, CLUSTER, ACCOUNT, UID, tasks, fee, part, {})
        fits = not self.model.owed_fen and self.model.short_fen(tasks * fee, tasks * part) <= 0
        try:
            self.twice(lambda conn: holds.place(conn, asked, POLICY, now_s))
        except InsufficientBalance:
            assert not fits
            return
        assert fits
        self.model.held[hold_id] = Held(tasks, tasks, fee, part, now_s + POLICY.unseen_s)

    @precondition(lambda self: self.model.live())
    @rule(which=PICK, fee=FEES, quarters=QUARTERS)
    def raise_(self, which, fee, quarters):
        """A hold is raised for its live tasks when that fits, and never lowered."""
        self.next()
        hold_id = self.pick(which)
        h = self.model.held[hold_id]
        micro = max(h.micro, fee)
        eligible = min(micro, max(h.eligible, fee * quarters // 4))
        more = h.live * (micro - h.micro), h.live * (eligible - h.eligible)
        fits = not self.model.owed_fen and self.model.short_fen(*more) <= 0
        asked = Request(hold_id, CLUSTER, ACCOUNT, UID, h.tasks, fee, fee * quarters // 4, {})

        def step(conn):
            raise_hold(conn, asked, self.now_s)

        try:
            self.twice(step)
        except InsufficientBalance:
            assert not fits
            return
        if micro > h.micro:
            assert fits
            h.micro, h.eligible = micro, eligible

    @precondition(lambda self: self.model.live())
    @rule(which=PICK)
    def bind(self, which):
        """The queue shows a hold's job."""
        job_id, hold_id, now_s = self.next(), self.pick(which), self.now_s
        self.twice(lambda conn: releasing.bind(conn, hold_id, CLUSTER, job_id, now_s, now_s))
        self.model.held[hold_id].bound = True

    @precondition(lambda self: self.model.live())
    @rule(
        which=PICK, percent=st.sampled_from([0, 1, 50, 99, 100, 150]), month=st.sampled_from(MONTHS)
    )
    def post(self, which, percent, month):
        """A run ends: its charge is posted, even above its hold, and one task's hold ends."""
        number, hold_id, now_s = self.next(), self.pick(which), self.now_s
        h = self.model.held[hold_id]
        charge, eligible = h.micro * percent // 100, h.eligible * percent // 100
        entry = charge_entry(number, month, charge, eligible)

        def step(conn):
            ledger.write(conn, entry)
            return releasing.end(conn, hold_id, str(number), "posted", 1, now_s, "COMPLETED")

        assert self.twice(step)
        h.live -= 1
        total = self.model.charged.setdefault(month, [0, 0])
        total[0] += charge
        total[1] += eligible
        self.outrun |= percent > 100

    @precondition(lambda self: any(h.bound and h.live for h in self.model.held.values()))
    @rule()
    def void(self):
        """Two looks miss every job and all is collected: what was bound is voided."""
        gone = sorted(i for i, h in self.model.held.items() if h.bound and h.live)
        self.next()
        first_s = self.now_s
        self.next()

        def step(conn):
            towns.absent(conn, set(), first_s, 0)
            return towns.absent(conn, set(), self.now_s, self.now_s)

        assert sorted(self.twice(step)) == gone
        for hold_id in gone:
            self.model.held[hold_id].live = 0

    @rule(wait_s=st.sampled_from([1, 60, 120]))
    def expire(self, wait_s):
        """Time passes: what the queue never showed lapses."""
        self.now_s += wait_s
        model = self.model.held
        gone = sorted(
            i for i, h in model.items() if h.live and not h.bound and h.lapses_s <= self.now_s
        )
        lapsed = self.twice(lambda conn: towns.lapse(conn, self.now_s))
        assert sorted(lapsed) == gone
        for hold_id in gone:
            model[hold_id].live = 0

    @rule(fen=st.integers(1, 30_000_00))
    def pay_in(self, fen):
        """Cash comes in: it settles what is owed, the rest is free."""
        number = self.next()
        self.twice(lambda conn: pay(conn, money.yuan(fen), f"BANK-R{number}"))
        settled = min(fen, self.model.owed_fen)
        self.model.owed_fen -= settled
        self.model.cash_fen += fen - settled

    @rule(fen=st.integers(1, 1000))
    def owe(self, fen):
        """Something is left unpaid."""
        key = f"debt:{self.next()}"
        debt = [
            Posting("receivable", ACCOUNT, fen * FEN),
            Posting("revenue", PROVIDER, -fen * FEN),
        ]
        self.twice(lambda conn: ledger.write(conn, Entry(key, "test", stamp(), {}, debt)))
        self.model.owed_fen += fen

    @invariant()
    def adds_up(self):
        """Everything sums to zero, and the book is where the model is."""
        model = self.model
        accrued = sum(charge for charge, _ in model.charged.values())
        with self.engine.begin() as conn:
            total = select(func.coalesce(func.sum(schema.posting.c.amount_micro), 0))
            assert conn.execute(total).scalar_one() == 0
            where = holds.position(conn, ACCOUNT, POLICY)
            assert registry.owed_micro(conn, ACCOUNT) == model.owed_fen * FEN
            assert ledger.balance(conn, "accrued", ACCOUNT) == accrued == where.accrued.charge_micro
        assert (where.left_fen, where.cash_fen) == (LEFT_FEN, model.cash_fen)
        assert where.held_micro == sum(h.live * h.micro for h in model.held.values())
        assert where.free_cash_fen == -model.short_fen()
        assert 0 <= where.free_fen <= LEFT_FEN

    @invariant()
    def is_not_overspent(self):
        """While no run costs more than its hold, cash covers all, but for a fen for each month
        that a half is rounded down in."""
        if not self.outrun:
            assert self.model.short_fen() <= len(self.model.charged)


def charge_entry(number, month, charge, eligible):
    """Make the entry of one segment with one charge."""
    path = f"chengdu/{month}/{number}.parquet"
    sums = {"charge_micro": charge, "eligible_micro": eligible}
    segment = {
        "path": path,
        "cluster": CLUSTER,
        "month": month,
        "rows": 1,
        "sha256": "0" * 64,
        "size_bytes": 1,
        "submit_min_s": NOW_S,
        "submit_max_s": NOW_S,
        "gflops_s": 0,
        "unrated": 0,
    }
    row = {"path": path, "account": ACCOUNT, "month": month}
    postings = [Posting("accrued", ACCOUNT, charge), Posting("revenue", PROVIDER, -charge)]
    rows = {"segment": [segment | sums], "charge": [row | sums]}
    return Entry(f"usage:{number}", "charge", stamp(), rows, postings if charge else [])


@pytest.mark.thorough
def test_any_order_of_steps_adds_up(tmp_path, made):
    """Random sequences of steps leave book and model in the same state after each step."""
    quick = settings(
        max_examples=25,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(lambda: Account(tmp_path, made), settings=quick)
