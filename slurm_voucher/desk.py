"""What voucherd knows of voucher accounts, so that a hold costs slurmctld no transaction.

A hold is answered from memory and written to the book a moment later, many in one transaction: no
writer of the book, however long it takes, makes slurmctld wait. What is lost when voucherd is
killed in between stands in AdminComment, and the next look at the queue enters it.

What others write is seen by two numbers: the head of the chain, and the turn of the last change
of holds. Accounts that a change concerns are forgotten and read anew when they are asked for.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice

import msgspec
from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from accounting.book import ledger
from accounting.errors import NotAllowed, NotEligible, Unavailable
from accounting.rates import quoting
from accounting.vouchers import holds, registry, releasing
from accounting.vouchers.holds import Held, Position, Request
from slurm_voucher import asking, estimate
from slurm_voucher.asking import Asker, Rules, Terms, Wanted
from slurm_voucher.config import SELF_PAY
from slurm_voucher.kept import Kept
from slurm_voucher.protocol import Hold
from slurm_voucher.standing import Standings

log = logging.getLogger("voucherd")
ASKED_AGAIN_S = 10
"""Within how long slurmctld asks again of another voucherd; its deadline is at most 5 s."""
FRESH_S = 0.02
"""For how long it is taken that nobody else has written."""
AHEAD_S = 0.005
"""How long before the end of that it is looked after an answer: slurmctld waits for no look."""
RECENT_MAX = 20_000
"""How many holds are remembered by their id: slurmctld asks again within seconds, or never."""
WAITING_MAX = 20_000
"""Holds that may wait for the book; at more of them somebody has locked it for good."""
STRAYS_MAX = 100
"""Holds of a user whose jobs never came, within STRAYS_S: no more are taken on trust."""
STRAYS_S = 3600
REQUEUED_S = 86_400
"""For how long after its end a job may still be requeued: Slurm remembers it for MinJobAge."""


_NEVER = (0, 0, Terms(None, ""))
"""Since when, until when and by which terms a user may spend an account: not known."""


class Taken(msgspec.Struct, frozen=True):
    """A hold as it was answered; all else that a `Request` says of it waits until it is written,
    for slurmctld waits meanwhile."""

    asked: Hold
    want: Wanted
    quote: quoting.Quote
    at_s: int

    @property
    def account(self) -> str:
        """The voucher account."""
        return self.asked.voucher

    @property
    def uid(self) -> int:
        """Whose job it is."""
        return self.asked.uid

    @property
    def held_micro(self) -> int:
        """What is held, for all tasks."""
        return self.want.tasks * self.quote.fee_micro


class Change(msgspec.Struct, frozen=True):
    """A change of holds that was answered and waits for the book.

    Attributes:
        at_s: When it was answered.
        placed, raised, dropped: One of them; `dropped` is the hold's id.
        more: The hold for what the change adds to the position; None for `dropped`.
    """

    account: str
    at_s: int
    placed: Request | None = None
    raised: Held | None = None
    dropped: str | None = None
    more: Request | None = None


class Desk:
    """Accounts in memory, and changes of holds on their way into the book."""

    def __init__(self, engine: Engine, rules: Rules, without_voucher: str) -> None:
        self.rules = rules
        self.without_voucher = without_voucher
        self._engine = engine
        self._reader = ledger.reading(engine)
        self._watch = ledger.Watch(engine)
        self._standings = Standings(rules.cluster.name)
        self._positions: Kept[str, Position] = Kept(self._stand)
        self._recent: dict[str, Taken | Request] = {}
        self._raised: dict[str, Held] = {}
        self._waiting: list[Taken | Change] = []
        self._writing: list[Change] = []
        self._turn = -1
        self._fresh_until = 0.0
        self._second = 0  # the second that these two are of
        self._wants: dict[str, Wanted] = {}
        self._costs: dict[tuple[str, Terms], quoting.Quote] = {}
        self._may: dict[tuple[str, int, str], tuple[int, float, Terms]] = {}
        self._strays: dict[int, deque[int]] = {}

    def follow(self, rules: Rules) -> None:
        """Go on by other rules."""
        if rules == self.rules:
            return
        self.rules = rules
        self._forget()  # discounts and shares of a fee may be others now
        self._second = 0  # what was worked out this second no longer holds

    def warm(self, now_s: int, seconds: float) -> None:
        """Get to know accounts and users, for some time, before slurmctld asks with a deadline."""
        self._refresh()
        end, cluster = time.monotonic() + seconds, self.rules.cluster.name
        with self._reader.begin() as conn:
            accounts, users = registry.spenders(conn, cluster)
            for request in holds.taken_since(conn, cluster, now_s - ASKED_AGAIN_S):
                self._recent[request.id] = request  # slurmctld may ask for it again
        self._standings.accounts.forgotten |= dict.fromkeys(accounts)
        self._standings.users.forgotten |= dict.fromkeys(users)
        self._positions.forgotten |= dict.fromkeys(accounts)
        for account in accounts:
            if time.monotonic() > end:
                return
            self._standings.of(account, self._reader.begin)
            self._where(account)
        for uid in users:
            if time.monotonic() > end:
                return
            self._standings.unit(uid, now_s, self._reader.begin)

    # --- what is asked ----------------------------------------------------------------------

    def place(self, hold: Hold, now_s: int) -> tuple[int, Position, bool]:
        """Take a hold; asked again with the same id, find it taken.

        Returns:
            Micro-yuan that are held, the account's position after it, and whether it is for the
            dearest that the job may be given, where that is not known.

        Raises:
            VoucherError: It may not be, or what is left does not cover it.
        """
        if time.monotonic() >= self._fresh_until:
            self._refresh()
        if now_s != self._second:  # the same question in the same second has the same answer
            self._wants.clear()
            self._costs.clear()
            self._second = now_s
        account, uid, asked = hold.voucher, hold.uid, hold.asked
        want = self._wants.get(asked.text)
        if want is None:
            want = self._wants[asked.text] = asking.wanted(self.rules, asked.fields)
        since_s, until_s, by = self._may.get((account, uid, want.provider), _NEVER)
        if not since_s <= now_s < until_s:
            by = self._allowed(Asker(account, uid), want.provider, now_s)
        quote = self._costs.get((asked.text, by))
        if quote is None:
            _, quote = asking.cost(self.rules, want, by, now_s)
            self._costs[asked.text, by] = quote
        first = self._recent.get(hold.id)
        if first is not None:
            if (first.account, first.uid) != (account, uid):
                raise NotAllowed(f"hold {hold.id}: stands for another job; submit again")
            return first.held_micro, self._where(account), want.vague
        if len(self._waiting) + len(self._writing) >= WAITING_MAX:
            raise self._no_room()
        if uid in self._strays:
            self._insist_on_coming(uid, now_s)
        before = self._positions.known.get(account) or self._where(account)
        tasks = want.tasks
        held_micro = tasks * quote.fee_micro
        after = holds.admit(
            before, account, held_micro, tasks * quote.eligible_micro, now_s, self.rules.policy,
            by.window,
        )  # fmt: skip
        taken = Taken(hold, want, quote, now_s)
        self._positions.known[account] = after
        self._recent[hold.id] = taken
        self._waiting.append(taken)
        return held_micro, after, want.vague

    def default(self, uid: int, fields: Mapping[str, str], now_s: int) -> str | None:
        """Find the voucher account of a job that names none; None: it is nobody's business.

        Raises:
            NotEligible: The site wants a voucher here, and not just one account is possible.
        """
        providers = asking.providers_of(self.rules, fields)
        if not providers - {None}:
            return None
        with self._reader.begin() as conn:
            found = asking.usable(conn, self.rules, uid, providers, now_s)
        if len(found) == 1:
            return found[0]
        if self.without_voucher == SELF_PAY:
            return None
        listed = f"{len(found)} are possible: {', '.join(found[:4])}" if found else "0 are possible"
        raise NotEligible(
            f"voucher: this job names none and {listed}; give --voucher=ID or ask your unit"
        )

    def modify(
        self, job_id: int, changed: Mapping[str, str], now_s: int
    ) -> tuple[Held, Position, bool] | None:
        """Raise the hold of a changed job; return the same as `place`, or None: it has no hold.

        Raises:
            VoucherError: It may not be, or what is left does not cover the difference.
        """
        self._refresh()
        with self._reader.begin() as conn:
            held = holds.of_job(conn, self.rules.cluster.name, job_id)
        if held is None:
            return None
        held = self._raised.get(held.id, held)
        fields = estimate.widest(held.asked, changed, self.rules.cluster)
        asker = Asker(held.account, held.uid)
        want = asking.wanted(self.rules, fields)
        by = self._terms_then(asker, want.provider, held.asked_s)
        _, quote = asking.cost(self.rules, want, by, now_s)
        request = asking.hold(self.rules, held.id, asker, want, quote)
        raised, more = held.raised(request)
        if more.task_micro:
            if self.waiting >= WAITING_MAX:
                raise self._no_room()
            before = self._where(held.account)
            after = holds.admit(
                before, held.account, more.held_micro, more.eligible_micro, now_s,
                self.rules.policy, by.window,
            )  # fmt: skip
            self._positions.known[held.account] = after
        self._raised[held.id] = raised
        self._waiting.append(Change(held.account, now_s, raised=raised, more=more))
        return raised, self._where(held.account), want.vague

    def drop(self, hold_id: str, uid: int, now_s: int) -> None:
        """Give a hold back that was taken a moment ago; the job will not be."""
        request = self._recent.get(hold_id)
        if request is None or request.uid != uid:
            return  # it lapses by itself
        del self._recent[hold_id]
        self._positions.forget([request.account])
        self._waiting.append(Change(request.account, now_s, dropped=hold_id))

    def _no_room(self) -> Unavailable:
        return Unavailable(
            f"voucher: {self.waiting} holds wait for the book, {WAITING_MAX} may; submit again "
            "in a minute"
        )

    def never_came(self, uids: Iterable[int], now_s: int) -> None:
        """Take note of holds that lapsed because their jobs never came into the queue."""
        for uid in uids:
            self._strays.setdefault(uid, deque(maxlen=STRAYS_MAX)).append(now_s)
        for uid in [uid for uid, when in self._strays.items() if when[-1] <= now_s - STRAYS_S]:
            del self._strays[uid]

    def _insist_on_coming(self, uid: int, now_s: int) -> None:
        """Let a user whose submissions do not come into the queue have one at a time: a loop of
        --test-only must not block a voucher."""
        strays = self._strays[uid]
        if len(strays) < STRAYS_MAX or strays[0] <= now_s - STRAYS_S:
            return
        unseen = self._unseen(uid)
        if unseen:
            raise NotAllowed(
                f"voucher: {len(strays)} submissions of user {uid} did not come into the queue "
                f"within an hour, and {unseen} is not there yet; 1 at a time is allowed, wait a "
                "minute"
            )

    def insist_on_seen(self, job_id: int, uid: int, now_s: int) -> None:
        """Let a user change a job without a hold only when it is not about to have one: no hold of
        the user waits for its job to be seen, and it has not run and been requeued.

        Raises:
            Unavailable: It may be; the next look at the queue tells.
        """
        with self._reader.begin() as conn:
            ran = releasing.ran_lately(conn, self.rules.cluster.name, job_id, now_s - REQUEUED_S)
        if ran:
            raise Unavailable(f"job {job_id}: ran and is not known again; change it in a minute")
        unseen = self._unseen(uid)
        if unseen:
            raise Unavailable(
                f"job {job_id}: is not known yet, {unseen} of user {uid} were submitted since the "
                "last look at the queue; change it in a minute"
            )

    def _unseen(self, uid: int) -> int:
        """Count the holds of a user whose jobs the queue has not shown."""
        waiting = [c.placed if isinstance(c, Change) else c for c in self._pending()]
        with self._reader.begin() as conn:
            unseen = holds.unseen(conn, self.rules.cluster.name, uid)
        return unseen + sum(placed is not None and placed.uid == uid for placed in waiting)

    # --- what is known ----------------------------------------------------------------------

    def _allowed(self, asker: Asker, provider: str, now_s: int) -> Terms:
        """Return the terms of a user who may spend an account at a provider now, and know them as
        long as they stand by themselves."""
        standing, until_s = self._standings.allowed(asker, provider, now_s, self._reader.begin)
        by = asking.terms_of(self.rules, standing)
        self._may[asker.account, asker.uid, provider] = now_s, until_s, by
        return by

    def _terms_then(self, asker: Asker, provider: str, at_s: int) -> Terms:
        """Return the terms of a job that was submitted at an instant: its user must have been a
        member then."""
        with self._reader.begin() as conn:
            unit = registry.unit_of(conn, self.rules.cluster.name, asker.uid, at_s)
        standing = self._standings.of(asker.account, self._reader.begin)
        standing.insist_on(asker.uid, unit, provider, at_s)
        return asking.terms_of(self.rules, standing)

    def _where(self, account: str) -> Position:
        """Return where an account stands, with all holds that are answered."""
        found = self._positions.get(account, self._reader.begin)
        assert found is not None
        return found

    def _stand(self, conn: Connection, accounts: list[str]) -> dict[str, Position]:
        """Read where accounts stand in the book, and add what is not there yet."""
        found = holds.positions(conn, accounts, self.rules.policy)
        changes = [self._change(c) for c in self._pending() if c.account in found]
        ids = [change.placed.id for change in changes if change.placed]
        there = holds.ids(conn, ids) if ids else set()
        dropped = {change.dropped for change in changes}
        for change in changes:
            more = change.more
            if more and more.id not in dropped and (change.raised or more.id not in there):
                now = found[change.account]
                found[change.account] = now.plus(more.held_micro, more.eligible_micro)
        return found

    def _refresh(self) -> None:
        """Forget accounts that somebody else's writing concerns.

        While our own is on its way nothing is asked: until it is in, nobody else's is new.
        """
        now = time.monotonic()
        if not self._writing and now >= self._fresh_until:
            self._look(now)

    def look_ahead(self) -> None:
        """Look now, while nobody waits, for what a question would soon have to look for."""
        now = time.monotonic()
        if not self._writing and now >= self._fresh_until - AHEAD_S:
            with contextlib.suppress(SQLAlchemyError):  # the next question is told
                self._look(now)

    def _look(self, now: float) -> None:
        with self._watch.moved() as moved:
            if moved:
                self._catch_up()
        self._fresh_until = now + FRESH_S

    def _catch_up(self) -> None:
        with self._reader.begin() as conn:
            moved, turn = self._standings.refresh(conn), holds.last_turn(conn)
            if moved is None or turn < self._turn:
                self._positions.forget_all()
                self._may.clear()
            elif moved or turn > self._turn:
                self._positions.forget(moved | holds.changed(conn, self._turn))
        self._turn = turn

    def _forget(self) -> None:
        """Read anew what there is of every account."""
        self._standings.forget()
        self._positions.forget_all()
        self._may.clear()

    # --- into the book ----------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many changes are not in the book."""
        return len(self._waiting) + len(self._writing)

    def take(self) -> Sequence[Change]:
        """Return the changes that are to be written next; `written` or `failed` ends it."""
        assert not self._writing
        self._writing, self._waiting = [*map(self._change, self._pending())], []
        return self._writing

    def _pending(self) -> Iterator[Taken | Change]:
        """Yield what is not in the book, in the order of the answers."""
        yield from self._writing
        yield from self._waiting

    def _change(self, taken: Taken | Change) -> Change:
        if isinstance(taken, Change):
            return taken
        asker = Asker(taken.account, taken.uid)
        request = asking.hold(self.rules, taken.asked.id, asker, taken.want, taken.quote)
        return Change(taken.account, taken.at_s, placed=request, more=request)

    def write(self, changes: Sequence[Change]) -> tuple[int, int]:
        """Write changes in one transaction, in whatever thread; return its first and last turn."""
        with self._engine.begin() as conn:
            first = holds.next_turn(conn)
            for at_s, some in groupby(changes, lambda change: change.at_s):
                now = list(some)
                if placed := [change.placed for change in now if change.placed]:
                    holds.enter(conn, placed, self.rules.policy, at_s)
                for change in now:
                    if change.raised:
                        holds.write_raised(conn, change.raised)
                    if change.dropped:
                        releasing.take_back(conn, change.dropped, at_s)
            return first, holds.last_turn(conn)

    def written(self, turns: tuple[int, int]) -> None:
        """Take note that the changes are in the book."""
        first, last = turns
        for change in self._writing:
            if not change.placed:
                self._positions.forget([change.account])  # they may have met another's change
            if change.raised and self._raised.get(change.raised.id) is change.raised:
                del self._raised[change.raised.id]
        self._writing = []
        too_many = max(0, len(self._recent) - RECENT_MAX)
        for hold_id in [*islice(self._recent, too_many)]:
            del self._recent[hold_id]
        if self._turn == first - 1:  # nobody else's change is among them
            self._turn = last

    def failed(self) -> None:
        """Put the changes back: the book was locked."""
        self._waiting = [*self._writing, *self._waiting]
        self._writing = []

    def one_by_one(self) -> None:
        """Write changes that cannot be written together: one that is wrong stops no other."""
        changes, self._writing = self._writing, []
        self._forget()
        for change in changes:
            try:
                self.write([change])
            except SQLAlchemyError as error:
                log.error("account %s: %r cannot be written: %s", change.account, change, error)

    def flush(self) -> None:
        """Write all that waits, at once."""
        if self._waiting:
            self.written(self.write(self.take()))
