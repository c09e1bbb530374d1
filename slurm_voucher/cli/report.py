"""svoucher report: what ran, when."""

import click
from sqlalchemy import select

from accounting import period
from accounting.book import schema
from accounting.errors import InvalidInput
from accounting.runs import reports
from accounting.settle import stored
from slurm_voucher.cli import money_reports
from slurm_voucher.cli.output import Show, output_options, show_counted
from slurm_voucher.cli.site import Site, pass_site


@click.group("report")
def report_() -> None:
    """Reports."""


for command in money_reports.COMMANDS:
    report_.add_command(command)


@report_.command("usage")
@click.option("--cluster", required=True)
@click.option(
    "--by", default="month", show_default=True, type=click.Choice([*period.KINDS, reports.TOTAL])
)
@click.option("--timezone", help="Zone of the periods.  [default: the policy's]")
@output_options
@pass_site
def usage_report(site: Site, cluster: str, by: str, timezone: str | None, show: Show) -> None:
    """Report what machines did, split over periods by time (charges go by month of end).

    \b
    Example: svoucher report usage --cluster pozidriv --by day --timezone UTC --json
    """
    name = timezone or site.policy.timezone
    try:
        period.zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timezone") from None
    with site.read() as conn:
        known = conn.execute(select(schema.segment.c.cluster).distinct()).scalars().all()
        if cluster not in known:
            raise InvalidInput(
                f"cluster {cluster}: 0 runs in the archive, 1 is needed; known: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        columns = [*stored.KEY, *reports.COLUMNS]
        rows = stored.current(conn, site.config.archive, cluster, columns=columns)
    show_counted(show, f"split by time ({name})", reports.usage_by(rows, by, name))
