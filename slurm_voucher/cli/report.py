"""svoucher report: what ran, when, and how much of the machines that is."""

import click
from sqlalchemy import select

from accounting import period
from accounting.book import schema
from accounting.errors import InvalidInput
from accounting.forms.paper import Kind, pflops_h, shown
from accounting.runs import places, reports
from accounting.runs.nodes import WHYS
from accounting.settle import hours, utilisation
from accounting.settle.summing import Asked
from accounting.settle.utilisation import Used
from accounting.vouchers import registry
from slurm_voucher.charts import reports as drawn
from slurm_voucher.cli import money_reports
from slurm_voucher.cli.charting import Drawing, chart_options, draw
from slurm_voucher.cli.money_reports import Days, days_option
from slurm_voucher.cli.output import Show, output_options, show_counted
from slurm_voucher.cli.site import CLUSTER, TEXT, Site, pass_site


@click.group("report")
def report_() -> None:
    """Reports."""


for command in money_reports.COMMANDS:
    report_.add_command(command)


@report_.command("usage")
@click.option("--cluster", required=True, type=TEXT)
@click.option(
    "--by", default="month", show_default=True, type=click.Choice([*period.KINDS, reports.TOTAL])
)
@click.option("--group", type=click.Choice(hours.GROUPS), help="What to add up by besides.")
@days_option
@click.option("--timezone", help="Zone of the periods.  [default: the policy's]")
@chart_options
@output_options
@pass_site
def usage_report(
    site: Site,
    cluster: str,
    by: str,
    group: str | None,
    days: Days,
    timezone: str | None,
    drawing: Drawing,
    show: Show,
) -> None:
    """Report what machines did, split over periods by time (charges go by month of end).

    \b
    Example: svoucher report usage --cluster pozidriv --by day --group partition --json
    """
    name = _zone(timezone or site.policy.timezone)
    with site.read() as conn:
        known = conn.execute(select(schema.segment.c.cluster).distinct()).scalars().all()
        if cluster not in known:
            raise InvalidInput(
                f"cluster {cluster}: 0 runs in the archive, 1 is needed; known: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        files, units = places.files(conn, cluster=cluster), registry.unit_by_account(conn)
    column = "account" if group == "unit" else group
    used = hours.usage(site.config.archive, files, Asked(by, name, column, days))
    if group == "unit":
        used = hours.by_unit(used, units)
    how = f"split by time ({name})"
    if days is not None:
        how = f"split by time ({name}), {days[0]} to {days[1]}"
    found = [
        {"period": of, **({group: word or None} if group else {}), **own.row()}
        for (of, word), own in used.items()
    ]
    if drawing.wanted:
        draw(site, drawing, f"Usage of {cluster}", how, drawn.usage(found, group))
    else:
        show_counted(show, how, found)


@report_.command("utilisation")
@click.option("--cluster", required=True, type=CLUSTER)
@click.option(
    "--by", default="month", show_default=True, type=click.Choice([*period.KINDS, reports.TOTAL])
)
@click.option("--partition", "per_partition", is_flag=True, help="A row for each partition.")
@click.option("--timezone", help="Zone of the periods.  [default: the policy's]")
@chart_options
@output_options
@pass_site
def utilisation_report(
    site: Site,
    cluster: str,
    by: str,
    per_partition: bool,
    timezone: str | None,
    drawing: Drawing,
    show: Show,
) -> None:
    """Report how much of a cluster's cards was used: of all, and of those in service.

    Out of service is what was down, drained, in maintenance or reserved. What there was is known
    from the first note of the nodes on (svoucher collect --nodes); a dash is what is not known.

    \b
    Example: svoucher report utilisation --cluster chengdu --by week --partition
    """
    name = _zone(timezone or site.policy.timezone)
    with site.read() as conn:
        found = utilisation.utilisation(conn, site.config.archive, cluster, by, name, per_partition)
    if not found:
        raise InvalidInput(
            f"cluster {cluster}: 0 runs and notes of nodes in the archive, 1 is needed; run "
            f"svoucher collect --cluster {cluster}"
        )
    how = f"split by time ({name}), runs that have ended, PFLOPS by the price list in force"
    if drawing.wanted:
        draw(site, drawing, f"Utilisation of {cluster}", how, drawn.utilisation(found, cluster))
    else:
        show_counted(show, how, [_utilised(used, name) for used in found])


def _utilised(used: Used, timezone: str) -> dict[str, str | None]:
    """Return a row: hours of nodes and cards, PFLOPS·hours, and both percentages."""
    had, there = used.allocated, used.available
    out: dict[str, str | None] = {
        why: None if there is None else reports.hours(there.out_card_s[why]) for why in WHYS
    }
    return {
        "period": used.period,
        "partition": used.partition,
        "until": None if used.until_s is None else period.clock(used.until_s, timezone),
        "node_hours": None if there is None else reports.hours(there.node_s),
        "card_hours": None if there is None else reports.hours(there.card_s),
        **out,
        "allocated_card_hours": reports.hours(had.card_s),
        "pflops_hours": None if there is None else _pflops_h(there.gflops_s),
        "in_service_pflops_hours": None if there is None else _pflops_h(there.in_service_gflops_s),
        "allocated_pflops_hours": _pflops_h(None if had.unmetered_card_s else had.gflops_s),
        "used": _percent(used.of_all_bp),
        "used_in_service": _percent(used.in_service_bp),
    }


def _pflops_h(gflops_s: int | None) -> str | None:
    if gflops_s is None:
        return None
    return shown(pflops_h(gflops_s), Kind.PFLOPS_H).replace(",", "")


def _percent(share_bp: int | None) -> str | None:
    return None if share_bp is None else shown(share_bp, Kind.PERCENT)


def _zone(name: str) -> str:
    try:
        period.zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timezone") from None
    return name
