"""A sweep: what ended since the last one is asked of slurmdbd, a stretch of time after another.

A sweep reaches back behind its watermark, for rows come to slurmdbd late. After a long silence it
asks for a day at a time, each taken in before the next is asked for; so slurmdbd never has
to answer for all at once, and what is in is in wherever it ends.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
from sqlalchemy.engine import Engine

from accounting.book import ledger
from accounting.book.ledger import Stamp
from accounting.policy import Policy
from accounting.runs import usage, watermarks
from accounting.settle import charging
from accounting.settle.charging import Taken
from slurm_voucher.config import Config
from slurm_voucher.sources import BadRow, sacct_query
from slurm_voucher.sources.states import ENDED

OVERLAP_S = 3_600
"""How far a sweep reaches back behind the watermark."""
FIRST_S = 7 * 86_400
"""How far the first one reaches back."""
STRETCH_S = 26 * 3_600
"""How much time slurmdbd is asked for at once: what a daily sweep asks for is one stretch, for each
is an entry of the book."""
STRETCHES_MAX = 60
"""Into how many a sweep is cut; one that reaches back further has longer ones."""


@dataclass
class Swept:
    """What a sweep has done so far.

    Attributes:
        rows: How many runs came, overlaps included.
        taken: What was done with them.
        bad: Rows that could not be read.
        skipped: How many rows were no runs, by reason.
        slow: How many rows were read slowly.
        until_s: Up to when it came.
        complete: Whether everything up to then is in.
    """

    rows: int = 0
    taken: Taken = field(default_factory=Taken)
    bad: list[BadRow] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    slow: Counter[str] = field(default_factory=Counter)
    until_s: int = 0
    complete: bool = True


@dataclass(frozen=True)
class Sweep:
    """Which sweep.

    Attributes:
        cluster: Whose runs.
        kind: 'ended', or 'all-states' for one without a filter.
        since_s: Begin there at the latest. None: where the watermark says.
        skip_bad: Leave rows that cannot be read out for good.
        settled: slurmdbd has all rows by now. If not, what comes is taken in and the watermark
            stays.
    """

    cluster: str
    kind: str = "ended"
    since_s: int | None = None
    skip_bad: bool = False
    settled: bool = True


def begin(engine: Engine, sweep: Sweep, now_s: int) -> int:
    """Return where a sweep begins.

    A watermark that lies ahead of the clock says that the clock was put back: what ends until it
    has caught up is looked for all the same. While rows still wait for slurmdbd only what is new
    is asked for, and everything once they are there.
    """
    with ledger.reading(engine).begin() as conn:
        watermark = watermarks.by_cluster(conn, sweep.kind).get(sweep.cluster)
    begin_s = now_s - FIRST_S if watermark is None else min(watermark, now_s) - OVERLAP_S
    if not sweep.settled:
        begin_s = max(begin_s, now_s - OVERLAP_S)
    return begin_s if sweep.since_s is None else min(begin_s, sweep.since_s)


def run(
    engine: Engine,
    config: Config,
    policy: Policy,
    stamp: Stamp,
    sweep: Sweep,
    now_s: int,
    stop: Callable[[], bool] = lambda: False,
    show: Callable[..., Iterator[pa.Table | BadRow]] = lambda found, *_: found,
) -> Swept:
    """Sweep, a stretch after another, and stop after one where that is asked for.

    Args:
        engine: The book.
        config: The site's settings.
        policy: The rules.
        stamp: Who, when.
        sweep: Which one.
        now_s: Up to when.
        stop: Whether to stop after the stretch that is being read.
        show: Shows a person how far it is.

    Raises:
        SlurmUnavailable, BookUnavailable: One of them does not answer; the stretches before are in.
    """
    swept = Swept()
    states = tuple(ENDED.values()) if sweep.kind == "ended" else None
    for begin_s, end_s in stretches(begin(engine, sweep, now_s), now_s, STRETCH_S):
        found = sacct_query.ended(
            begin_s, end_s, sweep.cluster, login=config.ssh.get(sweep.cluster), states=states,
            skipped=swept.skipped, slow=swept.slow,
        )  # fmt: skip
        found = show(found, lambda: swept.rows, None, lambda: swept.rows)
        mark = partial(_mark, swept, sweep, end_s)
        runs = _parts(swept, found)
        part = charging.take_in_parts(engine, config.archive, runs, policy, stamp, mark)
        _add(swept.taken, part)
        swept.until_s = end_s
        if stop():
            break
    return swept


def _parts(swept: Swept, found: Iterable[pa.Table | BadRow]) -> Iterator[pa.Table]:
    """Yield tables of runs; note what comes, and what cannot be read."""
    for each in found:
        if isinstance(each, BadRow):
            swept.bad.append(each)
        else:
            swept.rows += each.num_rows
            yield each


def _mark(swept: Swept, sweep: Sweep, end_s: int) -> tuple[str, str, int] | None:
    """Return the watermark that a stretch may move, once all of it is read."""
    swept.complete = sweep.settled and (sweep.skip_bad or not swept.bad)
    return (sweep.cluster, sweep.kind, end_s) if swept.complete else None


def stretches(begin_s: int, end_s: int, size_s: int) -> Iterator[tuple[int, int]]:
    """Cut a time into stretches that end where the next one begins; there is always one."""
    size_s = max(size_s, -(-(end_s - begin_s) // STRETCHES_MAX))
    while end_s - begin_s > size_s:
        yield begin_s, begin_s + size_s
        begin_s += size_s
    yield begin_s, end_s


def read_all(found: Iterable[pa.Table | BadRow]) -> tuple[pa.Table, list[BadRow]]:
    """Return the runs of a source, and what it could not read."""
    runs = [usage.USAGE.empty_table()]
    bad: list[BadRow] = []
    for each in found:
        if isinstance(each, BadRow):
            bad.append(each)
        else:
            runs.append(each)
    return pa.concat_tables(runs).unify_dictionaries(), bad


def _add(total: Taken, part: Taken) -> None:
    """Add what was done with another part."""
    for name, value in vars(part).items():
        setattr(total, name, getattr(total, name) + value)
