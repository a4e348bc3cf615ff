"""Claims that take long to check, in named parts of at most an hour each: what `make prove PART=name` runs."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from additions import prove_additions
from bench import SHARED, run_chandlery
from chandlery.grid import DAY_MS
from chandlery.lake.store import Store
from foreign import prove_layouts
from histories import prove_histories
from kills import objects, prove_kills
from noise import prove_noise
from readers import Crowd, prove_readers
from request_counts import prove_requests
from spark_kills import prove_spark_kills

ROWS = {
    "BTCUSD": 1_797_246,
    "EOSUSD": 1_173_342,
    "ETHUSD": 1_691_499,
    "IOTUSD": 1_000_733,
    "LTCUSD": 1_642_683,
    "NEOUSD": 801_583,
}  # data/README.md
HOLES = {
    "LTCUSD": ("2014-12-01", "2015-05-15", "2016-05-01", "2016-08-06"),
    "ETHUSD": ("2016-05-01", "2016-08-06"),
}  # likewise
ROUNDING = 1e-6
APPEND_SHARE = 0.05
HORIZONS = ("1m", "5m", "15m", "30m", "60m")


def query(lake: Path, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a SELECT."""
    shown = subprocess.run(
        [sys.executable, "-m", "chandlery", "query", sql, "--lake", str(lake), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    return list(json.loads(shown.stdout))


def check(what: str, *, holds: bool, found: object) -> bool:
    """Print whether something holds, and return it."""
    print(f"{'ok  ' if holds else 'FAIL'} {what}: {found}", flush=True)
    return holds


def prove_tables(lake: Path) -> list[bool]:
    """Check the ledger, the holes, the labels and the skill; return the results."""
    ledger = query(lake, "SELECT symbol, rows_read, rows_kept, rows_rejected FROM ledger ORDER BY symbol")
    results = [
        check(
            "ledger",
            holds=all(row["rows_read"] == row["rows_kept"] == ROWS[row["symbol"]] for row in ledger)
            and len(ledger) == len(ROWS),
            found=[row["rows_kept"] for row in ledger],
        )
    ]
    for symbol, moments in HOLES.items():
        for moment in moments:
            within = f"start < '{moment}' AND \"end\" > '{moment}'"
            missing = f"symbol = '{symbol}' AND kind != 'no_trade' AND {within}"
            kinds = query(lake, f"SELECT kind FROM gaps WHERE {missing}")  # noqa: S608
            is_hole = len(kinds) == 1 and kinds[0]["kind"] in {"hole", "outage"}
            results.append(check(f"{symbol} {moment}", holds=is_hole, found=kinds))
    across = query(
        lake,
        "SELECT count(*) AS n FROM gaps g JOIN forecasts f "
        "ON f.symbol = g.symbol AND f.horizon_minutes = 60 AND f.actual_close IS NOT NULL "
        "AND g.kind != 'no_trade' AND g.missing > 1000 AND f.issued_at <= g.start AND f.target_time > g.start",
    )
    results.append(check("labels across the long gaps", holds=across[0]["n"] == 0, found=across[0]["n"]))
    scores = pl.DataFrame(query(lake, "SELECT symbol, horizon_minutes, model, skill FROM scores WHERE period = '2019'"))
    linear = scores.filter((pl.col("symbol") == "LTCUSD") & (pl.col("model") == "linear"))
    for horizon, least in ((1, 0.018), (5, 0.009)):
        skill = linear.filter(pl.col("horizon_minutes") == horizon)["skill"][0]
        results.append(
            check(
                f"skill of linear on LTC over 2019, {horizon}m, at least {least:.1%}",
                holds=skill >= least,
                found=f"{skill:.2%}",
            )
        )
    worst = scores.filter(pl.col("model") == "served").sort("skill").row(0, named=True)
    results.append(check("served not below naive over 2019", holds=worst["skill"] >= -ROUNDING, found=worst))
    return results


def prove_append(scratch: Path, horizons: tuple[str, ...], most: float) -> list[bool]:
    """Append one day to six pairs; check what it costs, and whether the bytes are those of a rebuild."""
    raw, whole, grown = (scratch / f"{name}{len(horizons)}" for name in ("split", "whole", "grown"))
    raw.mkdir()
    days = {}
    for path in sorted((SHARED / "data" / "bitfinex").glob("*.gz")):
        symbol = path.name.split(".")[0]
        candles = read(path)
        edge = int(candles["time"].max()) // DAY_MS * DAY_MS
        candles.filter(pl.col("time") < edge).write_csv(raw / f"{symbol}_a.csv")
        days[symbol] = candles.filter(pl.col("time") >= edge)
    run_chandlery(raw, grown, [], horizons=horizons)
    for symbol, day in days.items():
        day.write_csv(raw / f"{symbol}_b.csv")
    rebuild = run_chandlery(raw, whole, [], horizons=horizons)
    append = run_again(raw, grown)
    equal = objects(Store(str(whole))) == objects(Store(str(grown)))
    share = append / rebuild.cpu
    name = f"{len(horizons)} horizon{'s' * (len(horizons) > 1)}"
    return [
        check(f"an append equals a rebuild, {name}", holds=equal, found=equal),
        check(
            f"one more day, share of a rebuild's CPU, {name}, at most {most:.0%}",
            holds=share <= most,
            found=f"{append:.1f} of {rebuild.cpu:.1f} CPU-s, {share:.1%}",
        ),
    ]


def read(path: Path) -> pl.DataFrame:
    """Return the candles of a raw file."""
    if path.suffixes[0] == ".csv":
        return pl.read_csv(path)
    import gzip  # noqa: PLC0415

    return pl.DataFrame(json.loads(gzip.decompress(path.read_bytes()))["results"])


def run_again(raw: Path, lake: Path) -> float:
    """Return the CPU seconds of another run."""
    from bench import measure  # noqa: PLC0415

    return measure([sys.executable, "-m", "chandlery", "run", "--source", str(raw), "--lake", str(lake), "--quiet"]).cpu


def prove_six_pairs() -> bool:
    """Check the tables of the six real pairs, with all models at five horizons."""
    with tempfile.TemporaryDirectory(prefix="chandlery-prove-") as folder:
        cost = run_chandlery(SHARED / "data" / "bitfinex", Path(folder) / "lake", [], horizons=HORIZONS)
        print(f"six pairs, five horizons, all models: {cost.cpu:.0f} CPU-s, {cost.wall:.0f} s")
        return all(prove_tables(Path(folder) / "lake"))


def prove_appends() -> bool:
    """Check an append of one day to six pairs, at five horizons and at one."""
    with tempfile.TemporaryDirectory(prefix="chandlery-prove-") as folder:
        return all(
            prove_append(Path(folder), HORIZONS, APPEND_SHARE) + prove_append(Path(folder), ("30m",), APPEND_SHARE)
        )


PARTS: dict[str, Callable[[], bool]] = {
    "tables": prove_six_pairs,
    "append": prove_appends,
    "additions": prove_additions,
    "noise": prove_noise,
    "layouts": partial(prove_layouts, 10_000),
    "histories": partial(prove_histories, 300),
    "requests": prove_requests,
    "kills": partial(prove_kills, rounds=30, real_rounds=3),
    "spark": partial(prove_spark_kills, rounds=10),
    "readers": lambda: prove_readers(Crowd(), runs=20),
}
ON_REAL_CANDLES = {"tables", "append", "additions", "kills"}


def main() -> None:
    """Check the named parts, or all of them; exit with 1 if something does not hold."""
    wanted = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in wanted if name not in PARTS]:
        sys.exit(f"no part {unknown[0]!r}; expected some of {', '.join(PARTS)}")
    held = []
    for name in wanted:
        if name in ON_REAL_CANDLES and not SHARED.exists():
            print(f"left out {name}: the real candles are not beside this repository", flush=True)
            continue
        began = time.monotonic()
        held.append(PARTS[name]())
        print(f"{'ok  ' if held[-1] else 'FAIL'} part {name}: {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
