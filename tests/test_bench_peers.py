"""The peers that our figures are compared with do the same work: equal to the last unit."""

import importlib

import numpy as np
import pytest

from accounting.settle import onepass
from bench import peers, workload

ROWS = 20_000


@pytest.fixture(scope="module")
def case() -> peers.Case:
    """A small year."""
    return peers.arranged(workload.make(ROWS))


@pytest.fixture(scope="module")
def ours(case) -> onepass.Drawn:
    """What our kernel makes of it."""
    given = case.rows, case.tables, case.vouchers, case.months_s, case.ratio_bp
    return onepass.draw_down(*given)


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_peer_comes_to_what_the_kernel_comes_to(name: str, case, ours) -> None:
    """Charges, shares and sums are equal, a second time too."""
    peer = importlib.import_module(f"bench.peers.{name}")
    state = peer.prepare(case)
    for _ in range(2):
        found = peer.run(state)
        for of in ("charge_micro", "share_fen", "by_partition_micro", "drawn_fen"):
            assert getattr(found, of).dtype == np.int64, of
            np.testing.assert_array_equal(getattr(found, of), getattr(ours, of), err_msg=of)


def test_the_year_has_all_that_binds(case, ours) -> None:
    """Vouchers are spent, and some runs lie on both sides of an edge."""
    assert (ours.left_fen == 0).any()
    assert 0 < ours.share_fen.sum() == ours.drawn_fen.sum() < ours.charge_micro.sum() // 20_000
    begin_s = case.rows.end_s - case.rows.wall_s
    edge_s = np.array([own[0].until_s for own in case.vouchers])[case.account]
    assert ((begin_s < edge_s) & (edge_s < case.rows.end_s)).any()
