"""The settings that decide results: set by a lake's first run, kept by every later one, changed only by `--restate`."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from chandlery.config import (
    ForecastSettings,
    Settings,
    parse_interval,
    parse_minutes,
    round_up_minutes,
    to_interval_text,
    to_minutes_text,
)
from chandlery.errors import SettingsError
from chandlery.extensions import digest_extension
from chandlery.grid import Grid
from chandlery.lake import UNNAMED, Extension, Series
from chandlery.models import model_names
from chandlery.references import choose_references
from chandlery.tasks.work import Rules

__all__ = ["Founded", "check_exchange", "make_rules", "propose", "read_settings", "reconcile"]

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
        extensions: Paths of the user-defined files, in the order of `series.extensions`.
        changes: Which values differ from those in the lake, in words; empty if none does.
    """

    series: Series
    extensions: tuple[str, ...]
    changes: str = ""


def propose(settings: Settings, exchange: str, grid: Grid, symbols: Iterable[str], *, is_only: bool) -> Founded:
    """Return what the settings give for a new series.

    Args:
        settings: Of the run.
        exchange: The exchange.
        grid: When its candles open.
        symbols: Those that the series begins with.
        is_only: Whether the lake has no other series; see `read_settings`.

    Raises:
        SettingsError: A horizon is no multiple of the interval, or a model is not known.
    """
    interval = to_interval_text(grid.seconds)
    forecast = settings.forecast_of(f"{exchange}/{interval}")
    wanted = read_settings(forecast, grid, is_only=is_only)
    wanted["horizons"] = wanted["horizons"] or [round_up_minutes(DEFAULT_HORIZON, grid.seconds)]
    wanted["models"] = wanted["models"] or model_names(forecast.extensions)
    wanted["references"] = wanted["references"] or choose_references(symbols)
    reach = choose_reach(wanted["horizons"], grid.seconds)
    series = Series(exchange, interval, **wanted, reach=reach, offset=grid.offset)
    extensions = tuple(forecast.extensions)
    check_horizons(series)
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


def read_settings(forecast: ForecastSettings, grid: Grid, *, is_only: bool) -> dict[str, Any]:
    """Return the values of the settings that a lake fixes, in the form of `lake.json`; empty ones are to be chosen.

    Args:
        forecast: The settings.
        grid: When the candles of the series open.
        is_only: Whether the lake has no other series. Otherwise horizons that are no multiples of the interval are
            meant for the other series, and are left out.
    """
    horizons = sorted({parse_minutes(text) for text in forecast.horizons})
    return {
        "horizons": [minutes for minutes in horizons if is_only or minutes * 60 % grid.seconds == 0],
        "models": list(dict.fromkeys(forecast.models)),
        "references": list(dict.fromkeys(forecast.references)),
        "min_train": f"{-(-parse_minutes(forecast.min_train) // 1440)}d",
        "seed": forecast.seed,
        "extensions": [Extension(name, digest_extension(name)) for name in forecast.extensions],
    }


def reconcile(
    series: Series,
    settings: Settings,
    symbols: Collection[str],
    *,
    is_only: bool,
    restate: bool,
    describe_cost: Callable[[Series], str],
) -> Founded:
    """Return the settings of a run on an existing series: its own values, or the run's where `restate` is true.

    Args:
        series: As `lake.json` has it.
        settings: Of the run. A setting that is not given is taken from the lake.
        symbols: Those of the series. With `restate`, references that are not given are chosen anew from them.
        is_only: Whether the lake has no other series; see `read_settings`.
        restate: Whether a setting that differs replaces the lake's value.
        describe_cost: Returns in words what would be computed again.

    Raises:
        SettingsError: A setting differs from the lake's and `restate` is false, or an extension is missing or changed.
    """
    forecast = settings.forecast_of(series.name)
    given = forecast.model_fields_set
    wanted = read_settings(forecast, series.grid, is_only=is_only)
    if restate and symbols and not wanted["references"]:
        wanted["references"], given = choose_references(symbols), given | {"references"}
    for name in CHOSEN:
        wanted[name] = wanted[name] or getattr(series, name)
    held = {name: getattr(series, name) for name in FIXED}
    differs = [name for name in FIXED if name in given and compared(wanted[name]) != compared(held[name])]
    added = [name for name in differs if only_adds(name, wanted[name], held[name], series.reach)]
    changes = [f"{name} {show(wanted[name])} instead of {show(held[name])}" for name in differs]
    now = {name: wanted[name] if name in differs else held[name] for name in FIXED}
    if "extensions" in given and not all(map(is_there, now["extensions"])):
        now["extensions"] = wanted["extensions"]  # the same content, which has moved
    is_other = "horizons" in differs and "horizons" not in added
    reach = choose_reach(now["horizons"], series.grid.seconds) if is_other else series.reach
    founded = replace(series, **now, reach=reach)
    extensions = tuple(forecast.extensions) if "extensions" in given else find_extensions(founded)
    if changes:
        check_horizons(founded)
        check_models(founded, extensions)
    if len(differs) > len(added) and not restate:
        hint = f"leave it out to keep the lake's value, or give --restate: {describe_cost(founded)}"
        found = f"[forecast] {'; '.join(changes)} for {series.name}"
        raise SettingsError(found, "the value that the lake has", hint)
    return Founded(founded, extensions, "; ".join(changes))


def check_exchange(settings: Settings, series: Sequence[Series]) -> None:
    """Check that the settings do not name an exchange whose candles the lake has under no name already.

    Raises:
        SettingsError: They do: the same candles would come to the lake a second time.
    """
    held = {each.exchange for each in series}
    named = {settings.source.exchange, *(layout.exchange for layout in settings.source.layout)} - {"", None}
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


def compared(value: Any) -> Any:
    """Return the form in which a value is compared: extensions by content alone, not by path."""
    return (
        [item.digest if isinstance(item, Extension) else item for item in value] if isinstance(value, list) else value
    )


def is_there(extension: Extension) -> bool:
    """Return whether an extension is at its recorded path, with the recorded content."""
    return Path(extension.name).is_file() and digest_extension(extension.name) == extension.digest


def show(value: Any) -> str:
    """Return a value in words.

    Example:
        >>> show([1, 60]), show([Extension("own.py", "0123456789abcdef")])
        ('[1, 60]', '[own.py 01234567]')
    """
    if isinstance(value, list):
        return f"[{', '.join(show(item) for item in value)}]"
    return f"{Path(value.name).name} {value.digest[:8]}" if isinstance(value, Extension) else str(value)


def find_extensions(file: Series) -> tuple[str, ...]:
    """Return the paths of the lake's user-defined files, which settings do not name.

    Raises:
        SettingsError: One is missing at its recorded path, or has changed.
    """
    for extension in file.extensions:
        if not is_there(extension):
            what = "has changed" if Path(extension.name).is_file() else "is missing"
            found = f"the lake's extension {extension.name} {what}"
            hint = "name the file in [forecast] extensions; --restate takes it as it is now, or goes on without it"
            raise SettingsError(found, f"the file with the digest {extension.digest}", hint)
    return tuple(extension.name for extension in file.extensions)


def check_horizons(file: Series) -> None:
    """Check that every horizon is a multiple of the interval.

    Raises:
        SettingsError: One is not a multiple.
    """
    seconds = parse_interval(file.interval)
    if odd := [horizon for horizon in file.horizons if horizon * 60 % seconds]:
        found = f"horizon {odd[0]}m with candles of {file.interval}"
        nearest = to_minutes_text(round_up_minutes(odd[0], seconds))
        raise SettingsError(found, "whole minutes and a multiple of the interval", f"set {nearest}, for example")


def check_models(file: Series, extensions: tuple[str, ...]) -> None:
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
        min_train_days=-(-parse_minutes(file.min_train) // 1440),
        seed=file.seed,
        extensions=tuple(extension.digest for extension in file.extensions),
    )
