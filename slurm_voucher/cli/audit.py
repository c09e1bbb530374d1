"""svoucher audit: does it all add up?"""

from pathlib import Path
from typing import Any

import click

from accounting import durable
from accounting.book import signing
from accounting.book.ledger import canonical
from accounting.errors import InvalidInput, InvariantBroken
from accounting.proof import audit, evidence
from slurm_voucher.cli.output import Show, output_options, show_json
from slurm_voucher.cli.site import PATH, Site, pass_site
from slurm_voucher.cli.writing import write


@click.command("audit")
@click.option(
    "--sign",
    "key_file",
    type=PATH,
    help="Sign the head of the chain for today with this system key.",
)
@click.option(
    "--export",
    "chain_file",
    type=PATH,
    help="Write the chain into this file, for docs/verify_chain.py or a checker of your own.",
)
@click.option(
    "--anchors",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Compare with the signed heads that are kept in this folder, outside the book; --sign "
    "puts the new one there, too.",
)
@output_options
@pass_site
def audit_(
    site: Site, key_file: Path | None, chain_file: Path | None, folder: Path | None, show: Show
) -> None:
    """Check every rule over the whole book and archive; exit 5 when something does not add up.

    \b
    Example: svoucher audit --export chain.jsonl
    """
    with site.read() as conn:
        if chain_file is not None:
            write(chain_file, (f"{line}\n" for line in evidence.exported(conn)))
        books = audit.Books(
            conn, site.config.archive, site.policy, site.config.papers, _kept(folder, key_file)
        )
        found = audit.findings(books)
    rows = [
        {"rule": f.rule, "subject": f.subject, "finding": f.message, "advice": f.advice}
        for f in found
    ]
    if rows or show is show_json:
        show(rows)
    if found:
        raise InvariantBroken(f"audit: {len(found)} findings, 0 are allowed; see above what to do")
    if key_file is not None:
        with site.begin() as conn:
            day = site.today.isoformat()
            head = signing.anchor(conn, signing.read_json(key_file), day, site.stamp("system"))
        if folder is not None:
            durable.make_folder(folder)
            durable.put(folder, f"{day}.json", f"{canonical(head)}\n".encode())
    if show is not show_json:
        compared = "" if folder is None else f", {len(books.heads)} kept heads compared"
        click.echo(f"audit: {len(audit.RULES)} rules, 0 findings{compared}")


def _kept(folder: Path | None, key_file: Path | None) -> dict[str, dict[str, Any]]:
    """Read the signed heads of a folder; one that is to get its first need not be there."""
    if folder is None or (key_file is not None and not folder.exists()):
        return {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError as error:
        raise InvalidInput(f"{folder}: {error.strerror}; name the folder of the heads") from None
    return {path.name: signing.kept_head(path) for path in paths}
