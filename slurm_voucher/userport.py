"""Users' questions, by TCP from any host of the cluster, each answered for oneself alone.

port.py has the wire. It runs beside voucherd in a process of its own, and only reads the book:
what users ask never makes slurmctld wait. What is asked of the archive is read by a process beside
this one (past.py), one question at a time and not for long, and of each user one.
"""

import asyncio
import contextlib
import json
import logging
import pickle
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from accounting import period
from accounting.book import ledger
from accounting.errors import InvalidInput, NotAllowed, Unavailable, VoucherError
from slurm_voucher import (
    answers,
    aside,
    logs,
    looking,
    munge,
    partitions,
    port,
    present,
    queue,
    quotes,
)
from slurm_voucher.asking import Rules
from slurm_voucher.config import Config
from slurm_voucher.queue import Snapshot

log = logging.getLogger("voucherd")
AT_ONCE = 32
RULES_S = 60
"""For how long Slurm's partitions and the price list are taken to be the same."""
FIELDS_MAX = 32
WORDS = ("account", "job", "since", "until")
"""What may stand in a question beside its fields."""
WORD_MAX = 64
"""Characters of a job or an account in a question."""
PAST_S = 8
"""How long the archive may be read for one question."""
WARM_GAP_S = 0.2
RUNS_MAX = 1000
"""How many runs are told at most: an answer is a credential, which munged limits to a MiB."""
BYTES_MAX = 600_000
"""How many bytes of JSON an answer has at most, for the same reason."""
DAYS = 30
"""Of how many days runs are told if nothing is said."""
READER = "from slurm_voucher import past; past.main()"
"""What the process runs that reads the archive."""
KNOWN = ("balance", "members", "quote", "jobs", "explain")
Question = Mapping[str, Any]


class Answering:
    """Answers users' questions from one site's book and archive."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._engine = ledger.connect(config.book)
        self._rules: Rules | None = None
        self._rules_until = 0.0
        self._past = aside.Aside(READER)
        self._turn = asyncio.Lock()
        self._busy: set[int] = set()

    async def answer(self, line: bytes) -> bytes:
        """Answer one credential with another; what is no credential gets no answer.

        Raises:
            NotAllowed: It is none that munged vouches for.
        """
        where = self._config.munge_socket
        payload, uid = await asyncio.to_thread(munge.decode, line.strip(), where)
        told: dict[str, Any]
        try:
            told = {"rows": await self._told(question(payload), uid)}
        except VoucherError as error:
            told = {"code": error.code, "say": str(error), "exit": error.exit_code}
        except DBAPIError as error:
            log.error("users: %s", error.orig)
            told = {"code": Unavailable.code, "say": "voucher: the book is busy; ask again",
                    "exit": Unavailable.exit_code}  # fmt: skip
        answer = json.dumps({"version": port.VERSION, **told}).encode()
        return await asyncio.to_thread(munge.encode, answer, uid, where)

    async def end(self) -> None:
        """End the process that reads the archive, and let go of the book."""
        await self._past.end()
        self._engine.dispose()

    async def warm(self) -> None:
        """Have the archive's reader get to know it, a second at a time, before somebody waits."""
        with contextlib.suppress(VoucherError):
            while await self._read("warm"):
                await asyncio.sleep(WARM_GAP_S)

    async def _told(self, asked: Question, uid: int) -> Any:
        match asked.get("ask"):
            case "jobs":
                with self._alone(uid):
                    return await self._jobs(asked, uid)
            case "explain":
                with self._alone(uid):
                    return await self._explained(asked, uid)
        return await asyncio.to_thread(self._of_book, asked, uid)

    def _of_book(self, asked: Question, uid: int) -> Any:
        rules, now_s = self._now(), int(time.time())
        of = (rules.policy, rules.cluster.name, uid, now_s)
        with ledger.reading(self._engine).begin() as conn:
            match asked.get("ask"):
                case "balance":
                    return answers.balances_of(conn, *of)
                case "members":
                    return answers.members_of(conn, *of)
                case "quote":
                    fields = asked.get("fields")
                    if not isinstance(fields, dict) or len(fields) > FIELDS_MAX:
                        raise InvalidInput("question quote: has no fields; ask by svoucher")
                    given = {str(key): str(value) for key, value in fields.items()}
                    return quotes.quote(conn, rules, given, asked.get("account"), uid, now_s)
        raise InvalidInput(f"question {str(asked.get('ask'))[:16]!r}: known are {', '.join(KNOWN)}")

    # --- jobs -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self, uid: int) -> Iterator[None]:
        """Let each user ask one question of the archive at a time."""
        if uid in self._busy:
            raise Unavailable(
                "voucher: another question of yours is being answered, 1 may be; ask again"
            )
        self._busy.add(uid)
        try:
            yield
        finally:
            self._busy.discard(uid)

    async def _jobs(self, asked: Question, uid: int) -> dict[str, Any]:
        account = asked.get("account")
        now = await asyncio.to_thread(self._present, uid)
        rules = await asyncio.to_thread(self._now)
        ended = window(asked, rules.policy.timezone, int(time.time()))
        cluster = rules.cluster.name  # elsewhere the same uid may be somebody else
        past, more = await self._read("jobs", cluster, uid, ended, account, RUNS_MAX)
        rows = [*past, *(row for row in now if account in (None, row["account"]))]
        return _within_bounds(rows, more)

    async def _explained(self, asked: Question, uid: int) -> dict[str, Any]:
        job = asked.get("job")
        if job is None:
            raise InvalidInput("question explain: names no job; ask by svoucher")
        now, others = await asyncio.to_thread(self._explained_now, job, uid)
        rules = await asyncio.to_thread(self._now)
        past, of_others = await self._read("explain", rules.cluster.name, job, uid)
        rows = [*past, *now]
        if not rows and (others or of_others):
            raise NotAllowed(f"job {job}: is another user's, 1 may ask; ask who submitted it")
        if not rows:
            raise InvalidInput(
                f"job {job}: not in the queue, and 0 of your runs in the archive; a job that was "
                "refused has no number: ask svoucher quote"
            )
        return _within_bounds(rows, False)

    async def _read(self, *question: Any) -> Any:
        """Have the archive read; who waits too long for it is told so, and it begins anew."""
        ask, *arguments = question
        try:
            async with asyncio.timeout(PAST_S), self._turn:
                try:
                    return await self._past.ask((self._config, ask, tuple(arguments)))
                except asyncio.CancelledError:
                    await self._past.end()  # it would answer the next question with this answer
                    raise
        except TimeoutError:
            raise Unavailable(
                f"archive: not read within {PAST_S} s; ask for fewer days, or again in a minute"
            ) from None
        except aside.Ended as ended:
            log.error("users: the process that reads the archive ended (%d)", ended.code)
            raise Unavailable("archive: its reader has ended; ask again") from None

    def _present(self, uid: int) -> list[present.Row]:
        rules, seen = self._now(), self._queue(uid)
        with ledger.reading(self._engine).begin() as conn:
            return present.jobs(conn, rules.cluster.name, uid, seen)

    def _explained_now(self, job: str, uid: int) -> tuple[list[present.Row], bool]:
        rules, seen, now_s = self._now(), self._queue(uid), int(time.time())
        with ledger.reading(self._engine).begin() as conn:
            rows = present.explain(conn, rules, job, uid, seen, now_s)
            return rows, present.is_others(conn, rules.cluster.name, job, uid)

    def _queue(self, uid: int) -> Snapshot | None:
        """Return a user's jobs in the queue; None: it does not answer."""
        try:
            return queue.of_user(uid)
        except VoucherError as error:
            log.warning("users: %s", error)
            return None

    def _now(self) -> Rules:
        if self._rules is None or time.monotonic() > self._rules_until:
            cluster = partitions.load(self._config)
            self._rules = looking.rules(self._engine, cluster)
            self._rules_until = time.monotonic() + RULES_S
        return self._rules


def question(payload: bytes) -> Question:
    """Read a question: each word in it is one of a bounded length.

    Raises:
        InvalidInput: It is none, or speaks another version.
    """
    try:
        asked = json.loads(payload)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise InvalidInput("question: is no JSON object; ask by svoucher")
    if asked.get("version") != port.VERSION:
        raise InvalidInput(
            f"svoucher: speaks version {ascii(asked.get('version', 0))[:8]}, this site's voucherd "
            f"{port.VERSION}; use the svoucher of the site's release"
        )
    for name in WORDS:
        word = asked.get(name)
        text = isinstance(word, str) and 0 < len(word) <= WORD_MAX and word.isprintable()
        if word is not None and not text:
            raise InvalidInput(
                f"question: {name} is none of 1 to {WORD_MAX} characters that can be seen; check it"
            )
    return asked


def window(asked: Question, timezone: str, now_s: int) -> tuple[int, int]:
    """Return the time of which runs are asked for, half-open; by default the last days.

    Raises:
        InvalidInput: A day is none, or the first is after the last.
    """
    until = _day(asked, "until") or period.day_of(now_s, timezone)
    since = _day(asked, "since") or until - timedelta(days=DAYS)
    if since > until:
        raise InvalidInput(f"question jobs: {since} is after {until}; ask the other way round")
    return period.instant(since, timezone), period.instant(until + timedelta(days=1), timezone)


def _day(asked: Question, name: str) -> date | None:
    text = asked.get(name)
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 2000 <= day.year <= 2100:
        raise InvalidInput(f"question jobs: {name} {text[:16]!r} is no day; write it as 2026-11-22")
    return day


def _within_bounds(rows: list[present.Row], more: bool) -> dict[str, Any]:
    """Leave the oldest rows out where they are too long for an answer, and say so: `more`."""
    whole = len(json.dumps(rows))
    while rows and whole > BYTES_MAX:
        whole -= len(json.dumps(rows.pop(0))) + 2
        more = True
    return {"more": more, "rows": rows}


async def serve(config: Config) -> None:
    """Answer until standard input ends: voucherd has it, and ends with it."""
    answering, at_once = Answering(config), asyncio.Semaphore(AT_ONCE)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(port.ANSWER_S), at_once:
                async with asyncio.timeout(port.WAIT_S):
                    line = await reader.readuntil(b"\n")
                writer.write(await answering.answer(line))
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever does not speak the wire gets nothing
        except VoucherError as error:
            log.info("users: %s", error)
        except Exception:
            log.exception("users: mistake in voucherd")
        finally:
            writer.close()

    server = await asyncio.start_server(
        talk, None, config.users_port, limit=port.LINE_BYTES_MAX, reuse_address=True
    )
    log.info("users may ask on port %d", config.users_port)
    warming = asyncio.create_task(answering.warm())
    await asyncio.to_thread(sys.stdin.buffer.read)
    server.close()
    warming.cancel()
    await asyncio.gather(warming, return_exceptions=True)
    await answering.end()


def main() -> None:
    """Read the site's settings from standard input, and serve."""
    logs.begin()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(pickle.load(sys.stdin.buffer)))  # noqa: S301 - from voucherd
