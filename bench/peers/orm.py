"""The same phases in SQLAlchemy's ORM as one writes it first: objects, loaded and changed.

No chain, no keys, no triggers: it does less than the book does. A balance is read, added to and
written back.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy
from sqlalchemy import ForeignKey, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

NAME = "orm"
VERSION = sqlalchemy.__version__
Line = tuple[str, str, int]


class Base(DeclarativeBase):
    """All tables."""


class Account(Base):
    """A ledger account of one owner, with its balance."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner: Mapped[str]
    balance: Mapped[int] = mapped_column(default=0)
    __table_args__ = (sqlalchemy.UniqueConstraint("name", "owner"),)


class Transaction(Base):
    """What belongs together."""

    __tablename__ = "entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    lines: Mapped[list["Line_"]] = relationship(back_populates="entry")


class Line_(Base):
    """One posting."""

    __tablename__ = "line"
    id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entry.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int]
    entry: Mapped[Transaction] = relationship(back_populates="lines")
    account: Mapped[Account] = relationship()


def run(
    path: Path, given: Sequence[Sequence[Line]], phases: Sequence[Sequence[Line]], size: int
) -> tuple[float, dict[tuple[str, str], int]]:
    """Post phases in groups of a size; return phases a second, and the balances at the end."""
    engine = create_engine(f"sqlite:///{path}.db")
    event.listen(engine, "connect", _synced)
    Base.metadata.create_all(engine)
    _post(engine, given, len(given))
    began = time.perf_counter()
    _post(engine, phases, size)
    took = time.perf_counter() - began
    with Session(engine) as session:
        ends = {(a.name, a.owner): a.balance for a in session.scalars(select(Account)) if a.balance}
    engine.dispose()
    return len(phases) / took, ends


def _synced(dbapi: object, _record: object) -> None:
    for setting in ("journal_mode = WAL", "synchronous = FULL"):
        dbapi.execute(f"PRAGMA {setting}")  # type: ignore[attr-defined]


def _post(engine: sqlalchemy.Engine, phases: Sequence[Sequence[Line]], size: int) -> None:
    for i in range(0, len(phases), size):
        with Session(engine) as session:
            for lines in phases[i : i + size]:
                entry = Transaction()
                session.add(entry)
                for name, owner, amount in lines:
                    wanted = select(Account).filter_by(name=name, owner=owner)
                    account = session.scalars(wanted).one_or_none()
                    if account is None:
                        account = Account(name=name, owner=owner, balance=0)
                        session.add(account)
                    account.balance += amount
                    entry.lines.append(Line_(account=account, amount=amount))
            session.commit()
