"""What two columns of numbers are of each other: a turnover and its volume, contracts and coins, or nothing."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_ROWS", "ROUNDING", "STEADY", "Numbers", "find_relation", "is_turnover"]

LEAST_ROWS = 5  # with a trade: of fewer rows a ratio may fit by chance
ROUNDING = 2e-3  # of a ratio, by the digits of both volumes
STEADY = 0.02  # the spread of a factor that is constant
VARIED = 0.1  # the least spread of volumes by which a factor can be seen
Numbers = NDArray[np.float64]


def is_turnover(quote: Numbers, base: Numbers, low: Numbers, high: Numbers) -> bool:
    """Return whether a column, divided by a volume, is a price of the candle in most rows.

    Args:
        quote: The column.
        base: The volume.
        low: The low of each candle.
        high: The high.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = quote / base
    fits = (ratio >= low * (1 - ROUNDING)) & (ratio <= high * (1 + ROUNDING))
    return bool(2 * fits.sum() > ((base > 0) & (quote > 0)).sum())


def find_relation(volume: Numbers, other: Numbers, close: Numbers) -> tuple[str, float] | None:
    """Return what one column is of another, and the constant; None if nothing holds in most rows.

    `turnover`: volume times price times the constant. `base`: volume divided by price and by the constant, as the
    coins of inverse contracts are. `multiple`: volume times the constant.
    """
    traded = (volume > 0) & (other > 0) & (close > 0) & np.isfinite(volume * other * close)
    if traded.sum() < LEAST_ROWS:
        return None
    volumes, others, prices = (np.log(values[traded]) for values in (volume, other, close))
    factors = {
        "multiple": others - volumes,
        "turnover": others - volumes - prices,
        "base": volumes - others - prices,
    }
    spreads = {kind: measure_spread(values) for kind, values in factors.items()}
    kind = min(spreads, key=lambda each: spreads[each])
    if spreads[kind] >= STEADY or measure_spread(volumes) < VARIED:
        return None
    return kind, float(np.exp(np.median(factors[kind])))


def measure_spread(values: Numbers) -> float:
    """Return how far values lie from their median, in the median."""
    return float(np.median(np.abs(values - np.median(values))))
