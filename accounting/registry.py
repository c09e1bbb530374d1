"""Who takes part: providers, units, their contracts, members and cash. Step one of the rules.

A contract of one unit with one provider is one voucher account, which is what `--voucher` names.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import money, period, schema
from accounting.errors import InvalidInput, NotAllowed
from accounting.ledger import Entry, Posting, Stamp, balance, lock, write
from accounting.policy import Policy

_CREDIT_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def check_credit_code(code: str) -> None:
    """Check a unified social credit code: 18 characters, the last one a check digit.

    Raises:
        InvalidInput: Says which character is wrong and what was expected.

    Source:
        GB 32100-2015, 5.2: weights 3^(i-1) mod 31, check = 31 - sum mod 31.
    """
    if len(code) != 18:
        raise InvalidInput(f"credit code {code!r}: {len(code)} characters, 18 are expected")
    for place, character in enumerate(code, 1):
        if character not in _CREDIT_CODE:
            raise InvalidInput(
                f"credit code {code!r}: character {place} is {character!r}; digits and capital "
                "letters without I, O, S, V, Z are used"
            )
    total = sum(_CREDIT_CODE.index(c) * pow(3, i, 31) for i, c in enumerate(code[:17]))
    expected = _CREDIT_CODE[-total % 31]
    if code[17] != expected:
        raise InvalidInput(
            f"credit code {code}: the check digit is {code[17]}, {expected} was expected; "
            "compare it with the licence"
        )


def find(conn: Connection, table: str, **key: object) -> Any:
    """Return the one row of a table with these values, or raise InvalidInput that names it."""
    row = conn.execute(select(schema.COVERED[table]).filter_by(**key)).one_or_none()
    if row is None:
        named = " ".join(str(value) for value in key.values())
        raise InvalidInput(f"{table} {named}: not in the book; check the name or register it first")
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

    Raises:
        InvalidInput: The credit code is wrong or belongs to another unit.
    """
    check_credit_code(credit_code)
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
        "revenue_fen": revenue_fen,
        "revenue_year": revenue_year,
    }
    write(conn, Entry(f"unit:{unit_id}", "unit.register", stamp, {"unit": [row]}))


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
) -> str:
    """Enter a contract and open its voucher account.

    Returns:
        The voucher account, such as CD26-0001; the same one when it is repeated.

    Raises:
        InvalidInput: Unit or provider is unknown, or the contract ends before it begins.
        NotAllowed: The contract stands in the book with other facts.
    """
    find(conn, "unit", id=unit)
    find(conn, "provider", id=provider)
    if last_day < signed_on:
        raise InvalidInput(
            f"contract {contract_id}: ends {last_day}, signed {signed_on}; check the dates"
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
        if any(known[name] != value for name, value in facts.items()):
            raise NotAllowed(
                f"contract {contract_id}: stands in the book with other facts; amend it, do not"
                " repeat it"
            )
        return str(known["account"])
    account = _next_account(conn, policy, stamp.effective_s)
    row = facts | {"account": account}
    write(conn, Entry(f"contract:{contract_id}", "contract.sign", stamp, {"contract": [row]}))
    return account


def _next_account(conn: Connection, policy: Policy, effective_s: int) -> str:
    year = period.day_of(effective_s, policy.timezone).year % 100
    stem = f"{policy.account_prefix}{year:02d}-"
    count = conn.execute(
        select(func.count()).where(schema.contract.c.account.startswith(stem))
    ).scalar_one()
    return f"{stem}{count + 1:04d}"


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
        NotAllowed: The user belongs to another unit at that time.
    """
    find(conn, "unit", id=unit)
    other = unit_of(conn, cluster, uid, from_s)
    if other == unit:
        return
    if other is not None:
        raise NotAllowed(f"member {uid}@{cluster}: belongs to unit {other} already; end that first")
    row = {"unit": unit, "cluster": cluster, "uid": uid, "from_s": from_s, "until_s": until_s}
    key = f"member:{unit}:{cluster}:{uid}:{from_s}"
    write(conn, Entry(key, "member.add", stamp, {"member": [row]}))


def unit_of(conn: Connection, cluster: str, uid: int, at_s: int) -> str | None:
    """Return the unit for which a user of a cluster computes at an instant, or None."""
    table = schema.member
    return conn.execute(
        select(table.c.unit)
        .where(table.c.cluster == cluster, table.c.uid == uid, table.c.from_s <= at_s)
        .where((table.c.until_s.is_(None)) | (table.c.until_s > at_s))
    ).scalar()


def pay_in(
    conn: Connection, account: str, *, amount_fen: int, reference: str, paid_on: date, stamp: Stamp
) -> None:
    """Record cash that a unit paid in. It settles what the unit owes first, the rest is free.

    Args:
        reference: The bank's own number: the same number is the same payment.

    Raises:
        InvalidInput: The account is unknown or the amount is not above zero.
    """
    contract = find(conn, "contract", account=account)
    if amount_fen <= 0:
        raise InvalidInput(f"payment {reference}: {money.yuan(amount_fen)} yuan is not above zero")
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


def contracts(conn: Connection, **filters: object) -> list[Mapping[str, Any]]:
    """List contracts in the order in which they were entered."""
    query = select(schema.contract).filter_by(**filters).order_by(schema.contract.c.seq)
    return [dict(row) for row in conn.execute(query).mappings()]
