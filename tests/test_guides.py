"""The guides in docs/: what they show runs, in their order, and prints what stands below it."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from slurm_voucher.cli import main

DOCS = Path(__file__).parent.parent / "docs"
GUIDES = {"accountant.md": [], "regulator.md": ["accountant.md"], "policy.md": []}
"""Each guide, and those that it goes on from."""


def steps(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of a guide with what it shows of what that prints."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```\n(.*?)^```$", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("    "):
                found[-1][1].append(line.removeprefix("    "))
            else:
                found.append((line.partition(" #")[0], []))
    return found


def is_said(line: str, printed: list[str]) -> bool:
    """Tell whether a line was printed; an ellipsis is whatever it was."""
    pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
    return any(pattern.fullmatch(other.rstrip()) for other in printed)


@pytest.mark.parametrize("guide", GUIDES)
def test_guide_runs(tmp_path, monkeypatch, guide: str) -> None:
    """Each command of a guide does what the guide says, and the book adds up in the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SVOUCHER_HOME", str(tmp_path / "home"))
    shutil.copytree(DOCS, tmp_path / "docs")
    (tmp_path / "HT-2026-118.pdf").write_bytes(b"a scan of the contract")
    texts = [(DOCS / name).read_text(encoding="utf-8") for name in (*GUIDES[guide], guide)]
    found = [step for text in texts for step in steps(text)]
    assert len(found) > 5
    for command, shown in found:
        name, *arguments = shlex.split(command)
        if name == "export":
            continue
        assert name == "svoucher", f"{guide}: {command}"
        done = CliRunner().invoke(main, arguments)
        printed = done.output.splitlines()
        refused = bool(shown) and shown[0].startswith("svoucher: ")
        assert (done.exit_code != 0) == refused, f"{guide}: {command}: {done.output}"
        missing = [line for line in shown if not is_said(line, printed)]
        assert missing == [], f"{guide}: {command}: {done.output}"
