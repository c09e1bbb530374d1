"""svoucher balance: where voucher accounts stand, for the operator and for whoever asks."""

import click
from sqlalchemy import select

from accounting.book import schema
from accounting.errors import InvalidInput
from slurm_voucher import answers, userport
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import Site, pass_site


@click.command("balance")
@click.argument("account", required=False)
@output_options
@pass_site
def balance_(site: Site, account: str | None, show: Show) -> None:
    """Show what is settled, accrued, held and free on voucher accounts, in yuan.

    voucher = deducted + accrued half + held half + free, and the same for cash. Without a book
    here the site's voucherd is asked (--at), for the accounts of one's own unit.

    \b
    Example: svoucher balance CD26-0001
    """
    if site.at is not None:
        rows = userport.ask(*site.at, {"ask": "balance"}, site.munge_socket)
        rows = [row for row in rows if account in (None, row["account"])]
    else:
        with site.read() as conn:
            query = select(schema.contract).order_by(schema.contract.c.seq)
            found = conn.execute(query.filter_by(account=account) if account else query).all()
            rows = [answers.balance(conn, site.policy, row) for row in found]
    if not rows:
        raise InvalidInput(f"account {account or ''}: not in the book; see svoucher contract list")
    show(rows)
