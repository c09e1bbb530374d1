"""Files that are whole and on the disk before their name is there."""

import errno
import mmap
import os
import threading
from pathlib import Path

_DIRECT_BYTES = 2**20
"""How much is written at a time past the page cache, and what is written that way at all."""
_BLOCK_BYTES = 4096
"""What is written that way is a multiple of it, and stands at one in memory."""

_thread = threading.local()
"""Of each thread: the memory that is written from, `room`."""
_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
"""Memory that is not shared with a process that is forked from this one."""


def put(root: Path, path: str, content: bytes | bytearray) -> None:
    """Make a file durable under its name, unless it is there already.

    Killed at any point, it leaves the file whole or not at all under that name.
    """
    target = root / path
    if target.is_file() and target.read_bytes() == content:
        return
    make_folder(target.parent)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb", 0) as file:
            at = _past_the_cache(partial, content)
            file.seek(at)
            rest = memoryview(content)[at:]
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _past_the_cache(file: Path, content: bytes | bytearray) -> int:
    """Write what can be to the disk itself: what nobody reads soon takes no page of others, and a
    page takes longer than the disk does where memory is a guest's.

    Returns:
        How many bytes were written, from the first on; the others are for the caller.
    """
    whole, written = len(content) // _BLOCK_BYTES * _BLOCK_BYTES, 0
    if whole < _DIRECT_BYTES:
        return 0
    room = _thread.room = getattr(_thread, "room", None) or mmap.mmap(-1, _DIRECT_BYTES, _PRIVATE)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_DIRECT)
        try:
            while written < whole:
                size = min(_DIRECT_BYTES, whole - written)
                room[:size] = content[written : written + size]
                with memoryview(room) as memory, memory[:size] as part:
                    done = os.write(handle, part)
                written += done // _BLOCK_BYTES * _BLOCK_BYTES
                if done < size:
                    break
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # not every file system knows of it
            raise
    return written


def take(root: Path, partial: Path, path: str) -> None:
    """Make a file that was written under another name beside it durable under its own."""
    target = root / path
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each of them durable."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Write a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
