"""What the book knows of one file of the usage archive, without opening it."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Within:
    """Where the rows of a segment stand in a file that compaction made of many.

    Attributes:
        path: Of that file, below the root of the archive.
        sha256: Of that file.
        first_row: How many rows of other segments stand before them.
    """

    path: str
    sha256: str
    first_row: int


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
        within: The file that has its rows by now. None: its own.
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
    within: Within | None = None

    @property
    def file(self) -> str:
        """The file that has its rows, below the root of the archive."""
        return self.path if self.within is None else self.within.path


COLUMNS = tuple(field.name for field in fields(Segment) if field.name != "within")
"""What the book keeps about a segment."""
