"""What keeps a month open: it has not ended, or runs of it are unrated or not collected.

Only what concerns the provider or account that is closed counts. What nobody can tell whose it is
concerns every provider, for unknown is never zero; it is no account's, for it names none.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema
from accounting.book.ledger import Stamp
from accounting.errors import Refused
from accounting.policy import Policy
from accounting.rates import pricelists
from accounting.rates.tariff import Tariff
from accounting.runs import watermarks
from accounting.settle import owners, stored

_NAMED_MAX = 5
"""How many runs a refusal names."""


def check(
    conn: Connection,
    archive: Path,
    month: str,
    provider: str,
    account: str | None,
    policy: Policy,
    stamp: Stamp,
) -> None:
    """Refuse to close a month that has not ended, or of which something is missing.

    Args:
        conn: The book.
        archive: Root of the usage archive.
        month: Which one.
        provider: Whose.
        account: Which account of theirs. None: all.
        policy: The rules.
        stamp: Who, when.

    Raises:
        Refused: Says what is missing, and names it.
    """
    end_s = period.bounds(month, policy.timezone)[1]
    if stamp.effective_s < end_s:
        raise Refused(
            f"close {month}: it ends {period.clock(end_s, policy.timezone)}, now is "
            f"{period.clock(stamp.effective_s, policy.timezone)}; close it after it has ended"
        )
    prices = pricelists.in_force(conn) or pricelists.nothing(policy.timezone)
    unrated = stored.unrated(conn, archive, end_s)
    if unrated.num_rows:
        unrated = unrated.filter(_concerned(conn, unrated, prices, provider, account))
    if unrated.num_rows:
        raise Refused(
            f"close {month}: {unrated.num_rows} runs are unrated: {_named(unrated)}; 0 are "
            "allowed; load a price that covers them and run svoucher rate"
        )
    if ledger.identity(conn).rehearsal:
        return  # its clock may be set: what is collected up to is a real instant
    collected = watermarks.by_cluster(conn)
    for cluster in clusters(conn, prices, provider):
        until_s = collected.get(cluster)
        if until_s is None or until_s < end_s:
            upto = "never" if until_s is None else f"up to {period.clock(until_s, policy.timezone)}"
            raise Refused(
                f"close {month}: cluster {cluster} is collected {upto}, "
                f"{period.clock(end_s, policy.timezone)} is needed; run svoucher collect, or "
                "import --complete-until"
            )


def _concerned(
    conn: Connection, runs: pa.Table, prices: Tariff, provider: str, account: str | None
) -> pa.ChunkedArray:
    """Mark the runs of an account, or those that may be a provider's."""
    known = owners.providers(conn)
    named = owners.named(runs, owners.of_holds(conn, runs))
    accounts = owners.not_elsewhere(named, runs, prices, known)
    if account is not None:
        return pc.fill_null(pc.equal(accounts, account), False)
    theirs = owners.provided_by(accounts, runs, prices, known)
    return pc.fill_null(pc.equal(theirs, provider), True)


def _named(runs: pa.Table) -> str:
    """Name the first runs, each with why it has no price."""
    first = runs.slice(0, _NAMED_MAX).to_pylist()
    named = [f"job {run['job']} of {run['cluster']} ({run['reason']})" for run in first]
    more = runs.num_rows - len(first)
    return ", ".join(named) + (f" and {more} more" if more else "")


def clusters(conn: Connection, prices: Tariff, provider: str) -> list[str]:
    """List the clusters on which a provider's runs may be: those on which the price list says that
    it provides something, and those of which the price list says nothing."""
    seen = {*watermarks.by_cluster(conn), *conn.execute(select(schema.segment.c.cluster)).scalars()}
    priced = {cluster for cluster, _ in prices.partitions}
    own = {name for (name, _), each in prices.partitions.items() if each.provider == provider}
    return sorted(own | (seen - priced))
