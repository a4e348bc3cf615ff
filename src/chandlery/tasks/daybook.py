"""What ingest remembers of a symbol's candles: at which steps there is one, and a hash of each day's."""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from chandlery.grid import DAY_MS, Traded, cut_year, year_edges
from chandlery.lake.handle import Lake
from chandlery.state.arrays import Arrays
from chandlery.state.checkpoints import digest_days
from chandlery.state.records import FileRecord, Ingested

__all__ = ["DayBook"]


class DayBook:
    """Notes the candles of years that are rewritten, as they pass.

    Args:
        lake: Whose clock counts the steps.
        held: What was remembered before.
    """

    def __init__(self, lake: Lake, held: Ingested) -> None:
        self._grid, self._held = lake.grid, held
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
                self._traded.append(Traded.of(self._grid.steps_of(frame["open_time"].dt.epoch("ms").to_numpy())))
            yield frame

    def remember(self, files: list[FileRecord], lost: Arrays) -> Ingested:
        """Return what to remember: what was noted, in place of what was held of those years.

        Args:
            files: All files that the tables rest on.
            lost: Rows that lost, as arrays.
        """
        held_days, traded = self._held.days, self._held.traded
        stays = np.ones(held_days.size, np.bool_)
        for year in self._years:
            stays[cut_year(held_days.astype(np.int64) * DAY_MS, year)] = False
            first, last = year_edges(year)
            traded = traded.without(self._grid.first_at(first), self._grid.first_at(last))
        days = np.concatenate([held_days[stays], *self._days])
        digests = np.concatenate([self._held.digests[stays], *self._digests])
        order = np.argsort(days, kind="stable")
        return Ingested(files, days[order], digests[order], Traded.join([traded, *self._traded]), lost)
