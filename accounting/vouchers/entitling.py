"""What an application is entitled to as the book stands: its facts, and the rules' answer.

The arithmetic is granting.py's. Here the book is asked for what it needs: who the unit is, what is
so of it on that day, and what was issued before.
"""

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Connection

from accounting import money, period
from accounting.book import schema
from accounting.errors import CapReached, NotEligible
from accounting.policy import Cap, Policy
from accounting.vouchers import freezing, granting, unitfacts
from accounting.vouchers.granting import Facts, Grant
from accounting.vouchers.registry import find, revenue_of, terms


@dataclass(frozen=True)
class Entitlement:
    """What is issued for one application, fen; half-open validity."""

    amount_fen: int
    trimmed: bool
    funders_fen: tuple[tuple[str, int], ...]
    from_s: int
    until_s: int
    issued_on: date
    grant: Grant


def entitled(
    conn: Connection,
    application_id: str,
    policy: Policy,
    effective_s: int,
    most_fen: int | None = None,
) -> Entitlement:
    """Work out what is issued for an application at an instant.

    Args:
        conn: The book.
        application_id: Which one.
        policy: The rules.
        effective_s: The instant.
        most_fen: What was confirmed, where it was before: never more. None: it was not.

    Raises:
        NotEligible: The rules exclude it, the unit is frozen, or the contract has ended.
        CapReached: Nothing is left of the unit's limit, or too little of the programme's.
    """
    day = period.day_of(effective_s, policy.timezone)
    facts = application_facts(conn, application_id, policy, day)
    if freezing.is_frozen(conn, facts.unit, effective_s):
        raise NotEligible(
            f"{facts.name}: unit {facts.unit} is frozen on {day}, a voucher is for one that is "
            "not; wait for its end, or refuse it"
        )
    grant = granting.grant(
        policy, facts, lambda cap: issued_under(conn, cap, facts, policy, application_id)
    )
    wanted_fen = grant.wanted_fen if most_fen is None else min(grant.wanted_fen, most_fen)
    amount_fen = _with_programme(conn, application_id, grant, wanted_fen)
    contract_id = find(conn, "application", id=application_id).contract
    from_s, until_s = validity(conn, contract_id, day, policy)
    if until_s <= from_s or terms(conn, contract_id).ended:
        raise NotEligible(
            f"contract {contract_id}: it ended before {day}; a voucher needs one that still runs"
        )
    trimmed = grant.trimmed or amount_fen < grant.wanted_fen
    return Entitlement(amount_fen, trimmed, _funded(grant, amount_fen), from_s, until_s, day, grant)


def validity(
    conn: Connection, contract_id: str, day: date, policy: Policy, before_seq: int | None = None
) -> tuple[int, int]:
    """Return from when until when a voucher is valid that is issued on a day, half-open.

    Args:
        conn: The book.
        contract_id: For which contract.
        day: When it is issued.
        policy: The rules.
        before_seq: As the contract was before an entry. None: as it is now.
    """
    end_s = terms(conn, contract_id, before_seq).until_s
    return period.instant(day, policy.timezone), min(end_s, _months_later(day, policy))


def _with_programme(conn: Connection, application_id: str, grant: Grant, wanted_fen: int) -> int:
    """Take what is left of the programme's limit, where the unit said that less will do."""
    if grant.limit is None or grant.left_fen >= wanted_fen:
        return wanted_fen
    consents = select(schema.consent).filter_by(application=application_id)
    if grant.left_fen and conn.execute(consents).first() is not None:
        return grant.left_fen
    raise CapReached(
        f"application {application_id}: {money.yuan(wanted_fen)} yuan wanted, "
        f"{money.yuan(grant.left_fen)} of {money.yuan(grant.limit.max_fen)} "
        f"{granting.SPANS[grant.limit.per]} is left for the programme; it waits until money is "
        "freed",
        wanted_fen,
    )


def _funded(grant: Grant, amount_fen: int) -> tuple[tuple[str, int], ...]:
    """Say who pays how much of what is issued: each its share, also of a trimmed voucher."""
    names = [name for name, _ in grant.funders_fen]
    parts = [fen for _, fen in grant.funders_fen]
    return tuple(zip(names, money.apportion(amount_fen, parts) if parts else (), strict=True))


def application_facts(conn: Connection, application_id: str, policy: Policy, day: date) -> Facts:
    """Gather an entered application's facts as of a day."""
    row = find(conn, "application", id=application_id)
    entered_s = select(schema.journal.c.effective_s).filter_by(seq=row.seq)
    stated = select(schema.application_fact).filter_by(application=application_id)
    return contract_facts(
        conn,
        row.contract,
        day,
        name=f"application {application_id}",
        category=row.category,
        project=row.project,
        more_fen=row.fee_fen,
        amended_on=terms(conn, row.contract, row.seq).amended_on,
        stated={fact.fact: fact.value or "" for fact in conn.execute(stated)},
        applied_on=period.day_of(conn.execute(entered_s).scalar_one(), policy.timezone),
    )


def contract_facts(
    conn: Connection,
    contract_id: str,
    day: date,
    *,
    name: str,
    category: str | None,
    project: str | None,
    stated: Mapping[str, str],
    more_fen: int | None = None,
    amended_on: date | None = None,
    applied_on: date | None = None,
) -> Facts:
    """Gather the facts of an application for a contract as of a day.

    Args:
        conn: A connection to the book.
        contract_id: What is applied for.
        day: The day that counts.
        name: What messages call the application.
        category: Which one it is for, or None: the first that fits.
        project: Its project, where it is for one.
        stated: What the application says of itself.
        more_fen: What an amendment added to the fee, where it is for that. None: it is for the
            contract as it was signed.
        amended_on: When that amendment took effect.
        applied_on: The day of the application. None: `day`.
    """
    contract = find(conn, "contract", id=contract_id)
    unit = find(conn, "unit", id=contract.unit)
    signed_on, parts_fen = date.fromisoformat(contract.signed_on), {}
    if more_fen is not None:
        signed_on = amended_on or signed_on
    else:
        parts = conn.execute(select(schema.contract_part).filter_by(contract=contract_id))
        parts_fen = {part.kind: part.amount_fen for part in parts}
    return Facts(
        name=name,
        unit=unit.id,
        kind=unit.kind,
        provider=contract.provider,
        fee_fen=contract.fee_fen if more_fen is None else more_fen,
        on=day,
        signed_on=signed_on,
        applied_on=applied_on,
        category=category,
        revenue_fen=revenue_of(conn, unit.id, day.year - 1),
        project=project,
        parts_fen=parts_fen,
        facts={**unitfacts.in_force(conn, unit.id, day), **stated},
        contracts_year_fen=_contracts_fen(conn, unit.id, day.year),
        first_year=_first_year(conn, unit.id),
    )


def _contracts_fen(conn: Connection, unit: str, year: int) -> int:
    table = schema.contract.c
    signed = select(table.id).where(table.unit == unit, table.signed_on.startswith(f"{year}-"))
    return sum(terms(conn, each).fee_fen for each in conn.execute(signed).scalars().all())


def _first_year(conn: Connection, unit: str) -> int | None:
    first = (
        select(func.min(schema.voucher.c.issued_on))
        .join(schema.contract, schema.contract.c.account == schema.voucher.c.account)
        .where(schema.contract.c.unit == unit)
    )
    day = conn.execute(first).scalar_one()
    return None if day is None else date.fromisoformat(day).year


def issued_under(
    conn: Connection,
    cap: Cap,
    facts: Facts,
    policy: Policy,
    application: str,
    before_seq: int | None = None,
) -> int:
    """Return the sum of vouchers that count towards a limit for an application, fen: not its own,
    so that the question has the same answer after it was issued."""
    return issued_fen(
        conn,
        cap.categories,
        policy.timezone,
        year=facts.on.year if cap.per == "year" else None,
        unit=facts.unit if cap.scope == "unit" else None,
        project=facts.project if cap.scope == "project" else None,
        but=application,
        before_seq=before_seq,
    )


def issued_fen(
    conn: Connection,
    categories: tuple[str, ...],
    timezone: str,
    *,
    year: int | None = None,
    unit: str | None = None,
    project: str | None = None,
    but: str | None = None,
    before_seq: int | None = None,
) -> int:
    """Return the sum of vouchers issued in some categories, less what of them was cancelled, fen.

    Of a year's vouchers, what is cancelled later frees no money of that year.

    Args:
        conn: A connection to the book.
        categories: Which ones count.
        timezone: Where a year begins and ends.
        year: Only those of a year.
        unit: Only those of a unit.
        project: Only those of a project.
        but: Not that of this application.
        before_seq: As it was before an entry. None: now.
    """
    own, end = schema.voucher.c, schema.voucher_end.c
    counts: list[ColumnElement[bool]] = [own.category.in_(categories)]
    cancelled = [end.kind == "cancelled"]
    if year is not None:
        counts.append(own.issued_on.startswith(f"{year}-"))
        cancelled.append(end.at_s < period.instant(date(year + 1, 1, 1), timezone))
    if unit is not None:
        counts.append(schema.contract.c.unit == unit)
    if before_seq is not None:
        counts.append(own.seq < before_seq)
        cancelled.append(end.seq < before_seq)
    if but is not None:
        counts.append(own.application != but)
    if project is not None:
        counts.append(schema.application.c.project == project)
    ids = (
        select(own.id)
        .join(schema.contract, schema.contract.c.account == own.account)
        .join(schema.application, schema.application.c.id == own.application)
        .where(*counts)
    )
    issued = select(func.coalesce(func.sum(own.amount_fen), 0)).where(own.id.in_(ids))
    freed = select(func.coalesce(func.sum(end.amount_fen), 0)).where(
        end.voucher.in_(ids), *cancelled
    )
    return int(conn.execute(issued).scalar_one()) - int(conn.execute(freed).scalar_one())


def _months_later(day: date, policy: Policy) -> int:
    """Return the instant at which the last valid day ends: 29 February → 28 February.

    Source:
        民法典 201, 202, 203: the first day does not count, the last one is the same day of the
        last month or that month's end, and it ends at 24:00.
    """
    months = day.month - 1 + policy.months_max
    year, month = day.year + months // 12, months % 12 + 1
    last_day = date(year, month, min(day.day, monthrange(year, month)[1]))
    return period.instant(last_day + timedelta(days=1), policy.timezone)
