"""svoucher quote, balance, jobs, explain: what a researcher asks."""

from typing import Any

import click
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from accounting.book import ledger, schema
from accounting.errors import InvalidInput
from accounting.money import MICRO_PER_FEN, fen_up, yuan, yuan_micro
from accounting.period import clock, day_of
from accounting.policy import states_of
from accounting.rates import explaining, pricelists, quoting
from accounting.runs import usage
from accounting.runs.run import Run
from accounting.settle import shares, stored
from accounting.vouchers import holds
from accounting.vouchers.holds import Position
from slurm_voucher import estimate, partitions, times, tres
from slurm_voucher.cli.output import Show, output_options, say
from slurm_voucher.cli.site import TEXT, Site, pass_site


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
        most = quoting.most(prices, job.kind, job.limit_s, site.effective_s, window)
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
        return tres.memory_mb(text) if text else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--mem") from None


def _minutes(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return times.limit_minutes(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}", param_hint="--time") from None


@click.command("balance")
@click.argument("account", required=False)
@output_options
@pass_site
def balance_(site: Site, account: str | None, show: Show) -> None:
    """Show what is settled, accrued, held and free on voucher accounts, in yuan.

    voucher = deducted + accrued half + held half + free, and the same for cash.

    \b
    Example: svoucher balance CD26-0001
    """
    with site.read() as conn:
        query = select(schema.contract).order_by(schema.contract.c.seq)
        rows = conn.execute(query.filter_by(account=account) if account else query).all()
        if not rows:
            raise InvalidInput(
                f"account {account or ''}: not in the book; see svoucher contract list"
            )
        show([_balance(site, conn, row) for row in rows])


def _balance(site: Site, conn: Any, contract: Any) -> dict[str, str | None]:
    where: Position = holds.position(conn, contract.account, site.policy)
    issued = deducted = 0
    for voucher in holds.vouchers(conn, contract.account):
        issued += voucher.amount_fen
        deducted += ledger.balance(conn, "voucher.deducted", voucher.id) // MICRO_PER_FEN
    window = holds.validity(conn, contract.account)
    last_day = day_of(window[1] - 1, site.policy.timezone).isoformat() if window else None
    return {
        "account": contract.account,
        "unit": contract.unit,
        "voucher": yuan(issued),
        "deducted": yuan(deducted),
        "accrued": yuan_micro(where.accrued_micro),
        "held": yuan_micro(where.held_micro),
        "free": yuan(where.free_fen),
        "cash": yuan(where.cash_fen),
        "cash_free": yuan(where.free_cash_fen),
        "owed": yuan(where.owed_fen),
        "available": yuan(where.available_fen),
        "last_day": last_day,
    }


@click.command("jobs")
@click.argument("account", required=False)
@click.option("--cluster", help="Only of this cluster.")
@output_options
@pass_site
def jobs_(site: Site, account: str | None, cluster: str | None, show: Show) -> None:
    """List runs that have ended, with what they cost.

    \b
    Example: svoucher jobs CD26-0001
    """
    rows = _stored(site, cluster)
    if account:
        own = pc.fill_null(rows.column("account").cast(pa.string()), "")
        rows = rows.filter(pc.equal(own, account))
    show(
        [
            {
                "job": row["job"],
                "cluster": row["cluster"],
                "partition": row["partition"],
                "user": row["user"],
                "state": row["state"],
                "ended": clock(row["end_s"], site.policy.timezone),
                "elapsed_s": row["elapsed_s"],
                "gres": row["gres"],
                "account": row["account"],
                "status": row["status"],
                "charge": yuan_micro(row["charge_micro"]),
                "reason": row["reason"],
            }
            for row in rows.to_pylist()
        ]
    )


def _stored(site: Site, cluster: str | None) -> pa.Table:
    """Return the runs in the archive, of one cluster or of all."""
    with site.read() as conn:
        query = select(schema.segment.c.cluster).distinct().order_by(schema.segment.c.cluster)
        known = conn.execute(query).scalars().all()
        if cluster is not None and cluster not in known:
            raise InvalidInput(f"cluster {cluster}: 0 runs in the archive; run svoucher collect")
        parts = [
            stored.current(conn, site.config.archive, name)
            for name in known
            if cluster in (None, name)
        ]
    return pa.concat_tables([usage.STORED.empty_table(), *parts]).unify_dictionaries()


@click.command("explain")
@click.argument("job", type=TEXT)
@click.option("--cluster", help="Where, if the number stands for several.")
@pass_site
def explain_(site: Site, job: str, cluster: str | None) -> None:
    """Show one charge line by line, computed again from the archive.

    \b
    Example: svoucher explain 16_2
    """
    with site.read() as conn:
        found = stored.of_job(conn, site.config.archive, job, cluster)
    if not found.num_rows:
        raise InvalidInput(f"job {job}: 0 runs in the archive; collect first, or it has not ended")
    for run, row in zip(usage.runs(found), found.to_pylist(), strict=True):
        _explain(site, run, row)


def _explain(site: Site, run: Run, row: dict[str, Any]) -> None:
    account = row["account"]
    with site.read() as conn:
        prices = pricelists.loaded(conn, row["tariff"])
        window = holds.validity(conn, account) if account else None
        explained = explaining.explain(run, prices, states_of(site.policy), window)
        share = shares.of_run(conn, site.config.archive, run, account) if account else None
    for line in explained.lines():
        say(line)
    if account is None:
        click.echo("no voucher account: charged to nobody")
    elif share is not None:
        click.echo(
            f"voucher account {account}, statement line {share.line}: fee {yuan(share.fee_fen)} ="
            f" voucher {yuan(share.deduction_fen)} + cash"
            f" {yuan(share.fee_fen - share.deduction_fen)}"
        )
    elif row["status"] != "charged":
        click.echo(f"voucher account {account}: nothing to share")
    else:
        click.echo(
            f"voucher account {account}: accrued, or on a statement with corrections, whose lines "
            "are net and have no shares of single runs"
        )
    click.echo(f"policy {site.policy.name} ({site.policy.source})")
