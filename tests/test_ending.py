"""Running jobs are ended only where the site says so, and after somebody was told."""

import json
import sys
from dataclasses import replace
from datetime import date

import pytest
import test_reconcile as looks
import town as towns
from fakeslurm import FakeSlurm
from test_reconcile import (
    ARRAY,
    CARD_HOUR,
    FIRST,
    NOW_S,
    ONE,
    freeze,
    hold,
    mark,
    minutes,
    queued,
    running,
    unfreeze,
)
from town import ACCOUNT, POLICY

from accounting.errors import ConfigInvalid
from slurm_voucher import config, ending, marks, reconcile
from slurm_voucher.choices import ALL, NOTHING_CHOSEN, Choices, EndRunning

site = looks.site
THIRD = "3" * 32
TOLD = """#!/bin/sh
[ -e {folder}/{name}.fails ] && exit 1
printf '%s\\n' "{name} $*" >> {folder}/told
"""
TELL = "import sys; open(sys.argv[1], 'a').write('told ' + sys.stdin.read())"


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    """A scontrol and a scancel that write down what they are told."""
    fake = FakeSlurm(tmp_path / "slurm")
    for name in ("scontrol", "scancel"):
        (fake.folder / name).write_text(TOLD.format(folder=fake.folder, name=name))
        (fake.folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.folder}:/usr/bin:/bin")
    return fake


class Site:
    """A site that ends running jobs of the account, and looks at its queue every 10 s."""

    def __init__(self, town, slurm: FakeSlurm, *rows, accounts=(ACCOUNT,), grace_s=60) -> None:
        self.town, self.folder = town, slurm.folder
        command = (sys.executable, "-c", TELL, str(slurm.folder / "told"))
        self.settings = EndRunning(frozenset(accounts), grace_s, command)
        self.rows = {row["job_id"]: row for row in rows}
        self.memory, self.at_s = reconcile.Memory(), 0
        self.telling = ending.Telling()

    def look(self, after_s=10, choices=None):
        """Look once, and do what is to be done."""
        self.at_s += after_s
        done = looks.look(
            self.town, *self.rows.values(), after_s=self.at_s, memory=self.memory,
            choices=choices or Choices(end_running=self.settings),
        )  # fmt: skip
        for act in done.acts:
            number, _, part = str(act.comment_of).partition("_")[0].partition("+")
            self.rows[int(number) + int(part or 0)]["admin_comment"] = act.comment
        return ending.carry_out(
            done.endings, self.settings, NOW_S + self.at_s, POLICY.timezone, self.telling
        )

    def marked(self, job_id: int) -> None:
        """Let the queue show what scontrol was told last."""
        comment = self.told()[-1].partition(" AdminComment=")[2]
        self.rows[job_id]["admin_comment"] = comment

    def told(self) -> list[str]:
        """Return what was told to whom, in its order."""
        path = self.folder / "told"
        return path.read_text().splitlines() if path.exists() else []

    def says(self, job_id: int) -> marks.Marks:
        """Return what a job's AdminComment says."""
        return marks.read(self.rows[job_id]["admin_comment"])


@pytest.fixture
def frozen(site, slurm) -> Site:
    """One job that runs while its unit is frozen."""
    hold(site)
    own = Site(site, slurm, running(ONE, 1, admin_comment=f"lake {mark(FIRST, CARD_HOUR)}"))
    freeze(site, date(2024, 7, 1))
    return own


def test_told_once_and_ended_after_the_grace_time(frozen) -> None:
    """The command is told with the reason and the instant, the job is marked, and when the instant
    has come it is cancelled; nothing is said twice."""
    ends = "2024-07-01T10:01:10+08:00"
    why = f"job 117 of user 2001: account {ACCOUNT}: not_eligible"
    text = f"{why}; it is ended at {ends} if that is still so"
    done = frozen.look()
    assert done == ending.Done(told=[f"{text}; told"])
    tell, scontrol = frozen.told()
    assert json.loads(tell.removeprefix("told ")) == {
        "warning": "ends", "account": ACCOUNT, "job": "117", "uid": 2001,
        "reason": "not_eligible", "ends": ends, "grace_s": 60, "text": text,
    }  # fmt: skip
    own = f"{mark(FIRST, CARD_HOUR)};ends=not_eligible@{ends}"
    assert scontrol == f"scontrol update JobId=117 AdminComment=lake {own}"

    frozen.marked(ONE)
    assert [frozen.look(s) for s in (10, 49)] == [ending.Done()] * 2
    assert frozen.look(1) == ending.Done(ended=[f"{why}; ended"])
    assert frozen.told()[2:] == ["scancel 117"]


def test_by_default_nothing_is_ended(frozen) -> None:
    """Where the site says nothing a running job is left alone."""
    for after_s in (10, 86_400):
        assert frozen.look(after_s, choices=NOTHING_CHOSEN) == ending.Done()
    assert frozen.told() == []


def test_account_that_is_not_named_is_left_alone(frozen) -> None:
    """Only jobs of accounts that the site names are ended."""
    frozen.settings = replace(frozen.settings, accounts=frozenset({"CD24-0002"}))
    assert frozen.look() == ending.Done()
    frozen.settings = replace(frozen.settings, accounts=frozenset({ALL}))
    assert len(frozen.look().told) == 1


def test_nobody_told_nothing_ended(frozen, slurm) -> None:
    """While the command fails no job is marked or ended, however long; it is tried at each look."""
    well = frozen.settings.command
    frozen.settings = replace(
        frozen.settings, command=(sys.executable, "-c", "import sys; sys.exit('no route')")
    )
    for after_s in (10, 3600, 86_400):
        done = frozen.look(after_s)
        assert (done.told, done.ended) == ([], [])
        assert done.problems == [
            f"job 117 of user 2001: account {ACCOUNT}: not_eligible; the site's command ended with "
            "1: no route: it is not ended"
        ]
    assert frozen.told() == []
    frozen.settings = replace(frozen.settings, command=well)
    assert len(frozen.look().told) == 1


def test_mark_that_was_not_written_is_no_word(frozen, slurm) -> None:
    """A job whose mark slurmctld did not take is told of again, and has its whole grace then."""
    slurm.fails("scontrol")
    assert len(frozen.look().problems) == 1
    slurm.heal()
    done = frozen.look(3600)
    assert (len(done.told), done.ended) == (1, [])


def test_job_that_is_covered_again_goes_on(frozen) -> None:
    """Where the reason is gone the mark goes; if it comes back, somebody is told anew."""
    frozen.look()
    frozen.marked(ONE)
    unfreeze(frozen.town, date(2024, 7, 1))
    assert frozen.look(86_400) == ending.Done()
    assert frozen.says(ONE) == marks.Marks(ACCOUNT, FIRST, CARD_HOUR)
    freeze(frozen.town, date(2024, 7, 3))
    done = frozen.look(86_400)
    assert (len(done.told), done.ended) == (1, [])


def test_requeued_job_loses_the_word(frozen) -> None:
    """A job that was told of and is requeued waits by name; run again, it is told of anew."""
    frozen.look()
    frozen.marked(ONE)
    frozen.rows[ONE] |= {"job_state": ["PENDING"]}
    assert frozen.look(3600) == ending.Done()
    assert (frozen.says(ONE).waits, frozen.says(ONE).ends) == ("not_eligible", None)


def test_requeued_job_that_is_covered_loses_the_word(frozen) -> None:
    """Also where it need not wait: what was told was told of another run."""
    frozen.look()
    frozen.marked(ONE)
    unfreeze(frozen.town, date(2024, 7, 1))
    frozen.rows[ONE] |= {"job_state": ["PENDING"]}
    frozen.look(86_400)
    assert frozen.says(ONE) == marks.Marks(ACCOUNT, FIRST, CARD_HOUR)


def test_settings_that_are_taken_back_end_nothing(frozen) -> None:
    """Turned off, the mark goes and the job goes on."""
    frozen.look()
    frozen.marked(ONE)
    assert frozen.look(3600, choices=NOTHING_CHOSEN) == ending.Done()
    assert frozen.says(ONE).ends is None


def test_waiting_jobs_come_first_and_the_newest(site, slurm) -> None:
    """Where an account is short nothing that runs is told of while holding what waits is enough;
    then it is the newest that runs, and no other."""
    hold(site, time_limit=str(60 * 5_000))  # 56,400 of 50,000 on the voucher and as much cash
    big = {"time_limit": minutes(60 * 5_000)}
    older = running(ONE, 1, admin_comment=mark(FIRST, 5_000 * CARD_HOUR), **big)
    newer = running(ONE, 1, admin_comment=mark("2" * 32), **big) | {"job_id": 200}
    newer |= {"submit_time": minutes(NOW_S + 1)}
    waits = queued(ONE, admin_comment=mark("4" * 32), **big) | {"job_id": 300}
    own = Site(site, slurm, older, newer, waits)
    done = own.look()
    assert [each.split()[1] for each in done.told] == ["200"]
    assert own.says(300).waits == "insufficient_balance"

    with site.begin() as conn:
        towns.pay(conn, "50000.00", "BANK-2")
    own.marked(200)
    assert own.look() == ending.Done()
    assert own.says(200).ends is None
    assert own.says(300).waits == "insufficient_balance"


def test_task_of_an_array_is_ended_alone(site, slurm) -> None:
    """A task is told of and ended by its own name, not by that of all of the array."""
    hold(site, THIRD, array="1-2", time_limit="10")
    rows = [running(n, 1, admin_comment=mark(THIRD)) for n in (130, 131)]
    last = rows[1] | {"job_id": ARRAY}  # the last task keeps the array's number
    own = Site(site, slurm, rows[0], last)
    freeze(site, date(2024, 7, 1))
    assert [each.split()[1] for each in own.look().told] == ["119_1", "119_2"]
    named = [line.split()[2] for line in own.told() if line.startswith("scontrol")]
    assert named == ["JobId=119_1", "JobId=119_2"]
    for row in own.rows.values():
        row["admin_comment"] += ";ends=not_eligible@2024-07-01T10:00:20+08:00"
    own.look()
    assert own.told()[-2:] == ["scancel 119_1", "scancel 119_2"]


def test_tasks_that_wait_end_none_that_run(site, slurm) -> None:
    """Of an array that is too dear only what runs is looked at: it goes on while it is covered."""
    hold(site, THIRD, array="1-6", time_limit="10")  # 45,120 a task: two are covered
    big = {"time_limit": minutes(60 * 4_000), "admin_comment": mark(THIRD)}
    runs = [running(n, 1, **big) for n in (130, 131)]
    own = Site(site, slurm, *runs, queued(ARRAY, array_task_string="3-6", **big))
    assert own.look() == ending.Done()
    assert own.says(ARRAY).waits == "insufficient_balance"
    assert own.look(3600) == ending.Done()


def test_as_few_tasks_are_ended_as_it_takes(site, slurm) -> None:
    """Of the tasks of an array that run the last ones are ended, and no more than it takes."""
    hold(site, THIRD, array="1-4", time_limit="10")
    big = {"time_limit": minutes(60 * 4_000), "admin_comment": mark(THIRD)}
    rows = [running(130, 1, **big) | {"job_id": 130 + n, "array_task_id": task(n)} for n in (1, 4)]
    rows += [running(130, 1, **big) | {"job_id": 130 + n, "array_task_id": task(n)} for n in (3, 2)]
    own = Site(site, slurm, *rows)
    own.look()
    assert [line.split()[2] for line in own.told() if line.startswith("scontrol")] == [
        "JobId=119_4",
        "JobId=119_3",
    ]


def task(number: int) -> dict[str, object]:
    """Return a number as slurmrestd writes it."""
    return {"set": True, "infinite": False, "number": number}


def test_each_has_its_whole_grace_however_long_the_telling_takes(site, slurm, monkeypatch) -> None:
    """The grace time of a job begins when it is told of, not when the first one was."""
    clock = iter(range(0, 100, 4))
    monkeypatch.setattr(ending.time, "monotonic", lambda: next(clock))
    rows = [
        running(ONE, 1, admin_comment=mark(f"{n:032x}", CARD_HOUR)) | {"job_id": n} for n in (1, 2)
    ]
    own = Site(site, slurm, *rows)
    own.look()
    freeze(site, date(2024, 7, 1))
    done = own.look()
    told = [line.partition(" AdminComment=")[2] for line in own.told() if "scontrol" in line]
    ends = [marks.read(comment).ends_s for comment in told]
    assert len(done.told) == 2
    assert ends == [NOW_S + own.at_s + 60 + late_s for late_s in (4, 8)]


def test_job_that_waited_by_name_is_told_of_once(frozen) -> None:
    """That a mark of its waiting is taken off it takes off no word that it is ended."""
    comment = f"{mark(FIRST, CARD_HOUR)};waits=insufficient_balance"
    frozen.rows[ONE]["admin_comment"] = comment
    frozen.look()
    frozen.marked(ONE)
    frozen.look()
    frozen.look()
    assert len([line for line in frozen.told() if line.startswith("told")]) == 1
    assert (frozen.says(ONE).waits, frozen.says(ONE).ends is not None) == (None, True)


def test_requeued_and_held_job_does_not_run(site, slurm) -> None:
    """One state alone, as 22.05 says it, is that of a job that waits."""
    hold(site)
    row = running(ONE, 1, admin_comment=mark(FIRST, CARD_HOUR)) | {"job_state": "SPECIAL_EXIT"}
    own = Site(site, slurm, row)
    freeze(site, date(2024, 7, 1))
    assert own.look() == ending.Done()


def test_heterogeneous_job_is_ended_as_a_whole(site, slurm) -> None:
    """A part cannot go on without the others."""
    row = running(121, 1, admin_comment=f"{mark('5' * 32)};ends=x@2024-07-01T10:00:00+08:00")
    own = Site(site, slurm, row)
    own.look()
    freeze(site, date(2024, 7, 1))
    own.rows[121]["admin_comment"] = f"{mark('5' * 32)};ends=x@2024-07-01T10:00:00+08:00"
    own.look()
    assert own.told() == ["scancel 120"]


def several(site, slurm, number: int) -> Site:
    """A site with so many jobs that run and are not covered any more."""
    rows = [
        running(ONE, 1, admin_comment=mark(f"{n:032x}", CARD_HOUR)) | {"job_id": n}
        for n in range(1, number + 1)
    ]
    own = Site(site, slurm, *rows)
    own.look()
    freeze(site, date(2024, 7, 1))
    return own


def test_one_look_tells_of_so_many(site, slurm, monkeypatch) -> None:
    """A look tells of no more than TOLD_MAX jobs."""
    monkeypatch.setattr(ending, "TOLD_MAX", 2)
    assert len(several(site, slurm, 3).look().told) == 2


STALLS = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
pathlib.Path(sys.argv[1]).with_name("heard").open("a").write(sys.stdin.read())
"""


def test_stalled_command_keeps_no_look_waiting(site, slurm, monkeypatch) -> None:
    """A look goes on without a command that stalls; the look after its end marks the job by the
    instant that was told, and the next one tells of another."""
    monkeypatch.setattr(ending, "TELL_S", 0.05)
    own = several(site, slurm, 2)
    stalls = (sys.executable, "-c", STALLS, str(slurm.folder / "go"))
    own.settings = replace(own.settings, command=stalls)
    assert [own.look(), own.look()] == [ending.Done(), ending.Done()]

    (slurm.folder / "go").touch()
    under_way = own.telling._under_way
    assert under_way is not None
    under_way.result(10)
    monkeypatch.setattr(ending, "TELL_S", 10)
    [first] = own.look().told
    [heard] = (slurm.folder / "heard").read_text().splitlines()
    one = json.loads(heard)
    assert first.startswith(f"job {one['job']} of user")
    assert f"it is ended at {one['ends']} if" in first
    assert f"@{one['ends']}" in own.told()[-1]
    own.marked(int(one["job"]))
    [second] = own.look().told
    assert second.startswith(f"job {3 - int(one['job'])} of user")


# --- settings ----------------------------------------------------------------------------------


def load(home, text: str) -> EndRunning:
    """Load a site's settings."""
    (home / "config.yaml").write_text(text)
    return config.load(home).end_running


def test_settings(tmp_path) -> None:
    """Accounts are named, or all; the command is its own, or that of warnings."""
    assert load(tmp_path, "") == EndRunning()
    assert not load(tmp_path, "").covers(ACCOUNT)
    text = "warn: {command: [/bin/tell]}\nend_running: {accounts: all}"
    assert load(tmp_path, text) == EndRunning(frozenset({ALL}), 3600, ("/bin/tell",))
    assert load(tmp_path, text).covers(ACCOUNT)
    text = "end_running: {accounts: [A, B], grace_s: 60, command: [/bin/mail, x y]}"
    assert load(tmp_path, text) == EndRunning(frozenset("AB"), 60, ("/bin/mail", "x y"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("end_running: all", "end_running: 'all' stands where a mapping belongs"),
        ("end_running: {grace_s: 5}", r"end_running: key 'accounts' is missing"),
        ("end_running: {accounts: A}", r"end_running\.accounts: 'A' stands where a list belongs"),
        ("end_running: {accounts: []}", r"end_running\.accounts: is an empty list"),
        ("end_running: {accounts: all}", "0 commands are told, 1 must be; set warn.command"),
        ("end_running: {accounts: all, grace_s: 0}", r"grace_s: 0 is not between 1 and 2592000"),
        ("end_running: {accounts: all, command: [mail]}", "'mail' is no whole path"),
        ("end_running: {account: A}", "key 'account' is unknown; did you mean 'accounts'"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, text: str, words: str) -> None:
    """A setting by which nobody would be told, or that cannot be, is named with its place."""
    with pytest.raises(ConfigInvalid, match=words):
        load(tmp_path, text)
