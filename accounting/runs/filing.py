"""The files of the usage archive: where each stands, and what is put aside. Nothing is deleted."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from accounting import durable

FOLDER = "usage"
QUARANTINE = "quarantine"
"""Where files are put that the book does not know."""
COMPACTED = "compacted"
"""Where files are kept whose rows stand in a larger one by now."""


def where(root: Path, path: str) -> Path:
    """Return where a file is: whoever began to read before a compaction finds it aside."""
    aside = root / COMPACTED / path
    return aside if not (root / path).exists() and aside.exists() else root / path


def sha256_of(file: Path) -> str:
    """Hash a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def known_sha256_of(file: Path) -> str:
    """Hash a file that thousands of segments stand in once, as long as it does not change."""
    return _once(file, state_of(file))


def state_of(file: Path) -> tuple[int, ...]:
    """Return what changes with a file's content."""
    state = file.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


@lru_cache(maxsize=16)
def _once(file: Path, _state: tuple[int, ...]) -> str:
    return sha256_of(file)


def quarantine(root: Path, known_paths: Iterable[str]) -> list[str]:
    """Move files that the book does not know out of the archive; nothing is ever deleted.

    Nobody may be writing meanwhile: a segment whose row is not yet committed is not yet known.

    Returns:
        Where the files are now, below the root.
    """
    known = set(known_paths)
    return [_aside(root, path, QUARANTINE) for path in files(root) if path not in known]


def retire(root: Path, paths: Iterable[str]) -> list[str]:
    """Move files aside whose rows stand in a larger one; nothing is ever deleted.

    Returns:
        Where the files are now, below the root.
    """
    old = set(paths)
    return [_aside(root, path, COMPACTED) for path in files(root) if path in old]


def files(root: Path) -> list[str]:
    """List the files that stand where segments do, below the root."""
    found = sorted(file for file in (root / FOLDER).rglob("*") if not file.is_dir())
    return [file.relative_to(root).as_posix() for file in found]


def _aside(root: Path, path: str, folder: str) -> str:
    """Move a file into another folder, under another name where that one is taken."""
    file, target = root / path, root / folder / path
    durable.make_folder(target.parent)
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{file.name}.{number}")
    file.rename(target)
    durable.sync_folder(target.parent)
    durable.sync_folder(file.parent)
    return target.relative_to(root).as_posix()
