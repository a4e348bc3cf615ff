"""A job in Spark's own idiom beside chandlery on Spark: wall time after the start of the session, on real pairs.

The idiomatic job moves the candles through Spark: `spark.read` with a schema, duplicates dropped, `applyInPandas`
by symbol for the yardstick's two models of one column, `partitionBy("symbol", "year")`. It writes no ledger, no
rejects and no gaps. Each job has its own process, session and folder.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bench import SHARED
from chandlery import ingest, run
from chandlery.engines.base import ONE_THREAD
from chandlery.lake.store import Store
from chandlery.settings.model import load_settings
from kills import differences, objects

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))

from spark_cluster import spark_cluster

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

SOURCE = SHARED / "data" / "bitfinex"
PAIRS = ("btcusd", "eosusd", "ethusd", "iotusd", "ltcusd", "neousd")
CANDLE = "time bigint, open double, close double, high double, low double, volume double"
FORECAST = "time bigint, close double, future double, linear double, tree double"
HORIZON = 30
OPTIONS = {
    "spark.driver.memory": "4g",
    "spark.executor.memory": "1536m",
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
}
BUSY = 2.0  # on two cores, a load above this makes wall times meaningless


def read_candles(session: "SparkSession", source: Path) -> "DataFrame":
    """Return the raw candles of a folder of CSV and JSON files, one file per symbol."""
    from pyspark.sql import functions as f  # noqa: PLC0415 - the extra `spark`

    found = []
    if any(source.glob("*.csv.gz")):
        found.append(session.read.csv(str(source / "*.csv.gz"), schema=CANDLE, header=True))
    if any(source.glob("*.json.gz")):
        documents = session.read.json(
            str(source / "*.json.gz"),
            schema=f"results array<struct<{CANDLE.replace(' ', ':').replace(',:', ', ')}>>",
            multiLine=True,
        )
        found.append(documents.select(f.explode("results").alias("candle")).select("candle.*"))
    named = [
        candles.withColumn("symbol", f.upper(f.regexp_extract(f.input_file_name(), r"(\w+)\.(csv|json)\.gz$", 1)))
        for candles in found
    ]
    return named[0] if len(named) == 1 else named[0].unionByName(named[1])


def clean(candles: "DataFrame") -> "DataFrame":
    """Return candles whose values are possible, one per symbol and time, with their year."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    is_possible = (
        (f.least("open", "close", "low") > 0)
        & (f.col("volume") >= 0)
        & (f.col("high") >= f.greatest("open", "close"))
        & (f.col("low") <= f.least("open", "close"))
    )
    return (
        candles.dropna()
        .filter(is_possible)
        .dropDuplicates(["symbol", "time"])
        .withColumn("year", f.year(f.timestamp_millis("time")))
    )


def write(table: "DataFrame", target: Path) -> None:
    """Write a table, one file per symbol and year, ordered by time."""
    table.repartition("symbol", "year").sortWithinPartitions("symbol", "year", "time").write.partitionBy(
        "symbol", "year"
    ).parquet(str(target))


def forecast(candles: "pd.DataFrame") -> "pd.DataFrame":
    """Return a symbol's forecasts as the yardstick computes them: half an hour ahead, from the close alone."""
    import numpy as np  # noqa: PLC0415 - on executors
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415
    from sklearn.tree import DecisionTreeRegressor  # noqa: PLC0415

    candles = candles.sort_values("time")
    candles["future"] = candles["close"].shift(-HORIZON)
    candles = candles.dropna()
    chosen = np.random.default_rng(0).random(len(candles)) < 0.75  # noqa: PLR2004 - as the yardstick
    x, y = candles[["close"]].to_numpy(), candles["future"].to_numpy()
    for name, model in {"linear": LinearRegression(), "tree": DecisionTreeRegressor()}.items():
        candles[name] = model.fit(x[chosen], y[chosen]).predict(x)
    return candles[["time", "close", "future", "linear", "tree", "symbol", "year"]]


def write_candles(session: "SparkSession", source: Path, target: Path) -> None:
    """Run the first half of the idiomatic job."""
    write(clean(read_candles(session, source)), target / "candles")


def write_all(session: "SparkSession", source: Path, target: Path) -> None:
    """Run the idiomatic job."""
    write_candles(session, source, target)
    candles = session.read.parquet(str(target / "candles"))
    write(
        candles.groupBy("symbol").applyInPandas(forecast, f"{FORECAST}, symbol string, year int"), target / "forecasts"
    )


def use_chandlery(
    stage: Callable[..., object], engine: str, session: "SparkSession | None", source: Path, target: Path
) -> None:
    """Run a stage of chandlery; on Spark it uses the existing session."""
    del session
    flags = {"source": {"uri": str(source)}, "lake": {"uri": str(target)}, "engine": {"name": engine, "workers": 2}}
    stage(load_settings(None, flags))


JOBS: dict[str, Callable[["SparkSession", Path, Path], None]] = {
    "idiomatic: candles": write_candles,
    "idiomatic: candles and forecasts": write_all,
    "chandlery ingest, Spark": partial(use_chandlery, ingest, "spark"),
    "chandlery run, Spark": partial(use_chandlery, run, "spark"),
    "chandlery run, local": partial(use_chandlery, run, "local"),
}


def run_job(name: str, master: str, source: Path, target: Path) -> None:
    """Run a job in this process, and print the seconds until its session was ready and those after that."""
    began = time.perf_counter()
    session = None if name.endswith("local") else start(master)
    ready = time.perf_counter()
    JOBS[name](session, source, target)
    print(json.dumps([ready - began, time.perf_counter() - ready]))
    if session is not None:
        session.stop()


def start(master: str) -> "SparkSession":
    """Return a session."""
    from pyspark.sql import SparkSession  # noqa: PLC0415

    builder = SparkSession.Builder().master(master)
    for option, value in OPTIONS.items():
        builder = builder.config(option, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def measure(name: str, master: str, source: Path, target: Path) -> tuple[float, float]:
    """Run a job in a new process; return the seconds until its session was ready and those after that."""
    shutil.rmtree(target, ignore_errors=True)
    environment = {**os.environ, **ONE_THREAD, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, __file__, "--job", name, "--master", master, "--source", str(source), "--target", str(target)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        sys.exit(f"{name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    before, beyond = json.loads(done.stdout.splitlines()[-1])
    return before, beyond


def count(target: Path) -> int:
    """Return how many candles a job has written."""
    return int(
        pl.scan_parquet(target / "candles" / "**" / "*.parquet", hive_partitioning=False)
        .select(pl.len())
        .collect()
        .item()
    )


def warm() -> None:
    """Compile the kernels that are not in the cache yet, so that no measured job compiles them."""
    with tempfile.TemporaryDirectory(prefix="chandlery-warm-") as scratch:
        chandlery = [sys.executable, "-m", "chandlery"]
        subprocess.run(
            [*chandlery, "sample", f"{scratch}/raw", "--symbols", "2", "--days", "50", "--faults", "0"],
            check=True,
            capture_output=True,
        )
        (Path(scratch) / "chandlery.toml").write_text('[forecast]\nmin_train = "10d"\n')
        places = ["--config", f"{scratch}/chandlery.toml", "--source", f"{scratch}/raw", "--lake", f"{scratch}/lake"]
        subprocess.run([*chandlery, "run", "--quiet", *places], check=True, capture_output=True)


def compare_jobs(names: tuple[str, ...], pairs: list[str], rounds: int, *, on_cluster: bool) -> None:
    """Run jobs in turns; print the median of each, and the ratio of the first to the last."""
    with tempfile.TemporaryDirectory(prefix="chandlery-idiomatic-") as scratch:
        source, target = Path(scratch) / "raw", Path(scratch) / "target"
        source.mkdir()
        for pair in pairs:
            shutil.copy2(next(SOURCE.glob(f"{pair}.*")), source)
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        counts, written = {}, {}
        with spark_cluster(Path(scratch) / "cluster", ONE_THREAD) if on_cluster else nullcontext() as cluster:
            master = cluster.url if cluster else "local[2]"
            for name in names * rounds:
                took[name].append(measure(name, master, source, target))
                counts[name], written[name] = count(target), objects(Store(str(target)))
    print(
        f"\n{len(pairs)} pairs, {'two workers' if on_cluster else master}, load {os.getloadavg()[0]:.1f}\n"
        f"{'job':<36}{'candles':>12}{'session s':>12}{'then s':>12}"
    )
    medians = {name: statistics.median(beyond for _, beyond in found) for name, found in took.items()}
    for name, found in took.items():
        session = statistics.median(before for before, _ in found)
        print(f"{name:<36}{counts[name]:>12,}{session:>12.1f}{medians[name]:>12.1f}")
    print(f"{names[0]}: {medians[names[0]] / medians[names[-1]]:.2f} of the time of {names[-1]}", flush=True)
    if all(name.startswith("chandlery run") for name in names):
        unlike = differences(written[names[0]], written[names[-1]])
        print("\n".join(unlike) or f"equal bytes in all {len(written[names[0]])} objects", flush=True)


def main() -> None:
    """Compare the writing of candles, and then runs of three models on Spark and with the local engine."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--on-cluster", action="store_true", help="use a standalone master and two workers instead of local[2]"
    )
    parser.add_argument(
        "--busy", action="store_true", help="compare runs of three models even while this machine is busy"
    )
    for name in ("--job", "--master", "--source", "--target"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.job:
        run_job(wanted.job, wanted.master, Path(wanted.source), Path(wanted.target))
        return
    if not SOURCE.exists():
        print("left out: the real candles are not beside this repository")
        return
    load = os.getloadavg()[0]
    warm()
    compare = partial(compare_jobs, pairs=wanted.pairs, rounds=wanted.rounds, on_cluster=wanted.on_cluster)
    compare(("chandlery ingest, Spark", "idiomatic: candles and forecasts", "idiomatic: candles"))
    if load > BUSY and not wanted.busy:
        print(f"left out: runs of three models, at a load of {load:.1f}; run again when it is lower, or with --busy")
        return
    compare(("chandlery run, Spark", "chandlery run, local"))


if __name__ == "__main__":
    main()
