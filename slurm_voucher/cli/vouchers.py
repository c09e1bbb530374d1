"""svoucher apply, review, voucher: from application to issue."""

from pathlib import Path

import click
from sqlalchemy import select

from accounting import period
from accounting.book import ledger, schema
from accounting.money import MICRO_PER_FEN, yuan
from accounting.vouchers import issuing, papers
from accounting.vouchers.registry import find
from slurm_voucher.cli.acts import PATH, write_draft
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import Site, pass_site


@click.command("apply")
@click.argument("contract")
@click.option("--category", default="general", show_default=True)
@click.option(
    "--channel", default="online", show_default=True, type=click.Choice(["online", "offline"])
)
@click.option(
    "--paper",
    "files",
    required=True,
    multiple=True,
    type=PATH,
    help="The signed contract, as a file; further ones are annexes to it.",
)
@pass_site
def apply_(site: Site, contract: str, category: str, channel: str, files: tuple[Path, ...]) -> None:
    """Apply for a voucher (申领): contract and paper go to the regulator.

    \b
    Example: svoucher apply HT-2026-118 --paper HT-2026-118.pdf
    """
    kept = [
        papers.store(site.config.papers, file, papers.KINDS[i > 0]) for i, file in enumerate(files)
    ]
    with site.begin() as conn:
        unit = find(conn, "contract", id=contract).unit
        application = issuing.apply(
            conn,
            contract,
            category=category,
            channel=channel,
            paper_sha256=kept[0].sha256,
            kept=kept,
            policy=site.policy,
            stamp=site.stamp("unit", unit),
        )
    click.echo(
        f"application {application}: {category}, paper {kept[0].sha256[:16]}; next: svoucher review"
    )


@click.command("review")
@click.argument("application")
@click.option("--confirm/--refuse", "confirm", required=True, help="What the regulator decides.")
@click.option("--reason", default="", help="Why; needed to refuse.")
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def review_(site: Site, application: str, confirm: bool, reason: str, out: Path) -> None:
    """Draft the regulator's review of an application, with what the rules give for it.

    \b
    Example: svoucher review A-CD26-0001 --confirm -o review.json
    """
    if not confirm and not reason:
        raise click.UsageError("--refuse needs --reason")
    verdict = "confirm" if confirm else "refuse"
    with site.read() as conn:
        act = issuing.draft_review(
            conn, application, verdict, reason, site.policy, site.effective_s, site.config.papers
        )
    write_draft(act, out)


@click.group("voucher")
def voucher_() -> None:
    """Vouchers that were issued (发放)."""


@voucher_.command("list")
@output_options
@pass_site
def list_vouchers(site: Site, show: Show) -> None:
    """List vouchers with what is left on them.

    \b
    Example: svoucher voucher list
    """
    timezone = site.policy.timezone
    with site.read() as conn:
        show(
            [
                {
                    "voucher": row.id,
                    "account": row.account,
                    "category": row.category,
                    "issued_on": row.issued_on,
                    "amount": yuan(row.amount_fen),
                    "left": yuan(ledger.balance(conn, "voucher.left", row.id) // MICRO_PER_FEN),
                    "last_day": period.day_of(row.until_s - 1, timezone).isoformat(),
                    "trimmed": "yes" if row.trimmed else "no",
                }
                for row in conn.execute(select(schema.voucher).order_by(schema.voucher.c.seq))
            ]
        )
