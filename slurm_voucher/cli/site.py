"""What every command needs: the site's book, the rules in force, who acts and when.

Who asks a voucherd elsewhere has no book here, and waits for neither the database nor YAML: what
opens the book is loaded when that is done.
"""

from __future__ import annotations

import os
import pwd
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accounting import money, period
from accounting.errors import InvalidInput, NotAllowed, SlurmUnavailable
from accounting.runs.run import CLUSTER_NAME
from slurm_voucher import commands, port

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from accounting.book.ledger import Book, Stamp
    from accounting.policy import Policy
    from slurm_voucher.config import Config

DEFAULT_HOME = "/var/lib/slurm-voucher"
YEARS = range(2000, 2101)
"""Days outside are slips of the hand."""
FEN_MAX = 10**16
"""More than any firm's revenue; what the book posts has a lower limit of its own."""
TEXT_CHARS_MAX = 200
STAMP_OF_REHEARSAL = "演练 REHEARSAL, not a document of settlement"


class Site:
    """One site, opened step by step as a command needs it."""

    def __init__(self, home: str | None, as_of: str | None, at: str | None = None) -> None:
        self.home = Path(home or DEFAULT_HOME)
        self._as_of = as_of
        self._at = at
        self._here = home is not None or os.access(self.home, os.R_OK | os.X_OK)

    @cached_property
    def at(self) -> tuple[str, int] | None:
        """Host and port of the voucherd that is asked where there is no book for us here."""
        host, colon, number = (self._at or "").rpartition(":")
        if self._at:
            if colon and not (number.isascii() and number.isdecimal() and 0 < int(number) < 65_536):
                raise InvalidInput(f"--at {self._at}: is no HOST:PORT; write it as login1:6899")
            return (host, int(number)) if colon else (number, port.PORT)
        if self._here:
            return None
        try:
            config = commands.ask(["scontrol", "show", "config"])
        except SlurmUnavailable:
            return None
        found = re.search(r"^SlurmctldHost\[0\]\s*=\s*([^\s(]+)", config, re.MULTILINE)
        return (found[1], port.PORT) if found else None

    def ask(self, ask: str, **more: Any) -> Any:
        """Ask the voucherd that is `at`, for whoever runs this."""
        assert self.at is not None
        return port.ask(*self.at, {"ask": ask, **more}, self.munge_socket)

    @property
    def munge_socket(self) -> str | None:
        """Where munged answers here, if not in its usual place."""
        return self.config.munge_socket if self._here else None

    @cached_property
    def config(self) -> Config:
        """The site's settings."""
        from slurm_voucher import config as configs

        return configs.load(self.home)

    @cached_property
    def engine(self) -> Engine:
        """The book, which must be there."""
        from accounting.book import ledger

        return ledger.connect(self.config.book)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a transaction that may write."""
        self.policy  # noqa: B018 - read now: SQLite has one transaction at a time
        with self.engine.begin() as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads, and waits for nobody."""
        from accounting.book import ledger

        with ledger.reading(self.engine).begin() as conn:
            yield conn

    @cached_property
    def policy(self) -> Policy:
        """The policy in force."""
        from accounting import policy as policies
        from accounting.book import ledger

        with self.read() as conn:
            name, text = ledger.document(conn, "policy")
        return policies.load(text, f"policy {name}")

    @cached_property
    def book(self) -> Book:
        """Which book this is."""
        from accounting.book import ledger

        with self.read() as conn:
            return ledger.identity(conn)

    @property
    def now_s(self) -> int:
        """The clock."""
        return int(time.time())

    @cached_property
    def effective_s(self) -> int:
        """The date in the book: the clock, or in a rehearsal what --as-of says (its noon)."""
        if self._as_of is None:
            return self.now_s
        if not self.book.rehearsal:
            raise NotAllowed(
                f"--as-of {self._as_of}: this is no rehearsal, its date is today's; leave it out"
            )
        day = DAY.convert(self._as_of, None, None)
        return period.instant(day, self.policy.timezone) + 43_200

    @property
    def today(self) -> date:
        """The day in the book."""
        return period.day_of(self.effective_s, self.policy.timezone)

    def paid_on(self, day: date | None) -> date:
        """Return the day of a payment: today, if no other one is said. What is to come is none.

        Raises:
            InvalidInput: The day is to come.
        """
        if day is not None and day > self.today:
            raise InvalidInput(
                f"--paid-on {day}: is after today, {self.today}; record a payment when it was made"
            )
        return day or self.today

    def stamp(self, role: str = "operator", name: str | None = None) -> Stamp:
        """Return who acts now: whoever runs the command, unless somebody is named."""
        from accounting.book.ledger import Actor, Stamp

        return Stamp(Actor(name or login(), role), self.now_s, self.effective_s)

    def instant_after(self, day: date) -> int:
        """Return the instant at which a day ends."""
        return period.instant(day + timedelta(days=1), self.policy.timezone)

    def paper(self, title: str) -> None:
        """Print the head of a paper, with the stamp of a rehearsal if this is one."""
        if self.book.rehearsal:
            click.echo(STAMP_OF_REHEARSAL)
        click.echo(title)


def login() -> str:
    """Name who runs the command, by its uid: what the environment says, anybody can set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


pass_site: Callable[[Callable[..., Any]], Callable[..., Any]] = click.make_pass_decorator(Site)


class _Day(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    name = "day"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        try:
            day = value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day; write it as 2026-11-22", param, ctx)
        if day.year not in YEARS:
            self.fail(f"{day} is not between {YEARS[0]} and {YEARS[-1]}", param, ctx)
        return day


class _Text(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    """A name or number that others gave: the same one with a space more is the same one."""

    name = "text"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        text = str(value).strip()
        if not text or len(text) > TEXT_CHARS_MAX or not text.isprintable():
            self.fail(
                f"{value[:40]!r} is no name or number; use 1 to {TEXT_CHARS_MAX} characters that "
                "can be seen",
                param,
                ctx,
            )
        return text


class _Cluster(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    name = "cluster"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if CLUSTER_NAME.fullmatch(value) is None:
            self.fail(f"{value!r} is no name of a cluster; use A-Z a-z 0-9 _ . -", param, ctx)
        return str(value)


class _File(click.Path):
    """A file's path: what a shell makes of a name that is not set is none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not os.fspath(value):
            self.fail("'' is no path; name a file", param, ctx)
        return super().convert(value, param, ctx)


class _Amount(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    name = "yuan"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        try:
            amount_fen = value if isinstance(value, int) else money.fen(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if amount_fen > FEN_MAX:
            self.fail(
                f"{value} yuan is more than {money.yuan(FEN_MAX)}; check the amount", param, ctx
            )
        return amount_fen


class _Part(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    """What of a fee is what, as storage=20,000."""

    name = "part"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, int]:
        from accounting.policy import WORD

        kind, _, amount = str(value).partition("=")
        if not re.fullmatch(WORD, kind):
            self.fail(f"{value[:40]!r} is no part; write it as storage=20,000", param, ctx)
        return kind, AMOUNT.convert(amount, param, ctx)


class _Stated(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    """What an application says of itself, as domestic_chips or district=70%."""

    name = "fact"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        from accounting.policy import WORD

        fact, _, said = str(value).partition("=")
        if not re.fullmatch(WORD, fact):
            self.fail(f"{value[:40]!r} is no fact; write it as district=70%", param, ctx)
        return fact, TEXT.convert(said, param, ctx) if said else ""


class _Period(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    name = "period"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            if period.kind_of(value) == self.kind and period.first_day(value).year in YEARS:
                return str(value)
        except ValueError:
            pass
        example = {"month": "2026-11", "quarter": "2026-Q4"}[self.kind]
        self.fail(f"{value!r} is no {self.kind}; write it as {example}", param, ctx)


class _Days(click.ParamType):  # type: ignore[type-arg]  # generic only for type checkers
    """A day, or the first and the last one: 2026-11-01..2026-11-30."""

    name = "days"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[date, date]:
        first, dots, last = str(value).partition("..")
        begin = DAY.convert(first, param, ctx)
        end = DAY.convert(last, param, ctx) if dots else begin
        if end < begin:
            self.fail(f"{value!r} ends before it begins", param, ctx)
        return begin, end


DAY = _Day()
DAYS = _Days()
CLUSTER = _Cluster()
TEXT = _Text()
YEAR = click.IntRange(YEARS[0], YEARS[-1])
UID = click.IntRange(0, 2**32 - 2)
AMOUNT = _Amount()
PART = _Part()
STATED = _Stated()
PATH = _File(path_type=Path, dir_okay=False)
MONTH = _Period("month")
QUARTER = _Period("quarter")
