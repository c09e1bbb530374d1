"""The journal: every act that changes the book is one entry, and entries form a hash chain.

An entry carries who acted in which role, postings that sum to zero and the rows that the act
adds. Its hash covers all of it and the hash before it. Nothing else writes to the book, and
nothing is ever edited: the same key with the same content is the same act, done once.
"""

import contextlib
import functools
import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import (
    Engine,
    Row,
    Table,
    bindparam,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError

from accounting.book import schema, triggers
from accounting.errors import (
    BookUnavailable,
    ConfigInvalid,
    InvalidInput,
    InvariantBroken,
    NotAllowed,
)
from accounting.money import MICRO_PER_FEN, yuan

GENESIS = "0" * 64
POSTING_MICRO_MAX = 1_000_000_000_000 * MICRO_PER_FEN
"""A thousand times a city's programme. Balances are sums in 64 bits: one absurd amount in a chain
that cannot be edited would make them unreadable for good."""
NEVER_SEQ = 2**31 - 1
"""A place in the chain beyond every entry."""
KEYS_MAX = 500
"""How many keys are asked for at once."""
ROWS_MAX = 100
"""How many rows go with one statement into SQLite."""
PATIENCE_MS = 10_000
"""How long to wait for another writer, unless told otherwise."""
SQLITE = {
    durable: (f"synchronous = {name}", "foreign_keys = ON", "temp_store = MEMORY")
    for durable, name in ((True, "FULL"), (False, "NORMAL"))
}

_ENTRY = schema.journal.c
_HASHED = [column.name for column in schema.journal.columns if column.name != "hash"]
_STANDING = (
    "SELECT key, seq, content, code, reverses, hash FROM journal "
    "WHERE seq = (SELECT MAX(seq) FROM journal) OR key "
)
_HEAD = select(_ENTRY.seq, _ENTRY.hash).order_by(_ENTRY.seq.desc()).limit(1)
_KEPT = schema.balance.c
_BALANCE = select(_KEPT.amount_micro).where(
    _KEPT.account == bindparam("of"), _KEPT.owner == bindparam("by")
)
_BALANCES = select(_KEPT.owner, _KEPT.amount_micro).where(
    _KEPT.account == bindparam("of"), _KEPT.owner.in_(bindparam("some", expanding=True))
)
"""Statements that are asked over and over, made once."""

CHART = {
    "bank": "money received by a provider",
    "cash": "paid in by a unit and not yet used (credit)",
    "accrued": "delivered and rated, not yet on a statement",
    "revenue": "a provider's charges (credit)",
    "rounding": "micro-yuan below the fen of a statement",
    "receivable": "what a unit owes",
    "programme": "vouchers issued (credit, memo)",
    "voucher.left": "not yet deducted (memo)",
    "voucher.deducted": "deducted by statements (memo)",
    "voucher.expired": "lapsed (memo)",
    "voucher.cancelled": "taken back unused (memo)",
    "reimburse.due": "the city's half that a unit paid first and gets back (credit)",
    "clawback.due": "voucher money that a unit has to give back to the city (memo)",
    "treasury.due": "the same, as the city's claim (credit, memo)",
    "claim.unclaimed": "deducted, to be claimed from the city",
    "claim.review": "submitted, under review",
    "claim.approved": "approved, not yet paid",
    "claim.disputed": "refused by the regulator, disputed by the provider",
    "claim.owed": "owed to the treasury after a provider's last claim (credit)",
    "reserve.fund": "advance money of the city, not drawn",
    "reserve.owed": "advance money that belongs to the city (credit)",
}
"""The chart of accounts. Debits are positive; accounting/README.md shows each entry."""


@dataclass(frozen=True)
class Actor:
    """Who acts, and as what."""

    name: str
    role: str


@dataclass(frozen=True)
class Stamp:
    """Who acts and when: `at_s` is the clock, `effective_s` the date in the book. They differ
    only in a rehearsal."""

    actor: Actor
    at_s: int
    effective_s: int


class Posting(msgspec.Struct, frozen=True, array_like=True):
    """One line of an entry: debit positive, credit negative, micro-yuan.

    It is hashed as [account, owner, amount_micro], which a Struct becomes by itself.
    """

    account: str
    owner: str
    amount_micro: int


@dataclass(frozen=True)
class Entry:
    """One act. `key` names the fact, so that the same fact is written once.

    `rows` are the rows that the act adds, by table, without their `seq`.
    """

    key: str
    code: str
    stamp: Stamp
    rows: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    postings: Sequence[Posting] = ()
    reverses: int | None = None

    def content(self) -> str:
        """Return rows and postings as canonical JSON: what the hash covers and repeats are
        compared by. A column without a value is left out, so that a later schema can add some."""
        rows = {name: [_said(row) for row in rows] for name, rows in self.rows.items()}
        return _QUICK.encode({"rows": rows, "postings": self.postings}).decode()


def _said(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if None not in row.values():
        return row
    return {name: value for name, value in row.items() if value is not None}


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_QUICK = msgspec.json.Encoder(order="sorted")
"""`canonical` for what the book itself writes, text and integers, in a fifth of its time."""


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces; the form that is hashed and signed."""
    return _ENCODER.encode(value)


def entry_hash(row: Mapping[str, Any]) -> str:
    """Return the hash of a journal row: SHA-256 over every other column of it."""
    covered = {name: row[name] for name in _HASHED}
    return hashlib.sha256(_QUICK.encode(covered)).hexdigest()


def connect(
    url: str,
    *,
    durable: bool = True,
    must_exist: bool = True,
    any_schema: bool = False,
    patience_ms: int = PATIENCE_MS,
) -> Engine:
    """Open the book by its URL.

    Args:
        url: SQLAlchemy URL; SQLite and PostgreSQL are known.
        durable: Wait for the disk at each commit. Only holds may do without.
        must_exist: Refuse a book that is not there.
        any_schema: Take also one that is to be upgraded.
        patience_ms: How long to wait for another writer.

    Raises:
        ConfigInvalid: The URL is no URL of a database that is known here.
        BookUnavailable: The book is not there, or has another schema version.
    """
    try:
        engine = create_engine(url)
    except (ArgumentError, ImportError, ValueError) as error:
        raise ConfigInvalid(f"book: {error}; write it as sqlite:///FILE") from None
    if engine.dialect.name not in triggers.DIALECTS:
        raise ConfigInvalid(
            f"book: {engine.dialect.name} is not known; known: {', '.join(triggers.DIALECTS)}"
        )
    settings: tuple[str, ...]
    if engine.dialect.name == "sqlite":
        settings = (f"busy_timeout = {patience_ms}", *SQLITE[durable])
        event.listen(engine, "connect", lambda dbapi, _record: _sqlite_settings(dbapi, settings))
        event.listen(engine, "begin", _sqlite_begin)
    else:
        waits = "on" if durable else "off"  # whatever the server does for others
        settings = (f"lock_timeout = {patience_ms}", f"synchronous_commit = {waits}")
        event.listen(engine, "connect", lambda dbapi, _record: _postgres_settings(dbapi, settings))
    if must_exist:
        try:
            _check_there(engine, any_schema)
        except BookUnavailable:
            engine.dispose()
            raise
    return engine


def _sqlite_settings(dbapi: Any, settings: Sequence[str]) -> None:
    dbapi.isolation_level = None  # SQLAlchemy's begin event opens transactions, not the driver
    for setting in settings:
        dbapi.execute(f"PRAGMA {setting}")


def _postgres_settings(dbapi: Any, settings: Sequence[str]) -> None:
    for setting in settings:
        dbapi.execute(f"SET {setting}")
    dbapi.commit()


def _sqlite_begin(conn: Connection) -> None:
    """Take the write lock at once, so that what was read still holds when it is written."""
    reading = conn.get_execution_options().get("reading", False)
    conn.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def reading(engine: Engine) -> Engine:
    """Return the book for those who only read: they wait for nobody and see one state."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine.execution_options(reading=True)


def _check_there(engine: Engine, any_schema: bool) -> None:
    where = engine.url.render_as_string(hide_password=True)
    database = engine.url.database
    if engine.dialect.name == "sqlite" and not (database and pathlib.Path(database).is_file()):
        raise BookUnavailable(f"book {database}: not there; make one with svoucher init")
    try:
        with reading(engine).connect() as conn:
            version = schema_version(conn)
    except DBAPIError as error:
        reason = str(error.orig).splitlines()[0]
        if reason == "database is locked":
            raise BookUnavailable(f"book {where}: locked by another command; try again") from None
        raise BookUnavailable(f"book {where}: {reason}; run svoucher check") from None
    if version != schema.VERSION and not any_schema:
        older = version in range(1, schema.VERSION)
        advice = "make a copy of it, then run svoucher upgrade" if older else ""
        raise BookUnavailable(
            f"book {where}: schema version {version}, this program knows {schema.VERSION}; "
            f"{advice or 'use the program that wrote it'}"
        )


def schema_version(conn: Connection) -> int | None:
    """Return the schema of a book: its mark, or in the first one, which had none, what it says."""
    marked = conn.dialect.has_table(conn, schema.mark.name)
    column = schema.mark.c.version_num if marked else schema.book.c.schema_version
    version = conn.execute(select(column)).scalar()
    return None if version is None else int(version)


def prepare(engine: Engine) -> None:
    """Make an empty database ready for a book."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as conn:  # of the file itself, once, and in no transaction
            conn.connection.execute("PRAGMA journal_mode = WAL")


def create(engine: Engine, entry: Entry) -> None:
    """Create the tables and write the first entry, all or nothing."""
    prepare(engine)
    with engine.begin() as conn:
        schema.create(conn)
        triggers.create(conn)
        conn.execute(insert(schema.mark), {"version_num": str(schema.VERSION)})
        write(conn, entry)


def write(conn: Connection, entry: Entry) -> int:
    """Write an entry, or find that it stands already.

    Returns:
        The entry's place in the chain; that of the first writing when it is repeated.

    Raises:
        NotAllowed: The key stands already with other content.
        InvalidInput: An amount is larger than any posting can be.
        ValueError: The postings do not sum to zero or name an unknown account.
    """
    return write_all(conn, (entry,))[0]


def write_all(conn: Connection, entries: Sequence[Entry]) -> list[int]:
    """Write entries in their order, as `write` does each: all of them or none.

    Many at once cost a fraction of as many by themselves.

    Returns:
        The place of each in the chain.
    """
    if not entries:
        return []
    for entry in entries:
        _assert_sound(entry)
    lock(conn)
    standing, (seq, prev_hash) = _standing(conn, [entry.key for entry in entries])
    places, rows, new = [], [], []
    for entry in entries:
        said = (entry.content(), entry.code, entry.reverses)
        known = standing.get(entry.key)
        if known is None:
            seq += 1
            row = _row(entry, seq, said[0], prev_hash)
            prev_hash = row["hash"]
            rows.append(row)
            new.append((seq, entry))
            known = standing[entry.key] = (seq, *said)
        elif known[1:] != said:
            raise NotAllowed(
                f"{entry.key}: stands already in the book as entry {known[0]} with other content; "
                "correct it with a reversal"
            )
        places.append(known[0])
    if rows:
        _insert_covered(conn, new)
        _insert(conn, schema.journal, [tuple(row.values()) for row in rows])
    return places


def _standing(
    conn: Connection, keys: Sequence[str]
) -> tuple[dict[str, tuple[Any, ...]], tuple[int, str]]:
    """Return (place, content, code, reverses) by key of the keys that stand, and the head."""
    rows = [
        row for i in range(0, len(keys), KEYS_MAX) for row in _ask_for(conn, keys[i : i + KEYS_MAX])
    ]
    last = max(((row.seq, row.hash) for row in rows), default=(0, GENESIS))
    return {row[0]: tuple(row[1:5]) for row in rows}, last


def _ask_for(conn: Connection, keys: Sequence[str]) -> Sequence[Row[Any]]:
    """Return the entries with these keys and the head, past SQLAlchemy, as `_insert` does."""
    if conn.dialect.name == "postgresql":
        return conn.exec_driver_sql(f"{_STANDING} = ANY(%s)", ([*keys],)).all()
    marks = ", ".join("?" * len(keys))
    return conn.exec_driver_sql(f"{_STANDING} IN ({marks})", tuple(keys)).all()


def _row(entry: Entry, seq: int, content: str, prev_hash: str) -> dict[str, Any]:
    covered = {
        "seq": seq,
        "key": entry.key,
        "code": entry.code,
        "actor": entry.stamp.actor.name,
        "role": entry.stamp.actor.role,
        "at_s": entry.stamp.at_s,
        "effective_s": entry.stamp.effective_s,
        "reverses": entry.reverses,
        "content": content,
        "prev_hash": prev_hash,
    }
    return covered | {"hash": hashlib.sha256(_QUICK.encode(covered)).hexdigest()}


def reverse(conn: Connection, key: str, reason: str, stamp: Stamp) -> int:
    """Take an entry back: write one that names it and has its postings, negated.

    The rows of the entry stay, so whoever counts them asks for `reversed_by` first.

    Returns:
        The reversal's place in the chain; that of the first one when it is repeated.

    Raises:
        InvalidInput: No such entry, or it posted nothing.
        NotAllowed: It is itself a reversal, or was taken back already for another reason.
    """
    lock(conn)
    table = schema.journal
    known = conn.execute(select(table).where(table.c.key == key)).one_or_none()
    if known is None:
        raise InvalidInput(f"{key}: not in the book; see svoucher audit --export for its entries")
    if known.reverses is not None:
        raise NotAllowed(
            f"{key}: is itself the reversal of entry {known.reverses}; enter anew what is right"
        )
    line = schema.posting.c
    query = select(line.account, line.owner, -line.amount_micro).where(line.seq == known.seq)
    postings = [Posting(*row) for row in conn.execute(query.order_by(line.line))]
    if not postings:
        raise InvalidInput(f"{key}: posted nothing, so there is nothing to take back")
    by = reversed_by(conn, known.seq)
    rows = {"reversal": [{"of_seq": known.seq, "reason": reason}]}
    again = Entry(
        f"reversal:{key}", f"{known.code}.reverse", stamp, rows, postings, reverses=known.seq
    )
    if by is not None and not _same(conn, by, again):
        raise NotAllowed(f"{key}: was taken back already, by entry {by}; it is done once")
    return write(conn, again)


def _same(conn: Connection, seq: int, entry: Entry) -> bool:
    said = select(schema.journal.c.key, schema.journal.c.content).filter_by(seq=seq)
    return tuple(conn.execute(said).one()) == (entry.key, entry.content())


def reversed_by(conn: Connection, seq: int) -> int | None:
    """Return the entry that took this one back, or None."""
    table = schema.journal.c
    return conn.execute(select(table.seq).where(table.reverses == seq)).scalar()


def _assert_sound(entry: Entry) -> None:
    total = 0
    ways: dict[tuple[str, str], bool] = {}
    for p in entry.postings:
        amount = p.amount_micro
        if p.account not in CHART or type(amount) is not int or amount == 0:
            raise ValueError(f"{entry.key}: posting {p} has no account of the chart or no amount")
        if not -POSTING_MICRO_MAX <= amount <= POSTING_MICRO_MAX:
            raise InvalidInput(
                f"{entry.key}: {yuan(abs(amount) // MICRO_PER_FEN)} yuan, at most "
                f"{yuan(POSTING_MICRO_MAX // MICRO_PER_FEN)} can be posted; check the amount"
            )
        if ways.setdefault((p.account, p.owner), amount > 0) != (amount > 0):
            raise ValueError(f"{entry.key}: postings go both ways on one account; post the rest")
        total += amount
    if total != 0:
        raise ValueError(f"{entry.key}: postings do not sum to zero")


def _insert_covered(conn: Connection, entries: Sequence[tuple[int, Entry]]) -> None:
    """Insert postings and rows of entries that have a place, but are not sealed yet."""
    lines = [
        (seq, i, p.account, p.owner, p.amount_micro)
        for seq, entry in entries
        for i, p in enumerate(entry.postings)
    ]
    if lines:
        _insert(conn, schema.posting, lines)
    rows: dict[str, list[tuple[object, ...]]] = {}
    for seq, entry in entries:
        for name, own in entry.rows.items():
            rows.setdefault(name, []).extend(_values(name, {**row, "seq": seq}) for row in own)
    for name in sorted(rows, key=schema.ORDER.__getitem__):
        if rows[name]:
            _insert(conn, schema.COVERED[name], rows[name])


def _values(name: str, row: Mapping[str, object]) -> tuple[object, ...]:
    """Return what a row has in each column of a table."""
    columns = _columns(schema.COVERED[name])
    if not row.keys() <= {*columns}:
        raise ValueError(f"{name}: no columns {sorted(row.keys() - {*columns})}")
    return tuple(map(row.get, columns))


@functools.cache
def _columns(table: Table) -> tuple[str, ...]:
    return tuple(table.columns.keys())


@functools.cache
def _into(table: Table) -> str:
    """Return the begin of the statement that inserts rows with all columns."""
    columns = ", ".join(f'"{name}"' for name in _columns(table))
    return f'INSERT INTO "{table.name}" ({columns})'


@functools.cache
def _unnested(table: Table) -> str:
    """Return where PostgreSQL takes rows from that come as columns."""
    columns = ", ".join(f"%b::{column.type}[]" for column in table.columns)
    return f"SELECT * FROM unnest({columns})"  # noqa: S608 - our own names


def _insert(conn: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows with all columns of a table, past SQLAlchemy: half of the time was its own.

    Many go with one statement: SQLite saves each page that it touches once a statement.
    """
    if conn.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        conn.exec_driver_sql(f"{_into(table)} {_unnested(table)}", columns)
        return
    marks = f"({', '.join('?' for _ in table.columns)})"
    for i in range(0, len(rows), ROWS_MAX):
        some = rows[i : i + ROWS_MAX]
        values = ", ".join([marks] * len(some))
        conn.exec_driver_sql(f"{_into(table)} VALUES {values}", tuple(chain(*some)))


def lock(conn: Connection) -> None:
    """Let one writer in at a time. SQLite's BEGIN IMMEDIATE has done so already."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(20230616)"))


class Watch:
    """Tells, for next to nothing, when nobody else can have written since it was last asked."""

    def __init__(self, engine: Engine) -> None:
        self._dbapi = engine.raw_connection() if engine.dialect.name == "sqlite" else None
        self._seen: int | None = None

    @contextlib.contextmanager
    def moved(self) -> Iterator[bool]:
        """Tell whether the book may have moved; whoever fails to catch up is told again.

        Only SQLite knows it: others always may.
        """
        now = None
        if self._dbapi is not None:
            # to its end: a statement that stands open would keep the book from being tidied up
            [(now,)] = self._dbapi.cursor().execute("PRAGMA data_version").fetchall()
        yield now is None or now != self._seen
        self._seen = now


def head(conn: Connection) -> tuple[int, str]:
    """Return place and hash of the last entry; (0, GENESIS) in an empty chain."""
    row = conn.execute(_HEAD).one_or_none()
    return (0, GENESIS) if row is None else (row.seq, row.hash)


def balance(conn: Connection, account: str, owner: str) -> int:
    """Return an account's balance of one owner, micro-yuan, debit positive."""
    return int(conn.execute(_BALANCE, {"of": account, "by": owner}).scalar() or 0)


def balances(conn: Connection, account: str, owners: Sequence[str]) -> dict[str, int]:
    """Return an account's balances of those owners that have one, micro-yuan."""
    return {
        row.owner: int(row.amount_micro)
        for i in range(0, len(owners), KEYS_MAX)
        for row in conn.execute(_BALANCES, {"of": account, "some": owners[i : i + KEYS_MAX]})
    }


def move(owner: str, fen_by_account: Mapping[str, int]) -> list[Posting]:
    """Return postings that move fen between accounts of one owner; zeros are left out."""
    return [
        Posting(account, owner, fen * MICRO_PER_FEN)
        for account, fen in fen_by_account.items()
        if fen
    ]


def written(conn: Connection, key: str) -> int | None:
    """Return the place of the entry with this key, or None."""
    return conn.execute(select(schema.journal.c.seq).where(schema.journal.c.key == key)).scalar()


def hash_of(conn: Connection, seq: int) -> str:
    """Return the hash of an entry, or raise InvariantBroken when it is not there."""
    value = conn.execute(select(schema.journal.c.hash).where(schema.journal.c.seq == seq)).scalar()
    if value is None:
        raise InvariantBroken(f"entry {seq}: not in the chain; run svoucher audit")
    return str(value)


@dataclass(frozen=True)
class Book:
    """The book's own row."""

    book_id: str
    rehearsal: bool
    policy: str


def identity(conn: Connection) -> Book:
    """Return which book this is."""
    row = conn.execute(select(schema.book)).one()
    return Book(row.book_id, bool(row.rehearsal), row.policy)


def document(conn: Connection, kind: str, version: str | None = None) -> tuple[str, str]:
    """Return version and text of a document in force: the named one, or the last loaded.

    Raises:
        ConfigInvalid: No such document has been loaded.
    """
    query = select(schema.document.c.version, schema.document.c.text).where(
        schema.document.c.kind == kind
    )
    if version is not None:
        query = query.where(schema.document.c.version == version)
    row = conn.execute(query.order_by(schema.document.c.seq.desc()).limit(1)).one_or_none()
    if row is None:
        wanted = f"{kind} {version}" if version else kind
        raise ConfigInvalid(
            f"{wanted}: none is loaded in this book; load one with svoucher "
            f"{'price' if kind == 'tariff' else kind} load FILE"
        )
    return row.version, row.text
