"""The story of `make demo`: from a unit's registration to a paid redemption claim.

Every figure comes from a command and a real job; a step that does not hold ends the story.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

from tests.slurm import stage as stages
from tests.slurm.stage import Done, Stage, ids_of, run, submitted

BEGAN = time.monotonic()
PAPERS = stages.HOME / "demo-output"


def step(title: str) -> None:
    """Begin a step."""
    print(f"\n[{time.monotonic() - BEGAN:4.0f} s] {title}", flush=True)


def tell(text: str) -> None:
    """Print what a command said, indented."""
    for line in text.strip().splitlines():
        print(f"    {line}", flush=True)


def refused(what: str, expected: str, *command: str, user: str) -> None:
    """Submit something that has to be refused, and show the words."""
    done = run(*command, user=user, ok=False)
    words = [line for line in done.text.splitlines() if expected in line]
    assert done.code != 0, f"{what}: was not refused: {done.text}"
    assert words, f"{what}: refused without {expected!r}: {done.text}"
    tell(f"{what}:\n  {words[0]}")


def months() -> tuple[str, str, date, date]:
    """Return this month, this quarter, and the first days after each."""
    today = date.today()
    next_month = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    quarter = (today.month + 2) // 3
    first = date(today.year + quarter // 4, quarter % 4 * 3 + 1, 1)
    return f"{today:%Y-%m}", f"{today.year}-Q{quarter}", next_month, first


def tell_story(stage: Stage) -> None:
    month, quarter, next_month, next_quarter = months()
    step("The book: a rehearsal, because its jobs end today. Units, contracts, vouchers, cash")
    stages.scene(stage, tell)
    tell(stage.svoucher("contract", "list").out)
    ai, sc, old, joint = (stage.accounts[name] for name in ("ai", "sc", "old", "joint"))

    step("A national project gets 30 %, a limit trims the next one, and who finds nothing waits")
    trimmed = limits(stage)
    tell(stage.svoucher("voucher", "list").out)

    step("voucherd starts; svoucher check")
    stage.start()
    tell(stage.svoucher("check").out)
    tell(
        stage.svoucher(
            "quote", "-p", "ai", "--gres=gpu:ascend_910b:8", "-t", "2:00:00", "--voucher", ai
        ).out
    )

    step("alice submits: a job, an array, one from an #SBATCH line, one with srun")
    jobs = submit(ai, sc, joint)

    step("What is refused, in words")
    refusals(ai, sc, old)

    step("Balance while jobs hold")
    tell(stage.svoucher("balance").out)

    step(f"Jobs {ids_of(list(jobs.values()))} run and end")
    stages.ended(*jobs.values(), tasks=len(jobs) + 2)
    step("Collect, twice: the second time finds nothing new")
    tell(stage.svoucher("collect", "--cluster", stages.CLUSTER).out)
    again = stage.svoucher("collect", "--cluster", stages.CLUSTER).out
    tell(again)
    assert " 0 new, 0 changed" in again, again
    tell(stage.svoucher("jobs").out)
    tell(stage.svoucher("balance").out)

    step("The trimmed contract ends before its time: what nobody needs goes to who waits")
    end = str(stage.home / "end.txt")
    Path(end).write_text("both agree\n", encoding="utf-8")
    ended = ("contract", "end", trimmed, "--on", date.today().isoformat(), "--paper", end)
    tell(stage.svoucher(*ended).out)
    tell(stage.svoucher("waiting", "list").out)

    step(f"Month's end: {month} is closed, as of {next_month}")
    tell(stage.svoucher("close", month, as_of=next_month).out)
    for number, account in enumerate((ai, sc, joint), 1):
        paper = f"S-{account}-{month}"
        tell(stage.svoucher("invoice", "request", paper, as_of=next_month).out)
        recorded = ("invoice", "record", paper, f"2451200000000000000{number}")
        tell(stage.svoucher(*recorded, as_of=next_month).out)

    step(f"Quarter's end: {quarter} is claimed, reviewed and paid, as of {next_quarter}")
    refusal = f"S-{joint}-{month}/1=the project's acceptance report is missing"
    redeem(stage, "cdaicc", quarter, next_quarter, "--refuse", refusal)
    redeem(stage, "nscc-cd", quarter, next_quarter)
    tell(stage.svoucher("claim", "list").out)
    tell(stage.svoucher("claim", "show", f"C-cdaicc-{quarter}-1").out)

    give_back(stage, jobs["job"], ai, next_quarter)

    step("One charge, line by line")
    tell(stage.svoucher("explain", str(jobs["joint"])).out)

    step("Audit")
    tell(stage.svoucher("audit", "--sign", stage.key("system")).out)
    tell(stage.svoucher("balance").out)

    step("The papers of the story, to be stamped: pages, spreadsheets, CSV")
    papers(stage, month, quarter, next_quarter)
    tell(f"{PAPERS}; make demo copies it here, as demo-output/")


def limits(stage: Stage) -> str:
    """Meet the limits of the rules; return the contract whose voucher was trimmed."""
    today = date.today()
    last = today + timedelta(days=330)
    joint = stage.accounts["joint"]
    tell(stage.svoucher("policy", "explain", f"A-{joint}").out)
    stage.issue("yunlan", "nscc-cd", "2,400,000", today, last)
    waits = stage.issue("yunlan", "nscc-cd", "100,000", today, last, number="2")
    tell(stage.svoucher("waiting", "list").out)
    assert waits in stage.svoucher("waiting", "list").out
    return f"HT-yunlan-nscc-cd-{today.year}-1"


def papers(stage: Stage, month: str, quarter: str, day: date) -> None:
    """Write one paper of every kind, and a statement that gives back, in every form."""
    ai, claim = stage.accounts["ai"], f"C-cdaicc-{quarter}-1"
    wanted = {
        paper: ("statement", "export", paper)
        for paper in (f"S-{ai}-{month}", f"S-{ai}-{day:%Y-%m}")
    }
    wanted[f"{ai}-1"] = ("voucher", "export", f"{ai}-1", "--key", stage.key("system"))
    wanted[claim] = ("claim", "export", claim)
    wanted["units"], wanted["providers"] = ("unit", "export"), ("provider", "export")
    wanted["programme"] = ("report", "programme", "--year", month[:4])
    PAPERS.mkdir()

    def write(name: str) -> None:
        for form in ("pdf", "xlsx", "csv"):
            stage.svoucher(*wanted[name], "--to", str(PAPERS / f"{name}.{form}"), as_of=day)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, wanted))


def give_back(stage: Stage, job: int, account: str, day: date) -> None:
    """Give a run back that the city has paid for already."""
    month = f"{day:%Y-%m}"
    after = (day + timedelta(days=32)).replace(day=1)
    step(f"After the payout: job {job} is given back, and {month} is closed, as of {after}")
    lost = ("refund", str(job), "--reason", "the file system lost its output")
    tell(stage.svoucher(*lost, as_of=day).out)
    tell(stage.svoucher("close", month, as_of=after).out)
    red = ("invoice", "red", f"S-{account}-{month}", "24512000000000000099")
    tell(stage.svoucher(*red, as_of=after).out)
    tell(stage.svoucher("explain", str(job)).out)


def submit(ai: str, sc: str, joint: str) -> dict[str, int]:
    """Submit what the story's jobs are; return their numbers."""
    script = Path("/home/alice/train.sh")
    script.write_text(
        f"#!/bin/bash\n#SBATCH --voucher={ai}\n#SBATCH -p ai --gres=gpu:ascend_910b:4 -t"
        " 10\nsleep 5\n"
    )
    jobs = {
        "job": as_alice(
            f"--voucher={ai}", "-p", "ai", "--gres=gpu:ascend_910b:8", "-t", "2:00:00",
            "--wrap=sleep 8",
        ),
        "array": as_alice(
            f"--voucher={ai}", "-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "10", "-a", "1-3",
            "--wrap=sleep 4",
        ),
        "script": as_alice(str(script)),
        "sc": as_alice(
            f"--voucher={sc}", "-p", "sc", "-N", "2", "--gres=gpu:dcu_z100:4", "-t", "30",
            "--wrap=sleep 6",
        ),
        "joint": as_alice(
            f"--voucher={joint}", "-p", "ai", "--gres=gpu:ascend_910b:8", "-t", "30",
            "--wrap=sleep 6",
        ),
    }  # fmt: skip
    direct = run(
        "srun", f"--voucher={sc}", "-p", "sc", "--gpus=dcu_z100:1", "-t", "5",
        "hostname", user="alice",
    )  # fmt: skip
    tell(f"srun: {direct.text}")
    return jobs


def as_alice(*arguments: str) -> int:
    """Submit a batch job as alice and show what she reads."""
    done: Done = run("sbatch", *arguments, user="alice")
    tell(done.text)
    return submitted(done)


def refusals(ai: str, sc: str, old: str) -> None:
    """Try what must not work."""
    card = ("-p", "ai", "--gres=gpu:ascend_910b:1", "-t", "10", "--wrap=true")
    big = ("-p", "ai", "-N", "2", "--gres=gpu:ascend_910b:8", "-t", "7-0", "--wrap=true")
    for what, expected, user, voucher, job in (
        ("the voucher of the other provider", "is for provider", "alice", sc, card),
        ("alice's voucher in bob's hands", "another unit", "bob", ai, card),
        ("too expensive for what is left", "is available", "alice", ai, big),
        ("an unknown voucher", "not known here", "alice", "CD99-9999", card),
        ("an expired voucher", "expired", "bob", old, card),
    ):
        refused(what, expected, "sbatch", f"--voucher={voucher}", *job, user=user)


def redeem(stage: Stage, provider: str, quarter: str, day: date, *refusals: str) -> None:
    """Open, submit, review and pay one provider's claim; a line may be refused."""
    claim = f"C-{provider}-{quarter}-1"
    tell(stage.svoucher("claim", "open", quarter, "--provider", provider, as_of=day).out)
    packet = str(stage.home / f"{claim}.zip")
    tell(stage.svoucher("claim", "submit", claim, "-o", packet, as_of=day).out)
    tell(stage.svoucher("claim", "verify", packet).out)
    tell(stage.signed("regulator", "claim", "review", claim, *refusals, as_of=day).out)
    payment = ("claim", "pay", claim, "--reference", f"CZ-{provider}-{quarter}")
    tell(stage.signed("treasury", *payment, as_of=day).out)


def main() -> None:
    stage = stages.fresh()
    tell_story(stage)
    print(f"\nTold in {time.monotonic() - BEGAN:.0f} s. voucherd goes on running.")


if __name__ == "__main__":
    main()
