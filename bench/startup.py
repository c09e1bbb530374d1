"""What svoucher costs before it does anything: whole processes, in turn, the median of each.

    python -m bench.startup [--runs 15] [--json -]

Prints a table and writes bench/results/startup.json; with --json - the rows go to stdout instead.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results" / "startup.json"
LIMIT_S = 0.4
SVOUCHER = [sys.executable, "-c", "from slurm_voucher.cli import main; main(prog_name='svoucher')"]
"""What the installed script does, from this checkout."""

BASE = "python -c pass"
TIMED = {
    BASE: [sys.executable, "-c", "pass"],
    "svoucher --help": [*SVOUCHER, "--help"],
    "svoucher balance": [*SVOUCHER, "balance"],
}
BOOK = (
    ["init", "--rehearsal"],
    ["price", "load", str(ROOT / "docs" / "prices-example.yaml")],
    ["provider", "add", "cdaicc", "成都智算中心"],
    ["unit", "register", "shuzhi", "--name", "数智", "--credit-code", "91510100MA6C4TX27W"],
    ["contract", "sign", "HT-1", "--unit", "shuzhi", "--provider", "cdaicc", "--fee", "200,000",
     "--signed-on", "2026-11-01", "--until", "2027-10-31"],
    ["topup", "CD26-0001", "100,000", "--reference", "T1"],
)  # fmt: skip
"""Commands that make a book with one account in it."""


def run(command: list[str], home: str) -> float:
    """Run a command to its end; return the seconds of wall time it took."""
    env = os.environ | {"SVOUCHER_HOME": home, "PYTHONPATH": str(ROOT)}
    env["PYTHONDONTWRITEBYTECODE"] = ""  # it stands compiled, as where it is installed
    began = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False)
    took_s = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{command[3:]}: exit {done.returncode}: {done.stderr.strip()}")
    return took_s


def measure(runs: int) -> list[dict[str, object]]:
    """Time each command `runs` times, in turn, so that what else goes on hits all of them."""
    took: dict[str, list[float]] = {name: [] for name in TIMED}
    with tempfile.TemporaryDirectory() as home:
        for words in BOOK:
            run([*SVOUCHER, "--as-of", "2026-11-22", *words], home)
        for command in TIMED.values():
            run(command, home)  # once unmeasured: bytecode and disk cache
        for _ in range(runs):
            for name, command in TIMED.items():
                took[name].append(run(command, home))
    median = {name: statistics.median(each) for name, each in took.items()}
    return [
        {
            "command": name,
            "median_s": round(median_s, 4),
            "ratio": round(median_s / median[BASE], 1),
            "limit_s": None if name == BASE else LIMIT_S,
        }
        for name, median_s in median.items()
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", default=str(RESULTS), help="file, or - for stdout")
    asked = parser.parse_args()
    rows = measure(asked.runs)
    text = json.dumps(rows, indent=1) + "\n"
    if asked.json == "-":
        print(text, end="")
        return
    print(f"{'command':20}{'median s':>10}{'ratio':>8}{'limit s':>9}")
    for row in rows:
        limit = row["limit_s"] or "-"
        print(f"{row['command']:20}{row['median_s']:>10.3f}{row['ratio']:>8.1f}{limit:>9}")
    Path(asked.json).parent.mkdir(parents=True, exist_ok=True)
    Path(asked.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
