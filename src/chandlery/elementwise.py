"""Exponentials and logarithms that treat every element of an array alike.

NumPy's round the last elements of an array differently from the others, so results would depend on where blocks are
cut.
"""

import math

import numpy as np

from chandlery.machine.jit import kernel

__all__ = ["exp_each", "log1p_each", "log_each"]


@kernel
def exp_each(values):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return e to each element of an array of one dimension."""
    out = np.empty_like(values)
    for i in range(values.size):
        out[i] = math.exp(values[i])
    return out


@kernel
def log_each(values):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the logarithm of each element of an array of one dimension; NaN of NaN."""
    out = np.empty_like(values)
    for i in range(values.size):
        out[i] = math.log(values[i])
    return out


@kernel
def log1p_each(values):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return log(1 + x) of each element of an array of one dimension."""
    out = np.empty_like(values)
    for i in range(values.size):
        out[i] = math.log1p(values[i])
    return out
