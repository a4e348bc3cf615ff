"""Rough costs in CPU seconds: for plans, for the order of tasks, and for the decision to start processes."""

from chandlery.grid import DAY_MS, DAY_SECONDS, Grid
from chandlery.lake.lake_file import Series
from chandlery.lake.store import Store
from chandlery.state.records import SeriesSummary

__all__ = [
    "FIT_SECONDS",
    "RECOGNISE_SECONDS",
    "describe_seconds",
    "describe_whole",
    "far_seconds",
    "forecast_seconds",
    "raw_seconds",
    "seconds_per_day",
]

# All are rough: they decide nothing but the order of tasks, when processes start, and what a plan says.
RECOGNISE_SECONDS = 0.01  # of a task of the stage recognise, which reads only the first rows of files
FIT_SECONDS = 0.5  # of the refits of one month, at all horizons
PER_MEGABYTE = 0.02  # of raw text
PER_MILLION = (0.5, 1.0)  # of the forecast stage, for a million candles: once, and for each horizon
OF_A_MODEL = {"linear": (0.0, 1.0), "tree": (0.5, 1.5), "boosted": (14.0, 9.0)}  # as above, for each model
OF_A_USER_DEFINED_MODEL = (0.0, 2.0)  # a guess: nothing is known about it
PER_CANDLE = 1e-6  # of one step of the forecast stage
PER_FAR_TASK = 0.15  # waiting for a bucket counts as work, because processes wait at the same time


def raw_seconds(size_bytes: int) -> float:
    """Estimate the cost of reading raw text."""
    return PER_MEGABYTE * size_bytes / 1e6


def far_seconds(store: Store) -> float:
    """Return the cost that waiting for the store adds to a task."""
    return 0.0 if store.is_local else PER_FAR_TASK


def seconds_per_day(grid: Grid) -> float:
    """Estimate the cost of one step of the forecast stage for a symbol's candles of a day."""
    return PER_CANDLE * DAY_SECONDS / grid.seconds


def forecast_seconds(series: Series, candles: float) -> float:
    """Estimate the cost of the forecast stage for a number of candles."""
    costs = [PER_MILLION, *(OF_A_MODEL.get(name, OF_A_USER_DEFINED_MODEL) for name in series.models)]
    return candles / 1e6 * sum(once + len(series.horizons) * each for once, each in costs)


def describe_seconds(seconds: float) -> str:
    """Describe a cost.

    Example:
        >>> describe_seconds(0.04), describe_seconds(1.26), describe_seconds(4321.0)
        ('less than 1 CPU-s', 'about 1 CPU-s', 'about 4,321 CPU-s')
    """
    return f"about {seconds:,.0f} CPU-s" if seconds >= 1 else "less than 1 CPU-s"


def describe_whole(series: Series, summary: SeriesSummary) -> str:
    """Describe the cost of computing all forecasts of a series again."""
    spans = [(each.first_day, each.newest_ms) for each in summary.symbols.values() if each.first_day is not None]
    days = sum(newest_ms // DAY_MS - first_day + 1 for first_day, newest_ms in spans)
    seconds = forecast_seconds(series, days * DAY_SECONDS / series.grid.seconds)
    cost = f"{days:,} days of candles, {describe_seconds(seconds)}"
    return f"all forecasts, scores and models are computed again, {cost}"
