"""accounting/runs/usage.py: runs to tables and back, and their keys."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import a_run

from accounting.runs import usage
from accounting.runs.run import Run

WORDS = st.sampled_from(["", "ai", "中文", "a=b,c|d"])
SECONDS = st.integers(0, 2**40)
RUNS = st.builds(
    Run,
    cluster=st.sampled_from(["chengdu", "a", "z"]),
    job_id=st.integers(0, 5),
    job=WORDS,
    submit_s=st.integers(0, 3),
    start_s=st.none() | st.integers(0, 3),
    end_s=SECONDS,
    billed_from_s=st.none() | SECONDS,
    elapsed_s=SECONDS,
    suspended_s=SECONDS,
    state=WORDS,
    partition=WORDS,
    qos=WORDS,
    slurm_account=WORDS,
    user=WORDS,
    uid=st.none() | SECONDS,
    nodes=st.integers(0, 2**31 - 1),
    cpus=st.integers(0, 2**31 - 1),
    mem_mb=st.none() | SECONDS,
    cards=st.integers(0, 2**31 - 1),
    gres=WORDS,
    req_gres=WORDS,
    voucher=st.none() | WORDS,
    hold=st.none() | WORDS,
    held_micro=st.none() | SECONDS,
)


def test_fields_are_columns() -> None:
    """The fields of a run and the columns of USAGE are the same, in the same order."""
    assert [field.name for field in dataclasses.fields(Run)] == usage.USAGE.names


@given(st.lists(RUNS, max_size=8))
def test_round_trip(runs: list[Run]) -> None:
    """What goes into a table comes out of it, whatever it is."""
    table = usage.table(runs)

    assert table.schema == usage.USAGE
    assert usage.runs(table) == runs
    assert usage.runs(pa.concat_tables([table, table])) == runs + runs


@given(st.lists(RUNS, max_size=8))
def test_key_order(runs: list[Run]) -> None:
    """Key arrays order runs as their keys do, one that never started before all others."""
    keys = usage.keys(usage.table(runs))
    order = usage.key_order(keys)

    def key(run: Run) -> tuple[str, int, int, int]:
        start = usage.NEVER if run.start_s is None else run.start_s
        return run.cluster, run.job_id, run.submit_s, start

    assert [runs[i] for i in order] == sorted(runs, key=key)
    assert usage.key_starts([array[order] for array in keys]).sum() == len(set(map(key, runs)))


def test_unknown_is_refused() -> None:
    """A field that must be known is never None."""
    with pytest.raises(ValueError, match="cards must be known in every run"):
        usage.table([a_run(cards=None)])


def test_a_number_that_does_not_fit_is_refused() -> None:
    """A number of cards beyond int32 is an error and not another number."""
    with pytest.raises((ValueError, OverflowError)):
        usage.table([a_run(cards=2**31)])


def test_conform_refuses_what_is_missing() -> None:
    """A table without a column, or with a null where none may be, does not conform."""
    table = usage.table([a_run()])

    with pytest.raises(ValueError, match="columns are missing: revision, account"):
        usage.conform(table, usage.STORED)
    none = pa.nulls(1, pa.int64())
    with pytest.raises(ValueError, match="job_id holds a null"):
        usage.conform(table.set_column(1, "job_id", none), usage.USAGE)


def test_codes_are_in_the_order_of_words() -> None:
    """Numbers compare as their words do, across chunks; null is the highest."""
    column = pa.chunked_array([["b", None], ["a", "b"]]).dictionary_encode()

    numbers, words = usage.codes(column)

    assert words == ["a", "b", None]
    assert np.array_equal(numbers, [1, 2, 0, 1])
