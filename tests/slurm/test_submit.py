"""What a researcher meets at submit: one hold, one sentence, or a refusal in words."""

import re

import pytest

from tests.slurm import stage as stages
from tests.slurm.stage import Done, Stage, admin_comment, run, submitted

pytestmark = pytest.mark.slurm

CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
CARD_HOUR = 9_024_000
"""376 TFLOPS for an hour at 24 yuan per PFLOPS·hour, micro-yuan."""


def sbatch(site: Stage, *arguments: str, user: str = "alice", ok: bool = True) -> Done:
    """Submit a job that waits, held by its user."""
    voucher = f"--voucher={site.accounts['ai']}"
    return run("sbatch", "-H", voucher, *arguments, "--wrap=true", user=user, ok=ok)


def test_sbatch_takes_one_hold(live: Stage) -> None:
    """A job by sbatch holds the most it can cost, and AdminComment names voucher and hold."""
    done = sbatch(live, *CARD)
    job = submitted(done)

    assert live.held(job) == "9.024000"
    assert re.fullmatch(
        rf"voucher={live.accounts['ai']};hold=[0-9a-f]{{32}};held={CARD_HOUR}", admin_comment(job)
    )
    assert f"voucher {live.accounts['ai']}: held 9.03 yuan" in done.err


def test_cancelled_job_gives_its_hold_back(live: Stage) -> None:
    """The hold of a job that is cancelled while it waits ends once the queue is without it."""
    job = submitted(sbatch(live, *CARD))
    stages.until("the hold is bound", lambda: "rebuilt" in live.svoucher("reconcile").out)
    run("scancel", str(job), user="alice")
    stages.until("the queue is without it", lambda: not stages.queue(job))

    def gone() -> bool:
        live.svoucher("collect", "--cluster", stages.CLUSTER)
        return live.held(job) is None

    stages.until("the hold ends", gone, 60)


def test_array_holds_for_all_tasks(live: Stage) -> None:
    """An array holds its tasks together, under one hold."""
    job = submitted(sbatch(live, *CARD, "-a", "1-5%2"))

    assert live.held(job) == "45.120000"
    assert admin_comment(job).endswith(f"held={5 * CARD_HOUR}")


def test_script_line_counts(live: Stage, tmp_path) -> None:
    """#SBATCH --voucher in a script does what the option does."""
    text = f"#!/bin/bash\n#SBATCH --voucher={live.accounts['ai']}\ntrue\n"
    script = stages.Path("/home/alice/line.sh")
    script.write_text(text)
    job = submitted(run("sbatch", "-H", *CARD, str(script), user="alice"))

    assert admin_comment(job).startswith(f"voucher={live.accounts['ai']};hold=")


def test_environment_counts(live: Stage) -> None:
    """SLURM_VOUCHER does what the option does, where the option is not given."""
    voucher = f"SLURM_VOUCHER={live.accounts['ai']}"
    job = submitted(run("env", voucher, "sbatch", "-H", *CARD, "--wrap=true", user="alice"))

    assert admin_comment(job).startswith(f"voucher={live.accounts['ai']};hold=")


@pytest.mark.parametrize("command", ["srun", "salloc"])
def test_srun_and_salloc_take_a_hold(live: Stage, command: str) -> None:
    """srun and salloc hold as sbatch does, and say the same sentence."""
    done = run(
        command, f"--voucher={live.accounts['ai']}", *CARD, "printenv", "SLURM_JOB_ID", user="alice"
    )
    job = re.search(r"^\d+$", done.out, re.M)

    assert "held 9.03 yuan" in done.err
    assert job is not None
    assert admin_comment(job[0]).startswith(f"voucher={live.accounts['ai']};hold=")


def test_job_without_voucher_is_left_alone(live: Stage) -> None:
    """A job without a voucher is not asked about and gets no AdminComment."""
    job = submitted(run("sbatch", "-H", *CARD, "--wrap=true", user="alice"))

    assert admin_comment(job) == ""


REFUSED = [
    ("sc", CARD, "alice", "is for provider nscc-cd, this partition is cdaicc's"),
    ("ai", CARD, "bob", "belongs to another unit than user 2002's"),
    ("old", CARD, "bob", "expired on"),
    ("ai", ("-p", "ai", "-N2", "--gres=gpu:ascend_910b:8", "-t", "7-0"), "alice", "is available"),
]


@pytest.mark.parametrize(("account", "job", "user", "words"), REFUSED)
def test_refused_in_words(live: Stage, account: str, job, user: str, words: str) -> None:
    """What the rules forbid is refused in one line that the user reads, and leaves no job."""
    voucher = live.accounts[account]
    done = run("sbatch", f"--voucher={voucher}", *job, "--wrap=true", user=user, ok=False)

    assert done.code != 0
    assert f"error: voucher {voucher}: " in done.err
    assert words in done.err
    assert "; " in done.err


def test_unknown_voucher_is_refused_in_words(live: Stage) -> None:
    """An account that is not in the book is refused."""
    done = run("sbatch", "--voucher=CD99-9999", *CARD, "--wrap=true", user="alice", ok=False)

    assert done.code != 0
    assert "not known here" in done.err


def test_odd_bytes_never_reach_the_wire(live: Stage) -> None:
    """A voucher name with control bytes is refused, and the bytes are not printed."""
    done = run("sbatch", "--voucher=CD\x1b[31m", *CARD, "--wrap=true", user="alice", ok=False)

    assert done.code != 0
    ours = [line for line in done.err.splitlines() if "voucher:" in line]
    assert ours  # Slurm itself adds a line that repeats what was typed
    assert not any("\x1b" in line for line in ours)


def test_more_time_is_held_or_refused(live: Stage) -> None:
    """scontrol update of the time limit raises the hold, or is refused in words."""
    job = submitted(sbatch(live, *CARD))
    live.svoucher("reconcile")
    before = live.held(job)
    run("scontrol", "update", f"job={job}", "TimeLimit=2:00:00")
    raised = live.held(job)
    too_much = run("scontrol", "update", f"job={job}", "TimeLimit=300-0", ok=False)

    assert (before, raised) == ("9.024000", "18.048000")
    assert too_much.code != 0
    # 22.05 has no way to tell the user; there the log of slurmctld has the sentence.
    assert "is available" in too_much.text + stages.LOG.read_text()
    assert live.held(job) == raised
