"""svoucher starts fast: a command loads what it needs, and Arrow only where runs are read."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from fakeslurm import FakeSlurm
from homes import ROOT, an_account, furnished

from slurm_voucher.cli import COMMANDS

SLOW = {
    "bokeh",
    "cryptography",
    "dask",
    "fontTools",
    "fpdf",
    "matplotlib",
    "numba",
    "numpy",
    "paramiko",
    "plotext",
    "pyarrow",
    "rich",
    "xlsxwriter",
}
"""What takes its time to load; only signatures, papers and questions about runs need it."""
BOOK = {"sqlalchemy", "yaml"}
READERS = {"archive", "audit", "report", "refunds", "rerate", "settle", "usage"}
"""Modules of the command that read runs."""

TOLD = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sys.modules, file=sys.stderr))
"""
SVOUCHER = f"{TOLD}\nfrom slurm_voucher.cli import main\nmain(prog_name='svoucher')"


def python(text: str, *arguments: str, **env: str) -> tuple[int, str, set[str]]:
    """Run Python in a process of its own; return its exit code, stderr and what it had loaded."""
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    said, _, loaded = done.stderr.rpartition("loaded: ")
    return done.returncode, said, set(loaded.split())


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """A rehearsal book with prices and one account."""
    home = furnished(tmp_path_factory.mktemp("startup") / "home")
    an_account(home)
    return home.path


def test_help_needs_no_book() -> None:
    """The overview loads neither the database nor YAML."""
    code, said, loaded = python(SVOUCHER, "--help")
    assert (code, said) == (0, "")
    assert loaded & (SLOW | BOOK) == set()


def test_nothing_is_looked_through_at_the_end() -> None:
    """A command that is over leaves its memory to the system, without a search for garbage."""
    told = "import atexit, gc, sys\natexit.register(lambda: print(gc.get_freeze_count()))\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{told}{SVOUCHER}", "--version"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert int(done.stdout.split()[-1]) > 10_000


def test_a_book_loads_one_database() -> None:
    """The tables name no database, for SQLAlchemy would load it for every command."""
    code, said, _ = python(
        "import sys, accounting.book.ledger\n"
        "sys.exit(' '.join(name for name in sys.modules if 'postgres' in name) or None)"
    )
    assert (code, said) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        "balance",
        "balance CD26-0001",
        "quote -p ai --gres=gpu:ascend_910b:1 -t 1:00:00",
        "holds",
        "price show",
        "unit list",
        "statement list",
        "claim list",
    ],
)
def test_a_command_that_reads_no_runs_loads_no_arrow(book, tmp_path, words: str) -> None:
    """What a researcher asks of the book is answered without NumPy, Arrow and Numba."""
    slurm = FakeSlurm(tmp_path / "slurm")
    path = f"{slurm.folder}:/usr/bin:/bin"
    code, said, loaded = python(SVOUCHER, *shlex.split(words), SVOUCHER_HOME=str(book), PATH=path)
    assert (code, said) == (0, "")
    assert loaded > BOOK
    assert loaded & SLOW == set()


def test_a_balance_knows_no_prices(book) -> None:
    """Where accounts stand is told without what holds are worked out by."""
    code, said, loaded = python(SVOUCHER, "balance", SVOUCHER_HOME=str(book))
    assert (code, said) == (0, "")
    assert "accounting.vouchers.holds" in loaded
    assert {name for name in loaded if name.startswith("accounting.rates.")} == set()


def test_a_quote_without_slurm_is_refused_before_anything_else(book, tmp_path) -> None:
    """Where Slurm's commands are not there, quote says so in one line, without Arrow."""
    code, said, loaded = python(
        SVOUCHER, "quote", "-p", "ai", SVOUCHER_HOME=str(book), PATH=str(tmp_path)
    )
    assert code == 4
    assert said == "svoucher: sinfo: No such file or directory; install it or set PATH\n"
    assert loaded & SLOW == set()


def test_only_commands_that_read_runs_load_arrow() -> None:
    """All modules of the command but those that read runs load no Arrow, neither does voucherd."""
    modules = {module for module, _ in COMMANDS.values()}
    assert modules > READERS
    imports = [f"import slurm_voucher.cli.{name}" for name in sorted(modules - READERS)]
    code, said, loaded = python("\n".join([TOLD, *imports, "import slurm_voucher.voucherd"]))
    assert (code, said) == (0, "")
    assert loaded & SLOW == set()
