"""Read text of `sacct -P` fast: block by block, on a thread of its own, into tables of runs.

`sacct` says what a row is. The compiled loops of `scan` read the forms in which Slurm writes; a row
of which they are not sure goes to `sacct`, so that both give the same runs and the same bad rows.
Words are known by their bytes; a hash alone decides nothing. What is held in memory are the few
blocks that are being read.
"""

import io
import queue
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from mmap import mmap
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from accounting.runs import usage
from accounting.runs.run import Run
from slurm_voucher.sources import BadRow, localtimes, sacct, scan
from slurm_voucher.sources.allocated import Allocated
from slurm_voucher.sources.dictionary import Dictionary, numbers
from slurm_voucher.sources.memory import Blocks, laid_out
from slurm_voucher.sources.states import LIVE

PIECE_BYTES, PIECE_LINES = 64 * 2**20, 350_000
"""How much text is read at a time at most; a table has the runs of one such piece. Each costs some
tens of milliseconds, whatever its size, and takes three kilobytes for each line."""
FIRST_BYTES = 32 * 2**20
"""How much is read before it is known how long lines are."""
PART_BYTES = 4 * 2**20
_LINE_BYTES = 4 * sacct.LINE_CHARS_MAX + 4
"""As much of a line is enough to see that it is too long."""
LINES_MAX = 2**20
"""With so many lines in a piece hardly one is a row: they are read one by one, without room for
as many rows."""
LINES_MORE = 2**12
"""How many lines more a piece may have than those before it had, before they are counted."""
_TEXT_BYTES = max(PIECE_BYTES, _LINE_BYTES) + PART_BYTES + scan.PAD + 1
_ROW_BYTES = 8 * len(scan.LONGS) + 4 * len(scan.INTS)
WORDS_MAX = 2**17
"""Of so many words a piece begins anew, so that a text without end takes memory with one."""
Bools = npt.NDArray[np.bool_]
Buffers: TypeAlias = "queue.SimpleQueue[mmap]"
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
    free: Buffers = queue.SimpleQueue()
    reader = _Reader(tuple(fields), at, timezone, cluster, source, free)
    counts = (Counter() if each is None else each for each in (skipped, slow))
    return _in_order(_pieces(blocks, free, reader.piece_bytes), reader, first, *counts)


def _header(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first line of a text, and what comes behind it."""
    text = b""
    for block in blocks:
        text += block
        if b"\n" in block or len(text) > sacct.LINE_CHARS_MAX:
            break
    line, _, rest = text.partition(b"\n")
    return line, chain([rest], blocks)


def _pieces(
    blocks: Iterable[bytes], free: Buffers, most: Callable[[], int]
) -> Iterator[tuple[mmap, int]]:
    """Cut text into pieces of whole lines, each in a buffer that goes back to the free ones.

    A piece has hardly more bytes than `most` says. Of a line that is longer than any can be only
    the begin is kept.

    Yields:
        Text, and where its last line ends; PAD bytes at least lie behind.
    """
    text, size = _buffer(free), 0
    for part in _parts(blocks):
        if size + len(part) > len(text) - scan.PAD - 1:
            size = _LINE_BYTES  # all of it is one line
        text[size : size + len(part)] = part
        size += len(part)
        if size >= most() and (end := text.rfind(b"\n", 0, size) + 1):
            rest, size = text[end:size], size - end
            yield text, end
            text = _buffer(free)  # now: the one before is free by then
            text[:size] = rest
    if size:
        if text[size - 1] != 10:
            text[size], size = 10, size + 1
        yield text, size


def _parts(blocks: Iterable[bytes]) -> Iterator[memoryview]:
    """Cut blocks that are larger than what a buffer has room for beyond a piece."""
    for block in blocks:
        for low in range(0, len(block), PART_BYTES):
            yield memoryview(block)[low : low + PART_BYTES]


def _buffer(free: Buffers) -> mmap:
    """Return a buffer: one that was used before has its memory already, and a new one is given
    what is written to alone."""
    try:
        return free.get_nowait()
    except queue.Empty:
        return laid_out(_TEXT_BYTES)


def _in_order(
    pieces: Iterator[tuple[mmap, int]], reader: "_Reader", first: int, skipped: Counter[str],
    slow: Counter[str],
) -> Iterator[pa.Table | BadRow]:  # fmt: skip
    """Have pieces read by a thread of its own, each while whoever asks is busy with the one before,
    and give what they hold."""
    with ThreadPoolExecutor(1) as pool:
        reading: Future[_Piece] | None = None
        try:
            while (piece := next(pieces, None)) or reading:
                read = reading.result() if reading else None
                reading = pool.submit(reader.read, *piece) if piece else None
                del piece
                if read is not None:
                    skipped.update(read.skipped)
                    yield from reader.whole(read, first, skipped, slow)
                    first += read.lines
                del read
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Piece:
    """What was read of a piece of text.

    Attributes:
        table: Runs that are sure.
        line: int64[n], line of each of them, from 0.
        odd: Lines that are not sure: number, from 0, and text.
        odds: How many there are.
        lines: How many lines there are.
        skipped: Rows that are no runs, by reason.
    """

    table: pa.Table
    line: scan.Longs
    odd: Iterable[tuple[int, bytes]]
    odds: int
    lines: int
    skipped: Counter[str]


class _Reader:
    """Reads pieces of one text, one at a time."""

    def __init__(
        self,
        fields: tuple[str, ...],
        at: sacct.Layout,
        timezone: str,
        cluster: str | None,
        source: str,
        free: Buffers,
    ) -> None:
        self.fields, self.at, self.free = fields, at, free
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
        self._begin_words()
        self._lines_a_byte = 0.0
        self._blocks = Blocks(LINES_MAX * _ROW_BYTES + 2 * _TEXT_BYTES)

    def _begin_words(self) -> None:
        self._words = Dictionary()
        self._allocated = Allocated(self._words)

    def piece_bytes(self) -> int:
        """Return how much text a piece is to have."""
        if not self._lines_a_byte:
            return min(PIECE_BYTES, FIRST_BYTES)
        return min(PIECE_BYTES, int(PIECE_LINES / self._lines_a_byte))

    def read(self, text: mmap, end: int) -> _Piece:
        """Read a piece of whole lines, up to where the last one ends; its buffer is free then."""
        found = self._read(text, end)
        self.free.put(text)
        return found

    def _read(self, text: mmap, end: int) -> _Piece:
        padded = np.frombuffer(text, np.uint8)
        room = min(LINES_MAX, int(end * self._lines_a_byte) + LINES_MORE)
        found = self._scanned(text, padded, end, room) if self.fast else None
        if found is None:
            room = scan.count_lines(padded, end)
            if self.fast and room <= LINES_MAX:
                found = self._scanned(text, padded, end, room)
        if found is None:
            lines = enumerate(io.BytesIO(text[:end]))
            found = _Piece(usage.USAGE.empty_table(), _NONE, lines, room, room, Counter())
        self._lines_a_byte = found.lines / end
        return found

    def _scanned(self, text: mmap, padded: scan.Bytes, end: int, room: int) -> _Piece | None:
        """Read a piece that has so many lines at most; None: it has more."""
        words = self._words
        out = _columns(self._blocks.take(), room)
        places, counts = np.empty((room, 3), np.int64), np.zeros(9, np.int64)
        starts = np.empty(scan.FIELDS_MAX + 1, np.int64)
        last = scan.Last(np.zeros(2, np.uint64), np.zeros(2, np.int64))
        with np.errstate(over="ignore"):  # as plain Python, NumPy warns of what a hash does
            while not scan.scan(
                padded, end, starts, self.places, self.rules, last, words.arrays, out, places,
                counts,
            ):  # fmt: skip
                if counts[scan.LINES] == room:
                    return None
                words.grow()
        places = places[: counts[scan.ODD]]
        table, line, unsure = self._table(out, words, counts)
        if len(words) > WORDS_MAX:
            self._begin_words()
        odd = [(number, bytes(text[low:high])) for number, low, high in places.tolist()]
        if len(unsure):
            listed = bytes(text[:end]).split(b"\n")
            odd = sorted([*odd, *((number, listed[number]) for number in unsure.tolist())])
        skipped = {word: int(counts[place]) for word, place in SKIPPED.items() if counts[place]}
        return _Piece(table, line, odd, len(odd), int(counts[scan.LINES]), Counter(skipped))

    def _table(
        self, out: scan.Columns, words: Dictionary, counts: scan.Longs
    ) -> tuple[pa.Table, scan.Longs, scan.Longs]:
        """Put what was read into a table.

        Returns:
            The table, the line of each of its rows, and the lines of rows that have a word which
            is none; they are not in the table.
        """
        rows = int(counts[scan.ROWS])
        longs, ints = out.longs[:, :rows], out.ints[:, :rows]
        never = longs[scan.START] == scan.NEVER
        held = np.diff(ints[scan.HOLD_END], prepend=0) > 0
        sure = np.ones(rows, np.bool_)
        columns = {
            "job_id": pa.array(longs[scan.JOB_ID]),
            "job": _texts(ints[scan.JOB_END], out.jobs, None),
            "submit_s": pa.array(longs[scan.SUBMIT]),
            "start_s": numbers(longs[scan.START], ~never),
            "end_s": pa.array(longs[scan.END]),
            "billed_from_s": numbers(longs[scan.START], ~never),
            "elapsed_s": pa.array(longs[scan.ELAPSED]),
            "suspended_s": pa.array(longs[scan.SUSPENDED]),
            "uid": numbers(longs[scan.UID], longs[scan.UID] != scan.NEVER),
            "nodes": pa.array(ints[scan.NODES]),
            "cpus": pa.array(ints[scan.CPUS]),
            "hold": _texts(ints[scan.HOLD_END], out.holds, held),
            "held_micro": numbers(longs[scan.HELD], longs[scan.HELD] != scan.NEVER),
        }
        if self.at.cluster >= 0 and self.cluster is None:
            columns["cluster"] = words.column(ints[scan.CLUSTER], sure)
        else:
            columns["cluster"] = usage.of_words(np.zeros(rows, np.int32), [self.cluster or ""])
        for name, place in _WORD_COLUMNS.items():
            null = 0 if name == "voucher" else None
            columns[name] = words.column(ints[place], sure, null)
        columns |= self._resources(ints[scan.ALLOC], ints[scan.REQ], never, sure)
        table = pa.Table.from_arrays(
            [columns[name] for name in usage.USAGE.names], schema=usage.USAGE
        )
        line = longs[scan.LINE]
        if sure.all():
            return table, line.copy(), _NONE
        return table.filter(pa.array(sure)), line[sure], line[~sure]

    def _resources(
        self, alloc: scan.Ints, req: scan.Ints, never: Bools, sure: Bools
    ) -> dict[str, pa.Array]:
        """Read what was allocated and asked for; mark the rows where it cannot be read.

        What never started had nothing: Slurm leaves there what it would have had.
        """
        said = self._allocated
        for codes in (alloc, req):
            said.read(codes)
        if said.wrong.any():
            sure &= ~(scan.of_words(alloc, said.wrong) | scan.of_words(req, said.wrong))
        if never.any():
            alloc = np.where(never, np.int32(0), alloc)
        return {
            "mem_mb": said.mem_mb(alloc),
            "cards": said.cards(alloc),
            "gres": said.gres(alloc),
            "req_gres": said.gres(req),
        }

    def whole(
        self, piece: _Piece, first: int, skipped: Counter[str], slow: Counter[str]
    ) -> Iterator[pa.Table | BadRow]:
        """Add to a piece what the slow reader makes of its lines that are not sure."""
        if not piece.odds:
            yield piece.table
            return
        slow["rows"] += piece.odds
        runs: list[Run] = []
        line: list[int] = []
        for number, text in piece.odd:
            numbered = [(first + number + 1, text)]
            for row in sacct.rows(
                numbered, self.fields, self.at, self.timezone, self.cluster, self.source, skipped
            ):
                if isinstance(row, Run):
                    runs.append(row)
                    line.append(number)
                else:
                    yield row
        if not runs:
            yield piece.table
            return
        both = pa.concat_tables([piece.table, usage.table(runs)]).unify_dictionaries()
        order = np.argsort(np.concatenate([piece.line, np.array(line, np.int64)]), kind="stable")
        yield both.take(pa.array(order))


_NONE = np.zeros(0, np.int64)


def _columns(block: scan.Bytes, rows: int) -> scan.Columns:
    """Make room for rows of a text in a block of memory."""
    longs, rest = np.split(block, [8 * len(scan.LONGS) * rows])
    ints, rest = np.split(rest, [4 * len(scan.INTS) * rows])
    jobs, holds = np.split(rest, [_TEXT_BYTES])
    return scan.Columns(
        longs.view(np.int64).reshape(-1, rows), ints.view(np.int32).reshape(-1, rows), jobs, holds
    )


def _texts(ends: scan.Ints, text: scan.Bytes, valid: Bools | None) -> pa.Array:
    """Make a column of texts that stand one behind the other."""
    offsets = np.concatenate([np.zeros(1, np.int32), ends])
    used = text[: offsets[-1]].copy()
    bits = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bits, pa.py_buffer(offsets), pa.py_buffer(used)]
    return pa.Array.from_buffers(pa.string(), len(ends), buffers)
