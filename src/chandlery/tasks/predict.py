"""The forecast task: a symbol's candles and the fitted models to published forecasts and score sums."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.errors import StateLostError
from chandlery.forecasts.backtest import Fits, Issues, predict_rows, to_forecasts
from chandlery.forecasts.blend import BLEND, Served, ServedRows, ServedState, serve, start_served
from chandlery.forecasts.leaks import Witness, check_equal, check_served
from chandlery.forecasts.scores import ScoreRows, ScoreSums, start_sums, sum_scores
from chandlery.grid import DAY_MS, MINUTE_MS, cut_year, log_each, year_of
from chandlery.lake.tables import join_rows, partition_path
from chandlery.machine.memory import give_back_memory
from chandlery.models import OWN, open_models
from chandlery.schema import TIME
from chandlery.state.arrays import Arrays, name_arrays, pick_arrays, put_arrays
from chandlery.state.artefacts import Fitted, read_fits
from chandlery.state.copies import open_copies
from chandlery.state.paths import Paths, day_name
from chandlery.tasks.fit import list_refits, name_fit
from chandlery.tasks.leak_gate.predictions import PredictionGate
from chandlery.tasks.leak_gate.rows import RowGate
from chandlery.tasks.leak_gate.sampling import hash_of
from chandlery.tasks.passes import SymbolPass
from chandlery.tasks.work import Block, SymbolTask, Work
from chandlery.units import to_minutes_text

__all__ = ["Predicted", "predict_symbol"]

REPLAYED = 50_000  # rows of the first part that the leak gate serves again
PUBLISHED = 1_000  # rows before each cut that it makes forecasts of again
OUTCOMES = ("actual_close", "error_pct")


@dataclass(frozen=True)
class Predicted:
    """What became of a symbol's forecasts.

    Args:
        symbol: Whose.
        years: Of which it has forecasts, from the span's first year on.
    """

    symbol: str
    years: tuple[int, ...]


def predict_symbol(task: SymbolTask) -> Predicted:
    """Stage a symbol's forecasts from the span's first day on, and keep its score sums and its states at the checkpoints.

    Raises:
        LawError: A served forecast knew the future.
        LeaseHeldError: Another run has taken the lake.
        StateLostError: A state, a fit or published rows from before the span are missing or damaged.
    """
    give_back_memory()
    run = SymbolRun(task)
    sums: Arrays = {}
    work, store = task.work, task.work.lake.store
    with store.behind() as later:
        for horizon, held in enumerate(run.read_held()):
            give_back_memory()  # else a horizon's arrays come to lie between what the one before has left
            sums |= predict_horizon(run, horizon, held, later)
        paths = Paths.of(work.lake)
        for day, state in run.states.items():
            whole = work.join_held(paths.checkpoint(day, "forecast", task.symbol), state)
            later(partial(work.save, day, "forecast", task.symbol, whole))
        work.lake.guard()
        later(partial(put_arrays, store, paths.scores(task.symbol), work.join_held(paths.scores(task.symbol), sums)))
    return Predicted(task.symbol, run.years())


def predict_horizon(
    run: "SymbolRun", horizon: int, held: bytes | None, later: Callable[[Callable[[], None]], None]
) -> Arrays:
    """Publish the forecasts of one horizon, and return its score sums; its arrays are let go before those of the next.

    Args:
        run: The symbol.
        horizon: Its place among the horizons.
        held: The object of the span's first year, where rows from before the span stay in it.
        later: Makes what puts an object run, now or soon.
    """
    horizon_run = HorizonRun(run, horizon)
    served = horizon_run.serve()
    horizon_run.check(served)
    for put in horizon_run.publish(served, held):
        later(put)
    return name_arrays(str(horizon_run.horizon_minutes), horizon_run.score(served))


class SymbolRun:
    """A symbol's issues, raw predictions and actuals over the span.

    Args:
        task: The symbol.
    """

    def __init__(self, task: SymbolTask) -> None:
        self.work, self.symbol = task.work, task.symbol
        rules = self.work.rules
        self.models = open_models(rules.models, self.work.extensions)
        self.symbol_pass = SymbolPass(self.work, self.symbol)
        found = self.work.lake.store.together(
            lambda: self.work.restore("forecast", self.symbol) if task.is_resumed else {},
            FitReader(self.work, self.symbol).read,
            lambda: self.symbol_pass.candles,
            lambda: self.symbol_pass.barriers,
        )
        self.kept: Arrays = found[0]
        fits: list[Fits] = found[1]
        self.states: dict[int, Arrays] = {day: {} for day in self.work.span.saves}
        grid, never = rules.grid, np.iinfo(np.int64).max
        first_days = (int(fit.refit_ms[0]) // DAY_MS for fit in fits if fit.refit_ms.size)
        first_step = min((grid.step_at(day) for day in first_days), default=never)

        def is_fitted(block: Block, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
            return np.full(steps.size, block.start >= first_step)

        gate = RowGate(self.symbol_pass, "forecast", is_fitted, first_step)
        models = PredictionGate(self.symbol_pass, fits, gate.starts)
        places, sigmas = [], []
        candles = self.symbol_pass.candles
        predictions = np.empty((candles.step.size, len(fits)), np.float32)  # what is not filled takes no room
        count = 0
        for passed in self.symbol_pass.blocks(is_fitted, pick_arrays("features", self.kept) or None):
            places.append(passed.place)
            sigmas.append(passed.rows.sigma)
            begin, count = count, count + passed.place.size
            predictions[begin:count] = predict_rows(fits, self.symbol_pass.plan.names, passed.rows, grid)
            gate.check(passed)
            models.check(passed, predictions[begin:count])
            if passed.block.saves:
                self.states[passed.block.day] |= name_arrays("features", passed.after.to_arrays())
        self.places = np.concatenate([np.empty(0, np.int64), *places])
        issued_ms = grid.close_ms(candles.step[self.places])
        self.issues = Issues(issued_ms, candles.close[self.places], np.concatenate([np.empty(0), *sigmas]))
        self.predictions = predictions[:count].reshape(-1, len(self.models), len(rules.horizons))

    def keys(self, horizon_minutes: int, year: int) -> dict[str, Any]:
        """Return the partition keys of a horizon's forecasts of a year."""
        return {**self.work.lake.keys, "symbol": self.symbol, "horizon_minutes": horizon_minutes, "year": year}

    def rows_before(self, horizon_minutes: int, year: int) -> int:
        """Return how many forecasts of a horizon and year were published before the span."""
        counts = pick_arrays(f"{horizon_minutes}/published", self.kept)
        return int(counts["rows"]) if counts and int(counts["year"]) == year else 0

    def years(self) -> tuple[int, ...]:
        """Return the years whose forecasts are written: those of the span's issues, and the first where rows before the span stay."""
        issued, span = self.issues.issued_ms, self.work.span
        own = range(year_of(int(issued[0])), year_of(int(issued[-1])) + 1) if issued.size else range(0)
        first = year_of(span.since * DAY_MS)
        stays = span.resumed and self.rows_before(
            self.work.rules.horizons[0], first
        )  # every horizon has the same issues
        return tuple(sorted({*own, first} if stays else own))

    def read_held(self) -> Iterator[bytes | None]:
        """Yield the object of the span's first year, of each horizon; None where all of it is computed."""
        lake, span, horizons = self.work.lake, self.work.span, self.work.rules.horizons
        if not self.kept:
            return iter([None] * len(horizons))
        year = year_of(span.since * DAY_MS)
        return lake.store.ask_ahead(lambda minutes: lake.get("forecasts", self.keys(minutes, year)), horizons)


class FitReader:
    """Reads the fits that predict a symbol over the span, as published.

    Args:
        work: The span and the lake.
        symbol: Whose own parts are read with them.
    """

    def __init__(self, work: Work, symbol: str) -> None:
        self._work, self._symbol, self._copies = work, symbol, open_copies(work.lake)

    def read(self) -> list[Fits]:
        """Return the fits of each model and horizon, from the newest before the span on."""
        rules = self._work.rules
        models = open_models(rules.models, self._work.extensions)
        common: dict[tuple[str, int], list[Fitted]] = {
            (model.name, minutes): [] for model in models for minutes in rules.horizons
        }
        own: dict[tuple[str, int, str], Fitted] = {}
        for name in dict.fromkeys(name_fit(model) for model in models):
            members = [model.name for model in models if name_fit(model) == name]
            for fitted in self._read_common(name, members):
                if (fitted.model, fitted.horizon_minutes) in common:  # else of a horizon that is not computed
                    common[fitted.model, fitted.horizon_minutes].append(fitted)
            for fitted in self._read_own(
                name, [fitted for member in members for minutes in rules.horizons for fitted in common[member, minutes]]
            ):
                own[fitted.model, fitted.horizon_minutes, fitted.refit_at] = fitted
        found = []
        for model in models:
            for place, minutes in enumerate(rules.horizons):
                fits = sorted(common[model.name, minutes], key=lambda fitted: fitted.refit_at)
                parts = [own.get((model.name, minutes, fitted.refit_at)) for fitted in fits]
                artefacts = [
                    fitted.fit if part is None else fitted.fit | {OWN: part.fit}
                    for fitted, part in zip(fits, parts, strict=True)
                ]
                refit_ms = np.array([fitted.refit_at for fitted in fits], "datetime64[ms]").astype(np.int64)
                found.append(
                    Fits(
                        model,
                        place,
                        refit_ms,
                        artefacts,
                        [None if part is None else (part.refit_at, *part.symbols) for part in parts],
                    )
                )
        return found

    def _read_common(self, name: str, members: list[str]) -> list[Fitted]:
        """Return the common parts, from the newest year backwards until every model has a fit from before the span."""
        span, found = self._work.span, []
        since = day_name(span.since) if span.resumed else ""
        for year in sorted(self._list_years(name), reverse=True):
            found += read_fits(self._work.lake, name, str(year), copies=self._copies)
            early = {fitted.model for fitted in found if fitted.refit_at <= since}
            if early.issuperset(members):
                break
        return found

    def _list_years(self, name: str) -> range:
        """Return the years of which a fit has a text."""
        work = self._work
        models = [model for model in open_models(work.rules.models, work.extensions) if name_fit(model) == name]
        stop_day = (work.span.stop_ms - 1) // DAY_MS
        refits = list_refits(work.rules, work.first_day, stop_day, models)
        return range(int(refits[0][0][:4]), int(day_name(stop_day)[:4]) + 1) if refits else range(0)

    def _read_own(self, name: str, common: list[Fitted]) -> list[Fitted]:
        """Return the symbol's own parts of some fits; all that the common parts name must be there."""
        wanted = {
            (fitted.model, fitted.horizon_minutes, fitted.refit_at) for fitted in common if self._symbol in fitted.own
        }
        years = sorted({refit_at[:4] for _, _, refit_at in wanted})
        texts = self._work.lake.store.ask_ahead(
            lambda year: read_fits(self._work.lake, name, year, self._symbol), years
        )
        found = [fitted for text in texts for fitted in text]
        missing = wanted.difference((fitted.model, fitted.horizon_minutes, fitted.refit_at) for fitted in found)
        if missing:
            year = min(refit_at for _, _, refit_at in missing)[:4]
            raise StateLostError(
                Paths.of(self._work.lake).artefact(name, year, self._symbol),
                int(np.datetime64(year, "D").astype(int)) - 1,
            )
        return found


class HorizonRun:
    """One horizon of a symbol: what is served, published and summed."""

    def __init__(self, run: SymbolRun, horizon: int) -> None:
        self.run, self.horizon = run, horizon
        self.work, self.issues = run.work, run.issues
        self.horizon_minutes = self.work.rules.horizons[horizon]
        self.name = f"{run.symbol}-{self.horizon_minutes}"
        self.actual = run.symbol_pass.actual[run.places, horizon]
        self.scale = self.issues.sigma * np.sqrt(self.work.rules.horizon_steps[horizon])
        self.rows = ServedRows(
            self.issues.issued_ms,
            self.issues.issued_ms + self.horizon_minutes * MINUTE_MS,
            np.ascontiguousarray(run.predictions[:, :, horizon]),
            log_each(self.actual / self.issues.close) / self.scale,
            self.issues.sigma,
            self.work.rules.horizon_steps[horizon],
        )
        self.kept = pick_arrays(str(self.horizon_minutes), run.kept)
        self.state = (
            ServedState.from_arrays(pick_arrays("served", self.kept)) if run.kept else start_served(len(run.models))
        )
        self.begins: list[tuple[slice, ServedState]] = []  # of the parts between checkpoints

    def edges(self) -> list[tuple[int | None, slice]]:
        """Return the rows up to each checkpoint, and those after the last."""
        cuts = [int(np.searchsorted(self.rows.issued, day * DAY_MS, side="right")) for day in self.work.span.saves]
        days: list[int | None] = [*self.work.span.saves, None]
        return [
            (day, slice(first, last))
            for day, first, last in zip(days, [0, *cuts], [*cuts, self.rows.issued.size], strict=True)
        ]

    def serve(self) -> Served:
        """Decide what is served for every row, and keep the states at the checkpoints."""
        state, parts = self.state, []
        for day, part in self.edges():
            self.begins.append((part, state))
            served, state = serve(state, cut_rows(self.rows, part))
            parts.append(served)
            if day is not None:
                self._save(day, "served", state.to_arrays())
        return Served.concat(parts)

    def _save(self, day: int, group: str, arrays: Arrays) -> None:
        """Keep a state as of a day's midnight, to be put with the others of the symbol."""
        self.run.states[day] |= name_arrays(f"{self.horizon_minutes}/{group}", arrays)

    def to_forecasts(self, served: Served, year: int) -> pl.DataFrame:
        """Return the forecasts that are issued in a year: those of all years together would be large."""
        part = cut_year(self.issues.issued_ms, year)
        return self._to_forecasts(cut_issues(self.issues, part), self.actual[part], served.cut(part))

    def _to_forecasts(self, issues: Issues, actual: NDArray[np.float64], served: Served) -> pl.DataFrame:
        names = [*(model.name for model in self.run.models), BLEND]
        return to_forecasts(issues, self.horizon_minutes, self.work.rules.grid, actual, served, names)

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
        known = rows.issued + self.horizon_minutes * MINUTE_MS <= now
        pending = np.where(
            state.pending_issued + self.horizon_minutes * MINUTE_MS <= now, state.pending_realised, np.nan
        )
        again, _ = serve(
            state._replace(pending_realised=pending), replace(rows, realised=np.where(known, rows.realised, np.nan))
        )
        witness = Witness(self.run.symbol, now)
        check_served(witness, to_minutes_text(self.horizon_minutes), served.cut(part), again)
        year = year_of(now)
        first = int(cut_year(self.issues.issued_ms, year).start)
        newest = slice(-min(PUBLISHED, known.size, part.stop - first), None)
        issues = cut_issues(cut_issues(self.issues, part), newest)
        hidden = np.where(known, self.actual[part], np.nan)[newest]
        remade = self._to_forecasts(issues, hidden, again.cut(newest))
        shown = self.to_forecasts(served, year)[part.stop - first - remade.height : part.stop - first]
        check_equal(
            witness,
            [
                (
                    f"published {name} at {to_minutes_text(self.horizon_minutes)}",
                    shown[name].to_numpy(),
                    remade[name].to_numpy(),
                )
                for name in shown.columns
                if name not in OUTCOMES
            ],
        )

    def publish(self, served: Served, held: bytes | None) -> Iterator[Callable[[], None]]:
        """Yield what puts each year's forecasts.

        Args:
            served: What is served for every row.
            held: The object of the span's first year, where rows from before the span stay in it.

        Raises:
            StateLostError: Published rows from before the span are missing.
        """
        lake, span = self.work.lake, self.work.span
        self._note_rows()
        for year in self.run.years():
            keys = self.keys(year)
            rows = self.to_forecasts(served, year)
            is_first = span.resumed and year == year_of(span.since * DAY_MS)
            if is_first:
                before = lake.decode("forecasts", keys, held).filter(
                    pl.col("issued_at") <= pl.lit(span.since * DAY_MS).cast(TIME)
                )
                if before.height != self.run.rows_before(self.horizon_minutes, year):
                    raise StateLostError(
                        partition_path("forecasts", keys), int(np.datetime64(str(year), "D").astype(int)) - 1
                    )
                rows = join_rows("forecasts", before, rows)
            yield partial(self._put, keys, rows, held if is_first else None)

    def _put(self, keys: dict[str, Any], rows: pl.DataFrame, held: bytes | None) -> None:
        lake = self.work.lake
        if held is None:
            lake.write("forecasts", keys, rows)
        else:
            lake.replace("forecasts", keys, held, rows)

    def keys(self, year: int) -> dict[str, Any]:
        """Return the partition keys of a year's forecasts."""
        return self.run.keys(self.horizon_minutes, year)

    def _note_rows(self) -> None:
        """Keep with each checkpoint how many forecasts its year has up to then: rows that are lost are noticed."""
        issued, span = self.issues.issued_ms, self.work.span
        for day in span.saves:
            year = year_of(day * DAY_MS)
            first = int(cut_year(issued, year).start)
            rows = max(int(np.searchsorted(issued, day * DAY_MS, side="right")) - first, 0)
            before = self.run.rows_before(self.horizon_minutes, year) if span.resumed else 0
            self._save(day, "published", {"year": np.array(year), "rows": np.array(rows + before)})

    def score(self, served: Served) -> Arrays:
        """Return the sums that scores are made of, and keep them as of each checkpoint."""
        kept = pick_arrays("scores", self.kept)
        sums = ScoreSums.from_arrays(kept) if self.run.kept else start_sums(len(self.run.models) + 1)
        for day, part in self.edges():
            said, scale = served.cut(part), self.scale[part, None]
            predicted = np.column_stack([said.calibrated, said.served]).astype(np.float64) * scale
            half = np.column_stack([said.half_80, said.half_95]).astype(np.float64) * scale
            rows = ScoreRows(self.issues.issued_ms[part], self.issues.close[part], self.actual[part], predicted, half)
            sums = sum_scores(sums, rows, self.horizon_minutes * MINUTE_MS)
            if day is not None:
                self._save(day, "scores", sums.to_arrays())
        return sums.to_arrays()


def cut_issues(issues: Issues, part: slice) -> Issues:
    """Return some of the issues."""
    return Issues(issues.issued_ms[part], issues.close[part], issues.sigma[part])


def cut_rows(rows: ServedRows, part: slice) -> ServedRows:
    """Return some of the rows."""
    return ServedRows(
        rows.issued[part], rows.target[part], rows.predictions[part], rows.realised[part], rows.sigma[part], rows.steps
    )
