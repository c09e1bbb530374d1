"""svoucher jobs, explain: what became of jobs, for the operator and for whoever asks."""

from datetime import date
from typing import Any

import click

from accounting.errors import InvalidInput
from slurm_voucher import words
from slurm_voucher.cli.output import Show, output_options, say, show_table
from slurm_voucher.cli.site import CLUSTER, DAY, TEXT, Site, login, pass_site

Row = dict[str, Any]


@click.command("jobs")
@click.argument("account", required=False, type=TEXT)
@click.option("--cluster", type=CLUSTER, help="Only of this cluster.")
@click.option("--since", type=DAY, help="Ended on this day or later.  [default: 30 days before]")
@click.option("--until", type=DAY, help="Ended on this day or earlier.  [default: today]")
@output_options
@pass_site
def jobs_(
    site: Site,
    account: str | None,
    cluster: str | None,
    since: date | None,
    until: date | None,
    show: Show,
) -> None:
    """List jobs: what has ended with its charge, what waits or runs with what is held for it.

    Without a book here the site's voucherd is asked (--at), for one's own jobs: those that ended,
    the newest 1000, then those that wait or run. Here all that have ended are listed, of all days
    if none is named. A charge that is not known yet is none; statement is the one that it is on.

    \b
    Example: svoucher jobs CD26-0001 --since 2026-11-01
    """
    if site.at is None:
        show(_ended(site, account, cluster, (since, until)))
        return
    days = {"since": since, "until": until}
    asked = {name: day.isoformat() for name, day in days.items() if day}
    told = site.ask("jobs", account=account, **asked)
    rows = [_mine(row) for row in told["rows"] if cluster in (None, row["cluster"])]
    show(rows)
    if told["more"]:
        more = words.said("there are more, these are the newest; name days to see others")
        click.echo(f"svoucher: {more}", err=True)


def _mine(row: Row) -> Row:
    return row | {"user": row["user"] or login()}


def _ended(
    site: Site,
    account: str | None,
    cluster: str | None,
    days: tuple[date | None, date | None],
) -> list[Row]:
    """Return the runs of the archive that is here."""
    from accounting import period
    from accounting.settle import own  # loads Arrow
    from slurm_voucher import past

    ended = None
    if days != (None, None):
        first, last = days
        since_s = period.instant(first, site.policy.timezone) if first else 0
        ended = since_s, site.instant_after(last) if last else site.now_s + 1
    with site.read() as conn:
        if cluster is not None and cluster not in own.clusters(conn):
            raise InvalidInput(f"cluster {cluster}: 0 runs in the archive; run svoucher collect")
        asked = own.Asked(ended=ended, account=account, cluster=cluster)
        zone = site.policy.timezone
        runs, _ = own.ended(conn, site.config.archive, asked, zone, past.LISTED)
    return past.jobs(runs, site.policy)


@click.command("explain")
@click.argument("job", type=TEXT)
@click.option("--cluster", type=CLUSTER, help="Where, if the number stands for several.")
@output_options
@pass_site
def explain_(site: Site, job: str, cluster: str | None, show: Show) -> None:
    """Show one charge line by line, computed again from the archive.

    Without a book here the site's voucherd is asked (--at), for a job of one's own: also for one
    that waits or runs, what is held for it and why it waits.

    \b
    Example: svoucher explain 16_2
    """
    if site.at is not None:
        rows = [_mine(row) for row in site.ask("explain", job=job)["rows"]]
        rows = [row for row in rows if cluster in (None, row["cluster"])]
    else:
        rows = _explained(site, job, cluster)
    if not rows:
        raise InvalidInput(f"job {job}: 0 runs in the archive; collect first, or it has not ended")
    if show is not show_table:
        show(rows)
        return
    for row in rows:
        for line in row["said"].split("\n"):
            say(line)


def _explained(site: Site, job: str, cluster: str | None) -> list[Row]:
    """Return the runs of a job of the archive that is here, each with its explanation."""
    from accounting.settle import own  # loads Arrow
    from slurm_voucher import past

    with site.read() as conn:
        root, zone = site.config.archive, site.policy.timezone
        runs, _ = own.of_job(conn, root, job, zone, cluster=cluster)
        return past.Explainer(conn, site.config, site.policy).explain(runs)
