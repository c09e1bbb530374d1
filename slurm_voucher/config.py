"""Where a site's book, archive and socket are: HOME/config.yaml, all of it optional."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from accounting.errors import ConfigInvalid
from accounting.yamlfile import at, kind, only, read
from slurm_voucher import choices, logins, warning
from slurm_voucher.logins import Login

DEFAULT_SOCKET = "/run/slurm-voucher/hook.sock"
SOCKET_BYTES_MAX = 103
"""sun_path of unix(7) less its final NUL and the .new it has until it listens."""

UID_MAX = 2**32 - 2

SELF_PAY, REFUSE, WAIT = "self_pay", "refuse", "wait"
_KEYS = ("book", "archive", "papers", "socket", "slurm_uid", "snapshot_s", "default_qos",
         "without_voucher", "users_port", "munge_socket", "overrun_s",
         "paper_font", "ssh", "warn", "uncovered", "end_running")  # fmt: skip


@dataclass(frozen=True)
class Config:
    """A site's settings.

    Attributes:
        home: Folder of config.yaml, and of what it does not place elsewhere.
        book: SQLAlchemy URL.
        archive: Root of the usage archive.
        papers: Where papers of applications are kept.
        socket: Where the submit hook finds voucherd.
        slurm_uid: uid of slurmctld, who alone (with root) may ask there.
        snapshot_s: How often voucherd looks at the queue.
        default_qos: QOS of a job that names none.
        without_voucher: What becomes of a job in a priced partition that names no voucher, where
            its user has not just one account that is valid there: self_pay or refuse.
        uncovered: What becomes of a waiting job that its account does not cover any more: wait, or
            self_pay.
        end_running: Whose jobs are ended that run and are not covered any more.
        users_port: TCP port where users ask for their balance and quotes; 0: nowhere.
        munge_socket: Where munged answers. None: in its usual place.
        overrun_s: How long after its time limit a job may still run: slurmctld looks every 30 s
            (PERIODIC_TIMEOUT), and the end that it records is when it saw it; KillWait is not in
            it (job_mgr.c, job_time_limit and _job_timed_out, 22.05 to 26.05).
        paper_font: The font file that papers are set in. None: the first Chinese one found.
        warn: How the site is told of vouchers that near their end.
        ssh: Where sacct is asked for a cluster, over SSH; for one that is not there, on this host.
    """

    home: Path
    book: str
    archive: Path
    papers: Path
    socket: str
    slurm_uid: int
    snapshot_s: int
    default_qos: str
    without_voucher: str = SELF_PAY
    users_port: int = 0
    munge_socket: str | None = None
    overrun_s: int = 0
    paper_font: Path | None = None
    warn: warning.Settings = field(default_factory=warning.Settings)
    ssh: Mapping[str, Login] = field(default_factory=dict)
    uncovered: str = WAIT
    end_running: choices.EndRunning = field(default_factory=choices.EndRunning)


def _sqlite(path: Path) -> str:
    """Return the URL of a file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def load(home: Path) -> Config:
    """Read HOME/config.yaml; a missing file is an empty one.

    Raises:
        ConfigInvalid: A key is unknown or of another kind, or the socket's path is too long.
    """
    path = home / "config.yaml"
    where = str(path)
    keys = only(_read(path), _KEYS, where)
    socket = kind(keys.get("socket", DEFAULT_SOCKET), str, at(where, "socket"))
    if len(os.fsencode(socket)) > SOCKET_BYTES_MAX:
        raise ConfigInvalid(
            f"{at(where, 'socket')}: {len(os.fsencode(socket))} bytes, a socket's path has at most "
            f"{SOCKET_BYTES_MAX}; choose a shorter one"
        )
    if not socket.startswith("/"):
        what = f"{socket!r} is no whole path; begin it with /" if socket else "is empty; name one"
        raise ConfigInvalid(f"{at(where, 'socket')}: {what}")
    slurm_uid = kind(keys.get("slurm_uid", 0), int, at(where, "slurm_uid"))
    if not 0 <= slurm_uid <= UID_MAX:
        raise ConfigInvalid(f"{at(where, 'slurm_uid')}: {slurm_uid} is no uid; see id -u slurm")
    default_qos = kind(keys.get("default_qos", "normal"), str, at(where, "default_qos"))
    if not default_qos:
        raise ConfigInvalid(f"{at(where, 'default_qos')}: is empty; see sacctmgr show qos")
    snapshot_s = kind(keys.get("snapshot_s", 30), int, at(where, "snapshot_s"))
    if snapshot_s <= 0:
        raise ConfigInvalid(f"{at(where, 'snapshot_s')}: {snapshot_s} is not above zero")
    users_port = kind(keys.get("users_port", 0), int, at(where, "users_port"))
    if not 0 <= users_port < 65_536:
        raise ConfigInvalid(f"{at(where, 'users_port')}: {users_port} is no port; 1 to 65535 are")
    overrun_s = kind(keys.get("overrun_s", 30), int, at(where, "overrun_s"))
    if overrun_s < 0:
        raise ConfigInvalid(f"{at(where, 'overrun_s')}: {overrun_s} is below zero")
    munge_socket = keys.get("munge_socket")
    if munge_socket is not None:
        kind(munge_socket, str, at(where, "munge_socket"))
    paper_font = keys.get("paper_font")
    if paper_font is not None:
        paper_font = Path(kind(paper_font, str, at(where, "paper_font")))
    warn = warning.read(keys.get("warn", {}), at(where, "warn"))
    return Config(
        home=home,
        book=kind(keys.get("book", _sqlite(home / "book.db")), str, at(where, "book")),
        archive=Path(kind(keys.get("archive", str(home / "archive")), str, at(where, "archive"))),
        papers=Path(kind(keys.get("papers", str(home / "papers")), str, at(where, "papers"))),
        socket=socket,
        slurm_uid=slurm_uid,
        snapshot_s=snapshot_s,
        default_qos=default_qos,
        without_voucher=_one_of(keys, "without_voucher", (SELF_PAY, REFUSE), where),
        users_port=users_port,
        munge_socket=munge_socket,
        overrun_s=overrun_s,
        paper_font=paper_font,
        warn=warn,
        ssh=logins.read(keys.get("ssh", {}), home, at(where, "ssh")),
        uncovered=_one_of(keys, "uncovered", (WAIT, SELF_PAY), where),
        end_running=choices.read(
            keys.get("end_running", {}), warn.command, at(where, "end_running")
        ),
    )


def _one_of(keys: Mapping[str, Any], name: str, words: Sequence[str], where: str) -> str:
    """Read a key that is one of some words; left out, it is the first."""
    found: str = kind(keys.get(name, words[0]), str, at(where, name))
    if found not in words:
        raise ConfigInvalid(f"{at(where, name)}: {found!r} is unknown; use {' or '.join(words)}")
    return found


def _read(path: Path) -> dict[str, Any]:
    """Read the file; what is not there says nothing."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{path}: is no UTF-8 at byte {error.start}; write it anew") from None
    except OSError as error:
        raise ConfigInvalid(f"{path}: {error.strerror}; see that it can be read") from None
    bare = all(not line.strip() or line.startswith("#") for line in text.split("\n"))
    return {} if bare else read(text, str(path))
