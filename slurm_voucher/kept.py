"""What was read from the book, kept until it is forgotten."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from typing import Generic, TypeVar

from sqlalchemy.engine import Connection

Key = TypeVar("Key")
Value = TypeVar("Value")
Begin = Callable[[], AbstractContextManager[Connection]]
"""Opens the book to be read, where it has to be."""
TOGETHER = 25
"""How many are read at once: each costs little more than none."""


class Kept(Generic[Key, Value]):
    """Values by key. What was forgotten is read anew many at once: it is asked for again.

    Attributes:
        known: What was read and not forgotten: looked at first where slurmctld waits.
        forgotten: What is to be read with whatever is asked for next.
    """

    def __init__(self, read: Callable[[Connection, list[Key]], Mapping[Key, Value]]) -> None:
        self.forgotten: dict[Key, None] = {}
        self.known: dict[Key, Value] = {}
        self._read = read

    def get(self, key: Key, begin: Begin) -> Value | None:
        """Return what is known, or is to be read; None: there is nothing."""
        found = self.known.get(key)
        if found is None:
            self.forgotten.pop(key, None)
            some = [key, *islice(self.forgotten, TOGETHER - 1)]
            with begin() as conn:
                self.known |= self._read(conn, some)
            for one in some[1:]:
                del self.forgotten[one]
            found = self.known.get(key)
        return found

    def forget(self, keys: Iterable[Key]) -> None:
        """Read these anew when they are asked for."""
        for key in keys:
            if self.known.pop(key, None) is not None:
                self.forgotten[key] = None

    def forget_all(self) -> None:
        """Read everything anew."""
        self.forget([*self.known])
