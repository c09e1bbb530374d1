"""svoucher init, check: a new book; is everything reachable and consistent?"""

import re
import secrets
from pathlib import Path
from typing import Any

import click

from accounting import durable
from accounting import policy as policies
from accounting.book import ledger, schema
from accounting.book.ledger import Actor, Entry, Stamp
from accounting.errors import ConfigInvalid, VoucherError
from accounting.rates import pricelists
from slurm_voucher import commands, listening, partitions
from slurm_voucher.cli.rules import document_row, insist_on_examples, text_of
from slurm_voucher.cli.site import Site, login, pass_site


@click.command("init")
@click.option(
    "--rehearsal",
    is_flag=True,
    help="A book to try things in: --as-of works, papers are stamped 演练.",
)
@click.option(
    "--policy",
    "chosen",
    default="chengdu-2023",
    show_default=True,
    help="Whose rules: one that comes with the program, or a file.",
)
@pass_site
def init_(site: Site, rehearsal: bool, chosen: str) -> None:
    """Make a new book.

    \b
    Example: svoucher init --rehearsal
    """
    is_file = Path(chosen).is_file()
    text = text_of(Path(chosen)) if is_file else policies.builtin(chosen)
    rules = policies.load(text, chosen if is_file else f"policy {chosen}")
    insist_on_examples(rules, chosen)
    site.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = ledger.connect(site.config.book, must_exist=False)
    with engine.connect() as conn:
        if engine.dialect.has_table(conn, "book"):
            raise ConfigInvalid(
                f"book {engine.url.database}: there is one already; choose another --home"
            )
    rows: dict[str, list[dict[str, Any]]] = {
        "book": [
            {
                "book_id": secrets.token_hex(16),
                "schema_version": schema.VERSION,
                "rehearsal": int(rehearsal),
                "policy": rules.name,
            }
        ],
        "document": [document_row("policy", rules.name, text)],
    }
    stamp = Stamp(Actor(login(), "operator"), site.now_s, site.now_s)
    ledger.create(engine, Entry("book", "book.init", stamp, rows))
    for folder in (site.home, site.home.parent):
        durable.sync_folder(folder)
    kind = "rehearsal book" if rehearsal else "book"
    click.echo(
        f"{kind} {engine.url.database} by policy {rules.name}; next: svoucher price load FILE"
    )


@click.command("check")
@pass_site
def check_(site: Site) -> None:
    """Is everything reachable and consistent?

    \b
    Example: svoucher check
    """
    worst = 0
    for name, probe in (
        ("config", _check_config),
        ("book", _check_book),
        ("tariff", _check_tariff),
        ("slurm", _check_slurm),
        ("voucherd", _check_voucherd),
    ):
        try:
            click.echo(f"{name:9} ok    {probe(site)}")
        except VoucherError as error:
            worst = max(worst, error.exit_code)
            click.echo(f"{name:9} FAIL  {error}")
    raise SystemExit(worst)


def _check_config(site: Site) -> str:
    return f"{site.config.home}, socket {site.config.socket}"


def _check_book(site: Site) -> str:
    with site.read() as conn:
        seq, head = ledger.head(conn)
    kind = "rehearsal, " if site.book.rehearsal else ""
    return f"{kind}policy {site.policy.name}, {seq} entries, head {head[:16]}"


def _check_tariff(site: Site) -> str:
    with site.read() as conn:
        prices = pricelists.loaded(conn)
    return f"{prices.version}, {len(prices.partitions)} partitions, chips {prices.catalogue}"


def _check_slurm(site: Site) -> str:
    cluster = partitions.load(site.config)
    config = commands.ask(["scontrol", "show", "config"])
    controllers = len(re.findall(r"^SlurmctldHost\[", config, re.MULTILINE))
    if controllers > 1 and site.config.book.startswith("sqlite"):
        raise ConfigInvalid(
            f"cluster {cluster.name}: {controllers} SlurmctldHosts, SQLite serves 1; put the book "
            "into PostgreSQL (svoucher backup, restore)"
        )
    if "Federation:" in commands.ask(["scontrol", "show", "federation"]):
        raise ConfigInvalid(
            f"cluster {cluster.name}: is in a federation, which was never tried; leave it first"
        )
    return f"cluster {cluster.name}, partitions {', '.join(cluster.partitions)}"


def _check_voucherd(site: Site) -> str:
    path = site.config.socket
    listening.ask(path, "PING")
    return f"answers on {path}"
