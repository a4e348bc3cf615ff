"""The forecast task: a symbol's candles and the fitted models to published forecasts and score sums."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.backtest import Fits, Issues, predict_rows, to_forecasts
from chandlery.config import to_minutes_text
from chandlery.grid import DAY_MS, cut_year, log_each, year_of
from chandlery.leaks import Witness, check_served, compare
from chandlery.memory import give_back_memory
from chandlery.models import OWN, Model, open_models
from chandlery.schema import TIME
from chandlery.scores import ScoreRows, ScoreSums, start_sums, sum_scores
from chandlery.served import BLEND, Served, ServedRows, ServedState, serve, start_served
from chandlery.state import put_arrays
from chandlery.tables import list_partitions, read_partition
from chandlery.tasks.artefacts import read_artefacts
from chandlery.tasks.gate import ModelGate, SymbolGate, hash_of
from chandlery.tasks.passes import SymbolPass
from chandlery.tasks.work import Block, SymbolTask, Work

__all__ = ["Predicted", "predict_symbol", "sums_path"]

REPLAYED = 50_000  # rows of the first part that the leak gate serves again
PUBLISHED = 1_000  # rows before each cut that it makes forecasts of again
OUTCOMES = ("actual_close", "error_pct")


@dataclass(frozen=True)
class Predicted:
    """What became of a symbol's forecasts."""

    symbol: str
    rows: int
    published: int


def sums_path(symbol: str, horizon_minutes: int) -> str:
    """Return where the score sums of a symbol and horizon stand."""
    return f"state/scores/{symbol}-{horizon_minutes}.state"


def predict_symbol(task: SymbolTask) -> Predicted:
    """Publish a symbol's forecasts from the span's first day on, and keep its score sums.

    Raises:
        LawError: A served forecast knew the future.
        LeaseHeldError: Another run has taken the lake.
    """
    give_back_memory()
    run = SymbolRun(task)
    published = 0
    for horizon in range(len(task.work.lake.horizon_steps)):
        give_back_memory()  # else a horizon's arrays come to lie between what the one before has left
        published += predict_horizon(HorizonRun(run, horizon))
    return Predicted(task.symbol, run.places.size, published)


def predict_horizon(run: "HorizonRun") -> int:
    """Publish the forecasts of one horizon, and keep its score sums; return how many objects were put."""
    served = run.serve()
    run.check(served)
    published = run.publish(served)
    run.score(served)
    return published


class SymbolRun:
    """A symbol's issues, raw predictions and actuals over the span."""

    def __init__(self, task: SymbolTask) -> None:
        self.work, self.symbol = task.work, task.symbol
        self.models = open_models(self.work.lake.file.models, self.work.extensions)
        self.symbol_pass = SymbolPass(self.work, self.symbol)
        horizons = range(len(self.work.lake.horizon_steps))
        fits = [read_fits(self.work, model, horizon, self.symbol) for model in self.models for horizon in horizons]
        minutes = self.work.lake.interval_minutes
        never = np.iinfo(np.int64).max
        first_step = min((int(fit.refit_ms[0]) // (minutes * 60_000) for fit in fits if fit.refit_ms.size), default=never)

        def is_fitted(block: Block, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
            return np.full(steps.size, block.start >= first_step)

        gate = SymbolGate(self.symbol_pass, "forecast", is_fitted, first_step)
        models = ModelGate(self.symbol_pass, fits, gate.starts)
        places, sigmas = [], []
        predictions = np.empty((self.symbol_pass.candles.step.size, len(fits)), np.float32)  # what is not filled takes no room
        count = 0
        for passed in self.symbol_pass.blocks(is_fitted):
            places.append(passed.place)
            sigmas.append(passed.rows.sigma)
            begin, count = count, count + passed.place.size
            predictions[begin:count] = predict_rows(fits, self.symbol_pass.plan.names, passed.rows, minutes)
            gate.look(passed)
            models.look(passed, predictions[begin:count])
        self.places = np.concatenate([np.empty(0, np.int64), *places])
        candles = self.symbol_pass.candles
        issued_ms = (candles.step[self.places] + 1) * minutes * 60_000
        self.issues = Issues(issued_ms, candles.close[self.places], np.concatenate([np.empty(0), *sigmas]))
        self.predictions = predictions[:count].reshape(-1, len(self.models), len(horizons))


def read_fits(work: Work, model: Model, horizon: int, symbol: str) -> Fits:
    """Return all fits of a model for a horizon, as published, with what it has learned of a symbol alone."""
    minutes = work.lake.file.horizons[horizon]
    found = read_artefacts(work, model.name, minutes)
    own = {fitted.refit_at: fitted for fitted in read_artefacts(work, model.name, minutes, symbol=symbol)}
    refit_ms = np.array([fitted.refit_at for fitted in found], "datetime64[ms]").astype(np.int64)
    parts = [own.get(fitted.refit_at) for fitted in found]
    artefacts = [fitted.fit if part is None else fitted.fit | {OWN: part.fit} for fitted, part in zip(found, parts, strict=True)]
    return Fits(model, horizon, refit_ms, artefacts, [None if part is None else (part.refit_at, *part.symbols) for part in parts])


class HorizonRun:
    """One horizon of a symbol: what is served, published and summed."""

    def __init__(self, run: SymbolRun, horizon: int) -> None:
        self.run, self.horizon = run, horizon
        self.work, self.issues = run.work, run.issues
        self.horizon_minutes = self.work.lake.file.horizons[horizon]
        self.name = f"{run.symbol}-{self.horizon_minutes}"
        self.actual = run.symbol_pass.actual[run.places, horizon]
        self.scale = self.issues.sigma * np.sqrt(self.work.lake.horizon_steps[horizon])
        self.rows = ServedRows(
            self.issues.issued_ms,
            self.issues.issued_ms + self.horizon_minutes * 60_000,
            np.ascontiguousarray(run.predictions[:, :, horizon]),
            log_each(self.actual / self.issues.close) / self.scale,
            self.issues.sigma,
            self.work.lake.horizon_steps[horizon],
        )
        kept = self.work.restore(f"served-{self.name}")
        self.state = start_served(len(run.models)) if kept is None else ServedState.from_arrays(kept)
        self.begins: list[tuple[slice, ServedState]] = []  # of the parts between checkpoints

    def edges(self) -> list[tuple[int | None, slice]]:
        """Return the rows up to each checkpoint, and those after the last."""
        cuts = [int(np.searchsorted(self.rows.issued, day * DAY_MS, side="right")) for day in self.work.span.saves]
        days: list[int | None] = [*self.work.span.saves, None]
        return [(day, slice(first, last)) for day, first, last in zip(days, [0, *cuts], [*cuts, self.rows.issued.size], strict=True)]

    def serve(self) -> Served:
        """Decide what is served for every row, and keep the states at the checkpoints."""
        state, parts = self.state, []
        for day, part in self.edges():
            self.begins.append((part, state))
            served, state = serve(state, cut_rows(self.rows, part))
            parts.append(served)
            if day is not None:
                self.work.save(self.work.steps(day), f"served-{self.name}", state.to_arrays())
        return Served.concat(parts)

    def to_forecasts(self, served: Served, year: int) -> pl.DataFrame:
        """Return the forecasts that are issued in a year: those of all years together would be large."""
        part = cut_year(self.issues.issued_ms, year)
        return self._to_forecasts(cut_issues(self.issues, part), self.actual[part], served.cut(part))

    def _to_forecasts(self, issues: Issues, actual: NDArray[np.float64], served: Served) -> pl.DataFrame:
        names = [*(model.name for model in self.run.models), BLEND]
        return to_forecasts(issues, self.horizon_minutes, self.work.lake.interval_minutes, actual, served, names)

    def check(self, served: Served) -> None:
        """Let the leak gate serve rows again without the outcomes that were not known then: the first, some by a hash, and the last.

        Raises:
            LawError: A value differs; it names the culprit.
        """
        parts = [(part, state) for part, state in self.begins if part.start < part.stop]
        if not parts:
            return
        drawn = hash_of(self.name, len(parts))
        cuts = [(0, min(parts[0][0].stop, parts[0][0].start + REPLAYED))]
        for place in (drawn % len(parts), len(parts) - 1):
            part = parts[place][0]
            cuts.append((place, self._first_of_day(part, part.stop - drawn % (1 + (part.stop - part.start) // 2))))
        for place, stop in cuts:
            part, state = parts[place]
            self._check_part(slice(part.start, stop), state, served)

    def _first_of_day(self, part: slice, stop: int) -> int:
        """Return where to stop so that the last row is the first of its day: the newest outcomes tell on it."""
        midnight = self.rows.issued[stop - 1] // DAY_MS * DAY_MS
        return max(int(np.searchsorted(self.rows.issued, midnight)), int(part.start)) + 1

    def _check_part(self, part: slice, state: ServedState, served: Served) -> None:
        now, rows = int(self.rows.issued[part.stop - 1]), cut_rows(self.rows, part)
        known = rows.issued + self.horizon_minutes * 60_000 <= now
        pending = np.where(state.pending_issued + self.horizon_minutes * 60_000 <= now, state.pending_realised, np.nan)
        again, _ = serve(state._replace(pending_realised=pending), replace(rows, realised=np.where(known, rows.realised, np.nan)))
        witness = Witness(self.run.symbol, now)
        check_served(witness, to_minutes_text(self.horizon_minutes), served.cut(part), again)
        year = year_of(now)
        first = int(cut_year(self.issues.issued_ms, year).start)
        newest = slice(-min(PUBLISHED, known.size, part.stop - first), None)
        issues = cut_issues(cut_issues(self.issues, part), newest)
        hidden = np.where(known, self.actual[part], np.nan)[newest]
        remade = self._to_forecasts(issues, hidden, again.cut(newest))
        shown = self.to_forecasts(served, year)[part.stop - first - remade.height : part.stop - first]
        compare(witness, [(f"published {name} at {to_minutes_text(self.horizon_minutes)}", shown[name].to_numpy(), remade[name].to_numpy()) for name in shown.columns if name not in OUTCOMES])

    def publish(self, served: Served) -> int:
        """Put every year's forecasts; return how many objects were put."""
        file = self.work.lake.file
        keys: dict[str, Any] = {"exchange": file.exchange, "symbol": self.run.symbol, "horizon_minutes": self.horizon_minutes}
        first_ms = self.work.span.since * DAY_MS if self.work.span.resumed else 0
        first_year, issued = year_of(first_ms), self.issues.issued_ms
        own = range(year_of(int(issued[0])), year_of(int(issued[-1])) + 1) if issued.size else range(0)
        there = {int(part["year"]) for part in list_partitions(self.work.lake.store, "forecasts", keys)}
        count = 0
        for year in sorted({*own, *(year for year in there if year >= first_year)}):
            rows = self.to_forecasts(served, year)
            if year == first_year and self.work.span.resumed:
                held = read_partition(self.work.lake.store, "forecasts", {**keys, "year": year})
                if held is not None:
                    before = held.filter(pl.col("issued_at") <= pl.lit(first_ms).cast(TIME))
                    rows = pl.concat([before, rows.select(before.columns)])
            count += self.work.lake.write("forecasts", {**keys, "year": year}, rows)
        return count

    def score(self, served: Served) -> None:
        """Keep the sums that scores are made of."""
        kept = self.work.restore(f"scores-{self.name}")
        sums = start_sums(len(self.run.models) + 1) if kept is None else ScoreSums.from_arrays(kept)
        for day, part in self.edges():
            said, scale = served.cut(part), self.scale[part, None]
            predicted = np.column_stack([said.calibrated, said.served]).astype(np.float64) * scale
            half = np.column_stack([said.half_80, said.half_95]).astype(np.float64) * scale
            rows = ScoreRows(self.issues.issued_ms[part], self.issues.close[part], self.actual[part], predicted, half)
            sums = sum_scores(sums, rows, self.horizon_minutes * 60_000)
            if day is not None:
                self.work.save(self.work.steps(day), f"scores-{self.name}", sums.to_arrays())
        self.work.lake.guard()
        put_arrays(self.work.lake.store, sums_path(self.run.symbol, self.horizon_minutes), sums.to_arrays())


def cut_issues(issues: Issues, part: slice) -> Issues:
    """Return some of the issues."""
    return Issues(issues.issued_ms[part], issues.close[part], issues.sigma[part])


def cut_rows(rows: ServedRows, part: slice) -> ServedRows:
    """Return some of the rows."""
    return ServedRows(rows.issued[part], rows.target[part], rows.predictions[part], rows.realised[part], rows.sigma[part], rows.steps)
