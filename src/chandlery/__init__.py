"""Raw crypto candles in one bucket, clean tables and scored forecasts in another.

Importing does nothing: what is named here is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chandlery.errors import ChandleryError
    from chandlery.features.registry import Bars, feature
    from chandlery.lake.reading import read_table
    from chandlery.models import Model, register
    from chandlery.runs.pipeline import Options, RunReport, forecast, ingest, plan, run
    from chandlery.settings.model import Settings, load_settings

__all__ = [
    "Bars", "ChandleryError", "Model", "Options", "RunReport", "Settings", "feature", "forecast", "ingest",
    "load_settings", "plan", "read_table", "register", "run",
]  # fmt: skip

HOMES = {
    "Settings": "settings.model", "load_settings": "settings.model", "ChandleryError": "errors", "Bars": "features.registry", "feature": "features.registry", "Model": "models",
    "register": "models", "Options": "runs.session", "RunReport": "runs.session", "forecast": "runs.pipeline", "ingest": "runs.pipeline", "plan": "runs.pipeline",
    "run": "runs.pipeline", "read_table": "lake.reading",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'chandlery' has no attribute {name!r}")
    return getattr(import_module(f"chandlery.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
