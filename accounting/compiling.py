"""How loops are compiled: once, and what came of it is kept on the disk.

What a file compiles calls nothing that another one does: kept machine code does not notice an edit
elsewhere, and goes on giving the old figures.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile, and keep the machine code where there is a place to keep it."""
    return _compiled(function, {"nogil": True})


def set_in(function: F) -> F:
    """Compile what makes no array, so that nobody has to count who uses one, and set it into who
    calls it. Each of the two makes all of it three times as fast."""
    return _compiled(function, {"nogil": True, "forceinline": True, "_nrt": False})


def _compiled(function: F, options: dict[str, Any]) -> F:
    try:
        done = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package nor a home directory can be written to
        done = numba.njit(**options)(function)
    return cast(F, done)
