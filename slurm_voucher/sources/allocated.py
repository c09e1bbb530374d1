"""What the words of a text say of cards and memory: each is read once, whatever has it."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from accounting.runs import usage
from slurm_voucher import tres
from slurm_voucher.sources import scan
from slurm_voucher.sources.dictionary import Dictionary, numbers

Bools = npt.NDArray[np.bool_]


class Allocated:
    """What words mean as TRES, by their numbers in a dictionary; the empty one means nothing."""

    def __init__(self, words: Dictionary) -> None:
        self._words = words
        self._read = np.ones(1, np.bool_)
        self._wrong = np.zeros(1, np.bool_)
        self._cards = np.zeros(1, np.int32)
        self._mem_mb = np.full(1, -1)  # nothing is said of it
        self._gres = [""]

    def wrong(self, codes: scan.Ints) -> Bools | None:
        """Read the words of a column that were not read yet; mark the rows whose word cannot be, or
        does not fit its column: what it is, the slow reader says. None: there are no such words."""
        if not scan.are_marked(codes, self._read):
            self._read_new(codes)
        return self._wrong.take(codes) if self._wrong.any() else None

    def _read_new(self, codes: scan.Ints) -> None:
        more = len(self._words) - len(self._gres)
        none = np.zeros(more, np.bool_)
        self._read, self._wrong = np.append(self._read, none), np.append(self._wrong, none)
        self._cards = np.append(self._cards, np.zeros(more, np.int32))
        self._mem_mb = np.append(self._mem_mb, np.full(more, -1))
        self._gres += [""] * more
        new = np.zeros(len(self._words), np.bool_)
        scan.mark(codes, new)
        texts = self._words.texts()
        for number in np.flatnonzero(new & ~self._read).tolist():
            self._read[number] = True
            self._say(number, texts[number])

    def _say(self, number: int, text: str | None) -> None:
        """Read a word; None: it is not UTF-8."""
        try:
            said = None if text is None else tres.read(text)
        except ValueError:
            said = None
        if said is None or said.cards >= 2**31 or (said.mem_mb or 0) >= 2**63:
            self._wrong[number] = True
            return
        self._cards[number], self._gres[number] = said.cards, said.gres
        if said.mem_mb is not None:
            self._mem_mb[number] = said.mem_mb

    def cards(self, codes: scan.Ints) -> pa.Array:
        """Return how many cards rows have."""
        return pa.array(scan.of_words(codes, self._cards))

    def mem_mb(self, codes: scan.Ints) -> pa.Array:
        """Return the memory that rows have, null where nothing is said of it."""
        found = scan.of_words(codes, self._mem_mb)
        return numbers(found, found >= 0)

    def gres(self, codes: scan.Ints) -> pa.DictionaryArray:
        """Return the cards and parts of cards that rows have, by kind."""
        there = np.zeros(len(self._words), np.bool_)
        scan.mark(codes, there)
        present = np.flatnonzero(there)
        texts = [self._gres[i] for i in present.tolist()]
        listed = sorted({*texts})
        place = {text: i for i, text in enumerate(listed)}
        number = np.zeros(len(there), np.int32)
        number[present] = [place[text] for text in texts]
        return usage.of_words(scan.of_words(codes, number), listed)
