"""Jobs that go on over a month's end: close names them, and they are charged when they end."""

from pathlib import Path

import pytest
from fakeslurm import FakeSlurm, recorded
from homes import Home, an_account, furnished, one_line

from accounting.book import ledger
from accounting.errors import UsageInvalid
from accounting.vouchers import holds, releasing
from slurm_voucher import config, times
from slurm_voucher.cli.site import Site
from slurm_voucher.sources import running
from slurm_voucher.sources.running import Running

END_S = times.epoch_s("2026-11-30T16:00:00", "UTC")
"""The end of November in Chengdu."""
ROW = "{job}|chengdu|2026-11-30T{start}|{end}|{partition}|{user}"


def row(job: str, start: str = "12:00:00", **changes: str) -> str:
    """Make a row of sacct: a job that began 4 hours before the month's end."""
    facts = {"end": "Unknown", "partition": "ai", "user": "li"} | changes
    return ROW.format(job=job, start=start, **facts)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch) -> FakeSlurm:
    """Slurm's commands on PATH; sacct notes what it was asked, and says what is in sacct.txt."""
    fake = FakeSlurm(tmp_path / "bin")
    sacct = fake.folder / "sacct"
    sacct.write_text(
        f'#!/bin/sh\ncd {fake.folder}\necho "$*" >> asked.txt\n'
        "if [ -e sacct.fails ]; then cat sacct.fails >&2; exit 1; fi\ncat sacct.txt\n"
    )
    sacct.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


@pytest.fixture
def home(tmp_path: Path, monkeypatch) -> Home:
    """A rehearsal in December, with an account of cdaicc and another provider."""
    made = furnished(tmp_path / "home")
    an_account(made)
    made.ok("provider", "add", "nscc-cd", "成都超算")
    monkeypatch.setattr(Site, "now_s", END_S + 86_400)
    return made


def closed(home: Home, *options: str) -> list[str]:
    """Close November, and return what is said."""
    return home.ok("--as-of", "2026-12-02", "close", "2026-11", *options).splitlines()


def test_recorded_jobs() -> None:
    """Of a real 26.05: one that has ended since, and one that still runs."""
    one, two = running.read(recorded("running.txt"), "chengdu")
    at_s = times.epoch_s("2026-11-27T23:01:23", "UTC")
    assert (one.job, one.end_s) == ("1", at_s + 12)
    assert two == Running("2", "ai", "alice", at_s, None)


def test_over_the_end_and_not_beside_it(slurm: FakeSlurm) -> None:
    """What ended at the month's last instant is the next month's, what began then did not go on
    over it, and what waits has not begun; sacct is asked for that one second."""
    rows = [
        row("1", end="2026-11-30T15:59:59"),
        row("2", end="2026-11-30T16:00:00"),
        row("3", start="16:00:00"),
        row("4_[1-9]", start="").replace("2026-11-30T|", "Unknown|"),
        row("5_2", start="11:00:00"),
        row("6+1", end="2026-12-01T00:00:00"),
    ]
    slurm.says("sacct.txt", "".join(f"{each}\n" for each in rows))
    found = running.over(END_S, "chengdu")
    assert [(each.job, each.number) for each in found] == [("5_2", 5), ("2", 2), ("6+1", 6)]
    [asked] = (slurm.folder / "asked.txt").read_text().splitlines()
    assert "-S 2026-11-30T16:00:00 -E 2026-11-30T16:00:01 -s R,S --format=JobID,Cluster," in asked


@pytest.mark.parametrize(
    "line",
    ["1|elsewhere|x|x|ai|li", "1|chengdu|x|Unknown|ai|li", "|chengdu|x|x|ai|li", "1|chengdu"],
)
def test_what_is_no_running_job(line: str) -> None:
    """A row of another cluster, or one that cannot be read, is refused by its line."""
    with pytest.raises(UsageInvalid, match="sacct: line 2"):
        list(running.read(f"{row('1')}\n{line}\n", "chengdu"))


def test_close_names_them(home: Home, slurm: FakeSlurm) -> None:
    """Each provider's jobs are named with who runs them, and sacct is asked once; a partition that
    nobody priced may be anybody's. What users call themselves reaches no terminal as it is."""
    slurm.says(
        "sacct.txt",
        "\n".join(
            [row("7"), row("8", partition="whole", user="wang\x1b[2J"), row("9", partition="x")]
        )
        + "\n",
    )
    said = closed(home)
    since = "since 2026-11-30T20:00:00+08:00"
    assert said == [
        "2026-11 is closed for cdaicc: 0 statements",
        "2 jobs of chengdu went on over its end; charged when they end:",
        f"  job 7 in ai {since}, li",
        f"  job 9 in x {since}, li",
        "2026-11 is closed for nscc-cd: 0 statements",
        "2 jobs of chengdu went on over its end; charged when they end:",
        f"  job 8 in whole {since}, wang\\x1b[2J",
        f"  job 9 in x {since}, li",
    ]
    asked = (slurm.folder / "asked.txt").read_text().splitlines()
    assert len(asked) == 2  # chengdu, and pozidriv, whose price list is there as well
    slurm.says("sacct.txt", "".join(f"{row(str(i))}\n" for i in range(1, 25)))
    assert closed(home, "--provider", "cdaicc")[-1] == "  and 4 more"


def test_of_an_account_those_that_hold_on_it(home: Home, slurm: FakeSlurm) -> None:
    """AdminComment comes to sacct at a job's end: until then its hold says whose it is."""
    asked = holds.Request("a" * 32, "chengdu", "CD26-0001", 1001, 1, 0, 0, {})
    site = Site(str(home.path), None)
    with ledger.connect(config.load(home.path).book).begin() as conn:
        holds.enter(conn, [asked], site.policy, END_S - 14_400)
        releasing.bind_all(conn, "chengdu", {"a" * 32: (7, END_S - 14_460)}, END_S - 14_400)
    slurm.says("sacct.txt", f"{row('7_1')}\n{row('8')}\n")
    said = closed(home, "--account", "CD26-0001")
    assert said[-1] == "  job 7_1 in ai since 2026-11-30T20:00:00+08:00, li, CD26-0001"
    assert said[-2].startswith("1 jobs of chengdu")


def test_a_month_is_closed_whatever_sacct_says(home: Home, slurm: FakeSlurm) -> None:
    """Where sacct fails, or is not there, the month is closed and a line says what is missing."""
    slurm.fails("sacct")
    done = home.run("--as-of", "2026-12-02", "close", "2026-11", "--provider", "cdaicc")
    one_line(done, 0, "what of chengdu went on over its end", "sacct: slurm_load", "try again")
    (slurm.folder / "sacct").unlink()
    assert closed(home)[-1] == "2026-11 is closed for nscc-cd: 0 statements"


def test_an_end_that_lies_ahead(home: Home, slurm: FakeSlurm, monkeypatch) -> None:
    """In a rehearsal a month may be closed before it ends: what goes on now is named."""
    monkeypatch.setattr(Site, "now_s", END_S - 3_600)
    slurm.says("sacct.txt", f"{row('7')}\n{row('8', start='15:30:00')}\n")
    assert closed(home, "--provider", "cdaicc")[1].startswith("1 jobs of chengdu")
