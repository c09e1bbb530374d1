"""All that an archive has, for tests: the archive of a site is larger than memory."""

from pathlib import Path

import pyarrow as pa
from sqlalchemy.engine import Connection

from accounting.runs import archive, places


def current(conn: Connection, root: Path, cluster: str) -> pa.Table:
    """Return the stored rows of a cluster, latest revisions only."""
    return archive.current(archive.read(root, places.files(conn, cluster=cluster)))
