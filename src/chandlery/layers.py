"""Settings as a file has them, and one layer of settings over another."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chandlery.errors import SettingsError

__all__ = ["overlay", "read_toml"]


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
    match values.get("forecast"):
        case {"extensions": [*names]} if all(isinstance(name, str) for name in names):
            values["forecast"]["extensions"] = [str(path.parent / Path(name).expanduser()) for name in names]
    return values


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others over them, section by section."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = overlay(under, value) if isinstance(under, dict) and isinstance(value, Mapping) else value
    return merged
