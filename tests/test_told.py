"""What commands print for programs keeps to its schema, and CSV says the same: after a quarter."""

import json
import shlex
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator

import click
import pytest
import told
from homes import ROOT, Home
from test_docs import LEAVES
from test_guides import steps

from accounting.settle import hours
from slurm_voucher import listening
from slurm_voucher.cli import main

GUIDES = ("accountant.md", "regulator.md")
LAST = (
    "unit fact shuzhi related_cdaicc --from 2026-01-01 --source letter",
    "member add shuzhi --cluster chengdu --uid 1001 --from 2027-01-30",
)
DAY, CLAIM = "2027-01-31", "C-cdaicc-2026-Q4-1"
THEN = {"policy explain A-CD26-0001": "2026-09-03"}
"""What is asked of another day: an application is judged in the year of its contract."""
ROWS = [
    "key list", "price show", "chips show", "policy explain A-CD26-0001", "provider list",
    "unit facts shuzhi", "unit freezes shuzhi", "unit list", "contract list", "voucher list",
    "balance", "members", "jobs", "explain 4103", "status", "rerate", "archive list",
    "report charges", "report programme --year 2026", "report units",
    "report usage --cluster chengdu", "report utilisation --cluster chengdu", "report vouchers",
    "statement list", "claim list",
]  # fmt: skip
"""What has something to tell after a quarter."""
NOTHING = [
    "key refusals", "waiting list", "voucher debts", "holds", "archive verify", "audit",
    f"claim verify {CLAIM}.zip", "reserve statement cdaicc",
]  # fmt: skip
"""What has nothing to tell there, and then prints an empty list; with rows they are held to their
schemas below, in test_cli_acts, test_cli_registry and test_reserve."""
ELSEWHERE = {"quote": "test_userport.py", "reconcile": "test_comparing.py"}
"""What asks Slurm: the tests that hold it to its schema."""


@pytest.fixture(scope="module")
def quarter(tmp_path_factory) -> Iterator[Home]:
    """The book of the accountant's and the regulator's guides, with a fact and a member."""
    folder = tmp_path_factory.mktemp("quarter")
    home = Home(folder / "home")
    shutil.copytree(ROOT / "docs", folder / "docs")
    (folder / "HT-2026-118.pdf").write_bytes(b"a scan of the contract")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(listening, "ask", lambda *_: {"asked": "7"})
        for guide in GUIDES:
            for command, _ in steps((ROOT / "docs" / guide).read_text(encoding="utf-8")):
                name, *arguments = shlex.split(command)
                if name == "svoucher":
                    home.ok(*arguments)
        for words in LAST:
            home.ok("--as-of", DAY, *words.split())
        yield home


def listing() -> Iterator[str]:
    """Yield every command that has --json."""

    def below(command: click.Command | None, name: str) -> Iterator[str]:
        assert command is not None
        if isinstance(command, click.Group):
            context = click.Context(command)
            for own in command.list_commands(context):
                yield from below(command.get_command(context, own), f"{name} {own}")
        elif any(option.name == "as_json" for option in command.params):
            yield name.strip()

    yield from below(main, "")


def schema_of(asked: str) -> str:
    """Return the name of the schema of what is asked."""
    [name] = [name for name in listing() if f"{asked} ".startswith(f"{name} ")]
    return name.replace(" ", "-")


def test_every_listing_is_held_to_a_schema() -> None:
    """Each command with --json has a schema and is asked here, or by the tests that are named."""
    names = {name.replace(" ", "-") for name in listing()}
    assert {path.stem for path in told.SCHEMAS.glob("*.json")} == names
    assert {*map(schema_of, ROWS + NOTHING), *ELSEWHERE} == names
    for name, test in ELSEWHERE.items():
        assert f'told.rows("{name}"' in (ROOT / "tests" / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("asked", ROWS + NOTHING)
def test_a_listing_keeps_to_its_schema(quarter: Home, asked: str) -> None:
    """JSON has the columns of the schema in their order, and CSV the same rows."""
    words = ("--as-of", THEN.get(asked, DAY), *asked.split())
    rows = told.rows(schema_of(asked), quarter.ok(*words, "--json"))
    assert bool(rows) == (asked in ROWS)
    if rows:
        told.same_as_csv(rows, quarter.ok(*words, "--csv"))


def test_what_a_hold_and_a_finding_look_like(quarter: Home, tmp_path) -> None:
    """A book with a hold, an archive with a strange file and without one of its own, and a packet
    in which a figure was changed: the rows keep to their schemas, exit 5 where there are findings.
    """
    home = Home(tmp_path / "home")
    shutil.copytree(quarter.path, home.path)
    with sqlite3.connect(home.path / "book.db") as book:
        book.execute(
            "INSERT INTO hold (id, cluster, account, uid, asked_s, expires_s, tasks, live, turn, "
            "task_micro, task_eligible_micro, request) VALUES "
            "(?, 'chengdu', 'CD26-0001', 1001, 1800000000, 1800000300, 1, 1, 1, 5, 5, '{}')",
            ("0" * 32,),
        )
    book.close()
    [held] = told.rows("holds", home.ok("--as-of", DAY, "holds", "--json"))
    assert (held["account"], held["held"]) == ("CD26-0001", "0.000005")

    own = next((home.path / "archive" / "usage").rglob("*.parquet"))
    own.rename(own.with_name("0123456789abcdef.parquet"))
    for words in ("archive verify", "audit"):
        done = home.run("--as-of", DAY, *words.split(), "--json")
        assert done.exit_code == 5, done.output
        assert done.stdout, done.stderr
        assert told.rows(schema_of(words), done.stdout)

    packet = tmp_path / f"{CLAIM}.zip"
    with zipfile.ZipFile(f"{CLAIM}.zip") as whole, zipfile.ZipFile(packet, "w") as other:
        for name in whole.infolist():
            content = whole.read(name)
            if name.filename.endswith(".csv"):
                content = content.replace(b"CD26-0001", b"CD26-0009")
            other.writestr(name, content)
    done = home.run("claim", "verify", str(packet), "--json")
    assert done.exit_code == 5, done.output
    assert told.rows("claim-verify", done.stdout)


@pytest.mark.parametrize("group", hours.GROUPS)
def test_usage_by_a_group_is_all_of_it(quarter: Home, group: str) -> None:
    """Every run is in one group, which stands beside the period."""
    asked = ("--as-of", DAY, "report", "usage", "--cluster", "chengdu", "--by", "total", "--json")
    [whole] = json.loads(quarter.ok(*asked))
    rows = json.loads(quarter.ok(*asked, "--group", group))
    assert {*map(tuple, rows)} == {("period", group, *[*whole][1:])}
    assert sum(row["ended"] for row in rows) == whole["ended"] > 0
    if group == "unit":
        assert {row["unit"] for row in rows} & {"shuzhi"}


ENDING = [(words, command) for words, command in LEAVES if words != "serve"]
"""Every command but the one that runs until it is stopped."""


@pytest.mark.thorough
@pytest.mark.parametrize(("words", "command"), ENDING, ids=[words for words, _ in ENDING])
def test_an_example_runs(quarter: Home, tmp_path, words: str, command: click.Command) -> None:
    """The example in a command's help does what it says, or one line says what is not there."""
    example = (command.help or "").partition("Example: ")[2].partition("\n\n")[0]
    _, *arguments = shlex.split(example.replace("\\\n", " "))
    home = Home(tmp_path / "home")
    shutil.copytree(quarter.path, home.path)
    done = home.run("--as-of", DAY, *arguments)

    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.exit_code in (0, 1, 3, 4, 5)
    if done.exit_code:
        *_, said = done.output.strip().splitlines()
        assert said.startswith("svoucher: ") or words == "check"
