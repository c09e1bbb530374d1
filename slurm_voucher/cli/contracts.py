"""svoucher contract: each opens a voucher account."""

from datetime import date
from pathlib import Path

import click
from sqlalchemy.engine import Connection

from accounting.money import yuan
from accounting.vouchers import amending, credit, ending, papers, registry, unitfacts
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import AMOUNT, DAY, PART, PATH, TEXT, Site, pass_site


@click.group("contract")
def contract_() -> None:
    """Contracts; each opens a voucher account."""


@contract_.command("sign")
@click.argument("contract", type=TEXT)
@click.option("--unit", required=True, type=TEXT)
@click.option("--provider", required=True, type=TEXT)
@click.option("--fee", required=True, type=AMOUNT, help="Contract fee, yuan.")
@click.option("--signed-on", required=True, type=DAY)
@click.option("--until", required=True, type=DAY, help="Last day of the contract.")
@click.option(
    "--part",
    "parts",
    type=PART,
    multiple=True,
    metavar="KIND=YUAN",
    help="What of the fee is no computing, such as storage=20,000.",
)
@pass_site
def sign_contract(
    site: Site,
    contract: str,
    unit: str,
    provider: str,
    fee: int,
    signed_on: date,
    until: date,
    parts: tuple[tuple[str, int], ...],
) -> None:
    """Enter a contract by its own number and open its voucher account.

    \b
    Example: svoucher contract sign HT-2026-118 --unit shuzhi --provider cdaicc \\
      --fee 200,000 --signed-on 2026-11-01 --until 2027-10-31
    """
    unitfacts.check_parts(site.policy, contract, dict(parts), fee)
    with site.begin() as conn:
        account = registry.sign_contract(
            conn,
            contract,
            unit=unit,
            provider=provider,
            signed_on=signed_on,
            last_day=until,
            fee_fen=fee,
            policy=site.policy,
            stamp=site.stamp(),
            parts_fen=dict(parts),
        )
    click.echo(f"contract {contract}: {yuan(fee)} yuan with {provider}, voucher account {account}")


@contract_.command("credit")
@click.argument("account", type=TEXT)
@click.argument("amount", type=AMOUNT)
@pass_site
def set_credit(site: Site, account: str, amount: int) -> None:
    """Set how much a unit may come to owe on a voucher account, where the rules are postpaid.

    \b
    Example: svoucher contract credit CD26-0001 50,000
    """
    with site.begin() as conn:
        credit.set_limit(conn, account, amount, site.policy, site.stamp())
    click.echo(f"account {account}: {yuan(amount)} yuan may be owed")


@contract_.command("amend")
@click.argument("contract", type=TEXT)
@click.option("--fee", required=True, type=AMOUNT, help="All of its fee from now on, yuan.")
@click.option("--on", "day", required=True, type=DAY, help="When it was agreed.")
@click.option("--until", type=DAY, help="Its last day from now on.  [default: as it was]")
@click.option("--paper", required=True, type=PATH, help="The signed amendment, as a file.")
@pass_site
def amend_contract(
    site: Site, contract: str, fee: int, day: date, until: date | None, paper: Path
) -> None:
    """Amend a contract: what is more is applied for, what is less comes off its vouchers.

    \b
    Example: svoucher contract amend HT-2026-118 --fee 260,000 --on 2026-12-01 --paper more.pdf
    """
    kept = papers.describe(paper, "annex")
    with site.begin() as conn:
        done = amending.amend(
            conn,
            contract,
            fee_fen=fee,
            effective_on=day,
            last_day=until,
            paper_sha256=kept.sha256,
            policy=site.policy,
            stamp=site.stamp(),
        )
        papers.keep(site.config.papers, paper, kept)
    click.echo(
        f"contract {contract}: {yuan(fee)} yuan, {yuan(done.cancelled_fen)} cancelled, "
        f"{yuan(done.owed_fen)} owed to the treasury; what is more, svoucher apply {contract}"
    )
    for voucher in done.issued:
        click.echo(f"voucher {voucher}: issued to who waited")


@contract_.command("end")
@click.argument("contract", type=TEXT)
@click.option("--on", "last_day", required=True, type=DAY, help="Its last day now.")
@click.option("--paper", required=True, type=PATH, help="What ends it, as a file.")
@pass_site
def end_contract(site: Site, contract: str, last_day: date, paper: Path) -> None:
    """End a contract before its time: what nobody needs of its vouchers is cancelled.

    \b
    Example: svoucher contract end HT-2026-118 --on 2026-11-30 --paper end.pdf
    """
    kept = papers.describe(paper, "annex")
    with site.begin() as conn:
        cancelled_fen, issued = ending.end_contract(
            conn, contract, last_day, kept.sha256, site.policy, site.stamp()
        )
        papers.keep(site.config.papers, paper, kept)
    click.echo(f"contract {contract}: ends on {last_day}, {yuan(cancelled_fen)} yuan cancelled")
    for voucher in issued:
        click.echo(f"voucher {voucher}: issued to who waited")


@contract_.command("list")
@output_options
@pass_site
def list_contracts(site: Site, show: Show) -> None:
    """List contracts and their voucher accounts.

    \b
    Example: svoucher contract list
    """
    with site.read() as conn:
        rows = [dict(row) | _terms(conn, row["id"]) for row in registry.contracts(conn)]
    show(
        [
            {
                "account": row["account"],
                "contract": row["id"],
                "unit": row["unit"],
                "provider": row["provider"],
                "signed_on": row["signed_on"],
                "fee": yuan(row["fee_fen"]),
                "state": row["state"],
            }
            for row in rows
        ]
    )


def _terms(conn: Connection, contract: str) -> dict[str, object]:
    now = registry.terms(conn, contract)
    state = "ended" if now.ended else "amended" if now.changes else "as signed"
    return {"fee_fen": now.fee_fen, "state": state}
