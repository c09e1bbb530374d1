"""Files that a command writes for somebody else to read: whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path

from accounting import durable


def write(target: Path, parts: Iterable[str]) -> None:
    """Write text, in UTF-8, as write_bytes does."""
    write_bytes(target, (part.encode() for part in parts))


def write_bytes(target: Path, parts: Iterable[bytes]) -> None:
    """Write a file that has its name once it is whole; into a pipe or a device as it comes.

    Raises:
        OSError: The disk is full, or the folder is not there or not ours; it names the file.
    """
    own = target.resolve()  # a link stays one
    partial = own.with_name(f"{own.name}.{os.getpid()}.partial")
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                stream.writelines(parts)
            return
        try:
            with partial.open("wb") as file:
                file.writelines(parts)
            durable.take(own.parent, partial, own.name)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:  # a full disk does not say whose file it has no room for
        raise OSError(error.errno, error.strerror, str(target)) from None
