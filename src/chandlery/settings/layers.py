"""Settings as a file has them, and one layer of settings over another."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chandlery.errors import SettingsError

__all__ = ["limit_flags", "put_above", "read_toml"]


def read_toml(config: Path | None) -> dict[str, Any]:
    """Return the settings of a TOML file; without one those of `chandlery.toml` here, where there is one.

    Raises:
        SettingsError: It cannot be read, or is no TOML.
    """
    path = config or Path("chandlery.toml")
    if config is None and not path.exists():
        return {}
    try:
        return _beside(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", "a readable file", "check --config") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}", "TOML", "see `chandlery init`") from error


def _beside(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose extensions are named from where the file stands."""
    sections = values.get("series")
    for section in [values.get("forecast"), *(sections if isinstance(sections, list) else [])]:
        match section:
            case {"extensions": [*names]} if all(isinstance(name, str) for name in names):
                section["extensions"] = [str(path.parent / Path(name).expanduser()) for name in names]
    return values


def limit_flags(below: Mapping[str, Any], flags: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return flags of which those of [forecast] speak of the chosen series alone, where some are chosen."""
    is_limited = bool(flags.get("chosen_series") or below.get("chosen_series")) and "series" not in flags
    if not is_limited or not flags.get("forecast"):
        return flags
    return {("chosen_forecast" if name == "forecast" else name): value for name, value in flags.items()}


def put_above(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a layer of settings with another above it; what that says of [forecast] holds for all series."""
    merged, said, sections = _overlay(below, above), above.get("forecast"), below.get("series")
    if "series" not in above and isinstance(said, Mapping) and isinstance(sections, list):
        merged["series"] = [
            {name: value for name, value in section.items() if name not in said}
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
