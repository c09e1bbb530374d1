"""What the database itself refuses: edits, deletions, and entries that do not sum to zero.

An entry's postings and rows go in before its journal row, which then seals them.
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
    return f"EXISTS (SELECT 1 FROM {name} WHERE {' OR '.join(same)})"  # noqa: S608 - our own names


def _sqlite_triggers() -> list[str]:
    statements = [
        f"CREATE TRIGGER {name}_no_{act.lower()} BEFORE {act} ON {name} "
        f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        for name in _SEALED
        for act in ("UPDATE", "DELETE")
    ]
    # INSERT OR REPLACE deletes without asking the triggers of DELETE.
    statements += [
        f"CREATE TRIGGER {name}_no_replace BEFORE INSERT ON {name} WHEN {_same_fact(name)} "
        f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        for name in _SEALED
    ]
    statements.append(
        "CREATE TRIGGER journal_balanced BEFORE INSERT ON journal WHEN "
        "(SELECT COALESCE(SUM(amount_micro), 0) FROM posting WHERE seq = NEW.seq) <> 0 "
        "BEGIN SELECT RAISE(ABORT, 'postings do not sum to zero'); END"
    )
    statements += [
        f"CREATE TRIGGER {name}_sealed BEFORE INSERT ON {name} WHEN "  # noqa: S608 - our own names
        "EXISTS (SELECT 1 FROM journal WHERE seq = NEW.seq) "
        f"BEGIN SELECT RAISE(ABORT, 'the entry of this {name} row is sealed'); END"
        for name in ("posting", *COVERED)
    ]
    return statements


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
    ]
    for name in _SEALED:
        statements.append(
            f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )
        if name != "journal":
            statements.append(
                f"CREATE TRIGGER {name}_sealed BEFORE INSERT ON {name} "
                "FOR EACH ROW EXECUTE FUNCTION entry_sealed()"
            )
    return statements


DIALECTS = {"sqlite": _sqlite_triggers, "postgresql": _postgres_triggers}
"""The databases that a book can be in."""


def create(connection: Connection) -> None:
    """Create the triggers of the database at hand."""
    for statement in DIALECTS[connection.dialect.name]():
        connection.execute(text(statement))  # no driver's % stands in the way
