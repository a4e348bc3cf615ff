"""The signs that the rows of a file are not one series of candles: of one interval, one symbol and one clock."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.grid import Grid
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.lengths import count_covered, find_longer
from chandlery.sources.local_times import find_doubled_hour, find_skipped_hour, list_hour_gaps, refuse_local
from chandlery.sources.rows import MonthRows
from chandlery.sources.spacing import MIN_CANDLES
from chandlery.units import to_interval_text

__all__ = ["Series"]

BLOCK = 500  # rows: as many of a longer interval in a row are no chance
ALIGNED = 0.95 * BLOCK  # by chance, half of them would be
FEW = 4  # rows with a second price of one time: so many may be corrections


class Series:
    """What is seen of a file as it is read.

    Args:
        source: Its name.
        grid: When its candles open.
        max_rejected_share: The share of rows that may be refused.
        is_given: Whether somebody has set the interval by hand.
        is_naive: Whether its times are text without an offset, whose zone nobody has set.
    """

    def __init__(
        self, source: str, grid: Grid, max_rejected_share: float, *, is_given: bool, is_naive: bool = False
    ) -> None:
        self._source, self._grid, self._share, self._is_given = source, grid, max_rejected_share, is_given
        self._is_naive = is_naive
        self._off_grid = 0
        self._last = np.empty(0, np.int64)  # steps before the next
        self._rows = np.empty(0, np.int64)  # the numbers of their rows
        self._ascends = True
        self._mixed: UndecidedError | None = None
        self._hour_gaps: set[int] = set()

    def add(self, accepted: pl.DataFrame, refused: pl.DataFrame) -> None:
        """Look at the next rows.

        Args:
            accepted: row and open_time of those that obey every rule.
            refused: The reasons of the others.
        """
        if refused.height:
            self._off_grid += refused.filter(pl.col("reasons").list.contains("off_grid_time")).height
        own = self._grid.steps_of(accepted["open_time"].cast(pl.Int64).to_numpy())
        steps = np.concatenate([self._last, own])
        rows = np.concatenate([self._rows, accepted["row"].to_numpy()])
        self._ascends = self._ascends and bool((np.diff(steps[max(self._last.size - 1, 0) :]) > 0).all())
        if self._is_naive:
            self._hour_gaps.update(list_hour_gaps(self._grid.open_ms(steps), self._grid.seconds).tolist())
        if not self._is_given and self._mixed is None:
            self._mixed = self._find_other_interval(steps, rows) or self._find_longer(own, accepted)
        self._last, self._rows = steps[-(BLOCK - 1) :], rows[-(BLOCK - 1) :]

    def _find_other_interval(self, steps: NDArray[np.int64], rows: NDArray[np.int64]) -> UndecidedError | None:
        """Return what is wrong if in some stretch of 500 rows nearly every time is a multiple of a longer interval."""
        for factor in (2, 3, 5):
            running = np.concatenate([[0], np.cumsum(steps % factor == 0)])
            aligned = running[BLOCK:] - running[:-BLOCK]
            if (aligned > ALIGNED).any():
                place = int(np.argmax(aligned > ALIGNED))
                spacing = int(np.median(np.abs(np.diff(steps[place : place + BLOCK])))) * self._grid.seconds
                return self._refuse_mixed(int(rows[place]), spacing)
        return None

    def _find_longer(self, steps: NDArray[np.int64], rows: pl.DataFrame) -> UndecidedError | None:
        """Return what is wrong if some rows are candles of a longer interval."""

        def measure_ranges() -> NDArray[np.float64]:
            high, low, close = (rows[name].to_numpy() for name in ("high", "low", "close"))
            return np.array((high - low) / close)

        found = find_longer(steps, measure_ranges)
        return None if found is None else self._refuse_mixed(rows["row"][found[0]], found[1] * self._grid.seconds)

    def _refuse_mixed(self, row: int, spacing: int) -> UndecidedError:
        """Return that from a row on candles of another interval begin, in seconds."""
        own, other = to_interval_text(self._grid.seconds), to_interval_text(spacing)
        found = f"{self._source} mixes candles of {own} with candles of {other} from about row {row}"
        hint = "split the file by interval; `interval` in a layout of its own takes all rows as candles of it"
        return UndecidedError("series", found, "one interval a file", hint)

    def check(self, rows_read: int, accepted: MonthRows) -> None:
        """Look at the whole.

        Args:
            rows_read: How many rows the file has.
            accepted: Those that obey every rule.

        Raises:
            UndecidedError: It mixes intervals or symbols, or its times are local ones.
        """
        own = to_interval_text(self._grid.seconds)
        if rows_read >= MIN_CANDLES and self._off_grid > self._share * rows_read and not self._is_given:
            found = f"{self._source} holds candles of {own}, and {self._off_grid} of {rows_read} rows between them"
            hint = f"split the file; or, if it holds candles of {own}, {paste(self._source, {'interval': own})}"
            raise UndecidedError("series", found, "one interval a file", hint)
        if self._mixed is not None:
            raise self._mixed
        first_ms, last_ms = accepted.first_ms or 0, accepted.last_ms or 0
        skipped = find_skipped_hour(np.array(sorted(self._hour_gaps), np.int64), first_ms, last_ms)
        if skipped is not None:
            raise refuse_local(self._source, skipped, is_skipped=True)
        if self._ascends:
            return
        covered, repeats = [], []
        for month in accepted.months:
            rows = accepted.take([month]).sort("open_time", maintain_order=True)
            covered.append(count_covered(rows, self._grid.step_ms))
            repeats.append(find_repeats(rows))
        self._check_lengths(covered)
        twice = np.concatenate([np.empty(0, np.int64), *(each[0] for each in repeats)])
        if self._is_naive and twice.size:
            self._check_zone(twice, accepted)
        count, apart = (sum(each[place] for each in repeats) for place in (1, 2))
        if count > max(self._share * accepted.height, FEW):
            found = f"{self._source} holds two prices at one time in {count} of {accepted.height} rows"
            found = f"{found}, and {apart} of them are more than a tenth apart" if apart else found
            hint = "split the file by what tells its rows apart, such as a symbol, an exchange or a side of the market"
            raise UndecidedError("series", found, "candles of one series a file", hint)

    def _check_lengths(self, found: Sequence[tuple[int, int]]) -> None:
        """Check that no row is a candle that covers others of the file.

        Args:
            found: What `count_covered` returns of each month.

        Raises:
            UndecidedError: Some are.
        """
        covered, steps = max(found, default=(0, 0))
        if covered:
            own, other = (to_interval_text(length * self._grid.seconds) for length in (1, steps))
            times = f"{sum(count for count, _ in found)} times"
            problem = f"{self._source} holds a candle of {own} and one of {other} at the same {times}"
            raise UndecidedError("series", problem, "one interval a file", "split the file by interval")

    def _check_zone(self, twice: NDArray[np.int64], accepted: MonthRows) -> None:
        """Check that no hour of a night in which summer time ends stands twice.

        Raises:
            UndecidedError: One does: the times are local ones.
        """
        for month in np.unique(twice.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)).tolist():
            times = accepted.take([month])["open_time"].to_physical().to_numpy()
            doubled = find_doubled_hour(twice, times)
            if doubled is not None:
                raise refuse_local(self._source, doubled, is_skipped=False)


def find_repeats(rows: pl.DataFrame) -> tuple[NDArray[np.int64], int, int]:
    """Return the times at which rows have different opens, the number of such rows, and how many are far apart.

    Rows of one time with one open are states of one candle: the last one counts. Rows are far apart if their prices
    differ by more than a tenth.

    Args:
        rows: open_time, open, low and high, ordered by time.
    """
    times, opens, low, high = (rows[name].to_physical().to_numpy() for name in ("open_time", "open", "low", "high"))
    twice = (times[1:] == times[:-1]) & (opens[1:] != opens[:-1])
    apart = twice & ((low[1:] > 1.1 * high[:-1]) | (low[:-1] > 1.1 * high[1:]))
    return np.unique(times[1:][twice]), int(twice.sum()), int(apart.sum())
