"""slurm_voucher/acting.py: waiting jobs are held and released by Slurm's own commands."""

import pytest
from fakeslurm import FakeSlurm

from slurm_voucher import acting
from slurm_voucher.acting import Act

MARK = "voucher=CD24-0001;hold=1;held=5;waits=x"
LOGGED = """#!/bin/sh
if [ "$1" = "{fails}" ]; then echo "scontrol: Invalid job id" >&2; exit 1; fi
for word in "$@"; do printf '[%s]' "$word" >> {folder}/done; done
echo >> {folder}/done
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    """A scontrol that writes down what it is told."""
    fake = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


def carried_out(slurm: FakeSlurm, *acts: Act, fails: str = "") -> tuple[list[str], list[str]]:
    """Carry acts out; return the problems, and what scontrol was told."""
    (slurm.folder / "scontrol").write_text(LOGGED.format(folder=slurm.folder, fails=fails))
    problems = acting.carry_out(acts)
    told = slurm.folder / "done"
    return problems, told.read_text().splitlines() if told.exists() else []


def test_job_is_marked_before_it_is_held(slurm) -> None:
    """A job that is held says why before it is: whoever dies between leaves one of ours."""
    problems, told = carried_out(slurm, Act(16, "hold", 17, MARK))

    assert problems == []
    assert told == [f"[update][JobId=17][AdminComment={MARK}]", "[hold][16]"]


def test_job_is_unmarked_after_it_is_released(slurm) -> None:
    """A job that is let go loses its mark last."""
    _, told = carried_out(slurm, Act(16, "release", 16, "voucher=a b"))

    assert told == ["[release][16]", "[update][JobId=16][AdminComment=voucher=a b]"]


def test_what_fails_is_told_and_the_next_is_done(slurm) -> None:
    """A job that Slurm does not release keeps its mark; the next act is carried out."""
    both = [Act(16, "release", 16, MARK), Act(18, "", 18, MARK)]
    problems, told = carried_out(slurm, *both, fails="release")

    assert problems == ["job 16: scontrol: scontrol: Invalid job id; is slurmctld running?"]
    assert told == [f"[update][JobId=18][AdminComment={MARK}]"]


@pytest.mark.parametrize(
    ("said", "done"),
    [
        ("3_1,3: No error\n3_2: Job has already finished", 2),
        ("3_[1-2,4-9:2%4]: No error\n3_3: Job has already finished", 2),
        ("3_1,3: No error\n3_2: Access/permission denied", 1),
        ("Job has already finished for job 3", 1),
        ("", 1),
    ],
)
def test_array_of_which_a_task_has_ended_is_held(slurm, said: str, done: int) -> None:
    """scontrol exits with 1 where a task has ended already: the others are marked, and then held.
    What else fails leaves them as they are."""
    script = f"#!/bin/sh\necho $1 >> {slurm.folder}/done\nprintf '%s' '{said}' >&2\nexit 1\n"
    (slurm.folder / "scontrol").write_text(script)
    problems = acting.carry_out([Act(3, "hold", 3, MARK)])

    assert (slurm.folder / "done").read_text().split() == ["update", "hold"][:done]
    assert len(problems) == 2 - done
