"""Four accounts of the same days: ours, slurmdbd's, Slurm's own roll-up, and what was posted.

Runs are compared one by one, those that ended in the days. The roll-up knows no runs: it is
compared by Slurm account, user and kind of resource, over the seconds of the days, whenever a run
that had them began or ends. What was posted is compared by voucher account, over the months that
the days touch. What does not agree is named; the result is a row in the book.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import ledger, schema
from accounting.book.ledger import Entry, Stamp
from accounting.rates import rating
from accounting.runs import archive, places, reports, resized, usage
from accounting.runs.segment import Segment
from accounting.settle import grouping, tallying

COMPARED = ("end_s", "elapsed_s", "state", "nodes", "cpus", "cards", "gres")
"""What is compared of a run that both know."""
KEPT_MAX = 1_000
"""How many differences the book keeps word for word; of all of them it keeps the number."""
CPU, CARD = "cpu", "gres/gpu"
"""Kinds of resource that the roll-up is compared by."""


@dataclass(frozen=True, order=True)
class Difference:
    """What two of the accounts say otherwise of one thing: between whom, of what, how."""

    between: str
    subject: str
    message: str


@dataclass(frozen=True)
class Figures:
    """What one of the accounts comes to: runs that ended in the days, their seconds, and the
    seconds of their cards."""

    runs: int
    elapsed_s: int
    card_s: int


Used = Mapping[tuple[str, str, str], int]
"""Seconds by Slurm account, user and kind of resource."""


def figures(runs: pa.Table) -> Figures:
    """Add up runs."""
    elapsed = usage.numbers(runs.column("elapsed_s"))
    cards = usage.numbers(runs.column("cards"))
    return Figures(runs.num_rows, int(elapsed.sum()), int((elapsed * cards).sum()))


def once(runs: pa.Table) -> pa.Table:
    """Keep the last row of each run, in key order: overlapping windows show some twice."""
    revision = pa.array(np.arange(runs.num_rows) * 0, pa.int16())
    return archive.current(runs.append_column("revision", revision))


def ended(runs: pa.Table, begin_s: int, until_s: int) -> pa.Table:
    """Keep the runs that ended in a window."""
    at_s = runs.column("end_s")
    return runs.filter(pc.and_(pc.greater_equal(at_s, begin_s), pc.less(at_s, until_s)))


def ours(
    conn: Connection, root: Path, cluster: str, window: tuple[int, int], theirs: pa.Table, zone: str
) -> pa.Table:
    """Return the stored runs that ended in a window, and those that slurmdbd says did.

    A run may have been corrected since, also out of the window: of each the latest revision
    counts, wherever it stands.
    """
    months = {period.month_of(window[0], zone), period.month_of(window[1] - 1, zone)}
    files = places.files(conn, cluster=cluster)
    names = ["job_id", "submit_s", "end_s"]
    near = archive.read(root, [file for file in files if file.month in months], names)
    near = ended(near, *window)
    jobs = pa.chunked_array(
        [*near.column("job_id").chunks, *theirs.column("job_id").chunks], pa.int64()
    )
    submits = [*near.column("submit_s").chunks, *theirs.column("submit_s").chunks]
    bounds = pc.min_max(pa.chunked_array(submits, pa.int64())).as_py()
    if bounds["min"] is None:
        return usage.STORED.empty_table()
    wanted = resized.Near(bounds["min"], bounds["max"], frozenset())
    found = archive.read(root, [file for file in files if wanted.has(file)], job_ids=jobs)
    return archive.current(found)


def runs(stored: pa.Table, theirs: pa.Table, window: tuple[int, int]) -> Iterator[Difference]:
    """Compare the runs that ended in a window, one by one.

    Args:
        stored: Runs of ours, latest revisions: those of the window, and others.
        theirs: Runs that slurmdbd says ended in it.
        window: Its begin and its end.
    """
    between = "ours and slurmdbd"
    mine, other = _by_key(stored), _by_key(theirs)
    inside = _by_key(ended(stored, *window))
    for key in sorted(inside.keys() | other.keys(), key=str):
        subject = f"job {key[0]} submitted {key[1]} started {key[2]}"
        if key not in mine:
            yield Difference(between, subject, "is in slurmdbd alone; collect its day again")
        elif key not in other:
            yield Difference(between, subject, "is here alone; slurmdbd may have purged it")
        else:
            yield from (
                Difference(between, subject, f"{name} is {was} here, {is_} in slurmdbd")
                for name in COMPARED
                if (was := mine[key][name]) != (is_ := other[key][name])
            )


def _by_key(rows: pa.Table) -> dict[tuple[Any, ...], dict[str, Any]]:
    names = ["job_id", "submit_s", "start_s", *COMPARED]
    return {tuple(row[n] for n in names[:3]): row for row in rows.select(names).to_pylist()}


def used(rows: pa.Table, window: tuple[int, int]) -> Counter[tuple[str, str, str]]:
    """Add up what runs had in the seconds of a window, by Slurm account, user and resource.

    Suspended seconds lie somewhere in a run: those of one that reaches over an edge of the window
    are spread over it.
    """
    ran = rows.filter(pc.is_valid(rows.column("start_s")))
    begin_s = usage.numbers(ran.column("start_s"))
    end_s = usage.numbers(ran.column("end_s"))
    wall_s = np.maximum(end_s - begin_s, 1)
    inside_s = np.minimum(end_s, window[1]) - np.maximum(begin_s, window[0])
    inside_s = np.maximum(inside_s, 0) * usage.numbers(ran.column("elapsed_s")) // wall_s
    names = [ran.column(name).to_pylist() for name in ("slurm_account", "user")]
    counts = [usage.numbers(ran.column(name)).tolist() for name in ("cpus", "cards")]
    found: Counter[tuple[str, str, str]] = Counter()
    for account, user, seconds, cpus, cards in zip(*names, inside_s.tolist(), *counts, strict=True):
        found[account, user, CPU] += seconds * cpus
        found[account, user, CARD] += seconds * cards
    return +found


def rolled_up(theirs: Used, roll_up: Used) -> Iterator[Difference]:
    """Compare what slurmdbd's runs had in a window with what its roll-up says.

    The roll-up goes by associations: of a job that belongs to none it knows nothing.
    """
    for key in sorted(theirs.keys() | roll_up.keys()):
        mine, other = theirs.get(key, 0), roll_up.get(key, 0)
        if key[0] and mine != other:
            yield Difference(
                "slurmdbd and its roll-up",
                f"account {key[0]} user {key[1] or '-'} {key[2]}",
                f"runs had {mine} s, sreport says {other}; see sacctmgr show runawayjobs",
            )


def posted(
    conn: Connection, root: Path, months: Sequence[str]
) -> tuple[list[Difference], int, int]:
    """Compare what the archive charges for months with what was posted.

    Returns:
        Differences by voucher account and month, and both sums, micro-yuan.
    """
    charge = schema.charge.c
    query = select(charge.account, charge.month, func.sum(charge.charge_micro))
    query = query.where(charge.month.in_(months)).group_by(charge.account, charge.month)
    book = {(row[0], row[1]): int(row[2]) for row in conn.execute(query)}
    stored: Counter[tuple[str, str]] = Counter()
    for cluster in sorted({file.cluster for file in places.files(conn)}):
        stored += charged(root, places.files(conn, cluster=cluster), months)
    found = [
        Difference(
            "ours and what was posted",
            f"account {key[0]} {key[1]}",
            f"runs come to {stored.get(key, 0)} micro-yuan, posted are {book.get(key, 0)}; "
            "run svoucher audit",
        )
        for key in sorted(stored.keys() | book.keys())
        if stored.get(key, 0) != book.get(key, 0)
    ]
    return found, sum(stored.values()), sum(book.values())


def charged(
    root: Path, files: Sequence[Segment], months: Sequence[str]
) -> Counter[tuple[str, str]]:
    """Add up what a cluster's runs of some months cost by account and month, micro-yuan, a part of
    the archive at a time.

    Args:
        root: Root of the archive.
        files: All files of the cluster: what takes the place of a run may stand in any.
        months: In which they ended.
    """
    parts = tallying.footers(root, files)
    own = [part for part in parts if part.file.month in months]
    columns = ["status", "account", "charge_micro"]
    counted = tallying.tally(root, own, columns, _Charged, tallying.again(root, parts))
    return sum((each.micro for each in counted), Counter[tuple[str, str]]())


class _Charged:
    """Counts for one thread."""

    def __init__(self) -> None:
        self.micro: Counter[tuple[str, str]] = Counter()

    def count(self, rows: pa.RecordBatch, month: str) -> None:
        """Count what some runs cost."""
        table = grouping.with_status(pa.Table.from_batches([rows]), rating.CHARGED)
        account, accounts = usage.split(table.column("account"))
        micro, own = usage.numbers(table.column("charge_micro")), account >= 0
        sums = reports.sums(micro[own], np.ones_like(micro[own]), account[own], len(accounts))
        self.micro.update({(name, month): each for name, each in zip(accounts, sums, strict=True)})


@dataclass(frozen=True)
class Result:
    """What a comparison came to.

    Attributes:
        cluster: Whose runs.
        window: Begin and end of the days.
        ours: Runs in the archive.
        theirs: Runs in slurmdbd.
        runs_card_s: Seconds of cards of slurmdbd's runs within the days. None: not compared.
        rolled_card_s: The same by Slurm's own roll-up.
        charged_micro: What the archive charges for the months of the days.
        posted_micro: What the book has for them.
        differences: What does not agree.
    """

    cluster: str
    window: tuple[int, int]
    ours: Figures
    theirs: Figures
    runs_card_s: int | None
    rolled_card_s: int | None
    charged_micro: int
    posted_micro: int
    differences: Sequence[Difference]


def enter(conn: Connection, result: Result, stamp: Stamp) -> int:
    """Write a result into the book; the same one of the same days is written once."""
    kept = [asdict(each) for each in result.differences[:KEPT_MAX]]
    row = {
        "cluster": result.cluster,
        "from_s": result.window[0],
        "until_s": result.window[1],
        **{f"{name}_ours": value for name, value in asdict(result.ours).items()},
        **{f"{name}_slurm": value for name, value in asdict(result.theirs).items()},
        "card_s_runs": result.runs_card_s,
        "card_s_rolled": result.rolled_card_s,
        "charged_micro": result.charged_micro,
        "posted_micro": result.posted_micro,
        "differences": len(result.differences),
        "listed": ledger.canonical(kept),
    }
    sha256 = hashlib.sha256(ledger.canonical(row).encode()).hexdigest()
    rows = {"reconciliation": [row | {"sha256": sha256}]}
    return ledger.write(conn, Entry(f"reconciliation:{sha256}", "reconciliation", stamp, rows))
