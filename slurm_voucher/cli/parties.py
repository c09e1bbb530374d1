"""svoucher provider, member, topup: who takes part, and the cash that is paid in."""

import pwd
from datetime import date
from pathlib import Path

import click
from sqlalchemy import select

from accounting import period
from accounting.book import schema
from accounting.errors import InvalidInput
from accounting.forms import registers
from accounting.money import yuan
from accounting.vouchers import payments, registry
from slurm_voucher.cli.exporting import export_paper, paper_options
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import AMOUNT, CLUSTER, DAY, TEXT, UID, Site, pass_site


@click.group("provider")
def provider_() -> None:
    """Providers (供给方)."""


@provider_.command("add")
@click.argument("provider", type=TEXT)
@click.argument("name", type=TEXT)
@pass_site
def add_provider(site: Site, provider: str, name: str) -> None:
    """Enter a provider by the id that price lists use.

    \b
    Example: svoucher provider add cdaicc 成都智算中心
    """
    with site.begin() as conn:
        registry.add_provider(conn, provider, name, site.stamp())
    click.echo(f"provider {provider}: {name}")


@provider_.command("list")
@output_options
@pass_site
def list_providers(site: Site, show: Show) -> None:
    """List providers.

    \b
    Example: svoucher provider list
    """
    with site.read() as conn:
        rows = conn.execute(select(schema.provider).order_by(schema.provider.c.seq)).all()
    show([{"provider": row.id, "name": row.name} for row in rows])


@provider_.command("export")
@paper_options
@pass_site
def export(site: Site, to: Path, force: bool) -> None:
    """Write the register of providers as a paper, with where their deductions stand.

    \b
    Example: svoucher provider export --to providers.xlsx
    """
    export_paper(
        site, lambda conn: registers.providers(conn, site.policy, site.effective_s), to, force
    )


@click.group("member")
def member_() -> None:
    """Who may spend a unit's vouchers."""


@member_.command("add")
@click.argument("unit", type=TEXT)
@click.option("--cluster", required=True, type=CLUSTER)
@click.option("--user", type=TEXT, help="Login name on this machine; or give --uid.")
@click.option("--uid", type=UID)
@click.option("--from", "from_day", type=DAY, help="First day.  [default: today]")
@click.option("--until", type=DAY, help="Last day.  [default: open]")
@pass_site
def add_member(
    site: Site,
    unit: str,
    cluster: str,
    user: str | None,
    uid: int | None,
    from_day: date | None,
    until: date | None,
) -> None:
    """Let a user of a cluster spend a unit's voucher accounts.

    \b
    Example: svoucher member add shuzhi --cluster chengdu --user alice
    """
    uid = _one_uid(user, uid)
    from_s = period.instant(from_day or site.today, site.policy.timezone)
    with site.begin() as conn:
        registry.add_member(
            conn,
            unit,
            cluster=cluster,
            uid=uid,
            from_s=from_s,
            until_s=site.instant_after(until) if until else None,
            stamp=site.stamp(),
        )
    click.echo(f"unit {unit}: user {user or uid} of cluster {cluster} may spend its vouchers")


@member_.command("end")
@click.argument("unit", type=TEXT)
@click.option("--cluster", required=True, type=CLUSTER)
@click.option("--user", type=TEXT, help="Login name on this machine; or give --uid.")
@click.option("--uid", type=UID)
@click.option("--until", required=True, type=DAY, help="Last day.")
@pass_site
def end_member(
    site: Site, unit: str, cluster: str, user: str | None, uid: int | None, until: date
) -> None:
    """End a user's membership in a unit.

    \b
    Example: svoucher member end shuzhi --cluster chengdu --user alice --until 2026-12-31
    """
    uid = _one_uid(user, uid)
    until_s = site.instant_after(until)
    with site.begin() as conn:
        registry.end_member(
            conn, unit, cluster=cluster, uid=uid, until_s=until_s, stamp=site.stamp()
        )
    click.echo(f"unit {unit}: user {user or uid} of cluster {cluster} ends on {until}")


def _one_uid(user: str | None, uid: int | None) -> int:
    if (user is None) == (uid is None):
        raise click.UsageError("give either --user or --uid")
    return _uid(user or "") if uid is None else uid


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise InvalidInput(f"user {user}: not known on this machine; give --uid") from None


@click.command("topup")
@click.argument("account", required=False, type=TEXT)
@click.argument("amount", type=AMOUNT, required=False)
@click.option("--reference", type=TEXT, help="The bank's own number of the payment.")
@click.option("--paid-on", type=DAY, help="Day of the payment.  [default: today]")
@click.option("--reverse", type=TEXT, help="Take the payment with this number back.")
@click.option("--reason", type=TEXT, help="Why it is taken back.")
@pass_site
def topup_(
    site: Site,
    account: str | None,
    amount: int | None,
    reference: str | None,
    paid_on: date | None,
    reverse: str | None,
    reason: str | None,
) -> None:
    """Record cash that a unit paid in; it settles what the unit owes first.

    \b
    Example: svoucher topup CD26-0001 100,000 --reference ICBC-20261122-0001

    \b
    Taken back: svoucher topup --reverse ICBC-20261122-0001 --reason "returned by the bank"
    """
    if reverse is not None:
        if (account, amount, reference, paid_on) != (None,) * 4 or reason is None:
            raise click.UsageError("--reverse goes with --reason and nothing else")
        with site.begin() as conn:
            amount = payments.take_back(conn, reverse, reason, site.stamp())
        click.echo(f"payment {reverse}: {yuan(amount)} yuan taken back: {reason}")
        return
    if account is None or amount is None or reference is None or reason is not None:
        raise click.UsageError("give ACCOUNT, AMOUNT and --reference, or --reverse and --reason")
    with site.begin() as conn:
        registry.pay_in(
            conn,
            account,
            amount_fen=amount,
            reference=reference,
            paid_on=site.paid_on(paid_on),
            stamp=site.stamp(),
        )
    click.echo(f"account {account}: {yuan(amount)} yuan paid in, reference {reference}")
