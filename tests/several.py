"""A lake with two exchanges and three intervals, one of them on two exchanges, and a file that belongs to no series."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chandlery.runs.pipeline import RunReport, run
from chandlery.settings.model import Settings, load_settings

START_MS = 1_538_352_000_000  # 2018-10-01
DAYS = 110
SERIES = {"bitfinex/15m": 900, "bitfinex/60m": 3_600, "kraken/60m": 3_600, "kraken/240m": 14_400}  # in seconds
SYMBOLS = {"kraken/60m": ("BTCUSD", "ETHUSD")}  # of the others, BTCUSD alone
LARGEST = "bitfinex/15m"  # has the most candles
LEFT = sorted(set(SERIES) - {LARGEST})
HORIZONS = {"bitfinex/15m": 30, "bitfinex/60m": 60, "kraken/60m": 60, "kraken/240m": 240}  # in minutes
LAYOUT = [{"files": f"{exchange}/*", "exchange": exchange} for exchange in ("bitfinex", "kraken")]
# The series with more models comes after the first by path: readers that go by the first object lose a column.
OWN_MODELS = ["linear", "tree"]
SECTIONS = [{"exchange": "kraken", "interval": "60m", "models": OWN_MODELS, "horizons": ["1h", "4h"]}]
FORECAST = {"models": ["linear"], "min_train": "60d"}


def make_settings(folder: Path, **flags: Any) -> Settings:
    """Return the settings of a run over `folder`/raw into `folder`/lake."""
    shared = {
        "source": {"uri": str(folder / "raw"), "layout": LAYOUT},
        "lake": {"uri": str(folder / "lake")},
        "forecast": FORECAST,
        "engine": {"workers": 1},
    }
    return load_settings(None, {**shared, **flags})


def write_candles(folder: Path, series: str, symbol: str, first: int, stop: int) -> None:
    """Write a CSV with the candles of some days: every series has prices of its own."""
    exchange, _, interval = series.partition("/")
    seconds, place = SERIES[series], list(SERIES).index(series)
    count = DAYS * 86_400 // seconds
    random = np.random.default_rng([place, len(symbol), symbol == "ETHUSD"])
    close = (100 + 10 * place) * np.exp(np.cumsum(random.standard_normal(count) * 0.004))
    opened = np.append(close[0], close[:-1])
    candles = pl.DataFrame(
        {
            "time": START_MS + 1_000 * seconds * np.arange(count),
            "open": opened,
            "close": close,
            "high": 1.001 * np.maximum(opened, close),
            "low": 0.999 * np.minimum(opened, close),
            "volume": random.exponential(1.0, count) + 0.1,
        }
    )
    per_day = 86_400 // seconds
    (folder / exchange / interval).mkdir(parents=True, exist_ok=True)
    path = folder / exchange / interval / f"{symbol.lower()}_{first:03}.csv"
    candles[first * per_day : stop * per_day].write_csv(path)


def write_raw(folder: Path) -> None:
    """Write the files of all series, and one that no series can have."""
    for series in SERIES:
        for symbol in SYMBOLS.get(series, ("BTCUSD",)):
            write_candles(folder, series, symbol, 0, DAYS)
    (folder / "kraken" / "dogeusd.csv").write_text("</html>,b\nno,candles\n")


def make_several_lake(folder: Path) -> RunReport:
    """Make the lake at `folder`/lake; every series of it has forecasts and scores, one with models of its own."""
    write_raw(folder / "raw")
    return run(make_settings(folder, series=SECTIONS))
