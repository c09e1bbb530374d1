"""svoucher backup, restore: book, archive and papers together."""

from pathlib import Path

import click

from accounting import durable
from accounting.book import ledger
from accounting.proof import backup as backups
from slurm_voucher.cli.site import Site, pass_site

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("backup")
@click.argument("folder", type=FOLDER)
@pass_site
def backup_(site: Site, folder: Path) -> None:
    """Copy book, archive and papers into a folder, while work goes on.

    \b
    Example: svoucher backup /backup/slurm-voucher/2026-11-26
    """
    config = site.config
    settings = site.home / "config.yaml"
    made = backups.back_up(site.engine, config.archive, config.papers, settings, folder)
    click.echo(
        f"backup {folder}: {len(made['files'])} files, the book to entry {made['head_seq']} "
        f"({made['head_hash'][:16]}); keep the secret keys elsewhere"
    )


@click.command("restore")
@click.argument("folder", type=FOLDER)
@pass_site
def restore_(site: Site, folder: Path) -> None:
    """Bring a backup back into an empty place; then collect what came after it.

    \b
    Example: svoucher restore /backup/slurm-voucher/2026-11-26
    """
    manifest = backups.checked(folder)  # its settings are not ours before that
    site.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    backups.config_of(folder, manifest, site.home / "config.yaml")
    config = site.config
    engine = ledger.connect(config.book, must_exist=False)
    made = backups.restore(folder, engine, config.archive, config.papers, manifest)
    for place in (site.home, site.home.parent):
        durable.sync_folder(place)
    click.echo(
        f"book {engine.url.database}: restored to entry {made['head_seq']} "
        f"({made['head_hash'][:16]}); next: svoucher audit, then svoucher collect"
    )
