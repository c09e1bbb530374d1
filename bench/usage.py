"""What a year of usage costs: from sacct's text to the rated archive in the book, and statements.

    python -m bench.usage [--rows 10000000] [--folder DIR] [--json -]
    python -m bench.usage --rows 1000000 --text jobs.psv

Text of so many rows is made (`jobs.py`) and lies in the page cache. `svoucher import` takes it in,
in a process of its own, and a second process closes the months: together `end_to_end_s`. Polars
reads the same text before and after, times as times, and nothing else; `ratio` is ours over its
median. `polars_strings_s` is what it needs where all but three numbers are left as they stand.
`day_s` is `svoucher import` of one more day, 150,000 runs with all columns that `svoucher collect`
asks for, from the start of the command to its end. Each has its `_cpu_s`, of both processors.

What Polars counts and sums of the text, and of the archive, is what the book has, or there is no
figure. Writes bench/results/usage.json.
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
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from accounting import period
from accounting.book import ledger
from bench import book_size, jobs
from bench.rating import machine
from slurm_voucher.sources.sacct_query import FIELDS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results" / "usage.json"
LIMITS = {"end_to_end_s": 20, "ratio": 1, "peak_mib": 1024, "day_s": 1.5}
ACCOUNTS = 160
DAY_ROWS = 160_000
"""About 150,000 of them are runs."""
PART_BYTES = 1_500_000_000
"""How much Polars is given at a time: what it reads it holds."""
SVOUCHER = "import bench.alone; from slurm_voucher.cli import main; main(prog_name='svoucher')"
BANDS = (
    '{"07:00": flat, "10:00": peak, "15:00": flat, "18:00": peak, "21:00": flat, "23:00": valley}'
)


def price_list() -> str:
    """Return prices for all partitions, with bands of the day, factors of QOS, and a change."""
    lines = [
        "tariff: size-1", "chips: 2024-07", "timezone: Asia/Shanghai", "bands:",
        f"  city: {BANDS}", "clusters:", "  chengdu:", "    partitions:",
    ]  # fmt: skip
    for name, chip in zip(jobs.PARTITIONS, jobs.CARDS, strict=False):
        model = "dcu_z100" if chip == "dcu_z100" else chip
        lines += [
            f"      {name}:",
            "        provider: cdaicc",
            f'        gres: {{"gpu:{chip}": {model}}}',
            "        prices:",
        ]
        for since, flat in (("2023-07-01", 24), ("2024-05-01", 22)):
            band = f'{{peak: "{flat * 3 // 2}", flat: "{flat}", valley: "{flat // 2}"}}'
            for qos in ("", ' qos: {shared: "2.40", exclusive: "3.75", urgent: "6.00"},'):
                lines.append(
                    f"          - {{from: {since},{qos} bands: city, yuan_per_pflops_hour: {band}}}"
                )
    for name in ("cpu", "fat"):
        price = '{from: 2023-01-01, yuan_per_core_hour: "0.04"}'
        lines += [f"      {name}:", "        provider: cdaicc", f"        prices: [{price}]"]
    return "\n".join(lines) + "\n"


def made(path: Path, rows: int, accounts: Sequence[str], **how: Any) -> Path:
    """Write a text with its header."""
    columns = how.get("columns", jobs.COLUMNS)
    with path.open("wb") as file:
        file.write("|".join(columns).encode() + b"\n")
        for part in jobs.text(rows, accounts, **how):
            file.write(part)
    return path


class Ran(NamedTuple):
    """What a process took: seconds, seconds of processors, and the MiB that it had at its peak."""

    s: float
    cpu_s: float
    mib: float


def run(*words: str) -> Ran:
    """Run Python, compiled beforehand as what is installed is."""
    began_s = time.perf_counter()
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.Popen([sys.executable, *words], env=env, stdout=sys.stderr)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: exit status {process.returncode}")
    cpu_s = used.ru_utime + used.ru_stime
    return Ran(time.perf_counter() - began_s, cpu_s, used.ru_maxrss / 1024)


def take_in(home: Path, text: Path, last_day: date) -> Ran:
    """Take a text in by the command."""
    return run("-c", SVOUCHER, "--home", str(home), "import", str(text), "--cluster", "chengdu",
               "--complete-until", last_day.isoformat())  # fmt: skip


def in_the_book(home: Path) -> dict[str, int]:
    """Return what the book says: runs, what they cost, and what statements have of it."""
    engine = ledger.connect(f"sqlite:///{home / 'book.db'}")
    with engine.connect() as conn:
        ask = conn.exec_driver_sql
        rows, charge = ask("SELECT sum(rows), sum(charge_micro) FROM segment").one()
        [of_accounts] = ask("SELECT sum(charge_micro) FROM charge").one()
        stated, papers = ask("SELECT sum(charge_micro), count(*) FROM statement").one()
    engine.dispose()
    return {"runs": int(rows), "charge_micro": int(charge), "claimed_micro": int(of_accounts),
            "stated_micro": int(stated or 0), "statements": papers}  # fmt: skip


def polars_parse(text: Path) -> dict[str, Any]:
    """Read a text with Polars: the seconds of reading alone, and what it counts and sums."""
    import polars

    numbers, times = ("ElapsedRaw", "NNodes", "NCPUS"), ("Submit", "Start", "End")
    strings = {n: polars.Int64 if n in numbers else polars.String for n in jobs.COLUMNS}
    typed = strings | dict.fromkeys(times, polars.Datetime)
    took_s, strings_s, runs, elapsed_s, rest = 0.0, 0.0, 0, 0, b""
    how: dict[str, Any] = {"separator": "|", "quote_char": None, "has_header": False}
    with text.open("rb") as file:
        file.readline()
        while block := file.read(PART_BYTES):
            end = block.rfind(b"\n") + 1
            part, rest = rest + block[:end], block[end:]
            del block
            began_s = time.perf_counter()
            table = polars.read_csv(part, schema=strings, **how)
            strings_s += time.perf_counter() - began_s
            del table
            began_s = time.perf_counter()
            table = polars.read_csv(part, schema=typed, null_values=["None"], **how)
            took_s += time.perf_counter() - began_s
            ran = table.filter(~polars.col("JobIDRaw").str.contains(".", literal=True))
            runs, elapsed_s = runs + ran.height, elapsed_s + ran["ElapsedRaw"].sum()
            del table, ran, part
    sums = {"runs": runs, "elapsed_s": elapsed_s, "version": polars.__version__}
    return {"s": took_s, "strings_s": strings_s, **sums}


def polars_archive(home: Path) -> dict[str, int]:
    """Read the archive with Polars: what it counts and sums."""
    import polars

    found = polars.scan_parquet(home / "archive" / "usage" / "**" / "*.parquet")
    row = found.select(
        polars.len().alias("runs"), polars.col("elapsed_s", "charge_micro").sum()
    ).collect()
    return {name: int(row[name][0]) for name in row.columns}


def apart(what: str, path: Path) -> Any:
    """Have something done in a process of its own, which gives its memory back."""
    call = f"b.{what}(pathlib.Path({str(path)!r}))"
    code = f"import json, bench.usage as b, pathlib; print(json.dumps({call}))"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def agree(one: dict[str, Any], other: dict[str, Any], *names: str) -> None:
    """End without a figure where two do not say the same."""
    for name in names:
        if one[name] != other[name]:
            raise SystemExit(f"{name}: {one[name]} and {other[name]}: there is no figure")


def measure(folder: Path, rows: int) -> dict[str, Any]:
    """Measure all of it."""
    home = folder / "home"
    home.mkdir()
    engine = ledger.connect(f"sqlite:///{home / 'book.db'}", must_exist=False)
    accounts = book_size.found(engine, ACCOUNTS, price_list())
    engine.dispose()
    began_s = time.perf_counter()
    text = made(folder / "year.psv", rows, accounts)
    print(f"made in {time.perf_counter() - began_s:.0f} s", file=sys.stderr)
    last_s = jobs.YEAR_S + rows * 365 * 86_400 // jobs.ROWS_A_YEAR
    last_day = period.day_of(last_s, period.SHANGHAI)
    warm = made(folder / "warm.psv", 2_000, accounts, columns=FIELDS, first_job=1)
    take_in(home, warm, date(2023, 1, 1))  # compiles
    before = in_the_book(home), polars_archive(home)

    peers = [apart("polars_parse", text)]
    import_ = take_in(home, text, last_day + timedelta(days=40))
    months = [period.name_of(date(2024, 1, 1), "month")]
    while len(months) < 12 and period.bounds(months[-1], period.SHANGHAI)[1] <= last_s:
        months.append(period.following(months[-1]))
    close = run(
        "-c",
        f"import bench.alone, bench.book_size as b, pathlib; "
        f"b.close(pathlib.Path({str(home)!r}), {months!r})",
    )
    peers.append(apart("polars_parse", text))

    book, archive = in_the_book(home), apart("polars_archive", home)
    agree(archive, book, "runs", "charge_micro")
    own = {name: archive[name] - before[1][name] for name in ("runs", "elapsed_s")}
    agree(own, peers[0], "runs", "elapsed_s")
    day = made(folder / "day.psv", DAY_ROWS, accounts, columns=FIELDS, begin_s=last_s + 40 * 86_400,
               first_job=900_000_001)  # fmt: skip
    one_day = take_in(home, day, last_day + timedelta(days=90))
    polars_s = statistics.median(each["s"] for each in peers)
    return {
        "rows": rows,
        "text_bytes": text.stat().st_size,
        "end_to_end_s": import_.s + close.s,
        "import_s": import_.s,
        "import_cpu_s": import_.cpu_s,
        "close_s": close.s,
        "close_cpu_s": close.cpu_s,
        "polars_parse_s": polars_s,
        "polars_strings_s": statistics.median(each["strings_s"] for each in peers),
        "ratio": (import_.s + close.s) / polars_s,
        "peak_mib": max(import_.mib, close.mib),
        "import_mib": import_.mib,
        "day_s": one_day.s,
        "day_cpu_s": one_day.cpu_s,
        "day_runs": in_the_book(home)["runs"] - book["runs"],
        "months": len(months),
        "archive_bytes": sum(f.stat().st_size for f in home.glob("archive/**/*.parquet")),
        "polars_version": peers[0]["version"],
        **book,
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", help="where the text and the archive are made; room for both")
    parser.add_argument("--text", type=Path, help="write the text here, and measure nothing")
    parser.add_argument("--json", choices=["-"], help="print the figures as JSON")
    asked = parser.parse_args()
    if asked.text:
        made(asked.text, asked.rows, [f"CD24-{i:04d}" for i in range(1, ACCOUNTS + 1)])
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        figures = measure(Path(folder), asked.rows)
    figures |= {"limits": LIMITS, "machine": machine()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if asked.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        limit = f"   at most {LIMITS[name]}" if name in LIMITS else ""
        print(f"{name:16} {f'{value:.2f}' if isinstance(value, float) else value}{limit}")


if __name__ == "__main__":
    main()
