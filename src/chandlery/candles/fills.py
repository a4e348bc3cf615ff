"""Candles that a collector filled in where nothing was traded: they stay in the table and count as no trade.

Such a candle has no volume, and one price as its open, high, low and close. Where a file has candles of no other kind
in a calendar year, this tells nothing: it may be a series of prices without volumes.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.grid import DAY_MS, Grid, Ints, Traded

__all__ = ["COLUMNS", "FillLog", "drop_filled", "is_flat"]

COLUMNS = ("open_time", "open", "high", "low", "close", "volume", "source")  # that tell filled candles

FACTOR = np.uint64(0x9E3779B97F4A7C15)  # an odd number without a pattern: products of different steps differ


def is_flat() -> pl.Expr:
    """Return whether a candle has no volume and one price; needs open, high, low, close and volume."""
    price = pl.col("open")
    return (pl.col("volume") == 0) & (price == pl.col("high")) & (price == pl.col("low")) & (price == pl.col("close"))


def drop_filled(candles: pl.DataFrame, year: pl.DataFrame) -> pl.DataFrame:
    """Return candles without those that were filled in.

    Args:
        candles: Some of a calendar year's.
        year: All of that year's, with their sources.
    """
    filled = year.filter(is_flat() & (~is_flat()).any().over("source"))["open_time"]
    return candles.filter(~pl.col("open_time").is_in(filled.implode()))


class FillLog:
    """Notes which candles of a year were filled in, while its candles pass.

    Args:
        grid: When candles open.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._steps: list[Ints] = []
        self._flat: list[pl.DataFrame] = []
        self._others: set[str] = set()

    def note(self, candles: pl.DataFrame) -> None:
        """Note the next candles of the year, with their sources."""
        steps = self._grid.steps_of(candles["open_time"].dt.epoch("ms").to_numpy())
        flags = candles.select(flat=is_flat())["flat"]
        if not flags.any():
            self._others |= set(candles["source"].unique().to_list())
            self._steps.append(steps)
            return
        self._flat.append(candles.filter(flags).select("source", pl.Series("step", steps).filter(flags)))
        self._others |= set(candles.filter(~flags)["source"].unique().to_list())
        self._steps.append(steps[~flags.to_numpy()])

    def _list_kept(self) -> Ints:
        """Return the steps of candles that look as if they were filled in and count as traded."""
        kept = [frame.filter(~pl.col("source").is_in(list(self._others)))["step"].to_numpy() for frame in self._flat]
        return np.concatenate([np.empty(0, np.int64), *kept])

    def find_traded(self) -> Traded:
        """Return the steps at which something was traded."""
        return Traded.of(np.concatenate([self._list_kept(), *self._steps]))

    def mark(self, days: NDArray[np.int32], digests: NDArray[np.uint64]) -> None:
        """Change the digests of days with candles that look as if they were filled in and count as traded.

        Whether they do depends on the other candles of their file. A day whose candles stay the same has another
        digest when that changes, so that forecasts from it on are computed again.

        Args:
            days: UTC days since 1970 on which candles of the year open, ascending.
            digests: Of their candles; changed in place.
        """
        steps = self._list_kept()
        places = np.searchsorted(days, self._grid.open_ms(steps) // DAY_MS)
        np.add.at(digests, places, steps.astype(np.uint64) * FACTOR + np.uint64(1))
