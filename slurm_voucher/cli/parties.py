"""svoucher provider, unit, contract, member, topup: who takes part."""

import pwd
from datetime import date
from pathlib import Path

import click
from sqlalchemy import select

from accounting import period
from accounting.book import schema
from accounting.errors import InvalidInput
from accounting.money import yuan
from accounting.policy import UNIT_KINDS
from accounting.vouchers import credit, ending, payments, registry, unitfacts
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import (
    AMOUNT,
    CLUSTER,
    DAY,
    PART,
    PATH,
    TEXT,
    UID,
    YEAR,
    Site,
    pass_site,
    sha256_of,
)  # fmt: skip


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
            conn, unit, fact, from_on=from_day, until_on=until, source=source, stamp=site.stamp()
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


@click.group("contract")
def contract_() -> None:
    """Contracts; each opens a voucher account."""


@contract_.command("sign")
@click.argument("contract", type=TEXT)
@click.option("--unit", required=True)
@click.option("--provider", required=True)
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
    sha256 = sha256_of(paper)
    with site.begin() as conn:
        cancelled_fen, issued = ending.end_contract(
            conn, contract, last_day, sha256, site.policy, site.stamp()
        )
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
        rows = registry.contracts(conn)
    show(
        [
            {
                "account": row["account"],
                "contract": row["id"],
                "unit": row["unit"],
                "provider": row["provider"],
                "signed_on": row["signed_on"],
                "fee": yuan(row["fee_fen"]),
            }
            for row in rows
        ]
    )


@click.group("member")
def member_() -> None:
    """Who may spend a unit's vouchers."""


@member_.command("add")
@click.argument("unit", type=TEXT)
@click.option("--cluster", required=True, type=CLUSTER)
@click.option("--user", help="Login name on this machine; or give --uid.")
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
@click.option("--user", help="Login name on this machine; or give --uid.")
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
@click.argument("account", required=False)
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
            paid_on=paid_on or site.today,
            stamp=site.stamp(),
        )
    click.echo(f"account {account}: {yuan(amount)} yuan paid in, reference {reference}")
