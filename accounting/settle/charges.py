"""Reports about money: what runs were charged, by the period in which they ended.

A run is charged once, in the month of its end: so these sums are those of the statements, to the
micro-yuan. (How much ran when, split by time, is `runs/reports.py`.) They come from the sums of
days that are kept beside the archive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting.book import schema
from accounting.errors import InvariantBroken
from accounting.runs import places
from accounting.runs.segment import Segment
from accounting.settle import summing
from accounting.settle.summing import Asked
from accounting.vouchers import registry

OF_RUNS = ("account", "provider", "cluster", "partition", "chip", "qos", "user", "tariff")
GROUPS = (*OF_RUNS, "unit")
"""What charges can be added up by; a unit is that of the account."""
Key = tuple[str, str]
"""A period, and what is added up by; nothing in place of what a run has not."""


@dataclass
class Sum:
    """Charged runs, their metered GFLOPS-seconds and their charge in micro-yuan."""

    runs: int = 0
    gflops_s: int = 0
    charge_micro: int = 0

    def add(self, sign: int, runs: int, gflops_s: int, charge_micro: int) -> None:
        """Add what rows come to, or take it off."""
        self.runs += sign * runs
        self.gflops_s += sign * gflops_s
        self.charge_micro += sign * charge_micro


def charges(conn: Connection, root: Path, asked: Asked) -> list[tuple[Key, Sum]]:
    """Add up the charges of all voucher accounts.

    Runs count with their latest revision, in the period in which that one ended; runs without a
    voucher account, free and unrated ones are not in it.

    Args:
        conn: The book.
        root: Root of the archive.
        asked: What for.

    Returns:
        Sums by (period, group) in that order; those of which nothing is left are not there.

    Raises:
        InvariantBroken: A segment is missing, or they do not come to what the book has.
    """
    files = places.files(conn)
    sums = summed(root, files, asked)
    if asked.group == "unit":
        sums = _by_unit(conn, sums)
    insist_on_book(
        conn, sums if asked.days is None else summed(root, files, replace(asked, days=None))
    )
    return [(key, sums[key]) for key in sorted(sums) if sums[key] != Sum()]


def summed(root: Path, files: Sequence[Segment], asked: Asked) -> dict[Key, Sum]:
    """Add up the charged rows of files."""
    if asked.group == "unit":
        asked = replace(asked, group="account")
    cells = summing.added_up(root, files, asked, ("charged", "charged_gflops_s", "charge_micro"))
    return {(cell.period, cell.group): Sum(*cell.figures) for cell in cells}


def _by_unit(conn: Connection, sums: dict[Key, Sum]) -> dict[Key, Sum]:
    """Add the sums of accounts up by the units that they belong to."""
    units = registry.unit_by_account(conn)
    found: dict[Key, Sum] = {}
    for (name, account), own in sums.items():
        of = found.setdefault((name, units[account]), Sum())
        of.add(1, own.runs, own.gflops_s, own.charge_micro)
    return found


def insist_on_book(conn: Connection, sums: dict[Key, Sum]) -> None:
    """Refuse sums that are not what the book posted."""
    total = sum(own.charge_micro for own in sums.values())
    charged = func.coalesce(func.sum(schema.charge.c.charge_micro), 0)
    posted = int(conn.execute(select(charged)).scalar_one())
    if total != posted:
        raise InvariantBroken(
            f"charges: the archive's runs come to {total} micro-yuan, the book has {posted}; see "
            "svoucher audit"
        )
