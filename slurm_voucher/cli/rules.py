"""svoucher price, chips, policy: what is in force, load a new version, check a file."""

import hashlib
from pathlib import Path

import click
from sqlalchemy import select

from accounting import policy as policies
from accounting.book import ledger, schema
from accounting.book.ledger import Entry
from accounting.errors import ConfigInvalid, NotAllowed
from accounting.money import yuan, yuan_micro
from accounting.period import clock
from accounting.rates import chips, pricelists, tariff
from accounting.vouchers import entitling, examples, registry
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import TEXT, Site, pass_site

FILE = click.Path(path_type=Path, dir_okay=False)


def text_of(file: Path) -> str:
    """Read a file, or raise ConfigInvalid."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no UTF-8"
        raise ConfigInvalid(f"{file}: {reason}; check path and encoding") from None


def document_row(kind: str, version: str, text: str) -> dict[str, str]:
    """Return the row that keeps a policy, tariff or catalogue in the book."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return {"kind": kind, "version": version, "sha256": sha256, "text": text}


@click.group("price")
def price_() -> None:
    """Price lists: load, show, check."""


@price_.command("load")
@click.argument("file", type=FILE)
@pass_site
def load(site: Site, file: Path) -> None:
    """Load a price list; it is in force from now on, and is never edited.

    \b
    Example: svoucher price load prices.yaml
    """
    text = text_of(file)
    prices = tariff.load(text, str(file))
    row = document_row("tariff", prices.version, text)
    with site.begin() as conn:
        stands = select(schema.document.c.sha256).filter_by(kind="tariff", version=prices.version)
        if conn.execute(stands).scalar() not in (None, row["sha256"]):
            raise NotAllowed(
                f"tariff {prices.version}: stands in the book with other prices, which are never "
                "edited; give this one a new version"
            )
        entry = Entry(f"tariff:{prices.version}", "price.load", site.stamp(), {"document": [row]})
        ledger.write(conn, entry)
        last = ledger.document(conn, "tariff")[0]
        known = set(conn.execute(select(schema.provider.c.id)).scalars())
        of_units = registry.credit_codes(conn)
    if last != prices.version:
        raise NotAllowed(
            f"tariff {prices.version}: was loaded before, {last} is in force since; give it a new "
            "version to bring its prices back"
        )
    click.echo(f"tariff {prices.version} is in force: {len(prices.partitions)} partitions")
    for name in sorted({p.provider for p in prices.partitions.values()} - known):
        click.echo(f"provider {name} is not in the book yet: svoucher provider add {name} NAME")
    for name in sorted(prices.discounts.keys() - of_units.keys() - set(of_units.values())):
        click.echo(f"discount {name}: no contract in the book has it yet; is the name right?")


@price_.command("check")
@click.argument("file", type=FILE)
def check(file: Path) -> None:
    """Check a price list without loading it.

    \b
    Example: svoucher price check prices.yaml
    """
    prices = tariff.load(text_of(file), str(file))
    click.echo(f"tariff {prices.version}: {len(prices.partitions)} partitions, nothing wrong")


@price_.command("show")
@output_options
@pass_site
def show_prices(site: Site, show: Show) -> None:
    """Show the prices in force.

    \b
    Example: svoucher price show
    """
    with site.read() as conn:
        prices = pricelists.loaded(conn)
    show(
        [
            {
                "tariff": prices.version,
                "cluster": cluster,
                "partition": name,
                "provider": partition.provider,
                "qos": price.qos or "*",
                "from": clock(price.from_s, prices.timezone),
                "yuan": yuan_micro(price.micro),
                "per": price.unit,
            }
            for (cluster, name), partition in prices.partitions.items()
            for price in partition.prices
        ]
    )


@click.group("chips")
def chips_() -> None:
    """The chip catalogue."""


@chips_.command("show")
@click.option("--version", default=None, help="Which catalogue; the newest if left out.")
@output_options
def show_chips(version: str | None, show: Show) -> None:
    """Show the dense FP16 TFLOPS of each card, with source and status.

    \b
    Example: svoucher chips show
    """
    catalogue = chips.catalogue(version or chips.versions()[-1], "--version")
    show(
        [
            {
                "chip": key,
                "name": c.name,
                "tflops": c.tflops,
                "status": c.status,
                "source": c.source,
            }
            for key, c in catalogue.items()
        ]
    )


@click.group("policy")
def policy_() -> None:
    """The rules in force."""


@policy_.command("show")
@click.argument("name", required=False, type=TEXT)
@pass_site
def show_policy(site: Site, name: str | None) -> None:
    """Show the rules in force as they were loaded, or a policy that comes with the program.

    \b
    Example: svoucher policy show
    """
    if name is not None:
        click.echo(policies.builtin(name), nl=False)
        return
    with site.read() as conn:
        click.echo(ledger.document(conn, "policy")[1], nl=False)


@policy_.command("check")
@click.argument("file", type=FILE)
def check_policy(file: Path) -> None:
    """Check a policy file, and work its examples out.

    \b
    Example: svoucher policy check chengdu-2023.yaml
    """
    rules = policies.load(text_of(file), str(file))
    insist_on_examples(rules, str(file))
    click.echo(
        f"policy {rules.name}: {len(rules.categories)} categories, {len(rules.examples)} examples "
        "come out as worked, nothing wrong"
    )


def insist_on_examples(rules: policies.Policy, source: str) -> None:
    """Refuse a policy whose examples do not come out as they were worked by hand."""
    otherwise = [(i, said) for i, (_, said) in enumerate(examples.worked(rules)) if said]
    for i, said in otherwise[1:]:
        click.echo(f"{source}: examples[{i}]: {said}", err=True)
    if otherwise:
        i, said = otherwise[0]
        raise ConfigInvalid(f"{source}: examples[{i}]: {said}; mend the rule or the example")


@policy_.command("explain")
@click.argument("application", type=TEXT)
@output_options
@pass_site
def explain(site: Site, application: str, show: Show) -> None:
    """Show which clause gives which figure of an application, as the book stands today.

    \b
    Example: svoucher policy explain A-CD26-0001
    """
    rules = site.policy
    with site.read() as conn:
        given = entitling.entitled(conn, application, rules, site.stamp().effective_s)
    rows = [
        {"key": step.key, "gives": step.said, "clause": rules.clause(step.key)}
        for step in given.grant.steps
    ]
    said = f"{yuan(given.amount_fen)}" + (", trimmed" if given.trimmed else "")
    show([*rows, {"key": "voucher", "gives": said, "clause": rules.source}])
