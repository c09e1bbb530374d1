"""What the database itself refuses: edits, deletions, and entries that do not sum to zero.

An entry's postings and rows go in before its journal row, which then seals them and brings the
running balances up to it. A balance takes each entry once and nothing else.
"""

from sqlalchemy import UniqueConstraint, text
from sqlalchemy.engine import Connection

from accounting.book.schema import COVERED, metadata

_SEALED = ("journal", "posting", *COVERED)


def _same_fact(name: str) -> str:
    """Return SQL for: the table has a row with a key of the new one."""
    table = metadata.tables[name]
    unique = [table.primary_key.columns.keys()] + [
        constraint.columns.keys()
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    ]
    unique += [[column.name] for column in table.columns if column.unique]
    same = (" AND ".join(f'"{column}" = NEW."{column}"' for column in key) for key in unique)
    return f'EXISTS (SELECT 1 FROM "{name}" WHERE {" OR ".join(same)})'  # noqa: S608 - our own names


_APPLY = (
    # Two statements: a row that goes in only to give way would have to pass the CHECKs by itself.
    "UPDATE balance SET amount_micro = balance.amount_micro + sums.total, seq = NEW.seq FROM "
    "(SELECT account, owner, SUM(amount_micro) AS total FROM posting WHERE seq = NEW.seq "
    "GROUP BY account, owner) AS sums "
    "WHERE balance.account = sums.account AND balance.owner = sums.owner",
    "INSERT INTO balance (account, owner, amount_micro, seq) "
    "SELECT account, owner, SUM(amount_micro), NEW.seq FROM posting WHERE seq = NEW.seq AND NOT "
    "EXISTS (SELECT 1 FROM balance AS own WHERE own.account = posting.account "
    "AND own.owner = posting.owner) GROUP BY account, owner",
)
"""What an entry does to the balances when it is sealed."""
KEEP_BALANCES = (
    f"CREATE TRIGGER journal_applied AFTER INSERT ON journal BEGIN {'; '.join(_APPLY)}; END"
)
"""The one trigger that a copy in memory needs (SQLite)."""
_OF_LAST = (
    "NEW.seq = (SELECT MAX(seq) FROM journal) AND (SELECT SUM(amount_micro) FROM posting"
    " WHERE seq = NEW.seq AND account = NEW.account AND owner = NEW.owner) ="
)
_MAY_UPDATE = (
    "NEW.account = OLD.account AND NEW.owner = OLD.owner AND NEW.seq > OLD.seq AND "
    f"{_OF_LAST} NEW.amount_micro - OLD.amount_micro"
)
"""A balance changes by what the last entry posts to it, once."""
_MAY_INSERT = (  # of a balance that is not there yet
    f"{_OF_LAST} NEW.amount_micro AND "  # noqa: S608 - our own names
    "NOT EXISTS (SELECT 1 FROM balance WHERE account = NEW.account AND owner = NEW.owner)"
)
REBUILD = (
    "DELETE FROM balance",
    "INSERT INTO balance (account, owner, amount_micro, seq) "
    "SELECT account, owner, SUM(amount_micro), MAX(seq) FROM posting GROUP BY account, owner",
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
        for name in _SEALED
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
    return [*statements, KEEP_BALANCES]


def _postgres_triggers() -> list[str]:
    statements = [
        (
            "CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        ),
        (
            "CREATE FUNCTION journal_balanced() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF (SELECT COALESCE(SUM(amount_micro), 0) FROM posting WHERE seq = NEW.seq) <> 0 THEN "
            "RAISE EXCEPTION 'postings do not sum to zero'; END IF; RETURN NEW; END $$"
        ),
        (
            "CREATE FUNCTION entry_sealed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) THEN "
            "RAISE EXCEPTION 'the entry of this % row is sealed', TG_TABLE_NAME; END IF; "
            "RETURN NEW; END $$"
        ),
        (
            "CREATE TRIGGER journal_balanced BEFORE INSERT ON journal "
            "FOR EACH ROW EXECUTE FUNCTION journal_balanced()"
        ),
        (
            "CREATE FUNCTION journal_applied() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {'; '.join(_APPLY)}; RETURN NULL; END $$"
        ),
        (
            "CREATE TRIGGER journal_applied AFTER INSERT ON journal "
            "FOR EACH ROW EXECUTE FUNCTION journal_applied()"
        ),
        (
            "CREATE FUNCTION balance_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF TG_OP = 'INSERT' AND {_MAY_INSERT} THEN RETURN NEW; END IF; "
            f"IF TG_OP = 'UPDATE' AND {_MAY_UPDATE} THEN RETURN NEW; END IF; "
            "RAISE EXCEPTION 'balance is kept by the journal'; END $$"
        ),
        (
            "CREATE TRIGGER balance_guard BEFORE INSERT OR UPDATE ON balance "
            "FOR EACH ROW EXECUTE FUNCTION balance_guard()"
        ),
        (
            "CREATE TRIGGER balance_kept BEFORE DELETE OR TRUNCATE ON balance "
            "FOR EACH STATEMENT EXECUTE FUNCTION balance_guard()"
        ),
    ]
    for name in _SEALED:
        statements.append(
            f'CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{name}" '
            "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )
        if name != "journal":
            statements.append(
                f'CREATE TRIGGER {name}_sealed BEFORE INSERT ON "{name}" '
                "FOR EACH ROW EXECUTE FUNCTION entry_sealed()"
            )
    return statements


DIALECTS = {"sqlite": _sqlite_triggers, "postgresql": _postgres_triggers}
"""The databases that a book can be in."""


def create(connection: Connection) -> None:
    """Create the triggers of the database at hand."""
    for statement in DIALECTS[connection.dialect.name]():
        connection.execute(text(statement))  # no driver's % stands in the way
