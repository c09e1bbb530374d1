"""bench/jobs: the text that is measured looks like sacct's, and is the same every time."""

from collections import Counter

from accounting.runs import usage
from accounting.runs.run import Run
from bench import jobs
from slurm_voucher.sources import BadRow, sacct, sacct_query, tables

ACCOUNTS = ["CD24-0001", "CD24-0002"]


def test_the_text_has_every_kind_of_row_and_no_bad_one() -> None:
    """Steps, arrays, requeued, resized and never started runs, vouchers; both readers agree."""
    text = b"".join(jobs.text(20_000, ACCOUNTS))
    skipped, slow = Counter[str](), Counter[str]()
    found = list(
        tables.tables(
            [text],
            fields=jobs.COLUMNS,
            timezone="UTC",
            cluster="chengdu",
            skipped=skipped,
            slow=slow,
        )
    )
    assert not [each for each in found if isinstance(each, BadRow)]
    runs = [run for table in found for run in usage.runs(table)]
    lines = text.splitlines()[:2_000]
    plain = list(sacct.parse(lines, fields=jobs.COLUMNS, timezone="UTC", cluster="chengdu"))

    assert runs[: len(plain)] == [run for run in plain if isinstance(run, Run)]
    assert len(runs) + skipped["step"] == 20_000
    assert skipped["step"] > 1_000
    assert slow["rows"] == 0
    states = Counter(run.state for run in runs)
    assert {"COMPLETED", "FAILED", "CANCELLED", "REQUEUED", "RESIZING", "NODE_FAIL"} <= set(states)
    assert any("_" in run.job for run in runs)
    assert {run.voucher for run in runs} == {None, *ACCOUNTS}
    assert sum(run.start_s is None for run in runs) > 200


def test_the_same_text_every_time() -> None:
    """A seed makes one text; all columns that collect asks for are there, too."""
    some = [b"".join(jobs.text(500, ACCOUNTS, sacct_query.FIELDS)) for _ in range(2)]

    assert some[0] == some[1]
    assert some[0].count(b"\n") == 500
    assert {line.count(b"|") for line in some[0].splitlines()} == {len(sacct_query.FIELDS) - 1}
