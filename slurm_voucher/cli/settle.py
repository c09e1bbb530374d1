"""svoucher close: the month's end, from the archive."""

import click
from sqlalchemy import select

from accounting import period
from accounting.book import schema
from accounting.errors import TariffMissing, VoucherError
from accounting.rates import pricelists
from accounting.rates.tariff import Tariff
from accounting.settle import closable, settlement
from accounting.settle.settlement import Scope
from accounting.vouchers import holds
from accounting.vouchers.registry import find
from slurm_voucher.cli.output import plain, say
from slurm_voucher.cli.site import MONTH, TEXT, Site, pass_site
from slurm_voucher.cli.statements import print_statement
from slurm_voucher.sources import running
from slurm_voucher.sources.running import Running

NAMED_MAX = 20
"""How many jobs that went on over the end are named."""


@click.command("close")
@click.argument("month", type=MONTH)
@click.option(
    "--provider", type=TEXT, help="Only this provider's statements.  [default: every provider's]"
)
@click.option("--account", type=TEXT, help="Only this voucher account's statement.")
@pass_site
def close_(site: Site, month: str, provider: str | None, account: str | None) -> None:
    """Close a month: one statement for each account with charges. Twice is once.

    Jobs that went on over its end are named, as sacct tells them: they are charged in the month in
    which they end.

    \b
    Example: svoucher close 2026-11
    """
    if provider and account:
        raise click.UsageError(
            "give --provider or --account, not both: an account has one provider"
        )
    asked: dict[str, list[Running]] = {}
    for scope in _scopes(site, provider, account):
        made = settlement.close(
            site.engine, site.config.archive, month, scope, site.policy, site.stamp()
        )
        for statement in made:
            print_statement(site, statement)
        whose = scope.account or scope.provider
        click.echo(f"{month} is closed for {whose}: {len(made)} statements")
        _tell_what_went_on(site, month, scope, asked)


def _scopes(site: Site, provider: str | None, account: str | None) -> list[Scope]:
    """Return for whom a month is closed: an account, a provider, or one provider after another."""
    with site.read() as conn:
        if account:
            return [Scope(find(conn, "contract", account=account).provider, account)]
        query = select(schema.provider.c.id).order_by(schema.provider.c.seq)
        every = [provider] if provider else conn.execute(query).scalars().all()
    return [Scope(one) for one in every]


def _tell_what_went_on(
    site: Site, month: str, scope: Scope, asked: dict[str, list[Running]]
) -> None:
    """Name the jobs that went on over a month's end; where sacct does not tell, say so once.

    Args:
        site: Where.
        month: Which one.
        scope: Whose jobs: a provider's, or those that hold on an account.
        asked: What sacct said before, by cluster.
    """
    zone = site.policy.timezone
    at_s = min(period.bounds(month, zone)[1], site.now_s)
    with site.read() as conn:
        prices = pricelists.in_force(conn) or pricelists.nothing(zone)
        clusters = closable.clusters(conn, prices, scope.provider)
        held = {(row.cluster, row.job_id): row.account for row in conn.execute(holds.LIVE)}
    for cluster in clusters:
        if cluster not in asked:
            asked[cluster] = _ask(site, cluster, at_s)
        own = [
            (job, account)
            for job in asked[cluster]
            if scope.account in (None, account := held.get((cluster, job.number)))
            and _provides(prices, cluster, job.partition, scope.provider)
        ]
        if own:
            click.echo(f"{len(own)} jobs of {cluster} went on over its end; charged when they end:")
        for job, account in own[:NAMED_MAX]:
            named = f", {account}" if account else ""
            since = period.clock(job.start_s, zone)
            say(f"  job {job.job} in {job.partition} since {since}, {job.user}{named}")
        if len(own) > NAMED_MAX:
            click.echo(f"  and {len(own) - NAMED_MAX} more")


def _ask(site: Site, cluster: str, at_s: int) -> list[Running]:
    """Ask sacct what went on over an instant. The month is closed whatever it says."""
    try:
        return running.over(at_s, cluster, site.config.ssh.get(cluster))
    except VoucherError as error:
        said = plain(str(error))
        click.echo(f"svoucher: what of {cluster} went on over its end: {said}", err=True)
        return []


def _provides(prices: Tariff, cluster: str, partition: str, provider: str) -> bool:
    """Tell whether a partition may be a provider's; one without a price may be anybody's."""
    try:
        return prices.provider(cluster, partition) == provider
    except TariffMissing:
        return True
