"""What ingest remembers of a symbol's candles: at which steps there is one, and a hash of each day's."""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from chandlery.checkpoints import digest_days
from chandlery.grid import DAY_MS, Traded, cut_year, year_edges
from chandlery.lake import Lake
from chandlery.records import read_traded, write_traded
from chandlery.state import get_arrays, put_arrays

__all__ = ["DayBook"]


class DayBook:
    """Notes the candles of years that are written anew, as they pass.

    Args:
        lake: Where it is kept.
        symbol: Whose candles.
    """

    def __init__(self, lake: Lake, symbol: str) -> None:
        self._lake, self._symbol = lake, symbol
        self._years: list[int] = []
        self._days: list[np.ndarray] = []
        self._digests: list[np.ndarray] = []
        self._traded: list[Traded] = []

    def watch(self, year: int, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Yield a year's candles as they come, ascending and in whole days, and note them."""
        self._years.append(year)
        for frame in frames:
            if frame.height:
                days, digests = digest_days(frame)
                self._days.append(days)
                self._digests.append(digests)
                self._traded.append(Traded.of(frame["open_time"].dt.epoch("ms").to_numpy() // (self._lake.interval_seconds * 1_000)))
            yield frame

    def keep(self) -> None:
        """Keep what was noted, in place of what was kept of those years."""
        path, step_ms = f"state/ingest/{self._symbol}.state", self._lake.interval_seconds * 1_000
        arrays = get_arrays(self._lake.store, path)
        held_days, held_digests = (arrays["days"], arrays["digests"]) if arrays else (np.empty(0, np.int32), np.empty(0, np.uint64))
        held = read_traded(self._lake.store, self._symbol)
        stays = np.ones(held_days.size, np.bool_)
        for year in self._years:
            stays[cut_year(held_days.astype(np.int64) * DAY_MS, year)] = False
            first, last = year_edges(year)
            held = held.without(first // step_ms, last // step_ms)
        days, digests = np.concatenate([held_days[stays], *self._days]), np.concatenate([held_digests[stays], *self._digests])
        traded = Traded.join([held, *self._traded])
        newest_ms = (traded.start + traded.flags.size) * step_ms if traded.flags.size else 0
        order = np.argsort(days, kind="stable")
        write_traded(self._lake.store, self._symbol, traded)
        put_arrays(self._lake.store, path, {"days": days[order], "digests": digests[order], "newest_ms": np.array(newest_ms)})
