"""svoucher serve, reconcile: the holds beside Slurm's queue."""

import time
from collections.abc import Mapping
from datetime import date
from typing import Any

import click

from accounting import period
from accounting.book import schema
from accounting.errors import SlurmUnavailable
from accounting.money import yuan, yuan_micro
from accounting.period import clock
from accounting.vouchers import holds
from slurm_voucher import logs, looking, partitions, queue, rebinding, serving
from slurm_voucher.cli.output import Show, output_options
from slurm_voucher.cli.site import CLUSTER, DAYS, TEXT, Site, pass_site


@click.command("serve")
@pass_site
def serve_(site: Site) -> None:
    """Run voucherd in the foreground: it answers the submit hook.

    \b
    Example: svoucher serve
    """
    logs.begin()
    serving.serve(site.config)


@click.command("holds")
@click.argument("account", required=False, type=TEXT)
@click.option(
    "--unsecured",
    is_flag=True,
    help="Jobs in the queue that were let in before voucherd answered, and what is held since.",
)
@output_options
@pass_site
def holds_(site: Site, account: str | None, unsecured: bool, show: Show) -> None:
    """List holds that have not ended, with the job that the queue showed for each.

    \b
    Example: svoucher holds CD26-0001
    """
    with site.read() as conn:
        rows = conn.execute(holds.LIVE.order_by(schema.hold.c.asked_s, schema.hold.c.id)).all()
    if unsecured:
        found = _unsecured(queue.snapshot(), {row.id: row for row in rows})
    else:
        found = [
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
        ]
    show([row for row in found if account in (None, row["account"])])


def _unsecured(snapshot: queue.Snapshot, live: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List jobs that wait or run and say that no answer came, with the hold of each by now."""
    for problem in snapshot.problems:
        click.echo(problem, err=True)
    found: dict[str, dict[str, Any]] = {}
    for job in snapshot.jobs:
        if not job.ended and job.marks.held_micro is None:
            row = live.get(job.hold)
            found[job.hold] = {
                "hold": job.hold,
                "account": job.marks.voucher if row is None else row.account,
                "job": job.array_job_id,
                "uid": job.uid,
                "state": "waiting" if job.waiting else "running",
                "held": None if row is None else yuan_micro(row.live * row.task_micro),
            }
    return list(found.values())


@click.command("rebind")
@click.argument("job", type=int)
@click.argument("account", type=TEXT)
@pass_site
def rebind_(site: Site, job: int, account: str) -> None:
    """Move a waiting job to another voucher account.

    \b
    Example: svoucher rebind 4711 CD26-0002
    """
    cluster = partitions.load(site.config)
    rules = looking.rules(site.engine, cluster)
    new, after, problems = rebinding.rebind(
        site.engine, rules, queue.snapshot(), job, account, int(time.time())
    )
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise SlurmUnavailable(
            f"job {job}: has two holds; run svoucher rebind {job} {account} again"
        )
    click.echo(
        f"job {job}: hold {new} of {account}, {yuan(after.available_fen)} yuan is left there"
    )


@click.command("reconcile")
@click.argument("days", type=DAYS, required=False)
@click.option("--cluster", type=CLUSTER, help="Whose runs; needed with days.")
@click.option("--without-rollup", is_flag=True, help="Do not ask sreport.")
@output_options
@pass_site
def reconcile_(
    site: Site,
    days: tuple[date, date] | None,
    cluster: str | None,
    without_rollup: bool,
    show: Show,
) -> None:
    """Compare some days with slurmdbd; without days bring holds in line with the queue.

    Days are compared run by run with slurmdbd, by account with Slurm's own roll-up, and with what
    was posted; the result stands in the book. Exit 5 when anything differs. Holds voucherd brings
    in line all the time.

    \b
    Example: svoucher reconcile 2026-11-01..2026-11-30 --cluster chengdu
    """
    if days is not None:
        if cluster is None:
            raise click.UsageError("days need --cluster")
        from slurm_voucher.cli import comparing  # loads Arrow

        begin_s = period.instant(days[0], site.policy.timezone)
        window = begin_s, site.instant_after(days[1])
        comparing.compare(site, cluster, window, not without_rollup, show)
        return
    looked = looking.Looker(site.config).look()
    done = looked.done
    click.echo(
        f"{looked.jobs} jobs with a hold in the queue; {len(done.rebuilt)} holds rebuilt, "
        f"{len(done.raised)} raised, {len(done.expired)} expired, {len(done.voided)} voided"
    )
    for problem in done.problems:
        click.echo(problem, err=True)
