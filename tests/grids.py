"""Made-up candles of any interval and offset, and lakes of them."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chandlery.runs.pipeline import RunReport, run
from chandlery.settings.model import Settings, load_settings

SYMBOLS = ("BTCUSD", "ETHUSD", "XRPUSD")


@dataclass(frozen=True)
class Series:
    """Candles of one interval that open without a break from a moment on.

    Args:
        interval: As in 1w.
        seconds: The same in seconds.
        first: When the first candle opens.
        count: How many there are.
        offset: Seconds after 1970 at which a candle opens, less than the interval.
        quiet: Which candles of XRPUSD are missing: the first, and the one after the last.
    """

    interval: str
    seconds: int
    first: dt.datetime
    count: int
    offset: int = 0
    quiet: tuple[int, int] = (0, 0)

    def opens(self, place: int) -> dt.datetime:
        """Return when a candle opens."""
        return self.first + dt.timedelta(seconds=self.seconds * place)

    def candles(self, symbol: str) -> pl.DataFrame:
        """Return a symbol's candles: a random walk, half of which all symbols share."""
        shared, own = np.random.default_rng(0), np.random.default_rng(1 + SYMBOLS.index(symbol))
        moves = shared.standard_normal(self.count) + own.standard_normal(self.count)
        close = 100 * np.exp(np.cumsum(1e-3 * np.sqrt(self.seconds / 60) * moves))
        opened = np.append(100.0, close[:-1])
        candles = pl.DataFrame(
            {
                "time": round(self.first.timestamp() * 1_000) + 1_000 * self.seconds * np.arange(self.count),
                "open": opened,
                "close": close,
                "high": 1.001 * np.maximum(opened, close),
                "low": 0.999 * np.minimum(opened, close),
                "volume": own.exponential(1.0, self.count) + 0.1,
            }
        ).with_row_index("place")
        missing = pl.col("place").is_between(*self.quiet, closed="left") if symbol == "XRPUSD" else pl.lit(value=False)
        return candles.filter(~missing)

    def write(self, folder: Path, name: str, first: int, stop: int) -> None:
        """Write a CSV a symbol with the candles of some places."""
        folder.mkdir(parents=True, exist_ok=True)
        for symbol in SYMBOLS:
            chosen = self.candles(symbol).filter(pl.col("place").is_between(first, stop, closed="left"))
            chosen.drop("place").write_csv(folder / f"{symbol.lower()}_{name}.csv")

    def settings(self, raw: Path, lake: Path, **forecast: Any) -> Settings:
        """Return the settings of a run, with the interval set by hand."""
        flags = {
            "source": {"uri": str(raw), "exchange": "bitfinex", "layout": [{"files": "*", "interval": self.interval}]},
            "lake": {"uri": str(lake)},
            "forecast": forecast,
            "engine": {"workers": 1},
        }
        return load_settings(None, flags)

    def run(self, raw: Path, lake: Path, **forecast: Any) -> RunReport:
        """Bring a lake up to date."""
        return run(self.settings(raw, lake, **forecast))
