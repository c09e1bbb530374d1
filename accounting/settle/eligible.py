"""What vouchers may bear of an account's charges: only seconds in which one is valid count.

Where an account has one time in which its vouchers are valid, the archive says what was inside it.
Where there are more (a second voucher, a freeze), runs are cut at the edges and rated once more,
each by the price list that it was rated by.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting.book import ledger, schema
from accounting.money import MICRO_PER_FEN
from accounting.policy import Policy, states_of
from accounting.rates import pricelists, rating
from accounting.rates.basis import FIRST_S
from accounting.runs import usage
from accounting.settle import drawdown, stored
from accounting.settle.drawdown import Voucher
from accounting.vouchers import freezing, holds, registry

Int64s = npt.NDArray[np.int64]


def vouchers(
    conn: Connection, account: str, policy: Policy, upto_seq: int | None = None
) -> list[Voucher]:
    """Return the vouchers of an account in the order in which they are drawn, each once for each
    time in which it is valid and not frozen.

    Args:
        conn: The book.
        account: Whose.
        policy: The rules.
        upto_seq: As of this entry. None: now.
    """
    own = holds.vouchers(conn, account)
    return of_accounts(conn, {account: own}, policy, upto_seq)[account]


def of_accounts(
    conn: Connection,
    owned: Mapping[str, Sequence[Any]],
    policy: Policy,
    upto_seq: int | None = None,
) -> dict[str, list[Voucher]]:
    """Do what `vouchers` does for many accounts; `owned` is what the book has of each."""
    last = ledger.NEVER_SEQ if upto_seq is None else upto_seq
    contract = schema.contract.c
    query = select(contract.account, contract.unit).where(contract.account.in_(owned))
    unit = {row.account: row.unit for row in conn.execute(query)}
    frozen = freezing.of_units(conn, set(unit.values()), last)
    gone = holds.taken_back(conn, last)
    left = ledger.balances(
        conn, "voucher.left", [each.id for own in owned.values() for each in own]
    )
    return {
        account: [
            Voucher(
                each.id,
                from_s,
                until_s,
                0 if each.id in gone else left.get(each.id, 0) // MICRO_PER_FEN,
                policy.deduct_bp(each.category),
            )
            for each in own
            if each.seq <= last
            for from_s, until_s in _without(
                each.from_s, each.until_s, frozen.get(unit[account], ())
            )
        ]
        for account, own in owned.items()
    }


def _without(
    from_s: int, until_s: int, frozen: Sequence[tuple[int, int, str]]
) -> list[tuple[int, int]]:
    """Cut times out of a time."""
    found = []
    for begin_s, end_s, _ in frozen:
        if from_s < min(begin_s, until_s):
            found.append((from_s, min(begin_s, until_s)))
        from_s = max(from_s, end_s)
    return [*found, (from_s, until_s)] if from_s < until_s else found


def of_month(
    conn: Connection,
    archive: Path,
    account: str,
    month: str,
    own: Sequence[Voucher],
    policy: Policy,
    upto_seq: int | None = None,
) -> list[int]:
    """Sum what an account's runs of a month cost in each interval between the edges of vouchers.

    Args:
        conn: The book.
        archive: Root of the usage archive.
        account: Whose.
        month: Of which usage.
        own: Its vouchers.
        policy: The rules.
        upto_seq: Only what was charged up to this entry. None: all.
    """
    rows = stored.charged(conn, archive, account, month, (0, upto_seq), policy.timezone)
    costs = of_runs(conn, rows, account, own, policy)
    return [int(micro) for micro in costs.sum(axis=0)]


def of_runs(
    conn: Connection, rows: pa.Table, account: str, own: Sequence[Voucher], policy: Policy
) -> Int64s:
    """Return what each run costs in each interval between the edges of vouchers, int64[n, e + 1].

    The first edges may lie before the runs: what is before all of them is what is left over.
    """
    cuts = drawdown.edges(own)
    charge = usage.numbers(rows.column("charge_micro"))
    if simple(conn, account, own):
        eligible = usage.numbers(rows.column("eligible_micro"))
        return np.column_stack([np.zeros_like(charge), eligible, charge - eligible])
    found = np.zeros((rows.num_rows, len(cuts) + 1), np.int64)
    units = registry.credit_codes(conn, account=account)
    versions = rows.column("tariff").cast(pa.string())
    for version in versions.unique().to_pylist():
        where = np.flatnonzero(pc.equal(versions, version).to_numpy())
        same = rows.take(pa.array(where)).select(usage.USAGE.names)
        accounts = pa.chunked_array([pa.array([account] * same.num_rows, pa.string())])
        prices = pricelists.loaded(conn, version)
        for k, edge_s in enumerate(cuts):
            window = {account: (FIRST_S, edge_s)}
            rated = rating.rate(same, prices, states_of(policy), window, accounts, units)
            found[where, k] = usage.numbers(rated.column("eligible_micro"))
    found[:, len(cuts)] = charge
    found[:, 1:] = np.diff(found, axis=1)
    return found


def simple(conn: Connection, account: str, own: Sequence[Voucher]) -> bool:
    """Tell whether vouchers are all valid in the one time that runs were rated with: the archive
    knows what is in it. So it does where there are none."""
    return not own or in_one_time(own, holds.validity(conn, account))


def in_one_time(own: Sequence[Voucher], rated_with: tuple[int, int] | None) -> bool:
    """Tell whether vouchers are all valid in this one time, or there are none."""
    return not own or tuple(drawdown.edges(own)) == rated_with
