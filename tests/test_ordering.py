"""Runs by account and end: what a stable sort gives, whatever comes in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.settle.ordering import order

ROWS = st.lists(
    st.tuples(st.integers(0, 3) | st.integers(0, 2**20), st.integers(-5, 5) | st.integers(0, 2**40))
)


@given(ROWS, st.integers(1, 3))
def test_order_is_that_of_a_stable_sort(rows, threads) -> None:
    """Rows come by account, then by end, and what is equal stays as it was."""
    account = np.array([account for account, _ in rows], np.int64)
    end_s = np.array([end for _, end in rows], np.int64)

    assert order(account, end_s, threads).tolist() == np.lexsort([end_s, account]).tolist()


def test_more_than_a_key_holds_is_refused() -> None:
    """Accounts and ends that do not fit into 64 bits together are no rows to sort."""
    with pytest.raises(ValueError, match="keys of 65 bits"):
        order(np.array([2**24, 0]), np.array([0, 2**40 - 1]))
