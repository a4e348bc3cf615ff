"""The extension that is compared: what its file registers, and whose forecasts show whether it helps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chandlery.compare.measures import SERVED
from chandlery.errors import SettingsError
from chandlery.extensions import load_extension, model_names, read_bundle, read_bundles
from chandlery.forecasts.blend import BLEND
from chandlery.lake.handle import Lake
from chandlery.models import BUILT_IN
from chandlery.settings.model import Settings

__all__ = ["LoadedExtension", "choose_forecasts", "inspect_extension"]


@dataclass(frozen=True)
class LoadedExtension:
    """An extension that was loaded.

    Args:
        path: The file, absolute.
        features: Names of the features that it registers.
        models: Names of the models that it registers.
        others: The other extensions of the settings, which both runs use.
    """

    path: str
    features: tuple[str, ...]
    models: tuple[str, ...]
    others: tuple[str, ...]


def inspect_extension(settings: Settings, extension: Path) -> LoadedExtension:
    """Run the file and return what it registers; the settings may name it already.

    Raises:
        SettingsError: There is no such file, it registers nothing, or a model of a built-in model's name.
    """
    if not extension.is_file():
        raise SettingsError(
            f"no file {extension}", "a Python file that registers a feature or a model", "check the path"
        )
    path = str(extension.resolve())
    others = tuple(name for name in settings.forecast.extensions if str(Path(name).resolve()) != path)
    registered = load_extension(read_bundle(path))
    features, models = tuple(registered.features), tuple(registered.models)
    if not features and not models:
        raise SettingsError(
            f"extension {extension} registers no feature and no model",
            "@feature(…) or register(…) in it",
            "see CONTRIBUTING.md for one of each",
        )
    if taken := [name for name in models if name in BUILT_IN]:
        raise SettingsError(
            f"extension {extension} registers a model called {taken[0]!r}",
            f"a name that is none of {', '.join(BUILT_IN)}",
            "rename it",
        )
    return LoadedExtension(path, features, models, others)


def choose_forecasts(lake: Lake, extension: LoadedExtension, wanted: Sequence[str]) -> list[str]:
    """Return whose forecasts are compared without the extension and with it.

    A model of the extension itself has no forecasts without it: it is compared with naive instead.

    Args:
        lake: The lake.
        extension: The extension.
        wanted: served, blend or models; without any, what is served, or the blend for an extension with a model.

    Raises:
        SettingsError: A wanted model is not known.
    """
    registered = (*model_names(read_bundles(extension.others)), *extension.models)
    known = [SERVED, BLEND, *dict.fromkeys((*lake.series.models, *registered))]
    if unknown := [name for name in wanted if name not in known]:
        raise SettingsError(f"model {unknown[0]!r}", f"one of {', '.join(known)}", "check --model")
    compared = [name for name in dict.fromkeys(wanted) if name not in extension.models]
    return compared or [BLEND if extension.models else SERVED]
