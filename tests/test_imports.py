"""What each part may know, by what it imports: plugins ─wire─▶ slurm_voucher ─▶ accounting."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ROWS = """
    errors money period schema run segment compiling durable
    kernels
    yamlfile capitals triggers usage watermarks creditcode merkle
    paper structfile bands chips ledger filing reports nodes encoding
    parquet
    archive places capacity
    picking
    policy prices resized packet upgrading
    terms footprint discounts reading
    tariff signing registry
    basis keys pricelists granting papers freezing payments
    holds examples
    nearing pace
    definition releasing spending unitfacts credit cancelling debts certificate
    entitling
    issuing applying
    waiting
    ending clawback amending returning
    items tables
    curves
    rating quoting explaining drawdown ordering owners
    onepass keeping
    grouping
    stored
    tallying daysums adding
    cutting
    summing
    pricing rerating closable eligible charges utilisation hours
    writing known
    charging queueing
    stating statements evidence compacting
    settlement shares invoicing redemption reserve own
    refunding reviewing owing paying withdrawing funding backing recounting
    acts
    packing inventory comparing replay settled issued signed checking proving overfilled
    claimed owed
    audit backup chained naming
    statement voucher claim registers
    programme standing
"""
"""Modules of accounting, from what knows least to what knows most: each imports from rows above
its own and from none beside or below it. A new module gets a place here."""

FOLDERS = ["", "book", "runs", "vouchers", "rates", "settle", "redeem", "proof", "forms"]
"""Folders of accounting in the order of the flow; '' is what stands at its top."""

PLACE = {name: i for i, row in enumerate(ROWS.strip().splitlines()) for name in row.split()}
MIGRATIONS = sorted((ROOT / "accounting" / "book" / "migrations").glob("**/*.py"))
DOMAIN = sorted(set((ROOT / "accounting").glob("**/*.py")) - set(MIGRATIONS))
BRIDGE = sorted((ROOT / "slurm_voucher").glob("**/*.py"))

NOT_IN_DOMAIN = {
    "asyncio", "bench", "click", "getpass", "http", "paramiko", "plugins", "pyslurm", "requests",
    "slurm_voucher", "socket", "socketserver", "subprocess", "tests", "time", "urllib",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}


def imported(path):
    """Yield the dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import; write it out"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def siblings(path):
    """Return the modules of accounting that a file imports, each with its folder or ''."""
    names = [name.split(".") for name in imported(path)]
    parts = [name[1:] for name in names if name[0] == "accounting" and len(name) > 1]
    return {
        (part[0], part[1]) if part[0] in FOLDERS else ("", part[0])
        for part in parts
        if part[0] not in FOLDERS or len(part) > 1
    }


def ids(paths):
    """Name files for test ids."""
    return [str(path.relative_to(ROOT)) for path in paths]


def test_every_module_has_a_place():
    """Every module of accounting stands in exactly one row."""
    modules = [path.stem for path in DOMAIN if path.stem != "__init__"]
    assert set(modules) == set(PLACE)
    assert len(ROWS.split()) == len(PLACE)


@pytest.mark.parametrize("path", DOMAIN, ids=ids(DOMAIN))
def test_a_module_imports_from_rows_above(path):
    """No module imports from its own row or from one below."""
    place = PLACE.get(path.stem, 0)
    assert {name for _, name in siblings(path) if PLACE[name] >= place} == set()


@pytest.mark.parametrize("path", DOMAIN, ids=ids(DOMAIN))
def test_a_folder_imports_from_folders_before_it(path):
    """No folder of the flow imports from one that comes after it."""
    own = path.parent.name if path.parent.name != "accounting" else ""
    later = FOLDERS[FOLDERS.index(own) + 1 :]
    assert {folder for folder, _ in siblings(path) if folder in later} == set()


@pytest.mark.parametrize("path", DOMAIN, ids=ids(DOMAIN))
def test_the_domain_knows_no_slurm_and_no_clock(path):
    """No module of accounting imports the bridge, a terminal, a socket, a process or the clock."""
    assert {name.split(".")[0] for name in imported(path)} & NOT_IN_DOMAIN == set()


@pytest.mark.parametrize("path", DOMAIN, ids=ids(DOMAIN))
def test_the_domain_does_not_ask_for_the_time(path):
    """No module of accounting calls now(), today() or their like: time is an argument."""
    calls = [
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert set(calls) & CLOCKS == set()


@pytest.mark.parametrize("path", MIGRATIONS, ids=ids(MIGRATIONS))
def test_a_migration_imports_nothing_of_ours(path):
    """A step between schemas does for good what it did, whatever becomes of the code."""
    assert {name.split(".")[0] for name in imported(path)} & {"accounting", *NOT_IN_DOMAIN} == set()


@pytest.mark.parametrize("path", BRIDGE, ids=ids(BRIDGE))
def test_the_bridge_knows_neither_tests_nor_benchmarks(path):
    """The bridge imports the domain and itself, never tests or benchmarks."""
    assert {name.split(".")[0] for name in imported(path)} & {"tests", "bench", "plugins"} == set()
