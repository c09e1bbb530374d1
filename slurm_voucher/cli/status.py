"""svoucher status: how voucherd does, and what is held."""

import click
from sqlalchemy import func, select

from accounting.book import schema
from accounting.money import yuan_micro
from slurm_voucher import listening
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import Site, pass_site

STATUS = {
    "asked": "questions since voucherd was started",
    "refused": "refused",
    "unavailable": "no answer because of the book",
    "mistakes": "mistakes of voucherd, see its log",
    "missed": "questions that the hook had no answer to",
    "waiting": "changes of holds that wait for the book",
    "self_paid": "waiting jobs that their voucher did not cover and that go on as self-pay",
    "ended": "running jobs that were ended, as the site says of their account",
    "looked_ago_s": "seconds since the last look at the queue",
}
"""voucherd's figures, and what each is called."""


@click.command("status")
@output_options
@pass_site
def status_(site: Site, show: Show) -> None:
    """Say how voucherd does: what it was asked, and what the hook had no answer to.

    \b
    Example: svoucher status
    """
    told = listening.ask(site.config.socket, "STATUS")
    hold = schema.hold.c
    query = select(func.count(), func.sum(hold.live * hold.task_micro)).where(hold.live > 0)
    with site.read() as conn:
        count, micro = conn.execute(query).one()
    figures = dict.fromkeys(STATUS, "0") | {"looked_ago_s": "unknown"}
    figures |= {name: figure for name, figure in told.items() if name in STATUS}
    figures |= {"holds": str(count), "held": yuan_micro(int(micro or 0))}
    show([{"what": STATUS.get(name, name), "figure": figure} for name, figure in figures.items()])
