"""However a command ends, it is one clear line and an exit code, and no file is left half written.

Each runs in a process of its own, as people run it.
"""

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from homes import GOOD, HEADER, ROOT, Home, an_account, furnished, one_line

from accounting.book import ledger
from slurm_voucher import munge
from slurm_voucher.papers import fonts

PYTHON = (sys.executable, "-c", "from slurm_voucher.cli import main; main(prog_name='svoucher')")
WRITES = ["--help", "--version", "report --help", "policy show", "jobs", "jobs --json",
          "jobs --csv", "report usage --cluster pozidriv", "check"]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A rehearsal book with prices, an account and a run, which tests only read."""
    home = furnished(tmp_path_factory.mktemp("endings") / "home")
    an_account(home)
    file = home.path / "rows.psv"
    file.write_text(f"{HEADER}\n{GOOD}\n")
    home.ok("import", str(file), "--cluster", "pozidriv")
    return home


def svoucher(home: Home, words: str, *, stdout=subprocess.PIPE, limit=None, **env: str):
    """Run svoucher by itself."""
    return subprocess.run(
        [*PYTHON, *words.split()],
        env=os.environ | {"PYTHONPATH": str(ROOT), "SVOUCHER_HOME": str(home.path)} | env,
        stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8", check=False, preexec_fn=limit,
    )  # fmt: skip


@pytest.mark.parametrize("words", WRITES)
def test_whoever_reads_has_enough(home: Home, words: str) -> None:
    """A pipe that nobody reads ends a command as SIGPIPE would, and nothing is said of it."""
    read, write = os.pipe()
    os.close(read)
    done = svoucher(home, words, stdout=write)
    os.close(write)

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", WRITES)
def test_a_full_disk_behind_the_output(home: Home, words: str) -> None:
    """Output that does not fit is one line and exit code 4."""
    with Path("/dev/full").open("w") as full:
        done = svoucher(home, words, stdout=full)

    assert done.returncode == 4
    assert done.stderr == "svoucher: output: No space left on device; make room and try again\n"


@pytest.mark.parametrize("words", WRITES)
@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("C", "output: is closed; lead it to a file, a pipe or /dev/null"),
        ("zh_CN.UTF-8", "输出：已关闭；请指向文件、管道或 /dev/null"),
    ],
)
def test_a_closed_output(home: Home, words: str, language: str, said: str) -> None:
    """Where stdout is closed nothing is begun: it is one line and exit code 3."""
    done = svoucher(home, words, stdout=None, limit=lambda: os.close(1), LC_ALL=language)

    assert (done.returncode, done.stderr) == (3, f"svoucher: {said}\n")


@pytest.mark.parametrize("words", ["balance CD99-0001", "act sign nothing.json --key k -o o.json"])
def test_an_error_that_nobody_can_be_told(home: Home, words: str) -> None:
    """Where stderr cannot be written to, the exit code is still the error's."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PYTHON, "--home", home.path, *words.split()],
            env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=full, check=False,
        )  # fmt: skip
    assert done.returncode == 3


@pytest.mark.parametrize("language", [{}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "xx"}])
def test_without_a_locale(home: Home, monkeypatch, language: dict[str, str]) -> None:
    """Without a locale, by the plain one or one that is not there, Chinese is written as UTF-8."""
    for name in ("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    done = svoucher(home, "provider list", **language)

    assert (done.returncode, done.stderr) == (0, "")
    assert "成都智算中心" in done.stdout


@pytest.mark.parametrize("words", ["--help", "provider list", "provider list --csv"])
def test_a_terminal_that_knows_no_chinese(home: Home, words: str) -> None:
    """Text that the terminal's encoding has not is one line, not a question mark for a name."""
    done = svoucher(home, words, PYTHONIOENCODING="latin-1", PYTHONUTF8="0")

    assert done.returncode == 3
    [line] = done.stderr.splitlines()
    assert "cannot be written as latin-1; use UTF-8 throughout" in line


@pytest.mark.parametrize("words", ["--help", "close --help", "balance --help"])
def test_help_in_40_columns(home: Home, words: str) -> None:
    """Help folds where a terminal is narrow; an example stays one line to copy."""
    done = svoucher(home, words, COLUMNS="40")

    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if len(line) > 40] == []


def test_a_book_that_another_one_writes(home: Home, monkeypatch) -> None:
    """A command that has to write waits for whoever writes, and then says to try again."""
    monkeypatch.setitem(ledger.connect.__kwdefaults__, "patience_ms", 50)
    with sqlite3.connect(home.path / "book.db", isolation_level=None) as book:
        book.execute("BEGIN IMMEDIATE")
        one_line(home.run("provider", "add", "x", "y"), 4, "book: database is locked; try again")
        assert json.loads(home.ok("report", "vouchers", "--json")) == []
        book.execute("ROLLBACK")
    book.close()


def test_a_book_that_another_one_has_for_itself(home: Home, tmp_path, monkeypatch) -> None:
    """Who only reads waits for nobody but him who lets nobody read, and then says to try again."""
    monkeypatch.setitem(ledger.connect.__kwdefaults__, "patience_ms", 50)
    other = Home(tmp_path / "other")
    shutil.copytree(home.path, other.path)
    with sqlite3.connect(other.path / "book.db", isolation_level=None) as book:
        book.execute("PRAGMA locking_mode = EXCLUSIVE")
        book.execute("BEGIN EXCLUSIVE")
        book.execute("UPDATE hold SET live = live")
        one_line(other.run("report", "vouchers"), 4, "locked by another command; try again")
        book.execute("ROLLBACK")
    book.close()


NOTHING = {
    "report vouchers": "nothing to show",
    "report charges --by total --group unit": "counted by end of the run",
    "--as-of 2026-02-01 close 2026-01": "2026-01 is closed for cdaicc: 0 statements",
    "statement list": "nothing to show",
    "claim list": "nothing to show",
}


@pytest.mark.parametrize("words", NOTHING)
def test_a_month_without_data(home: Home, words: str) -> None:
    """A month in which nothing was says so; it is no error."""
    assert NOTHING[words] in home.ok(*words.split())


def test_a_cluster_without_runs(home: Home) -> None:
    """A cluster that nobody collected is named, with those that were."""
    done = home.run("report", "usage", "--cluster", "chengdu")
    one_line(done, 3, "cluster chengdu: 0 runs in the archive", "known: pozidriv")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("status", "svoucher serve"),
        ("--at 127.0.0.1:1 balance", "127.0.0.1"),
        ("--at 127.0.0.1:1 quote -p ai", "127.0.0.1"),
    ],
)
def test_no_daemon(home: Home, monkeypatch, words: str, said: str) -> None:
    """Where voucherd does not answer it is one line: try again."""
    monkeypatch.setattr(munge, "encode", lambda *_: b"who asks")
    (home.path / "config.yaml").write_text(f"socket: {home.path}/hook.sock\n")
    done = home.run(*words.split())
    (home.path / "config.yaml").unlink()
    one_line(done, 4, said)


def test_no_fonts(home: Home, tmp_path, monkeypatch) -> None:
    """A page needs a Chinese font: without one it is said what to install, and nothing written."""
    monkeypatch.setattr(fonts, "FOLDER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = home.run("report", "programme", "--year", "2026", "--to", str(tmp_path / "p.pdf"))

    one_line(done, 3, "no Chinese font was found", "install fonts-noto-cjk")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def key(home: Home, tmp_path) -> Path:
    """A key, and a draft for it to sign, draft.json."""
    key = tmp_path / "regulator.key"
    home.ok("key", "make", str(key), "--actor", "jxj", "--role", "regulator")
    (tmp_path / "draft.json").write_text('{"act": "claim.review", "subject": "C-1"}')
    return key


def test_what_does_not_fit_is_not_written(home: Home, key: Path, tmp_path) -> None:
    """A file that does not fit on the disk leaves the one that was there as it was."""
    out = tmp_path / "signed.json"
    out.write_text("what was there")
    words = f"act sign {tmp_path}/draft.json --key {key} -o {out}"
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # noqa: E731
    done = svoucher(home, words, limit=limit)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"svoucher: {out}: File too large; check path and rights\n"
    assert out.read_text() == "what was there"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "draft.json", "regulator.key", "regulator.key.pub", "signed.json",
    ]  # fmt: skip


def test_a_file_goes_where_it_is_said(home: Home, key: Path, tmp_path) -> None:
    """A link stays a link, a pipe gets what it is for, and a folder that is not there is named."""
    link, real = tmp_path / "link.json", tmp_path / "real.json"
    link.symlink_to(real)
    sign = ("act", "sign", str(tmp_path / "draft.json"), "--key", str(key), "-o")
    home.ok(*sign, str(link))
    piped = svoucher(home, f"{' '.join(sign)} /dev/stdout")

    assert link.is_symlink()
    assert json.loads(real.read_text())["actor"] == "jxj"
    assert piped.stdout.startswith(real.read_text())
    one_line(home.run(*sign, str(tmp_path / "no" / "x.json")), 3, "no/x.json: No such file")
    assert not (tmp_path / "no").exists()
