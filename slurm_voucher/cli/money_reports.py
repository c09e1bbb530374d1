"""svoucher report charges, vouchers, units, programme: reports about money.

Those that read runs count them by the period in which they ended, and say so.
"""

from datetime import date
from pathlib import Path

import click
from sqlalchemy import select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.forms import programme, standing
from accounting.forms.paper import Kind, Table, pflops_h, shown
from accounting.money import MICRO_PER_FEN, yuan, yuan_micro
from accounting.runs import reports
from accounting.settle import charges, queueing, utilisation
from accounting.settle.summing import Asked
from slurm_voucher.charts import reports as drawn
from slurm_voucher.charts.chart import Chart
from slurm_voucher.cli.charting import Drawing, chart_options, draw
from slurm_voucher.cli.exporting import export_paper
from slurm_voucher.cli.output import Show, output_options, show_counted
from slurm_voucher.cli.site import DAYS, PATH, YEAR, Site, pass_site

Days = tuple[date, date] | None
days_option = click.option(
    "--days", type=DAYS, metavar="DAY..DAY", help="Only these days.  [default: all that there are]"
)
OF_VOUCHERS = "by day of issue, as of now"


@click.command("programme")
@click.option("--year", type=YEAR, help="Which one.  [default: this one]")
@click.option("--to", type=PATH, help="Write it as a paper: a name in .pdf, .xlsx or .csv.")
@click.option("--force", is_flag=True, help="Also over a file that is there.")
@chart_options
@output_options
@pass_site
def programme_report(
    site: Site, year: int | None, to: Path | None, force: bool, drawing: Drawing, show: Show
) -> None:
    """Report what of a year's limits is issued, and with --to also what was settled and paid.

    \b
    Example: svoucher report programme --year 2026 --to programme-2026.pdf
    """
    year = year or site.today.year
    if to is not None:
        export_paper(
            site, lambda conn: programme.paper(conn, year, site.policy, site.effective_s), to, force
        )
        return
    with site.read() as conn:
        limits = programme.limits(conn, year, site.policy)
        charts = _of_programme(site, conn, year, limits) if drawing.wanted else []
    if drawing.wanted:
        how = f"{OF_VOUCHERS}; machines split by time ({site.policy.timezone})"
        draw(site, drawing, f"Programme of {year}", how, charts)
    else:
        show_counted(show, OF_VOUCHERS, _rows(limits))


def _of_programme(site: Site, conn: Connection, year: int, limits: Table) -> list[Chart]:
    """Return what shows the city's pains: who can afford it (算不起), what stood idle (算闲置), and
    what was asked for that was not there (算不上)."""
    left = standing.left_by_day(conn, "unit", site.policy)
    charts = [
        drawn.limits(limits, programme.waiting_fen(conn, year, site.policy), year),
        drawn.settled(programme.months(conn, year), year),
        drawn.burn_down(left, "unit", site.today.isoformat()),
    ]
    clusters = conn.execute(select(schema.segment.c.cluster).distinct().order_by("cluster"))
    for cluster in clusters.scalars().all():
        zone = site.policy.timezone
        used = utilisation.utilisation(conn, site.config.archive, cluster, "month", zone, True)
        own = [each for each in used if each.period.startswith(f"{year}-")]
        charts += drawn.utilisation(own, cluster)
        waits = queueing.waits(conn, site.config.archive, cluster, "month", zone)
        of_year = {name: counts for name, counts in waits.items() if name.startswith(f"{year}-")}
        charts += drawn.waits(of_year, cluster)
    return charts


def _rows(table: Table) -> list[dict[str, str]]:
    """Return a table's rows by the words that a terminal has for its columns."""
    names = ("categories", "limit", "issued", "left", "used")
    return [
        {n: shown(v, c.kind) for n, v, c in zip(names, row, table.columns, strict=True)}
        for row in table.rows
    ]


@click.command("charges")
@click.option(
    "--by", default="month", show_default=True, type=click.Choice([*period.KINDS, reports.TOTAL])
)
@click.option("--group", type=click.Choice(charges.GROUPS), help="What to add up by besides.")
@days_option
@chart_options
@output_options
@pass_site
def charges_report(
    site: Site, by: str, group: str | None, days: Days, drawing: Drawing, show: Show
) -> None:
    """Report what was charged, by the period in which runs ended, as statements do.

    \b
    Example: svoucher report charges --by month --group partition --json
    """
    asked = Asked(by, site.policy.timezone, group, days)
    with site.read() as conn:
        found = charges.charges(conn, site.config.archive, asked)
    how = f"by end of the run ({site.policy.timezone})"
    if days is not None:
        how = f"by end of the run ({site.policy.timezone}), {days[0]} to {days[1]}"
    if drawing.wanted:
        draw(site, drawing, "Charges", how, [drawn.charges(found, group)])
        return
    rows = [
        {"period": name}
        | ({group: of or None} if group else {})
        | {
            "runs": own.runs,
            "pflops_hours": shown(pflops_h(own.gflops_s), Kind.PFLOPS_H).replace(",", ""),
            "charge": yuan_micro(own.charge_micro),
        }
        for (name, of), own in found
    ]
    show_counted(show, how, rows)


@click.command("vouchers")
@click.option(
    "--group",
    default="voucher",
    show_default=True,
    type=click.Choice(standing.GROUPS),
    help="What to add up by; periods are those of the issue.",
)
@chart_options
@output_options
@pass_site
def vouchers_report(site: Site, group: str, drawing: Drawing, show: Show) -> None:
    """Report what was issued, and what became of it by now; drawn, what was left from day to day.

    \b
    Example: svoucher report vouchers --group unit --chart
    """
    if drawing.wanted:
        with site.read() as conn:
            left = standing.left_by_day(conn, group, site.policy)
        burn_down = drawn.burn_down(left, group, site.today.isoformat())
        draw(site, drawing, "Vouchers", OF_VOUCHERS, [burn_down] if left else [])
        return
    with site.read() as conn:
        found = standing.vouchers(conn, group)
        days = standing.last_days(conn, site.policy) if group == "voucher" else {}
    rows = [
        {group: name}
        | ({} if group == "voucher" else {"vouchers": own.vouchers})
        | _of_vouchers(own)
        | ({"last_day": days[name]} if days else {})
        for name, own in found.items()
    ]
    show_counted(show, OF_VOUCHERS, rows)


def _of_vouchers(own: standing.Standing) -> dict[str, str | None]:
    return {
        "issued": yuan(own.issued_fen),
        "deducted": yuan(own.deducted_fen),
        "expired": yuan(own.expired_fen),
        "cancelled": yuan(own.cancelled_fen),
        "left": yuan(own.left_fen),
        "used": None if own.used_bp is None else shown(own.used_bp, Kind.PERCENT),
    }


@click.command("units")
@output_options
@pass_site
def units_report(site: Site, show: Show) -> None:
    """Report for each unit its vouchers, what is accrued, its cash and what it owes.

    \b
    Example: svoucher report units
    """
    with site.read() as conn:
        found = standing.units(conn)
    rows = [
        {"unit": unit, "vouchers": own.vouchers}
        | _of_vouchers(own)
        | {
            "accrued": yuan_micro(account.accrued_micro),
            "cash": yuan(account.cash_micro // MICRO_PER_FEN),
            "owed": yuan(account.receivable_micro // MICRO_PER_FEN),
        }
        for unit, (own, account) in found.items()
    ]
    show_counted(show, "as of now", rows)


COMMANDS = (charges_report, vouchers_report, units_report, programme_report)
