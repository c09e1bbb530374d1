"""slurm_voucher/queue.py: a snapshot is complete or it is none, and odd comments blind nobody."""

import json

import pytest
from fakeslurm import ROWS, FakeSlurm, recorded, row, squeue

from accounting.errors import SlurmUnavailable
from slurm_voucher import queue
from slurm_voucher.marks import Marks
from slurm_voucher.queue import QueuedJob, Snapshot

FIRST = 117
ARRAY = 119
MARK = "voucher=CD24-0001;hold=" + "1" * 32


def read(*rows) -> Snapshot:
    """Read rows as squeue prints them."""
    return queue.read(squeue(*rows))


def job(job_id: int, **changes) -> QueuedJob:
    """Return one job of the recorded queue."""
    return read(row(job_id, **changes)).jobs[0]


def test_recorded_queue() -> None:
    """Of the recorded queue every job with a hold is read, with its hold and amount."""
    snapshot = queue.read(recorded("squeue.json"))

    assert [(each.job_id, each.hold[0], each.marks.held_micro) for each in snapshot.jobs] == [
        (117, "1", 9_024_000),
        (118, "2", None),
        (119, "3", 9_024_000),
        (120, "4", 9_024_000),
        (121, "5", 9_024_000),
        (122, "6", 9_024_000),
        (123, "7", 9_024_000),
        (124, "8", 9_024_000),
        (125, "9", 9_024_000),
        (126, "a", 9_024_000),
        (127, "b", 9_024_000),
        (130, "3", 9_024_000),
        (131, "3", 9_024_000),
    ]
    assert len(snapshot) == 13


def test_recorded_fields() -> None:
    """A waiting job has the fields that a hold for it would ask."""
    assert job(FIRST) == QueuedJob(
        job_id=117,
        array_job_id=117,
        submit_s=ROWS[FIRST]["submit_time"]["number"],
        uid=2001,
        ended=False,
        act_on=FIRST,
        task=None,
        part=None,
        start_s=None,
        waiting=True,
        stopped=False,
        not_by_us=False,
        marks=Marks("CD24-0001", "1" * 32, 9_024_000),
        comment=f"{MARK};held=9024000",
        fields={
            "partition": "ai",
            "qos": "normal",
            "tres_per_node": "gres/gpu:ascend_910b:1",
            "time_limit": "60",
            "min_nodes": "1",
            "max_nodes": "1",
            "num_tasks": "1",
            "cpus_per_task": "1",
            "min_cpus": "1",
            "pn_min_cpus": "1",
        },
    )


def test_running_job_shows_what_it_was_given() -> None:
    """A running job says what it was given, a waiting one does not."""
    assert "gres/gpu:ascend_910b=2" in job(118).fields["tres_alloc"]
    assert "tres_alloc" not in job(FIRST).fields


def test_no_time_limit() -> None:
    """A job without a time limit says so, and not nothing."""
    assert job(126).fields["time_limit"] == "unlimited"


def test_array_that_waits_in_part() -> None:
    """Tasks of one array, those that wait and those that run, are of one number."""
    jobs = read(row(ARRAY), row(130), row(131)).jobs

    assert [(each.job_id, each.array_job_id) for each in jobs] == [
        (119, 119),
        (130, 119),
        (131, 119),
    ]
    assert [each.name for each in jobs] == ["119", "119_1", "119_2"]
    assert [each.fields.get("array") for each in jobs] == ["3-6%2", None, None]


def test_heterogeneous_job() -> None:
    """Parts of a heterogeneous job have holds and numbers of their own."""
    jobs = read(row(120), row(121)).jobs

    assert [(each.array_job_id, each.hold[0]) for each in jobs] == [(120, "4"), (121, "5")]
    assert [(each.name, each.to_end) for each in jobs] == [("120+0", "120"), ("120+1", "120")]


@pytest.mark.parametrize(
    ("states", "ended"),
    [
        (["PENDING"], False),
        (["RUNNING"], False),
        ("RUNNING", False),
        (["COMPLETED"], True),
        ("CANCELLED", True),
        (["CANCELLED", "COMPLETING"], True),
        (["PENDING", "COMPLETING"], False),
        (["PENDING", "REQUEUED"], False),
        (["NODE_FAIL", "REQUEUED"], False),
        (["PENDING", "REQUEUE_HOLD"], False),
        (["RUNNING", "RESIZING"], False),
        (["TIMEOUT"], True),
        (["SOMETHING_NEW"], False),
        ([], False),
    ],
)
def test_states(states, ended: bool) -> None:
    """A job has ended when its state says so and does not say that it will run again."""
    snapshot = read(row(FIRST, job_state=states))

    assert snapshot.jobs[0].ended == ended
    assert snapshot.there == (frozenset() if ended else {FIRST})


@pytest.mark.parametrize(
    ("comment", "what"),
    [
        (f"{MARK};hold={'2' * 32}", "says two things about hold"),
        (f"{MARK};held=much", "says held, and neither micro-yuan nor ?"),
        ("hold=see ticket 17; hold=again", "says two things about hold"),
        ("voucher=X;hold=for maintenance", "names no voucher or no hold of 32 hex digits"),
        (f"{MARK};self_pay=frozen", "says self_pay and names a hold"),
        ("hold=" + "1" * 32, "names no voucher or no hold of 32 hex digits"),
        ("voucher=X;hold=" + "A" * 32, "names no voucher or no hold of 32 hex digits"),
    ],
)
def test_odd_comment_is_a_named_problem(comment: str, what: str) -> None:
    """A comment that the hook did not write is named, its job is there, others are read."""
    snapshot = read(row(FIRST, admin_comment=comment), row(118))

    assert snapshot.problems == [f"job 117: AdminComment {what}; correct it"]
    assert [each.job_id for each in snapshot.jobs] == [118]
    assert snapshot.there == {117, 118}


@pytest.mark.parametrize("comment", ["", None, "nothing", "cost=5", "hold=", "voucher=CD24-0001"])
def test_job_without_a_hold_is_there(comment) -> None:
    """A job without a hold is no job of ours, but it is there."""
    snapshot = read(row(FIRST, admin_comment=comment))

    assert (list(snapshot.jobs), snapshot.there) == ([], {FIRST})


def test_job_that_pays_for_itself() -> None:
    """A job that goes on without its voucher is there, and is none of those with a hold; ended, it
    is nobody's."""
    rows = [row(FIRST, admin_comment="voucher=-;self_pay=frozen") | {"job_state": [state]}
            for state in ("PENDING", "COMPLETED")]  # fmt: skip
    found = [read(each) for each in rows]

    assert [len(each.jobs) for each in found] == [0, 0]
    assert [[job.job_id for job in each.self_paid] for each in found] == [[FIRST], []]


def test_other_text_beside_the_mark() -> None:
    """What other tools write beside the mark is left alone."""
    assert job(FIRST, admin_comment=f"node check=ok | {MARK};held=? done").marks.held_micro is None


@pytest.mark.parametrize("cut", [0, 1, 100, 5000, -3])
def test_truncated_answer_is_none(cut: int) -> None:
    """An answer that breaks off is no snapshot."""
    with pytest.raises(SlurmUnavailable, match="squeue: its answer is not whole"):
        queue.read(recorded("squeue.json")[:cut])


@pytest.mark.parametrize(
    "text",
    ["null", "[]", "{}", '{"jobs": null}', '{"jobs": [null]}', '{"jobs": [{}]}', "[" * 100_000],
)
def test_answer_of_another_shape_is_none(text: str) -> None:
    """An answer without jobs, or with jobs that are none, is no snapshot."""
    with pytest.raises(SlurmUnavailable, match="squeue: "):
        queue.read(text)


@pytest.mark.parametrize("key", ["job_id", "submit_time", "user_id", "job_state"])
def test_row_without_a_key_is_no_snapshot(key: str) -> None:
    """A row that lacks what a job always has makes the answer none."""
    odd = row(FIRST)
    del odd[key]

    with pytest.raises(SlurmUnavailable):
        read(odd)


def test_no_submit_time_is_no_snapshot() -> None:
    """A submit time that is not set is not taken for 1970."""
    with pytest.raises(SlurmUnavailable, match="job 117 has no submit time"):
        read(row(FIRST, submit_time={"set": False, "infinite": False, "number": 0}))


@pytest.mark.parametrize("error", [{"description": "Connection refused"}, "Connection refused"])
def test_errors_in_the_answer(error) -> None:
    """An answer that names an error is none, whatever jobs stand in it."""
    with pytest.raises(SlurmUnavailable, match="squeue: Connection refused; try again"):
        queue.read(squeue(row(FIRST), errors=(error,)))


def test_plain_numbers_of_older_slurms() -> None:
    """Numbers that stand plainly are read as those in {set, infinite, number}."""
    plain = json.loads(json.dumps(row(FIRST)))
    for key, value in plain.items():
        if isinstance(value, dict):
            plain[key] = value["number"] if value["set"] else None

    assert read(plain).jobs[0] == job(FIRST)


# --- asking ----------------------------------------------------------------------------------


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    """Slurm's commands, which repeat what was recorded."""
    fake = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


def test_snapshot_asks_squeue(slurm: FakeSlurm) -> None:
    """A snapshot is what squeue says now."""
    slurm.queue(row(118))

    assert [each.job_id for each in queue.snapshot().jobs] == [118]


def test_nothing_waits(slurm: FakeSlurm) -> None:
    """An empty queue of slurmctld and an answer of slurmdbd mean that nothing waits."""
    assert queue.nothing_waits_for_slurmdbd() is True


@pytest.mark.parametrize("command", ["sacctmgr", "sdiag"])
def test_silence_is_not_nothing(slurm: FakeSlurm, command: str) -> None:
    """Where slurmdbd or slurmctld does not answer, something may wait."""
    slurm.fails(command)

    assert queue.nothing_waits_for_slurmdbd() is False


@pytest.mark.parametrize("text", ["", "DBD Agent queue size: 3\n", "Agent queue size: 0\n"])
def test_what_waits(slurm: FakeSlurm, text: str) -> None:
    """A queue that is not empty, or not named, means that something waits."""
    slurm.says("sdiag.txt", text)

    assert queue.nothing_waits_for_slurmdbd() is False
