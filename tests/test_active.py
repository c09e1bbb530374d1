"""slurm_voucher/active.py: one voucherd of a cluster has its turn, then the next one."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from accounting.book import ledger
from slurm_voucher import active


@pytest.fixture
def turns(empty):
    """Make turns at the same book, each with connections of its own, as other processes have."""
    engines, made = [], []

    def make(cluster: str = "chengdu") -> active.Turn:
        engines.append(ledger.connect(empty.engine.url.render_as_string(hide_password=False)))
        made.append(active.turn(engines[-1], cluster))
        return made[-1]

    yield make
    for turn in made:
        turn.end()
    for engine in engines:
        engine.dispose()


def soon(true: Callable[[], bool]) -> bool:
    """Tell whether something comes true: a database sees a moment later that a session is over."""
    end = time.monotonic() + 10
    while not (came := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return came


def test_one_at_a_time(turns) -> None:
    """The second waits until the first has ended; another cluster has a turn of its own."""
    first, second, other = turns(), turns(), turns("other")

    assert first.take()
    assert not second.take()
    assert other.take()
    assert first.lasts()
    first.end()
    assert soon(second.take)


def test_turn_ends_with_its_session(turns, empty) -> None:
    """A turn whose session PostgreSQL has ended is over, and says so."""
    if empty.engine.dialect.name != "postgresql":
        pytest.skip("a file has no session")
    first, second = turns(), turns()
    assert first.take()
    session = first._conn.execute(text("SELECT pg_backend_pid()")).scalar()
    with empty.engine.begin() as conn:
        assert conn.execute(text("SELECT pg_terminate_backend(:of)"), {"of": session}).scalar()

    assert not first.lasts()
    assert soon(second.take)
