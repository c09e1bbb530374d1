"""svoucher reconcile DAYS: do ours, slurmdbd, its roll-up and the postings say the same?"""

import time
from collections import Counter
from dataclasses import asdict

import click
import pyarrow as pa

from accounting import period
from accounting.errors import InvalidInput, InvariantBroken, UsageInvalid
from accounting.money import yuan_micro
from accounting.proof import comparing
from accounting.proof.comparing import Difference, Figures, Result
from accounting.runs import usage
from slurm_voucher.cli.output import Show, show_json
from slurm_voucher.cli.site import Site
from slurm_voucher.logins import Login
from slurm_voucher.sources import BadRow, rollup, sacct_query
from slurm_voucher.sources.states import ENDED
from slurm_voucher.sweeping import read_all

DAY_S = 86_400
"""How much slurmdbd is asked for at once."""


def compare(
    site: Site, cluster: str, window: tuple[int, int], with_rollup: bool, show: Show
) -> None:
    """Compare the days of a window, write the result into the book, and say what differs.

    Raises:
        InvalidInput: The days are not over, or not rolled up yet.
        InvariantBroken: Something differs.
    """
    if time.time() < window[1] + rollup.LATE_S:
        raise InvalidInput(
            f"reconcile: the days end {period.clock(window[1], site.policy.timezone)} and are "
            "rolled up an hour later; reconcile days that are over"
        )
    result = _result(site, cluster, window, with_rollup)
    with site.begin() as conn:
        comparing.enter(conn, result, site.stamp("system"))
    rows = [asdict(each) for each in result.differences]
    if show is show_json or rows:
        show(rows)
    if show is not show_json:
        _tell(result)
    if rows:
        raise InvariantBroken(
            f"reconcile: {len(rows)} differences, 0 are allowed; collect the days again "
            "(--since), then see what is left"
        )


def _result(site: Site, cluster: str, window: tuple[int, int], with_rollup: bool) -> Result:
    zone, root = site.policy.timezone, site.config.archive
    login = site.config.ssh.get(cluster)
    touching, bad = _touching(window, cluster, login)
    theirs = comparing.ended(touching, *window)
    differences = [Difference("slurmdbd", f"row {row.line}", str(row)) for row in bad]
    used: Counter[tuple[str, str, str]] = Counter()
    rolled: Counter[tuple[str, str, str]] = Counter()
    if with_rollup:
        try:
            rolled = rollup.used(*window, cluster, login)
        except ValueError as error:
            raise UsageInvalid(
                f"reconcile: {error}, and days of {zone} begin within one; use --without-rollup"
            ) from None
        used = comparing.used(touching, window) + rollup.going_on(*window, cluster, login)
        differences += comparing.rolled_up(used, rolled)
    with site.read() as conn:
        stored = comparing.ours(conn, root, cluster, window, theirs, zone)
        months = [period.month_of(window[0], zone)]
        while months[-1] != period.month_of(window[1] - 1, zone):
            months.append(period.following(months[-1]))
        wrong, charged, posted = comparing.posted(conn, root, months)
    differences += [*comparing.runs(stored, theirs, window), *wrong]
    return Result(
        cluster,
        window,
        comparing.figures(comparing.ended(stored, *window)),
        comparing.figures(theirs),
        _cards_s(used) if with_rollup else None,
        _cards_s(rolled) if with_rollup else None,
        charged,
        posted,
        sorted(differences),
    )


def _cards_s(used: comparing.Used) -> int:
    """Add up the seconds of cards."""
    return sum(seconds for key, seconds in used.items() if key[2] == comparing.CARD)


def _touching(
    window: tuple[int, int], cluster: str, login: Login | None
) -> tuple[pa.Table, list[BadRow]]:
    """Return slurmdbd's runs of a window, a day at a time: those that ended in it, and, whatever
    their state, those that touch it. A run that was cancelled while it waited anew shows only
    where states are named."""
    rows, bad = [usage.USAGE.empty_table()], set()
    for begin_s in range(*window, DAY_S):
        end_s = min(begin_s + DAY_S, window[1])
        for states in (tuple(ENDED.values()), None):
            found = sacct_query.ended(begin_s, end_s, cluster, login=login, states=states)
            runs, unread = read_all(found)
            rows.append(runs)
            bad |= set(unread)
    return comparing.once(pa.concat_tables(rows).unify_dictionaries()), sorted(bad, key=str)


def _tell(result: Result) -> None:
    for name, each in (("ours", result.ours), ("slurmdbd", result.theirs)):
        click.echo(f"{name}: {_said(each)}")
    if result.rolled_card_s is None:
        click.echo("roll-up: not asked")
    else:
        click.echo(
            f"within the days: {result.runs_card_s} card-seconds of runs, "
            f"{result.rolled_card_s} by sreport"
        )
    click.echo(
        f"the months: {yuan_micro(result.charged_micro)} yuan charged to accounts, "
        f"{yuan_micro(result.posted_micro)} posted; {len(result.differences)} differences"
    )


def _said(each: Figures) -> str:
    return f"{each.runs} runs ended, {each.elapsed_s} s, {each.card_s} card-seconds"
