"""The live tests' stage: one book for all of them, with the story's units and accounts."""

from collections.abc import Iterator

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Stage


@pytest.fixture(scope="session")
def site() -> Iterator[Stage]:
    """A site whose scene is set and whose voucherd runs."""
    stage = stages.fresh()
    stages.scene(stage)
    stage.start()
    yield stage
    stage.stop()


@pytest.fixture
def live(site: Stage) -> Iterator[Stage]:
    """The site for one test; jobs that the test left behind are cancelled, voucherd is back."""
    if site.voucherd is None:
        site.start()
    yield site
    stages.run("scancel", "--user=alice", ok=False)
    stages.run("scancel", "--user=bob", ok=False)
    stages.until("the queue empties", lambda: not stages.run("squeue", "-h").out.strip())
    if site.voucherd is None:
        site.start()
