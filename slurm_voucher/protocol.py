"""The wire between the submit hook and voucherd: one line each way.

    1 HOLD hold=<32 hex> uid=2001 voucher=CD26-0001 partition=ai time_limit=120 …
    1 YES hold=<the same> held=1240000000 say=voucher%20CD26-0001%3A%20…

The first word is the version. Values are percent-encoded, so that neither space nor newline
nor a terminal's control bytes can stand in one.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

import msgspec

from accounting.errors import InvalidInput

VERSION = "1"
REQUEST_BYTES_MAX = 4096
ANSWER_BYTES_MAX = 1024
SAY_BYTES_MAX = 200
ID_BYTES_MAX = 256
"""Longest hold or job that the hook names (WIRE_ID_MAX)."""
VERBS = ("HOLD", "MODIFY", "DROP", "PING", "STATUS")

NAMES = frozenset({"hold", "uid", "voucher", "missed"})
"""Fields of a HOLD that say nothing of what the job can cost."""
ALIKE_MAX = 1_000
"""How many texts of what jobs ask for are remembered: a user can make up any number."""

_PLAIN = "-_.:/,+@*[]"
_CLEAR = r"[A-Za-z0-9\-_.:/,+@*\[\]]*"
_PAIR = re.compile(rf"[a-z_]{{1,32}}={_CLEAR}(?:%[0-9A-F]{{2}}{_CLEAR})*")
_PAIRS = re.compile(rf"{_PAIR.pattern}(?: {_PAIR.pattern})*")
_NEARLY_PLAIN = re.compile(rf"[A-Za-z0-9 {re.escape(_PLAIN)}]*+")
_USUAL = re.compile(
    r"1 HOLD hold=([0-9a-f]{32}) uid=([0-9]{1,10}) voucher=([A-Za-z0-9_-]{1,32}) (.+)\n"
)
"""As the hook asks for a hold; what comes last is the same for all jobs that are alike."""

Fields = Mapping[str, str]


class Question(NamedTuple):
    """One line from the hook."""

    verb: str
    fields: Fields


class Asked(msgspec.Struct, frozen=True):
    """What a job asks for: as it was written, and its fields."""

    text: str
    fields: Fields


class Hold(msgspec.Struct, frozen=True):
    """The question that comes most: who asks for what, of which voucher."""

    id: str
    uid: int
    voucher: str
    asked: Asked


def encode(value: str) -> str:
    """Percent-encode a value."""
    if _NEARLY_PLAIN.fullmatch(value):
        return value.replace(" ", "%20")  # most are, and an answer has no time to lose
    return quote(value, safe=_PLAIN).replace("~", "%7E")


def read(line: bytes) -> Question:
    """Read a question.

    Raises:
        InvalidInput: Another version, an unknown verb, a key given twice, or odd bytes.
    """
    try:
        version, verb, *rest = line.decode("ascii").rstrip("\n").split(" ", 2)
    except ValueError:
        raise InvalidInput("wire: the line is no question; plugin and voucherd must fit") from None
    if version != VERSION:
        raise InvalidInput(
            f"wire: version {version[:8]!r}, this voucherd speaks {VERSION}; install plugin and "
            "voucherd of one release"
        )
    if verb not in VERBS:
        raise InvalidInput(f"wire: {verb[:16]!r} is no question; known: {', '.join(VERBS)}")
    return Question(verb, _pairs(rest[0]) if rest else {})


def usual(line: bytes) -> Hold | None:
    """Read a question as nearly all are; None: `read` has to.

    Raises:
        InvalidInput: What is asked for is no key=value, or odd bytes.
    """
    try:
        match = _USUAL.fullmatch(line.decode("ascii"))
    except ValueError:
        return None
    if match is None:
        return None
    hold, uid, voucher, text = match.groups()
    asked = _alike(text)
    return None if asked is None else Hold(hold, int(uid), voucher, asked)


@lru_cache(ALIKE_MAX)
def _alike(text: str) -> Asked | None:
    """Read what jobs that are alike ask for; None: what names one of them stands in it."""
    fields = _pairs(text)
    return None if fields.keys() & NAMES else Asked(text, fields)


def asked(fields: Fields) -> Asked:
    """Return what the job of a HOLD asks for."""
    own = {key: value for key, value in fields.items() if key not in NAMES}
    return Asked(" ".join([f"{key}={encode(value)}" for key, value in own.items()]), own)


def _pairs(text: str) -> dict[str, str]:
    halves = text.replace("=", " ").split(" ") if _PAIRS.fullmatch(text) else []
    fields = dict(zip(halves[::2], halves[1::2], strict=True))
    if not fields or 2 * len(fields) < len(halves):
        raise InvalidInput(f"wire: {_odd(text.split(' '))[:32]!r} is no key=value given once")
    if "%" in text:
        for key, value in fields.items():
            fields[key] = unquote_to_bytes(value).decode("utf-8", "replace")
    return fields


def _odd(pairs: Sequence[str]) -> str:
    """Return the first that is no pair, or whose key came before."""
    known = set[str]()
    for pair in pairs:
        key = pair.partition("=")[0]
        if key in known or not _PAIR.fullmatch(pair):
            return pair
        known.add(key)
    return ""


def held(hold: str, held_micro: int, say: str) -> bytes:
    """Write the answer to a HOLD that is taken, as `answer` does.

    Args:
        say: Of letters, digits, spaces and the signs that stay as they are, and short: nothing in
            it is looked for, for slurmctld waits.
    """
    told = say.replace(" ", "%20")
    return f"{VERSION} YES hold={hold} held={held_micro} say={told}\n".encode("ascii")


def answer(word: str, fields: Mapping[str, str], say: str = "") -> bytes:
    """Write an answer; what is said to the user is one line of at most 200 bytes."""
    line = " ".join([VERSION, word, *(f"{key}={encode(value)}" for key, value in fields.items())])
    plain = say if say.isprintable() else "".join(c if c.isprintable() else "?" for c in say)
    cut = plain.encode("utf-8", "replace")[:SAY_BYTES_MAX].decode("utf-8", "ignore")
    room = ANSWER_BYTES_MAX - len(line) - len(" say=\n")
    while len(told := encode(cut)) > room and cut:
        cut = cut[:-1]
    if cut:
        line += f" say={told}"
    return line.encode("ascii") + b"\n"
