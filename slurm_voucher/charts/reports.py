"""What the charts of each report show, from the figures of its table, in the reader's language."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from accounting import period
from accounting.forms.paper import Kind as Of
from accounting.forms.paper import Table, decimal, pflops_h
from slurm_voucher.charts.chart import SERIES_MAX, Chart, Kind, Series, series
from slurm_voucher.words import said, word

NOBODY = "-"
"""Stands for runs that have none of what is added up by."""


def charges(found: Iterable[tuple[tuple[str, str], Any]], group: str | None) -> Chart:
    """Show what was charged in each period, by group."""
    sums = {key: decimal(own.charge_micro, Of.MICRO) for key, own in found}
    at = _without_gaps(sorted({name for name, _ in sums}))
    groups = sorted({of for _, of in sums})
    values = {
        (of or NOBODY if group else word("series", "charge")): tuple(
            sums.get((name, of)) for name in at
        )
        for of in groups
    }
    title = f"Charges by end of the run, by {group}" if group else "Charges by end of the run"
    return Chart(said(title), _of("yuan"), Kind.BARS, at, series(values))


def _of(measure: str) -> str:
    return word("measure", measure)


def _without_gaps(names: list[str]) -> tuple[str, ...]:
    """Return periods from the first to the last, also those in which nothing was."""
    found = names[:1]
    while found and found[-1] != names[-1]:
        found.append(period.following(found[-1]))
    return tuple(found)


def usage(rows: Iterable[Mapping[str, Any]], group: str | None) -> list[Chart]:
    """Show hours of cores and cards in each period, by group; what there is none of is left out."""
    rows = list(rows)
    at = _without_gaps(sorted({row["period"] for row in rows}))
    found = []
    for column, what in (("cpu_hours", "Core-hours"), ("card_hours", "Card-hours")):
        had = {
            (row["period"], row[group] or NOBODY if group else word("what", what)): row[column]
            for row in rows
        }
        values = {
            name: tuple(Decimal(had.get((each, name), 0)) for each in at)
            for name in sorted({name for _, name in had})
        }
        if any(map(any, values.values())):
            title = said(f"{what}, split by time")
            found.append(Chart(title, _of("hours"), Kind.BARS, at, series(values)))
    return found


def utilisation(found: Iterable[Any], cluster: str) -> list[Chart]:
    """Show by partition what was allocated in each period, and what share of all that is.

    What is not known is left open: no bar, and no point.
    """
    found = list(found)
    at = tuple(dict.fromkeys(used.period for used in found))
    allocated: dict[str, dict[str, Decimal | None]] = {}
    shares: dict[str, dict[str, Decimal | None]] = {}
    for used in found:
        name, own = used.partition or word("series", "all"), used.allocated
        metered = None if own.unmetered_card_s else decimal(pflops_h(own.gflops_s), Of.PFLOPS_H)
        share = used.of_all_bp
        allocated.setdefault(name, {})[used.period] = metered
        shares.setdefault(name, {})[used.period] = (
            None if share is None else decimal(share, Of.PERCENT)
        )
    used_in = {name: tuple(map(own.get, at)) for name, own in allocated.items()}
    most = sorted(used_in, key=lambda name: -sum(v or 0 for v in used_in[name]))[:SERIES_MAX]
    lines = tuple(
        Series(name, tuple(map(shares[name].get, at))) for name in used_in if name in most
    )
    named, known = len(lines), len(shares)
    title = f"{cluster}: share of all cards' PFLOPS·hours"
    if named < known:
        title = f"{cluster}: share of all cards' PFLOPS·hours, the {named} largest of {known}"
    drawn = [Chart(said(title), _of("percent"), Kind.LINES, at, lines)]
    if any(value for own in used_in.values() for value in own):  # of cores alone there is none
        allocated_in = said(f"{cluster}: allocated in each period")
        drawn.insert(0, Chart(allocated_in, _of("PFLOPS·hours"), Kind.BARS, at, series(used_in)))
    return drawn


WAITED = (
    "up to 10 minutes",
    "up to an hour",
    "up to 8 hours",
    "up to a day",
    "longer than a day",
)
"""What each part of the runs waited (queueing.BOUNDS_S)."""


def waits(found: Mapping[str, Sequence[int]], cluster: str) -> list[Chart]:
    """Show how long the runs of each period waited for their start."""
    if not found:
        return []
    at = _without_gaps(list(found))
    values = zip(*(found.get(name, (0,) * len(WAITED)) for name in at), strict=True)
    parts = tuple(
        Series(said(name), tuple(map(Decimal, own)))
        for name, own in zip(WAITED, values, strict=True)
    )
    title = said(f"{cluster}: runs by their wait, also for dependencies and --begin")
    return [Chart(title, _of("runs"), Kind.BARS, at, parts)]


def burn_down(left: Mapping[str, Mapping[str, int]], group: str, today: str) -> Chart:
    """Show what was left on vouchers from day to day, in fen, by group, until today."""
    days = sorted({day for own in left.values() for day in own} | {today})
    at = tuple(day for day in days if day <= today)
    values = {}
    for name, own in left.items():
        now: Decimal | None = None
        stood = []
        for day in at:
            now = decimal(own[day], Of.YUAN) if day in own else now
            stood.append(now)
        values[name] = tuple(stood)
    title = said(f"Left on vouchers, by {group}")
    return Chart(title, _of("yuan"), Kind.STEPS, at, series(values))


def settled(months: Iterable[tuple[Any, ...]], year: int) -> Chart:
    """Show who bears what was settled in each month of a year: vouchers, and the units."""
    months = list(months)
    at = _without_gaps([month for month, *_ in months])
    found = {
        word("series", "vouchers"): {
            month: decimal(deducted, Of.YUAN) for month, _, _, deducted, _ in months
        },
        said("the units"): {month: decimal(cash, Of.YUAN) for month, *_, cash in months},
    }
    own = tuple(Series(name, tuple(map(by.get, at))) for name, by in found.items())
    title = said(f"Who bears what was settled in {year}")
    return Chart(title, _of("yuan"), Kind.BARS, at, own)


def limits(table: Table, waiting_fen: Sequence[int], year: int) -> Chart:
    """Show what of each limit of a year is issued, what is left of it, and above it what confirmed
    applications wait for that it has no room for."""
    at = tuple(str(row[0]) for row in table.rows)
    columns = {word("series", "issued"): 2, said("left of the limit"): 3}
    found = tuple(
        Series(name, tuple(decimal(int(row[i] or 0), Of.YUAN) for row in table.rows))
        for name, i in columns.items()
    )
    if any(waiting_fen):
        waits = tuple(decimal(fen, Of.YUAN) for fen in waiting_fen)
        found += (Series(said("confirmed, waits for money"), waits),)
    title = said(f"Issued against the limits of {year}")
    return Chart(title, _of("yuan"), Kind.BARS, at, found)
