"""redeem/merkle.py: the hash tree of RFC 6962, held to published roots."""

import pytest

from accounting.redeem import merkle

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Roots over the first 0 to 8 leaves: the reference vectors of the Certificate Transparency
project (merkle_tree_test.cc)."""


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference(size: int) -> None:
    """The root over the first leaves is the one that Certificate Transparency published."""
    assert merkle.root(map(merkle.leaf_hash, LEAVES[:size])).hex() == ROOTS[size]


@pytest.mark.parametrize("size", range(1, 34))
def test_every_path_leads_to_the_root_and_no_other_leaf_takes_it(size: int) -> None:
    """A path leads its leaf to the root; another leaf, place or number of steps does not."""
    hashes = [merkle.leaf_hash(bytes([i])) for i in range(size)]
    root = merkle.root(hashes)
    for i, hash_ in enumerate(hashes):
        steps = merkle.path(hashes, i)
        assert merkle.climb(hash_, i, size, steps) == root
        assert merkle.climb(merkle.leaf_hash(b"other"), i, size, steps) != root
        with pytest.raises(ValueError, match="too many"):
            merkle.climb(hash_, i, size, [*steps, root])
        if steps:
            with pytest.raises(ValueError, match="too few"):
                merkle.climb(hash_, i, size, steps[:-1])


@pytest.mark.parametrize("index", [-1, 3])
def test_a_leaf_that_is_not_there(index: int) -> None:
    """There is no path for a leaf outside of the tree."""
    hashes = [merkle.leaf_hash(bytes([i])) for i in range(3)]
    with pytest.raises(ValueError, match="of 3"):
        merkle.path(hashes, index)
    with pytest.raises(ValueError, match="of 3"):
        merkle.climb(hashes[0], index, 3, [])
