"""svoucher warn: vouchers that near their end, told once."""

import click

from accounting.errors import Unavailable
from accounting.vouchers.nearing import nearing
from slurm_voucher import warning, words
from slurm_voucher.cli.output import say
from slurm_voucher.cli.site import Site, pass_site


@click.command("warn")
@click.option("--dry-run", is_flag=True, help="Only show what would be told.")
@pass_site
def warn_(site: Site, dry_run: bool) -> None:
    """Tell by the site's command which vouchers are nearly used up or expire, each level once.

    Run it from a timer. The command of config.yaml (warn.command) gets each warning as JSON on its
    standard input.

    \b
    Example: svoucher warn --dry-run
    """
    settings = site.config.warn
    with site.read() as conn:
        found = nearing(conn, site.policy, site.effective_s, settings.percent, settings.days)
    if dry_run:
        for near in warning.not_told(site.home, found):
            say(warning.words(near))
        return
    done, failed = warning.tell(site.home, settings, found)
    for near in done:
        say(f"told: {words.said(warning.words(near))}")
    if failed:
        raise Unavailable(
            f"warn: {settings.command[0]} {failed}; {len(done)} told, the rest is told next time"
        )
