"""Run svoucher and die by SIGKILL before its n-th file operation or database statement."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event

FILE_OPERATIONS = ("fsync", "rename", "replace", "unlink", "mkdir")


def main() -> None:
    """Arguments: n, then svoucher's."""
    left = int(sys.argv[1])

    def step(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(operation: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **options: Any) -> Any:
            step()
            return operation(*arguments, **options)

        return stepped

    for name in FILE_OPERATIONS:
        setattr(os, name, before(getattr(os, name)))
    for moment in ("before_cursor_execute", "commit", "begin"):
        event.listen(Engine, moment, step)

    from slurm_voucher.cli import main as svoucher

    svoucher(sys.argv[2:])


if __name__ == "__main__":
    main()
