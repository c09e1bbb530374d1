"""Manual pages made from the help, and completion in the shell."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from homes import ROOT
from test_docs import LEAVES
from test_startup import BOOK, SLOW, SVOUCHER

from slurm_voucher.cli import COMMANDS

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """The pages, as `make man` makes them."""
    folder = tmp_path_factory.mktemp("man")
    python_ = [sys.executable, str(ROOT / "docs" / "manpages.py"), str(folder)]
    subprocess.run(python_, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    return folder / "man1"


def read(page: Path) -> str:
    """Return a page as man shows it, in one line."""
    shown = subprocess.run(
        ["groff", "-ww", "-K", "utf8", "-man", "-T", "utf8", "-rLL=500n", "-P-cbou", str(page)],
        capture_output=True, check=True, encoding="utf-8",
    )  # fmt: skip
    assert shown.stderr == ""
    return " ".join(shown.stdout.replace("\u2010\n", "").split())


def test_every_command_has_a_page(pages) -> None:
    """Each command has a page with its example and its options, which groff sets without a
    warning."""
    for words, command in LEAVES:
        text = read(pages / f"svoucher-{words.replace(' ', '-')}.1")
        example = (command.help or "").partition("Example: ")[2].partition("\n\n")[0]
        assert f"Example: {' '.join(example.split())}" in text
        for name in (name for each in command.params for name in each.opts if name[0] == "-"):
            assert name in text


def test_the_overview_names_every_page(pages) -> None:
    """The page of svoucher names each command's, and no page stands for no command."""
    text = (pages / "svoucher.1").read_text(encoding="utf-8").replace("\\", "")
    for name in COMMANDS:
        assert f".BR svoucher-{name} (1)" in text
    words = {tuple(path.split()) for path, _ in LEAVES}
    wanted = {path[:n] for path in words for n in range(len(path) + 1)}
    assert {page.stem for page in pages.iterdir()} == {"-".join(("svoucher", *w)) for w in wanted}


def test_help_is_no_roff(pages) -> None:
    """What means something to roff is written so that it does not."""
    for page in pages.iterdir():
        for line in page.read_text(encoding="utf-8").splitlines():
            assert re.match(r"\.(TH|SH|PP|TP|BR?|nf|fi)\b|[^.']", line)
            assert not re.search(r"\\(?![-e&(])", line)


# --- completion ------------------------------------------------------------------------------


def offered(shell: str, line: str, **env: str) -> tuple[list[str], set[str]]:
    """Return what is offered for the last word of a line, and what was loaded for it."""
    words = line.split(" ")
    given = {
        "_SVOUCHER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(words) if shell != "fish" else line,
        "COMP_CWORD": str(len(words) - 1) if shell != "fish" else words[-1],
    }
    done = subprocess.run(
        [sys.executable, "-c", SVOUCHER],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **given, **env},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    loaded = done.stderr.rpartition("loaded: ")[2].split()
    return done.stdout.splitlines(), {name.partition(".")[0] for name in loaded}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_offers_commands_and_options(shell: str) -> None:
    """Commands and options are offered, in each shell, without the database and Arrow."""
    commands, loaded = offered(shell, "svoucher ba")
    assert set(re.split("[\n\t,]", "\n".join(commands))) & {*COMMANDS} == {"backup", "balance"}
    assert loaded & (SLOW | BOOK) == set()
    options, loaded = offered(shell, "svoucher balance --")
    assert {"--json", "--csv", "--help"} <= set(re.findall(r"--\w+", " ".join(options)))
    assert loaded & (SLOW | BOOK) == set()
    below, _ = offered(shell, "svoucher price ")
    assert {"load", "show", "check"} <= set(re.findall(r"\w+", " ".join(below)))


def test_completion_tells_of_commands_in_ones_language() -> None:
    """Where the shell shows help beside a command, it is in the reader's language."""
    [line, *_], _ = offered("fish", "svoucher balance", LC_ALL="zh_CN.UTF-8")
    assert "显示算力券账户" in line


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_has_a_script_for_each_shell(shell: str) -> None:
    """There is a script for a shell's start-up file, which asks svoucher itself."""
    done = subprocess.run(
        [sys.executable, "-c", SVOUCHER],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin",
             "_SVOUCHER_COMPLETE": f"{shell}_source"},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert f"_SVOUCHER_COMPLETE={shell}_complete" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, encoding="utf-8", check=True)
