"""The settings that decide results: set by a lake's first run, kept by every later one, changed only by `--restate`."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from chandlery.errors import SettingsError
from chandlery.extensions import Bundle, model_names, read_bundle, read_bundles
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
    "propose",
    "read_settings",
    "reconcile",
]

DEFAULT_HORIZON = 30  # minutes, or the next multiple of the interval
LEAST_REACH = 60  # likewise
ADDED = ("models", "extensions")  # may be added at the end without a restatement
CHOSEN = ("horizons", "models", "references")  # where the settings leave them empty
FIXED = ("horizons", "models", "references", "min_train", "seed", "extensions")


@dataclass(frozen=True)
class Founded:
    """The settings that decide results, as a run uses them.

    Args:
        series: What `lake.json` has of the series during this run.
        extensions: The user-defined files as they were read, in the order of `series.extensions`.
        changes: Which values differ from those in the lake, in words; empty if none does.
    """

    series: Series
    extensions: tuple[Bundle, ...]
    changes: str = ""


def propose(settings: Settings, exchange: str, grid: Grid, symbols: Iterable[str], *, is_only: bool) -> Founded:
    """Return what the settings give for a new series.

    Args:
        settings: Of the run.
        exchange: The exchange.
        grid: When its candles open.
        symbols: Those that the series begins with.
        is_only: Whether the lake has no other series that horizons of [forecast] may be meant for.

    Raises:
        SettingsError: A horizon is no multiple of the interval, or a model is not known.
    """
    interval = to_interval_text(grid.seconds)
    name = f"{exchange}/{interval}"
    if is_only:
        check_horizons(settings, {name: grid})
    forecast = settings.forecast_of(name)
    extensions = read_bundles(forecast.extensions)
    wanted = read_settings(forecast, extensions)
    wanted["horizons"] = keep_multiples(wanted["horizons"], grid) or [round_up_minutes(DEFAULT_HORIZON, grid.seconds)]
    wanted["models"] = wanted["models"] or model_names(extensions)
    wanted["references"] = wanted["references"] or choose_references(symbols)
    reach = choose_reach(wanted["horizons"], grid.seconds)
    series = Series(exchange, interval, **wanted, reach=reach, offset=grid.offset)
    check_models(series, extensions)
    return Founded(series, extensions)


def choose_reach(horizons: list[int], interval_seconds: int) -> int:
    """Return the longest label of a lake that is founded with some horizons: the longest of them, or an hour.

    It decides which rows may train, and how long before a fit they end, so that another horizon within the reach
    changes neither.

    Example:
        >>> choose_reach([1, 30], 60), choose_reach([1440], 60), choose_reach([35], 420)
        (60, 1440, 63)
    """
    return round_up_minutes(max(*horizons, LEAST_REACH), interval_seconds)


def read_settings(forecast: ForecastSettings, extensions: Iterable[Bundle]) -> dict[str, Any]:
    """Return the values of the settings that a lake fixes, in the form of `lake.json`; empty ones are to be chosen.

    Args:
        forecast: The settings.
        extensions: The files that they name, as they were read.
    """
    return {
        "horizons": sorted({parse_minutes(text) for text in forecast.horizons}),
        "models": list(dict.fromkeys(forecast.models)),
        "references": list(dict.fromkeys(forecast.references)),
        "min_train": f"{-(-parse_minutes(forecast.min_train) // DAY_MINUTES)}d",
        "seed": forecast.seed,
        "extensions": [Extension(bundle.path, bundle.digest) for bundle in extensions],
    }


def keep_multiples(horizons: list[int], grid: Grid) -> list[int]:
    """Return the horizons, in minutes, that are multiples of an interval.

    What is left out is meant for other series: `check_horizons` refuses a horizon that is a multiple of no interval.
    """
    return [minutes for minutes in horizons if minutes * 60 % grid.seconds == 0]


def check_horizons(settings: Settings, grids: Mapping[str, Grid]) -> None:
    """Check that each horizon is a multiple of the interval of a series that it is given for.

    Horizons of [forecast] are given for all series of the lake, those of flags for the chosen ones, where some are
    chosen. Horizons of [[series]] sections were checked when the settings were loaded.

    Args:
        settings: Of the run.
        grids: When candles open, of all series of the lake by name, those included that the run founds.

    Raises:
        SettingsError: One is a multiple of none.
    """
    chosen = {name: grid for name, grid in grids.items() if name in settings.chosen_series}
    for origin, forecast, spoken in ((SHARED, settings.forecast, grids), (FLAGS, settings.chosen_forecast, chosen)):
        if not any(settings.origin_of(name, "horizons") == origin for name in spoken):
            continue  # every series has horizons of its own
        for minutes in map(parse_minutes, forecast.horizons):
            if not any(keep_multiples([minutes], grid) for grid in spoken.values()):
                raise _refuse_horizon(minutes, sorted({grid.seconds for grid in spoken.values()}))


def _refuse_horizon(minutes: int, intervals: list[int]) -> SettingsError:
    """Return what to say of a horizon that is a multiple of no interval, in seconds."""
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
    describe_cost: Callable[[Series], str],
) -> Founded:
    """Return the settings of a run on an existing series: its own values, or the run's where `restate` is true.

    Args:
        series: As `lake.json` has it.
        settings: Of the run. A setting that is not given is taken from the lake.
        symbols: Those of the series. With `restate`, references that are not given are chosen anew from them.
        restate: Whether a setting that differs replaces the lake's value.
        describe_cost: Returns in words what would be computed again.

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
    held = {name: getattr(series, name) for name in FIXED}
    differs = [name for name in FIXED if name in given and compared(wanted[name]) != compared(held[name])]
    added = [name for name in differs if only_adds(name, wanted[name], held[name], series.reach)]
    changes = {name: f"{name} {show(name, wanted[name])} instead of {show(name, held[name])}" for name in differs}
    now = {name: wanted[name] if name in differs else held[name] for name in FIXED}
    if "extensions" in given and not all(map(is_there, now["extensions"])):
        now["extensions"] = wanted["extensions"]  # the same content, which has moved
    is_other = "horizons" in differs and "horizons" not in added
    reach = choose_reach(now["horizons"], series.grid.seconds) if is_other else series.reach
    founded = replace(series, **now, reach=reach)
    if "extensions" not in given:
        extensions = find_extensions(founded)
    if changes:
        check_models(founded, extensions)
    if (others := [name for name in differs if name not in added]) and not restate:
        told = [
            f"{place} {'; '.join(changes[name] for name in names)}"
            for place, names in groupby(others, lambda name: settings.origin_of(series.name, name))
        ]
        ways = ["leave it out to keep the lake's value", *explain_additions(others, wanted, series)]
        hint = f"{', or '.join(ways)}, or give --restate: {describe_cost(founded)}"
        raise SettingsError(f"{'; '.join(told)} for {series.name}", "the value that the lake has", hint)
    return Founded(founded, extensions, "; ".join(changes.values()))


def check_exchange(settings: Settings, series: Sequence[Series], *, is_remembered: bool) -> None:
    """Check that the settings do not name an exchange whose candles the lake has under no name already.

    Args:
        settings: The settings.
        series: Those of the lake.
        is_remembered: Whether state tells which files the lake has: then a layout names the exchange of new ones alone.

    Raises:
        SettingsError: They do: the same candles would come to the lake a second time.
    """
    held = {each.exchange for each in series}
    layouts = () if is_remembered else settings.source.layout
    named = {settings.source.exchange, *(layout.exchange for layout in layouts)} - {"", None}
    if UNNAMED in held and (new := sorted(str(name) for name in named - held)):
        found = f"exchange {new[0]} for a lake whose candles belong to no named exchange"
        hint = f"`chandlery migrate --exchange {new[0]}` gives them this name and computes nothing; or choose another --lake"
        raise SettingsError(found, "the exchange of the lake", hint)


def only_adds(name: str, wanted: list[Any], held: list[Any], reach: int) -> bool:
    """Return whether a value adds to the lake's: horizons within the reach, or models and files after the others.

    Args:
        name: Of the setting.
        wanted: The value of the run.
        held: The value of the lake.
        reach: Of the series, in minutes.
    """
    if name == "horizons":
        return set(held) <= set(wanted) and max(wanted) <= reach
    return name in ADDED and compared(wanted)[: len(held)] == compared(held)


def explain_additions(names: list[str], wanted: dict[str, Any], series: Series) -> list[str]:
    """Return in words how what differs could be added instead, or why it cannot.

    Args:
        names: Of the settings that differ.
        wanted: The values of the run, by name.
        series: As `lake.json` has it.
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


def compared(value: Any) -> Any:
    """Return the form in which a value is compared: extensions by content alone, not by path."""
    return (
        [item.digest if isinstance(item, Extension) else item for item in value] if isinstance(value, list) else value
    )


def is_there(extension: Extension) -> bool:
    """Return whether an extension is at its recorded path, with the recorded content."""
    return Path(extension.name).is_file() and read_bundle(extension.name).digest == extension.digest


def show(name: str, value: Any) -> str:
    """Return the value of a setting in words.

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
    """Return horizons in words.

    Example:
        >>> join_minutes([30, 480])
        '30m, 480m'
    """
    return ", ".join(map(to_minutes_text, horizons))


def find_extensions(file: Series) -> tuple[Bundle, ...]:
    """Read the lake's user-defined files, which settings do not name.

    Raises:
        SettingsError: One is missing at its recorded path, or has changed.
    """
    bundles = []
    for extension in file.extensions:
        bundle = read_bundle(extension.name) if Path(extension.name).is_file() else None
        if bundle is None or bundle.digest != extension.digest:
            what = "has changed" if bundle else "is missing"
            found = f"the lake's extension {extension.name} {what}"
            hint = "name the file in [forecast] extensions; --restate takes it as it is now, or goes on without it"
            raise SettingsError(found, f"the file with the digest {extension.digest}", hint)
        bundles.append(bundle)
    return tuple(bundles)


def check_models(file: Series, extensions: tuple[Bundle, ...]) -> None:
    """Check that every model is registered.

    Raises:
        SettingsError: One is not registered.
    """
    known = model_names(extensions)
    if unknown := [model for model in file.models if model not in known]:
        raise SettingsError(
            f"model {unknown[0]!r}",
            f"one of {', '.join(known)}",
            "set [forecast] models, or name its file in extensions",
        )


def make_rules(file: Series, symbols: list[str]) -> Rules:
    """Return the settings that forecasts depend on.

    Args:
        file: The lake's `lake.json`.
        symbols: Those with candles. A single symbol has no market.
    """
    held = asdict(file)
    references = tuple(name for name in held["references"] if name in symbols) if len(symbols) > 1 else ()
    return Rules(
        interval_seconds=file.grid.seconds,
        offset=file.offset,
        horizons=tuple(file.horizons),
        reach=file.reach,
        models=tuple(file.models),
        references=references,
        min_train_days=-(-parse_minutes(file.min_train) // DAY_MINUTES),
        seed=file.seed,
        extensions=tuple(extension.digest for extension in file.extensions),
    )
