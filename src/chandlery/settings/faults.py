"""What is wrong with settings, as one error that says what to do."""

from collections.abc import Mapping
from typing import Any

import pydantic

from chandlery.errors import SettingsError
from chandlery.settings.names import LISTED, find_nearest

__all__ = ["describe_faults"]


def describe_faults(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> SettingsError:
    """Return one error that lists all faults of the settings, of which `model` is the type."""
    faults = [_to_error(fault, model) for fault in error.errors(include_url=False, include_input=False)]
    if len(faults) == 1 and faults[0].expected:
        return faults[0]
    hint = "correct chandlery.toml, the environment variable or the flag"
    return SettingsError("; ".join(map(str, faults)), "the settings that `chandlery init` lists", hint)


def _to_error(fault: Mapping[str, Any], model: type[pydantic.BaseModel]) -> SettingsError:
    """Return the error of one setting; with an expectation and a hint if the setting's own parser gave them."""
    where, cause = ".".join(str(part) for part in fault["loc"]), fault.get("ctx", {}).get("error")
    if isinstance(cause, ValueError) and isinstance(parsing := cause.__cause__, SettingsError):
        return SettingsError(f"{where}: {parsing.found}", parsing.expected, parsing.hint)
    if fault["type"] == "extra_forbidden":
        nearest = find_nearest(".".join(part for part in fault["loc"] if isinstance(part, str)), model)
        hint = f"write {nearest}" if nearest else ""
        return SettingsError(f"{where}: there is no such setting", LISTED, hint)
    return SettingsError(f"{where}: {cause or fault['msg']}")
