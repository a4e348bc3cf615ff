"""Rows to serve whose predictions know nothing of what comes, of several kinds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chandlery.forecasts.blend import ServedRows, serve, start_served

Floats = NDArray[np.float64]
START_MS = 1_546_300_800_000
WARM_UP_DAYS = 30  # not counted: a record of a few days says little
LOUDNESS = 0.1  # standard deviation of predictions, in units of sigma·√horizon: a skill of 1 % would need as much
DRIFT = 0.002  # a step, in units of its volatility: much more, and the past move would know something
PREDICTED: dict[str, Callable[["Series", np.random.Generator], list[Floats]]] = {
    "as slow as its target": lambda series, random: [slow(series, random, series.steps)],
    "five times as slow": lambda series, random: [slow(series, random, 5 * series.steps)],
    "fast": lambda series, random: [slow(series, random, 1)],
    "quiet": lambda series, random: [0.2 * slow(series, random, series.steps)],
    "the past move": lambda series, _: [LOUDNESS * series.past],
    "constant": lambda series, _: [np.full(series.past.size, LOUDNESS / 2)],
    "three models": lambda series, random: [slow(series, random, width) for width in (series.steps, series.steps, 1)],
}


@dataclass(frozen=True)
class Noise:
    """A kind of noise.

    Args:
        predicted: Which of PREDICTED.
        steps: The horizon.
        minutes: Length of a step.
        days: Length of a series.
        is_wild: Whether volatility changes from day to day, returns have fat tails and prices drift upwards.
    """

    predicted: str
    steps: int
    minutes: int = 1
    days: int = 120
    is_wild: bool = False

    def __str__(self) -> str:
        prices = ", volatility that changes, fat tails and a drift" if self.is_wild else ""
        return f"{self.predicted}, {self.steps} x {self.minutes}m{prices}"


@dataclass(frozen=True)
class Series:
    """Prices without memory.

    Args:
        steps: The horizon.
        past: Moves over the horizon that ends at each row, in units of sigma·√horizon, (n,).
        realised: Those over the horizon that begins there, (n,).
        sigma: Volatility of one step, as estimated from the last 60 or more, (n,).
    """

    steps: int
    past: Floats
    realised: Floats
    sigma: Floats


def make_series(noise: Noise, random: np.random.Generator) -> Series:
    rows, steps = noise.days * 1440 // noise.minutes, noise.steps
    seen = max(60, steps)  # steps before the first row
    count = seen + rows + steps
    returns = random.standard_normal(count)
    if noise.is_wild:
        day = np.arange(count) * noise.minutes // 1440
        volatility = np.exp(0.7 * random.standard_normal(day[-1] + 1))[day]
        returns = volatility * random.standard_t(4, count) / np.sqrt(2.0) + DRIFT
    at = seen + np.arange(rows)
    squares = np.concatenate([[0.0], np.cumsum(returns**2)])
    sigma = np.sqrt((squares[at] - squares[at - 60]) / 60) if noise.is_wild else np.ones(rows)
    price = np.concatenate([[0.0], np.cumsum(returns)])
    scale = sigma * np.sqrt(steps)
    return Series(steps, (price[at] - price[at - steps]) / scale, (price[at + steps] - price[at]) / scale, 1e-3 * sigma)


def slow(series: Series, random: np.random.Generator, width: int) -> Floats:
    """Return a moving average of white noise."""
    sums = np.cumsum(random.standard_normal(series.past.size + width))
    return LOUDNESS * (sums[width:] - sums[:-width]) / np.sqrt(width)


def make_rows(noise: Noise, random: np.random.Generator) -> ServedRows:
    series = make_series(noise, random)
    predictions = np.column_stack(PREDICTED[noise.predicted](series, random)).astype(np.float32)
    issued = START_MS + np.arange(1, series.past.size + 1) * noise.minutes * 60_000
    target = issued + noise.steps * noise.minutes * 60_000
    return ServedRows(issued, target, predictions, series.realised, series.sigma, noise.steps)


def share_served(noise: Noise, series: int, seed: int = 1) -> float:
    """Return the share of rows after the warm-up on which the blend is served, over so many series."""
    random = np.random.default_rng(seed)
    shares = []
    for _ in range(series):
        rows = make_rows(noise, random)
        served, _ = serve(start_served(rows.predictions.shape[1]), rows)
        counted = rows.issued > START_MS + WARM_UP_DAYS * 86_400_000
        shares.append(float(np.mean(served.served_by[counted] >= 0)))
    return float(np.mean(shares))
