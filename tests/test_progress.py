"""slurm_voucher/cli/progress: how far something long has come, on a terminal alone."""

import io
import sys
from collections.abc import Iterator

import pytest

from slurm_voucher.cli import progress


class Terminal(io.StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        return True


def reading(blocks: list[bytes], length: int | None) -> list[bytes]:
    """Read blocks and be watched."""
    done = 0

    def source() -> Iterator[bytes]:
        nonlocal done
        for block in blocks:
            done += len(block)
            yield block

    return list(progress.watched(source(), lambda: done, length, lambda: 1_000))


@pytest.mark.parametrize("length", [9, None])
def test_a_terminal_shows_rate_and_place(
    monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    """On a terminal the rate is shown, and how much of the whole is read where that is known."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "AFTER_S", 0)

    assert reading([b"abc"] * 3, length) == [b"abc"] * 3
    assert "runs/s" in terminal.getvalue()
    assert ("100%" in terminal.getvalue()) == (length is not None)


def test_what_is_short_or_no_terminal_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is over at once shows nothing, nor does anything into a file or a pipe."""
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        assert reading([b"abc"], 3) == [b"abc"]
    monkeypatch.setattr(progress, "AFTER_S", 0)
    assert reading([b"abc"], 3) == [b"abc"]

    assert terminal.getvalue() == capsys.readouterr().err == ""
