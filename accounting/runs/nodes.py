"""Which nodes a cluster has, and when they are out of service: facts, noted now and again.

A note says which nodes there were at an instant, and when each of them was out within a stretch of
time up to it. It is a file of its own beside the runs, written once:
`nodes/cluster=X/<instant>.json`. What a later note says of its own stretch takes the place of what
earlier ones said of it, so that an outage that went on gets its end, and one that was taken back
goes. None of it is money, and the book knows nothing of it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec

from accounting import durable
from accounting.errors import InvariantBroken
from accounting.runs.run import CLUSTER_NAME

FOLDER = "nodes"
Why = Literal["maintenance", "down", "drained", "reserved"]
WHYS: tuple[Why, ...] = get_args(Why)
"""Why a node is out of service. Where several hold at a time the first one counts: what was planned
is no failure, and a failure no drain."""


class Alike(msgspec.Struct, frozen=True):
    """Nodes that are alike.

    Attributes:
        names: Which ones, in order.
        partitions: Those that all of them are in, in order.
        cards: How many cards each has, by gres.
    """

    names: tuple[str, ...]
    partitions: tuple[str, ...]
    cards: Mapping[str, int]


class Out(msgspec.Struct, frozen=True):
    """A node was out of service within [begin, end)."""

    node: str
    why: Why
    begin_s: int
    end_s: int


class Note(msgspec.Struct, frozen=True):
    """What was told at one time.

    Attributes:
        at_s: When.
        told_from_s: Up to then it is told from here on when nodes were out.
        held_from_s: Since when the nodes were those: the same instant, or an earlier one by the
            word of whoever noted it.
        nodes: All of them; what is alike together.
        out: When nodes were out of service.
    """

    at_s: int
    told_from_s: int
    held_from_s: int
    nodes: tuple[Alike, ...]
    out: tuple[Out, ...]


def keep(root: Path, cluster: str, note: Note) -> str:
    """Make a note durable; return its file's name below the root."""
    if not CLUSTER_NAME.fullmatch(cluster):
        raise ValueError(f"{cluster!r} is no name of a cluster")
    at = datetime.fromtimestamp(note.at_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = f"{FOLDER}/cluster={cluster}/{at}.json"
    durable.put(root, path, msgspec.json.encode(note, order="deterministic") + b"\n")
    return path


def files(root: Path, cluster: str = "*") -> list[str]:
    """List the files of all notes below the root, of one cluster in the order of time."""
    found = sorted((root / FOLDER).glob(f"cluster={cluster}/*.json"))
    return [file.relative_to(root).as_posix() for file in found]


def notes(root: Path, cluster: str) -> list[Note]:
    """Read all notes of a cluster, in the order of time.

    Raises:
        InvariantBroken: One cannot be read.
    """
    return [_read(root, path) for path in files(root, cluster)]


def latest(root: Path, cluster: str) -> Note | None:
    """Read the last note of a cluster. None: there is none yet. Raises InvariantBroken."""
    found = files(root, cluster)
    return _read(root, found[-1]) if found else None


def _read(root: Path, path: str) -> Note:
    try:
        return msgspec.json.decode((root / path).read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError) as error:  # a note of another form is one, too
        raise InvariantBroken(
            f"archive: {path} cannot be read ({error}); restore it, or move it away and what it "
            "tells is not known"
        ) from None
