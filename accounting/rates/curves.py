"""What kinds of runs come to over time, as curves: what a run costs is then two look-ups.

A curve is what a run costs that began at its begin, as a function of its end; it is straight
between any two changes of any price or band. Kinds whose rates rise and fall together share one.
Kinds that are free or have no price at some time have none, and are priced slot by slot. Import
this only where runs are rated.
"""

import numpy as np
import numpy.typing as npt

from accounting.rates.items import Items
from accounting.rates.kernels import BAND, CELL_S, FIRST, FROM, LAST, RATE, UNTIL, Tables
from accounting.rates.tables import NEVER_S, SPAN_MAX_S, cells

Int64s = npt.NDArray[np.int64]

NONE = -1
"""Begin of the curve of a kind that has none."""
_PLACES_MAX = 2**20
"""So many straight pieces all curves may have together."""
_HIGHEST = 2**62


class Curves:
    """Curves of items, which grow with them: each item is looked at once."""

    def __init__(self) -> None:
        self._known: Items | None = None
        self._starts = np.zeros(0, np.int64)
        self._places: dict[bytes, int] = {}
        self._lines: list[Int64s] = []
        self._items: list[tuple[int, int]] = []
        self._tables: Tables | None = None

    def tables(self, known: Items) -> Tables:
        """Return the curves of items, as `kernels.price_runs` reads them."""
        if self._tables is None or known is not self._known:
            starts = _starts(known)
            calendar = None if self._known is None else self._known.calendar
            if known.calendar is not calendar or not np.array_equal(starts, self._starts):
                self._starts, self._places, self._lines, self._items = starts, {}, [], []
            for i in range(len(self._items), len(known.bases)):
                self._items.append(self._item(known, i))
            self._known, self._tables = known, self._laid_out(known.span[1])
        return self._tables

    def _item(self, known: Items, i: int) -> tuple[int, int]:
        """Return where the curve of an item begins and what it is multiplied by."""
        begin_s, end_s = known.span
        slots = known.slots[known.firsts[i] : known.firsts[i + 1]]
        slots = slots[(slots[:, UNTIL] > begin_s) & (slots[:, FROM] < end_s)]
        divisor = int(np.gcd.reduce(slots[:, RATE])) or 1
        highest = int(slots[:, RATE].max(initial=0)) // divisor
        if slots[:, RATE].min(initial=0) < 0 or highest * (end_s - begin_s + CELL_S) >= _HIGHEST:
            return NONE, 0
        slots[:, RATE] //= divisor
        shape = slots.tobytes()
        if shape not in self._places:
            size = 2 * len(self._starts)
            if end_s - begin_s > SPAN_MAX_S or size * (1 + len(self._lines)) > _PLACES_MAX:
                return NONE, 0
            self._places[shape] = size * len(self._lines)
            self._lines.append(self._line(slots, known.calendar))
        return self._places[shape], divisor

    def _line(self, slots: Int64s, calendar: Int64s) -> Int64s:
        """Return a and b of a curve from each start on, one after the other."""
        starts = self._starts
        rate = np.zeros(len(starts), np.int64)
        for slot in slots:
            holds = (slot[FROM] <= starts) & (starts < slot[UNTIL])
            if slot[BAND] >= 0:
                own = calendar[slot[FIRST] : slot[LAST]]
                rows = np.searchsorted(own[:, 0], starts, side="right") - 1
                holds &= own[np.maximum(rows, 0), 1] == slot[BAND]
            rate += slot[RATE] * holds
        cost = np.concatenate([[0], np.cumsum(rate[:-1] * np.diff(starts))])
        return np.column_stack([cost - rate * (starts - starts[0]), rate]).ravel()

    def _laid_out(self, end_s: int) -> Tables:
        base_s = int(self._starts[0])
        starts = self._starts - base_s
        return Tables(
            unit=1,
            base_s=base_s,
            longest_s=0,
            odd=bool((starts % CELL_S).any()),
            cells=cells(starts.tolist(), 0, min(end_s - base_s, SPAN_MAX_S)),
            ends=np.append(starts[1:], NEVER_S),
            lines=np.concatenate([np.zeros(0, np.int64), *self._lines]),
            items=np.array(self._items, np.int64).ravel(),
            partition=np.zeros(0, np.uint32),
        )


def _starts(known: Items) -> Int64s:
    """Return when a price or a band of any item may change, in order, and before them the whole
    cell in which the first run begins."""
    base_s, end_s = known.span[0] // CELL_S * CELL_S, known.span[1]
    changes = np.concatenate([known.slots[:, FROM], known.slots[:, UNTIL], known.calendar[:, 0]])
    inside = changes[(base_s < changes) & (changes < end_s)]
    return np.concatenate([[base_s], np.unique(inside)]).astype(np.int64)
