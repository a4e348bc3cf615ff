"""Speed beside the yardstick, in turns, by CPU time: what `make bench` runs.

The real candles and the yardstick are in ../shared, beside the repository; without them nothing is measured.
"""

import argparse
import gzip
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
YARDSTICK = SHARED / "bench" / "seed_baseline.py"
THREE = ("btcusd", "ethusd", "eosusd")
FLOOR = """
import polars as pl, sys
from pathlib import Path
for path in sorted(Path(sys.argv[1]).glob("*.csv")):
    pl.read_csv(path)
for path in sorted(Path(sys.argv[2]).rglob("*.parquet")):
    pl.read_parquet(path, hive_partitioning=False).write_parquet(sys.argv[3], compression="zstd", compression_level=1)
"""


LAKES = {"LTC, linear": "ltc", "three pairs, linear": "three_lake", "six pairs, linear": "six_lake"}


@dataclass(frozen=True)
class Cost:
    """What a process and its children cost: CPU seconds, wall seconds, and the memory of the largest of them."""

    cpu: float
    wall: float
    resident_mb: float


def measure(command: list[str]) -> Cost:
    """Run a command and return its cost."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(["/usr/bin/env", *command], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(cpu, time.perf_counter() - began, after.ru_maxrss / 1024)


def run_chandlery(source: Path, lake: Path, models: list[str], *, horizons: tuple[str, ...] = ("30m",)) -> Cost:
    """Run the whole pipeline into a new lake."""
    shutil.rmtree(lake, ignore_errors=True)
    flags = [part for name in horizons for part in ("--horizon", name)] + [
        part for model in models for part in ("--model", model)
    ]
    return measure(
        [sys.executable, "-m", "chandlery", "run", "--source", str(source), "--lake", str(lake), "--quiet", *flags]
    )


def unpack(scratch: Path) -> tuple[Path, Path, Path]:
    """Return a folder with LTC alone, one with three pairs and one with all six, LTC as plain CSV."""
    one, three, six = scratch / "one", scratch / "three", scratch / "six"
    for folder in (one, three, six):
        folder.mkdir()
    for path in sorted((SHARED / "data" / "bitfinex").glob("*.gz")):
        if path.name.startswith("ltcusd"):
            (one / "ltcusd.csv").write_bytes(gzip.decompress(path.read_bytes()))
            os.link(one / "ltcusd.csv", six / "ltcusd.csv")
        else:
            shutil.copy2(path, six / path.name)
            if path.name.startswith(THREE):
                os.link(six / path.name, three / path.name)
    return one, three, six


def candles_of(lake: Path) -> float:
    """Return the millions of candles in a lake."""
    sql = "SELECT sum(rows_kept) AS n FROM ledger"
    shown = subprocess.run(
        [sys.executable, "-m", "chandlery", "query", sql, "--lake", str(lake), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(shown.stdout)[0]["n"]) / 1e6


def main() -> None:
    """Measure in turns and print medians and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not YARDSTICK.exists():
        print("left out: the yardstick and the real candles are not beside this repository")
        return
    with tempfile.TemporaryDirectory(prefix="chandlery-bench-") as folder:
        scratch = Path(folder)
        one, three, six = unpack(scratch)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as where they are installed
        os.environ["NUMBA_CACHE_DIR"] = str(scratch / "kernels")  # empty: the first run compiles, the others do not
        cold = run_chandlery(one, scratch / "warm", ["linear", "tree"])
        jobs = {
            "yardstick, LTC": lambda: measure(
                [sys.executable, str(YARDSTICK), str(one / "ltcusd.csv"), str(scratch / "seed")]
            ),
            "LTC, linear": lambda: run_chandlery(one, scratch / "ltc", ["linear"]),
            "LTC, linear and tree": lambda: run_chandlery(one, scratch / "ltc2", ["linear", "tree"]),
            "three pairs, linear": lambda: run_chandlery(three, scratch / "three_lake", ["linear"]),
            "six pairs, linear": lambda: run_chandlery(six, scratch / "six_lake", ["linear"]),
            "floor of LTC, linear": lambda: measure(
                [sys.executable, "-c", FLOOR, str(one), str(scratch / "ltc"), str(scratch / "floor.parquet")]
            ),
        }
        if importlib.util.find_spec("pyspark"):
            jobs["yardstick with Spark, LTC"] = lambda: measure(
                [sys.executable, str(YARDSTICK), str(one / "ltcusd.csv"), str(scratch / "spark"), "--spark"]
            )
        costs: dict[str, list[Cost]] = {name: [] for name in jobs}
        for number in range(arguments.rounds):
            for name, job in jobs.items():
                costs[name].append(job())
                print(
                    f"round {number + 1}: {name}: {costs[name][-1].cpu:.1f} CPU-s, {costs[name][-1].wall:.1f} s",
                    flush=True,
                )
        report(costs, cold, {name: candles_of(scratch / lake) for name, lake in LAKES.items()})


def report(costs: dict[str, list[Cost]], cold: Cost, millions: dict[str, float]) -> None:
    """Print medians, and their ratios to the yardstick and the floor."""
    cpu = {name: statistics.median(cost.cpu for cost in found) for name, found in costs.items()}
    wall = {name: statistics.median(cost.wall for cost in found) for name, found in costs.items()}
    print(f"\n{'job':<28}{'CPU-s':>8}{'wall s':>8}")
    for name in costs:
        print(f"{name:<28}{cpu[name]:>8.1f}{wall[name]:>8.1f}")
    yardstick = cpu["yardstick, LTC"]
    print(
        f"\nLTC, linear: {cpu['LTC, linear'] / yardstick:.2f} × the yardstick's CPU; "
        f"with the tree {cpu['LTC, linear and tree'] / yardstick:.2f} ×"
    )
    floor = cpu["LTC, linear"] / cpu["floor of LTC, linear"]
    print(f"LTC, linear: {floor:.1f} × the floor (reading and writing the same with Polars)")
    for name, count in millions.items():
        print(f"{name}: {cpu[name] / count:.2f} CPU-s a million candles, of {count:.2f} million")
    if "yardstick with Spark, LTC" not in wall:
        print("left out: the yardstick with Spark, which needs pyspark and Java")
    else:
        share = wall["LTC, linear"] / wall["yardstick with Spark, LTC"]
        print(f"LTC, linear: {share:.2f} of the wall time of the yardstick with Spark")
    largest = max(cost.resident_mb for found in costs.values() for cost in found)
    print(f"largest process of all: {largest:,.0f} MB; first run, compilation included: {cold.cpu:.1f} CPU-s")


if __name__ == "__main__":
    main()
