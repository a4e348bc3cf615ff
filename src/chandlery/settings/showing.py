"""How settings are shown, in records and as text: values of options only if they may be."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from chandlery.errors.masking import hide_options, mask, mask_options

__all__ = ["Shown", "hide_values", "show_settings"]

OPTIONS = ("storage", "spark")  # settings that are options of another program, by any names


class Shown:
    """A part of the settings whose `repr` has no value that may be secret."""

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Yield the fields as `repr` and `str` show them."""
        for name in type(self).model_fields:  # type: ignore[attr-defined]
            value = getattr(self, name)
            yield name, mask_options(value) if isinstance(value, dict) else value


def show_settings(value: Any) -> Any:
    """Return settings as plain values for a record, with `…` in place of values that may be secret."""
    if isinstance(value, BaseModel):
        return {name: show_settings(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return mask_options(value)
    if isinstance(value, list):
        return [show_settings(each) for each in value]
    return mask(value) if isinstance(value, str) else value


def hide_values(values: Any, names: tuple[str, ...] = ()) -> None:
    """Hide the values of options from all texts of this process, before they are checked.

    Args:
        values: Settings as they were given, nested by section.
        names: Of the sections above them.
    """
    if not isinstance(values, dict):
        return
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            hide_values(value, (*names, str(name)))
        else:
            flat[str(name)] = value
    place = next((place for place, name in enumerate(names) if name in OPTIONS), None)
    if place is not None:  # TOML reads `spark.master = …` without quotes as nested tables
        hide_options({".".join([*names[place + 1 :], name]): value for name, value in flat.items()})
