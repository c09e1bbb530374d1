"""What commands share that write a paper into a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from sqlalchemy.engine import Connection

from accounting.forms.paper import Paper
from slurm_voucher.cli.site import PATH, Site
from slurm_voucher.papers import files


def paper_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --to and --force."""
    to = click.option(
        "--to", required=True, type=PATH, help="Where: a name in .pdf, .xlsx or .csv says the form."
    )
    return to(
        click.option("--force", is_flag=True, help="Also over a file that is there.")(command)
    )


def export_paper(
    site: Site, describe: Callable[[Connection], Paper], to: Path, force: bool
) -> None:
    """Write the paper that the book describes, and say where it is."""
    files.form_of(to, force)
    with site.read() as conn:
        paper = describe(conn)
    files.write(paper, to, force, site.config.paper_font)
    click.echo(f"{paper.title} {paper.number}: in {to}")
