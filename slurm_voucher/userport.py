"""Users' questions, by TCP from any host of the cluster, each answered for oneself alone.

port.py has the wire. It runs beside voucherd in a process of its own, and only reads the book:
what users ask never makes slurmctld wait.
"""

import asyncio
import contextlib
import json
import logging
import pickle
import sys
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError

from accounting.book import ledger
from accounting.errors import InvalidInput, Unavailable, VoucherError
from slurm_voucher import answers, looking, munge, partitions, port
from slurm_voucher.asking import Rules
from slurm_voucher.config import Config

log = logging.getLogger("voucherd")
AT_ONCE = 32
RULES_S = 60
"""For how long Slurm's partitions and the price list are taken to be the same."""
FIELDS_MAX = 32


class Answering:
    """Answers users' questions from one site's book."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._engine = ledger.connect(config.book)
        self._rules: Rules | None = None
        self._rules_until = 0.0

    def answer(self, line: bytes) -> bytes:
        """Answer one credential with another; what is no credential gets no answer.

        Raises:
            NotAllowed: It is none that munged vouches for.
        """
        payload, uid = munge.decode(line.strip(), self._config.munge_socket)
        told: dict[str, Any]
        try:
            told = {"rows": self._told(payload, uid)}
        except VoucherError as error:
            told = {"code": error.code, "say": str(error), "exit": error.exit_code}
        except DBAPIError as error:
            log.error("users: %s", error.orig)
            told = {"code": Unavailable.code, "say": "voucher: the book is busy; ask again",
                    "exit": Unavailable.exit_code}  # fmt: skip
        return munge.encode(
            json.dumps({"version": port.VERSION, **told}).encode(), uid, self._config.munge_socket
        )

    def _told(self, payload: bytes, uid: int) -> Any:
        asked = _question(payload)
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
                    account = asked.get("account")
                    account = account if isinstance(account, str) else None
                    return answers.quote(conn, rules, given, account, uid, now_s)
        raise InvalidInput(
            f"question {str(asked.get('ask'))[:16]!r}: known are balance, members, quote"
        )

    def _now(self) -> Rules:
        if self._rules is None or time.monotonic() > self._rules_until:
            cluster = partitions.load(self._config)
            self._rules = looking.rules(self._engine, cluster)
            self._rules_until = time.monotonic() + RULES_S
        return self._rules


def _question(payload: bytes) -> Mapping[str, Any]:
    try:
        asked = json.loads(payload)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise InvalidInput("question: is no JSON object; ask by svoucher")
    if asked.get("version") != port.VERSION:
        raise InvalidInput(
            f"svoucher: speaks version {str(asked.get('version', 0))[:8]}, this site's voucherd "
            f"{port.VERSION}; use the svoucher of the site's release"
        )
    return asked


async def serve(config: Config) -> None:
    """Answer until standard input ends: voucherd has it, and ends with it."""
    answering, at_once = Answering(config), asyncio.Semaphore(AT_ONCE)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(port.WAIT_S), at_once:
                line = await reader.readuntil(b"\n")
                writer.write(await asyncio.to_thread(answering.answer, line))
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
    await asyncio.to_thread(sys.stdin.buffer.read)
    server.close()


def main() -> None:
    """Read the site's settings from standard input, and serve."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level="INFO")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(pickle.load(sys.stdin.buffer)))  # noqa: S301 - from voucherd
