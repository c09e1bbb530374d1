"""The compiled loops that read text of `sacct -P`, in this one file.

They read the forms in which Slurm writes and say of every other row that they are not sure of it:
what it is, `sacct` then tells, and nothing is decided here that it would decide otherwise. Import
this only where it is used.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from accounting.compiling import set_in
from slurm_voucher.sources.instructions import WIDTH, lowest, marked

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

PAD = WIDTH
"""Bytes that must lie behind a text and behind an arena: they are read many at a time."""
LINE_BYTES_MAX = 65_536
FIELDS_MAX = 256
NEVER, UNSURE = -1, -2
"""Instants that are none."""

LINES, ROWS, ODD, STEP, LIVE, NO_END, PLACE, JOBS, HOLDS = range(9)
"""Columns of what is counted; PLACE: where to go on; JOBS, HOLDS: bytes written of each."""


class Words(NamedTuple):
    """Texts by number, each once; 0 is the empty one.

    `slots` is int32[2**k], the number + 1 of the word at each hash; `start`, `size` and `hash` are
    of each word, whose bytes stand in `arena`; int64[2] `used` counts words and bytes.
    """

    slots: Ints
    start: Longs
    size: Longs
    hash: npt.NDArray[np.uint64]
    arena: Bytes
    used: Longs


class Places(NamedTuple):
    """Where each column stands, as in sacct's layout; -1: it does not."""

    job_id: int
    job: int
    submit: int
    start: int
    end: int
    state: int
    partition: int
    qos: int
    account: int
    user: int
    alloc: int
    nodes: int
    cpus: int
    cluster: int
    elapsed_raw: int
    elapsed: int
    uid: int
    req: int
    suspended: int
    node_list: int
    comment: int


class Rules(NamedTuple):
    """How a text is laid out and what its times mean.

    Attributes:
        fields: Number of columns.
        last_free: Whether the last one takes what is left, | included.
        live: Words up to this number are states of what has not ended.
        cluster: Cluster that every row must name, and PAD bytes; PAD bytes alone where any may be.
        zones: int64[z, 3], local times from, until, and what they are ahead of UTC.
        months: int64[m + 1], days from 1970 to the begin of each month from then on.
    """

    fields: int
    last_free: bool
    live: int
    cluster: Bytes
    zones: Longs
    months: Longs


class Last(NamedTuple):
    """The day that was read last, which the next time is mostly of: uint64[2] `text`, and int64[2]
    `found`, its begin in seconds as if it were UTC, and the place in `zones` of what was read."""

    text: npt.NDArray[np.uint64]
    found: Longs


class Columns(NamedTuple):
    """What comes out, a place for each row; NEVER stands for what is not there.

    Attributes:
        longs: int64[9, n], by the numbers of LONGS.
        ints: int32[13, n], by the numbers of INTS.
        jobs, holds: Texts one behind the other.
    """

    longs: Longs
    ints: Ints
    jobs: Bytes
    holds: Bytes


LONGS = LINE, JOB_ID, SUBMIT, START, END, ELAPSED, SUSPENDED, UID, HELD = range(9)
"""LINE: number of the line, from 0."""
INTS = (
    NODES, CPUS, CLUSTER, STATE, PARTITION, QOS, ACCOUNT, USER, ALLOC, REQ, VOUCHER, JOB_END,
    HOLD_END,
) = range(13)  # fmt: skip
"""From CLUSTER to VOUCHER: numbers of words. JOB_END, HOLD_END: where its text ends."""


_B1, _B2, _B3, _B4 = np.uint64(8), np.uint64(16), np.uint64(24), np.uint64(32)
_B5, _B6, _B7 = np.uint64(40), np.uint64(48), np.uint64(56)
_0 = np.uint64(0)
_ZERO, _FEED, _BAR = np.uint8(0), np.uint8(10), np.uint8(124)
_SPACE, _DOT, _EQUALS = np.uint8(32), np.uint8(46), np.uint8(61)
_1, _2, _3, _4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
_5, _6, _7, _8 = np.uint64(5), np.uint64(6), np.uint64(7), np.uint64(8)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_TOO = np.uint64(0xC2B2AE3D27D4EB4F)
_ZEROS = np.uint64(0x3030303030303030)
_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_HIGHEST = np.uint64(0x8080808080808080)
_SIXES = np.uint64(0x0606060606060606)


@set_in
def _eight(text: Bytes, at: int) -> np.uint64:
    """Return eight bytes as a number; compilers make one instruction of it."""
    i = np.uint64(at)
    return np.uint64(
        np.uint64(text[i])
        | np.uint64(text[i + _1]) << _B1
        | np.uint64(text[i + _2]) << _B2
        | np.uint64(text[i + _3]) << _B3
        | np.uint64(text[i + _4]) << _B4
        | np.uint64(text[i + _5]) << _B5
        | np.uint64(text[i + _6]) << _B6
        | np.uint64(text[i + _7]) << _B7
    )


@set_in
def _rest(text: Bytes, at: int, size: int) -> np.uint64:
    """Return fewer than eight bytes as a number."""
    return np.uint64(_eight(text, at) & ((_1 << np.uint64(8 * size)) - _1))


@set_in
def _same(a: Bytes, i: int, b: Bytes, j: int, size: int) -> bool:
    """Compare bytes."""
    while size >= 8:
        if _eight(a, i) != _eight(b, j):
            return False
        i, j, size = i + 8, j + 8, size - 8
    return size == 0 or _rest(a, i, size) == _rest(b, j, size)


@set_in
def _hash(text: Bytes, at: int, size: int) -> np.uint64:
    """Return a number that differs for most texts."""
    found = np.uint64(size)
    while size >= 16:  # two at a time: to multiply takes longer than to begin with the next
        found = (found ^ _eight(text, at)) * _MIX ^ _eight(text, at + 8) * _MIX_TOO
        found ^= found >> _B4
        at, size = at + 16, size - 16
    if size >= 8:
        found = (found ^ _eight(text, at)) * _MIX
        found ^= found >> _B4
        at, size = at + 8, size - 8
    if size:
        found = (found ^ _rest(text, at, size)) * _MIX
        found ^= found >> _B4
    return found


@set_in
def _word(text: Bytes, low: int, high: int, words: Words) -> int:
    """Return the number of a text, a new one if it has none; NEVER: there is no room for it."""
    size = high - low
    if size == 0:
        return 0
    found = _hash(text, low, size)
    mask = np.uint64(words.slots.shape[0] - 1)
    place = found & mask
    while words.slots[place]:
        number = words.slots[place] - 1
        if words.hash[number] == found and words.size[number] == size:  # noqa: SIM102
            # of up to eight bytes the hash is the text, turned over
            if size <= 8 or _same(text, low, words.arena, words.start[number], size):
                return int(number)
        place = (place + _1) & mask
    number, start = words.used[0], words.used[1]
    if number == words.start.shape[0] or start + size + PAD > words.arena.shape[0]:
        return NEVER
    words.slots[place] = number + 1
    words.start[number], words.size[number], words.hash[number] = start, size, found
    for i in range(size):
        words.arena[start + i] = text[low + i]
    words.used[0], words.used[1] = number + 1, start + size
    return int(number)


@set_in
def number_words(text: Bytes, ends: Longs, words: Words, out: Longs) -> None:
    """Number texts that stand one behind the other."""
    low = 0
    for i in range(ends.shape[0]):
        out[i] = _word(text, low, ends[i], words)
        low = ends[i]


@set_in
def _are_digits(word: np.uint64) -> bool:
    return bool(word & _HIGH == _ZEROS and (word + _SIXES) & _HIGH == _ZEROS)


@set_in
def _few_digits(text: Bytes, low: int, size: int) -> int:
    """Return a number of one to eight digits, or UNSURE: pairs of digits are put together, then
    pairs of pairs."""
    word = _eight(text, low) << np.uint64(64 - 8 * size)
    word |= _ZEROS >> np.uint64(8 * size - 8) >> _B1  # as many zeros before it
    if not _are_digits(word):
        return UNSURE
    word = (word ^ _ZEROS) * np.uint64(10 << 8 | 1) >> _B1 & np.uint64(0x00FF00FF00FF00FF)
    word = word * np.uint64(100 << 16 | 1) >> _B2 & np.uint64(0x0000FFFF0000FFFF)
    return int(np.int64(word * np.uint64(10_000 << 32 | 1) >> _B4))


@set_in
def _number(text: Bytes, low: int, high: int) -> int:
    """Return a plain whole number of up to 18 digits, or UNSURE."""
    if high <= low or high - low > 18:
        return UNSURE
    size = (high - low - 1) % 8 + 1
    found = _few_digits(text, low, size)
    low += size
    while low < high and found != UNSURE:
        digits = _few_digits(text, low, 8)
        found = UNSURE if digits == UNSURE else int(100_000_000 * found + digits)
        low += 8
    return found


@set_in
def _count(text: Bytes, low: int, high: int) -> int:
    """Return a number of nodes or CPUs, or UNSURE."""
    found = _number(text, low, high) if high - low <= 12 else UNSURE
    return found if found < 2**31 else UNSURE


_DASHES, _DASHES_ARE = np.uint64(0xFF0000FF00000000), np.uint64(0x2D00002D00000000)
_COLONS, _COLONS_ARE = np.uint64(0x0000FF0000FF0000), np.uint64(0x00003A00003A0000)
_LETTER, _LETTER_IS = np.uint64(0x0000FF0000FF0000), np.uint64(0x00003A0000540000)
_DAY = np.uint64(0xFFFFFF)
_BYTE, _TEN = np.uint64(255), np.uint64(10)


@set_in
def _pairs(word: np.uint64, others: np.uint64, are: np.uint64) -> np.uint64:
    """Return digits as numbers of two, each in the byte of its first; 0 where one is none, or where
    others do not stand between them."""
    digits = word & ~others | _ZEROS & others
    if word & others != are or not _are_digits(digits):
        return _0
    digits ^= _ZEROS
    return np.uint64(digits * _TEN + (digits >> _B1) | _1 << np.uint64(63))


@set_in
def _pair(pairs: np.uint64, shift: np.uint64) -> int:
    return int(np.int64((pairs >> shift) & _BYTE))


@set_in
def _clock(text: Bytes, low: int) -> int:
    """Return the seconds of hh:mm:ss, minutes and seconds of two digits each, or UNSURE."""
    pairs = _pairs(_eight(text, low), _COLONS, _COLONS_ARE)
    if pairs == _0:
        return UNSURE
    return int((_pair(pairs, _0) * 60 + _pair(pairs, _B3)) * 60 + _pair(pairs, _B6))


@set_in
def _midnight(text: Bytes, low: int, months: Longs) -> int:
    """Return the begin of the day of a time such as 2024-07-03T09:46:40 in seconds, as if it were
    UTC, or UNSURE."""
    date = _pairs(_eight(text, low), _DASHES, _DASHES_ARE)
    minutes = _pairs(_eight(text, low + 8), _LETTER, _LETTER_IS)
    if date == _0 or minutes == _0:
        return UNSURE
    year, month = 100 * _pair(date, _0) + _pair(date, _B2), _pair(date, _B5)
    place, day = (year - 1970) * 12 + month - 1, _pair(minutes, _0)
    if month < 1 or month > 12 or place < 0 or place >= months.shape[0] - 1 or day < 1:
        return UNSURE
    if months[place] + day > months[place + 1]:
        return UNSURE
    return int((months[place] + day - 1) * 86_400)


@set_in
def _local(text: Bytes, low: int, months: Longs, last: Last) -> int:
    """Return a time such as 2024-07-03T09:46:40 in seconds, as if it were UTC, or UNSURE."""
    date, day = _eight(text, low), _eight(text, low + 8) & _DAY
    if date != last.text[0] or day != last.text[1]:
        midnight = _midnight(text, low, months)
        if midnight == UNSURE:
            return UNSURE
        last.text[0], last.text[1], last.found[0] = date, day, midnight
    clock = _pairs(_eight(text, low + 11), _COLONS, _COLONS_ARE)
    hour, minute, second = _pair(clock, _0), _pair(clock, _B3), _pair(clock, _B6)
    # the second and the minute 60, and the hour 24, are no times
    if clock == _0 or hour > 23 or minute > 59 or second > 59:
        return UNSURE
    return int(last.found[0] + (hour * 60 + minute) * 60 + second)


@set_in
def _unset(text: Bytes, low: int, high: int) -> bool:
    """Tell whether a text stands for an instant that there is not."""
    size = high - low
    if size == 0 or (size == 1 and text[low] == 48):
        return True
    none, unknown = np.uint64(0x656E6F4E), np.uint64(0x6E776F6E6B6E55)
    return bool(
        (size == 4 and _rest(text, low, 4) == none)
        or (size == 7 and _rest(text, low, 7) == unknown)
    )


@set_in
def _place(local: int, zones: Longs) -> int:
    """Return the last place in `zones` that begins by a local time, or the first."""
    first, last = 0, zones.shape[0]
    while last - first > 1:
        middle = (first + last) >> 1
        if zones[middle, 0] <= local:
            first = middle
        else:
            last = middle
    return first


@set_in
def _instant(text: Bytes, low: int, high: int, rules: Rules, last: Last) -> int:
    """Return an instant in epoch seconds, or UNSURE."""
    if high - low != 19:
        found = _number(text, low, high) if high - low <= 11 else UNSURE
        return found if found < 86_400 * rules.months[-1] else UNSURE
    local, zones, place = _local(text, low, rules.months, last), rules.zones, last.found[1]
    if local == UNSURE:
        return UNSURE
    if local < zones[place, 0] or local >= zones[place, 1]:
        place = _place(local, zones)
        if local < zones[place, 0] or local >= zones[place, 1]:
            return UNSURE
        last.found[1] = place
    return int(local - zones[place, 2])


@set_in
def _duration(text: Bytes, low: int, high: int) -> int:
    """Return the seconds of hh:mm:ss or days-hh:mm:ss, or UNSURE."""
    days = 0
    if high - low > 9 and text[high - 9] == 45:
        days = _number(text, low, high - 9) if high - low <= 16 else UNSURE
    elif high - low != 8:
        return UNSURE
    seconds = _clock(text, high - 8)
    return int(days * 86_400 + seconds) if days != UNSURE and seconds != UNSURE else UNSURE


@set_in
def _first(text: Bytes, low: int, high: int, byte: np.uint8) -> int:
    """Return where a byte first stands in a text; its end where it does not."""
    while low < high:
        found = marked(text, np.uint64(low), byte)
        if found:
            return min(low + int(np.int64(lowest(found))), high)
        low += WIDTH
    return high


@set_in
def _is_between(letter: int) -> bool:
    """Tell whether a byte ends a part of a comment: ; | and ASCII's white space."""
    white = 9 <= letter <= 13 or 28 <= letter <= 32
    return bool(white or letter == 59 or letter == 124)


_VOUCHER = np.uint64(0x3D72656863756F76)
_HOLD = np.uint64(0x3D646C6F68)
_HELD = np.uint64(0x3D646C6568)
_WAITS = np.uint64(0x3D7374696177)
_ENDS = np.uint64(0x3D73646E65)
_SELF_PAY = np.uint64(0x7961705F666C6573)


@set_in
def _marks(text: Bytes, low: int, high: int) -> tuple[int, int, int, int, int]:
    """Find the marks voucher=V, hold=H and held=N among the parts of a comment.

    Returns:
        Where the voucher begins and ends, and the hold; both the same: there is none. And what was
        held. UNSURE as the first: a mark stands there twice, or says what it never does.
    """
    voucher, voucher_end, hold, hold_end, held = low, low, low, low, NEVER
    seen_held, i = False, low
    while i < high:
        first = i
        while i < high and not _is_between(text[np.uint64(i)]):
            i += 1
        size = i - first
        if size > 8 and _eight(text, first) == _VOUCHER:
            if voucher_end > voucher:
                return UNSURE, low, low, low, NEVER
            voucher, voucher_end = first + 8, i
        elif size > 5 and _rest(text, first, 5) == _HOLD:
            if hold_end > hold:
                return UNSURE, low, low, low, NEVER
            hold, hold_end = first + 5, i
        elif size > 5 and _rest(text, first, 5) == _HELD:
            held = NEVER if size == 6 and text[first + 5] == 63 else _number(text, first + 5, i)
            if seen_held or held == UNSURE:
                return UNSURE, low, low, low, NEVER
            seen_held = True
        elif (
            (size > 6 and _rest(text, first, 6) == _WAITS)
            or (size > 5 and _rest(text, first, 5) == _ENDS)
            or (size > 9 and _eight(text, first) == _SELF_PAY)
        ):
            return UNSURE, low, low, low, NEVER
        i += 1
    return voucher, voucher_end, hold, hold_end, held


@set_in
def _split(text: Bytes, low: int, rules: Rules, starts: Longs) -> tuple[int, bool]:
    """Find where the fields of a line begin, one more for what lies behind the last.

    Returns:
        Where the line ends, at its line feed; and whether it is a row of as many fields.
    """
    at, fields, zeros = np.uint64(low), 1, _0
    starts[0] = low
    while True:
        feeds = marked(text, at, _FEED)
        bars, own = marked(text, at, _BAR), (feeds & (_0 - feeds)) - _1
        zeros |= marked(text, at, _ZERO) & own
        bars &= own
        while bars:
            if fields < rules.fields:
                starts[fields] = np.int64(at + lowest(bars)) + 1
            fields += 1
            bars &= bars - _1
        if feeds:
            break
        at += np.uint64(WIDTH)
    end = int(np.int64(at + lowest(feeds)))
    last = end
    while last > low and text[last - 1] == 13:
        last -= 1
    starts[rules.fields] = last + 1
    whole = fields == rules.fields or (fields > rules.fields and rules.last_free)
    return end, bool(zeros == _0 and whole and last - low <= LINE_BYTES_MAX)


@set_in
def _any_high(text: Bytes, low: int, high: int) -> bool:
    """Tell whether a text is more than ASCII."""
    found = _0
    while high - low >= 8:
        found |= _eight(text, low)
        low += 8
    if low < high:
        found |= _rest(text, low, high - low)
    return bool(found & _HIGHEST != _0)


@set_in
def _copied(text: Bytes, low: int, high: int, out: Bytes, at: int) -> int:
    """Copy bytes; return where they end."""
    for i in range(high - low):
        out[np.uint64(at + i)] = text[np.uint64(low + i)]
    return at + high - low


_NONE_ASS = np.uint64(0x73736120656E6F4E)
_IGNED = np.uint64(0x64656E6769)
"""`None assigned` in the list of nodes of what never started, in two parts."""


@set_in
def _span(
    text: Bytes, starts: Longs, at: Places, rules: Rules, last: Last, r: int, out: Columns
) -> bool:
    """Read when a row ran; return whether it is sure."""
    end = _instant(text, starts[at.end], starts[at.end + 1] - 1, rules, last)
    if at.elapsed_raw >= 0:
        elapsed = _number(text, starts[at.elapsed_raw], starts[at.elapsed_raw + 1] - 1)
    else:
        elapsed = _duration(text, starts[at.elapsed], starts[at.elapsed + 1] - 1)
    submit = _instant(text, starts[at.submit], starts[at.submit + 1] - 1, rules, last)
    low, high = starts[at.start], starts[at.start + 1] - 1
    never = _unset(text, low, high)
    if at.node_list >= 0 and not never:
        first, size = starts[at.node_list], starts[at.node_list + 1] - 1 - starts[at.node_list]
        never = size == 13 and _eight(text, first) == _NONE_ASS
        never = never and _rest(text, first + 8, 5) == _IGNED
    start, wall = NEVER, 0
    if not never:
        start = _instant(text, low, high, rules, last)
        wall = end - start
        if start == UNSURE:
            return False
    if end == UNSURE or submit == UNSURE or elapsed == UNSURE or elapsed > wall or wall < 0:
        return False
    if at.suspended >= 0 and not never:
        stood = _duration(text, starts[at.suspended], starts[at.suspended + 1] - 1)
        if stood == UNSURE or elapsed != max(0, wall - stood):
            return False
    out.longs[SUBMIT, r], out.longs[START, r], out.longs[END, r] = submit, start, end
    out.longs[ELAPSED, r], out.longs[SUSPENDED, r] = elapsed, wall - elapsed
    return True


@set_in
def _numbers(text: Bytes, starts: Longs, at: Places, r: int, out: Columns) -> bool:
    """Read the numbers of a row; return whether it is sure."""
    job_id = _number(text, starts[at.job_id], starts[at.job_id + 1] - 1)
    nodes = _count(text, starts[at.nodes], starts[at.nodes + 1] - 1)
    cpus = _count(text, starts[at.cpus], starts[at.cpus + 1] - 1)
    uid = NEVER
    if at.uid >= 0 and starts[at.uid + 1] - 1 > starts[at.uid]:
        uid = _number(text, starts[at.uid], starts[at.uid + 1] - 1)
    if job_id == UNSURE or nodes == UNSURE or cpus == UNSURE or uid == UNSURE:
        return False
    ran = out.longs[START, r] != NEVER
    if ran and out.longs[ELAPSED, r] > 0 and starts[at.alloc + 1] - 1 == starts[at.alloc]:
        return False
    out.longs[JOB_ID, r], out.longs[UID, r] = job_id, uid
    out.ints[NODES, r], out.ints[CPUS, r] = (nodes, cpus) if ran else (0, 0)
    return True


@set_in
def _words(text: Bytes, starts: Longs, at: Places, r: int, words: Words, out: Columns) -> bool:
    """Number the words of a row; return whether there was room for them."""
    out.ints[PARTITION, r] = _word(text, starts[at.partition], starts[at.partition + 1] - 1, words)
    out.ints[QOS, r] = _word(text, starts[at.qos], starts[at.qos + 1] - 1, words)
    out.ints[ACCOUNT, r] = _word(text, starts[at.account], starts[at.account + 1] - 1, words)
    out.ints[USER, r] = _word(text, starts[at.user], starts[at.user + 1] - 1, words)
    out.ints[ALLOC, r] = _word(text, starts[at.alloc], starts[at.alloc + 1] - 1, words)
    out.ints[REQ, r] = 0
    if at.req >= 0:
        out.ints[REQ, r] = _word(text, starts[at.req], starts[at.req + 1] - 1, words)
    least = min(out.ints[PARTITION, r], out.ints[QOS, r], out.ints[ACCOUNT, r], out.ints[USER, r])
    return bool(min(least, out.ints[ALLOC, r], out.ints[REQ, r]) >= 0)


@set_in
def _comment(
    text: Bytes, starts: Longs, at: Places, r: int, words: Words, out: Columns, counts: Longs
) -> int:
    """Read an AdminComment: 1 if it is sure, 0 if not, NEVER if there was no room for it."""
    out.ints[VOUCHER, r], out.longs[HELD, r], out.ints[HOLD_END, r] = 0, NEVER, counts[HOLDS]
    if at.comment < 0:
        return 1
    low, high = starts[at.comment], starts[at.comment + 1] - 1
    if low == high:
        return 1
    if _any_high(text, low, high):
        return 0
    if _first(text, low, high, _EQUALS) == high:
        return 1
    voucher, voucher_end, hold, hold_end, held = _marks(text, low, high)
    if voucher == UNSURE:
        return 0
    if not (voucher_end == voucher + 1 and text[voucher] == 45):  # - is nobody's
        out.ints[VOUCHER, r] = _word(text, voucher, voucher_end, words)
        if out.ints[VOUCHER, r] < 0:
            return NEVER
    out.longs[HELD, r] = held
    counts[HOLDS] = _copied(text, hold, hold_end, out.holds, counts[HOLDS])
    out.ints[HOLD_END, r] = counts[HOLDS]
    return 1


@set_in
def _is_cluster(text: Bytes, low: int, high: int) -> bool:
    """Tell whether this can be the name of a cluster: run.CLUSTER_NAME."""
    for i in range(low, high):
        letter = text[i]
        small = letter | 32  # as a small letter, if it is one
        first = 97 <= small <= 122 or 48 <= letter <= 57
        if not first and (i == low or not (letter == 95 or letter == 46 or letter == 45)):
            return False
    return 0 < high - low <= 64


_RUN, _NOT_SURE, _FULL = 0, 1, 2


@set_in
def _row(
    text: Bytes, starts: Longs, at: Places, rules: Rules, last: Last, words: Words, out: Columns,
    counts: Longs,
) -> int:  # fmt: skip
    """Read one row: _RUN, _NOT_SURE, _FULL, or what is counted of a row that is no run."""
    r = counts[ROWS]
    out.ints[CLUSTER, r] = 0
    if at.cluster >= 0:
        low, high = starts[at.cluster], starts[at.cluster + 1] - 1
        size = rules.cluster.shape[0] - PAD
        if size > 0 and (high - low != size or not _same(text, low, rules.cluster, 0, size)):
            return _NOT_SURE
        if size == 0:
            if not _is_cluster(text, low, high):
                return _NOT_SURE
            out.ints[CLUSTER, r] = _word(text, low, high, words)
            if out.ints[CLUSTER, r] < 0:
                return _FULL
    low, high = starts[at.job_id], starts[at.job_id + 1] - 1
    if _first(text, low, high, _DOT) < high:
        return STEP
    low, high = starts[at.state], starts[at.state + 1] - 1
    first = _first(text, low, high, _SPACE)
    if first == low or first - low > 64 or _any_high(text, low, high):
        return _NOT_SURE
    state = _word(text, low, first, words)
    if state < 0:
        return _FULL
    if state <= rules.live:
        return LIVE
    if _unset(text, starts[at.end], starts[at.end + 1] - 1):
        return NO_END
    out.ints[STATE, r] = state
    if not _span(text, starts, at, rules, last, r, out) or not _numbers(text, starts, at, r, out):
        return _NOT_SURE
    if not _words(text, starts, at, r, words, out):
        return _FULL
    low, high = starts[at.job], starts[at.job + 1] - 1
    if _any_high(text, low, high):
        return _NOT_SURE
    sure = _comment(text, starts, at, r, words, out, counts)
    if sure != 1:
        return _NOT_SURE if sure == 0 else _FULL
    counts[JOBS] = _copied(text, low, high, out.jobs, counts[JOBS])
    out.ints[JOB_END, r] = counts[JOBS]
    out.longs[LINE, r] = counts[LINES]
    return _RUN


@set_in
def mark(codes: Ints, marks: npt.NDArray[np.bool_]) -> None:
    """Mark the numbers that stand in a column."""
    for i in range(codes.shape[0]):
        marks[codes[np.uint64(i)]] = True


@set_in
def are_marked(codes: Ints, marks: npt.NDArray[np.bool_]) -> bool:
    """Tell whether all numbers that stand in a column are marked."""
    for i in range(codes.shape[0]):
        code = np.uint32(codes[np.uint64(i)])
        if code >= marks.shape[0] or not marks[code]:
            return False
    return True


@set_in
def _look_up(codes: Ints, told: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    for i in range(codes.shape[0]):
        place = np.uint64(i)
        out[place] = told[np.uint32(codes[place])]


def of_words(codes: Ints, told: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return for each row what is told of its word: numpy makes its numbers wider first."""
    found = np.empty(len(codes), told.dtype)
    _look_up(codes, told, found)
    return found


ALL, PIECE_FULL, NO_ROOM = range(3)


@set_in
def _has_room(out: Columns, odd: Longs, counts: Longs) -> bool:
    """Tell whether one more line fits into a piece, whatever stands in it."""
    texts = min(out.jobs.shape[0] - counts[JOBS], out.holds.shape[0] - counts[HOLDS])
    return bool(counts[LINES] < odd.shape[0] and texts >= LINE_BYTES_MAX)


@set_in
def scan(
    text: Bytes, end: int, starts: Longs, at: Places, rules: Rules, last: Last, words: Words,
    out: Columns, odd: Longs, counts: Longs,
) -> int:  # fmt: skip
    """Read lines, each with its line feed, up to where the text ends.

    What is not sure goes to int64[n, 3] `odd`: its line, from 0, where it begins and where it ends.

    Returns:
        ALL; else n lines were read or texts are full, PIECE_FULL, or there was NO_ROOM for a word,
        and it can go on with more.
    """
    low = counts[PLACE]
    while low < end:
        if not _has_room(out, odd, counts):
            counts[PLACE] = low
            return PIECE_FULL
        high, sure = _split(text, low, rules, starts)
        what = _NOT_SURE
        if high == low or starts[rules.fields] - 1 == low:
            what = -1  # an empty line
        elif sure:
            what = _row(text, starts, at, rules, last, words, out, counts)
        if what == _FULL:
            counts[PLACE] = low
            return NO_ROOM
        if what == _RUN:
            counts[ROWS] += 1
        elif what == _NOT_SURE:
            odd[counts[ODD], 0], odd[counts[ODD], 1] = counts[LINES], low
            odd[counts[ODD], 2] = high
            counts[ODD] += 1
        elif what > 0:
            counts[what] += 1
        counts[LINES] += 1
        low = high + 1
    counts[PLACE] = low
    return ALL
