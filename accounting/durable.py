"""Files that are whole and on the disk before their name is there."""

import os
from pathlib import Path


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
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


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
