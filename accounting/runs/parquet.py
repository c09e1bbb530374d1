"""Lay a table out as a Parquet file: what pyarrow does, in a third of its time and for fewer cases.

Columns are whole numbers, texts, and words by number; of each row group a column is one page.
Numbers are packed by loops that know nothing else (`encoding`). Whatever reads Parquet reads it.

Source: Apache Parquet, parquet.thrift; Apache Thrift, compact protocol.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from accounting.runs import encoding, usage

MAGIC = b"PAR1"
MADE_BY = b"slurm-voucher"

ENCODINGS = {"PLAIN": 0, "DELTA_BINARY_PACKED": 5}
"""How columns are written that are not by number."""
PLAIN, RLE, BY_NUMBER = 0, 3, 8
CODECS = {"none": 0, "snappy": 1, "zstd": 6}
_INT32, _INT64, _BYTES = 1, 2, 6
_REQUIRED, _OPTIONAL = 0, 1
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2

Bytes = npt.NDArray[np.uint8]


class How(NamedTuple):
    """How a column is written: its encoding, the number of its codec, the codec, and whether bounds
    are kept."""

    encoding: int
    codec: int
    compress: pa.Codec | None
    bounds: bool


class _Field(NamedTuple):
    """A value of the compact protocol: its type, and what stands for it."""

    type: int
    content: bytes


def _varint(number: int) -> bytes:
    """Write a number seven bits at a time."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _i16(number: int) -> _Field:
    return _Field(4, _varint(number << 1))


def _i32(number: int) -> _Field:
    return _Field(5, _varint(number << 1))


def _i64(number: int) -> _Field:
    return _Field(6, _varint(number << 1))


def _binary(content: bytes) -> _Field:
    return _Field(8, _varint(len(content)) + content)


def _listed(fields: Sequence[_Field]) -> _Field:
    kind, count = fields[0].type, len(fields)
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + _varint(count)
    return _Field(9, head + b"".join(field.content for field in fields))


def _struct(fields: Mapping[int, _Field | None]) -> _Field:
    """Put fields together by their ids, which rise by 1 to 15; None: it is not there."""
    content, last = bytearray(), 0
    for number, field in fields.items():
        if field is not None:
            content.append((number - last) << 4 | field.type)
            content += field.content
            last = number
    return _Field(12, bytes([*content, 0]))


def written(
    rows: pa.Table,
    *,
    compression: Mapping[str, str],
    compression_level: Mapping[str, int],
    use_dictionary: Collection[str],
    column_encoding: Mapping[str, str],
    write_statistics: Collection[str] | bool,
    row_group_size: int = 2**20,
) -> bytearray:
    """Write rows as a file; arguments as for `pyarrow.parquet.write_table`.

    Args:
        rows: Columns of whole numbers, texts, and words by number.
        compression: none, snappy or zstd, for each column.
        compression_level: Where it is not the usual one.
        use_dictionary: Columns that are written by number, all words among them.
        column_encoding: DELTA_BINARY_PACKED, for numbers of 64 bits; the others are PLAIN.
        write_statistics: Columns of numbers of which bounds are kept; False: of none.
        row_group_size: Rows of a row group.
    """
    bounded = write_statistics if isinstance(write_statistics, Collection) else ()
    how = []
    for name in rows.column_names:
        codec, level = compression[name], compression_level.get(name)
        compress = None if codec == "none" else pa.Codec(codec, compression_level=level)
        plain_or = ENCODINGS[column_encoding.get(name, "PLAIN")]
        written_by = BY_NUMBER if name in use_dictionary else plain_or
        how.append(How(written_by, CODECS[codec], compress, name in bounded))
    content = bytearray(MAGIC)
    groups: list[_Field] = []
    columns = [usage.as_one(column) for column in rows.columns]
    for low in range(0, rows.num_rows, row_group_size):
        some = [column.slice(low, row_group_size) for column in columns]
        begin = len(content)
        chunks = [_column(content, *each) for each in zip(rows.schema, some, how, strict=True)]
        size = _i64(len(content) - begin)
        group = {1: _listed(chunks), 2: size, 3: _i64(len(some[0])), 5: _i64(begin), 6: size}
        groups.append(_struct({**group, 7: _i16(len(groups))}))
    footer = _footer(rows.schema, rows.num_rows, groups)
    content += footer + len(footer).to_bytes(4, "little") + MAGIC
    return content


def _footer(schema: pa.Schema, rows: int, groups: Sequence[_Field]) -> bytes:
    """Say what there is in a file; Arrow's own schema among it, which tells words from texts."""
    root = _struct({3: _i32(_REQUIRED), 4: _binary(b"schema"), 5: _i32(len(schema))})
    arrow = base64.b64encode(schema.serialize())
    return _struct(
        {
            1: _i32(2),
            2: _listed([root, *map(_element, schema)]),
            3: _i64(rows),
            4: _listed(groups),
            5: _listed([_struct({1: _binary(b"ARROW:schema"), 2: _binary(arrow)})]),
            6: _binary(MADE_BY),
            7: _listed([_struct({1: _struct({})})] * len(schema)),
        }
    ).content


def _element(field: pa.Field) -> _Field:
    """Describe a column."""
    element = {1: _i32(_type(field.type)), 3: _i32(_OPTIONAL if field.nullable else _REQUIRED)}
    element[4] = _binary(field.name.encode())
    if _type(field.type) == _BYTES:
        element |= {6: _i32(0), 10: _struct({1: _struct({})})}  # UTF-8
    elif field.type.bit_width < 32:
        bits = _struct({1: _Field(3, bytes([field.type.bit_width])), 2: _Field(1, b"")})
        element |= {6: _i32(12 + field.type.bit_width.bit_length() - 1), 10: _struct({10: bits})}
    return _struct(element)


def _type(arrow: pa.DataType) -> int:
    if not pa.types.is_integer(arrow):
        return _BYTES
    return _INT64 if arrow.bit_width == 64 else _INT32


def _column(content: bytearray, field: pa.Field, column: pa.Array, how: How) -> _Field:
    """Append a column of a row group to a file; return what the footer says of it."""
    begin, words = len(content), None
    if pa.types.is_dictionary(field.type):
        words, column = column.dictionary, column.indices
    valid = _bits(column)
    body = [_levels(column, valid)] if field.nullable else []
    meta, unpacked = {}, 0
    if how.encoding == BY_NUMBER:
        dictionary, codes, count = _numbered(column, valid, words)
        page = _struct({1: _i32(count), 2: _i32(PLAIN)})
        unpacked = _page(content, _DICTIONARY_PAGE, 7, page, [dictionary], how.compress)
        meta = {9: _i64(len(content)), 11: _i64(begin)}
        body.append(_packed(codes, count))
    else:
        meta = {9: _i64(begin)}
        body.append(_values(column, valid, how.encoding))
    page = _struct({1: _i32(len(column)), 2: _i32(how.encoding), 3: _i32(RLE), 4: _i32(RLE)})
    unpacked += _page(content, _DATA_PAGE, 5, page, body, how.compress)
    encodings = {PLAIN, RLE, BY_NUMBER} if how.encoding == BY_NUMBER else {how.encoding, RLE}
    about = {
        1: _i32(_type(field.type)),
        2: _listed([_i32(each) for each in sorted(encodings)]),
        3: _listed([_binary(field.name.encode())]),
        4: _i32(how.codec),
        5: _i64(len(column)),
        6: _i64(unpacked),
        7: _i64(len(content) - begin),
        **meta,
        12: _bounds(column, valid) if how.bounds else None,
    }
    return _struct({2: _i64(begin), 3: _struct(about)})


def _page(
    content: bytearray,
    kind: int,
    place: int,
    said: _Field,
    body: Sequence[Bytes],
    codec: pa.Codec | None,
) -> int:
    """Append a page; return what it would take without a codec."""
    size = sum(map(len, body))
    packed: Sequence[memoryview | bytes] = [part.data for part in body]
    if codec is not None:
        packed = [codec.compress(np.concatenate(body), asbytes=True)]
    sizes = {2: _i32(size), 3: _i32(sum(map(len, packed)))}
    head = _struct({1: _i32(kind), **sizes, place: said}).content
    content += head
    for part in packed:
        content += part
    return len(head) + size


def _bits(column: pa.Array) -> Bytes:
    """Return the bits that tell which rows are not null, and no others; nothing where none is."""
    if not column.null_count:
        return np.empty(0, np.uint8)
    begin, end = column.offset, column.offset + len(column)
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], np.uint8), count=end, bitorder="little")
    return np.packbits(bits[begin:], bitorder="little")


def _levels(column: pa.Array, valid: Bytes) -> Bytes:
    """Tell which rows are not null: as the bits that they are, or once for all rows."""
    if 0 < column.null_count < len(column):
        run = _varint(len(valid) << 1 | 1) + valid.tobytes()
    else:
        run = _varint(len(column) << 1) + bytes([column.null_count == 0])
    return np.frombuffer(len(run).to_bytes(4, "little") + run, np.uint8)


def _ints(column: pa.Array, valid: Bytes) -> encoding.Ints:
    """Return the numbers of a column that are not null."""
    kind = column.type.to_pandas_dtype()
    if column.null_count == len(column):
        return np.empty(0, kind)
    end = column.offset + len(column)
    found = np.frombuffer(column.buffers()[1], kind, end)[column.offset :]
    if not len(valid):
        return found
    kept = np.empty_like(found)
    return kept[: encoding.kept(found, valid, kept)]


def _numbered(
    column: pa.Array, valid: Bytes, words: pa.Array | None
) -> tuple[Bytes, encoding.Ints, int]:
    """Return the values that there are, the number of what stands in each row, and how many values
    there are; words have their numbers."""
    values = _ints(column, valid)
    if words is not None:
        return _texts(words, np.empty(0, np.uint8)), values, len(words)
    numbers, firsts = encoding.numbered(values)
    return _plain(values[firsts]), numbers, len(firsts)


def _packed(codes: encoding.Ints, count: int) -> Bytes:
    """Write numbers below a count with as few bits as each needs, or once where there is one."""
    if count <= 1:
        run = _varint(len(codes) << 1) + b"\0" if len(codes) else b""
        return np.frombuffer(b"\1" + run, np.uint8)
    width = (count - 1).bit_length()
    head = bytes([width]) + _varint((len(codes) + 7) // 8 << 1 | 1)
    out = np.empty(len(head) + (len(codes) + 7) // 8 * width, np.uint8)
    out[: len(head)] = list(head)
    encoding.pack(codes, 0, len(codes), width, out, len(head))
    return out


def _values(column: pa.Array, valid: Bytes, how: int) -> Bytes:
    """Encode the values of a column that are not null."""
    if not pa.types.is_integer(column.type):
        return _texts(column, valid)
    values = _ints(column, valid)
    if how == PLAIN:
        return _plain(values)
    blocks = -(-len(values) // encoding.BLOCK)
    out = np.empty(32 + blocks * encoding.BLOCK_BYTES_MAX, np.uint8)
    work = np.empty(encoding.BLOCK, np.int64)
    with np.errstate(over="ignore"):  # as plain Python, NumPy warns of differences that wrap
        return out[: encoding.by_difference(values.astype(np.int64, copy=False), work, out)]


def _plain(values: encoding.Ints) -> Bytes:
    """Return numbers as they stand in memory, of four bytes at least."""
    wide = values if values.itemsize == 8 else values.astype(np.int32)
    return np.ascontiguousarray(wide).view(np.uint8)


def _texts(column: pa.Array, valid: Bytes) -> Bytes:
    """Write texts that are not null, each behind its size."""
    if column.null_count == len(column):
        return np.empty(0, np.uint8)
    _, ends, text = column.buffers()
    begin, end = column.offset, column.offset + len(column) + 1
    places = np.frombuffer(ends, np.int32, end)[begin:]
    letters = np.frombuffer(text, np.uint8) if text else np.empty(0, np.uint8)
    out = np.empty(int(places[-1] - places[0]) + 4 * len(column) + 16, np.uint8)
    return out[: encoding.texts(places, letters, valid, out)]


def _bounds(column: pa.Array, valid: Bytes) -> _Field:
    """Tell the least and the greatest number, and how many there are not."""
    values, least, most = _ints(column, valid), None, None
    if len(values):
        ends = values.min(keepdims=True), values.max(keepdims=True)
        least, most = (_binary(_plain(each).tobytes()) for each in ends)
    return _struct({3: _i64(column.null_count), 5: most, 6: least})
