"""svoucher close, statement, invoice: the month's end."""

import json

import click
from sqlalchemy import select

from accounting.book import ledger, schema
from accounting.money import MICRO_PER_FEN, yuan, yuan_micro
from accounting.settle import invoicing, settlement
from accounting.vouchers.registry import find
from slurm_voucher.cli.output import Show, output_options, say
from slurm_voucher.cli.site import MONTH, TEXT, Site, pass_site


@click.command("close")
@click.argument("month", type=MONTH)
@click.option("--provider", help="Only this provider's statements.  [default: every provider's]")
@pass_site
def close_(site: Site, month: str, provider: str | None) -> None:
    """Close a month: one statement for each account with charges. Twice is once.

    \b
    Example: svoucher close 2026-11
    """
    with site.read() as conn:
        query = select(schema.provider.c.id).order_by(schema.provider.c.seq)
        every = conn.execute(query).scalars().all()
    for one in [provider] if provider else every:
        made = settlement.close(
            site.engine, site.config.archive, month, one, site.policy, site.stamp()
        )
        for statement in made:
            _print_statement(site, statement)
        click.echo(f"{month} is closed for {one}: {len(made)} statements")


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
        rows = settlement.statements(conn)
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
@click.argument("statement")
@pass_site
def show_statement(site: Site, statement: str) -> None:
    """Print a statement.

    \b
    Example: svoucher statement show S-CD26-0001-2026-11
    """
    _print_statement(site, statement)


def _print_statement(site: Site, statement_id: str) -> None:
    with site.read() as conn:
        find(conn, "statement", id=statement_id)
        [row] = settlement.statements(conn, id=statement_id)
        lines = settlement.lines_of(conn, statement_id)
        head = ledger.hash_of(conn, row["seq"])
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
    below = row["charge_micro"] - row["fee_fen"] * MICRO_PER_FEN
    click.echo(f"  below the fen {yuan_micro(below)}; entry {row['seq']}, hash {head[:32]}")


@click.group("invoice")
def invoice_() -> None:
    """Invoices (发票): request and record."""


@invoice_.command("request")
@click.argument("statement")
@pass_site
def request(site: Site, statement: str) -> None:
    """Print an invoice request (开票申请) over a statement's cash part.

    \b
    Example: svoucher invoice request S-CD26-0001-2026-11
    """
    with site.read() as conn:
        wanted = invoicing.request(conn, statement, site.policy)
    site.paper(f"开票申请 invoice request for {statement}")
    click.echo(json.dumps(wanted, ensure_ascii=False, indent=1))


@invoice_.command("record")
@click.argument("statement")
@click.argument("number", type=TEXT)
@pass_site
def record(site: Site, statement: str, number: str) -> None:
    """Record the number of the invoice that was made over a statement's cash part.

    \b
    Example: svoucher invoice record S-CD26-0001-2026-11 24512000000012345678
    """
    with site.begin() as conn:
        amounts = settlement.record_invoice(conn, statement, number, site.policy, site.stamp())
    click.echo(
        f"invoice {number} for {statement}: {yuan(amounts['gross_fen'])} = net "
        f"{yuan(amounts['net_fen'])} + tax {yuan(amounts['tax_fen'])}"
    )
