"""Read a file of usage, whatever it is called: text of `sacct -P` or JSON, packed or not.

What it is, its first bytes say. It is read as it comes and never held whole, so that a packed file
that unpacks to any size takes time and no memory.
"""

import itertools
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from accounting.errors import InvalidInput, UsageInvalid
from slurm_voucher.sources import BadRow, json_jobs, sacct, tables
from slurm_voucher.sources.whole import Whole

PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""How packed files begin: RFC 1952, RFC 8878."""
OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"PK": "zip", b"PAR1": "Parquet",
          b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}  # fmt: skip
"""How files begin that are known and not read."""
HEAD_BYTES = 2**20
"""Within so much the first line ends, or it is no header."""


BLOCK_BYTES = 4 * 2**20
Watched = Callable[[Iterable[bytes], Callable[[], int], int | None], Iterator[bytes]]


class Found(NamedTuple):
    """What a file has.

    Attributes:
        lacks: What no run of it says, by column; '' for nothing.
        chosen: Columns whose text users choose and could forge a row in; '' for none.
        rows: Tables of the schema USAGE, and rows that cannot be read.
    """

    lacks: str
    chosen: str
    rows: Iterator[pa.Table | BadRow]


def read(
    path: Path,
    *,
    fields: Sequence[str] | None = None,
    timezone: str,
    cluster: str | None = None,
    skipped: Counter[str] | None = None,
    slow: Counter[str] | None = None,
    watched: Watched = lambda blocks, place, length: iter(blocks),
) -> Found:
    """Open a file and say what it is; for other arguments see `tables.tables`.

    Args:
        watched: Is given the blocks, what tells how far the reading of the file has come, and how
            far it goes; returns the blocks.

    Raises:
        InvalidInput: It cannot be read, is damaged, or is of another kind.
        UsageInvalid: Columns are missing.
    """
    blocks = unpacked(path, watched)
    head = next(blocks, b"").removeprefix(b"\xef\xbb\xbf")
    whole = itertools.chain([head], blocks)
    source = str(path)
    if head.lstrip()[:1] == b"{":
        found = json_jobs.tables(whole, cluster=cluster, source=source, skipped=skipped)
        return Found(sacct.lacks(json_jobs.FIELDS), "", found)
    names = _header(head, source) if fields is None else list(fields)
    text = Whole(whole)
    rows = tables.tables(
        text, fields=fields, timezone=timezone, cluster=cluster, source=source, skipped=skipped,
        slow=slow,
    )  # fmt: skip
    rows = itertools.chain(rows, _end(path, text))
    return Found(sacct.lacks(names), sacct.chosen(names), rows)


def _header(head: bytes, source: str) -> list[str]:
    """Return the names in the first line."""
    first, ends, _ = head[:HEAD_BYTES].partition(b"\n")
    if not ends:
        raise UsageInvalid(
            f"{source}: no line ends in its first {len(head[:HEAD_BYTES])} bytes; "
            "give text of sacct -P with a header, or name --fields"
        )
    names = first.decode("utf-8", "replace").rstrip("\r").split("|")
    if len(names) == 1 and len(names[0].split()) > 1:
        raise UsageInvalid(
            f"{source}: its columns have a fixed width, which cuts values short; export it anew "
            "with sacct -P"
        )
    return names


def _end(path: Path, text: Whole) -> Iterator[BadRow]:
    """Say why a text broke off, or list what stands behind its last line feed: the begin of a row
    reads as another row."""
    if text.broken is not None:
        raise text.broken
    if text.rest:
        lines = sum(block.count(b"\n") for block in unpacked(path)) if path.is_file() else None
        line = 0 if lines is None else lines + 1  # a pipe is not read again
        said = text.rest[:80].decode("utf-8", "replace")
        reason = "has no line feed at its end and may be cut short; see that the file is whole"
        yield BadRow(line, "", said, reason, str(path))


def unpacked(
    path: Path, watched: Watched = lambda blocks, place, length: iter(blocks)
) -> Iterator[bytes]:
    """Yield what a file holds, block by block; of one that grows what it held when it was opened.

    Raises:
        InvalidInput: It cannot be read, is damaged, or is packed in another way.
    """
    try:
        with path.open("rb") as file:
            begin = file.peek(16)[:16]
            _refuse_others(begin, path)
            state = os.fstat(file.fileno())
            size = state.st_size if stat.S_ISREG(state.st_mode) else None
            how = next((how for magic, how in PACKED.items() if begin.startswith(magic)), None)
            if how is None:
                yield from watched(_as_opened(file, size), file.tell, size)
                return
            with pa.CompressedInputStream(pa.PythonFile(file), how) as stream:
                blocks = iter(partial(stream.read, BLOCK_BYTES), b"")
                yield from watched(blocks, file.tell, size)
    except (OSError, EOFError) as error:
        raise InvalidInput(f"{path}: cannot be read ({error}); check path and format") from None


def _refuse_others(begin: bytes, path: Path) -> None:
    for magic, kind in OTHERS.items():
        if begin.startswith(magic):
            raise InvalidInput(
                f"{path}: is {kind}; give text of sacct -P or JSON, plain, gzip or zstd"
            )


def _as_opened(file: BinaryIO, size: int | None) -> Iterator[bytes]:
    """Yield as many bytes of a file, or those of a pipe until it ends."""
    left = sys.maxsize if size is None else size
    while block := file.read(min(BLOCK_BYTES, left)):
        left -= len(block)
        yield block
