"""svoucher jobs, explain: what a researcher asks after a job, answered from the archive."""

from typing import Any

import click
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import select

from accounting.book import schema
from accounting.errors import InvalidInput
from accounting.money import yuan, yuan_micro
from accounting.period import clock
from accounting.policy import states_of
from accounting.rates import explaining, pricelists
from accounting.runs import usage
from accounting.runs.run import Run
from accounting.settle import refunding, shares, stored
from accounting.vouchers import holds
from slurm_voucher.cli.output import Show, output_options, say
from slurm_voucher.cli.site import TEXT, Site, pass_site


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
        prices = (
            pricelists.nothing(site.policy.timezone)
            if row["tariff"] == pricelists.NO_TARIFF
            else pricelists.loaded(conn, row["tariff"])
        )
        window = holds.validity(conn, account) if account else None
        discount = pricelists.discount_of(conn, prices, account)
        explained = explaining.explain(run, prices, states_of(site.policy), window, discount)
        share = None
        if account:
            known = (run, row["revision"], account, site.policy)
            share = shares.of_run(conn, site.config.archive, *known)
    for line in explained.lines():
        say(line)
    if account is None:
        click.echo("no voucher account: charged to nobody")
    elif share is not None:
        borne = "".join(f"voucher {name} {yuan(fen)} + " for name, fen in share.borne_fen.items())
        borne = borne or f"voucher {yuan(share.deduction_fen)} + "
        click.echo(
            f"voucher account {account}, statement line {share.line}: fee {yuan(share.fee_fen)} ="
            f" {borne}cash {yuan(share.fee_fen - share.deduction_fen)}"
        )
    elif said := _refund(site, run):
        say(said)
    elif row["status"] != "charged":
        click.echo(f"voucher account {account}: nothing to share")
    else:
        click.echo(
            f"voucher account {account}: accrued, or on a statement with corrections, which is net "
            "and not the sum of runs"
        )
    how = site.policy.states.get(run.state)
    rules = "rating.states" + (f".{how}" if how else "") + (", deduct.ratio" if share else "")
    click.echo(f"by policy {site.policy.name} ({site.policy.source}): {rules}")


def _refund(site: Site, run: Run) -> str:
    """Say that a run was refunded, and where its credit stands; nothing if it was not."""
    with site.read() as conn:
        found = refunding.of_run(conn, (run.cluster, run.job_id, run.submit_s, run.start_s))
    if found is None:
        return ""
    said = f"voucher account {found['account']}: refunded by {found['id']} ({found['reason']})"
    if found["line"] is None:
        return f"{said}; it was on no statement, and nothing was deducted for it"
    credit = f"credited on line {found['credit']}" if found["credit"] else "to be credited"
    return (
        f"{said}; recorded on line {found['line']} was fee {yuan(found['fee_fen'])} = voucher "
        f"{yuan(found['deduction_fen'])} + cash {yuan(found['fee_fen'] - found['deduction_fen'])}, "
        f"{credit}"
    )
