"""The candles at which something was traded: those that a collector filled in are left out."""

import polars as pl

from chandlery.candles.fills import COLUMNS, drop_filled, is_flat
from chandlery.lake.handle import FAR_MS, Lake
from chandlery.lake.reading import read_partition

__all__ = ["read_traded"]


def read_traded(lake: Lake, symbol: str, since_ms: int = 0, until_ms: int = FAR_MS) -> pl.DataFrame:
    """Read the candles of a symbol at which something was traded, with open times in [since_ms, until_ms).

    The sources of a year's candles are read only if some of them may have been filled in.

    Returns:
        open_time, open, high, low, close and volume, in the order of open_time.
    """
    candles = lake.read_candles(symbol, since_ms, until_ms)
    flags = candles.select(flat=is_flat())["flat"]
    if not flags.any():
        return candles
    keys = {**lake.keys, "symbol": symbol}
    year_of = candles["open_time"].dt.year()
    parts = []
    for year in year_of.unique().sort().to_list():
        part = candles.filter(year_of == year)
        if flags.filter(year_of == year).any():
            whole = read_partition(lake.store, "candles", {**keys, "year": year}, COLUMNS)
            part = part if whole is None else drop_filled(part, whole)
        parts.append(part)
    return pl.concat(parts)
