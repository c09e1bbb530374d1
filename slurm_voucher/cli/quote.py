"""svoucher quote: what a job can cost at most, asked before it is submitted."""

from typing import Any

import click

from accounting.money import fen_up, yuan
from accounting.rates import pricelists, quoting
from accounting.vouchers import holds
from slurm_voucher import estimate, partitions, times, tres
from slurm_voucher.cli.site import Site, pass_site


@click.command("quote")
@click.option("-p", "--partition", help="[default: the cluster's]")
@click.option("--gres", default="", help="As for sbatch, for each node: gpu:ascend_910b:8.")
@click.option("-t", "--time", "time_limit", help="Time limit, as for sbatch.")
@click.option("-N", "--nodes", type=click.IntRange(min=1))
@click.option("-n", "--ntasks", type=click.IntRange(min=1))
@click.option("-c", "--cpus-per-task", type=click.IntRange(min=1))
@click.option("--mem", help="As for sbatch, for each node: 64G, or 4000 in MiB.")
@click.option("-a", "--array", default="", help="As for sbatch: 1-10%2.")
@click.option("-q", "--qos", help="[default: the site's]")
@click.option("--voucher", help="Would it be accepted on this account now?")
@pass_site
def quote_(site: Site, voucher: str | None, time_limit: str | None, **asked: Any) -> None:
    """Show the most that a job can cost.

    \b
    Example: svoucher quote -p ai --gres=gpu:ascend_910b:8 -t 2:00:00
    """
    fields = {
        "partition": asked["partition"],
        "qos": asked["qos"],
        "tres_per_node": asked["gres"],
        "array": asked["array"],
        "min_nodes": asked["nodes"],
        "num_tasks": asked["ntasks"],
        "cpus_per_task": asked["cpus_per_task"],
        "mem_per_node_mb": _memory_mb(asked["mem"]),
        "time_limit": _minutes(time_limit),
    }
    given = {name: str(value) for name, value in fields.items() if value}
    cluster = partitions.load(site.config.default_qos)
    job = estimate.most(given, cluster)
    with site.read() as conn:
        prices = pricelists.loaded(conn)
        window = holds.validity(conn, voucher) if voucher else None
        kind = job.kind._replace(discount=pricelists.discount_of(conn, prices, voucher))
        most = quoting.most(prices, kind, job.limit_s, site.effective_s, window)
        click.echo(
            f"{job.tasks} × {most.basis.chip or f'{job.kind.cpus} cores'} {job.kind.gres or ''} for"
            f" {job.limit_s} s on {cluster.name}/{job.kind.partition}: at most"
            f" {yuan(fen_up(job.tasks * most.fee_micro))} yuan by tariff {most.tariff}"
        )
        if voucher:
            request = holds.Request(
                "", cluster.name, voucher, 0, job.tasks, most.fee_micro, most.eligible_micro, given
            )
            before, after = holds.fit(conn, request, site.policy, site.effective_s)
            click.echo(
                f"voucher {voucher}: would be accepted, {yuan(before.available_fen)} yuan is"
                f" available; voucher part {yuan(after.held_share_fen - before.held_share_fen)}"
            )


def _memory_mb(text: str | None) -> int | None:
    try:
        return tres.asked_mb(text) if text else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--mem") from None


def _minutes(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return times.limit_minutes(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}", param_hint="--time") from None
