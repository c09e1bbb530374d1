"""A site's folder, and svoucher run in it; what a command has to say when it refuses."""

import sqlite3
from pathlib import Path

from click.testing import CliRunner, Result

from slurm_voucher.cli import main

ROOT = Path(__file__).parent.parent
XDMOD = ROOT / "tests" / "data" / "xdmod"
PRICES = ROOT / "docs" / "prices-example.yaml"
HEADER = (
    "JobID|JobIDRaw|Cluster|Partition|QOS|Account|User|UID|Submit|Start|End|ElapsedRaw|State|NNodes"
    "|NCPUS|ReqTRES|AllocTRES|AdminComment"
)
GOOD = (
    "7|7|pozidriv|any|normal|lab|li|1001|2016-12-01T00:00:00|2016-12-01T00:00:00"
    "|2016-12-01T01:00:00|3600|COMPLETED|1|4|cpu=4,node=1|cpu=4,node=1|"
)


class Home:
    """A site's folder, and svoucher run in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["--home", str(self.path), *arguments])

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def entries(self) -> int:
        with sqlite3.connect(self.path / "book.db") as book:
            [(count,)] = book.execute("SELECT count(*) FROM journal").fetchall()
        book.close()
        return count


def furnished(path: Path) -> Home:
    """Make a rehearsal book with prices."""
    home = Home(path)
    home.ok("init", "--rehearsal")
    home.ok("price", "load", str(PRICES))
    return home


def one_line(done: Result, code: int, *words: str) -> str:
    """Check that a command ended with a code and one line on stderr that has these words."""
    assert done.exit_code == code, done.output
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("svoucher: ")
    for word in words:
        assert word in line
    return line


def an_account(home: Home) -> str:
    """Open a voucher account without a voucher."""
    home.ok("provider", "add", "cdaicc", "成都智算中心")
    home.ok("unit", "register", "shuzhi", "--name", "数智", "--credit-code", "91510100MA6C4TX27W")
    facts = (
        "--unit shuzhi --provider cdaicc --fee 200,000 --signed-on 2026-11-01 --until 2027-10-31"
    )
    said = home.ok("--as-of", "2026-11-22", "contract", "sign", "HT-1", *facts.split())
    return said.split()[-1]


SWEPT = (
    "{id}|{id}|chengdu|2024-07-01T00:00:00|2024-07-01T00:00:00|2024-07-01T01:00:00|3600|00:00:00"
    "|COMPLETED|ai|normal|lab|li|1001|1|4||cpu=4,node=1|{comment}"
)


def test_a_bad_row_does_not_stop_collect(home: Home, tmp_path, monkeypatch) -> None:
    """collect takes good rows in beside a bad one, says so with exit 3, and moves its watermark
    only when it is told to leave the bad one out."""
    rows = [SWEPT.format(id=7, comment=""), SWEPT.format(id=8, comment="hold=a;hold=b")]
    fake = tmp_path / "bin" / "sacct"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(rows) + "\nEND\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")

    first = home.run("collect", "--cluster", "chengdu")
    again = home.run("collect", "--cluster", "chengdu", "--skip-bad")

    assert first.exit_code == 3
    assert "1 new" in first.stdout
    assert "AdminComment" in first.stderr
    assert again.exit_code == 0
    assert "0 new, 0 changed, 1 known" in again.stdout
    with sqlite3.connect(home.path / "book.db") as book:
        assert len(book.execute("SELECT * FROM watermark").fetchall()) == 1
    book.close()
