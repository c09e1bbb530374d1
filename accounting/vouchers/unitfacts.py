"""What is so of a unit from a day on, who says so, and until when: blacklist, start_up.

The words are the policy's: it says which of them exclude and which a category wants.
"""

import re
from datetime import date

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import Entry, Stamp, write
from accounting.errors import InvalidInput
from accounting.policy import WORD
from accounting.vouchers.registry import find


def add(
    conn: Connection,
    unit: str,
    fact: str,
    *,
    from_on: date,
    until_on: date | None,
    source: str,
    stamp: Stamp,
) -> None:
    """Enter what is so of a unit from a day on: blacklist, start_up, related_cdaicc.

    Args:
        conn: A connection to the book.
        unit: Of whom.
        fact: A word that the policy knows.
        from_on: The first day.
        until_on: The last day. None: until it is ended.
        source: Who says so, where.
        stamp: Who enters it, when.

    Raises:
        InvalidInput: The unit is unknown, it is no word, or the last day is before the first.
        NotAllowed: It stands from that day with other facts.
    """
    find(conn, "unit", id=unit)
    if not re.fullmatch(WORD, fact):
        raise InvalidInput(f"fact {fact[:40]!r}: is no word; write it as blacklist or start_up")
    if until_on is not None and until_on < from_on:
        raise InvalidInput(f"fact {fact} of {unit}: ends before it begins; check the days")
    row = {
        "unit": unit,
        "fact": fact,
        "from_on": from_on.isoformat(),
        "until_on": until_on.isoformat() if until_on else None,
        "source": source,
    }
    key = f"unit.fact:{unit}:{fact}:{from_on}"
    write(conn, Entry(key, "unit.fact", stamp, {"unit_fact": [row]}))


def end(conn: Connection, unit: str, fact: str, *, until_on: date, stamp: Stamp) -> None:
    """Enter the last day on which something is so of a unit.

    Raises:
        InvalidInput: It is not so on that day.
        NotAllowed: It was ended on another day.
    """
    table = schema.unit_fact.c
    query = select(table.from_on).where(
        table.unit == unit, table.fact == fact, table.from_on <= until_on.isoformat()
    )
    from_on = conn.execute(query.order_by(table.from_on.desc()).limit(1)).scalar()
    if from_on is None:
        raise InvalidInput(f"fact {fact} of {unit}: is not in force on {until_on}; check the day")
    row = {"unit": unit, "fact": fact, "from_on": from_on, "until_on": until_on.isoformat()}
    key = f"unit.fact.end:{unit}:{fact}:{from_on}"
    write(conn, Entry(key, "unit.fact.end", stamp, {"unit_fact_end": [row]}))


def in_force(conn: Connection, unit: str, day: date) -> dict[str, str]:
    """Return what is so of a unit on a day; both days of a fact are inclusive."""
    ends = {
        (end.fact, end.from_on): end.until_on
        for end in conn.execute(select(schema.unit_fact_end).filter_by(unit=unit))
    }
    today = day.isoformat()
    return {
        row.fact: ""
        for row in conn.execute(select(schema.unit_fact).filter_by(unit=unit))
        if row.from_on <= today
        and today <= min(row.until_on or "9999", ends.get((row.fact, row.from_on), "9999"))
    }
