"""MUNGE credentials by libmunge: who asks is what munged says, on every host of the cluster.

A credential proves the uid of whoever made it and what it carries, for a few minutes and once:
munged refuses one that it has seen.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from accounting.errors import NotAllowed, Unavailable

_SOCKET, _UID_RESTRICTION = 8, 9
"""munge_opt: where munged is, and who alone may decode."""
_NO_SOCKET = 6
"""munge_err: munged does not answer."""


@contextmanager
def _context(socket: str | None) -> Iterator[tuple[Any, ctypes.c_void_p]]:
    lib = _lib()
    context = ctypes.c_void_p(lib.munge_ctx_create())
    try:
        if socket is not None:
            lib.munge_ctx_set(context, _SOCKET, ctypes.c_char_p(socket.encode()))
        yield lib, context
    finally:
        lib.munge_ctx_destroy(context)


def encode(payload: bytes, only_uid: int | None = None, socket: str | None = None) -> bytes:
    """Make a credential for a payload.

    Args:
        only_uid: Who alone may read it.
        socket: Where munged answers, if not in its usual place.

    Raises:
        Unavailable: No munged answers on this host.
    """
    made = ctypes.c_char_p()
    with _context(socket) as (lib, context):
        if only_uid is not None:
            lib.munge_ctx_set(context, _UID_RESTRICTION, ctypes.c_uint(only_uid))
        try:
            _insist(lib, lib.munge_encode(ctypes.byref(made), context, payload, len(payload)))
            return made.value or b""
        finally:
            lib.free(made)


def decode(credential: bytes, socket: str | None = None) -> tuple[bytes, int]:
    """Return what a credential carries, and the uid of whoever made it.

    Raises:
        NotAllowed: It is none, was seen before, is too old, or is for somebody else.
        Unavailable: No munged answers on this host.
    """
    payload, length = ctypes.c_void_p(), ctypes.c_int()
    uid, gid = ctypes.c_uint(), ctypes.c_uint()
    with _context(socket) as (lib, context):
        try:
            error = lib.munge_decode(
                credential, context, ctypes.byref(payload), ctypes.byref(length),
                ctypes.byref(uid), ctypes.byref(gid),
            )  # fmt: skip
            _insist(lib, error)
            return ctypes.string_at(payload, length.value) if length.value else b"", uid.value
        finally:
            lib.free(payload)


def _insist(lib: Any, error: int) -> None:
    if not error:
        return
    said = lib.munge_strerror(error).decode("ascii", "replace")
    if error == _NO_SOCKET:
        raise Unavailable(f"munge: {said}; start munged on this host")
    raise NotAllowed(f"munge: {said}; ask again")


@cache
def _lib() -> Any:
    try:
        lib: Any = ctypes.CDLL("libmunge.so.2")
    except OSError:
        raise Unavailable("munge: no libmunge.so.2 on this host; install libmunge2") from None
    lib.munge_ctx_create.restype = ctypes.c_void_p
    lib.munge_ctx_destroy.argtypes = [ctypes.c_void_p]
    lib.munge_encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    lib.munge_decode.argtypes = [ctypes.c_char_p, *[ctypes.c_void_p] * 5]
    lib.munge_strerror.restype = ctypes.c_char_p
    lib.free = ctypes.CDLL(None).free
    lib.free.argtypes = [ctypes.c_void_p]
    return lib
