"""Whether a file holds candles of two lengths: the longer ones would replace shorter ones, or stand among them."""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["count_covered", "find_longer"]

LEAST_RUN = 8  # equal spacings in a row
UNLIKELY = 14.0  # logarithm of how many times rarer a run must be by chance than once in a file
WIDER = 1.2  # times the range of the other candles: one of two intervals has about 1.4 times the range
SAME = 1e-6  # of a price
LEAST_COVERED = 2


def find_longer(steps: NDArray[np.int64], measure_ranges: Callable[[], NDArray[np.float64]]) -> tuple[int, int] | None:
    """Return the first row and the spacing (in steps) of a stretch of candles that last longer than others do.

    In such a stretch the spacing is always the same, and more than one step, and prices move further within a candle.
    Where nothing was traded for a while, spacings differ; where a collector has left out every other candle, candles
    are no wider.

    Args:
        steps: The steps of rows in the order of the file, (n,).
        measure_ranges: Returns high less low, as a share of the close, (n,); called if they are needed.
    """
    apart = np.abs(steps[1:] - steps[:-1])
    if np.count_nonzero(apart > 1) < LEAST_RUN:
        return None
    starts = np.concatenate([[0], np.flatnonzero(np.diff(apart)) + 1])
    counts, spacings = np.diff(np.concatenate([starts, [apart.size]])), apart[starts]
    # Where a candle is missing by chance, a spacing of d steps has at most the probability 1 / (e · d).
    needed = np.maximum(LEAST_RUN, (np.log(apart.size) + UNLIKELY) / np.log(np.e * np.maximum(spacings, 2)))
    is_long = (spacings > 1) & (counts >= needed)
    if not is_long.any():
        return None
    inside = np.zeros(steps.size, np.bool_)
    for start, count in zip(starts[is_long], counts[is_long], strict=True):
        inside[start : start + count + 1] = True
    ranges = measure_ranges()
    others = ranges[~inside]
    if others.size < LEAST_RUN:
        return None
    usual = float(np.median(others))
    for start, count, spacing in zip(starts[is_long], counts[is_long], spacings[is_long], strict=True):
        if np.median(ranges[start : start + count + 1]) > WIDER * usual:
            return int(start), int(spacing)
    return None


def count_covered(rows: pl.DataFrame, step_ms: int) -> tuple[int, int]:
    """Return at how many times a file has a candle and one that covers it and those after it, and how many steps long.

    Both have the same open. The longer one has the close of the last candle that it covers.

    Args:
        rows: open_time, open and close, ordered by time.
        step_ms: The interval.
    """
    times, opens, closes = (rows[name].to_physical().to_numpy() for name in ("open_time", "open", "close"))
    twice = np.flatnonzero((times[1:] == times[:-1]) & (opens[1:] == opens[:-1]) & ~are_same(closes[1:], closes[:-1]))
    begun = np.unique(times[twice])
    if begun.size < LEAST_COVERED:
        return 0, 0
    steps = int(np.diff(begun).min()) // step_ms
    ends = np.searchsorted(times, times[twice] + (steps - 1) * step_ms)
    known = ends < times.size
    known[known] = times[ends[known]] == times[twice[known]] + (steps - 1) * step_ms
    if steps <= 1 or not known.any():
        return 0, 0
    twice, last = twice[known], closes[ends[known]]
    covered = are_same(closes[twice], last) != are_same(closes[twice + 1], last)
    count = int(covered.sum())
    return (count, steps) if count >= max(LEAST_COVERED, covered.size / 2) else (0, 0)


def are_same(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which prices are equal but for rounding."""
    return np.array(np.abs(one - other) <= SAME * np.abs(other))
