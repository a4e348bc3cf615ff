"""The types of settings: each normalises what a user writes, or says what is wrong with it."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from chandlery.errors import SettingsError
from chandlery.errors.masking import check_options
from chandlery.machine.folders import expand_path
from chandlery.units import (
    check_timezone,
    name_symbol,
    normalise_exchange,
    normalise_series,
    normalise_symbol,
    parse_interval,
    parse_minutes,
    parse_offset,
)

__all__ = [
    "Duration",
    "Exchange",
    "ExtensionFile",
    "GivenSymbol",
    "Interval",
    "Offset",
    "SeriesName",
    "SparkOptions",
    "StorageOptions",
    "Symbol",
    "Timezone",
    "checked",
]


def checked(parse: Callable[[str], object], text: str) -> str:
    """Return the normalised text if the parser gives one, else the text itself.

    Raises:
        ValueError: The text is not valid: pydantic collects such errors into one report.
    """
    try:
        parsed = parse(text)
    except SettingsError as error:
        raise ValueError(str(error)) from error
    return parsed if isinstance(parsed, str) else text


def anchor(path: str) -> str:
    """Return the absolute path: tasks may run in another folder, as another user."""
    return str(expand_path(path).absolute())


def join_names(options: object) -> object:
    """Return options by their full names: TOML reads `spark.master = …` without quotes as nested tables."""
    if not isinstance(options, dict):
        return options
    joined: dict[str, object] = {}
    for name, value in options.items():
        inner = join_names(value)
        joined |= {f"{name}.{rest}": each for rest, each in inner.items()} if isinstance(inner, dict) else {name: inner}
    return joined


def check_spark(options: dict[str, str]) -> dict[str, str]:
    if odd := [name for name in options if not name.startswith("spark.")]:
        text = f"{odd[0]}: options of Spark begin with spark., as in spark.master"
        raise ValueError(text)
    return check_options(options)


Duration = Annotated[str, AfterValidator(partial(checked, parse_minutes))]
Interval = Annotated[str, AfterValidator(partial(checked, parse_interval))]
Offset = Annotated[str, AfterValidator(partial(checked, parse_offset))]
Timezone = Annotated[str, AfterValidator(partial(checked, check_timezone))]
Exchange = Annotated[str, AfterValidator(partial(checked, normalise_exchange))]
Symbol = Annotated[str, AfterValidator(partial(checked, normalise_symbol))]
GivenSymbol = Annotated[str, AfterValidator(partial(checked, name_symbol))]
SeriesName = Annotated[str, AfterValidator(partial(checked, normalise_series))]
ExtensionFile = Annotated[str, AfterValidator(anchor)]
StorageOptions = Annotated[dict[str, str], AfterValidator(check_options)]
SparkOptions = Annotated[dict[str, str], BeforeValidator(join_names), AfterValidator(check_spark)]
