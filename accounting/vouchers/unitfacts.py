"""What is so of a unit from a day on, who says so, and until when: blacklist, start_up.

The words are the policy's: it says which of them exclude and which a category wants. A word that
no rule asks for is refused, here and where applications and contracts say something: one that is
misspelt would stand in the book and mean nothing.
"""

import difflib
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.book.ledger import Entry, Stamp, write
from accounting.errors import InvalidInput
from accounting.money import yuan
from accounting.policy import Policy, percent
from accounting.vouchers.registry import find


def add(
    conn: Connection,
    unit: str,
    fact: str,
    *,
    from_on: date,
    until_on: date | None,
    source: str,
    policy: Policy,
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
        policy: The rules.
        stamp: Who enters it, when.

    Raises:
        InvalidInput: The unit is unknown, no rule asks for it, or the last day is before the first.
        NotAllowed: It stands from that day with other facts.
    """
    find(conn, "unit", id=unit)
    providers = conn.execute(select(schema.provider.c.id)).scalars()
    _insist(fact, _of_units(policy) | {f"related_{name}" for name in providers}, f"unit {unit}")
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
    day = until_on.isoformat()
    table = schema.unit_fact.c
    query = select(table.from_on, table.until_on).where(
        table.unit == unit, table.fact == fact, table.from_on <= day
    )
    found = conn.execute(query.order_by(table.from_on.desc()).limit(1)).one_or_none()
    if found is None or (found.until_on is not None and found.until_on < day):
        raise InvalidInput(f"fact {fact} of {unit}: is not in force on {day}; check the day")
    row = {"unit": unit, "fact": fact, "from_on": found.from_on, "until_on": day}
    key = f"unit.fact.end:{unit}:{fact}:{found.from_on}"
    write(conn, Entry(key, "unit.fact.end", stamp, {"unit_fact_end": [row]}))


def listed(conn: Connection, unit: str) -> list[dict[str, Any]]:
    """List a unit's facts: fact, from_on, until_on (the earlier of both ends) or None, source."""
    ends = {
        (end.fact, end.from_on): end.until_on
        for end in conn.execute(select(schema.unit_fact_end).filter_by(unit=unit))
    }
    rows = []
    query = select(schema.unit_fact).filter_by(unit=unit).order_by(schema.unit_fact.c.seq)
    for row in conn.execute(query).mappings():
        until = [day for day in (row["until_on"], ends.get((row["fact"], row["from_on"]))) if day]
        rows.append(dict(row) | {"until_on": min(until, default=None)})
    return rows


def in_force(conn: Connection, unit: str, day: date) -> dict[str, str]:
    """Return what is so of a unit on a day; both days of a fact are inclusive."""
    today = day.isoformat()
    return {
        row["fact"]: ""
        for row in listed(conn, unit)
        if row["from_on"] <= today <= (row["until_on"] or "9999")
    }


def _of_units(policy: Policy) -> set[str]:
    """Return the words that rules ask of units, but for those that name a provider."""
    words = set(policy.eligibility.forbid)
    return words.union(*((*each.requires, *each.forbids) for each in policy.categories.values()))


def check_stated(policy: Policy, stated: Mapping[str, str]) -> None:
    """Check what an application says of itself.

    Raises:
        InvalidInput: No rule asks for a word, or the share that it says is none.
    """
    supports = (each.support for each in policy.categories.values())
    shares = {support.fact for support in supports if support is not None}
    for word, value in stated.items():
        _insist(word, _of_units(policy) | shares, "application")
        if word in shares:
            try:
                percent(value)
            except ValueError as error:
                raise InvalidInput(f"application: {word}: {error}") from None


def check_parts(policy: Policy, contract: str, parts: Mapping[str, int], fee_fen: int) -> None:
    """Check what of a contract's fee is no computing, fen.

    Raises:
        InvalidInput: No rule asks for a part, or they are not between 0.01 yuan and the fee.
    """
    known = {kind for each in policy.categories.values() for kind in each.exclude_parts}
    for kind, amount_fen in parts.items():
        _insist(kind, known, f"contract {contract}")
        if amount_fen <= 0:
            raise InvalidInput(f"contract {contract}: part {kind} is not above zero; leave it out")
    total_fen = sum(parts.values())
    if total_fen > fee_fen:
        raise InvalidInput(
            f"contract {contract}: its parts are {yuan(total_fen)} yuan, the fee is "
            f"{yuan(fee_fen)}; check them"
        )


def _insist(word: str, known: Collection[str], where: str) -> None:
    if word not in known:
        near = difflib.get_close_matches(word, known, 1)
        names = ", ".join(sorted(known)) or "nothing"
        advice = f"did you mean {near[0]!r}?" if near else f"they ask for {names}"
        raise InvalidInput(f"{where}: {word[:40]!r} is nothing that the rules ask for; {advice}")
