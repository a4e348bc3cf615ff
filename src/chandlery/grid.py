"""The clock of a lake: steps of one interval, counted from 1970, and candles laid out on them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = [
    "CLOSE",
    "DAY_MINUTES",
    "DAY_MS",
    "DAY_SECONDS",
    "DENSE_ROWS",
    "HIGH",
    "HOUR_SECONDS",
    "LOW",
    "MINUTE_MS",
    "MINUTE_SECONDS",
    "OPEN",
    "TRADED",
    "VOLUME",
    "CandleArrays",
    "CandleBlock",
    "Floats",
    "Grid",
    "Ints",
    "Singles",
    "Traded",
    "cut_year",
    "to_arrays",
    "year_edges",
    "year_of",
]

MINUTE_SECONDS = 60
HOUR_SECONDS = 60 * MINUTE_SECONDS
DAY_SECONDS = 24 * HOUR_SECONDS
DAY_MINUTES = DAY_SECONDS // MINUTE_SECONDS
MINUTE_MS = 1_000 * MINUTE_SECONDS
DAY_MS = 1_000 * DAY_SECONDS
PRICES = ("open", "high", "low", "close", "volume")  # the rows of arrays of candles
OPEN, HIGH, LOW, CLOSE, VOLUME = range(len(PRICES))
TRADED = len(PRICES)  # the row of dense candles that says whether a step has a candle
DENSE_ROWS = len(PRICES) + 1
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Whole = TypeVar("Whole", int, Ints)


@dataclass(frozen=True)
class Grid:
    """The moments at which the candles of a lake open: one every `seconds`, from `offset` seconds after 1970 on.

    Step s opens at offset + s · seconds and closes when step s + 1 opens; a candle is known when it closes. A step
    need not lie within one UTC day: a candle of a week lies in seven of them. Whatever is cut at midnights therefore
    goes by the close: the steps before a midnight are those that have closed by then, and the day of a step is the
    UTC day in which it closes, where a close at midnight belongs to the day that ends.

    Args:
        seconds: Length of a step.
        offset: Seconds after 1970-01-01 00:00 UTC at which a step opens, less than `seconds`. 1970 began on a
            Thursday: weeks that open on Monday have an offset of 4 days, 345,600.

    Example:
        >>> mondays = Grid(604_800, 345_600)
        >>> np.datetime64(mondays.open_ms(2556), "ms").item().strftime("%a %Y-%m-%d")
        'Mon 2018-12-31'
        >>> mondays.step_at(17_897), mondays.step_at(17_903), mondays.step_at(17_904)  # 2019-01-01, 01-07 and 01-08
        (2556, 2557, 2557)
    """

    seconds: int
    offset: int = 0

    @property
    def step_ms(self) -> int:
        """Length of a step in milliseconds."""
        return self.seconds * 1_000

    @property
    def minutes(self) -> float:
        """Length of a step in minutes; a whole number where the interval is one."""
        return self.seconds / MINUTE_SECONDS

    def steps_of(self, ms: Whole) -> Whole:
        """Return the steps that contain moments."""
        return (ms - self.offset * 1_000) // self.step_ms

    def first_at(self, ms: int) -> int:
        """Return the first step that opens at a moment or later."""
        return -((self.offset * 1_000 - ms) // self.step_ms)

    def open_ms(self, step: Whole) -> Whole:
        """Return when steps open."""
        return step * self.step_ms + self.offset * 1_000

    def close_ms(self, step: Whole) -> Whole:
        """Return when steps close, which is when their candles are known."""
        return step * self.step_ms + (self.offset + self.seconds) * 1_000

    def step_at(self, day: int) -> int:
        """Return the first step that has not closed yet at the midnight that begins a UTC day."""
        return self.steps_of(day * DAY_MS)

    def days_of(self, step: Whole) -> Whole:
        """Return the UTC days, counted from 1970, in which steps close; step_at(day) is the first step of a day."""
        return (self.close_ms(step) - 1) // DAY_MS

    def count(self, minutes: int) -> int:
        """Return the number of steps in some minutes; each horizon is a whole number of steps."""
        return minutes * MINUTE_SECONDS // self.seconds


@dataclass(frozen=True)
class CandleBlock:
    """One symbol's traded candles of some steps.

    Args:
        start: First step.
        stop: Step after the last.
        step: Steps that have a candle, ascending, int64 (n,); a candle at step s is known at s + 1.
        prices: open, high, low, close, volume of each, float64 (5, n).
    """

    start: int
    stop: int
    step: Ints
    prices: Floats


@dataclass(frozen=True)
class CandleArrays:
    """One symbol's candles as arrays, in the order of time.

    Args:
        step: Steps that have a candle, ascending, int64 (n,).
        prices: open, high, low, close, volume of each, float64 (5, n).
    """

    step: Ints
    prices: Floats

    @property
    def close(self) -> Floats:
        """Closes, (n,)."""
        close: Floats = self.prices[CLOSE]
        return close

    def cut(self, start: int, stop: int) -> CandleBlock:
        """Return the candles of steps [start, stop)."""
        first, last = np.searchsorted(self.step, [start, stop])
        return CandleBlock(start, stop, self.step[first:last], self.prices[:, first:last])


def to_arrays(candles: pl.DataFrame, grid: Grid) -> CandleArrays:
    """Return a frame of candles as arrays.

    Reads:
        open_time, open, high, low, close, volume; ascending.
    """
    step, prices = np.empty(candles.height, np.int64), np.empty((len(PRICES), candles.height))
    _fill(step, candles["open_time"].dt.epoch("ms"))
    step -= grid.offset * 1_000  # in place: these arrays have millions of elements
    step //= grid.step_ms
    for place, name in enumerate(PRICES):
        _fill(prices[place], candles[name])
    return CandleArrays(step, prices)


def _fill(out: NDArray[Any], series: pl.Series) -> None:
    """Copy a series into an array chunk by chunk: joining the chunks first would need the memory twice."""
    first = 0
    for piece in series.get_chunks():
        out[first : first + len(piece)] = piece.to_numpy()
        first += len(piece)


def year_of(ms: int) -> int:
    """Return the calendar year of a moment.

    Example:
        >>> year_of(1_577_836_800_000)
        2020
    """
    return 1970 + int(np.datetime64(ms, "ms").astype("datetime64[Y]").astype(int))


def year_edges(year: int) -> tuple[int, int]:
    """Return the first moment of a calendar year, and of the next.

    Example:
        >>> year_edges(1970)
        (0, 31536000000)
    """
    first, last = np.array([f"{year}-01-01", f"{year + 1}-01-01"], "datetime64[ms]").astype(np.int64).tolist()
    return first, last


def cut_year(times: Ints, year: int) -> slice:
    """Return where a calendar year stands among ascending moments."""
    first, last = np.searchsorted(times, year_edges(year))
    return slice(int(first), int(last))


@dataclass(frozen=True)
class Traded:
    """The steps at which one symbol has a candle.

    Args:
        start: The first step with a candle.
        flags: Whether each step from the first to the last with a candle has one, bool (n,); empty without any candle.
    """

    start: int
    flags: NDArray[np.bool_]

    @classmethod
    def of(cls, steps: Ints) -> "Traded":
        """Return the flags of steps with a candle, in any order."""
        if steps.size == 0:
            return cls(0, np.empty(0, np.bool_))
        first = int(steps.min())
        flags = np.zeros(int(steps.max()) - first + 1, np.bool_)
        flags[steps - first] = True
        return cls(first, flags)

    @classmethod
    def join(cls, parts: Iterable["Traded"]) -> "Traded":
        """Return the union of several."""
        filled = [part for part in parts if part.flags.size]
        if not filled:
            return cls(0, np.empty(0, np.bool_))
        start, stop = min(part.start for part in filled), max(part.start + part.flags.size for part in filled)
        flags = np.zeros(stop - start, np.bool_)
        for part in filled:
            flags[part.start - start : part.start - start + part.flags.size] |= part.flags
        return cls(start, flags)

    def without(self, start: int, stop: int) -> "Traded":
        """Return the flags without the candles of steps [start, stop)."""
        flags = self.flags.copy()
        flags[max(start - self.start, 0) : max(stop - self.start, 0)] = False
        if not flags.any():
            return Traded(0, np.empty(0, np.bool_))
        first = int(flags.argmax())
        return Traded(self.start + first, flags[first : flags.size - int(flags[::-1].argmax())])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the flags as named arrays, one bit for each step."""
        flags = np.packbits(self.flags)
        return {"first_step": np.array(self.start), "count": np.array(self.flags.size), "traded": flags}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "Traded":
        """Return the flags from their arrays."""
        return cls(
            int(arrays["first_step"]), np.unpackbits(arrays["traded"], count=int(arrays["count"])).view(np.bool_)
        )
