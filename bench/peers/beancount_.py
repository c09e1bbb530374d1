"""The same phases in beancount: transactions appended to its text file, synced, loaded once.

It has no other way in: whoever asks for a balance loads the whole file. Here that is done once,
after all phases, and not after each group.
"""

import datetime
import os
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import beancount
from beancount import loader
from beancount.core import data

NAME = "beancount"
VERSION = beancount.__version__
DAY = datetime.date(2024, 7, 3)
MICRO = 1_000_000
Line = tuple[str, str, int]
_TYPES = {"bank": "Assets", "accrued": "Assets", "revenue": "Income", "cash": "Liabilities",
          "programme": "Equity", "rounding": "Expenses"}  # fmt: skip


def run(
    path: Path, given: Sequence[Sequence[Line]], phases: Sequence[Sequence[Line]], size: int
) -> tuple[float, dict[tuple[str, str], int]]:
    """Post phases in groups of a size; return phases a second, and the balances at the end."""
    known = {(name, owner) for lines in (*given, *phases) for name, owner, _ in lines}
    names = {_account(*key): key for key in known}
    opened = "".join(f"{DAY} open {name}\n" for name in sorted(names))
    file = path.with_suffix(".beancount")
    file.write_text(opened + "".join(map(_text, given)), encoding="utf-8")
    began = time.perf_counter()
    with file.open("ab", buffering=0) as target:
        for i in range(0, len(phases), size):
            target.write("".join(map(_text, phases[i : i + size])).encode())
            os.fdatasync(target.fileno())
    entries, errors, _ = loader.load_file(str(file))
    took = time.perf_counter() - began
    assert not errors, errors[:1]
    return len(phases) / took, _balances(entries, names)


def _account(name: str, owner: str) -> str:
    """Name an account as beancount wants it: by type, each word with a capital."""
    words = [word.capitalize() for word in name.split(".")]
    return ":".join([_TYPES.get(name, "Assets"), *words, owner.upper()])


def _text(lines: Sequence[Line]) -> str:
    postings = "".join(
        f"  {_account(name, owner)}  {Decimal(micro) / MICRO:.6f} CNY\n"
        for name, owner, micro in lines
    )
    return f'{DAY} * "phase"\n{postings}'


def _balances(
    entries: data.Directives, names: dict[str, tuple[str, str]]
) -> dict[tuple[str, str], int]:
    ends: dict[tuple[str, str], int] = {}
    for entry in entries:
        if isinstance(entry, data.Transaction):
            for line in entry.postings:
                assert line.units
                key = names[line.account]
                ends[key] = ends.get(key, 0) + int(Decimal(line.units.number or 0) * MICRO)
    return {key: micro for key, micro in ends.items() if micro}
