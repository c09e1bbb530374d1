"""The whole life of vouchers, step by step at random, beside a few lines of plain Python.

Vouchers are issued, cash comes in and is taken back, jobs are held, run, never run or are refunded,
months are closed, invoices recorded, vouchers lapse or are clawed back and what is owed then is
repaid, quarters are claimed, reviewed and paid. After each step every balance of the ledger is the
model's, after each life an audit finds nothing.

Left out are refunds of runs that a statement has (`test_any_story.py`), second vouchers and
freezes (`test_eligible.py`).

LIFE_STEPS says how many steps are taken at least; `make nightly` takes 10,000.
"""

import os
import shutil
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

import delivery
import pytest
import town as towns
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from town import CLUSTER, POLICY, PROVIDER, UID, UNIT, Town, stamp

from accounting.book import ledger, schema
from accounting.errors import Refused
from accounting.money import yuan
from accounting.redeem import paying, redemption, reviewing, withdrawing
from accounting.settle import invoicing, refunding
from accounting.vouchers import clawback, debts, holds, payments, releasing
from accounting.vouchers.holds import Request

STEPS = int(os.environ.get("LIFE_STEPS", "500"))
FEN = 10_000
MONTHS = ("2024-11", "2024-12", "2025-01", "2025-02", "2025-03")
NEXT = dict(pairwise((*MONTHS, "2025-04")))
EXPIRY_S = towns.instant("2025-01-01T00:00:00+08:00")
PICK = st.integers(0, 10**6)


@dataclass
class Hold:
    """A hold, as the model knows it."""

    account: str
    micro: int
    eligible: int
    lapses_s: int
    live: bool = True


@dataclass
class Run:
    """A run that was charged."""

    facts: object
    account: str
    month: str
    micro: int
    eligible: int


@dataclass
class Line:
    """A line of a statement with a deduction, on its way to being paid."""

    account: str
    month: str
    fen: int
    waiting: str | None = None
    refused: bool = False
    approved: bool = False


@dataclass
class Account:
    """A voucher account in plain Python."""

    from_s: int
    left: int
    deducted: int = 0
    expired: int = 0
    cancelled: int = 0
    gone: bool = False
    debt: int = 0
    cash: int = 0
    owed: int = 0
    charged: dict = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    stated: dict = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0]))
    """By usage month: charge, eligible; and what statements have of that, with fee and deduction"""

    def accrued(self):
        """Return (charge, eligible) of each month that no statement has yet."""
        parts = [
            (charge - self.stated[month][0], eligible - self.stated[month][1])
            for month, (charge, eligible) in self.charged.items()
        ]
        return [part for part in parts if part != (0, 0)]

    def short(self, held, held_eligible):
        """Return by how many fen cash falls short of accrued and held."""
        accrued = sum(charge for charge, _ in self.accrued())
        halves = sum(max(eligible, 0) // FEN // 2 for _, eligible in self.accrued())
        share = min(self.left, min(self.left, halves) + held_eligible // FEN // 2)
        return -(-(accrued + held) // FEN) - share - self.cash

    def settle(self, month):
        """Make the statement of a month: {usage month: deduction} and the unit's part."""
        fee = deduction = 0
        deductions = {}
        for usage_month in sorted(self.charged):
            charge, eligible = self.charged[usage_month]
            stated = self.stated[usage_month]
            if usage_month > month or stated[:2] == [charge, eligible]:
                continue
            own_fee = charge // FEN - stated[2]
            own = min(eligible // FEN // 2, stated[3] + self.left) - stated[3]
            self.left -= own
            self.stated[usage_month] = [charge, eligible, stated[2] + own_fee, stated[3] + own]
            fee, deduction = fee + own_fee, deduction + own
            deductions[usage_month] = own
        self.deducted += deduction
        due = fee - deduction
        paid = min(due, self.cash)
        self.cash -= paid
        self.owed += due - paid
        return deductions, due


class Life(RuleBasedStateMachine):
    """Steps on the book and on the model, side by side."""

    taken = 0

    def __init__(self, made, keys):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(made / "people.db", self.folder / "book.db")
        engine = ledger.connect(f"sqlite:///{self.folder / 'book.db'}", durable=False)
        self.town = Town(engine, self.folder / "archive", keys)
        delivery.load_prices(self.town)
        self.month, self.minutes, self.count = MONTHS[0], 0, 0
        self.accounts, self.holds, self.runs = {}, {}, []
        self.lines, self.claims, self.payments, self.invoiced = {}, {}, {}, {}
        self.bank = self.issued = 0

    def teardown(self):
        try:
            assert delivery.findings(self.town) == []
        finally:
            self.town.engine.dispose()
            shutil.rmtree(self.folder)

    # --- what steps share --------------------------------------------------------------------

    def at(self):
        """Let a minute pass; return the instant, in the month that is open."""
        Life.taken += 1
        self.count += 1
        self.minutes += 1
        return f"{self.month}-28T{self.minutes // 60 % 24:02}:{self.minutes % 60:02}:00+08:00"

    def pick(self, which, among):
        """Choose one of several."""
        among = sorted(among)
        return among[which % len(among)]

    def held(self, account):
        """Return what live holds of an account come to, and the eligible part."""
        own = [h for h in self.holds.values() if h.account == account and h.live]
        return sum(h.micro for h in own), sum(h.eligible for h in own)

    def charge(self, account, hours, cores, month, hold=None):
        """Take in a run that ended in a month; return it."""
        number = self.count
        end = f"{month}-25T20:{number % 60:02}:00+08:00"
        core_s = 3_600 * hours + number % 7
        facts = delivery.run(number, core_s, end, cpus=cores, voucher=account, hold=hold)
        micro = (cores * core_s * 1_000_000 * 2 + 3_600) // 7_200
        owner = self.accounts[account]
        within = owner.from_s <= facts.start_s and facts.end_s <= EXPIRY_S
        delivery.take(self.town, facts, at=self.at())
        made = Run(facts, account, month, micro, micro if within else 0)
        owner.charged[month][0] += made.micro
        owner.charged[month][1] += made.eligible
        self.runs.append(made)

    # --- steps -------------------------------------------------------------------------------

    @initialize()
    def begin(self):
        """There is an account with cash, and something was delivered."""
        self.issue(60_000)
        self.top_up(0, 20_000_00)
        self.run_unheld(0, 2, 100, 0)

    @precondition(lambda self: len(self.accounts) < 3 and self.month < "2025")
    @rule(fee=st.sampled_from([20_000, 33_333, 200_000]))
    def issue(self, fee):
        """A contract opens an account, and the regulator confirms a voucher of half its fee."""
        self.at()
        at = f"{self.month}-02T09:00:00+08:00"
        with self.town.begin() as conn:
            contract = f"HT-{len(self.accounts) + 1}"
            account = towns.add_contract(conn, contract, fee_fen=fee * 100)
            application = towns.add_application(conn, contract)
        assert towns.confirm(self.town, application, at=at) == f"{account}-1"
        from_s = towns.instant(f"{self.month}-02T00:00:00+08:00")
        self.accounts[account] = Account(from_s, fee * 50)
        self.issued += fee * 50

    @rule(which=PICK, fen=st.integers(1, 30_000_00))
    def top_up(self, which, fen):
        """Cash comes in: it settles what is owed, the rest is free."""
        self.at()
        account, reference = self.pick(which, self.accounts), f"B{self.count}"
        with self.town.begin() as conn:
            towns.pay(conn, yuan(fen), reference, account)
        owner = self.accounts[account]
        settled = min(fen, owner.owed)
        owner.owed -= settled
        owner.cash += fen - settled
        self.bank += fen
        self.payments[reference] = (account, settled, fen - settled)

    @precondition(lambda self: self.payments)
    @rule(which=PICK)
    def take_back(self, which):
        """A payment is taken back: what it settled is owed again, and what was used of it."""
        self.at()
        reference = self.pick(which, self.payments)
        with self.town.begin() as conn:
            payments.take_back(conn, reference, "returned", stamp())
        account, settled, free = self.payments.pop(reference)
        owner = self.accounts[account]
        used = max(0, free - owner.cash)
        owner.cash -= free - used
        owner.owed += settled + used
        self.bank -= settled + free

    @rule(which=PICK, micro=st.integers(0, 20_000_000_000), part=st.integers(0, 2))
    def hold(self, which, micro, part):
        """A hold is taken when nothing is owed and cash covers what the voucher does not."""
        now_s = towns.instant(self.at())
        account, name, eligible = self.pick(which, self.accounts), f"{self.count:032x}", 0
        eligible = micro * part // 2
        owner, (held, held_eligible) = self.accounts[account], self.held(account)
        fits = not owner.owed and owner.short(held + micro, held_eligible + eligible) <= 0
        asked = Request(name, CLUSTER, account, UID, 1, micro, eligible, {})
        try:
            with self.town.begin() as conn:
                holds.place(conn, asked, POLICY, now_s)
        except Refused:
            assert not fits
            return
        assert fits
        self.holds[name] = Hold(account, micro, eligible, now_s + POLICY.unseen_s)

    def live(self):
        """Return the names of live holds."""
        return [name for name, hold in self.holds.items() if hold.live]

    @precondition(lambda self: self.live())
    @rule(which=PICK, hours=st.integers(0, 6), cores=st.integers(1, 3_000))
    def post(self, which, hours, cores):
        """A held job ends: its charge is posted, whatever was held, and the hold ends."""
        name = self.pick(which, self.live())
        self.charge(self.holds[name].account, hours, cores, self.month, name)
        self.holds[name].live = False

    @rule(which=PICK, hours=st.integers(0, 6), cores=st.integers(1, 500), month=PICK)
    def run_unheld(self, which, hours, cores, month):
        """A job that nothing was held for ends, in this month or, found late, an earlier one."""
        months = [each for each in MONTHS if each <= self.month]
        self.charge(self.pick(which, self.accounts), hours, cores, self.pick(month, months))

    @precondition(lambda self: self.live())
    @rule(which=PICK)
    def void(self, which):
        """A job never ran: its hold is released."""
        now_s, name = towns.instant(self.at()), self.pick(which, self.live())
        with self.town.begin() as conn:
            assert releasing.end(conn, name, "*", "voided", 1, now_s, "gone")
        self.holds[name].live = False

    @rule()
    def lapse_unseen(self):
        """What the queue never showed lapses when its time is over."""
        self.minutes += 3
        now_s = towns.instant(self.at())
        gone = {n for n, hold in self.holds.items() if hold.live and hold.lapses_s <= now_s}
        with self.town.begin() as conn:
            lapsed = towns.lapse(conn, now_s)
        assert set(lapsed) == gone
        for name in gone:
            self.holds[name].live = False

    def unstated(self):
        """Return the runs that no statement has and that cost something."""
        return [
            i
            for i, run in enumerate(self.runs)
            if run.micro and self.accounts[run.account].stated[run.month][0] == 0
        ]

    @precondition(lambda self: self.unstated())
    @rule(which=PICK)
    def refund(self, which):
        """A run of a month that no statement has is given back, once: it costs nothing."""
        run = self.runs[self.pick(which, self.unstated())]
        facts = run.facts
        key = (facts.cluster, facts.job_id, facts.submit_s, facts.start_s)
        refunding.refund(self.town.engine, self.town.archive, key, "lost", POLICY, stamp(self.at()))
        charged = self.accounts[run.account].charged[run.month]
        charged[0] -= run.micro
        charged[1] -= run.eligible
        run.micro = run.eligible = 0

    @precondition(lambda self: self.month in MONTHS)
    @rule()
    def close(self):
        """A month is closed: statements, and what is over lapses; done twice it is the same."""
        self.at()
        closing, self.month, self.minutes = self.month, NEXT[self.month], 0
        at = f"{self.month}-05T09:00:00+08:00"
        assert delivery.close(self.town, closing, at) == delivery.close(self.town, closing, at)
        last_s = towns.instant(f"{self.month}-01T00:00:00+08:00")
        last_s = min(last_s, towns.instant(at) - POLICY.settle_days * 86_400)
        for account, owner in self.accounts.items():
            deductions, due = owner.settle(closing)
            for usage_month, fen in deductions.items():
                if fen:
                    self.lines[account, closing, usage_month] = Line(account, closing, fen)
            if deductions:
                self.invoiced[account, closing] = due <= 0
            if last_s >= EXPIRY_S:
                owner.expired, owner.left = owner.expired + owner.left, 0

    @precondition(lambda self: any(not owner.gone for owner in self.accounts.values()))
    @rule(which=PICK)
    def claw_back(self, which):
        """A voucher is taken back: what is left is cancelled, what was deducted is owed."""
        name = self.pick(which, [n for n, owner in self.accounts.items() if not owner.gone])
        at, owner = stamp(self.at()), self.accounts[name]
        with self.town.begin() as conn:
            draft = clawback.draft(conn, f"{name}-1", "forged")
        act = self.town.signed(draft)
        with self.town.begin() as conn:
            done = clawback.accept(conn, act, POLICY, at)
        assert done == (owner.left, owner.deducted, [])
        owner.cancelled, owner.left = owner.left, 0
        owner.gone, owner.debt = True, owner.deducted

    @precondition(lambda self: any(owner.debt for owner in self.accounts.values()))
    @rule(which=PICK, part=st.integers(1, 3))
    def repay(self, which, part):
        """Some of a debt, or all of it, is given back to the city."""
        name = self.pick(which, [n for n, owner in self.accounts.items() if owner.debt])
        at, owner = stamp(self.at()), self.accounts[name]
        fen = -(-owner.debt // part)
        with self.town.begin() as conn:
            left = debts.pay(
                conn, f"D-{name}-1-1", amount_fen=fen, reference=f"CZ{self.count}",
                paid_on=date(2025, 1, 1), programme=POLICY.name, stamp=at,
            )  # fmt: skip
        owner.debt -= fen
        assert left == owner.debt

    @precondition(lambda self: self.month < "2025")
    @rule()
    def end_the_year(self):
        """The year is closed and invoiced, what is owed is paid, and all of it is claimed."""
        while self.month < "2025":
            self.close()
        while not all(self.invoiced.values()):
            self.invoice(0)
        for i, name in enumerate(sorted(self.accounts)):
            if self.accounts[name].owed:
                self.top_up(i, self.accounts[name].owed)
        self.claim()

    @precondition(lambda self: not all(self.invoiced.values()))
    @rule(which=PICK)
    def invoice(self, which):
        """The invoice of a statement is recorded."""
        open_ = [key for key, done in self.invoiced.items() if not done]
        account, month = self.pick(which, open_)
        at = stamp(self.at())
        with self.town.begin() as conn:
            invoicing.record(conn, f"S-{account}-{month}", f"F{self.count}", POLICY, at)
        self.invoiced[account, month] = True

    @precondition(lambda self: self.month > "2024-12")
    @rule(again=st.booleans())
    def claim(self, again=False):
        """All that is invoiced and paid is claimed and handed in, or first withdrawn and claimed
        again; nothing else is."""
        at = stamp(self.at())
        quarter, last = ("2025-Q1", "2025-03") if self.month > "2025-03" else ("2024-Q4", "2024-12")
        own = [
            key
            for key, line in self.lines.items()
            if line.waiting is None and not line.approved and line.month <= last
            and self.invoiced[line.account, line.month] and not self.accounts[line.account].owed
        ]  # fmt: skip
        try:
            with self.town.begin() as conn:
                name = redemption.open_claim(conn, PROVIDER, quarter, POLICY, at)
                if again:
                    withdrawing.withdraw(conn, name, "once more", at)
                    name = redemption.open_claim(conn, PROVIDER, quarter, POLICY, at)
                redemption.submit(conn, name, "0" * 64, at)
        except Refused:
            assert not own
            return
        assert own
        for key in own:
            self.lines[key].waiting = name
        self.claims[name] = "under review"

    def in_state(self, state):
        """Return the claims in a state."""
        return [name for name, known in self.claims.items() if known == state]

    @precondition(lambda self: self.in_state("under review"))
    @rule(which=PICK, refused=st.sets(st.integers(0, 5), max_size=3))
    def review(self, which, refused):
        """The regulator approves some lines and refuses others; those may be claimed again."""
        at, name = stamp(self.at()), self.pick(which, self.in_state("under review"))
        table = schema.statement_line.c
        own = sorted(key for key, line in self.lines.items() if line.waiting == name)
        with self.town.begin() as conn:
            query = select(table.id, table.statement, table.usage_month)
            ids = {row[1:]: row[0] for row in conn.execute(query.where(table.deduction_fen != 0))}
            no = {
                ids[f"S-{account}-{month}", usage_month]: "no log"
                for i, (account, month, usage_month) in enumerate(own)
                if i in refused
            }
            draft = reviewing.draft_review(conn, name, no, "checked")
        act = self.town.signed(draft)
        with self.town.begin() as conn:
            total = reviewing.accept_review(conn, act, at)
        for i, key in enumerate(own):
            line = self.lines[key]
            line.waiting, line.refused, line.approved = None, i in refused, i not in refused
        assert total == sum(self.lines[key].fen for key in own if self.lines[key].approved)
        self.claims[name] = ("approved", total)

    @precondition(lambda self: any(state[0] == "approved" for state in self.claims.values()))
    @rule(which=PICK)
    def pay(self, which):
        """The treasury pays what was approved."""
        approved = [name for name, state in self.claims.items() if state[0] == "approved"]
        at, name = stamp(self.at()), self.pick(which, approved)
        with self.town.begin() as conn:
            draft = paying.draft_payout(conn, name, f"P-{name}", POLICY, at.effective_s)
        act = self.town.signed(draft, "treasury")
        with self.town.begin() as conn:
            assert sum(paying.accept_payout(conn, act, at)) == self.claims[name][1]
        self.bank += self.claims[name][1]
        self.claims[name] = "paid"

    # --- after each step ---------------------------------------------------------------------

    def expected(self):
        """Return every balance that is not zero, micro-yuan, as the model has it."""
        found = {
            ("programme", POLICY.name): -self.issued * FEN,
            ("bank", PROVIDER): self.bank * FEN,
        }
        found["revenue", PROVIDER] = -sum(run.micro for run in self.runs)
        for name, owner in self.accounts.items():
            stated = owner.stated.values()
            found["cash", name] = -owner.cash * FEN
            found["receivable", name] = owner.owed * FEN
            found["accrued", name] = sum(charge for charge, _ in owner.accrued())
            found["rounding", name] = sum(s[0] - s[2] * FEN for s in stated)
            for part in ("left", "deducted", "expired", "cancelled"):
                found[f"voucher.{part}", f"{name}-1"] = getattr(owner, part) * FEN
        debt = sum(owner.debt for owner in self.accounts.values()) * FEN
        found |= {("clawback.due", UNIT): debt, ("treasury.due", POLICY.name): -debt}
        stages = defaultdict(int)
        for line in self.lines.values():
            if line.waiting is not None:
                stages["review"] += line.fen
            elif not line.approved:
                stages["disputed" if line.refused else "unclaimed"] += line.fen
        stages["approved"] = sum(s[1] for s in self.claims.values() if s[0] == "approved")
        found |= {(f"claim.{stage}", PROVIDER): fen * FEN for stage, fen in stages.items()}
        return {key: micro for key, micro in found.items() if micro}

    @invariant()
    def adds_up(self):
        """Every balance is the model's, and so is where each account stands."""
        with self.town.begin() as conn:
            kept = conn.execute(select(schema.balance)).all()
            stands = {name: holds.position(conn, name, POLICY) for name in self.accounts}
        assert {(r.account, r.owner): r.amount_micro for r in kept if r.amount_micro} == (
            self.expected()
        )
        for name, where in stands.items():
            held = self.held(name)
            assert (where.held_micro, where.held_eligible_micro) == held
            assert where.free_cash_fen == -self.accounts[name].short(*held)
            assert min(where.free_fen, where.accrued_share_fen, where.held_share_fen) >= 0


@pytest.mark.thorough
def test_any_life_adds_up(made, keys):
    """Whatever is done in whatever order, book and model agree after each step, and an audit of
    each life finds nothing."""
    Life.taken = 0
    lives = settings(
        max_examples=5,
        stateful_step_count=50,
        deadline=None,
        database=None,
        phases=[Phase.generate] if STEPS > 500 else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    while Life.taken < STEPS:
        run_state_machine_as_test(lambda: Life(made, keys), settings=lives)
    assert Life.taken >= STEPS
