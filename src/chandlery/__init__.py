"""Raw crypto candles in one bucket, clean tables and scored forecasts in another.

Importing the package loads nothing else: each public name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chandlery.errors import ChandleryError
    from chandlery.extensions import feature, register
    from chandlery.features.feature import Bars
    from chandlery.lake.reading import read_table
    from chandlery.models import Model
    from chandlery.runs.pipeline import Options, RunReport, forecast, ingest, plan, run
    from chandlery.settings.model import Settings, load_settings

__all__ = [
    "Bars", "ChandleryError", "Model", "Options", "RunReport", "Settings", "feature", "forecast", "ingest",
    "load_settings", "plan", "read_table", "register", "run",
]  # fmt: skip

# The module that defines each public name.
HOMES = {
    "Bars": "features.feature",
    "ChandleryError": "errors",
    "Model": "models",
    "Options": "runs.run_report",
    "RunReport": "runs.run_report",
    "Settings": "settings.model",
    "feature": "extensions",
    "forecast": "runs.pipeline",
    "ingest": "runs.pipeline",
    "load_settings": "settings.model",
    "plan": "runs.pipeline",
    "read_table": "lake.reading",
    "register": "extensions",
    "run": "runs.pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'chandlery' has no attribute {name!r}")
    return getattr(import_module(f"chandlery.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
