"""On a terminal a table has colours and folds; in a pipe it is the plain text that it always was.

Each command runs on a terminal of its own, a pseudo-terminal that the test reads.
"""

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios

import pytest
from homes import GOOD, HEADER, ROOT, Home, an_account, furnished

from slurm_voucher.cli.cells import width_of

PYTHON = (sys.executable, "-c", "from slurm_voucher.cli import main; main(prog_name='svoucher')")
STYLED = re.compile(r"\x1b\[[0-9;]*m")
EVIL = "\x1b[2Jx\u202e"
TABLES = ("jobs", "provider list", "unit list", "chips show", "price show")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A rehearsal book with prices, an account and runs, one of a user with an evil name."""
    home = furnished(tmp_path_factory.mktemp("terminal") / "home")
    an_account(home)
    rows = [
        GOOD,
        GOOD.replace("7|7|", "8|8|").replace("|li|", f"|{EVIL}|"),
        GOOD.replace("7|7|", "9|9|").replace("|3600|COMP", "|-|COMP").replace("|-|", "|3599|"),
    ]
    file = home.path / "rows.psv"
    file.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    home.ok("import", str(file), "--cluster", "pozidriv")
    return home


def on_terminal(home: Home, words: str, columns: int = 80, **env: str) -> str:
    """Run svoucher on a terminal so wide; return what the terminal got."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    with subprocess.Popen(
        [*PYTHON, *words.split()],
        env=kept
        | {"PYTHONPATH": str(ROOT), "SVOUCHER_HOME": str(home.path), "TERM": "xterm-256color"}
        | env,
        stdin=its, stdout=its, stderr=its,
    ) as process:  # fmt: skip
        os.close(its)
        got = b""
        while more := _read(ours):
            got += more
    os.close(ours)
    assert process.returncode == 0, got
    return got.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


def test_colours_on_a_terminal_alone(home: Home) -> None:
    """A terminal gets a bold header; a pipe and NO_COLOR get the same words without an escape."""
    drawn = on_terminal(home, "unit list", 120)
    plain = on_terminal(home, "unit list", 120, NO_COLOR="1")
    dumb = on_terminal(home, "unit list", 120, TERM="dumb")
    piped = home.ok("unit", "list")

    assert "\x1b[1m" in drawn
    assert "\x1b" not in plain + dumb + piped
    for text in (drawn, plain):
        lines = [line.rstrip() for line in STYLED.sub("", text).splitlines()]
        assert lines == piped.splitlines()


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("words", TABLES)
def test_no_figure_is_lost(home: Home, words: str, columns: int) -> None:
    """However narrow the terminal, no line is wider, and every figure and word is there whole."""
    rows = json.loads(home.ok(*words.split(), "--json"))
    drawn = STYLED.sub("", on_terminal(home, words, columns))

    assert [line for line in drawn.splitlines() if width_of(line.rstrip()) > columns] == []
    shown = drawn.split()
    for row in rows:
        for name, value in row.items():
            assert name in shown
            for word in str("-" if value is None else value).split():
                assert word in shown or EVIL[1:] in word or width_of(word) > 24
    if columns == 40 and len(rows[0]) > 6:
        assert shown.count(next(iter(rows[0]))) == len(rows)  # a paragraph for each row


def test_control_characters_are_written_out(home: Home) -> None:
    """What a user's name says cannot steer the terminal, whichever way the table is drawn."""
    for columns in (40, 300):
        drawn = STYLED.sub("", on_terminal(home, "jobs", columns))
        assert r"\x1b[2Jx\u202e" in drawn
        assert not set(EVIL[0] + EVIL[-1]) & set(drawn)


@pytest.mark.parametrize(
    ("form", "said"), [("--csv", r"\x1b[2Jx\u202e"), ("--json", r"\u001b[2Jx\u202e")]
)
def test_programs_forms_steer_no_terminal(home: Home, form: str, said: str) -> None:
    """CSV and JSON on a terminal are written out too; a pipe gets the name as it is."""
    drawn = on_terminal(home, f"jobs {form}")

    assert said in drawn
    assert not set(EVIL[0] + EVIL[-1]) & set(drawn)
    assert EVIL in {row["user"] for row in json.loads(home.ok("jobs", "--json"))}


def test_json_and_csv_have_no_colours(home: Home) -> None:
    """What programs read is the same on a terminal."""
    for words in ("price show --json", "price show --csv"):
        assert on_terminal(home, words).splitlines() == home.ok(*words.split()).splitlines()
