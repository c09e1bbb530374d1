"""How a command ends when it cannot go on: one line on stderr and an exit code, no traceback."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

import click

from accounting.errors import (
    BookUnavailable,
    InvalidInput,
    InvariantBroken,
    Unavailable,
    VoucherError,
)
from slurm_voucher import words

BROKEN_PIPE = 141
"""What a shell says of a program that SIGPIPE ended: whoever read our output has enough."""


@contextmanager
def told() -> Iterator[None]:
    """Turn what we, the database or the system raise into a line and an exit code."""
    try:
        yield
    except VoucherError as error:
        _end(error)
    except click.ClickException as error:
        error.message = words.said(error.message)  # type: ignore[misc]  # final for subclasses
        raise
    except _database_errors() as error:
        _end(_of_database(error))
    except OSError as error:
        if error.filename is None:
            _hush(sys.stdout)
        if error.errno == errno.EPIPE:
            _hush(sys.stderr)
            sys.exit(BROKEN_PIPE)
        _end(_of_system(error))
    except UnicodeEncodeError as error:
        wrong = error.object[error.start : error.end]
        reason = f"text {wrong!r}: cannot be written as {error.encoding}; use UTF-8 throughout"
        _end(InvalidInput(reason))


def insist_on_output() -> None:
    """Refuse to begin where stdout is closed: nobody would be told what was done, and the first
    file that is opened would get its number, and what others write to stdout.

    Raises:
        InvalidInput: It is closed.
    """
    if sys.stdout is None:
        raise InvalidInput("output: is closed; lead it to a file, a pipe or /dev/null")


def _end(error: VoucherError) -> NoReturn:
    from slurm_voucher.cli.output import plain

    try:
        click.echo(f"svoucher: {plain(words.said(str(error)))}", err=True)
    except OSError:
        _hush(sys.stderr)  # nobody can be told; the exit code stands
    sys.exit(error.exit_code)


def _hush(stream: TextIO) -> None:
    """Lead a stream that cannot be written to nowhere: it is flushed once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _database_errors() -> tuple[type[Exception], ...]:
    """Return what a database raises; nothing if none was loaded."""
    loaded = sys.modules.get("sqlalchemy.exc")
    return (loaded.DBAPIError,) if loaded else ()


def _of_database(error: Any) -> VoucherError:
    """Say what a database raised: it is busy, full or away, or what it holds is broken."""
    from sqlalchemy.exc import OperationalError  # is loaded, or there were no such error

    reason = str(error.orig).partition("\n")[0]
    if isinstance(error, OperationalError):
        return BookUnavailable(f"book: {reason}; try again")
    return InvariantBroken(f"book: {reason}; stop posting and compare it with a backup")


def _of_system(error: OSError) -> VoucherError:
    """Say what the system refused, and for which file."""
    said = f"{error.filename or 'output'}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable(f"{said}; make room and try again")
    return InvalidInput(f"{said}; check path and rights")
