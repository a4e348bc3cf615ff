"""The names of all settings, and the nearest one to a name that is none."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import BaseModel

from chandlery.errors import SettingsError

__all__ = ["LISTED", "PREFIX", "check_variables", "find_nearest"]

PREFIX = "CHANDLERY_"  # of environment variables
LISTED = "a setting that `chandlery init` lists"
BY_FLAGS = "chosen_forecast"  # set by flags alone: never suggested
# Kubernetes sets these variables in all containers for a service called chandlery, or chandlery-NAME, and Docker for a
# link of that name. They are told by their names and values together.
SERVICE = r"CHANDLERY(_[A-Z0-9]+)*"
ADDRESS = r"[0-9A-Fa-f.:]+|None"
PROTOCOL = "(tcp|udp|sctp)"
OF_SERVICES = {
    rf"{SERVICE}_SERVICE_HOST": ADDRESS,
    rf"{SERVICE}_SERVICE_PORT(_[A-Z0-9]+)*": r"\d+",
    rf"{SERVICE}_PORT(_\d+_{PROTOCOL.upper()})?": rf"{PROTOCOL}://\S+:\d+",
    rf"{SERVICE}_PORT_\d+_{PROTOCOL.upper()}_PROTO": PROTOCOL,
    rf"{SERVICE}_PORT_\d+_{PROTOCOL.upper()}_PORT": r"\d+",
    rf"{SERVICE}_PORT_\d+_{PROTOCOL.upper()}_ADDR": ADDRESS,
    rf"{SERVICE}_NAME": r"/\S+/\S+",
}


def list_names(model: type[BaseModel], *, in_lists: bool) -> Iterator[tuple[str, bool]]:
    """Yield each setting and section as in lake.uri, and whether any name may stand below it.

    Args:
        model: The settings or a section.
        in_lists: Also yield the settings of sections that can occur several times.
    """
    for name, described in model.model_fields.items():
        kinds = [described.annotation, *get_args(described.annotation)]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        yield name, any(kind is dict or getattr(kind, "__origin__", None) is dict for kind in kinds)
        if inner is not None and (in_lists or inner is described.annotation):
            yield from ((f"{name}.{below}", is_open) for below, is_open in list_names(inner, in_lists=in_lists))


def find_nearest(name: str, model: type[BaseModel]) -> str:
    """Return the setting that is most like a name, as in forecast.seed; empty if none is.

    Example:
        >>> from chandlery.settings.model import Settings
        >>> [find_nearest(name, Settings) for name in ("lake.ury", "horizons", "source.layout.colums", "q")]
        ['lake.uri', 'forecast.horizons', 'source.layout.columns', '']
    """
    names = [each for each, _ in list_names(model, in_lists=True) if not each.startswith(BY_FLAGS)]
    above, _, last = name.rpartition(".")
    siblings = [each for each in names if each.rpartition(".")[0] == above]
    elsewhere = [each for each in names if each.rpartition(".")[2] == last]
    near = difflib.get_close_matches(name, siblings, 1, 0.75 if above else 0.6)
    return next(iter([*near, *elsewhere, *difflib.get_close_matches(name, names, 1, 0.75)]), "")


def check_variables(variables: Mapping[str, str], model: type[BaseModel]) -> list[str]:
    """Check that each environment variable that begins with `CHANDLERY_` is a setting; return the names of these.

    Args:
        variables: All environment variables.
        model: The settings.

    Raises:
        SettingsError: One is no setting, and none that Kubernetes or Docker sets for a service of that name.
    """
    known = {to_variable(name): is_open for name, is_open in list_names(model, in_lists=False)}
    given = []
    for name, value in variables.items():
        if not name.upper().startswith(PREFIX):
            continue
        if name in known or any(is_open and name.startswith(f"{place}__") for place, is_open in known.items()):
            given.append(name)
        elif not any(re.fullmatch(form, name) and re.fullmatch(of, value) for form, of in OF_SERVICES.items()):
            nearest = _find_nearest_variable(name, known)
            hint = f"write {nearest}" if nearest else "the settings file of `chandlery init` lists all settings"
            raise SettingsError(
                f"the environment variable {name}: there is no such setting",
                "CHANDLERY_, a section and a setting joined by two underscores, in capitals",
                hint,
            )
    return sorted(given)


def to_variable(name: str) -> str:
    """Return the environment variable of a setting, as in CHANDLERY_LAKE__URI."""
    return PREFIX + name.replace(".", "__").upper()


def _find_nearest_variable(name: str, known: Mapping[str, bool]) -> str:
    """Return the variable that is most like a name; empty if none is. The prefix, which all have, does not count."""
    wanted, prefix = name.upper()[len(PREFIX) :], len(PREFIX)
    section, parted, last = wanted.rpartition("__")
    options = [f"{place[prefix:]}__{last}" for place, is_open in known.items() if is_open and section and parted]
    names = [each[prefix:] for each in known if not each.startswith(to_variable(BY_FLAGS))]
    settings = [each for each in names if "__" in each]  # two underscores are forgotten more often than a setting
    near = difflib.get_close_matches(wanted, [*settings, *options], 1, 0.75)
    near = near or difflib.get_close_matches(wanted, [*names, *options], 1, 0.6)
    return f"{PREFIX}{near[0]}" if near else ""
