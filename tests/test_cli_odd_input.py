"""svoucher against what nobody means: odd figures, odd names, odd files, a full disk."""

import gzip
import json
import os
import pwd
import shlex
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from homes import GOOD, HEADER, PRICES, Home, an_account, furnished, one_line


@pytest.fixture
def home(tmp_path) -> Home:
    """A rehearsal book with prices."""
    return furnished(tmp_path / "home")


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
    assert "can be seen" in home.run("balance", "\udcff").stderr
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


@pytest.mark.parametrize("reference", ["B1", " B1", "B1 ", "B1\t"])
def test_the_same_payment_with_a_space_more(home: Home, reference: str) -> None:
    """A bank's number that is typed again with a space is the same payment, booked once."""
    account = an_account(home)
    home.ok("topup", account, "5", "--reference", "B1")
    before = home.entries()
    home.ok("topup", account, "5", "--reference", reference)
    assert home.entries() == before


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[31mb", "x" * 201])
def test_names_that_cannot_be_seen(home: Home, name: str) -> None:
    """A name that is empty, endless or steers a terminal is wrong usage."""
    before = home.entries()
    assert home.run("provider", "add", name, "x").exit_code == 2
    assert home.run("provider", "add", "x", name).exit_code == 2
    assert home.entries() == before


@pytest.mark.parametrize(
    "forged", ["posting SET amount_micro = 'x'", "journal SET content = x'ff'"]
)
def test_the_audit_survives_what_is_no_number(home: Home, forged: str) -> None:
    """A book whose figures are no figures is found, not traced."""
    home.ok("topup", an_account(home), "5", "--reference", "B1")
    with sqlite3.connect(home.path / "book.db") as book:
        for (name,) in book.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            book.execute(f"DROP TRIGGER {name}")
        book.execute(f"UPDATE {forged}")
    book.close()
    one_line(home.run("audit"), 5, "findings, 0 are allowed")


UNSET = (
    "balance ''",
    "members ''",
    "holds ''",
    "close 2026-10 --account ''",
    "close 2026-10 --provider ' '",
    "claim open 2026-Q3 --provider cdaicc --claimant ''",
    "claim submit C-1 -o ''",
    "refund 7 --reason x --cluster ''",
    "policy show ''",
    "statement show ''",
)
"""What a shell makes of a name that is not set."""


@pytest.mark.parametrize("words", UNSET)
def test_a_name_that_is_not_set_is_not_all_of_them(home: Home, words: str) -> None:
    """An empty name is wrong usage: it closes no month of everybody, and writes no file."""
    an_account(home)
    before = home.entries()
    done = home.run(*shlex.split(words))

    assert done.exit_code == 2, done.output
    assert home.entries() == before


def test_a_draft_steers_no_terminal(tmp_path) -> None:
    """What a draft says it is about is written out where it is signed: others made the file."""
    key = str(tmp_path / "treasury.key")
    home = Home(tmp_path)
    home.ok("key", "make", key, "--actor", "finance", "--role", "treasury")
    draft = {"act": "claim.pay", "subject": "C-1\x1b]0;x\x07\nC-2", "body": {}}
    (tmp_path / "draft.json").write_text(json.dumps(draft))
    said = home.ok("act", "sign", str(tmp_path / "draft.json"), "--key", key, "-o", f"{key}.signed")

    assert said.startswith(r"claim.pay C-1\x1b]0;x\x07\nC-2: signed by finance")


def test_a_payment_is_not_to_come(home: Home) -> None:
    """A payment of tomorrow is refused, one of today is entered."""
    account = an_account(home)
    words = ("--as-of", "2026-11-22", "topup", account, "5", "--reference", "B1", "--paid-on")
    one_line(home.run(*words, "2026-11-23"), 3, "--paid-on 2026-11-23: is after today, 2026-11-22")
    home.ok(*words, "2026-11-22")
