"""The settings that decide results: set by a lake's first run, kept by every later one, changed only by `--restate`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from chandlery.config import ForecastSettings, Settings, parse_interval, parse_minutes
from chandlery.errors import SettingsError
from chandlery.extensions import digest_extension
from chandlery.lake import Extension, Series
from chandlery.models import model_names
from chandlery.tasks.work import Rules

__all__ = ["Founded", "make_rules", "propose", "reconcile"]

FIXED = ("horizons", "models", "references", "min_train", "seed", "extensions")


@dataclass(frozen=True)
class Founded:
    """The settings that decide results, as a run uses them.

    Args:
        file: The content of the lake's `lake.json` during this run.
        extensions: Paths of the user-defined files, in the order of `file.extensions`.
        changes: Which values differ from those in the lake, in words; empty if none does.
    """

    file: Series
    extensions: tuple[str, ...]
    changes: str = ""


def propose(settings: Settings, interval: str) -> Founded:
    """Return what the settings give for a new lake.

    Raises:
        SettingsError: A horizon is no multiple of the interval, or a model is not known.
    """
    wanted = read_settings(settings.forecast)
    wanted["models"] = wanted["models"] or model_names(settings.forecast.extensions)
    file = Series(settings.source.exchange, interval, **wanted)
    extensions = tuple(settings.forecast.extensions)
    check_horizons(file)
    check_models(file, extensions)
    return Founded(file, extensions)


def read_settings(forecast: ForecastSettings) -> dict[str, Any]:
    """Return the values of the settings that a lake fixes, in the form of `lake.json`."""
    return {
        "horizons": sorted({parse_minutes(text) for text in forecast.horizons}),
        "models": list(dict.fromkeys(forecast.models)),
        "references": list(dict.fromkeys(forecast.references)),
        "min_train": f"{-(-parse_minutes(forecast.min_train) // 1440)}d",
        "seed": forecast.seed,
        "extensions": [Extension(name, digest_extension(name)) for name in forecast.extensions],
    }


def reconcile(
    file: Series,
    settings: Settings,
    *,
    restate: bool,
    describe_cost: Callable[[Series], str],
) -> Founded:
    """Return the settings of a run on an existing lake: the lake's own values, or the run's where `restate` is true.

    Args:
        file: The lake's `lake.json`.
        settings: Of the run. A setting that is not given is taken from the lake.
        restate: Whether a setting that differs replaces the lake's value.
        describe_cost: Returns in words what would be computed again.

    Raises:
        SettingsError: A setting differs from the lake's and `restate` is false, or an extension is missing or changed.
    """
    if "exchange" in settings.source.model_fields_set and settings.source.exchange != file.exchange:
        found = f"exchange {settings.source.exchange!r} for a lake of {file.exchange!r}"
        raise SettingsError(found, "the exchange of the lake", "leave [source] exchange out, or write to a new --lake")
    given = settings.forecast.model_fields_set
    wanted = read_settings(settings.forecast)
    wanted["models"] = wanted["models"] or file.models
    held = {name: getattr(file, name) for name in FIXED}
    differs = [name for name in FIXED if name in given and compared(wanted[name]) != compared(held[name])]
    changes = [f"{name} {show(wanted[name])} instead of {show(held[name])}" for name in differs]
    now = {name: wanted[name] if name in differs else held[name] for name in FIXED}
    if "extensions" in given and not all(map(is_there, now["extensions"])):
        now["extensions"] = wanted["extensions"]  # the same content, which has moved
    founded = replace(file, **now)
    extensions = tuple(settings.forecast.extensions) if "extensions" in given else find_extensions(founded)
    if changes:
        check_horizons(founded)
        check_models(founded, extensions)
    if changes and not restate:
        hint = f"leave it out to keep the lake's value, or give --restate: {describe_cost(founded)}"
        raise SettingsError(f"[forecast] {'; '.join(changes)}", "the value that the lake has", hint)
    return Founded(founded, extensions, "; ".join(changes))


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
            found = f"the lake's extension {extension.name} {'has changed' if Path(extension.name).is_file() else 'is missing'}"
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
        raise SettingsError(found, "a multiple of the interval", f"set horizons to multiples of {file.interval}")


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
        interval_minutes=parse_interval(file.interval) // 60,
        horizons=tuple(file.horizons),
        models=tuple(file.models),
        references=references,
        min_train_days=-(-parse_minutes(file.min_train) // 1440),
        seed=file.seed,
        extensions=tuple(extension.digest for extension in file.extensions),
    )
