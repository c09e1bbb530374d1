"""voucherd as a service: its socket, its turn, and what runs beside the thread that answers."""

import asyncio
import contextlib
import gc
import logging
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Callable

from sqlalchemy.exc import OperationalError

from accounting.errors import VoucherError
from slurm_voucher import active, listening, looking, priority, protocol
from slurm_voucher.config import Config
from slurm_voucher.doors import Doors
from slurm_voucher.voucherd import Voucherd, logged

log = logging.getLogger("voucherd")
ENDS = (signal.SIGTERM, signal.SIGINT)
SOON_S = 0.05
"""How soon a hold is written when none was a moment ago."""
WRITE_S = 0.3
"""How long holds are gathered while there are many: the more at once, the less each costs, and the
queue has them meanwhile. What is written moves the book, which is looked at anew."""
TURN_S = 2
"""How often it is asked whether another voucherd is active."""
AGAIN_S = 1
"""How long to wait before a locked book is tried again."""
WARM_S = 1
"""How long voucherd makes itself ready before it listens: the hook waits for milliseconds."""
THREADS = 2
"""Beside the one that answers: one writes, and one asks whether this voucherd is active."""
SWITCH_S = 0.00005
"""For how long the thread that writes may keep the one that answers from going on."""
LAST_S = 3
"""How long voucherd waits for the book when it is told to end."""


def serve(config: Config) -> None:
    """Run voucherd until SIGTERM or SIGINT.

    Raises:
        ConfigInvalid: Another voucherd has the socket, or something else stands there.
        SlurmUnavailable, BookUnavailable: What it needs is not there.
    """
    sys.setswitchinterval(SWITCH_S)
    if refused := priority.come_first():
        log.warning("priority: real-time is refused (%s), so answers come late on a busy host; "
                    "give voucherd LimitRTPRIO=1", refused)  # fmt: skip
    run(Voucherd(config))


def run(daemon: Voucherd) -> None:
    """Let a voucherd answer, write and look until it is told to end."""
    doors = Doors()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(doors)) as runner:
        runner.run(_serve(daemon, doors))


async def _serve(daemon: Voucherd, doors: Doors) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(priority.threads(THREADS))
    for sign in ENDS:  # before the socket is there to be seen
        loop.add_signal_handler(sign, stop.set)
    # slurmctld 22.05 blocks them, and so does what its SlurmctldPrimaryOnProg starts.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
    listening.make_way(daemon.config.socket)
    turn = active.turn(daemon.engine, daemon.rules.cluster.name)
    try:
        if await _our_turn(daemon, turn, stop):
            await _work(daemon, doors, turn, stop)
    finally:
        turn.end()


async def _our_turn(daemon: Voucherd, turn: active.Turn, stop: asyncio.Event) -> bool:
    """Wait until no other voucherd is active for the cluster; False when we are to end first."""
    cluster, told = daemon.rules.cluster.name, False
    while not turn.take():
        if not told:
            log.warning("another voucherd is active for cluster %s: waiting for its end", cluster)
            told = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TURN_S)
            return False
    return True


async def _watch_turn(turn: active.Turn, stop: asyncio.Event) -> None:
    """End when the turn is lost: another voucherd may be active by now."""
    while await asyncio.to_thread(turn.lasts):
        await asyncio.sleep(TURN_S)
    log.error("the book has ended the connection that made this voucherd the active one; ending")
    stop.set()


async def _work(daemon: Voucherd, doors: Doors, turn: active.Turn, stop: asyncio.Event) -> None:
    daemon.desk.warm(int(time.time()), WARM_S)
    gc.freeze()  # what is there now stays: nobody is to wait while it is looked through for waste
    asked = asyncio.Event()
    hearing = asyncio.create_task(_let_in(daemon, doors, listening.listen(daemon.config), asked))
    aside = looking.Aside(daemon.config)
    tasks = [
        asyncio.create_task(_watch_queue(daemon, aside, stop)),
        asyncio.create_task(_write_book(daemon, asked)),
        asyncio.create_task(_watch_turn(turn, stop)),
    ]
    if daemon.config.users_port:
        tasks.append(asyncio.create_task(_let_users_ask(daemon.config)))
    log.info("listening on %s for cluster %s", daemon.config.socket, daemon.rules.cluster.name)
    await stop.wait()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(daemon.config.socket)
    await _ended(hearing)
    await _last_words(daemon)
    await _ended(*tasks)
    await aside.end()


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _let_users_ask(config: Config) -> None:
    """Keep the process that answers users; it ends when its input does."""
    command = [sys.executable, "-c", "from slurm_voucher import userport; userport.main()"]
    while True:
        users = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        assert users.stdin is not None
        try:
            users.stdin.write(pickle.dumps(config))
            code = await users.wait()
        finally:
            users.stdin.close()
            await users.wait()
        log.error("users: the process that answers them ended (%d); starting another", code)
        await asyncio.sleep(AGAIN_S)


async def _last_words(daemon: Voucherd) -> None:
    """Wait until what was answered is in the book; not long, for the queue has it, too."""
    end = time.monotonic() + LAST_S
    while daemon.desk.waiting:
        if time.monotonic() > end:
            log.error("book: %d changes of holds are not in it", daemon.desk.waiting)
            return
        await asyncio.sleep(SOON_S)


async def _watch_queue(daemon: Voucherd, aside: looking.Aside, stop: asyncio.Event) -> None:
    """Look at the queue now and every few seconds; a look that fails changes nothing.

    Where this host's slurmctld does not answer and another one has the queue, its hook asks the
    voucherd there, which waits for our turn: we end.
    """
    while True:
        with logged("queue"):
            try:
                looked = await aside.look()
                daemon.follow(looked, int(time.time()))
                if looked.elsewhere:
                    log.error("slurmctld is down here and leads on another host; ending")
                    stop.set()
            except VoucherError as error:
                log.error("queue: %s", error)
        await asyncio.sleep(daemon.config.snapshot_s)


async def _write_book(daemon: Voucherd, asked: asyncio.Event) -> None:
    """Write what was answered into the book, many at once; a locked book is tried again."""
    desk, next_s = daemon.desk, 0.0
    while True:
        await asked.wait()
        asked.clear()
        await asyncio.sleep(max(SOON_S, next_s - time.monotonic()))
        while desk.waiting:
            with logged("book"):
                changes = desk.take()
                try:
                    desk.written(await asyncio.to_thread(desk.write, changes))
                    desk.look_ahead()
                except OperationalError as error:
                    desk.failed()
                    log.error("book: %s; %d changes wait", error.orig, desk.waiting)
                    await asyncio.sleep(AGAIN_S)
                except Exception:
                    desk.one_by_one()
                    raise
        next_s = time.monotonic() + WRITE_S


async def _let_in(
    daemon: Voucherd, doors: Doors, bound: socket.socket, asked: asyncio.Event
) -> None:
    """Talk with whoever may ask, until cancelled."""
    loop, talks = asyncio.get_running_loop(), set[_Talk]()
    try:
        while True:
            try:
                peer, _ = await loop.sock_accept(bound)
            except OSError as error:
                log.error("socket %s: %s", daemon.config.socket, error)
                await asyncio.sleep(AGAIN_S)
                continue
            if listening.may_ask(daemon.config, peer):
                talks.add(_Talk(daemon, doors, peer, asked, talks.discard))
            else:
                peer.close()
    finally:
        bound.close()
        for talk in [*talks]:
            talk.end()


class _Talk:
    """One connection of the hook: questions are answered in order, until it closes."""

    def __init__(
        self,
        daemon: Voucherd,
        doors: Doors,
        peer: socket.socket,
        asked: asyncio.Event,
        ended: Callable[["_Talk"], None],
    ):
        self._daemon, self._doors, self._peer = daemon, doors, peer
        self._asked, self._ended = asked, ended
        self._rest = b""
        doors.open(peer, self._hear)

    def _hear(self) -> bool:
        desk = self._daemon.desk
        try:
            data = self._peer.recv(protocol.REQUEST_BYTES_MAX)
            if not data or not self._reply(data):
                self.end()
            desk.look_ahead()
        except BlockingIOError:
            pass  # woken for nothing
        except OSError as error:
            log.warning("connection: %s", error)
            self.end()
        except Exception:
            log.exception("connection: mistake in voucherd")
            self.end()
        if self._asked.is_set() or not desk.waiting:
            return False
        self._asked.set()
        return True

    def _reply(self, data: bytes) -> bool:
        """Answer what came; False: nobody is to be talked with."""
        now_s = int(time.time())
        if not self._rest and data.find(b"\n") == len(data) - 1:  # one question, as nearly always
            said = self._daemon.answer(data, now_s)
        else:
            data = self._rest + data
            *lines, self._rest = data.split(b"\n")
            most = protocol.REQUEST_BYTES_MAX
            if len(data) >= most and max(map(len, (*lines, self._rest))) >= most:
                log.warning("connection: a line is over %d bytes", most)
                return False
            said = b"".join([self._daemon.answer(line + b"\n", now_s) for line in lines])
        return self._peer.send(said) == len(said)  # else it asks and does not listen

    def end(self) -> None:
        """Talk no more."""
        if self._peer.fileno() < 0:
            return
        self._doors.shut(self._peer)
        self._peer.close()
        self._ended(self)
