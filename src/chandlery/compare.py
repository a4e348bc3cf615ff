"""Whether a feature or a model of one's own helps: the same candles forecast without it and with it, in two lakes that are thrown away.

    candles of the lake, the newest days ─► raw files ─► run without the extension ─► forecasts ┐
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

from chandlery.checkpoints import day_name
from chandlery.config import EngineSettings, LakeSettings, LayoutSettings, Settings, SourceSettings, parse_minutes, to_minutes_text
from chandlery.errors import SettingsError
from chandlery.features import load_extensions, own_features
from chandlery.grid import DAY_MS
from chandlery.lake import Lake, read_lake_file
from chandlery.models import BUILT_IN, own_models
from chandlery.pipeline import run
from chandlery.progress import Silent, Watch
from chandlery.schema import model_column
from chandlery.scores import FALSE_DISCOVERY, adjust, compare_losses
from chandlery.served import BLEND
from chandlery.storage import Store
from chandlery.tables import list_partitions, read_partition, read_table
from chandlery.tasks.work import months_between

__all__ = ["ALL", "NAIVE", "NO_DIFFERENCE", "WITHOUT", "Comparison", "Row", "Wanted", "compare_extension"]

ALL, SERVED, NAIVE, WITHOUT = "all", "served", "naive", "without"
NO_DIFFERENCE = "no difference that these data show"
VERDICTS = {WITHOUT: ("helps", "makes it worse"), NAIVE: ("better than naive", "worse than naive")}
WARM_DAYS = 30  # of forecasts before those that are scored: slopes, weights and the guard have a past by then
COLUMNS = ["time", "open", "high", "low", "close", "volume"]


@dataclass(frozen=True)
class Wanted:
    """What to compare.

    Args:
        horizons: As in 30m; all of the lake's where it is empty.
        days: How many of the newest days are scored.
        forecasts: Whose: served, blend, or models; by default what is served, or the blend for a model of one's own.
    """

    horizons: Sequence[str] = ()
    days: int = 365
    forecasts: Sequence[str] = ()


class Row(msgspec.Struct, frozen=True):
    """One test.

    Args:
        horizon_minutes: How far ahead.
        symbol: Whose forecasts; `all` of all symbols together.
        forecast: served, blend, or a model.
        against: The same forecast `without` the extension, or `naive`.
        n: Forecasts scored.
        skill_without: 1 − sse / sse_naive of what it is held against.
        skill_with: Of the forecast.
        difference: The second less the first.
        dm_statistic: Diebold–Mariano; positive is better with it. None where the two never differ.
        p_value: Two-sided.
        adjusted_p_value: Benjamini–Hochberg over all rows.
        verdict: At 5 % of the adjusted one.
    """

    horizon_minutes: int
    symbol: str
    forecast: str
    against: str
    n: int
    skill_without: float | None
    skill_with: float | None
    difference: float | None
    dm_statistic: float | None
    p_value: float | None
    adjusted_p_value: float | None = None
    verdict: str = NO_DIFFERENCE


class Comparison(msgspec.Struct, frozen=True):
    """What was found.

    Args:
        extension: The file.
        features: What it registers.
        models: Likewise.
        candles_from: First day of the candles that were taken.
        scored_from: First issue that was scored.
        scored_until: Last one.
        rows: One a test.
        conclusions: A sentence a horizon and forecast.
        advice: What the period is worth from now on.
        seconds: What it took.
    """

    extension: str
    features: list[str]
    models: list[str]
    candles_from: dt.date
    scored_from: dt.datetime
    scored_until: dt.datetime
    rows: list[Row]
    conclusions: list[str]
    advice: str
    seconds: float


@dataclass(frozen=True)
class _Extension:
    """A file, what it registers, and the settings' own extensions beside it."""

    path: str
    features: tuple[str, ...]
    models: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class _Period:
    """Candles from one day on, forecasts scored from another, both days since 1970."""

    since: int
    scored: int


def compare_extension(settings: Settings, extension: Path, wanted: Wanted, watch: Watch | None = None) -> Comparison:
    """Say whether an extension helps on the newest days of a lake.

    Args:
        settings: The lake, and what its runs use; `symbols` limits what is compared, never the pool.
        extension: A Python file that registers features or models.
        wanted: What to compare.
        watch: Who is told; nobody where it is left out.

    Raises:
        SettingsError: There is no lake, symbol, model or file of that name, the file registers nothing, or the days are too few.
        LawError: The extension knows the future.
        StoreUnavailableError: A store did not answer.
    """
    began, watch = time.perf_counter(), watch or Silent()
    lake = _open(settings)
    found = _load(settings, extension)
    forecasts = _choose(lake, found, wanted)
    symbols = sorted({part["symbol"] for part in list_partitions(lake.store, "candles", {"exchange": lake.file.exchange})})
    if missing := sorted(set(settings.symbols) - set(symbols)):
        raise SettingsError(f"no candles of {missing[0]} in {settings.lake.uri}", f"one of {', '.join(symbols[:50])}", "check --symbol")
    horizons = sorted({parse_minutes(text) for text in wanted.horizons}) or sorted(lake.file.horizons)
    period = _find_period(lake, settings, wanted.days)
    with tempfile.TemporaryDirectory(prefix="chandlery-compare-", ignore_cleanup_errors=True) as folder:
        plain = _settle(settings, lake, Path(folder), horizons, [name for name in forecasts if name not in {SERVED, BLEND}])
        held = _write_candles(lake, symbols, Path(folder), period.since)
        for name, extensions, models in _sides(plain, lake, found):
            watch.note(f"{name} {extension.name}:")
            run(_side(plain, held, Path(folder) / name, extensions, models), watch=watch)
        kept = [(symbol, horizon) for horizon in horizons for symbol in settings.symbols or sorted(held)]
        rows, span = _score(Path(folder), kept, (forecasts, found.models), period.scored * DAY_MS)
    rows = _judge(rows)
    advice = "This period is spent: what is chosen because it looks well here looks better here than it is. Choose on this period, report another, such as candles that come later"
    first_day = dt.date.fromisoformat(day_name(period.since))
    seconds = round(time.perf_counter() - began, 1)
    return Comparison(str(extension), list(found.features), list(found.models), first_day, *span, rows, _conclude(rows, extension.name), advice, seconds)


def _open(settings: Settings) -> Lake:
    if not settings.lake.uri:
        raise SettingsError("no lake", "where to read", "give --lake URI or set [lake] uri")
    store = Store(settings.lake.uri, settings.storage)
    file = read_lake_file(store)
    if file is None:
        raise SettingsError(f"no lake at {settings.lake.uri}", "a lake that `chandlery run` has made", "check --lake or [lake] uri")
    return Lake(store, file)


def _load(settings: Settings, extension: Path) -> _Extension:
    """Run the file and take note of what it registers; the settings may name it already."""
    if not extension.is_file():
        raise SettingsError(f"no file {extension}", "a Python file that registers a feature or a model", "check the path")
    path = str(extension.resolve())
    others = tuple(name for name in settings.forecast.extensions if str(Path(name).resolve()) != path)
    load_extensions(others)
    features, models = tuple(own.feature.name for own in own_features([path])), tuple(own_models(path))
    if not features and not models:
        raise SettingsError(f"extension {extension} registers no feature and no model", "@feature(…) or register(…) in it", "see CONTRIBUTING.md for one of each")
    if taken := [name for name in models if name in BUILT_IN]:
        raise SettingsError(f"extension {extension} registers a model called {taken[0]!r}", f"a name that is none of {', '.join(BUILT_IN)}", "rename it")
    return _Extension(path, features, models, others)


def _choose(lake: Lake, found: _Extension, wanted: Wanted) -> list[str]:
    """Return whose forecasts are held against each other; a model of the extension itself has no counterpart but naive."""
    registered = (*BUILT_IN, *(name for file in found.others for name in own_models(file)), *found.models)
    known = [SERVED, BLEND, *dict.fromkeys((*lake.file.models, *registered))]
    if unknown := [name for name in wanted.forecasts if name not in known]:
        raise SettingsError(f"model {unknown[0]!r}", f"one of {', '.join(known)}", "check --model")
    return [name for name in dict.fromkeys(wanted.forecasts) if name not in found.models] or [BLEND if found.models else SERVED]


def _find_period(lake: Lake, settings: Settings, days: int) -> _Period:
    """Return from when on candles are needed and forecasts are scored.

    Raises:
        SettingsError: The lake has no candles, or too few to fit on.
    """
    parts = list_partitions(lake.store, "candles", {"exchange": lake.file.exchange})
    times = [(first, last) for part in _ends(parts) if (first := _edge(lake, part, last=False)) and (last := _edge(lake, part, last=True))]
    if not times:
        raise SettingsError(f"no candles in {settings.lake.uri}", "a lake with candles", "run `chandlery ingest` first")
    first = min(first for first, _ in times) // DAY_MS
    stop = max(last for _, last in times) // DAY_MS + 1
    history = -(-parse_minutes(settings.forecast.min_train) // 1440)
    scored = stop - days
    fitted = int(np.datetime64(scored - WARM_DAYS, "D").astype("datetime64[M]").astype("datetime64[D]").astype(int))
    since = max(first, fitted - history)
    months = months_between(since + history, stop - 1)
    if not months:
        due = next_fit(first + history)
        raise SettingsError(
            f"{stop - first:,} days of candles, {day_name(first)} to {day_name(stop - 1)}",
            f"at least {due - first + 1:,}: models are first fitted on {day_name(due)}, the first month that begins after min_train, {history} days",
            "add candles, or lower [forecast] min_train",
        )
    return _Period(since, max(scored, int(np.datetime64(months[0], "D").astype(int))))


def next_fit(day: int) -> int:
    """Return the first day of a month that is no earlier.

    Example:
        >>> day_name(next_fit(18262)), day_name(next_fit(18263))
        ('2020-01-01', '2020-02-01')
    """
    return int(np.datetime64(months_between(day, day + 31)[0], "D").astype(int))


def _ends(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the partitions of the first and the last year."""
    years = [int(part["year"]) for part in parts]
    return [part for part, year in zip(parts, years, strict=True) if year in {min(years), max(years)}]


def _edge(lake: Lake, part: dict[str, str], *, last: bool) -> int:
    rows = read_partition(lake.store, "candles", part, ["open_time"])
    return 0 if rows is None or rows.is_empty() else int(rows["open_time"].dt.epoch("ms")[-1 if last else 0])


def _settle(settings: Settings, lake: Lake, folder: Path, horizons: list[int], models: list[str]) -> Settings:
    """Return the settings of both runs: those that were given, on this machine."""
    forecast = settings.forecast.model_copy(update={"horizons": [to_minutes_text(minutes) for minutes in horizons], "models": models})
    source = SourceSettings(uri=str(folder / "raw"), exchange=lake.file.exchange)
    engine = EngineSettings(name="local", workers=settings.engine.workers)
    return settings.model_copy(update={"forecast": forecast, "source": source, "engine": engine, "storage": {}})


def _write_candles(lake: Lake, symbols: list[str], folder: Path, since: int) -> dict[str, LayoutSettings]:
    """Write a CSV a symbol with its candles from a day on; return how each is to be read."""
    raw = folder / "raw"
    raw.mkdir()
    held = {}
    for symbol in symbols:
        candles = lake.read_candles(symbol, since * DAY_MS)
        if candles.height:
            name = f"{symbol}.csv"
            candles.select(pl.col("open_time").dt.epoch("ms").alias("time"), *COLUMNS[1:]).write_csv(raw / name)
            held[symbol] = LayoutSettings(files=name, columns=COLUMNS, time_unit="ms", symbol=symbol, interval=lake.file.interval)
    return held


def _sides(plain: Settings, lake: Lake, found: _Extension) -> list[tuple[str, list[str], list[str]]]:
    """Return the two runs: name, extensions, models. With the extension first: where it leaks, that is told at once."""
    models = plain.forecast.models or [name for name in lake.file.models if name not in found.models] or list(BUILT_IN)
    return [("with", [*found.others, found.path], [*models, *found.models]), (WITHOUT, list(found.others), models)]


def _side(plain: Settings, held: dict[str, LayoutSettings], lake: Path, extensions: list[str], models: list[str]) -> Settings:
    forecast = plain.forecast.model_copy(update={"extensions": extensions, "models": models})
    source = plain.source.model_copy(update={"layout": list(held.values())})
    missing = [symbol for symbol in plain.symbols if symbol not in held]
    if missing:
        raise SettingsError(f"{missing[0]} has no candles in the period", f"one of {', '.join(list(held)[:50])}", "choose more --days, or another --symbol")
    return plain.model_copy(update={"forecast": forecast, "source": source, "lake": LakeSettings(uri=str(lake))})


def _score(folder: Path, kept: list[tuple[str, int]], names: tuple[list[str], tuple[str, ...]], since_ms: int) -> tuple[list[Row], tuple[dt.datetime, dt.datetime]]:
    """Return the tests of each symbol and horizon, those of all symbols last, and the first and last issue."""
    compared, own = names
    pairs = [*((name, WITHOUT) for name in compared), *((name, NAIVE) for name in own)]
    rows: list[Row] = []
    pools: dict[tuple[int, str, str], pl.DataFrame] = {}
    times: list[dt.datetime] = []
    for symbol, horizon in kept:
        joined = _join(folder, symbol, horizon, (compared, own), since_ms)
        times += joined["issued_at"].to_list()[:: max(joined.height - 1, 1)]
        for name, against in pairs:
            losses = _measure(joined, name, against)
            if losses.height:
                rows.append(_test(losses, (horizon, symbol, name, against)))
                key = (horizon, name, against)
                pools[key] = _pool(pools.get(key), losses)
    if not rows:
        raise SettingsError("no forecast whose outcome is known", "at least one", "choose more --days, or add candles")
    if len({symbol for symbol, _ in kept}) > 1:
        rows += [_test(pool, (horizon, ALL, name, against)) for (horizon, name, against), pool in pools.items()]
    order = {pair: place for place, pair in enumerate(pairs)}
    rows.sort(key=lambda row: (row.horizon_minutes, order[row.forecast, row.against], row.symbol == ALL, row.symbol))
    return rows, (min(times), max(times))


def _join(folder: Path, symbol: str, horizon: int, names: tuple[list[str], tuple[str, ...]], since_ms: int) -> pl.DataFrame:
    """Return a symbol's forecasts of both lakes.

    Returns:
        issued_at, ascending; `y`, the log move that came; and of each name its forecast move, `with_<name>` and, where there is one, `without_<name>`.
    """
    compared, own = names
    sides = []
    for side, wanted in (("with", [*compared, *own]), (WITHOUT, compared)):
        rows = read_table(str(folder / side), "forecasts", symbol=symbol, horizon_minutes=horizon)
        known = rows.filter(pl.col("actual_close").is_not_null(), pl.col("issued_at").dt.epoch("ms") >= since_ms)
        y = (pl.col("actual_close") / pl.col("close")).log().alias("y")
        sides.append(known.select("issued_at", y, *(_move(known, name).alias(f"{side}_{name}") for name in wanted)))
    return sides[0].join(sides[1].drop("y"), on="issued_at", how="inner", maintain_order="left")


def _move(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Return log(forecast / close); exactly 0 where the forecast is the close in the width that it is kept in."""
    column = "predicted_close" if name == SERVED else model_column(name)
    if column not in rows.columns:
        return pl.lit(None, pl.Float64)
    same = pl.col(column).cast(pl.Float32) == pl.col("close").cast(pl.Float32)
    return pl.when(same).then(0.0).otherwise((pl.col(column).cast(pl.Float64) / pl.col("close")).log())


def _measure(joined: pl.DataFrame, name: str, against: str) -> pl.DataFrame:
    """Return squared errors: one row an issue that both sides forecast."""
    other = pl.lit(0.0) if against == NAIVE else pl.col(f"{WITHOUT}_{name}")
    errors = {NAIVE: pl.col("y"), "other": pl.col("y") - other, "this": pl.col("y") - pl.col(f"with_{name}")}
    return joined.select("issued_at", pl.lit(1).alias("n"), **{label: error**2 for label, error in errors.items()}).drop_nulls()


def _pool(pool: pl.DataFrame | None, losses: pl.DataFrame) -> pl.DataFrame:
    """Return losses of several symbols summed by issue: they move together, and a moment of all of them is one observation."""
    parts = losses if pool is None else pl.concat([pool, losses])
    return parts.group_by("issued_at", maintain_order=True).sum().sort("issued_at")


def _test(losses: pl.DataFrame, keys: tuple[int, str, str, str]) -> Row:
    """Return the skills and the test of losses."""
    naive, other, this = (float(losses[label].sum()) for label in (NAIVE, "other", "this"))
    before, after, difference = (1 - other / naive, 1 - this / naive, (other - this) / naive) if naive > 0 else (None, None, None)
    differentials = (losses["other"] - losses["this"]).to_numpy()
    statistic, p_value = compare_losses(losses["issued_at"].dt.epoch("ms").to_numpy(), differentials, keys[0] * 60_000)
    tested = (None, None) if np.isnan(p_value) else (statistic, p_value)
    return Row(*keys, int(losses["n"].sum()), before, after, difference, *tested)


def _judge(rows: list[Row]) -> list[Row]:
    """Return the rows with p-values adjusted for their number, and verdicts."""
    adjusted = adjust(np.array([np.nan if row.p_value is None else row.p_value for row in rows]))
    judged = []
    for row, p_value in zip(rows, adjusted, strict=True):
        found = p_value <= FALSE_DISCOVERY and row.dm_statistic
        verdict = VERDICTS[row.against][0 if row.dm_statistic and row.dm_statistic > 0 else 1] if found else NO_DIFFERENCE
        judged.append(msgspec.structs.replace(row, adjusted_p_value=None if np.isnan(p_value) else float(p_value), verdict=verdict))
    return judged


def _conclude(rows: list[Row], extension: str) -> list[str]:
    """Return a sentence a horizon and forecast, on all symbols together where there are several."""
    several = any(row.symbol == ALL for row in rows)
    sentences = []
    for row in rows:
        if several and row.symbol != ALL:
            continue
        subject = extension if row.against == WITHOUT else row.forecast
        whose = f"{row.forecast}, {row.symbol}" if not several else f"{row.forecast}, all symbols"
        skills = "" if row.skill_without is None or row.skill_with is None else f": skill {row.skill_without * 100:.2f} → {row.skill_with * 100:.2f} %"
        p_value = ", the two never differ" if row.adjusted_p_value is None else f", p = {row.adjusted_p_value:.2g}"
        verdict = NO_DIFFERENCE if row.verdict == NO_DIFFERENCE else row.verdict
        sentences.append(f"{to_minutes_text(row.horizon_minutes)} ahead ({whose}): {subject}: {verdict}{skills}{p_value}")
    return sentences
