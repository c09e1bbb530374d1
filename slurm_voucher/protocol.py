"""The wire between the submit hook and voucherd: one line each way.

    1 HOLD hold=<32 hex> uid=2001 voucher=CD26-0001 partition=ai time_limit=120 …
    1 YES hold=<the same> held=1240000000 say=voucher%20CD26-0001%3A%20…

The first word is the version. Values are percent-encoded, so that neither space nor newline
nor a terminal's control bytes can stand in one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
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
_KEY = re.compile(r"[a-z_]{1,32}")
_VALUE = re.compile(r"(?:[A-Za-z0-9\-_.:/,+@*\[\]]|%[0-9A-F]{2})*")


Fields = Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """One line from the hook."""

    verb: str
    fields: Fields


def encode(value: str) -> str:
    """Percent-encode a value."""
    return quote(value, safe=_PLAIN).replace("~", "%7E")


def read(line: bytes) -> Question:
    """Read a question.

    Raises:
        InvalidInput: Another version, an unknown verb, a key given twice, or odd bytes.
    """
    try:
        version, verb, *pairs = line.decode("ascii").rstrip("\n").split(" ")
    except ValueError:
        raise InvalidInput("wire: the line is no question; plugin and voucherd must fit") from None
    if version != VERSION:
        raise InvalidInput(
            f"wire: version {version[:8]!r}, this voucherd speaks {VERSION}; install plugin and "
            "voucherd of one release"
        )
    if verb not in VERBS:
        raise InvalidInput(f"wire: {verb[:16]!r} is no question; known: {', '.join(VERBS)}")
    fields: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key in fields or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise InvalidInput(f"wire: {pair[:32]!r} is no key=value given once")
        fields[key] = unquote_to_bytes(value).decode("utf-8", "replace")
    return Question(verb, fields)


def answer(word: str, fields: Mapping[str, str], say: str = "") -> bytes:
    """Write an answer; what is said to the user is one line of at most 200 bytes."""
    line = " ".join([VERSION, word, *(f"{key}={encode(value)}" for key, value in fields.items())])
    plain = say if say.isprintable() else "".join(c if c.isprintable() else "?" for c in say)
    cut = plain.encode("utf-8", "replace")[:SAY_BYTES_MAX].decode("utf-8", "ignore")
    while cut and len(line) + len(f" say={encode(cut)}\n") > ANSWER_BYTES_MAX:
        cut = cut[:-1]
    if cut:
        line += f" say={encode(cut)}"
    return line.encode("ascii") + b"\n"
