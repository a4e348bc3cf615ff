"""The interval of a file's candles, and the signs that a file is not one series of candles."""

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import SourceError

__all__ = ["MIN_CANDLES", "check_one_interval", "check_one_symbol", "find_interval"]

MIN_CANDLES = 100
MINUTE_MS = 60_000
STANDARD = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 120, 180, 240, 360, 480, 720, 1440, 10_080)
BLOCK = 500
SAMPLE = 50_000
NEARLY_ALL = 0.9


def find_interval(times: NDArray[np.int64]) -> int:
    """Return the interval in minutes: the commonest spacing; where that does not fit the times, or they are few, the widest usual one that does; 0 where nothing tells.

    Args:
        times: Milliseconds, in any order.

    Example:
        >>> find_interval(np.arange(200) * 1_800_000)
        30
    """
    times = times[:SAMPLE]
    times = np.unique(times[times % MINUTE_MS == 0]) // MINUTE_MS
    if len(times) < 2:  # noqa: PLR2004 - a spacing needs two
        return 0
    spacings, counts = np.unique(np.diff(times), return_counts=True)
    commonest = int(spacings[np.argmax(counts)])
    if len(times) >= MIN_CANDLES and (times % commonest == 0).mean() > NEARLY_ALL:
        return commonest
    return max(minutes for minutes in STANDARD if minutes == 1 or (minutes <= commonest and (times % minutes == 0).mean() > NEARLY_ALL))


def check_one_interval(times: NDArray[np.int64], interval_minutes: int, source: str) -> None:
    """Make sure that no stretch of the file holds candles of another interval.

    Raises:
        SourceError: In some stretch of 500 rows nearly every time is a multiple of a longer interval.
    """
    steps = times // (interval_minutes * MINUTE_MS)
    for factor in (2, 3, 5):
        running = np.concatenate([[0], np.cumsum(steps % factor == 0)])
        aligned = running[BLOCK:] - running[:-BLOCK]
        if (aligned > 0.95 * BLOCK).any():  # by chance, half of them would be
            place = int(np.argmax(aligned > 0.95 * BLOCK))
            spacing = int(np.median(np.abs(np.diff(steps[place : place + BLOCK])))) * interval_minutes
            raise SourceError(
                f"{source} mixes candles of {interval_minutes}m with candles of {spacing}m from about row {place + 1}",
                "one interval a file",
                f'split the file, or set [[source.layout]] files = "{source}", interval = "{interval_minutes}m" if that is what it holds',
            )


def check_one_symbol(times: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64], limits: tuple[float, str]) -> None:
    """Make sure that candles of the same time do not come from two different markets.

    Args:
        times: Milliseconds, of accepted rows.
        low: Their lows.
        high: Their highs.
        limits: The share of rows that may be refused, and the file's name.

    Raises:
        SourceError: More than that share of the times come twice, and most of those with prices a tenth apart.
    """
    share, source = limits
    if len(times) == 0 or (np.diff(times) > 0).all():
        return
    order = np.argsort(times, kind="stable")
    times, low, high = times[order], low[order], high[order]
    twice = times[1:] == times[:-1]
    apart = twice & ((low[1:] > 1.1 * high[:-1]) | (low[:-1] > 1.1 * high[1:]))
    if twice.sum() > share * len(times) and 2 * apart.sum() > twice.sum():
        raise SourceError(
            f"{source} holds two prices at {int(twice.sum())} of {len(times)} times, and {int(apart.sum())} of them are more than a tenth apart",
            "candles of one symbol a file",
            "split the file by symbol",
        )
