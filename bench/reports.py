"""What reports over an archive take: whole commands, against Polars on the same Parquet.

    python -m bench.reports [--rows 5000000] [--folder DIR] [--home HOME] [--json -]

Text of so many rows is made (`jobs.py`) and imported; `--home` takes a site that is there already,
of the cluster chengdu. Each command is run as a process of its own, three times, from its start to
its end; so is Polars, asked the same by 30 lines (`PEER`), whose figures have to be the command's,
or there is none. `empty_s` is the command over next to nothing; what it takes beside that is told
by the run, and for 54 million of them together with it: worked out, where there are fewer.

Writes bench/results/reports.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from accounting.book import ledger
from bench import book_size, usage
from bench.rating import machine

RESULTS = usage.ROOT / "bench" / "results" / "reports.json"
LIMITS = {"year_s": 2, "peak_mib": 1024}
YEAR_RUNS = 54_000_000
TURNS = 3
ENV = os.environ | {"PYTHONPATH": str(usage.ROOT)}
CHARGES = ["charges", "--by"]
MACHINES = ["--cluster", "chengdu", "--by"]
ASKED = {
    "charges by month": [*CHARGES, "month"],
    "charges by day": [*CHARGES, "day"],
    "charges by month and account": [*CHARGES, "month", "--group", "account"],
    "charges by month and user": [*CHARGES, "month", "--group", "user"],
    "usage by month": ["usage", *MACHINES, "month"],
    "usage by day": ["usage", *MACHINES, "day"],
    "utilisation by day and partition": ["utilisation", *MACHINES, "day", "--partition"],
}
PEER = """
import json, sys
import polars as pl

def column(name):
    return pl.col(name)

runs = pl.scan_parquet(sys.argv[1] + "/archive/usage/**/*.parquet", hive_partitioning=False)
what, by, group = sys.argv[2:]
every = {"day": "1d", "month": "1mo"}[by]

def period(at_s):
    at = pl.from_epoch(at_s, "s").dt.convert_time_zone("Asia/Shanghai")
    return at.dt.truncate(every).dt.strftime("%Y-%m-%d" if by == "day" else "%Y-%m")

if what == "charges":
    paid = (column("status") == "charged") & column("account").is_not_null()
    keys = [period(column("end_s")).alias("period")] + ([group] if group else [])
    sums = runs.filter(paid).group_by(keys).agg(column("charge_micro").sum())
    value = column("charge_micro").alias("value")
else:  # cut at midnight in Chengdu, where clocks do not change, and added up by day
    ran = runs.filter(column("billed_from_s").is_not_null())
    day_s, off_s = 86_400, 8 * 3_600
    begin, end = column("billed_from_s") + off_s, column("end_s") + off_s
    last = pl.max_horizontal(begin // day_s, (end - 1) // day_s)
    ran = ran.select(
        begin.alias("b"), end.alias("e"), column("cards").cast(pl.Int64),
        *([group] if group else []), pl.int_ranges(begin // day_s, last + 1).alias("day"),
    ).explode("day")
    seconds = pl.min_horizontal("e", (column("day") + 1) * day_s) - pl.max_horizontal(
        "b", column("day") * day_s
    )
    keys = ["period"] + ([group] if group else [])
    at = period(column("day") * day_s - off_s).alias("period")
    ran = ran.with_columns(at, (seconds * column("cards")).alias("card_s"))
    sums = ran.group_by(keys).agg(column("card_s").sum())
    value = ((column("card_s") * 20_000 + 3_600) // 7_200).alias("value")  # hours, four decimals
found = sums.select(value).filter(column("value") > 0).collect(engine="streaming")
print(json.dumps(sorted(found["value"].to_list())))
"""


def made(folder: Path, rows: int) -> Path:
    """Make a site with so many rows of text in its archive."""
    home = folder / "home"
    home.mkdir(parents=True)
    engine = ledger.connect(f"sqlite:///{home / 'book.db'}", must_exist=False)
    accounts = book_size.found(engine, usage.ACCOUNTS, usage.price_list())
    engine.dispose()
    text = folder / "part.psv"
    usage.take_in(home, usage.made(text, rows, accounts), date(2026, 1, 1))
    text.unlink()
    return home


def ours(home: Path, words: Sequence[str]) -> tuple[float, float]:
    """Run a report; return the seconds and MiB that it took."""
    code = f"import os, sys; sys.stdout = open(os.devnull, 'w'); {usage.SVOUCHER}"
    return usage.run("-c", code, "--home", str(home), "report", *words)


def told(home: Path, words: Sequence[str]) -> list[int]:
    """Return the figures of a report, in order: micro-yuan, or ten-thousandths of card-hours."""
    command = [sys.executable, "-c", usage.SVOUCHER, "--home", str(home), "report", *words]
    done = subprocess.run([*command, "--json"], env=ENV, stdout=subprocess.PIPE, check=True)
    column = {"charges": "charge", "usage": "card_hours", "utilisation": "allocated_card_hours"}
    texts = [row[column[words[0]]].replace(",", "") for row in json.loads(done.stdout)]
    values = (int(whole + part) for whole, _, part in (text.partition(".") for text in texts))
    return sorted(value for value in values if value)


def polars(home: Path, words: Sequence[str]) -> tuple[float, list[int]]:
    """Ask Polars the same; return the seconds that it took, and its figures."""
    by = words[words.index("--by") + 1]
    group = words[words.index("--group") + 1] if "--group" in words else ""
    group = "partition" if "--partition" in words else group
    what = "charges" if words[0] == "charges" else "machines"
    command = [sys.executable, "-c", PEER, str(home), what, by, group]
    began_s = time.perf_counter()
    done = subprocess.run(command, env=ENV, stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - began_s, json.loads(done.stdout)


def measure(home: Path, nothing: Path) -> dict[str, Any]:
    """Measure every report in turn."""
    runs = usage.in_the_book(home)["runs"]
    found: dict[str, Any] = {}
    for name, words in ASKED.items():
        ours(nothing, words)  # compiles, where that was not done before
        figures, peak_mib = told(home, words), 0.0
        took: dict[str, list[float]] = {"s": [], "empty_s": [], "polars_s": []}
        for _ in range(TURNS):
            seconds, mib = ours(home, words)
            took["s"].append(seconds)
            peak_mib = max(peak_mib, mib)
            took["empty_s"].append(ours(nothing, words)[0])
            seconds, others = polars(home, words)
            took["polars_s"].append(seconds)
            if others != figures:
                raise SystemExit(f"{name}: Polars has other figures: there is no result")
        own = {key: statistics.median(each) for key, each in took.items()}
        own["ns_a_run"] = (own["s"] - own["empty_s"]) / runs * 1e9
        own["year_s"] = own["empty_s"] + own["ns_a_run"] * YEAR_RUNS / 1e9
        found[name] = own | {"ratio": own["s"] / own["polars_s"], "peak_mib": peak_mib}
    return {"runs": runs, "reports": found, "limits": LIMITS, "machine": machine()}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--folder", help="where the text and the archive are made; room for both")
    parser.add_argument("--home", type=Path, help="a site that is there already")
    parser.add_argument("--json", choices=["-"], help="print the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        nothing = made(Path(folder) / "nothing", 2_000)
        home = options.home or made(Path(folder) / "year", options.rows)
        figures = measure(home, nothing)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{figures['runs']} runs")
    for name, own in figures["reports"].items():
        print(f"{name:34}", *(f"{key} {value:.2f}" for key, value in own.items()))


if __name__ == "__main__":
    main()
