"""voucherd: what it answers to the submit hook's questions.

It answers from memory (desk.py). Beside it a thread writes the holds into the book, and a process
looks at the queue (serving.py, looking.py): neither is ever waited for while slurmctld waits for
us, or both would stand still until the hook's deadline.
"""

import contextlib
import logging
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from sqlalchemy.exc import DBAPIError

from accounting.book import ledger
from accounting.errors import InvalidInput, NotEligible, Unavailable, VoucherError
from accounting.money import fen_up, yuan
from accounting.vouchers import holds
from slurm_voucher import asking, estimate, looking, marks, partitions, protocol
from slurm_voucher.config import REFUSE, Config
from slurm_voucher.desk import Desk

log = logging.getLogger("voucherd")
PATIENCE_MS = 1000
"""How long to wait for another writer of the book."""
SHOWN_BYTES = 200
_JOB = re.compile(r"(\d{1,9})(?:\+(\d{1,5}))?(?:_.*)?", re.ASCII)
NOT_CHANGED = frozenset({"job", "uid", "hold", "missed", "release", "asked_for"})
"""Fields of a MODIFY that change no price."""
NOBODYS = "-"
"""The voucher that stands in the answer where a job is no voucher's business."""


class Voucherd:
    """The daemon's state: its desk, and what has happened since it was started."""

    def __init__(self, config: Config) -> None:
        self.config = config
        cluster = partitions.load(config)
        self.engine = ledger.connect(config.book, durable=False, patience_ms=PATIENCE_MS)
        rules = looking.rules(self.engine, cluster)
        self.desk = Desk(self.engine, rules, config.without_voucher)
        self.counts: Counter[str] = Counter()
        self.looked_s: int | None = None
        self._missed = 0
        self._looks_due = 1
        """How many looks at the queue come before its users release jobs: some may be in it that
        nobody was asked about."""

    @property
    def rules(self) -> asking.Rules:
        """Cluster, price list and policy as they are now."""
        return self.desk.rules

    def answer(self, line: bytes, now_s: int) -> bytes:
        """Answer one question; every error becomes a NO with words, whatever it is."""
        echo: dict[str, str] = {}
        self.counts["asked"] += 1
        try:
            hold = protocol.usual(line)
            if hold is not None:
                echo["hold"] = hold.id
                held_micro, after, vague = self.desk.place(hold, now_s)
                self.counts["held"] += 1
                say = _held(hold.voucher, held_micro, after, vague=vague)
                return protocol.held(hold.id, held_micro, say)
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
        except Exception:
            log.exception("question %r: mistake in voucherd", line[:SHOWN_BYTES])
            self.counts["mistakes"] += 1
            say = "voucher: mistake in voucherd, 1 question has no answer; tell the operator"
            return protocol.answer("NO", echo | {"code": "internal"}, say)

    def _answer(self, question: protocol.Question, echo: dict[str, str], now_s: int) -> bytes:
        match question.verb:
            case "HOLD":
                return self._hold_or_default(question.fields, echo, now_s)
            case "MODIFY":
                return protocol.answer("YES", echo, self._modify(question.fields, now_s))
            case "DROP":
                hold_id, uid = question.fields.get("hold", ""), _uid(question.fields)
                self.desk.drop(hold_id, uid, now_s)
            case "STATUS":
                return protocol.answer("YES", self._status(now_s))
        return protocol.answer("YES", echo)

    def _hold_or_default(self, fields: protocol.Fields, echo: dict[str, str], now_s: int) -> bytes:
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
        asked = protocol.asked(fields)
        hold = protocol.Hold(hold_id, uid, account, asked)
        held_micro, after, vague = self.desk.place(hold, now_s)
        self.counts["held"] += 1
        say = _held(f"{account}{named}", held_micro, after, vague=vague)
        return protocol.answer("YES", echo | {"held": str(held_micro)}, say)

    def _modify(self, fields: protocol.Fields, now_s: int) -> str:
        """Raise the hold of a changed job; jobs without a hold are none of our business."""
        changed = {key: value for key, value in fields.items() if key not in NOT_CHANGED}
        job_id = _job_id(fields.get("job", ""))
        if "release" in fields and self._looks_due:
            raise Unavailable(
                f"job {job_id}: voucherd has to see the queue first, {self._looks_due} looks are "
                "due; release it again in a minute"
            )
        if not changed:
            return ""
        found = self.desk.modify(job_id, changed, now_s)
        if found is None:
            self._insist_on_no_voucher(job_id, fields, now_s)
            return ""
        raised, after, vague = found
        return _held(raised.account, raised.tasks * raised.task_micro, after, vague=vague)

    def _insist_on_no_voucher(self, job_id: int, fields: protocol.Fields, now_s: int) -> None:
        """Let a job without a hold be changed, as long as that is no way around one; root may."""
        uid = _uid(fields)
        if uid == 0:
            return
        self.desk.insist_on_seen(job_id, uid, now_s)
        if "asked_for" in fields and self.config.without_voucher == REFUSE:
            raise NotEligible(
                f"job {job_id}: has 0 vouchers, and where it is to go it needs 1; submit it there "
                "with --voucher=ID"
            )

    def _note_missed(self, question: protocol.Question) -> None:
        """Count the questions that the hook had no answer to, as it tells with the next one."""
        missed = estimate.number(question.fields, "missed") or 0
        if missed:
            self.counts["missed"] += missed - (self._missed if missed >= self._missed else 0)
            self._missed = missed
            self._looks_due = 2  # one may have begun before

    def _status(self, now_s: int) -> dict[str, str]:
        figures = self.counts | {"waiting": self.desk.waiting}
        if self.looked_s is not None:
            figures |= {"looked_ago_s": now_s - self.looked_s}
        return {name: str(figure) for name, figure in figures.items()}

    def follow(self, looked: looking.Looked, now_s: int) -> None:
        """Count what a look at the queue did, and go on by the rules that it found."""
        self.looked_s = now_s
        self._looks_due = max(0, self._looks_due - 1)
        if looked.rules is not None:
            self.desk.follow(looked.rules)
        self.counts["self_paid"] += len(looked.done.self_paid)
        self.counts["ended"] += len(looked.ended)
        self.desk.never_came(looked.done.unseen_of, now_s)


@contextlib.contextmanager
def logged(subject: str) -> Iterator[None]:
    """Log a mistake of ours and go on: the queue waits for a look, holds for the book."""
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


def _held(account: str, held_micro: int, after: holds.Position, *, vague: bool = False) -> str:
    held = _held_yuan(held_micro) + (" yuan for the dearest it may get" if vague else " yuan")
    return f"voucher {account}: held {held}, {yuan(after.available_fen)} is left"


@lru_cache(protocol.ALIKE_MAX)  # many jobs are alike
def _held_yuan(held_micro: int) -> str:
    return yuan(fen_up(held_micro))


def _job_id(text: str) -> int:
    """Return the number that Slurm's queue has for a job: 15, 16_2 is of 16, 17+1 is 18."""
    match = _JOB.fullmatch(text)
    if match is None:
        raise InvalidInput(f"job {text[:32]!r}: is no job number; name 1 job as squeue shows it")
    return int(match[1]) + int(match[2] or 0)
