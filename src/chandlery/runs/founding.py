"""The settings that decide results: the first run of a series sets them, and only `--restate` changes them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from chandlery.errors import SettingsError
from chandlery.extensions import Bundle, find_bundle, model_names, read_bundles
from chandlery.grid import DAY_MINUTES, Grid
from chandlery.lake.lake_file import UNNAMED, Extension, Series
from chandlery.runs.references import choose_references
from chandlery.settings.model import FLAGS, SHARED, ForecastSettings, Settings
from chandlery.tasks.work import Rules
from chandlery.units import parse_minutes, round_up_minutes, to_interval_text, to_minutes_text

__all__ = [
    "Founded",
    "check_exchange",
    "check_horizons",
    "join_minutes",
    "make_rules",
    "name_series",
    "propose",
    "read_settings",
    "reconcile",
]

DEFAULT_HORIZON = 30  # minutes, or the next multiple of the interval
LEAST_REACH = 60  # minutes, as above: so that horizons of up to an hour can be added to any lake
APPENDABLE = ("models", "extensions")  # further ones may follow at the end without a restatement
CHOSEN = ("horizons", "models", "references")  # chosen by the program if the settings leave them empty
FIXED = ("horizons", "models", "references", "min_train", "seed", "extensions")


@dataclass(frozen=True)
class Founded:
    """The settings that decide the results of a series, as a run uses them.

    Args:
        series: The settings in `lake.json` during this run.
        extensions: The user-defined files as they were read, in the order of `series.extensions`.
        changes: Which values differ from those in the lake, in words; empty if none does.
    """

    series: Series
    extensions: tuple[Bundle, ...]
    changes: str = ""


def propose(settings: Settings, exchange: str, grid: Grid, symbols: Iterable[str], *, is_only: bool) -> Founded:
    """Return the settings of a new series.

    Args:
        settings: The settings of the run.
        exchange: The exchange.
        grid: The grid of its candles.
        symbols: The symbols of its first files.
        is_only: Whether the lake has no other series, to which horizons of [forecast] may apply instead.

    Raises:
        SettingsError: A horizon is not a multiple of the interval, or a model is not registered.
    """
    name = name_series(exchange, grid.seconds)
    if is_only:
        check_horizons(settings, {name: grid})
    forecast = settings.forecast_of(name)
    extensions = read_bundles(forecast.extensions)
    wanted = read_settings(forecast, extensions)
    wanted["horizons"] = keep_multiples(wanted["horizons"], grid) or [round_up_minutes(DEFAULT_HORIZON, grid.seconds)]
    wanted["models"] = wanted["models"] or model_names(extensions)
    wanted["references"] = wanted["references"] or choose_references(symbols)
    reach = choose_reach(wanted["horizons"], grid.seconds)
    series = Series(exchange, to_interval_text(grid.seconds), **wanted, reach=reach, offset=grid.offset)
    check_models(series, extensions)
    return Founded(series, extensions)


def name_series(exchange: str, seconds: int) -> str:
    """Return the name of a series.

    Example:
        >>> name_series("kraken", 3600)
        'kraken/60m'
    """
    return f"{exchange}/{to_interval_text(seconds)}"


def choose_reach(horizons: list[int], interval_seconds: int) -> int:
    """Return the reach of a new series in minutes: its longest horizon, or an hour if that is longer.

    The reach decides which rows may train, and how long before a fit they end. So a horizon within the reach that is
    added later changes neither.

    Example:
        >>> choose_reach([1, 30], 60), choose_reach([1440], 60), choose_reach([35], 420)
        (60, 1440, 63)
    """
    return round_up_minutes(max(*horizons, LEAST_REACH), interval_seconds)


def read_settings(forecast: ForecastSettings, extensions: Iterable[Bundle]) -> dict[str, Any]:
    """Return the settings that `lake.json` has, in its form; those that are still to be chosen are empty.

    Args:
        forecast: The settings of a run.
        extensions: The user-defined files that they name, as they were read.
    """
    return {
        "horizons": sorted({parse_minutes(text) for text in forecast.horizons}),
        "models": list(dict.fromkeys(forecast.models)),
        "references": list(dict.fromkeys(forecast.references)),
        "min_train": f"{round_up_days(forecast.min_train)}d",
        "seed": forecast.seed,
        "extensions": [Extension(bundle.path, bundle.digest) for bundle in extensions],
    }


def round_up_days(text: str) -> int:
    """Return a duration in whole days, rounded up.

    Example:
        >>> round_up_days("180d"), round_up_days("36h")
        (180, 2)
    """
    return -(-parse_minutes(text) // DAY_MINUTES)


def keep_multiples(horizons: list[int], grid: Grid) -> list[int]:
    """Return the horizons, in minutes, that are multiples of an interval.

    The others apply to other series: `check_horizons` refuses a horizon that is a multiple of no interval.
    """
    return [minutes for minutes in horizons if minutes * 60 % grid.seconds == 0]


def check_horizons(settings: Settings, grids: Mapping[str, Grid]) -> None:
    """Check that each horizon is a multiple of the interval of a series that it is given for.

    Horizons of [forecast] are given for all series of the lake, and those of flags for the chosen series, if some are
    chosen. Horizons of [[series]] sections were checked when the settings were loaded.

    Args:
        settings: The settings of the run.
        grids: The grids of all series of the lake, including those that the run adds, by name.

    Raises:
        SettingsError: A horizon is a multiple of none of them.
    """
    chosen = {name: grid for name, grid in grids.items() if name in settings.chosen_series}
    for origin, forecast, concerned in ((SHARED, settings.forecast, grids), (FLAGS, settings.chosen_forecast, chosen)):
        if not any(settings.origin_of(name, "horizons") == origin for name in concerned):
            continue  # every series has its own horizons
        for minutes in map(parse_minutes, forecast.horizons):
            if not any(keep_multiples([minutes], grid) for grid in concerned.values()):
                raise _refuse_horizon(minutes, sorted({grid.seconds for grid in concerned.values()}))


def _refuse_horizon(minutes: int, intervals: list[int]) -> SettingsError:
    """Return the error for a horizon that is a multiple of none of the intervals, in seconds."""
    found = f"horizon {to_minutes_text(minutes)} with candles of {', '.join(map(to_interval_text, intervals))}"
    expected = "whole minutes and a multiple of the interval" + " of one of them" * (len(intervals) > 1)
    nearest = min(round_up_minutes(minutes, seconds) for seconds in intervals)
    return SettingsError(found, expected, f"set {to_minutes_text(nearest)}, for example")


def reconcile(
    series: Series,
    settings: Settings,
    symbols: Collection[str],
    *,
    restate: bool,
    has_forecasts: bool,
    describe_cost: Callable[[Series], str],
) -> Founded:
    """Return the settings of a run on an existing series: the lake's values, or the run's where `restate` is true.

    Args:
        series: The settings in `lake.json`.
        settings: The settings of the run. One that is not given is taken from the lake.
        symbols: The symbols of the series. With `restate`, references that are not given are chosen from them again.
        restate: Whether a setting that differs replaces the lake's value.
        has_forecasts: Whether there is anything that was computed with the lake's value; if not, a setting replaces it.
        describe_cost: Describes what would be computed again.

    Raises:
        SettingsError: A setting differs from the lake's and `restate` is false, or an extension is missing or changed.
    """
    forecast = settings.forecast_of(series.name)
    given = forecast.model_fields_set
    extensions = read_bundles(forecast.extensions)
    wanted = read_settings(forecast, extensions)
    wanted["horizons"] = keep_multiples(wanted["horizons"], series.grid)
    if restate and symbols and not wanted["references"]:
        wanted["references"], given = choose_references(symbols), given | {"references"}
    for name in CHOSEN:
        wanted[name] = wanted[name] or getattr(series, name)
    stored = {name: getattr(series, name) for name in FIXED}
    differs = [name for name in FIXED if name in given and to_comparable(wanted[name]) != to_comparable(stored[name])]
    added = [name for name in differs if only_adds(name, wanted[name], stored[name], series.reach)]
    changes = {name: f"{name} {show(name, wanted[name])} instead of {show(name, stored[name])}" for name in differs}
    now = {name: wanted[name] if name in differs else stored[name] for name in FIXED}
    if "extensions" in given and not all(map(is_unchanged, now["extensions"])):
        now["extensions"] = wanted["extensions"]  # files with the same content at another path
    is_other = "horizons" in differs and "horizons" not in added
    reach = choose_reach(now["horizons"], series.grid.seconds) if is_other else series.reach
    founded = replace(series, **now, reach=reach)
    if "extensions" not in given:
        extensions = find_extensions(founded)
    if changes:
        check_models(founded, extensions)
    if (others := [name for name in differs if name not in added]) and has_forecasts and not restate:
        origins = groupby(others, lambda name: settings.origin_of(series.name, name))
        found = "; ".join(f"{origin} {'; '.join(changes[name] for name in names)}" for origin, names in origins)
        ways = ["leave it out to keep the lake's value", *explain_additions(others, wanted, series)]
        hint = f"{', or '.join(ways)}, or give --restate: {describe_cost(founded)}"
        raise SettingsError(f"{found} for {series.name}", "the value that the lake has", hint)
    return Founded(founded, extensions, "; ".join(changes.values()))


def check_exchange(settings: Settings, series: Sequence[Series], *, is_remembered: bool) -> None:
    """Check that the settings do not name an exchange for candles that the lake has without one.

    Args:
        settings: The settings.
        series: The series of the lake.
        is_remembered: Whether state has the files of the lake; a layout then names the exchange of new files alone.

    Raises:
        SettingsError: They name one, so that the lake would have the same candles twice.
    """
    exchanges = {each.exchange for each in series}
    layouts = () if is_remembered else settings.source.layout
    named = {settings.source.exchange, *(layout.exchange for layout in layouts)} - {"", None}
    if UNNAMED in exchanges and (new := sorted(str(name) for name in named - exchanges)):
        found = f"exchange {new[0]} for a lake whose candles belong to no named exchange"
        way = f"`chandlery migrate --exchange {new[0]}` gives them this name without computing anything"
        hint = f"{way}; or choose another --lake"
        raise SettingsError(found, "the exchange of the lake", hint)


def only_adds(name: str, wanted: list[Any], stored: list[Any], reach: int) -> bool:
    """Return whether a value adds to the lake's: horizons within the reach, or models and files after the others.

    Args:
        name: Name of the setting.
        wanted: The value of the run.
        stored: The value of the lake.
        reach: The reach of the series, in minutes.
    """
    if name == "horizons":
        return set(stored) <= set(wanted) and max(wanted) <= reach
    return name in APPENDABLE and to_comparable(wanted)[: len(stored)] == to_comparable(stored)


def explain_additions(names: list[str], wanted: dict[str, Any], series: Series) -> list[str]:
    """Describe how settings that differ could add to the lake's instead, or why they cannot.

    Args:
        names: Names of the settings that differ.
        wanted: The values of the run, by name.
        series: The settings in `lake.json`.
    """
    ways = []
    if "horizons" in names:
        fresh = [minutes for minutes in wanted["horizons"] if minutes not in series.horizons]
        lost = [minutes for minutes in series.horizons if minutes not in wanted["horizons"]]
        if far := [minutes for minutes in fresh if minutes > series.reach]:
            reach = to_minutes_text(series.reach)
            ways.append(f"give horizons up to the reach of the series, {reach}, which {join_minutes(far)} exceeds")
        elif fresh and lost:
            ways.append(f"name {join_minutes(lost)} as well, which only adds {join_minutes(fresh)}")
    if "models" in names and (fresh := [model for model in wanted["models"] if model not in series.models]):
        ways.append(f"name {', '.join(series.models)} first, which only adds {', '.join(fresh)}")
    return ways


def to_comparable(value: Any) -> Any:
    """Return a value in the form in which it is compared: extensions by content alone, not by path."""
    return (
        [item.digest if isinstance(item, Extension) else item for item in value] if isinstance(value, list) else value
    )


def is_unchanged(extension: Extension) -> bool:
    """Return whether an extension is at its recorded path, with the recorded content."""
    bundle = find_bundle(extension.name)
    return bundle is not None and bundle.digest == extension.digest


def show(name: str, value: Any) -> str:
    """Return the value of a setting as text.

    Example:
        >>> show("horizons", [1, 60]), show("extensions", [Extension("own.py", "0123456789abcdef")])
        ('[1m, 60m]', '[own.py 01234567]')
    """
    if name == "horizons":
        return f"[{join_minutes(value)}]"
    if name == "extensions":
        return f"[{', '.join(f'{Path(each.name).name} {each.digest[:8]}' for each in value)}]"
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)


def join_minutes(horizons: Iterable[int]) -> str:
    """Return horizons as text.

    Example:
        >>> join_minutes([30, 480])
        '30m, 480m'
    """
    return ", ".join(map(to_minutes_text, horizons))


def find_extensions(series: Series) -> tuple[Bundle, ...]:
    """Read the lake's user-defined files, for settings that do not name them.

    Raises:
        SettingsError: One is missing at its recorded path, or has changed.
    """
    bundles = []
    for extension in series.extensions:
        bundle = find_bundle(extension.name)
        if bundle is None or bundle.digest != extension.digest:
            what = "has changed" if bundle else "is missing"
            found = f"the lake's extension {extension.name} {what}"
            hint = "restore it; or give --restate, and [forecast] extensions with the file as it is now, or without it"
            raise SettingsError(found, f"the file with the digest {extension.digest}", hint)
        bundles.append(bundle)
    return tuple(bundles)


def check_models(series: Series, extensions: tuple[Bundle, ...]) -> None:
    """Check that every model is registered.

    Raises:
        SettingsError: One is not registered.
    """
    known = model_names(extensions)
    if unknown := [model for model in series.models if model not in known]:
        raise SettingsError(
            f"model {unknown[0]!r}",
            f"one of {', '.join(known)}",
            "set [forecast] models, or name its file in extensions",
        )


def make_rules(series: Series, symbols: list[str]) -> Rules:
    """Return the settings that forecasts depend on.

    Args:
        series: The settings in `lake.json`.
        symbols: All symbols with candles. A single symbol has no market.
    """
    references = tuple(name for name in series.references if name in symbols) if len(symbols) > 1 else ()
    return Rules(
        interval_seconds=series.grid.seconds,
        offset=series.offset,
        horizons=tuple(series.horizons),
        reach=series.reach,
        models=tuple(series.models),
        references=references,
        min_train_days=round_up_days(series.min_train),
        seed=series.seed,
        extensions=tuple(extension.digest for extension in series.extensions),
    )
