"""Candles laid out on the clock: a column for every step, whether something was traded in it or not."""

import numpy as np

from chandlery.grid import CLOSE, DENSE_ROWS, TRADED, VOLUME, Floats, Ints
from chandlery.machine.jit import kernel

__all__ = ["fill_dense"]


@kernel
def fill_dense(history: Floats, start: int, stop: int, step: Ints, prices: Floats) -> Floats:  # pragma: no cover
    """Return open, high, low, close, volume, traded of every step, after as many steps of history, (6, h + n).

    A step without a trade has the last close as all its prices, no volume, and 0 for traded; NaN before the first.
    """
    lookback = history.shape[1]
    dense = np.empty((DENSE_ROWS, lookback + stop - start))
    # Written out: an assignment between slices compiles the text of an error for shapes that differ, for seconds.
    for row in range(DENSE_ROWS):
        for i in range(lookback):
            dense[row, i] = history[row, i]
    place = 0
    close = history[CLOSE, lookback - 1]
    for t in range(stop - start):
        i = lookback + t
        if place < step.size and step[place] == start + t:
            for row in range(TRADED):
                dense[row, i] = prices[row, place]
            dense[TRADED, i] = 1.0
            close = prices[CLOSE, place]
            place += 1
        else:
            dense[:VOLUME, i] = close
            dense[VOLUME:, i] = 0.0
    return dense
