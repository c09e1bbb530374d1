"""What a live Slurm tells of its nodes, when they are out of service, and of jobs that go on."""

import time

import pytest

from accounting.runs.nodes import Note, Out
from slurm_voucher.sources import nodes, running
from tests.slurm import stage as stages
from tests.slurm.stage import CLUSTER, Stage, run, submitted

pytestmark = pytest.mark.slurm


def note(since_s: int) -> Note:
    """Note the nodes now."""
    now_s = int(time.time())
    return nodes.note(CLUSTER, since_s, now_s, now_s)


def outages(since_s: int) -> dict[tuple[str, str], Out]:
    """Return when nodes were out, by node and reason."""
    return {(out.node, out.why): out for out in note(since_s).out}


def test_nodes_and_their_cards(live: Stage) -> None:
    """sinfo takes our question: four nodes, two kinds of cards."""
    kinds = {alike.names: dict(alike.cards) for alike in note(int(time.time()) - 60).nodes}
    assert kinds == {("ai1", "ai2"): {"gpu:ascend_910b": 8}, ("sc1", "sc2"): {"gpu:dcu_z100": 4}}


def test_out_of_service_and_back(live: Stage) -> None:
    """A node that is drained and a maintenance are told by slurmdbd as long as they last, and by
    when they ended; what reserves a part of a node is not."""
    began_s = int(time.time()) - 1
    run("scontrol", "update", "NodeName=ai1", "State=DRAIN", "Reason=fan | broken")
    reserve = ("scontrol", "create", "reservation", "StartTime=now", "Duration=30")
    run(*reserve, "ReservationName=m1", "Nodes=sc2", "Flags=MAINT", "Users=root")
    run(*reserve, "ReservationName=c1", "Nodes=sc1", "CoreCnt=4", "Users=root")
    both = {("ai1", "drained"), ("sc2", "maintenance")}
    try:
        stages.until("slurmdbd has both", lambda: both <= outages(began_s).keys())
        time.sleep(2)
        lasting = outages(began_s)
        assert lasting.keys() == both
        assert all(out.end_s - out.begin_s >= 1 for out in lasting.values())
    finally:
        run("scontrol", "update", "NodeName=ai1", "State=RESUME")
        for name in ("m1", "c1"):
            run("scontrol", "delete", f"ReservationName={name}")
    ended_s = int(time.time()) + 1

    def over() -> bool:
        return int(time.time()) > ended_s + 1 and all(
            out.end_s <= ended_s for out in outages(began_s).values()
        )

    stages.until("slurmdbd has their ends", over)
    assert outages(began_s).keys() == both


def test_a_job_that_goes_on(live: Stage) -> None:
    """sacct takes our question: a job that runs went on over an instant after its begin."""
    arguments = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "10", "--wrap=sleep 300")
    job = submitted(run("sbatch", f"--voucher={live.accounts['ai']}", *arguments, user="alice"))
    stages.until("it runs", lambda: "RUNNING" in stages.queue(job))

    def seen() -> list[running.Running]:
        found = running.over(int(time.time()), CLUSTER)
        return [each for each in found if each.number == job]

    [one] = stages.until("slurmdbd shows it", seen)
    assert (one.job, one.partition, one.user, one.end_s) == (str(job), "ai", "alice", None)
    assert running.over(one.start_s, CLUSTER) == []
    run("scancel", str(job), user="alice")
