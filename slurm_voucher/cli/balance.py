"""svoucher balance: where voucher accounts stand, answered from the book alone."""

from typing import Any

import click
from sqlalchemy import select

from accounting.book import ledger, schema
from accounting.errors import InvalidInput
from accounting.money import MICRO_PER_FEN, yuan, yuan_micro
from accounting.period import day_of
from accounting.vouchers import holds
from accounting.vouchers.holds import Position
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import Site, pass_site


@click.command("balance")
@click.argument("account", required=False)
@output_options
@pass_site
def balance_(site: Site, account: str | None, show: Show) -> None:
    """Show what is settled, accrued, held and free on voucher accounts, in yuan.

    voucher = deducted + accrued half + held half + free, and the same for cash.

    \b
    Example: svoucher balance CD26-0001
    """
    with site.read() as conn:
        query = select(schema.contract).order_by(schema.contract.c.seq)
        rows = conn.execute(query.filter_by(account=account) if account else query).all()
        if not rows:
            raise InvalidInput(
                f"account {account or ''}: not in the book; see svoucher contract list"
            )
        show([_balance(site, conn, row) for row in rows])


def _balance(site: Site, conn: Any, contract: Any) -> dict[str, str | None]:
    where: Position = holds.position(conn, contract.account, site.policy)
    issued = deducted = 0
    for voucher in holds.vouchers(conn, contract.account):
        issued += voucher.amount_fen
        deducted += ledger.balance(conn, "voucher.deducted", voucher.id) // MICRO_PER_FEN
    window = holds.validity(conn, contract.account)
    last_day = day_of(window[1] - 1, site.policy.timezone).isoformat() if window else None
    return {
        "account": contract.account,
        "unit": contract.unit,
        "voucher": yuan(issued),
        "deducted": yuan(deducted),
        "accrued": yuan_micro(where.accrued_micro),
        "held": yuan_micro(where.held_micro),
        "free": yuan(where.free_fen),
        "cash": yuan(where.cash_fen),
        "cash_free": yuan(where.free_cash_fen),
        "owed": yuan(where.owed_fen),
        "credit": yuan(where.credit_fen),
        "available": yuan(where.available_fen),
        "last_day": last_day,
    }
