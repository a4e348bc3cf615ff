"""Layers of settings: reads the settings file, and merges one layer over another."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chandlery.errors import SettingsError
from chandlery.machine.folders import expand_path

__all__ = ["find_file", "limit_flags", "list_given", "name_folder", "overlay_options", "put_above", "read_toml"]

OF_CLOUD = re.compile(r"^(aws|google|azure_storage|azure)_")


def find_file(config: Path | None) -> Path | None:
    """Return the settings file: `config`, or else `chandlery.toml` in the working directory; None if there is none."""
    path = config or Path("chandlery.toml")
    return path if config is not None or path.exists() else None


def name_folder() -> str:
    """Return the working directory, or "" if it was deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def read_toml(path: Path | None) -> dict[str, Any]:
    """Read a settings file; none has no settings.

    Raises:
        SettingsError: The file cannot be read, or is not valid TOML.
    """
    if path is None:
        return {}
    try:
        return _anchor_extensions(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", "a readable file", "check --config") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "", "see `chandlery init`") from error


def _anchor_extensions(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a file, whose extensions are relative to the folder of that file."""
    sections = values.get("series")
    for section in [values.get("forecast"), *(sections if isinstance(sections, list) else [])]:
        match section:
            case {"extensions": [*names]} if all(isinstance(name, str) for name in names):
                section["extensions"] = [str(path.parent / expand_path(name)) for name in names]
    return values


def list_given(layer: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the settings that a layer gives, as in lake.uri."""
    for name, value in layer.items():
        if isinstance(value, Mapping):
            yield from list_given(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def limit_flags(below: Mapping[str, Any], flags: Mapping[str, Any]) -> Mapping[str, Any]:
    """Restrict the flags of [forecast] to the chosen series, if some are chosen."""
    is_limited = bool(flags.get("chosen_series") or below.get("chosen_series")) and "series" not in flags
    if not is_limited or not flags.get("forecast"):
        return flags
    return {("chosen_forecast" if name == "forecast" else name): value for name, value in flags.items()}


def overlay_options(shared: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a store: its own, and those that it shares with others and does not set itself.

    Example:
        >>> overlay_options({"endpoint": "http://127.0.0.1:8333", "timeout": "9s"}, {"aws_endpoint_url": "https://b"})
        {'timeout': '9s', 'aws_endpoint_url': 'https://b'}
    """
    names = {name_option(name) for name in own}
    return {**{name: value for name, value in shared.items() if name_option(name) not in names}, **own}


def name_option(name: str) -> str:
    """Return the one name of an option that object stores know by several."""
    plain = OF_CLOUD.sub("", name.lower())
    return "endpoint_url" if plain == "endpoint" else plain


def put_above(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge one layer of settings over another; [forecast] of the upper one also overrules [[series]] of the lower."""
    merged, forecast, sections = _overlay(below, above), above.get("forecast"), below.get("series")
    if "series" not in above and isinstance(forecast, Mapping) and isinstance(sections, list):
        merged["series"] = [
            {name: value for name, value in section.items() if name not in forecast}
            if isinstance(section, Mapping)
            else section
            for section in sections
        ]
    return merged


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = _overlay(under, value) if isinstance(under, dict) and isinstance(value, Mapping) else value
    return merged
