"""svoucher upgrade: bring a book of an earlier release to this one's tables."""

import click

from accounting.book import ledger, schema, upgrading
from accounting.book.ledger import Actor, Stamp
from slurm_voucher.cli.site import Site, login, pass_site


@click.command("upgrade")
@pass_site
def upgrade_(site: Site) -> None:
    """Bring a book of an earlier release to this one's tables.

    All or nothing, and for good: stop voucherd and copy the book first.

    \b
    Example: svoucher upgrade
    """
    engine = ledger.connect(site.config.book, any_schema=True)
    stamp = Stamp(Actor(login(), "operator"), site.now_s, site.now_s)
    found = upgrading.upgrade(engine, stamp)
    now = "already" if found == schema.VERSION else f"before, now {schema.VERSION}"
    click.echo(f"book {engine.url.database}: schema {found} {now}; next: svoucher audit")
