"""voucherd: answers the submit hook, and keeps the holds in line with the queue.

One thread, one event loop: a question is one short transaction. Slurm's commands run as
processes beside it and are never waited for while slurmctld waits for us, or both would stand
still until the hook's deadline.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from accounting import policy as policies
from accounting.book import ledger
from accounting.errors import InvalidInput, Unavailable, VoucherError
from accounting.money import fen_up, yuan
from accounting.rates import pricelists
from accounting.vouchers import holds
from slurm_voucher import asking, estimate, listening, marks, partitions, protocol, queue, reconcile
from slurm_voucher.config import Config

log = logging.getLogger("voucherd")
PATIENCE_MS = 1000
"""How long to wait for another writer of the book; slurmctld waits much less for us."""
SHOWN_BYTES = 200
T = TypeVar("T")
_JOB = re.compile(r"(\d{1,9})(?:\+(\d{1,5}))?(?:_.*)?", re.ASCII)


class Voucherd:
    """The daemon's state: its book, and what Slurm and the tariff said last."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.checked: reconcile.Checked = {}
        cluster = partitions.load(config.default_qos)
        self.engine = ledger.connect(config.book, durable=False, patience_ms=PATIENCE_MS)
        self.load_rules(cluster)

    def load_rules(self, cluster: partitions.Cluster) -> None:
        """Read policy and tariff in force from the book, for a cluster as Slurm tells it."""
        with self.engine.begin() as conn:
            name, text = ledger.document(conn, "policy")
            prices = pricelists.loaded(conn)
        self.rules = asking.Rules(cluster, prices, policies.load(text, f"policy {name}"))

    def answer(self, line: bytes, now_s: int) -> bytes:
        """Answer one question; every error becomes a NO with words, whatever it is."""
        echo: dict[str, str] = {}
        with _logged(f"question {line[:SHOWN_BYTES]!r}"):
            try:
                question = protocol.read(line)
                echo |= _echo(question)
                with self.engine.begin() as conn:
                    return self._answer(conn, question, echo, now_s)
            except VoucherError as error:
                log.info("no: %s", error)
                return protocol.answer("NO", echo | {"code": error.code}, str(error))
            except DBAPIError as error:
                log.error("book: %s", error.orig)
                say = "voucher: the book is busy, 1 try was made; submit again in a minute"
                return protocol.answer("NO", echo | {"code": Unavailable.code}, say)
        say = "voucher: mistake in voucherd, 1 question has no answer; tell the operator"
        return protocol.answer("NO", echo | {"code": "internal"}, say)

    def _answer(
        self, conn: Connection, question: protocol.Question, echo: dict[str, str], now_s: int
    ) -> bytes:
        match question.verb:
            case "HOLD":
                request, say = self._hold(conn, question, now_s)
                held = str(request.tasks * request.task_micro)
                return protocol.answer("YES", echo | {"held": held}, say)
            case "MODIFY":
                return protocol.answer("YES", echo, self._modify(conn, question, now_s))
        return protocol.answer("YES", echo)

    def _hold(
        self, conn: Connection, question: protocol.Question, now_s: int
    ) -> tuple[holds.Request, str]:
        fields = question.fields
        hold_id, account = fields.get("hold", ""), fields.get("voucher", "")
        uid = estimate.number(fields, "uid")
        if uid is None or not account or not marks.HOLD_ID.fullmatch(hold_id):
            raise InvalidInput(
                "wire: HOLD names no hold, uid or voucher; plugin and voucherd must fit"
            )
        asker = asking.Asker(account, uid)
        request = asking.request(
            conn, self.rules, hold_id, asker, fields, now_s=now_s, submit_s=now_s
        )
        after = holds.place(conn, request, self.rules.policy, now_s)
        return request, _held(account, request.tasks * request.task_micro, after)

    def _modify(self, conn: Connection, question: protocol.Question, now_s: int) -> str:
        """Raise the hold of a changed job; jobs without a hold are none of our business."""
        row = holds.of_job(conn, self.rules.cluster.name, _job_id(question.fields.get("job", "")))
        if row is None:
            return ""
        changed = {k: v for k, v in question.fields.items() if k not in ("job", "uid", "hold")}
        fields = estimate.widest(holds.asked_of(row), changed, self.rules.cluster)
        asker = asking.Asker(row.account, row.uid)
        request = asking.request(
            conn, self.rules, row.id, asker, fields, now_s=now_s, submit_s=row.asked_s
        )
        after = holds.raise_to(conn, row, request, self.rules.policy, now_s)
        held_micro = max(row.task_micro, request.task_micro) * max(row.tasks, request.tasks)
        return _held(row.account, held_micro, after)

    def look_at_queue(
        self, snapshot: queue.Snapshot, began_s: int, nothing_waits: bool
    ) -> reconcile.Reconciled:
        """Bring the holds in line with a snapshot of the queue."""
        with self.engine.begin() as conn:
            done = reconcile.apply(
                conn,
                self.rules,
                snapshot,
                began_s=began_s,
                nothing_waits=nothing_waits,
                checked=self.checked,
            )
        for word in ("rebuilt", "raised", "expired", "voided"):
            for hold_id in getattr(done, word):
                log.info("hold %s: %s", hold_id, word)
        for problem in done.problems:
            log.error("%s", problem)
        return done


@contextlib.contextmanager
def _logged(subject: str) -> Iterator[None]:
    """Log a mistake of ours and go on: slurmctld waits for an answer, the queue for a look."""
    try:
        yield
    except Exception:
        log.exception("%s: mistake in voucherd", subject)


def _echo(question: protocol.Question) -> dict[str, str]:
    """Return what the hook knows its answer by; what no hook can have written is left out."""
    key = "job" if question.verb == "MODIFY" else "hold"
    value = question.fields.get(key, "")
    return {key: value} if 0 < len(value.encode()) <= protocol.ID_BYTES_MAX else {}


def _held(account: str, held_micro: int, after: holds.Position) -> str:
    held = yuan(fen_up(held_micro))
    return f"voucher {account}: held {held} yuan, {yuan(after.available_fen)} is left"


def _job_id(text: str) -> int:
    """Return the number that Slurm's queue has for a job: 15, 16_2 is of 16, 17+1 is 18."""
    match = _JOB.fullmatch(text)
    if match is None:
        raise InvalidInput(f"job {text[:32]!r}: is no job number; name 1 job as squeue shows it")
    return int(match[1]) + int(match[2] or 0)


def serve(config: Config) -> None:
    """Run voucherd until SIGTERM or SIGINT.

    Raises:
        ConfigInvalid: Another voucherd has the socket, or something else stands there.
        SlurmUnavailable, BookUnavailable: What it needs is not there.
    """
    asyncio.run(_serve(Voucherd(config)))


async def _serve(daemon: Voucherd) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):  # before the socket is there to be seen
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    bound = listening.listen(daemon.config)
    talks: set[asyncio.Task[None]] = set()

    def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_talk(daemon, reader, writer))
        talks.add(task)
        task.add_done_callback(talks.discard)

    server = await asyncio.start_unix_server(
        talk, sock=bound, limit=protocol.REQUEST_BYTES_MAX, backlog=listening.BACKLOG
    )
    watcher = asyncio.create_task(_watch_queue(daemon))
    log.info("listening on %s for cluster %s", daemon.config.socket, daemon.rules.cluster.name)
    await stop.wait()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(daemon.config.socket)
    server.close()
    for task in (watcher, *talks):
        task.cancel()


async def _talk(
    daemon: Voucherd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one connection's questions, in order, until it closes."""
    try:
        if not listening.may_ask(daemon.config, writer.get_extra_info("socket")):
            return
        while line := await reader.readline():
            if not line.endswith(b"\n"):
                return
            writer.write(daemon.answer(line, int(time.time())))
            await writer.drain()
    except (ConnectionError, ValueError) as error:  # ValueError: a line above the limit
        log.warning("connection: %s", error)
    finally:
        writer.close()


async def _watch_queue(daemon: Voucherd) -> None:
    """Look at the queue now and every few seconds; a look that fails changes nothing."""
    while True:
        with _logged("queue"):
            try:
                await _look(daemon)
            except (VoucherError, DBAPIError) as error:
                log.error("queue: %s", error)
        await asyncio.sleep(daemon.config.snapshot_s)


async def _look(daemon: Voucherd) -> None:
    began_s = int(time.time())
    cluster, snapshot, nothing_waits = await _aside(lambda: _ask_slurm(daemon.config))
    daemon.load_rules(cluster)
    daemon.look_at_queue(snapshot, began_s, nothing_waits)


def _ask_slurm(config: Config) -> tuple[partitions.Cluster, queue.Snapshot, bool]:
    cluster = partitions.load(config.default_qos)
    return cluster, queue.snapshot(), queue.nothing_waits_for_slurmdbd()


async def _aside(act: Callable[[], T]) -> T:
    """Run an act in a thread that nobody waits for at the end: Slurm may take a minute."""
    told: concurrent.futures.Future[T] = concurrent.futures.Future()
    told.set_running_or_notify_cancel()

    def run() -> None:
        try:
            told.set_result(act())
        except VoucherError as error:
            told.set_exception(error)
        finally:
            if not told.done():  # a mistake of ours, which the thread tells by itself
                told.set_exception(RuntimeError("the thread that asks Slurm has failed"))

    threading.Thread(target=run, name="slurm", daemon=True).start()
    return await asyncio.wrap_future(told)
