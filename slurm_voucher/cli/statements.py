"""svoucher statement, invoice: the papers of a month that is closed."""

import json
from pathlib import Path

import click

from accounting.book import ledger
from accounting.forms import statement as form
from accounting.money import MICRO_PER_FEN, yuan, yuan_micro
from accounting.settle import invoicing, statements
from accounting.vouchers import debts
from accounting.vouchers.registry import find
from slurm_voucher.cli.exporting import export_paper, paper_options
from slurm_voucher.cli.output import Show, output_options, say
from slurm_voucher.cli.site import TEXT, Site, pass_site


@click.group("statement")
def statement_() -> None:
    """Statements (结算单)."""


@statement_.command("list")
@output_options
@pass_site
def list_statements(site: Site, show: Show) -> None:
    """List statements.

    \b
    Example: svoucher statement list
    """
    with site.read() as conn:
        rows = statements.listed(conn)
    show(
        [
            {
                "statement": row["id"],
                "unit": row["unit"],
                "provider": row["provider"],
                "month": row["month"],
                "fee": yuan(row["fee_fen"]),
                "deduction": yuan(row["deduction_fen"]),
                "cash": yuan(row["cash_fen"]),
                "receivable": yuan(row["receivable_fen"]),
            }
            for row in rows
        ]
    )


@statement_.command("show")
@click.argument("statement", type=TEXT)
@pass_site
def show_statement(site: Site, statement: str) -> None:
    """Print a statement.

    \b
    Example: svoucher statement show S-CD26-0001-2026-11
    """
    print_statement(site, statement)


@statement_.command("export")
@click.argument("statement", type=TEXT)
@paper_options
@pass_site
def export(site: Site, statement: str, to: Path, force: bool) -> None:
    """Write a statement as a paper to stamp: pages, a spreadsheet or comma-separated values.

    \b
    Example: svoucher statement export S-CD26-0001-2026-11 --to S-CD26-0001-2026-11.pdf
    """
    export_paper(site, lambda conn: form.paper(conn, statement, site.policy), to, force)


def print_statement(site: Site, statement_id: str) -> None:
    """Print a statement as its paper."""
    with site.read() as conn:
        find(conn, "statement", id=statement_id)
        [row] = statements.listed(conn, id=statement_id)
        lines = statements.lines(conn, statement_id)
        head = ledger.hash_of(conn, row["seq"])
        lowered = debts.lowered_by(conn, row["seq"])
    site.paper(
        f"结算单 statement {row['id']}: {row['unit']} with {row['provider']}, {row['month']}"
    )
    for line in lines:
        priced = f" {line['chip']}" if line["chip"] else ""
        say(
            f"  {line['usage_month']} {line['cluster']}/{line['partition']}{priced} "
            f"{line['qos']} {line['tariff']}: {line['runs']} runs, fee {yuan(line['fee_fen'])} = "
            f"voucher {yuan(line['deduction_fen'])} + cash {yuan(line['cash_fen'])}"
        )
    click.echo(
        f"  fee 结算费用 {yuan(row['fee_fen'])}, deduction 抵扣 {yuan(row['deduction_fen'])}, "
        f"cash part {yuan(row['cash_fen'])}, of which owed {yuan(row['receivable_fen'])}"
    )
    for debt, fen in lowered.items():
        say(f"  debt {debt}: {yuan(fen)} less is owed to the treasury, the provider gives it back")
    below = row["charge_micro"] - row["fee_fen"] * MICRO_PER_FEN
    click.echo(f"  below the fen {yuan_micro(below)}; entry {row['seq']}, hash {head[:32]}")


@click.group("invoice")
def invoice_() -> None:
    """Invoices (发票): request and record."""


@invoice_.command("request")
@click.argument("statement", type=TEXT)
@pass_site
def request(site: Site, statement: str) -> None:
    """Print an invoice request (开票申请) over a statement's cash part, or its fee if that is so.

    \b
    Example: svoucher invoice request S-CD26-0001-2026-11
    """
    with site.read() as conn:
        wanted = invoicing.request(conn, statement, site.policy)
    site.paper(f"开票申请 invoice request for {statement}")
    click.echo(json.dumps(wanted, ensure_ascii=False, indent=1))


@invoice_.command("record")
@click.argument("statement", type=TEXT)
@click.argument("number", type=TEXT)
@pass_site
def record(site: Site, statement: str, number: str) -> None:
    """Record the number of the invoice that was made over a statement's cash part.

    \b
    Example: svoucher invoice record S-CD26-0001-2026-11 24512000000012345678
    """
    with site.begin() as conn:
        amounts = invoicing.record(conn, statement, number, site.policy, site.stamp())
    click.echo(
        f"invoice {number} for {statement}: {yuan(amounts['gross_fen'])} = net "
        f"{yuan(amounts['net_fen'])} + tax {yuan(amounts['tax_fen'])}"
    )


@invoice_.command("red")
@click.argument("statement", type=TEXT)
@click.argument("number", type=TEXT)
@click.option("--invoice", type=TEXT, help="Which invoice it takes back of, if of several.")
@pass_site
def record_red(site: Site, statement: str, number: str, invoice: str | None) -> None:
    """Record the number of the red-letter invoice (红字) over what a statement gives back.

    \b
    Example: svoucher invoice red S-CD26-0001-2026-12 24512000000012345699
    """
    with site.begin() as conn:
        amounts = invoicing.record_red(conn, statement, number, invoice, site.policy, site.stamp())
    click.echo(
        f"red-letter invoice {number} for {statement}: {yuan(amounts['gross_fen'])} = net "
        f"{yuan(amounts['net_fen'])} + tax {yuan(amounts['tax_fen'])}"
    )
