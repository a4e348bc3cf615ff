"""Out-of-sample forecasts from fitted models: each row is predicted by the newest fit that is older than the row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.elementwise import exp_each
from chandlery.features.run import FeatureRows
from chandlery.forecasts.blend import Served
from chandlery.grid import MINUTE_MS, Grid, Ints
from chandlery.models import Artefact, Model
from chandlery.schema import TIME, model_column

__all__ = ["Fits", "Issues", "predict_rows", "to_forecasts"]


@dataclass
class Fits:
    """A model's fits for one horizon, in the order of time.

    Args:
        model: The model.
        horizon: Its place among the lake's horizons.
        refit_ms: When each fit came into use, ascending.
        artefacts: What each fit learned.
        parts: The source of the part that a fit learned from one symbol: the day of the fit and the symbol. None where
            there is no such part.
    """

    model: Model
    horizon: int
    refit_ms: NDArray[np.int64]
    artefacts: Sequence[Artefact]
    parts: Sequence[tuple[str, ...] | None]
    _opened: tuple[int, Any] | None = field(default=None, init=False, repr=False, compare=False)  # the newest in use

    def count_before(self, close_ms: int) -> int:
        """Return how many fits are older than a forecast issued at `close_ms`.

        A fit at the same moment is not older: it may have trained on the candle that closes then.
        """
        return int(np.searchsorted(self.refit_ms, close_ms, side="left"))

    def newest_before(self, close_ms: int) -> Artefact | None:
        """Return the fit in use for candles that close at a moment; None before the first."""
        count = self.count_before(close_ms)
        return self.artefacts[count - 1] if count else None

    def open_before(self, close_ms: int) -> Any:
        """Return the fit in use as its model's `predict` takes it; None before the first.

        To open trees costs more than to predict a few rows, so what is opened is kept until a newer fit is in use. One
        is kept, not all: those of many years and horizons would be gigabytes.
        """
        count = self.count_before(close_ms)
        if count == 0:
            return None
        if self._opened is None or self._opened[0] != count:
            artefact = self.artefacts[count - 1]
            open_artefact = getattr(self.model, "open_artefact", None)
            self._opened = count, open_artefact(artefact) if open_artefact else artefact
        return self._opened[1]


@dataclass(frozen=True)
class Issues:
    """When forecasts are issued: at the close of some candles, in the order of time.

    Args:
        issued_ms: close_time of each candle, int64 (n,).
        close: Its close, float64 (n,).
        sigma: Volatility of one step at that time, float64 (n,).
    """

    issued_ms: NDArray[np.int64]
    close: NDArray[np.float64]
    sigma: NDArray[np.float64]

    def cut(self, part: slice) -> "Issues":
        """Return some of the issues."""
        return Issues(self.issued_ms[part], self.close[part], self.sigma[part])


def predict_rows(fits: Sequence[Fits], names: tuple[str, ...], rows: FeatureRows, grid: Grid) -> NDArray[np.float32]:
    """Predict the rows of one block by the fits that are older than the block.

    Args:
        fits: One entry for each model and horizon. Entries of one model must follow each other: its inputs are then
            computed once.
        names: The features, in order.
        rows: Of one block. No refit lies inside a block.
        grid: The lake's.

    Returns:
        Raw predictions in units of sigma·√horizon, float32 (rows, fits); NaN where a model is not fitted yet, or a row
        has too little history.
    """
    if rows.step.size == 0:
        return np.empty((0, len(fits)), np.float32)
    close_ms = grid.close_ms(int(rows.step[0]))
    predictions = np.full((rows.step.size, len(fits)), np.nan, np.float32)
    days = slice_days(rows.step, grid)
    design: NDArray[np.float32] = rows.values
    designed_for = ""
    for place, fit in enumerate(fits):
        artefact = fit.open_before(close_ms)
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
    """Return the forecasts of one symbol and horizon as rows of the table, without partition keys.

    Args:
        issues: When they are issued, (n,).
        horizon_minutes: How far ahead they are.
        grid: The lake's.
        actual: The close at the target, NaN where unknown, (n,).
        served: What is served, (n,).
        models: The names of the columns of `served.calibrated`.

    Returns:
        One row an issue, ascending. Prices whose prediction or outcome is unknown are null.
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
    """Return the rows of each UTC day.

    Models predict one day at a time: the sums of a matrix product depend on the number of rows, and an append cuts time
    into other blocks than a rebuild does.
    """
    edges = [0, *(np.flatnonzero(np.diff(grid.days_of(step))) + 1).tolist(), step.size]
    return [slice(first, last) for first, last in pairwise(edges)]
