"""The score task: everybody's sums to scores with significance, and the artefacts to the table of models."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from chandlery.grid import DAY_MS
from chandlery.models import open_models
from chandlery.schema import TIME, Scores
from chandlery.scores import ScoreSums, judge, to_scores
from chandlery.served import BLEND
from chandlery.state import get_arrays
from chandlery.tasks.artefacts import artefact_path, read_artefacts
from chandlery.tasks.predict import sums_path
from chandlery.tasks.work import Work

__all__ = ["ScoreTask", "score_lake"]


@dataclass(frozen=True)
class ScoreTask:
    """All symbols with forecasts, ascending."""

    work: Work
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        return "all symbols"


def score_lake(task: ScoreTask) -> int:
    """Publish scores and models; return the number of objects put."""
    work, file = task.work, task.work.lake.file
    frames = []
    for symbol in task.symbols:
        for horizon in file.horizons:
            arrays = get_arrays(work.lake.store, sums_path(symbol, horizon))
            if arrays is not None and arrays["months"].size:
                frames.append(to_scores(ScoreSums.from_arrays(arrays), [*file.models, BLEND], symbol, horizon, work.lake.interval_minutes))
    keys = {"exchange": file.exchange}
    scored = judge(pl.concat(frames, how="vertical_relaxed")).sort("symbol", "horizon_minutes", "model", "period") if frames else Scores.create_empty()
    return work.lake.write("scores", keys, scored) + work.lake.write("models", keys, list_models(work))


def list_models(work: Work) -> pl.DataFrame:
    """Return one row a fitted model."""
    file = work.lake.file
    rows = []
    for model in open_models(file.models, work.extensions):
        for horizon in file.horizons:
            for fitted in read_artefacts(work, model.name, horizon):
                refit_ms = int(np.datetime64(fitted.refit_at, "ms").astype(np.int64))
                rows.append(
                    {
                        "interval": file.interval,
                        "horizon_minutes": horizon,
                        "model": model.name,
                        "refit_at": refit_ms,
                        "trained_until": refit_ms - work.lead * DAY_MS + max(file.horizons) * 60_000,
                        "rows": fitted.rows,
                        "symbols": fitted.symbols,
                        "references": list(work.references),
                        "features": fitted.features,
                        "seed": fitted.seed,
                        "artefact": artefact_path(model.name, horizon, fitted.refit_at[:4]),
                    }
                )
    schema: dict[str, Any] = {
        "interval": pl.String,
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
    models = pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("refit_at", "trained_until").cast(TIME))
    return models.sort("horizon_minutes", "model", "refit_at")
