"""The wire between the submit hook and voucherd: one line each way.

    1 HOLD hold=<32 hex> uid=2001 voucher=CD26-0001 partition=ai time_limit=120 …
    1 YES hold=<the same> held=1240000000 say=voucher%20CD26-0001%3A%20…

The first word is the version. Values are percent-encoded, so that neither space nor newline
nor a terminal's control bytes can stand in one.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from accounting.errors import InvalidInput

VERSION = "1"
REQUEST_BYTES_MAX = 4096
ANSWER_BYTES_MAX = 1024
SAY_BYTES_MAX = 200
ID_BYTES_MAX = 256
"""Longest hold or job that the hook names (WIRE_ID_MAX)."""
VERBS = ("HOLD", "MODIFY", "DROP", "PING", "STATUS")

_PLAIN = "-_.:/,+@*[]"
_PAIR = re.compile(r"[a-z_]{1,32}=(?:[A-Za-z0-9\-_.:/,+@*\[\]]|%[0-9A-F]{2})*+")
_PAIRS = re.compile(rf"{_PAIR.pattern}(?: {_PAIR.pattern})*+")
_NEARLY_PLAIN = re.compile(rf"[A-Za-z0-9 {re.escape(_PLAIN)}]*+")


Fields = Mapping[str, str]


class Question(NamedTuple):
    """One line from the hook."""

    verb: str
    fields: Fields


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
    if not rest:
        return Question(verb, {})
    text = rest[0]
    halves = text.replace("=", " ").split(" ") if _PAIRS.fullmatch(text) else []
    fields = dict(zip(halves[::2], halves[1::2], strict=True))
    if not fields or 2 * len(fields) < len(halves):
        raise InvalidInput(f"wire: {_odd(text.split(' '))[:32]!r} is no key=value given once")
    if "%" in text:
        for key, value in fields.items():
            fields[key] = unquote_to_bytes(value).decode("utf-8", "replace")
    return Question(verb, fields)


def _odd(pairs: Sequence[str]) -> str:
    """Return the first that is no pair, or whose key came before."""
    known = set[str]()
    for pair in pairs:
        key = pair.partition("=")[0]
        if key in known or not _PAIR.fullmatch(pair):
            return pair
        known.add(key)
    return ""


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
