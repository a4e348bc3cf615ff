"""The forecast task: a symbol's candles and the fitted models to published forecasts and score sums."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.backtest import Fits, Issues, predict_rows, to_forecasts
from chandlery.leaks import check_served
from chandlery.models import open_models
from chandlery.scores import ScoreSums, sum_scores
from chandlery.served import Served, ServedState, serve, start_served
from chandlery.state import put_arrays
from chandlery.tables import read_partition
from chandlery.tasks.fit import read_artefacts
from chandlery.tasks.gather import SymbolTask
from chandlery.tasks.passes import SymbolPass
from chandlery.tasks.work import Work

__all__ = ["Predicted", "predict_symbol"]


@dataclass(frozen=True)
class Predicted:
    """What became of a symbol's forecasts."""

    symbol: str
    rows: int
    published: int


def predict_symbol(task: SymbolTask) -> Predicted:
    """Publish a symbol's forecasts from the span's first day on, and keep its score sums.

    Raises:
        LawError: A served forecast knew the future.
        LeaseHeldError: Another run has taken the lake.
    """
    run = SymbolRun(task)
    lake = task.work.lake
    published = rows = 0
    for horizon in range(len(lake.horizon_steps)):
        horizon_run = HorizonRun(run, horizon)
        served = horizon_run.serve()
        check_served(horizon_run.replay, served)
        published += horizon_run.publish(served)
        rows += served.served.size
    return Predicted(task.symbol, rows, published)


class SymbolRun:
    """A symbol's issues, raw predictions and actuals over the span."""

    def __init__(self, task: SymbolTask) -> None:
        self.work, self.symbol = task.work, task.symbol
        self.models = open_models(self.work.lake.file.models, self.work.extensions)
        self.symbol_pass = SymbolPass(self.work, self.symbol)
        horizons = range(len(self.work.lake.horizon_steps))
        fits = [read_fits(self.work, model, horizon) for model in self.models for horizon in horizons]
        first_ms = min((int(fit.refit_ms[0]) for fit in fits if fit.refit_ms.size), default=None)
        minutes = self.work.lake.interval_minutes
        steps, closes, sigmas, predictions = [], [], [], []
        for block, rows, _ in self.symbol_pass.blocks():
            open_ms = block.start * minutes * 60_000
            if first_ms is None or open_ms < first_ms:
                continue
            steps.append(rows.step)
            closes.append(rows.close)
            sigmas.append(rows.sigma)
            predictions.append(predict_rows(fits, self.symbol_pass.plan.names, rows, open_ms))
        self.steps = np.concatenate([np.empty(0, np.int64), *steps])
        issued_ms = (self.steps + 1) * minutes * 60_000
        self.issues = Issues(issued_ms, np.concatenate([np.empty(0), *closes]), np.concatenate([np.empty(0), *sigmas]))
        empty = np.empty((0, len(fits)), np.float32)
        self.predictions = np.concatenate([empty, *predictions]).reshape(-1, len(self.models), len(horizons))


def read_fits(work: Work, model: Model, horizon: int) -> Fits:
    """Return all fits of a model for a horizon, as published."""
    found = read_artefacts(work, model.name, work.lake.file.horizons[horizon])
    refit_ms = np.array([fitted.refit_at for fitted in found], "datetime64[ms]").astype(np.int64)
    return Fits(model, horizon, refit_ms, [fitted.fit for fitted in found])


class HorizonRun:
    """One horizon of a symbol: what is served, published and summed."""

    def __init__(self, run: SymbolRun, horizon: int) -> None:
        self.run, self.horizon = run, horizon
        self.work, self.issues = run.work, run.issues
        self.horizon_minutes = self.work.lake.file.horizons[horizon]
        self.state_name = f"served-{run.symbol}-{self.horizon_minutes}"
        self.actual = run.symbol_pass.actual_at(run.steps)[:, horizon]
        self.predictions = np.ascontiguousarray(run.predictions[:, :, horizon])
        scale = self.issues.sigma * np.sqrt(self.work.lake.horizon_steps[horizon])
        self.realised = np.log(self.actual / self.issues.close) / scale

    def start(self) -> ServedState:
        """Return the state before the first row."""
        kept = self.work.restore(self.state_name)
        return start_served(len(self.run.models)) if kept is None else ServedState.from_arrays(kept)

    def serve(self) -> Served:
        """Decide what is served for every row, and keep the states at the checkpoints."""
        state, parts, first = self.start(), [], 0
        for day in (*self.work.span.saves, None):
            last = len(self.realised) if day is None else int(np.searchsorted(self.issues.issued_ms, day * DAY_MS, side="right"))
            part, state = self.serve_rows(state, slice(first, last), self.realised[first:last])
            parts.append(part)
            first = last
            if day is not None:
                self.work.save(self.work.steps(day), self.state_name, state.to_arrays())
        return Served.concat(parts)

    def serve_rows(self, state: ServedState, rows: slice, realised: NDArray[np.float64]) -> tuple[Served, ServedState]:
        """Serve some rows, with what is known of their outcome."""
        issued = self.issues.issued_ms[rows]
        pending = self.realised_of(state)
        target = issued + self.horizon_minutes * 60_000
        return serve(state, issued, target, self.predictions[rows], realised, pending)
