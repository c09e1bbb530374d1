"""Run a command of Slurm on a login node over SSH, and give what it prints as it comes.

A host must be known: a key that is not in the known_hosts file, or another than stands there, ends
it before anything is said of the user. SSH has no argument list; what the host's shell is given is
quoted word by word. Nothing but the key's file and the agent is asked for a secret.
"""

import contextlib
import logging
import shlex
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import paramiko
from paramiko.pkey import UnknownKeyType

from accounting.errors import ConfigInvalid, SlurmUnavailable
from slurm_voucher.logins import Login
from slurm_voucher.sources import here

CONNECT_S = 15
"""Time for each step until one is let in: TCP and keys, the user, the command."""
GREETING_S = 10
"""Time for the first line of the host; within CONNECT_S."""
SILENCE_S = 120
"""How long nothing may come."""
KEEPALIVE_S = 15
"""How often a line that is silent is used, so that no firewall forgets it."""
LOOK_S = 1.0
"""How often complaints and times are looked at while nothing comes."""
READS = 16
"""How many blocks of complaints are read at a look."""
ANSWER_BYTES = 2**35
"""How long an answer may be: four times what a year of 54 million runs has."""

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it says there, it raises


def ask(
    login: Login,
    asked: Sequence[str],
    *,
    unset: Sequence[str],
    env: Mapping[str, str],
    timeout_s: float,
    silence_s: float = SILENCE_S,
) -> Iterator[bytes]:
    """Yield what a command prints, cut anywhere.

    Args:
        login: Where.
        asked: A command of Slurm and its arguments; login says how it is called.
        unset: Variables that it does not see.
        env: Variables that it sees on top of that host's.
        timeout_s: Time for the whole answer.
        silence_s: How long nothing may come.

    Raises:
        ConfigInvalid: The host is not known, the key cannot be used, or the user is not let in.
        SlurmUnavailable: The host was not reached, the connection broke, or the command failed or
            took too long; raised at the end, after what it printed.
    """
    settings = [*(f"-u{name}" for name in unset), *(f"{name}={env[name]}" for name in env)]
    name = login.command(asked[0])
    line = shlex.join(["env", *settings, name, *asked[1:]])
    end_s = time.monotonic() + timeout_s
    with contextlib.closing(paramiko.SSHClient()) as client:
        channel = _run(client, login, line)
        said, size, heard_s = bytearray(), 0, time.monotonic()
        while (block := _next(channel)) != b"":
            if block:
                size += len(block)
                yield block
            if _complaints(channel, said) or block:
                heard_s = time.monotonic()
            _in_time(login, end_s, heard_s, timeout_s, silence_s)
            if size > ANSWER_BYTES:
                raise SlurmUnavailable(
                    f"{login}: {name} printed more than {ANSWER_BYTES} bytes; ask for less time"
                )
        _how_it_ended(channel, f"{login}: {name}", said, end_s)


def _next(channel: paramiko.Channel) -> bytes | None:
    """Read what came; None: nothing did, as yet; nothing: no more will."""
    try:
        return channel.recv(here.BLOCK_BYTES)
    except TimeoutError:
        return None


def _in_time(
    login: Login, end_s: float, heard_s: float, timeout_s: float, silence_s: float
) -> None:
    """Give up when the time is over, or nothing came for too long."""
    now_s = time.monotonic()
    if now_s > end_s:
        raise SlurmUnavailable(f"{login}: no complete answer in {timeout_s} s; try again")
    if now_s - heard_s > silence_s:
        raise SlurmUnavailable(f"{login}: nothing came for {silence_s} s; try again")


def _complaints(channel: paramiko.Channel, said: bytearray) -> bool:
    """Read what the command complained about, and keep the begin; what is not read blocks it."""
    some = False
    for _ in range(READS):
        if not channel.recv_stderr_ready():
            break
        some = True
        said += channel.recv_stderr(here.BLOCK_BYTES)[: here.SAID_BYTES - len(said)]
    return some


def _how_it_ended(channel: paramiko.Channel, what: str, said: bytearray, end_s: float) -> None:
    """Raise unless the command ended well: without its exit status, it may have more to say."""
    channel.status_event.wait(max(0.0, min(end_s - time.monotonic(), CONNECT_S)))
    _complaints(channel, said)
    status = channel.recv_exit_status() if channel.exit_status_ready() else -1
    if status < 0:
        raise SlurmUnavailable(
            f"{what}: it or the connection broke off before its answer was whole; try again"
        )
    if status:
        raise here.failed(what, status, bytes(said))


def _run(client: paramiko.SSHClient, login: Login, line: str) -> paramiko.Channel:
    """Come to a host and run a command line there."""
    _know(client, login)
    if login.key is None:
        _see_agent(login)
    key = None if login.key is None else _key(login.key)
    try:
        client.connect(
            login.host, login.port, login.user, pkey=key, allow_agent=key is None,
            look_for_keys=False, timeout=CONNECT_S, banner_timeout=GREETING_S,
            auth_timeout=CONNECT_S, channel_timeout=CONNECT_S,
        )  # fmt: skip
        transport = client.get_transport()
        assert transport is not None
        transport.set_keepalive(KEEPALIVE_S)
        channel = transport.open_session(timeout=CONNECT_S)
        channel.settimeout(LOOK_S)
        channel.exec_command(line)
        channel.shutdown_write()
    except paramiko.BadHostKeyException as error:
        raise ConfigInvalid(
            f"{login}: its key {error.key.fingerprint} is another than the one in "
            f"{login.known_hosts}; ask its administrators before anything is sent there"
        ) from None
    except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
        which = "a key of the agent" if login.key is None else str(login.key)
        raise ConfigInvalid(
            f"{login}: does not let {which} in ({_reason(error)}); see its authorized_keys"
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise SlurmUnavailable(f"{login}: {_reason(error)}; try again") from None
    return channel


def _reason(error: Exception) -> str:
    """Say in one line what SSH or the system said."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split())[:120] or type(error).__name__


def _know(client: paramiko.SSHClient, login: Login) -> None:
    """Let a host in only by a key that is known."""
    try:
        client.load_system_host_keys(str(login.known_hosts))
    except (OSError, UnicodeDecodeError, paramiko.SSHException) as error:
        raise ConfigInvalid(
            f"{login.known_hosts}: {_reason(error)}; it must have the keys of {login.host}"
        ) from None
    client.set_missing_host_key_policy(_Unknown(login))


class _Unknown(paramiko.MissingHostKeyPolicy):
    """A host whose key is not known is left, and it is said how it becomes known."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> NoReturn:
        raise ConfigInvalid(
            f"{self._login}: its key {key.get_name()} {key.fingerprint} is not in "
            f"{self._login.known_hosts}; compare it with the host's own and add it (ssh-keyscan)"
        )


def _see_agent(login: Login) -> None:
    """See that the agent has keys: the host is asked with each of them."""
    with contextlib.closing(paramiko.Agent()) as agent:
        if not agent.get_keys():
            raise ConfigInvalid(f"{login}: no key is set, and no ssh-agent has one; name a key")


def _key(path: Path) -> paramiko.PKey:
    """Read a private key that nobody else can read."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigInvalid(f"{path}: others can read this key; chmod 600 it")
        return paramiko.PKey.from_path(path)
    except TypeError:
        raise ConfigInvalid(f"{path}: has a passphrase; leave key out and use ssh-agent") from None
    except (OSError, ValueError, paramiko.SSHException, UnknownKeyType) as error:
        raise ConfigInvalid(f"{path}: is no private key ({_reason(error)})") from None
