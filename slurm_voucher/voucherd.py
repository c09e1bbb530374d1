"""voucherd: answers the submit hook, and keeps the holds in line with the queue.

One thread, one event loop: a question is one short transaction. Slurm's commands run as
processes beside it and are never waited for while slurmctld waits for us, or both would stand
still until the hook's deadline.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import stat
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from accounting import policy as policies
from accounting.book import ledger
from accounting.errors import ConfigInvalid, InvalidInput, TariffMissing, Unavailable, VoucherError
from accounting.money import fen_up, yuan
from accounting.policy import Policy
from accounting.rates import quoting
from accounting.rates.tariff import Tariff
from accounting.settle import charging
from accounting.vouchers import holds
from slurm_voucher import estimate, partitions, protocol, queue, reconcile
from slurm_voucher.config import Config

log = logging.getLogger("voucherd")
HOLD_ID = re.compile(r"[0-9a-f]{32}")
"""What the hook makes; an empty one would be everybody's."""
_CREDENTIALS = struct.Struct("3i")


class Voucherd:
    """The daemon's state: its book, and what Slurm and the tariff said last."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.engine = ledger.connect(config.book, durable=False)
        self.cluster = partitions.load(config.default_qos)
        self.load_rules()

    def load_rules(self) -> None:
        """Read policy and tariff in force from the book."""
        with self.engine.begin() as conn:
            name, text = ledger.document(conn, "policy")
            prices = charging.in_force(conn)
        if prices is None:
            raise ConfigInvalid("tariff: none is loaded, 1 is needed; run svoucher price load FILE")
        self.policy: Policy = policies.load(text, f"policy {name}")
        self.prices: Tariff = prices

    def answer(self, line: bytes, now_s: int) -> bytes:
        """Answer one question; every error that we raise on purpose becomes a NO with its words."""
        echo: dict[str, str] = {}
        try:
            question = protocol.read(line)
            echo = {key: question.fields[key] for key in ("hold", "job") if key in question.fields}
            with self.engine.begin() as conn:
                return self._answer(conn, question, echo, now_s)
        except VoucherError as error:
            log.info("no: %s", error)
            return protocol.answer("NO", echo | {"code": error.code}, str(error))
        except DBAPIError as error:
            log.error("book: %s", error.orig)
            say = "voucher: the book is busy, 1 try was made; submit again in a minute"
            return protocol.answer("NO", echo | {"code": Unavailable.code}, say)

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
        account, uid = fields.get("voucher", ""), estimate.number(fields, "uid")
        if uid is None or not account or not HOLD_ID.fullmatch(fields.get("hold", "")):
            raise InvalidInput(
                "wire: HOLD names no hold, uid or voucher; plugin and voucherd must fit"
            )
        request = self._request(conn, fields.get("hold", ""), account, uid, fields, now_s)
        after = holds.place(conn, request, self.policy, now_s)
        held = yuan(fen_up(request.tasks * request.task_micro))
        return request, f"voucher {account}: held {held} yuan, {yuan(after.available_fen)} is left"

    def _request(
        self,
        conn: Connection,
        hold_id: str,
        account: str,
        uid: int,
        fields: Mapping[str, str],
        now_s: int,
    ) -> holds.Request:
        """Check who asks for what, and work out the most that it can cost."""
        asked = estimate.most(fields, self.cluster)
        try:
            provider = self.prices.provider(self.cluster.name, asked.kind.partition)
        except TariffMissing:
            raise TariffMissing(
                f"partition {asked.kind.partition}: has no price for vouchers; submit without "
                "--voucher or ask the operator"
            ) from None
        holds.may_spend(
            conn, account, cluster=self.cluster.name, uid=uid, provider=provider, at_s=now_s
        )
        window = holds.validity(conn, account)
        quote = quoting.most(self.prices, asked.kind, asked.limit_s, now_s, window)
        return holds.Request(
            hold_id, self.cluster.name, account, uid, asked.tasks, quote.fee_micro,
            quote.eligible_micro, fields,
        )  # fmt: skip

    def _modify(self, conn: Connection, question: protocol.Question, now_s: int) -> str:
        """Raise the hold of a changed job; jobs without a hold are none of our business."""
        job_id = question.fields.get("job", "").partition("_")[0]
        row = holds.of_job(conn, self.cluster.name, int(job_id)) if job_id.isdigit() else None
        if row is None:
            return ""
        changed = {k: v for k, v in question.fields.items() if k not in ("job", "uid", "hold")}
        fields = holds.asked_of(row) | changed
        request = self._request(conn, row.id, row.account, row.uid, fields, now_s)
        after = holds.raise_to(conn, row, request, self.policy, now_s)
        held = yuan(fen_up(max(row.task_micro, request.task_micro) * max(row.tasks, request.tasks)))
        return f"voucher {row.account}: held {held} yuan, {yuan(after.available_fen)} is left"

    def look_at_queue(
        self, jobs: list[queue.QueuedJob], began_s: int, nothing_waits: bool
    ) -> reconcile.Reconciled:
        """Bring the holds in line with a snapshot of the queue."""
        with self.engine.begin() as conn:
            done = reconcile.apply(
                conn,
                self.cluster,
                jobs,
                began_s=began_s,
                nothing_waits=nothing_waits,
                prices=self.prices,
                policy=self.policy,
            )
        for word in ("rebuilt", "expired", "voided"):
            for hold_id in getattr(done, word):
                log.info("hold %s: %s", hold_id, word)
        for problem in done.problems:
            log.error("%s", problem)
        return done


def serve(config: Config) -> None:
    """Run voucherd until SIGTERM or SIGINT.

    Raises:
        ConfigInvalid: Another voucherd has the socket, or something else stands there.
        SlurmUnavailable, BookUnavailable: What it needs is not there.
    """
    asyncio.run(_serve(Voucherd(config)))


async def _serve(daemon: Voucherd) -> None:
    listening = _listen(daemon.config.socket)
    server = await asyncio.start_unix_server(
        lambda reader, writer: _talk(daemon, reader, writer),
        sock=listening,
        limit=protocol.REQUEST_BYTES_MAX,
    )
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    watcher = asyncio.create_task(_watch_queue(daemon))
    log.info("listening on %s for cluster %s", daemon.config.socket, daemon.cluster.name)
    await stop.wait()
    watcher.cancel()
    server.close()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(daemon.config.socket)


def _listen(path: str) -> socket.socket:
    """Bind the hook's socket: for slurmctld and root alone; one that nobody holds is replaced."""
    Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(path)
        raise ConfigInvalid(f"socket {path}: 1 voucherd answers there, 1 is allowed; stop it first")
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise ConfigInvalid(f"socket {path}: no socket stands there; choose another") from None
        os.unlink(path)
    except OSError as error:
        raise ConfigInvalid(f"socket {path}: {error.strerror}; choose another") from None
    finally:
        probe.close()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            listening.bind(path)
        finally:
            os.umask(before)
    except OSError as error:
        raise ConfigInvalid(f"socket {path}: {error.strerror}; check its folder") from None
    return listening


async def _talk(
    daemon: Voucherd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one connection's questions, in order, until it closes."""
    try:
        if not _may_ask(daemon.config, writer):
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


def _may_ask(config: Config, writer: asyncio.StreamWriter) -> bool:
    """Tell whether the peer is slurmctld's user or root, as the kernel says."""
    peer: socket.socket = writer.get_extra_info("socket")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    if uid not in (0, config.slurm_uid):
        log.warning("uid %d may not ask, only slurmctld's %d", uid, config.slurm_uid)
    return uid in (0, config.slurm_uid)


async def _watch_queue(daemon: Voucherd) -> None:
    """Look at the queue now and every few seconds; a look that fails changes nothing."""
    while True:
        began_s = int(time.time())
        try:
            daemon.load_rules()
            daemon.cluster = await asyncio.to_thread(partitions.load, daemon.config.default_qos)
            jobs = await asyncio.to_thread(queue.snapshot)
            nothing_waits = await asyncio.to_thread(queue.nothing_waits_for_slurmdbd)
            daemon.look_at_queue(jobs, began_s, nothing_waits)
        except (VoucherError, DBAPIError) as error:
            log.error("queue: %s", error)
        await asyncio.sleep(daemon.config.snapshot_s)
