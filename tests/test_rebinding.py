"""slurm_voucher/rebinding.py: a waiting job goes from one account to another, and from no other."""

import fakeslurm
import pytest
import town as towns
from fakeslurm import FakeSlurm, row, squeue
from prices import PRICES
from sqlalchemy import select
from test_charging import second_account
from town import ACCOUNT, NOW, POLICY, UID, instant

from accounting.book import schema
from accounting.errors import InsufficientBalance, InvalidInput, NotAllowed
from accounting.vouchers import holds, releasing
from slurm_voucher import marks, queue, rebinding
from slurm_voucher.asking import Asker, Rules, request

RULES = Rules(fakeslurm.CLUSTER, PRICES, POLICY)
NOW_S = instant(NOW)
JOB, OLD = 117, "1" * 32
SUBMIT = {"set": True, "infinite": False, "number": NOW_S}
MARK = f"lake voucher={ACCOUNT};hold={OLD};held=11280000"
SCONTROL = """#!/bin/sh
[ -e {folder}/scontrol.fails ] && exit 1
printf '%s\\n' "$*" >> {folder}/told
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    """A scontrol that writes down what it is told."""
    fake = FakeSlurm(tmp_path / "slurm")
    (fake.folder / "scontrol").write_text(SCONTROL.format(folder=fake.folder))
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


def told(slurm: FakeSlurm) -> list[str]:
    """Return what scontrol was told."""
    path = slurm.folder / "told"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def second(town) -> str:
    """A second account of the same unit, and a waiting job on the first."""
    other = second_account(town)
    with town.begin() as conn:
        asked = {"tres_per_node": "gres/gpu:ascend_910b:1", "time_limit": "60"}
        wanted = request(conn, RULES, OLD, Asker(ACCOUNT, UID), asked, now_s=NOW_S, submit_s=NOW_S)
        holds.place(conn, wanted, POLICY, NOW_S)
        releasing.bind(conn, OLD, "chengdu", JOB, NOW_S, NOW_S)
        towns.pay(conn, "1000.00", "BANK-9", other)
    return other


def waiting(**changes) -> queue.Snapshot:
    """Return a queue with the job."""
    fields = {"admin_comment": MARK, "user_id": UID, "submit_time": SUBMIT} | changes
    return queue.read(squeue(row(JOB, **fields)))


def live(town) -> list[tuple[str, str, int]]:
    """Return account, whether old or new, and job of live holds."""
    with town.begin() as conn:
        rows = conn.execute(holds.LIVE.order_by(schema.hold.c.account))
        return [(r.account, "old" if r.id == OLD else "new", r.job_id) for r in rows]


def test_waiting_job_goes_to_another_account(town, second, slurm) -> None:
    """The job has a hold on the other account, and its mark says so; the first has none."""
    new, after, problems = rebinding.rebind(town.engine, RULES, waiting(), JOB, second, NOW_S)

    assert problems == []
    assert live(town) == [(second, "new", JOB)]
    assert after.held_micro == 11_280_000
    [said] = told(slurm)
    assert said == (
        f"update JobId={JOB} AdminComment=lake voucher={second};hold={new};held=11280000"
    )
    with town.begin() as conn:
        [end] = conn.execute(select(schema.hold_end.c.evidence)).scalars()
    assert end == f"rebound to {new}"


def test_stopped_in_the_middle_it_goes_on(town, second, slurm) -> None:
    """Where Slurm does not answer the job has both holds, and the same command does the rest."""
    slurm.fails("scontrol")
    new, _, problems = rebinding.rebind(town.engine, RULES, waiting(), JOB, second, NOW_S)
    assert len(problems) == 1
    assert {which for _, which, _ in live(town)} == {"old", "new"}
    slurm.heal()
    again, _, problems = rebinding.rebind(town.engine, RULES, waiting(), JOB, second, NOW_S)

    assert (again, problems) == (new, [])
    assert live(town) == [(second, "new", JOB)]


def test_marked_and_killed_it_ends_the_old_hold(town, second, slurm) -> None:
    """Where the job names the new hold already only the old one is ended."""
    slurm.fails("scontrol")
    new, _, _ = rebinding.rebind(town.engine, RULES, waiting(), JOB, second, NOW_S)
    slurm.heal()
    own = marks.Marks(second, new, 11_280_000)
    marked = waiting(admin_comment=marks.write(MARK, own))
    rebinding.rebind(town.engine, RULES, marked, JOB, second, NOW_S)

    assert told(slurm) == []
    assert live(town) == [(second, "new", JOB)]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"job_state": ["RUNNING"]}, NotAllowed, "1 of it run, 0 may"),
        ({"job_state": ["CANCELLED"]}, InvalidInput, "0 jobs with a voucher"),
        ({"admin_comment": ""}, InvalidInput, "0 jobs with a voucher"),
        ({"user_id": 4242}, NotAllowed, "another unit than user 4242"),
        (
            {"time_limit": {"set": True, "infinite": False, "number": 60_000}},
            InsufficientBalance,
            "is available",
        ),
    ],
)
def test_what_is_not_moved(town, second, slurm, changes, error, said: str) -> None:
    """A job that runs, has ended, has no voucher or does not fit stays where it is."""
    with pytest.raises(error, match=said):
        rebinding.rebind(town.engine, RULES, waiting(**changes), JOB, second, NOW_S)

    assert told(slurm) == []
    assert live(town) == [(ACCOUNT, "old", JOB)]
