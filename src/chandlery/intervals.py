"""Conformal intervals: quantiles of the newest absolute residuals, from a rolling histogram.

Source:
    Vovk, Gammerman, Shafer (2005), Algorithmic Learning in a Random World, 2.3: the (n + 1)-corrected quantile.
"""

import numpy as np

from chandlery.jit import kernel

__all__ = ["BINS", "LEAST_RESIDUALS", "WINDOW", "add_residual", "quantile"]

WINDOW = 20_000
LEAST_RESIDUALS = 1_000
BINS = 4_096
WIDTH = 0.005  # of a bin, in units of sigma·√horizon; beyond 20 all fall into the last


@kernel
def add_residual(histogram, ring, counts, residual):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add an absolute residual and drop the one that is WINDOW older.

    Args:
        histogram: Residuals in each bin, int64 (BINS,), changed in place.
        ring: The bins of the newest residuals, int16 (WINDOW,), changed in place.
        counts: How many were ever added, int64 (1,), changed in place.
        residual: In units of sigma·√horizon, not negative.
    """
    place = counts[0] % WINDOW
    if counts[0] >= WINDOW:
        histogram[ring[place]] -= 1
    found = min(int(residual / WIDTH), BINS - 1)
    ring[place] = found
    histogram[found] += 1
    counts[0] += 1


@kernel
def quantile(histogram, counts, level):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the conformal quantile of the residuals held, linear within a bin; NaN below LEAST_RESIDUALS."""
    held = min(counts[0], WINDOW)
    if held < LEAST_RESIDUALS:
        return np.nan
    wanted = min(np.ceil(level * (held + 1)), held)
    below = 0
    for place in range(BINS):
        if below + histogram[place] >= wanted:
            return (place + (wanted - below) / histogram[place]) * WIDTH
        below += histogram[place]
    return BINS * WIDTH
