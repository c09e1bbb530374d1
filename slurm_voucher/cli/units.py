"""svoucher unit: who applies, and what is so of them."""

from datetime import date
from pathlib import Path

import click
from sqlalchemy import select

from accounting import period
from accounting.book import schema
from accounting.forms import registers
from accounting.money import yuan
from accounting.policy import UNIT_KINDS
from accounting.vouchers import freezing, registry, unitfacts
from slurm_voucher.cli.acts import write_draft
from slurm_voucher.cli.exporting import export_paper, paper_options
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import AMOUNT, DAY, PATH, TEXT, YEAR, Site, pass_site


@click.group("unit")
def unit_() -> None:
    """Units (需求方): register and list."""


@unit_.command("register")
@click.argument("unit", type=TEXT)
@click.option("--name", required=True, type=TEXT, help="As on the licence.")
@click.option("--credit-code", required=True, help="统一社会信用代码, 18 characters.")
@click.option("--kind", default="enterprise", show_default=True, type=click.Choice(UNIT_KINDS))
@click.option("--revenue", type=AMOUNT, help="Main-business revenue of the prior year, yuan.")
@click.option("--revenue-year", type=YEAR, help="Which year that was.")
@pass_site
def register(
    site: Site,
    unit: str,
    name: str,
    credit_code: str,
    kind: str,
    revenue: int | None,
    revenue_year: int | None,
) -> None:
    """Register a unit (单位注册), once.

    \b
    Example: svoucher unit register shuzhi --name 成都数智科技有限公司 \\
      --credit-code 91510100MA6C4TX27W --revenue 25,000,000 --revenue-year 2025
    """
    if (revenue is None) != (revenue_year is None):
        raise click.UsageError("give --revenue and --revenue-year together, or neither")
    with site.begin() as conn:
        registry.register_unit(
            conn,
            unit,
            name=name,
            credit_code=credit_code,
            kind=kind,
            revenue_fen=revenue,
            revenue_year=revenue_year,
            stamp=site.stamp(),
        )
    click.echo(f"unit {unit}: {name} is registered")


@unit_.command("revenue")
@click.argument("unit", type=TEXT)
@click.argument("year", type=YEAR)
@click.argument("amount", type=AMOUNT)
@pass_site
def add_revenue(site: Site, unit: str, year: int, amount: int) -> None:
    """Register a unit's main-business revenue of a year.

    \b
    Example: svoucher unit revenue shuzhi 2026 31,000,000
    """
    with site.begin() as conn:
        registry.add_revenue(conn, unit, year, amount, site.stamp())
    click.echo(f"unit {unit}: revenue of {year} is {yuan(amount)} yuan")


@unit_.command("freeze")
@click.argument("unit", type=TEXT)
@click.option("--from", "from_day", required=True, type=DAY, help="First day.")
@click.option("--reason", required=True, type=TEXT, help="Why; it stands in the book.")
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def freeze(site: Site, unit: str, from_day: date, reason: str, out: Path) -> None:
    """Draft the regulator's freeze of a unit: no new holds and no deductions from a day on.

    \b
    Example: svoucher unit freeze shuzhi --from 2026-11-03 --reason blacklist -o freeze.json
    """
    with site.read() as conn:
        act = freezing.draft_freeze(conn, unit, from_day, reason)
    write_draft(act, out)


@unit_.command("unfreeze")
@click.argument("unit", type=TEXT)
@click.option("--until", required=True, type=DAY, help="Last day of the freeze.")
@click.option("--reason", required=True, type=TEXT, help="Why; it stands in the act.")
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def unfreeze(site: Site, unit: str, until: date, reason: str, out: Path) -> None:
    """Draft the end of a unit's freeze.

    \b
    Example: svoucher unit unfreeze shuzhi --until 2026-12-31 --reason "taken off" -o free.json
    """
    with site.read() as conn:
        act = freezing.draft_unfreeze(conn, unit, until, reason, site.policy)
    write_draft(act, out)


@unit_.command("freezes")
@click.argument("unit", type=TEXT)
@output_options
@pass_site
def list_freezes(site: Site, unit: str, show: Show) -> None:
    """List when and why a unit is or was frozen.

    \b
    Example: svoucher unit freezes shuzhi
    """
    with site.read() as conn:
        registry.find(conn, "unit", id=unit)
        rows = freezing.listed(conn, unit)
    show(
        [
            {
                "from": _day(site, row["from_s"]),
                "until": _day(site, row["until_s"] - 1),
                "reason": row["reason"],
            }
            for row in rows
        ]
    )


def _day(site: Site, at_s: int) -> str | None:
    """Print a day; none where no end is set."""
    open_end = at_s == freezing.ALWAYS_S - 1
    return None if open_end else period.day_of(at_s, site.policy.timezone).isoformat()


@unit_.command("list")
@output_options
@pass_site
def list_units(site: Site, show: Show) -> None:
    """List units.

    \b
    Example: svoucher unit list
    """
    with site.read() as conn:
        rows = conn.execute(select(schema.unit).order_by(schema.unit.c.seq)).all()
    show(
        [
            {"unit": row.id, "name": row.name, "kind": row.kind, "credit_code": row.credit_code}
            for row in rows
        ]
    )


@unit_.command("export")
@paper_options
@pass_site
def export(site: Site, to: Path, force: bool) -> None:
    """Write the register of units as a paper.

    \b
    Example: svoucher unit export --to units.xlsx
    """
    export_paper(site, lambda conn: registers.units(conn, site.policy, site.effective_s), to, force)


@unit_.command("fact")
@click.argument("unit", type=TEXT)
@click.argument("fact", type=TEXT)
@click.option("--from", "from_day", required=True, type=DAY, help="First day.")
@click.option("--until", type=DAY, help="Last day.  [default: open]")
@click.option("--source", required=True, type=TEXT, help="Who says so, where.")
@pass_site
def add_fact(
    site: Site, unit: str, fact: str, from_day: date, until: date | None, source: str
) -> None:
    """Enter what is so of a unit: blacklist, misconduct, start_up, related_PROVIDER.

    \b
    Example: svoucher unit fact shuzhi blacklist --from 2026-11-01 --source "court of 2026-10-30"
    """
    with site.begin() as conn:
        unitfacts.add(
            conn,
            unit,
            fact,
            from_on=from_day,
            until_on=until,
            source=source,
            policy=site.policy,
            stamp=site.stamp(),
        )
    click.echo(f"unit {unit}: {fact} from {from_day} to {until or 'further notice'}")


@unit_.command("fact-end")
@click.argument("unit", type=TEXT)
@click.argument("fact", type=TEXT)
@click.option("--until", required=True, type=DAY, help="Last day.")
@pass_site
def end_fact(site: Site, unit: str, fact: str, until: date) -> None:
    """Enter the last day on which something is so of a unit.

    \b
    Example: svoucher unit fact-end shuzhi blacklist --until 2026-12-31
    """
    with site.begin() as conn:
        unitfacts.end(conn, unit, fact, until_on=until, stamp=site.stamp())
    click.echo(f"unit {unit}: {fact} until {until}")


@unit_.command("facts")
@click.argument("unit", type=TEXT)
@output_options
@pass_site
def list_facts(site: Site, unit: str, show: Show) -> None:
    """List what is or was so of a unit.

    \b
    Example: svoucher unit facts shuzhi
    """
    with site.read() as conn:
        registry.find(conn, "unit", id=unit)
        rows = unitfacts.listed(conn, unit)
    show(
        [
            {
                "fact": row["fact"],
                "from": row["from_on"],
                "until": row["until_on"],
                "source": row["source"],
            }
            for row in rows
        ]
    )
