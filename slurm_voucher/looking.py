"""A look at the queue: from what Slurm says to the holds in the book.

voucherd has it done by a process of its own. To read a long queue takes seconds of a processor,
and slurmctld waits for milliseconds; the two meet in the book alone.
"""

import logging
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from accounting import policy as policies
from accounting.book import ledger
from accounting.errors import BookUnavailable, SlurmUnavailable
from accounting.rates import pricelists
from slurm_voucher import acting, aside, ending, logs, partitions, queue, reconcile
from slurm_voucher.asking import Rules
from slurm_voucher.choices import Choices
from slurm_voucher.commands import ask
from slurm_voucher.config import SELF_PAY, Config

log = logging.getLogger("voucherd")

_PINGED = re.compile(r"^Slurmctld\(\w+\) at (\S+) is (UP|DOWN)", re.MULTILINE)


@dataclass(frozen=True)
class Looked:
    """What one look did.

    Attributes:
        jobs: How many jobs with a hold the queue showed.
        done: What was done to the holds.
        rules: Cluster, price list and policy as they are now. None: as at the look before.
        told, ended: Of which running jobs the site's command was told, and which were ended.
        elsewhere: Whether it was another host's slurmctld that told of the queue.
    """

    jobs: int
    done: reconcile.Reconciled
    rules: Rules | None
    told: Sequence[str] = ()
    ended: Sequence[str] = ()
    elsewhere: bool = False


def rules(engine: Engine, cluster: partitions.Cluster) -> Rules:
    """Read policy and price list in force from the book, for a cluster as Slurm tells it."""
    with ledger.reading(engine).begin() as conn:
        name, text = ledger.document(conn, "policy")
        prices = pricelists.loaded(conn)
    return Rules(cluster, prices, policies.load(text, f"policy {name}"))


class Looker:
    """Looks at one site's queue, and knows what it saw the last time."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._engine = ledger.connect(config.book, durable=False)
        self._memory = reconcile.Memory()
        self._choices = Choices(
            self_pay=config.uncovered == SELF_PAY,
            unnamed_self_pay=config.without_voucher == SELF_PAY,
            end_running=config.end_running,
        )
        self._telling = ending.Telling()
        self._told: Rules | None = None

    def look(self) -> Looked:
        """Look at the queue, and bring the holds in line with it.

        Raises:
            SlurmUnavailable, BookUnavailable: One of them does not answer; the next look goes on
                with what this one did not do.
        """
        began_s = int(time.time())
        ours_is_down = _is_down(socket.gethostname().partition(".")[0])
        cluster = partitions.load(self._config)
        snapshot, nothing_waits = queue.snapshot(), queue.nothing_waits_for_slurmdbd()
        try:
            now = rules(self._engine, cluster)
            done = reconcile.apply(
                self._engine,
                now,
                snapshot,
                began_s=began_s,
                nothing_waits=nothing_waits,
                memory=self._memory,
                choices=self._choices,
            )
        except DBAPIError as error:
            reason = str(error.orig).partition("\n")[0]
            raise BookUnavailable(f"book: {reason}; the next look tries again") from None
        done.problems += acting.carry_out(done.acts)
        ended = ending.carry_out(
            done.endings,
            self._config.end_running,
            int(time.time()),
            now.policy.timezone,
            self._telling,
        )
        done.problems += ended.problems
        new, self._told = None if now == self._told else now, now
        return Looked(len(snapshot), done, new, ended.told, ended.ended, ours_is_down)


def _is_down(host: str) -> bool:
    """Tell whether a host has one of several controllers, and it does not answer."""
    try:
        told = dict(_PINGED.findall(ask(["scontrol", "ping"])))
    except SlurmUnavailable:
        return False
    return len(told) > 1 and told.get(host) == "DOWN"


class Aside:
    """The process that looks, started when it is needed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._process = aside.Aside("from slurm_voucher import looking; looking.main()")

    async def look(self) -> Looked:
        """Have it look once.

        Raises:
            VoucherError: As `Looker.look`; or the process has ended, the next look starts another.
        """
        try:
            answer = await self._process.ask(self._config)
        except aside.Ended as ended:
            raise SlurmUnavailable(f"queue: the process that looks ended ({ended.code})") from None
        assert isinstance(answer, Looked)
        return answer

    async def end(self) -> None:
        """End it at once, with the command of Slurm that it may be waiting for."""
        await self._process.end()


def _tell(looked: Looked) -> None:
    """Tell what a look did: a line for each of maybe thousands of holds, so it is done here."""
    done = looked.done
    for word in ("rebuilt", "raised", "lowered", "expired", "voided"):
        for hold_id in getattr(done, word):
            log.info("hold %s: %s", hold_id, word)
    for hold_id in done.self_paid:
        log.info("hold %s: given back, its job goes on as self-pay", hold_id)
    for sentence in (*looked.told, *looked.ended):
        log.warning("%s", sentence)
    for act in done.acts:
        log.info("job %d: %s: %s", act.job_id, act.verb or "mark", act.comment)
    for problem in done.problems:
        log.error("%s", problem)


def main() -> None:
    """Look whenever a frame with the site's settings comes, until there are no more."""
    logs.begin()
    looker: Looker | None = None

    def look(config: Config) -> Looked:
        nonlocal looker
        looker = looker or Looker(config)
        looked = looker.look()
        _tell(looked)
        return looked

    aside.serve(look)
