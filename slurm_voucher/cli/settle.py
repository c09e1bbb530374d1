"""svoucher close: the month's end, from the archive."""

import click
from sqlalchemy import select

from accounting.book import schema
from accounting.settle import settlement
from accounting.settle.settlement import Scope
from accounting.vouchers.registry import find
from slurm_voucher.cli.site import MONTH, Site, pass_site
from slurm_voucher.cli.statements import print_statement


@click.command("close")
@click.argument("month", type=MONTH)
@click.option("--provider", help="Only this provider's statements.  [default: every provider's]")
@click.option("--account", help="Only this voucher account's statement.")
@pass_site
def close_(site: Site, month: str, provider: str | None, account: str | None) -> None:
    """Close a month: one statement for each account with charges. Twice is once.

    \b
    Example: svoucher close 2026-11
    """
    if provider and account:
        raise click.UsageError(
            "give --provider or --account, not both: an account has one provider"
        )
    for scope in _scopes(site, provider, account):
        made = settlement.close(
            site.engine, site.config.archive, month, scope, site.policy, site.stamp()
        )
        for statement in made:
            print_statement(site, statement)
        whose = scope.account or scope.provider
        click.echo(f"{month} is closed for {whose}: {len(made)} statements")


def _scopes(site: Site, provider: str | None, account: str | None) -> list[Scope]:
    """Return for whom a month is closed: an account, a provider, or one provider after another."""
    with site.read() as conn:
        if account:
            return [Scope(find(conn, "contract", account=account).provider, account)]
        query = select(schema.provider.c.id).order_by(schema.provider.c.seq)
        every = [provider] if provider else conn.execute(query).scalars().all()
    return [Scope(one) for one in every]
