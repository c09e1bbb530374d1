"""svoucher quote: what a job can cost at most, asked before it is submitted."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from accounting.errors import Refused
from slurm_voucher.cli import sbatch
from slurm_voucher.cli.output import Show, output_options, say, show_table
from slurm_voucher.cli.site import Site, pass_site

BEHIND = ("--json", "--csv")
"""Our own options, which may stand behind a script, too: to the script they mean nothing here."""


class _AsSbatch(click.Command):
    """A command that takes sbatch's options; click reads our own alone."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options, rest = sbatch.split(args)
        own = [f"--{name}" for name, _ in options if name in sbatch.OWN]
        own += [word for word in rest[1:] if word in BEHIND]
        return super().parse_args(ctx, [*own, "--", *args])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS OF SBATCH]", "[SCRIPT [ARGUMENTS]]"]


@click.command("quote", cls=_AsSbatch)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@output_options
@pass_site
def quote_(site: Site, words: tuple[str, ...], show: Show) -> None:
    """Show the most that a job can cost.

    Options and script are those of sbatch: options before the script, the command line before
    SBATCH_ variables, these before #SBATCH lines. With --voucher=ID, or where you have just one
    account, it is also said what the voucher bears, what is your unit's own, and whether the job
    would be accepted now; exit 1 if not. Words that may change what it costs and are not priced
    are named.

    Without a book here the site's voucherd is asked (--at), by one's own uid.

    \b
    Example: svoucher quote -p ai --gpus=8 -t 2:00:00

    \b
    A script, for longer: svoucher quote -t 4:00:00 train.sh
    """
    asked = sbatch.read(words)
    fields = dict(asked.fields)
    if site.at is not None:
        row = site.ask("quote", fields=fields, account=asked.voucher)
    else:
        row = _here(site, fields, asked.voucher)
    row = {**row, "not_understood": ", ".join(asked.unclear) or None}
    if show is show_table:
        for line in _lines(row):
            say(line)
    else:
        show([row])
    if row["accepted"] == "no":
        raise Refused(row["why"])


def _here(site: Site, fields: Mapping[str, str], voucher: str | None) -> dict[str, Any]:
    """Return the quote from the book that is here, for anybody."""
    from slurm_voucher import looking, partitions, quotes  # loads the database

    rules = looking.rules(site.engine, partitions.load(site.config))
    with site.read() as conn:
        return quotes.quote(conn, rules, fields, voucher, None, site.effective_s)


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    what = row["chip"] or f"{row['cpus']} cores"
    where = f"{row['cluster']}/{row['partition']}"
    yield (
        f"{row['tasks']} × {what} {row['gres'] or ''} for {row['limit_s']} s on {where}: at most"
        f" {row['cost']} yuan by tariff {row['tariff']}"
    )
    if row["own_part"] is not None:
        verdict = "accepted" if row["accepted"] == "yes" else "refused"
        yield (
            f"voucher {row['voucher']}: would be {verdict}, {row['available']} yuan is available;"
            f" voucher part {row['voucher_part']}, own part {row['own_part']}"
        )
    elif row["accepted"] is None and row["why"]:
        yield f"voucher: {row['why']}"
    if row["not_understood"]:
        yield f"not understood, and may cost more or less: {row['not_understood']}"
