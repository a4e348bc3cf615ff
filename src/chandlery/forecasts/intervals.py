"""Conformal intervals: quantiles of recent absolute residuals, from a histogram whose counts decay.

Source:
    Vovk, Gammerman, Shafer (2005), Algorithmic Learning in a Random World, 2.3: the (n + 1)-corrected quantile.
    Barber, Candès, Ramdas, Tibshirani (2023), Conformal prediction beyond exchangeability: weights that fade with age.
"""

import numpy as np

from chandlery.machine.jit import kernel

__all__ = ["BINS", "LEAST_RESIDUALS", "add_residual", "fade_residuals", "quantile"]

HALF_LIFE_DAYS = 3.0
HALF_LIFE_STEPS = 1_000.0  # the half-life is at least so many steps: three days of long candles are too few residuals
LEAST_RESIDUALS = 1_000  # before so many, quantiles in the tails are too uncertain to publish
BINS = 4_096
WIDTH = 0.005  # of a bin, in units of sigma·√horizon; residuals beyond 4,096 · 0.005 ≈ 20 fall into the last bin


@kernel
def fade_residuals(histogram, days, step_days):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Decay the weights of residuals over some days.

    Args:
        histogram: The weight of the residuals in each bin, float64 (BINS,), changed in place.
        days: How many days have passed.
        step_days: Length of a step in days.
    """
    histogram *= 0.5 ** (days / max(HALF_LIFE_DAYS, HALF_LIFE_STEPS * step_days))


@kernel
def add_residual(histogram, count, residual):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add an absolute residual, in units of sigma·√horizon, and raise `count`, (1,), by one."""
    histogram[min(int(residual / WIDTH), BINS - 1)] += 1.0
    count[0] += 1


@kernel
def quantile(histogram, count, level):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the conformal quantile of the residuals, interpolated within a bin; NaN before LEAST_RESIDUALS."""
    if count[0] < LEAST_RESIDUALS:
        return np.nan
    total = histogram.sum()
    wanted = min(level * (total + 1.0), total)
    below = 0.0
    for place in range(BINS):
        if histogram[place] > 0.0 and below + histogram[place] >= wanted:
            return (place + (wanted - below) / histogram[place]) * WIDTH
        below += histogram[place]
    return BINS * WIDTH
