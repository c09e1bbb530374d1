"""That one run is part of a claim, shown without the others: its path to the root of the packet.

Whoever knows the root (it stands in the manifest, whose packet's hash is in the book) checks a path
with SHA-256 alone, by RFC 6962.
"""

from pathlib import Path
from typing import Any

from accounting.errors import InvalidInput, InvariantBroken
from accounting.redeem import merkle, packet, reading
from accounting.redeem.reading import Damaged


def prove(path: Path, job: str) -> list[dict[str, Any]]:
    """Return the proof for each row of a job in a packet.

    Args:
        path: The packet.
        job: Slurm's own number, or the job as people see it: 16_2.

    Returns:
        `leaf`: what is hashed, as it stands; `index` and `leaves`: its place in the tree;
        `path`: what it is hashed with on the way up; `root`.

    Raises:
        InvalidInput: This is no packet, or no run of this job is in it.
        InvariantBroken: The packet's runs have another root than its manifest says.
    """
    try:
        with reading.opened(path) as opened:
            known = opened.json(packet.MANIFEST, reading.Manifest).merkle.root
            hashes: list[bytes] = []
            found = []
            for row in (row for rows in opened.runs() for row in rows):
                if job in (row["job"], str(row["job_id"])):
                    found.append((len(hashes), row))
                hashes.append(packet.leaf(row))
    except Damaged as error:
        raise InvariantBroken(
            f"packet {path}: {error.args[0]} {error.args[2]}; verify it"
        ) from None
    root = merkle.root(hashes).hex()
    if root != known:
        raise InvariantBroken(
            f"packet {path}: its runs have the root {root}, its manifest says {known}; verify it"
        )
    if not found:
        raise InvalidInput(
            f"packet {path}: 0 of its {len(hashes)} runs are of job {job}; see {packet.USAGE_CSV}"
        )
    return [
        {
            "leaf": row,
            "index": index,
            "leaves": len(hashes),
            "path": [step.hex() for step in merkle.path(hashes, index)],
            "root": root,
        }
        for index, row in found
    ]
