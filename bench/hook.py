"""What the submit hook costs a live slurmctld, beside none, one that does nothing, and a Lua one.

    python -m bench.hook [--rounds 10] [--jobs 2000] [--count 60000] [--soak 600] [--json -]

A slurmctld for each kind of hook is up, all with 5,000 CLOUD nodes; a round submits held jobs to
each, in turns of a quarter and in another order each time, by 4 processes through libslurm, and
cancels them. The hook asks a real `svoucher serve` with a real book of 1,000 accounts, new for
each round. It is called through a plugin that notes how long it took (peers/timed.c).

`ratio` is ours to no plugin in the same round, the median over rounds with its interval (95 %).
In the rounds a submit without an answer is refused, so it counts as a false refusal; `stopped` is
ours with voucherd stopped by SIGSTOP and the breaker open, in mode queue.
With --count so many more are submitted as fast as it goes, and with --soak 100 a second for so
many seconds, both while `svoucher collect` takes in 500 runs every 5 seconds (sacct and sacctmgr
are played, for nothing runs here); jobs are cancelled as others come. Every job that got in must
have its hold in the book at the end.

Prints a table and writes bench/results/hook.json; exits 1 beyond a bound.
"""

import argparse
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from sqlalchemy import select

from accounting.book import ledger, schema
from bench.cluster import ROOT, cpu_s, empty, missing
from bench.site import ACCOUNTS, HOOKS, PREFIX, Bench, collecting, ready, voucherd

RESULTS = ROOT / "bench" / "results" / "hook.json"
SUBMITTERS = 4
PARTS = 4
"""Turns that each slurmctld has in a round."""
WARM_UP = 100
"""Jobs before each round: connections are made, and the breaker opens where it will."""
SOAK_PER_S = 100
KEPT = {0: 500, SOAK_PER_S: 1_500}
"""Jobs of each submitter that are in the queue at most, by how many are submitted a second."""
LEAST = {"ratio": 0.90, "stopped_ratio": 0.80}
MOST = {"in_hook_us_p50": 150, "in_hook_us_p99": 1_500, "false_refusals": 0, "lost": 0}


def submit(bench: Bench, name: str, first: int, jobs: int, per_s: int = 0) -> np.ndarray[Any, Any]:
    """Submit jobs by several processes at once; return job id, begin and duration of each."""
    to, each = bench.up[name], jobs // SUBMITTERS
    env = dict(to.env) | {"ACCOUNTS_NAMED": bench.named}
    keep = KEPT[per_s] if jobs > SUBMITTERS * KEPT[per_s] else 0
    own = [str(each), str(ACCOUNTS), str(per_s // SUBMITTERS), str(keep)]
    running = [
        subprocess.Popen(
            [str(bench.folder / "plugins" / "submit"), str(first + n * each), *own], env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for n in range(SUBMITTERS)
    ]  # fmt: skip
    for one in running:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    told = [one.communicate()[0] for one in running]  # printed when all is done
    rows = [line.split() for text in told for line in text.splitlines()]
    if len(rows) != each * SUBMITTERS:
        raise SystemExit(f"{name}: {len(rows)} of {each * SUBMITTERS} submits came back")
    return np.array(rows, dtype=np.int64)


def took_s(rows: np.ndarray[Any, Any]) -> float:
    """Return the seconds from the first submit that began to the last that was answered."""
    return float((rows[:, 1] + rows[:, 2]).max() - rows[:, 1].min()) / 1e9


def one_round(
    bench: Bench, number: int, jobs: int, random: Random
) -> tuple[dict[str, dict[str, float]], list[float]]:
    """Submit to each slurmctld, beginning with an empty queue; return speed and CPU time.

    They take turns by a part of the jobs, so that what else goes on hits all of them, and voucherd
    stands still in the turns of others.

    Returns:
        Figures of each, and how long voucherd took for each account that it did not know.
    """
    sums = {name: dict.fromkeys(("s", "slurmctld", "voucherd"), 0.0) for name in HOOKS}
    part = jobs // PARTS
    home = bench.folder / f"home-{number}"
    with voucherd(bench, home, look_s=3_600) as (daemon, cold):
        for turn in range(PARTS + 1):
            for name in random.sample(list(HOOKS), len(HOOKS)):
                os.killpg(daemon.pid, signal.SIGCONT if name == "ours" else signal.SIGSTOP)
                groups = {"slurmctld": bench.up[name].pid, "voucherd": daemon.pid}
                before = {who: cpu_s(pid) for who, pid in groups.items()}
                first = WARM_UP + (turn - 1) * part if turn else 0
                rows = submit(bench, name, first, part if turn else WARM_UP)
                if name != "ours" and not rows[:, 0].all():
                    raise SystemExit(f"{name}: {int((rows[:, 0] == 0).sum())} submits failed")
                if turn:
                    sums[name]["s"] += took_s(rows)
                    for who, pid in groups.items():
                        sums[name][who] += cpu_s(pid) - before[who]
    empty(*bench.up.values())
    figures = {
        name: {"per_s": part * PARTS / own["s"]}
        | {f"{who}_cpu_us": own[who] / (part * PARTS) * 1e6 for who in groups}
        for name, own in sums.items()
    }
    return figures, cold


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the narrowest interval of order statistics that has the median at 95 %."""
    ordered, n = sorted(values), len(values)
    out, tail = 0, 0.0
    while out < n // 2 and tail + math.comb(n, out) / 2**n <= 0.025:
        tail += math.comb(n, out) / 2**n
        out += 1
    low = max(out - 1, 0)
    return ordered[low], ordered[n - 1 - low]


def rounds(bench: Bench, count: int, jobs: int) -> dict[str, Any]:
    """Take all rounds and return their figures."""
    took: dict[str, list[dict[str, float]]] = {name: [] for name in HOOKS}
    random, colds = Random(1), list[float]()
    memory = {name: bench.up[name].memory_bytes() for name in ("none", "ours")}
    for number in range(count):
        figures_of, cold = one_round(bench, number, jobs, random)
        for name, own in figures_of.items():
            took[name].append(own)
        colds += cold
        said = {name: round(each[-1]["per_s"]) for name, each in took.items()}
        print(f"round {number + 1}: {said}", file=sys.stderr, flush=True)
    figures: dict[str, Any] = {"rounds": count, "jobs": jobs}
    for name, each in took.items():
        for what in each[0]:
            figures[f"{name}_{what}"] = statistics.median(one[what] for one in each)
    for name in list(HOOKS)[1:]:
        ratios = [a["per_s"] / b["per_s"] for a, b in zip(took[name], took["none"], strict=True)]
        key = "ratio" if name == "ours" else f"{name}_ratio"
        figures[key] = statistics.median(ratios)
        figures[f"{key}_low"], figures[f"{key}_high"] = interval(ratios)
    for name, before in memory.items():
        figures[f"{name}_slurmctld_rss_before_bytes"] = before
        figures[f"{name}_slurmctld_rss_after_bytes"] = bench.up[name].memory_bytes()
    for key, q in (("p50", 50), ("p99", 99)):
        figures[f"unknown_account_us_{key}"] = float(np.percentile(colds, q))
    own = bench.records("ours")
    for name in ("ours", "stopped"):
        key = "in_hook_us" if name == "ours" else "stopped_in_hook_us"
        p50, p99 = np.percentile(bench.records(name)["took_ns"] / 1e3, [50, 99])
        figures |= {f"{key}_p50": float(p50), f"{key}_p99": float(p99)}
    figures["false_refusals"] = int((own["rc"] != 0).sum())
    return figures


def long_run(bench: Bench, name: str, jobs: int, per_s: int) -> dict[str, Any]:
    """Submit many jobs while usage is collected; return what was refused and lost, and latency."""
    home, at = bench.folder / f"home-{name}", len(bench.records("ours"))
    with voucherd(bench, home) as (daemon, _):
        with collecting(bench, home) as collected:
            rows = submit(bench, "ours", 0, jobs, per_s)
        gone = daemon.poll() is not None
    empty(bench.up["ours"])
    own = bench.records("ours")[at:]
    figures = {
        f"{name}_submits": len(own),
        f"{name}_per_s": len(rows) / took_s(rows),
        f"{name}_false_refusals": int((own["rc"] != 0).sum()),
        f"{name}_lost": len(_held(own) - _in_book(home)),
        f"{name}_collects": len(collected),
        f"{name}_collect_s": statistics.median(collected) if collected else None,
        f"{name}_minutes": by_minute(own),
    }
    if gone or len(own) != jobs:
        raise SystemExit(
            f"{name}: voucherd ended, or {len(own)} of {jobs} submits came to the hook"
        )
    return figures


def by_minute(rows: np.ndarray[Any, Any]) -> list[dict[str, float]]:
    """Return how long the hook took, for each minute of a run."""
    minute = (rows["began_ns"] - rows["began_ns"].min()) // 60_000_000_000
    found = []
    for number in np.unique(minute):
        own = rows["took_ns"][minute == number] / 1e3
        p50, p99 = np.percentile(own, [50, 99])
        found.append(
            {"submits": len(own), "us_p50": float(p50), "us_p99": float(p99),
             "us_max": float(own.max())}
        )  # fmt: skip
    return found


def _held(rows: np.ndarray[Any, Any]) -> set[str]:
    """Return the holds of jobs that got in with an answer."""
    said = [row.decode() for row in rows["said"][rows["rc"] == 0]]
    return {text.partition(";hold=")[2][:32] for text in said if not text.endswith("held=?")}


def _in_book(home: Path) -> set[str]:
    engine = ledger.connect(f"sqlite:///{home / 'book.db'}")
    with engine.connect() as conn:
        found = set(conn.execute(select(schema.hold.c.id)).scalars())
    engine.dispose()
    return found


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Take all figures that were asked for."""
    soak = options.soak * SOAK_PER_S
    most = options.rounds * (options.jobs + WARM_UP) + options.count + soak
    with ready(folder, most) as bench:
        figures = rounds(bench, options.rounds, options.jobs) if options.rounds else {}
        figures.setdefault("false_refusals", 0)
        for name, jobs, per_s in (("count", options.count, 0), ("soak", soak, SOAK_PER_S)):
            if jobs:
                figures |= long_run(bench, name, jobs, per_s)
                figures["false_refusals"] += figures[f"{name}_false_refusals"]
                figures["lost"] = figures.get("lost", 0) + figures[f"{name}_lost"]
        figures["slurm_version"] = bench.up["ours"].ask("scontrol", "--version").split()[-1]
    return figures


def missed(figures: dict[str, Any]) -> list[str]:
    """Return the bounds that were not kept, of those that were measured."""
    low = [key for key, least in LEAST.items() if key in figures and figures[key] < least]
    return low + [key for key, most in MOST.items() if key in figures and figures[key] > most]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2_000, help="of a round")
    parser.add_argument("--count", type=int, default=0, help="submits while usage is collected")
    parser.add_argument("--soak", type=int, default=0, help="seconds at 100 submits a second")
    parser.add_argument("--json", choices=["-"], help="print figures as JSON")
    options = parser.parse_args()
    if os.geteuid():
        raise SystemExit("uid 0 alone can submit for 1,000 users: run it as root")
    if missing():
        raise SystemExit(f"as root: apt-get install {' '.join(missing())}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is up is to be stopped
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        figures = measure(Path(folder), options) | {"python": platform.python_version()}
    figures["bounds_missed"] = missed(figures)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:,.2f}" if type(value) is float else f"{name:28} {value}")
    return int(bool(figures["bounds_missed"]))


if __name__ == "__main__":
    sys.exit(main())
