"""docs/verify_chain.py knows a whole chain from a changed one, without our code."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from homes import Home, an_account, furnished

from accounting.book import ledger

SCRIPT = Path(__file__).parent.parent / "docs" / "verify_chain.py"
Entries = list[dict[str, Any]]


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Entries:
    """The exported chain of a book in which cash was paid in."""
    home: Home = furnished(tmp_path_factory.mktemp("home"))
    home.ok("topup", an_account(home), "5", "--reference", "B1")
    path = home.path / "chain.jsonl"
    said = home.ok("audit", "--export", str(path))
    assert "0 findings" in said
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def verify(chain: Entries, tmp_path: Path) -> tuple[int, str]:
    """Run the script by itself; return its exit code and what it said."""
    path = tmp_path / "chain.jsonl"
    path.write_text("".join(f"{ledger.canonical(entry)}\n" for entry in chain), "utf-8")
    command = [sys.executable, "-I", str(SCRIPT), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def post(amount: int) -> Callable[[Entries], None]:
    """Change the first posting of the last entry."""

    def change(chain: Entries) -> None:
        content = json.loads(chain[-1]["content"])
        content["postings"][0][2] = amount
        chain[-1]["content"] = ledger.canonical(content)

    return change


def rehashed(chain: Entries) -> None:
    """Change a posting and hash the entry anew: it no longer sums to zero."""
    post(7)(chain)
    chain[-1]["hash"] = ledger.entry_hash(chain[-1])


def relinked(chain: Entries) -> None:
    """Change an early entry and hash it anew: the next one names another hash."""
    chain[1]["actor"] = "nobody"
    chain[1]["hash"] = ledger.entry_hash(chain[1])


def test_a_whole_chain_is_verified(chain: Entries, tmp_path: Path) -> None:
    """A chain as it was exported follows, and the last hash is printed."""
    code, said = verify(chain, tmp_path)

    assert code == 0
    assert said == f"{len(chain)} entries follow each other; the last hash is {chain[-1]['hash']}"
    assert len(chain) > 4


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (post(50_000_01), "is not what was hashed"),
        (rehashed, "does not sum to zero"),
        (relinked, "entry 3: does not follow the one before"),
        (lambda chain: chain.pop(2), "line 3: is entry 4"),
        (lambda chain: chain.insert(1, chain.pop(2)), "line 2: is entry 3"),
        (lambda chain: chain[0].update(at_s=1), "entry 1: is not what was hashed"),
    ],
)
def test_a_changed_chain_is_found(chain: Entries, tmp_path: Path, change, found: str) -> None:
    """A changed posting, a missing, moved or rewritten entry is named, and the exit is not 0."""
    copy = [dict(entry) for entry in chain]
    change(copy)
    code, said = verify(copy, tmp_path)

    assert code == 1
    assert found in said


def test_the_script_is_short_and_on_its_own() -> None:
    """The script has about 30 lines and imports hashlib, json and sys alone."""
    text = SCRIPT.read_text("utf-8")
    imports = {line for line in text.splitlines() if line.startswith(("import", "from"))}
    assert imports == {"import hashlib", "import json", "import sys"}
    assert len(text.splitlines()) <= 32
