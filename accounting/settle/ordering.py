"""Put runs in the order in which vouchers are drawn: account after account, by their ends.

A radix sort: for each digit of (account, end) count, then move, from the lowest to the highest.
It keeps the order of what is equal, so runs that come in key order stay in it, and it takes as long
for one order as for another.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from accounting.rates import kernels

Int64s = npt.NDArray[np.int64]

DIGIT_BITS = 9
"""More bits are fewer passes, each over more places at once."""
KEY_BITS = 64


def order(account: npt.NDArray[np.integer], end_s: Int64s, threads: int = 2) -> kernels.Places:
    """Return the places of rows by account and end, ties in the order in which they stand.

    Args:
        account: int[n] numbers of accounts, >= 0.
        end_s: int64[n].
        threads: How many share the work.

    Raises:
        ValueError: Accounts and ends together have more than 64 bits, or rows more than 32.

    Example:
        Accounts 1, 0, 0 and ends 5, 9, 7: places 2, 1, 0.
    """
    rows = len(end_s)
    if not rows:
        return np.zeros(0, np.uint32)
    first_s, most = int(end_s.min()), int(account.max())
    end_bits = int(end_s.max() - first_s).bit_length()
    bits = end_bits + most.bit_length()
    if bits > KEY_BITS or rows >= 2**32:
        raise ValueError(f"{rows} rows with keys of {bits} bits, 2**32 and 64 are possible")
    keys = account.astype(np.uint64) << np.uint64(end_bits)
    keys |= (end_s - first_s).astype(np.uint64)
    now = keys, np.arange(rows, dtype=np.uint32)
    then = np.empty_like(keys), np.empty(rows, np.uint32)
    parts = list(pairwise(rows * i // threads for i in range(threads + 1)))
    with ThreadPoolExecutor(threads) as pool:
        for shift in range(0, bits, DIGIT_BITS):
            _by_digit(pool, parts, shift, now, then)
            now, then = then, now
    return now[1]


def _by_digit(
    pool: ThreadPoolExecutor,
    parts: Sequence[tuple[int, int]],
    shift: int,
    now: tuple[kernels.Keys, kernels.Places],
    then: tuple[kernels.Keys, kernels.Places],
) -> None:
    """Move keys and places to the order of one digit; what is equal keeps its order."""
    counts = np.zeros((len(parts), 1 << DIGIT_BITS), np.int64)
    counted = [
        pool.submit(kernels.count_digits, now[0], *part, shift, own)
        for part, own in zip(parts, counts, strict=True)
    ]
    for each in counted:
        each.result()
    by_digit = counts.T.ravel()  # of each digit the first part's, then the second's
    firsts = np.ascontiguousarray((np.cumsum(by_digit) - by_digit).reshape(-1, len(parts)).T)
    moved = [
        pool.submit(kernels.scatter, *now, *part, shift, own, *then)
        for part, own in zip(parts, firsts, strict=True)
    ]
    for each in moved:
        each.result()
