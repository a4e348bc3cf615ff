"""Layers of settings: reads the settings file, and merges one layer over another."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chandlery.errors import SettingsError

__all__ = ["limit_flags", "put_above", "read_toml"]


def read_toml(config: Path | None) -> dict[str, Any]:
    """Read the settings file: `config`, or else `chandlery.toml` in the working directory if it exists.

    Raises:
        SettingsError: The file cannot be read, or is not valid TOML.
    """
    path = config or Path("chandlery.toml")
    if config is None and not path.exists():
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
                section["extensions"] = [str(path.parent / Path(name).expanduser()) for name in names]
    return values


def limit_flags(below: Mapping[str, Any], flags: Mapping[str, Any]) -> Mapping[str, Any]:
    """Restrict the flags of [forecast] to the chosen series, if some are chosen."""
    is_limited = bool(flags.get("chosen_series") or below.get("chosen_series")) and "series" not in flags
    if not is_limited or not flags.get("forecast"):
        return flags
    return {("chosen_forecast" if name == "forecast" else name): value for name, value in flags.items()}


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
