"""Memory that is used again: what is given back and asked for anew is cleared page by page, which
takes as long as it does to read text into it."""

import mmap
import queue
import weakref
from contextlib import suppress

import numpy as np
import numpy.typing as npt


def laid_out(size: int) -> mmap.mmap:
    """Return memory, zeros, of which what is written to alone is taken, in large pages if there
    are any."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without large pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class Blocks:
    """Blocks of memory of one size, each free again once nobody has any of its arrays."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free: queue.SimpleQueue[mmap.mmap] = queue.SimpleQueue()

    def take(self) -> npt.NDArray[np.uint8]:
        """Return a block; anything may stand in it."""
        try:
            memory = self._free.get_nowait()
        except queue.Empty:
            memory = laid_out(self._size)
        block = np.frombuffer(memory, np.uint8)
        weakref.finalize(block, self._free.put, memory).atexit = False
        return block
