"""The compiled loops that encode columns as Parquet does, in this one file.

They write into arrays of bytes that are large enough and say where they end; `parquet` knows how
large that is. Import this only where it is used.

Source: Apache Parquet, Encodings.md: PLAIN, RLE / bit-packing hybrid, DELTA_BINARY_PACKED.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from accounting.compiling import set_in

Bytes = npt.NDArray[np.uint8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Ints = npt.NDArray[np.integer[Any]]

BLOCK, MINIS = 128, 4
"""Differences to a block and miniblocks in it, which each have a width of their own."""
BLOCK_BYTES_MAX = 8 * BLOCK + 10 + MINIS
_MINI = BLOCK // MINIS
_0, _1, _3, _7, _63, _64 = (np.uint64(n) for n in (0, 1, 3, 7, 63, 64))
_EIGHT = np.uint64(8)
_LOW7, _MORE = np.uint64(127), np.uint64(128)
_MIX, _UPPER = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_HIGHEST = 2**63 - 1
_FEW, _NEAR = 2**12, 2**16


@set_in
def _put_eight(out: Bytes, at: int, word: np.uint64) -> None:
    """Write eight bytes, the lowest first; compilers make one instruction of it."""
    i = np.uint64(at)
    for k in range(8):
        out[i + np.uint64(k)] = np.uint8(word >> np.uint64(8 * k) & np.uint64(255))


@set_in
def _put_number(out: Bytes, at: int, number: np.uint64) -> int:
    """Write a number seven bits at a time; return where it ends."""
    while number > _LOW7:
        out[at] = number & _LOW7 | _MORE
        number, at = number >> _7, at + 1
    out[at] = number
    return at + 1


@set_in
def _zigzag(number: int) -> np.uint64:
    """Return a number of either sign as one without."""
    return np.uint64(number << 1 ^ number >> 63)


@set_in
def pack(values: Ints, low: int, high: int, width: int, out: Bytes, at: int) -> int:
    """Write values of so many bits each, the first lowest, eight of them to `width` bytes; return
    where they end."""
    end, bits = at + (high - low + 7) // 8 * width, np.uint64(width)
    word, filled = _0, _0
    for i in range(low, high):
        value = np.uint64(values[np.uint64(i)])
        word |= value << filled
        filled += bits
        if filled >= _64:
            _put_eight(out, at, word)
            at, filled = at + 8, filled - _64
            word = value >> (bits - filled) if filled else _0
    while at < end:
        out[at] = word & np.uint64(255)
        word, at = word >> _EIGHT, at + 1
    return end


@set_in
def _width(number: np.uint64) -> int:
    """Return how many bits a number needs."""
    width, step = 0, 32
    while step:
        if number >> np.uint64(step):
            number, width = number >> np.uint64(step), width + step
        step >>= 1
    return width + (1 if number else 0)


@set_in
def by_difference(values: Int64s, work: Int64s, out: Bytes) -> int:
    """Write values by what each differs from the one before; int64[BLOCK] `work` is anything."""
    count = values.shape[0]
    at = _put_number(out, 0, np.uint64(BLOCK))
    at = _put_number(out, _put_number(out, at, np.uint64(MINIS)), np.uint64(count))
    at = _put_number(out, at, _zigzag(values[0]) if count else _0)
    for first in range(1, count, BLOCK):
        block, least = min(BLOCK, count - first), _HIGHEST
        for j in range(block):
            i = np.uint64(first + j)
            work[j] = values[i] - values[i - _1]
            least = min(least, work[j])
        work[block:] = least
        sizes = _put_number(out, at, _zigzag(least))
        at = sizes + MINIS
        for mini in range(MINIS):
            low, all_bits = mini * _MINI, _0
            for j in range(low, low + _MINI):
                work[j] -= least
                all_bits |= np.uint64(work[j])
            width = _width(all_bits)
            out[sizes + mini] = width
            if width:
                at = pack(work, low, low + _MINI, width, out, at)
    return at


@set_in
def kept(values: Ints, valid: Bytes, out: Ints) -> int:
    """Copy the values whose bits are set; return how many they are."""
    count = np.uint64(0)
    for i in range(values.shape[0]):
        place = np.uint64(i)
        out[count] = values[place]
        count += np.uint64(valid[place >> _3]) >> (place & _7) & _1
    return int(count)


@set_in
def texts(ends: Int32s, text: Bytes, valid: Bytes, out: Bytes) -> int:
    """Write texts that stand one behind the other, each behind its size in four bytes; those whose
    bits are not set are left out, none where there are no bits."""
    at, last = 0, text.shape[0] - 8
    for i in range(ends.shape[0] - 1):
        place = np.uint64(i)
        if valid.shape[0] and not np.uint64(valid[place >> _3]) >> (place & _7) & _1:
            continue
        low, high = ends[i], ends[i + 1]
        _put_eight(out, at, np.uint64(high - low))
        at += 4
        while low < high and low <= last:
            word = _0
            for k in range(8):
                word |= np.uint64(text[np.uint64(low + k)]) << np.uint64(8 * k)
            _put_eight(out, at, word)
            at, low = at + 8, low + 8
        while low < high:
            out[at] = text[low]
            at, low = at + 1, low + 1
        at -= max(0, low - high)
    return at


@set_in
def fold(joint: Int64s, codes: Ints, least: int, choices: int) -> None:
    """Put one of so many numbers, from the least on, behind what stands in each row already: rows
    have the same number afterwards that had the same number and have the same code."""
    for i in range(codes.shape[0]):
        place = np.uint64(i)
        joint[place] = joint[place] * choices + (codes[place] - least)


@set_in
def number_values(values: Ints, slots: Int32s, numbers: Int64s, firsts: Int64s) -> int:
    """Number values in the order in which they come; the same have the same number.

    Args:
        values: int[n].
        slots: int32[2**k], zeros; the number + 1 that has come to stand in each.
        numbers: int64[n], filled in.
        firsts: int64[2**(k - 1)], filled in: the row in which each number comes first.

    Returns:
        How many numbers there are; -1: more than there is room for.
    """
    mask, count = np.uint64(slots.shape[0] - 1), 0
    for i in range(values.shape[0]):
        value = values[np.uint64(i)]
        place = (np.uint64(value) * _MIX >> _UPPER) & mask
        while slots[place] and values[firsts[slots[place] - 1]] != value:
            place = (place + _1) & mask
        if not slots[place]:
            if count == firsts.shape[0]:
                return -1
            firsts[count] = i
            count += 1
            slots[place] = count
        numbers[np.uint64(i)] = slots[place] - 1
    return count


@set_in
def number_near(values: Ints, least: int, slots: Int32s, numbers: Int64s, firsts: Int64s) -> int:
    """Do what `number_values` does for values that lie within as many places as there are slots,
    from the least on; there is room for all of them."""
    count = 0
    for i in range(values.shape[0]):
        place = np.uint64(values[np.uint64(i)] - least)
        if not slots[place]:
            firsts[count] = i
            count += 1
            slots[place] = count
        numbers[np.uint64(i)] = slots[place] - 1
    return count


def numbered(values: Ints) -> tuple[Int64s, Int64s]:
    """Return the number of each value, in the order in which they come, and the first row of
    each."""
    numbers, room, count = np.empty(len(values), np.int64), _FEW, -1
    least = int(values.min(initial=0))
    places = int(values.max(initial=0)) - least + 1
    if places <= _NEAR:
        firsts = np.empty(places, np.int64)
        count = number_near(values, least, np.zeros(places, np.int32), numbers, firsts)
    while count < 0:
        firsts = np.empty(room, np.int64)
        with np.errstate(over="ignore"):  # as plain Python, NumPy warns of what a hash does
            count = number_values(values, np.zeros(2 * room, np.int32), numbers, firsts)
        room *= 8
    return numbers, firsts[:count]
