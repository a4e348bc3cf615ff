"""Running lakes in tests, and comparing them byte for byte."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from chandlery.compare.engines import digest_objects
from chandlery.lake.store import Store
from chandlery.progress import Silent
from chandlery.runs.pipeline import Options, RunReport, run
from chandlery.settings.model import load_settings
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample

START = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
SETTINGS = '[forecast]\nhorizons = ["1m", "5m"]\nmin_train = "10d"\n'
OWN_FEATURE = """from chandlery import feature

@feature("range", unit="price", window="1", lookback=1)
def span(bars):
    return bars.high - bars.low
"""


def run_lake(
    source: str | Path,
    lake: str | Path,
    *,
    workers: int = 1,
    storage: dict[str, str] | None = None,
    options: Options | None = None,
    exchange: str = "",
    **forecast: Any,
) -> RunReport:
    flags = {
        "source": {"uri": str(source), "exchange": exchange},
        "lake": {"uri": str(lake), "lease_seconds": 2},
        "storage": storage or {},
        "forecast": {"horizons": ["1m", "5m"], "min_train": "10d", **forecast},
        "engine": {"workers": workers},
    }
    return run(load_settings(None, flags), options or Options(), Silent())


def to_toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    """Return settings of texts as a part of chandlery.toml."""
    return "".join(
        f"[{section}]\n" + "".join(f'"{name}" = "{value}"\n' for name, value in values.items())
        for section, values in sections.items()
    )


def digests(lake: str | Path, storage: dict[str, str] | None = None) -> dict[str, str]:
    """Return the hash of every object that law 5 speaks of."""
    return {path: digest.sha256 for path, digest in digest_objects(Store(str(lake), storage)).items()}


def write_days(folder: Path, first: int, last: int, *, symbols: int = 3, name: str = "", days: int = 46) -> None:
    """Write a CSV a symbol with the sample's candles of some of its days."""
    folder.mkdir(parents=True, exist_ok=True)
    start, stop = (START + dt.timedelta(days=day) for day in (first, last))
    for file in write_sample(SamplePlan(SAMPLE_SYMBOLS[:symbols], days=days, seed=3)):
        chosen = file.candles.filter((pl.col("open_time") >= start) & (pl.col("open_time") < stop))
        times = chosen["open_time"].dt.epoch("ms")
        chosen.select(times.alias("time"), "open", "close", "high", "low", "volume").write_csv(
            folder / file.name.replace(".csv", f"{name}.csv")
        )


def make_sample_lake(folder: Path) -> Path:
    """Return a lake whose every table has rows: two pairs with forecasts, and a short one over New Year with a name
    like a number and refused rows.
    """
    write_days(folder / "raw", 0, 38, symbols=2)
    first = int((START - dt.timedelta(hours=12)).timestamp() * 1000)
    lines = [f"{first + 60_000 * step},{100 + step % 7},{101 + step % 5},109,99,1.5" for step in range(1440)]
    lines[100] = lines[100].replace(",109,", ",0.5,")
    lines[200] = "not a candle"
    (folder / "raw" / "1e3usd.csv").write_text("\n".join(["time,open,close,high,low,volume", *lines]))
    forecast = {"horizons": ["5m", "30m"], "models": ["linear", "tree"]}
    run_lake(folder / "raw", folder / "lake", exchange="bitfinex", **forecast)
    return folder / "lake"
