"""Who takes part: providers, units, their contracts, members and cash. Step one of the rules.

A contract of one unit with one provider is one voucher account, which is what `--voucher` names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.engine import Connection

from accounting import creditcode, money, period
from accounting.book import schema
from accounting.book.ledger import Entry, Posting, Stamp, balance, lock, reversed_by, write
from accounting.errors import InvalidInput, NotAllowed
from accounting.policy import UNIT_KINDS, Policy

_MEMBER_KEY = ("unit", "cluster", "uid", "from_s")

_ADVICE = {
    "application": "check the number that svoucher apply has told",
    "statement": "see svoucher statement list",
    "statement_line": "see svoucher statement list",
    "voucher": "see svoucher voucher list",
}
"""What helps where a name is given by the book, and nobody registers it."""


def find(conn: Connection, table: str, **key: object) -> Any:
    """Return the one row of a table with these values, or raise InvalidInput that names it."""
    row = conn.execute(select(schema.COVERED[table]).filter_by(**key)).one_or_none()
    if row is None:
        named = " ".join(str(value) for value in key.values())
        advice = _ADVICE.get(table, "check the name or register it first")
        raise InvalidInput(f"{table} {named}: not in the book; {advice}")
    return row


def add_provider(conn: Connection, provider_id: str, name: str, stamp: Stamp) -> None:
    """Enter a provider (供给方)."""
    row = {"id": provider_id, "name": name}
    write(conn, Entry(f"provider:{provider_id}", "provider.add", stamp, {"provider": [row]}))


def register_unit(
    conn: Connection,
    unit_id: str,
    *,
    name: str,
    credit_code: str,
    kind: str,
    revenue_fen: int | None,
    revenue_year: int | None,
    stamp: Stamp,
) -> None:
    """Register a unit (单位注册), once.

    Args:
        revenue_fen: Main-business revenue of `revenue_year`; None where it is not known. Other
            years follow by `add_revenue`.

    Raises:
        InvalidInput: Kind or credit code is wrong, or the code belongs to another unit.
    """
    creditcode.check(credit_code)
    if kind not in UNIT_KINDS:
        raise InvalidInput(f"unit {unit_id}: kind {kind!r} is unknown; use {', '.join(UNIT_KINDS)}")
    lock(conn)
    other = conn.execute(
        select(schema.unit.c.id).where(schema.unit.c.credit_code == credit_code)
    ).scalar()
    if other not in (None, unit_id):
        raise InvalidInput(
            f"unit {unit_id}: {other} is registered with credit code {credit_code}; use {other}"
        )
    row = {
        "id": unit_id,
        "name": name,
        "credit_code": credit_code,
        "kind": kind,
    }
    rows: dict[str, list[dict[str, Any]]] = {"unit": [row]}
    if revenue_fen is not None and revenue_year is not None:
        rows["revenue"] = [_revenue(unit_id, revenue_year, revenue_fen)]
    write(conn, Entry(f"unit:{unit_id}", "unit.register", stamp, rows))


def add_revenue(conn: Connection, unit: str, year: int, amount_fen: int, stamp: Stamp) -> None:
    """Register a unit's main-business revenue of one more year.

    Raises:
        InvalidInput: The unit is unknown or the revenue is below zero.
        NotAllowed: Another revenue of that year stands in the book.
    """
    find(conn, "unit", id=unit)
    lock(conn)
    row = _revenue(unit, year, amount_fen)
    known = revenue_of(conn, unit, year)
    if known is not None:
        if known != amount_fen:
            raise NotAllowed(
                f"unit {unit}: revenue of {year} stands as {money.yuan(known)} yuan, not "
                f"{money.yuan(amount_fen)}; compare it with the annual report"
            )
        return
    write(conn, Entry(f"revenue:{unit}:{year}", "unit.revenue", stamp, {"revenue": [row]}))


def _revenue(unit: str, year: int, amount_fen: int) -> dict[str, Any]:
    if amount_fen < 0:
        raise InvalidInput(
            f"unit {unit}: revenue of {year} is {money.yuan(amount_fen)} yuan, at least 0.00 is "
            "expected; check the annual report"
        )
    return {"unit": unit, "year": year, "amount_fen": amount_fen}


def revenue_of(conn: Connection, unit: str, year: int) -> int | None:
    """Return a unit's main-business revenue of a year, fen, or None where it is not known."""
    query = select(schema.revenue.c.amount_fen).filter_by(unit=unit, year=year)
    return conn.execute(query).scalar()


def sign_contract(
    conn: Connection,
    contract_id: str,
    *,
    unit: str,
    provider: str,
    signed_on: date,
    last_day: date,
    fee_fen: int,
    policy: Policy,
    stamp: Stamp,
    parts_fen: Mapping[str, int] | None = None,
) -> str:
    """Enter a contract and open its voucher account.

    Args:
        conn: A connection to the book.
        contract_id: Its own number.
        unit: Who buys.
        provider: Who computes.
        signed_on: Day of signing, and first day.
        last_day: Its last day.
        fee_fen: All of it.
        policy: The rules.
        stamp: Who enters it, when.
        parts_fen: What of the fee is no computing, by kind: storage, network.

    Returns:
        The voucher account, such as CD26-0001; the same one when it is repeated.

    Raises:
        InvalidInput: Unit or provider is unknown, the fee is not above zero, or the contract
            ends before it begins or is signed in the future.
        NotAllowed: The contract stands in the book with other facts.
    """
    find(conn, "unit", id=unit)
    find(conn, "provider", id=provider)
    if last_day < signed_on:
        raise InvalidInput(
            f"contract {contract_id}: ends {last_day}, signed {signed_on}; check the dates"
        )
    today = period.day_of(stamp.effective_s, policy.timezone)
    if signed_on > today:
        raise InvalidInput(
            f"contract {contract_id}: signed {signed_on}, today is {today}; enter it when it is "
            "signed"
        )
    if fee_fen <= 0:
        raise InvalidInput(
            f"contract {contract_id}: fee {money.yuan(fee_fen)} yuan is not above zero; check it"
        )
    lock(conn)
    facts = {
        "id": contract_id,
        "unit": unit,
        "provider": provider,
        "signed_on": signed_on.isoformat(),
        "from_s": period.instant(signed_on, policy.timezone),
        "until_s": period.instant(last_day + timedelta(days=1), policy.timezone),
        "fee_fen": fee_fen,
    }
    known = conn.execute(select(schema.contract).filter_by(id=contract_id)).mappings().one_or_none()
    if known is not None:
        own = select(schema.contract_part.c.kind, schema.contract_part.c.amount_fen)
        parts = {
            row.kind: row.amount_fen for row in conn.execute(own.filter_by(contract=contract_id))
        }
        if parts != (parts_fen or {}) or any(known[k] != value for k, value in facts.items()):
            raise NotAllowed(
                f"contract {contract_id}: stands in the book with other facts; enter an amendment"
                " as a contract of its own, do not repeat it"
            )
        return str(known["account"])
    account = _next_account(conn, policy, stamp.effective_s)
    rows: dict[str, list[Mapping[str, Any]]] = {"contract": [facts | {"account": account}]}
    if parts_fen:
        rows["contract_part"] = [
            {"contract": contract_id, "kind": kind, "amount_fen": fen}
            for kind, fen in sorted(parts_fen.items())
        ]
    write(conn, Entry(f"contract:{contract_id}", "contract.sign", stamp, rows))
    return account


@dataclass(frozen=True)
class Terms:
    """What a contract says by now.

    Attributes:
        fee_fen: Its fee.
        until_s: Its end, exclusive.
        ended: It was ended before its time.
        changes: How often it was amended or ended.
        amended_on: When its last amendment took effect.
        amended_seq: The entry of that.
    """

    fee_fen: int
    until_s: int
    ended: bool = False
    changes: int = 0
    amended_on: date | None = None
    amended_seq: int = 0


def terms(conn: Connection, contract_id: str, before_seq: int | None = None) -> Terms:
    """Return a contract's terms as amended by now, or before an entry."""
    contract = find(conn, "contract", id=contract_id)
    change = schema.contract_change.c
    query = select(schema.contract_change).where(change.contract == contract_id)
    if before_seq is not None:
        query = query.where(change.seq < before_seq)
    found = Terms(contract.fee_fen, contract.until_s)
    for row in conn.execute(query.order_by(change.number)):
        found = replace(found, fee_fen=row.fee_fen, until_s=row.until_s, changes=row.number)
        if row.kind == "ended":
            found = replace(found, ended=True)
        else:
            on = date.fromisoformat(row.effective_on)
            found = replace(found, amended_on=on, amended_seq=row.seq)
    return found


def _next_account(conn: Connection, policy: Policy, effective_s: int) -> str:
    year = period.day_of(effective_s, policy.timezone).year % 100
    stem = f"{policy.account_prefix}{year:02d}-"
    count = conn.execute(
        select(func.count()).where(schema.contract.c.account.startswith(stem, autoescape=True))
    ).scalar_one()
    return f"{stem}{count + 1:04d}"


_last_s = func.coalesce(schema.member_end.c.until_s, schema.member.c.until_s)
_MEMBERS = select(schema.member, _last_s.label("last_s")).outerjoin(
    schema.member_end,
    and_(*(schema.member_end.c[name] == schema.member.c[name] for name in _MEMBER_KEY)),
)
"""Memberships; each runs until `last_s`, or on where that is NULL."""


def add_member(
    conn: Connection,
    unit: str,
    *,
    cluster: str,
    uid: int,
    from_s: int,
    until_s: int | None,
    stamp: Stamp,
) -> None:
    """Let a user of a cluster spend a unit's voucher accounts, from an instant on.

    Raises:
        InvalidInput: The unit is unknown, or the time ends before it begins.
        NotAllowed: The user belongs to another unit in that time, or to this one for part of it.
    """
    find(conn, "unit", id=unit)
    if until_s is not None and until_s <= from_s:
        raise InvalidInput(f"member {uid}@{cluster}: ends before it begins; check the dates")
    lock(conn)
    query = _MEMBERS.where(schema.member.c.cluster == cluster, schema.member.c.uid == uid)
    query = query.where(_last_s.is_(None) | (_last_s > from_s))
    if until_s is not None:
        query = query.where(schema.member.c.from_s < until_s)
    for other in conn.execute(query):
        within = other.last_s is None or (until_s is not None and until_s <= other.last_s)
        if other.unit == unit and other.from_s <= from_s and within:
            return
        raise NotAllowed(
            f"member {uid}@{cluster}: belongs to unit {other.unit} in that time already; end that"
            " first"
        )
    row = {"unit": unit, "cluster": cluster, "uid": uid, "from_s": from_s, "until_s": until_s}
    key = f"member:{unit}:{cluster}:{uid}:{from_s}"
    write(conn, Entry(key, "member.add", stamp, {"member": [row]}))


def end_member(
    conn: Connection, unit: str, *, cluster: str, uid: int, until_s: int, stamp: Stamp
) -> None:
    """End a user's membership at an instant; jobs that are held or run already go on.

    Raises:
        InvalidInput: The user is no member of the unit then.
        NotAllowed: The membership was ended at another instant.
    """
    lock(conn)
    table = schema.member
    query = _MEMBERS.where(table.c.unit == unit, table.c.cluster == cluster, table.c.uid == uid)
    query = query.where(table.c.from_s <= until_s).order_by(table.c.from_s.desc()).limit(1)
    found = conn.execute(query).one_or_none()
    if found is None or (found.until_s is not None and found.until_s <= until_s):
        raise InvalidInput(f"member {uid}@{cluster}: is not in unit {unit} then; check the date")
    row = {"unit": unit, "cluster": cluster, "uid": uid, "from_s": found.from_s, "until_s": until_s}
    key = f"member.end:{unit}:{cluster}:{uid}:{found.from_s}"
    write(conn, Entry(key, "member.end", stamp, {"member_end": [row]}))


def unit_of(conn: Connection, cluster: str, uid: int, at_s: int) -> str | None:
    """Return the unit for which a user of a cluster computes at an instant, or None."""
    return units_of(conn, cluster, [uid], at_s)[uid][0]


def unit_by_account(conn: Connection) -> dict[str, str]:
    """Return the unit of each voucher account."""
    contract = schema.contract.c
    return {row.account: row.unit for row in conn.execute(select(contract.account, contract.unit))}


def units_of(
    conn: Connection, cluster: str, uids: Sequence[int], at_s: int
) -> dict[int, tuple[str | None, int | None]]:
    """Return for which unit users of a cluster compute at an instant, or None, and until when
    that stands by itself; None: for good."""
    table = schema.member.c
    query = _MEMBERS.where(table.cluster == cluster, table.uid.in_(uids)).order_by(table.from_s)
    found: dict[int, tuple[str | None, int | None]] = {}
    for row in conn.execute(query):
        if row.uid in found or (row.last_s is not None and row.last_s <= at_s):
            continue
        found[row.uid] = (row.unit, row.last_s) if row.from_s <= at_s else (None, row.from_s)
    return {uid: found.get(uid, (None, None)) for uid in uids}


def members(conn: Connection, at_s: int, **filters: object) -> list[dict[str, Any]]:
    """List who may compute for units, now or from a later day on, the first ones first.

    Args:
        filters: Columns of `member` that have a value.
    """
    table = schema.member.c
    query = _MEMBERS.where(_last_s.is_(None) | (_last_s > at_s))
    query = query.where(*(table[name] == value for name, value in filters.items()))
    found = conn.execute(query.order_by(table.unit, table.from_s, table.uid))
    return [dict(row) for row in found.mappings()]


def spenders(conn: Connection, cluster: str) -> tuple[list[str], list[int]]:
    """List the accounts and the users of a cluster, the newest first."""
    account, member = schema.contract.c, schema.member.c
    accounts = conn.execute(select(account.account).order_by(account.seq.desc())).scalars()
    users = select(member.uid).where(member.cluster == cluster).order_by(member.seq.desc())
    return list(accounts), list(dict.fromkeys(conn.execute(users).scalars()))


def pay_in(
    conn: Connection, account: str, *, amount_fen: int, reference: str, paid_on: date, stamp: Stamp
) -> None:
    """Record cash that a unit paid in. It settles what the unit owes first, the rest is free.

    Args:
        reference: The bank's own number: the same number is the same payment.

    Raises:
        InvalidInput: The account is unknown or the amount is not above zero.
        NotAllowed: The number stands in the book with other facts.
    """
    contract = find(conn, "contract", account=account)
    if amount_fen <= 0:
        raise InvalidInput(
            f"payment {reference}: {money.yuan(amount_fen)} yuan is not above zero; check it"
        )
    lock(conn)
    row = {
        "reference": reference,
        "account": account,
        "amount_fen": amount_fen,
        "paid_on": paid_on.isoformat(),
    }
    known = (
        conn.execute(select(schema.payment).filter_by(reference=reference)).mappings().one_or_none()
    )
    if known is not None:
        if {name: known[name] for name in row} != row:
            raise NotAllowed(
                f"payment {reference}: stands in the book with other facts; check the bank's number"
            )
        by = reversed_by(conn, known["seq"])
        if by is not None:
            raise NotAllowed(
                f"payment {reference}: was taken back by entry {by}; another payment has another "
                "number"
            )
        return
    micro = amount_fen * money.MICRO_PER_FEN
    owed = min(micro, owed_micro(conn, account))
    postings = [Posting("bank", contract.provider, micro)]
    if owed:
        postings.append(Posting("receivable", account, -owed))
    if micro > owed:
        postings.append(Posting("cash", account, owed - micro))
    write(conn, Entry(f"payment:{reference}", "payment", stamp, {"payment": [row]}, postings))


def owed_micro(conn: Connection, account: str) -> int:
    """Return what the unit owes on a voucher account, micro-yuan."""
    return balance(conn, "receivable", account)


def credit_codes(conn: Connection, **filters: object) -> dict[str, str]:
    """Return the credit code of the unit behind each voucher account."""
    query = select(schema.contract.c.account, schema.unit.c.credit_code).join(
        schema.unit, schema.unit.c.id == schema.contract.c.unit
    )
    found = conn.execute(query.where(*(schema.contract.c[k] == v for k, v in filters.items())))
    return {row.account: row.credit_code for row in found}


def contracts(conn: Connection, **filters: object) -> list[Mapping[str, Any]]:
    """List contracts in the order in which they were entered."""
    query = select(schema.contract).filter_by(**filters).order_by(schema.contract.c.seq)
    return [dict(row) for row in conn.execute(query).mappings()]
