"""runs/archive.py: segments are written once; rows are found again when they change."""

import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import a_run, rated

from accounting.errors import InvariantBroken
from accounting.runs import archive, filing, usage
from accounting.runs.run import Run

NOTHING = usage.STORED.empty_table()
SOME = [
    a_run(job_id=2),
    a_run(job_id=1, submit_s=5),
    a_run(job_id=1, submit_s=5, start_s=None, billed_from_s=None, voucher=None),
    a_run(job_id=1, submit_s=4),
]


def some() -> pa.Table:
    """Return a few rated rows in no order."""
    return rated(usage.table(SOME), charge_micro=7, gflops_s=5, eligible_micro=3)


def files(root: Path) -> list[str]:
    """List the files below a folder."""
    return sorted(f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file())


def test_a_segment_is_what_was_written(tmp_path: Path) -> None:
    """Rows come back sorted by key, under the name that their content gives."""
    segment = archive.write(tmp_path, "chengdu", "2024-07", some())
    table = archive.read(tmp_path, [segment])

    assert segment.path == f"usage/cluster=chengdu/month=2024-07/{segment.sha256[:16]}.parquet"
    assert files(tmp_path) == [segment.path]
    assert table.schema == usage.STORED
    assert usage.runs(table) == [SOME[3], SOME[2], SOME[1], SOME[0]]
    assert (segment.rows, segment.submit_min_s, segment.submit_max_s) == (4, 4, SOME[0].submit_s)
    assert (segment.charge_micro, segment.gflops_s, segment.eligible_micro) == (28, 20, 12)
    assert archive.verify(tmp_path, segment) == []


def test_twice_is_once(tmp_path: Path) -> None:
    """The same rows in any order and in any chunks are the same file, written once."""
    first = archive.write(tmp_path, "chengdu", "2024-07", some())
    written = (tmp_path / first.path).stat()
    rows = some().take(pa.array([3, 1, 0, 2]))
    parts = pa.concat_tables([rows.slice(0, 1), rows.slice(1)])

    assert archive.write(tmp_path, "chengdu", "2024-07", parts) == first
    assert (tmp_path / first.path).stat().st_mtime_ns == written.st_mtime_ns
    assert files(tmp_path) == [first.path]


def test_some_columns(tmp_path: Path) -> None:
    """A reader takes the columns that it needs."""
    segment = archive.write(tmp_path, "chengdu", "2024-07", some())

    assert archive.read(tmp_path, [segment, segment], ["charge_micro"]).to_pydict() == {
        "charge_micro": [7] * 8
    }
    assert archive.read(tmp_path, []).schema == usage.STORED


def test_a_file_in_the_open(tmp_path: Path) -> None:
    """A segment is plain Parquet in hive folders: other readers take it as it is."""
    archive.write(tmp_path, "chengdu", "2024-07", some())

    read = pq.read_table(tmp_path / "usage", partitioning=None)

    assert read.column_names == usage.STORED.names


@pytest.mark.parametrize(
    ("cluster", "month"), [("../x", "2024-07"), ("", "2024-07"), ("a/b", "2024-07"), ("a", "2024")]
)
def test_names_that_are_no_folders(tmp_path: Path, cluster: str, month: str) -> None:
    """A name from outside never leads out of the archive."""
    with pytest.raises(ValueError, match="are no cluster and month"):
        archive.write(tmp_path, cluster, month, some())
    assert files(tmp_path) == []


def test_what_is_no_segment(tmp_path: Path) -> None:
    """Rows of another cluster, no rows, or one key twice are refused."""
    with pytest.raises(ValueError, match="of mianyang alone"):
        archive.write(tmp_path, "mianyang", "2024-07", some())
    with pytest.raises(ValueError, match="one or more runs"):
        archive.write(tmp_path, "chengdu", "2024-07", NOTHING)
    with pytest.raises(ValueError, match="same key and revision"):
        archive.write(tmp_path, "chengdu", "2024-07", pa.concat_tables([some(), some()]))
    assert files(tmp_path) == []


def power_fails(*_: Path) -> None:
    """Stop where a file would get its name."""
    raise OSError("power fails")


def test_a_crash_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the rename there is nothing under the name; the second try makes it whole."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", power_fails)
        with pytest.raises(OSError, match="power fails"):
            archive.write(tmp_path, "chengdu", "2024-07", some())
    assert files(tmp_path) == []

    segment = archive.write(tmp_path, "chengdu", "2024-07", some())

    assert archive.verify(tmp_path, segment) == []
    assert segment.path in files(tmp_path)


def test_verify_finds_every_difference(tmp_path: Path) -> None:
    """A changed byte, a missing file and figures that are not those of the book are found."""
    segment = archive.write(tmp_path, "chengdu", "2024-07", some())

    (wrong,) = archive.verify(tmp_path, replace(segment, charge_micro=29))
    assert wrong == f"{segment.path}: charge_micro is 28, the book says 29"
    assert len(archive.verify(tmp_path, replace(segment, rows=5, submit_min_s=0))) == 2
    assert "other clusters" in archive.verify(tmp_path, replace(segment, cluster="x"))[0]
    file = tmp_path / segment.path
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert "SHA-256 is" in archive.verify(tmp_path, segment)[0]
    file.unlink()
    assert archive.verify(tmp_path, segment) == [f"{segment.path}: is missing"]
    with pytest.raises(InvariantBroken, match="is missing; restore it"):
        archive.read(tmp_path, [segment])


def test_quarantine_deletes_nothing(tmp_path: Path) -> None:
    """Files that the book does not know are moved and kept, also a second one of that name."""
    known = archive.write(tmp_path, "chengdu", "2024-07", some())
    rest = some().slice(0, 1)
    moved = []
    for content in (b"", b"x"):
        other = archive.write(tmp_path, "chengdu", "2024-07", rest)
        (tmp_path / f"{other.path}.1.partial").write_bytes(content)
        moved += filing.quarantine(tmp_path, [known.path])

    assert moved == [
        f"quarantine/{other.path}",
        f"quarantine/{other.path}.1.partial",
        f"quarantine/{other.path}.2",
        f"quarantine/{other.path}.1.partial.2",
    ]
    assert files(tmp_path) == sorted([known.path, *moved])
    assert filing.quarantine(tmp_path, [known.path]) == []
    assert filing.quarantine(tmp_path / "nowhere", []) == []


def test_current_is_the_latest_revision() -> None:
    """Of each key the highest revision counts, wherever it stands."""
    older, newer = usage.table(SOME), usage.table([a_run(job_id=2, state="FAILED")])
    table = pa.concat_tables([rated(newer, 11), rated(older), rated(newer, 2)])

    found = archive.current(table)

    assert found.num_rows == 4
    assert found.column("revision").to_pylist() == [0, 0, 0, 11]
    assert archive.current(NOTHING).num_rows == 0


def test_compare_tells_new_changed_and_same() -> None:
    """Seen twice is seen once, seen changed is the next revision, never seen is new."""
    same, was, never = a_run(job_id=1), a_run(job_id=2), a_run(job_id=3)
    now = replace(was, end_s=was.end_s + 1)
    stored = pa.concat_tables([rated(usage.table([same])), rated(usage.table([was]), 4)])

    new, changed = archive.compare(usage.table([never, now, same, never]), stored)

    assert usage.runs(new) == [never]
    assert new.column("revision").to_pylist() == [0]
    assert usage.runs(changed) == [now]
    assert changed.column("revision").to_pylist() == [5]
    assert new.schema.names == changed.schema.names == [*usage.USAGE.names, "revision"]


@pytest.mark.parametrize("name", [n for n in usage.USAGE.names if n not in {"cluster", "job_id"}])
def test_any_column_that_differs_is_a_change(name: str) -> None:
    """A change of any column is seen, also from null and to null; in the key it is a new run."""
    old = a_run()
    value = getattr(old, name)
    news = [value + 1 if isinstance(value, int) else value + "x"]
    if usage.USAGE.field(name).nullable:
        news.append(None)
    for other in news:
        one, two = usage.table([old]), usage.table([replace(old, **{name: other})])
        for before, after in ((one, two), (two, one)):
            new, changed = archive.compare(after, rated(before))
            key = name in {"submit_s", "start_s"}
            assert (new.num_rows, changed.num_rows) == ((1, 0) if key else (0, 1))


def test_of_two_rows_of_one_key_the_later_wins() -> None:
    """Sweeps overlap: what was read last is what Slurm says now."""
    first, last = a_run(state="TIMEOUT"), a_run()

    assert usage.runs(archive.compare(usage.table([first, last]), NOTHING).new) == [last]
    new, changed = archive.compare(usage.table([first, last]), rated(usage.table([last])))
    assert (new.num_rows, changed.num_rows) == (0, 0)


def test_a_run_that_never_started_is_known_again() -> None:
    """A null start is equal to a null start, and not to any start."""
    never = a_run(start_s=None, billed_from_s=None, elapsed_s=0)
    stored = rated(usage.table([never]))

    assert [t.num_rows for t in archive.compare(usage.table([never]), stored)] == [0, 0]
    assert [t.num_rows for t in archive.compare(usage.table([a_run()]), stored)] == [1, 0]


def test_revisions_have_an_end() -> None:
    """The highest revision is refused and does not begin again."""
    stored = rated(usage.table([a_run()]), archive.REVISION_MAX)

    with pytest.raises(ValueError, match="more than 32767 times"):
        archive.compare(usage.table([a_run(user="x")]), stored)


RUNS = st.builds(
    a_run,
    cluster=st.sampled_from(["chengdu", "z"]),
    job_id=st.integers(1, 2),
    start_s=st.none() | st.integers(0, 1),
    user=st.sampled_from(["li", "wu"]),
    uid=st.none() | st.just(7),
)


@given(st.lists(RUNS, max_size=6), st.lists(RUNS, max_size=6))
def test_compare_as_a_dictionary_would(old: list[Run], incoming: list[Run]) -> None:
    """Compare and current do what a dictionary by key does, row by row."""

    def key(run: Run) -> tuple[str, int, int | None]:
        return run.cluster, run.job_id, run.start_s

    before, after = {key(run): run for run in old}, {key(run): run for run in incoming}
    stored = rated(usage.table(before.values()))

    new, changed = archive.compare(usage.table(incoming), stored)

    assert {key(run): run for run in usage.runs(new)} == {
        k: run for k, run in after.items() if k not in before
    }
    assert {key(run): run for run in usage.runs(changed)} == {
        k: run for k, run in after.items() if k in before and before[k] != run
    }
    whole = pa.concat_tables([stored, rated(new), rated(changed, 1)])
    rows = usage.runs(archive.current(whole.take(pa.array(shuffled(whole.num_rows)))))
    assert {key(run): run for run in rows} == before | after


def shuffled(number: int) -> pa.Array:
    """Return the numbers below one in a mixed order that is always the same."""
    order = list(range(number))
    random.Random(number).shuffle(order)
    return pa.array(order, pa.int64())
