"""The interval of a file's candles, by how its times are spaced."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_CANDLES", "find_interval"]

MIN_CANDLES = 100
SECOND_MS, MINUTE_MS = 1_000, 60_000
STANDARD = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 120, 180, 240, 360, 480, 720, 1440, 10_080)  # minutes
SAMPLE = 50_000
NEARLY_ALL = 0.9


def find_interval(times: NDArray[np.int64]) -> int:
    """Return the interval in seconds: the commonest spacing; where that does not fit the times, or they are few, the widest usual one that does; 0 where nothing tells.

    Intervals that are no whole minutes are only believed where many times are none.

    Args:
        times: Milliseconds, in any order.

    Example:
        >>> find_interval(np.arange(200) * 1_800_000), find_interval(np.arange(200) * 1_000)
        (1800, 1)
    """
    times = times[:SAMPLE]
    if len(times) >= MIN_CANDLES and (times % MINUTE_MS == 0).mean() < NEARLY_ALL:
        seconds = np.unique(times[times % SECOND_MS == 0]) // SECOND_MS
        if len(seconds) > NEARLY_ALL * len(np.unique(times)) and (seconds % (commonest := find_commonest(seconds)) == 0).mean() > NEARLY_ALL:
            return commonest
    times = np.unique(times[times % MINUTE_MS == 0]) // MINUTE_MS
    if len(times) < 2:  # noqa: PLR2004 - a spacing needs two
        return 0
    commonest = find_commonest(times)
    if len(times) >= MIN_CANDLES and (times % commonest == 0).mean() > NEARLY_ALL:
        return 60 * commonest
    return 60 * max(minutes for minutes in STANDARD if minutes == 1 or (minutes <= commonest and (times % minutes == 0).mean() > NEARLY_ALL))


def find_commonest(times: NDArray[np.int64]) -> int:
    """Return the commonest spacing of ascending times; of several, the shortest."""
    spacings, counts = np.unique(np.diff(times), return_counts=True)
    return int(spacings[np.argmax(counts)])
