"""Rough costs in CPU seconds: for plans, for the order of tasks, and for whether to start processes."""

from chandlery.grid import DAY_MS, DAY_SECONDS, Grid
from chandlery.lake.lake_file import Series
from chandlery.lake.store import Store
from chandlery.state.records import SeriesSummary

__all__ = ["describe_seconds", "describe_whole", "far_seconds", "forecast_seconds", "raw_seconds", "seconds_per_day"]

PER_MEGABYTE = 0.02  # of raw text
PER_MILLION = (0.5, 1.0)  # of the forecast stage, for a million candles: once, and for each horizon
OF_A_MODEL = {"linear": (0.0, 1.0), "tree": (0.5, 1.5), "boosted": (14.0, 9.0)}  # likewise, for each model
OF_OWN = (0.0, 2.0)  # for a user-defined model, of which nothing is known
PER_CANDLE = 1e-6  # of one stage
PER_FAR_TASK = 0.15  # a task that asks a bucket waits, and processes wait at the same time


def raw_seconds(size_bytes: int) -> float:
    """Return what reading raw text costs."""
    return PER_MEGABYTE * size_bytes / 1e6


def far_seconds(store: Store) -> float:
    """Return what waiting for the store adds to a small task, as if it were work."""
    return 0.0 if store.is_local else PER_FAR_TASK


def seconds_per_day(grid: Grid) -> float:
    """Return what a stage costs for one symbol's day of candles."""
    return PER_CANDLE * DAY_SECONDS / grid.seconds


def forecast_seconds(file: Series, candles: float) -> float:
    """Return what the forecast stage costs for so many candles."""
    costs = [PER_MILLION, *(OF_A_MODEL.get(name, OF_OWN) for name in file.models)]
    return candles / 1e6 * sum(once + len(file.horizons) * each for once, each in costs)


def describe_seconds(seconds: float) -> str:
    """Return a cost in words.

    Example:
        >>> describe_seconds(0.04), describe_seconds(1.26), describe_seconds(4321.0)
        ('less than 1 CPU-s', 'about 1 CPU-s', 'about 4,321 CPU-s')
    """
    return f"about {seconds:,.0f} CPU-s" if seconds >= 1 else "less than 1 CPU-s"


def describe_whole(file: Series, summary: SeriesSummary) -> str:
    """Return in words what it costs to compute all forecasts of a lake again."""
    spans = [(held.first_day, held.newest_ms) for held in summary.symbols.values() if held.first_day is not None]
    days = sum(newest_ms // DAY_MS - first_day + 1 for first_day, newest_ms in spans)
    seconds = forecast_seconds(file, days * DAY_SECONDS / file.grid.seconds)
    cost = f"{days:,} days of candles, {describe_seconds(seconds)}"
    return f"all forecasts, scores and models are computed again, {cost}"
