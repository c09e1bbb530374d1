"""svoucher report programme: what was issued, settled and paid, for the administrator."""

from pathlib import Path

import click

from accounting.forms import programme
from accounting.forms.paper import Table, shown
from slurm_voucher.cli.exporting import export_paper
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import PATH, YEAR, Site, pass_site


@click.command("programme")
@click.option("--year", type=YEAR, help="Which one.  [default: this one]")
@click.option("--to", type=PATH, help="Write it as a paper: a name in .pdf, .xlsx or .csv.")
@click.option("--force", is_flag=True, help="Also over a file that is there.")
@output_options
@pass_site
def programme_report(
    site: Site, year: int | None, to: Path | None, force: bool, show: Show
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
        show(_rows(programme.limits(conn, year, site.policy)))


def _rows(table: Table) -> list[dict[str, str]]:
    """Return a table's rows by the words that a terminal has for its columns."""
    names = ("categories", "limit", "issued", "left", "used")
    return [
        {n: shown(v, c.kind) for n, v, c in zip(names, row, table.columns, strict=True)}
        for row in table.rows
    ]


COMMANDS = (programme_report,)
