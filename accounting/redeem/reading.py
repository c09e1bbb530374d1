"""A packet as somebody hands it in: opened without trust.

It is looked at where it is: nothing is unpacked to the disk, and names, counts and sizes are
bounded before anything is read. What is no packet is refused; what is wrong in one is a finding
(checking.py).
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Meta, Struct

from accounting.book.ledger import canonical
from accounting.errors import InvalidInput
from accounting.redeem import packet

PACKET_BYTES_MAX = 2**31 - 1
SMALL_BYTES_MAX = 2**26
"""What a paper may have; a claim of 100,000 lines has a third of it."""
POLICY_BYTES_MAX = 2**20
PARQUET_BYTES_MAX = 2**30
CSV_BYTES_MAX = 2**32 - 1
ROWS_MAX = 10_000_000
WORD_CHARS_MAX = 1000
BATCH_ROWS = 16_384
_DIRECTORY_BYTES_MAX = 8192
_END = struct.Struct("<4s4H2LH")
"""The end of a zip's directory: it has to be the last bytes of the file."""
_ENCRYPTED = 1

T = TypeVar("T", bound=Struct)


class Damaged(Exception):
    """Something in a packet cannot be read: in which file, where, why."""


Name = Annotated[str, Meta(max_length=WORD_CHARS_MAX)]
Amount = Annotated[int, Meta(ge=-(2**62), le=2**62)]
Instant = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Amounts = dict[Name, Amount]


class _Said(Struct, forbid_unknown_fields=True, kw_only=True):
    """An object of a paper: all of it is known."""


class FileOf(_Said):
    """What the manifest says of a file."""

    sha256: Name
    size_bytes: Amount


class Tree(_Said):
    """What the manifest says of the runs."""

    hash: Literal["RFC 6962 SHA-256"]
    leaves: Annotated[int, Meta(ge=0, le=ROWS_MAX)]
    root: Name


class Manifest(_Said):
    """What a packet holds."""

    packet: Literal[1]
    claim: Name
    merkle: Tree
    files: dict[Name, FileOf]


class Summary(_Said):
    """What is claimed, and who bears it."""

    claim: Name
    book: Name
    rehearsal: bool
    provider: Name
    provider_name: Name
    claimant: Name
    quarter: Name
    opened_by_entry: Amount
    entry_hash: Name
    policy: Name
    amount_fen: Amount
    by_statement_fen: Amounts
    by_voucher_fen: Amounts
    before_fen: Amounts
    by_funder_fen: Amounts
    funders: dict[Name, list[tuple[Name, Amount]]]


class VoucherOf(_Said):
    """A voucher of a statement, once for each time in which it is valid."""

    voucher: Name
    category: Name
    ratio_bp: Annotated[int, Meta(ge=0, le=10_000)]
    from_s: Instant
    until_s: Instant


class RefundOf(_Said):
    """A refund that a statement credits."""

    id: Name
    line: Name
    cluster: Name
    job_id: Amount
    submit_s: Instant
    start_s: Instant
    fee_fen: Amount
    reason: Name
    borne_fen: Amounts


class Before(_Said):
    """What earlier statements took for a usage month."""

    charge_micro: Amount
    fee_fen: Amount
    intervals_micro: Annotated[list[Amount], Meta(max_length=2000)]
    borne_fen: Amounts


class MonthOf(_Said):
    """What a statement says of a usage month."""

    usage_month: Name
    before: Before
    drawn_fen: Amounts
    refunds: list[RefundOf]


class Statement(_Said):
    """A statement whose lines are claimed."""

    statement: Name
    account: Name
    month: Name
    fee_fen: Amount
    deduction_fen: Amount
    cash_fen: Amount
    unit: Name
    unit_name: Name
    credit_code: Name
    contract: Name
    entry: Amount
    entry_hash: Name
    left_fen: Amounts
    vouchers: Annotated[list[VoucherOf], Meta(max_length=1000)]
    months: list[MonthOf]


@dataclass(frozen=True)
class Packet:
    """An opened packet."""

    zipped: ZipFile
    infos: Mapping[str, ZipInfo]

    def parts(self, name: str) -> Iterator[bytes]:
        """Read a file a part at a time; it never has more than its directory says.

        Raises:
            Damaged: It cannot be unpacked.
        """
        with self.stream(name) as member:
            while part := read(name, member.read, 2**20):
                yield part

    @contextmanager
    def stream(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file of the packet.

        Raises:
            Damaged: It is not there, or cannot be unpacked.
        """
        if name not in self.infos:
            raise Damaged(name, "", "is not in the packet")
        try:
            member = self.zipped.open(self.infos[name])
        except (BadZipFile, NotImplementedError, RuntimeError) as error:
            raise Damaged(name, "", f"cannot be unpacked: {error}") from None
        with member:
            yield member

    def content(self, name: str) -> bytes:
        """Return all of a file."""
        return b"".join(self.parts(name))

    def json(self, name: str, type_: type[T]) -> T:
        """Read a file that holds one object.

        Raises:
            Damaged: It is something else, or not written in the one form.
        """
        value: T = _decoded(name, self.content(name), type_)
        return value

    @cached_property
    def statements(self) -> list[Statement]:
        """The statements."""
        name, type_ = packet.STATEMENTS, list[Statement]
        papers: list[Statement] = _decoded(name, self.content(name), type_)
        return papers

    def table(self, name: str) -> list[dict[str, Any]]:
        """Read one of the small tables.

        Raises:
            Damaged: It has other columns, a cell that is no number, or is not in the one form.
        """
        return _rows(name, self.content(name))

    def runs(self) -> Iterator[list[dict[str, Any]]]:
        """Read the runs of the Parquet file, some at a time.

        Raises:
            Damaged: It cannot be read, or has other columns or more rows than it may have.
        """
        name = packet.USAGE_PARQUET
        content = pa.BufferReader(self.content(name))
        words = [f.name for f in packet.USAGE if pa.types.is_dictionary(f.type)]
        try:
            with pq.ParquetFile(content, read_dictionary=words) as file:
                if file.schema_arrow.names != packet.USAGE.names:
                    raise Damaged(name, "", "has other columns than a packet has")
                if file.metadata.num_rows > ROWS_MAX:
                    rows = file.metadata.num_rows
                    raise Damaged(name, "", f"has {rows} rows, at most {ROWS_MAX} are read")
                for part in file.iter_batches(batch_size=BATCH_ROWS):
                    yield _plain(name, part)
        except _UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise Damaged(name, "", f"cannot be read: {reason}") from None


_UNREADABLE = (OSError, ValueError, TypeError, LookupError, MemoryError, pa.ArrowException)
"""What Arrow raises over a file that is none: found by changing bytes of one."""


def _plain(name: str, part: pa.RecordBatch) -> list[dict[str, Any]]:
    for field, column in zip(packet.USAGE, part.columns, strict=True):
        if pa.types.is_dictionary(column.type):  # a word may stand in every row: look at it once
            longest = pc.max(pc.binary_length(column.dictionary)).as_py()
            if (longest or 0) > WORD_CHARS_MAX:
                raise Damaged(name, "", f"{field.name} has a word of {longest} bytes")
        if column.null_count and not field.nullable:
            raise Damaged(name, "", f"{field.name} is empty in {column.null_count} rows")
    table = pa.Table.from_batches([part]).cast(packet.USAGE)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def read(name: str, reader: Callable[[int], bytes], size: int) -> bytes:
    """Read some of a file; raises Damaged where it cannot be unpacked."""
    try:
        return reader(size)
    except (BadZipFile, EOFError, zlib.error) as error:
        raise Damaged(name, "", f"cannot be unpacked: {error}") from None


def plain(value: Struct) -> dict[str, Any]:
    """Return an object of a paper as it is written."""
    said: dict[str, Any] = msgspec.to_builtins(value)
    return said


def _decoded(name: str, content: bytes, type_: Any) -> Any:
    try:
        value = msgspec.json.decode(content, type=type_)
        again = canonical(msgspec.to_builtins(value)).encode() + b"\n"
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Damaged(name, "", f"is not what it should be: {error}") from None
    if again != content:
        raise Damaged(name, "", "is not in the one form in which it is written")
    return value


_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})|")


def _rows(name: str, content: bytes) -> list[dict[str, Any]]:
    columns = packet.TABLES[name]
    found: list[dict[str, Any]] = []
    try:
        lines = packet.cells(content)
    except ValueError as error:
        raise Damaged(name, "", f"is no CSV: {error}") from None
    if not lines or lines[0] != list(columns):
        raise Damaged(name, "1", f"has the columns {lines[:1]}, not {list(columns)}")
    for number, cells in enumerate(lines[1:], 2):
        if len(cells) != len(columns):
            raise Damaged(name, str(number), f"has {len(cells)} cells, {len(columns)} belong there")
        row: dict[str, Any] = dict(zip(columns, cells, strict=True))
        for key, type_ in columns.items():
            if type_ is int:
                if not _INTEGER.fullmatch(row[key]):
                    raise Damaged(name, str(number), f"{key} is {row[key]!r}, which is no number")
                row[key] = int(row[key]) if row[key] else None
                if row[key] is None and key != "claimed_fen":
                    raise Damaged(name, str(number), f"{key} is empty")
        found.append(row)
    if packet.table(name, found) != content:
        raise Damaged(name, "", "is not in the one form in which it is written")
    return found


@contextmanager
def opened(path: Path) -> Iterator[Packet]:
    """Open a packet.

    Raises:
        InvalidInput: It is none: no zip, one with other files in it, or one that would be larger
            than a packet can be.
    """
    with path.open("rb") as file:
        size = _directory(path, file)
        try:
            zipped = ZipFile(file)
        except (BadZipFile, ValueError, NotImplementedError, struct.error) as error:
            raise _no_packet(path, f"its directory cannot be read ({error})") from None
        with zipped:
            yield Packet(zipped, _members(path, zipped.infolist(), size))


def _no_packet(path: Path, why: str) -> InvalidInput:
    return InvalidInput(f"packet {path}: {why}; take what svoucher claim submit wrote")


def _directory(path: Path, file: IO[bytes]) -> int:
    """Look at the end of a zip's directory before anybody reads all of it; return its size."""
    size = file.seek(0, 2)
    if not _END.size <= size <= PACKET_BYTES_MAX:
        raise _no_packet(
            path, f"it has {size} bytes, {_END.size} to {PACKET_BYTES_MAX} are possible"
        )
    file.seek(-_END.size, 2)
    magic, *numbers = _END.unpack(file.read(_END.size))
    if magic != b"PK\5\6":
        raise _no_packet(path, "it does not end as a zip without a comment does")
    disk, of_disk, here, entries, bytes_, offset, comment = numbers
    if (disk, of_disk, comment) != (0, 0, 0) or here != entries:
        raise _no_packet(path, "its zip is in parts or has a comment")
    if entries > len(packet.FILES) + 1 or bytes_ > _DIRECTORY_BYTES_MAX:
        raise _no_packet(
            path, f"its directory has {entries} files in {bytes_} bytes, too many for a packet"
        )
    if offset + bytes_ + _END.size != size:
        raise _no_packet(path, "something stands before, between or after the parts of its zip")
    file.seek(0)
    return size


def _members(path: Path, infos: list[ZipInfo], size: int) -> dict[str, ZipInfo]:
    """Return the files by name, if there is nothing strange about any of them."""
    limits = {
        packet.POLICY: POLICY_BYTES_MAX,
        packet.USAGE_CSV: CSV_BYTES_MAX,
        packet.USAGE_PARQUET: PARQUET_BYTES_MAX,
    }
    end = 0
    found: dict[str, ZipInfo] = {}
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = info.orig_filename
        if name not in (*packet.FILES, packet.MANIFEST) or name in found:
            raise _no_packet(path, f"it holds {name[:100]!r}, which has no place in it or is twice")
        limit = limits.get(name, SMALL_BYTES_MAX)
        if info.file_size > limit:
            raise _no_packet(path, f"{name} has {info.file_size} bytes, at most {limit} are read")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or info.flag_bits & _ENCRYPTED:
            raise _no_packet(path, f"{name} is packed in a way that packets are not")
        if info.header_offset < end:
            raise _no_packet(path, f"{name} overlaps another file")
        end = info.header_offset + 30 + len(name) + info.compress_size
        found[name] = info
    if end > size:
        raise _no_packet(path, "its files are longer than it is")
    if packet.MANIFEST not in found:
        raise _no_packet(path, f"it holds no {packet.MANIFEST}")
    return found
