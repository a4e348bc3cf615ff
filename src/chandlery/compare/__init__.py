"""Whether a feature or a model of one's own helps: the same candles forecast without it and with it, in two lakes that are thrown away.

    candles of some days of the lake ─► raw files ─► run without the extension ─► forecasts ┐
                                                     └─► run with it ─────────────► forecasts ┴─► skill, Diebold–Mariano, verdict

The lake is read and never written. Both runs are ordinary ones, leak gate included.
"""

import datetime as dt
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace

from chandlery.compare.measures import (
    ALL,
    NAIVE,
    NAIVE_SERVED,
    NO_DIFFERENCE,
    SERVED,
    WITH,
    WITHOUT,
    Row,
    conclude,
    judge_rows,
    measure_forecasts,
)
from chandlery.errors import SettingsError
from chandlery.extensions import load_extension, model_names, read_bundle, read_bundles
from chandlery.features.run import warm_up_steps
from chandlery.forecasts.blend import BLEND
from chandlery.grid import DAY_MINUTES, DAY_MS, DAY_SECONDS, Grid
from chandlery.lake.extents import measure_table
from chandlery.lake.handle import Lake, open_lake
from chandlery.lake.lake_file import LakeFile
from chandlery.lake.store import Store
from chandlery.lake.tables import list_partitions
from chandlery.models import BUILT_IN
from chandlery.progress import Silent, Watch
from chandlery.runs.founding import propose
from chandlery.runs.pipeline import run
from chandlery.schema import LAKE_FILE, LAKE_FORMAT
from chandlery.settings.model import EngineSettings, LakeSettings, LayoutSettings, Settings, SourceSettings
from chandlery.state.paths import day_name
from chandlery.tasks.work import months_between
from chandlery.units import parse_minutes, to_minutes_text

__all__ = [
    "ALL",
    "NAIVE",
    "NAIVE_SERVED",
    "NO_DIFFERENCE",
    "WITHOUT",
    "Comparison",
    "Row",
    "Wanted",
    "compare_extension",
]

WARM_DAYS = 30  # of forecasts before those that are scored: slopes, weights and the guard have a past by then
COLUMNS = ["time", "open", "high", "low", "close", "volume"]


@dataclass(frozen=True)
class Wanted:
    """What to compare.

    Args:
        horizons: As in 30m; all of the lake's where it is empty.
        days: How many days are scored.
        until: The last of them; the newest of the lake where it is left out.
        forecasts: Whose: served, blend, or models; by default what is served, or the blend for a model of one's own.
    """

    horizons: Sequence[str] = ()
    days: int = 365
    until: dt.date | None = None
    forecasts: Sequence[str] = ()


class Comparison(msgspec.Struct, frozen=True):
    """What was found.

    Args:
        extension: The file.
        series: The series that was forecast, as in kraken/1m.
        features: What it registers.
        models: Likewise.
        candles_from: First day of the candles that were taken.
        scored_from: First issue that was scored.
        scored_until: Last one.
        rows: One a test.
        conclusions: A sentence a horizon and forecast.
        advice: What the period is worth from now on.
        seconds: What it took.
        notes: What else one has to know, such as that fewer days were scored than were asked for.
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


@dataclass(frozen=True)
class _Extension:
    """A file, what it registers, and the settings' own extensions beside it."""

    path: str
    features: tuple[str, ...]
    models: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class _Period:
    """Candles from one day on, forecasts scored from another, both up to a third that is left out; days since 1970.

    Args:
        since: The first day of candles that are taken.
        scored: The first day that is scored, if there are forecasts by then.
        stop: The day after the last.
        asked: The first day that was asked for.
        needed: From which day on candles are needed to score every day that was asked for.
    """

    since: int
    scored: int
    stop: int
    asked: int
    needed: int


def compare_extension(settings: Settings, extension: Path, wanted: Wanted, watch: Watch | None = None) -> Comparison:
    """Say whether an extension helps on some days of a lake.

    Args:
        settings: The lake, the series where it has several, and what its runs use; `symbols` limits what is compared,
            never the pool.
        extension: A Python file that registers features or models.
        wanted: What to compare.
        watch: Who is told; nobody where it is left out.

    Raises:
        SettingsError: There is no lake, series, symbol, model or file of that name, the lake has several series and
            not one is chosen, the file registers nothing, or the days are too few.
        LawError: The extension knows the future.
        StoreUnavailableError: A store did not answer.
    """
    began, watch = time.perf_counter(), watch or Silent()
    lake = open_lake(settings.lake.uri, settings.storage, settings.chosen_series)
    settings = _settings_of(settings, lake)
    found = _load(settings, extension)
    forecasts = _choose(lake, found, wanted)
    symbols = sorted({part["symbol"] for part in list_partitions(lake.store, "candles", lake.keys)})
    if missing := sorted(set(settings.symbols) - set(symbols)):
        raise SettingsError(
            f"no candles of {missing[0]} in {settings.lake.uri}", f"one of {', '.join(symbols[:50])}", "check --symbol"
        )
    horizons = sorted({parse_minutes(text) for text in wanted.horizons}) or sorted(lake.series.horizons)
    period = _find_period(lake, settings, wanted, horizons)
    with tempfile.TemporaryDirectory(prefix="chandlery-compare-", ignore_cleanup_errors=True) as folder:
        plain = _settle(
            settings, lake, Path(folder), horizons, [name for name in forecasts if name not in {SERVED, BLEND}]
        )
        held = _write_candles(lake, symbols, Path(folder), period)
        for name, extensions, models in _sides(plain, lake, found):
            watch.note(f"{name} {extension.name}:")
            side = _side(plain, held, Path(folder) / name, extensions, models)
            _found(side, lake)
            run(side, watch=watch)
        kept = [(symbol, horizon) for horizon in horizons for symbol in settings.symbols or sorted(held)]
        rows, span = measure_forecasts(Path(folder), kept, (forecasts, found.models), period.scored * DAY_MS)
    if span is None:
        raise _nothing_scored(lake, period)
    rows = judge_rows(rows)
    advice = "This period is spent: what is chosen because it looks well here looks better here than it is. Choose on one period, report another: --until DATE leaves the days after it unseen"
    first_day = dt.date.fromisoformat(day_name(period.since))
    seconds = round(time.perf_counter() - began, 1)
    registered = (list(found.features), list(found.models))
    conclusions = conclude(rows, extension.name)
    return Comparison(
        str(extension),
        lake.series.name,
        *registered,
        first_day,
        *span,
        rows,
        conclusions,
        advice,
        seconds,
        _tell_shortfall(lake, period, span[0]),
    )


def _settings_of(settings: Settings, lake: Lake) -> Settings:
    """Return the settings with those of the series in hand as [forecast], for lakes that have this series alone."""
    forecast = settings.forecast_of(lake.series.name)
    return settings.model_copy(update={"forecast": forecast, "series": [], "chosen_series": []})


def _load(settings: Settings, extension: Path) -> _Extension:
    """Run the file and take note of what it registers; the settings may name it already."""
    if not extension.is_file():
        raise SettingsError(
            f"no file {extension}", "a Python file that registers a feature or a model", "check the path"
        )
    path = str(extension.resolve())
    others = tuple(name for name in settings.forecast.extensions if str(Path(name).resolve()) != path)
    registered = load_extension(read_bundle(path))
    features, models = tuple(registered.features), tuple(registered.models)
    if not features and not models:
        raise SettingsError(
            f"extension {extension} registers no feature and no model",
            "@feature(…) or register(…) in it",
            "see CONTRIBUTING.md for one of each",
        )
    if taken := [name for name in models if name in BUILT_IN]:
        raise SettingsError(
            f"extension {extension} registers a model called {taken[0]!r}",
            f"a name that is none of {', '.join(BUILT_IN)}",
            "rename it",
        )
    return _Extension(path, features, models, others)


def _choose(lake: Lake, found: _Extension, wanted: Wanted) -> list[str]:
    """Return whose forecasts are held against each other; a model of the extension itself has no counterpart but naive."""
    registered = (*model_names(read_bundles(found.others)), *found.models)
    known = [SERVED, BLEND, *dict.fromkeys((*lake.series.models, *registered))]
    if unknown := [name for name in wanted.forecasts if name not in known]:
        raise SettingsError(f"model {unknown[0]!r}", f"one of {', '.join(known)}", "check --model")
    return [name for name in dict.fromkeys(wanted.forecasts) if name not in found.models] or [
        BLEND if found.models else SERVED
    ]


def _find_period(lake: Lake, settings: Settings, wanted: Wanted, horizons: list[int]) -> _Period:
    """Return from when on candles are needed and forecasts are scored.

    Raises:
        SettingsError: The lake has no candles, or too few to fit on.
    """
    held = measure_table(lake.store, "candles", lake.keys)
    if held.first is None or held.last is None:
        found = f"no candles of {lake.series.name} in {settings.lake.uri}"
        raise SettingsError(found, "a lake with candles", "run `chandlery ingest` first")
    first, stop = find_day(lake.grid, held.first), find_day(lake.grid, held.last) + 1
    if wanted.until is not None:
        stop = min(stop, day_of(wanted.until) + 1)
    history = -(-parse_minutes(settings.forecast.min_train) // DAY_MINUTES)
    asked = stop - wanted.days
    fitted = int(np.datetime64(asked - WARM_DAYS, "D").astype("datetime64[M]").astype("datetime64[D]").astype(int))
    wait = (lake.grid.seconds - 1) // DAY_SECONDS  # of a longer candle the first closes so many days later, at most
    needed = fitted - history - wait - _count_untrained_days(lake, horizons)
    since = max(first, needed)
    months = months_between(since + history, stop - 1)
    if not months:
        due = next_fit(first + history)
        raise SettingsError(
            f"{max(stop - first, 0):,} days of candles, {day_name(first)} to {day_name(stop - 1)}",
            f"at least {due - first + 1:,}: models are first fitted on {day_name(due)}, the first month that begins "
            f"after min_train, {history} days",
            "add candles, choose a later --until, or lower [forecast] min_train",
        )
    return _Period(since, max(asked, int(np.datetime64(months[0], "D").astype(int))), stop, asked, needed)


def _count_untrained_days(lake: Lake, horizons: list[int]) -> int:
    """Return how many days of candles models learn nothing of: those before a symbol's first row, and the newest.

    The first candles of a symbol give no rows, and a row is learned from once the label at the reach is known.
    """
    reach = max(lake.series.reach, *horizons) * 60
    return -(-(warm_up_steps(lake.grid) * lake.grid.seconds + reach) // DAY_SECONDS)


def _nothing_scored(lake: Lake, period: _Period) -> SettingsError:
    """Return what to say where there is no forecast in the period whose outcome is known."""
    found = (
        f"no forecast of {lake.series.name} whose outcome is known, {day_name(period.asked)} to "
        f"{day_name(period.stop - 1)}, from candles since {day_name(period.since)}"
    )
    if period.since <= period.needed:
        return SettingsError(found, "at least one", "choose more --days, other --until, or another --symbol")
    expected = f"candles since {day_name(period.needed)} to score all of these days: {_tell_wait(lake)}"
    return SettingsError(found, expected, "add older candles, choose a later --until, or lower [forecast] min_train")


def _tell_shortfall(lake: Lake, period: _Period, scored_from: dt.datetime) -> list[str]:
    """Return a sentence that tells how many days were scored, where these are fewer than were asked for."""
    step = -(-lake.grid.seconds // DAY_SECONDS)
    begin = day_of(scored_from)
    if begin - period.asked <= step:  # the first candle of the period closes within one step
        return []
    note = f"{period.stop - begin:,} days are scored, from {scored_from:%Y-%m-%d} on, of {period.stop - period.asked:,}"
    if period.since <= period.needed:
        return [f"{note}: there are no forecasts of the others."]
    candles = f"the candles taken begin on {day_name(period.since)}, and the others need them since"
    return [f"{note}: {candles} {day_name(period.needed)}. {_tell_wait(lake)[0].upper()}{_tell_wait(lake)[1:]}."]


def _tell_wait(lake: Lake) -> str:
    """Return why the first candles have no forecasts."""
    return (
        f"the first {warm_up_steps(lake.grid):,} candles of a symbol are neither learned from nor forecast, and models "
        "are first fitted in a month that begins after min_train"
    )


def day_of(moment: dt.date) -> int:
    """Return the UTC day of a date or a moment, counted from 1970.

    Example:
        >>> day_of(dt.date(2020, 1, 1)), day_of(dt.datetime(2020, 1, 1, 23, 59, tzinfo=dt.UTC))
        (18262, 18262)
    """
    return (dt.date(moment.year, moment.month, moment.day) - dt.date(1970, 1, 1)).days


def find_day(grid: Grid, opened: dt.datetime) -> int:
    """Return the UTC day, counted from 1970, in which a candle closes that opens at a moment."""
    return grid.days_of(grid.steps_of(round(opened.timestamp() * 1_000)))


def next_fit(day: int) -> int:
    """Return the first day of a month that is no earlier.

    Example:
        >>> day_name(next_fit(18262)), day_name(next_fit(18263))
        ('2020-01-01', '2020-02-01')
    """
    return int(np.datetime64(months_between(day, day + 31)[0], "D").astype(int))


def _settle(settings: Settings, lake: Lake, folder: Path, horizons: list[int], models: list[str]) -> Settings:
    """Return the settings of both runs: those that were given, on this machine."""
    forecast = settings.forecast.model_copy(
        update={"horizons": [to_minutes_text(minutes) for minutes in horizons], "models": models}
    )
    source = SourceSettings(uri=str(folder / "raw"), exchange=lake.series.exchange)
    engine = EngineSettings(name="local", workers=settings.engine.workers)
    return settings.model_copy(update={"forecast": forecast, "source": source, "engine": engine, "storage": {}})


def _write_candles(lake: Lake, symbols: list[str], folder: Path, period: _Period) -> dict[str, LayoutSettings]:
    """Write a CSV a symbol with its candles of the period; return how each is to be read."""
    raw = folder / "raw"
    raw.mkdir()
    held, grid = {}, lake.grid
    since_ms, until_ms = (grid.open_ms(grid.step_at(day)) for day in (period.since, period.stop))
    for symbol in symbols:
        candles = lake.read_candles(symbol, since_ms, until_ms)
        if candles.height:
            name = f"{symbol}.csv"
            candles.select(pl.col("open_time").dt.epoch("ms").alias("time"), *COLUMNS[1:]).write_csv(raw / name)
            held[symbol] = LayoutSettings(
                files=name, columns=COLUMNS, time_unit="ms", symbol=symbol, interval=lake.series.interval
            )
    return held


def _found(side: Settings, lake: Lake) -> None:
    """Found the lake of a side on the grid of the lake that is compared, and with its reach where that is far enough."""
    series, held = propose(side, lake.series.exchange, lake.grid, (), is_only=True).series, lake.series
    reach = held.reach if held.reach >= max(series.horizons) else series.reach
    series = replace(series, reach=reach, references=side.forecast.references or held.references)
    Store(side.lake.uri).put(LAKE_FILE, msgspec.json.encode(LakeFile(LAKE_FORMAT, [series])))


def _sides(plain: Settings, lake: Lake, found: _Extension) -> list[tuple[str, list[str], list[str]]]:
    """Return the two runs: name, extensions, models. With the extension first: where it leaks, that is told at once."""
    models = (
        plain.forecast.models or [name for name in lake.series.models if name not in found.models] or list(BUILT_IN)
    )
    return [(WITH, [*found.others, found.path], [*models, *found.models]), (WITHOUT, list(found.others), models)]


def _side(
    plain: Settings, held: dict[str, LayoutSettings], lake: Path, extensions: list[str], models: list[str]
) -> Settings:
    forecast = plain.forecast.model_copy(update={"extensions": extensions, "models": models})
    source = plain.source.model_copy(update={"layout": list(held.values())})
    missing = [symbol for symbol in plain.symbols if symbol not in held]
    if missing:
        raise SettingsError(
            f"{missing[0]} has no candles in the period",
            f"one of {', '.join(list(held)[:50])}",
            "choose more --days, or another --symbol",
        )
    return plain.model_copy(update={"forecast": forecast, "source": source, "lake": LakeSettings(uri=str(lake))})
