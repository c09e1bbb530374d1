"""Who pays what of claims, where several offices fund a voucher: to the fen, over all of them.

A funder's part of a claim is what it has to bear of a voucher with the claim less what it had to
bear before: each time the whole is split in proportion to what funders gave of the voucher, by
largest remainder. So an odd fen does not fall on the same office each time, and a voucher that is
used up has cost each funder what it gave.

Example:
    Province and city gave half of 0.04 each. Four claims of 0.01: the province pays 0.01, 0.00,
    0.01 and 0.00, the city the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import money
from accounting.book import ledger, schema
from accounting.redeem import redemption

Sums = dict[str, int]


def by_voucher(lines: Sequence[Mapping[str, Any]], statements: Sequence[Mapping[str, Any]]) -> Sums:
    """Return how much of a claim each voucher bears.

    A month of a statement that is claimed in whole is borne as it was drawn; a part of it in
    proportion to that, by largest remainder.
    """
    total: Sums = {}
    for paper in statements:
        for month in paper["months"]:
            fen = sum(
                line["claimed_fen"] or 0
                for line in lines
                if (line["statement"], line["usage_month"])
                == (paper["statement"], month["usage_month"])
            )
            drawn = dict(sorted(month["drawn_fen"].items()))
            parts = list(drawn.values())
            if fen != sum(parts):
                sign = -1 if fen < 0 else 1
                parts = money.apportion(fen, [sign * abs(part) for part in parts])
            for voucher, part in zip(drawn, parts, strict=True):
                total[voucher] = total.get(voucher, 0) + part
    return {voucher: fen for voucher, fen in sorted(total.items()) if fen}


def by_funder(
    borne_fen: Mapping[str, int],
    before_fen: Mapping[str, int],
    funders: Mapping[str, Sequence[tuple[str, int]]],
    programme: str,
) -> Sums:
    """Return how much each funder pays of what vouchers bear.

    Args:
        borne_fen: By voucher.
        before_fen: What they bore before, by voucher.
        funders: What each funder gave of each voucher, in their order: earlier ones win ties.
        programme: Who pays for a voucher that names no funder.

    Example:
        66.67 of a voucher that province and city fund alike is 33.34 and 33.33.
    """
    total: Sums = {}
    for voucher, fen in borne_fen.items():
        given = funders.get(voucher) or [(programme, 1)]
        was_fen = before_fen.get(voucher, 0)
        now, was = (_split(whole_fen, given) for whole_fen in (was_fen + fen, was_fen))
        for (funder, _), a, b in zip(given, now, was, strict=True):
            total[funder] = total.get(funder, 0) + a - b
    return total


def _split(fen: int, given: Sequence[tuple[str, int]]) -> list[int]:
    sign = -1 if fen < 0 else 1
    return money.apportion(fen, [sign * weight for _, weight in given])


def of_vouchers(conn: Connection) -> dict[str, list[tuple[str, int]]]:
    """Return what each funder gave of each voucher that several pay for, in their order."""
    table = schema.voucher_funder.c
    given: dict[str, list[tuple[str, int]]] = {}
    for row in conn.execute(select(schema.voucher_funder).order_by(table.voucher, table.place)):
        given.setdefault(row.voucher, []).append((row.funder, row.amount_fen))
    return given


def before(conn: Connection, seq: int) -> Sums:
    """Return what claims bore by an entry, by voucher: what was approved of them, or is claimed.
    Where no voucher has several funders nobody needs it, and it is empty."""
    total: Sums = {}
    if of_vouchers(conn):
        for _, lines in _claimed(conn, seq):
            for voucher, fen in _borne(conn, lines).items():
                total[voucher] = total.get(voucher, 0) + fen
    return total


def of_claims(conn: Connection, programme: str) -> dict[str, Sums]:
    """Return what each funder pays of each claim: of what was approved, or as long as it is not
    reviewed of what is claimed. Empty where no voucher has several funders."""
    funders, so_far = of_vouchers(conn), dict[str, int]()
    found: dict[str, Sums] = {}
    for claim, lines in _claimed(conn) if funders else ():
        borne = _borne(conn, lines)
        found[claim] = by_funder(borne, so_far, funders, programme)
        for voucher, fen in borne.items():
            so_far[voucher] = so_far.get(voucher, 0) + fen
    return found


def _claimed(
    conn: Connection, before_seq: int = ledger.NEVER_SEQ
) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return claims with their lines as of an entry, in the order in which they were decided; then
    those that are not. What was withdrawn is nothing."""
    own, review, debt = schema.claim_line, schema.claim_review, schema.claim_debt
    line, paper = schema.statement_line, schema.statement
    same = (review.c.claim == own.c.claim) & (review.c.line == own.c.line)
    decided = func.coalesce(review.c.seq, debt.c.seq, ledger.NEVER_SEQ).label("decided")
    query = (
        select(own.c.claim, line.c.statement, line.c.usage_month, paper.c.account, decided)
        .add_columns(func.coalesce(review.c.approved_fen, own.c.amount_fen).label("claimed_fen"))
        .join(line, line.c.id == own.c.line)
        .join(paper, paper.c.id == line.c.statement)
        .outerjoin(review, same & (review.c.seq < before_seq))
        .outerjoin(debt, debt.c.claim == own.c.claim)
        .where(own.c.seq < before_seq, own.c.claim.not_in(redemption.withdrawn(before_seq)))
        .order_by(decided, own.c.seq, own.c.claim, own.c.line)
    )
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in conn.execute(query).mappings():
        found.setdefault(row["claim"], []).append(dict(row))
    return list(found.items())


def _borne(conn: Connection, lines: Sequence[Mapping[str, Any]]) -> Sums:
    """Return what vouchers bear of lines, by what the book says that each bore of their months."""
    from accounting.settle import known  # loads NumPy, which nobody needs without funders

    of = {(line["statement"], line["usage_month"]): line["account"] for line in lines}
    statements = [
        {
            "statement": statement,
            "months": [
                {
                    "usage_month": month,
                    "drawn_fen": known.borne_of(
                        conn, account, month, schema.statement.c.id == statement
                    ),
                }
            ],
        }
        for (statement, month), account in of.items()
    ]
    return by_voucher(lines, statements)
