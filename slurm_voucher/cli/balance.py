"""svoucher balance: where voucher accounts stand, for the operator and for whoever asks."""

from typing import Any

import click

from accounting.errors import InvalidInput
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import TEXT, Site, pass_site


@click.command("balance")
@click.argument("account", required=False, type=TEXT)
@output_options
@pass_site
def balance_(site: Site, account: str | None, show: Show) -> None:
    """Show what is settled, accrued, held and free on voucher accounts, in yuan.

    voucher = deducted + accrued half + held half + free, and the same for cash; settled is what
    statements came to, a_day what was charged on a day of the last 14, and days_left for how long
    what is available lasts at that pace. Without a book here the site's voucherd is asked (--at),
    for the accounts of one's own unit.

    \b
    Example: svoucher balance CD26-0001
    """
    if site.at is not None:
        rows = [row for row in site.ask("balance") if account in (None, row["account"])]
    else:
        rows = _here(site, account)
    if not rows:
        raise no_account(site, account)
    show(rows)


def no_account(site: Site, account: str | None) -> InvalidInput:
    """Return the error of an account that is not there, or not for who asks."""
    if site.at is not None:
        return InvalidInput(f"account {account or 'of yours'}: 0 are your unit's; ask your unit")
    if account is None:
        return InvalidInput("accounts: 0 in the book; open one with svoucher contract sign")
    return InvalidInput(f"account {account}: not in the book; see svoucher contract list")


def _here(site: Site, account: str | None) -> list[dict[str, Any]]:
    """Return the rows from the book that is here."""
    from slurm_voucher import answers  # loads the database

    with site.read() as conn:
        found = answers.contracts(conn, account)
        return [answers.balance(conn, site.policy, row, site.effective_s) for row in found]
