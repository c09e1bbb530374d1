"""svoucher audit: does it all add up?"""

from pathlib import Path

import click

from accounting.book import signing
from accounting.errors import InvariantBroken
from accounting.proof import audit, evidence
from slurm_voucher.cli.acts import PATH
from slurm_voucher.cli.output import Show, output_options, show_json
from slurm_voucher.cli.site import Site, pass_site


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
@output_options
@pass_site
def audit_(site: Site, key_file: Path | None, chain_file: Path | None, show: Show) -> None:
    """Check every rule over the whole book and archive; exit 5 when something does not add up.

    \b
    Example: svoucher audit --export chain.jsonl
    """
    with site.read() as conn:
        if chain_file is not None:
            with chain_file.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in evidence.exported(conn))
        found = audit.findings(
            audit.Books(conn, site.config.archive, site.policy, site.config.papers)
        )
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
            signing.anchor(conn, signing.read_json(key_file), day, site.stamp("system"))
    if show is not show_json:
        click.echo(f"audit: {len(audit.RULES)} rules, 0 findings")
