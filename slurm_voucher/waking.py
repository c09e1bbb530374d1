"""The socket that wakes whoever collects: a datagram says that a job has ended, and no more.

What stands in it is thrown away: slurmdbd is the truth, this only says when to ask it.
"""

import os
import select
import socket
import stat
from pathlib import Path

from accounting.errors import ConfigInvalid
from slurm_voucher.config import SOCKET_BYTES_MAX, Config

DATAGRAM_BYTES_MAX = 64
"""How much of a datagram is read; the rest of it is gone."""
DRAINED_MAX = 10_000
"""How many datagrams are thrown away at once."""


def path_of(config: Config, cluster: str) -> Path:
    """Return where the socket of a cluster stands: beside the hook's."""
    return Path(config.socket).with_name(f"collect-{cluster}.sock")


def listen(config: Config, cluster: str) -> socket.socket:
    """Open the socket, for slurmctld and root alone.

    Raises:
        ConfigInvalid: Somebody collects this cluster already, something else stands there, or it
            cannot be made.
    """
    path = path_of(config, cluster)
    made = path.with_name(f"{path.name}.new")
    if len(os.fsencode(made)) > SOCKET_BYTES_MAX + 4:
        raise ConfigInvalid(
            f"socket {path}: {len(os.fsencode(path))} bytes, a socket's path has at most "
            f"{SOCKET_BYTES_MAX}; choose a shorter folder for `socket`"
        )
    _make_way(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        before = os.umask(0o177)
        try:
            made.unlink(missing_ok=True)
            bound.bind(str(made))
        finally:
            os.umask(before)
        if config.slurm_uid not in (0, os.geteuid()):
            os.chown(made, config.slurm_uid, -1)
        bound.setblocking(False)
        made.rename(path)
    except OSError as error:
        bound.close()
        raise ConfigInvalid(
            f"socket {path}: {error.strerror} for uid {os.geteuid()}; check its folder"
        ) from None
    return bound


def _make_way(path: Path) -> None:
    """See that nothing stands there but a socket that nobody reads."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigInvalid(f"socket {path}: is no socket; move it away")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigInvalid(f"socket {path}: {error.strerror}; check its folder") from None
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return  # nobody reads it
    raise ConfigInvalid(
        f"socket {path}: somebody collects this cluster already, 1 may; end the other one"
    )


def drain(bound: socket.socket) -> int:
    """Throw away what has come; return how many datagrams that was."""
    for count in range(DRAINED_MAX):
        try:
            bound.recv(DATAGRAM_BYTES_MAX)
        except BlockingIOError:
            return count
    return DRAINED_MAX


def wait(bound: socket.socket | None, signals: socket.socket, timeout_s: float) -> bool:
    """Wait until a datagram or a signal comes, or the time is over; tell whether one has come."""
    watched = [signals] if bound is None else [signals, bound]
    ready, _, _ = select.select(watched, [], [], max(0.0, timeout_s))
    return bool(ready)
