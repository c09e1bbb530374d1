"""Read text of `sacct -P` fast: some lines at a time, into tables of runs.

`sacct` says what a row is. The compiled loops of `scan` read the forms in which Slurm writes; a row
of which they are not sure goes to `sacct`, so that both give the same runs and the same bad rows.
Words are known by their bytes; a hash alone decides nothing. Text is read into a little memory that
is used again, so that it is in the processor's caches when it is looked at.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher.sources import BadRow, localtimes, sacct, scan
from slurm_voucher.sources.allocated import Allocated
from slurm_voucher.sources.dictionary import Dictionary, numbers
from slurm_voucher.sources.memory import Blocks
from slurm_voucher.sources.states import LIVE

TEXT_BYTES, PART_BYTES = 2**23, 2**20
"""How much text is looked at at a time, and how much of it is put there at a time."""
PIECE_LINES = 520_000
"""A table has the runs of as many lines at most. What a table costs, whatever its size, is tens of
milliseconds; with more, columns of 4 MiB, each took longer (bench/README.md)."""
ODD_BYTES = 2**25
"""With so much text that is not sure a piece ends, too."""
WORDS_MAX = 2**17
"""Of so many words a piece begins anew, so that a text without end takes memory with one."""
_LINE_BYTES = 4 * sacct.LINE_CHARS_MAX + 4
"""As much of a line is enough to see that it is too long."""
_ARENA_BYTES = 2**25
"""For texts of a piece one behind the other."""
_ROW_BYTES = 8 * len(scan.LONGS) + 4 * len(scan.INTS)
Bools = npt.NDArray[np.bool_]
SKIPPED = {"step": scan.STEP, "live": scan.LIVE, "no end": scan.NO_END}
_WORD_COLUMNS = {
    "state": scan.STATE,
    "partition": scan.PARTITION,
    "qos": scan.QOS,
    "slurm_account": scan.ACCOUNT,
    "user": scan.USER,
    "voucher": scan.VOUCHER,
}


def tables(
    blocks: Iterable[bytes],
    *,
    fields: Sequence[str] | None = None,
    timezone: str,
    cluster: str | None = None,
    source: str = "",
    skipped: Counter[str] | None = None,
    slow: Counter[str] | None = None,
) -> Iterator[pa.Table | BadRow]:
    """Read rows as runs that have ended.

    Args:
        blocks: Text of sacct -P, cut anywhere.
        fields: Order of the columns; None: the first line says it.
        timezone: Zone of the times in the text; UTC where sacct ran with TZ=UTC.
        cluster: Cluster that all rows must be of. None: each row says its own.
        source: Name of the file or command, for messages.
        skipped: Counts rows that are no runs, by reason.
        slow: Counts the rows that the slow reader had to read, as `rows`.

    Returns:
        Tables of the schema USAGE, in the order of the text, and the rows that cannot be read.

    Raises:
        UsageInvalid: Columns are missing or stand twice; raised before the first row.
    """
    first = 0
    if fields is None:
        blocks = iter(blocks)
        line, blocks = _header(blocks)
        header = line.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r\n")
        fields, first = header.split("|"), 1
    at = sacct.layout(fields, cluster, source)
    reader = _Reader(tuple(fields), at, timezone, cluster, source)
    counts = (Counter() if each is None else each for each in (skipped, slow))
    return reader.tables(blocks, first, *counts)


def _header(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first line of a text, and what comes behind it."""
    text = b""
    for block in blocks:
        text += block
        if b"\n" in block or len(text) > sacct.LINE_CHARS_MAX:
            break
    line, _, rest = text.partition(b"\n")
    return line, chain([rest], blocks)


def _texts(blocks: Iterable[bytes]) -> Iterator[tuple[bytearray, int]]:
    """Put text together to whole lines. Of a line that is longer than any can be only the begin is
    kept.

    Yields:
        Text, the same memory each time, and where its last line ends; PAD bytes lie behind.
    """
    text, size = bytearray(max(TEXT_BYTES, _LINE_BYTES) + PART_BYTES + scan.PAD + 1), 0
    for part in _parts(blocks):
        if size + len(part) > len(text) - scan.PAD - 1:
            size = _LINE_BYTES  # all of it is one line
        text[size : size + len(part)] = part
        size += len(part)
        if size >= TEXT_BYTES and (end := text.rfind(b"\n", 0, size) + 1):
            yield text, end
            text[: size - end] = text[end:size]
            size -= end
    if size:
        if text[size - 1] != 10:
            text[size], size = 10, size + 1
        yield text, size


def _parts(blocks: Iterable[bytes]) -> Iterator[memoryview]:
    """Cut blocks that are larger than what there is room for."""
    for block in blocks:
        for low in range(0, len(block), PART_BYTES):
            yield memoryview(block)[low : low + PART_BYTES]


class _Piece:
    """Lines that become a table.

    Attributes:
        out: Runs that are sure, as far as their own columns tell.
        counts: int64[9], as `scan.scan` counts.
        unsure: Which of them have a word that is none, or resources that cannot be read.
        odd: Lines that are not sure, those of `unsure` among them: number, from 0, and text.
        odd_bytes: How much text that is.
    """

    def __init__(self, block: scan.Bytes) -> None:
        longs, rest = np.split(block, [8 * len(scan.LONGS) * PIECE_LINES])
        ints, rest = np.split(rest, [4 * len(scan.INTS) * PIECE_LINES])
        self.out = scan.Columns(
            longs.view(np.int64).reshape(-1, PIECE_LINES),
            ints.view(np.int32).reshape(-1, PIECE_LINES),
            *np.split(rest, 2),
        )
        self.counts = np.zeros(9, np.int64)
        self.unsure: list[scan.Longs] = []
        self.odd: list[tuple[int, bytes]] = []
        self.odd_bytes = 0

    @property
    def lines(self) -> int:
        """How many lines were read."""
        return int(self.counts[scan.LINES])

    @property
    def rows(self) -> int:
        """How many of them are runs that are sure, or were taken to be."""
        return int(self.counts[scan.ROWS])

    def add(self, line: int, text: bytes) -> None:
        """Add a line that is not sure."""
        self.odd.append((line, text))
        self.odd_bytes += len(text)


_NONE = np.zeros(0, np.int64)


class _Reader:
    """Reads one text."""

    def __init__(
        self,
        fields: tuple[str, ...],
        at: sacct.Layout,
        timezone: str,
        cluster: str | None,
        source: str,
    ) -> None:
        self.fields, self.at = fields, at
        self.timezone, self.cluster, self.source = timezone, cluster, source
        texts = [name.lower() in sacct.FREE_TEXT for name in fields]
        named = b"" if cluster is None else cluster.encode()
        self.rules = scan.Rules(
            fields=len(fields),
            last_free=texts[-1] and sum(texts) == 1,
            live=len(LIVE),
            cluster=np.frombuffer(named + bytes(scan.PAD), np.uint8),
            zones=localtimes.once(timezone),
            months=localtimes.months(),
        )
        self.places = scan.Places(*at)
        self.fast = len(fields) <= scan.FIELDS_MAX
        self.fast &= cluster is None or sacct.is_cluster(cluster)
        self._blocks = Blocks(PIECE_LINES * _ROW_BYTES + 2 * _ARENA_BYTES)
        self._starts = np.empty(scan.FIELDS_MAX + 1, np.int64)
        self._last = scan.Last(np.zeros(2, np.uint64), np.zeros(2, np.int64))
        self._odd = np.empty((PIECE_LINES, 3), np.int64)
        self._begin_words()

    def _begin_words(self) -> None:
        self._words = Dictionary()
        self._allocated = Allocated(self._words)

    def tables(
        self, blocks: Iterable[bytes], first: int, skipped: Counter[str], slow: Counter[str]
    ) -> Iterator[pa.Table | BadRow]:
        """Read all of it; the line that comes first has this number, from 0."""
        piece = _Piece(self._blocks.take())
        for text, end in _texts(blocks):
            low = 0
            while low < end:
                low = self._read(text, low, end, piece)
                full = low < end or piece.odd_bytes > ODD_BYTES or piece.lines >= PIECE_LINES
                if full or len(self._words) > WORDS_MAX:
                    yield from self._whole(piece, first, skipped, slow)
                    first += piece.lines
                    piece = _Piece(self._blocks.take())
                    if len(self._words) > WORDS_MAX:
                        self._begin_words()
        if piece.lines:
            yield from self._whole(piece, first, skipped, slow)

    def _read(self, text: bytearray, low: int, end: int, piece: _Piece) -> int:
        """Read lines into a piece; return where it is full, or the end."""
        counts, first_row, first_line = piece.counts, piece.rows, piece.lines
        if not self.fast:
            for line in io.BytesIO(text[low:end]):
                piece.add(piece.lines, line)
                counts[scan.LINES] += 1
            return end
        counts[scan.PLACE], counts[scan.ODD] = low, 0
        padded = np.frombuffer(text, np.uint8)
        with np.errstate(over="ignore"):  # as plain Python, NumPy warns of what a hash does
            while scan.scan(
                padded, end, self._starts, self.places, self.rules, self._last,
                self._words.arrays, piece.out, self._odd, counts,
            ) == scan.NO_ROOM:  # fmt: skip
                self._words.grow()
        place = int(counts[scan.PLACE])
        for line, begin, feed in self._odd[: counts[scan.ODD]].tolist():
            piece.add(line, bytes(text[begin:feed]))
        unsure = first_row + self._unsure(piece.out.ints[:, first_row : piece.rows])
        if len(unsure):
            piece.unsure.append(unsure)
            listed = text[low:place].split(b"\n")
            for line in piece.out.longs[scan.LINE, unsure].tolist():
                piece.add(line, bytes(listed[line - first_line]))
        return place

    def _unsure(self, ints: scan.Ints) -> scan.Longs:
        """Find the rows that have a word which is none, or resources that cannot be read."""
        words = (scan.CLUSTER, *_WORD_COLUMNS.values())
        found = [self._words.wrong(ints[place]) for place in words]
        found += [self._allocated.wrong(ints[place]) for place in (scan.ALLOC, scan.REQ)]
        marks = [each for each in found if each is not None]
        return np.flatnonzero(np.logical_or.reduce(marks)) if marks else _NONE

    def _table(self, piece: _Piece) -> tuple[pa.Table, scan.Longs]:
        """Put what was read into a table; return the line of each of its rows, too."""
        rows, words = piece.rows, self._words
        longs, ints = piece.out.longs[:, :rows], piece.out.ints[:, :rows]
        never = longs[scan.START] == scan.NEVER
        held = np.diff(ints[scan.HOLD_END], prepend=0) > 0
        columns = {
            "job_id": pa.array(longs[scan.JOB_ID]),
            "job": _texts_of(ints[scan.JOB_END], piece.out.jobs, None),
            "submit_s": pa.array(longs[scan.SUBMIT]),
            "start_s": numbers(longs[scan.START], ~never),
            "end_s": pa.array(longs[scan.END]),
            "billed_from_s": numbers(longs[scan.START], ~never),
            "elapsed_s": pa.array(longs[scan.ELAPSED]),
            "suspended_s": pa.array(longs[scan.SUSPENDED]),
            "uid": numbers(longs[scan.UID], longs[scan.UID] != scan.NEVER),
            "nodes": pa.array(ints[scan.NODES]),
            "cpus": pa.array(ints[scan.CPUS]),
            "hold": _texts_of(ints[scan.HOLD_END], piece.out.holds, held),
            "held_micro": numbers(longs[scan.HELD], longs[scan.HELD] != scan.NEVER),
        }
        if self.at.cluster >= 0 and self.cluster is None:
            columns["cluster"] = words.column(ints[scan.CLUSTER])
        else:
            columns["cluster"] = usage.of_words(np.zeros(rows, np.int32), [self.cluster or ""])
        for name, place in _WORD_COLUMNS.items():
            columns[name] = words.column(ints[place], 0 if name == "voucher" else None)
        columns |= self._resources(ints[scan.ALLOC], ints[scan.REQ], never)
        table = pa.Table.from_arrays(
            [columns[name] for name in usage.USAGE.names], schema=usage.USAGE
        )
        line = longs[scan.LINE]
        if not piece.unsure:
            return table, line
        sure = np.ones(rows, np.bool_)
        sure[np.concatenate(piece.unsure)] = False
        return table.filter(pa.array(sure)), line[sure]

    def _resources(self, alloc: scan.Ints, req: scan.Ints, never: Bools) -> dict[str, pa.Array]:
        """Return what was allocated and asked for.

        What never started had nothing: Slurm leaves there what it would have had.
        """
        said = self._allocated
        if never.any():
            alloc = np.where(never, np.int32(0), alloc)
        return {
            "mem_mb": said.mem_mb(alloc),
            "cards": said.cards(alloc),
            "gres": said.gres(alloc),
            "req_gres": said.gres(req),
        }

    def _whole(
        self, piece: _Piece, first: int, skipped: Counter[str], slow: Counter[str]
    ) -> Iterator[pa.Table | BadRow]:
        """Give what a piece has: its runs, and what the slow reader makes of lines that are not
        sure."""
        for word, place in SKIPPED.items():
            if piece.counts[place]:
                skipped[word] += int(piece.counts[place])
        table, line = self._table(piece)
        if not piece.odd:
            yield table
            return
        slow["rows"] += len(piece.odd)
        runs: list[Run] = []
        lines: list[int] = []
        for number, text in sorted(piece.odd):
            numbered = [(first + number + 1, text)]
            for row in sacct.rows(
                numbered, self.fields, self.at, self.timezone, self.cluster, self.source, skipped
            ):
                if isinstance(row, Run):
                    runs.append(row)
                    lines.append(number)
                else:
                    yield row
        if not runs:
            yield table
            return
        both = pa.concat_tables([table, usage.table(runs)]).unify_dictionaries()
        order = np.argsort(np.concatenate([line, np.array(lines, np.int64)]), kind="stable")
        yield both.take(pa.array(order))


def _texts_of(ends: scan.Ints, text: scan.Bytes, valid: Bools | None) -> pa.Array:
    """Make a column of texts that stand one behind the other."""
    offsets = np.concatenate([np.zeros(1, np.int32), ends])
    used = text[: offsets[-1]].copy()
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bits, pa.py_buffer(offsets), pa.py_buffer(used)]
    return pa.Array.from_buffers(pa.string(), len(ends), buffers)
