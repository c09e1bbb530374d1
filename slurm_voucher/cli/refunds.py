"""svoucher refund: a run that is given back."""

from typing import Any

import click

from accounting.errors import InvalidInput
from accounting.money import yuan, yuan_micro
from accounting.period import clock
from accounting.settle import pricing, refunding, stored
from slurm_voucher.cli.output import say
from slurm_voucher.cli.site import TEXT, Site, pass_site


@click.command("refund")
@click.argument("job", type=TEXT)
@click.option("--reason", required=True, type=TEXT, help="Why; it stands in the book.")
@click.option("--cluster", type=TEXT, help="Where, if the number stands for several.")
@click.option(
    "--start", type=TEXT, help="Which of its runs, by when it began: 2026-11-22T08:00:00+08:00."
)
@pass_site
def refund_(site: Site, job: str, reason: str, cluster: str | None, start: str | None) -> None:
    """Give a run back (退费): what it cost returns to voucher and unit.

    \b
    Example: svoucher refund 16_2 --reason "file system lost its output"
    """
    run = _run(site, job, cluster, start)
    row = refunding.refund(site.engine, site.config.archive, run, reason, site.policy, site.stamp())
    said = f"refund {row['id']}: job {job} of {row['cluster']}, {yuan_micro(row['charge_micro'])}"
    if row["line"] is None:
        say(f"{said} yuan; it was on no statement, and nothing was deducted for it")
        return
    cash = row["fee_fen"] - row["deduction_fen"]
    say(
        f"{said} yuan; recorded on line {row['line']} is fee {yuan(row['fee_fen'])} = voucher "
        f"{yuan(row['deduction_fen'])} + cash {yuan(cash)}; the credit stands on the next statement"
    )


def _run(site: Site, job: str, cluster: str | None, start: str | None) -> tuple[Any, ...]:
    """Find the one run that is meant."""
    with site.read() as conn:
        found = stored.of_job(conn, site.config.archive, job, cluster).to_pylist()
    begun = [
        "never" if row["start_s"] is None else clock(row["start_s"], site.policy.timezone)
        for row in found
    ]
    runs = [row for row, at in zip(found, begun, strict=True) if start in (None, at)]
    if not runs:
        known = f"; its runs began {', '.join(begun)}" if begun else "; collect first"
        raise InvalidInput(f"job {job}: 0 such runs in the archive{known}")
    if len(runs) > 1:
        where = ", ".join(f"{at} on {row['cluster']}" for row, at in zip(found, begun, strict=True))
        raise InvalidInput(
            f"job {job}: stands for {len(runs)} runs, begun {where}; say which with --start and "
            "--cluster"
        )
    return tuple(runs[0][name] for name in pricing.RUN_KEY)
