"""The compiled loops of rating, drawing down and adding up, in this one file.

They do not check, allocate or explain; wrappers do. int64 overflow is silent here, so a wrapper
proves its bound before it calls. Import this only where it is used.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from accounting.compiling import compiled, set_in

Int64s = npt.NDArray[np.int64]
_HIGHEST = 2**63 - 1

FROM, UNTIL, RATE, FIRST, LAST, BAND = range(6)
"""Columns of a slot: a rate and when it holds; BAND < 0: at all hours, else a band of the calendar
in the rows FIRST to LAST."""

UNKNOWN, FREE = -1, -2
"""Rates that are none."""


@compiled
def _band_s(slot: Int64s, calendar: Int64s, at_s: int) -> int:
    """Return the seconds of a slot's band from the calendar's begin to an instant."""
    low, high, band = slot[FIRST], slot[LAST], slot[BAND]
    while high - low > 1:
        middle = (low + high) // 2
        if calendar[middle, 0] <= at_s:
            low = middle
        else:
            high = middle
    since_s = at_s - calendar[low, 0] if calendar[low, 1] == band else 0
    return int(calendar[low, 2 + band] + since_s)


@compiled
def _seconds(slot: Int64s, calendar: Int64s, from_s: int, until_s: int) -> int:
    """Return the seconds of an interval in which a slot holds."""
    begin_s, end_s = max(from_s, slot[FROM]), min(until_s, slot[UNTIL])
    if begin_s >= end_s:
        return 0
    if slot[BAND] < 0:
        return int(end_s - begin_s)
    return _band_s(slot, calendar, end_s) - _band_s(slot, calendar, begin_s)


@compiled
def _valid(slot: Int64s, calendar: Int64s, span: Int64s) -> int:
    """Return those of the seconds of a run that lie in its window."""
    return _seconds(slot, calendar, max(span[0], span[3]), min(span[1], span[4]))


@compiled
def _dearest(
    slots: Int64s, calendar: Int64s, first: int, last: int, span: Int64s, below: int
) -> tuple[int, int, int]:
    """Return the highest rate under `below` in a span and its seconds inside and outside."""
    best, inside, outside = -1, 0, 0
    for j in range(first, last):
        rate = slots[j, RATE]
        if rate >= below or rate < best:
            continue
        seconds = _seconds(slots[j], calendar, span[0], span[1])
        if seconds == 0:
            continue
        if rate > best:
            best, inside, outside = rate, 0, 0
        valid = _valid(slots[j], calendar, span)
        inside += valid
        outside += seconds - valid
    return best, inside, outside


CELL_S = 1_800
"""Seconds of a cell. Prices and bands mostly change at whole half hours: one look-up finds them."""

ITEM = 2
"""Columns of an item: where its line begins, its multiplier."""

_BLOCK = 1024
_FEW = 64
_ONE, _TWO = np.uint32(1), np.uint32(2)
_BP = 10_000
_FEN_MICRO = 10_000
_SMALL_MICRO = 2**50


class Rows(NamedTuple):
    """Runs, account after account, by their ends within one; int64[a + 1] `firsts` says where an
    account's rows begin. `wall_s` is int32[n], from the begin of billing; `item` is uint32[n]."""

    firsts: Int64s
    end_s: Int64s
    wall_s: npt.NDArray[np.int32]
    item: npt.NDArray[np.uint32]


class Tables(NamedTuple):
    """What runs cost; `tables.build` says how it is laid out."""

    unit: int
    base_s: int
    longest_s: int
    odd: bool
    cells: npt.NDArray[np.unsignedinteger[Any]]
    ends: Int64s
    lines: Int64s
    items: Int64s
    partition: npt.NDArray[np.uint32]


class Apart(NamedTuple):
    """Rows that were priced beforehand: which, int64[p] in order, and int64[p, w] what each costs
    up to each edge of its account; the whole charge stands last. Their `wall_s` is 0."""

    row: Int64s
    upto_micro: Int64s


class Vouchers(NamedTuple):
    """Vouchers of account after account, in the order in which they are drawn; `left_fen` is drawn
    from in place. Edges are all instants at which one begins or ends, each once, in order."""

    ratio_bp: int
    firsts: Int64s
    from_s: Int64s
    until_s: Int64s
    left_fen: Int64s
    edge_firsts: Int64s
    edge_s: Int64s


class Sums(NamedTuple):
    """What comes out: for each row what it costs and the vouchers' share of it; and, added to,
    int64[a, m, p] charges by account, month and partition, int64[m, e + a] charges by month and
    interval between the edges of each account, int64[m, v] what was drawn from each voucher."""

    charge_micro: Int64s
    share_fen: Int64s
    by_partition: Int64s
    by_interval: Int64s
    drawn_fen: Int64s


@compiled
def _seek(values: Int64s, low: int, high: int, limit: int) -> int:
    """Return the first place in [low, high) of ordered values that is at a limit or above it."""
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < limit:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _divide(values: Int64s, low: int, high: int, divisor: int) -> None:
    """Divide in place, rounded half up; quotients are below 2**51, so that a float finds each of
    them or its neighbour, and the rest tells which."""
    reciprocal, half = 1.0 / divisor, divisor >> 1
    for j in range(high - low):
        i = np.uint64(low + j)
        value = values[i] + half
        quotient = np.int64(float(value) * reciprocal)
        rest = value - quotient * divisor
        values[i] = quotient + np.int64(rest >= divisor) - np.int64(rest < 0)


@compiled
def _upto(tables: Tables, line: int, at_s: int) -> int:
    """Return what a line has come to at an instant."""
    place = np.uint32(tables.cells[np.uint32(at_s) // np.uint32(CELL_S)])
    if tables.odd:
        while tables.ends[place >> _ONE] <= at_s:
            place += _TWO
    place += np.uint32(line)
    return tables.lines[place] + tables.lines[place + _ONE] * at_s  # type: ignore[no-any-return]


@compiled
def _by_curve(curves: Tables, item: int, from_s: int, until_s: int, unit: int) -> int:
    """Return what an interval costs by the curve of an item, rounded half up."""
    line, base_s = curves.items[ITEM * item], curves.base_s
    cost = _upto(curves, line, until_s - base_s) - _upto(curves, line, from_s - base_s)
    return (2 * cost * curves.items[ITEM * item + 1] + unit) // (2 * unit)  # type: ignore[no-any-return]


@compiled
def span_runs(
    start_s: Int64s, begin_s: Int64s, end_s: Int64s, elapsed_s: Int64s, first_s: int, last_s: int,
    spans: Int64s, billed_s: Int64s, fit: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    """Find out when runs ran, as `rating.rate` needs it, and whether their times fit together;
    what is returned is zeros before."""
    for i in range(start_s.shape[0]):
        start, begin, end, elapsed = start_s[i], begin_s[i], end_s[i], elapsed_s[i]
        fit[i] = False
        known = elapsed >= 0 and elapsed <= last_s
        if known and first_s <= start and start <= begin and begin <= end and end <= last_s:
            billed, wall = max(elapsed - (begin - start), 0), end - begin
            fit[i] = billed <= wall
            billed_s[i] = billed if fit[i] else 0
            spans[0, i], spans[1, i], spans[2, i] = begin, end, wall - billed_s[i]


@compiled
def whole_span(spans: Int64s, billed_s: Int64s, otherwise_s: int) -> tuple[int, int]:
    """Return when the first of the runs that are billed begins and the last one ends."""
    begin_s, end_s = _HIGHEST, otherwise_s
    for i in range(billed_s.shape[0]):
        if billed_s[i] > 0:
            begin_s, end_s = min(begin_s, spans[i, 0]), max(end_s, spans[i, 1])
    return min(begin_s, end_s), end_s


@compiled
def plain_runs(
    start_s: Int64s, begin_s: Int64s, end_s: Int64s, elapsed_s: Int64s, first_s: int, last_s: int,
    plain: npt.NDArray[np.bool_],
) -> tuple[int, int]:  # fmt: skip
    """Leave those runs marked that are billed for all seconds from their begin to their end.

    Returns:
        When the first of them begins, and when the last one ends.
    """
    whole_begin_s, whole_end_s = _HIGHEST, first_s
    for row in range(start_s.shape[0]):
        i = np.uint64(row)
        start, begin, end = start_s[i], begin_s[i], end_s[i]
        if start < first_s or begin < start or end <= begin or last_s < end:
            plain[i] = False
            continue
        plain[i] &= elapsed_s[i] == end - start
        if plain[i]:
            whole_begin_s, whole_end_s = min(whole_begin_s, begin), max(whole_end_s, end)
    return min(whole_begin_s, whole_end_s), whole_end_s


@compiled
def price_plain(
    plain: npt.NDArray[np.bool_], item: Int64s, begin_s: Int64s, end_s: Int64s, window: Int64s,
    bounds_s: Int64s, longest_s: Int64s, speed: Int64s, parts: int, unit: Int64s, curves: Tables,
    out: Int64s,
) -> None:  # fmt: skip
    """Meter plain runs by the speeds of their items, whole and so many parts, and price them by
    their curves: GFLOPS·s, charge and eligible part in int64[3, n] `out`. Those that have no curve,
    or are too long, are no longer marked as plain."""
    for row in range(item.shape[0]):
        i = np.uint64(row)
        if not plain[i]:  # nothing is known of its times
            continue
        own, begin, end = item[i], begin_s[i], end_s[i]
        seconds = end - begin
        if curves.items[ITEM * own] < 0 or seconds > longest_s[own]:
            plain[i] = False
            continue
        out[0, i] = speed[own, 0] * seconds + speed[own, 1] * seconds // parts
        out[1, i] = _by_curve(curves, own, begin, end, unit[own])
        from_s, until_s = max(begin, bounds_s[0, window[i]]), min(end, bounds_s[1, window[i]])
        out[2, i] = _by_curve(curves, own, from_s, until_s, unit[own]) if from_s < until_s else 0


@compiled
def price_runs(
    which: npt.NDArray[np.bool_],
    item: Int64s,
    spans: Int64s,
    firsts: Int64s,
    slots: Int64s,
    calendar: Int64s,
    unit: Int64s,
    curves: Tables,
    out: Int64s,
) -> None:
    """Price some runs by the curves of their items, or over their slots; `items.Items` and
    `rating.rate` document the arrays."""
    for i in range(item.shape[0]):
        if not which[i]:
            continue
        span = spans[i]
        if curves.items[ITEM * item[i]] >= 0 and span[2] == 0 and span[5] == 0:
            out[i, 0] = _by_curve(curves, item[i], span[0], span[1], unit[item[i]])
            out[i, 1] = 0
            from_s, until_s = max(span[0], span[3]), min(span[1], span[4])
            if from_s < until_s:
                out[i, 1] = _by_curve(curves, item[i], from_s, until_s, unit[item[i]])
            continue
        first, last = firsts[item[i]], firsts[item[i] + 1]
        while first + 1 < last and slots[first, UNTIL] <= span[0]:
            first += 1
        total, eligible, problem, free, paid = 0, 0, -1, -1, False
        for j in range(first, last):
            if slots[j, FROM] >= span[1]:
                break
            seconds = _seconds(slots[j], calendar, span[0], span[1])
            if seconds == 0:
                continue
            if slots[j, RATE] == UNKNOWN:
                problem = j
                break
            if slots[j, RATE] == FREE:
                free = j if free < 0 else free
                continue
            paid = True
            total += slots[j, RATE] * seconds
            eligible += slots[j, RATE] * _valid(slots[j], calendar, span)
        if problem < 0 and not paid:
            problem = free
        if problem >= 0:
            out[i, 0] = -1 - problem
            out[i, 1] = 0
            continue
        left, below = span[2], _HIGHEST
        while left > 0 and below >= 0:
            below, inside, outside = _dearest(slots, calendar, first, last, span, below)
            cut = min(left, inside)
            eligible -= cut * below
            cut += min(left - cut, outside)
            total -= cut * below
            left -= cut
        out[i, 0] = (2 * total + unit[item[i]]) // (2 * unit[item[i]])
        out[i, 1] = (2 * eligible + unit[item[i]]) // (2 * unit[item[i]])
        if total > 0 and out[i, 0] < span[5]:
            out[i, 0] = span[5]
            if eligible == total:
                out[i, 1] = span[5]


@compiled
def _price(rows: Rows, tables: Tables, low: int, high: int, out: Int64s) -> None:
    """Price rows: what their seconds cost × multiplier / unit, rounded half up."""
    for j in range(high - low):
        i = np.uint64(low + j)
        until_s = rows.end_s[i] - tables.base_s
        from_s = until_s - rows.wall_s[i]
        item = np.uint32(ITEM) * rows.item[i]
        line = tables.items[item]
        cost = _upto(tables, line, until_s) - _upto(tables, line, from_s)
        out[i] = cost * tables.items[item + _ONE]
    _divide(out, low, high, tables.unit)


@compiled
def _put(apart: Apart, low: int, high: int, out: Int64s) -> None:
    """Put in what was priced beforehand."""
    place = _seek(apart.row, 0, apart.row.shape[0], low)
    while place < apart.row.shape[0] and apart.row[place] < high:
        out[apart.row[place]] = apart.upto_micro[place, -1]
        place += 1


@compiled
def _add_up(rows: Rows, low: int, high: int, out: Int64s, by_item: Int64s) -> None:
    """Add charges to the sums of their items."""
    for j in range(high - low):
        i = np.uint64(low + j)
        by_item[rows.item[i]] += out[i]


@compiled
def _move(by_item: Int64s, partition: npt.NDArray[np.uint32], sums: Int64s) -> None:
    """Move what items have come to into the sums of their partitions."""
    for k in range(by_item.shape[0]):
        sums[partition[k]] += by_item[k]
        by_item[k] = 0


@compiled
def _apart(apart: Apart, i: int) -> int:
    """Return where a row stands among those that were priced beforehand, or -1."""
    place = _seek(apart.row, 0, apart.row.shape[0], i)
    return place if place < apart.row.shape[0] and apart.row[place] == i else -1


@compiled
def _before(rows: Rows, tables: Tables, apart: Apart, edges: Int64s, i: int, edge: int) -> int:
    """Return what a row costs up to the nth edge of its account, rounded half up; all of it beyond
    the last."""
    place = _apart(apart, i)
    if place >= 0:
        return int(apart.upto_micro[place, edge if edge < edges.shape[0] else -1])
    begin_s = rows.end_s[i] - rows.wall_s[i]
    if edges[edge] <= begin_s:
        return 0
    line, factor = tables.items[ITEM * rows.item[i]], tables.items[ITEM * rows.item[i] + 1]
    cost = _upto(tables, line, edges[edge] - tables.base_s)
    cost -= _upto(tables, line, begin_s - tables.base_s)
    return int((cost * factor + (tables.unit >> 1)) // tables.unit)


@compiled
def _entitled(micro: int, ratio_bp: int) -> int:
    """Return the fen that a ratio of an eligible fee comes to: fee down to the fen, then down."""
    return int(micro // _FEN_MICRO * ratio_bp // _BP)


_MICRO, _FEE, _BASE, _LIMIT, _GIVEN = range(5)
"""Of an interval between two edges: what its seconds cost; the eligible fee of the month so far and
what that entitled to when the interval began; the fen that vouchers grant, and those given."""


@compiled
def _piece(rows: Rows, tables: Tables, apart: Apart, edges: Int64s, i: int, interval: int) -> int:
    """Return what a row costs within an interval other than the one in which it ends."""
    upto = _before(rows, tables, apart, edges, i, interval)
    if interval == 0:
        return upto
    return upto - _before(rows, tables, apart, edges, i, interval - 1)


@compiled
def _interval(edges: Int64s, interval: int, end_s: int) -> int:
    """Return the interval in which a run ends, at or after another."""
    while interval < edges.shape[0] and edges[interval] < end_s:
        interval += 1
    return interval


@compiled
def _segment(rows: Rows, edges: Int64s, interval: int, low: int, high: int) -> int:
    """Return up to which of some rows they end in an interval."""
    if interval == edges.shape[0] or rows.end_s[high - 1] <= edges[interval]:
        return high
    return int(_seek(rows.end_s, low, high, edges[interval] + 1))


@compiled
def _begins_before(rows: Rows, low: int, high: int, at_s: int) -> bool:
    """Tell whether one of some rows begins before an instant."""
    first_s = at_s
    for j in range(high - low):
        i = np.uint64(low + j)
        first_s = min(first_s, rows.end_s[i] - rows.wall_s[i])
    return bool(first_s < at_s)


@compiled
def _noted(crossing: Int64s, count: int, row: int, interval: int, micro: int) -> Int64s:
    """Return the list of rows that cross edges with one more; in twice the room if it is full."""
    if count == crossing.shape[0]:
        larger = np.empty((2 * count, 3), np.int64)
        larger[:count] = crossing
        crossing = larger
    crossing[count, 0], crossing[count, 1], crossing[count, 2] = row, interval, micro
    return crossing


@compiled
def _others(rows: Rows, apart: Apart, edges: Int64s, i: int, interval: int) -> tuple[int, int]:
    """Return between which intervals a row may cost something besides the one in which it ends.

    Of a row that was priced beforehand nothing is known here: its last minute or hour may even be
    rounded up beyond its end.
    """
    if _apart(apart, i) >= 0:
        return 0, edges.shape[0] + 1
    first = interval
    while first > 0 and rows.end_s[i] - rows.wall_s[i] < edges[first - 1]:
        first -= 1
    return first, interval


@compiled
def _take_off(
    rows: Rows, tables: Tables, apart: Apart, edges: Int64s, s: int, i: int,
    charge: Int64s, intervals: Int64s,
) -> int:  # fmt: skip
    """Leave to a row its part of the interval in which it ends, and sum the others; return them."""
    first, after = _others(rows, apart, edges, i, s)
    taken = 0
    for t in range(first, after):
        if t != s:
            piece = _piece(rows, tables, apart, edges, i, t)
            intervals[t, _MICRO] += piece
            taken += piece
    charge[i] -= taken
    return taken


@compiled
def _cut(
    rows: Rows, tables: Tables, apart: Apart, edges: Int64s, s: int, low: int, high: int,
    charge: Int64s, intervals: Int64s, crossing: Int64s, count: int,
) -> tuple[Int64s, int]:  # fmt: skip
    """Take off rows that end in an interval what they cost elsewhere, and note which they are."""
    place = _seek(apart.row, 0, apart.row.shape[0], low)
    while place < apart.row.shape[0] and apart.row[place] < high:
        i = apart.row[place]
        taken = _take_off(rows, tables, apart, edges, s, i, charge, intervals)
        crossing = _noted(crossing, count, i, s, taken)
        place, count = place + 1, count + 1
    if s == 0:
        return crossing, count
    edge_s = edges[s - 1]
    if rows.end_s[low] < edge_s + tables.longest_s:
        high = _seek(rows.end_s, low, high, edge_s + tables.longest_s)
        for block in range(low, high, _FEW):
            end = min(block + _FEW, high)
            if not _begins_before(rows, block, end, edge_s):
                continue
            for i in range(block, end):
                if rows.end_s[i] - rows.wall_s[i] < edge_s:
                    taken = _take_off(rows, tables, apart, edges, s, i, charge, intervals)
                    crossing = _noted(crossing, count, i, s, taken)
                    count += 1
    return crossing, count


@compiled
def _by_interval(
    rows: Rows, tables: Tables, apart: Apart, edges: Int64s, low: int, high: int,
    charge: Int64s, intervals: Int64s, crossing: Int64s,
) -> tuple[Int64s, int]:  # fmt: skip
    """Sum what the rows of a month cost by interval; leave to each row its part of its last one.

    Returns:
        The rows that cost something elsewhere, the interval in which they end, and what was taken
        off their charges; and how many they are.
    """
    intervals[:] = 0
    s, count = _interval(edges, 0, rows.end_s[low]), 0
    while low < high:
        until = _segment(rows, edges, s, low, high)
        crossing, count = _cut(
            rows, tables, apart, edges, s, low, until, charge, intervals, crossing, count
        )
        total = 0
        for j in range(until - low):
            total += charge[np.uint64(low + j)]
        intervals[s, _MICRO] += total
        low, s = until, s + 1
    return crossing, count


@compiled
def _grant(
    vouchers: Vouchers, account: int, edges: Int64s, intervals: Int64s, drawn_fen: Int64s
) -> None:
    """Draw what a month entitles to from the vouchers of an account, interval after interval."""
    fee = 0
    for s in range(1, edges.shape[0]):
        intervals[s, _FEE] = fee
        intervals[s, _BASE] = _entitled(fee, vouchers.ratio_bp)
        wanted = _entitled(fee + intervals[s, _MICRO], vouchers.ratio_bp) - intervals[s, _BASE]
        eligible = False
        for v in range(vouchers.firsts[account], vouchers.firsts[account + 1]):
            if vouchers.from_s[v] <= edges[s - 1] and edges[s] <= vouchers.until_s[v]:
                eligible = True
                taken = min(wanted - intervals[s, _LIMIT], vouchers.left_fen[v])
                vouchers.left_fen[v] -= taken
                drawn_fen[v] += taken
                intervals[s, _LIMIT] += taken
        if eligible:
            fee += intervals[s, _MICRO]


@compiled
def _entitle(fees: Int64s, rows: int, ratio_bp: int, base: int, limit: int) -> None:
    """Replace all fees but the first, which rise, by what they entitle to above a base, up to a
    limit.

    Where the last is small, half a unit more keeps each quotient of floats further from whole
    numbers than they can be wrong; processors do that eight at a time.
    """
    if fees[rows] < _SMALL_MICRO:
        for j in range(1, rows + 1):
            fen = np.int64((float(fees[j]) + 0.5) * (1.0 / _FEN_MICRO))
            fen = np.int64((float(fen * ratio_bp) + 0.5) * (1.0 / _BP))
            fees[j] = min(int(fen) - base, limit)
    else:
        for j in range(1, rows + 1):
            fees[j] = min(_entitled(fees[j], ratio_bp) - base, limit)


@compiled
def _share_out(
    micro: Int64s, low: int, high: int, intervals: Int64s, s: int, ratio_bp: int,
    work: Int64s, share: Int64s,
) -> None:  # fmt: skip
    """Give rows what the entitlement of an interval grows by with each of them, up to its limit."""
    if intervals[s, _GIVEN] == intervals[s, _LIMIT]:
        share[low:high] = 0
        return
    fee, rows = intervals[s, _FEE], high - low
    for j in range(rows):
        fee += micro[np.uint64(low + j)]
        work[np.uint64(j + 1)] = fee
    intervals[s, _FEE] = fee
    work[0] = intervals[s, _GIVEN]
    _entitle(work, rows, ratio_bp, intervals[s, _BASE], intervals[s, _LIMIT])
    for j in range(rows):
        share[np.uint64(low + j)] = work[np.uint64(j + 1)] - work[np.uint64(j)]
    intervals[s, _GIVEN] = work[rows]


@compiled
def _shares(
    rows: Rows, tables: Tables, apart: Apart, edges: Int64s, low: int, high: int,
    ratio_bp: int, intervals: Int64s, crossing: Int64s, work: Int64s, sums: Sums,
) -> None:  # fmt: skip
    """Share out to the rows of a month: first for where they end, then for their other parts."""
    charge, share = sums.charge_micro, sums.share_fen
    s = _interval(edges, 0, rows.end_s[low])
    while low < high:
        until = _segment(rows, edges, s, low, high)
        for block in range(low, until, _BLOCK):
            end = min(block + _BLOCK, until)
            _share_out(charge, block, end, intervals, s, ratio_bp, work, share)
        low, s = until, s + 1
    if crossing.shape[0] == 0:
        return
    piece, fen = np.empty(1, np.int64), np.empty(1, np.int64)
    for k in np.argsort(crossing[:, 0]):
        i, s = crossing[k, 0], crossing[k, 1]
        charge[i] += crossing[k, 2]
        first, after = _others(rows, apart, edges, i, s)
        for t in range(first, after):
            if t != s:
                piece[0] = _piece(rows, tables, apart, edges, i, t)
                _share_out(piece, 0, 1, intervals, t, ratio_bp, work, fen)
                share[i] += fen[0]


@compiled
def draw_down(
    first: int, last: int, rows: Rows, tables: Tables, apart: Apart, vouchers: Vouchers,
    months_s: Int64s, sums: Sums,
) -> None:  # fmt: skip
    """Rate the rows of some accounts, month after month, and draw their vouchers down.

    `onepass` documents the arrays; what it does is said plainly in `drawdown`.
    """
    charge, work = sums.charge_micro, np.empty(_BLOCK + 1, np.int64)
    by_item, crossing = np.zeros(tables.partition.shape[0], np.int64), np.empty((64, 3), np.int64)
    for a in range(first, last):
        edges = vouchers.edge_s[vouchers.edge_firsts[a] : vouchers.edge_firsts[a + 1]]
        intervals = np.zeros((edges.shape[0] + 1, 5), np.int64)
        low = rows.firsts[a]
        for m in range(months_s.shape[0] - 1):
            high = _seek(rows.end_s, low, rows.firsts[a + 1], months_s[m + 1])
            if low == high:
                continue
            for block in range(low, high, _BLOCK):
                end = min(block + _BLOCK, high)
                _price(rows, tables, block, end, charge)
                _put(apart, block, end, charge)
                _add_up(rows, block, end, charge, by_item)
            _move(by_item, tables.partition, sums.by_partition[a, m])
            if edges.shape[0] == 0:
                sums.share_fen[low:high] = 0
            else:
                crossing, count = _by_interval(
                    rows, tables, apart, edges, low, high, charge, intervals, crossing
                )
                first_interval = vouchers.edge_firsts[a] + a
                for s in range(edges.shape[0] + 1):
                    sums.by_interval[m, first_interval + s] += intervals[s, _MICRO]
                _grant(vouchers, a, edges, intervals, sums.drawn_fen[m])
                _shares(
                    rows, tables, apart, edges, low, high, vouchers.ratio_bp, intervals,
                    crossing[:count], work, sums,
                )  # fmt: skip
            low = high


Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.uint32]


@compiled
def count_digits(keys: Keys, low: int, high: int, shift: int, counts: Int64s) -> None:
    """Count how often each digit stands in some keys; there are as many digits as counts."""
    mask = np.uint64(counts.shape[0] - 1)
    for j in range(high - low):
        counts[(keys[np.uint64(low + j)] >> np.uint64(shift)) & mask] += 1


@compiled
def scatter(
    keys: Keys, places: Places, low: int, high: int, shift: int, firsts: Int64s,
    keys_out: Keys, places_out: Places,
) -> None:  # fmt: skip
    """Move some keys, and the places that they came from, to where their digits belong."""
    mask = np.uint64(firsts.shape[0] - 1)
    for j in range(high - low):
        i = np.uint64(low + j)
        digit = (keys[i] >> np.uint64(shift)) & mask
        place = np.uint64(firsts[digit])
        firsts[digit] += 1
        keys_out[place] = keys[i]
        places_out[place] = places[i]


Int32s = npt.NDArray[np.int32]


class Calendar(NamedTuple):
    """Periods one after the other: int64[p + 1] `edges`, and int32 for each cell of 2**shift
    seconds from the first of them the period in which it begins."""

    edges: Int64s
    shift: int
    cells: Int32s


class Runs(NamedTuple):
    """Runs to be added up: int64[n] times, int32[n] what they had, int64[n] what they were metered
    and charged; `begun` and `paid`, a bit for each that ever began and that has an account, lowest
    first, empty where all did and have; int32[n] `status`, by number, and which one is charged."""

    start_s: Int64s
    begin_s: Int64s
    end_s: Int64s
    elapsed_s: Int64s
    nodes: Int32s
    cpus: Int32s
    cards: Int32s
    gflops_s: Int64s
    charge_micro: Int64s
    begun: npt.NDArray[np.uint8]
    paid: npt.NDArray[np.uint8]
    status: Int32s
    charged: int


class Cells(NamedTuple):
    """Where runs are added up: each run's group, int32[n], below `width`, and int64[cells, 12] with
    a row for each period × width + group: how many ran in it, started and ended in it, and were
    charged; then eight sums."""

    group: Int32s
    width: int
    sums: Int64s


_LONGEST_S = 2**31
_FIGURES = 12
_MOST = 2.0**62
"""What no sum reaches; float64 adds up to it closely enough for int64."""
_THREE, _SEVEN, _ONE_BIT = np.uint64(3), np.uint64(7), np.uint64(1)


@compiled
def _period(calendar: Calendar, at_s: int) -> int:
    """Return the number of the period that an instant falls into."""
    cell = np.uint64(at_s - calendar.edges[0]) >> np.uint64(calendar.shift)
    place = calendar.cells[cell]
    while calendar.edges[np.uint32(place + 1)] <= at_s:
        place += 1
    return int(place)


@set_in
def _is_set(bits: npt.NDArray[np.uint8], i: np.uint64) -> bool:
    """Tell whether a row's bit is set; all are where there are none."""
    return bool(bits.shape[0] == 0 or bits[i >> _THREE] >> (i & _SEVEN) & _ONE_BIT != 0)


@set_in
def _add_to(groupings: tuple[Cells, ...], i: np.uint64, day: int, figures: Int64s) -> None:
    """Add figures of a run to its cell of each grouping, and clear them."""
    for own in groupings:
        cell = day * own.width + own.group[i]
        for k in range(_FIGURES):
            own.sums[cell, k] += figures[k]
    figures[:] = 0


@set_in
def _end_run(runs: Runs, i: np.uint64, begun: bool, charged: bool, figures: Int64s) -> None:
    """Write what counts where a run ends."""
    figures[2], figures[3] = begun, charged
    if charged:
        figures[10], figures[11] = runs.gflops_s[i], runs.charge_micro[i]


@set_in
def _cut_run(
    runs: Runs, i: np.uint64, ran_s: int, charged: bool, calendar: Calendar,
    groupings: tuple[Cells, ...], figures: Int64s,
) -> None:  # fmt: skip
    """Add up a run that began, cut at the edges of periods.

    By an instant it has had its share of the seconds that it ran, rounded down, and of what it was
    metered by those: so what days have adds up to what their month has.
    """
    begin_s, end_s, whole, edges = runs.begin_s[i], runs.end_s[i], runs.gflops_s[i], calendar.edges
    day, wall_s, of_s = _period(calendar, begin_s), max(1, end_s - begin_s), max(1, ran_s)
    had_s, had, over = 0, 0, False
    figures[1] = 1
    while not over:
        edge_s = edges[np.uint32(day + 1)]
        over = end_s <= edge_s
        by_then_s = ran_s if over else ran_s * (edge_s - begin_s) // wall_s
        by_then = whole if over else whole // of_s * by_then_s + whole % of_s * by_then_s // of_s
        seconds = by_then_s - had_s
        figures[0], figures[4], figures[8] = 1, seconds, by_then - had
        figures[5], figures[6] = seconds * runs.nodes[i], seconds * runs.cpus[i]
        figures[7] = seconds * runs.cards[i]
        figures[9] = 0 if whole else figures[7]
        if end_s < edge_s:
            _end_run(runs, i, True, charged, figures)
        _add_to(groupings, i, day, figures)
        had_s, had, day = by_then_s, by_then, day + 1
    if end_s == edges[day]:
        _end_run(runs, i, True, charged, figures)
        _add_to(groupings, i, day, figures)


@compiled
def add_up(
    runs: Runs, first: int, most: float, calendar: Calendar, groupings: tuple[Cells, ...],
    apart: Int64s,
) -> tuple[int, float, int, int]:  # fmt: skip
    """Add runs up by period and group, several groupings at once; list those apart that lie
    elsewhere or are longer than int64 can be sure of.

    Args:
        first: The first of them.
        most: What no sum in the cells is larger than.

    Returns:
        The first run that was not added up, for a sum might not fit; what no sum is larger than
        now; how many stand apart, and how many that are charged ended in no period.
    """
    edges, others, outside = calendar.edges, 0, 0
    last, figures = edges.shape[0] - 1, np.zeros(_FIGURES, np.int64)
    for row in range(first, runs.end_s.shape[0]):
        i = np.uint64(row)
        end_s, begun = runs.end_s[i], _is_set(runs.begun, i)
        begin_s, ran_s = runs.begin_s[i], 0
        if begun:
            ran_s = max(np.int64(0), runs.elapsed_s[i] - (begin_s - runs.start_s[i]))
        had = float(min(ran_s, _LONGEST_S)) * max(1, runs.nodes[i], runs.cpus[i], runs.cards[i])
        had = max(had, float(runs.gflops_s[i]), float(runs.charge_micro[i]))
        if most > 0 and most + had > _MOST:
            return row, most, others, outside
        most += had
        charged = runs.status[i] == runs.charged and _is_set(runs.paid, i)
        ends_inside = edges[0] <= end_s and end_s < edges[last]
        if charged and not ends_inside:
            outside += 1
            continue
        if begun:
            inside = edges[0] <= begin_s and begin_s <= end_s and ends_inside
            if inside and end_s - begin_s < _LONGEST_S and ran_s < _LONGEST_S:
                _cut_run(runs, i, ran_s, charged, calendar, groupings, figures)
                continue
            apart[others] = row
            others += 1
        if charged:
            _end_run(runs, i, False, True, figures)
            _add_to(groupings, i, _period(calendar, end_s), figures)
    return runs.end_s.shape[0], most, others, outside
