"""docs/researcher.md: what it shows a user runs on the cluster, and prints what stands below."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.stage import Stage, run, until
from tests.test_guides import is_said, steps

pytestmark = pytest.mark.slurm

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture
def answering(live: Stage) -> Iterator[Stage]:
    """A site whose voucherd answers users."""
    settings = live.home / "config.yaml"
    before = settings.read_text()
    live.stop()
    settings.write_text(f"{before}users_port: 6899\n")
    live.start()
    asks = ("svoucher", "--at", "localhost:6899", "balance")
    until("users are answered", lambda: run(*asks, user="alice", ok=False).code == 0)
    yield live
    live.stop()
    settings.write_text(before)


def is_refusal(line: str) -> bool:
    """Tell whether a line that a guide shows is a refusal."""
    return " error: " in line or line.startswith("svoucher: ")


@pytest.mark.parametrize(
    ("guide", "language"), [("researcher.md", "C.UTF-8"), ("researcher.zh.md", "zh_CN.UTF-8")]
)
def test_the_researchers_guide_runs(answering: Stage, guide: str, language: str) -> None:
    """Each command of the guide, as alice, prints what the guide shows, or is refused so; that in
    Chinese in a Chinese locale."""
    text = (DOCS / guide).read_text(encoding="utf-8").replace("CD26-0001", answering.accounts["ai"])
    found = steps(text)
    assert len(found) > 3
    for command, shown in found:
        words = ("env", f"LC_ALL={language}", *shlex.split(command))
        done = run(*words, user="alice", ok=False)
        printed = (done.out + done.err).splitlines()
        assert bool(done.code) == any(is_refusal(line) for line in shown), f"{command}: {printed}"
        assert [line for line in shown if not is_said(line, printed)] == [], printed
