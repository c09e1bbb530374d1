"""Every command has help with an example, and README names it; what README shows runs."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from slurm_voucher.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, click.Command]]:
    """Return every command that does something, with its words."""
    if not isinstance(command, click.Group):
        return [(" ".join(path), command)]
    found = []
    for name in command.list_commands(click.Context(command)):
        child = command.get_command(click.Context(command), name)
        assert child is not None
        found += leaves(child, (*path, name))
    return found


LEAVES = leaves(main)


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[words for words, _ in LEAVES])
def test_every_command_has_help_and_an_example(words: str, command: click.Command) -> None:
    """Each command's help says what for, and shows one example that names it."""
    assert command.help
    assert f"Example: svoucher {words}" in command.help


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[words for words, _ in LEAVES])
def test_examples_are_words_that_the_command_takes(words: str, command: click.Command) -> None:
    """The example of each command parses: its options and arguments are the command's own."""
    text = (command.help or "").partition("Example: svoucher ")[2].replace("\\\n", " ")
    arguments = shlex.split(text.partition("\n\n")[0])[len(words.split()) :]
    context = click.Context(command, info_name=words)
    command.parse_args(context, arguments)


def test_the_overview_says_what_the_commands_say() -> None:
    """The one line of each command in --help is the first line of its own help."""
    context = click.Context(main)
    own = {name: main.get_command(context, name) for name in COMMANDS}
    first = {name: (c.help or "").partition("\n")[0] for name, c in own.items() if c}
    assert {name: line for name, (_, line) in COMMANDS.items()} == first


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_names_every_command(command: str) -> None:
    """README's table names each command."""
    table = README.partition("## The command")[2]
    assert re.search(rf"`{command}[ `]", table)


def test_the_short_way_of_readme_runs(tmp_path, monkeypatch) -> None:
    """The commands that README shows for a machine without Slurm run, and print what it shows."""
    part = README.partition("Without Slurm")[2].partition("```\n")[2].partition("```")[0]
    commands, shown = [], []
    for line in part.replace("\\\n", " ").splitlines():
        (shown if line.startswith("    ") else commands).append(line.strip())
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SVOUCHER_HOME", str(tmp_path))
    printed = []
    for line in commands:
        if not line.startswith("export "):
            done = CliRunner().invoke(main, shlex.split(line)[1:])
            assert done.exit_code == 0, f"{line}: {done.output}"
            printed += [text.strip() for text in done.output.splitlines()]
    assert len(commands) >= 6
    assert [line for line in shown if line not in printed] == []


def test_the_hooks_table_names_tests_that_are_there() -> None:
    """Each row of docs/hook.md names a live test that stands in that file."""
    table = (ROOT / "docs" / "hook.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*\| `(test_\w+\.py)` (\w+) \|", table, re.M)
    assert rows
    for file, name in rows:
        assert f"def test_{name}(" in (ROOT / "tests" / "slurm" / file).read_text(encoding="utf-8")
