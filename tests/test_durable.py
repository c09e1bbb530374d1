"""accounting/durable.py: a file is there whole, whatever way its bytes took to the disk."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from accounting import durable

MB = 2**20


@pytest.mark.parametrize("size", [0, 1, 4096, MB - 1, MB, MB + 1, 3 * MB, 3 * MB + 4097])
def test_a_file_has_its_bytes(tmp_path: Path, size: int) -> None:
    """What is written past the page cache and what is not come to one file."""
    content = os.urandom(size)
    durable.put(tmp_path, "a/b", bytearray(content))

    assert (tmp_path / "a/b").read_bytes() == content
    assert [each.name for each in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize("when", ["opened", "written"])
def test_a_file_system_without_direct_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Where the file system does not know of it, when it is asked or when it is done, the file is
    written as any other."""
    real_open, real_write = os.open, os.write

    def refused(path: Any, flags: int, *more: Any) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real_open(path, flags, *more)

    def second_is_refused(handle: int, part: Any) -> int:
        monkeypatch.setattr(os, "write", never)
        return real_write(handle, part)

    def never(handle: int, part: Any) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(
        os, *(("open", refused) if when == "opened" else ("write", second_is_refused))
    )
    content = os.urandom(3 * MB + 5)
    durable.put(tmp_path, "a", content)

    assert (tmp_path / "a").read_bytes() == content


@pytest.mark.parametrize("done", [0, 1, 4096, 4097, MB - 4096])
def test_a_write_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int) -> None:
    """What a write left over is written, whole blocks or not."""
    real_write = os.write

    def in_part(handle: int, part: Any) -> int:
        real_write(handle, part[: -(-done // 4096) * 4096])
        return done

    monkeypatch.setattr(os, "write", in_part)
    content = os.urandom(2 * MB + 5)
    durable.put(tmp_path, "a", content)

    assert (tmp_path / "a").read_bytes() == content


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room the error is told, and no part of the file stays."""

    def full(handle: int, part: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        durable.put(tmp_path, "a", os.urandom(2 * MB))

    assert not list(tmp_path.iterdir())


def test_a_process_that_is_forked_writes_its_own(tmp_path: Path) -> None:
    """What a parent and its child write at the same time does not come into the other's file."""
    durable.put(tmp_path, "first", bytes(MB))  # the memory is there now
    child = os.fork()
    letter = b"B" if child == 0 else b"A"
    for number in range(20):
        durable.put(tmp_path, f"{letter.decode()}{number}", letter * (2 * MB))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

    for path in tmp_path.glob("[AB]*"):
        assert set(path.read_bytes()) == {ord(path.name[0])}
