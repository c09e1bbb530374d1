"""svoucher archive: what the usage archive has, whether it is sound, and fewer files of it."""

import click

from accounting.money import yuan_micro
from accounting.proof import inventory
from accounting.runs import places
from accounting.settle import compacting, summing
from slurm_voucher.cli.output import Show, output_options, show_json
from slurm_voucher.cli.site import CLUSTER, MONTH, Site, pass_site


@click.group("archive")
def archive_() -> None:
    """The usage archive: list, verify, compact."""


@archive_.command("list")
@click.option("--cluster", type=CLUSTER, help="Only this cluster's.")
@click.option("--files", is_flag=True, help="Every file by itself, with its SHA-256.")
@output_options
@pass_site
def list_(site: Site, cluster: str | None, files: bool, show: Show) -> None:
    """List what the archive has by cluster and month, all revisions of all runs.

    \b
    Example: svoucher archive list --files --json
    """
    with site.read() as conn:
        if files:
            where = {} if cluster is None else {"cluster": cluster}
            names = ("path", "cluster", "month", "rows", "size_bytes", "sha256")
            found = places.files(conn, **where)
            show([{name: getattr(file, name) for name in names} for file in found])
            return
        rows = inventory.listed(conn, cluster)
    show([row | {"charge": yuan_micro(int(row.pop("charge_micro")))} for row in rows])


@archive_.command("verify")
@output_options
@pass_site
def verify_(site: Site, show: Show) -> None:
    """Check every file against the book, and every run against all others; exit 5 on a finding.

    \b
    Example: svoucher archive verify --json
    """
    with site.read() as conn:
        found = list(inventory.findings(conn, site.config.archive, site.policy.timezone))
        count = len(places.files(conn))
    if found or show is show_json:
        show([vars(each) for each in found])
    inventory.must_be_sound(found)
    if show is not show_json:
        click.echo(f"archive: {count} files, 0 findings")


@archive_.command("compact")
@click.argument("month", type=MONTH)
@click.option("--cluster", required=True, type=CLUSTER, help="Whose.")
@pass_site
def compact_(site: Site, month: str, cluster: str) -> None:
    """Make one file of the many of a closed month; statements and claims stay what they are.

    The small files are kept in compacted/ beside the archive; nothing reads them any more.

    \b
    Example: svoucher archive compact 2026-11 --cluster chengdu
    """
    row = compacting.compact(site.engine, site.config.archive, cluster, month, site.stamp())
    if row is None:
        click.echo(f"{month} of {cluster}: stands in one file already, or there is nothing of it")
        return
    with site.read() as conn:
        files = places.files(conn, cluster=cluster)
    summing.prepare(site.config.archive, files, site.policy.timezone)
    click.echo(
        f"{month} of {cluster}: {row['rows']} rows of {row['files']} files are in {row['path']} "
        f"now, {row['size_bytes']} bytes"
    )
