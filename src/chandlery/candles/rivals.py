"""Whether two files of one symbol can be of one series, or hold the prices of different markets.

Files of one series agree on nearly every candle that both have: a later download corrects a few. Files of two
exchanges, or of a spot market and a future, differ in nearly all of them, though their names may say the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.sources.rows import MonthRows

__all__ = ["Comparison", "compare_files"]

MIN_COMMON = 10  # candles: of fewer ones nothing can be said
MOST_DIFFERENT = 0.5  # of the common candles: corrections concern far fewer, another market nearly all
MOST_DECIMALS = 12  # of a price
PLACE_BITS = 32  # two places of files in one number
ROUNDING = 1e-9  # of floats of 64 bits, relative to a price
SAME = 1e-6  # likewise: prices that have been floats of 32 bits are as near, those of two markets hardly ever


@dataclass(frozen=True)
class Comparison:
    """Two files that have candles in common.

    Args:
        sources: The files.
        common: How many candles both have.
        different: How many of them have another close.
        open_time: Of the first of these, in ms; of the first candle if there is none.
        closes: What each file has for it.
    """

    sources: tuple[str, str]
    common: int
    different: int
    open_time: int
    closes: tuple[float, float]

    @property
    def is_contest(self) -> bool:
        """Whether they differ in most of these candles."""
        return self.different > MOST_DIFFERENT * self.common


@dataclass
class _Common:
    """The candles that two files have in common, some at a time."""

    times: list[NDArray[np.int64]]
    closes: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]


def compare_files(files: Mapping[str, MonthRows]) -> list[Comparison]:
    """Return the pairs of files that have enough candles in common to tell whether they are of one series.

    Of several files that have a candle, each is compared with the first one.

    Args:
        files: The accepted rows of the files of one symbol, by source: open_time and close. Those that are known to be
            of the series come first.
    """
    names = list(files)
    common: dict[tuple[int, int], _Common] = {}
    for month, places in _list_shared(files, names).items():
        parts = [files[names[place]].take([month]).select("open_time", "close") for place in places]
        frame = pl.concat([part.with_columns(file=pl.lit(place)) for place, part in zip(places, parts, strict=True)])
        _compare(frame, common)
    judged = (_judge((names[one], names[other]), each) for (one, other), each in sorted(common.items()))
    return [each for each in judged if each is not None]


def _list_shared(files: Mapping[str, MonthRows], names: Sequence[str]) -> dict[int, list[int]]:
    """Return the months in which the times of several files overlap, with the places of these files."""
    spans = sorted(
        (rows.first_ms, rows.last_ms, place)
        for place, rows in enumerate(files[name] for name in names)
        if rows.first_ms is not None and rows.last_ms is not None
    )
    overlapping: set[int] = set()
    reach, widest = None, -1
    for first, last, place in spans:
        if reach is not None and first <= reach:
            overlapping |= {place, widest}
        if reach is None or last > reach:
            reach, widest = last, place
    shared: dict[int, list[int]] = {}
    for place in sorted(overlapping):
        for month in files[names[place]].months:
            shared.setdefault(month, []).append(place)
    return {month: places for month, places in shared.items() if len(places) > 1}


def _compare(frame: pl.DataFrame, common: dict[tuple[int, int], _Common]) -> None:
    """Add the candles that files have in common.

    Args:
        frame: open_time, close and file, in the order of the files; of equal times in one file the last one counts.
        common: To add to, by the places of two files.
    """
    frame = frame.sort("open_time", "file", maintain_order=True)
    times, place = frame["open_time"].to_physical().to_numpy(), frame["file"].to_numpy()
    close = frame["close"].to_numpy()
    last = np.append((times[1:] != times[:-1]) | (place[1:] != place[:-1]), True)
    times, place, close = times[last], place[last], close[last]
    begins = np.append(True, times[1:] != times[:-1])
    other = np.flatnonzero(~begins)
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1][other]
    pairs = place[first].astype(np.int64) << PLACE_BITS | place[other]
    for pair in np.unique(pairs).tolist():
        is_pair = pairs == pair
        each = common.setdefault(divmod(pair, 1 << PLACE_BITS), _Common([], ([], [])))
        each.times.append(times[first[is_pair]])
        each.closes[0].append(close[first[is_pair]])
        each.closes[1].append(close[other[is_pair]])


def _judge(sources: tuple[str, str], common: _Common) -> Comparison | None:
    """Return in how many of their common candles two files differ; None if these are too few."""
    one, other = (np.concatenate(closes) for closes in common.closes)
    if one.size < MIN_COMMON:
        return None
    unit = 10.0 ** -min(count_decimals(one), count_decimals(other))  # of two files, one may be rounded
    apart = np.abs(one - other)
    differs = apart > np.maximum(unit / 2 * (1 + ROUNDING), np.abs(one) * SAME)
    place = int(np.argmax(differs))
    time = int(np.concatenate(common.times)[place])
    return Comparison(sources, one.size, int(differs.sum()), time, (float(one[place]), float(other[place])))


def count_decimals(prices: NDArray[np.float64]) -> int:
    """Return how many decimals prices have, as far as a float tells.

    Example:
        >>> count_decimals(np.array([3.25, 4.0])), count_decimals(np.array([1 / 3]))
        (2, 9)
    """
    for decimals in range(MOST_DECIMALS):
        scaled = prices * 10.0**decimals
        if (np.abs(scaled - np.round(scaled)) <= np.maximum(np.abs(scaled) * ROUNDING, ROUNDING)).all():
            return decimals
    return MOST_DECIMALS
