"""Arithmetic and constants that the passes over a symbol and over its references share.

The signals of a symbol and of its references are compared with each other, so both are in units of a volatility that is
computed in the same way.
"""

import numpy as np

from chandlery.machine.jit import kernel

__all__ = [
    "CLIP",
    "DAY_HALF_LIFE",
    "FAST_FLOOR",
    "FAST_HALF_LIFE",
    "HALF_LIFE",
    "LEAST_VOLUME",
    "MOVE_LIMIT",
    "SIGMA_FLOOR",
    "START_VARIANCE",
    "clip",
    "decay",
    "signed_log",
    "window_sum",
]

# Half-lives, in steps.
HALF_LIFE = 240.0  # of the volatility σ
FAST_HALF_LIFE = 30.0  # of the volatility that is compared with σ
DAY_HALF_LIFE = 1440.0  # of the mean volume, and of the slow mean of the log close: a day of minutes

# These hold for steps of one minute; for others they are multiplied by √minutes, a variance by minutes.
MOVE_LIMIT = 0.05  # one wrong price must not raise σ for hours
SIGMA_FLOOR = 1e-4  # σ is a divisor, and some prices stand still
FAST_FLOOR = 1e-5
START_VARIANCE = 1e-6  # before the first move

LEAST_VOLUME = 1e-12  # the mean volume is a divisor too
CLIP = 8.0  # in units of σ: so a few extreme rows do not decide a fit


@kernel
def clip(value: float, limit: float) -> float:  # pragma: no cover
    """Return a value within ±limit."""
    return min(max(value, -limit), limit)


@kernel
def decay(half_life: float) -> float:  # pragma: no cover
    """Return what is left of an exponential mean after one step."""
    return 0.5 ** (1.0 / half_life)


@kernel
def signed_log(value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return sign(value)·log(1 + |value|)."""
    return np.sign(value) * np.log(1.0 + abs(value))  # to 1e-16 of 1, and three times as fast as log1p


@kernel
def window_sum(values, i, k):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the sum over (i − k, i], oldest first."""
    total = 0.0
    for j in range(i - k + 1, i + 1):
        total += values[j]
    return total
