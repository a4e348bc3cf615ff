"""Conformal intervals: quantiles of the newest absolute residuals, from a histogram that fades.

Source:
    Vovk, Gammerman, Shafer (2005), Algorithmic Learning in a Random World, 2.3: the (n + 1)-corrected quantile.
    Barber, Candès, Ramdas, Tibshirani (2023), Conformal prediction beyond exchangeability: weights that fade with age.
"""

import numpy as np

from chandlery.machine.jit import kernel

__all__ = ["BINS", "LEAST_RESIDUALS", "add_residual", "fade_residuals", "quantile"]

HALF_LIFE_DAYS = 3.0
HALF_LIFE_STEPS = 1_000.0  # at least: of long intervals three days are too few
LEAST_RESIDUALS = 1_000
BINS = 4_096
WIDTH = 0.005  # of a bin, in units of sigma·√horizon; beyond 20 all fall into the last


@kernel
def fade_residuals(histogram, days, step_days):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let residuals fade over so many days.

    Args:
        histogram: What is left of the residuals in each bin, float64 (BINS,), changed in place.
        days: How many.
        step_days: Length of a step.
    """
    histogram *= 0.5 ** (days / max(HALF_LIFE_DAYS, HALF_LIFE_STEPS * step_days))


@kernel
def add_residual(histogram, count, residual):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add an absolute residual, in units of sigma·√horizon; count, (1,), says how many were ever added."""
    histogram[min(int(residual / WIDTH), BINS - 1)] += 1.0
    count[0] += 1


@kernel
def quantile(histogram, count, level):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the conformal quantile of the residuals held, linear within a bin; NaN before there were LEAST_RESIDUALS."""
    if count[0] < LEAST_RESIDUALS:
        return np.nan
    held = histogram.sum()
    wanted = min(level * (held + 1.0), held)
    below = 0.0
    for place in range(BINS):
        if histogram[place] > 0.0 and below + histogram[place] >= wanted:
            return (place + (wanted - below) / histogram[place]) * WIDTH
        below += histogram[place]
    return BINS * WIDTH
