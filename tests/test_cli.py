"""svoucher itself: bad input is one clear line and an exit code, and nothing is half written."""

import gzip
import json
import os
import pwd
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
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


@pytest.fixture
def home(tmp_path) -> Home:
    """A rehearsal book with prices."""
    home = Home(tmp_path / "home")
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


def test_a_book_that_is_not_there(tmp_path) -> None:
    """Without a book every command says where it looked and how to make one."""
    one_line(Home(tmp_path).run("balance"), 4, "book.db", "not there", "svoucher init")


def test_a_second_book_in_the_same_place(home: Home) -> None:
    """init never overwrites a book."""
    one_line(home.run("init"), 3, "there is one already")


def test_an_unknown_key_in_the_settings(home: Home) -> None:
    """An unknown key of config.yaml is named, with the one that was meant."""
    (home.path / "config.yaml").write_text("sokcet: /run/x.sock\n")

    done = home.run("balance")
    one_line(done, 3, "config.yaml", "'sokcet'", "did you mean 'socket'?")


def test_a_socket_path_that_is_too_long(home: Home) -> None:
    """A socket's path that the kernel could not take is refused with its length and the limit."""
    (home.path / "config.yaml").write_text(f"socket: /run/{'x' * 120}.sock\n")
    one_line(home.run("balance"), 3, "130 bytes", "107")


def test_voucherd_not_running(home: Home) -> None:
    """check says that voucherd does not answer, and how to start it; it is worth trying again."""
    (home.path / "config.yaml").write_text(f"socket: {home.path}/hook.sock\n")
    done = home.run("check")
    assert done.exit_code == 4
    assert "voucherd  FAIL" in done.output
    assert "svoucher serve" in done.output


def test_an_unknown_key_in_a_price_list(home: Home, tmp_path) -> None:
    """An unknown key of a price list is named with its place, and nothing is loaded."""
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES.read_text().replace("provider: cdaicc", "providr: cdaicc"))
    before = home.entries()
    one_line(home.run("price", "load", str(file)), 3, "providr", "did you mean 'provider'?")
    assert home.entries() == before


def test_a_gres_without_a_catalogue_entry(home: Home, tmp_path) -> None:
    """A gres that is mapped to a chip which the catalogue does not have is refused by name."""
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES.read_text().replace("ascend_910b2", "ascend_911"))
    one_line(home.run("price", "load", str(file)), 3, "ascend_911")


def test_prices_are_never_edited(home: Home, tmp_path) -> None:
    """A version that is loaded cannot be loaded with other prices."""
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES.read_text().replace("24.00", "25.00"))
    one_line(home.run("price", "load", str(file)), 1, "tariff:example-1", "other content")


BAD_ROWS = {
    "a field too few": (GOOD.removesuffix("|"), "fields"),
    "a time that is no time": (GOOD.replace("T01:00:00", "T25:00:00"), "End"),
    "an end before the start": (GOOD.replace("2016-12-01T01", "2016-11-01T01"), "End"),
    "a negative elapsed": (GOOD.replace("3600", "-3600"), "ElapsedRaw"),
    "an end that nobody lives to see": (GOOD.replace("2016-12-01T01", "9999-12-01T01"), "End"),
    "an end in epoch seconds of far away": (GOOD.replace("2016-12-01T01:00:00", "9" * 11), "End"),
    "another cluster": (GOOD.replace("pozidriv", "elsewhere"), "Cluster"),
}


@pytest.mark.parametrize(("row", "column"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows_are_named_and_nothing_is_taken_in(home, tmp_path, row: str, column: str) -> None:
    """A bad row names file, line and column; without --skip-bad no row is taken in."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD}\n{row.replace('7|7', '8|8', 1)}\n")
    before = home.entries()
    done = home.run("import", str(file), "--cluster", "pozidriv")

    assert done.exit_code == 3
    first, last = done.stderr.strip().splitlines()
    assert "rows.psv" in first
    assert "line 3" in first
    assert column in first
    assert "--skip-bad" in last
    assert home.entries() == before
    assert not list((home.path / "archive").rglob("*.parquet"))


def test_skip_bad_takes_the_good_rows(home: Home, tmp_path) -> None:
    """With --skip-bad the good rows are taken in and the bad ones are still listed."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD}\nnonsense\n")
    done = home.run("import", str(file), "--cluster", "pozidriv", "--skip-bad")

    assert done.exit_code == 0
    assert "line 3" in done.stderr
    assert "1 new" in done.stdout


def test_missing_columns_are_named_at_once(home: Home) -> None:
    """A file without start and end times is refused with the names of what is missing."""
    file = ROOT / "tests" / "data" / "ood" / "psc-bridges-2018.psv"
    one_line(home.run("import", str(file), "--cluster", "bridges"), 3, "Start", "End")


def test_an_unknown_partition_is_unrated_and_blocks_the_close(home: Home, tmp_path) -> None:
    """A run on a partition without a price is unrated by name, never free; the month stays open."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD.replace('pozidriv', 'chengdu').replace('any', 'new')}\n")
    home.ok("provider", "add", "cdaicc", "成都智算中心")
    said = home.ok("import", str(file), "--cluster", "chengdu")
    closed = home.run("--as-of", "2017-02-01", "close", "2016-12", "--provider", "cdaicc")

    assert "1 of them unrated" in said
    one_line(closed, 1, "1 runs are unrated", "chengdu/new")


def test_wrong_usage_is_exit_2(home: Home) -> None:
    """A month that is no month is wrong usage."""
    assert home.run("close", "2026-13", "--provider", "cdaicc").exit_code == 2


def test_as_of_is_refused_outside_a_rehearsal(tmp_path) -> None:
    """A book that counts has today's date."""
    home = Home(tmp_path / "home")
    home.ok("init")
    done = home.run("--as-of", "2030-01-01", "provider", "add", "cdaicc", "x")
    one_line(done, 1, "no rehearsal")


def test_pozidriv_by_the_command(home: Home) -> None:
    """The public cluster's usage by the command equals what its own portal reports."""
    fields = f"@{XDMOD / 'HEADER.txt'}"
    file = str(XDMOD / "pozidriv.psv.gz")
    home.ok("import", file, "--cluster", "pozidriv", "--fields", fields, "--timezone", "UTC")
    expected = json.loads((XDMOD / "pozidriv.expected.json").read_text())["values"]
    for by in ("day", "month", "quarter", "year"):
        shown = home.ok(
            "report", "usage", "--cluster", "pozidriv", "--by", by, "--timezone", "UTC", "--json"
        )
        rows = json.loads(shown)
        assert {row["period"]: row["cpu_hours"] for row in rows} == {
            name.replace(" ", "-"): hours for name, hours in expected["cpu_hours"][by].items()
        }
        assert {row["card_hours"] for row in rows} == {"0.0000"}
    again = home.ok("import", file, "--cluster", "pozidriv", "--fields", fields)
    assert "0 new, 0 changed, 11704 known" in again


def test_an_absurd_amount_never_enters_the_book(home: Home) -> None:
    """A payment that would overflow every later sum is refused, and so is one beyond 64 bits."""
    account = an_account(home)
    before = home.entries()
    done = home.run("topup", account, "9,000,000,000,000", "--reference", "B1")

    one_line(done, 3, "payment:B1", "9,000,000,000,000.00", "10,000,000,000.00", "check")
    assert home.run("topup", account, "9" * 20, "--reference", "B2").exit_code == 2
    assert home.run("unit", "revenue", "shuzhi", "2024", "9" * 20).exit_code == 2
    assert home.entries() == before


ODD_NUMBERS = {
    "a contract to the end of time": "contract sign HT-9 --unit shuzhi --provider cdaicc --fee 5 "
    "--signed-on 2026-11-01 --until 9999-12-31",
    "a member to the end of time": "member add shuzhi --cluster c --uid 7 --until 9999-12-31",
    "a uid that no system has": "member add shuzhi --cluster c --uid 99999999999999999999",
    "a month of a far year": "close 2999-12 --provider cdaicc",
    "a day of year 1": "--as-of 0001-01-01 provider add x y",
    "a revenue of no year": "unit register u2 --name x --credit-code 91510100MA6C4TX27W "
    "--revenue 5",
}


@pytest.mark.parametrize("arguments", ODD_NUMBERS.values(), ids=ODD_NUMBERS)
def test_odd_numbers_are_wrong_usage(home: Home, arguments: str) -> None:
    """A number or day that cannot be meant is wrong usage; nothing is entered."""
    an_account(home)
    before = home.entries()
    done = home.run(*arguments.split())

    assert done.exit_code == 2, done.output
    assert home.entries() == before


def test_who_acts_is_not_what_the_environment_says(home: Home, monkeypatch) -> None:
    """The journal names the user of the process, whatever LOGNAME says."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "regulator")
    home.ok("provider", "add", "p9", "x")
    with sqlite3.connect(home.path / "book.db") as book:
        rows = book.execute("SELECT actor FROM journal WHERE key = 'provider:p9'").fetchall()
    book.close()
    assert rows == [(pwd.getpwuid(os.getuid()).pw_name,)]


def test_a_cluster_that_no_folder_can_have(home: Home, tmp_path) -> None:
    """A row whose cluster is a path is a bad row; as an option it is wrong usage."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD.replace('pozidriv', '../../etc')}\n")
    done = home.run("import", str(file))

    assert done.exit_code == 3
    assert "line 2: Cluster '../../etc'" in done.stderr.splitlines()[0]
    assert home.run("import", str(file), "--cluster", "../../etc").exit_code == 2


def test_a_damaged_gzip_file(home: Home, tmp_path) -> None:
    """A gz file whose inside is damaged is named; nothing is taken in."""
    file = tmp_path / "rows.psv.gz"
    packed = bytearray(gzip.compress(f"{HEADER}\n{GOOD}\n".encode() * 50))
    packed[40:60] = b"\xff" * 20
    file.write_bytes(bytes(packed))
    one_line(home.run("import", str(file), "--cluster", "pozidriv"), 3, "rows.psv.gz", "check")


def test_terminal_escapes_are_written_out(home: Home, tmp_path) -> None:
    """What users and files say cannot steer the terminal of whoever reads it."""
    file = tmp_path / "rows.psv"
    evil = GOOD.replace("|li|", "|\x1b[31mli\u202e|").replace("COMPLETED", "\x1b]0;x\x07")
    file.write_text(f"{HEADER}\n{evil}\n", encoding="utf-8")
    home.ok("import", str(file), "--cluster", "pozidriv")
    shown = home.ok("jobs") + home.ok("explain", "7") + home.ok("rate")

    assert r"\x1b[31mli\u202e" in shown
    assert r"\x1b]0;x\x07" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


@pytest.mark.parametrize("job", ["²", "9" * 30, "x"])
def test_explain_of_what_is_no_job(home: Home, job: str) -> None:
    """A job that is not there is one line, however it is written."""
    one_line(home.run("explain", job), 3, f"job {job}", "0 runs")


def test_a_price_list_that_was_loaded_before(home: Home, tmp_path) -> None:
    """Loading an old version again does not pretend to bring it into force."""
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES.read_text().replace("example-1", "example-2"))
    home.ok("price", "load", str(file))
    home.ok("price", "load", str(file))
    one_line(home.run("price", "load", str(PRICES)), 1, "example-1", "example-2 is in force")


def test_text_and_segments_that_cannot_be_read(home: Home, tmp_path) -> None:
    """Text that is no UTF-8, and a damaged segment, are named."""
    file = tmp_path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD}\n")
    home.ok("import", str(file), "--cluster", "pozidriv")
    one_line(home.run("provider", "add", "p9", "\udcff"), 3, "UTF-8")
    [segment] = (home.path / "archive").rglob("*.parquet")
    segment.write_bytes(b"nonsense")
    one_line(home.run("jobs"), 5, segment.name, "restore it")


def test_readers_wait_for_nobody(home: Home) -> None:
    """Somebody who writes, for as long as they like, keeps nobody from reading."""
    with sqlite3.connect(home.path / "book.db", isolation_level=None) as book:
        book.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        home.ok("provider", "list")
        home.ok("price", "show")
        assert time.monotonic() - began_s < 5
        book.execute("ROLLBACK")
    book.close()


def test_output_that_cannot_be_written(home: Home) -> None:
    """A full disk behind the output is one line and exit code 4; nothing is traced."""
    svoucher = Path(sys.executable).with_name("svoucher")
    for arguments in (["policy", "show"], ["chips", "show", "--csv"], ["price", "show"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [svoucher, "--home", home.path, *arguments],
                stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 4
        assert done.stderr == "svoucher: output: No space left on device; make room and try again\n"


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
