"""svoucher reconcile DAYS: whatever the four accounts of a day say otherwise is named."""

import json
import sqlite3
from pathlib import Path

import pytest
import told
from homes import Home, furnished, one_line

from accounting.errors import UsageInvalid
from slurm_voucher.logins import Login
from slurm_voucher.sources import rollup

FIELDS = (
    "id", "submit", "start", "end", "elapsed", "suspended", "state", "partition", "qos", "account",
    "user", "uid", "nodes", "cpus", "req", "alloc", "comment",
)  # fmt: skip
DAY = "2024-07-02..2024-07-02"
SACCT = """
case "$*" in
*'-s R,S'*) cat running.txt;;
*'-s '*) cat ended.txt;;
*) cat all.txt;;
esac
"""
SCRIPTS = {"sacct": SACCT, "sreport": 'echo "$@" > asked.txt; cat sreport.txt'}


def row(job: int, **changes: object) -> str:
    """Write a row of sacct: four cards for an hour of July 2nd in Chengdu."""
    facts: dict[str, object] = {
        "id": job, "submit": "2024-07-01T20:00:00", "start": "2024-07-01T20:00:00",
        "end": "2024-07-01T21:00:00", "elapsed": 3600, "suspended": "00:00:00",
        "state": "COMPLETED", "partition": "ai", "qos": "normal", "account": "lab", "user": "li",
        "uid": 1001, "nodes": 1, "cpus": 8, "req": "", "comment": "",
        "alloc": "cpu=8,gres/gpu:ascend_910b=4,gres/gpu=4,node=1",
    }  # fmt: skip
    facts |= changes
    values = [str(facts[name]) for name in FIELDS]
    return "|".join([values[0], values[0], "chengdu", *values[1:]])


def rolled(**used: int) -> str:
    """Write what sreport prints for seconds of cpu and of cards by user."""
    lines = ["chengdu|root||cpu|999999", "chengdu|lab||cpu|999999"]
    for user, seconds in used.items():
        lines += [
            f"chengdu|lab|{user}|cpu|{8 * seconds}",
            f"chengdu|lab|{user}|gres/gpu|{4 * seconds}",
        ]
    return "\n".join(lines) + "\n"


class Slurm:
    """A folder of commands that print what they are told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name, script in SCRIPTS.items():
            (folder / name).write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
            (folder / name).chmod(0o755)
        self.says()

    def says(
        self, *rows: str, also: tuple[str, ...] = (), running: str = "", report: str = ""
    ) -> None:
        """Let slurmdbd have rows that ended, others that only touch the day, and a roll-up."""
        (self.folder / "ended.txt").write_text("".join(f"{each}\n" for each in rows))
        (self.folder / "all.txt").write_text("".join(f"{each}\n" for each in (*rows, *also)))
        (self.folder / "running.txt").write_text(running)
        (self.folder / "sreport.txt").write_text(report)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch) -> Slurm:
    """Slurm's commands on PATH."""
    fake = Slurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A rehearsal book with prices."""
    return furnished(tmp_path / "home")


def collect(home: Home, slurm: Slurm, *rows: str) -> None:
    """Take rows in."""
    slurm.says(*rows)
    home.ok("collect", "--cluster", "chengdu", "--since", "2024-07-01")


def reconcile(home: Home, *arguments: str):
    """Compare the day."""
    return home.run("reconcile", DAY, "--cluster", "chengdu", *arguments)


def differences(home: Home, *arguments: str) -> list[dict[str, str]]:
    """Compare the day; return what differs."""
    done = reconcile(home, "--json", *arguments)
    found = told.rows("reconcile", done.stdout)
    assert done.exit_code == (5 if found else 0), done.output
    return found


def kept(home: Home) -> list[sqlite3.Row]:
    """Return the results that stand in the book."""
    with sqlite3.connect(home.path / "book.db") as book:
        book.row_factory = sqlite3.Row
        rows = book.execute("SELECT * FROM reconciliation ORDER BY seq").fetchall()
    book.close()
    return rows


def test_all_four_agree(home: Home, slurm: Slurm) -> None:
    """Where all say the same nothing is found, and the result stands in the book, once."""
    both = row(1), row(2, user="wu")
    collect(home, slurm, *both)
    slurm.says(*both, report=rolled(li=3600, wu=3600))
    done = reconcile(home)
    assert done.exit_code == 0, done.output
    assert "ours: 2 runs ended, 7200 s, 28800 card-seconds" in done.stdout
    assert "28800 card-seconds of runs, 28800 by sreport" in done.stdout
    assert differences(home) == []
    [one] = kept(home)
    assert (one["runs_ours"], one["runs_slurm"], one["card_s_rolled"], one["differences"]) == (
        2, 2, 28_800, 0,
    )  # fmt: skip
    assert "0 findings" in home.ok("audit")
    asked = (slurm.folder / "asked.txt").read_text()
    assert "Start=2024-07-01T16:00:00 End=2024-07-02T16:00:00" in asked
    assert "-t Seconds -T cpu,gres/gpu cluster AccountUtilizationByUser" in asked


def test_runs_are_named_one_by_one(home: Home, slurm: Slurm) -> None:
    """A run that one side lacks, and each column that differs, is named with both values."""
    collect(home, slurm, row(1), row(2), row(3))
    changed = row(2, end="2024-07-01T21:00:01", elapsed=3601, state="FAILED")
    slurm.says(row(1), changed, row(4))
    found = [
        (each["subject"].split()[1], each["message"])
        for each in differences(home, "--without-rollup")
    ]
    assert [each for each in found if each[0] != "2"] == [
        ("3", "is here alone; slurmdbd may have purged it"),
        ("4", "is in slurmdbd alone; collect its day again"),
    ]
    assert sorted(message for job, message in found if job == "2") == [
        "elapsed_s is 3600 here, 3601 in slurmdbd",
        "end_s is 1719867600 here, 1719867601 in slurmdbd",
        "state is COMPLETED here, FAILED in slurmdbd",
    ]
    [one] = kept(home)
    assert (one["differences"], one["card_s_rolled"]) == (5, None)
    assert len(json.loads(one["listed"])) == 5


def test_a_run_that_was_corrected_out_of_the_day(home: Home, slurm: Slurm) -> None:
    """A run whose last revision ended on another day is not of this one any more."""
    collect(home, slurm, row(1))
    later = row(1, end="2024-08-05T21:00:00", elapsed=3027600)
    collect(home, slurm, later)
    slurm.says(also=(later,))
    assert differences(home, "--without-rollup") == []


def test_the_roll_up_goes_by_time(home: Home, slurm: Slurm) -> None:
    """Of runs that reach over an edge of the day only the seconds within it count, and jobs that
    still run count for theirs."""
    early = row(1, submit="2024-07-01T15:00:00", start="2024-07-01T15:30:00",
                end="2024-07-01T16:30:00")  # fmt: skip
    late = row(2, start="2024-07-02T15:50:00", end="2024-07-02T16:50:00")
    collect(home, slurm, early, late)
    running = "2024-07-02T15:00:00|Unknown|00:10:00|lab|li|8|cpu=8,gres/gpu=4\n"
    slurm.says(early, also=(late,), running=running, report=rolled(li=1800 + 600 + 3000))
    assert differences(home) == []
    slurm.says(early, also=(late,), running="", report=rolled(li=1800 + 600 + 3000))
    assert [each["between"] for each in differences(home)] == ["slurmdbd and its roll-up"] * 2


def test_a_roll_up_that_differs(home: Home, slurm: Slurm) -> None:
    """Seconds that the roll-up has more or fewer of are named by account, user and resource."""
    collect(home, slurm, row(1))
    slurm.says(row(1), report=rolled(li=3600, wu=7))
    found = {each["subject"]: each["message"] for each in differences(home)}
    assert found.keys() == {"account lab user wu cpu", "account lab user wu gres/gpu"}
    assert found["account lab user wu gres/gpu"].startswith("runs had 0 s, sreport says 28;")


def test_what_was_posted_otherwise(home: Home, slurm: Slurm) -> None:
    """A charge in the book that the archive does not have is named by account and month."""
    collect(home, slurm, row(1))
    with sqlite3.connect(home.path / "book.db") as book:
        book.execute("PRAGMA foreign_keys = OFF")
        for name in ("charge_sealed", "charge_no_replace"):
            book.execute(f"DROP TRIGGER {name}")
        path = "(SELECT path FROM segment)"
        book.execute(f"INSERT INTO charge VALUES (1, 'CD24-0001', '2024-07', {path}, 5, 5)")
    book.close()
    slurm.says(row(1))
    [one] = differences(home, "--without-rollup")
    assert one["subject"] == "account CD24-0001 2024-07"
    assert one["message"].startswith("runs come to 0 micro-yuan, posted are 5;")


def test_days_that_are_not_over(home: Home, slurm: Slurm) -> None:
    """Today is refused: it is neither over nor rolled up; so are days without a cluster."""
    one_line(home.run("reconcile", "2090-01-01", "--cluster", "chengdu"), 3, "days that are over")
    assert home.run("reconcile", DAY).exit_code == 2
    assert home.run("reconcile", "2024-07-02..2024-07-01", "--cluster", "x").exit_code == 2


def test_sreport_that_fails(home: Home, slurm: Slurm) -> None:
    """Where the roll-up cannot be read nothing is written: unknown is not equal."""
    collect(home, slurm, row(1))
    slurm.says(row(1), report="chengdu|lab|li|cpu\n")
    one_line(reconcile(home), 3, "sreport: line 1")
    (slurm.folder / "sreport").write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    one_line(reconcile(home), 4, "sreport: no (exit status 1)")
    assert kept(home) == []


@pytest.mark.parametrize(
    "line", ["x|lab|li|cpu|1", "chengdu|lab|li|energy|1", "chengdu|lab|li|cpu|1.5", "chengdu"]
)
def test_what_is_no_roll_up(line: str) -> None:
    """A row of another cluster, another resource or no whole number is refused by its line."""
    with pytest.raises(UsageInvalid, match="line 2"):
        rollup.read(f"chengdu|lab|li|cpu|1\n{line}\n", "chengdu")


def test_sreport_on_a_login_node() -> None:
    """Over SSH each command is the one beside that node's sacct, and never sacct itself."""
    login = Login("login1", 22, "ops", None, Path("/known"), "/opt/slurm/bin/sacct")
    assert login.command("sreport") == "/opt/slurm/bin/sreport"
    assert login.command("sacct") == "/opt/slurm/bin/sacct"
    assert Login("l", 22, "ops", None, Path("/k")).command("sreport") == "sreport"
