"""The score task: the sums of all symbols to scores with significance, and the fits to the table of models."""

from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from chandlery.errors import StateLostError
from chandlery.extensions import open_models
from chandlery.forecasts.blend import BLEND
from chandlery.forecasts.scores import ScoreSums, judge, to_scores
from chandlery.grid import DAY_MS, MINUTE_MS
from chandlery.lake.tables import join_rows
from chandlery.schema import TABLES, TIME
from chandlery.state.arrays import get_arrays, pick_arrays
from chandlery.state.artefacts import read_fits
from chandlery.state.paths import Paths
from chandlery.tasks.fit import list_fit_years, name_fit
from chandlery.tasks.work import Arrays, Work

__all__ = ["ScoreTask", "score_lake"]

# Times are in ms here; `list_models` gives them their type.
TYPES: dict[str, Any] = {
    "horizon_minutes": pl.Int32,
    "model": pl.String,
    "refit_at": pl.Int64,
    "trained_until": pl.Int64,
    "rows": pl.Int64,
    "symbols": pl.List(pl.String),
    "references": pl.List(pl.String),
    "features": pl.List(pl.String),
    "seed": pl.Int64,
    "artefact": pl.String,
}


@dataclass(frozen=True)
class ScoreTask:
    """The scores of a whole series.

    Args:
        work: The span and the lake.
        symbols: All symbols with candles, ascending.
        fresh: Those whose forecasts this run has computed.
        prune: Whether scores of symbols without candles are dropped.
        only: Symbols that may be dropped; empty means all.
    """

    work: Work
    symbols: tuple[str, ...]
    fresh: frozenset[str]
    prune: bool
    only: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "all symbols"


def score_lake(task: ScoreTask) -> int:
    """Stage scores and models; return the number of objects that change.

    Scores of symbols that this run did not compute stay as published: their sums may be those of other models.

    Raises:
        StateLostError: The sums of a symbol, or an artefact, are missing or damaged.
    """
    work, store = task.work, task.work.lake.store
    keys, paths = work.lake.keys, Paths.of(work.lake)
    content = work.lake.get("scores", keys)
    published = work.lake.decode("scores", keys, content)
    fresh, frames = sorted(task.fresh), []
    sums = store.ask_ahead(lambda symbol: get_arrays(store, paths.scores(symbol)), fresh)
    for symbol, arrays in zip(fresh, sums, strict=True):
        if arrays is None:
            raise StateLostError(paths.scores(symbol), work.span.since - 1)
        frames += score_symbol(work, symbol, arrays)
    pruned = set(published["symbol"]) - set(task.symbols) if task.prune else set()
    pruned = pruned & task.only if task.only else pruned
    table = TABLES["scores"]
    scored = join_rows("scores", published.filter(~pl.col("symbol").is_in(task.fresh | pruned)), *frames)
    if scored.height:
        scored = judge(scored)
    models = list_models(work)
    return work.lake.replace("scores", keys, content, scored.sort(table.sort)) + work.lake.write("models", keys, models)


def score_symbol(work: Work, symbol: str, arrays: Arrays) -> list[pl.DataFrame]:
    """Compute the scores of a symbol: a frame for each horizon that has outcomes."""
    models, frames = [*work.rules.models, BLEND], []
    for horizon in work.rules.horizons:
        sums = pick_arrays(str(horizon), arrays)
        if sums and sums["months"].size:
            frames.append(to_scores(ScoreSums(**sums), models, symbol, horizon))
    return frames


def list_models(work: Work) -> pl.DataFrame:
    """Return the rows of the table `models`: one for each fitted model, horizon and refit."""
    rules, models = work.rules, open_models(work.rules.models, work.extensions)
    rows = []
    for fit in dict.fromkeys(name_fit(model) for model in models):
        years = list_fit_years(work, [model for model in models if name_fit(model) == fit])
        artefacts = work.lake.store.ask_ahead(partial(read_fits, work.lake, fit), map(str, years))
        for fitted in chain.from_iterable(artefacts):
            refit_ms = int(np.datetime64(fitted.refit_at, "ms").astype(np.int64))
            rows.append(
                {
                    "horizon_minutes": fitted.horizon_minutes,
                    "model": fitted.model,
                    "refit_at": refit_ms,
                    "trained_until": refit_ms - rules.lead * DAY_MS + rules.reach * MINUTE_MS,
                    "rows": fitted.rows,
                    "symbols": fitted.symbols,
                    "references": list(rules.references),
                    "features": fitted.features,
                    "seed": fitted.seed,
                    "artefact": Paths.of(work.lake).artefact(fit, fitted.refit_at[:4]),
                }
            )
    table = pl.DataFrame(rows, schema=TYPES, orient="row").with_columns(pl.col("refit_at", "trained_until").cast(TIME))
    return table.sort("horizon_minutes", "model", "refit_at")
