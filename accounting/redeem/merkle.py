"""The hash tree of RFC 6962: one hash stands for many rows, and a short path proves one of them.

A leaf is hashed with 0x00 before it and a node with 0x01, so that neither passes for the other.
"""

import hashlib
from collections.abc import Iterable, Sequence


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf."""
    return hashlib.sha256(b"\0" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def root(hashes: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes, which are read once and not kept."""
    whole: list[tuple[int, bytes]] = []  # full trees, each smaller than the one before
    for hash_ in hashes:
        size = 1
        while whole and whole[-1][0] == size:
            hash_ = _node(whole.pop()[1], hash_)
            size *= 2
        whole.append((size, hash_))
    if not whole:
        return hashlib.sha256(b"").digest()
    _, hash_ = whole.pop()
    while whole:
        hash_ = _node(whole.pop()[1], hash_)
    return hash_


def path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return what has to be hashed with a leaf, one after the other, to come to the root."""
    if not 0 <= index < len(hashes):
        raise ValueError(f"leaf {index} of {len(hashes)}")
    if len(hashes) == 1:
        return []
    half = 1 << (len(hashes) - 1).bit_length() - 1
    if index < half:
        return [*path(hashes[:half], index), root(hashes[half:])]
    return [*path(hashes[half:], index - half), root(hashes[:half])]


def climb(hash_: bytes, index: int, size: int, steps: Sequence[bytes]) -> bytes:
    """Return the root to which a path leads from the leaf with this hash.

    Raises:
        ValueError: It is no path in a tree of this size.
    """
    last = size - 1
    if not 0 <= index <= last:
        raise ValueError(f"leaf {index} of {size}")
    for step in steps:
        if last == 0:
            raise ValueError(f"{len(steps)} steps are too many in a tree of {size}")
        if index % 2 or index == last:
            hash_ = _node(step, hash_)
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            hash_ = _node(hash_, step)
        index, last = index // 2, last // 2
    if last:
        raise ValueError(f"{len(steps)} steps are too few in a tree of {size}")
    return hash_
