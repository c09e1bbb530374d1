"""voucherd: answers the submit hook, and keeps the holds in line with the queue.

One thread answers, from memory (desk.py). Beside it a thread writes the holds into the book, and
a process looks at the queue (looking.py): neither is ever waited for while slurmctld waits for
us, or both would stand still until the hook's deadline.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, OperationalError

from accounting.book import ledger
from accounting.errors import InvalidInput, Unavailable, VoucherError
from accounting.money import fen_up, yuan
from accounting.vouchers import holds
from slurm_voucher import asking, estimate, listening, looking, marks, partitions, protocol
from slurm_voucher.config import Config
from slurm_voucher.desk import Desk

log = logging.getLogger("voucherd")
PATIENCE_MS = 1000
"""How long to wait for another writer of the book."""
WRITE_S = 0.02
"""How long holds are gathered before they are written together."""
AGAIN_S = 1
"""How long to wait before a locked book is tried again."""
LAST_S = 3
"""How long voucherd waits for the book when it is told to end."""
SHOWN_BYTES = 200
_JOB = re.compile(r"(\d{1,9})(?:\+(\d{1,5}))?(?:_.*)?", re.ASCII)
NOBODYS = "-"
"""The voucher that stands in the answer where a job is no voucher's business."""


class Voucherd:
    """The daemon's state: its desk, and what has happened since it was started."""

    def __init__(self, config: Config) -> None:
        self.config = config
        cluster = partitions.load(config.default_qos)
        self.engine = ledger.connect(config.book, durable=False, patience_ms=PATIENCE_MS)
        rules = looking.rules(self.engine, cluster)
        self.desk = Desk(self.engine, rules, config.without_voucher)
        self.counts: Counter[str] = Counter()
        self.looked_s: int | None = None
        self._missed = 0

    @property
    def rules(self) -> asking.Rules:
        """Cluster, price list and policy as they are now."""
        return self.desk.rules

    def load_rules(self, cluster: partitions.Cluster) -> None:
        """Read policy and price list in force from the book, for a cluster as Slurm tells it."""
        self.desk.follow(looking.rules(self.engine, cluster))

    def answer(self, line: bytes, now_s: int) -> bytes:
        """Answer one question; every error becomes a NO with words, whatever it is."""
        echo: dict[str, str] = {}
        self.counts["asked"] += 1
        with _logged(f"question {line[:SHOWN_BYTES]!r}"):
            try:
                question = protocol.read(line)
                echo |= _echo(question)
                self._note_missed(question)
                return self._answer(question, echo, now_s)
            except VoucherError as error:
                log.info("no: %s", error)
                self.counts["refused"] += 1
                return protocol.answer("NO", echo | {"code": error.code}, str(error))
            except DBAPIError as error:
                log.error("book: %s", error.orig)
                self.counts["unavailable"] += 1
                say = "voucher: the book is busy, 1 try was made; submit again in a minute"
                return protocol.answer("NO", echo | {"code": Unavailable.code}, say)
        self.counts["mistakes"] += 1
        say = "voucher: mistake in voucherd, 1 question has no answer; tell the operator"
        return protocol.answer("NO", echo | {"code": "internal"}, say)

    def _answer(self, question: protocol.Question, echo: dict[str, str], now_s: int) -> bytes:
        match question.verb:
            case "HOLD":
                return self._hold(question.fields, echo, now_s)
            case "MODIFY":
                return protocol.answer("YES", echo, self._modify(question.fields, now_s))
            case "DROP":
                hold_id, uid = question.fields.get("hold", ""), _uid(question.fields)
                self.desk.drop(hold_id, uid, now_s)
            case "STATUS":
                return protocol.answer("YES", self._status(now_s))
        return protocol.answer("YES", echo)

    def _hold(self, fields: protocol.Fields, echo: dict[str, str], now_s: int) -> bytes:
        hold_id, uid = fields.get("hold", ""), _uid(fields)
        if not marks.HOLD_ID.fullmatch(hold_id):
            raise InvalidInput("wire: HOLD names no hold; plugin and voucherd must fit")
        account, named = fields.get("voucher"), ""
        if account is None:
            account = self.desk.default(uid, fields, now_s)
            if account is None:
                return protocol.answer("YES", echo | {"voucher": NOBODYS})
            echo["voucher"], named = account, " (yours here)"
        if not account:
            raise InvalidInput("wire: HOLD names no voucher; plugin and voucherd must fit")
        request, after = self.desk.place(hold_id, asking.Asker(account, uid), fields, now_s)
        held_micro = request.tasks * request.task_micro
        say = _held(f"{account}{named}", held_micro, after)
        self.counts["held"] += 1
        return protocol.answer("YES", echo | {"held": str(held_micro)}, say)

    def _modify(self, fields: protocol.Fields, now_s: int) -> str:
        """Raise the hold of a changed job; jobs without a hold are none of our business."""
        changed = {k: v for k, v in fields.items() if k not in ("job", "uid", "hold", "missed")}
        found = self.desk.modify(_job_id(fields.get("job", "")), changed, now_s)
        if found is None:
            return ""
        raised, after = found
        return _held(raised.account, raised.tasks * raised.task_micro, after)

    def _note_missed(self, question: protocol.Question) -> None:
        """Count the questions that the hook had no answer to, as it tells with the next one."""
        missed = estimate.number(question.fields, "missed") or 0
        if missed:
            self.counts["missed"] += missed - (self._missed if missed >= self._missed else 0)
            self._missed = missed

    def _status(self, now_s: int) -> dict[str, str]:
        figures = self.counts | {"waiting": self.desk.waiting}
        if self.looked_s is not None:
            figures |= {"looked_ago_s": now_s - self.looked_s}
        return {name: str(figure) for name, figure in figures.items()}

    def follow(self, looked: looking.Looked, now_s: int) -> None:
        """Tell what a look at the queue did, and go on by the rules that it found."""
        self.looked_s = now_s
        if looked.rules is not None:
            self.desk.follow(looked.rules)
        for word in ("rebuilt", "raised", "expired", "voided"):
            for hold_id in getattr(looked.done, word):
                log.info("hold %s: %s", hold_id, word)
        for problem in looked.done.problems:
            log.error("%s", problem)


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


def _uid(fields: protocol.Fields) -> int:
    uid = estimate.number(fields, "uid")
    if uid is None:
        raise InvalidInput("wire: the question names no uid; plugin and voucherd must fit")
    return uid


def _held(account: str, held_micro: int, after: holds.Position) -> str:
    held = yuan(fen_up(held_micro))
    return f"voucher {account}: held {held} yuan, {yuan(after.available_fen)} is left"


def _job_id(text: str) -> int:
    """Return the number that Slurm's queue has for a job: 15, 16_2 is of 16, 17+1 is 18."""
    match = _JOB.fullmatch(text)
    if match is None:
        raise InvalidInput(f"job {text[:32]!r}: is no job number; name 1 job as squeue shows it")
    return int(match[1]) + int(match[2] or 0)


class _Talk(asyncio.Protocol):
    """One connection of the hook: questions are answered in order, until it closes."""

    def __init__(self, daemon: Voucherd, open_: set[asyncio.Transport], asked: asyncio.Event):
        self._daemon, self._open, self._asked = daemon, open_, asked
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if listening.may_ask(self._daemon.config, transport.get_extra_info("socket")):
            self._open.add(transport)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport not in self._open:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if max(map(len, (*lines, self._rest))) >= protocol.REQUEST_BYTES_MAX:
            log.warning("connection: a line is over %d bytes", protocol.REQUEST_BYTES_MAX)
            self._transport.abort()
            return
        for line in lines:
            self._transport.write(self._daemon.answer(line + b"\n", int(time.time())))
        if self._transport.get_write_buffer_size() > protocol.REQUEST_BYTES_MAX:
            self._transport.abort()  # it asks and does not listen
        if self._daemon.desk.waiting:
            self._asked.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self._transport)
        if error is not None:
            log.warning("connection: %s", error)


def serve(config: Config) -> None:
    """Run voucherd until SIGTERM or SIGINT.

    Raises:
        ConfigInvalid: Another voucherd has the socket, or something else stands there.
        SlurmUnavailable, BookUnavailable: What it needs is not there.
    """
    asyncio.run(_serve(Voucherd(config)))


async def _serve(daemon: Voucherd) -> None:
    stop, asked = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):  # before the socket is there to be seen
        loop.add_signal_handler(sign, stop.set)
    bound = listening.listen(daemon.config)
    talks: set[asyncio.Transport] = set()
    server = await loop.create_unix_server(
        lambda: _Talk(daemon, talks, asked), sock=bound, backlog=listening.BACKLOG
    )
    aside = looking.Aside(daemon.config)
    tasks = [
        asyncio.create_task(_watch_queue(daemon, aside)),
        asyncio.create_task(_write_book(daemon, asked)),
    ]
    log.info("listening on %s for cluster %s", daemon.config.socket, daemon.rules.cluster.name)
    await stop.wait()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(daemon.config.socket)
    server.close()
    for talk in [*talks]:
        talk.abort()
    await _last_words(daemon)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await aside.end()


async def _last_words(daemon: Voucherd) -> None:
    """Wait until what was answered is in the book; not long, for the queue has it, too."""
    end = time.monotonic() + LAST_S
    while daemon.desk.waiting:
        if time.monotonic() > end:
            log.error("book: %d changes of holds are not in it", daemon.desk.waiting)
            return
        await asyncio.sleep(WRITE_S / 4)


async def _watch_queue(daemon: Voucherd, aside: looking.Aside) -> None:
    """Look at the queue now and every few seconds; a look that fails changes nothing."""
    while True:
        with _logged("queue"):
            try:
                daemon.follow(await aside.look(), int(time.time()))
            except VoucherError as error:
                log.error("queue: %s", error)
        await asyncio.sleep(daemon.config.snapshot_s)


async def _write_book(daemon: Voucherd, asked: asyncio.Event) -> None:
    """Write what was answered into the book, many at once; a locked book is tried again."""
    desk = daemon.desk
    while True:
        await asked.wait()
        asked.clear()
        await asyncio.sleep(WRITE_S)
        while desk.waiting:
            with _logged("book"):
                changes = desk.take()
                try:
                    desk.written(await asyncio.to_thread(desk.write, changes))
                except OperationalError as error:
                    desk.failed()
                    log.error("book: %s; %d changes wait", error.orig, desk.waiting)
                    await asyncio.sleep(AGAIN_S)
                except Exception:
                    desk.one_by_one()
                    raise
