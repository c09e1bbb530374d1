"""What rating a year costs: one fused pass over all runs, against peers on the same data.

    python -m bench.rating [--rows 54000000] [--peers numpy,polars,pandas,duckdb] [--json -]

Prints a table and writes bench/results/rating.json; with --json - the figures go to stdout instead.
A peer whose result is not the kernel's to the last unit, or a sample that is not what the
definitions give, ends it with an error: there is no figure without it.
"""

import argparse
import gc
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numba
import numpy as np

from accounting.rates import definition, kernels
from accounting.settle import drawdown, onepass
from accounting.settle.drawdown import Voucher
from accounting.settle.ordering import order
from bench import peers, workload
from bench.workload import RATIO_BP, Workload

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results" / "rating.json"
COLUMNS = {"end_s in": 8, "wall_s in": 4, "item in": 4, "charge_micro out": 8, "share_fen out": 8}
"""Bytes of a run that the fused pass touches."""
LIMITS = {"stream_ratio": 4, "numpy_ratio": 6, "polars_ratio": 25, "pandas_ratio": 1,
          "duckdb_ratio": 1, "sort_s": 1.5, "peak_mib": 1024}  # fmt: skip
PEERS = {"numpy": "numpy_chunked", "polars": "polars_", "pandas": "pandas_", "duckdb": "duckdb_"}
RUNS_OF_PEERS = {"numpy": 3, "polars": 3, "pandas": 1, "duckdb": 1}
THREADS = 2
SAMPLE = 3_000


def median_s(run: Callable[[], object], times: int) -> float:
    """Run something a few times; return the median of the seconds that it took."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def stream_s(source: np.ndarray, target: np.ndarray) -> float:
    """Copy as much as the pass touches, half of it read and half written; STREAM's Copy."""
    half = len(source) // THREADS

    def copy(part: int) -> None:
        np.copyto(target[part * half : (part + 1) * half], source[part * half : (part + 1) * half])

    with ThreadPoolExecutor(THREADS) as pool:
        return median_s(lambda: list(pool.map(copy, range(THREADS))), 11)


def check_sample(made: Workload, rows: kernels.Rows, found: onepass.Drawn) -> int:
    """Hold some runs, and all of the smallest account's months, to the definitions."""
    random = np.random.default_rng(1)
    for i in random.integers(0, len(rows.end_s), SAMPLE).tolist():
        assert found.charge_micro[i] == charge_micro(made, rows, i, definition.NOWHEN)[0], i
    account = int(np.argmin(np.diff(rows.firsts)))
    vouchers = made.vouchers[account]
    left_fen = {voucher.id: voucher.left_fen for voucher in vouchers}
    edges = drawdown.edges(vouchers)
    first, last = rows.firsts[account : account + 2].tolist()
    for begin_s, end_s in zip(made.months_s[:-1], made.months_s[1:], strict=True):
        own = [i for i in range(first, last) if begin_s <= rows.end_s[i] < end_s]
        cut = []
        for i in own:
            upto = [charge_micro(made, rows, i, (0, edge))[1] for edge in edges]
            parts = np.diff([0, *upto, int(found.charge_micro[i])]).tolist()
            cut.append((int(rows.end_s[i]), parts))
        month = drawdown.month(vouchers, left_fen, cut)
        shares = [sum(share.values()) for share in month.shares_fen]
        assert found.share_fen[own].tolist() == shares, (account, begin_s)
    return SAMPLE + last - first


def charge_micro(
    made: Workload, rows: kernels.Rows, i: int, window: definition.Window
) -> tuple[int, int]:
    """Price one run by definition: its charge and the part of it within a window."""
    end_s, wall_s = int(rows.end_s[i]), int(rows.wall_s[i])
    found = made.bases[rows.item[i]]
    return definition.price(found, end_s - wall_s, end_s, wall_s, window)[:2]


def month_by_month(made: Workload, built: kernels.Tables) -> float:
    """Rate the year a month at a time; return the MiB taken beside the input."""
    left = made.vouchers
    edges = np.searchsorted(made.end_s, made.months_s)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is in use now
    before = status_mib("VmRSS")
    for month in range(len(made.months_s) - 1):
        rows = slice(*edges[month : month + 2].tolist())
        own = Workload(made.account[rows], made.end_s[rows], made.wall_s[rows], made.item[rows],
                       made.bases, made.partition, left, made.months_s)  # fmt: skip
        places = order(own.account, own.end_s, THREADS)
        found = onepass.draw_down(
            own.in_order(places), built, left, made.months_s[month : month + 2], RATIO_BP
        )
        left = left_over(left, found)
    return status_mib("VmHWM") - before


def left_over(accounts: Sequence[Sequence[Voucher]], drawn: onepass.Drawn) -> list[list[Voucher]]:
    """Return vouchers with what is left of them, for the months that follow."""
    left_fen = iter(drawn.left_fen.tolist())
    return [[replace(each, left_fen=next(left_fen)) for each in own] for own in accounts]


def status_mib(name: str) -> float:
    """Read a figure of this process from the kernel, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def jit_s() -> float:
    """Return the seconds that a first call takes in a new process without a cache."""
    code = "from bench import rating, workload; rating.warm(workload.make(1_000))"
    with tempfile.TemporaryDirectory() as cache:
        env = os.environ | {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=env, check=True)
        first_s = time.perf_counter() - began
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=env, check=True)
        return first_s - (time.perf_counter() - began)


def warm(made: Workload) -> None:
    """Compile all that is timed."""
    rows = made.in_order(order(made.account, made.end_s, THREADS))
    onepass.draw_down(rows, made.tables(), made.vouchers, made.months_s, RATIO_BP)


def measure(count: int, names: list[str]) -> dict[str, object]:
    """Measure everything for a number of runs; return the figures by name."""
    figures: dict[str, object] = {"rows": count, "columns": COLUMNS, "jit_s": jit_s()}
    made = workload.make(count)
    warm(workload.make(1_000))
    figures["sort_s"] = median_s(lambda: order(made.account, made.end_s, THREADS), 3)
    places = order(made.account, made.end_s, THREADS)
    built = made.tables()
    figures["tables_s"] = median_s(made.tables, 1)
    rows = made.in_order(places)

    def fused(out: tuple[np.ndarray, np.ndarray] | None = None) -> onepass.Drawn:
        return onepass.draw_down(
            rows, built, made.vouchers, made.months_s, RATIO_BP, threads=THREADS, out=out
        )

    found = fused()
    figures["exact"] = check_sample(made, rows, found) > 0
    words = count * sum(COLUMNS.values()) // 16
    copied = np.ones(words, np.int64), np.zeros(words, np.int64)
    warm_out = np.zeros(count, np.int64), np.zeros(count, np.int64)
    stream, took = [], []
    for _ in range(5):  # in turn, because the machine is shared
        stream.append(stream_s(*copied))
        took.append(median_s(partial(fused, warm_out), 5))
    del copied, warm_out
    figures["stream_s"], figures["fused_s"] = statistics.median(stream), statistics.median(took)
    figures["ns_per_run"] = 1e9 * statistics.median(took) / max(1, count)
    figures["stream_ratio"] = statistics.median(
        ours / copy for ours, copy in zip(took, stream, strict=True)
    )
    figures["peak_mib"] = month_by_month(made, built)
    for name in names:
        case = peers.Case(made.account[places], rows, built, made.vouchers, made.months_s, RATIO_BP)
        figures |= against(name, case, found, fused)
    return figures


def against(
    name: str, case: peers.Case, found: onepass.Drawn, fused: Callable[[], object]
) -> dict[str, object]:
    """Time a peer and the fused pass in turn, both with results of their own making each time;
    refuse a result that differs."""
    peer = importlib.import_module(f"bench.peers.{PEERS[name]}")
    state = peer.prepare(case)
    peer.run(state)
    took, ours = [], []
    for _ in range(RUNS_OF_PEERS[name]):
        began = time.perf_counter()
        totals = peer.run(state)
        took.append(time.perf_counter() - began)
        for field in ("by_partition_micro", "drawn_fen", "charge_micro", "share_fen"):
            if not np.array_equal(getattr(totals, field), getattr(found, field)):
                raise SystemExit(f"{name}: {field} is not what the kernel gives")
        del totals
        gc.collect()
        ours.append(median_s(fused, 5))
    ratios = [theirs / own for theirs, own in zip(took, ours, strict=True)]
    return {
        f"{name}_s": statistics.median(took),
        f"{name}_ratio": statistics.median(ratios),
        f"{name}_version": peer.VERSION,
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=54_000_000)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--json", default=str(RESULTS), help="file, or - for stdout")
    asked = parser.parse_args()
    figures = measure(asked.rows, [name for name in asked.peers.split(",") if name])
    figures |= {"limits": LIMITS, "machine": machine()}
    text = json.dumps(figures, indent=1) + "\n"
    if asked.json == "-":
        print(text, end="")
        return
    for name, value in figures.items():
        limit = f"   limit {LIMITS[name]}" if name in LIMITS else ""
        shown = f"{value:.3f}" if isinstance(value, float) else value
        print(f"{name:16}{shown}{limit}")
    Path(asked.json).parent.mkdir(parents=True, exist_ok=True)
    Path(asked.json).write_text(text, encoding="utf-8")


def machine() -> dict[str, object]:
    """Say on what this was measured."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {
        "processor": cpu[0].partition(":")[2].strip() if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


if __name__ == "__main__":
    main()
