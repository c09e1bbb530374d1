"""svoucher close: the month's end, from the archive."""

import click
from sqlalchemy import select

from accounting.book import schema
from accounting.settle import settlement
from slurm_voucher.cli.site import MONTH, Site, pass_site
from slurm_voucher.cli.statements import print_statement


@click.command("close")
@click.argument("month", type=MONTH)
@click.option("--provider", help="Only this provider's statements.  [default: every provider's]")
@pass_site
def close_(site: Site, month: str, provider: str | None) -> None:
    """Close a month: one statement for each account with charges. Twice is once.

    \b
    Example: svoucher close 2026-11
    """
    with site.read() as conn:
        query = select(schema.provider.c.id).order_by(schema.provider.c.seq)
        every = conn.execute(query).scalars().all()
    for one in [provider] if provider else every:
        made = settlement.close(
            site.engine, site.config.archive, month, one, site.policy, site.stamp()
        )
        for statement in made:
            print_statement(site, statement)
        click.echo(f"{month} is closed for {one}: {len(made)} statements")
