"""svoucher rerate: what the whole archive would cost by a price list."""

import sys
from pathlib import Path
from typing import Any

import click

from accounting.money import yuan, yuan_micro
from accounting.rates import pricelists
from accounting.rates.tariff import load
from accounting.runs.places import files
from accounting.settle import rerating
from accounting.settle.onepass import Prices
from accounting.settle.rerating import Place, Sums
from slurm_voucher import workers
from slurm_voucher.cli.output import Show, output_options, plain
from slurm_voucher.cli.rules import FILE, text_of
from slurm_voucher.cli.site import TEXT, Site, pass_site

WORKERS = 2
COUNT = click.IntRange(1, 10_000)


@click.command("rerate")
@click.option("--tariff", type=TEXT, help="Version of the price list. [default: the one in force]")
@click.option("--prices", "file", type=FILE, help="A price list that is not loaded.")
@click.option("--by", type=click.Choice(["account", "partition"]), default="account")
@click.option("--distributed", is_flag=True, help="By Dask's workers, on this machine.")
@click.option("--workers", "count", type=COUNT, help=f"How many. [default: {WORKERS}]")
@click.option("--scheduler", type=TEXT, help="Address of a Dask scheduler: tcp://host:8786.")
@click.option("--slurm-partition", type=TEXT, help="Start the workers there, as jobs.")
@output_options
@pass_site
def rerate_(
    site: Site,
    tariff: str | None,
    file: Path | None,
    by: str,
    distributed: bool,
    count: int | None,
    scheduler: str | None,
    slurm_partition: str | None,
    show: Show,
) -> None:
    """Show what all runs would cost by a price list, beside what they were charged.

    A report: nothing is charged otherwise by it. With --distributed, --scheduler or
    --slurm-partition Dask's workers do it, with the same result.

    \b
    Example: svoucher rerate --prices new.yaml
    """
    where = _where(distributed, count, scheduler, slurm_partition)
    if tariff and file:
        raise click.UsageError("--tariff and --prices: 2 price lists, 1 is needed; leave one out")
    archive = site.config.archive
    with site.read() as conn:
        listed = load(text_of(file), str(file)) if file else pricelists.loaded(conn, tariff)
        prices = rerating.prices_of(conn, listed, site.policy)
        segments = files(conn)
        whose = rerating.owners_of(conn, archive)
        newer = rerating.revised(conn, archive)
    rest = (newer, prices, whose, site.policy.timezone)
    if where is not None:
        with workers.client(where) as dask:
            sums = workers.total(
                dask, rerating.of_segment, archive, segments, *rest, progress=_progress
            )
    else:
        sums = Sums()
        for done, segment in enumerate(segments, 1):
            sums.add(rerating.of_segment(archive, segment, *rest))
            _progress(done)
    show(_by_account(sums, prices) if by == "account" else _by_partition(sums))
    for reason, number in sorted(sums.reasons.items()):
        line = plain(f"{number} unrated by tariff {prices.tariff.version}: {reason}")
        click.echo(line, err=True)


def _where(
    distributed: bool, count: int | None, scheduler: str | None, partition: str | None
) -> workers.Where | None:
    """Return where the work is done. None: here."""
    if distributed + (scheduler is not None) + (partition is not None) > 1:
        raise click.UsageError(
            "--distributed, --scheduler and --slurm-partition: 1 of them at most; leave others out"
        )
    if not (distributed or scheduler or partition):
        if count is not None:
            raise click.UsageError("--workers: 0 are started; add --distributed, or leave it out")
        return None
    if scheduler is not None and count is not None:
        raise click.UsageError("--workers: 0 are started beside --scheduler; leave one of them out")
    return workers.Where(scheduler, count or WORKERS, partition)


def _progress(done: int) -> None:
    """Tell a person who waits how far it is."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} segments", nl=False, err=True)


def _figures(sums: Sums, places: list[Place]) -> dict[str, Any]:
    """Add places up; what runs come to is not known where some of them have no price."""
    was, now = (sum(of[place] for place in places) for of in (sums.was_micro, sums.micro))
    unrated = sum(sums.unrated[place] for place in places)
    return {
        "runs": sum(sums.runs[place] for place in places),
        "unrated": unrated,
        "was": yuan_micro(was),
        "now": None if unrated else yuan_micro(now),
        "difference": None if unrated else yuan_micro(now - was),
    }


def _by_partition(sums: Sums) -> list[dict[str, Any]]:
    return [
        place._asdict() | {"account": place.account or None} | _figures(sums, [place])
        for place in sums.places
    ]


def _by_account(sums: Sums, prices: Prices) -> list[dict[str, Any]]:
    """Add up by account and month, with what the vouchers would bear."""
    drawn = {
        (account, month): sum(by_voucher.values())
        for account, month, by_voucher in rerating.drawn_fen(sums, prices)
    }
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in sums.places:
        groups.setdefault((place.account, place.month), []).append(place)
    rows: list[dict[str, Any]] = []
    unknown = set()  # what is left of vouchers after a month in which something has no price
    for (account, month), places in sorted(groups.items()):
        figures = _figures(sums, places)
        if figures["unrated"]:
            unknown.add(account)
        known = account in prices.vouchers and account not in unknown
        part = yuan(drawn.get((account, month), 0)) if known else None
        rows.append({"account": account or None, "month": month} | figures | {"voucher_part": part})
    return rows
