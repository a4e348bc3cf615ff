"""The signs that a file is not one series of candles: of one interval, and of one symbol."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.sources.rows import MonthRows
from chandlery.sources.spacing import MIN_CANDLES
from chandlery.units import to_interval_text

__all__ = ["Series"]

BLOCK = 500  # rows: as many of a longer interval in a row are no chance
ALIGNED = 0.95 * BLOCK  # by chance, half of them would be


class Series:
    """What is seen of a file as it is read.

    Args:
        source: Its name.
        grid: When its candles open.
        max_rejected_share: The share of rows that may be refused.
        is_given: Whether somebody has set the interval by hand.
    """

    def __init__(self, source: str, grid: Grid, max_rejected_share: float, *, is_given: bool) -> None:
        self._source, self._grid, self._share, self._is_given = source, grid, max_rejected_share, is_given
        self._off_grid = 0
        self._seen = 0
        self._last = np.empty(0, np.int64)  # steps before the next
        self._ascends = True
        self._mixed: SourceError | None = None

    def add(self, times: NDArray[np.int64], refused: pl.DataFrame) -> None:
        """Look at the next rows.

        Args:
            times: Milliseconds, of accepted rows.
            refused: Rows with their reasons.
        """
        if refused.height:
            self._off_grid += refused.filter(pl.col("reasons").list.contains("off_grid_time")).height
        steps = np.concatenate([self._last, self._grid.steps_of(times)])
        self._ascends = self._ascends and bool((np.diff(steps[max(self._last.size - 1, 0) :]) > 0).all())
        if not self._is_given and self._mixed is None:
            self._mixed = self._find_other_interval(steps)
        self._seen += times.size
        self._last = steps[-(BLOCK - 1) :]

    def _find_other_interval(self, steps: NDArray[np.int64]) -> SourceError | None:
        """Return what is wrong if in some stretch of 500 rows nearly every time is a multiple of a longer interval."""
        for factor in (2, 3, 5):
            running = np.concatenate([[0], np.cumsum(steps % factor == 0)])
            aligned = running[BLOCK:] - running[:-BLOCK]
            if (aligned > ALIGNED).any():
                place = int(np.argmax(aligned > ALIGNED))
                spacing = int(np.median(np.abs(np.diff(steps[place : place + BLOCK])))) * self._grid.seconds
                own, other = to_interval_text(self._grid.seconds), to_interval_text(spacing)
                row = self._seen - self._last.size + place + 1
                layout = f'set [[source.layout]] files = "{self._source}", interval = "{own}"'
                return SourceError(
                    f"{self._source} mixes candles of {own} with candles of {other} from about row {row}",
                    "one interval a file",
                    f"split the file, or {layout} if that is what it holds",
                )
        return None

    def check(self, count: int, accepted: MonthRows) -> None:
        """Look at the whole.

        Args:
            count: How many rows the file has.
            accepted: Those that obey every rule.

        Raises:
            SourceError: It mixes intervals or symbols.
        """
        own = to_interval_text(self._grid.seconds)
        if count >= MIN_CANDLES and self._off_grid > self._share * count and not self._is_given:
            raise SourceError(
                f"{self._source} holds candles of {own}, and {self._off_grid} of {count} rows between them",
                "one interval a file",
                f'split the file, or set [[source.layout]] files = "{self._source}", interval = "{own}"',
            )
        if self._mixed is not None:
            raise self._mixed
        if self._ascends:
            return
        twice, apart = (
            sum(counts)
            for counts in zip(*(_count_twice(accepted.take([month])) for month in accepted.months), strict=True)
        )
        if twice > self._share * accepted.height and 2 * apart > twice:
            found = f"{self._source} holds two prices at {twice} of {accepted.height} times"
            found = f"{found}, and {apart} of them are more than a tenth apart"
            raise SourceError(found, "candles of one symbol a file", "split the file by symbol")


def _count_twice(rows: pl.DataFrame) -> tuple[int, int]:
    """Return how many times come again, and at how many of them the prices are more than a tenth apart."""
    rows = rows.select(pl.col("open_time").to_physical(), "low", "high").sort("open_time", maintain_order=True)
    times, low, high = (rows[name].to_numpy() for name in ("open_time", "low", "high"))
    twice = times[1:] == times[:-1]
    apart = twice & ((low[1:] > 1.1 * high[:-1]) | (low[:-1] > 1.1 * high[1:]))
    return int(twice.sum()), int(apart.sum())
