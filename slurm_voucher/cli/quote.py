"""svoucher quote: what a job can cost at most, asked before it is submitted."""

from typing import Any

import click

from slurm_voucher import answers, looking, partitions, times, tres
from slurm_voucher.cli.output import say
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

    Without a book here the site's voucherd is asked (--at), by one's own uid.

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
    if site.at is not None:
        told = site.ask("quote", fields=given, account=voucher)
    else:
        rules = looking.rules(site.engine, partitions.load(site.config))
        with site.read() as conn:
            told = answers.quote(conn, rules, given, voucher, None, site.effective_s)
    for line in told:
        say(line)


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
