"""svoucher collect --watch: sweep when a job has ended, and by a timer whatever comes.

A datagram is a hint: it shortens the wait, and what it says is not read. The timer makes sure.
Where slurmdbd, slurmctld or the book does not answer, the wait grows up to a cap, and datagrams do
not shorten it. SIGTERM ends it between two stretches of a sweep; killed anywhere it loses nothing.
"""

import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from accounting import period
from accounting import policy as policies
from accounting.book import ledger
from accounting.book.ledger import Stamp
from accounting.errors import Unavailable, VoucherError
from accounting.money import yuan_micro
from accounting.policy import Policy
from accounting.runs import watermarks
from slurm_voucher import noting, queue, sweeping, waking
from slurm_voucher.config import Config
from slurm_voucher.sweeping import Sweep, Swept

log = logging.getLogger("collect")
SETTLE_S = 5.0
"""How long after a datagram is waited: rows come to slurmdbd some seconds after the end of a job,
and many end together."""
BACKOFF_S = 10.0
"""How long is waited after the first failure; twice as long after each further one."""
BACKOFF_MAX_S = 600.0
SLOW_S = 86_400
"""How often a sweep without a state filter is due."""
SLOW_AGAIN_S = 3_600
"""How soon it is tried again where it did not come to its end, or the clock was put back."""
BAD_MAX = 20
"""How many bad rows of a sweep are named in the log."""


@dataclass
class Pace:
    """How long to wait before the next sweep.

    Attributes:
        every_s: How long, where nothing comes.
        failures: How many sweeps have failed in a row.
    """

    every_s: float
    failures: int = 0

    def after(self, *, well: bool) -> float:
        """Note how a sweep went; return how long to wait."""
        self.failures = 0 if well else self.failures + 1
        return self.every_s if well else self.backoff_s

    @property
    def backoff_s(self) -> float:
        """How long to wait after so many failures."""
        return float(min(BACKOFF_MAX_S, BACKOFF_S * 2 ** min(self.failures - 1, 10)))


@dataclass
class Watch:
    """Who collects what.

    Attributes:
        engine: The book.
        config: The site's settings.
        cluster: Whose runs.
        stamp: Says who acts, and when.
        clock: What time it is.
        slow_tried_s: When the last sweep without a filter began, by a clock that only goes on.
        nodes_tried_s: When nodes were last asked for, by the same clock.
    """

    engine: Engine
    config: Config
    cluster: str
    stamp: Callable[[], Stamp]
    clock: Callable[[], float] = time.time
    slow_tried_s: float | None = None
    nodes_tried_s: float | None = None

    def sweep(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Sweep once, and once a day without a filter; tell whether all of it went well."""
        try:
            settled = self._settled()
            well = self._one("ended", settled, stop)
            if settled and not stop() and self._slow_is_due():
                self.slow_tried_s = time.monotonic()
                well &= self._one("all-states", settled, stop)
            if not stop():
                self._note_nodes()
            return well
        except VoucherError as error:
            level = logging.WARNING if isinstance(error, Unavailable) else logging.ERROR
            log.log(level, "%s: %s", self.cluster, error)
        except OperationalError as error:
            log.warning("%s: book: %s", self.cluster, str(error.orig).partition("\n")[0])
        return False

    def _one(self, kind: str, settled: bool, stop: Callable[[], bool]) -> bool:
        began = time.monotonic()
        sweep = Sweep(self.cluster, kind, settled=settled)
        swept = sweeping.run(
            self.engine, self.config, self._policy(), self.stamp(), sweep, int(self.clock()), stop
        )
        self._tell(kind, swept, settled, time.monotonic() - began)
        return not swept.bad

    def _settled(self) -> bool:
        """Tell whether slurmdbd has all that slurmctld knows. A cluster that is asked over SSH has
        its slurmctld elsewhere: there the daily sweep finds what came later than an hour."""
        return self.cluster in self.config.ssh or queue.nothing_waits_for_slurmdbd()

    def _slow_is_due(self) -> bool:
        tried_s = self.slow_tried_s
        if tried_s is not None and time.monotonic() < tried_s + SLOW_AGAIN_S:
            return False
        with ledger.reading(self.engine).begin() as conn:
            last_s = watermarks.by_cluster(conn, "all-states").get(self.cluster)
        now_s = self.clock()
        return last_s is None or not last_s <= now_s < last_s + SLOW_S

    def _note_nodes(self) -> None:
        """Note the nodes when it is time; runs come in whether or not that goes well."""
        tried_s, now_s = self.nodes_tried_s, int(self.clock())
        if tried_s is not None and time.monotonic() < tried_s + SLOW_AGAIN_S:
            return
        self.nodes_tried_s = time.monotonic()
        try:
            if noting.is_due(self.config, self.cluster, now_s):
                noting.note(self.config, self.cluster, now_s)
        except VoucherError as error:
            log.warning("%s: %s; the nodes are not noted", self.cluster, error)

    def _policy(self) -> Policy:
        with ledger.reading(self.engine).begin() as conn:
            name, text = ledger.document(conn, "policy")
        return policies.load(text, f"policy {name}")

    def _tell(self, kind: str, swept: Swept, settled: bool, took_s: float) -> None:
        """Say in one line what a sweep did; bad rows have a line each."""
        for row in swept.bad[:BAD_MAX]:
            log.error("%s: %s", self.cluster, row)
        taken = swept.taken
        rest = "" if settled else "; slurmdbd has not all rows yet, the watermark stays"
        if swept.bad:
            rest += f"; {len(swept.bad)} bad rows, the watermark stays: svoucher collect --skip-bad"
        log.info(
            "%s %s up to %s: %d read, %d new, %d changed, %d unrated, %d without a voucher, "
            "charged %s yuan, %.1f s%s",
            self.cluster, kind, period.clock(swept.until_s, "UTC"), swept.rows, taken.new,
            taken.changed, taken.unrated, taken.unclaimed, yuan_micro(taken.charge_micro), took_s,
            rest,
        )  # fmt: skip


def watch(watched: Watch, every_s: float, least_s: float) -> None:
    """Collect until SIGTERM or SIGINT.

    Args:
        watched: What.
        every_s: How often, where nothing comes.
        least_s: How soon after a sweep began the next one may, however many jobs end.

    Raises:
        ConfigInvalid: Somebody collects this cluster already, or the socket cannot be made.
    """
    pace = Pace(every_s)
    with (
        _signals() as (signals, stopped),
        contextlib.closing(waking.listen(watched.config, watched.cluster)) as bound,
    ):
        path = waking.path_of(watched.config, watched.cluster)
        log.info("collecting %s, woken at %s", watched.cluster, path)
        while not stopped():
            waking.drain(bound)  # what ended before is in this sweep
            next_s = time.monotonic() + least_s
            wait_s = pace.after(well=watched.sweep(stopped))
            if stopped():
                break
            if waking.wait(bound if not pace.failures else None, signals, wait_s):
                waking.wait(None, signals, max(SETTLE_S, next_s - time.monotonic()))
        path.unlink(missing_ok=True)
    log.info("%s: ended", watched.cluster)


@contextlib.contextmanager
def _signals() -> Iterator[tuple[socket.socket, Callable[[], bool]]]:
    """Catch SIGTERM and SIGINT: a socket that can be read once one has come, and who tells it."""
    told: list[int] = []

    def catch(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = {number: signal.signal(number, catch) for number in (signal.SIGTERM, signal.SIGINT)}
    wakes = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield ours, lambda: bool(told)
    finally:
        signal.set_wakeup_fd(wakes)
        for number, handler in before.items():
            signal.signal(number, handler)
        ours.close()
        theirs.close()
