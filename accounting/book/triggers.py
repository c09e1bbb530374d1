"""What the database itself refuses: edits, deletions, and entries that do not sum to zero.

An entry's postings and rows go in before its journal row, which then seals them. A posting goes
into its balance at once, and nothing else does.
"""

from sqlalchemy import UniqueConstraint, text
from sqlalchemy.engine import Connection

from accounting.book.schema import COVERED, PLACE, metadata

_SEALED = ("journal", "posting", *COVERED)


def _same_fact(name: str) -> str:
    """Return SQL for: the table has a row with a key of the new one."""
    table = metadata.tables[name]
    unique = [table.primary_key.columns.keys()] + [
        constraint.columns.keys()
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    unique += [index.columns.keys() for index in table.indexes if index.unique]
    same = (" AND ".join(f'"{column}" = NEW."{column}"' for column in key) for key in unique)
    there = (f'EXISTS (SELECT 1 FROM "{name}" WHERE {key})' for key in same)  # noqa: S608 - our own names
    return " OR ".join(there)  # each by its index


_CHANGE = (
    "UPDATE balance SET amount_micro = balance.amount_micro + {amount}, upto = {upto} {of} "
    "WHERE balance.account = {by}.account AND balance.owner = {by}.owner"
)
_NEW_PLACE = "NEW.seq * 1000000 + NEW.line"
_CHANGE_ONE = _CHANGE.format(amount="NEW.amount_micro", upto=_NEW_PLACE, of="", by="NEW")
KEEP_BALANCES = (
    "CREATE TRIGGER posting_applied AFTER INSERT ON posting BEGIN "
    f"{_CHANGE_ONE} AND balance.upto <> {_NEW_PLACE}; END",
    "CREATE TRIGGER posting_opens AFTER INSERT ON posting WHEN "  # noqa: S608 - our own names
    "NOT EXISTS (SELECT 1 FROM balance WHERE account = NEW.account AND owner = NEW.owner) "
    "BEGIN INSERT INTO balance (account, owner, amount_micro, upto) "
    f"VALUES (NEW.account, NEW.owner, NEW.amount_micro, {_NEW_PLACE}); END",
)
"""The triggers that a copy in memory needs (SQLite), which come to the same in either order.

One statement that gives way to the other would have to pass the CHECKs by itself, and an INSERT
from a SELECT makes a table of its own each time: a third of what a posting costs.
"""
_SUMS = (
    f"(SELECT account, owner, SUM(amount_micro) AS total, MAX({PLACE}) AS upto "  # noqa: S608
    "FROM {postings} GROUP BY account, owner)"
)
_CHANGE_ALL = _CHANGE.format(amount="sums.total", upto="sums.upto", of="FROM sums", by="sums")
_APPLIED_ALL = (
    f"WITH sums AS {_SUMS.format(postings='added')}, changed AS "  # noqa: S608 - our own names
    f"({_CHANGE_ALL} RETURNING balance.account, balance.owner) "
    "INSERT INTO balance (account, owner, amount_micro, upto) SELECT account, owner, total, upto "
    "FROM sums WHERE (account, owner) NOT IN (SELECT account, owner FROM changed)"
)
"""The same for all postings that came with one statement (PostgreSQL)."""
_IS_NEXT = (
    "EXISTS (SELECT 1 FROM posting WHERE seq = NEW.upto / 1000000 AND line = NEW.upto % 1000000 "
    "AND account = NEW.account AND owner = NEW.owner AND amount_micro = {change})"
)
_MAY_UPDATE = (
    "NEW.account = OLD.account AND NEW.owner = OLD.owner AND NEW.upto > OLD.upto AND "
    + _IS_NEXT.format(change="NEW.amount_micro - OLD.amount_micro")
)
"""A balance changes by a posting after those that are in it, and each is put into it at once."""
_MAY_INSERT = (
    "NOT EXISTS (SELECT 1 FROM journal WHERE seq = NEW.upto / 1000000) AND "  # noqa: S608
    "NOT EXISTS (SELECT 1 FROM balance WHERE account = NEW.account AND owner = NEW.owner) AND "
    + _IS_NEXT.format(change="NEW.amount_micro")
)
REBUILD = (
    "DELETE FROM balance",
    "INSERT INTO balance (account, owner, amount_micro, upto) "  # noqa: S608 - our own names
    f"SELECT account, owner, total, upto FROM {_SUMS.format(postings='posting')} AS sums",
)
"""Balances worked out anew, where the triggers are not there: for a book that had none."""


def _sqlite_triggers() -> list[str]:
    statements = [
        f'CREATE TRIGGER {name}_no_{act.lower()} BEFORE {act} ON "{name}" '
        f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        for name in _SEALED
        for act in ("UPDATE", "DELETE")
    ]
    # INSERT OR REPLACE deletes without asking the triggers of DELETE.
    statements += [
        f'CREATE TRIGGER {name}_no_replace BEFORE INSERT ON "{name}" WHEN {_same_fact(name)} '
        f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        for name in ("journal", *COVERED)  # a posting's place is its key: it is sealed or new
    ]
    statements.append(
        "CREATE TRIGGER journal_balanced BEFORE INSERT ON journal WHEN "
        "(SELECT COALESCE(SUM(amount_micro), 0) FROM posting WHERE seq = NEW.seq) <> 0 "
        "BEGIN SELECT RAISE(ABORT, 'postings do not sum to zero'); END"
    )
    statements += [
        f'CREATE TRIGGER {name}_sealed BEFORE INSERT ON "{name}" WHEN '  # noqa: S608 - our own names
        "EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) "
        f"BEGIN SELECT RAISE(ABORT, 'the entry of this {name} row is sealed'); END"
        for name in ("posting", *COVERED)
    ]
    statements += [
        f"CREATE TRIGGER balance_guard_{act.lower()} BEFORE {act} ON balance "
        f"WHEN NOT COALESCE({allowed}, 0) "
        "BEGIN SELECT RAISE(ABORT, 'balance is kept by the journal'); END"
        for act, allowed in (("INSERT", _MAY_INSERT), ("UPDATE", _MAY_UPDATE), ("DELETE", "0"))
    ]
    return [*statements, *KEEP_BALANCES]


def _refuse(name: str, condition: str, message: str) -> str:
    """Return SQL of a function that refuses the rows of a statement, which are in `added`."""
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {condition} THEN RAISE EXCEPTION {message}; END IF; RETURN NULL; END $$"
    )


_AFTER = "REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION"


def _postgres_triggers() -> list[str]:
    """Return triggers that look at all rows of a statement at once: many cost little more."""
    statements = [
        _refuse("append_only", "TRUE", "'% is append-only', TG_TABLE_NAME"),
        _refuse(
            "journal_balanced",
            "EXISTS (SELECT 1 FROM posting WHERE seq BETWEEN (SELECT MIN(seq) FROM added) "
            "AND (SELECT MAX(seq) FROM added) GROUP BY seq HAVING SUM(amount_micro) <> 0)",
            "'postings do not sum to zero'",
        ),
        _refuse(
            "entry_sealed",
            "EXISTS (SELECT 1 FROM journal WHERE seq >= (SELECT MIN(seq) FROM added) "
            "AND seq IN (SELECT seq FROM added))",
            "'the entry of this % row is sealed', TG_TABLE_NAME",
        ),
        # Only the trigger of another table comes here from within one.
        _refuse("balance_guard", "pg_trigger_depth() < 2", "'balance is kept by the journal'"),
        (
            "CREATE FUNCTION posting_applied() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {_APPLIED_ALL}; RETURN NULL; END $$"
        ),
        (
            "CREATE TRIGGER balance_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON balance "
            "FOR EACH STATEMENT EXECUTE FUNCTION balance_guard()"
        ),
        f"CREATE TRIGGER posting_applied AFTER INSERT ON posting {_AFTER} posting_applied()",
        f"CREATE TRIGGER journal_balanced AFTER INSERT ON journal {_AFTER} journal_balanced()",
    ]
    for name in _SEALED:
        statements.append(
            f'CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{name}" '
            "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )
        if name != "journal":
            statements.append(
                f'CREATE TRIGGER {name}_sealed AFTER INSERT ON "{name}" {_AFTER} entry_sealed()'
            )
    return statements


DIALECTS = {"sqlite": _sqlite_triggers, "postgresql": _postgres_triggers}
"""The databases that a book can be in."""


def drop(connection: Connection) -> None:
    """Drop the triggers, also those of earlier schemas."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for name in connection.execute(query).scalars().all():
            connection.execute(text(f'DROP TRIGGER "{name}"'))
        return
    for statement in _postgres_triggers():
        act, name = statement.partition("(")[0].rsplit(maxsplit=1)
        if act == "CREATE FUNCTION":
            connection.execute(text(f"DROP FUNCTION IF EXISTS {name} CASCADE"))


def create(connection: Connection) -> None:
    """Create the triggers of the database at hand."""
    for statement in DIALECTS[connection.dialect.name]():
        connection.execute(text(statement))  # no driver's % stands in the way
