"""svoucher apply, review, voucher: from application to issue."""

from datetime import date
from pathlib import Path

import click
from sqlalchemy import select

from accounting import period
from accounting.book import ledger, schema, signing
from accounting.forms import voucher as form
from accounting.money import MICRO_PER_FEN, yuan
from accounting.vouchers import (
    applying,
    certificate,
    clawback,
    debts,
    issuing,
    papers,
    returning,
    waiting,
)
from accounting.vouchers.registry import find
from slurm_voucher.cli.acts import write_draft
from slurm_voucher.cli.exporting import export_paper, paper_options
from slurm_voucher.cli.output import Show, output_options, say
from slurm_voucher.cli.site import (
    AMOUNT,
    DAY,
    PATH,
    STAMP_OF_REHEARSAL,
    STATED,
    TEXT,
    Site,
    pass_site,
)
from slurm_voucher.cli.writing import write


@click.command("apply")
@click.argument("contract", type=TEXT)
@click.option("--category", type=TEXT, help="Which one.  [default: the first that it fits]")
@click.option("--project", type=TEXT, help="The project that it is for.")
@click.option(
    "--fact",
    "stated",
    type=STATED,
    multiple=True,
    metavar="FACT[=VALUE]",
    help="What is so of it, such as domestic_chips or district=70%.",
)
@click.option("--consent", is_flag=True, help="The unit takes less where the money does not last.")
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
def apply_(
    site: Site,
    contract: str,
    category: str | None,
    project: str | None,
    stated: tuple[tuple[str, str], ...],
    consent: bool,
    channel: str,
    files: tuple[Path, ...],
) -> None:
    """Apply for a voucher (申领): contract and paper go to the regulator.

    \b
    Example: svoucher apply HT-2026-118 --paper HT-2026-118.pdf
    """
    kept = [papers.describe(file, papers.KINDS[i > 0]) for i, file in enumerate(files)]
    with site.begin() as conn:
        unit = find(conn, "contract", id=contract).unit
        application = applying.apply(
            conn,
            contract,
            category=category,
            channel=channel,
            paper_sha256=kept[0].sha256,
            kept=kept,
            policy=site.policy,
            stamp=site.stamp("unit", unit),
            project=project,
            stated=dict(stated),
            consent=consent,
        )
        category = find(conn, "application", id=application).category
        for file, paper in zip(files, kept, strict=True):
            papers.keep(site.config.papers, file, paper)
    click.echo(
        f"application {application}: {category}, paper {kept[0].sha256[:16]}; next: svoucher review"
    )


@click.command("review")
@click.argument("application", type=TEXT)
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
    if act["body"].get("waits"):
        fen = act["body"]["voucher_fen"]
        click.echo(f"application {application}: waits, no limit has room for {yuan(fen)} yuan now")
    write_draft(act, out)


@click.group("waiting")
def waiting_() -> None:
    """Who waits for money: confirmed applications that no limit had room for."""


@waiting_.command("list")
@output_options
@pass_site
def list_waiting(site: Site, show: Show) -> None:
    """List who waits, first applied first; with the year ends the waiting.

    \b
    Example: svoucher waiting list
    """
    timezone = site.policy.timezone
    with site.read() as conn:
        rows = waiting.listed(conn, site.policy, site.effective_s)
    show(
        [
            {
                "application": row["application"],
                "contract": row["contract"],
                "category": row["category"],
                "since": period.day_of(row["since_s"], timezone).isoformat(),
                "wanted": yuan(row["wanted_fen"]),
                "takes_less": "yes" if row["consent"] else "no",
                "state": "lapsed" if row["lapsed"] else "waits",
            }
            for row in rows
        ]
    )


@waiting_.command("consent")
@click.argument("application", type=TEXT)
@pass_site
def consent(site: Site, application: str) -> None:
    """Enter that a unit takes less, and issue what there is.

    \b
    Example: svoucher waiting consent A-CD26-0007
    """
    with site.begin() as conn:
        contract = find(conn, "application", id=application).contract
        unit = find(conn, "contract", id=contract).unit
        waiting.take_less(conn, application, site.stamp("unit", unit))
        issued = waiting.serve(conn, site.policy, site.stamp())
    click.echo(f"application {application}: takes less; issued: {', '.join(issued) or 'nothing'}")


@waiting_.command("serve")
@pass_site
def serve(site: Site) -> None:
    """Issue to those who wait what there is money for by now.

    \b
    Example: svoucher waiting serve
    """
    with site.begin() as conn:
        issued = waiting.serve(conn, site.policy, site.stamp())
    click.echo(f"issued to those who waited: {', '.join(issued) or 'nothing'}")


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


@voucher_.command("certificate")
@click.argument("voucher", type=TEXT)
@click.option("--key", "key_file", required=True, type=PATH, help="The book's secret key.")
@click.option("-o", "--out", required=True, type=PATH, help="Where the certificate goes.")
@pass_site
def make_certificate(site: Site, voucher: str, key_file: Path, out: Path) -> None:
    """Write the certificate of a voucher (凭证), signed with the book's own key.

    \b
    Example: svoucher voucher certificate CD26-0001-1 --key system.key -o certificate.json
    """
    key = signing.read_json(key_file)
    with site.read() as conn:
        made = certificate.make(conn, voucher, key, site.policy, site.effective_s)
    write(out, [ledger.canonical(made), "\n"])
    click.echo(f"voucher {voucher}: certificate in {out}, to be checked with key {made['key']}")


@voucher_.command("export")
@click.argument("voucher", type=TEXT)
@click.option("--key", "key_file", required=True, type=PATH, help="The book's secret key.")
@paper_options
@pass_site
def export(site: Site, voucher: str, key_file: Path, to: Path, force: bool) -> None:
    """Write the certificate of a voucher as a paper; PDF pages carry the signed one as a file.

    \b
    Example: svoucher voucher export CD26-0001-1 --key system.key --to CD26-0001-1.pdf
    """
    key = signing.read_json(key_file)
    export_paper(
        site,
        lambda conn: form.paper(conn, voucher, key, site.policy, site.effective_s),
        to,
        force,
    )


@voucher_.command("verify")
@click.argument("file", type=PATH)
@click.option("--key", "key_file", required=True, type=PATH, help="The book's public key.")
def verify_certificate(file: Path, key_file: Path) -> None:
    """Check a certificate without the book. It grants nothing: the book knows what is left.

    \b
    Example: svoucher voucher verify certificate.json --key system.key.pub
    """
    found = certificate.check(signing.read_json(file), signing.read_json(key_file))
    if found["rehearsal"]:
        click.echo(STAMP_OF_REHEARSAL)
    unit = found["unit"]
    say(
        f"voucher {found['voucher']}: {yuan(found['amount_fen'])} yuan to {unit['name']} "
        f"({unit['credit_code']}) with {found['provider']}, {found['first_day']} to "
        f"{found['last_day']}, as of entry {found['head']['seq']} {found['head']['hash'][:16]}"
    )


@voucher_.command("clawback")
@click.argument("voucher", type=TEXT)
@click.option("--reason", required=True, type=TEXT, help="Why; it stands in the book.")
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def take_back(site: Site, voucher: str, reason: str, out: Path) -> None:
    """Draft that a voucher is taken back for fraud: what was deducted is owed to the treasury.

    \b
    Example: svoucher voucher clawback CD26-0001-1 --reason "forged contract" -o clawback.json
    """
    with site.read() as conn:
        act = clawback.draft(conn, voucher, reason)
    write_draft(act, out)


@voucher_.command("debts")
@output_options
@pass_site
def list_debts(site: Site, show: Show) -> None:
    """List what units have to give back to the treasury: less than nothing is left where it has
    too much, since the provider gave back what the unit had paid.

    \b
    Example: svoucher voucher debts
    """
    with site.read() as conn:
        rows = debts.listed(conn)
    show(
        [
            {
                "debt": row["id"],
                "unit": row["unit"],
                "kind": row["kind"],
                "amount": yuan(row["amount_fen"]),
                "relieved": yuan(row["relieved_fen"]),
                "paid": yuan(row["paid_fen"]),
                "returned": yuan(row["returned_fen"]),
                "left": yuan(row["left_fen"]),
                "reason": row["reason"],
            }
            for row in rows
        ]
    )


@voucher_.command("repay")
@click.argument("debt", type=TEXT)
@click.argument("amount", type=AMOUNT)
@click.option("--reference", required=True, type=TEXT, help="The treasury's number of the payment.")
@click.option("--paid-on", type=DAY, help="Day of the payment.  [default: today]")
@pass_site
def repay(site: Site, debt: str, amount: int, reference: str, paid_on: date | None) -> None:
    """Record what a unit gave back to the treasury.

    \b
    Example: svoucher voucher repay D-CD26-0001-1-1 2,000 --reference CZ-2026-0099
    """
    with site.begin() as conn:
        left = debts.pay(
            conn,
            debt,
            amount_fen=amount,
            reference=reference,
            paid_on=site.paid_on(paid_on),
            programme=site.policy.name,
            stamp=site.stamp(),
        )
    click.echo(f"debt {debt}: {yuan(amount)} yuan paid, {yuan(left)} is still owed")


@voucher_.command("return")
@click.argument("debt", type=TEXT)
@click.option("--reference", required=True, type=TEXT, help="The treasury's number of the payment.")
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def give_back(site: Site, debt: str, reference: str, out: Path) -> None:
    """Draft that the treasury gives back what it has too much of a debt.

    \b
    Example: svoucher voucher return D-CD26-0001-1-1 --reference CZ-2027-0003 -o return.json
    """
    with site.read() as conn:
        act = returning.draft(conn, debt, reference, site.policy, site.effective_s)
    write_draft(act, out)
