"""Out-of-sample forecasts from fitted models: each row by the newest fit that is older than it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.features.run import FeatureRows
from chandlery.forecasts.blend import Served
from chandlery.grid import MINUTE_MS, Grid, Ints, exp_each
from chandlery.models import Artefact, Model
from chandlery.schema import TIME, model_column

__all__ = ["Fits", "Issues", "predict_rows", "to_forecasts"]


@dataclass(frozen=True)
class Fits:
    """A model's fits for one horizon, in the order of time.

    Args:
        model: The model.
        horizon: Its place among the lake's horizons.
        refit_ms: When each came into use, ascending.
        artefacts: What each learned.
        parts: Where its part of a symbol's own came from, the day of the fit and the symbol; None where it has none.
    """

    model: Model
    horizon: int
    refit_ms: NDArray[np.int64]
    artefacts: Sequence[Artefact]
    parts: Sequence[tuple[str, ...] | None]

    def count_before(self, close_ms: int) -> int:
        """Return how many fits are older than what is issued at a moment; a fit knows what is issued at its own."""
        return int(np.searchsorted(self.refit_ms, close_ms, side="left"))

    def newest_before(self, close_ms: int) -> Artefact | None:
        """Return the fit in use for candles that close at a moment; None before the first."""
        count = self.count_before(close_ms)
        return self.artefacts[count - 1] if count else None


@dataclass(frozen=True)
class Issues:
    """Moments of forecasting, one a candle, in the order of time.

    Args:
        issued_ms: close_time of the candle, int64 (n,).
        close: Its close, float64 (n,).
        sigma: Volatility of one step, float64 (n,).
    """

    issued_ms: NDArray[np.int64]
    close: NDArray[np.float64]
    sigma: NDArray[np.float64]

    def cut(self, part: slice) -> "Issues":
        """Return some of the moments."""
        return Issues(self.issued_ms[part], self.close[part], self.sigma[part])


def predict_rows(fits: Sequence[Fits], names: tuple[str, ...], rows: FeatureRows, grid: Grid) -> NDArray[np.float32]:
    """Return raw predictions in units of sigma·√horizon, (rows, fits); NaN where not fitted or not ready.

    Args:
        fits: One a model and horizon; fits of one model stand together, so that its inputs are made once.
        names: The features, in order.
        rows: Of one block, in which no refit lies.
        grid: The lake's.
    """
    if rows.step.size == 0:
        return np.empty((0, len(fits)), np.float32)
    close_ms = grid.close_ms(int(rows.step[0]))
    predictions = np.full((rows.step.size, len(fits)), np.nan, np.float32)
    days = slice_days(rows.step, grid)
    design: NDArray[np.float32] = rows.values
    designed_for = ""
    for place, fit in enumerate(fits):
        artefact = fit.newest_before(close_ms)
        if artefact is None:
            continue
        if designed_for != fit.model.name:
            design, designed_for = fit.model.design(rows.values, names), fit.model.name
        for day in days:
            predictions[day, place] = fit.model.predict(artefact, design[day])
    predictions[~rows.ready] = np.nan
    return predictions


def to_forecasts(
    issues: Issues,
    horizon_minutes: int,
    grid: Grid,
    actual: NDArray[np.float64],
    served: Served,
    models: Sequence[str],
) -> pl.DataFrame:
    """Return the forecasts of one symbol and horizon, as the lake writes them, without partition keys.

    Returns:
        One row a moment of issue, ascending.
    """
    scale = (issues.sigma * np.sqrt(grid.count(horizon_minutes))).astype(np.float32)
    close, close32 = issues.close, issues.close.astype(np.float32)
    naive = served.served_by < 0
    predicted = np.where(naive, close, close * exp_each(served.served.astype(np.float64) * scale))
    middle = served.served * scale
    columns: dict[str, object] = {
        "issued_at": pl.Series(issues.issued_ms).cast(TIME),
        "target_time": pl.Series(issues.issued_ms + horizon_minutes * MINUTE_MS).cast(TIME),
        "close": close,
        "actual_close": pl.Series(actual).fill_nan(None),
        "predicted_close": predicted,
        "served_by": pl.Series(["naive", *models]).gather(served.served_by.astype(np.int64) + 1),
        "error_pct": pl.Series(((actual - predicted) / actual * 100).astype(np.float32)).fill_nan(None),
    }
    for level, half in (("80", served.half_80), ("95", served.half_95)):
        width = half * scale
        columns[f"lower_{level}"] = pl.Series(close32 * exp_each(middle - width)).fill_nan(None)
        columns[f"upper_{level}"] = pl.Series(close32 * exp_each(middle + width)).fill_nan(None)
    for place, model in enumerate(models):
        columns[model_column(model)] = pl.Series(close32 * exp_each(served.calibrated[:, place] * scale)).fill_nan(None)
    return pl.DataFrame(columns)


def slice_days(step: Ints, grid: Grid) -> list[slice]:
    """Return the rows of each UTC day: models predict a day at a time, for sums depend on how many rows there are."""
    edges = [0, *(np.flatnonzero(np.diff(grid.days_of(step))) + 1).tolist(), step.size]
    return [slice(first, last) for first, last in pairwise(edges)]
