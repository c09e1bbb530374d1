"""accounting.resized.py: no second of a resized job is billed twice."""

from dataclasses import replace

import pytest
from runs import a_run

from accounting.runs import usage
from accounting.runs.resized import billed_from
from accounting.runs.run import Run


def resized(start_s: int) -> list[Run]:
    """A job of 16 cards, shrunk to 8 after 2 s; the last row starts as its Slurm has it."""
    part = a_run(submit_s=90, start_s=100, billed_from_s=100, end_s=102, elapsed_s=2, cards=16)
    last = a_run(submit_s=102, start_s=start_s, billed_from_s=start_s, end_s=127, cards=8)
    return [replace(part, state="RESIZING"), replace(last, elapsed_s=127 - start_s)]


@pytest.mark.parametrize("start_s", [100, 102])
def test_resized_jobs_are_billed_once(start_s: int) -> None:
    """On 22.05 the last row starts with the job, on 26.05 at the resize: both are 2 s and 25 s."""
    none = usage.table([])
    found = billed_from(usage.table(resized(start_s)), none)

    assert [run.billed_from_s for run in usage.runs(found)] == [100, 102]
    assert usage.billable_s(found).tolist() == [2, 25]
    assert [run.elapsed_s for run in usage.runs(found)] == [2, 127 - start_s]
    assert billed_from(found, none).equals(found)
    assert billed_from(none, found).num_rows == 0


def test_a_part_that_came_before_or_comes_late() -> None:
    """It does not matter in which batch the RESIZING row is."""
    part, last = (usage.table([run]) for run in resized(100))
    after = billed_from(last, part)
    late = billed_from(part, last)

    assert usage.billable_s(after).tolist() == [25]
    assert usage.billable_s(late).tolist() == [25, 2]


def test_a_start_before_submit_alone_is_left_alone() -> None:
    """Without the RESIZING row that ends there, nothing is taken off."""
    _, last = resized(100)
    other = usage.table([a_run(job_id=17, state="RESIZING", end_s=102), last])

    assert usage.runs(billed_from(other, usage.table([])))[1] == last
    assert usage.runs(billed_from(usage.table([last]), usage.table([]))) == [last]
