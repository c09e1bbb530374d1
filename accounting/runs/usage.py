"""Many runs at once: the Arrow schemas that carry them, and their keys as arrays.

A run that never started has no start: None in a `Run`, null in a table, `NEVER` in key arrays,
so that two such rows of one job and one submit are the same run.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from accounting.runs.run import Run

Int64s = npt.NDArray[np.int64]

NEVER = -1
"""Start of a run that never started, in key arrays only: sorts before every real start."""


_FEW_ROWS = 2**13
_NAME = pa.dictionary(pa.int32(), pa.string())


def _schema(**types: pa.DataType) -> pa.Schema:
    """Make a schema; a trailing underscore marks a column that may be null."""
    return pa.schema(
        [pa.field(name.rstrip("_"), type_, name.endswith("_")) for name, type_ in types.items()]
    )


USAGE = _schema(
    cluster=_NAME,
    job_id=pa.int64(),
    job=pa.string(),
    submit_s=pa.int64(),
    start_s_=pa.int64(),
    end_s=pa.int64(),
    billed_from_s_=pa.int64(),
    elapsed_s=pa.int64(),
    suspended_s=pa.int64(),
    state=_NAME,
    partition=_NAME,
    qos=_NAME,
    slurm_account=_NAME,
    user=_NAME,
    uid_=pa.int64(),
    nodes=pa.int32(),
    cpus=pa.int32(),
    mem_mb_=pa.int64(),
    cards=pa.int32(),
    gres=_NAME,
    req_gres=_NAME,
    voucher_=_NAME,
    hold_=pa.string(),
    held_micro_=pa.int64(),
)
"""Columns of a run, in the order of the fields of `Run`."""

RATED = _schema(
    revision=pa.int16(),
    account_=_NAME,
    status=_NAME,
    reason=_NAME,
    chip_=_NAME,
    provider_=_NAME,
    tariff_=_NAME,
    gflops_s=pa.int64(),
    charge_micro=pa.int64(),
    eligible_micro=pa.int64(),
)
"""What rating adds to a run; `revision` counts from 0, the latest wins."""

STORED = pa.schema([*USAGE, *RATED])
"""Columns of the usage archive."""


def table(runs: Iterable[Run]) -> pa.Table:
    """Put runs into a table of the schema USAGE, in the order given.

    Raises:
        ValueError: A field that must be known is None, or a number does not fit its column.
    """
    rows = list(map(attrgetter(*USAGE.names), runs))
    columns = zip(*rows, strict=True) if rows else [()] * len(USAGE)
    arrays = []
    for field, values in zip(USAGE, columns, strict=True):
        array = pa.array(values, field.type)
        if array.null_count and not field.nullable:
            raise ValueError(
                f"{field.name} must be known in every run, {array.null_count} are None"
            )
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=USAGE)


def runs(table: pa.Table) -> list[Run]:
    """Read the USAGE columns of a table back as runs."""
    columns = [values(table.column(name)) for name in USAGE.names]
    return [Run(*values) for values in zip(*columns, strict=True)]


def values(column: pa.ChunkedArray) -> list[Any]:
    """Do what to_pylist does, ten times as fast for repeated words and whole numbers."""
    if pa.types.is_dictionary(column.type):
        numbers_, words = codes(column)
        return [words[i] for i in numbers_.tolist()]
    if pa.types.is_integer(column.type) and not column.null_count:
        whole: list[int] = column.to_numpy().tolist()
        return whole
    listed: list[Any] = column.to_pylist()
    return listed


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Bring a table to a schema: its columns, order, types and nothing else.

    Raises:
        ValueError: A column is missing, holds a null where none may be, or does not fit.
    """
    there = set(table.column_names)
    missing = [name for name in schema.names if name not in there]
    if missing:
        raise ValueError(f"columns are missing: {', '.join(missing)}")
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise ValueError(f"column {field.name} holds a null and must not")
    own = table.select(schema.names)
    return own if own.schema == schema else own.cast(schema)


def as_one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; what is one already is not copied."""
    if isinstance(column, pa.Array):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    named = pa.types.is_dictionary(column.type)
    return (column.unify_dictionaries() if named else column).combine_chunks()


def _by_number(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Return a text column as one array of numbers of words."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    return as_one(column)


def codes(column: pa.ChunkedArray) -> tuple[Int64s, list[str | None]]:
    """Split a text column into a number for each row and what the numbers mean.

    Returns:
        int64[n] and the words in sorted order, so that comparing numbers compares words; a
        null is the word None and has the highest number.
    """
    whole = _by_number(column)
    place = as_stored(whole.indices, len(whole.dictionary))
    words: list[str | None] = [*whole.dictionary.to_pylist(), None]
    found = np.flatnonzero(used(whole.indices, len(words) - 1)).tolist()
    order = sorted(found, key=lambda i: words[i] or "")
    if whole.null_count:
        order.append(len(words) - 1)
    if order == list(range(len(order))):
        return place.astype(np.int64), [words[i] for i in order]
    rank = np.zeros(len(words), np.int64)
    rank[order] = np.arange(len(order))
    return rank.take(place), [words[i] for i in order]


def used(indices: pa.Array, words: int) -> npt.NDArray[np.bool_]:
    """Mark the words that stand in a text column, by number; mostly few rows have all of them."""
    found = np.zeros(words + 1, np.bool_)  # the last one is for null
    for low in range(0, len(indices), _FEW_ROWS):
        found[as_stored(indices.slice(low, _FEW_ROWS), words)] = True
        if found[:-1].all():
            break
    return found[:-1]


def words_of(column: pa.ChunkedArray) -> list[str]:
    """List the words that stand in a text column, each once."""
    whole = _by_number(column)
    there = np.flatnonzero(used(whole.indices, len(whole.dictionary)))
    listed: list[str] = whole.dictionary.take(there).to_pylist()
    return listed


def split(column: pa.Array | pa.ChunkedArray) -> tuple[Int64s, list[str]]:
    """Split a text column into a number for each row, -1 for null, and what the numbers mean.

    Like `codes` without sorting the words: it never builds the text of every row.
    """
    place, words_ = places(column)
    return place.astype(np.int64), words_


def places(column: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Do what `split` does; the numbers stay as narrow as they are."""
    whole = _by_number(column)
    return as_stored(whole.indices, -1), whole.dictionary.to_pylist()


def as_stored(column: pa.Array | pa.ChunkedArray, null: int = 0) -> npt.NDArray[Any]:
    """Return whole numbers as wide as they are, with a stand-in for null; without a copy where
    there is none.

    Bits that tell what is null become numbers of ones alone or none at all: Arrow's fill_null
    goes from one null to the next, which takes many times as long where there are many.
    """
    if not column.null_count:
        found: npt.NDArray[Any] = column.to_numpy()
        return found
    whole = as_one(column)
    valid, values = whole.buffers()
    begin, end = whole.offset, whole.offset + len(whole)
    numbers_ = np.frombuffer(values, whole.type.to_pandas_dtype(), end)[begin:]
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), count=end, bitorder="little")[begin:]
    instead = numbers_.dtype.type(null)
    ones = bits.astype(numbers_.dtype)
    np.negative(ones, out=ones)
    kept: npt.NDArray[Any] = numbers_ ^ instead
    kept &= ones
    kept ^= instead
    return kept


def words(of_code: Sequence[str | None], code: npt.NDArray[np.integer]) -> pa.DictionaryArray:
    """Make a text column from a word for each code, -1 for null; words that are the same become
    one, and they stand in order."""
    words = sorted(word for word in {*of_code} if word is not None)
    number: dict[str | None, int] = {word: i for i, word in enumerate(words)} | {None: -1}
    # the last one is for the code -1, which stands for null
    numbered = np.array([*map(number.__getitem__, of_code), -1], np.int32)
    indices = numbered.take(code)  # twice as fast as [code]; -1 is the last one to it, too
    if (numbered[:-1] < 0).any() or (code < 0).any():
        valid = pa.py_buffer(np.packbits(indices >= 0, bitorder="little"))
        buffers = [valid, pa.py_buffer(np.maximum(indices, 0))]
        indices = pa.Array.from_buffers(pa.int32(), len(indices), buffers)
    return of_words(indices, words)


def of_words(indices: pa.Array | npt.NDArray[np.int32], words: Sequence[str]) -> pa.DictionaryArray:
    """Make a text column from the number of each word; all of them are numbers of words."""
    named = pa.array(words, pa.string())
    return pa.DictionaryArray.from_arrays(indices, named, safe=False)


def renumbered(indices: pa.Array, number: npt.NDArray[np.int32]) -> pa.Array:
    """Put other numbers, int32[w], into the places of a text column's; a null stays one."""
    valid, values = indices.buffers()
    begin, rows = indices.offset, len(indices)
    old = np.frombuffer(values, np.int32)[begin : begin + rows] if rows else np.zeros(0, np.int32)
    new = pa.py_buffer(number.take(old, mode="clip"))  # what stands under a null is no number
    if valid is None:
        return pa.Array.from_buffers(pa.int32(), rows, [None, new])
    if begin:
        valid = indices.is_valid().buffers()[1]
    return pa.Array.from_buffers(pa.int32(), rows, [valid, new], indices.null_count)


def marks(column: pa.ChunkedArray, word: str) -> npt.NDArray[np.bool_]:
    """Mark the rows in which a word stands, bool[n]."""
    if not pa.types.is_dictionary(column.type):
        found: npt.NDArray[np.bool_] = pc.fill_null(pc.equal(column, word), False).to_numpy()
        return found
    code, words_ = places(column)
    same: npt.NDArray[np.bool_] = code == (words_.index(word) if word in words_ else -2)
    return same


def numbers(column: pa.ChunkedArray, null: int = 0) -> Int64s:
    """Return an integer column as int64[n], with a stand-in for null."""
    return as_stored(column.cast(pa.int64()), null)


def billable_s(table: pa.Table) -> Int64s:
    """Return the seconds that each run is accounted for, int64[n]; 0 where it never started.

    The seconds before billed_from_s come off elapsed_s. Where some of them were suspended, which
    Slurm does not say, that is too much by those: in favour of who pays.
    """
    start_s = numbers(table.column("start_s"), NEVER)
    before_s = numbers(table.column("billed_from_s"), NEVER) - start_s
    billable: Int64s = np.maximum(0, numbers(table.column("elapsed_s")) - before_s)
    return billable


class Keys(NamedTuple):
    """Keys of runs as int64[n] arrays; clusters are numbered in the order of their names."""

    cluster: Int64s
    job_id: Int64s
    submit_s: Int64s
    start_s: Int64s


def keys(table: pa.Table) -> Keys:
    """Return the keys of all rows of one table; compare them within that table only."""
    return Keys(
        codes(table.column("cluster"))[0],
        numbers(table.column("job_id")),
        numbers(table.column("submit_s")),
        numbers(table.column("start_s"), NEVER),
    )


def key_order(key_arrays: Sequence[Int64s], *then: Int64s) -> Int64s:
    """Return the stable order of rows by key, and by further arrays where keys are the same.

    Rows mostly come in the order of their jobs, and few of a job: a first sort by the first array
    in which rows differ finds nearly all in place, and only where it is the same are others asked.
    """
    arrays = [array for array in (*key_arrays, *then) if len(array) and (array != array[0]).any()]
    rows = len(key_arrays[0])
    if not arrays:
        return np.arange(rows)
    first, *others = arrays
    ordered = bool((first[1:] >= first[:-1]).all())
    order = np.arange(rows) if ordered else np.argsort(first, kind="stable")
    ranked = first if ordered else first[order]
    same = np.zeros(rows + 1, np.bool_)
    same[1:-1] = ranked[1:] == ranked[:-1]
    tied = np.flatnonzero(same[1:] | same[:-1])
    some = order[tied]
    order[tied] = some[np.lexsort([*(array[some] for array in reversed(others)), first[some]])]
    return order


def are_in_order(arrays: Sequence[Int64s]) -> bool:
    """Tell whether rows stand in the order of some arrays, no two of them the same.

    Few rows have the same job: of the other arrays only what stands beside those is looked at.
    """
    tied: Int64s | None = None
    for array in arrays:
        if tied is None:
            before, after = array[:-1], array[1:]
        else:
            before, after = array[tied], array[tied + 1]
        if (after < before).any():
            return False
        if tied is None and len(array) and array[0] == array[-1]:
            continue
        same = np.flatnonzero(after == before)
        tied = same if tied is None else tied[same]
    return len(arrays[0]) < 2 if tied is None else not len(tied)


def key_starts(key_arrays: Sequence[Int64s]) -> npt.NDArray[np.bool_]:
    """Mark the first row of each key in arrays that are already in key order."""
    first = np.ones(len(key_arrays[0]), np.bool_)
    if len(first):
        first[1:] = False
    for array in key_arrays:
        first[1:] |= array[1:] != array[:-1]
    return first
