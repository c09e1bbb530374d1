"""svoucher rerate: what the whole archive would cost by a price list."""

import sys
from pathlib import Path
from typing import Any

import click

from accounting.money import yuan, yuan_micro
from accounting.rates import pricelists
from accounting.rates.tariff import load
from accounting.settle import rerating, stored
from accounting.settle.onepass import Prices
from accounting.settle.rerating import Place, Sums
from slurm_voucher import workers
from slurm_voucher.cli.output import Show, output_options, say
from slurm_voucher.cli.rules import FILE, text_of
from slurm_voucher.cli.site import TEXT, Site, pass_site


@click.command("rerate")
@click.option("--tariff", type=TEXT, help="Version of the price list. [default: the one in force]")
@click.option("--prices", "file", type=FILE, help="A price list that is not loaded.")
@click.option("--by", type=click.Choice(["account", "partition"]), default="account")
@click.option("--distributed", is_flag=True, help="By Dask's workers, on this machine.")
@click.option("--workers", "count", type=click.IntRange(1, 10_000), default=2, show_default=True)
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
    count: int,
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
    if tariff and file:
        raise click.UsageError("--tariff and --prices: 2 price lists, 1 is needed; leave one out")
    with site.read() as conn:
        listed = load(text_of(file), str(file)) if file else pricelists.loaded(conn, tariff)
        prices = rerating.prices_of(conn, listed, site.policy)
        segments = stored.segments(conn)
        newer = rerating.revised(conn, site.config.archive)
    rest = (newer, prices, site.policy.timezone)
    if distributed or scheduler or slurm_partition:
        with workers.client(workers.Where(scheduler, count, slurm_partition)) as dask:
            sums = workers.total(
                dask, rerating.of_segment, site.config.archive, segments, *rest, progress=_progress
            )
    else:
        sums = Sums()
        for done, segment in enumerate(segments, 1):
            sums.add(rerating.of_segment(site.config.archive, segment, *rest))
            _progress(done)
    show(_by_account(sums, prices) if by == "account" else _by_partition(sums))
    for reason, number in sorted(sums.unrated.items()):
        say(f"{number} unrated by tariff {prices.tariff.version}: {reason}")


def _progress(done: int) -> None:
    """Tell a person who waits how far it is."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} segments", nl=False, err=True)


def _amounts(was_micro: int, micro: int) -> dict[str, str]:
    return {
        "was": yuan_micro(was_micro),
        "now": yuan_micro(micro),
        "difference": yuan_micro(micro - was_micro),
    }


def _by_partition(sums: Sums) -> list[dict[str, Any]]:
    return [
        place._asdict()
        | {"account": place.account or None, "runs": sums.runs[place]}
        | _amounts(sums.was_micro[place], sums.micro[place])
        for place in sorted(sums.runs)
    ]


def _by_account(sums: Sums, prices: Prices) -> list[dict[str, Any]]:
    """Add up by account and month, with what the vouchers would bear."""
    drawn = {
        (account, month): sum(by_voucher.values())
        for account, month, by_voucher in rerating.drawn_fen(sums, prices)
    }
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in sorted(sums.runs):
        groups.setdefault((place.account, place.month), []).append(place)
    return [
        {"account": account or None, "month": month}
        | {"runs": sum(sums.runs[place] for place in places)}
        | _amounts(
            sum(sums.was_micro[place] for place in places),
            sum(sums.micro[place] for place in places),
        )
        | {"voucher_part": yuan(drawn[account, month]) if account in prices.vouchers else None}
        for (account, month), places in sorted(groups.items())
    ]
