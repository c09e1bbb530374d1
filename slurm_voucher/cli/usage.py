"""svoucher import, collect, rate: usage in, from a file or from slurmdbd."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import click
import pyarrow as pa

from accounting import period
from accounting.errors import InvalidInput, UsageInvalid
from accounting.money import yuan_micro
from accounting.runs.nodes import Note
from accounting.settle import charging, stored
from accounting.settle.charging import Taken
from slurm_voucher import logs, noting, sweeping, watching
from slurm_voucher.cli import progress
from slurm_voucher.cli.output import say
from slurm_voucher.cli.site import CLUSTER, DAY, Site, pass_site
from slurm_voucher.sources import BadRow, files
from slurm_voucher.sweeping import Sweep, Swept
from slurm_voucher.watching import Watch


class _Reading:
    """What was read so far.

    Attributes:
        rows: How many runs.
        bad: How many rows that cannot be read; each was listed as it came.
        skipped: Rows that are no runs, by reason.
        slow: Rows that the slow reader had to read, as `rows`.
    """

    def __init__(self) -> None:
        self.rows = self.bad = 0
        self.skipped: Counter[str] = Counter()
        self.slow: Counter[str] = Counter()

    def parts(self, found: Iterable[pa.Table | BadRow], despite_bad: bool) -> Iterator[pa.Table]:
        """Yield tables of runs; where bad rows are not to be passed by, none after the first."""
        for each in found:
            if isinstance(each, BadRow):
                self.bad += 1
                click.echo(f"svoucher: {each}", err=True)
            elif despite_bad or not self.bad:
                self.rows += each.num_rows
                yield each
        if self.bad and not despite_bad:
            raise UsageInvalid(
                f"{self.bad} bad rows, 0 are allowed; nothing was taken in. Mend them, or leave "
                "them out with --skip-bad"
            )


def _tell(taken: Taken, read: _Reading | Swept) -> None:
    known = read.rows - taken.new - taken.changed
    click.echo(
        f"{read.rows} runs read: {taken.new} new, {taken.changed} changed, {known} known; "
        f"charged {yuan_micro(taken.charge_micro)} yuan"
    )
    for word, number in (("unrated", taken.unrated), ("without a voucher", taken.unclaimed)):
        if number:
            click.echo(f"{number} of them {word}")
    for reason, number in sorted(read.skipped.items()):
        click.echo(f"{number} rows are no runs: {reason}")
    if read.slow["rows"]:
        click.echo(f"{read.slow['rows']} rows were read slowly: in a form that Slurm seldom writes")
    for path in taken.quarantined:
        click.echo(f"left by an interrupted run, now in {path}", err=True)


def _tell_nodes(note: Note, site: Site) -> None:
    nodes = sum(len(alike.names) for alike in note.nodes)
    cards = sum(len(alike.names) * sum(alike.cards.values()) for alike in note.nodes)
    since = period.clock(note.held_from_s, site.policy.timezone)
    click.echo(
        f"{nodes} nodes with {cards} cards noted, so since {since}; "
        f"{len(note.out)} times out of service"
    )


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--cluster", type=CLUSTER, help="Cluster of the rows; one that says another is refused."
)
@click.option(
    "--fields",
    help="Column names in order, joined by | or comma, or @FILE with them; if there is no header.",
)
@click.option("--timezone", default="UTC", show_default=True, help="Zone of the times.")
@click.option("--skip-bad", is_flag=True, help="Take the good rows in and list the bad ones.")
@click.option(
    "--complete-until",
    type=DAY,
    help="The file has all that ended up to this day; needs --cluster.",
)
@pass_site
def import_(
    site: Site,
    file: Path,
    cluster: str | None,
    fields: str | None,
    timezone: str,
    skip_bad: bool,
    complete_until: date | None,
) -> None:
    """Take usage in from a file that `sacct -P` or `sacct --json` wrote, plain, gzip or zstd.

    \b
    Example: svoucher import jobs.psv.zst --cluster pozidriv --fields @HEADER.txt
    """
    try:
        period.zone(timezone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timezone") from None
    if complete_until is not None and cluster is None:
        raise click.UsageError("--complete-until needs --cluster")
    read = _Reading()
    found = files.read(
        file,
        fields=_fields(fields),
        timezone=timezone,
        cluster=cluster,
        skipped=read.skipped,
        slow=read.slow,
        watched=partial(progress.watched, rows=lambda: read.rows),
    )
    if found.lacks:
        click.echo(f"svoucher: {file} has {found.lacks}; its runs come without", err=True)
    if found.chosen:
        click.echo(
            f"svoucher: {file} has {found.chosen}, whose text users choose: a line feed in it can "
            "look like a row; export without",
            err=True,
        )
    watermark = None
    if complete_until is not None and cluster is not None:
        watermark = (cluster, "ended", site.instant_after(complete_until))
    taken = charging.take_in_parts(
        site.engine,
        site.config.archive,
        read.parts(found.rows, skip_bad),
        site.policy,
        site.stamp(),
        lambda: watermark,
    )
    _tell(taken, read)


def _fields(text: str | None) -> list[str] | None:
    """Read --fields: names joined by | or comma, or the first line of a file."""
    if text is None:
        return None
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8").partition("\n")[0]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is no UTF-8"
            raise InvalidInput(f"--fields {text[1:]}: {reason}; check path and encoding") from None
    return [name.strip() for name in text.replace("|", ",").split(",")]


@click.command("collect")
@click.option("--cluster", required=True, type=CLUSTER, help="Whose runs.")
@click.option("--since", type=DAY, help="First day of the first sweep.  [default: 7 days ago]")
@click.option(
    "--all-states",
    is_flag=True,
    help="Sweep without a state filter: finds states that nobody named.",
)
@click.option("--skip-bad", is_flag=True, help="Leave bad rows out for good.")
@click.option(
    "--nodes",
    is_flag=True,
    help="Note the nodes instead, and when they were out of service; --since: they were so then.",
)
@click.option("--watch", is_flag=True, help="Go on until SIGTERM: when a job ends, and by a timer.")
@click.option(
    "--every",
    type=click.IntRange(10, 86_400),
    default=300,
    show_default=True,
    help="Seconds of that timer.",
)
@click.option(
    "--least",
    type=click.IntRange(1, 86_400),
    default=60,
    show_default=True,
    help="Seconds between two sweeps at the least, however many jobs end.",
)
@pass_site
def collect_(
    site: Site,
    cluster: str,
    since: date | None,
    all_states: bool,
    skip_bad: bool,
    nodes: bool,
    watch: bool,
    every: int,
    least: int,
) -> None:
    """Take in the runs of a cluster that have ended, from slurmdbd by sacct.

    Sweeps overlap, so rows that come late are found; what is known already is left alone. A row
    that cannot be read stops no other, but until it is mended, or left out with --skip-bad, every
    sweep begins where the first one with it did.

    \b
    Example: svoucher collect --cluster chengdu
    """
    if watch:
        if all_states or skip_bad or nodes or since is not None:
            raise click.UsageError("--watch sweeps by itself; leave the other options out")
        logs.begin()
        watched = Watch(site.engine, site.config, cluster, lambda: site.stamp("system"))
        watching.watch(watched, every, least)
        return
    since_s = None if since is None else period.instant(since, site.policy.timezone)
    if nodes:
        if all_states or skip_bad:
            raise click.UsageError("--nodes takes no runs in; leave --all-states, --skip-bad out")
        _tell_nodes(noting.note(site.config, cluster, int(time.time()), since_s), site)
        return
    kind = "all-states" if all_states else "ended"
    sweep = Sweep(cluster, kind, since_s, skip_bad)
    now_s = int(time.time())
    swept = sweeping.run(
        site.engine, site.config, site.policy, site.stamp("system"), sweep, now_s,
        show=progress.watched,
    )  # fmt: skip
    for row in swept.bad:
        click.echo(f"svoucher: {row}", err=True)
    _tell(swept.taken, swept)
    if not swept.complete:
        raise UsageInvalid(
            f"{len(swept.bad)} bad rows were left out, 0 are allowed; mend them, or leave them out "
            "for good with --skip-bad"
        )


@click.command("rate")
@pass_site
def rate_(site: Site) -> None:
    """Rate the unrated runs again, with the price list that is now in force.

    \b
    Example: svoucher rate
    """
    taken = charging.rate_again(site.engine, site.config.archive, site.policy, site.stamp())
    click.echo(
        f"{taken.changed} runs rated, charged {yuan_micro(taken.charge_micro)} yuan; "
        f"{taken.unrated} are still unrated"
    )
    with site.read() as conn:
        rows = stored.unrated(conn, site.config.archive)
    reasons = Counter(rows.column("reason").to_pylist())
    for reason, number in reasons.most_common(20):
        say(f"{number} unrated: {reason}")
