"""Fuzz the readers of usage with atheris: make fuzz.

Any bytes as text: both readers see the same runs and the same bad rows, however the text comes cut.
Any bytes as JSON: runs, bad jobs or a refusal, and nothing else, however it comes cut. The
first byte says which. Kernels run as plain Python (NUMBA_DISABLE_JIT=1), where atheris sees
their branches and a wrong index is an error.
"""

import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["slurm_voucher", "accounting"]):
    from accounting.errors import UsageInvalid
    from accounting.runs import usage
    from slurm_voucher.sources import BadRow, json_jobs, sacct, tables

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_sources_tables import COMMENTS, ROW, SPANS, STATES, TIMES, TRES
from test_sources_tables import WORDS as ODD

FIELDS = list(ROW)
WORDS = [
    word.encode("utf-8", "surrogateescape")
    for word in (*COMMENTS, *ODD, *SPANS, *STATES, *TIMES, *TRES)
]
tables.TEXT_BYTES, tables.PIECE_LINES = 500, 5


def cut(data: bytes) -> list[bytes]:
    """Cut bytes as their own length and first byte say."""
    size = 1 + (len(data) * 7 + (data[0] if data else 0)) % 61
    return [data[at : at + size] for at in range(0, len(data), size)]


def runs_and_bad(found: Any) -> tuple[list[Any], list[BadRow]]:
    """Separate what was read from what could not be."""
    runs: list[Any] = []
    bad: list[BadRow] = []
    for each in found:
        if isinstance(each, BadRow):
            bad.append(each)
        else:
            each.validate(full=True)
            runs += usage.runs(each)
    return runs, bad


def text(data: bytes) -> None:
    """Compare the two readers of text."""
    how: dict[str, Any] = {"fields": FIELDS, "cluster": None, "source": "x"}
    how["timezone"] = "Europe/Berlin" if len(data) % 2 else "UTC"
    fast_skipped: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    fast = runs_and_bad(tables.tables(cut(data), **how, skipped=fast_skipped))
    lines = (line + b"\n" for line in data.split(b"\n"))
    slow = list(sacct.parse(lines, **how, skipped=skipped))
    bad = [row for row in slow if isinstance(row, BadRow)]
    runs = [row for row in slow if not isinstance(row, BadRow)]
    assert fast == (runs, bad), (fast, runs, bad)
    assert fast_skipped == skipped


def jobs(data: bytes) -> None:
    """Read JSON, whole and in pieces."""
    answers = []
    for blocks in ([data], cut(data)):
        try:
            answers.append(runs_and_bad(json_jobs.tables(blocks, source="x")))
        except UsageInvalid as error:
            answers.append(str(error))
    assert answers[0] == answers[1] or "is no single object" in str(answers)


def once(data: bytes) -> None:
    """Try one input."""
    (jobs if data[:1] == b"{" else text)(data)


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Change a value of a row of text, or any bytes: of these hardly one leaves a row a row."""
    chance = random.Random(seed)
    if data[:1] == b"{" or chance.random() < 0.2:
        return bytes(atheris.Mutate(data, most))
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    values = lines[at].split(b"|")
    place = chance.randrange(len(values))
    own = values[place]
    values[place] = chance.choice(WORDS) if chance.random() < 0.2 else atheris.Mutate(own, 40)
    lines[at] = b"|".join(values)
    return b"\n".join(lines)[:most]


if __name__ == "__main__":
    atheris.Setup(sys.argv, once, custom_mutator=mutated)
    atheris.Fuzz()
