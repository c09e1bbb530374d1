"""sweeping.py: nothing is missed, and slurmdbd is asked for a few hours at a time."""

import re
from itertools import pairwise
from pathlib import Path

import archived
import delivery
import pytest
from delivery import NOVEMBER
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from town import CLUSTER, Town, instant, stamp

from accounting.book import schema
from accounting.errors import SlurmUnavailable
from accounting.runs import watermarks
from slurm_voucher import config, sweeping, times
from slurm_voucher.sweeping import OVERLAP_S, STRETCH_S, Sweep, Swept

NOW_S = instant(NOVEMBER)
HOUR = 3_600
DOWN = 'echo "sacct: error: slurmdbd: connection refused" >&2; exit 1\n'


class Slurmdbd:
    """sacct on PATH: prints the runs whose end lies in the window that it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "rows").mkdir()
        self.heal()

    def heal(self, before: str = "") -> None:
        """Answer again, after a few lines of shell."""
        script = f"""#!/bin/sh
cd {self.folder}
echo "$*" >> asked.txt
{before}
from= until=
while [ $# -gt 0 ]; do
    case $1 in -S) from=$2;; -E) until=$2;; esac
    shift
done
for file in rows/*; do
    [ -e "$file" ] || continue
    at=${{file#rows/}}; at=${{at%_*}}
    if [ ! "$at" \\< "$from" ] && [ ! "$at" \\> "$until" ]; then cat "$file"; fi
done
"""
        (self.folder / "sacct").write_text(script)
        (self.folder / "sacct").chmod(0o755)

    def has(self, job: int, end_s: int, comment: str = "") -> None:
        """Let a job of one hour on one core have ended."""
        start, end = times.utc(end_s - HOUR), times.utc(end_s)
        row = [job, job, CLUSTER, start, start, end, HOUR, "00:00:00", "COMPLETED", "core",
               "normal", "lab", "li", 1001, 1, 1, "", "cpu=1,node=1", comment]  # fmt: skip
        (self.folder / "rows" / f"{end}_{job}").write_text("|".join(map(str, row)) + "\n")

    def asked(self) -> list[tuple[str, str]]:
        """Return the windows that were asked for since the last time."""
        file = self.folder / "asked.txt"
        found = re.findall(r"-S (\S+) -E (\S+)", file.read_text()) if file.exists() else []
        file.unlink(missing_ok=True)
        return found


@pytest.fixture
def slurmdbd(tmp_path: Path, monkeypatch) -> Slurmdbd:
    """A sacct that answers."""
    fake = Slurmdbd(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


@pytest.fixture
def shop(town: Town) -> Town:
    """The town at round prices."""
    delivery.load_prices(town)
    return town


def sweep(town: Town, now_s: int = NOW_S, stop=lambda: False, **changes) -> Swept:
    """Sweep once."""
    site = config.Config(
        home=town.archive.parent, book="", archive=town.archive, papers=town.archive, socket="/x",
        slurm_uid=0, snapshot_s=30, default_qos="normal",
    )  # fmt: skip
    which = Sweep(CLUSTER, **changes)
    return sweeping.run(town.engine, site, town.policy, stamp(), which, now_s, stop)


def jobs(town: Town) -> list[int]:
    """Return the jobs that the archive has."""
    with town.begin() as conn:
        return sorted(archived.current(conn, town.archive, CLUSTER).column("job_id").to_pylist())


def mark(town: Town, kind: str = "ended") -> int | None:
    """Return the watermark."""
    with town.begin() as conn:
        return watermarks.by_cluster(conn, kind).get(CLUSTER)


@given(st.integers(0, 10**6), st.integers(-100, 10**6), st.integers(1, 10**5))
def test_stretches_leave_nothing_out(begin_s: int, length_s: int, size_s: int) -> None:
    """Stretches begin and end where the time does, each where the one before ends, none is longer
    than it may be unless there were too many, and there is always one."""
    cut = list(sweeping.stretches(begin_s, begin_s + length_s, size_s))
    assert cut[0][0] == begin_s
    assert cut[-1][1] == begin_s + length_s
    assert all(a[1] == b[0] for a, b in pairwise(cut))
    longest_s = max(end_s - from_s for from_s, end_s in cut)
    assert longest_s <= max(size_s, -(-length_s // sweeping.STRETCHES_MAX))
    assert len(cut) <= sweeping.STRETCHES_MAX


def test_the_first_sweep_reaches_back_a_week(shop: Town, slurmdbd: Slurmdbd) -> None:
    """Without a watermark a week is asked for, a day and a little at a time; the next sweep asks
    for an hour."""
    slurmdbd.has(1, NOW_S - 6 * 86_400)
    slurmdbd.has(2, NOW_S - 10)
    swept = sweep(shop)
    assert (swept.rows, swept.taken.new) == (2, 2)
    asked = slurmdbd.asked()
    assert len(asked) == 7
    assert asked[0][0] == times.utc(NOW_S - 7 * 86_400)
    assert mark(shop) == NOW_S
    sweep(shop, NOW_S + 60)
    assert slurmdbd.asked() == [(times.utc(NOW_S - OVERLAP_S), times.utc(NOW_S + 60))]
    assert jobs(shop) == [1, 2]


def test_slurmdbd_down_for_hours(shop: Town, slurmdbd: Slurmdbd) -> None:
    """While slurmdbd is away nothing moves; once it is back everything comes, in stretches, and a
    stretch that is in is in, whatever becomes of the next."""
    sweep(shop)
    slurmdbd.asked()
    for i in range(30):
        slurmdbd.has(10 + i, NOW_S + i * HOUR)
    slurmdbd.heal(DOWN)
    later_s = NOW_S + 30 * HOUR
    with pytest.raises(SlurmUnavailable, match="connection refused"):
        sweep(shop, later_s)
    assert (mark(shop), jobs(shop)) == (NOW_S, [])
    slurmdbd.heal(f'case "$*" in *"-E {times.utc(later_s)}"*) exit 1;; esac\n')
    slurmdbd.asked()
    with pytest.raises(SlurmUnavailable):
        sweep(shop, later_s)
    reached_s = mark(shop)
    assert reached_s == NOW_S - OVERLAP_S + STRETCH_S
    slurmdbd.heal()
    sweep(shop, later_s)
    assert jobs(shop) == list(range(10, 40))
    assert mark(shop) == later_s


def test_rows_that_slurmctld_still_has(shop: Town, slurmdbd: Slurmdbd) -> None:
    """While rows wait for slurmdbd, what comes is taken in, only the last hour is asked for, and
    the watermark stays; so rows that come hours late are found."""
    sweep(shop)
    slurmdbd.asked()
    slurmdbd.has(1, NOW_S + 10 * HOUR)
    assert sweep(shop, NOW_S + 10 * HOUR, settled=False).taken.new == 1
    assert slurmdbd.asked() == [(times.utc(NOW_S + 9 * HOUR), times.utc(NOW_S + 10 * HOUR))]
    assert mark(shop) == NOW_S
    slurmdbd.has(2, NOW_S + 2 * HOUR)  # eight hours late
    sweep(shop, NOW_S + 10 * HOUR)
    assert jobs(shop) == [1, 2]
    assert mark(shop) == NOW_S + 10 * HOUR


def test_a_clock_that_was_put_back(shop: Town, slurmdbd: Slurmdbd) -> None:
    """A watermark from a clock that ran ahead hides no run: until the clock has caught up each
    sweep asks for its last hour, and the watermark stays where it was."""
    ahead_s = NOW_S + 3 * 86_400
    sweep(shop, ahead_s)
    slurmdbd.asked()
    slurmdbd.has(1, NOW_S + 60)
    sweep(shop, NOW_S + 600)
    assert slurmdbd.asked() == [(times.utc(NOW_S + 600 - OVERLAP_S), times.utc(NOW_S + 600))]
    assert jobs(shop) == [1]
    assert mark(shop) == ahead_s


def test_a_bad_row_in_a_stretch(shop: Town, slurmdbd: Slurmdbd) -> None:
    """A row that cannot be read stops the watermark before its stretch, and no other row."""
    slurmdbd.has(1, NOW_S - 30 * HOUR)
    slurmdbd.has(2, NOW_S - 20 * HOUR, comment="hold=a;hold=b")
    slurmdbd.has(3, NOW_S - 10 * HOUR)
    swept = sweep(shop)
    assert [row.column for row in swept.bad] == ["AdminComment"]
    assert not swept.complete
    assert jobs(shop) == [1, 3]
    stopped_s = mark(shop)
    assert stopped_s is not None
    assert NOW_S - 20 * HOUR - STRETCH_S <= stopped_s < NOW_S - 20 * HOUR
    assert sweep(shop, skip_bad=True).complete
    assert mark(shop) == NOW_S


def test_a_sweep_that_is_told_to_stop(shop: Town, slurmdbd: Slurmdbd) -> None:
    """Told to stop, it ends after the stretch that it is in; the next one goes on from there."""
    slurmdbd.has(1, NOW_S - 10)
    swept = sweep(shop, stop=lambda: True)
    assert swept.until_s == mark(shop) == NOW_S - 7 * 86_400 + STRETCH_S
    assert jobs(shop) == []
    sweep(shop)
    assert jobs(shop) == [1]


def test_each_kind_has_its_watermark(shop: Town, slurmdbd: Slurmdbd) -> None:
    """A sweep without a filter asks for days, names no state, and moves a mark of its own."""
    sweep(shop, kind="all-states")
    text = (slurmdbd.folder / "asked.txt").read_text()
    assert len(slurmdbd.asked()) == 7
    assert " -s " not in text
    assert (mark(shop), mark(shop, "all-states")) == (None, NOW_S)
    with shop.begin() as conn:
        assert len(conn.execute(select(schema.watermark)).all()) == 1
