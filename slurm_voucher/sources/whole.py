"""Text that ends where a line does."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator

from accounting.errors import VoucherError
from slurm_voucher.sources.sacct import LINE_CHARS_MAX

KEPT_BYTES = 4 * LINE_CHARS_MAX + 4
"""No row is longer: in so many bytes a line ends, or it is none."""


class Whole:
    """The whole lines of a text. What stands behind its last line feed is left out, for the begin
    of a row can be read as another row than it was.

    Attributes:
        rest: What stood there, when all was read.
        broken: Why the text broke off. None: it did not.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self.rest = b""
        self.broken: VoucherError | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks as they are, but for the last, which ends where a line does."""
        kept: deque[bytes] = deque()
        size = 0
        try:
            for block in self._blocks:
                kept.append(block)
                size += len(block)
                while size - len(kept[0]) >= KEPT_BYTES:
                    size -= len(kept[0])
                    yield kept.popleft()
        except VoucherError as error:
            self.broken = error
        text = b"".join(kept)
        end = text.rfind(b"\n") + 1
        if len(text) - end >= KEPT_BYTES:  # too long to be a row: it will be refused as that
            end = len(text)
        self.rest = text[end:]
        if end:
            yield text[:end]

    def close(self) -> None:
        """End what gives the text, where its reader goes away before that."""
        if isinstance(self._blocks, Generator):
            self._blocks.close()
