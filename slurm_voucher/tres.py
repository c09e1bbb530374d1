"""Read what Slurm writes about trackable resources (TRES): cards and memory.

Cards are the gres named gpu, npu and dcu. Slurm tells the same cards twice where a site tracks
both, by type and as a sum (`gres/gpu:ascend_910b=2,gres/gpu=2`): the two are never added.
Parts of cards (gres/shard, gres/mps) are read the same way, and are not counted as cards. A job on
shards has no gres/gpu beside them, and none may ask for both (tried on 26.05).
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from accounting.errors import InvalidInput
from accounting.runs.run import PARTS, is_part

NAMES = frozenset({"gpu", "npu", "dcu"}) | PARTS

_COUNT = re.compile(r"(\d{1,12})(K?)")
_MEMORY = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?([KMGTP]?)")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_/.-]{0,63}")
_SIZE = re.compile(r"[0-9]+[KkMmGgTtPp]?")
_KIB = {"K": 0, "M": 1, "": 1, "G": 2, "T": 3, "P": 4}


class Tres(NamedTuple):
    """What one TRES text says.

    Attributes:
        cards: Number of whole cards of all kinds.
        gres: Cards and parts of cards by kind, sorted, `gpu:ascend_910b=2,npu=1`; what a sum has
            beyond its types stands without a type; '' for none.
        mem_mb: Memory in MiB, rounded down. None: the text does not say.
    """

    cards: int
    gres: str
    mem_mb: int | None


@lru_cache(maxsize=65536)
def read(text: str) -> Tres:
    """Read a text such as `billing=12,cpu=12,gres/gpu=4,mem=374000M,node=2`.

    Raises:
        ValueError: An item is no name=count, a card count was rounded, a sum of cards is less
            than its types, or the resources stand by number.
    """
    kinds: dict[str, int] = {}
    mem_mb = None
    for name, value in _items(text):
        if name == "mem":
            mem_mb = memory_mb(value)
        elif name.startswith("gres/") and name[5:].partition(":")[0] in NAMES:
            kinds[name[5:]] = count(value)
    kinds = _once(kinds)
    gres = ",".join(sorted(f"{kind}={number}" for kind, number in kinds.items()))
    cards = sum(number for kind, number in kinds.items() if not is_part(kind))
    return Tres(cards, gres, mem_mb)


def _items(text: str) -> Iterator[tuple[str, str]]:
    """Split a TRES text; each name may stand once."""
    seen = set()
    for item in text.split(",") if text else ():
        name, equals, value = item.partition("=")
        if not equals or not name or name.isdigit():
            raise ValueError(f"{item!r} is no name=count")
        if name in seen:
            raise ValueError(f"{name} stands twice")
        seen.add(name)
        yield name, value


def _once(kinds: dict[str, int]) -> dict[str, int]:
    """Take from each sum what its types already say.

    Example:
        gpu:a=2, gpu=3 becomes gpu:a=2, gpu=1: one card has no type.
    """
    kept = {kind: number for kind, number in kinds.items() if ":" in kind and number}
    for name in (kind for kind in kinds if ":" not in kind):
        typed = sum(n for kind, n in kept.items() if kind.startswith(f"{name}:"))
        if kinds[name] < typed:
            raise ValueError(f"gres/{name}={kinds[name]} is less than its types together, {typed}")
        if kinds[name] > typed:
            kept[name] = kinds[name] - typed
    return kept


def count(text: str) -> int:
    """Read a number of things: 12, or 2K for 2048 as sacct prints it without --noconvert.

    Raises:
        ValueError: Not such a number; a fraction such as 1.21K is a rounded figure.
    """
    match = _COUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no whole count; ask sacct with --noconvert")
    return int(match[1]) * (1024 if match[2] else 1)


def memory_mb(text: str) -> int:
    """Read memory as MiB, rounded down: 48000M, 62.50G, 125G, 48000.

    Raises:
        ValueError: Not such a size.
    """
    return _memory(text) // (1000 * 1024)


def asked_mb(text: str) -> int:
    """Read memory of a request as MiB, rounded up: 64G, 64g, 1500K, 4000.

    Raises:
        ValueError: Not such a size.
    """
    return -(-_memory(text) // (1000 * 1024))


def _memory(text: str) -> int:
    """Read memory in thousandths of a KiB."""
    match = _MEMORY.fullmatch(text.upper())
    if match is None:
        raise ValueError(f"{text!r} is no size of memory; write it as 64G, or 4000 in MiB")
    whole, fraction, unit = match.groups()
    thousandths = int(whole) * 1000 + int((fraction or "").ljust(3, "0"))
    return int(thousandths * 1024 ** _KIB[unit])


def asked(text: str) -> dict[str, int]:
    """Read the cards and parts of cards of a request.

    They are written in many ways: gres:gpu:ascend_910b:2, gres/gpu:2, gpu, cpu=4,gres/gpu:T=1.

    Returns:
        How many of each kind, as in `gpu:ascend_910b` or `shard`; what is neither is left out.

    Raises:
        InvalidInput: A part cannot be read.
    """
    found: Counter[str] = Counter()
    for part in filter(None, text.split(",")):
        name, *more = re.split("[:=]", part.removeprefix("gres:").removeprefix("gres/"))
        # a type may begin with a digit (910b), a number may end with K
        given = more.pop() if more and (len(more) == 2 or _SIZE.fullmatch(more[-1])) else "1"
        types_ok = len(more) <= 1 and all(_NAME.fullmatch(each) for each in more)
        if not _NAME.fullmatch(name) or not types_ok or not _COUNT.fullmatch(given.upper()):
            if _NAME.fullmatch(name) and name.lower() not in NAMES:
                continue
            raise InvalidInput(f"gres {part[:48]!r}: cannot be read; write it as gpu:type:2")
        if name.lower() in NAMES:
            found[":".join([name.lower(), *more])] += count(given.upper())
    return dict(found)
