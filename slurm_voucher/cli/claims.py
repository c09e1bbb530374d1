"""svoucher claim, reserve: the quarter's end."""

from datetime import date
from pathlib import Path

import click

from accounting import money, period
from accounting.book import ledger
from accounting.errors import InvariantBroken
from accounting.forms import claim as form
from accounting.money import MICRO_PER_FEN, yuan
from accounting.redeem import funding, owing, paying, redemption, reserve, reviewing, withdrawing
from accounting.vouchers.registry import find
from slurm_voucher.cli.acts import write_draft
from slurm_voucher.cli.exporting import export_paper, paper_options
from slurm_voucher.cli.output import Show, output_options, say, show_json
from slurm_voucher.cli.site import AMOUNT, DAY, PATH, QUARTER, TEXT, Site, pass_site


@click.group("claim")
def claim_() -> None:
    """Redemption claims (兑付申请)."""


@claim_.command("open")
@click.argument("quarter", type=QUARTER)
@click.option("--provider", required=True, type=TEXT)
@click.option(
    "--claimant", type=TEXT, help="The unit that claims, where the rules say that units do."
)
@pass_site
def open_claim(site: Site, quarter: str, provider: str, claimant: str | None) -> None:
    """Open a claim over every line that is paid, invoiced and not yet claimed.

    \b
    Example: svoucher claim open 2026-Q4 --provider cdaicc
    """
    with site.begin() as conn:
        claim_id = redemption.open_claim(
            conn, provider, quarter, site.policy, site.stamp(), claimant
        )
    _print_claim(site, claim_id)


@claim_.command("owe")
@click.argument("quarter", type=QUARTER)
@click.option("--provider", required=True, type=TEXT)
@click.option(
    "--claimant", type=TEXT, help="The unit that claims, where the rules say that units do."
)
@pass_site
def owe(site: Site, quarter: str, provider: str, claimant: str | None) -> None:
    """Say that no claim follows: what credits leave below zero is owed to the treasury.

    \b
    Example: svoucher claim owe 2027-Q1 --provider cdaicc
    """
    with site.begin() as conn:
        claim_id, fen = owing.owe(conn, provider, quarter, site.policy, site.stamp(), claimant)
    click.echo(f"claim {claim_id}: {yuan(fen)} yuan is owed to the treasury")


@claim_.command("repay")
@click.argument("claim", type=TEXT)
@click.argument("amount", type=AMOUNT)
@click.option("--reference", required=True, type=TEXT, help="The bank's own number.")
@click.option("--paid-on", type=DAY, help="Day of the payment.  [default: today]")
@pass_site
def repay(site: Site, claim: str, amount: int, reference: str, paid_on: date | None) -> None:
    """Record what was paid back to the treasury of such a debt.

    \b
    Example: svoucher claim repay C-cdaicc-2027-Q1-1 35.00 --reference ICBC-20270410-0007
    """
    day = site.paid_on(paid_on)
    with site.begin() as conn:
        left = owing.repay(conn, claim, amount, reference, day, site.stamp())
    click.echo(f"claim {claim}: {yuan(amount)} yuan repaid, {yuan(left)} is still owed")


@claim_.command("list")
@output_options
@pass_site
def list_claims(site: Site, show: Show) -> None:
    """List claims with what was approved and paid.

    \b
    Example: svoucher claim list
    """
    with site.read() as conn:
        rows = redemption.claims(conn)
    show(
        [
            {
                "claim": row["id"],
                "quarter": row["quarter"],
                "state": row["state"],
                "claimed": yuan(row["amount_fen"]),
                "approved": None if row["approved_fen"] is None else yuan(row["approved_fen"]),
                "paid": None if row["paid_fen"] is None else yuan(row["paid_fen"]),
            }
            for row in rows
        ]
    )


@claim_.command("show")
@click.argument("claim", type=TEXT)
@pass_site
def show_claim(site: Site, claim: str) -> None:
    """Print a claim.

    \b
    Example: svoucher claim show C-cdaicc-2026-Q4-1
    """
    _print_claim(site, claim)


@claim_.command("export")
@click.argument("claim", type=TEXT)
@paper_options
@pass_site
def export(site: Site, claim: str, to: Path, force: bool) -> None:
    """Write the summary of a claim as a paper that provider, regulator and treasury stamp.

    \b
    Example: svoucher claim export C-cdaicc-2026-Q4-1 --to C-cdaicc-2026-Q4-1.pdf
    """
    export_paper(site, lambda conn: form.paper(conn, claim, site.policy), to, force)


def _print_claim(site: Site, claim_id: str) -> None:
    with site.read() as conn:
        claim = redemption.find_claim(conn, claim_id)
        lines = redemption.claim_lines(conn, claim_id)
        parts = funding.of_claims(conn, site.policy.name).get(claim_id, {})
    site.paper(
        f"兑付申请 claim {claim_id}: {claim['provider']}, {claim['quarter']}, {claim['state']}"
    )
    for line in lines:
        click.echo(f"  {line['line']}: {yuan(line['amount_fen'])}")
    click.echo(f"  claimed 申请 {yuan(claim['amount_fen'])} yuan over {len(lines)} lines")
    for funder, fen in parts.items():
        of = "claimed" if claim["approved_fen"] is None else "approved"
        click.echo(f"  of what is {of} {funder} pays {yuan(fen)} yuan")


@claim_.command("submit")
@click.argument("claim", type=TEXT)
@click.option("-o", "--out", required=True, type=PATH, help="Where the evidence packet goes.")
@pass_site
def submit(site: Site, claim: str, out: Path) -> None:
    """Write the evidence packet, a zip, and hand the claim in.

    \b
    Example: svoucher claim submit C-cdaicc-2026-Q4-1 -o packet.zip
    """
    from accounting.redeem import backing, packing  # loads Arrow, which no other command here needs

    with site.begin() as conn:
        redemption.insist_on_ready(conn, claim)  # a refusal leaves no packet behind
        source = backing.Source(conn, site.config.archive, site.policy)
        sha256 = packing.write(source, claim, out)
        redemption.submit(conn, claim, sha256, site.stamp())
    say(f"claim {claim}: submitted with packet {out}, SHA-256 {sha256}")


@claim_.command("withdraw")
@click.argument("claim", type=TEXT)
@click.option("--reason", required=True, type=TEXT, help="Why; it stands in the book.")
@pass_site
def withdraw(site: Site, claim: str, reason: str) -> None:
    """Take back a claim that was not handed in: its lines can stand in another one.

    \b
    Example: svoucher claim withdraw C-cdaicc-2026-Q4-1 --reason "CD26-0002 owes by now"
    """
    with site.begin() as conn:
        lines = withdrawing.withdraw(conn, claim, reason, site.stamp())
    click.echo(f"claim {claim}: withdrawn; its {lines} lines can stand in another one")


@claim_.command("verify")
@click.argument("packet", type=PATH)
@click.option("--sha256", metavar="HEX", help="What the book says the packet's SHA-256 is.")
@output_options
def verify(packet: Path, sha256: str | None, show: Show) -> None:
    """Check a packet from itself alone, without any book; exit 5 when something does not fit.

    \b
    Example: svoucher claim verify packet.zip
    """
    from accounting.redeem import checking  # loads Arrow

    proof = checking.check(packet, sha256)
    rows = [{"file": f.file, "line": f.line, "finding": f.message} for f in proof.findings]
    if rows or show is show_json:
        show(rows)
    if rows:
        raise InvariantBroken(
            f"packet {packet}: {len(rows)} findings, 0 are allowed; ask the provider for its answer"
        )
    if show is not show_json:
        say(
            f"claim {proof.claim}: {yuan(proof.amount_fen)} yuan over {proof.runs} runs, 0 "
            f"findings; root {proof.root}, SHA-256 {proof.sha256}"
        )


@claim_.command("prove")
@click.argument("packet", type=PATH)
@click.argument("run", type=TEXT)
def prove(packet: Path, run: str) -> None:
    """Print the proof that a run is in a packet: JSON with its path to the root (RFC 6962).

    \b
    Example: svoucher claim prove packet.zip 16_2
    """
    from accounting.redeem import proving  # loads Arrow

    show_json(proving.prove(packet, run))


@claim_.command("review")
@click.argument("claim", type=TEXT)
@click.option(
    "--refuse", "refused", multiple=True, metavar="LINE=REASON", help="Refuse a line; repeatable."
)
@click.option(
    "--approve",
    "partly",
    multiple=True,
    metavar="LINE=AMOUNT:REASON",
    help="Approve less of a line; repeatable. The rest can be claimed again.",
)
@click.option("--reason", type=TEXT, default="service given as stated", show_default=True)
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def review(
    site: Site,
    claim: str,
    refused: tuple[str, ...],
    partly: tuple[str, ...],
    reason: str,
    out: Path,
) -> None:
    """Draft the regulator's review: every line is approved that is not refused.

    \b
    Example: svoucher claim review C-cdaicc-2026-Q4-1 -o review.json
    """
    reasons = {}
    for text in refused:
        line, equals, why = text.partition("=")
        if not equals or not why.strip():
            raise click.BadParameter(f"{text!r} is no LINE=REASON", param_hint="--refuse")
        reasons[line] = why
    said = [_approved(text) for text in partly]
    amounts = dict(said)
    if len(reasons) + len(amounts) < len(refused) + len(said):
        raise click.UsageError("a line is named twice; say once what is approved of it")
    with site.read() as conn:
        act = reviewing.draft_review(conn, claim, reasons, reason, amounts)
    write_draft(act, out)


def _approved(text: str) -> tuple[str, tuple[int, str]]:
    """Read LINE=AMOUNT:REASON."""
    line, equals, rest = text.partition("=")
    amount, colon, why = rest.partition(":")
    if not (equals and colon and why.strip()):
        raise click.BadParameter(f"{text!r} is no LINE=AMOUNT:REASON", param_hint="--approve")
    try:
        return line, (money.fen(amount), why)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--approve") from None


@claim_.command("pay")
@click.argument("claim", type=TEXT)
@click.option(
    "--reference", required=True, type=TEXT, help="The treasury's own number of the payment."
)
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def pay(site: Site, claim: str, reference: str, out: Path) -> None:
    """Draft the treasury's payout (拨付) of what was approved.

    \b
    Example: svoucher claim pay C-cdaicc-2026-Q4-1 --reference CZ-2027-0042 -o payout.json
    """
    with site.read() as conn:
        act = paying.draft_payout(conn, claim, reference, site.policy, site.effective_s)
    write_draft(act, out)


@click.group("reserve")
def reserve_() -> None:
    """The reserve fund (备用金)."""


@reserve_.command("grant")
@click.argument("provider", type=TEXT)
@click.argument("amount", type=AMOUNT)
@click.option(
    "--reference", required=True, type=TEXT, help="The treasury's own number of the grant."
)
@click.option("-o", "--out", required=True, type=PATH, help="Where the draft goes.")
@pass_site
def grant(site: Site, provider: str, amount: int, reference: str, out: Path) -> None:
    """Draft the treasury's grant of advance money to a provider.

    \b
    Example: svoucher reserve grant cdaicc 500,000 --reference CZ-2026-0007 -o grant.json
    """
    with site.read() as conn:
        act = reserve.draft_grant(conn, provider, amount, reference)
    write_draft(act, out)


@reserve_.command("draw")
@click.argument("lines", nargs=-1, required=True, type=TEXT)
@pass_site
def draw(site: Site, lines: tuple[str, ...]) -> None:
    """Draw advance money for statement lines that are deducted and not yet paid.

    \b
    Example: svoucher reserve draw S-CD26-0001-2026-11/1
    """
    with site.begin() as conn:
        drawn = reserve.draw(conn, lines, site.policy, site.stamp())
    click.echo(f"{yuan(drawn)} yuan drawn for {len(set(lines))} lines")


@reserve_.command("return")
@click.argument("provider", type=TEXT)
@click.argument("amount", type=AMOUNT)
@click.option("--reference", required=True, type=TEXT, help="The bank's own number.")
@click.option("--paid-on", type=DAY, help="Day of the payment.  [default: today]")
@pass_site
def give_back(site: Site, provider: str, amount: int, reference: str, paid_on: date | None) -> None:
    """Record that advance money which no payout repaid was put back into the fund.

    \b
    Example: svoucher reserve return cdaicc 40.00 --reference ICBC-20270410-0008
    """
    day = site.paid_on(paid_on)
    with site.begin() as conn:
        left = reserve.give_back(conn, provider, amount, reference, day, site.stamp())
    click.echo(f"reserve {provider}: {yuan(amount)} yuan returned, {yuan(left)} is still out")


@reserve_.command("show")
@click.argument("provider", type=TEXT)
@pass_site
def show_reserve(site: Site, provider: str) -> None:
    """Show what the fund of a provider holds.

    \b
    Example: svoucher reserve show cdaicc
    """
    with site.read() as conn:
        find(conn, "provider", id=provider)
        fund = ledger.balance(conn, "reserve.fund", provider) // MICRO_PER_FEN
        owed = -ledger.balance(conn, "reserve.owed", provider) // MICRO_PER_FEN
        lasts = reserve.lasts_days(conn, provider, site.effective_s)
    click.echo(f"{provider}: {yuan(fund)} yuan in the fund, {yuan(owed)} granted by the treasury")
    _warn_if_low(site, provider, lasts)


@reserve_.command("statement")
@click.argument("provider", type=TEXT)
@output_options
@pass_site
def reserve_statement(site: Site, provider: str, show: Show) -> None:
    """List what came into a provider's fund and went out of it.

    \b
    Example: svoucher reserve statement cdaicc
    """
    timezone = site.policy.timezone
    with site.read() as conn:
        rows = reserve.statement(conn, provider)
        lasts = reserve.lasts_days(conn, provider, site.effective_s)
    show(
        [
            {
                "day": period.day_of(row["at_s"], timezone).isoformat(),
                "what": row["what"],
                "of": row["of"],
                "amount": yuan(row["amount_fen"]),
                "fund": yuan(row["fund_fen"]),
            }
            for row in rows
        ]
    )
    _warn_if_low(site, provider, lasts)


def _warn_if_low(site: Site, provider: str, lasts: int | None) -> None:
    low = site.policy.reserve.low_days
    if lasts is not None and lasts < low:
        click.echo(
            f"svoucher: reserve {provider}: lasts for {lasts} days at the pace of its draws, "
            f"{low} are wanted; claim, or ask the treasury for more",
            err=True,
        )
