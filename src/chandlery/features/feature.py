"""What a feature is, and what a user-defined one is computed from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from chandlery.grid import Floats

__all__ = ["Bars", "Feature", "UserFeature", "name_window", "number_columns"]


@dataclass(frozen=True)
class Feature:
    """What a feature is.

    Args:
        name: Its recipe in short: group, signal, window in steps.
        unit: σ for values in units of the pair's volatility, 1 for a plain number, log for a logarithm.
        window: The steps that it is computed from.
        recipe: The formula.
    """

    name: str
    unit: str
    window: str
    recipe: str


def name_window(steps: int) -> str:
    """Return the window of the last steps.

    Example:
        >>> name_window(10)
        '(t − 10, t]'
    """
    return f"(t − {steps}, t]"


def number_columns(features: Iterable[Feature]) -> dict[str, int]:
    """Return the column of each feature of a group, by name.

    Kernels address columns by ints that are looked up here once, when the module is imported: so the order of a group
    stands in its declarations alone, and Numba compiles the ints in as constants.
    """
    return {feature.name: column for column, feature in enumerate(features)}


@dataclass(frozen=True)
class Bars:
    """Candles on every step of the clock: the input of a user-defined feature.

    Args:
        open: float64 (n,); where nothing traded, the last close; NaN before the first candle.
        high: Likewise.
        low: Likewise.
        close: Likewise.
        volume: 0 where nothing traded.
        traded: Whether the step has a candle.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    traded: np.ndarray


@dataclass(frozen=True)
class UserFeature:
    """A user-defined feature.

    Args:
        feature: What it is.
        lookback: How many steps of history it needs before the first step of a block.
        compute: Returns from bars an array of the same length, one value for each step.
    """

    feature: Feature
    lookback: int
    compute: Callable[[Bars], Floats]
