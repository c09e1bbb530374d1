"""Memory that is used again is nobody else's meanwhile."""

import mmap

import pyarrow as pa

from slurm_voucher.sources import memory
from slurm_voucher.sources.memory import Blocks


def test_a_block_is_free_once_nobody_has_an_array_of_it() -> None:
    """What stands in a column of Arrow's stays, until that goes."""
    blocks = Blocks(4096)
    block = blocks.take()
    block[:8] = 7
    column = pa.array(block[:8])
    del block
    other = blocks.take()
    other[:] = 9

    assert column.to_pylist() == [7] * 8
    place = column.buffers()[1].address
    del column
    assert blocks.take().ctypes.data == place


def test_a_kernel_without_large_pages(monkeypatch) -> None:
    """Memory is laid out in small ones."""

    class Plain(mmap.mmap):
        def madvise(self, *_: int) -> None:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(memory.mmap, "mmap", Plain)

    assert memory.laid_out(100)[:] == bytes(100)
