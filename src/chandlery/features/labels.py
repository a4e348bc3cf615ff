"""Targets: the close at a horizon, where it is known and no gap lies between."""

import numpy as np

from chandlery.elementwise import log_each
from chandlery.grid import Floats, Ints
from chandlery.machine.jit import kernel

__all__ = ["TARGET_LIMIT", "label", "normalise"]

TARGET_LIMIT = 4.0  # in units of σ·√horizon: a squared loss is led by extreme rows


@kernel
def label(step: Ints, close: Floats, horizon: int, barriers: Ints) -> Floats:
    """Return the last traded close at or before each row's target time.

    Reads:
        Steps of all candles, ascending, and their closes.

    Returns:
        float64 (n,); NaN until the symbol's own newest candle closes at or after the target, and where a
        barrier lies in (issue, target].

    Args:
        step: Step of each candle; it is issued at step + 1.
        close: Close of each candle.
        horizon: In steps.
        barriers: Missing steps of outages, holes and unknown gaps: start, stop, ascending, (k, 2).
    """
    actual = np.full(step.size, np.nan)
    last = 0
    barrier = 0
    for i in range(step.size):
        target = step[i] + horizon
        if step[-1] < target:
            break
        while last + 1 < step.size and step[last + 1] <= target:
            last += 1
        while barrier < barriers.shape[0] and barriers[barrier, 1] <= step[i]:
            barrier += 1
        if barrier < barriers.shape[0] and barriers[barrier, 0] <= target:
            continue
        actual[i] = close[last]
    return actual


def normalise(actual: Floats, close: Floats, sigma: Floats, horizon: int) -> Floats:
    """Return log(actual / close) in units of sigma·√horizon, clipped at ±4; NaN where actual is."""
    return np.clip(log_each(actual / close) / (sigma * np.sqrt(horizon)), -TARGET_LIMIT, TARGET_LIMIT)
