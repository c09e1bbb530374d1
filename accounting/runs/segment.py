"""What the book knows of one file of the usage archive, without opening it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """What the book keeps about one file.

    Attributes:
        path: Below the root of the archive, with forward slashes.
        cluster: Cluster of all its runs.
        month: Month in which they ended, 2024-07.
        rows: Number of rows, all revisions.
        sha256: Of the file, hexadecimal.
        size_bytes: Of the file.
        submit_min_s: Earliest submit.
        submit_max_s: Latest submit.
        gflops_s: Sum over all rows.
        charge_micro: Sum over all rows.
        eligible_micro: Sum over all rows.
    """

    path: str
    cluster: str
    month: str
    rows: int
    sha256: str
    size_bytes: int
    submit_min_s: int
    submit_max_s: int
    gflops_s: int
    charge_micro: int
    eligible_micro: int
