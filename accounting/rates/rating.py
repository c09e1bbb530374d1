"""Rate whole tables of runs: exact, in int64 where that is proved to hold, by definition elsewhere.

`define` says what a run costs; `rate` gives the same for many at once. Runs of one kind (partition,
QOS, cards, cores) share an item: the tariff is put to each kind once, and a kernel then walks over
the rows.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from accounting.rates import definition, items
from accounting.rates.basis import FIRST_S, LAST_S, MFLOPS_PER_GFLOPS, Basis, Kind, basis
from accounting.rates.definition import CHARGED, FREE, LARGEST, UNRATED, Rating, Window, define
from accounting.rates.tariff import Tariff
from accounting.rates.terms import Terms
from accounting.runs import usage

if TYPE_CHECKING:
    from accounting.rates.curves import Curves
    from accounting.rates.kernels import Tables

__all__ = ["CHARGED", "COLUMNS", "FREE", "UNRATED", "Rating", "Window", "define", "rate"]

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

COLUMNS = tuple(name for name in usage.RATED.names if name not in ("revision", "account"))
"""What `rate` returns; types as in usage.RATED."""
_TIMES = ("start_s", "billed_from_s", "end_s", "elapsed_s")
_LOOKED_AT = ("state", *_TIMES)
"""What is looked at of a run whose kind is known."""


def rate(
    table: pa.Table,
    tariff: Tariff,
    states: Mapping[str, str],
    windows: Mapping[str, Window],
    accounts: pa.Array | pa.ChunkedArray | None = None,
    units: Mapping[str, str] | None = None,
    seen: "Seen | None" = None,
) -> pa.Table:
    """Rate runs that have ended.

    Args:
        table: Columns of USAGE, any rows in any order.
        tariff: The price list.
        states: `charged` or `free` for each state of Slurm.
        windows: Validity of each voucher account, from and until; for an account that is not
            here nothing is eligible.
        accounts: Voucher account of each row, null for none. None: no row has one.
        units: Credit code of the unit of each voucher account, for its discounts.
        seen: The kinds that other parts of the same runs had, for the same tariff.

    Returns:
        One row for each run, in the same order, with the columns COLUMNS.
    """
    seen = seen or Seen(tariff)
    item, kinds = kinds_of(table, tariff, accounts, units)
    item = seen.numbers(kinds).take(item)
    plain, figures = _plain(table, states, windows, accounts, seen, item)
    answers = _Answers(len(item))  # charged, until something else is said
    others = np.flatnonzero(~plain)
    if len(others):
        some = table.select(_LOOKED_AT).take(others)
        own = None if accounts is None else accounts.take(others)
        apart, own_figures = _any(some, states, windows, own, seen, item[others])
        figures[:, others] = own_figures
        answers = apart.at(others, len(item))
    return _result(answers, seen, item, figures)


def _plain(
    table: pa.Table,
    states: Mapping[str, str],
    windows: Mapping[str, Window],
    accounts: pa.Array | pa.ChunkedArray | None,
    seen: "Seen",
    item: Int64s,
) -> tuple[Bools, Int64s]:
    """Rate what nearly all runs are: charged from begin to end, by rates that are known then.

    Returns:
        bool[n], which runs these are; int64[3, n], their GFLOPS·s, charge and eligible part.
    """
    # numba takes its time; only who rates shall wait for it
    from accounting.rates import kernels

    code, words = usage.places(table.column("state"))
    said = (definition.state_reason(word, states)[0] for word in words)
    plain = np.array([*(status == CHARGED for status in said), False], np.bool_).take(code)
    start, begin, end, elapsed = _times(table)
    span = kernels.plain_runs(start, begin, end, elapsed, FIRST_S, LAST_S, plain)
    known = seen.items(*map(int, span))
    longest_s = np.minimum(known.longest_s, known.most_s)
    for theirs in seen.terms.values():
        longest_s[theirs] = 0  # they are counted otherwise
    window, bounds = _windows(windows, accounts, len(item))
    figures = np.zeros((3, len(item)), np.int64)
    kernels.price_plain(
        plain, item, begin, end, window, bounds, longest_s, known.speed, MFLOPS_PER_GFLOPS,
        known.unit, seen.curves(known), figures,
    )  # fmt: skip
    return plain, figures


def _any(
    table: pa.Table,
    states: Mapping[str, str],
    windows: Mapping[str, Window],
    accounts: pa.Array | pa.ChunkedArray | None,
    seen: "Seen",
    item: Int64s,
) -> tuple["_Answers", Int64s]:
    """Rate runs whatever they are; returns status and reason, and figures as `_plain` does."""
    # numba takes its time; only who rates shall wait for it
    from accounting.rates import kernels

    spans, billed_s, fit = _spans(table, windows, accounts)
    counted = _counted(spans, billed_s, seen.terms, item)
    known = seen.items(*map(int, kernels.whole_span(counted, billed_s, FIRST_S)))
    answers = _Answers(len(item))
    _settle_states(answers, table, states)
    answers.settle(~fit, UNRATED, definition.BAD_TIMES)
    answers.settle(billed_s == 0, FREE, definition.NO_SECOND)

    amounts = _priced(answers, seen, known, item, spans, counted)
    over = billed_s > known.most_s.take(item)
    answers.replace(over, UNRATED, definition.TOO_LARGE)
    amounts[over] = 0
    gflops_s = _gflops_s(known.speed, item, np.where(over, 0, billed_s))
    return answers, np.stack([gflops_s, *amounts.T])


class Seen:
    """What a tariff says of the kinds of runs seen so far.

    Attributes:
        bases, chips: Of each kind, by its number.
        terms: Which kinds are counted by some terms, by number.
    """

    def __init__(self, tariff: Tariff) -> None:
        self.tariff = tariff
        self.bases: list[Basis] = []
        self.chips: list[str | None] = []
        self.terms: dict[tuple[Terms, ...], list[int]] = {}
        self._number: dict[Kind, int] = {}
        self._grown = items.Grown()
        self._curves: Curves | None = None

    def numbers(self, kinds: Sequence[Kind]) -> Int64s:
        """Return the number of each kind; what was not seen yet gets the next one."""
        for kind in kinds:
            if kind not in self._number:
                number, found = len(self.bases), basis(self.tariff, kind)
                self._number[kind] = number
                self.bases.append(found)
                self.chips.append(found.chip)
                if found.terms:
                    self.terms.setdefault(found.terms, []).append(number)
        return np.array([self._number[kind] for kind in kinds], np.int64)

    def price(self, which: Bools, item: Int64s, spans: Int64s, known: items.Items) -> Int64s:
        """Price some of the rows as int64[n, 2]; 0 stands for the others, -1 - s for those that
        the step behind slot s does not price."""
        out = np.zeros((len(item), 2), np.int64)
        if not which.any():
            return out
        # numba takes its time; only who rates shall wait for it
        from accounting.rates import kernels

        arrays = known.firsts, known.slots, known.calendar, known.unit
        kernels.price_runs(which, item, spans, *arrays, self.curves(known), out)
        return out

    def curves(self, known: items.Items) -> "Tables":
        """Return the curves of items, as the kernels read them."""
        from accounting.rates import curves  # only who rates shall wait for numba

        if self._curves is None:
            self._curves = curves.Curves()
        return self._curves.tables(known)

    def items(self, begin_s: int, end_s: int) -> items.Items:
        """Return all of them in arrays, good for runs within [begin, end)."""
        return self._grown.items(self.bases, begin_s, end_s)


def kinds_of(
    table: pa.Table,
    tariff: Tariff,
    accounts: pa.Array | pa.ChunkedArray | None = None,
    units: Mapping[str, str] | None = None,
) -> tuple[Int64s, list[Kind]]:
    """Number the kinds of runs; arguments as for `rate`.

    Returns:
        int64[n], the number of each run's kind; and the kinds.
    """
    return _kinds(_priced_by(table, tariff, _discounts(tariff, accounts, units or {})))


def _gflops_s(speed: Int64s, item: Int64s, seconds: Int64s) -> Int64s:
    """Multiply and round down to GFLOPS·s, without a product that is larger than the result."""
    whole, parts = (speed[:, i].take(item) for i in range(2))
    found: Int64s = whole * seconds + parts * seconds // MFLOPS_PER_GFLOPS
    return found


class _Answers:
    """Status and reason of each row, as a number into a list; the first answer stands."""

    def __init__(self, rows: int) -> None:
        self.listed = {(CHARGED, ""): 0}
        self.row = np.zeros(rows, np.int32)

    def at(self, places: Int64s, rows: int) -> "_Answers":
        """Return these as the answers to some of many rows; the others are charged."""
        found = _Answers(rows)
        found.listed, found.row[places] = self.listed, self.row
        return found

    def open(self) -> Bools:
        unanswered: Bools = self.row == 0
        return unanswered

    def replace(self, where: Bools | int, status: str, reason: str) -> None:
        if isinstance(where, int) or where.any():  # what no row gets is no word of the column
            self.row[where] = self.listed.setdefault((status, reason), len(self.listed))

    def settle(self, where: Bools, status: str, reason: str) -> None:
        self.replace(where & self.open(), status, reason)


def _settle_states(answers: _Answers, table: pa.Table, states: Mapping[str, str]) -> None:
    """Settle what a state alone decides, in the order of the definition."""
    code, words = usage.split(table.column("state"))
    decided = [(i, *definition.state_reason(word, states)) for i, word in enumerate(words)]
    for i, status, reason in decided:
        if status == UNRATED:
            answers.settle(code == i, status, reason)
    never: Bools = table.column("start_s").is_null().to_numpy()
    answers.settle(never, FREE, definition.NEVER_STARTED)
    for i, status, reason in decided:
        if status == FREE:
            answers.settle(code == i, status, reason)


def _spans(
    table: pa.Table,
    windows: Mapping[str, Window],
    accounts: pa.Array | pa.ChunkedArray | None,
) -> tuple[Int64s, Int64s, Bools]:
    """Return when rows ran, the seconds billed, and whether their times fit together.

    Returns:
        int64[n, 6]: begin, end, unbilled seconds between, begin and end of the window, and 0;
        int64[n]: billed seconds, 0 where the times do not fit; bool[n]: whether they do.
    """
    from accounting.rates import kernels  # only who rates shall wait for numba

    start, begin, end, elapsed = _times(table)
    rows = table.num_rows
    spans = np.zeros((6, rows), np.int64)  # column by column, as it is written and read
    billed, fit = np.zeros(rows, np.int64), np.empty(rows, np.bool_)
    kernels.span_runs(start, begin, end, elapsed, FIRST_S, LAST_S, spans, billed, fit)
    code, bounds = _windows(windows, accounts, rows)
    for i in range(2):
        bounds[i].take(code, out=spans[3 + i], mode="wrap")
    return spans.T, billed, fit


def _times(table: pa.Table) -> list[Int64s]:
    """Return when runs started, are billed from and ended, and what they lasted; -1: not known."""
    return [usage.numbers(table.column(name), -1) for name in _TIMES]


def _counted(
    spans: Int64s, billed_s: Int64s, of_terms: Mapping[tuple[Terms, ...], list[int]], item: Int64s
) -> Int64s:
    """Put rows to the terms of their partitions, which some kinds have.

    Returns:
        int64[n, 6]: the spans with their ends rounded up, and the minimum charge of each row.
    """
    counted = spans.copy(order="K") if of_terms else spans
    for terms, kinds in of_terms.items():
        theirs = np.isin(item, kinds)
        begun = np.searchsorted([each.from_s for each in terms], spans[theirs, 0], "right")
        per_s = np.array([1, *(each.per_s for each in terms)], np.int64)[begun]
        counted[theirs, 1] += -billed_s[theirs] % per_s
        minima = np.array([0, *(each.minimum_micro for each in terms)], np.int64)
        counted[theirs, 5] = minima[begun]
    return counted


def _windows(
    windows: Mapping[str, Window], accounts: pa.Array | pa.ChunkedArray | None, rows: int
) -> tuple[Int64s, Int64s]:
    """Return int64[n], the number of each row's window, and int64[2, w]: from and until of each;
    the last, -1, is no time."""
    code, words = (np.full(rows, -1), []) if accounts is None else usage.split(accounts)
    bounds = [windows.get(word, definition.NOWHEN) for word in words]
    known = np.array([*bounds, definition.NOWHEN], object).reshape(-1, 2)
    clipped = np.clip(known, FIRST_S, LAST_S + 1).astype(np.int64)
    return code, np.ascontiguousarray(clipped.T)


def _discounts(
    tariff: Tariff, accounts: pa.Array | pa.ChunkedArray | None, units: Mapping[str, str]
) -> pa.Array | None:
    """Name the discount of each row, as in Kind. None: no row has one."""
    if accounts is None or not tariff.discounts:
        return None
    code, words = usage.split(accounts)
    return usage.words([*(tariff.discount_of(word, units.get(word)) for word in words), ""], code)


def _priced_by(table: pa.Table, tariff: Tariff, discounts: pa.Array | None = None) -> pa.Table:
    """Return what decides prices: the columns of Kind, with memory only where it is weighed."""
    (cluster, clusters), (partition, partitions) = (
        usage.split(table.column(name)) for name in ("cluster", "partition")
    )
    known = [[tariff.weighs_memory(a, b) for b in partitions] for a in clusters]
    weigh = np.array(known, bool).ravel()
    weighed = weigh.take(cluster * len(partitions) + partition) if weigh.any() else weigh
    memory = table.column("mem_mb").cast(pa.int64())
    if not weighed.any():
        memory = pa.chunked_array([pa.nulls(len(memory), pa.int64())])
    elif not weighed.all():
        memory = pc.if_else(pa.array(weighed), memory, pa.scalar(None, pa.int64()))
    found = table.select([name for name in Kind._fields if name in table.column_names])
    found = found.drop_columns(["mem_mb"]).append_column("mem_mb", memory)
    if discounts is None:
        discounts = usage.words([""], np.zeros(table.num_rows, np.int64))
    return found.append_column("discount", discounts).select(Kind._fields)


def _kinds(table: pa.Table) -> tuple[Int64s, list[Kind]]:
    """Number the kinds of runs: the number of each row's kind, and the kinds."""
    from accounting.runs import encoding  # only who rates shall wait for numba

    item, size = np.zeros(table.num_rows, np.int64), 1
    for name in Kind._fields:
        column, least = table.column(name), 0
        code: npt.NDArray[np.integer]
        if column.null_count == table.num_rows:
            continue
        if pa.types.is_int64(column.type):  # memory: any number, and null
            code, choices = _dense(column)
        elif pa.types.is_integer(column.type):
            code = usage.as_stored(column)
            least = int(code.min(initial=0))
            choices = int(code.max(initial=0)) - least + 1
        else:
            code, words = usage.places(column)
            choices = len(words) or 1
        if choices == 1:  # tells none from another
            continue
        if size * choices > LARGEST:
            item, size = _dense(item)
        encoding.fold(item, code, least, choices)
        size *= choices
    item, firsts = encoding.numbered(item)
    some = table.take(firsts)
    columns = (usage.values(column) for column in some.columns)
    return item, [*map(Kind._make, zip(*columns, strict=True))]


def _dense(codes: Int64s | pa.ChunkedArray) -> tuple[Int64s, int]:
    """Renumber codes without gaps, null among them; return them and how many there are."""
    whole = usage.as_one(codes) if isinstance(codes, pa.ChunkedArray) else pa.array(codes)
    encoded = pc.dictionary_encode(whole, null_encoding="encode")
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)


def _priced(
    answers: _Answers,
    seen: Seen,
    known: items.Items,
    item: Int64s,
    spans: Int64s,
    counted: Int64s,
) -> Int64s:
    """Price the open rows as int64[n, 2], charge and eligible part; settle those without price."""
    open_ = answers.open()
    small = open_ & (counted[:, 1] - counted[:, 0] <= known.longest_s.take(item))
    large = np.flatnonzero(open_ & ~small)
    amounts = seen.price(small, item, counted, known)
    for code in np.unique(amounts[amounts[:, 0] < 0, 0]).tolist():
        step = known.steps[-1 - code]
        status, reason = (UNRATED, step.problem) if step.problem else (FREE, step.free)
        answers.settle(amounts[:, 0] == code, status, reason)
        amounts[amounts[:, 0] == code, 0] = 0
    for i in large.tolist():
        begin_s, end_s, unbilled_s, *window, _ = spans[i].tolist()
        found, billed_s = known.bases[item[i]], end_s - begin_s - unbilled_s
        *pair, status, why = definition.price(
            found, begin_s, end_s, billed_s, (window[0], window[1])
        )
        if status == CHARGED and pair[0] > LARGEST:
            status, why = UNRATED, definition.TOO_LARGE
        if status != CHARGED:
            answers.replace(i, status, why)
        else:
            amounts[i] = pair
    return amounts


def _result(answers: _Answers, seen: Seen, item: Int64s, figures: Int64s) -> pa.Table:
    """Put the columns together; `figures` are int64[3, n]."""
    listed = list(answers.listed)
    row, whole = answers.row, np.zeros(len(item), np.int32)
    columns = {
        "status": usage.words([status for status, _ in listed], row),
        "reason": usage.words([reason for _, reason in listed], row),
        "chip": usage.words(seen.chips, item),
        "provider": usage.words([found.provider for found in seen.bases], item),
        "tariff": usage.of_words(whole, [seen.tariff.version]),
        "gflops_s": pa.array(figures[0]),
        "charge_micro": pa.array(figures[1]),
        "eligible_micro": pa.array(figures[2]),
    }
    schema = pa.schema([usage.RATED.field(name) for name in COLUMNS])
    return pa.table([columns[name] for name in COLUMNS], schema=schema)
