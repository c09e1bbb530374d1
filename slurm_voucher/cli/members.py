"""svoucher members: who may spend voucher accounts, for the operator and for whoever asks."""

import pwd
from typing import Any

import click

from slurm_voucher.cli.balance import no_account
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import TEXT, Site, pass_site


@click.command("members")
@click.argument("account", required=False, type=TEXT)
@output_options
@pass_site
def members_(site: Site, account: str | None, show: Show) -> None:
    """List who may spend voucher accounts, now or from a later day on.

    Without a book here the site's voucherd is asked (--at), for the accounts of one's own unit.

    \b
    Example: svoucher members CD26-0001
    """
    if site.at is not None:
        rows = [row for row in site.ask("members") if account in (None, row["account"])]
        if not rows:
            raise no_account(site, account)
    else:
        rows = _here(site, account)
    show([_named(row) for row in rows])


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Put the login name that a uid has on this host beside it; None: it has none here."""
    try:
        name = pwd.getpwuid(row["uid"]).pw_name
    except (KeyError, OverflowError):
        name = None
    known = ("account", "unit", "cluster", "uid")
    return {**{key: row[key] for key in known}, "user": name, **row}


def _here(site: Site, account: str | None) -> list[dict[str, Any]]:
    """Return the rows from the book that is here: none of an account that has no members."""
    from slurm_voucher import answers  # loads the database

    with site.read() as conn:
        found = answers.contracts(conn, account)
        if not found:
            raise no_account(site, account)
        return answers.members(conn, site.policy, found, site.effective_s)
