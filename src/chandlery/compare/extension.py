"""Whether a feature or a model of the user's helps: the same candles are forecast without it and with it.

    candles of some days of the lake ─► raw files ─► run without the extension ─► forecasts ┐
                                                     └─► run with it ─────────────► forecasts ┴─► skill, DM, verdict

The two lakes are temporary. Both runs are ordinary ones, the leak gate included.
"""

import datetime as dt
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from chandlery.compare.lakes import found_lake, list_variants, make_settings, write_candles
from chandlery.compare.loading import choose_forecasts, inspect_extension
from chandlery.compare.measures import Row, conclude, measure_forecasts
from chandlery.compare.period import describe_shortfall, find_period, refuse_period
from chandlery.errors import SettingsError
from chandlery.grid import DAY_MS
from chandlery.lake.handle import Lake, open_lake
from chandlery.lake.tables import list_partitions
from chandlery.progress import Silent, Watch
from chandlery.runs.pipeline import run
from chandlery.settings.model import Settings
from chandlery.state.paths import day_name
from chandlery.units import parse_minutes

__all__ = ["Comparison", "Wanted", "compare_extension"]

MOST_NAMES = 50  # symbols that an error lists
ADVICE = (
    "This period is spent: what is chosen because it looks well here looks better here than it is. Choose on one "
    "period, report another: --until DATE leaves the days after it unseen"
)


@dataclass(frozen=True)
class Wanted:
    """What to compare.

    Args:
        horizons: As in 30m; without any, all of the lake's.
        days: How many days are scored.
        until: The last of them; without it, the newest of the lake.
        forecasts: Whose: served, blend, or models; without any, what is served, or the blend where the extension
            registers a model.
    """

    horizons: Sequence[str] = ()
    days: int = 365
    until: dt.date | None = None
    forecasts: Sequence[str] = ()


class Comparison(msgspec.Struct, frozen=True):
    """The result of a comparison.

    Args:
        extension: The file.
        series: The series that was forecast, as in kraken/1m.
        features: Names of the features that the file registers.
        models: Names of the models that it registers.
        candles_from: First day of the candles that were taken.
        scored_from: When the first forecast that was scored was issued.
        scored_until: When the last one was.
        rows: One per test.
        conclusions: One sentence per horizon and forecast.
        advice: What the period is worth from now on.
        seconds: How long it took.
        notes: What else a reader has to know, such as that fewer days were scored than were asked for.
    """

    extension: str
    series: str
    features: list[str]
    models: list[str]
    candles_from: dt.date
    scored_from: dt.datetime
    scored_until: dt.datetime
    rows: list[Row]
    conclusions: list[str]
    advice: str
    seconds: float
    notes: list[str] = msgspec.field(default_factory=list)


def compare_extension(settings: Settings, extension: Path, wanted: Wanted, watch: Watch | None = None) -> Comparison:
    """Compare forecasts without an extension and with it on some days of a lake.

    Args:
        settings: The lake, its series where it has several, and the settings of both runs; `symbols` limits what is
            compared, but not the symbols that models learn from.
        extension: A Python file that registers features or models.
        wanted: What to compare.
        watch: Receives the progress.

    Raises:
        SettingsError: There is no lake, series, symbol, model or file of that name, the lake has several series and
            none is chosen, the file registers nothing, or the days are too few.
        LawError: The extension uses later data.
        StoreUnavailableError: A store did not answer.
    """
    began, watch = time.perf_counter(), watch or Silent()
    lake = open_lake(settings.lake.uri, settings.lake_storage, settings.chosen_series)
    settings = _select_series(settings, lake)
    loaded = inspect_extension(settings, extension)
    forecasts = choose_forecasts(lake, loaded, wanted.forecasts)
    symbols = _list_symbols(settings, lake)
    horizons = sorted({parse_minutes(text) for text in wanted.horizons}) or sorted(lake.series.horizons)
    period = find_period(lake, settings, wanted.days, wanted.until, horizons)
    with tempfile.TemporaryDirectory(prefix="chandlery-compare-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        layouts = write_candles(lake, symbols, folder / "raw", period)
        for variant in list_variants(forecasts, lake, loaded):
            watch.note(f"{variant.name} {extension.name}:")
            run_settings = make_settings(settings, lake, folder, variant, horizons, layouts)
            found_lake(run_settings, lake)
            run(run_settings, watch=watch)
        pairs = [(symbol, horizon) for horizon in horizons for symbol in settings.symbols or sorted(layouts)]
        rows, span = measure_forecasts(folder, pairs, forecasts, loaded.models, period.scored_from * DAY_MS)
    if span is None:
        raise refuse_period(lake, period)
    return Comparison(
        extension=str(extension),
        series=lake.series.name,
        features=list(loaded.features),
        models=list(loaded.models),
        candles_from=dt.date.fromisoformat(day_name(period.candles_from)),
        scored_from=span[0],
        scored_until=span[1],
        rows=rows,
        conclusions=conclude(rows, extension.name),
        advice=ADVICE,
        seconds=round(time.perf_counter() - began, 1),
        notes=describe_shortfall(lake, period, span[0]),
    )


def _select_series(settings: Settings, lake: Lake) -> Settings:
    """Return the settings with those of the lake's series as [forecast], for lakes that have this series alone.

    `min_train` and the seed are those of the lake if the settings do not give them, as in a run.
    """
    forecast = settings.forecast_of(lake.series.name)
    kept = {name: getattr(lake.series, name) for name in ("min_train", "seed") if name not in forecast.model_fields_set}
    forecast = forecast.model_copy(update=kept)
    return settings.model_copy(update={"forecast": forecast, "series": [], "chosen_series": []})


def _list_symbols(settings: Settings, lake: Lake) -> list[str]:
    """Return the symbols that have candles, by name.

    Raises:
        SettingsError: One of the settings has none.
    """
    symbols = sorted({part["symbol"] for part in list_partitions(lake.store, "candles", lake.keys)})
    if missing := sorted(set(settings.symbols) - set(symbols)):
        found = f"no candles of {missing[0]} in {settings.lake.uri}"
        raise SettingsError(found, f"one of {', '.join(symbols[:MOST_NAMES])}", "check --symbol")
    return symbols
