"""The journal: one act is one entry, written once, chained, and never edited."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as of
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from town import ACCOUNT, PROVIDER, REGULATOR, document, stamp

from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Posting
from accounting.errors import (
    BookUnavailable,
    ConfigInvalid,
    InvalidInput,
    InvariantBroken,
    NotAllowed,
)

PAID = [Posting("bank", PROVIDER, 10_000), Posting("cash", ACCOUNT, -10_000)]
PROVIDERS = {"provider": [{"id": "third", "name": "第三"}]}
FACT = Entry("fact:1", "test", stamp(), PROVIDERS, PAID)


def rows(conn, table):
    """Return all rows of a table, in their order."""
    query = select(schema.metadata.tables[table]).order_by(text("1"))
    return conn.execute(query).mappings().all()


def test_an_entry_keeps_its_rows_and_postings(empty):
    """What an entry says stands in its tables under its place in the chain."""
    with empty.begin() as conn:
        seq = ledger.write(conn, FACT)

    with empty.begin() as conn:
        assert seq == ledger.head(conn)[0] == 2
        assert [dict(row) for row in rows(conn, "provider")] == [
            {"seq": 2, "id": "third", "name": "第三"}
        ]
        assert ledger.balance(conn, "bank", PROVIDER) == 10_000
        assert ledger.balance(conn, "cash", ACCOUNT) == -10_000
        assert ledger.balance(conn, "cash", "nobody") == 0


def test_watch_tells_until_it_is_caught_up_with(empty):
    """Who keeps up is told of each writing of somebody else; SQLite also knows of none."""
    engine = empty.engine
    watch, quiet = ledger.Watch(engine), engine.dialect.name != "sqlite"
    with watch.moved() as first:
        pass
    with watch.moved() as nothing:
        pass
    with empty.begin() as conn:
        ledger.write(conn, FACT)
    with pytest.raises(RuntimeError), watch.moved():
        raise RuntimeError("not caught up")
    with watch.moved() as again:
        pass
    with watch.moved() as at_last:
        pass

    assert (first, nothing, again, at_last) == (True, quiet, True, quiet)


def test_the_chain_follows(town):
    """Each entry names the hash of the one before, and its own follows from its content."""
    with town.begin() as conn:
        before = ledger.GENESIS
        for place, row in enumerate(rows(conn, "journal"), 1):
            assert (row["seq"], row["prev_hash"]) == (place, before)
            assert row["hash"] == ledger.entry_hash(row)
            before = row["hash"]
        assert ledger.head(conn) == (place, before)
        assert ledger.hash_of(conn, place) == before


@pytest.mark.parametrize("column", [c.name for c in schema.journal.c if c.name != "hash"])
def test_the_hash_covers_every_column(empty, column):
    """Another value in any column gives another hash."""
    with empty.begin() as conn:
        row = dict(rows(conn, "journal")[0])
    assert ledger.entry_hash(row | {column: 7}) != row["hash"]


def test_the_same_fact_is_written_once(empty):
    """The same key with the same content is the same entry, whoever repeats it and when."""
    later = replace(FACT, stamp=stamp("2024-08-01T00:00:00+08:00", REGULATOR))
    with empty.begin() as conn:
        first = ledger.write(conn, FACT)
        head = ledger.head(conn)

        assert ledger.write(conn, later) == first
        assert ledger.head(conn) == head
        assert ledger.written(conn, "fact:1") == first
        assert ledger.written(conn, "fact:2") is None


@pytest.mark.parametrize(
    "other",
    [
        replace(FACT, rows={"provider": [{"id": "third", "name": "other"}]}),
        replace(FACT, postings=[of(PAID[0], amount_micro=1), of(PAID[1], amount_micro=-1)]),
        replace(FACT, postings=()),
        replace(FACT, code="another"),
        replace(FACT, reverses=1),
    ],
)
def test_a_key_stands_for_one_content(empty, other):
    """The same key with other content is refused, and the message says which entry stands."""
    with empty.begin() as conn:
        ledger.write(conn, FACT)
    with (
        pytest.raises(NotAllowed, match="fact:1: stands already in the book as entry 2"),
        empty.begin() as conn,
    ):
        ledger.write(conn, other)


@pytest.mark.parametrize(
    "postings",
    [
        [Posting("bank", PROVIDER, 1)],
        [Posting("bank", PROVIDER, 1), Posting("cash", ACCOUNT, -2)],
        [Posting("bank", PROVIDER, 1), Posting("purse", ACCOUNT, -1)],
        [Posting("bank", PROVIDER, 0)],
        [Posting("bank", PROVIDER, 2), Posting("bank", PROVIDER, -1), Posting("cash", "x", -1)],
        [Posting("bank", PROVIDER, 1.0), Posting("cash", ACCOUNT, -1.0)],
    ],
)
def test_unsound_postings_are_a_programmers_error(empty, postings):
    """Postings that do not sum to zero, name no account or are no integers never reach SQL."""
    with pytest.raises(ValueError, match="fact:2: posting"), empty.begin() as conn:
        ledger.write(conn, Entry("fact:2", "test", stamp(), {}, postings))
    with empty.begin() as conn:
        assert ledger.head(conn)[0] == 1


def test_an_entry_that_fails_leaves_nothing(empty):
    """When one row of an entry is refused, none of it stands."""
    two = {"provider": [{"id": "a", "name": "a"}, {"id": "a", "name": "b"}]}
    with pytest.raises(IntegrityError), empty.begin() as conn:
        ledger.write(conn, Entry("fact:3", "test", stamp(), two, PAID))
    with empty.begin() as conn:
        assert (ledger.head(conn)[0], rows(conn, "provider"), rows(conn, "posting")) == (1, [], [])


def paid(number, micro=10_000, **changes):
    """Make an entry that pays cash in."""
    lines = [Posting("bank", PROVIDER, micro), Posting("cash", ACCOUNT, -micro)]
    return replace(Entry(f"paid:{number}", "test", stamp(), {}, lines), **changes)


UNIT_ROW = {"id": "u", "name": "u", "credit_code": "c", "kind": "university"}
MANY = [
    FACT,
    paid(1, rows={"unit": [UNIT_ROW], "provider": [{"id": "fourth", "name": "f"}]}),
    paid(2, rows={"revenue": [{"unit": "u", "year": 2023, "amount_fen": 0}]}),
    paid(3, rows={"provider": []}),
    *(paid(i) for i in range(4, 10)),
]
"""The third refers to what the second brings."""


def in_order(found: list[dict]) -> list[tuple]:
    """Order rows by what they say: PostgreSQL gives them as they lie, and vacuum makes gaps."""
    return sorted(tuple(row.items()) for row in found)


def test_many_entries_are_as_if_one_by_one(empty):
    """Entries that are written together leave what they leave when each is written by itself."""
    names = ("journal", "posting", "balance", "unit", "provider", "revenue")
    with empty.engine.connect() as conn:
        with conn.begin() as undone:
            places = [ledger.write(conn, entry) for entry in MANY]
            one_by_one = [in_order(rows(conn, name)) for name in names]
            undone.rollback()
        with conn.begin():
            assert ledger.write_all(conn, MANY) == places == list(range(2, 12))
            assert [in_order(rows(conn, name)) for name in names] == one_by_one


def test_of_many_entries_those_that_stand_are_left(empty):
    """A group that is written again, longer and with repetitions, adds what is new."""
    with empty.begin() as conn:
        ledger.write_all(conn, MANY[:5])
    with empty.begin() as conn:
        again = [*MANY[3:], MANY[-1], MANY[0]]
        assert ledger.write_all(conn, again) == [5, 6, *range(7, 12), 11, 2]
        assert ledger.head(conn)[0] == 11
        assert ledger.write_all(conn, []) == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (paid(1, 5), NotAllowed),
        (paid(9, -40_000), IntegrityError),
        (paid(9, rows={"provider": [{"id": "third", "name": "twice"}]}), IntegrityError),
    ],
)
def test_many_entries_are_written_all_or_none(empty, bad, error):
    """When one of many is refused, by its key, a balance or a row, none of them stands."""
    with pytest.raises(error), empty.begin() as conn:
        ledger.write_all(conn, [*MANY[:3], bad])
    with empty.begin() as conn:
        assert (ledger.head(conn)[0], rows(conn, "posting"), rows(conn, "balance")) == (1, [], [])


def test_an_entry_is_taken_back(empty):
    """A reversal posts the same lines negated, names its entry and says why."""
    with empty.begin() as conn:
        seq = ledger.write(conn, FACT)
        back = ledger.reverse(conn, "fact:1", "typing error", stamp())

        assert ledger.reversed_by(conn, seq) == back
        assert ledger.reversed_by(conn, back) is None
        assert [ledger.balance(conn, line.account, line.owner) for line in PAID] == [0, 0]
        assert rows(conn, "journal")[-1]["code"] == "test.reverse"
        [said] = rows(conn, "reversal")
        assert dict(said) == {"seq": back, "of_seq": seq, "reason": "typing error"}


def test_taking_back_twice_is_once(empty):
    """The same reversal again is the first one; for another reason it is refused."""
    with empty.begin() as conn:
        ledger.write(conn, FACT)
        first = ledger.reverse(conn, "fact:1", "typing error", stamp())
        assert ledger.reverse(conn, "fact:1", "typing error", stamp()) == first
    with (
        pytest.raises(NotAllowed, match="fact:1: was taken back already, by entry 3"),
        empty.begin() as conn,
    ):
        ledger.reverse(conn, "fact:1", "because", stamp())


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("reversal:fact:1", NotAllowed, "is itself the reversal of entry 2"),
        ("book", InvalidInput, "posted nothing"),
        ("fact:9", InvalidInput, "not in the book"),
    ],
)
def test_what_cannot_be_taken_back(empty, key, error, message):
    """A reversal, an entry without postings and an unknown one are not reversed."""
    with empty.begin() as conn:
        ledger.write(conn, FACT)
        ledger.reverse(conn, "fact:1", "typing error", stamp())
        before = ledger.head(conn)
    with pytest.raises(error, match=f"{key}: {message}"), empty.begin() as conn:
        ledger.reverse(conn, key, "typing error", stamp())
    with empty.begin() as conn:
        assert ledger.head(conn) == before


def test_the_database_lets_an_entry_be_reversed_once(empty):
    """A second entry that reverses the same one is refused by the database."""
    back = [of(line, amount_micro=-line.amount_micro) for line in PAID]
    with empty.begin() as conn:
        seq = ledger.write(conn, FACT)
        ledger.reverse(conn, "fact:1", "typing error", stamp())
        ledger.write(conn, replace(FACT, key="fact:3", rows={}))
    with pytest.raises(IntegrityError), empty.begin() as conn:
        ledger.write(conn, Entry("undo:2", "test", stamp(), {}, back, reverses=seq))


def test_moves_leave_out_zeros():
    """Moving fen between accounts posts micro-yuan, and nothing for nothing."""
    assert ledger.move("v", {"voucher.left": -2, "voucher.expired": 2, "cash": 0}) == [
        Posting("voucher.left", "v", -20_000),
        Posting("voucher.expired", "v", 20_000),
    ]


# --- what the database itself refuses ------------------------------------------------------


FILLED = [
    "journal",
    "posting",
    "book",
    "document",
    "signing_key",
    "signed_act",
    "provider",
    "unit",
    "revenue",
    "contract",
    "member",
    "application",
    "review",
    "voucher",
    "payment",
]


@pytest.mark.parametrize("name", FILLED)
def test_rows_are_neither_changed_nor_deleted(town, name):
    """UPDATE and DELETE of a sealed row are refused by the database."""
    table = schema.metadata.tables[name]
    for statement in (update(table).values(seq=table.c.seq), delete(table)):
        with pytest.raises(DBAPIError, match=f"{name} is append-only"), town.begin() as conn:
            conn.execute(statement)


def test_every_table_of_the_chain_is_guarded(empty):
    """No table that an entry covers is without its triggers."""
    names = {"sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'"}.get(
        empty.engine.dialect.name,
        "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
        " WHERE relnamespace = current_schema()::regnamespace",
    )
    with empty.begin() as conn:
        found = set(conn.execute(text(names)).scalars())
    kinds = {"sqlite": ("no_update", "no_delete", "no_replace")}.get(
        empty.engine.dialect.name, ("append_only",)
    )
    for name in ("journal", "posting", *schema.COVERED):
        wanted = {f"{name}_{kind}" for kind in kinds} - {"posting_no_replace"}  # it is sealed
        assert wanted <= found
        assert name == "journal" or f"{name}_sealed" in found
    assert {"journal_balanced", "posting_applied"} <= found
    assert any(name.startswith("balance_guard") for name in found)


def test_an_entry_looks_no_table_through(town):
    """Whatever refers to the journal is found by an index when an entry is written: charges are
    many, and each payment would look through all of them."""
    if town.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL looks from the row that refers")
    blank = ", ".join("?" for _ in schema.journal.columns)
    with town.begin() as conn:
        plan = conn.exec_driver_sql(
            f"EXPLAIN QUERY PLAN INSERT INTO journal VALUES ({blank})",
            tuple(1 for _ in schema.journal.columns),
        ).all()
    assert len(plan) > 40
    assert [row[3] for row in plan if row[3].startswith("SCAN")] == []


@pytest.mark.parametrize("name", FILLED)
def test_a_row_is_not_replaced(town, name):
    """SQLite's INSERT OR REPLACE, which asks no trigger of DELETE, is refused too."""
    if town.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite has it")
    table = schema.metadata.tables[name]
    with town.begin() as conn:
        row = dict(rows(conn, name)[0])
    seq = row["seq"] if name in ("journal", "posting") else 99
    replacing = insert(table).prefix_with("OR REPLACE")
    refused = f"{name} (is append-only|row is sealed)"
    with pytest.raises(DBAPIError, match=refused), town.begin() as conn:
        conn.execute(replacing, row | {"seq": seq})


def test_a_sealed_entry_takes_no_more_rows(empty):
    """A row or posting that names an entry which is written already is refused."""
    for table, row in (
        (schema.provider, {"id": "late", "name": "late", "seq": 1}),
        (schema.posting, {"seq": 1, "line": 0, "account": "bank", "owner": "x", "amount_micro": 1}),
    ):
        with (
            pytest.raises(DBAPIError, match=f"the entry of this {table.name} row is sealed"),
            empty.begin() as conn,
        ):
            conn.execute(insert(table), row)


def test_a_row_without_an_entry_is_refused(empty):
    """A row whose entry never comes is refused when the transaction ends."""
    with pytest.raises(IntegrityError), empty.begin() as conn:
        conn.execute(insert(schema.provider), {"id": "stray", "name": "stray", "seq": 2})
    with empty.begin() as conn:
        assert rows(conn, "provider") == []


def test_an_unbalanced_entry_is_refused(empty):
    """A journal row whose postings do not sum to zero is refused by the database."""
    line = {"seq": 2, "line": 0, "account": "bank", "owner": "x", "amount_micro": 1}
    with empty.begin() as conn:
        row = dict(rows(conn, "journal")[0]) | {"seq": 2, "key": "k", "hash": "h"}
    with empty.engine.connect() as conn, conn.begin():
        conn.execute(insert(schema.posting), line)
        with pytest.raises(DBAPIError, match="postings do not sum to zero"), conn.begin_nested():
            conn.execute(insert(schema.journal), row)
        conn.rollback()


def test_balances_are_kept(empty):
    """Every balance is the sum of its postings, and names the last of them."""
    more = [Posting("bank", PROVIDER, 500), Posting("revenue", PROVIDER, -500)]
    with empty.begin() as conn:
        first = ledger.write(conn, FACT)
        last = ledger.write(conn, Entry("fact:2", "test", stamp(), {}, [*more, *more]))

        assert {tuple(row.values()) for row in rows(conn, "balance")} == {
            ("bank", PROVIDER, 11_000, last * 1_000_000 + 2),
            ("cash", ACCOUNT, -10_000, first * 1_000_000 + 1),
            ("revenue", PROVIDER, -1_000, last * 1_000_000 + 3),
        }


def test_balances_know_late_entries(empty):
    """A balance's place in the book fits its column, also after thousands of entries."""
    with empty.begin() as conn:
        places = ledger.write_all(conn, [paid(i) for i in range(3_000)])
        ledger.write(conn, paid(3_000))
        assert ledger.balance(conn, "bank", PROVIDER) == 3_001 * 10_000
        kept = {row["account"]: row["upto"] for row in rows(conn, "balance")}
    assert kept["bank"] == (places[-1] + 1) * 1_000_000


@pytest.mark.parametrize(
    "statement",
    [
        update(schema.balance).values(amount_micro=1),
        update(schema.balance).values(upto=schema.balance.c.upto + 1),
        update(schema.balance).values(owner="x"),
        # What the last entry posts, once more:
        update(schema.balance)
        .where(schema.balance.c.account == "bank")
        .values(amount_micro=schema.balance.c.amount_micro + 10_000),
        delete(schema.balance),
        insert(schema.balance).values(account="cash", owner="x", amount_micro=0, upto=2_000_000),
        insert(schema.balance).values(account="cash", owner="x", amount_micro=-1, upto=2_000_000),
    ],
)
def test_a_balance_is_not_written_by_hand(empty, statement):
    """Nothing but an entry changes a balance, not even by what the last entry posts to it."""
    with empty.begin() as conn:
        ledger.write(conn, FACT)
        before = rows(conn, "balance")
    with pytest.raises(DBAPIError, match="balance is kept by the journal"), empty.begin() as conn:
        conn.execute(statement)
    with empty.begin() as conn:
        assert rows(conn, "balance") == before


def test_a_posting_goes_in_after_those_that_are_in(empty):
    """One that takes an earlier place is refused, and not left out of its balance."""
    if empty.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL adds up all that came with one statement")
    with empty.begin() as conn:
        ledger.write(conn, FACT)
    for line in PAID:
        early = (0, 0, line.account, line.owner, 1)
        with (
            pytest.raises(DBAPIError, match="balance is kept by the journal"),
            empty.begin() as conn,
        ):
            conn.execute(insert(schema.posting).values(early))


@pytest.mark.parametrize(("sign", "accounts"), [(-1, schema.NEVER_BELOW), (1, schema.NEVER_ABOVE)])
def test_what_never_may_be(empty, sign, accounts):
    """An entry that would leave less than nothing where that never may be is refused."""
    for account in accounts:
        wrong = [Posting(account, "x", sign), Posting("bank", "x", -sign)]
        right = [Posting(account, "x", -sign), Posting("bank", "x", sign)]
        with pytest.raises(IntegrityError, match="never_"), empty.begin() as conn:
            ledger.write(conn, Entry(account, "test", stamp(), {}, wrong))
        with empty.begin() as conn:
            ledger.write(conn, Entry(account, "test", stamp(), {}, right))
            ledger.write(conn, Entry(f"back {account}", "test", stamp(), {}, wrong))
            assert ledger.balance(conn, account, "x") == 0


# --- opening a book ------------------------------------------------------------------------


def test_a_book_is_not_made_by_opening_it(tmp_path):
    """A book that is not there is refused, and no file is left behind."""
    with pytest.raises(BookUnavailable, match="not there; make one with svoucher init"):
        ledger.connect(f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no database, but long enough to have a header" * 40])
def test_a_file_that_is_no_book_is_refused(tmp_path, content):
    """An empty file and one of another kind are refused in one line, not by a traceback."""
    path = tmp_path / "odd.db"
    path.write_bytes(content)
    with pytest.raises(BookUnavailable, match=r"odd\.db: .*; run svoucher check"):
        ledger.connect(f"sqlite:///{path}")


@pytest.mark.parametrize(
    "url", ["nonsense", "oracle://x", "mysql://x/y", "sqlite-x:///y", "postgresql://u@h:99x/y"]
)
def test_an_unknown_database_is_refused(url):
    """A URL of a database that is not known here is refused."""
    with pytest.raises(ConfigInvalid, match="book: "):
        ledger.connect(url)


def test_a_later_schema_is_refused(empty, monkeypatch):
    """A book that another program version wrote is not opened."""
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(BookUnavailable, match=f"schema version {schema.VERSION - 1}"):
        ledger.connect(empty.engine.url)


def test_the_book_knows_itself(empty):
    """A book has an id, a policy, and says whether it is a rehearsal."""
    with empty.begin() as conn:
        book = ledger.identity(conn)
    assert (len(book.book_id), book.rehearsal, book.policy) == (32, False, "chengdu-2023")


def test_the_last_document_is_in_force(empty):
    """The document that was loaded last is in force; earlier ones are found by version."""
    with empty.begin() as conn:
        rows_ = {"document": [document("tariff", "cd-2024-2", "later")]}
        ledger.write(conn, Entry("tariff:cd-2024-2", "tariff.load", stamp(), rows_))

        assert ledger.document(conn, "tariff") == ("cd-2024-2", "later")
        assert ledger.document(conn, "tariff", "cd-2024-1")[0] == "cd-2024-1"


@pytest.mark.parametrize(
    ("kind", "version", "message"),
    [
        (
            "chips",
            None,
            "chips: none is loaded in this book; load one with svoucher chips load FILE",
        ),
        ("tariff", "x", "tariff x: none is loaded in this book; load one with svoucher price load"),
    ],
)
def test_a_document_that_is_not_loaded_is_named(empty, kind, version, message):
    """Asking for a document that nobody loaded says how to load one."""
    with pytest.raises(ConfigInvalid, match=message), empty.begin() as conn:
        ledger.document(conn, kind, version)


def test_an_entry_that_is_not_there_breaks_the_chain(empty):
    """Asking for the hash of a missing entry stops the work."""
    with pytest.raises(InvariantBroken, match="entry 9: not in the chain"), empty.begin() as conn:
        ledger.hash_of(conn, 9)


def test_content_is_canonical():
    """The content that is hashed has sorted keys, no spaces and readable Chinese."""
    assert FACT.content() == (
        '{"postings":[["bank","cdaicc",10000],["cash","CD24-0001",-10000]],'
        '"rows":{"provider":[{"id":"third","name":"第三"}]}}'
    )
    assert json.loads(FACT.content())["rows"] == PROVIDERS


@given(
    st.dictionaries(st.text(), st.none() | st.text() | st.integers(-(2**63), 2**63 - 1)),
    st.text(),
)
def test_content_and_hash_are_of_canonical_json(row, owner):
    """Whatever stands in a row, what is hashed is the JSON that anybody's library makes."""
    postings = [Posting("bank", owner, 5), Posting("cash", owner, -5)]
    entry = Entry("key", "code", stamp(), {owner: [row]}, postings)
    said = {name: value for name, value in row.items() if value is not None}
    whole = {"rows": {owner: [said]}, "postings": [["bank", owner, 5], ["cash", owner, -5]]}
    assert entry.content() == ledger.canonical(whole)
    columns = dict.fromkeys(schema.journal.columns.keys(), owner)
    del columns["hash"]
    whole_hash = hashlib.sha256(ledger.canonical(columns).encode()).hexdigest()
    assert ledger.entry_hash(columns) == whole_hash


# --- looking while others write ------------------------------------------------------------


def test_a_long_look_sees_one_state_and_stops_nobody(empty):
    """While somebody looks, others write at once, and the look still sees what it saw first."""
    with ledger.reading(empty.engine).begin() as looking:
        before = ledger.head(looking)
        with empty.begin() as conn:
            ledger.write(conn, FACT)
        assert ledger.head(looking) == before
    with ledger.reading(empty.engine).begin() as looking:
        assert ledger.head(looking)[0] == 2


@pytest.mark.parametrize(("durable", "waits"), [(True, "on"), (False, "off")])
def test_a_commit_waits_for_the_disk_whatever_the_server_does(server, durable, waits):
    """On a PostgreSQL that does not wait for the disk, postings do, and only holds do not."""
    url = server.engine.url.update_query_dict({"options": "-csynchronous_commit=local"})
    engine = ledger.connect(url.render_as_string(hide_password=False), durable=durable)
    with engine.connect() as conn:
        assert conn.exec_driver_sql("SHOW synchronous_commit").scalar() == waits
    engine.dispose()
