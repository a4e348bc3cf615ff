"""How cost grows: 392 pairs, one file of 166 million rows, 100,000 small files, all synthetic.

    python benchmarks/scale.py pairs [--pairs 196 392] [--executors 1 2]
    python benchmarks/scale.py seconds [--millions 166]
    python benchmarks/scale.py files [--files 100000]

Shares of missing minutes, listings and delistings resemble those of the Bitfinex pairs beside the repository and of
the public set of 392 of them: a few trade nearly every minute for years, most of them seldom, some have ended.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from bench import Cost, candles_of, measure
from chandlery.engines.base import ONE_THREAD
from chandlery.lake.store import Store
from chandlery.sources.sample import SAMPLE_SYMBOLS
from kills import objects

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from spark_cluster import spark_cluster

FIRST, LAST = (int(np.datetime64(day, "m").astype(int)) for day in ("2013-04-01", "2022-01-01"))
# Shares of minutes with a trade. For comparison: since 2017 BTC has .98 and LTC .7; over its whole life LTC has .47.
BUSIEST, QUIETEST = 0.85, 0.02
DEAD = 0.25  # share of the pairs that end before the last day
REFERENCES = 9  # the first pairs: listed early, and alive
SECONDS_TRADED = 0.95
BUSY_SINCE = int(np.datetime64("2017-01-01", "m").astype(int))
EARLY = 0.25  # of the traded share: LTC had a candle in .19 of the minutes until then, in .7 since
ALL_PAIRS = 392
HALVING_PAIRS = 110  # ranks over which the traded share halves: 392 pairs then have about 200 million candles
SECONDS_A_CHUNK = 5_000_000
SMALL_STEPS = 180  # candles in a small file: three hours


def name_pair(rank: int) -> str:
    """Return the symbol of a rank; the references come first."""
    return SAMPLE_SYMBOLS[rank] if rank < len(SAMPLE_SYMBOLS) else f"P{rank:03}USD"


def walk(random: np.random.Generator, steps: int, market: np.ndarray, volatility: float) -> np.ndarray:
    """Return closes of a random walk: moves of the market plus moves of the symbol."""
    moves = 0.7 * market[-steps:] + volatility * random.standard_normal(steps, dtype=np.float32)
    return 10.0 ** random.uniform(-2, 4) * np.exp(
        np.cumsum(moves, dtype=np.float64) - 0.5 * volatility * np.arange(steps) / 1_000
    )


def to_frame(times: np.ndarray, close: np.ndarray, random: np.random.Generator) -> pl.DataFrame:
    """Return candles with the columns of the public set."""
    spread = np.abs(random.standard_normal((2, close.size), dtype=np.float32)) * np.float32(3e-4)
    opened = np.append(close[:1], close[:-1])
    frame = {
        "time": times,
        "open": opened,
        "close": close,
        "high": np.maximum(opened, close) * (1 + spread[0]),
        "low": np.minimum(opened, close) * (1 - spread[1]),
    }
    return pl.DataFrame(frame).with_columns(
        pl.col("open", "close", "high", "low").round_sig_figs(6),
        volume=pl.Series(np.exp(random.standard_normal(close.size, dtype=np.float32))).round(6),
    )


def write_pair(job: tuple[int, Path]) -> int:
    """Write the CSV of one pair; return how many candles it has."""
    rank, folder = job
    random = np.random.default_rng([7, rank])
    market = np.random.default_rng(7).standard_normal(LAST - FIRST, dtype=np.float32) * np.float32(6e-4)
    listed = FIRST + int((LAST - FIRST) * (rank / 40 if rank < REFERENCES else random.uniform(0.25, 0.95)))
    ends = (
        LAST
        if rank < REFERENCES or random.random() > DEAD
        else listed + int((LAST - listed) * random.uniform(0.2, 0.9))
    )
    share = max(QUIETEST, BUSIEST * 0.5 ** (rank / HALVING_PAIRS))
    steps = ends - listed
    traded = random.random(steps) < share * np.where(np.arange(listed, ends) < BUSY_SINCE, EARLY, 1.0)
    traded[0] = True
    close = walk(random, steps, market[: ends - FIRST], 8e-4)[traded]
    path = folder / f"{name_pair(rank).lower()}.csv"
    to_frame((listed + np.flatnonzero(traded)) * 60_000, close, random).write_csv(path)
    os.utime(path, (LAST * 60, LAST * 60))  # the ledger has the modification time: bytes are compared between runs
    return int(traded.sum())


def make_pairs(folder: Path, pairs: int) -> int:
    """Write the CSVs of all pairs, chosen evenly from 392 ranks; return how many candles they have."""
    folder.mkdir(parents=True)
    ranks = sorted(
        {
            *range(min(pairs, REFERENCES)),
            *np.linspace(REFERENCES, ALL_PAIRS - 1, max(pairs - REFERENCES, 0)).astype(int).tolist(),
        }
    )
    with ProcessPoolExecutor(2) as pool:
        return sum(pool.map(write_pair, [(rank, folder) for rank in ranks]))


def make_seconds(folder: Path, millions: float) -> int:
    """Write one CSV of candles of a second, a twentieth of them missing; return how many it has."""
    folder.mkdir(parents=True)
    random, count, step, last = np.random.default_rng(3), 0, 1_420_070_400, 250.0
    with (folder / "ltcusd.csv").open("wb") as file:
        while count < millions * 1e6:
            traded = np.flatnonzero(random.random(SECONDS_A_CHUNK) < SECONDS_TRADED)
            close = last * np.exp(np.cumsum(random.standard_normal(traded.size) * 1e-4))
            close = np.clip(close, 1.0, 1e5)
            to_frame((step + traded) * 1_000, close, random).write_csv(file, include_header=count == 0)
            step, count, last = step + SECONDS_A_CHUNK, count + traded.size, float(close[-1])
    return count


def write_small(job: tuple[int, int, Path]) -> int:
    """Write the small files of one symbol; return how many candles they have."""
    rank, files, folder = job
    random = np.random.default_rng([11, rank])
    steps = files * SMALL_STEPS
    market = random.standard_normal(steps, dtype=np.float32) * np.float32(6e-4)
    whole = to_frame((LAST - steps + np.arange(steps)) * 60_000, walk(random, steps, market, 8e-4), random)
    for number in range(files):
        whole[number * SMALL_STEPS : (number + 1) * SMALL_STEPS].write_csv(
            folder / f"{name_pair(rank).lower()}_{number:05}.csv"
        )
    return steps


def make_files(folder: Path, files: int, symbols: int = 50) -> int:
    """Write many small CSVs of some symbols; return how many candles they have."""
    folder.mkdir(parents=True)
    with ProcessPoolExecutor(2) as pool:
        return sum(pool.map(write_small, [(rank, files // symbols, folder) for rank in range(symbols)]))


def run(command: str, raw: Path, lake: Path, *flags: str) -> Cost:
    """Run a command from raw files into a lake; return its cost."""
    return measure(
        [sys.executable, "-m", "chandlery", command, "--source", str(raw), "--lake", str(lake), "--quiet", *flags]
    )


def print_cost(what: str, cost: Cost, millions: float) -> None:
    """Print a line of figures."""
    print(
        f"{what}: {millions:.1f} million candles, {cost.wall:.0f} s, {cost.cpu:.0f} CPU-s, "
        f"{cost.cpu / millions:.2f} CPU-s a million, largest process {cost.resident_mb:,.0f} MB",
        flush=True,
    )


def stages(lake: Path) -> str:
    """Return the duration of each stage of the last run."""
    newest = max((lake / "runs").glob("2*.json"))  # their names begin with the year
    return ", ".join(
        f"{stage['name']} {stage['seconds']:.0f} s" for stage in json.loads(newest.read_text())["report"]["stages"]
    )


def digest(lake: Path) -> str:
    """Return one digest of all objects that law 5 covers: equal where all their bytes are equal."""
    return hashlib.blake2b(repr(sorted(objects(Store(str(lake))).items())).encode(), digest_size=8).hexdigest()


@contextmanager
def engine(folder: Path, executors: int) -> Iterator[list[str]]:
    """Yield the flags of an engine: of a Spark cluster that runs until the block ends, or none for the local engine."""
    if not executors:
        yield []
        return
    with spark_cluster(folder, ONE_THREAD, executors) as cluster:
        os.environ.update(cluster.driver)
        config = folder / "chandlery.toml"
        config.write_text(
            "[engine.spark]\n" + "".join(f'"{name}" = "{value}"\n' for name, value in cluster.options.items())
        )
        yield ["--engine", "spark", "--config", str(config)]
    shutil.rmtree(folder)


def main() -> None:
    """Write the files that are asked for, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pairs", "seconds", "files"))
    parser.add_argument(
        "--pairs", type=int, nargs="+", default=[196, 392], help="how many; several are run in turn, and compared"
    )
    parser.add_argument("--millions", type=float, default=166.0, help="rows of the one file")
    parser.add_argument("--files", type=int, default=100_000, help="small files, of 50 symbols")
    parser.add_argument(
        "--executors",
        type=int,
        nargs="+",
        default=[0],
        help="number of executors of a Spark cluster, of one core each; 0 is the local engine",
    )
    parser.add_argument("--folder", type=Path, help="where to create the temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chandlery-scale-", dir=given.folder) as folder:
        base = Path(folder)
        match given.what:
            case "pairs":
                for pairs in given.pairs:
                    measure_pairs(base, pairs, given.executors)
            case "seconds":
                measure_seconds(base, given.millions)
            case "files":
                measure_files(base, given.files)


def measure_pairs(base: Path, pairs: int, executors: list[int]) -> None:
    """Run the pipeline on some pairs, once for each number of executors; print its cost and a digest of the bytes."""
    raw, lake = base / "raw", base / "lake"
    millions = make_pairs(raw, pairs) / 1e6
    for number in executors:
        with engine(base / "cluster", number) as flags:
            cost = run("run", raw, lake, "--horizon", "30m", "--model", "linear", *flags)
        where = f"Spark, {number} executors" if number else "local"
        print_cost(f"{pairs} pairs, linear, 30m, {where}", cost, millions)
        print(f"  {stages(lake)}; kept {candles_of(lake):.1f} million; bytes {digest(lake)}", flush=True)
        shutil.rmtree(lake)
    shutil.rmtree(raw)


def measure_seconds(base: Path, millions: float) -> None:
    """Ingest one large file; print the cost."""
    raw, lake = base / "raw", base / "lake"
    written = make_seconds(raw, millions) / 1e6
    size = (raw / "ltcusd.csv").stat().st_size / 1e9
    print_cost(f"one file of {size:.1f} GB", run("ingest", raw, lake), written)
    print(f"  {stages(lake)}; kept {candles_of(lake):.1f} million", flush=True)


def measure_files(base: Path, files: int) -> None:
    """Ingest many small files, twice; print the cost."""
    raw, lake = base / "raw", base / "lake"
    millions = make_files(raw, files) / 1e6
    print_cost(f"{files:,} files", run("ingest", raw, lake), millions)
    print(f"  {stages(lake)}; kept {candles_of(lake):.1f} million", flush=True)
    again = run("ingest", raw, lake)
    print(f"  again, nothing new: {again.wall:.1f} s")


if __name__ == "__main__":
    main()
