"""The peers of bench/ledger.py do the same work as the book: equal to the last unit."""

import pytest

from bench import ledger as bench
from bench.peers import beancount_, orm

PHASES = 64


def lines(entries):
    """Return entries as the peers take them."""
    return [[(p.account, p.owner, p.amount_micro) for p in e.postings] for e in entries]


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Where our balances end, one by one and in groups."""
    folder = tmp_path_factory.mktemp("ours")
    entries = list(bench.phases(PHASES))
    urls = {"sqlite": lambda size: f"sqlite:///{folder}/{size}.db"}
    figures, ends = bench.ours(folder, urls, entries)
    assert min(figures.values()) > 0
    return ends


@pytest.mark.parametrize("peer", [orm, beancount_], ids=lambda peer: peer.NAME)
@pytest.mark.parametrize("size", [1, 7])
def test_a_peer_ends_where_the_book_ends(ends, tmp_path, peer, size) -> None:
    """Every balance is the same."""
    entries = lines(bench.phases(PHASES))
    tps, theirs = peer.run(tmp_path / "peer", lines(bench.opening()), entries, size)

    assert tps > 0
    assert theirs == ends


def test_phases_have_four_postings() -> None:
    """Each phase has four postings that sum to zero, and a key of its own."""
    made = list(bench.phases(PHASES))
    assert {len(entry.postings) for entry in made} == {4}
    assert {sum(p.amount_micro for p in entry.postings) for entry in made} == {0}
    assert len({entry.key for entry in made}) == len(made) == PHASES
