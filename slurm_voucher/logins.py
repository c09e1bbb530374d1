"""Where a cluster's sacct is reached over SSH: `ssh` in HOME/config.yaml, one login for a cluster.

No secret stands there: a key is a file that only its owner can read, or the agent's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from accounting.errors import ConfigInvalid
from accounting.runs.run import CLUSTER_NAME
from accounting.yamlfile import at, kind, need, only

_KEYS = ("host", "port", "user", "key", "known_hosts", "sacct")


@dataclass(frozen=True, slots=True)
class Login:
    """A login node, and as whom one comes there.

    Attributes:
        host: Name or address.
        port: Where its sshd listens.
        user: Who may ask slurmdbd for everybody's jobs.
        key: File of the private key, without a passphrase. None: the agent's keys.
        known_hosts: File with the keys that hosts may have, as ssh(1) writes it.
        sacct: How sacct is called there; a whole path where it is not on that user's PATH. Other
            commands of Slurm are beside it.
    """

    host: str
    port: int
    user: str
    key: Path | None
    known_hosts: Path
    sacct: str = "sacct"

    def __str__(self) -> str:
        """Say it as ssh(1) takes it."""
        return f"{self.user}@{self.host}:{self.port}"

    def command(self, name: str) -> str:
        """Return how a command of Slurm is called there."""
        if name == "sacct" or "/" not in self.sacct:
            return self.sacct if name == "sacct" else name
        return str(PurePosixPath(self.sacct).with_name(name))


def read(value: object, home: Path, where: str) -> Mapping[str, Login]:
    """Read the logins, by cluster.

    Args:
        value: What stands under `ssh`.
        home: Folder from which paths that are not whole go on.
        where: Its place, for messages.

    Raises:
        ConfigInvalid: A key is unknown, missing or of another kind.
    """
    logins = {}
    for cluster, said in kind(value, dict, where).items():
        if CLUSTER_NAME.fullmatch(cluster) is None:
            raise ConfigInvalid(f"{where}: {cluster!r} is no cluster; use A-Z a-z 0-9 _ . -")
        logins[cluster] = _login(said, home, at(where, cluster))
    return logins


def _login(value: object, home: Path, where: str) -> Login:
    keys = only(value, _KEYS, where)
    texts = {name: need(keys, name, str, where) for name in ("host", "user")}
    for name in ("key", "known_hosts", "sacct"):
        if name in keys:
            texts[name] = kind(keys[name], str, at(where, name))
    for name, text in texts.items():
        if not text or not text.isprintable():
            raise ConfigInvalid(f"{at(where, name)}: {text!r} names nothing; write it out")
    port = kind(keys.get("port", 22), int, at(where, "port"))
    if not 0 < port < 65_536:
        raise ConfigInvalid(f"{at(where, 'port')}: {port} is no port; 1 to 65535 are")
    return Login(
        host=texts["host"],
        port=port,
        user=texts["user"],
        key=home / texts["key"] if "key" in texts else None,
        known_hosts=home / texts.get("known_hosts", "known_hosts"),
        sacct=texts.get("sacct", "sacct"),
    )
