"""The hook's socket: who holds it, and who may ask there."""

import logging
import os
import socket
import stat
import struct
from pathlib import Path

from accounting.errors import ConfigInvalid, Unavailable
from slurm_voucher import protocol
from slurm_voucher.config import Config

log = logging.getLogger("voucherd")
PROBE_S = 2
BACKLOG = 512
_CREDENTIALS = struct.Struct("iII")


def listen(config: Config) -> socket.socket:
    """Open the hook's socket: for slurmctld and root alone; one that nobody holds is replaced.

    It is made beside its path and moved there once it listens: whoever sees it can connect.

    Raises:
        ConfigInvalid: Another voucherd has it, something else stands there, or it cannot be made.
    """
    path, made = config.socket, f"{config.socket}.new"
    make_way(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            Path(made).unlink(missing_ok=True)
            bound.bind(made)
        finally:
            os.umask(before)
        if config.slurm_uid not in (0, os.geteuid()):
            os.chown(made, config.slurm_uid, -1)
        bound.listen(BACKLOG)
        bound.setblocking(False)
        os.rename(made, path)
    except OSError as error:
        bound.close()
        raise ConfigInvalid(
            f"socket {path}: {error.strerror} for uid {os.geteuid()}; check its folder, or run "
            "voucherd as root"
        ) from None
    return bound


def make_way(path: str) -> None:
    """See that nothing stands where the socket goes but a socket that nobody holds.

    Raises:
        ConfigInvalid: Another voucherd answers there, or something else stands there.
    """
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(PROBE_S)
    try:
        Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        probe.connect(path)
        raise ConfigInvalid(f"socket {path}: 1 voucherd answers there, 1 is allowed; stop it first")
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise ConfigInvalid(f"socket {path}: no socket stands there; choose another") from None
        os.unlink(path)
    except OSError as error:
        raise ConfigInvalid(f"socket {path}: {error.strerror or error}; choose another") from None
    finally:
        probe.close()


def ask(path: str, verb: str) -> dict[str, str]:
    """Ask the voucherd that holds a socket, as slurmctld does; only root and SlurmUser may.

    Raises:
        Unavailable: None answers there.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(PROBE_S)
            asking.connect(path)
            asking.sendall(f"{protocol.VERSION} {verb}\n".encode())
            answer = asking.recv(protocol.ANSWER_BYTES_MAX)
    except OSError as error:
        raise Unavailable(
            f"socket {path}: {error.strerror or error}; start voucherd with svoucher serve"
        ) from None
    version, word, *pairs = answer.decode("ascii", "replace").split() or ["", ""]
    if (version, word) != (protocol.VERSION, "YES"):
        raise Unavailable(f"socket {path}: no voucherd answers there; restart it")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def may_ask(config: Config, peer: socket.socket) -> bool:
    """Tell whether the peer is slurmctld's user or root, as the kernel says."""
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    if uid not in (0, config.slurm_uid):
        log.warning("uid %d may not ask, only slurmctld's %d", uid, config.slurm_uid)
    return uid in (0, config.slurm_uid)
