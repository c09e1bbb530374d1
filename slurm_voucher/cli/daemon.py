"""svoucher serve, reconcile: the holds beside Slurm's queue."""

import logging

import click

from accounting.book import schema
from accounting.money import yuan_micro
from accounting.period import clock
from accounting.vouchers import holds
from slurm_voucher import looking, voucherd
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import Site, pass_site


@click.command("serve")
@pass_site
def serve_(site: Site) -> None:
    """Run voucherd in the foreground: it answers the submit hook.

    \b
    Example: svoucher serve
    """
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level="INFO")
    voucherd.serve(site.config)


@click.command("holds")
@click.argument("account", required=False)
@output_options
@pass_site
def holds_(site: Site, account: str | None, show: Show) -> None:
    """List holds that have not ended, with the job that the queue showed for each.

    \b
    Example: svoucher holds CD26-0001
    """
    with site.read() as conn:
        rows = conn.execute(holds.LIVE.order_by(schema.hold.c.asked_s, schema.hold.c.id)).all()
    show(
        [
            {
                "hold": row.id,
                "account": row.account,
                "job": row.job_id,
                "uid": row.uid,
                "asked": clock(row.asked_s, site.policy.timezone),
                "tasks": row.live,
                "held": yuan_micro(row.live * row.task_micro),
            }
            for row in rows
            if account in (None, row.account)
        ]
    )


@click.command("reconcile")
@pass_site
def reconcile_(site: Site) -> None:
    """Bring holds in line with Slurm's queue, once; voucherd does it all the time.

    \b
    Example: svoucher reconcile
    """
    looked = looking.Looker(site.config).look()
    done = looked.done
    click.echo(
        f"{looked.jobs} jobs with a hold in the queue; {len(done.rebuilt)} holds rebuilt, "
        f"{len(done.raised)} raised, {len(done.expired)} expired, {len(done.voided)} voided"
    )
    for problem in done.problems:
        click.echo(problem, err=True)
