"""A copy of everything that a site cannot get again: the book, the usage archive, the papers.

It is one state of all three: the book is read in one transaction, and what it names in archive and
papers never changes. (Notes of nodes stand beside the runs, and no book names them: those that are
there come along.) The rows are text, so that a backup outlives the database that it was made from,
and a book can move from SQLite to PostgreSQL and back. Secret keys are not in it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import Table, func, insert, select
from sqlalchemy.engine import Connection, Engine

from accounting import durable
from accounting.book import ledger, schema, triggers
from accounting.errors import InvalidInput, InvariantBroken, NotAllowed
from accounting.runs import filing, nodes, places
from accounting.vouchers import papers

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 256 << 20
ROWS_AT_ONCE = 5_000


def back_up(
    engine: Engine, archive: Path, kept: Path, config: Path, target: Path
) -> Mapping[str, Any]:
    """Write a backup into a folder that is not there yet, while others go on writing.

    Args:
        engine: The book.
        archive: Root of the usage archive.
        kept: Root of the papers.
        config: The site's settings; copied if they are there.
        target: Where it goes. Killed in the middle, nothing stands under this name.

    Returns:
        The manifest.

    Raises:
        NotAllowed: Something is there already.
        InvariantBroken: A segment or paper is not what the book says.
    """
    if target.exists():
        raise NotAllowed(f"backup {target}: is there already; name another folder")
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    partial.mkdir(mode=0o700, parents=True)
    try:
        manifest = _collect(engine, archive, kept, config, partial)
    except BaseException:
        shutil.rmtree(partial)
        raise
    partial.rename(target)
    durable.sync_folder(target.parent)
    return manifest


def _collect(
    engine: Engine, archive: Path, kept: Path, config: Path, partial: Path
) -> dict[str, Any]:
    """Write all files of a backup, the manifest last."""
    files: dict[str, str] = {}
    with ledger.reading(engine).begin() as conn:
        identity = ledger.identity(conn)
        seq, head = ledger.head(conn)
        for table in schema.metadata.sorted_tables:
            name = f"book/{table.name}.jsonl"
            files[name] = _write_rows(conn, table, partial / name)
        for name, source, sha256 in _files_of(conn, archive, kept):
            if not _stays_inside(name):
                raise InvariantBroken(
                    f"{name}: leads out of archive and papers; run svoucher audit"
                )
            files[name] = _copy(source, partial / name)
            if files[name] != sha256:
                raise InvariantBroken(
                    f"{source}: SHA-256 is {files[name]}, the book says {sha256}; run svoucher "
                    "audit, and bring it back from an older backup"
                )
    for path in nodes.files(archive):
        files[f"archive/{path}"] = _copy(archive / path, partial / "archive" / path)
    if config.is_file():
        files["config.yaml"] = _copy(config, partial / "config.yaml")
    manifest = {
        "format": FORMAT,
        "book_id": identity.book_id,
        "schema_version": schema.VERSION,
        "head_seq": seq,
        "head_hash": head,
        "files": files,
    }
    durable.put(partial, MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())
    return manifest


def _files_of(conn: Connection, archive: Path, kept: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield (name in the backup, where it is, SHA-256) of each file that the book names."""
    for file in places.files(conn):
        yield f"archive/{file.path}", filing.where(archive, file.path), file.sha256
    for sha256 in papers.named(conn):
        place = papers.place(sha256)
        yield f"papers/{place}", kept / place, sha256


def _stays_inside(name: str) -> bool:
    """Tell whether a name leads nowhere but down from the folder that it is put under."""
    path = PurePosixPath(name)  # `archive//etc/x`: the rest of it would be a path from the root
    return str(path) == name and not path.is_absolute() and ".." not in path.parts


def _write_rows(conn: Connection, table: Table, target: Path) -> str:
    """Write a table: its columns, then a row a line; return the file's SHA-256."""
    durable.make_folder(target.parent)
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for line in _lines(conn, table):
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _lines(conn: Connection, table: Table) -> Iterator[bytes]:
    yield _line([column.name for column in table.columns])
    query = select(table).order_by(*table.primary_key.columns)
    with conn.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for row in rows:
            yield _line(list(row))


def _line(values: list[Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _copy(source: Path, target: Path) -> str:
    """Copy a file, durable; return its SHA-256."""
    durable.make_folder(target.parent)
    digest = hashlib.sha256()
    try:
        with source.open("rb") as old, target.open("wb") as new:
            while part := old.read(1 << 20):
                digest.update(part)
                new.write(part)
            new.flush()
            os.fsync(new.fileno())
    except FileNotFoundError:
        raise InvariantBroken(
            f"{source}: is missing; run svoucher audit, and bring it back from an older backup"
        ) from None
    return digest.hexdigest()


def restore(
    source: Path,
    engine: Engine,
    archive: Path,
    kept: Path,
    manifest: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Bring a backup back into a database that has no book yet.

    The book comes last and at once: killed in the middle, there is none, and it can be done again.

    Args:
        source: The backup.
        engine: The database.
        archive: Root of the usage archive.
        kept: Root of the papers.
        manifest: What `checked` said of the backup. None: it is checked now.

    Returns:
        The manifest.

    Raises:
        InvalidInput: It is no whole backup, or of another schema.
        NotAllowed: There is a book already.
        InvariantBroken: What was loaded does not end where the backup did.
    """
    manifest = manifest or checked(source)
    with engine.connect() as conn:
        if engine.dialect.has_table(conn, "book"):
            raise NotAllowed("restore: there is a book already; name an empty place")
    for name in manifest["files"]:
        folder, _, place = name.partition("/")
        if folder in ("archive", "papers"):
            root = archive if folder == "archive" else kept
            durable.put(root, place, (source / name).read_bytes())
    ledger.prepare(engine)
    with engine.begin() as conn:
        schema.create(conn)
        for table in schema.metadata.sorted_tables:
            _load(conn, table, source / f"book/{table.name}.jsonl")
        triggers.create(conn)
        if ledger.head(conn) != (manifest["head_seq"], manifest["head_hash"]):
            raise InvariantBroken(
                f"restore: the book ends with entry {ledger.head(conn)[0]}, the backup with "
                f"{manifest['head_seq']}; take another backup"
            )
        count = conn.execute(select(func.count()).select_from(schema.journal)).scalar_one()
        if count != manifest["head_seq"]:
            raise InvariantBroken(
                f"restore: {count} entries, the last one is {manifest['head_seq']}; take another "
                "backup"
            )
    return manifest


def checked(source: Path) -> dict[str, Any]:
    """Read a backup's manifest and check each file that it names.

    Raises:
        InvalidInput: It is no whole backup, or of another schema; or a file leads out of it.
    """
    try:
        with (source / MANIFEST).open("rb") as file:
            manifest = json.loads(file.read(MANIFEST_BYTES_MAX))
        files = dict(manifest["files"])
        version = (manifest["format"], manifest["schema_version"])
        manifest["head_seq"], manifest["head_hash"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidInput(f"backup {source}: has no manifest; name a whole backup") from None
    if version != (FORMAT, schema.VERSION):
        raise InvalidInput(
            f"backup {source}: format {version[0]} of schema {version[1]}, this program knows "
            f"{FORMAT} of {schema.VERSION}; restore it with the program that wrote it, then upgrade"
        )
    wanted = {f"book/{table.name}.jsonl" for table in schema.metadata.sorted_tables}
    for name in sorted(wanted - files.keys()):
        raise InvalidInput(f"backup {source}: {name} is not in the manifest; take another backup")
    for name, sha256 in files.items():
        path = source / name
        inside = path.resolve().is_relative_to(source.resolve())  # also by no link
        if not _stays_inside(name) or not inside:
            raise InvalidInput(f"backup {source}: {name!r} leads out of it; take another backup")
        if not path.is_file():
            raise InvalidInput(f"backup {source}: {name} is missing; take another backup")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise InvalidInput(
                f"backup {source}: {name} has SHA-256 {found}, the manifest says {sha256}; take "
                "another backup"
            )
    return dict(manifest)


def _load(conn: Connection, table: Table, path: Path) -> None:
    with path.open(encoding="utf-8") as file:
        columns = json.loads(next(file))
        batch: list[dict[str, Any]] = []
        for line in file:
            batch.append(dict(zip(columns, json.loads(line), strict=True)))
            if len(batch) == ROWS_AT_ONCE:
                conn.execute(insert(table), batch)
                batch = []
        if batch:
            conn.execute(insert(table), batch)


def config_of(source: Path, manifest: Mapping[str, Any], target: Path) -> None:
    """Bring a checked backup's settings back, unless there are some."""
    if "config.yaml" in manifest["files"] and not target.exists():
        durable.make_folder(target.parent)
        shutil.copyfile(source / "config.yaml", target)
