"""What happens when something is killed: voucherd between hold and end, collect at each step."""

import json
import re
import signal
import time
from collections.abc import Callable

import archived
import pytest

from accounting.book import ledger
from accounting.vouchers import holds
from tests.slurm import stage as stages
from tests.slurm.stage import Done, Stage, run, submitted

pytestmark = pytest.mark.slurm

CARD = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "60")
DEADLINE_S = 0.05


def sbatch(site: Stage, *arguments: str, ok: bool = True):
    """Submit a job of alice."""
    return run("sbatch", f"--voucher={site.accounts['ai']}", *CARD, *arguments, user="alice", ok=ok)


def balance(site: Stage) -> dict:
    """Return the balance of alice's account."""
    [row] = json.loads(site.svoucher("balance", site.accounts["ai"], "--json").out)
    return row


def test_voucherd_down_is_said_in_words(live: Stage) -> None:
    """Without voucherd a job with a voucher is refused in words, one without goes in."""
    live.stop()
    refused = sbatch(live, "--wrap=true", ok=False)
    other = run("sbatch", "-H", *CARD, "--wrap=true", user="alice")

    assert refused.code != 0
    assert re.search(r"voucher CD\d\d-\d{4}: the voucher service did not answer", refused.err)
    assert submitted(other)


def test_stalled_voucherd_costs_no_more_than_the_deadline(live: Stage) -> None:
    """With voucherd stopped in the middle, sbatch is back within deadline and 100 ms more than
    it takes without a voucher: the quicker of two tries each, before the breaker opens."""

    def took(submit: Callable[[], Done]) -> tuple[float, Done]:
        began = time.monotonic()
        done = submit()
        return time.monotonic() - began, done

    def plain() -> Done:
        return run("sbatch", "-H", *CARD, "--wrap=true", user="alice")

    plain_s = min(took(plain)[0] for _ in range(2))
    assert live.voucherd is not None
    live.voucherd.send_signal(signal.SIGSTOP)
    try:
        tries = [took(lambda: sbatch(live, "--wrap=true", ok=False)) for _ in range(2)]
    finally:
        live.voucherd.send_signal(signal.SIGCONT)
    # with the test before it that was three misses: the breaker is open for a while
    stages.until(
        "jobs are taken again", lambda: not sbatch(live, "-H", "--wrap=true", ok=False).code
    )

    for _, refused in tries:
        assert refused.code != 0
        assert "did not answer" in refused.err
    assert min(stalled_s for stalled_s, _ in tries) < plain_s + DEADLINE_S + 0.1


def test_killed_voucherd_forgets_no_hold(live: Stage) -> None:
    """kill -9 of voucherd between hold and job end: the hold stands, the run is charged once."""
    live.svoucher("collect", "--cluster", stages.CLUSTER)
    before = balance(live)["accrued"]
    job = submitted(sbatch(live, "--wrap=sleep 6"))
    live.stop(signal.SIGKILL)  # perhaps before the hold is in the book: the queue has it
    live.start()
    stages.until("the hold is there", lambda: live.held(job) == "9.024000")
    stages.ended(job)
    live.svoucher("collect", "--cluster", stages.CLUSTER)
    end = live.held(job)
    [row] = [r for r in json.loads(live.svoucher("jobs", "--json").out) if r["job"] == str(job)]

    assert end is None
    assert _micro(balance(live)["accrued"]) - _micro(before) == _micro(row["charge"])
    assert "0 findings" in live.svoucher("audit").out


def _micro(text: str) -> int:
    return int(text.replace(",", "").replace(".", ""))


def test_lost_holds_come_back_from_the_queue(live: Stage) -> None:
    """A book that lost its holds gets them back from AdminComment, with the same amount."""
    import sqlite3

    job = submitted(sbatch(live, "-H", "--wrap=true"))
    live.stop(signal.SIGKILL)
    with sqlite3.connect(live.home / "book.db") as book:
        for table in ("hold_end", "hold_missing", "hold_bind", "hold"):
            book.execute(f"DELETE FROM {table}")
    book.close()
    lost = live.held(job)
    live.start()
    stages.until("the hold is back", lambda: live.held(job) == "9.024000")

    assert lost is None


def test_collect_killed_at_each_step(live: Stage) -> None:
    """kill -9 of collect before each file operation and database statement leaves the book
    unharmed, and the next collect makes the figures of an undisturbed one."""
    live.svoucher("collect", "--cluster", stages.CLUSTER)
    job = submitted(sbatch(live, "-a", "1-3", "--wrap=sleep 2"))
    stages.ended(job, tasks=3)
    before, _ = figures(live, job)
    steps, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        steps += 1
        code = run(
            "python", "-m", "tests.slurm.dying", str(steps), "--home", str(live.home),
            "collect", "--cluster", stages.CLUSTER, ok=False,
        ).code  # fmt: skip
        accrued, rows = figures(live, job)
        assert len(rows) in (0, 3)
        assert accrued - before == sum(row["charge_micro"] for row in rows)
    expected = sum(int(elapsed) for [elapsed] in stages.sacct(job, "ElapsedRaw"))

    assert code == 0
    assert steps > 8
    assert sum(row["elapsed_s"] for row in rows) == expected
    assert " 0 new, 0 changed" in live.svoucher("collect", "--cluster", stages.CLUSTER).out
    assert "0 findings" in live.svoucher("audit").out


def figures(site: Stage, job: int) -> tuple[int, list[dict]]:
    """Return what is accrued on alice's account, micro-yuan, and the archive's runs of a job."""
    engine = ledger.reading(ledger.connect(f"sqlite:///{site.home / 'book.db'}"))
    with engine.begin() as conn:
        accrued = holds.accrued(conn, site.accounts["ai"])
        rows = archived.current(conn, site.home / "archive", stages.CLUSTER).to_pylist()
    engine.dispose()
    own = [row for row in rows if row["job"].startswith(f"{job}_")]
    return sum(charge for charge, _ in accrued.values()), own
