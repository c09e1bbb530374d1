"""The words of a text by number, each once: known by their bytes, a hash alone decides nothing."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from accounting.runs import usage
from slurm_voucher.sources import scan
from slurm_voucher.sources.states import LIVE

WORDS = 2**13
"""Words that there is room for to begin with."""

Bools = npt.NDArray[np.bool_]


class Dictionary:
    """Words by number, for one thread at a time."""

    def __init__(self) -> None:
        self.arrays = _words(WORDS, WORDS * 2**6)
        self._texts: list[str | None] = [""]
        """None: it is not UTF-8."""
        self._wrong: list[int] = []
        self._rank = np.zeros(0, np.int64)
        self._give(sorted(LIVE))

    def __len__(self) -> int:
        return int(self.arrays.used[0])

    def _give(self, texts: Sequence[str]) -> None:
        """Give some words the next numbers."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([len(each) for each in encoded]).astype(np.int64)
        joined = np.frombuffer(b"".join(encoded) + bytes(scan.PAD), np.uint8)
        with np.errstate(over="ignore"):
            scan.number_words(joined, ends, self.arrays, np.empty(len(ends), np.int64))

    def grow(self) -> None:
        """Make room for twice as many words."""
        old = self.arrays
        number, size = old.used.tolist()
        new = _words(2 * len(old.start), 2 * len(old.arena))
        new.arena[:size] = old.arena[:size]
        for name in ("start", "size", "hash"):
            getattr(new, name)[:number] = getattr(old, name)[:number]
        new.used[:] = old.used
        mask = len(new.slots) - 1
        for i in range(1, number):
            place = int(new.hash[i]) & mask
            while new.slots[place]:
                place = (place + 1) & mask
            new.slots[place] = i + 1
        self.arrays = new

    def texts(self) -> list[str | None]:
        """Return all words."""
        known, arrays = len(self._texts), self.arrays
        for i in range(known, len(self)):
            low = int(arrays.start[i])
            raw = arrays.arena[low : low + int(arrays.size[i])].tobytes()
            try:
                self._texts.append(raw.decode())
            except UnicodeDecodeError:
                self._texts.append(None)
                self._wrong.append(i)
        return self._texts

    def _ranks(self) -> npt.NDArray[np.int64]:
        """Return the place of each word in their order; what is none comes last."""
        if len(self._rank) < len(self):
            texts = self.texts()
            order = sorted(range(len(texts)), key=lambda i: (texts[i] is None, texts[i] or ""))
            self._rank = np.empty(len(texts), np.int64)
            self._rank[order] = np.arange(len(texts))
        return self._rank

    def wrong(self, codes: scan.Ints) -> Bools | None:
        """Mark the rows of a column whose word is none: it is not UTF-8. None: all words are."""
        self.texts()
        return np.isin(codes, self._wrong) if self._wrong else None

    def column(self, codes: scan.Ints, null: int | None = None) -> pa.DictionaryArray:
        """Make a column of words, in their order; `null` is the number of the empty one, where it
        stands for none."""
        marks = np.zeros(len(self), np.bool_)
        scan.mark(codes, marks)
        present = np.flatnonzero(marks)
        present = present[np.argsort(self._ranks().take(present))]
        texts = [self._texts[number] or "" for number in present.tolist()]
        renumbered = np.zeros(len(self), np.int32)
        renumbered[present] = np.arange(len(present))
        indices = scan.of_words(codes, renumbered)
        valid = None if null is None else codes != null
        if valid is not None and not valid.all():
            texts, indices = texts[1:], indices - 1  # the empty one comes first
        return usage.of_words(numbers(indices, valid), texts)


def _words(number: int, size: int) -> scan.Words:
    """Make room for so many words of so many bytes together; the empty one is there."""
    arrays = scan.Words(
        slots=np.zeros(2 * number, np.int32),
        start=np.zeros(number, np.int64),
        size=np.zeros(number, np.int64),
        hash=np.zeros(number, np.uint64),
        arena=np.zeros(size, np.uint8),
        used=np.array([1, 0], np.int64),
    )
    return arrays


def numbers(values: np.ndarray, valid: Bools | None) -> pa.Array:
    """Make a column of numbers; None: all are valid."""
    if valid is None or valid.all():
        return pa.array(values)
    bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(values)])
