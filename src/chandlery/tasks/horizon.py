"""One horizon of a symbol's forecasts: what is served for each row, the tables of its years, and its score sums."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.elementwise import log_each
from chandlery.errors import StateLostError
from chandlery.forecasts.backtest import Issues, to_forecasts
from chandlery.forecasts.blend import BLEND, Served, ServedRows, ServedState, serve, start_served
from chandlery.forecasts.scores import ScoreRows, ScoreSums, start_sums, sum_scores
from chandlery.grid import DAY_MS, MINUTE_MS, cut_year, year_of
from chandlery.lake.tables import join_rows, partition_path
from chandlery.schema import TIME
from chandlery.state.arrays import Arrays, name_arrays, pick_arrays
from chandlery.state.paths import parse_day
from chandlery.tasks.work import Work

__all__ = ["HorizonForecasts", "Predictions", "count_published", "forecast_keys"]


@dataclass(frozen=True)
class Predictions:
    """A symbol's raw predictions over the span, at every horizon.

    Args:
        work: The span and the lake.
        symbol: The symbol.
        issues: When forecasts are issued: at the close of candles, (n,).
        raw: In units of sigma·√horizon, NaN where not fitted, (n, models, horizons).
        place: The place of each issue among the candles, ascending, (n,).
        actual: The close at each horizon's target, NaN where unknown, (candles, horizons).
        restored: The symbol's checkpoint at the span's first day; empty if it begins later.
        checkpoints: The states of its features at each checkpoint of the span, by day.
        years: Of its forecasts, from the span's first year on.
    """

    work: Work
    symbol: str
    issues: Issues
    raw: NDArray[np.float32]
    place: NDArray[np.int64]
    actual: NDArray[np.float64]
    restored: Arrays
    checkpoints: dict[int, Arrays]
    years: tuple[int, ...]


def forecast_keys(work: Work, symbol: str, horizon_minutes: int, year: int) -> dict[str, Any]:
    """Return the partition keys of a year's forecasts."""
    return {**work.lake.keys, "symbol": symbol, "horizon_minutes": horizon_minutes, "year": year}


def count_published(restored: Arrays, horizon_minutes: int, year: int) -> int:
    """Return how many forecasts of a horizon and year were published before the span.

    Args:
        restored: The symbol's checkpoint at the span's first day.
        horizon_minutes: The horizon.
        year: The year.
    """
    counts = pick_arrays(f"{horizon_minutes}/published", restored)
    return int(counts["rows"]) if counts and int(counts["year"]) == year else 0


class HorizonForecasts:
    """The forecasts of one symbol and horizon over the span.

    Its rows are cut at the checkpoints, because the states there are stored.

    Args:
        predictions: Of the symbol.
        horizon: The place of the horizon among those of the work.
    """

    def __init__(self, predictions: Predictions, horizon: int) -> None:
        self._predictions, self._work = predictions, predictions.work
        rules, issues = self._work.rules, predictions.issues
        steps = rules.horizon_steps[horizon]
        self.symbol, self.horizon_minutes, self.issues = predictions.symbol, rules.horizons[horizon], issues
        self.actual = predictions.actual[predictions.place, horizon]
        self.scale = issues.sigma * np.sqrt(steps)
        self.rows = ServedRows(
            issues.issued_ms,
            issues.issued_ms + self.horizon_minutes * MINUTE_MS,
            np.ascontiguousarray(predictions.raw[:, :, horizon]),
            log_each(self.actual / issues.close) / self.scale,
            issues.sigma,
            steps,
        )
        self._restored = pick_arrays(str(self.horizon_minutes), predictions.restored)
        self.checkpoints: dict[int, Arrays] = {day: {} for day in self._work.span.saves}
        cuts = [int(np.searchsorted(issues.issued_ms, day * DAY_MS, side="right")) for day in self.checkpoints]
        edges = zip([0, *cuts], [*cuts, issues.issued_ms.size], strict=True)
        self.parts = [slice(first, last) for first, last in edges]  # up to each checkpoint, and after the last

    def serve(self) -> tuple[Served, list[ServedState]]:
        """Decide what is served for each row, and note the states at the checkpoints.

        Returns:
            What is served, and the state at the start of each part.
        """
        states, served = [self._restore_served()], []
        for part in self.parts:
            piece, state = serve(states[-1], self.rows.cut(part))
            served.append(piece)
            states.append(state)
        for day, state in zip(self.checkpoints, states[1:], strict=False):  # none is stored after the last part
            self._note(day, "served", state._asdict())
        return Served.concat(served), states[:-1]

    def _restore_served(self) -> ServedState:
        if not self._predictions.restored:
            return start_served(len(self._work.rules.models))
        return ServedState(**pick_arrays("served", self._restored))

    def _note(self, day: int, group: str, arrays: Arrays) -> None:
        """Add arrays to a checkpoint: they are stored with those of the symbol's other horizons."""
        self.checkpoints[day] |= name_arrays(f"{self.horizon_minutes}/{group}", arrays)

    def to_year(self, served: Served, year: int) -> pl.DataFrame:
        """Return the forecasts issued in a year: the forecasts of all years at once would take much memory."""
        part = cut_year(self.issues.issued_ms, year)
        return self.to_forecasts(self.issues.cut(part), self.actual[part], served.cut(part))

    def to_forecasts(self, issues: Issues, actual: NDArray[np.float64], served: Served) -> pl.DataFrame:
        """Return some forecasts as rows of the table."""
        names = [*self._work.rules.models, BLEND]
        return to_forecasts(issues, self.horizon_minutes, self._work.rules.grid, actual, served, names)

    def stage(self, served: Served, published: bytes | None) -> Iterator[Callable[[], None]]:
        """Yield a call for each year that stages its forecasts, and note at the checkpoints how many there are.

        Args:
            served: What is served for each row.
            published: The published object of the span's first year; None if all of the year is computed.

        Raises:
            StateLostError: Published rows from before the span are missing.
        """
        lake, span = self._work.lake, self._work.span
        self._note_counts()
        for year in self._predictions.years:
            keys = forecast_keys(self._work, self.symbol, self.horizon_minutes, year)
            rows = self.to_year(served, year)
            is_first = span.resumed and year == year_of(span.since * DAY_MS)
            if is_first:
                since = pl.lit(span.since * DAY_MS).cast(TIME)
                before = lake.decode("forecasts", keys, published).filter(pl.col("issued_at") <= since)
                if before.height != self._count_published(year):
                    raise StateLostError(partition_path("forecasts", keys), parse_day(str(year)) - 1)
                rows = join_rows("forecasts", before, rows)
            yield partial(self._put, keys, rows, published if is_first else None)

    def _put(self, keys: dict[str, Any], rows: pl.DataFrame, published: bytes | None) -> None:
        lake = self._work.lake
        if published is None:
            lake.write("forecasts", keys, rows)
        else:
            lake.replace("forecasts", keys, published, rows)

    def _count_published(self, year: int) -> int:
        return count_published(self._predictions.restored, self.horizon_minutes, year)

    def _note_counts(self) -> None:
        """Note at each checkpoint how many forecasts its year has until then, so that lost rows are found."""
        issued, span = self.issues.issued_ms, self._work.span
        for day, part in zip(self.checkpoints, self.parts, strict=False):
            year = year_of(day * DAY_MS)
            rows = max(part.stop - int(cut_year(issued, year).start), 0)
            before = self._count_published(year) if span.resumed else 0
            self._note(day, "published", {"year": np.array(year), "rows": np.array(rows + before)})

    def score(self, served: Served) -> Arrays:
        """Return the sums that scores are computed from, and note them at the checkpoints."""
        sums = self._restore_sums()
        for day, part in zip([*self.checkpoints, None], self.parts, strict=True):
            piece, scale = served.cut(part), self.scale[part, None]
            predicted = np.column_stack([piece.calibrated, piece.served]).astype(np.float64) * scale
            half = np.column_stack([piece.half_80, piece.half_95]).astype(np.float64) * scale
            rows = ScoreRows(self.issues.issued_ms[part], self.issues.close[part], self.actual[part], predicted, half)
            sums = sum_scores(sums, rows, self.horizon_minutes * MINUTE_MS)
            if day is not None:
                self._note(day, "scores", sums._asdict())
        return sums._asdict()

    def _restore_sums(self) -> ScoreSums:
        if not self._predictions.restored:
            return start_sums(len(self._work.rules.models) + 1)
        return ScoreSums(**pick_arrays("scores", self._restored))
