"""The forecast task: from a symbol's candles and the fitted models to staged forecasts and score sums.

    symbol_fits, passes ─► predict_candles, with the leak gate
    for each horizon    ─► serve ─► leak gate ─► stage tables ─► score
    at the end          ─► store checkpoints and score sums

The steps of one horizon are methods of `HorizonForecasts` in the module `horizon`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from chandlery.forecasts.backtest import Issues, predict_rows
from chandlery.grid import DAY_MS, year_of
from chandlery.machine.memory import give_back_memory
from chandlery.state.arrays import Arrays, name_arrays, pick_arrays, put_arrays
from chandlery.state.paths import Paths
from chandlery.tasks.horizon import HorizonForecasts, Predictions, count_published, forecast_keys
from chandlery.tasks.leak_gate.predictions import PredictionGate
from chandlery.tasks.leak_gate.report import GateReport
from chandlery.tasks.leak_gate.rows import RowGate
from chandlery.tasks.leak_gate.served import check_forecasts
from chandlery.tasks.passes import SymbolPass
from chandlery.tasks.symbol_fits import read_symbol_fits
from chandlery.tasks.work import Block, SymbolTask, Work

__all__ = ["Predicted", "predict_symbol"]


@dataclass(frozen=True)
class Predicted:
    """The result of a forecast task.

    Args:
        symbol: The symbol.
        years: The years of its forecasts, from the span's first year on.
        gate: The report of the leak gate.
    """

    symbol: str
    years: tuple[int, ...]
    gate: GateReport


def predict_symbol(task: SymbolTask) -> Predicted:
    """Stage a symbol's forecasts from the span's first day on, and store its score sums and its checkpoints.

    Raises:
        LawError: The leak gate found a value that was computed from later data.
        LeaseHeldError: Another run has taken the lake.
        StateLostError: A state, a fit or published rows from before the span are missing or damaged.
    """
    give_back_memory()
    predictions, gate = predict_candles(task)
    work, store, paths = task.work, task.work.lake.store, Paths.of(task.work.lake)
    checkpoints = predictions.checkpoints
    sums: Arrays = {}
    with store.behind() as later:
        for place, published in enumerate(read_published(predictions)):
            give_back_memory()  # otherwise memory is fragmented by the remains of the previous horizon's arrays
            horizon_sums, states = forecast_horizon(predictions, place, published, later)
            sums |= horizon_sums
            for day, state in states.items():
                checkpoints[day] |= state
        for day, state in checkpoints.items():
            whole = work.add_other_horizons(paths.checkpoint(day, "forecast", task.symbol), state)
            later(partial(work.save, day, "forecast", task.symbol, whole))
        work.lake.guard()
        path = paths.scores(task.symbol)
        later(partial(put_arrays, store, path, work.add_other_horizons(path, sums)))
    return Predicted(task.symbol, predictions.years, gate)


def predict_candles(task: SymbolTask) -> tuple[Predictions, GateReport]:
    """Predict a symbol's candles over the span, at every horizon; the leak gate checks a sample of them.

    Raises:
        LawError: A feature, a label or a prediction was computed from later data.
        StateLostError: The checkpoint at the span's first day, a fit, or the market of a block is missing or damaged.
    """
    work, symbol_pass = task.work, SymbolPass(task.work, task.symbol)
    rules, grid = work.rules, work.rules.grid
    restored, fits, candles, _ = work.lake.store.together(
        lambda: work.restore("forecast", task.symbol) if task.is_resumed else {},
        lambda: read_symbol_fits(work, task.symbol),
        lambda: symbol_pass.candles,
        lambda: symbol_pass.barriers,
    )
    first_fits = [grid.step_at(int(fit.refit_ms[0]) // DAY_MS) for fit in fits if fit.refit_ms.size]
    first_step = min(first_fits, default=np.iinfo(np.int64).max)  # no model predicts earlier candles

    def is_fitted(block: Block, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.full(steps.size, block.start >= first_step)

    row_gate = RowGate(symbol_pass, "forecast", is_fitted, first_step)
    prediction_gate = PredictionGate(symbol_pass, fits, row_gate.starts)
    checkpoints: dict[int, Arrays] = {day: {} for day in work.span.saves}
    raw = np.empty((candles.step.size, len(fits)), np.float32)  # pages that are never written take no memory
    places, sigmas, count = [np.empty(0, np.int64)], [np.empty(0)], 0
    for passed in symbol_pass.blocks(is_fitted, pick_arrays("features", restored) or None):
        rows = slice(count, count + passed.place.size)
        raw[rows] = predict_rows(fits, symbol_pass.plan.names, passed.rows, grid)
        row_gate.check(passed)
        prediction_gate.check(passed, raw[rows])
        places.append(passed.place)
        sigmas.append(passed.rows.sigma)
        count = rows.stop
        if passed.block.saves:
            checkpoints[passed.block.day] |= name_arrays("features", passed.after._asdict())
    place = np.concatenate(places)
    issues = Issues(grid.close_ms(candles.step[place]), candles.close[place], np.concatenate(sigmas))
    predictions = Predictions(
        work,
        task.symbol,
        issues,
        raw[:count].reshape(-1, len(rules.models), len(rules.horizons)),
        place,
        symbol_pass.actual,
        restored,
        checkpoints,
        list_years(work, issues, restored),
    )
    return predictions, GateReport.of(task.symbol, row_gate.starts, row_gate.checked, prediction_gate.checked)


def list_years(work: Work, issues: Issues, restored: Arrays) -> tuple[int, ...]:
    """Return the years to write: those of the new forecasts, and the span's first year if it has earlier ones."""
    issued, first = issues.issued_ms, year_of(work.span.since * DAY_MS)
    years = range(year_of(int(issued[0])), year_of(int(issued[-1])) + 1) if issued.size else range(0)
    # The first horizon stands for all: every horizon has the same issues.
    has_earlier = work.span.resumed and count_published(restored, work.rules.horizons[0], first)
    return tuple(sorted({*years, first} if has_earlier else years))


def read_published(predictions: Predictions) -> Iterator[bytes | None]:
    """Yield the published forecasts of the span's first year, for each horizon; None if the symbol has none to keep."""
    work = predictions.work
    if not predictions.restored:
        return iter([None] * len(work.rules.horizons))
    year = year_of(work.span.since * DAY_MS)

    def read(horizon_minutes: int) -> bytes | None:
        return work.lake.get("forecasts", forecast_keys(work, predictions.symbol, horizon_minutes, year))

    return work.lake.store.ask_ahead(read, work.rules.horizons)


def forecast_horizon(
    predictions: Predictions, place: int, published: bytes | None, later: Callable[[Callable[[], None]], None]
) -> tuple[Arrays, dict[int, Arrays]]:
    """Serve, check, stage and score the forecasts of one horizon. Its arrays are freed when the function returns.

    Args:
        predictions: Of the symbol.
        place: The place of the horizon among those of the work.
        published: The published forecasts of the span's first year; None if there are none to keep.
        later: Executes a call that writes to the store, in the background if the store is remote.

    Returns:
        The score sums, and the states at each checkpoint, by day.
    """
    forecasts = HorizonForecasts(predictions, place)
    served, states = forecasts.serve()
    check_forecasts(forecasts, served, states)
    for put in forecasts.stage(served, published):
        later(put)
    sums = forecasts.score(served)
    return name_arrays(str(forecasts.horizon_minutes), sums), forecasts.checkpoints
